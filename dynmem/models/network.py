"""Several layers and a readout as one system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..arrays import concat, tensors
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import generator, number, public
from ..system import Map, as_system
from ..typing import Array, Rng

__all__ = ["Network"]


class Network(Map):
    """Layers, each driven by the output of the one below, and a linear readout of the last.

        y = R h + a

    Parameters
    ----------
    layers : sequence of Map
        At least one; each has as many inputs as the one below has outputs, and the same ``dt``.
    R : array_like (outputs, units), optional
        Readout weights; None for the output h of the last layer itself.
    a : array_like (outputs,), optional
        Readout bias; None for zero.

    Raises
    ------
    ShapeError, NotFiniteError, TypeError
        For layers and a readout that do not fit, hold NaN or are no maps.
    ValueError
        For no layers, and for layers of different ``dt``.

    Notes
    -----
    The state is the layers' states, one after another.

    Examples
    --------
    >>> import dynmem as dm
    >>> layers = dm.models.Tanh.random(3, 2), dm.models.Tanh.random(4, 3)
    >>> net = dm.models.Network(layers)
    >>> net.size, net.inputs, net.outputs
    (7, 2, 4)
    """

    layers: Sequence[Map]
    R: Array | None = None
    a: Array | None = None

    def __post_init__(self) -> None:
        layers = (
            (self.layers,)
            if isinstance(self.layers, Map)
            else tuple(as_system(layer, Map) for layer in self.layers)
        )
        if not layers:
            raise ValueError("a Network needs at least one layer")
        if len({layer.dt for layer in layers}) > 1:
            raise ValueError(
                f"layers have dt {', '.join(str(layer.dt) for layer in layers)}: pass the same "
                "leak or dt for all"
            )
        for below, above in pairwise(layers):
            if above.inputs != below.outputs:
                raise ShapeError(
                    f"a layer has {below.outputs} outputs and the next {above.inputs} inputs: "
                    "make them equal"
                )
        object.__setattr__(self, "layers", layers)
        if self.R is not None:
            R = tensors(self.R)
            a = np.zeros(len(R)) if self.a is None else tensors(self.a)
            if R.ndim != 2 or R.shape[1] != layers[-1].outputs or a.shape != R.shape[:1]:
                raise ShapeError(
                    f"readout R {R.shape} and a {a.shape} do not fit: expected (outputs, "
                    f"{layers[-1].outputs}) and (outputs,)"
                )
            if not (np.isfinite(R).all() and np.isfinite(a).all()):
                raise NotFiniteError("the readout holds NaN or infinity")
            object.__setattr__(self, "R", R)
            object.__setattr__(self, "a", a)

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def vocabulary(self) -> int:
        return self.layers[0].vocabulary

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers)

    @property
    def dt(self) -> float:
        return self.layers[0].dt

    @property
    def tile(self) -> int | None:
        tiles: list[int] = [layer.tile for layer in self.layers if layer.tile]
        return min(tiles, default=None)

    @property
    def states(self) -> tuple[str, ...]:
        if len(self.layers) == 1:
            return self.layers[0].states
        return tuple(
            f"{name}_{i + 1}" for i, layer in enumerate(self.layers) for name in layer.states
        )

    @property
    def outputs(self) -> int:
        return self.layers[-1].outputs if self.R is None else len(self.R)

    def parts(self, x: Array) -> list[Array]:
        """The state of each layer, cut from x (..., n)."""
        ends = np.cumsum([layer.size for layer in self.layers])
        return [
            x[..., end - layer.size : end] for layer, end in zip(self.layers, ends, strict=True)
        ]

    def rule(self, x: Array, u: Array | None) -> Array:
        after: list[Array] = []
        if u is not None and x.shape[:-1] != u.shape[:-1]:
            # one batch for the states of all layers, also of those that do not read the input
            x = x + 0.0 * u[..., :1]
        for i, (layer, part) in enumerate(zip(self.layers, self.parts(x), strict=True)):
            if i:  # the output of the last layer is not part of the state
                u = self.layers[i - 1].output(after[-1], u)
            after.append(layer.rule(part, u))
        return after[0] if len(after) == 1 else concat(after)

    def output(self, x: Array, u: Array | None) -> Array:
        for layer, part in zip(self.layers, self.parts(x), strict=True):
            u = layer.output(part, u)
        return self._read_out(u)

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, outputs) and last state (..., n), each layer over the whole sequence."""
        after: list[Array] = []
        if self.inputs and x.shape[:-1] != u.shape[:-2]:
            x = x + 0.0 * u[..., 0, :1]
        for layer, part in zip(self.layers, self.parts(x), strict=True):
            u, last = layer.run(part, u)
            after.append(last)
        return self._read_out(u), concat(after)

    def resampled(self, factor: float) -> Network:
        """Each layer for inputs that lie ``factor`` times as far apart."""
        return replace(self, layers=tuple(resampled(layer, factor) for layer in self.layers))

    def _read_out(self, h: Array) -> Array:
        return h if self.R is None else h @ self.R.T + self.a

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """Where the layers start."""
        rng = generator(rng)
        return np.concatenate([layer.initial(rng) for layer in self.layers])


@public
def resampled(model: Map, factor: float) -> Map:
    """The same model for inputs whose samples lie ``factor`` times as far apart.

    No training is needed. Models of continuous time (S4D, S4, S5, LRU, LMU, coRNN) change their
    step, in stacks too; layers without memory stay.

    Parameters
    ----------
    model : Map
        A model.
    factor : float above 0
        Ratio of the new sampling interval to the old one; below 1 for closer samples.

    Returns
    -------
    Map

    Raises
    ------
    TypeError
        For a layer in discrete time.
    ValueError
        For a factor that is not above 0.

    Examples
    --------
    >>> import dynmem as dm
    >>> stack = dm.models.get("s4d", units=4, inputs=2, layers=2, placement="pre", modes=4)
    >>> finer = dm.models.resampled(stack, 0.5)
    >>> ratio = np.exp(finer.layers[1].mixer.log_step - stack.layers[1].mixer.log_step)
    >>> ratio.round(9).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    model, factor = as_system(model, Map), number("factor", factor, above=0)
    if as_system(model, Map).resampled is not None:
        return model.resampled(factor)
    if model.size == 0:
        return model
    raise TypeError(
        f"{type(model).__name__} is in discrete time and cannot be resampled: train it at the new "
        "rate, or use s4d, s4, s5, lru, lmu or cornn"
    )
