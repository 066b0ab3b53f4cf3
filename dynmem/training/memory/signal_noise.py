"""Signal and noise of the gradient of one network on one task, in float64.

With outputs y(p) of a network of weights p, targets t and their parts m (modes), all losses of
dm.tasks have the derivative a(y) - c t in the outputs, c > 0, so that the expected gradient

    g = E[J^T (a(y) - c t)],   J = dy/dp,

holds the targets in the covariance of t and J alone, apart from their mean:

    s = -c Cov(m, J) = -c E[(m - E m) J],

the **memory signal** of mode m. It is 0 where the outputs do not depend on the cue. The gradient of
a batch of B sequences scatters about g with the variance sigma^2 = Var(g_i) / B of the gradients
g_i of single sequences: the noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ...analysis.gradients.signal_parts import (
    centred,
    recalled_weights,
    rounding_error,
    slope,
    snr_squared,
)
from ...errors import NotFiniteError
from ...tasks import Task
from ..fitting import as_tensors, per_sequence
from .sequence_module import outputs_of, trained

GROUPS = 8  # independent parts of a sample: squares are taken between different ones
LARGEST = 1e300  # gradient whose sums stay finite


class Signal(NamedTuple):
    """Of each mode the norm of the signal, SNR^2 of a batch and its standard error; the standard
    deviation of the gradient of a batch."""

    modes: tuple[str, ...]
    signal: np.ndarray
    noise: float
    ratio: np.ndarray
    error: np.ndarray


def measure(
    module: torch.nn.Module,
    task: Task,
    *,
    batch: int,
    sequences: int,
    probes: int,
    rng: np.random.Generator,
) -> Signal:
    """Signal and noise of a float64 module: exact where the task lists its sequences, otherwise
    from a sample."""
    law = task.sequences()
    if law is not None:
        return _exact(module, task, law, batch, probes, rng)
    return _sampled(module, task, batch, sequences, rng)


def _exact(module, task, law, batch, probes, rng):
    """Sums over all sequences; the noise by ``probes`` of the directions orthogonal to the mean, or
    by all of them."""
    inputs, targets, p = law
    run = _Run(module, task, inputs, targets)
    modes = task.modes(inputs, targets)
    reached = run.reached(task, tuple(modes))
    signals = [
        run.pull(-run.slope * p[:, None, None] * centred(part, p) * run.weights)
        if name in reached
        else np.zeros(run.size)
        for name, part in modes.items()
    ]
    directions, share = _directions(p, probes, rng)
    pulled = [run.pull(q[:, None, None] * run.loss_gradient) for q in directions.T]
    scale = _largest(pulled)  # squares of what explodes leave the range of numbers
    squares = np.array([run.per_tensor((g / scale) ** 2) for g in pulled])
    squares /= run.sizes * batch * share
    signal = np.array([run.per_tensor((s / scale) ** 2) for s in signals])
    ratio = snr_squared(signal, squares.sum(0))
    error = rounding_error(ratio, batch, run.size)
    if share < 1.0:
        left_out = [
            snr_squared(signal, (squares.sum(0) - one) * len(squares) / (len(squares) - 1))
            for one in squares
        ]
        error = np.hypot(error, _jackknife(np.array(left_out)))
    noise = scale * np.sqrt(squares.sum(0) @ run.sizes)
    return Signal(tuple(modes), scale * np.sqrt(signal.sum(1)), noise, ratio, error)


def _sampled(module, task, batch, sequences, rng):
    """Squares between independent groups of sequences, so that the noise of the sample does not
    count as signal; errors by leaving out each group."""
    size, pulled, mean_gradients, reached = max(2, sequences // GROUPS), [], [], ()
    names: tuple[str, ...] = ()
    for group in range(GROUPS):
        inputs, targets = task.arrays(size, rng)
        run = _Run(module, task, inputs, targets)
        modes = task.modes(inputs, targets)
        names = tuple(modes)
        reached = reached if group else run.reached(task, names)
        p = np.full(size, 1.0 / size)
        unbiased = -run.slope / (size - 1) * run.weights
        pulled.append(
            [
                run.pull(unbiased * centred(part, p)) if name in reached else np.zeros(run.size)
                for name, part in modes.items()
            ]
        )
        mean_gradients.append(run.pull(run.loss_gradient / size))
    scale = _largest(mean_gradients)
    signals, gradients = np.array(pulled) / scale, np.array(mean_gradients) / scale

    def estimate(keep):
        s, g = signals[keep], gradients[keep]
        count = len(s)
        products = s.sum(0) ** 2 - (s * s).sum(0)
        signal = np.array([run.per_tensor(one) for one in products]) / (count * (count - 1))
        noise = run.per_tensor(g.var(0, ddof=1)) * size / batch / run.sizes
        return signal, noise

    signal, noise = estimate(slice(None))
    left_out = [snr_squared(*estimate(np.arange(GROUPS) != group)) for group in range(GROUPS)]
    return Signal(
        names,
        scale * np.sqrt(np.maximum(signal.sum(1), 0.0)),
        scale * np.sqrt(noise @ run.sizes),
        snr_squared(signal, noise),
        _jackknife(np.array(left_out)),
    )


class _Run:
    """One pass over sequences, whose gradients are taken again and again."""

    def __init__(self, module, task, inputs, targets):
        self.parameters = trained(module)
        widths = [w.numel() * (2 if w.is_complex() else 1) for w in self.parameters]
        self.sizes, self.size = np.array(widths, float), int(sum(widths))
        self.starts = np.concatenate(([0], np.cumsum(widths)[:-1])).astype(int)
        device = self.parameters[0].device
        self.u, t = as_tensors(task, (inputs, targets), torch.float64, device)
        self.u.requires_grad_()
        self.outputs = outputs_of(module, self.u)
        losses = per_sequence(task)(self.outputs, t)
        (gradient,) = torch.autograd.grad(losses.sum(), self.outputs, retain_graph=True)
        self.loss_gradient = gradient.detach().cpu().numpy()
        self.steps = np.flatnonzero(recalled_weights(task))
        self.weights, self.slope = recalled_weights(task)[:, None], slope(task)

    def pull(self, cotangent):
        """Gradient (size,) of sum(cotangent * outputs) by all weights."""
        found = torch.autograd.grad(
            self.outputs,
            self.parameters,
            torch.as_tensor(cotangent, dtype=self.outputs.dtype, device=self.outputs.device),
            retain_graph=True,
            allow_unused=True,
        )
        parts = [
            (torch.zeros_like(w) if g is None else g)
            for w, g in zip(self.parameters, found, strict=True)
        ]
        flat = [torch.view_as_real(g.resolve_conj()) if g.is_complex() else g for g in parts]
        gradient = torch.cat([g.reshape(-1) for g in flat])
        if not (gradient.abs() < LARGEST).all():
            raise NotFiniteError(
                "the gradient explodes over the task: it leaves the range of float64"
            )
        return gradient.cpu().numpy()

    def per_tensor(self, values):
        """Sums (tensors,) of values (size,) over each tensor."""
        return np.add.reduceat(values, self.starts)

    def reached(self, task, names):
        """The modes whose cue changes the outputs: no derivative of a scored output by an input
        that differs between sequences is exactly 0 for those steps."""
        varied = (self.u != self.u[:1]).any(0)
        found, waiting = set(), set(names)
        generator = torch.Generator().manual_seed(0)
        width = self.outputs.shape[-1]
        mix = torch.rand(width, generator=generator, dtype=torch.float64) + 0.5
        for step in self.steps[::-1]:
            if not waiting:
                break
            (gradient,) = torch.autograd.grad(
                (self.outputs[:, step] @ mix.to(self.outputs)).sum(), self.u, retain_graph=True
            )
            seen = ((gradient != 0) & varied).any(-1).any(0).cpu().numpy()
            first = int(np.argmax(seen)) if seen.any() else task.steps
            found |= {name for name in waiting if first <= task.last_cue(name, int(step))}
            waiting -= found
        return found


def _directions(p, probes, rng):
    """Columns q (count, m) with sum over all of (sum_i q_i g_i)^2 = Var(g), and the share of these
    directions that is there.

    They are an orthonormal basis of what is orthogonal to sqrt(p), turned at random, times sqrt(p).
    """
    root = np.sqrt(p)
    start = np.column_stack((root, rng.standard_normal((len(p), len(p) - 1))))
    basis = np.linalg.qr(start)[0][:, 1:]
    count = min(probes, len(p) - 1)
    return root[:, None] * basis[:, :count], count / (len(p) - 1)


def _largest(gradients):
    """The largest number among gradients, 1 where all are 0."""
    return float(np.max(np.abs(gradients))) or 1.0


def _jackknife(left_out):
    """Standard error of a statistic from its values without one part each."""
    count = len(left_out)
    return np.sqrt((count - 1) * left_out.var(0))
