"""Flows under noise and impulses."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import memory_trace, noisy_recall
from dynmem.errors import ShapeError
from dynmem.systems import (
    Impulses,
    LeakySynapse,
    LineAttractor,
    Noisy,
    WongWang,
)


def test_noise_leaves_the_exponents_of_a_line_attractor_alone():
    noisy = Noisy(LineAttractor(0.9), dt=0.1, diffusion=0.3)
    found = dm.lyapunov_spectrum(noisy, duration=50, transient=10, drive=1.0)
    np.testing.assert_allclose(found.lyapunov, [-0.1], atol=1e-9)


def test_the_stationary_variance_of_a_noisy_leak():
    """Strang's splitting: (D/k) k dt/sinh(k dt), from the recurrence of the variance of a linear
    map."""
    dt, D = 0.5, 0.2
    noisy = Noisy(LineAttractor(0.0), dt=dt, diffusion=D)
    growth, kick = (
        dm.jacobian(noisy, np.zeros(1), np.zeros(1), wrt=wrt)[0, 0] for wrt in ("state", "input")
    )
    # Runge-Kutta of order 4 at dt/2
    np.testing.assert_allclose(kick**2 / (1 - growth**2), D * dt / np.sinh(dt), rtol=1e-3)
    fine = Noisy(LineAttractor(0.0), dt=0.01, diffusion=D)
    growth, kick = (
        dm.jacobian(fine, np.zeros(1), np.zeros(1), wrt=wrt)[0, 0] for wrt in ("state", "input")
    )
    np.testing.assert_allclose(kick**2 / (1 - growth**2), D, rtol=2e-5)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Noisy(WongWang(), dt=0.0), ValueError),
        (lambda: Noisy(WongWang(), diffusion=-1.0), ValueError),
        (lambda: Noisy(WongWang(), held=np.zeros(3)), ShapeError),
        (lambda: Noisy(LeakySynapse()), TypeError),
        (lambda: Impulses(dm.systems.get("lorenz63")), ValueError),
        (lambda: noisy_recall(Noisy(LineAttractor()), duration=1, trials=1), ValueError),
        (lambda: noisy_recall(Noisy(LineAttractor()), duration=0.01), ValueError),
        (
            lambda: noisy_recall(Noisy(LineAttractor()), duration=1, readout=lambda x: 1.0),
            ShapeError,
        ),
        (lambda: memory_trace(Noisy(WongWang()), lags=[1]), ShapeError),
    ],
)
def test_bad_parameters_are_refused(make, error):
    with pytest.raises(error):
        make()
