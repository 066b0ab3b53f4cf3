"""Lyapunov spectra of networks: products of random matrices, linear, tanh, orthogonal and gated
cells, against theory and Householder QR."""

import numpy as np
import pytest
from scipy.special import digamma, polygamma
from scipy.stats import ortho_group

import dynmem as dm
from dynmem.analysis import lyapunov_spectrum
from dynmem.analysis.lyapunov.qr import random_frame
from dynmem.autodiff.jacobian import push
from dynmem.models import GRU, LSTM, Linear, Orthogonal, Tanh
from tests.reference import Product, exponents


def householder(system, x, *, skip, steps, drive=None, rng=0, k=None, flip=False):
    """Growth per step by numpy's Householder QR after every single step, from the frame that
    ``lyapunov_spectrum`` starts from. ``flip`` turns the coordinates round before the QR: in exact
    arithmetic the same, in floating point another implementation."""
    frame, total = random_frame(k or len(x), len(x), np.random.default_rng(rng).spawn(3)[2]), 0.0
    order = slice(None, None, -1 if flip else 1)
    for t in range(skip + steps):
        x, frame = push(system, x, frame, None if drive is None else drive[t])
        q, r = np.linalg.qr(frame.T[order])
        frame = np.ascontiguousarray(q[order].T)
        with np.errstate(divide="ignore"):
            total = total + (np.log(np.abs(r.diagonal())) if t >= skip else 0.0)
    return np.sort(total / steps)[::-1]


def test_products_of_gaussian_matrices():
    """Newman (1986): lambda_i = 1/2 [ln(2 g^2/N) + psi((N-i+1)/2)], each step's growth independent
    of the last, so that the standard error is known too: sqrt(psi'((N-i+1)/2) / 4T)."""
    n, steps, gain = 10, 16_000, 1.3
    drive = lambda rng, steps: gain / np.sqrt(n) * rng.standard_normal((steps, n * n))  # noqa: E731
    result = lyapunov_spectrum(Product(n), np.zeros(n), duration=steps, transient=50, drive=drive)
    half = (n - np.arange(n)) / 2
    sd = np.sqrt(polygamma(1, half) / 4 / steps)
    assert (
        np.abs(result.lyapunov - 0.5 * (np.log(2 * gain**2 / n) + digamma(half))) < 4.5 * sd
    ).all()
    assert ((result.lyapunov_error / sd > 0.5) & (result.lyapunov_error / sd < 1.6)).all() and abs(
        result.sum_residual
    ) < 1e-9


def test_order_of_a_product():
    """... M3 M2 M1, not the reverse."""
    rng = np.random.default_rng(0)
    matrices = np.array([rng.standard_normal((4, 4)) for _ in range(3)])
    for order, expected in ((matrices, 0.9173104), (matrices[::-1], 0.5009533)):
        drive = np.tile(order.reshape(3, 16), (400, 1))
        found = exponents(Product(4), np.zeros(4), duration=900, transient=300, drive=drive)
        values = np.linalg.eigvals(order[2] @ order[1] @ order[0])
        # one, or a pair that turns: its mean is steady
        leading = values[np.abs(values) > np.abs(values).max() * (1 - 1e-9)]
        assert found[: len(leading)].mean() == pytest.approx(expected, abs=1e-6)
        np.testing.assert_allclose(found, np.sort(np.log(np.abs(values)) / 3)[::-1], atol=1e-2)


@pytest.mark.parametrize("n", [12, 60])
def test_linear_networks(n):
    orthogonal = Orthogonal.random(n, rng=1, bias_sd=1.0)
    np.testing.assert_allclose(exponents(orthogonal, duration=1000), 0.0, atol=1e-12)
    W, leak = np.random.default_rng(2).standard_normal((6, 6)) / 3, 0.25
    W = W + W.T  # real eigenvalues: the frame settles exponentially
    found = exponents(Linear(W, leak=leak), np.zeros(6), duration=50, transient=500)
    np.testing.assert_allclose(
        found,
        np.sort(np.log(np.abs(1 - leak + leak * np.linalg.eigvalsh(W))) / leak)[::-1],
        atol=1e-7,
    )


