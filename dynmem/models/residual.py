"""Depth: memoryless layers, norms, and the residual block around any mixer of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from ..arrays import abs, erf, relu, sigmoid, softplus, sqrt, tanh, where  # noqa: A004
from ..errors import ShapeError
from ..runtime.validation import choice, generator, integer, number
from ..system import Map, as_system
from ..typing import Array, Rng
from .cell import expm1, keep_arrays, matrix_shape

__all__ = ["Activation", "Block", "Dense", "Embedding", "FeedForward", "Norm"]

ACTIVATIONS = {
    "relu": relu,
    "tanh": tanh,
    "gelu": lambda z: 0.5 * z * (1.0 + erf(z / np.sqrt(2.0))),
    # Hendrycks and Gimpel (2016), the form of GPT-2
    "gelu_tanh": lambda z: (
        0.5 * z * (1.0 + tanh(np.sqrt(2.0 / np.pi) * (z + 0.044715 * z * z * z)))
    ),
    "silu": lambda z: z * sigmoid(z),
    "sigmoid": sigmoid,
    "softplus": softplus,
    # through abs, whose slope 0 at 0 leaves the slope 1 that elu has there
    "elu": lambda z: 0.5 * (z + abs(z)) + expm1(0.5 * (z - abs(z))),
    "leaky_relu": lambda z: where(z > 0, z, 0.01 * z),
    "identity": lambda z: z,
}
NORMS, PLACEMENTS = ("layer", "rms"), ("pre", "post", "none")
NORM_EPSILON = 1e-5  # added to the variance, as in torch


def normalise(x: Array, kind: str, eps: float = NORM_EPSILON) -> Array:
    """x over its own scale along the last axis, with eps added to the variance.

    "layer" is (x - mean) / sqrt(var + eps) (Ba, Kiros and Hinton 2016), "rms" is
    x / sqrt(mean x^2 + eps) (Zhang and Sennrich 2019).

    >>> normalise(np.array([1.0, 3.0]), "layer").round(4).tolist()
    [-1.0, 1.0]
    """
    width = x.shape[-1]
    if kind == "layer":
        x = x - x.sum(axis=-1, keepdims=True) / width
    return x / sqrt((x * x).sum(axis=-1, keepdims=True) / width + eps)


class Memoryless(Map):
    """A layer without a state: its output is a function of the input alone."""

    size = 0

    def rule(self, x: Array, u: Array | None) -> Array:
        return x

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, outputs) of inputs (..., T, inputs), and the state of no components."""
        return self.output(None, u), x

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """The state of no components."""
        return np.zeros(0)

    def resampled(self, factor: float) -> Self:
        """The layer itself, which has no memory."""
        return self


class Dense(Memoryless):
    """Affine map of each step, the encoder of a stack.

        y = V u + b

    Parameters
    ----------
    V : array_like (outputs, inputs)
        Weights.
    b : array_like (outputs,)
        Bias.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Dense(np.ones((2, 3)), np.zeros(2)).output(None, np.ones(3)).tolist()
    [3.0, 3.0]
    """

    V: Array
    b: Array

    def __post_init__(self) -> None:
        outputs, inputs = matrix_shape(self, "V", "outputs, inputs")
        keep_arrays(self, {"V": (outputs, inputs), "b": (outputs,)})

    @property
    def inputs(self) -> int:
        return self.V.shape[1]

    @property
    def outputs(self) -> int:
        return self.V.shape[0]

    def output(self, x: Array, u: Array | None) -> Array:
        return u @ self.V.T + self.b

    @classmethod
    def random(cls, units: int, inputs: int, *, rng: Rng = 0) -> Dense:
        """Random map: V uniform in +-sqrt(3/inputs), of variance 1/inputs, b zero.

        White noise keeps its variance.

        Parameters
        ----------
        units : int
            Number of outputs.
        inputs : int
            Number of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.

        Returns
        -------
        Dense
        """
        units, inputs = integer("units", units), integer("inputs", inputs)
        bound = np.sqrt(3 / inputs)
        return cls(generator(rng).uniform(-bound, bound, (units, inputs)), np.zeros(units))


class Embedding(Memoryless):
    """One row of a table for each symbol, given as a one-hot row.

        y = u E

    Parameters
    ----------
    table : array_like (vocabulary, width)
        The row of each symbol.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For a table that is no matrix, is not real or holds NaN.

    Notes
    -----
    The ``drive`` of a system that begins with an Embedding may be an array of integers, (steps,):
    the symbols themselves.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Embedding(np.arange(6.0).reshape(3, 2)).output(None, np.eye(3)[1]).tolist()
    [2.0, 3.0]
    """

    table: Array

    def __post_init__(self) -> None:
        keep_arrays(self, {"table": matrix_shape(self, "table", "vocabulary, width")})

    @property
    def inputs(self) -> int:
        return self.table.shape[0]

    @property
    def outputs(self) -> int:
        return self.table.shape[1]

    @property
    def vocabulary(self) -> int:
        return self.table.shape[0]

    def output(self, x: Array, u: Array | None) -> Array:
        return u @ self.table


