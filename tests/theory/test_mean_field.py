"""Mean field of tanh networks against published values and independent plain-numpy simulation."""

import numpy as np
import pytest

from dynmem import theory
from dynmem.errors import NotFiniteError


def simulate(
    weights, input_sd=0.0, bias_sd=0.0, leak=1.0, exponents=1, steps=600, transient=150, seed=0
):
    """Exponents of x' = (1-d) x + d tanh(W x + noise + b), per unit time: plain loops, apart from
    the library on purpose."""
    rng, n = np.random.default_rng([seed, 1]), len(weights)  # a stream apart from the weights'
    bias, state = bias_sd * rng.standard_normal(n), rng.standard_normal(n)
    frame, growth = np.linalg.qr(rng.standard_normal((n, exponents)))[0], np.zeros(exponents)
    for step in range(-transient, steps):
        h = np.tanh(weights @ state + input_sd * rng.standard_normal(n) + bias)
        frame = (1 - leak) * frame + leak * (1 - h * h)[:, None] * (weights @ frame)
        state = (1 - leak) * state + leak * h
        frame, upper = np.linalg.qr(frame)
        growth += np.log(np.abs(np.diag(upper))) * (step >= 0)
    return growth / steps / leak


def gaussian_matrix(n, gain, seed=0):
    return np.random.default_rng(seed).standard_normal((n, n)) * gain / np.sqrt(n)


def orthogonal_matrix(n, seed=0):
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    return q * np.sign(np.diag(r))


@pytest.mark.parametrize(
    "gain, value", [(1.5, 0.06521721), (2.0, 0.15472423), (3.0, 0.31024932), (5.0, 0.53242794)]
)
def test_chaotic_exponents(gain, value):
    """Engelken, Wolf and Abbott (2023); Clark (2026)."""
    assert theory.tanh_spectrum(gain).lyapunov.item() == pytest.approx(value, abs=1e-7 + 5e-9)


def test_gain_three():
    d = theory.tanh_spectrum(3.0)
    assert d.field_variance.item() == pytest.approx(6.305391, abs=1e-5)
    assert d.mean_exponent.item() == pytest.approx(-2.272805, abs=1e-5)
    assert d.kaplan_yorke_density.item() == pytest.approx(0.287, rel=0.01)
    assert d.entropy_density.item() == pytest.approx(0.0251, rel=0.01)
    whole = theory.tanh_spectrum(3.0, units=4096)
    assert whole.kaplan_yorke_dimension.item() / 4096 == pytest.approx(
        d.kaplan_yorke_density.item(), rel=1e-3
    )
    assert whole.entropy_rate.item() / 4096 == pytest.approx(d.entropy_density.item(), rel=1e-3)
    assert whole.lyapunov.mean().item() == pytest.approx(d.mean_exponent.item(), abs=2e-3)


@pytest.mark.parametrize("gain, value", [(1.5, 0.04674620), (2.0, 0.11245801), (3.0, 0.23546064)])
def test_continuous_time(gain, value):
    """Sompolinsky, Crisanti and Sommers (1988)."""
    assert theory.tanh_spectrum(gain, leak=0.0).lyapunov.item() == pytest.approx(value, abs=1e-6)


def test_leaky_network_joins_both_limits():
    assert theory.tanh_spectrum(2.0, leak=0.05).lyapunov.item() == pytest.approx(
        0.11245801 - 0.05 * 0.00964, abs=1e-5
    )
    near = theory.tanh_spectrum(2.0, 0.3, 0.5, leak=0.9999).lyapunov.item()
    assert near == pytest.approx(theory.tanh_spectrum(2.0, 0.3, 0.5).lyapunov.item(), abs=1e-3)


def test_critical_line_and_both_sides():
    """Poole et al. (2016); Schoenholz et al. (2017)."""
    line = theory.critical_line([0.0, 0.01, 0.05, 0.2]).critical_weight_variance
    np.testing.assert_allclose(line, [1.0, 1.424205, 1.760955, 2.285152], atol=1e-6)
    for variance, value in ((1.0, -0.1378559), (2.5, 0.0626620)):
        assert theory.tanh_spectrum(variance**0.5, 0.05**0.5).lyapunov.item() == pytest.approx(
            value, abs=1e-7
        )
    edge = theory.critical_gain(bias_sd=0.1, input_sd=0.7)
    assert theory.tanh_spectrum(edge, 0.1, 0.7).lyapunov.item() == pytest.approx(0.0, abs=1e-12)


def test_rest_is_linear():
    assert theory.tanh_spectrum(0.8).lyapunov.item() == pytest.approx(np.log(0.8), abs=1e-14)
    triangle = theory.tanh_spectrum(0.8, units=50).lyapunov.values
    np.testing.assert_allclose(
        triangle, 0.5 * np.log(0.64 * (1 - (np.arange(50) + 0.5) / 50)), atol=1e-3
    )
    assert theory.tanh_spectrum(0.8, leak=0.25).lyapunov.item() == pytest.approx(
        np.log(0.95) / 0.25
    )
    assert theory.tanh_spectrum(0.8, leak=0.0).lyapunov.item() == pytest.approx(-0.2)
    weights = gaussian_matrix(60, 0.8)
    measured = simulate(weights, steps=3000)
    assert measured[0] == pytest.approx(
        theory.linear_spectrum(weights).lyapunov.values[0], abs=2e-3
    )


