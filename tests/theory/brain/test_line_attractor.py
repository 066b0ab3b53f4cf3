"""A line attractor in noise: closed forms, and the measured one."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory
from dynmem.analysis import noisy_recall
from dynmem.systems import LineAttractor, Noisy, RingAttractor


def noisy(feedback=1.0, *, time, units=1):
    return theory.line_attractor(
        Noisy(LineAttractor(feedback, units=units), diffusion=0.1), time=time
    )


@pytest.mark.parametrize(("feedback", "tau"), [(0.5, 1.0), (0.9, 1.0), (0.99, 0.1)])
def test_time_constant_of_a_leak(feedback, tau):
    """1/(1 - w) (Seung 1996, PNAS 93, 13339)."""
    found = theory.line_attractor(LineAttractor(feedback, tau), time=tau / (1 - feedback))
    assert np.isclose(found.memory_time, tau / (1 - feedback), rtol=1e-14)
    assert np.isclose(found.mean_readout[0], np.exp(-1), rtol=1e-12)


def test_an_integrator_diffuses_and_a_leak_settles():
    """Variance 2 D t/N at w = 1, D/(N k) at the end of a leak (Uhlenbeck and Ornstein 1930)."""
    assert np.allclose(noisy(units=4, time=[3.0]).variance, 2 * 0.1 * 3 / 4)
    assert np.allclose(noisy(0.5, time=[1e4]).variance, 0.1 / 0.5)
    near, at = (
        noisy(1 - 1e-9, time=[3.0]),
        noisy(time=[3.0]),
    )
    np.testing.assert_allclose(near.variance, at.variance, rtol=1e-7)


@pytest.mark.parametrize(("feedback", "units"), [(1.0, 1), (1.0, 5), (0.8, 2)])
def test_a_measured_line_attractor_agrees(feedback, units):
    line = Noisy(LineAttractor(feedback, units=units), dt=0.2, diffusion=0.01)
    measured = noisy_recall(line, np.ones(units), duration=10, trials=1000, rng=3)
    predicted = theory.line_attractor(line, time=measured.time.values)
    for name in ("variance", "mean_readout", "diffusion"):
        assert (dm.compare(predicted, measured, of=name, sigmas=4.0).verdict == "agree").all()
    spectrum = dm.lyapunov_spectrum(
        LineAttractor(feedback, units=units), duration=30, transient=30, dt=0.1
    )
    np.testing.assert_allclose(spectrum.lyapunov, predicted.lyapunov, atol=1e-6)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: noisy(time=[-1.0]), ValueError, r"time = \[-1.0\]"),
        (lambda: noisy(np.nan, time=[1.0]), ValueError, "feedback = nan"),
        (lambda: theory.line_attractor(RingAttractor(), time=1.0), TypeError, "LineAttractor"),
        (
            lambda: theory.line_attractor(Noisy(LineAttractor(), held=np.ones(1)), time=1.0),
            ValueError,
            "held",
        ),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
