"""Memory signal of linear models and of attention without scores, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import tasks as all_tasks
from ..analysis.gradients.signal_parts import (
    centred,
    recalled_weights,
    rounding_error,
    signal_report,
    slope,
    snr_squared,
)
from ..arrays import softplus
from ..errors import ShapeError
from ..labels import describe_system
from ..models import Attention, Network
from ..models.residual import Dense
from ..runtime.validation import integer, public
from ..system import Map, as_system, map_arrays
from ..tasks import Task
from ..typing import Array, ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset

MAX_STATES = 1024  # of a linear model: its matrices are dense here
LINEAR = 1e-9  # relative deviation of a rule from a linear one that is rounding


@public
def memory_signal(
    system: Map, task: Task | str, *, delays: ArrayLike | None = None, batch: int = 64
) -> Dataset:
    """Memory signal of a model whose outputs are linear in its inputs, in closed form.

    With x_t = A x_(t-1) + B u_t + b, y_t = C x_t + D u_t + e, everything that the targets say of
    the inputs is their covariance at each lag, M_l = sum_t w_t E[(m_t - E m_t) u_(t-l)^T]:

        s_C = -c sum_l M_l (A^l B)^T,           s_D = -c M_0,
        s_B = -c sum_l (C A^l)^T M_l,           s_b = s_e = 0,
        s_A = -c sum_l sum_(j<l) (C A^j)^T M_l (A^(l-1-j) B)^T,

    so that the signal falls over the delay as the powers of A do: |lambda|^d of a diagonal model,
    not at all in an orthogonal one. Attention whose scores are 0 averages the last steps: s_G =
    -c sum_t w_t / m_t sum_l E[m_t u_(t-l)^T] of its one effective matrix, m_t the number of slots,
    falls as 1/d up to the window, and is 0 beyond. The weights that make these matrices follow by
    the chain rule. The twin of ``dm.memory_signal`` of the untrained model.

    Parameters
    ----------
    system : Map
        A model with a linear rule and linear outputs, a Network of such (linear, orthogonal with
        nonlinearity "identity", LRU ...), or a Network of affine layers and one attention whose
        queries and keys are 0 (``sharpness=0``) and whose scores do not depend on positions.
    task : Task or str
        A task that lists its sequences (``Task.sequences``), with as many inputs and outputs.
    delays : int or array_like of int, optional
        Delays in steps, set by ``task.with_delay``; None: the task as it is.
    batch : int
        Sequences of a batch, whose noise is meant.

    Returns
    -------
    xarray.Dataset
        signal : (delay, mode, null_step), nat or squared unit
            Norm of s over all weights.
        noise : (delay, null_step), nat or squared unit
            Root of the summed variance of the gradient of a batch.
        snr_squared : (delay, mode, null_step), 1
            SNR^2 of a batch.
        snr_squared_error : (delay, mode, null_step), 1
            Rounding.

    Raises
    ------
    TypeError
        For a model that is not linear, and attention with scores.
    ShapeError
        Where model and task do not fit.
    ValueError
        For a task with too many sequences, and a model of more than 1024 states.

    References
    ----------
    Orvieto et al. (2023), arXiv:2303.06349, for diagonal models; Velickovic et al. (2024),
    arXiv:2410.01104, for the 1/d of attention without scores.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.get("copy", symbols=2, length=1, scored="recalled")
    >>> net = dm.models.get("orthogonal", units=8, inputs=4, outputs=3)
    >>> found = dm.theory.memory_signal(net, task, delays=[2, 200]).snr_squared.squeeze()
    >>> bool(found[1] > 0.1 * found[0])  # turned, not forgotten
    True
    """
    model = as_system(system, Map)
    given = all_tasks.get(task) if isinstance(task, str) else task
    batch = integer("batch", batch)
    every = [given] if delays is None else [given.with_delay(int(d)) for d in np.ravel(delays)]
    axis = [getattr(one, one.delay_option, one.steps) for one in every]
    terms, rows, modes = _Weights(model), [], ()
    for one in every:
        modes, *row = _signal(_kind(model, one), terms, one, batch)
        rows.append(row)
    signal, noise, ratio, error = (np.array(column) for column in zip(*rows, strict=True))
    return signal_report(
        every,
        axis,
        modes,
        [0],
        {
            "signal": signal[:, None],
            "noise": noise[:, None],
            "snr_squared": ratio[:, None],
            "snr_squared_error": error[:, None],
        },
        title=f"memory signal of {type(model).__name__} on the {given.title}, by theory",
        source="linear response: the covariance of target and input at each lag",
        parameters={**describe_system(model), "task": given.name, "batch": batch},
        exact=1,
    )


class Matrices(NamedTuple):
    """Derivatives by the matrices A, B, b, C, D, e of a linear model."""

    A: Array
    B: Array
    b: Array
    C: Array
    D: Array
    e: Array


def _signal(kind, weights, task, batch):
    """Names of the modes, norms of the signal, noise, SNR^2 and its error."""
    law = task.sequences()
    if law is None:
        raise ValueError(f"{task} has too many sequences to list: use dm.memory_signal")
    inputs, targets, p = law
    u = task.encode(inputs)
    w, c = recalled_weights(task)[:, None], slope(task)
    modes = task.modes(inputs, targets)
    pulled = [
        # constants drop out of a covariance; without them equal inputs leave 0, not rounding
        weights.pull(kind.mean(-c * w * p[:, None, None] * centred(part, p), u - u[:1], bias=0.0))
        for part in modes.values()
    ]
    deltas = _loss_gradient(task, kind.outputs(u), targets)
    each = [weights.pull(kind.mean(d[None], row[None])) for d, row in zip(deltas, u, strict=True)]
    mean = [np.tensordot(p, tensors, 1) for tensors in zip(*each, strict=True)]
    noise = np.array(
        [
            sum(q * np.sum((g - m) ** 2) for q, g in zip(p, tensors, strict=True)) / m.size / batch
            for tensors, m in zip(zip(*each, strict=True), mean, strict=True)
        ]
    )
    squares = np.array([[np.sum(s**2) for s in tensors] for tensors in pulled])
    total = float(np.sum(noise * [m.size for m in mean]))
    ratio = snr_squared(squares, noise)
    error = rounding_error(ratio, batch, sum(m.size for m in mean))
    return tuple(modes), np.sqrt(squares.sum(1)), np.sqrt(total), ratio, error


def _loss_gradient(task, outputs, targets):
    """Derivative (count, steps, outputs) of each sequence's mean loss by its outputs."""
    w = (task.weights / task.weights.sum())[:, None]
    if task.loss == "cross_entropy":
        shifted = np.exp(outputs - outputs.max(-1, keepdims=True))
        response = shifted / shifted.sum(-1, keepdims=True)
    elif task.loss == "binary_cross_entropy":
        response = np.exp(-softplus(-outputs))
    else:
        response = 2.0 / task.outputs * outputs
        return w * (response - slope(task) * task.answers(targets))
    return w * slope(task) * (response - task.answers(targets))


