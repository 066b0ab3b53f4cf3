"""HiPPO memories against their published formulas, their own definition as projections, and Pade's
fractions."""

import numpy as np
import pytest
from scipy import integrate, signal
from scipy.interpolate import pade

import dynmem as dm
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.linear import LinearSystem
from dynmem.models.hippo import (
    MEASURES,
    ScaledLegendre,
    basis,
    hippo,
    legendre_delay,
    normal_plus_low_rank,
    reconstruct,
)


def odd(measure, order):
    return order + 1 - order % 2 if measure == "fourier" else order


def published(measure, N):
    """A and B as the papers write them, entry by entry: Gu et al. (2020), theorem 1 and 2, appendix
    D; Gu et al. (2022, HiPPO), eq. 8."""
    A, B = np.zeros((N, N)), np.zeros(N)
    for n in range(N):
        for k in range(N):
            r = np.sqrt((2 * n + 1) * (2 * k + 1))
            if measure == "legs":
                A[n, k] = -r if n > k else -(n + 1) if n == k else 0
            elif measure == "legt":
                A[n, k] = -r * (1 if k <= n else (-1) ** (n - k))
            elif measure == "lagt":
                A[n, k] = -1 if n > k else -0.5 if n == k else 0
            else:
                cosines, sine_of_k, cosine_of_k = (
                    (n % 2 and k % 2),
                    n % 2 == 1 and k == n + 1,
                    n % 2 == 0 and n and k == n - 1,
                )
                A[n, k] = (
                    -2
                    if n == k == 0
                    else -2 * np.sqrt(2)
                    if (n == 0 and k % 2) or (k == 0 and n % 2)
                    else -4
                    if cosines
                    else 0
                )
                A[n, k] += np.pi * (n + 1) * -1 if sine_of_k else np.pi * n if cosine_of_k else 0
        B[n] = {
            "legs": np.sqrt(2 * n + 1),
            "legt": np.sqrt(2 * n + 1),
            "lagt": 1.0,
            "fourier": 2 if n == 0 else 2 * np.sqrt(2) * (n % 2),
        }[measure]
    return A, B


@pytest.mark.parametrize("measure", MEASURES)
def test_matrices_are_the_published_ones(measure):
    N = odd(measure, 8)
    A, B = published(measure, N)
    for theta in (1.0, 0.3):
        system = hippo(measure, N, theta)
        np.testing.assert_allclose(system.A, A / theta, atol=1e-12)
        np.testing.assert_allclose(system.B[:, 0], B / theta, atol=1e-12)


def test_the_unit_trap():
    """Two LegT matrices are published: for a window of theta (Voelker et al. 2019; Gu et al. 2020),
    and, halved, of 2 (the code of S4, which also writes Fourier with frequencies pi n and a rank
    correction b b^T). Ours are the first; the others are theirs at theta = 2."""
    A, _ = published("legt", 6)
    np.testing.assert_allclose(hippo("legt", 6, 2.0).A, A / 2, atol=1e-14)
    np.testing.assert_allclose(hippo("legt", 6).A[0, 0], -1.0)
    b = np.array([1.0, np.sqrt(2), 0, np.sqrt(2), 0])
    turn = np.pi * (np.diag([0, 1, 0, 2], -1) - np.diag([0, 1, 0, 2], 1))
    np.testing.assert_allclose(hippo("fourier", 5, 2.0).A, turn - np.outer(b, b), atol=1e-14)
    # what the window is, seen from outside: a pulse is remembered until it is theta old
    for theta in (1.0, 2.0):
        memory = hippo("legt", 24, theta)
        seen = np.abs(memory.impulse_response([0.9 * theta, 1.3 * theta])[:, :, 0]).max(axis=1)
        assert seen[1] < 0.15 * seen[0]


