"""Competing populations and one neuron: published states, simulation, and the folds."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory
from dynmem.orbits import trajectory
from dynmem.systems import WongWang


def test_wong_and_wang():
    """Equations of Wong and Wang (2006), J. Neurosci. 26, 1314: three stable states, two saddles;
    eigenvalues -5.12, -8.33."""
    found = theory.wong_wang(WongWang())
    assert found.memories == 3 and found.stable.values.tolist() == [True, False, True, False, True]
    np.testing.assert_allclose(found.x[2], [0.1027, 0.1027], atol=1e-4)
    np.testing.assert_allclose(found.x[4], [0.5670, 0.0319], atol=1e-4)
    np.testing.assert_allclose(found.eigenvalue_real[4], [-5.12, -8.33], atol=5e-3)
    assert np.abs(dm.systems.get("wong_wang").rule(found.x.values, None)).max() < 1e-11


@pytest.mark.parametrize(
    ("background", "memories", "points"), [(0.31, 1, 1), (0.34, 2, 3), (0.35, 3, 5), (0.4, 1, 1)]
)
def test_the_states_come_and_go_with_the_background(background, memories, points):
    found = theory.wong_wang(WongWang(background=background))
    assert (int(found.memories), found.sizes["point"]) == (memories, points)
    starts = np.random.default_rng(0).uniform(0, 0.8, (40, 2))
    ends = trajectory(
        dm.FlowMap(dm.systems.get("wong_wang", background=background), 0.01),
        starts,
        3000,
        np.zeros(2),
    )[-1]
    stable = found.x.values[found.stable.values]
    near = np.abs(ends[:, None] - stable).max(-1).argmin(1)
    assert np.abs(ends - stable[near]).max() < 1e-6


def test_folds_of_one_neuron():
    """At a fold the slope of y - w sigma(y) vanishes; w = 6: from Beer's formula (1995)."""
    found = theory.ctrnn_bistability([5.0, 9.0], bias=0.3)
    for w, low, high in zip(
        (5.0, 9.0), found.input_low.values, found.input_high.values, strict=True
    ):
        for current, sign in ((low, 1), (high, -1)):
            s = (1 + sign * np.sqrt(1 - 4 / w)) / 2
            assert np.isclose(np.log(s / (1 - s)) - 0.3 - w * s, current)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (
            lambda: theory.wong_wang(WongWang(cross_coupling=0.0)),
            ValueError,
            "cross_coupling = 0",
        ),
        (lambda: theory.wong_wang(WongWang(background=np.nan)), ValueError, "background = nan"),
        (lambda: theory.ctrnn_bistability(4.0), ValueError, r"weight = \[4.0\]"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
