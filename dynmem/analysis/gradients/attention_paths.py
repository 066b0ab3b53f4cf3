"""Gradients through attention: the path through the values and the one through the scores, and how
attention spreads over its slots."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arrays import namespace
from ...autodiff.jacobian import as_tensor
from ...drive import drive_name
from ...errors import ShapeError
from ...labels import dataset, describe_system
from ...models import Attention, Hybrid
from ...orbits import trajectory
from ...runtime.torch_modules import gradients_on
from ...runtime.validation import generator, integer, is_real, public
from ...system import Map, System, as_system, map_arrays
from ...typing import ArrayLike, Drive, Rng
from .window import lag_axis, read_inputs, read_start

if TYPE_CHECKING:
    from xarray import Dataset

OUTPUTS_PER_PASS = 8  # whose gradients one backward pass takes, each with a copy of the sequence


class FixedWeights:
    """Attention weights without derivative, so that the direct path alone has a gradient."""

    fused = False

    def attend(self, *args):
        weights = super().attend(*args)
        return namespace(weights).detach(weights)


@dataclass(frozen=True, eq=False)
class FixedWeightAttention(FixedWeights, Attention):
    """Attention whose weights have no derivative."""


@dataclass(frozen=True, eq=False)
class FixedWeightHybrid(FixedWeights, Hybrid):
    """Recurrence with attention whose weights have no derivative."""


FIXED_WEIGHT_CLASSES = {Attention: FixedWeightAttention, Hybrid: FixedWeightHybrid}


def fix_weights(system: Any) -> Any:
    """The same system, with every attention in it replaced by one whose weights have no
    derivative."""
    if isinstance(system, System):
        kind = type(system)
        for base, fixed in FIXED_WEIGHT_CLASSES.items():
            if isinstance(system, base):
                kind = fixed
        values = {f.name: fix_weights(getattr(system, f.name)) for f in fields(system) if f.init}
        return kind(**values)
    if isinstance(system, (tuple, list)):
        return type(system)(map(fix_weights, system))
    return system


def has_attention(system: Any) -> bool:
    """Whether there is an attention in a system."""
    if isinstance(system, System):
        return isinstance(system, tuple(FIXED_WEIGHT_CLASSES)) or any(
            has_attention(getattr(system, f.name)) for f in fields(system)
        )
    return isinstance(system, (tuple, list)) and any(map(has_attention, system))


@public
def attention_paths(
    system: Map,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = 1.0,
    lags: ArrayLike,
    rng: Rng = 0,
) -> Dataset:
    """Split the gradient d y_T / d u_(T-lag) into the path through values and that through scores.

    The output of attention, y_T = sum_j alpha_Tj W u_j, depends on u_j directly and because u_j
    changes the weights:

        d y_T / d u_j = alpha_Tj W + sum_i (d alpha_Ti / d u_j) W u_i.

    The direct part is the gradient with every weight alpha in the system held fixed (in a stack
    this includes the residual connections), the score part is the difference. Norms are
    |.|_F / sqrt(inputs), as in ``gradient_norms``. Theory: ``dm.theory.attention_paths``.

    Parameters
    ----------
    system : Map
        A system with inputs; without attention, the direct path is all of the gradient.
    x0 : array_like (n,), optional
        Start; by default zero, the empty cache.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input: None (zero), a number (standard deviation of white noise, over max(lags) + 1 steps),
        an array, of which the output after the last step is taken, or a function (rng, steps) ->
        array.
    lags : int or array_like of int
        Largest lag, or the lags wanted, in steps.
    rng : int, Generator or None
        Of the noise.

    Returns
    -------
    xarray.Dataset
        total_gradient : (lag,), 1
            Norm of d y_T / d u_(T-lag).
        direct_gradient : (lag,), 1
            With the weights fixed.
        score_gradient : (lag,), 1
            Norm of the difference.

    Raises
    ------
    ShapeError
        If an array is shorter than the lags, or the system has no input.

    Notes
    -----
    Backward passes in float64 through the whole sequence, without a Jacobian of the state: a long
    cache costs no more than its sequence.

    References
    ----------
    Vaswani et al. (2017), NeurIPS. Kerg et al. (2020), NeurIPS.

    Examples
    --------
    >>> import dynmem as dm
    >>> attention = dm.models.Attention.random(4, 4, window=9, sharpness=0.0)
    >>> paths = dm.analysis.attention_paths(attention, lags=[1, 8])
    >>> paths.score_gradient.values.round(12).tolist(), bool(np.isclose(*paths.direct_gradient))
    ([0.0, 0.0], True)
    """
    system, wanted = as_system(system, Map), lag_axis(lags)
    if not system.inputs:
        raise ShapeError(f"{type(system).__name__} takes no input: a gradient path begins at one")
    draws = generator(rng)
    u = read_inputs(system, drive, int(wanted[-1]) + 1, draws)
    x = np.zeros(system.size) if x0 is None else read_start(system, x0, draws)
    at = (slice(None), len(u) - 1 - wanted)
    total = _last_output_by_inputs(system, u, x)[at]
    fixed = total
    if has_attention(system):
        fixed = _last_output_by_inputs(fix_weights(system), u, x)[at]
    return paths_report(
        wanted,
        total,
        fixed,
        total - fixed,
        title=f"paths of the gradient through {type(system).__name__}",
        source="Vaswani et al. (2017); Kerg et al. (2020)",
        parameters=describe_system(system) | {"drive": drive_name(drive)},
        seed=rng,
    )


def _last_output_by_inputs(system, u, x):
    """d y_T / d u_t, shape (outputs, T, inputs), by torch."""
    import torch

    rows = []
    with gradients_on():
        run = map_arrays(system, as_tensor).run
        for first in range(0, system.outputs, OUTPUTS_PER_PASS):
            outputs = torch.arange(first, min(first + OUTPUTS_PER_PASS, system.outputs))
            copies = np.broadcast_to(u, (len(outputs), *u.shape)).copy()
            inputs = torch.tensor(copies, requires_grad=True)
            start = torch.tensor(np.broadcast_to(x, (len(outputs), x.size)).copy())
            last = run(start, inputs)[0][:, -1]
            wanted = last[torch.arange(len(outputs)), outputs].sum()
            rows.append(torch.autograd.grad(wanted, inputs)[0])
        return torch.cat(rows).numpy()


def paths_report(lags, total, fixed, scores, *, title, source, parameters, seed=None, **variables):
    """Dataset of the norms of gradients (outputs, lags, inputs): all, the direct part, the part
    through the scores."""
    parts = {
        "total": (total, "all paths"),
        "direct": (fixed, "the values alone"),
        "score": (scores, "the scores alone"),
    }
    norms = {
        f"{name}_gradient": (
            "lag",
            np.sqrt((part**2).sum((0, 2)) / part.shape[2]),
            "1",
            f"|d y_T / d u_(T-lag)| by {text}",
        )
        for name, (part, text) in parts.items()
    }
    return dataset(
        norms | variables,
        {"lag": ("lag", lags, "step", "lag")},
        title=title,
        source=source,
        parameters=parameters,
        seed=seed,
    )


@public
def attention_dilution(
    system: Attention,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = 1.0,
    steps: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Measure how attention spreads over its slots at each step from the empty cache.

        entropy = -sum_j alpha_j ln alpha_j,    effective slots = exp(entropy),

    the number of slots of equal weight with that entropy. Theory: ``dm.theory.attention_dilution``.

    Parameters
    ----------
    system : Attention
        One attention, such as the mixer of a block, ``system.layers[i].mixer``.
    x0 : array_like (n,), optional
        Start; by default the empty cache.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input: None (zero), a number (standard deviation of white noise), an array, or a function
        (rng, steps) -> array.
    steps : int, optional
        Steps of the noise; by default the window.
    rng : int, Generator or None
        Of the noise.

    Returns
    -------
    xarray.Dataset
        largest_weight : (step, head), 1
            Largest weight.
        entropy : (step, head), nat
            Entropy of the weights.
        effective_slots : (step, head), 1
            exp(entropy).

    Raises
    ------
    TypeError
        If the system is no Attention.

    References
    ----------
    Velickovic et al. (2024), arXiv:2410.01104, on the spread of softmax over many slots.

    Examples
    --------
    >>> import dynmem as dm
    >>> attention = dm.models.Attention.random(4, 4, window=8, sharpness=0.0)
    >>> weights = dm.analysis.attention_dilution(attention).largest_weight[:, 0].values
    >>> weights[[0, 1, 7]].round(6).tolist()
    [1.0, 0.5, 0.125]
    """
    if not isinstance(system, Attention):
        raise TypeError(
            f"attention_dilution takes one Attention, got {type(system).__name__}: pass the mixer "
            "of a block, system.layers[i].mixer"
        )
    if steps is None and (drive is None or is_real(drive) or callable(drive)):
        steps = system.window
    least = 1 if steps is None else integer("steps", steps)
    draws = generator(rng)
    u = read_inputs(system, drive, least, draws)
    x = system.initial() if x0 is None else read_start(system, x0, draws)
    weights = system.weights(trajectory(system, x, len(u), u)[1:], u)
    coords = {
        "step": ("step", np.arange(1, len(u) + 1), "step", "step, the first being 1"),
        "head": ("head", np.arange(1, system.heads + 1), "1", "head"),
    }
    return dilution_report(
        weights,
        ("step", "head"),
        coords,
        title="spread of attention",
        source="definition",
        parameters=describe_system(system) | {"drive": drive_name(drive)},
        seed=rng,
    )


def dilution_report(weights, dims, coords, **about):
    """Dataset of largest weight, entropy and effective number of slots, over the last axis of
    weights."""
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(weights > 0, weights * np.log(weights), 0.0).sum(-1)
    return dataset(
        {
            "largest_weight": (dims, weights.max(-1), "1", "largest weight"),
            "entropy": (dims, entropy, "nat", "entropy of the weights"),
            "effective_slots": (
                dims,
                np.exp(entropy),
                "1",
                "effective number of slots, exp(entropy)",
            ),
        },
        coords,
        **about,
    )
