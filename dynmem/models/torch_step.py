"""A torch function (state, input) -> state as a system, its tangents by torch.func."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import namespace
from ..autodiff.dual import Dual
from ..autodiff.tangents import Forward, Reverse
from ..compiler.trace import TooLargeError
from ..errors import NotFiniteError, ShapeError
from ..runtime.torch_modules import as_numpy, dtype_of, gradients_on, is_module, is_tensor
from ..runtime.validation import integer
from ..system import Map
from ..typing import Array, Rng

__all__ = ["TorchStep"]

# states up to which n backward passes take less time than torch.func: a step of a tanh network took
# 0.5 ms and 2 ms with 2 states, 6 ms and 2 ms with 16
MAX_REVERSE_STATES = 6


class TorchStep(Map):
    """A step function of torch, (state, input) -> state, as a Map.

        x_t = f(x_(t-1), u_t)

    The function stays the user's: it is run as it is, in the dtype of its state, and its tangents
    are those of torch.func.jvp, all directions at once by torch.func.vmap; up to 6 states, and
    where an operation has no forward mode, those of torch.autograd, row by row.

    Parameters
    ----------
    function : callable
        f(state, input), or f(state) for a system without inputs; an nn.Module too. It returns the
        next state, of the shape of ``state``.
    state : tensor, array_like, or tuple of these
        A state to start from, whose shapes and dtype the function expects, for instance (h, c). An
        array is given to the function as float64, or in the dtype of a module's weights.
    inputs : int, optional
        Number of inputs. The function is given one input, of shape (inputs,), or (1, inputs) where
        the state has the shape (1, n).

    Raises
    ------
    TypeError
        If the function does not return a state, or torch finds no derivative of it.
    ShapeError
        If what it returns has another shape than the state.
    ValueError
        If it gives different results for the same state: noise.
    NotFiniteError
        If it returns NaN or infinity at the start.

    Notes
    -----
    The state of the system is the parts of the function's state, flattened, one after another, in
    float64. The tangents have the precision of the function's own dtype: about 1e-7 of their size
    a step in float32.

    Examples
    --------
    >>> import dynmem as dm
    >>> import torch
    >>> step = dm.models.TorchStep(lambda x: 3.9 * x * (1 - x), torch.tensor([0.3]).double())
    >>> step.size, round(float(dm.jacobian(step, [0.25])[0, 0]), 6)
    (1, 1.95)
    """

    function: Callable
    state: Any
    inputs: int = 0

    if TYPE_CHECKING:  # what __post_init__ reads off the state

        def __getattr__(self, name: str) -> Any: ...

    def __post_init__(self) -> None:
        import torch

        if not callable(self.function):
            raise TypeError(
                f"function is {type(self.function).__name__}: pass a torch function "
                "(state, input) -> state"
            )
        parts = self.state if isinstance(self.state, (tuple, list)) else (self.state,)
        floats = [p.dtype for p in parts if is_tensor(p) and p.is_floating_point()]
        own = dtype_of(self.function) if is_module(self.function) else torch.float64
        dtype = floats[0] if floats else own
        with gradients_on():
            tensors = tuple(torch.as_tensor(part).detach().to(dtype).clone() for part in parts)
        set_ = object.__setattr__
        set_(self, "inputs", integer("inputs", self.inputs, 0))
        set_(self, "several", isinstance(self.state, (tuple, list)))
        set_(self, "shapes", tuple(tuple(t.shape) for t in tensors))
        set_(self, "dtype", dtype)
        set_(self, "start", torch.cat([t.reshape(-1) for t in tensors]).double().cpu())
        set_(self, "arguments", _positional(self.function, 2 if self.inputs else 1))
        set_(self, "forward_mode", len(self.start) > MAX_REVERSE_STATES)
        set_(self, "batches", None)  # found when first needed: torch.func takes seconds to load
        if not torch.isfinite(self.start).all():
            raise NotFiniteError("state holds NaN or infinity")
        self._check()

    @property
    def size(self) -> int:
        return len(self.start)

    @property
    def parameters(self) -> dict[str, Any]:
        """What a store records: the function by name, its dtype, the number of inputs."""
        name = getattr(self.function, "__qualname__", type(self.function).__name__)
        return {"function": name, "dtype": str(self.dtype), "inputs": self.inputs}

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """The state given."""
        return self.start.numpy().copy()

    def rule(self, x: Array, u: Array | None) -> Array:
        if isinstance(x, Dual) or isinstance(u, Dual):
            return self._linearised(x, u)
        if getattr(x, "dtype", None) == object:
            raise TooLargeError("a torch function has no symbols: use its numbers")
        z = self._joined(x, u)
        if namespace(x).__name__ == "Torch":
            return self._batched(z).to(x.dtype)
        import torch

        with torch.no_grad():
            return _array(self._batched(z))

    def _joined(self, x, u):
        """State and input (..., n + inputs) as one tensor of the function's dtype."""
        import torch

        x = _tensor(x, self.dtype)
        if not self.inputs:
            return x
        u = _tensor(np.zeros(self.inputs) if u is None else u, self.dtype)
        shape = torch.broadcast_shapes(x.shape[:-1], u.shape[:-1])
        return torch.cat([x.expand(*shape, -1), u.expand(*shape, -1)], dim=-1)

    def _one(self, z):
        """The next state (n,) from one state and input (n + inputs,)."""
        import torch

        parts, begin = [], 0
        for shape in self.shapes:
            end = begin + math.prod(shape)
            parts.append(z[begin:end].reshape(shape))
            begin = end
        state = tuple(parts) if self.several else parts[0]
        u = z[begin:] if self.inputs else None
        if u is not None and len(self.shapes[0]) == 2 and self.shapes[0][0] == 1:
            u = u[None]
        found = self.function(state, u) if self.arguments > 1 else self.function(state)
        found = tuple(found) if self.several and isinstance(found, (tuple, list)) else (found,)
        if not all(isinstance(part, torch.Tensor) for part in found):
            kinds = ", ".join(type(part).__name__ for part in found)
            raise TypeError(
                f"the function returned {kinds}: it must return the next state, "
                f"{'a tuple of tensors' if self.several else 'one tensor'} like the state given"
            )
        shapes = tuple(tuple(part.shape) for part in found)
        if shapes != self.shapes:
            raise ShapeError(
                f"the function returned shapes {shapes} for a state of shapes {self.shapes}: it "
                "must return the next state, and nothing else"
            )
        return torch.cat([part.reshape(-1) for part in found])

    def _batched(self, z):
        """Next states (..., n) of states and inputs (..., n + inputs)."""
        import torch

        if z.ndim == 1:
            return self._one(z)
        flat = z.reshape(math.prod(z.shape[:-1]), z.shape[-1])
        if not len(flat):
            return z[..., : self.size]
        if len(flat) > 1 and self.batches is None:
            object.__setattr__(self, "batches", _works(lambda: torch.func.vmap(self._one)(flat)))
        if self.batches and len(flat) > 1:
            found = torch.func.vmap(self._one)(flat)
        else:
            found = torch.stack([self._one(each) for each in flat])
        return found.reshape(*z.shape[:-1], self.size)

    def _linearised(self, x, u):
        """The next state of dual numbers, with tangents of their kind."""
        values = [a.value if isinstance(a, Dual) else a for a in (x, u)]
        z = self._joined(*values)
        duals = [a for a in (x, u) if isinstance(a, Dual)]
        n, flat = self.size, z.reshape(math.prod(z.shape[:-1]), z.shape[-1])
        cuts = {id(x): slice(0, n), id(u): slice(n, None)}
        if isinstance(duals[0].tangent, Reverse):

            def back(cut, shape):
                return lambda g: self._pulled(flat, g)[..., cut].reshape(len(g), *shape)

            value = self.rule(*values)
            parents = ((a.tangent, back(cuts[id(a)], (*z.shape[:-1], a.shape[-1]))) for a in duals)
            return Dual(value, Reverse(value.shape, *parents))
        tangents = [a.tangent.array() for a in duals]
        rows = np.zeros((len(tangents[0]), *z.shape))
        for a, tangent in zip(duals, tangents, strict=True):
            rows[..., cuts[id(a)]] = tangent
        value, pushed = self._pushed(flat, rows.reshape(len(rows), *flat.shape))
        shape = (*z.shape[:-1], n)
        return Dual(value.reshape(shape), Forward(pushed.reshape(len(rows), *shape)))

    def _pushed(self, z, rows):
        """Next states (batch, n) at z (batch, n + inputs), and J v for rows v (k, batch, n +
        inputs)."""
        import torch

        rows = _tensor(rows, self.dtype)
        if not len(z):
            return np.empty((0, self.size)), np.empty((len(rows), 0, self.size))
        with gradients_on():
            if not self.forward_mode:
                values, jacobians = self._jacobians(z)
                return _array(values), _array(torch.einsum("kbm,bnm->kbn", rows, jacobians))
            push = lambda at, row: torch.func.jvp(self._one, (at,), (row,))[1]  # noqa: E731
            push = torch.func.vmap(push, in_dims=(None, 0))
            if len(z) == 1:
                pushed = push(z[0], rows[:, 0])[:, None]
            else:
                pushed = torch.func.vmap(push, in_dims=(0, 1), out_dims=1)(z, rows)
            return _array(self._batched(z)), _array(pushed)

    def _pulled(self, z, rows):
        """v^T J for rows v (k, ..., n) at z (batch, n + inputs)."""
        import torch

        rows = _tensor(rows, self.dtype).reshape(len(rows), len(z), self.size)
        with gradients_on():
            return _array(torch.einsum("kbn,bnm->kbm", rows, self._jacobians(z)[1]))

    def _jacobians(self, z):
        """Next states (batch, n), and Jacobians (batch, n, n + inputs) by torch.autograd, row by
        row."""
        import torch

        z = z.detach().clone().requires_grad_()
        out = self._batched(z)
        if not out.requires_grad:
            return out, z.new_zeros(len(z), self.size, z.shape[1])
        rows = [
            torch.autograd.grad(out[:, i].sum(), z, retain_graph=True, allow_unused=True)[0]
            for i in range(self.size)
        ]
        return out, torch.stack([torch.zeros_like(z) if g is None else g for g in rows], dim=1)

    def _check(self):
        """Refuse a function that is noisy or that torch cannot differentiate; choose the engine."""
        import torch

        draws = np.random.default_rng(0)
        z = self._joined(self.start, draws.standard_normal(self.inputs) if self.inputs else None)
        with torch.no_grad():
            once, again = self._one(z), self._one(z)
        if not torch.isfinite(once).all():
            raise NotFiniteError("the function returns NaN or infinity at the state given")
        if not torch.equal(once, again):
            raise ValueError(
                "the function gives different states for the same state and input: take the noise "
                "out, or pass it as drive"
            )
        if self.forward_mode:
            forward = _works(lambda: self._pushed(z[None], np.eye(2, len(z))[:, None]))
            object.__setattr__(self, "forward_mode", forward)
        direction = draws.standard_normal(len(z))
        try:
            _, tangent = self._pushed(z[None], direction[None, None])
        except RuntimeError as error:
            raise TypeError(
                f"torch cannot differentiate the function ({str(error).splitlines()[0]}): use "
                "torch's operations alone inside"
            ) from None
        if np.any(tangent):
            return
        step = torch.finfo(z.dtype).eps ** (1 / 3) * _tensor(direction, z.dtype)
        with torch.no_grad():
            change = float((self._one(z + step) - self._one(z - step)).abs().max())
        if change > 1e3 * torch.finfo(z.dtype).eps * max(float(once.abs().max()), 1.0):
            raise TypeError(
                "torch finds no derivative of the function, whose value changes with the state: "
                "take torch.no_grad and detach() out of it"
            )


def _works(attempt: Callable) -> bool:
    """Whether torch.func runs a function as a batch, without an operation that it would run one by
    one, which it says by a warning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            attempt()
    except Exception:
        return False
    return True


def _tensor(array: Any, dtype: Any) -> Any:
    """A tensor of a dtype of an array, also of one that cannot be written to."""
    import torch

    if isinstance(array, np.ndarray):
        array = np.require(array, requirements="W")
    return torch.as_tensor(array).to(dtype)


def _array(tensor: Any) -> np.ndarray:
    return as_numpy(tensor).astype(np.float64)


def _positional(function: Any, default: int) -> int:
    """Number of positional arguments that a function takes, at most two; the default where it is
    not known."""
    try:
        forward = function.forward if is_module(function) else function
        kinds = [p.kind for p in inspect.signature(forward).parameters.values()]
    except (TypeError, ValueError):
        return default
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 2
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(2, sum(kind in plain for kind in kinds))