class _Recurrence:
    """A linear model: its matrices, outputs, and derivatives in closed form."""

    def __init__(self, system: Map) -> None:
        n, width = system.size, system.inputs
        zero, silent = np.zeros(n), np.zeros(width)
        self.b, self.e = system.rule(zero, silent), system.output(zero, silent)
        self.A = _columns(system.rule, n, silent, self.b, first=True)
        self.B = _columns(system.rule, width, zero, self.b, first=False)
        self.C = _columns(system.output, n, silent, self.e, first=True)
        self.D = _columns(system.output, width, zero, self.e, first=False)
        rng = np.random.default_rng(0)
        x, u = rng.standard_normal(n), rng.standard_normal(width)
        for found, line in (
            (system.rule(x, u), self.A @ x + self.B @ u + self.b),
            (system.output(x, u), self.C @ x + self.D @ u + self.e),
        ):
            if not np.allclose(found, line, rtol=LINEAR, atol=LINEAR):
                raise TypeError(
                    f"{type(system).__name__} is not linear: theory has its memory signal for "
                    "linear models and attention without scores, use dm.memory_signal"
                )

    def states(self, u):
        """States (count, steps, n) from rest, without the one before the first step."""
        x, found = np.zeros((len(u), len(self.b))), []
        for step in range(u.shape[1]):
            x = x @ self.A.T + u[:, step] @ self.B.T + self.b
            found.append(x)
        return np.stack(found, 1)

    def outputs(self, u):
        """Outputs (count, steps, outputs)."""
        return self.states(u) @ self.C.T + u @ self.D.T + self.e

    def mean(self, cotangent, u, bias=1.0) -> Matrices:
        """Sum over sequences of the derivatives of cotangent . outputs: from the correlation of
        cotangents and inputs (``bias`` for the biases) at each lag, by powers of A."""
        driven = np.concatenate((u, np.full((*u.shape[:2], 1), bias)), -1)
        source = np.column_stack((self.B, self.b))
        width = u.shape[-1]
        steps = u.shape[1]
        own = (self.A, self.B, self.b, self.C, self.D, self.e)
        found = Matrices(*map(np.zeros_like, own))
        power, back = source, self.C.T  # A^l B and (A^T)^l C^T
        for lag in range(steps):
            M = np.einsum("ntk,ntd->kd", cotangent[:, lag:], driven[:, : steps - lag])
            if lag == 0:
                found.D[:], found.e[:] = M[:, :width], M[:, width]
            if M.any():
                found.C[:] += M @ power.T
                into = back @ M
                found.B[:] += into[:, :width]
                found.b[:] += into[:, width]
                if lag:
                    found.A[:] += _between(self.A.T, self.C.T @ M @ source.T, lag)
            power, back = self.A @ power, self.A.T @ back
        return found


def _between(A, X, lag):
    """sum over j < lag of A^j X A^(lag-1-j): the corner of a power of [[A, X], [0, A]]."""
    n = len(A)
    block = np.block([[A, X], [np.zeros((n, n)), A]])
    return np.linalg.matrix_power(block, lag)[:n, n:]


