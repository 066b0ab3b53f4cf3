"""Runs that are too short: what they say, how often, and that those which are long enough say
nothing."""

import warnings

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import conditional_exponents, covariant_vectors, parameter_map
from dynmem.analysis.convergence import certainty
from dynmem.errors import ShortRunWarning
from dynmem.study.point import Task

SHORT = {
    "spectrum": lambda: dm.lyapunov_spectrum(dm.systems.get("henon"), duration=8, transient=0),
    "ensemble": lambda: dm.lyapunov_spectrum(
        [dm.systems.get("henon", a=a) for a in (1.2, 1.4)], duration=8, transient=0
    ),
    "networks": lambda: dm.lyapunov_spectrum(
        [dm.models.Tanh.random(70, rng=seed) for seed in range(2)],
        duration=8,
        transient=0,
        exponents=1,
    ),
    "conditional": lambda: conditional_exponents(
        dm.models.Tanh.random(3, 1, rng=0), duration=8, drive=1.0
    ),
    "subsystem": lambda: conditional_exponents(
        dm.systems.get("lorenz63"), responding=["y", "z"], duration=0.2, dt=0.05
    ),
    "map": lambda: parameter_map(
        dm.systems.get("henon"), {"a": [1.2, 1.4, 1e6], "b": [0.3]}, duration=8
    ),
    "diagram": lambda: dm.bifurcation(
        dm.systems.get("henon"), "a", [1.2, 1.4, 3.0], transient=10, samples=8, exponents=1
    ),
    "followed": lambda: dm.bifurcation(
        dm.systems.get("henon"),
        "a",
        [1.2, 1.3],
        transient=10,
        samples=8,
        exponents=1,
        continuation=True,
    ),
}


@pytest.mark.parametrize("name", SHORT)
def test_a_short_run_warns_once_with_advice(name):
    with pytest.warns(ShortRunWarning, match="too short.*pass a longer duration") as seen:
        found = SHORT[name]()
    assert len(seen) == 1 and seen[0].filename == __file__ and not found.converged.all()


def test_a_grid_counts_its_short_runs():
    with pytest.warns(ShortRunWarning, match="2 of 3 runs"):
        found = SHORT["map"]()
    assert (
        found.escaped.values.ravel().tolist() == [False, False, True] and not found.converged.any()
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: dm.lyapunov_spectrum(dm.systems.get("henon"), duration=2000),
        lambda: dm.lyapunov_spectrum(dm.systems.get("lorenz63"), duration=200),
        lambda: dm.lyapunov_spectrum(
            dm.models.Linear(np.diag([1.1, 0.8])), np.zeros(2), duration=100, transient=100
        ),
        lambda: dm.lyapunov_spectrum(dm.models.LSTM(np.zeros((20, 5))), duration=100),
        lambda: dm.lyapunov_spectrum(
            [dm.systems.get("henon", a=a) for a in (1.2, 1.4)], duration=2000
        ),
        lambda: dm.lyapunov_spectrum(dm.systems.get("logistic"), duration=40_000, tolerance=0.02),
        lambda: parameter_map(
            dm.systems.get("logistic"), {"r": [3.2, 3.83, 4.0, 5.0]}, duration=3000
        ),
    ],
)
def test_a_run_that_has_settled_never_warns(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShortRunWarning)
        found = make()
    assert (found.converged | found.lyapunov.isnull().all("exponent")).all()


def test_a_cycle_has_settled():
    """Growth that swings within a period: what the ends of a run cut off is no drift, and is within
    the error."""
    times = np.arange(1, 1001) * 0.5
    for period in (3.3, 6.7, 31.0, 120.0):
        sums = -0.7 * times + 2.0 * np.sin(2.0 * np.pi * times / period)
        growths = np.diff(sums, prepend=0.0)[:, None]
        error, settled = certainty(np.full(1000, 0.5), growths)
        assert settled.all() and abs(growths.sum() / 500.0 + 0.7) < 3.0 * error[0] < 0.1


def test_a_shear_has_not_settled():
    """(x, p) -> (x + p, p): tangents grow as t, the exponents are 0, and a run of length T sees
    ln(T)/T, once with an error of a sixth of it."""
    shear = dm.models.Linear(np.array([[1.0, 1.0], [0.0, 1.0]]))
    found = dm.lyapunov_spectrum(shear, np.zeros(2), duration=2000)
    assert (
        not found.converged
        and (found.lyapunov[0] > 1e-3)
        and (np.abs(found.lyapunov) < 3.0 * found.lyapunov_error).all()
    )
    vectors = covariant_vectors(shear, np.zeros(2), duration=100)
    assert np.isnan(vectors.subspace_angle).all(), (
        "no direction of an integrable system grows or shrinks"
    )


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_false_alarms_are_rare(memory):
    """Of 500 runs of noise with some memory, 3 exponents each, a few at the most drift by chance;
    nearly all that do drift are seen."""
    rng, m = np.random.default_rng(0), 1600
    noise = rng.standard_normal((500, m, 3))
    for t in range(1, m):
        noise[:, t] += memory * noise[:, t - 1]
    _, settled = certainty(np.ones(m), noise)
    assert (~settled.all(axis=-1)).mean() <= 0.005
    drifting = noise + 12.0 / np.sqrt(m) / (1.0 - memory) * (np.arange(m) < m // 2)[:, None]
    assert (~certainty(np.ones(m), drifting)[1].all(axis=-1)).mean() > 0.95


def test_the_points_of_a_study_are_quiet():
    """A study keeps the label of a run; a warning for each point would drown its
    progress."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Task("short", lambda: SHORT["spectrum"]()[["lyapunov"]]).measured({})
