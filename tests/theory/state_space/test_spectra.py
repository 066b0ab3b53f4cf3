"""State-space models on paper against simulation: rings, the curse of memory, exponents of scans,
bounds on coupled oscillators."""

import numpy as np
import pytest
from scipy.integrate import quad

import dynmem as dm
from dynmem import theory
from dynmem.models import LRU, S5, CoRNN, get
from dynmem.scan import linear_scan

# ---- rings ---------------------------------------------------------------------------------------


def test_ring_of_the_reference():
    """LRU ring (0.9, 0.999): the mean of lambda^2 is 0.9040 (Orvieto et al. 2023, lemma 3.2)."""
    ring = theory.ring_spectrum(500, 0.9, 0.999)
    assert float(ring.mean_square_modulus) == pytest.approx(0.9040, abs=1e-4)
    # midpoints of a uniform law
    assert np.exp(2 * ring.lyapunov).mean() == pytest.approx(
        float(ring.mean_square_modulus), rel=1e-12
    )


@pytest.mark.parametrize("r_min, r_max", [(0.0, 1.0), (0.9, 0.999)])
def test_ring_spectrum_is_that_of_a_wide_unit(r_min, r_max):
    predicted = theory.ring_spectrum(2000, r_min, r_max)
    actual = theory.state_space_spectrum(
        LRU.random(1, 1, rng=0, modes=2000, r_min=r_min, r_max=r_max)
    )
    assert predicted.lyapunov.dims == actual.lyapunov.dims and predicted.sizes == actual.sizes
    squares = np.exp(2 * predicted.lyapunov), np.exp(2 * actual.lyapunov)
    # Kolmogorov's statistic, 99 %
    assert np.abs(squares[0] - squares[1]).max() < 1.7 * (r_max**2 - r_min**2) / np.sqrt(2000)


def test_ring_density():
    for low, high in ((0.5, 0.9), (0.0, 1.0)):
        density = lambda value: float(theory.ring_density(value, low, high).density[0])  # noqa: B023, E731
        assert quad(density, np.log(low) if low else -12.0, np.log(high))[0] == pytest.approx(
            1.0, abs=1e-8
        )
    found = theory.ring_density(np.linspace(-1.0, 0.0, 6), 0.5, 0.9)
    exponents = np.log(
        np.abs(LRU.random(1, 1, rng=0, modes=40_000, r_min=0.5, r_max=0.9).eigenvalues)
    )
    np.testing.assert_allclose(
        found.share_below,
        [(exponents <= value).mean() for value in found.exponent_value.values],
        atol=0.01,
    )


def test_spectrum_of_linear_memories_is_measured():
    """The step times Re a for a zero-order hold, exactly (S5); ln|lambda| (LRU), under any
    input."""
    layer = S5.random(2, 2, rng=1, modes=3, step_min=0.1, step_max=0.5)
    np.testing.assert_allclose(
        theory.state_space_spectrum(layer).lyapunov,
        np.sort(np.repeat(-0.5 * np.exp(layer.log_step), 2))[::-1],
        rtol=1e-13,
    )
    for model in (
        layer,
        LRU.random(2, 3, rng=1, modes=3, r_min=0.3),
        LRU.random(3, 1, rng=1, modes=2, r_min=0.3),
    ):
        predicted, measured = (
            theory.lyapunov_spectrum(model),
            dm.lyapunov_spectrum(model, duration=2000, transient=1000, drive=1.0),
        )
        np.testing.assert_allclose(measured.lyapunov, predicted.lyapunov, atol=1e-3)
        lags = [0, 1, 10, 100]
        found, expected = (
            dm.gradient_norms(model, lags=lags),
            theory.gradient_norms(model, lags=lags),
        )
        for name in ("log_state_gradient", "log_input_gradient"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-10)


def test_the_mean_step_under_noise():
    """The mean of softplus over a Gaussian, against 400,000 draws."""
    layer = get("selective", units=5, inputs=5, modes=2, rank=3, step_min=0.1, step_max=2.0)
    u = np.random.default_rng(0).standard_normal((400_000, 5))
    predicted, drawn = (theory.selective_spectrum(layer, drive=given) for given in (1.7, 1.7 * u))
    np.testing.assert_allclose(predicted.mean_step, drawn.mean_step, rtol=0.01)
    np.testing.assert_allclose(
        theory.selective_spectrum(layer).mean_step, np.log1p(np.exp(layer.b)), rtol=1e-12
    )
    gradient = theory.selective_gradient(layer, drive=1.7, lags=[0, 500])
    assert gradient.log_state_gradient[1].item() / 500 == pytest.approx(
        predicted.lyapunov[0].item(), abs=0.01
    )


# ---- the curse of memory -------------------------------------------------------------------------


