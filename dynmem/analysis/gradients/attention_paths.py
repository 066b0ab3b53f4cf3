"""How gradients go through attention: the direct path and the one through the scores, the length of
the shortest path, and how thinly it looks."""

from dataclasses import dataclass, fields

import numpy as np

from ...arrays import namespace
from ...autodiff.jacobian import as_tensor, jacobian
from ...errors import ShapeError
from ...labels import dataset, describe_system
from ...models import Attention, Hybrid
from ...orbits import trajectory
from ...runtime.validation import integer
from ...system import Map, System, as_input, as_state, as_system, map_arrays
from .gradient_norms import lag_axis

TOGETHER = 8  # outputs whose gradients are taken in one pass, each by a copy of the sequence
# states at which the support of the Jacobians is looked up: in each some units of relu may be at
# rest
GENERIC = 4


class Held:
    """Weights that carry no derivative: what is left of a gradient is the direct path."""

    fused = False

    def attend(self, *given):
        weights = super().attend(*given)
        return namespace(weights).detach(weights)


@dataclass(frozen=True, eq=False)
class HeldAttention(Held, Attention):
    """Attention with its weights held."""


@dataclass(frozen=True, eq=False)
class HeldHybrid(Held, Hybrid):
    """Recurrence with attention, with its weights held."""


HELD = {Attention: HeldAttention, Hybrid: HeldHybrid}


def direct(system):
    """The same system with the weights of every attention in it held fixed under
    differentiation."""
    if isinstance(system, System):
        kind = next((held for kind, held in HELD.items() if isinstance(system, kind)), type(system))
        return kind(**{f.name: direct(getattr(system, f.name)) for f in fields(system) if f.init})
    return type(system)(map(direct, system)) if isinstance(system, (tuple, list)) else system


def attends(system):
    """Whether there is an attention in a system."""
    if isinstance(system, System):
        return isinstance(system, tuple(HELD)) or any(
            attends(getattr(system, f.name)) for f in fields(system)
        )
    return isinstance(system, (tuple, list)) and any(map(attends, system))


def attention_paths(system, u=1.0, *, lags, x0=None, rng=0):
    """Norms of d y_T / d u_(T-lag), split into the path through the values and the one through the
    scores.

    y_T = sum_j alpha_Tj W u_j depends on u_j directly, alpha_Tj W, and because u_j moves alpha. The
    direct part is the gradient with every weight alpha in the system held fixed (in a stack that
    includes the residual connections), the score part is the difference. Norms are
    |.|_F / sqrt(inputs), as in ``gradient_norms``. A system without attention has the direct path alone.

    system: a Map; u: an array (steps, inputs), of which the output after the last step is taken, or
    the standard deviation of white noise over as many steps as the largest lag asks for; lags: the
    largest, or those wanted; x0: start, by default rest (zero). In float64, by backward passes
    through the whole sequence and no Jacobian of the state, so that a long cache costs no more than
    its sequence.

    Returns total_gradient(lag), direct_gradient(lag), score_gradient(lag). Raises ShapeError where
    the input is shorter than the lags.

    >>> import dynmem as dm
    >>> paths = attention_paths(dm.models.Attention.random(4, 4, window=9, sharpness=0.0), lags=[1, 8])
    >>> paths.score_gradient.values.round(12).tolist(), bool(np.isclose(*paths.direct_gradient))
    ([0.0, 0.0], True)
    """
    system, lags = as_system(system, Map), lag_axis(lags)
    steps = int(lags[-1]) + 1
    u = _inputs(system, u, steps, rng)
    if u.ndim != 2 or len(u) < steps:
        raise ShapeError(
            f"u has shape {u.shape}, lags up to {lags[-1]} need at least ({steps}, {system.inputs})"
        )
    x = np.zeros(system.size) if x0 is None else as_state(system, x0, "x0")
    at = (slice(None), len(u) - 1 - lags)
    total = _last_output_by_inputs(system, u, x)[at]
    fixed = _last_output_by_inputs(direct(system), u, x)[at] if attends(system) else total
    return paths_report(
        lags,
        total,
        fixed,
        total - fixed,
        title=f"paths of the gradient through {type(system).__name__}",
        source="Vaswani et al. (2017); Kerg et al. (2020)",
        parameters=describe_system(system),
        seed=rng,
    )


def _inputs(system, u, steps, rng):
    """An input of shape (steps, inputs): the array itself, or white noise of this standard
    deviation."""
    if isinstance(u, (int, float)):
        u = float(u) * np.random.default_rng(rng).standard_normal((steps, system.inputs))
    return as_input(system, u)


def _last_output_by_inputs(system, u, x):
    """d y_T / d u_t, shape (outputs, T, inputs), by torch."""
    import torch

    twin, rows = map_arrays(system, as_tensor), []
    for first in range(0, system.outputs, TOGETHER):
        outputs = torch.arange(first, min(first + TOGETHER, system.outputs))
        given = torch.tensor(
            np.broadcast_to(u, (len(outputs), *u.shape)).copy(), requires_grad=True
        )
        last = twin.run(torch.tensor(np.broadcast_to(x, (len(outputs), x.size)).copy()), given)[0][
            :, -1
        ]
        rows.append(torch.autograd.grad(last[torch.arange(len(outputs)), outputs].sum(), given)[0])
    return torch.cat(rows).numpy()