def test_a_discretised_diagonal_system():
    """Zero-order hold: step Re a exactly; bilinear: ln|(1 + step a/2)/(1 - step a/2)|."""
    rates, step = np.array([-0.1, -0.7, -3.0]), 0.3
    system = dm.LinearSystem(np.diag(rates))
    for method, expected in (
        ("zoh", step * rates),
        ("bilinear", np.log(np.abs((1 + step * rates / 2) / (1 - step * rates / 2)))),
    ):
        found = exponents(
            Linear(system.discretise(step, method).A), np.zeros(3), duration=100, transient=100
        )
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("bias", [0.0, 1.0, 5.0])
def test_lstm_of_zero_weights(bias):
    """N times ln sigma(b), and N times -inf, said so: h leaves no trace."""
    result = lyapunov_spectrum(
        LSTM(np.zeros((20, 5)), b=np.repeat([0.0, bias, 0.0, 0.0], 5)), duration=100
    )
    np.testing.assert_allclose(result.lyapunov[:5], np.log(1 / (1 + np.exp(-bias))), atol=1e-9)
    assert np.isneginf(result.lyapunov[5:]).all() and "5 directions" in result.attrs["collapsed"]
    assert (
        result.converged
        and not result.lyapunov_error[5:].any()
        and result.kaplan_yorke_dimension == 0
    )
    assert np.isneginf(lyapunov_spectrum(GRU.zeros(3), duration=100).lyapunov).sum() == 0
    np.testing.assert_allclose(exponents(GRU.zeros(3), duration=100), -np.log(2), atol=1e-12)


# Random networks against theory


def test_undriven_tanh_below_the_transition():
    """lambda_1 = ln(g rho(W)), at rest in 0; of a pair that turns for ever the mean is steady."""
    for seed in range(3):
        cell = Tanh.random(40, rng=seed, gain=0.8)
        found = exponents(cell, duration=1000, transient=1000, exponents=2)
        leading = np.linalg.eigvals(cell.W)
        pair = 1 + bool(np.imag(leading[np.abs(leading).argmax()]))
        assert found[:pair].mean() == pytest.approx(np.log(dm.spectral_radius(cell.W)), abs=1e-5)


@pytest.mark.parametrize(
    ("gain", "expected"), [(1.5, 0.06521721), (2, 0.15472423), (3, 0.31024932), (5, 0.53242794)]
)
def test_random_tanh_networks(gain, expected):
    """Engelken, Wolf and Abbott (2023); N=400."""
    cell = Tanh.random(400, rng=3, gain=gain)
    assert exponents(cell, duration=1500, transient=300, exponents=1).item() == pytest.approx(
        expected, abs=0.02
    )


def test_mean_exponent_of_a_random_tanh_network():
    """N to infinity, g=3: mean -2.272805, sum of the positive ones over N 0.0251, D_KY/N 0.287 (at
    N=400: 0.0242 and 0.2815)."""
    n = 200
    result = lyapunov_spectrum(Tanh.random(n, rng=0, gain=3.0), duration=300, transient=200)
    assert (
        result.lyapunov.mean() == pytest.approx(-2.272805, abs=0.05)
        and abs(result.sum_residual) < 1e-9
    )
    assert result.entropy_rate / n == pytest.approx(0.0242, abs=2e-3)
    assert result.kaplan_yorke_dimension / n == pytest.approx(0.28, abs=0.015)


@pytest.mark.slow  # 400 directions through 400 steps: 15 s
def test_dimension_and_entropy_of_400_units():
    """At gain 3, N=400: D_KY/N 0.2815 and entropy/N 0.0242 (Engelken, Wolf and Abbott 2023;
    independent simulation), within 3 %."""
    result = lyapunov_spectrum(Tanh.random(400, rng=0, gain=3.0), duration=200, transient=200)
    assert result.kaplan_yorke_dimension / 400 == pytest.approx(0.2815, rel=0.03)
    assert result.entropy_rate / 400 == pytest.approx(0.0242, rel=0.03)


