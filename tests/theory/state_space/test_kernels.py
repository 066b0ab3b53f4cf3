"""Theory of linear memories against measurement: exponents, gradients, kernels, rounding."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.models import S4, S4D
from dynmem.theory.state_space.kernels import (
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
        state_space_gradient(model, lags=lags).log_state_gradient,
        whole.log_state_gradient,
        atol=1e-10,
    )


def test_kernels():
    with pytest.raises(TypeError, match="expected an S4D"):
        state_space_kernel(MODELS["s4"](), lags=[0])
    model = MODELS["zoh"]()
    found = state_space_kernel(model, lags=59)
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
            "method = 'trapezoid'",
        ),
        (lambda: sampled_spectrum([-1.0], -0.1), "step = -0.1"),
        (lambda: sampled_spectrum([np.nan]), "finite"),
        (lambda: state_space_gradient(MODELS["zoh"](), lags=[-1]), "lags"),
        (lambda: state_space_kernel(MODELS["zoh"](), lags=[1.5]), "lags"),
        (lambda: precision_budget(0.0, [3]), "rate = 0"),
        (lambda: precision_budget(0.1, [0]), "lengths = 0"),
    ],
)
def test_bad_requests(call, text):
    with pytest.raises(ValueError, match=text):
        call()
