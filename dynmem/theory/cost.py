"""Operations, parameters and states of layers by formula, and the lengths at which two cost the
same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UnknownNameError
from ..labels import dataset
from ..models import (
    GRU,
    LRU,
    LSTM,
    Attention,
    Convolution,
    ConvolutionBlock,
    Linear,
    Network,
    Relu,
    Tanh,
)
from ..runtime.validation import integer, public
from ..system import System
from ..typing import ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "products of matrices counted; Vaswani et al. (2017), table 1"
GATES = {"linear": 1, "tanh": 1, "relu": 1, "gru": 3, "lstm": 4}
KINDS = (*GATES, "lru", "attention", "convolution")
CLASSES: dict[str, type] = {
    "linear": Linear,
    "tanh": Tanh,
    "relu": Relu,
    "gru": GRU,
    "lstm": LSTM,
    "lru": LRU,
    "attention": Attention,
    "convolution": Convolution,
}


@public
def layer_cost(
    system: System | str,
    *,
    width: int | None = None,
    lengths: ArrayLike = 1024,
    inputs: int | None = None,
    kernel: int = 3,
    projections: bool = True,
) -> Dataset:
    """Multiply-adds, parameters and state of one layer over a sequence of L steps.

    The twin of ``dm.analysis.counted_cost``. Recurrent, of width d, m inputs and g gates (1, GRU 3,
    LSTM 4): g (d^2 + d m) L multiply-adds, g (d^2 + d m + d) parameters (GRU d more), a state of d
    (LSTM 2 d). LRU of d complex modes: (3 d m + 2 d^2) L, 3 d m + 2 d^2 + 2 d parameters, a state
    of 2 d. Attention over all L steps: 2 L^2 d for scores and sums and 4 L d^2 for its projections,
    4 d^2 + 4 d parameters, a cache of 2 L d numbers. Convolution of k taps: k d m L, k d m + d
    parameters (d more with weight normalisation), k - 1 past inputs. With m = d the LSTM's
    operations, two a multiply-add, are 16 L d^2, attention's 4 L^2 d and its projections' 8 L d^2.

    Parameters
    ----------
    system : Map or str
        A layer (alone, as the one layer of a Network, or a ConvolutionBlock of one convolution),
        whose sizes are read; or a kind, with the sizes below: linear, tanh, relu, gru, lstm, lru,
        attention or convolution.
    width : int, optional
        Width d of a kind.
    lengths : int or array_like of int, default 1024
        Lengths L, in steps; of an Attention at most its window.
    inputs : int, optional
        Inputs m of a kind, by default the width.
    kernel : int, default 3
        Taps k of a convolution that is given by its kind.
    projections : bool, default True
        Whether attention's projections are counted.

    Returns
    -------
    xarray.Dataset
        multiply_adds : (length,), 1
            Multiply-adds of a sequence.
        product_operations : (length,), 1
            Additions and multiplications of the matrix products, two a multiply-add.
        parameters : (), 1
            Numbers that can be trained.
        state_size : () or (length,), 1
            Numbers that the state holds; over the length for attention given by its kind.

    Raises
    ------
    UnknownNameError
        For another kind.
    TypeError
        For a model that is no such layer, and where sizes are missing, or given beside a model.
    ValueError
        For numbers that are not whole, and for lengths above the window of an Attention.

    References
    ----------
    Products of matrices counted; Vaswani et al. (2017), NeurIPS 30, table 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> int(dm.theory.layer_cost("lstm", width=64, lengths=256).product_operations[0])
    16777216
    >>> layer = dm.models.get("lstm", units=64, inputs=64)
    >>> int(dm.theory.layer_cost(layer, lengths=256).product_operations[0])
    16777216
    """
    steps = np.array([integer("lengths", value) for value in np.atleast_1d(lengths).tolist()])
    if isinstance(system, System):
        if width is not None or inputs is not None:
            raise TypeError("width and inputs are read from the system: leave them out")
        layer = _read(system, steps.max())
    else:
        if system not in KINDS:
            raise UnknownNameError("layer", system, KINDS)
        if width is None:
            raise TypeError(f"the kind {system!r} needs width")
        d = integer("width", width)
        m = d if inputs is None else integer("inputs", inputs)
        if system == "attention" and m != d:
            raise ValueError(
                f"inputs = {m}: attention maps a width of {d} to itself, leave inputs out"
            )
        layer = Layer(system, d, m, integer("kernel", kernel))
    work = layer.multiply_adds(steps, projections)
    size = layer.state if layer.state is not None else layer.state_size(steps)
    text = "additions and multiplications of the matrix products"
    variables = {
        "multiply_adds": ("length", work, "1", "multiply-adds of a sequence"),
        "product_operations": ("length", 2 * work, "1", text),
        "parameters": ((), layer.parameters, "1", "numbers that can be trained"),
        "state_size": (
            "length" if np.ndim(size) else (),
            size,
            "1",
            "numbers that the state holds",
        ),
    }
    return dataset(
        variables,
        {"length": ("length", steps, "step", "length of the sequence")},
        title=f"cost of a layer: {layer.kind}",
        source=SOURCE,
        parameters={
            "kind": layer.kind,
            "width": layer.width,
            "inputs": layer.inputs,
            "kernel": layer.kernel,
            "projections": bool(projections),
        },
    )


@dataclass(frozen=True)
class Layer:
    """Sizes of a layer, and its cost by formula; ``state`` is the size of a model's own state."""

    kind: str
    width: int
    inputs: int
    kernel: int = 1
    normed: bool = False
    state: int | None = None

    def multiply_adds(self, steps: np.ndarray, projections: bool) -> np.ndarray:
        """Multiply-adds of sequences of so many steps."""
        d, m = self.width, self.inputs
        if self.kind in GATES:
            return GATES[self.kind] * (d * d + d * m) * steps
        if self.kind == "lru":
            return (3 * d * m + 2 * d * d) * steps
        if self.kind == "attention":
            return 2 * steps * steps * d + (4 * steps * d * d if projections else 0)
        return self.kernel * d * m * steps

    @property
    def parameters(self) -> int:
        """Numbers that can be trained."""
        d, m = self.width, self.inputs
        if self.kind in GATES:
            return GATES[self.kind] * (d * d + d * m + d) + (d if self.kind == "gru" else 0)
        if self.kind == "lru":
            return 3 * d * m + 2 * d * d + 2 * d
        if self.kind == "attention":
            return 4 * d * d + 4 * d
        return self.kernel * d * m + d + (d if self.normed else 0)

    def state_size(self, steps: np.ndarray) -> np.ndarray | int:
        """Numbers that the state holds."""
        if self.kind == "attention":
            return 2 * steps * self.width
        if self.kind == "convolution":
            return (self.kernel - 1) * self.inputs
        return 2 * self.width if self.kind in ("lstm", "lru") else self.width


