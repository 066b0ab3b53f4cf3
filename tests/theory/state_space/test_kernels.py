"""Theory of linear memories against measurement: exponents, gradients, kernels, delays, and the
past read back."""

import numpy as np
import pytest
from scipy.interpolate import pade

import dynmem as dm
from dynmem.errors import UnknownNameError
from dynmem.models import S4, S4D
from dynmem.models.hippo import hippo, legendre_delay, reconstruct
from dynmem.theory.state_space.kernels import (
    hippo_memory,
    pade_coefficients,
    pade_delay,
    precision_budget,
    sampled_spectrum,
    state_space_gradient,
    state_space_kernel,
    state_space_spectrum,
)

MODELS = {
    "zoh": lambda: S4D.random(2, 2, rng=0, modes=4, step_min=0.01, step_max=0.2),
    "bilinear": lambda: S4D.random(
        1, 1, rng=1, modes=4, method="bilinear", step_min=0.5, step_max=0.5
    ),
    "real": lambda: S4D.random(1, 1, rng=1, modes=6, init="real", step_min=0.01, step_max=0.2),
    "s4": lambda: S4.random(1, 1, rng=2, modes=4, step_min=0.05, step_max=0.2),
}


def test_exponents_of_a_diagonal_model():
    """Zero-order hold: step Re a exactly; bilinear: ln |(1 + step a/2) / (1 - step a/2)|."""
    for name in ("zoh", "bilinear"):
        model = MODELS[name]()
        a = np.exp(model.log_step)[:, None] * (-np.exp(model.log_decay) + 1j * model.frequency)
        expected = a.real if name == "zoh" else np.log(np.abs((1 + a / 2) / (1 - a / 2)))
        predicted = state_space_spectrum(model).lyapunov.values
        np.testing.assert_allclose(
            predicted, np.sort(np.repeat(expected.ravel(), 2))[::-1], atol=1e-12
        )
        # so long that the frame has found its directions
        measured = dm.lyapunov_spectrum(model, duration=500, transient=2000)
        np.testing.assert_allclose(measured.lyapunov, predicted, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_twins(name):
    model = MODELS[name]()
    predicted, measured = (
        dm.theory.lyapunov_spectrum(model),
        dm.lyapunov_spectrum(model, duration=1500, transient=1000),
    )
    np.testing.assert_allclose(
        predicted.lyapunov, measured.lyapunov, atol=2e-3 if name == "s4" else 1e-9
    )
    lags = [0, 1, 5, 30]
    predicted, measured = (
        dm.theory.gradient_norms(model, lags=lags),
        dm.gradient_norms(model, lags=lags, transient=0),
    )
    for variable in ("log_state_gradient", "log_input_gradient"):
        np.testing.assert_allclose(predicted[variable], measured[variable], atol=1e-9)
        assert predicted[variable].dims == measured[variable].dims
    slope = (
        np.diff(dm.theory.gradient_norms(model, lags=[4000, 5000]).log_state_gradient).item() / 1000
    )
    # gradient slope = first exponent
    assert slope == pytest.approx(state_space_spectrum(model).lyapunov[0].item(), rel=1e-2)


def test_discretisations():
    """a = -1, step 0.1: 0.904837, 0.904762, 0.9; an undamped oscillator stays, but for Euler, which
    it outgrows at any step."""
    for method, factor in (("zoh", 0.904837), ("bilinear", 0.904762), ("euler", 0.9)):
        assert np.exp(sampled_spectrum([-1.0], 0.1, method).lyapunov.item()) == pytest.approx(
            factor, abs=1e-6
        )
    for step in (0.01, 0.5, 3.0):
        turn = [2j, -2j]
        for method in ("zoh", "bilinear"):
            np.testing.assert_allclose(sampled_spectrum(turn, step, method).lyapunov, 0, atol=1e-12)
        np.testing.assert_allclose(
            sampled_spectrum(turn, step, "euler").lyapunov, 0.5 * np.log1p(4 * step**2), rtol=1e-9
        )
    flow = dm.LinearSystem(np.random.default_rng(0).standard_normal((4, 4)) - 3 * np.eye(4))
    for method in ("zoh", "bilinear", "euler"):
        found = flow.discretise(0.3, method)
        np.testing.assert_allclose(
            sampled_spectrum(flow.eigenvalues, 0.3, method).lyapunov,
            np.sort(found.exponents)[::-1] * 0.3,
            atol=1e-10,
        )
    assert sampled_spectrum([-2.0], 1.0, "bilinear").lyapunov.item() == -np.inf


def test_powers_of_s4_channel_by_channel_are_those_of_the_whole():
    model, lags = S4.random(3, 3, rng=0, modes=8), [0, 1, 7, 400]
    whole = dm.theory.linear_gradient(model.discrete().A, lags)
    np.testing.assert_allclose(
        state_space_gradient(model, lags).log_state_gradient, whole.log_state_gradient, atol=1e-10
    )


def test_kernels():
    with pytest.raises(TypeError, match="pass an S4D"):
        state_space_kernel(MODELS["s4"](), [0])
    model = MODELS["zoh"]()
    found = state_space_kernel(model, np.arange(60))
    np.testing.assert_allclose(found.kernel, model.kernel(60), atol=1e-13)
    impulse = np.zeros((60, 2))
    impulse[0] = 1
    np.testing.assert_allclose(
        found.kernel, model.unroll(np.zeros(model.size), impulse)[0], atol=1e-13
    )
    assert (np.abs(found.kernel[1:]) <= found.envelope[1:] + 1e-15).all()
    np.testing.assert_allclose(
        found.time_constant,
        1 / (np.exp(model.log_step)[:, None] * np.exp(model.log_decay)),
        rtol=1e-10,
    )
    turn = np.exp(model.log_step)[:, None] * model.frequency
    with np.errstate(divide="ignore"):
        # all below the Nyquist frequency here
        np.testing.assert_allclose(found.period, 2 * np.pi / turn)
    assert (turn < np.pi).all()


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


def test_precision_budget():
    """Errors of a mode whose coefficient is off, and of one whose state is rounded at every step,
    in long runs of white noise."""
    rng, rate, eps, length = np.random.default_rng(0), 0.02, 1e-6, 20_000
    u, x, off, rounded = rng.standard_normal(length), 0.0, 0.0, 0.0
    kept = np.empty((3, length))
    for t in range(length):
        x = np.exp(-rate) * x + u[t]
        off = np.exp(-rate) * (1 + eps) * off + u[t]
        rounded = (np.exp(-rate) * rounded + u[t]) * (1 + eps * rng.standard_normal())
        kept[:, t] = x, off, rounded
    scale = np.sqrt(np.mean(kept[0] ** 2))
    errors = np.sqrt(np.mean((kept[1:] - kept[0]) ** 2, axis=1)) / scale
    found = precision_budget(rate, [10, length], eps)
    np.testing.assert_allclose(errors, [found.coefficient_error[1], found.step_error[1]], rtol=0.15)
    np.testing.assert_allclose(found.coefficient_error[1], eps / rate / np.sqrt(2), rtol=0.02)
    np.testing.assert_allclose(
        found.coefficient_error[0],
        eps * np.sqrt(np.average(np.arange(10) ** 2, weights=np.exp(-0.04 * np.arange(10)))),
    )


@pytest.mark.parametrize(
    "call, text",
    [
        (
            lambda: sampled_spectrum([-1.0], 0.1, "trapezoid"),
            "method must be one of zoh, bilinear, euler",
        ),
        (lambda: sampled_spectrum([-1.0], -0.1), "step = -0.1"),
        (lambda: sampled_spectrum([np.nan]), "finite"),
        (lambda: state_space_gradient(MODELS["zoh"](), [-1]), "lags"),
        (lambda: state_space_kernel(MODELS["zoh"](), [1.5]), "lags"),
        (lambda: precision_budget(0.0, [3]), "rate = 0"),
        (lambda: precision_budget(0.1, [0]), "at least one step"),
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
