"""A system as a torch module, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from ..arrays import tensors
from ..errors import NotFiniteError, ShapeError, UnknownNameError
from ..runtime.html import card
from ..runtime.validation import public
from ..system import Map, System, as_system, map_arrays
from ..typing import Array

__all__ = ["Trainable"]


@public
class Trainable(torch.nn.Module):
    """A Map as a torch module: its float arrays, in nested systems too, are the Parameters.

    A name of ``fixed`` or ``train`` is a field ("W", everywhere it occurs) or a path ("layers.0.W",
    "layers.0").

    Parameters
    ----------
    system : Map
        A model, or any map of your own.
    dtype : torch.dtype or {"float32", "float64"}
        Precision of the weights.
    fixed : str or sequence of str
        Names of arrays that are not trained.
    train : str or sequence of str
        Names of plain numbers that are trained too.
    fused : bool
        Whether a model that can take all steps of a sequence at once does, rather than its rule
        step by step.

    Raises
    ------
    TypeError
        Where the system is not a Map.
    UnknownNameError
        For a name that it does not have.

    References
    ----------
    Paszke et al. (2019), NeurIPS 32, for torch.

    Examples
    --------
    >>> import torch, dynmem as dm
    >>> net = dm.Trainable(dm.models.get("gru", units=4, inputs=2, outputs=3))
    >>> net(torch.zeros(5, 7, 2)).shape
    torch.Size([5, 7, 3])
    >>> type(net.frozen()).__name__
    'Network'
    """

    def __init__(
        self,
        system: Map,
        dtype: Any = torch.float32,
        *,
        fixed: str | Iterable[str] = (),
        train: str | Iterable[str] = (),
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.system, self.dtype, self.fused = as_system(system, Map), as_dtype(dtype), bool(fused)
        self.device = torch.device("cpu")
        # each array an object of its own, by which the twin's tensor is found
        self._base = map_arrays(self.system, np.copy)
        values = dict(leaves(self._base))
        floats = {
            path
            for path, value in values.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "fc" and value.size
        }
        numbers = {
            path
            for path, value in values.items()
            if isinstance(value, (float, int)) and not isinstance(value, bool)
        }
        self.numbers = pick(numbers, train, f"plain number of {type(self.system).__name__}")
        for path in self.numbers:
            _place(self._base, path, np.array(float(values[path])))
        trained = (floats - pick(floats, fixed, "array")) | self.numbers
        self._names: dict[str, str] = {}
        self._constants: dict[str, torch.Tensor] = {}
        for path, value in leaves(self._base):
            if path in trained:
                # torch keeps the dot for its own nesting
                self._names[path] = path.replace(".", "/")
                self.register_parameter(self._names[path], torch.nn.Parameter(self._tensor(value)))
            elif isinstance(value, np.ndarray):
                self._constants[path] = self._tensor(value)

    def __repr__(self) -> str:
        count = sum(weight.numel() for weight in self.parameters())
        system = self.system
        return (
            f"Trainable({type(system).__name__}, inputs={system.inputs}, states={system.size}, "
            f"weights={count}, {self.dtype}, device={self.device})"
        )

    def _repr_html_(self) -> str:
        return card(repr(self), "", [("dtype", self.dtype), ("device", self.device)]) + (
            self.system._repr_html_()
        )

    def _tensor(self, value):
        tensor = torch.tensor(value, device=self.device)
        if tensor.is_complex():
            return tensor.to(self.dtype.to_complex())
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def _apply(self, function, recurse=True):
        """Called by torch for ``double()``, ``float()`` and ``to``: constants and inputs follow the
        weights."""
        probe = function(torch.zeros((), dtype=self.dtype, device=self.device))
        dtype = as_dtype(probe.dtype)
        super()._apply(function, recurse)
        self.dtype, self.device = dtype, probe.device
        self._constants = {path: function(tensor) for path, tensor in self._constants.items()}
        return self

    def weights(self) -> dict[str, torch.Tensor]:
        """Trained tensors by their path, such as "layers.0.W"."""
        return {path: getattr(self, name) for path, name in self._names.items()}

    def constants(self) -> dict[str, torch.Tensor]:
        """Tensors that are not trained, by their path."""
        return dict(self._constants)

    def twin(self) -> Map:
        """The system with tensors in place of its arrays; built anew for each pass, since what it
        caches belongs to these values."""
        values = self._constants | self.weights()
        tensors_of = {
            id(value): values[path] for path, value in leaves(self._base) if path in values
        }
        return map_arrays(
            self._base,
            lambda array: tensors_of[id(array)] if id(array) in tensors_of else self._tensor(array),
        )

    def forward(self, u: Array, x0: Array | None = None) -> torch.Tensor:
        """Outputs (batch, steps, outputs) for inputs u (batch, steps, inputs) from the state x0
        (n,) or (batch, n), at rest if None."""
        return self.run(x0, u)[0]

    def run(self, x: Array | None, u: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs as ``forward`` and the final state (batch, n)."""
        u = self._inputs(u)
        if x is None and self.system.size is None:
            raise ShapeError(
                f"{type(self.system).__name__} names no states: pass x0 of shape (n,) or (batch, n)"
            )
        x = (
            u.new_zeros(self.system.size)
            if x is None
            else torch.as_tensor(x, dtype=self.dtype, device=self.device)
        )
        if (
            x.ndim not in (1, 2)
            or self.system.size not in (None, x.shape[-1])
            or (x.ndim == 2 and len(x) not in (1, len(u)))
        ):
            raise ShapeError(
                f"x0 has shape {tuple(x.shape)}, expected ({self.system.size},) or "
                f"({len(u)}, {self.system.size})"
            )
        twin = self.twin()
        return (twin.run if self.fused else twin.unroll)(x.expand(len(u), -1), u)

    def _inputs(self, u):
        u = torch.as_tensor(u, dtype=self.dtype, device=self.device)
        if u.ndim != 3 or u.shape[-1] != self.system.inputs or not u.shape[0] or not u.shape[1]:
            raise ShapeError(
                f"u has shape {tuple(u.shape)}, {type(self.system).__name__} takes "
                f"(batch, steps, {self.system.inputs}) with "
                "at least one sequence and at least one step"
            )
        return u

    def frozen(self) -> Map:
        """The trained system, of the same kind, with float64 arrays, validated as any other.

        Raises NotFiniteError where a weight is NaN or infinite.
        """
        values = {path: tensors(tensor) for path, tensor in self.weights().items()}
        for path, value in values.items():
            if not np.isfinite(value).all():
                raise NotFiniteError(
                    f"{path} of {type(self.system).__name__} holds NaN or "
                    "infinity after training: lower learning_rate"
                )
        return rebuilt(
            self.system,
            {
                path: value.item() if path in self.numbers else value
                for path, value in values.items()
            },
        )


