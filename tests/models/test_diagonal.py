"""LRU and S5: against loops over complex numbers, the continuous system, the ring and its
normalisation."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.linear import LinearSystem
from dynmem.models import LRU, S5, get
from dynmem.models.diagonal import ring


def complex_loop(lam, B, C, D, u, x):
    """The recurrence over complex numbers, one step and one mode at a time."""
    outputs = []
    for now in u:
        x = np.array([lam[n] * x[n] + B[n] @ now for n in range(len(lam))])
        outputs.append((C @ x).real + D @ now)
    return np.array(outputs), x


def drive(model, steps=50):
    rng = np.random.default_rng(1)
    return rng.standard_normal((steps, model.inputs)), rng.standard_normal((model.modes, 2)).view(
        complex
    )[:, 0]


@pytest.mark.parametrize("gamma", ["tied", "trained"])
def test_lru_is_the_published_recurrence(gamma):
    """Orvieto et al. (2023), appendix A: Lambda = exp(-exp(nu_log) + i exp(theta_log)), B_norm =
    (B_re + i B_im) exp(gamma_log)."""
    unit = LRU.random(4, 3, rng=0, modes=5, r_min=0.5, r_max=0.99, gamma=gamma)
    u, x = drive(unit)
    lam = np.exp(-np.exp(unit.nu) + 1j * np.exp(unit.theta))
    scale = np.sqrt(1 - np.abs(lam) ** 2)
    expected, last = complex_loop(
        lam, (unit.B_re + 1j * unit.B_im) * scale[:, None], unit.C_re + 1j * unit.C_im, unit.D, u, x
    )
    y, end = unit.run(np.concatenate([x.real, x.imag]), u)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(end, np.concatenate([last.real, last.imag]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(unit.eigenvalues, lam, rtol=1e-14)


def test_s5_is_the_published_recurrence():
    """Smith et al. (2023), appendix A: Lambda_bar = exp(Lambda Delta), B_bar = 1/Lambda (Lambda_bar
    - I) B, y = 2 Re(C x) + D u."""
    layer = S5.random(4, 3, rng=0, modes=6, blocks=2)
    u, x = drive(layer)
    a, step = -np.exp(layer.log_decay) + 1j * layer.frequency, np.exp(layer.log_step)
    lam = np.exp(a * step)
    B = ((lam - 1) / a)[:, None] * (layer.B_re + 1j * layer.B_im)
    expected, last = complex_loop(lam, B, 2 * (layer.C_re + 1j * layer.C_im), layer.D, u, x)
    y, end = layer.run(np.concatenate([x.real, x.imag]), u)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(end, np.concatenate([last.real, last.imag]), rtol=1e-12, atol=1e-12)


def test_s5_starts_as_a_dense_hippo_system():
    """One step for all modes: the layer is x' = A x + B u, A the normal part of HiPPO-LegS, of its
    own real B and C."""
    modes, inputs, units, step = 4, 2, 3, 0.05
    layer = S5.random(units, inputs, rng=7, modes=modes, step_min=step, step_max=step)
    rng, n = np.random.default_rng(7), np.arange(2 * modes)
    B, C = (
        rng.standard_normal((2 * modes, inputs)) / np.sqrt(inputs),
        rng.standard_normal((units, 2 * modes)) / np.sqrt(2 * modes),
    )
    A = (
        -np.tril(np.sqrt(np.outer(2 * n + 1, 2 * n + 1)), -1)
        - np.diag(n + 1.0)
        + np.outer(np.sqrt(n + 0.5), np.sqrt(n + 0.5))
    )
    expected = LinearSystem(A, B, C).discretise(step).kernel(60)
    found = dm.linearize(replace(layer, D=np.zeros((units, inputs))), np.zeros(layer.size)).kernel(
        60
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)


TIMED = {
    "s5": lambda: S5.random(3, 2, rng=3, modes=4, step_min=0.01, step_max=0.5),
    "lru": lambda: LRU.random(3, 2, rng=3, modes=4, r_min=0.5, max_phase=1.0),
    "lru, gamma trained": lambda: LRU.random(3, 2, rng=3, modes=4, r_max=0.9, gamma="trained"),
}


@pytest.mark.parametrize("name", TIMED)
def test_it_samples_its_continuous_system(name):
    layer = TIMED[name]()
    flow, now = layer.continuous(), dm.linearize(layer, np.zeros(layer.size))
    A, B, *_ = scipy.signal.cont2discrete((flow.A, flow.B, flow.C, flow.D), 1.0, method="zoh")
    np.testing.assert_allclose(now.A, A, atol=1e-13)
    np.testing.assert_allclose(now.B, B, atol=1e-13)
    np.testing.assert_allclose(now.C, flow.C, atol=1e-15)
    np.testing.assert_array_equal(now.D, layer.D)


@pytest.mark.parametrize("factor", [2, 5])
@pytest.mark.parametrize("name", TIMED)
def test_another_sampling_rate_needs_no_training(name, factor):
    """A signal held over factor short steps gives at their ends what one long step gives."""
    short = TIMED[name]()
    u = np.random.default_rng(0).standard_normal((40, 2))
    expected, last = short.run(np.zeros(short.size), np.repeat(u, factor, axis=0))
    found, end = short.resampled(factor).run(np.zeros(short.size), u)
    np.testing.assert_allclose(found, expected[factor - 1 :: factor], atol=1e-12)
    np.testing.assert_allclose(end, last, atol=1e-12)
    there_and_back = short.resampled(factor).resampled(1 / factor)
    for matrix in "ABCD":
        np.testing.assert_allclose(
            getattr(there_and_back.discrete(), matrix),
            getattr(short.discrete(), matrix),
            atol=1e-12,
        )


@pytest.mark.parametrize("name", ["lru", "s5"])
def test_recurrence_is_convolution_is_fft(name):
    model = get(name, units=3, inputs=2, rng=4)
    u = np.random.default_rng(0).standard_normal((200, 2))
    system, y = model.discrete(), model.run(np.zeros(model.size), u)[0]
    linear = dm.linearize(model, np.zeros(model.size))
    for matrix in "ABCD":
        np.testing.assert_allclose(getattr(system, matrix), getattr(linear, matrix), atol=1e-15)
    kernel = system.kernel(200)
    direct = np.array([sum(kernel[j] @ u[t - j] for j in range(t + 1)) for t in range(200)])
    for other in (direct, system.convolve(u), system.run(None, u)[0]):
        np.testing.assert_allclose(y, other, atol=1e-12 * np.abs(y).max() * 10)


def test_digits_at_small_steps():
    """(lambda - 1)/a and gamma against 50 digits, where the plain formulas lose half of theirs."""
    import mpmath

    layer = replace(
        S5.random(1, 1, modes=1),
        log_step=np.array([-18.0]),
        B_re=np.ones((1, 1)),
        B_im=np.zeros((1, 1)),
    )
    unit = replace(LRU.random(1, 1), nu=np.array([-20.0]), B_re=np.ones((1, 1)))
    with mpmath.workdps(50):
        a = mpmath.mpc(-mpmath.exp(mpmath.mpf(layer.log_decay[0])), mpmath.mpf(layer.frequency[0]))
        gain = complex((mpmath.exp(a * mpmath.exp(mpmath.mpf(-18))) - 1) / a)
        gamma = float(mpmath.sqrt(1 - mpmath.exp(-2 * mpmath.exp(mpmath.mpf(-20)))))
    found = layer.coefficients
    assert abs(found[2][0, 0] + 1j * found[3][0, 0] - gain) < 1e-14 * abs(gain)
    assert unit.coefficients[2][0, 0] == pytest.approx(gamma, rel=1e-14)


def test_gamma_gives_every_mode_unit_variance():
    """Orvieto et al. (2023), section 3.4: on white noise of variance 1, with B of unit rows. 40,000
    steps of 16 runs."""
    modes, rng = 6, np.random.default_rng(0)
    unit = LRU.random(1, 2, rng=1, modes=modes, r_min=0.9, r_max=0.99)
    rows = np.sqrt((unit.B_re**2 + unit.B_im**2).sum(axis=1, keepdims=True))
    unit = replace(
        unit,
        B_re=unit.B_re / rows,
        B_im=unit.B_im / rows,
        C_re=np.zeros((2 * modes, modes)),
        C_im=np.zeros((2 * modes, modes)),
        D=np.zeros((2 * modes, 2)),
    )
    # outputs: real and imaginary parts
    unit = replace(unit, C_re=np.eye(2 * modes, modes), C_im=-np.eye(2 * modes, modes, -modes))
    y, _ = unit.run(np.zeros((16, unit.size)), rng.standard_normal((16, 40_000, 2)))
    variance = (y[:, 1000:, :modes] ** 2 + y[:, 1000:, modes:] ** 2).mean(axis=(0, 1))
    np.testing.assert_allclose(variance, 1.0, atol=0.03)
    assert variance.mean() == pytest.approx(1.0, abs=0.01)


def test_the_ring():
    """Mean of lambda^2 over the ring (0.9, 0.999): 0.9040; |lambda|^2 and the phase uniform
    (Orvieto et al. 2023, lemma 3.2)."""
    nu, theta = ring(200_000, 0.9, 0.999, np.pi / 10, np.random.default_rng(0))
    squares, phases = np.exp(-2 * np.exp(nu)), np.exp(theta)
    assert squares.mean() == pytest.approx(0.9040, abs=1e-3)
    assert scipy.stats.kstest(squares, "uniform", (0.81, 0.999**2 - 0.81)).pvalue > 0.01
    assert scipy.stats.kstest(phases, "uniform", (0, np.pi / 10)).pvalue > 0.01


def test_initialisation():
    unit = LRU.random(300, 200, rng=0, modes=400)
    assert unit.B_re.var() == pytest.approx(1 / 400, rel=0.03) and unit.C_im.var() == pytest.approx(
        1 / 400, rel=0.03
    )
    assert unit.D.var() == pytest.approx(1 / 200, rel=0.03)
    layer = S5.random(8, 4, rng=0, modes=64, blocks=8, step_min=0.01, step_max=0.1)
    assert np.exp(layer.log_step).min() >= 0.01 and np.exp(layer.log_step).max() <= 0.1
    np.testing.assert_allclose(layer.frequency[:8], layer.frequency[8:16])
    np.testing.assert_allclose(layer.time_constants, 2 / np.exp(layer.log_step))


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: LRU.random(3, 2, r_min=0.9, r_max=0.5),
            ValueError,
            "r_min = 0.9: must be below r_max = 0.5",
        ),
        (lambda: LRU.random(3, 2, r_max=1.1), ValueError, "r_max = 1.1"),
        (lambda: LRU.random(3, 2, r_max=1e-200), ValueError, "r_max = 1e-200"),
        (lambda: LRU.random(3, 2, r_min="a"), ValueError, "r_min = 'a'"),
        (lambda: LRU.random(3, 2, max_phase=7), ValueError, "max_phase = 7"),
        (
            lambda: LRU.random(3, 2, gamma="free"),
            ValueError,
            "gamma = 'free': must be one of 'tied', 'trained'",
        ),
        (lambda: LRU.random(3, 0), ValueError, "inputs = 0"),
        (lambda: get("lru", units=3, inputs=2, modes=0), ValueError, "modes = 0"),
        (lambda: get("lru", units=3, inputs=2, radius=1), TypeError, "lru takes no option"),
        (
            lambda: replace(LRU.random(3, 2), nu=np.zeros(2)),
            ShapeError,
            r"nu of LRU has shape \(2,\), expected \(3,\)",
        ),
        (lambda: replace(LRU.random(3, 2), C_im=np.zeros((2, 3))), ShapeError, "C_im of LRU"),
        (
            lambda: replace(LRU.random(3, 2), B_re=np.zeros(3)),
            ShapeError,
            "B_re of LRU must be a matrix",
        ),
        (
            lambda: replace(LRU.random(3, 2), nu=np.full(3, np.nan)),
            NotFiniteError,
            "nu of LRU holds NaN",
        ),
        (
            lambda: replace(LRU.random(3, 2), nu=1j * np.ones(3)),
            TypeError,
            "nu of LRU must hold real numbers",
        ),
        (
            lambda: S5.random(3, 2, modes=4, blocks=3),
            ValueError,
            "blocks = 3: must divide modes = 4",
        ),
        (
            lambda: S5.random(3, 2, step_min=0.1, step_max=0.01),
            ValueError,
            "step_min = 0.1 is above step_max",
        ),
        (
            lambda: S5.random(3, 2, step_min=-1.0),
            ValueError,
            "step_min = -1.0: must be a finite number above 0",
        ),
        (
            lambda: S5.random(3, 2).resampled(0),
            ValueError,
            "factor = 0: must be a finite number above 0",
        ),
        (lambda: S5.random(3, 2).resampled(np.inf), ValueError, "factor = inf"),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
