"""Models by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..runtime import docstrings
from ..runtime.memory import size
from ..runtime.platform import free_memory
from ..runtime.registry import Registry
from ..runtime.validation import choice, generator, integer, public
from ..system import Map
from ..typing import Rng
from .attention import Attention
from .convolution import ConvolutionBlock
from .diagonal import LRU, S5
from .esn import ESN
from .gated import GRU, LSTM
from .hybrid import Hybrid
from .linear_attention import LinearAttention
from .lmu import LMU
from .mamba import Mamba
from .network import Network
from .options import check_options, random_options, takes
from .oscillators import CoRNN
from .residual import ACTIVATIONS, NORMS, PLACEMENTS, Dense, blocks, deepnorm
from .rnn import Linear, Orthogonal, Relu, Tanh
from .s4 import S4
from .selective import Selective
from .ssm import S4D

__all__ = ["names"]

MAX_STATE_SIZE = 2**31  # components, 16 GiB
SHAPE_OPTIONS = (
    "units",
    "inputs",
    "layers",
    "outputs",
    "rng",
    "placement",
    "norm",
    "feedforward",
    "activation",
)
MODELS: dict[str, type[Map]] = {
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
ALIASES = {
    "rnn": "tanh",
    "elman": "tanh",
    "vanilla": "tanh",
    "vanilla_rnn": "tanh",
    "irnn": "relu",
    "transformer": "attention",
    "reservoir": "esn",
    "echo_state": "esn",
    "s6": "selective",
    "legendre": "lmu",
}
REGISTRY = Registry("model", MODELS, ALIASES)


def names() -> list[str]:
    """Names of the models that ``get`` returns, sorted; aliases are accepted but not listed.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.names()[:4]
    ['attention', 'cornn', 'esn', 'gru']
    """
    return REGISTRY.names()


@public
def about(name: str) -> str:
    """One line on a model.

    Parameters
    ----------
    name : str
        Name or alias of a model.

    Returns
    -------
    str

    Raises
    ------
    UnknownNameError
        For another name.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.about("gru")
    "Gated recurrent unit, with torch's reset gate and torch's convex sum."
    """
    return docstrings.summary(REGISTRY.find(name))


@public
def describe(name: str) -> dict[str, Any]:
    """What a model is.

    Parameters
    ----------
    name : str
        Name or alias of a model.

    Returns
    -------
    dict
        name : str
            The listed name.
        class : str
            Name of the class.
        about : str
            One line.
        equation : str
            Its equations as plain text.
        parameters : dict
            Options of ``get`` for this model, with their defaults.
        limits : dict
            Type and limits of each option, where they are documented.
        source : str
            Reference.

    Raises
    ------
    UnknownNameError
        For another name.

    Examples
    --------
    >>> import dynmem as dm
    >>> tanh = dm.models.describe("elman")
    >>> tanh["name"], tanh["equation"]
    ('tanh', 'h_t = (1 - d) h_(t-1) + d tanh(W h_(t-1) + V u_t + b)')
    >>> tanh["parameters"]["leak"], tanh["limits"]["leak"]
    (1.0, 'float in (0, 1]')
    """
    kind: Any = REGISTRY.find(name)
    options, limits = random_options(kind), docstrings.parameters(kind.random)
    return {
        "name": REGISTRY.resolve(name),
        "class": kind.__name__,
        "about": docstrings.summary(kind),
        "equation": docstrings.equation(kind),
        "parameters": options,
        "limits": {option: limits[option] for option in options if option in limits},
        "source": kind.source,
    }


@public
def get(
    name: str,
    *,
    units: int,
    inputs: int = 0,
    layers: int = 1,
    outputs: int | None = None,
    rng: Rng = 0,
    placement: str | None = None,
    norm: str = "layer",
    feedforward: int = 0,
    activation: str = "relu",
    **options: Any,
) -> Map:
    """A randomly initialised model by name.

    Parameters
    ----------
    name : str
        Name or alias of a model, see ``names``.
    units : int
        Number of units of each layer.
    inputs : int, optional
        Number of inputs; 0 for a model without input.
    layers : int, optional
        Number of layers, each driven by the one below.
    outputs : int, optional
        Number of outputs of a linear readout, its weights uniform in +-1/sqrt(units); None for
        the units of the last layer.
    rng : int, numpy.random.Generator or None, optional
        Seed or generator of the weights.
    placement : {None, "pre", "post", "none", "deepnorm"}, optional
        Where the norms of residual blocks are; None for layers without residual connections.
    norm : {"layer", "rms"}, optional
        Norm of residual blocks.
    feedforward : int, optional
        Hidden units of the feed-forward layer of each residual block; 0 for none.
    activation : {"relu", "tanh", "gelu", "gelu_tanh", "silu", ...}, optional
        Activation function of the feed-forward layers.
    **options
        Options of the model's ``random``, see ``describe``.

    Returns
    -------
    Map
        A Network where there are several layers or a readout.

    Raises
    ------
    UnknownNameError
        For another name.
    TypeError
        For an option that the model does not take.
    ValueError
        For an option out of its range.
    MemoryError
        For sizes that do not fit into memory.

    Notes
    -----
    With a placement the model is an encoder (units, inputs), ``layers`` residual blocks, after
    "pre" one more norm, and the readout: one trainable shape for all mixers of time. A model that
    works channel by channel has an encoder wherever inputs and units differ.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.get("lstm", units=4, inputs=2, forget_bias=1.0).size
    8
    >>> deep = dm.models.get("gru", units=4, inputs=2, outputs=1, layers=2, placement="pre")
    >>> [type(layer).__name__ for layer in deep.layers]
    ['Dense', 'Block', 'Block', 'Norm']
    """
    kind: Any = REGISTRY.find(name)
    rng = generator(rng)
    units, layers = integer("units", units), integer("layers", layers)
    _check_options(name, kind, options)
    _check_shape(placement, norm, integer("feedforward", feedforward, 0), activation)
    if placement == "deepnorm" and (gain := kind.branch_gain):
        options = {gain: deepnorm(layers)[1], **options}
    encoded = placement is not None or (kind.square and inputs != units)
    cells: tuple[Map, ...] = (Dense.random(units, inputs, rng=rng),) if encoded else ()
    try:
        mixers = tuple(
            kind.random(
                units,
                units if encoded or i else inputs,
                rng=rng,
                **options,
                **({"layer": i} if takes(kind, "layer") else {}),
            )
            for i in range(layers)
        )
    except MemoryError as error:
        raise MemoryError(
            f"{name} of {units} units and {layers} layers does not fit into memory ({error}; "
            f"{size(free_memory())} are free): pass smaller sizes"
        ) from None
    cells += (
        mixers
        if placement is None
        else blocks(mixers, placement, norm, feedforward, activation, rng)
    )
    _check_size(name, cells)
    if outputs is None:
        return cells[0] if len(cells) == 1 else Network(cells)
    bound, outputs = 1 / np.sqrt(units), integer("outputs", outputs)
    return Network(cells, rng.uniform(-bound, bound, (outputs, units)), np.zeros(outputs))


def _check_options(name: str, kind: type[Map], options: dict[str, Any]) -> None:
    """Refuse options that neither ``get`` nor the model's ``random`` takes."""
    if takes(kind, "**"):  # it passes them on, and checks them itself
        return
    check_options(name, options, random_options(kind), SHAPE_OPTIONS)


def _check_shape(placement: str | None, norm: str, feedforward: int, activation: str) -> None:
    """Refuse unknown options of residual blocks, and a feed-forward layer without a block."""
    choice("placement", placement, (*PLACEMENTS, "deepnorm", None))
    choice("norm", norm, NORMS)
    choice("activation", activation, ACTIVATIONS)
    if feedforward and placement is None:
        raise ValueError(
            f"feedforward = {feedforward}: requires residual blocks, pass placement='pre', "
            "'post', 'deepnorm' or 'none' too"
        )


def _check_size(name: str, cells: tuple[Map, ...]) -> None:
    """Refuse a state that does not fit into memory."""
    components = sum(cell.size for cell in cells)
    if components > MAX_STATE_SIZE:
        raise MemoryError(
            f"the state of {name} has {components} components, {components / 2**27:.0f} GiB: pass "
            "fewer layers, or a smaller window, kernel or base"
        )