class _Average:
    """Attention without scores: y_t = e + G (mean of the last m_t inputs)."""

    def __init__(self, system: Map, window: int) -> None:
        self.window, width = window, system.inputs
        self.e = _one_step(system, np.zeros((1, width)))[0]
        self.G = (_one_step(system, np.eye(width)) - self.e).T

    def means(self, u):
        """Means (count, steps, inputs) of the inputs in the window."""
        total = np.cumsum(u, axis=1)
        total[:, self.window :] -= np.cumsum(u, axis=1)[:, : -self.window]
        slots = np.minimum(np.arange(1, u.shape[1] + 1), self.window)
        return total / slots[:, None]

    def outputs(self, u):
        """Outputs (count, steps, outputs)."""
        return self.means(u) @ self.G.T + self.e

    def mean(self, cotangent, u, bias=1.0) -> Matrices:
        """Sum over sequences of the derivatives of cotangent . outputs by G and e."""
        none = np.zeros((0, 0))
        D = np.einsum("ntk,ntd->kd", cotangent, self.means(u))
        return Matrices(none, none, none, none, D, bias * cotangent.sum((0, 1)))


def _kind(system, task):
    if system.inputs != task.inputs or system.outputs != task.outputs:
        raise ShapeError(
            f"{type(system).__name__} has {system.inputs} inputs and {system.outputs} outputs, the "
            f"task requires {task.inputs} and {task.outputs}"
        )
    window = _window(system)
    if window:
        return _Average(system, window)
    if system.size > MAX_STATES:
        raise ValueError(
            f"{type(system).__name__} has {system.size} states: theory takes at most {MAX_STATES}, "
            "use dm.memory_signal"
        )
    return _Recurrence(system)


def _window(system) -> int | None:
    """The window of the one attention among affine layers, None where there is no attention."""
    layers = system.layers if isinstance(system, Network) else (system,)
    attention = [layer for layer in layers if isinstance(layer, Attention)]
    if not attention:
        return None
    one = attention[0]
    scores = any(np.any(array) for array in (one.Wq, one.Wk, one.bq, one.bk))
    others = [layer for layer in layers if layer is not one and not isinstance(layer, Dense)]
    if len(attention) > 1 or others or scores or one.positions not in ("none", "rotary"):
        raise TypeError(
            "theory has the memory signal of affine layers and one attention whose queries and "
            "keys are 0 (sharpness=0), without positions in its scores: use dm.memory_signal"
        )
    return one.window


def _one_step(system, u):
    """Outputs (count, outputs) of sequences of one step, from rest."""
    x = u.new_zeros if hasattr(u, "new_zeros") else np.zeros
    y = system.run(x((len(u), system.size)), u[:, None])[0]
    return y[:, 0]


def _columns(function, count, other, offset, first):
    """The matrix of a linear function of its first or second argument."""
    eye = np.eye(count)
    fixed = np.broadcast_to(other, (count, len(other)))
    values = function(eye, fixed) if first else function(fixed, eye)
    return (np.asarray(values) - offset).T.reshape(len(offset), count)


class _Weights:
    """The weights of a model, and derivatives by its matrices as derivatives by them."""

    def __init__(self, system: Map) -> None:
        self.system, self.window = system, _window(system)

    def pull(self, by: Matrices) -> list[np.ndarray]:
        """Derivatives by each float array of the model, by the chain rule in torch."""
        import torch

        leaves: list[Any] = []

        def leaf(array):
            tensor = torch.as_tensor(array)
            if array.dtype.kind not in "fc" or not array.size:
                return tensor
            leaves.append(tensor.clone().requires_grad_())
            return leaves[-1]

        twin = map_arrays(self.system, leaf)
        total = self._contracted(twin, Matrices(*map(torch.as_tensor, by)))
        found = torch.autograd.grad(total, leaves, allow_unused=True)
        moved = [w * 0 if g is None else g for w, g in zip(leaves, found, strict=True)]
        return [(torch.view_as_real(g) if g.is_complex() else g).detach().numpy() for g in moved]

    def _contracted(self, twin, by):
        """Sum of each derivative times its matrix, which the twin makes."""
        import torch

        n, width = self.system.size, self.system.inputs
        inputs = torch.eye(width, dtype=torch.float64)
        if self.window:
            zero = _one_step(twin, torch.zeros(1, width, dtype=torch.float64))[0]
            return ((_one_step(twin, inputs) - zero).T * by.D).sum() + (zero * by.e).sum()
        states = torch.eye(n, dtype=torch.float64)
        at_rest, silent = torch.zeros_like(states), torch.zeros(n, width, dtype=torch.float64)
        rest = torch.zeros(width, n, dtype=torch.float64)
        total = 0.0
        for function, X, U, offset in (
            (twin.rule, by.A, by.B, by.b),
            (twin.output, by.C, by.D, by.e),
        ):
            zero = function(at_rest[:1], silent[:1])[0]
            total = total + ((function(states, silent) - zero).T * X).sum()
            total = total + ((function(rest, inputs) - zero).T * U).sum() + (zero * offset).sum()
        return total