@pytest.mark.parametrize(("sd", "expected"), [(0.1, -0.0661), (0.5, -0.2725), (1.0, -0.4595)])
def test_driven_orthogonal_tanh(sd, expected):
    """1/2 ln E[sech^4(sqrt(q) z)], q = E[tanh^2] + s^2, with noise of its own for every unit."""
    cell = Orthogonal.random(256, 256, rng=0, nonlinearity="tanh")
    cell = Tanh(cell.W, ortho_group.rvs(256, random_state=1))
    found = exponents(cell, duration=600, transient=100, exponents=1, drive=sd).item()
    assert found == pytest.approx(expected, rel=0.02)


def test_lstm_memory_lives_in_the_cell():
    """The whole state (h, c) rises to 0 with the forget bias; the h-only block, a published
    mistake, does not see it."""
    whole, blocks = [], []
    for bias in (0.0, 1.0, 5.0):
        cell = LSTM.random(32, 1, rng=0, init="uniform", forget_bias=bias)
        drive = np.random.default_rng(1).standard_normal((700, 1))
        whole.append(exponents(cell, duration=600, transient=100, drive=drive, exponents=1).item())
        x, direction, growth = cell.initial(), np.ones(32) / np.sqrt(32), []
        for u in drive:
            J = dm.jacobian(cell, x, u)[:32, :32]
            x, direction = cell.rule(x, u), J @ direction
            growth.append(np.log(np.linalg.norm(direction)))
            direction /= np.linalg.norm(direction)
        blocks.append(np.mean(growth[100:]))
    assert whole == pytest.approx([-0.50, -0.18, -0.005], abs=0.08) and whole[2] > -0.03
    assert np.ptp(blocks) < 0.3 and np.max(blocks) < -1.5


# What every run promises


def test_the_first_k_are_the_first_of_all():
    cell, x = Tanh.random(80, rng=4, gain=2.0), Tanh.random(80, rng=4).initial()
    every = lyapunov_spectrum(cell, x, duration=400, transient=1500)
    for k in (1, 10, 60):
        some = lyapunov_spectrum(cell, x, duration=400, transient=1500, exponents=k)
        np.testing.assert_allclose(some.lyapunov, every.lyapunov[:k], atol=2e-3)
        assert np.isnan(some.sum_residual) and "sum_residual" in some.attrs["note"]
    assert np.isnan(lyapunov_spectrum(cell, x, duration=50, exponents=1).kaplan_yorke_dimension)


@pytest.mark.parametrize(
    ("cell", "within"),
    [
        (Tanh.random(60, rng=1, gain=2.0), 1e-8),
        (Tanh.random(60, rng=1, gain=3.0), 1e-8),
        (Tanh.random(20, rng=1, gain=2.0), 1e-8),
        (LSTM.random(30, rng=1, gain=6.0), 1e-8),
        (LSTM.random(60, rng=2, gain=4.0), 1e-8),
        (GRU.random(60, rng=2, gain=5.0), 1e-8),
    ],
)
def test_exact_though_the_frame_is_seldom_orthonormalised(cell, within):
    """Householder QR after every step, from the same frame and orbit, within 1e-8 wherever two
    Householder QRs agree that well themselves. At a fixed point with complex pairs they do not,
    since the frame then turns for ever: that lies in the problem."""
    x = 0.3 * np.random.default_rng(0).standard_normal(cell.size)
    found = lyapunov_spectrum(cell, x, duration=150, transient=50)
    expected, other = (
        householder(cell, x, skip=50, steps=150, flip=flip) for flip in (False, True)
    )
    assert np.abs(expected - other).max() < within / 2, "this seed shows nothing: choose another"
    np.testing.assert_allclose(found.lyapunov, expected, atol=within)
    some = exponents(cell, x, duration=150, transient=50, exponents=10)
    np.testing.assert_allclose(some, householder(cell, x, skip=50, steps=150, k=10), atol=within)
