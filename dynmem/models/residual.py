"""Depth: memoryless layers, norms, and the residual block that every mixer fits into."""

from dataclasses import dataclass

import numpy as np

from ..arrays import erf, relu, sqrt, tanh
from ..errors import ShapeError
from ..runtime.validation import integer
from ..system import Map, as_system
from .cell import keep

ACTIVATIONS = {
    "relu": relu,
    "tanh": tanh,
    "gelu": lambda z: 0.5 * z * (1.0 + erf(z / np.sqrt(2.0))),
    "identity": lambda z: z,
}
NORMS, PLACEMENTS = ("layer", "rms"), ("pre", "post", "none")
EPSILON = 1e-5  # added to the variance, as torch does


def normalise(x, kind):
    """x over its own scale along the last axis: "layer" (x - mean) / sqrt(var + eps) (Ba, Kiros and
    Hinton 2016), "rms" x / sqrt(mean x^2 + eps) (Zhang and Sennrich 2019); eps = 1e-5.

    >>> normalise(np.array([1.0, 3.0]), "layer").round(4).tolist()
    [-1.0, 1.0]
    """
    width = x.shape[-1]
    if kind == "layer":
        x = x - x.sum(axis=-1, keepdims=True) / width
    return x / sqrt((x * x).sum(axis=-1, keepdims=True) / width + EPSILON)


@dataclass(frozen=True, eq=False)
class Memoryless(Map):
    """A layer without a state: its output is a function of the input alone, its rule has nothing to
    do."""

    size = 0

    def rule(self, x, u):
        return x

    def run(self, x, u):
        """Outputs (..., T, outputs) of inputs (..., T, inputs), and the state of no components."""
        return self.output(None, u), x

    def initial(self, rng=0):
        return np.zeros(0)

    _keep = keep


@dataclass(frozen=True, eq=False)
class Dense(Memoryless):
    """Affine map of each step, y = V u + b: the encoder of a stack. Fields: V (outputs, inputs), b
    (outputs,).

    >>> Dense(np.ones((2, 3)), np.zeros(2)).output(None, np.ones(3)).tolist()
    [3.0, 3.0]
    """

    V: np.ndarray
    b: np.ndarray

    def __post_init__(self):
        if np.ndim(self.V) != 2:
            raise ShapeError(
                f"V of Dense must be a matrix (outputs, inputs), got shape {np.shape(self.V)}"
            )
        self._keep(V=np.shape(self.V), b=np.shape(self.V)[:1])

    inputs = property(lambda self: self.V.shape[1])
    outputs = property(lambda self: self.V.shape[0])

    def output(self, x, u):
        return u @ self.V.T + self.b

    @classmethod
    def random(cls, units, inputs, *, rng=0):
        """V uniform in +-sqrt(3/inputs), of variance 1/inputs, so that white noise keeps its
        variance; b zero."""
        units, inputs = integer("units", units, 1), integer("inputs", inputs, 1)
        bound = np.sqrt(3 / inputs)
        return cls(
            np.random.default_rng(rng).uniform(-bound, bound, (units, inputs)), np.zeros(units)
        )