def test_legs():
    """Lower triangular, eigenvalues -1 .. -N, A + P P^T = -1/2 I + skew with P = sqrt(n + 1/2) (Gu
    et al. 2022, S4, theorem 1)."""
    N = 32
    system = hippo("legs", N)
    np.testing.assert_array_equal(system.A, np.tril(system.A))
    np.testing.assert_array_equal(np.diag(system.A), -np.arange(1.0, N + 1))
    P = np.sqrt(np.arange(N) + 0.5)
    rest = system.A + np.outer(P, P) + 0.5 * np.eye(N)
    np.testing.assert_allclose(rest, -rest.T, atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_normal_plus_low_rank(measure):
    N = odd(measure, 20)
    for theta in (1.0, 3.0):
        system, form = hippo(measure, N, theta), normal_plus_low_rank(measure, N, theta)
        A = form.V @ (np.diag(form.Lambda) - form.P @ form.P.conj().T) @ form.V.conj().T
        np.testing.assert_allclose(A, system.A, atol=1e-12 * np.abs(system.A).max())
        np.testing.assert_allclose(form.V @ form.B, system.B, atol=1e-12)
        np.testing.assert_allclose(form.V.conj().T @ form.V, np.eye(N), atol=1e-13)
        np.testing.assert_allclose(
            form.Lambda, form.Lambda[::-1].conj(), atol=1e-12 * np.abs(form.Lambda).max()
        )
        np.testing.assert_allclose(
            form.Lambda.real, -0.5 / theta if measure == "legs" else 0, atol=1e-15
        )
        assert form.P.shape[1] == (2 if measure == "legt" else 1)


@pytest.mark.parametrize("measure", ["legs", "lagt"])
def test_states_are_projections(measure):
    """x_n = int u(t - s) k_n(s) ds with k = exp(A s) B: the basis times the weight exp(-s), and for
    lagt the basis alone."""
    N, lags = 7, np.array([0.0, 0.2, 1.0, 3.0, 8.0])
    kernel = hippo(measure, N, 0.7).impulse_response(lags)[:, :, 0] * 0.7
    weight = np.exp(-lags / 0.7)[:, None] if measure == "legs" else 1.0
    np.testing.assert_allclose(kernel, weight * basis(measure, N, lags, 0.7), atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_bases_are_orthonormal(measure):
    N, theta = odd(measure, 6), 0.5
    weight = {"legs": lambda s: np.exp(-s / theta) / theta}.get(measure, lambda s: 1 / theta)
    end = theta if measure in ("legt", "fourier") else 40 * theta
    gram = integrate.quad_vec(
        lambda s: weight(s) * np.outer(*2 * [basis(measure, N, s, theta)]), 0, end, epsabs=1e-12
    )[0]
    np.testing.assert_allclose(gram, np.eye(N), atol=1e-6 if measure == "lagt" else 1e-9)


@pytest.mark.parametrize(
    "measure, within, least",
    [("legs", 2.0, 0.03), ("legt", 0.95, 1e-3), ("lagt", 2.0, 0.2), ("fourier", 0.8, 0.05)],
)
def test_the_past_is_read_back_from_the_state(measure, within, least):
    """A smooth signal, exactly integrated for a held input of short steps: what is read back at
    lags inside the memory is what was. The errors themselves are held to theory in
    test_theory_kernels."""
    system, dt = hippo(measure, odd(measure, 40)), 2e-3
    t = dt * np.arange(1, 8001)
    u = np.sin(t) + 0.5 * np.cos(2 * t + 1)
    x = system.discretise(dt).run(None, u[:, None])[1]
    lags = np.arange(50, int(within / dt), 50)
    past = reconstruct(measure, x, (lags + 0.5) * dt)
    assert np.sqrt(np.mean((past - u[-1 - lags]) ** 2)) < least * np.sqrt(np.mean(u**2))


def test_legendre_delay():
    """Voelker et al. (2019), equation 2: order 3, theta 1."""
    memory = legendre_delay(3)
    np.testing.assert_array_equal(memory.A, [[-1, -1, -1], [3, -3, -3], [-5, 5, -5]])
    np.testing.assert_array_equal(memory.B.ravel(), [1, -3, 5])
    np.testing.assert_array_equal(memory.C, [[1, 1, 1]])
    # hippo("legt") in other coordinates
    scale = (-1.0) ** np.arange(3) * np.sqrt(2 * np.arange(3) + 1)
    np.testing.assert_allclose(scale[:, None] * hippo("legt", 3).A / scale, memory.A, atol=1e-14)
    np.testing.assert_allclose(legendre_delay(4, 10.0).A * 10, legendre_delay(4).A)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 8])
def test_a_delay_is_a_pade_fraction(order):
    """The [q-1/q] Pade approximant of exp(-s), by scipy from the Taylor series; q = 2: (6 - 2s) /
    (s^2 + 4s + 6)."""
    memory = legendre_delay(order)
    s = np.array([0.3, 1.0 + 2.0j, 5j, -0.2])
    if order == 2:
        np.testing.assert_allclose(
            memory.transfer(s)[:, 0, 0], (6 - 2 * s) / (s**2 + 4 * s + 6), atol=1e-14
        )
    factorial = np.cumprod(np.r_[1.0, np.arange(1, 2 * order)])
    top, bottom = pade((-1.0) ** np.arange(2 * order) / factorial, order, order - 1)
    np.testing.assert_allclose(memory.transfer(s)[:, 0, 0], top(s) / bottom(s), atol=1e-10)
    scaled = legendre_delay(order, 3.0).transfer(s / 3.0)
    np.testing.assert_allclose(scaled, memory.transfer(s), atol=1e-13)


