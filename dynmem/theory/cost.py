"""Operations, parameters and states of layers on paper, and the lengths and widths at which two of
them cost the same."""

import numpy as np

from ..errors import UnknownNameError
from ..labels import dataset
from .checks import count, vector

SOURCE = "products of matrices counted; Vaswani et al. (2017), table 1"
GATES = {"linear": 1, "tanh": 1, "relu": 1, "gru": 3, "lstm": 4}
KINDS = (*GATES, "lru", "attention", "convolution")


def layer_cost(kind, width, lengths, *, inputs=None, kernel=3, projections=True):
    """Multiply-adds, parameters and state of one layer over a sequence of L steps: the twin of
    ``analysis.counted_cost``.

    Recurrent, of width d, m inputs and g gates (1, GRU 3, LSTM 4): g (d^2 + d m) L multiply-adds, g
    (d^2 + d m + d) parameters (GRU d more), a state of d (LSTM 2 d). LRU of d complex modes: (3 d m
    + 2 d^2) L, 3 d m + 2 d^2 + 2 d parameters, a state of 2 d. Attention over all L steps: 2 L^2 d
    for scores and sums and 4 L d^2 for its projections, 4 d^2 + 4 d parameters, a cache of 2 L d
    numbers. Convolution of k taps: k d m L, k d m + d parameters, k - 1 past inputs. An operation
    is an addition or a multiplication, two of them a multiply-add: with m = d the LSTM's are 16 L
    d^2, attention's 4 L^2 d and its projections' 8 L d^2.

    kind: linear, tanh, relu, gru, lstm, lru, attention, convolution; width d; lengths L; inputs m
    (default d); kernel k; projections, whether attention's are counted. Returns
    multiply_adds(length), operations(length) of the matrix products alone, parameters,
    state_size(length). Raises UnknownNameError, and ValueError for numbers that are not whole.

    >>> [int(layer_cost(kind, 64, [256], projections=False).operations[0]) for kind in ("lstm", "attention")]
    [16777216, 16777216]
    """
    if kind not in KINDS:
        raise UnknownNameError("layer", kind, KINDS)
    d, k = count("width", width), count("kernel", kernel)
    m = d if inputs is None else count("inputs", inputs)
    L = np.array([count("lengths", value) for value in vector("lengths", lengths)])
    if kind in GATES:
        gates = GATES[kind]
        work, size = (
            gates * (d * d + d * m) * L,
            gates * (d * d + d * m + d) + (d if kind == "gru" else 0),
        )
        state = np.full_like(L, 2 * d if kind == "lstm" else d)
    elif kind == "lru":
        work, size, state = (
            (3 * d * m + 2 * d * d) * L,
            3 * d * m + 2 * d * d + 2 * d,
            np.full_like(L, 2 * d),
        )
    elif kind == "attention":
        if m != d:
            raise ValueError(
                f"inputs = {m}: attention maps a width of {d} to itself, leave inputs out"
            )
        work, size, state = (
            2 * L * L * d + (4 * L * d * d if projections else 0),
            4 * d * d + 4 * d,
            2 * L * d,
        )
    else:
        work, size, state = k * d * m * L, k * d * m + d, np.full_like(L, (k - 1) * m)
    variables = {
        "multiply_adds": ("length", work, "1", "multiply-adds of a sequence"),
        "operations": (
            "length",
            2 * work,
            "1",
            "additions and multiplications of the matrix products",
        ),
        "parameters": ((), size, "1", "numbers that can be trained"),
        "state_size": ("length", state, "1", "numbers that the state holds"),
    }
    return dataset(
        variables,
        {"length": ("length", L, "step", "length of the sequence")},
        title=f"cost of a layer: {kind}",
        source=SOURCE,
        parameters={
            "kind": kind,
            "width": d,
            "inputs": m,
            "kernel": k,
            "projections": bool(projections),
        },
    )


def cost_crossover(kind, width, *, projections=False, kernel=3):
    """The length above which a layer does fewer operations than attention of its width.

    2 L^2 d + 4 p L d^2 = w L d^2 with w multiply-adds a step in units of d^2 (LSTM 8, GRU 6, LRU 5,
    tanh 2, convolution k) and p = 1 where attention's projections count: L = (w/2 - 2 p) d, so 4 d
    for the LSTM and 2 d with projections; 0 where attention never does fewer.

    kind: linear, tanh, relu, gru, lstm, lru, convolution; width d. Returns crossover (step). Raises
    UnknownNameError.

    >>> float(cost_crossover("lstm", 64).crossover), float(cost_crossover("lstm", 64, projections=True).crossover)
    (256.0, 128.0)
    """
    others = [each for each in KINDS if each != "attention"]
    if kind not in others:
        raise UnknownNameError("layer", kind, others)
    d, k = count("width", width), count("kernel", kernel)
    per_step = 2 * GATES[kind] if kind in GATES else {"lru": 5, "convolution": k}[kind]
    length = max(0.0, (per_step / 2 - (2 if projections else 0)) * d)
    return dataset(
        {
            "crossover": (
                (),
                length,
                "step",
                "length from which on the layer does fewer operations than attention",
            )
        },
        title=f"{kind} against attention",
        source=SOURCE,
        parameters={"kind": kind, "width": d, "projections": bool(projections), "kernel": k},
    )
