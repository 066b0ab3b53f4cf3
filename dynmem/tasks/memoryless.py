"""The least loss without a memory: regressions of the answer on the present input and the step.

Each is fitted on training rows and judged on others. A row is one scored step of one sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..runtime.threads import one_thread
from .losses import LOSSES, RIGHT

MAX_ROWS, MAX_JUDGED = 6000, 4000  # that a regression is fitted on and judged by, drawn at random
MAX_NUMBERS = 10_000_000  # answers, or counts in a table, held at once
MAX_TABLE_SHARE = 0.1  # different inputs, of all rows, up to which they are symbols
MAX_STEPS_APART = 64  # steps up to which each has an intercept of its own
FEATURES = 200  # cosines of a regression that is not linear
WIDTHS = (0.3, 1.0, 3.0)  # of their kernels, in standard deviations times the root of the inputs
NEIGHBOURS = 64
MAX_NEIGHBOUR_INPUTS = 6  # more leave no row near another: 6000 in 9 dimensions, 0.4 apart
PENALTIES = (1e-6, 1e-3, 1e-1)  # on weights, for standardised features and the mean loss
PRIORS = (0.5, 4.0, 32.0)  # rows that the mean of all counts for in a table
MAX_LOGIT_WEIGHTS = 20_000  # of a regression that is solved step by step
LOGIT_PENALTIES, LOGIT_STEPS = (1e-2, 1e-4, 1e-7), 50
LOGIT_WORK = 3e6  # rows times weights of such a regression: 3 ms a step
# What more rows would still gain, as a share of what the last three quarters of them gained: a
# third where the excess falls as 1/rows, for a number of weights; twice where it falls as
# 1/rows^0.3, for neighbours.
CONSTANT, NEAR = "the best constant", "the mean over neighbours"
GAIN, GAINS = 1.0 / 3.0, {NEAR: 2.0}


Answers: TypeAlias = Callable[[], Iterable[np.ndarray]]


class Rows(NamedTuple):
    """Present inputs (rows, k) or symbols (rows,), steps (rows,) and answers (rows,) or (rows,
    outputs)."""

    inputs: np.ndarray
    steps: np.ndarray
    targets: np.ndarray


class Memoryless(NamedTuple):
    """Least loss without a memory, the largest share of right answers, and which answer reaches the
    loss."""

    loss: float
    accuracy: float
    answer: str


def rows_of(inputs: np.ndarray, targets: np.ndarray, scored: np.ndarray) -> Rows:
    """Rows of sequences (count, steps, ...) at the scored steps, marks (steps,) or (count,
    steps)."""
    scored = np.broadcast_to(np.asarray(scored, bool), targets.shape[:2])
    return Rows(inputs[scored], np.nonzero(scored)[1], targets[scored])


def best_without_memory(folds: Sequence[tuple[Rows, Rows]], loss: str, outputs: int) -> Memoryless:
    """The least mean loss on held-out rows of a predictor that reads the present input and the
    step, over folds of (training rows, held-out rows), and the answer that reaches it.

    Answers: the mean, of all rows and of each step; the mean of each input, where few inputs occur
    (alone, and at each step); otherwise regressions, linear (also with an intercept or all weights
    for each step) and on random cosines (Rahimi and Recht 2007, NIPS), and the mean over
    neighbours. The best of them is fitted on a quarter of the rows too, and its loss is the one
    that it tends to with more rows. The best constant is that of all rows, measured on all, so that
    no noise of a fit raises the floor above it.
    """
    found: dict[tuple[str, int], list] = {}
    cut, kind = [_prepared(*fold, outputs) for fold in folds], (loss, outputs)
    with one_thread():
        for fold, (training, judged) in zip(folds, cut, strict=True):
            found.setdefault((CONSTANT, 0), []).append(_constant(*fold, loss, outputs))
            for key, score in _scores(training, judged, *kind).items():
                found.setdefault(key, []).append(score)
        means = {key: np.mean(each, 0) for key, each in found.items() if len(each) == len(folds)}
        best = min(means, key=lambda key: means[key][0])
        reached, right = float(means[best][0]), float(max(share for _, share in means.values()))
        if best[0] != CONSTANT:
            fewer = [
                _scores(_thinned(training, -(-len(training.steps) // 4)), judged, *kind, best[0])
                for training, judged in cut
            ]
            before = np.mean([scores[best][0] for scores in fewer if best in scores] or [reached])
            gain = GAINS.get(best[0], GAIN) * max(0.0, float(before) - reached)
            reached = max(0.0, reached - gain)
    return Memoryless(reached, right, best[0])


def _prepared(training, held_out, outputs) -> tuple[Rows, Rows]:
    """Training rows, few where the inputs are no symbols, and rows to judge by."""
    training, held_out = as_symbols(training, held_out)
    if training.inputs.ndim == 2:
        training = _thinned(training, _most(MAX_ROWS, outputs))
    return training, _thinned(held_out, _most(MAX_JUDGED, outputs))


def _scores(
    training: Rows, judged: Rows, loss: str, outputs: int, only: str | None = None
) -> dict[tuple[str, int], tuple[float, float]]:
    """Loss and share of right answers, by the name of an answer and its number among its kind."""
    return {
        (name, i): _score(loss, answers, judged.targets)
        for name, make in _answers(training, judged, loss, outputs).items()
        if only in (None, name)
        for i, answers in enumerate(make())
    }


def as_symbols(*parts: Rows) -> tuple[Rows, ...]:
    """The rows with inputs that are few different vectors, bits say, numbered as symbols."""
    if parts[0].inputs.ndim == 1:
        return parts
    inputs = np.concatenate([part.inputs for part in parts])
    sample = inputs[:: max(1, len(inputs) // 2000)]
    if len(np.unique(sample, axis=0)) > 0.5 * len(sample):
        return parts
    known, index = np.unique(inputs, axis=0, return_inverse=True)
    if len(known) > MAX_TABLE_SHARE * len(inputs):
        return parts
    ends = np.cumsum([len(part.inputs) for part in parts])[:-1]
    pieces = np.split(index.ravel(), ends)
    return tuple(part._replace(inputs=own) for part, own in zip(parts, pieces, strict=True))


def _score(loss: str, answers: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    right = RIGHT[loss](np.broadcast_to(answers, (len(targets), answers.shape[-1])), targets)
    return float(LOSSES[loss](answers, targets).mean()), float(np.mean(right))


def _constant(training, held_out, loss, outputs) -> tuple[float, float]:
    """Loss of the best constant answer on all rows, and its share of right ones."""
    targets = np.concatenate((training.targets, held_out.targets))
    if loss == "cross_entropy":
        shares = np.bincount(targets, minlength=outputs)[None] / len(targets)
    else:
        shares = targets.mean(0, keepdims=True)
    return _score(loss, _as_outputs(shares, loss), targets)


def _answers(training: Rows, judged: Rows, loss: str, outputs: int) -> dict[str, Answers]:
    """Functions that return outputs (rows, outputs) of a kind of answers that vary, by its name."""
    steps = int(max(training.steps.max(), judged.steps.max())) + 1
    groups = {"the mean of each step": (training.steps, judged.steps, steps)} if steps > 1 else {}
    if training.inputs.ndim == 1:
        count = int(max(training.inputs.max(), judged.inputs.max())) + 1
        groups["the mean of each input"] = (training.inputs, judged.inputs, count)
        if steps > 1:
            both = [rows.inputs * steps + rows.steps for rows in (training, judged)]
            groups["the mean of each input at each step"] = (*both, count * steps)
    tables: dict[str, Answers] = {
        name: partial(_table_answers, training.targets, *group, loss, outputs)
        for name, group in groups.items()
        if group[2] * outputs <= MAX_NUMBERS
    }
    if training.inputs.ndim == 1:
        return tables
    return tables | _regressions(training, judged, steps, loss, outputs)


def _table_answers(targets, own, asked, count, loss, outputs):
    """Means of groups, as if a few more rows of each had the mean of all."""
    if loss == "cross_entropy":
        total = np.bincount(own * outputs + targets, minlength=count * outputs)
        total = total.reshape(count, outputs).astype(float)
    else:
        total = np.stack([np.bincount(own, y, minlength=count) for y in targets.T], axis=1)
    members = np.bincount(own, minlength=count)[:, None]
    mean = total.sum(0) / len(targets)
    for prior in PRIORS:
        table = (total + prior * mean) / (members + prior)
        yield _as_outputs(table, loss)[asked]


def _regressions(
    training: Rows, judged: Rows, steps: int, loss: str, outputs: int
) -> dict[str, Answers]:
    """The same of regressions on vectors, standardised."""
    middle, spread = training.inputs.mean(0), training.inputs.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    parts = training, judged
    pair = tuple((rows.inputs - middle) / spread for rows in parts)
    values = loss == "mean_squared_error"
    fit = partial(
        _least_squares if values else _logits, targets=training.targets, loss=loss, outputs=outputs
    )
    near = partial(_neighbours, targets=training.targets, loss=loss, outputs=outputs)
    found: dict[str, Answers] = {"a linear regression": partial(fit, *pair)}
    inputs = [pair]
    if steps > 1:
        marked = min(steps, MAX_STEPS_APART)
        marks = [np.eye(marked)[rows.steps * marked // steps] for rows in parts]
        both = (np.hstack(each) for each in zip(pair, marks, strict=True))
        found["a linear regression with a mean for each step"] = partial(fit, *both)
        scaled = [(2.0 * rows.steps / (steps - 1) - 1.0)[:, None] for rows in parts]
        inputs.append(tuple(np.hstack(each) for each in zip(pair, scaled, strict=True)))
        if values:
            found["a linear regression for each step"] = partial(
                _at_each_step, training, judged, steps, *pair
            )
    found["a regression that is not linear"] = lambda: chain.from_iterable(
        fit(*(np.hstack((u, cosines(u))) for u in inputs[-1]))
        for width in (WIDTHS if values else WIDTHS[1:2])
        for cosines in [_cosines(inputs[-1][0].shape[1], width)]
    )
    if pair[0].shape[1] <= MAX_NEIGHBOUR_INPUTS:
        found[NEAR] = lambda: chain.from_iterable(near(*each) for each in inputs)
    return found


def _cosines(inputs: int, width: float) -> Callable[[np.ndarray], np.ndarray]:
    """Random features whose products are a Gaussian kernel."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((inputs, FEATURES)) / (width * np.sqrt(inputs))
    phase = rng.uniform(0.0, 2.0 * np.pi, FEATURES)
    return lambda u: np.cos(u @ W + phase)