@dataclass(frozen=True, eq=False)
class Activation(Memoryless):
    """A function of each component of each step, y = phi(u). Fields: width; kind, "relu", "tanh",
    "gelu" or "identity".

    >>> Activation(2, "relu").output(None, np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    width: int
    kind: str = "relu"

    def __post_init__(self):
        object.__setattr__(self, "width", integer("width", self.width, 1))
        if self.kind not in ACTIVATIONS:
            raise ValueError(f"kind must be one of {', '.join(ACTIVATIONS)}, got {self.kind!r}")

    inputs = outputs = property(lambda self: self.width)

    def output(self, x, u):
        return ACTIVATIONS[self.kind](u)


@dataclass(frozen=True, eq=False)
class FeedForward(Memoryless):
    """Two affine maps of each step, y = W2 phi(W1 u + b1) + b2 (Vaswani et al. 2017, eq. 2); phi is
    "relu" or "gelu".

    Fields: W1 (hidden, width), b1 (hidden,), W2 (width, hidden), b2 (width,), activation.
    """

    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray
    activation: str = "relu"

    def __post_init__(self):
        if np.ndim(self.W1) != 2:
            raise ShapeError(
                f"W1 of FeedForward must be a matrix (hidden, width), got shape {np.shape(self.W1)}"
            )
        hidden, width = np.shape(self.W1)
        self._keep(W1=(hidden, width), b1=(hidden,), W2=(width, hidden), b2=(width,))
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}"
            )

    inputs = outputs = property(lambda self: self.W1.shape[1])

    def output(self, x, u):
        return ACTIVATIONS[self.activation](u @ self.W1.T + self.b1) @ self.W2.T + self.b2

    @classmethod
    def random(cls, width, hidden, *, rng=0, gain=1.0, activation="relu"):
        """Weights ~ N(0, gain^2 2/(hidden + width)) (Glorot and Bengio 2010, as in Xiong et al.
        2020), biases zero."""
        width, hidden, rng = (
            integer("width", width, 1),
            integer("hidden", hidden, 1),
            np.random.default_rng(rng),
        )
        scale = gain * np.sqrt(2 / (hidden + width))
        return cls(
            scale * rng.standard_normal((hidden, width)),
            np.zeros(hidden),
            scale * rng.standard_normal((width, hidden)),
            np.zeros(width),
            activation,
        )


@dataclass(frozen=True, eq=False)
class Norm(Memoryless):
    """Layer norm or root-mean-square norm of each step, y = gain normalise(u) + offset. Fields:
    gain (width,), offset (width,), kind.

    >>> Norm(np.ones(2), np.zeros(2)).output(None, np.array([1.0, 3.0])).round(4).tolist()
    [-1.0, 1.0]
    """

    gain: np.ndarray
    offset: np.ndarray
    kind: str = "layer"

    def __post_init__(self):
        if np.ndim(self.gain) != 1:
            raise ShapeError(f"gain of Norm must have shape (width,), got {np.shape(self.gain)}")
        self._keep(gain=np.shape(self.gain), offset=np.shape(self.gain))
        if self.kind not in NORMS:
            raise ValueError(f"a norm is one of {', '.join(NORMS)}, got {self.kind!r}")

    inputs = outputs = property(lambda self: len(self.gain))

    def output(self, x, u):
        return normalise(u, self.kind) * self.gain + self.offset

    @classmethod
    def plain(cls, width, kind="layer"):
        """Gain one and offset zero."""
        return cls(np.ones(width), np.zeros(width), kind)


@dataclass(frozen=True, eq=False)
class Block(Map):
    """A mixer over time and a feed-forward layer, each with a residual connection and, where asked,
    a norm.

    placement "pre" (Xiong et al. 2020): h = alpha u + mixer(norm(u)), y = alpha h + ff(norm(h));
    "post" (Vaswani et al. 2017): h = norm(alpha u + mixer(u)), y = norm(alpha h + ff(h)); "none":
    no norms. alpha is 1, and (2 layers)^(1/4) with "post" in DeepNorm (Wang et al. 2022). Fields:
    mixer, a Map of as many outputs as inputs; feedforward, FeedForward or None; norms, of the
    mixer's and of the feed-forward's part, or (). The state is that of the mixer.
    """

    mixer: Map
    feedforward: FeedForward | None = None
    norms: tuple = ()
    placement: str = "pre"
    alpha: float = 1.0

    def __post_init__(self):
        width = as_system(self.mixer, Map).inputs
        if self.mixer.outputs != width or not width:
            raise ShapeError(
                "a block adds the mixer's output to its input: "
                f"{type(self.mixer).__name__} has {width} inputs and "
                f"{self.mixer.outputs} outputs, make them equal"
            )
        if self.placement not in PLACEMENTS:
            raise ValueError(
                f"placement must be one of {', '.join(PLACEMENTS)}, got {self.placement!r}"
            )
        needed = 0 if self.placement == "none" else 2 if self.feedforward else 1
        object.__setattr__(self, "norms", tuple(self.norms))
        if len(self.norms) != needed:
            raise ValueError(
                f"placement {self.placement!r} "
                f"{'with' if self.feedforward else 'without'} a feed-forward layer "
                f"needs {needed} "
                f"norms, got {len(self.norms)}"
            )
        for part in (self.feedforward, *self.norms):
            if part is not None and part.inputs != width:
                raise ShapeError(
                    f"{type(part).__name__} is {part.inputs} wide and the mixer "
                    f"{width}: make them equal"
                )

    inputs = property(lambda self: self.mixer.inputs)
    outputs = property(lambda self: self.mixer.outputs)
    size = property(lambda self: self.mixer.size)
    states = property(lambda self: self.mixer.states)
    dt = property(lambda self: self.mixer.dt)
    tile = property(lambda self: self.mixer.tile)

    def rule(self, x, u):
        return self.mixer.rule(x, self._before(0, u))

    def output(self, x, u):
        return self._after(u, self.mixer.output(x, self._before(0, u)))

    def run(self, x, u):
        """Outputs (..., T, width) and last state (..., n), the mixer over the whole sequence."""
        mixed, last = self.mixer.run(x, self._before(0, u))
        return self._after(u, mixed), last

    def initial(self, rng=0):
        return self.mixer.initial(rng)

    def _before(self, part, u):
        return self.norms[part].output(None, u) if self.placement == "pre" else u

    def _joined(self, part, u, change):
        h = (
            u + change
            if isinstance(self.alpha, float) and self.alpha == 1.0
            else self.alpha * u + change
        )
        return self.norms[part].output(None, h) if self.placement == "post" else h

    def _after(self, u, mixed):
        h = self._joined(0, u, mixed)
        return (
            h
            if self.feedforward is None
            else self._joined(1, h, self.feedforward.output(None, self._before(1, h)))
        )
