"""Tails of kernels: shapes made by hand, linear systems, then what the lags cannot decide, then bad
input."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import gradient_norms, gradient_profile, kernel_tail
from dynmem.errors import NotFiniteError
from dynmem.models import Linear, Tanh


@pytest.mark.parametrize("factor", [0.5, 0.9, 0.99, -0.9])
def test_exponentials(factor):
    """Rate -ln |f|, also where 0.5^lag leaves doubles at lag 1074."""
    found = kernel_tail(dm.LinearSystem(np.array([[factor]]), np.ones((1, 1)), dt=1.0), lags=2000)
    assert (
        found.law == "exponential"
        and found.rate == pytest.approx(-np.log(abs(factor)), rel=1e-6)
        and found.support == np.inf
    )
    assert (
        found.time_constant == pytest.approx(-1 / np.log(abs(factor)), rel=1e-6)
        and found.misfit_exponential < 1e-3 < found.misfit_power
    )


@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
def test_power_laws(power):
    found = kernel_tail(np.arange(1.0, 1001.0) ** -power, min_lag=100)
    assert (
        found.law == "power law"
        and found.power == pytest.approx(power, rel=0.01)
        and found.max_lag == 999
    )
    assert found.misfit_power < 0.01 * power


def test_an_oscillation_is_seen_by_its_peaks():
    """0.99^j cos(0.3 j) passes through zero at each half turn; the envelope is what falls. So does
    a power law that oscillates."""
    lag = np.arange(1, 1001)
    found = kernel_tail(0.99**lag * np.cos(0.3 * lag))
    assert found.law == "exponential" and found.rate == pytest.approx(-np.log(0.99), rel=0.01)
    found = kernel_tail(lag**-1.5 * np.cos(0.3 * lag))
    assert found.law == "power law" and found.power == pytest.approx(1.5, abs=0.03)
    turn = 0.98 * np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    found = kernel_tail(dm.LinearSystem(turn, np.eye(2)[:, :1], np.eye(2)[:1], dt=1.0), lags=600)
    assert found.law == "exponential" and found.rate == pytest.approx(-np.log(0.98), rel=0.01)


def test_the_slowest_mode_of_several_inputs_and_outputs():
    cell = Linear.random(8, 3, rng=2, gain=0.9)
    radius = dm.spectral_radius(cell.W)
    found = kernel_tail(dm.linearize(cell, np.zeros(8)), lags=600, min_lag=100)
    assert found.law == "exponential" and found.rate == pytest.approx(-np.log(radius), rel=5e-3)


def test_kernels_that_end():
    shift = dm.LinearSystem(np.diag(np.ones(4), -1), np.eye(5)[:, :1], dt=1.0)
    found = kernel_tail(shift, lags=50)
    assert found.law == "finite" and found.support == 5 and found.max_lag == 4
    found = kernel_tail(Linear(shift.A, shift.B), lags=50)
    assert found.law == "finite" and found.support == 5
    assert kernel_tail(np.zeros(20)).support == 0


def test_what_does_not_fall():
    found = kernel_tail(np.ones(200))
    assert (
        found.law == "none"
        and abs(found.rate) < 1e-12
        and kernel_tail(1.01 ** np.arange(300)).time_constant == np.inf
    )


def test_many_exponentials_are_a_power_law_up_to_the_longest():
    """The integral of exp(-j/tau)/tau^2 over tau is (1 - exp(-j/tau_max))/j: a power up to tau_max;
    far beyond it the slowest alone."""
    tau = np.geomspace(1, 1e5, 4000)
    kernel = lambda lag: (np.exp(-lag[:, None] / tau) / tau).sum(axis=1)  # noqa: E731
    found = kernel_tail(kernel(np.arange(1, 2001)), min_lag=50)
    assert found.law == "power law" and found.power == pytest.approx(1, abs=0.02)
    tau = np.geomspace(1, 20, 400)
    assert kernel_tail(kernel(np.arange(1, 2001)), min_lag=200).law == "exponential"


def test_noise_is_undecided():
    """A fall of one part in five under noise of a tenth: neither law foretells the rest better."""
    lag, rng = np.arange(1, 201), np.random.default_rng(0)
    found = [
        kernel_tail(np.exp(-0.001 * lag + 0.1 * rng.standard_normal(200))).law.item()
        for _ in range(10)
    ]
    assert found.count("undecided") >= 9


def test_of_models_and_profiles():
    cell = Tanh.random(20, 2, rng=0, gain=0.8)
    by_model = kernel_tail(cell, drive=0.3, lags=300, probes=20, rng=1)
    profile = gradient_profile(cell, drive=0.3, lags=300, probes=20, rng=1)
    exact = gradient_norms(cell, drive=0.3, lags=300, rng=1)
    assert by_model.identical(kernel_tail(profile)) and by_model.law == "exponential"
    assert by_model.rate == pytest.approx(kernel_tail(exact, of="state").rate.item(), rel=0.05)
    assert by_model.rate.attrs["units"] == "1/step"


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: kernel_tail(0.9 ** np.arange(5)), ValueError, "only 4 lags from 1 on"),
        (
            lambda: kernel_tail(0.9 ** np.arange(50), min_lag=48),
            ValueError,
            "only 2 lags from 48 on",
        ),
        (lambda: kernel_tail(np.full(50, np.nan)), NotFiniteError, "finite numbers"),
        (lambda: kernel_tail(["a"] * 50), NotFiniteError, "finite numbers"),
        (
            lambda: kernel_tail(dm.LinearSystem(0.5 * np.eye(1), np.ones((1, 1)), dt=1.0)),
            ValueError,
            "needs lags",
        ),
        (
            lambda: kernel_tail(dm.LinearSystem(-np.eye(1), np.ones((1, 1))), lags=20),
            ValueError,
            "call discretise",
        ),
        (
            lambda: kernel_tail(gradient_norms(Tanh.random(2), lags=20)),
            ValueError,
            "has no log_input_gradient",
        ),
        (lambda: kernel_tail(Tanh.random(2, 1)), ValueError, "the tail of Tanh needs lags"),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