def test_whole_spectrum_against_simulation():
    """Weights fixed, bias and drive present: the whole spectrum at N = 128, 200 steps (a
    second)."""
    measured = simulate(gaussian_matrix(128, 1.5), 1.0, 0.5, exponents=128, steps=150, transient=50)
    predicted = theory.tanh_spectrum(1.5, 0.5, 1.0, units=128)
    np.testing.assert_allclose(measured[:96], predicted.lyapunov.values[:96], atol=0.12)
    assert measured.mean() == pytest.approx(predicted.mean_exponent.item(), rel=0.03)


@pytest.mark.parametrize(
    "gain, bias_sd, input_sd, leak, tolerance",
    [(2.0, 0.0, 0.0, 1.0, 0.03), (1.5, 0.0, 1.0, 0.5, 0.03)],
)
def test_first_exponent_against_simulation(gain, bias_sd, input_sd, leak, tolerance):
    measured = simulate(gaussian_matrix(300, gain), input_sd, bias_sd, leak, steps=int(800 / leak))
    assert measured[0] == pytest.approx(
        theory.tanh_spectrum(gain, bias_sd, input_sd, leak=leak).lyapunov.item(), abs=tolerance
    )


@pytest.mark.parametrize("drive, value", [(0.1, -0.0661), (0.5, -0.2725), (1.0, -0.4595)])
def test_driven_orthogonal_tanh(drive, value):
    assert theory.orthogonal_tanh_spectrum(drive).lyapunov.item() == pytest.approx(value, abs=5e-5)


def test_driven_orthogonal_spectrum_against_simulation():
    measured = simulate(orthogonal_matrix(96), 0.5, exponents=96, steps=300, transient=50)
    predicted = theory.orthogonal_tanh_spectrum(0.5, units=96)
    np.testing.assert_allclose(measured[:90], predicted.lyapunov.values[:90], atol=0.04)
    assert measured.mean() == pytest.approx(predicted.mean_exponent.item(), rel=0.02)


def test_undriven_orthogonal_tanh_forgets_by_a_power_law():
    """Root mean square over directions n^(-1/2), as measured; the state's own direction, the
    smallest singular value, n^(-3/2)."""
    weights, start, product, marks = (
        orthogonal_matrix(128),
        np.random.default_rng(1).standard_normal(128),
        np.eye(128),
        [],
    )
    state = start
    for step in range(1, 1025):
        state = np.tanh(weights @ state)
        product = (1 - state**2)[:, None] * (weights @ product)
        if step in (512, 1024):
            marks.append(np.linalg.svd(product, compute_uv=False))
    rms, smallest = (
        np.log2(f(marks[1]) / f(marks[0]))
        for f in (lambda s: np.sqrt((s**2).mean()), lambda s: s[-1])
    )
    profiles = [
        theory.orthogonal_tanh_gradient([n], initial_variance=(start**2).mean())
        for n in (512, 1024)
    ]
    predicted = [profile.log_state_gradient.item() / np.log(2) for profile in profiles]
    assert (
        predicted[1] - predicted[0] == pytest.approx(rms, abs=0.02) == pytest.approx(-0.5, abs=0.02)
    )
    # 0.01 at N = 600
    assert predicted[1] == pytest.approx(np.log2(np.sqrt((marks[1] ** 2).mean())), abs=0.2)
    assert smallest == pytest.approx(-1.5, abs=0.03)
    unit = theory.unit_tanh_gradient([10_000, 20_000]).log_state_gradient.values
    assert np.diff(unit)[0] / np.log(2) == pytest.approx(-1.5, abs=1e-2)


def test_gradients_fall_at_the_first_exponent():
    d = theory.tanh_gradient([0, 7], 1.5, 0.2, 0.5)
    assert d.log_state_gradient.values[1] == pytest.approx(
        7 * theory.tanh_spectrum(1.5, 0.2, 0.5).lyapunov.item()
    )
    assert d.time_scale.item() == pytest.approx(
        theory.time_scale(theory.tanh_spectrum(1.5, 0.2, 0.5)).time_scale.item()
    )
    driven = theory.orthogonal_tanh_gradient([10, 20], 0.5, duration=60).log_state_gradient.values
    assert np.diff(driven)[0] / 10 == pytest.approx(
        theory.orthogonal_tanh_spectrum(0.5).lyapunov.item(), abs=1e-9
    )


def test_time_scale():
    assert theory.time_scale(-0.02, dt=0.5).time_scale.item() == pytest.approx(100.0)
    assert [theory.time_scale(x).law.item() for x in (-1.0, 0.0, 0.3)] == [
        "exponential",
        "power law",
        "none",
    ]
    assert (
        theory.time_scale(0.3).time_scale.item() == np.inf
        and theory.time_scale(-np.inf).time_scale.item() == 0
    )


