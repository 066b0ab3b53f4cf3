"""Delays and the past read back: transfer functions, scipy's Pade fractions, and simulation."""

import numpy as np
import pytest
from scipy.interpolate import pade

from dynmem.errors import UnknownNameError
from dynmem.models.hippo import hippo, legendre_delay, reconstruct
from dynmem.theory.state_space.delays import hippo_memory, pade_coefficients, pade_delay


@pytest.mark.parametrize("order", [1, 2, 4, 9])
def test_pade(order):
    omega = np.array([0.0, 0.3, 2.0, 40.0])
    for theta in (1.0, 7.0):
        response = legendre_delay(order, theta).frequency_response(omega)[:, 0, 0]
        found = pade_delay(order, omega, theta)
        np.testing.assert_allclose(found.gain, np.abs(response), atol=1e-10)
        np.testing.assert_allclose(
            found.error, np.abs(response - np.exp(-1j * omega * theta)), atol=1e-10
        )
    if order < 5:  # above, scipy's equations for the coefficients are too ill-conditioned
        factorial = np.cumprod(np.r_[1.0, np.arange(1, 2 * order)])
        top, bottom = pade((-1.0) ** np.arange(2 * order) / factorial, order, order - 1)
        for ours, scipys in zip(
            pade_coefficients(order), (top.coef[::-1], bottom.coef[::-1]), strict=True
        ):
            np.testing.assert_allclose(ours, scipys / bottom.coef[-1], rtol=1e-9)
    near = pade_delay(order, [0.02 * order])
    assert near.error.item() == pytest.approx(near.leading_error.item(), rel=0.02, abs=1e-15)
    slow = pade_delay(order, [1e-3], 2.0)
    assert slow.phase_delay.item() == pytest.approx(2.0, rel=1e-5)


def test_a_delay_holds_up_to_theta_omega_about_its_order():
    for order in (4, 16, 64):
        found = pade_delay(order, [0.8 * order, 4.0 * order]).error.values
        assert found[0] < 0.05 and found[1] > 0.5


@pytest.mark.parametrize("measure", ["legs", "legt", "lagt", "fourier"])
def test_the_past_read_back_is_as_predicted(measure):
    """A signal of two frequencies through the memory, step by step: root mean square error over the
    lag, measured and predicted."""
    order, dt, omega, power = 21, 4e-3, np.array([3.0, 8.0]), np.array([1.0, 0.5])
    t = dt * np.arange(20_000)
    u = np.sqrt(2 * power) @ np.cos(omega[:, None] * t + np.array([[0.3], [1.1]]))
    memory = hippo(measure, order).discretise(dt)
    lags = np.array([50, 125, 225])
    found = hippo_memory(measure, order, (lags + 0.5) * dt, omega, power)
    states = memory.run(None, u[:, None])[0]
    at = np.arange(5_000, len(u), 10)
    errors = reconstruct(measure, states[at], (lags + 0.5) * dt) - u[at[:, None] - lags]
    measured = np.sqrt(np.mean(errors**2, axis=0) / power.sum())
    np.testing.assert_allclose(measured, found.error, rtol=0.05, atol=2e-3)


def test_what_hippo_forgets():
    """A window forgets at theta, and its error there jumps to that of knowing nothing; an
    exponential weight forgets slowly."""
    for measure in ("legt", "fourier"):
        found = hippo_memory(measure, 33, [0.5, 1.5], [6.0], theta=1.0)
        assert found.error[0] < 0.05 and found.error[1] == 1.0
        assert found.weight.values.tolist() == [1.0, 0.0]
    found = hippo_memory("legs", 33, [0.5, 1.5, 8.0], [6.0])
    assert found.error[:2].max() < 0.05 < 0.5 < found.error[2]
    np.testing.assert_allclose(
        hippo_memory("lagt", 3, [0.0, 2.0], theta=2.0).weight, [0.5, 0.5 / np.e]
    )
    assert "error" not in hippo_memory("legs", 3, [1.0])


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: pade_delay(0, [1.0]), "order = 0"),
        (lambda: pade_delay(2, [1.0], theta=0), "theta = 0"),
        (
            lambda: hippo_memory("legs", 3, [1.0], [1.0, 2.0], [1.0]),
            "one number of at least 0 for each of the 2",
        ),
        (lambda: hippo_memory("leg", 3, [1.0]), "no measure is called"),
    ],
)
def test_bad_requests(call, text):
    with pytest.raises((ValueError, UnknownNameError), match=text):
        call()