def test_curse_of_the_reference():
    """Var h = 1/(1 - l^2), Var dh/dl = (1 + l^2)/(1 - l^2)^3, 263.89 at 0.9 (Zucchet and Orvieto
    2024)."""
    found = theory.curse_of_memory([0.5, 0.9])
    np.testing.assert_allclose(found.state_variance, [4 / 3, 1 / 0.19], rtol=1e-14)
    np.testing.assert_allclose(found.parameter_variance, [1.25 / 0.75**3, 263.8869], rtol=1e-6)
    np.testing.assert_array_equal(found.time_constant, -1 / np.log([0.5, 0.9]))


def sensitivities(modulus, u):
    """h and dh/dl over the last axis of u by two scans, after a transient of a tenth."""
    l, skip = np.array([modulus]), u.shape[-1] // 10
    h = linear_scan(l, u[..., None])
    before = np.concatenate([np.zeros_like(h[..., :1, :]), h[..., :-1, :]], axis=-2)
    return h[..., skip:, 0], linear_scan(l, before)[..., skip:, 0]


@pytest.mark.parametrize("modulus", [0.5, 0.9])
def test_curse_is_simulated(modulus):
    h, s = sensitivities(modulus, np.random.default_rng(0).standard_normal((64, 10_000)))
    found = theory.curse_of_memory(modulus)
    assert h.var() == pytest.approx(found.state_variance.item(), rel=0.02)
    assert s.var() == pytest.approx(found.parameter_variance.item(), rel=0.02)


def test_curse_of_slow_input_is_simulated():
    """An autoregression as input, itself a scan; and its formula for the state, (1 + l c)/((1 - l
    c)(1 - l^2))."""
    l, c = 0.8, 0.7
    u = (
        np.sqrt(1 - c * c)
        * linear_scan(np.array([c]), np.random.default_rng(1).standard_normal((64, 10_000, 1)))[
            ..., 0
        ]
    )
    h, s = sensitivities(l, u)
    found = theory.curse_of_memory(l, c)
    assert found.state_variance.item() == pytest.approx(
        (1 + l * c) / ((1 - l * c) * (1 - l * l)), rel=1e-12
    )
    assert h.var() == pytest.approx(found.state_variance.item(), rel=0.02)
    assert s.var() == pytest.approx(found.parameter_variance.item(), rel=0.02)
    tiny = theory.curse_of_memory([0.5, 0.9], 1e-12)
    for name in theory.curse_of_memory(0.5).data_vars:
        np.testing.assert_allclose(tiny[name], theory.curse_of_memory([0.5, 0.9])[name], rtol=1e-8)


def test_the_cure_is_simulated():
    """Of an LRU of one real mode, d state / d nu by torch: variance (l ln l)^2/(1 - l^2)^2, below
    1/4 for every memory."""
    import torch

    l, steps, runs = 0.9, 100, 4000
    twin = dm.training.Trainable(
        LRU(
            *(
                np.array(v)
                for v in (
                    [np.log(-np.log(l))],
                    [-40.0],
                    [[1.0]],
                    [[0.0]],
                    [[1.0]],
                    [[0.0]],
                    [[0.0]],
                )
            )
        ),
        "float64",
    )
    u = torch.tensor(np.random.default_rng(2).standard_normal((runs, steps, 1)))
    nu = twin.weights()["nu"].detach()

    def last(value):
        return torch.func.functional_call(twin, {"nu": value}, (u,))[:, -1, 0]

    step = 1e-5
    state, slope = last(nu), (last(nu + step) - last(nu - step)) / (2 * step)
    found = theory.curse_of_memory(l)
    # 4,000 runs: 3 standard errors
    assert float(state.detach().var()) == pytest.approx(
        found.normalised_state_variance.item(), rel=0.07
    )
    assert float(slope.detach().var()) == pytest.approx(
        found.normalised_parameter_variance.item(), rel=0.07
    )
    assert found.normalised_parameter_variance.item() == pytest.approx(
        (l * np.log(l) / (1 - l * l)) ** 2, rel=1e-12
    )
    slow = theory.curse_of_memory(1 - np.geomspace(1e-5, 0.9, 50))
    assert (
        slow.normalised_parameter_variance < 0.25
    ).all() and slow.parameter_variance.max() > 1e14
    np.testing.assert_allclose(slow.normalised_state_variance, 1.0, rtol=1e-10)


# ---- coupled oscillators -------------------------------------------------------------------------

OSCILLATORS = {
    "authors' parameters": {},
    "explicit": {"damping": "explicit", "step": 0.1},
    "slow and weakly damped": {"epsilon": 0.2, "gamma": 1.0, "step": 0.2},
}


