"""Several layers and a readout as one system, and the registry of models by name."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..arrays import concat, tensors
from ..errors import NotFiniteError, ShapeError, UnknownNameError
from ..runtime.validation import integer
from ..system import Map, as_system
from .attention import Attention
from .convolution import ConvolutionBlock
from .diagonal import LRU, S5
from .esn import ESN
from .gated import GRU, LSTM
from .hybrid import Hybrid
from .linear_attention import LinearAttention
from .lmu import LMU
from .mamba import Mamba
from .oscillators import CoRNN
from .residual import ACTIVATIONS, NORMS, PLACEMENTS, Block, Dense, FeedForward, Norm
from .rnn import Linear, Orthogonal, Relu, Tanh
from .s4 import S4
from .selective import Selective
from .ssm import S4D


@dataclass(frozen=True, eq=False)
class Network(Map):
    """Layers, each driven by the output of the one below, and a linear readout y = R h + a of the
    last.

    Fields: layers, a tuple of Maps; R (outputs, units) or None for y = h; a (outputs,). The state
    is the layers' states, one after another.

    >>> net = Network((Tanh.random(3, 2), Tanh.random(4, 3)))
    >>> net.size, net.inputs, net.outputs
    (7, 2, 4)
    """

    layers: tuple
    R: np.ndarray | None = None
    a: np.ndarray | None = None

    def __post_init__(self):
        layers = (
            (self.layers,)
            if isinstance(self.layers, Map)
            else tuple(as_system(layer, Map) for layer in self.layers)
        )
        if not layers:
            raise ValueError("a Network needs at least one layer")
        if len({layer.dt for layer in layers}) > 1:
            raise ValueError(
                f"layers step by {', '.join(str(layer.dt) for layer in layers)}: "
                "give all the same leak or dt"
            )
        for below, above in pairwise(layers):
            if above.inputs != below.outputs:
                raise ShapeError(
                    f"a layer gives {below.outputs} outputs and the next takes "
                    f"{above.inputs} inputs: make them equal"
                )
        object.__setattr__(self, "layers", layers)
        if self.R is not None:
            R = tensors(self.R)
            a = np.zeros(len(R)) if self.a is None else tensors(self.a)
            if R.ndim != 2 or R.shape[1] != layers[-1].outputs or a.shape != R.shape[:1]:
                raise ShapeError(
                    f"readout R {R.shape} and a {a.shape} do not fit: expected "
                    f"(outputs, {layers[-1].outputs}) and (outputs,)"
                )
            if not (np.isfinite(R).all() and np.isfinite(a).all()):
                raise NotFiniteError("the readout holds NaN or infinity")
            object.__setattr__(self, "R", R)
            object.__setattr__(self, "a", a)

    inputs = property(lambda self: self.layers[0].inputs)
    size = property(lambda self: sum(layer.size for layer in self.layers))
    dt = property(lambda self: self.layers[0].dt)
    tile = property(
        lambda self: min((layer.tile for layer in self.layers if layer.tile), default=None)
    )

    @property
    def states(self):
        if len(self.layers) == 1:
            return self.layers[0].states
        return tuple(
            f"{name}_{i + 1}" for i, layer in enumerate(self.layers) for name in layer.states
        )

    @property
    def outputs(self):
        return self.layers[-1].outputs if self.R is None else len(self.R)

    def parts(self, x):
        """The state of each layer, cut from x (..., n)."""
        ends = np.cumsum([layer.size for layer in self.layers])
        return [
            x[..., end - layer.size : end] for layer, end in zip(self.layers, ends, strict=True)
        ]

    def rule(self, x, u):
        after = []
        if u is not None and x.shape[:-1] != u.shape[:-1]:
            # one batch for the states of all layers, of those too that do not hear the input
            x = x + 0.0 * u[..., :1]
        for i, (layer, part) in enumerate(zip(self.layers, self.parts(x), strict=True)):
            if i:  # what the last layer says is no part of the state
                u = self.layers[i - 1].output(after[-1], u)
            after.append(layer.rule(part, u))
        return after[0] if len(after) == 1 else concat(after)

    def output(self, x, u):
        for layer, part in zip(self.layers, self.parts(x), strict=True):
            u = layer.output(part, u)
        return self._read_out(u)

    def run(self, x, u):
        """Outputs (..., T, outputs) and last state (..., n), layer after layer, each over the whole
        sequence."""
        after = []
        if self.inputs and x.shape[:-1] != u.shape[:-2]:
            x = x + 0.0 * u[..., 0, :1]
        for layer, part in zip(self.layers, self.parts(x), strict=True):
            u, last = layer.run(part, u)
            after.append(last)
        return self._read_out(u), concat(after)

    def _read_out(self, h):
        return h if self.R is None else h @ self.R.T + self.a

    def initial(self, rng=0):
        rng = np.random.default_rng(rng)
        return np.concatenate([layer.initial(rng) for layer in self.layers])


LARGEST = 2**31  # components of a state, 16 GiB
MODELS = {
    "linear": Linear,
    "tanh": Tanh,
    "relu": Relu,
    "orthogonal": Orthogonal,
    "lstm": LSTM,
    "gru": GRU,
    "esn": ESN,
    "lmu": LMU,
    "s4": S4,
    "s4d": S4D,
    "lru": LRU,
    "s5": S5,
    "selective": Selective,
    "mamba": Mamba,
    "linear_attention": LinearAttention,
    "cornn": CoRNN,
    "tcn": ConvolutionBlock,
    "attention": Attention,
    "hybrid": Hybrid,
}


def names() -> list[str]:
    """Names of the models that ``get`` makes.

    >>> "lstm" in names()
    True
    """
    return sorted(MODELS)


def about(name) -> str:
    """The first sentence on a model."""
    return MODELS[name].__doc__.partition("\n\n")[0]


def get(
    name,
    *,
    units,
    inputs=0,
    layers=1,
    outputs=None,
    rng=0,
    placement=None,
    norm="layer",
    feedforward=0,
    activation="relu",
    **options,
):
    """A randomly initialised model by name; other options go to its ``random``.

    Without ``placement`` the layers feed one another. With "pre", "post", "deepnorm" or "none" the
    model is the one trainable shape of all mixers: an encoder (units, inputs), ``layers`` residual
    blocks with norms ("layer" or "rms") there, each with a feed-forward layer of ``feedforward``
    hidden units (0: without one), after "pre" one more norm, and the readout. A mixer that works
    channel by channel gets an encoder wherever inputs and units differ.

    With ``layers`` above 1 or ``outputs`` given it is a Network, its readout R ~ U(+-1/sqrt N).
    Raises UnknownNameError, and TypeError for options the model does not take.

    >>> get("lstm", units=4, inputs=2, forget_bias=1.0).size
    8
    >>> [type(layer).__name__ for layer in get("gru", units=4, inputs=2, outputs=1, layers=2, placement="pre", feedforward=8).layers]
    ['Dense', 'Block', 'Block', 'Norm']
    """
    if not isinstance(name, str) or name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    kind, units, layers, rng = (
        MODELS[name],
        integer("units", units, 1),
        integer("layers", layers, 1),
        np.random.default_rng(rng),
    )
    _check_shape(placement, norm, integer("feedforward", feedforward, 0), activation)
    if placement == "deepnorm" and kind.branch_gain:
        options = {kind.branch_gain: deepnorm(layers)[1], **options}
    encoded = placement is not None or (kind.square and inputs != units)
    cells = (Dense.random(units, inputs, rng=rng),) if encoded else ()
    try:
        # a mixer whose place in the stack matters
        placed = "layer" in kind.random.__func__.__kwdefaults__
        mixers = tuple(
            kind.random(
                units,
                units if encoded or i else inputs,
                rng=rng,
                **options,
                **({"layer": i} if placed else {}),
            )
            for i in range(layers)
        )
    except MemoryError as error:
        raise MemoryError(
            f"{name} of {units} units and {layers} layers does not fit into memory "
            f"({error}): pass smaller sizes"
        ) from None
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        taken = kind.random.__func__.__kwdefaults__
        raise TypeError(
            f"{name} takes no option {set(options) - set(taken)}: it takes "
            f"{', '.join(sorted(set(taken) - {'rng', 'layer'}))}"
        ) from None
    cells += (
        mixers
        if placement is None
        else blocks(mixers, placement, norm, feedforward, activation, rng)
    )
    if (size := sum(cell.size for cell in cells)) > LARGEST:
        raise MemoryError(
            f"the state of {name} has {size} components, {size / 2**27:.0f} GiB: "
            "pass fewer layers, or a smaller window, kernel or "
            "base"
        )
    if len(cells) == 1 and outputs is None:
        return cells[0]
    if outputs is None:
        return Network(cells)
    bound = 1 / np.sqrt(units)
    return Network(
        cells,
        rng.uniform(-bound, bound, (integer("outputs", outputs, 1), units)),
        np.zeros(outputs),
    )


def _check_shape(placement, norm, feedforward, activation):
    """Refuse options of the trainable shape that are unknown, or that nothing would come of."""
    known = {"placement": (*PLACEMENTS, "deepnorm", None), "norm": NORMS, "activation": ACTIVATIONS}
    for (what, allowed), value in zip(known.items(), (placement, norm, activation), strict=True):
        if value not in allowed:
            raise ValueError(f"{what} must be one of {', '.join(map(str, allowed))}, got {value!r}")
    if feedforward and placement is None:
        raise ValueError(
            f"feedforward = {feedforward} belongs to residual blocks: pass "
            "placement='pre', 'post', 'deepnorm' or 'none', too"
        )


def deepnorm(layers):
    """alpha of the residual connections and beta of the branches' weights (Wang et al. 2022, of a
    decoder)."""
    return (2 * layers) ** 0.25, (8 * layers) ** -0.25


def blocks(mixers, placement, norm, hidden, activation, rng):
    """A residual block around each mixer, and after "pre" a last norm."""
    width, deep = mixers[0].outputs, placement == "deepnorm"
    alpha, gain = deepnorm(len(mixers)) if deep else (1.0, 1.0)
    placement = "post" if deep else placement
    count = 0 if placement == "none" else 2 if hidden else 1

    def block(mixer):
        ff = (
            FeedForward.random(width, hidden, rng=rng, gain=gain, activation=activation)
            if hidden
            else None
        )
        return Block(
            mixer, ff, tuple(Norm.plain(width, norm) for _ in range(count)), placement, alpha
        )

    return tuple(map(block, mixers)) + ((Norm.plain(width, norm),) if placement == "pre" else ())


def resampled(model, factor):
    """The same model for inputs whose samples lie ``factor`` times as far apart (below 1: closer),
    without training anew.

    Models of continuous time (S4D, S4, S5, LRU, LMU, coRNN) change their step, in stacks too; what
    has no memory stays. Raises TypeError for layers that know steps only.

    >>> stack = get("s4d", units=4, inputs=2, layers=2, placement="pre", modes=4)
    >>> bool(np.allclose(resampled(stack, 0.5).layers[1].mixer.log_step, stack.layers[1].mixer.log_step - np.log(2)))
    True
    """
    if isinstance(model, Network):
        return replace(model, layers=tuple(resampled(layer, factor) for layer in model.layers))
    if isinstance(model, Block):
        return replace(model, mixer=resampled(model.mixer, factor))
    if as_system(model, Map).resampled is not None:
        return model.resampled(factor)
    if as_system(model, Map).size == 0:
        return model
    raise TypeError(
        f"{type(model).__name__} knows steps, not time, and cannot be resampled: "
        "train it at the new rate, or take "
        "s4d, s4, s5, lru, lmu or cornn"
    )
