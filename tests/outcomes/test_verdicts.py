"""Verdicts, intervals over seeds, rank correlations."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

import dynmem as dm
from dynmem.labels import dataset
from dynmem.outcomes.verdicts import judged, rank_correlation

TASK = dm.tasks.Copy(symbols=4, length=1, scored="recalled")
DELAYS = [4, 8, 16, 32, 64]
INF = math.inf


def points(**models):
    """Points of a race: for each model lists over seeds, of (predicted, lower, upper) and
    (longest learned, next that failed)."""
    names = list(models)
    predicted = np.array([[row[0] for row in models[name]] for name in names], float)
    outcome = np.array([[row[1] for row in models[name]] for name in names], float)
    dims = ("model", "seed")
    numbers = {
        "seed_predicted_delay": predicted[..., 0],
        "seed_predicted_delay_lower": predicted[..., 1],
        "seed_predicted_delay_upper": predicted[..., 2],
        "longest_learned": outcome[..., 0],
        "next_failed": outcome[..., 1],
    }
    same = np.ones(predicted.shape[:2])
    for name in ("horizon", "trained_horizon", "units", "parameters", "state_size"):
        numbers[f"seed_{name}"] = 10.0 * same
    numbers["theory_time_scale"] = np.nan * same
    texts = np.full(same.shape, "state")
    variables = {name: (dims, values, "step", name) for name, values in numbers.items()}
    variables |= {name: (dims, texts, "1", name) for name in ("seed_limit", "seed_horizon_of")}
    coords = {
        "model": ("model", names, "1", "model"),
        "seed": ("seed", np.arange(same.shape[1]), "1", "seed"),
        "delay": ("delay", DELAYS, "step", "delay"),
    }
    return dataset(variables, coords, title="points", source="made up")


def test_a_prediction_holds_where_the_intervals_meet():
    found = judged(
        points(
            met=[((10, 8, 14), (13, 16))],
            above=[((10, 8, 12), (32, 45))],
            below=[((40, 30, 60), (4, 8))],
            at_the_edge=[((10, 8, 13), (13, 16))],
        ),
        TASK,
    )
    assert found.verdict.values.tolist() == ["holds", "fails", "fails", "holds"]


def test_order_counts_where_the_size_is_wrong():
    found = judged(
        points(a=[((4, 4, 5), (8, 9))], b=[((8, 7, 9), (16, 18))], c=[((16, 14, 18), (32, 36))]),
        TASK,
    )
    assert found.verdict.values.tolist() == ["holds in order"] * 3
    assert found.in_order.values.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("predicted", "verdict"),
    [((64, 40, INF), "holds"), ((64, 64, INF), "holds"), ((20, 10, 30), "fails")],
)
def test_bounds_are_bounds(predicted, verdict):
    found = judged(points(model=[(predicted, (64, INF))]), TASK)
    assert found.learnable_delay_upper.item() == INF
    assert found.verdict.item() == verdict


def test_one_seed_without_an_end_leaves_the_mean_without_one():
    found = judged(points(model=[((9, 8, 10), (32, 45)), ((9, 8, INF), (64, INF))]), TASK)
    assert found.learnable_delay_upper.item() == found.predicted_delay_upper.item() == INF
    assert found.learnable_delay.item() == pytest.approx(math.sqrt(32 * 64))


def test_nothing_learned_is_a_bound_below_the_shortest_delay():
    found = judged(points(right=[((0, 0, 4), (0, 4))], wrong=[((16, 12, 20), (0, 4))]), TASK)
    assert found.learnable_delay.values.tolist() == [2.0, 2.0]
    assert found.verdict.values.tolist() == ["holds", "fails"]


def test_the_interval_widens_with_the_scatter_of_the_seeds():
    one = judged(points(model=[((9, 9, 9), (7, 10)), ((9, 9, 9), (7, 10))]), TASK)
    two = judged(points(model=[((9, 9, 9), (4, 5)), ((9, 9, 9), (16, 20))]), TASK)
    assert one.learnable_delay.item() == one.learnable_delay_lower.item() == 7.0
    assert two.learnable_delay.item() == pytest.approx(8.0)
    # standard error of ln: ln 2, times Student's 1.84 for two seeds
    assert two.learnable_delay_lower.item() == pytest.approx(8.0 * 2.0**-1.837, rel=1e-3)


def test_a_run_that_failed_leaves_the_verdict_undefined():
    found = judged(points(lost=[((math.nan,) * 3, (8, 10))], kept=[((8, 7, 9), (8, 10))]), TASK)
    assert found.verdict.values.tolist() == ["undefined", "holds"]
    assert found.compared.sel(predictor="predicted delay").item() == 1


def test_scores_count_models_and_have_intervals():
    rng = np.random.default_rng(0)
    learned = np.round(np.geomspace(4, 64, 12))
    exact = points(**{f"m{i}": [((d, d, d), (d, d + 1))] for i, d in enumerate(learned)})
    found = judged(exact, TASK).sel(predictor="predicted delay")
    assert found.rank_correlation == found.share_within == 1.0
    noisy = learned * np.exp(rng.standard_normal(12))
    other = points(
        **{
            f"m{i}": [((p, p, p), (d, d + 1))]
            for i, (p, d) in enumerate(zip(noisy, learned, strict=True))
        }
    )
    found = judged(other, TASK).sel(predictor="predicted delay")
    clipped = np.clip(noisy, 2, 64)
    assert found.rank_correlation.item() == pytest.approx(spearmanr(clipped, learned).statistic)
    near = np.abs(np.log(clipped / learned)) <= np.log(1.5)
    assert found.share_within.item() == pytest.approx(near.mean())
    assert found.share_within_lower < found.share_within < found.share_within_upper
    assert found.rank_correlation_lower < found.rank_correlation < found.rank_correlation_upper


def test_horizons_become_delays_before_they_are_scored():
    long = dm.tasks.Copy(symbols=4, length=6, scored="recalled")
    given = points(a=[((8, 8, 8), (4, 5))], b=[((8, 8, 8), (8, 9))], c=[((8, 8, 8), (16, 17))])
    share = judged(given, long).share_within.sel(predictor="horizon").item()
    assert share == pytest.approx(1 / 3)  # lag 10 is delay 4, with six symbols


@pytest.mark.parametrize("seed", range(3))
def test_rank_correlation_is_that_of_scipy(seed):
    x, y = np.random.default_rng(seed).integers(0, 5, (2, 20)).astype(float)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)


def test_no_rank_correlation_of_too_few():
    assert math.isnan(rank_correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    assert math.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
