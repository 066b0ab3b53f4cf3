"""Errors of rates of growth: a frame that has not turned, drifts, and what the error covers."""

import warnings

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis.convergence import certainty, turning_bias, unknown_bias


def slow(name, rng):
    options = {"modes": 16, "r_min": 0.9, "r_max": 0.999} if name == "lru" else {"modes": 8}
    network = dm.models.get(name, units=2, inputs=2, rng=rng, **options)
    return getattr(network, "layers", [network])[-1]


@pytest.mark.parametrize("exponents", [None, 1])
@pytest.mark.parametrize("name", ["lru", "s4d", "s5"])
def test_a_frame_that_still_turns_has_not_converged(name, exponents):
    """Time scales of hundreds of steps, a transient of a hundred: the exponents are off by the
    turning, which the error covers, and the run says so."""
    off, wrong, converged = [], [], []
    for rng in range(6):
        cell = slow(name, rng)
        truth = dm.theory.lyapunov_spectrum(cell).lyapunov.values[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dm.errors.ShortRunWarning)
            found = dm.lyapunov_spectrum(cell, duration=1000, exponents=exponents, rng=rng)
        off.append(abs(found.lyapunov.values[0] - truth) / found.lyapunov_error.values[0])
        converged.append(bool(found.converged))
        wrong.append(abs(found.lyapunov.values[0] / truth - 1))
    off = np.array(off)
    assert off.max() < 4 and (off < 3).mean() > 0.8 and (off[converged] < 2).all()
    if exponents is None:
        assert (np.array(wrong)[converged] < 0.01).all()


def test_a_long_transient_turns_the_frame():
    cell = slow("lru", 0)
    found = dm.lyapunov_spectrum(cell, duration=1000, transient=40_000, exponents=2)
    truth = dm.theory.lyapunov_spectrum(cell).lyapunov.values[:2]
    np.testing.assert_allclose(found.lyapunov, truth, atol=1e-5)
    assert found.converged


def test_turning_of_two_directions_in_closed_form():
    """1/2 ln((1 + exp(-2 gap t)) / (1 + exp(-2 gap (t + T)))) / T."""
    gap, transient, duration = 0.01, 20.0, 100.0
    shares = [np.log1p(np.exp(-2 * gap * t)) for t in (transient, transient + duration)]
    expected = 0.5 * (shares[0] - shares[1]) / duration
    bias = turning_bias(np.array([-0.1, -0.11]), transient, duration)
    np.testing.assert_allclose(bias, [expected, expected])
    # equal exponents, and those of a dead direction, bias nothing
    np.testing.assert_allclose(turning_bias(np.zeros(3), 10.0, 100.0), 0.0, atol=1e-12)
    np.testing.assert_allclose(turning_bias(np.array([-0.1, -np.inf]), 10.0, 100.0), 0.0)
    assert 1 / 100.0 < unknown_bias(50, 10.0, 100.0) < 0.5 * np.log(51) / 100.0


def test_a_bias_that_falls_as_1_over_t_is_covered():
    t = np.arange(100, 1100)
    error, settled = certainty(np.ones(1000), (-0.1 + 2.0 / t)[:, None])
    assert not settled and abs((2.0 / t).mean()) < 1.2 * error[0]


def test_noise_alone_is_not_widened():
    rng, off = np.random.default_rng(0), []
    for _ in range(400):
        error, settled = certainty(np.ones(500), rng.standard_normal((500, 1)), 0.0, 2.0 / 500)
        assert np.isfinite(error).all()
        off.append(settled[0])
    assert np.mean(off) > 0.98