def _least_squares(u, asked, targets, loss, outputs):
    """Values of ridge regressions."""
    middle, centre = u.mean(0), targets.mean(0)
    apart = u - middle
    size, Q = np.linalg.eigh(apart.T @ apart / len(u))
    projected = Q.T @ (apart.T @ (targets - centre)) / len(u)
    turned = (asked - middle) @ Q
    for penalty in PENALTIES:
        yield centre + turned @ (projected / (np.maximum(size, 0.0) + penalty)[:, None])


def _at_each_step(training, judged, steps, u, asked):
    """Values of a ridge regression for each step, where it has rows enough."""
    k = u.shape[1] + 1
    if np.bincount(training.steps, minlength=steps).min() < 4 * k or steps * k * k > MAX_NUMBERS:
        return
    ones, own = (
        np.hstack((np.ones((len(u), 1)), u)),
        np.empty((len(asked), training.targets.shape[1])),
    )
    for step in range(steps):
        here, there = training.steps == step, judged.steps == step
        H = ones[here]
        W = np.linalg.solve(
            H.T @ H + PENALTIES[0] * len(H) * np.eye(k), H.T @ training.targets[here]
        )
        own[there] = W[0] + asked[there] @ W[1:]
    yield own


def _logits(u, asked, targets, loss, outputs):
    """Logits of classes or bits, by the regression that minimises their loss."""
    from scipy.optimize import minimize
    from scipy.special import expit, log_softmax

    weights = (u.shape[1] + 1) * outputs
    if weights > MAX_LOGIT_WEIGHTS:
        return
    stride = max(1, int(len(u) * weights / LOGIT_WORK))
    H = np.hstack((np.ones((len(u[::stride]), 1)), u[::stride]))
    wanted = _one_hot(targets[::stride], loss, outputs)
    scale = 1.0 / (len(H) * (1 if loss == "cross_entropy" else outputs))

    def cost(flat: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
        W = flat.reshape(-1, outputs)
        z = H @ W
        if loss == "cross_entropy":
            logs = log_softmax(z, axis=1)
            total, shares = -np.sum(wanted * logs), np.exp(logs)
        else:
            total, shares = np.sum(np.logaddexp(0.0, z) - wanted * z), expit(z)
        slope = H.T @ (shares - wanted) * scale + penalty * W
        return scale * total + 0.5 * penalty * np.sum(W**2), slope.ravel()

    start = np.zeros(weights)
    for penalty in LOGIT_PENALTIES:  # from the easy problem to the others
        options: Any = {"maxiter": LOGIT_STEPS}
        start = minimize(cost, start, (penalty,), "L-BFGS-B", jac=True, options=options).x
        W = start.reshape(-1, outputs)
        yield W[0] + asked @ W[1:]


def _neighbours(u, asked, targets, loss, outputs):
    """Means over the 1, 2, 4 ... 64 nearest rows."""
    from scipy.spatial import cKDTree

    wanted = _one_hot(targets, loss, outputs)
    count = min(NEIGHBOURS, len(u))
    _, index = cKDTree(u).query(asked, count)
    index = index.reshape(len(asked), count)
    for near in (1, 2, 4, 8, 16, 32, 64):
        if near <= count:
            total = sum(wanted[index[:, i]] for i in range(near))
            prior = 0.0 if loss == "mean_squared_error" else 1.0
            yield _as_outputs((total + prior * wanted.mean(0)) / (near + prior), loss)


def _one_hot(targets, loss, outputs):
    """Targets whose mean over rows is the answer: shares of classes, shares of ones, or values."""
    if loss == "cross_entropy":
        return np.eye(outputs)[targets]
    return np.asarray(targets, float)


def _as_outputs(means, loss):
    """Outputs that answer means: logits of shares, or values."""
    if loss == "mean_squared_error":
        return means
    with np.errstate(divide="ignore"):
        small = np.log(np.maximum(means, 1e-12))
        return small if loss == "cross_entropy" else small - np.log(np.maximum(1.0 - means, 1e-12))


def _most(rows: int, outputs: int) -> int:
    """As many rows, or as few as have answers that fit."""
    return max(200, min(rows, MAX_NUMBERS // outputs))


def _thinned(rows: Rows, most: int) -> Rows:
    """At most so many rows, drawn at random."""
    if len(rows.targets) <= most:
        return rows
    # not every n-th: steps follow each other, and some would be left out
    chosen = np.random.default_rng(0).choice(len(rows.targets), most, replace=False)
    return Rows(*(part[chosen] for part in rows))