class Activation(Memoryless):
    """A function of each component of each step.

        y = phi(u)

    Parameters
    ----------
    width : int
        Number of inputs and outputs.
    kind : str, optional
        The function phi: "relu", "tanh", "gelu" (exact), "gelu_tanh", "silu", "sigmoid",
        "softplus", "elu" and "leaky_relu" (with torch's constants), or "identity".

    Raises
    ------
    ValueError
        For an option out of its range.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Activation(2, "relu").output(None, np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    width: int
    kind: str = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", integer("width", self.width, 1))
        choice("kind", self.kind, ACTIVATIONS)

    @property
    def inputs(self) -> int:
        return self.width

    @property
    def outputs(self) -> int:
        return self.width

    def output(self, x: Array, u: Array | None) -> Array:
        return ACTIVATIONS[self.kind](u)


class FeedForward(Memoryless):
    """Two affine maps of each step with a function between them.

        y = W2 phi(W1 u + b1) + b2

    Parameters
    ----------
    W1 : array_like (hidden, width)
        First weights.
    b1 : array_like (hidden,)
        First bias.
    W2 : array_like (width, hidden)
        Second weights.
    b2 : array_like (width,)
        Second bias.
    activation : str, optional
        The function phi, as for Activation.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.
    ValueError
        For another activation.

    References
    ----------
    Vaswani et al. (2017), NeurIPS, eq. 2.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.FeedForward.random(4, 16).W1.shape
    (16, 4)
    """

    W1: Array
    b1: Array
    W2: Array
    b2: Array
    activation: str = "relu"

    def __post_init__(self) -> None:
        hidden, width = matrix_shape(self, "W1", "hidden, width")
        shapes = {"W1": (hidden, width), "b1": (hidden,), "W2": (width, hidden), "b2": (width,)}
        keep_arrays(self, shapes)
        choice("activation", self.activation, ACTIVATIONS)

    @property
    def inputs(self) -> int:
        return self.W1.shape[1]

    @property
    def outputs(self) -> int:
        return self.W1.shape[1]

    def output(self, x: Array, u: Array | None) -> Array:
        return ACTIVATIONS[self.activation](u @ self.W1.T + self.b1) @ self.W2.T + self.b2

    @classmethod
    def random(
        cls, width: int, hidden: int, *, rng: Rng = 0, gain: float = 1.0, activation: str = "relu"
    ) -> FeedForward:
        """Random layer: weights ~ N(0, gain^2 2/(hidden + width)), biases zero.

        Parameters
        ----------
        width : int
            Number of inputs and outputs.
        hidden : int
            Number of hidden units.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        gain : float, optional
            Scale of the weights, beta of DeepNorm.
        activation : str, optional
            The function phi, as for Activation.

        Returns
        -------
        FeedForward

        References
        ----------
        Glorot and Bengio (2010), as in Xiong et al. (2020), ICML.
        """
        width, hidden, rng = integer("width", width), integer("hidden", hidden), generator(rng)
        scale = gain * np.sqrt(2 / (hidden + width))
        return cls(
            scale * rng.standard_normal((hidden, width)),
            np.zeros(hidden),
            scale * rng.standard_normal((width, hidden)),
            np.zeros(width),
            activation,
        )


class Norm(Memoryless):
    """Layer norm or root-mean-square norm of each step.

        y = gain normalise(u) + offset

    Parameters
    ----------
    gain : array_like (width,)
        Gain of each component.
    offset : array_like (width,)
        Offset of each component.
    kind : {"layer", "rms"}, optional
        (u - mean) / sqrt(var + eps), or u / sqrt(mean u^2 + eps).
    eps : float of at least 0, optional
        Added to the variance.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.
    ValueError
        For another kind, and for eps below 0.

    References
    ----------
    Ba, Kiros and Hinton (2016), arXiv:1607.06450. Zhang and Sennrich (2019), NeurIPS.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Norm.plain(2).output(None, np.array([1.0, 3.0])).round(4).tolist()
    [-1.0, 1.0]
    """

    gain: Array
    offset: Array
    kind: str = "layer"
    eps: float = NORM_EPSILON

    def __post_init__(self) -> None:
        if np.ndim(self.gain) != 1:
            raise ShapeError(f"gain of Norm must have shape (width,), got {np.shape(self.gain)}")
        keep_arrays(self, dict.fromkeys(("gain", "offset"), np.shape(self.gain)))
        choice("kind", self.kind, NORMS)
        object.__setattr__(self, "eps", number("eps", self.eps, least=0))

    @property
    def inputs(self) -> int:
        return len(self.gain)

    @property
    def outputs(self) -> int:
        return len(self.gain)

    def output(self, x: Array, u: Array | None) -> Array:
        return normalise(u, self.kind, self.eps) * self.gain + self.offset

    @classmethod
    def plain(cls, width: int, kind: str = "layer") -> Norm:
        """Norm with gain one and offset zero."""
        return cls(np.ones(width), np.zeros(width), kind)


class Block(Map):
    """Residual block: a mixer over time, then a feed-forward layer, each with a norm.

        pre: h = alpha u + mixer(norm(u)),  y = alpha h + ff(norm(h))
        post: h = norm(alpha u + mixer(u)),  y = norm(alpha h + ff(h))

    Parameters
    ----------
    mixer : Map
        A model of as many outputs as inputs.
    feedforward : FeedForward, optional
        None for a block without one.
    norms : sequence of Norm, optional
        Of the mixer's and of the feed-forward's part; none with placement "none".
    placement : {"pre", "post", "none"}, optional
        Where the norms are; "none" is "pre" without them.
    alpha : float, optional
        Weight of the residual connections: (2 layers)^(1/4) with "post" in DeepNorm.

    Raises
    ------
    ShapeError
        For widths that do not fit.
    ValueError
        For another placement or number of norms.

    Notes
    -----
    The state is that of the mixer.

    References
    ----------
    Xiong et al. (2020), ICML, for "pre". Vaswani et al. (2017), NeurIPS, for "post". Wang et al.
    (2022), arXiv:2203.00555, for alpha.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Block(dm.models.GRU.random(4, 4), placement="none").size
    4
    """

    mixer: Map
    feedforward: FeedForward | None = None
    norms: Sequence[Norm] = ()
    placement: str = "pre"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        width = as_system(self.mixer, Map).inputs
        if self.mixer.outputs != width or not width:
            raise ShapeError(
                f"a block adds the mixer's output to its input: {type(self.mixer).__name__} has "
                f"{width} inputs and {self.mixer.outputs} outputs, make them equal"
            )
        choice("placement", self.placement, PLACEMENTS)
        needed = 0 if self.placement == "none" else 2 if self.feedforward else 1
        object.__setattr__(self, "norms", tuple(self.norms))
        if len(self.norms) != needed:
            raise ValueError(
                f"placement {self.placement!r} {'with' if self.feedforward else 'without'} a "
                f"feed-forward layer needs {needed} norms, got {len(self.norms)}"
            )
        for part in (self.feedforward, *self.norms):
            if part is not None and part.inputs != width:
                raise ShapeError(
                    f"{type(part).__name__} has width {part.inputs} and the mixer {width}: make "
                    "them equal"
                )

    @property
    def inputs(self) -> int:
        return self.mixer.inputs

    @property
    def outputs(self) -> int:
        return self.mixer.outputs

    @property
    def size(self) -> int:
        return self.mixer.size

    @property
    def states(self) -> tuple[str, ...]:
        return self.mixer.states

    @property
    def dt(self) -> float:
        return self.mixer.dt

    @property
    def tile(self) -> int | None:
        return self.mixer.tile

    def rule(self, x: Array, u: Array | None) -> Array:
        return self.mixer.rule(x, self._before(0, u))

    def output(self, x: Array, u: Array | None) -> Array:
        return self._after(u, self.mixer.output(x, self._before(0, u)))

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, width) and last state (..., n), the mixer over the whole sequence."""
        mixed, last = self.mixer.run(x, self._before(0, u))
        return self._after(u, mixed), last

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """Where the mixer starts."""
        return self.mixer.initial(rng)

    def resampled(self, factor: float) -> Block:
        """The block with its mixer for inputs that lie ``factor`` times as far apart."""
        from .network import resampled

        return replace(self, mixer=resampled(self.mixer, factor))

    def _before(self, part: int, u: Array) -> Array:
        return self.norms[part].output(None, u) if self.placement == "pre" else u

    def _joined(self, part: int, u: Array, change: Array) -> Array:
        h = (
            u + change
            if isinstance(self.alpha, float) and self.alpha == 1.0
            else self.alpha * u + change
        )
        return self.norms[part].output(None, h) if self.placement == "post" else h

    def _after(self, u: Array, mixed: Array) -> Array:
        h = self._joined(0, u, mixed)
        return (
            h
            if self.feedforward is None
            else self._joined(1, h, self.feedforward.output(None, self._before(1, h)))
        )


def deepnorm(layers: int) -> tuple[float, float]:
    """alpha of the residual connections and beta of the branches' weights (Wang et al. 2022)."""
    return (2 * layers) ** 0.25, (8 * layers) ** -0.25


def blocks(
    mixers: Sequence[Map],
    placement: str,
    norm: str,
    hidden: int,
    activation: str,
    rng: np.random.Generator,
) -> tuple[Map, ...]:
    """A residual block around each mixer, and a last norm after "pre"."""
    width, deep = mixers[0].outputs, placement == "deepnorm"
    alpha, gain = deepnorm(len(mixers)) if deep else (1.0, 1.0)
    placement = "post" if deep else placement
    count = 0 if placement == "none" else 2 if hidden else 1

    def block(mixer: Map) -> Block:
        ff = (
            FeedForward.random(width, hidden, rng=rng, gain=gain, activation=activation)
            if hidden
            else None
        )
        return Block(
            mixer, ff, tuple(Norm.plain(width, norm) for _ in range(count)), placement, alpha
        )

    return tuple(map(block, mixers)) + ((Norm.plain(width, norm),) if placement == "pre" else ())