@pytest.mark.parametrize("name", OSCILLATORS)
def test_bounds_hold(name):
    """However hard it is driven; and the amplitude's bound is tight: a force of sign that follows
    the impulse response backwards reaches it."""
    model = CoRNN.random(6, 2, rng=0, **OSCILLATORS[name])
    bounds = theory.cornn_bounds(model, lags=[10, 100, 400])
    u = 20.0 * np.random.default_rng(0).standard_normal((50, 400, 2))
    x = np.zeros((50, 12))
    states = [x := model.rule(x, u[:, t]) for t in range(400)]
    for lag, amplitude, velocity in zip(
        (10, 100, 400), bounds.amplitude_bound.values, bounds.velocity_bound.values, strict=True
    ):
        assert (
            np.abs(states[lag - 1][:, :6]).max() <= amplitude
            and np.abs(states[lag - 1][:, 6:]).max() <= velocity
        )
    gradients = dm.gradient_norms(model, drive=1.0, lags=[10, 100, 400])
    assert (gradients.log_state_gradient <= bounds.log_state_gradient_bound).all()
    spectrum = dm.lyapunov_spectrum(model, duration=1000, drive=1.0)
    assert (
        bounds.lyapunov_lower
        <= spectrum.lyapunov.mean()
        <= spectrum.lyapunov[0]
        <= bounds.lyapunov_upper
    )


@pytest.mark.parametrize("name", OSCILLATORS)
def test_the_worst_force_reaches_the_amplitude_bound(name):
    model = CoRNN(np.zeros((1, 1)), V=np.array([[1e3]]), **OSCILLATORS[name])
    linear = dm.linearize(
        CoRNN(np.zeros((1, 1)), V=np.array([[1.0]]), **OSCILLATORS[name]), np.zeros(2)
    )
    y, _ = model.run(np.zeros(2), np.sign(linear.kernel(300)[::-1, :, 0]))
    assert y[-1, 0] == pytest.approx(
        theory.cornn_bounds(model, lags=[300]).amplitude_bound.item(), rel=1e-12
    )


def test_the_amplitude_in_the_limit_of_small_steps():
    """The sum of the absolute impulse response of y'' + epsilon y' + gamma y: 1/gamma overdamped,
    else coth(pi epsilon/(2 w))/gamma."""
    for gamma, epsilon in ((1.0, 3.0), (4.0, 0.5)):
        model = CoRNN.random(2, 1, gamma=gamma, epsilon=epsilon, step=1e-3)
        w = np.sqrt(complex(4 * gamma - epsilon**2)).real
        limit = 1 / gamma / (np.tanh(np.pi * epsilon / (2 * w)) if w else 1.0)
        assert theory.cornn_bounds(model, lags=[60_000]).amplitude_bound.item() == pytest.approx(
            limit, rel=2e-3
        )


def test_volume_shrinks_at_the_rate_of_the_damping():
    """With U = 0 the sum of the exponents is -N ln(1 + step epsilon) whatever W and the input: the
    bound is an equality."""
    model = CoRNN(np.random.default_rng(0).standard_normal((5, 5)), V=np.ones((5, 1)))
    measured = dm.lyapunov_spectrum(model, duration=500, drive=1.0)
    assert measured.lyapunov.sum().item() == pytest.approx(
        -5 * np.log(1 + model.step * model.epsilon), abs=1e-10
    )
    assert theory.cornn_bounds(model, lags=[1]).lyapunov_lower.item() == pytest.approx(
        measured.lyapunov.mean().item(), abs=1e-10
    )


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: theory.ring_spectrum(0), ValueError, "modes = 0"),
        (
            lambda: theory.ring_spectrum(3, 0.9, 0.8),
            ValueError,
            "r_max = 0.8: expected 0 <= r_min < r_max <= 1",
        ),
        (lambda: theory.ring_density("a"), TypeError, "exponents must hold real numbers"),
        (
            lambda: theory.curse_of_memory(1.0),
            ValueError,
            r"modulus = \[1.0\]: must lie strictly",
        ),
        (lambda: theory.curse_of_memory([0.5, -0.1]), ValueError, "strictly between 0 and 1"),
        (
            lambda: theory.curse_of_memory(0.5, 1.0),
            ValueError,
            "correlation = 1.0: must be",
        ),
        (lambda: theory.curse_of_memory(np.nan), ArithmeticError, "modulus holds NaN"),
        (
            lambda: theory.state_space_spectrum(get("tanh", units=3)),
            TypeError,
            "the modes of Tanh depend on each other",
        ),
        (
            lambda: theory.state_space_gradient(get("lru", units=3, inputs=1), lags=[-1]),
            ValueError,
            "lags = ",
        ),
        (
            lambda: theory.cornn_bounds(get("tanh", units=3), lags=5),
            TypeError,
            "expected a dynmem CoRNN, got Tanh",
        ),
        (lambda: theory.cornn_bounds(CoRNN.random(3), lags=1.5), ValueError, "lags = "),
        (
            lambda: theory.lyapunov_spectrum(get("cornn", units=3)),
            ValueError,
            "no theory of CoRNN is known",
        ),
        (
            lambda: theory.selective_spectrum(get("selective", units=3, inputs=3), drive=-1.0),
            ValueError,
            "drive = -1.0",
        ),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
