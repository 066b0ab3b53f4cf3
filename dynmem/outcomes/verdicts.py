"""Judge predictions by outcomes: intervals, order, rank correlation, with errors."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.gradients.memory_horizon import student_factor
from ..labels import dataset
from ..tasks import Task
from ..theory.conversions import delay_of_lag

if TYPE_CHECKING:
    from xarray import Dataset

FACTOR = 1.5  # within which a prediction counts as near
LEAST_ORDER = 0.75  # share of pairs in the right order, from which a prediction holds in order
RESAMPLED = 2000  # of the bootstrap over models
TAIL = 0.025
LEAST_MODELS = 3  # of a rank correlation
PREDICTORS = ("predicted delay", "horizon", "time scale")


def judged(points: Dataset, task: Task) -> Dataset:
    """The points of a race with a row for each model, its verdict, and the rank correlations.

    ``task``: whose delays they are, by which horizons become delays.
    """
    shortest, longest = float(points.delay[0]), float(points.delay[-1])
    none = 0.5 * shortest  # stands for a delay below the shortest
    seed = points.seed.size
    predicted = _mean(points.seed_predicted_delay, none, longest)
    low = _mean(points.seed_predicted_delay_lower, none)
    high = _mean(points.seed_predicted_delay_upper, none)
    learned = _mean(points.longest_learned, none, longest)
    scatter = _standard_error(points.longest_learned, none) * student_factor(seed)
    scatter = np.where(np.isnan(scatter), 0.0, scatter)  # one seed has none: the edge alone
    learned_low = learned * np.exp(-scatter)
    learned_high = _mean(points.next_failed, none) * np.exp(scatter)
    in_order = _in_order(predicted, learned, learned_low, learned_high)
    verdict = _verdict((low, high), (learned_low, learned_high), in_order)
    horizon, scale, trained = (
        _median(points[name])
        for name in ("seed_horizon", "theory_time_scale", "seed_trained_horizon")
    )
    text = "geometric mean over seeds"
    rows = {
        "predicted_delay": (predicted, "step", f"predicted delay, {text}"),
        "predicted_delay_lower": (low, "step", "lower end of the prediction, 5 %"),
        "predicted_delay_upper": (high, "step", "upper end of the prediction, 95 %"),
        "learnable_delay": (learned, "step", f"longest delay learned, {text}"),
        "learnable_delay_lower": (learned_low, "step", "that mean less one standard error"),
        "learnable_delay_upper": (learned_high, "step", "next delay that failed, and one more"),
        "limit": (_most_frequent(points.seed_limit), "1", "limit that binds"),
        "time_scale": (scale, "step", "time scale -1/lambda_1 by theory, untrained"),
        "horizon": (horizon, "step", "memory horizon, untrained"),
        "trained_horizon": (trained, "step", "memory horizon, trained"),
        "horizon_of": (_most_frequent(points.seed_horizon_of), "1", "gradient of the horizon"),
        "in_order": (in_order, "1", "share of clear pairs in the right order"),
        "verdict": (verdict, "1", "what becomes of the prediction"),
        **{
            name: (_median(points[f"seed_{name}"]), "1", points[f"seed_{name}"].attrs["long_name"])
            for name in ("units", "parameters", "state_size")
        },
    }
    as_delays = [predicted, *(delay_of_lag(task, _known(lag)) for lag in (horizon, scale))]
    as_delays[1:] = [
        np.where(np.isnan(lag), np.nan, np.clip(found, none, longest))
        for lag, found in zip((horizon, scale), as_delays[1:], strict=True)
    ]
    scores = [_scores(one, learned, longest) for one in as_delays]
    names = ("rank_correlation", "share_within")
    score_rows: dict[str, tuple] = {
        f"{name}{end}": ("predictor", [s[name][i] for s in scores], "1", f"{text}{where}")
        for name, text in zip(
            names, ("rank correlation", f"share within a factor of {FACTOR}"), strict=True
        )
        for i, (end, where) in enumerate(
            (("", ""), ("_lower", ", lower end, 2.5 %"), ("_upper", ", upper end, 97.5 %"))
        )
    }
    score_rows["compared"] = (
        "predictor",
        [s["compared"] for s in scores],
        "1",
        "models with a number",
    )
    made = dataset(
        {name: ("model", *row) for name, row in rows.items()} | score_rows,
        {"predictor": ("predictor", list(PREDICTORS), "1", "what predicts")},
        title=f"predicted and learnable delays on the {task.title}",
        source=str(points.attrs.get("source", "")),
        parameters=_parameters(points, task),
    )
    found = points.merge(made)
    found.attrs = {**points.attrs, **made.attrs}
    return found


def _parameters(points, task):
    known = json.loads(points.attrs.get("parameters", "{}"))
    return known | {k: v for k, v in task.parameters.items() if k != task.delay_option}


def _known(lags):
    """Lags, 0 where there is none: what becomes of them is NaN all the same."""
    return np.where(np.isnan(lags), 0.0, lags)


def _mean(delays: Any, none: float, most: float = math.inf) -> np.ndarray:
    """Geometric mean over seeds (model,), each delay at least ``none``; infinite where one is."""
    values = np.clip(delays.transpose("model", "seed").values, none, most)
    first = values[:, :1]
    with np.errstate(invalid="ignore"):  # equal values give themselves
        mean = first[:, 0] * np.exp(np.log(values / first).mean(1))
    return np.where(np.isinf(values).any(1) & ~np.isnan(values).any(1), np.inf, mean)


def _standard_error(delays, none):
    """Standard error of the mean logarithm over seeds, NaN for one."""
    values = np.log(np.maximum(delays.transpose("model", "seed").values, none))
    count = values.shape[1]
    return values.std(1, ddof=1) / math.sqrt(count) if count > 1 else np.full(len(values), np.nan)


def _median(values: Any) -> np.ndarray:
    """Median over the seeds that have a number, the upper one of two that are infinite; NaN where
    none has."""
    found = []
    for row in values.transpose("model", "seed").values.astype(float):
        row = np.sort(row[~np.isnan(row)])
        if not len(row):
            found.append(np.nan)
            continue
        ends = row[(len(row) - 1) // 2], row[len(row) // 2]
        found.append(ends[0] if ends[0] == ends[1] else 0.5 * (ends[0] + ends[1]))
    return np.array(found)


def _most_frequent(texts):
    rows = texts.transpose("model", "seed").values.tolist()
    return [Counter(filter(None, row)).most_common(1)[0][0] if any(row) else "" for row in rows]


def _in_order(predicted, learned, low, high):
    """For each model, of the others that learned clearly more or less, the share predicted so; a
    tie counts half, NaN where there is no other."""
    shares = []
    for i in range(len(predicted)):
        right = [
            0.5 * (1.0 + np.sign(predicted[j] - predicted[i]) * np.sign(learned[j] - learned[i]))
            for j in range(len(predicted))
            if j != i and (low[j] >= high[i] or low[i] >= high[j])
        ]
        shares.append(np.mean(right) if right else np.nan)
    return np.array(shares)


def _verdict(predicted, learned, in_order):
    found = []
    for low, high, least, most, order in zip(*predicted, *learned, in_order, strict=True):
        if np.isnan([low, high, least, most]).any():
            found.append("undefined")
        elif low <= most and least <= high:
            found.append("holds")
        else:
            found.append("holds in order" if order >= LEAST_ORDER else "fails")
    return found


def _scores(predicted, learned, longest) -> dict[str, Any]:
    """Rank correlation and share within FACTOR, each with a bootstrap interval over models; a bound
    at the longest delay on both sides is near."""
    known = ~(np.isnan(predicted) | np.isnan(learned))
    x, y = np.minimum(predicted[known], longest), learned[known]
    count = len(x)
    near = np.abs(np.log(x / y)) <= math.log(FACTOR) + 1e-12
    draws = np.random.default_rng(0).integers(count, size=(RESAMPLED, count)) if count else None

    def interval(value, sampled):
        sampled = sampled[~np.isnan(sampled)]
        if count < LEAST_MODELS or not len(sampled):
            return value, np.nan, np.nan
        low, high = np.quantile(sampled, [TAIL, 1.0 - TAIL])
        return value, float(low), float(high)

    if draws is None:
        return dict.fromkeys(("rank_correlation", "share_within"), (np.nan,) * 3) | {"compared": 0}
    return {
        "rank_correlation": interval(
            float(rank_correlation(x, y)), rank_correlation(x[draws], y[draws])
        ),
        "share_within": interval(float(near.mean()), near[draws].mean(1)),
        "compared": count,
    }


def rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis; NaN for fewer than three pairs, and where
    one side is constant.

    >>> rank_correlation(np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 9.0])).item()
    0.5
    """
    from scipy.stats import rankdata

    if x.shape[-1] < LEAST_MODELS:
        return np.full(x.shape[:-1], np.nan)
    centred = [r - r.mean(-1, keepdims=True) for r in (rankdata(v, axis=-1) for v in (x, y))]
    squares = [(c * c).sum(-1) for c in centred]
    product, size = (centred[0] * centred[1]).sum(-1), np.sqrt(squares[0] * squares[1])
    return np.divide(product, size, out=np.full(size.shape, np.nan), where=size > 0)