def as_dtype(dtype: Any) -> torch.dtype:
    """A real torch dtype from itself or from its name.

    >>> as_dtype("float64")
    torch.float64
    """
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype), None)
    if found not in (torch.float32, torch.float64):
        raise ValueError(f"dtype = {dtype!r}: must be float32 or float64")
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs (path, value) of the fields of a system, of the systems inside it, and of the entries
    of a tuple of systems or arrays.

    >>> from dynmem.models import Network, Tanh
    >>> [path for path, _ in leaves(Network((Tanh.zeros(2),)))]
    ['layers.0.W', 'layers.0.V', 'layers.0.b', 'layers.0.leak', 'R', 'a']
    """
    if isinstance(value, System):
        inside = [(f.name, getattr(value, f.name)) for f in fields(value)]
    elif _holds(value):
        inside = [(str(i), inner) for i, inner in enumerate(value)]
    else:
        yield path, value
        return
    for name, inner in inside:
        yield from leaves(inner, join(path, name))


def rebuilt(value: Any, values: Mapping[str, Any], path: str = "") -> Any:
    """The same kind of system with values[path] in place of its fields, validated by its
    constructor."""
    if isinstance(value, System):
        names = (f.name for f in fields(value) if f.init)
        return replace(
            value,
            **{name: rebuilt(getattr(value, name), values, join(path, name)) for name in names},
        )
    if _holds(value):
        return type(value)(rebuilt(inner, values, join(path, i)) for i, inner in enumerate(value))
    return values.get(path, value)


def join(path: str, name: object) -> str:
    """The path of what lies inside another."""
    return f"{path}.{name}" if path else str(name)


def _holds(value):
    return isinstance(value, (tuple, list)) and any(
        isinstance(inner, (System, np.ndarray)) for inner in value
    )


def _place(system, path, value):
    """Set a field of a twin, which is frozen and not validated anew."""
    *owners, name = path.split(".")
    for owner in owners:
        system = system[int(owner)] if isinstance(system, (tuple, list)) else getattr(system, owner)
    object.__setattr__(system, name, value)


def pick(known: Iterable[str], names: str | Iterable[str], kind: str) -> set[str]:
    """The paths among ``known`` that a name selects: a field wherever it occurs, a path, or all
    that lies below a path."""
    if isinstance(names, str):
        names = (names,)
    picked: set[str] = set()
    for name in names:
        found = {
            path
            for path in known
            if path == name or path.endswith(f".{name}") or path.startswith(f"{name}.")
        }
        if not found:
            raise UnknownNameError(kind, name, known)
        picked |= found
    return picked