def test_every_lag_of_the_window_can_be_read():
    dt, order = 1e-3, 12
    u = np.sin(2 * np.pi * dt * np.arange(4000))
    x = legendre_delay(order).discretise(dt).run(None, u[:, None])[1]
    for lag in (0.0, 0.25, 0.8, 1.0):
        assert legendre_delay(order, 1.0, lag).C[0] @ x == pytest.approx(
            np.sin(2 * np.pi * (3999 * dt + dt / 2 - lag)), abs=2e-3
        )


def test_the_whole_history_is_remembered():
    """Gu et al. (2020), section 2.4: the bilinear rule with 1/k in front, in dense matrices; the
    history read back at every lag, however long it is; and forgetting by a power of time,
    (t/T)^(n+1), so that the longest time constant grows with the history."""
    memory, system, rng = ScaledLegendre(12), hippo("legs", 12), np.random.default_rng(0)
    u, x = rng.standard_normal((40, 1)), np.zeros(12)
    for k, each in enumerate(u, start=1):
        x = np.linalg.solve(
            np.eye(12) - system.A / (2 * k), x + system.A @ x / (2 * k) + system.B @ each / k
        )
    np.testing.assert_allclose(memory.unroll(memory.initial(), u)[1], [*x, 40], atol=1e-12)
    for T in (500, 2000):
        t = (np.arange(T) + 0.5) / T
        past = np.sin(6 * t) + t**2
        x = memory.unroll(memory.initial(), past[:, None])[1][:12]
        lags = np.array([0.05, 0.3, 0.6, 0.9]) * T
        np.testing.assert_allclose(
            reconstruct("legt", x, lags, T), np.interp(T - lags, T * t, past), atol=0.02
        )
    product, at, state = np.eye(12), {}, np.append(np.zeros(12), 50.0)
    for k in range(51, 801):
        product = dm.jacobian(memory, state, [0.0])[:12, :12] @ product
        state[-1] = at[k] = k
        at[k] = product[0, 0], product[1, 1]
    np.testing.assert_allclose(np.log2(np.array(at[200]) / np.array(at[800])), [2, 4], atol=0.02)


def test_transfer_functions_are_scipys():
    full, omega = hippo("legs", 6), np.array([0.1, 1.0, 10.0])
    system = LinearSystem(
        full.A, full.B, np.random.default_rng(0).standard_normal((2, 6)), [[0.5], [1.0]]
    )
    for n in range(2):
        response = signal.freqresp(
            (system.A, system.B, system.C[n : n + 1], system.D[n : n + 1]), omega
        )[1]
        np.testing.assert_allclose(system.frequency_response(omega)[:, n, 0], response, rtol=1e-9)
    step = system.discretise(0.1)
    A, B, C, D = step.lagged
    response = signal.dfreqresp((A, B, C[:1], D[:1], 0.1), omega * 0.1)[1]
    np.testing.assert_allclose(step.frequency_response(omega)[:, 0, 0], response, rtol=1e-9)
    np.testing.assert_allclose(
        step.transfer(2.0),
        np.einsum("joi,j->oi", step.kernel(200), 2.0 ** -np.arange(200.0)),
        atol=1e-12,
    )
    np.testing.assert_allclose(system.time_constants, 1 / np.arange(1, 7), atol=1e-9)
    np.testing.assert_allclose(step.time_constants, 1 / np.arange(1, 7), atol=1e-9)
    times, response = signal.impulse(
        (system.A, system.B, system.C[:1], np.zeros((1, 1))), T=np.linspace(0, 1, 5)
    )
    np.testing.assert_allclose(system.impulse_response(times)[:, 0, 0], response, atol=1e-9)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: hippo("leg", 3), UnknownNameError, "no measure is called 'leg'"),
        (lambda: hippo("legs", 0), ValueError, "order = 0"),
        (lambda: hippo("legs", 2.5), ValueError, "order = 2.5"),
        (lambda: hippo("legt", 3, theta=0.0), ValueError, "theta = 0.0"),
        (lambda: hippo("legt", 3, theta=np.nan), ValueError, "theta = nan"),
        (lambda: hippo("fourier", 4), ValueError, "pass an odd order such as 5"),
        (lambda: basis("legs", 3, [-1.0]), ValueError, "lags must be at least 0, got -1.0"),
        (lambda: reconstruct("legs", 1.0, [0.0]), ShapeError, "x must have shape"),
        (lambda: legendre_delay(3, 1.0, 1.5), ValueError, "lag = 1.5"),
        (lambda: ScaledLegendre(0), ValueError, "order = 0"),
        (lambda: hippo("legs", 3).kernel(5), ValueError, "call discretise"),
        (lambda: hippo("legs", 3).discretise(0.1).impulse_response([0.0]), ValueError, "kernel"),
    ],
)
def test_bad_requests(call, error, text):
    with pytest.raises(error, match=text):
        call()