@pytest.mark.parametrize(
    "call, error, advice",
    [
        (lambda: theory.tanh_spectrum(-1.0), ValueError, "gain = -1.0"),
        (lambda: theory.tanh_spectrum(np.nan), ValueError, "finite"),
        (lambda: theory.tanh_spectrum(1e6), ValueError, "smaller gain"),
        (lambda: theory.tanh_spectrum(2.0, leak=1.5), ValueError, "leak"),
        (lambda: theory.tanh_spectrum(2.0, leak=0.5, units=10), ValueError, "leave units out"),
        (lambda: theory.tanh_spectrum(2.0, leak=0.0, input_sd=1.0), ValueError, "small leak"),
        (lambda: theory.critical_line([-0.1]), ValueError, "bias_variance"),
        (lambda: theory.orthogonal_tanh_gradient([10], duration=5), ValueError, "duration = 5"),
        (lambda: theory.time_scale(np.nan), NotFiniteError, "lyapunov is NaN"),
    ],
)
def test_errors_say_what_to_do(call, error, advice):
    with pytest.raises(error, match=advice):
        call()


@pytest.mark.parametrize("huge", [1e5, 1e160, 1e200, 1e308])
def test_overflowing_gains_are_told(huge):
    calls = {
        "gain": [
            theory.tanh_spectrum,
            theory.tanh_variance,
            lambda g: theory.tanh_susceptibility(g, 1.0),
            lambda g: theory.tanh_gradient([1], g),
            lambda g: theory.tanh_spectrum(g, leak=0.5),
            lambda g: theory.tanh_spectrum(g, leak=0.0),
        ],
        "bias_sd": [
            theory.critical_gain,
            lambda b: theory.orthogonal_tanh_spectrum(0.0, b),
            lambda b: theory.tanh_variance(1.0, b),
        ],
        "input_sd": [
            theory.orthogonal_tanh_spectrum,
            lambda s: theory.orthogonal_tanh_gradient([3], s),
        ],
    }
    for name, functions in calls.items():
        for function in functions:
            with pytest.raises(
                ValueError,
                match=f"{name} = .*: nearly every unit saturates, pass a smaller {name}, at most",
            ):
                function(huge)
    assert theory.gaussian_product_spectrum(4, huge).lyapunov[0] == pytest.approx(
        theory.gaussian_product_spectrum(4).lyapunov[0].item() + np.log(huge)
    )


@pytest.mark.parametrize("bad", [None, "a", np.eye(2), [1.0], 1j])
def test_numbers_are_numbers(bad):
    calls = (
        theory.tanh_spectrum,
        theory.tanh_variance,
        theory.critical_gain,
        theory.orthogonal_tanh_spectrum,
        theory.time_scale,
        lambda x: theory.tanh_spectrum(2.0, leak=x),
        lambda x: theory.unit_tanh_gradient([1], x),
        lambda x: theory.tanh_susceptibility(2.0, x),
    )
    for call in calls:
        with pytest.raises(ValueError, match="(?s)= .*: must be"):
            call(bad)


@pytest.mark.parametrize("lags", [np.nan, [1.0, np.nan], "3", None, -1, 0.5])
def test_lags_are_whole(lags):
    for call in (
        lambda x: theory.tanh_gradient(x, 1.5),
        theory.orthogonal_tanh_gradient,
        theory.unit_tanh_gradient,
    ):
        with pytest.raises(ValueError, match="lags = .*: must be whole numbers"):
            call(lags)


@pytest.mark.parametrize("gain", [3.0, 1e3, 1e4])
def test_the_spectrum_of_saturated_networks_by_adaptive_quadrature(gain):
    """lambda(x) = 1/2 ln(gain^2 tau x) with E[D/(tau + D)] = x, D = sech(sqrt(q) z)^4: x and the
    integral of the positive part from scipy.integrate.quad in the state itself."""
    from scipy.integrate import quad

    q = theory.tanh_variance(gain)
    density = 1 / np.sqrt(2 * np.pi * q)

    def share(log_tau):
        def part(y):
            log_d = 4 * (np.log(2) - y - np.log1p(np.exp(-2 * y)))
            return density * np.exp(-0.5 * y * y / q) / (1 + np.exp(min(log_tau - log_d, 700.0)))

        edge = max(-log_tau / 4, 0.0) + 1.0
        return 2 * (quad(part, 0, edge, epsrel=1e-10)[0] + quad(part, edge, edge + 30)[0])

    log_tau = np.linspace(20.0, -200.0, 2201)
    x = np.array([share(t) for t in log_tau])
    exponents = np.log(gain) + 0.5 * (log_tau + np.log(x)) if gain else 0
    positive = exponents > 0
    entropy = np.trapezoid(np.where(positive, exponents, 0.0), x) + x[0] * exponents[0]
    assert theory.tanh_spectrum(gain).entropy_density == pytest.approx(entropy, rel=3e-3)