def _read(system: Any, longest: int) -> Layer:
    """Sizes of a model of one layer."""
    if isinstance(system, Network) and len(system.layers) == 1 and system.R is None:
        system = system.layers[0]
    if isinstance(system, ConvolutionBlock) and len(system.convolutions) == 1 and not system.skip:
        system = system.convolutions[0]
    kind = next((kind for kind, cls in CLASSES.items() if type(system) is cls), None)
    if kind is None or (kind == "lru" and system.modes != system.outputs):
        raise TypeError(
            f"the cost of {type(system).__name__} is not known by formula: count it with "
            "dm.analysis.counted_cost"
        )
    if kind == "attention" and longest > system.window:
        raise ValueError(f"lengths = {longest}: must be at most the window of {system.window}")
    return Layer(
        kind,
        system.outputs,
        system.inputs,
        system.kernel if kind == "convolution" else 1,
        getattr(system, "g", None) is not None,
        system.size,
    )


@public
def cost_crossover(kind: str, width: int, *, projections: bool = False, kernel: int = 3) -> Dataset:
    """Length above which a layer does fewer operations than attention of its width.

    2 L^2 d + 4 p L d^2 = w L d^2 with w multiply-adds a step in units of d^2 (LSTM 8, GRU 6, LRU 5,
    tanh 2, convolution k) and p = 1 where attention's projections count: L = (w/2 - 2 p) d, so 4 d
    for the LSTM and 2 d with projections; 0 where attention never does fewer.

    Parameters
    ----------
    kind : str
        linear, tanh, relu, gru, lstm, lru or convolution.
    width : int
        Width d.
    projections : bool, default False
        Whether attention's projections count.
    kernel : int, default 3
        Taps of a convolution.

    Returns
    -------
    xarray.Dataset
        crossover : (), step
            Length from which on the layer does fewer operations than attention.

    Raises
    ------
    UnknownNameError
        For another kind.
    ValueError
        For numbers that are not whole.

    References
    ----------
    Products of matrices counted; Vaswani et al. (2017), NeurIPS 30, table 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.theory.cost_crossover("lstm", 64).crossover)
    256.0
    >>> float(dm.theory.cost_crossover("lstm", 64, projections=True).crossover)
    128.0
    """
    others = [each for each in KINDS if each != "attention"]
    if kind not in others:
        raise UnknownNameError("layer", kind, others)
    d, k = integer("width", width), integer("kernel", kernel)
    per_step = 2 * GATES[kind] if kind in GATES else {"lru": 5, "convolution": k}[kind]
    length = max(0.0, (per_step / 2 - (2 if projections else 0)) * d)
    text = "length from which on the layer does fewer operations than attention"
    return dataset(
        {"crossover": ((), length, "step", text)},
        title=f"{kind} against attention",
        source=SOURCE,
        parameters={"kind": kind, "width": d, "projections": bool(projections), "kernel": k},
    )
