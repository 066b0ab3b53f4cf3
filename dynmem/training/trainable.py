"""A system whose arrays torch can train, and the way back."""

from dataclasses import fields, replace

import numpy as np
import torch

from ..arrays import tensors
from ..errors import NotFiniteError, ShapeError, UnknownNameError
from ..system import Map, System, as_system, map_arrays


class Trainable(torch.nn.Module):
    """A Map as a torch module: the float arrays among its fields, in nested systems too, are the
    Parameters.

    Parameters: system; dtype, of torch; ``fixed``, names of arrays that are not trained; ``train``,
    names of plain numbers that are trained too; ``fused``, whether a model that can take all steps
    of a sequence at once does, rather than its rule step by step. A name is a field ("W",
    everywhere it occurs) or a path ("layers.0.W", "layers.0").

    Raises TypeError where the system is not a Map, UnknownNameError for a name it does not have.

    >>> import dynmem as dm
    >>> net = Trainable(dm.models.get("gru", units=4, inputs=2, outputs=3))
    >>> net(torch.zeros(5, 7, 2)).shape
    torch.Size([5, 7, 3])
    >>> type(net.frozen()).__name__
    'Network'
    """

    def __init__(self, system, dtype=torch.float32, *, fixed=(), train=(), fused=True):
        super().__init__()
        self.system, self.dtype, self.fused = as_system(system, Map), as_dtype(dtype), bool(fused)
        # each array an object of its own, by which the twin's tensor is found
        self._base = map_arrays(self.system, np.copy)
        values = dict(leaves(self._base))
        floats = {
            k
            for k, v in values.items()
            if isinstance(v, np.ndarray) and v.dtype.kind in "fc" and v.size
        }
        numbers = {
            k for k, v in values.items() if isinstance(v, (float, int)) and not isinstance(v, bool)
        }
        self.numbers = pick(numbers, train, f"plain number of {type(self.system).__name__}")
        for path in self.numbers:
            _place(self._base, path, np.array(float(values[path])))
        chosen = (floats - pick(floats, fixed, "array")) | self.numbers
        self._names = {}
        self._constants = {}
        for path, value in leaves(self._base):
            if path in chosen:
                # torch keeps the dot for its own nesting
                self._names[path] = path.replace(".", "/")
                self.register_parameter(self._names[path], torch.nn.Parameter(self._tensor(value)))
            elif isinstance(value, np.ndarray):
                self._constants[path] = self._tensor(value)

    def _tensor(self, value):
        tensor = torch.tensor(value)
        if tensor.is_complex():
            return tensor.to(self.dtype.to_complex())
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def _apply(self, function, recurse=True):
        """What torch calls for ``double()``, ``float()`` and ``to``: the constants and the inputs
        follow the weights."""
        dtype = as_dtype(function(torch.zeros((), dtype=self.dtype)).dtype)
        super()._apply(function, recurse)
        self.dtype, self._constants = (
            dtype,
            {path: function(tensor) for path, tensor in self._constants.items()},
        )
        return self

    def weights(self):
        """Trained tensors by their path, e.g. "layers.0.W"."""
        return {path: getattr(self, name) for path, name in self._names.items()}

    def twin(self):
        """The system with tensors in place of its arrays; made anew for each pass, since what it
        caches belongs to these values."""
        values = self._constants | self.weights()
        tensors_of = {
            id(value): values[path] for path, value in leaves(self._base) if path in values
        }
        return map_arrays(
            self._base,
            lambda array: tensors_of[id(array)] if id(array) in tensors_of else self._tensor(array),
        )

    def forward(self, u, x0=None):
        """Outputs (batch, steps, outputs) for inputs u (batch, steps, inputs) from the state x0
        (n,) or (batch, n), at rest if None."""
        return self.run(x0, u)[0]

    def run(self, x, u):
        """Outputs as ``forward`` and the final state (batch, n)."""
        u = self._inputs(u)
        if x is None and self.system.size is None:
            raise ShapeError(
                f"{type(self.system).__name__} names no states: pass x0 of shape (n,) or (batch, n)"
            )
        x = u.new_zeros(self.system.size) if x is None else torch.as_tensor(x, dtype=self.dtype)
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
        u = torch.as_tensor(u, dtype=self.dtype)
        if u.ndim != 3 or u.shape[-1] != self.system.inputs or not u.shape[0] or not u.shape[1]:
            raise ShapeError(
                f"u has shape {tuple(u.shape)}, {type(self.system).__name__} takes "
                f"(batch, steps, {self.system.inputs}) with "
                "at least one sequence and at least one step"
            )
        return u

    def frozen(self):
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


def as_dtype(dtype):
    """A real torch dtype from itself or from its name.

    >>> as_dtype("float64")
    torch.float64
    """
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype), None)
    if found not in (torch.float32, torch.float64):
        raise ValueError(f"dtype = {dtype!r}: must be float32 or float64")
    return found


def leaves(value, path=""):
    """Pairs (path, value) of the fields of a system, of the systems inside it, and of the entries
    of a tuple of systems or arrays.

    >>> from dynmem.models import Network, Tanh
    >>> [path for path, _ in leaves(Network((Tanh.zeros(2),)))]
    ['layers.0.W', 'layers.0.V', 'layers.0.b', 'layers.0.leak', 'R', 'a']
    """
    if isinstance(value, System):
        inside = [(f.name, getattr(value, f.name)) for f in fields(value)]
    elif _holds(value):
        inside = enumerate(value)
    else:
        yield path, value
        return
    for name, inner in inside:
        yield from leaves(inner, join(path, name))


def rebuilt(value, values, path=""):
    """The same kind of system with values[path] in place of its fields, made by its constructor and
    so validated."""
    if isinstance(value, System):
        names = (f.name for f in fields(value) if f.init)
        return replace(
            value,
            **{name: rebuilt(getattr(value, name), values, join(path, name)) for name in names},
        )
    if _holds(value):
        return type(value)(rebuilt(inner, values, join(path, i)) for i, inner in enumerate(value))
    return values.get(path, value)


def join(path, name):
    """The path of what lies inside another."""
    return f"{path}.{name}" if path else str(name)


def _holds(value):
    return isinstance(value, (tuple, list)) and any(
        isinstance(inner, (System, np.ndarray)) for inner in value
    )


def _place(system, path, value):
    """Put a value into a twin, frozen and not validated anew."""
    *owners, name = path.split(".")
    for owner in owners:
        system = system[int(owner)] if isinstance(system, (tuple, list)) else getattr(system, owner)
    object.__setattr__(system, name, value)


def pick(known, names, kind):
    """The paths among ``known`` that a name selects: a field wherever it occurs, a path, or all
    that lies below a path."""
    if isinstance(names, str):
        names = (names,)
    picked = set()
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