def paths_report(lags, total, fixed, scores, *, title, source, parameters, seed=None, **variables):
    """Dataset of the norms of gradients (outputs, lags, inputs): all, the direct part, the part
    through the scores."""
    parts = {
        "total": (total, "all paths"),
        "direct": (fixed, "the values alone"),
        "score": (scores, "the scores alone"),
    }
    made = {
        f"{name}_gradient": (
            "lag",
            np.sqrt((part**2).sum((0, 2)) / part.shape[2]),
            "1",
            f"|d y_T / d u_(T-lag)| by {text}",
        )
        for name, (part, text) in parts.items()
    }
    return dataset(
        made | variables,
        {"lag": ("lag", lags, "step", "lag")},
        title=title,
        source=source,
        parameters=parameters,
        seed=seed,
    )


def attention_dilution(system, u=1.0, *, steps=None, rng=0):
    """How thinly attention spreads: largest weight, entropy and effective number of slots, at each
    step from the empty cache.

    entropy = -sum_j alpha_j ln alpha_j; effective_slots = exp(entropy), the number of slots of
    equal weight with that entropy.

    system: an Attention; u: an array (steps, N), or the standard deviation of white noise over
    ``steps`` steps (the window). Returns largest_weight(step, head), entropy(step, head),
    effective_slots(step, head). Raises TypeError for any other system.

    >>> import dynmem as dm
    >>> attention_dilution(dm.models.Attention.random(4, 4, window=8, sharpness=0.0)).largest_weight[:, 0].values[[0, 1, 7]].round(6).tolist()
    [1.0, 0.5, 0.125]
    """
    if not isinstance(system, Attention):
        raise TypeError(
            "attention_dilution looks at the weights of one Attention, got "
            f"{type(system).__name__}: pass the mixer of a block, "
            "system.layers[i].mixer"
        )
    u = _inputs(system, u, system.window if steps is None else integer("steps", steps, 1), rng)
    if u.ndim != 2:
        raise ShapeError(f"u has shape {u.shape}: pass one sequence (steps, {system.inputs})")
    weights = system.weights(trajectory(system, system.initial(), len(u), u)[1:], u)
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
        parameters=describe_system(system),
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


def path_length(system, *, lags, transient=None, rng=0):
    """Steps that the shortest gradient path takes from the input u_(T-lag) to the output y_T;
    infinite where none leads there.

    A step is a row of the Jacobian of the rule or the output that computes: one that only copies a
    component, as a shift register does, is free, and so is entering. Attention takes 1 whatever the
    lag, a recurrence lag, dilated convolutions the number of layers that must jump (Vaswani et al.
    2017, table 1); a readout of a recurrent state takes one more. Which entries of the Jacobians
    are zero is looked up at states on a noisy orbit, after ``transient`` steps (the number of the
    lag, so that every cache is filled).

    Returns path_length(lag). For systems whose state has at most a few thousand components.

    >>> import dynmem as dm
    >>> path_length(dm.models.Tanh.random(3, 2), lags=[0, 1, 7]).path_length.values.tolist()
    [0.0, 1.0, 7.0]
    >>> path_length(dm.models.Attention.random(2, 2, window=6), lags=[0, 1, 5, 6]).path_length.values.tolist()
    [0.0, 1.0, 1.0, inf]
    """
    system, lags = as_system(system, Map), lag_axis(lags)
    if not system.inputs:
        raise ShapeError(f"{type(system).__name__} takes no input: a path begins at one")
    longest = int(lags[-1])
    noise = _inputs(
        system,
        1.0,
        (longest if transient is None else integer("transient", transient, 0)) + GENERIC + 1,
        rng,
    )
    states = trajectory(system, system.initial(rng), len(noise), noise)
    A, B, C, D = (
        _support(system, states, noise, wrt, of)
        for of in ("state", "output")
        for wrt in ("state", "input")
    )
    cost, seen = _steps(A, B), _steps(C, D)
    distance = _nearest(C, seen)  # of each component of x_T from y_T
    found = [0.0 if D.any() else _nearest(B, distance).min(initial=np.inf)]
    for _ in range(longest):
        distance = _nearest(A, distance + cost)
        found.append(_nearest(B, distance).min(initial=np.inf))
    return dataset(
        {
            "path_length": (
                "lag",
                np.array(found)[lags],
                "step",
                "steps of the shortest gradient path",
            )
        },
        {"lag": ("lag", lags, "step", "lag")},
        title=f"path length of {type(system).__name__}",
        source="Vaswani et al. (2017), section 4",
        parameters=describe_system(system),
        seed=rng,
    )


def _support(system, states, noise, wrt, of):
    """A Jacobian whose entries are zero only where they are at each of the last states."""
    support = 0.0
    for i in range(GENERIC):
        found = jacobian(system, states[-1 - i - (of == "state")], noise[-1 - i], wrt=wrt, of=of)
        support = np.where(found != 0, found, support)
    return support


def _steps(*parts):
    """Cost of each row: 0 where it is a copy of one component, 1 where it computes."""
    row = np.concatenate(parts, axis=1)
    return 1.0 - ((np.count_nonzero(row, axis=1) == 1) & (row.sum(axis=1) == 1.0))


def _nearest(matrix, distance):
    """For each column the least distance among the rows that it reaches."""
    return np.where(matrix != 0, distance[:, None], np.inf).min(axis=0)
