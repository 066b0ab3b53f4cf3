"""HiPPO: linear memories whose state holds the coefficients of the past in an orthogonal basis (Gu
et al. 2020, 2022)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..arrays import stack, tensors
from ..errors import ShapeError, UnknownNameError
from ..linear import LinearSystem
from ..runtime.validation import integer, number
from ..system import Map
from .cell import above_zero

MEASURES = ("legs", "legt", "lagt", "fourier")
DECAY = {"legs": 0.5, "legt": 0.0, "lagt": 0.0, "fourier": 0.0}  # of the normal part


def hippo(measure, order, theta=1.0):
    """Continuous system dx/dt = A x + B u whose state x (order,) holds the past of u in the basis
    ``basis(measure, ...)``.

    legs: Legendre polynomials of exp(-s / theta), an exponential weight; legt: Legendre polynomials
    of a sliding window of length theta; lagt: Laguerre functions; fourier: a constant and pairs of
    cosine and sine over a sliding window of length theta.

    The unit trap: theta is the whole window, as in Voelker et al. (2019) and Gu et al. (2020), so
    that A_00 = -1/theta for legt. The code published with S4 halves LegT (and writes Fourier) for a
    window of 2: its matrices are those of theta = 2 here. C is the identity.

    Raises UnknownNameError for another measure, ValueError for a theta that is not positive, and
    for an even order of fourier. Source: Gu et al. (2020), theorems 1 and 2 and appendix D; Gu et
    al. (2022, "How to train your HiPPO"), equations 5 to 8.

    >>> hippo("legs", 3).A.round(4).tolist()
    [[-1.0, 0.0, 0.0], [-1.7321, -2.0, 0.0], [-2.2361, -3.873, -3.0]]
    """
    order, theta = _checked(measure, order, theta)
    n = np.arange(order)
    if measure == "lagt":
        A, B = 0.5 * np.eye(order) - np.tril(np.ones((order, order))), np.ones(order)
    elif measure == "fourier":
        turn = np.zeros(order - 1)
        turn[1::2] = 2 * np.pi * np.arange(1, order // 2 + 1)
        b = _edge(order)
        A, B = np.diag(turn, -1) - np.diag(turn, 1) - 2 * np.outer(b, b), 2 * b
    else:
        B = np.sqrt(2 * n + 1.0)
        sign = np.where(
            n[:, None] < n, 0.0 if measure == "legs" else (-1.0) ** (n[:, None] - n), 1.0
        )
        A = 0.0 - np.outer(B, B) * sign
        if measure == "legs":
            A[n, n] = -(n + 1.0)
    return LinearSystem(A / theta, B[:, None] / theta)


def basis(measure, order, lags, theta=1.0):
    """Values p_n(s), shape (..., order), of the basis at the lags s (...) into the past: u(t - s)
    is about sum_n x_n(t) p_n(s).

    legs: sqrt(2n+1) P_n(2 exp(-s/theta) - 1); legt: sqrt(2n+1) P_n(1 - 2s/theta); lagt: exp(-s/(2
    theta)) L_n(s/theta); fourier: 1, sqrt(2) cos(2 pi k s/theta), sqrt(2) sin(2 pi k s/theta).
    Beyond the window of legt and fourier nothing is remembered: zero.

    >>> basis("legt", 3, [0.0, 1.0]).round(4).tolist()
    [[1.0, 1.7321, 2.2361], [1.0, -1.7321, 2.2361]]
    """
    from scipy.special import eval_laguerre, eval_legendre

    order, theta = _checked(measure, order, theta)
    s, n = tensors(lags)[..., None] / theta, np.arange(order)
    if (s < 0).any():
        raise ValueError("lags reach into the past: pass numbers of at least 0")
    if measure == "lagt":
        return np.exp(-s / 2) * eval_laguerre(n, s)
    if measure == "fourier":
        k, even = (n + 1) // 2, n % 2 == 0
        values = (
            _edge(order) * np.cos(2 * np.pi * k * s) * ~even
            + np.sqrt(2) * np.sin(2 * np.pi * k * s) * even
            + (n == 0)
        )
    else:
        values = np.sqrt(2 * n + 1) * eval_legendre(
            n, 2 * np.exp(-s) - 1 if measure == "legs" else 1 - 2 * s
        )
    return values if measure == "legs" else np.where(s <= 1 + 1e-12, values, 0.0)


def reconstruct(measure, x, lags, theta=1.0):
    """The past u(t - s) at the lags s (k,) as the state x (..., order) of ``hippo`` remembers it,
    shape (..., k).

    >>> u_was_one = np.linalg.solve(-hippo("legt", 5).A, hippo("legt", 5).B)[:, 0]  # the state under a constant input
    >>> reconstruct("legt", u_was_one, [0.1, 0.9]).round(9).tolist()
    [1.0, 1.0]
    """
    x = tensors(x)
    if x.ndim == 0:
        raise ShapeError("x must have shape (..., order), got a single number")
    return x @ basis(measure, x.shape[-1], lags, theta).T


@dataclass(frozen=True, eq=False)
class ScaledLegendre(Map):
    """HiPPO-LegS as first published: the whole history, however long, in Legendre polynomials
    stretched over it.

    dx/dt = (A x + B u) / t with the A and B of ``hippo("legs")``, stepped by the bilinear rule at t
    = k, the number of steps so far: (1 - A/2k) x_k = (1 + A/2k) x_(k-1) + B u_k / k. The state is x
    (order,), then the clock k. After T steps u at lag s is read back as by ``reconstruct("legt", x,
    s, theta=T)``. It forgets as a power of time, (t/T)^(n+1), no longer exponentially: every
    exponent is 0.

    Field: order. Source: Gu, Dao, Ermon, Rudra and Re (2020), theorem 2 and section 2.4.

    >>> memory = ScaledLegendre(4)
    >>> _, last = memory.unroll(np.zeros(5), np.ones((1000, 1)))
    >>> abs(last - [1, 0, 0, 0, 1000]).max() < 0.01  # a constant is the first polynomial
    np.True_
    """

    order: int
    inputs = 1

    def __post_init__(self):
        integer("order", self.order, 1)

    size = property(lambda self: self.order + 1)
    states = property(lambda self: (*(f"x{n}" for n in range(self.order)), "clock"))

    def rule(self, x, u):
        clock = x[..., self.order] + 1.0
        half = 0.5 / clock
        before, after, found = 0.0, 0.0, []  # sums of r_j x_j and r_j y_j over j < n
        for n in range(self.order):
            r = np.sqrt(2 * n + 1.0)
            right = (1.0 - half * (n + 1)) * x[..., n] - half * r * before
            right = right if u is None else right + 2.0 * half * r * u[..., 0]
            y = (right - half * r * after) / (1.0 + half * (n + 1))
            before, after = before + r * x[..., n], after + r * y
            found.append(y)
        return stack((*found, clock))

    def output(self, x, u):
        return x[..., : self.order]

    def initial(self, rng=0):
        """Nothing remembered, no time passed."""
        return np.zeros(self.size)


class NormalLowRank(NamedTuple):
    """A = V (diag(Lambda) - P P^*) V^* and B = V B': Lambda (order,), P (order, rank), B' (order,
    1), V (order, order) unitary.

    The eigenvalues Lambda come in conjugate pairs, by rising imaginary part, and so do the rows of
    P and B'.
    """

    Lambda: np.ndarray
    P: np.ndarray
    B: np.ndarray
    V: np.ndarray


def normal_plus_low_rank(measure, order, theta=1.0):
    """The matrices of ``hippo`` as a normal matrix minus one of low rank: rank 1, and 2 for legt
    (Gu et al. 2022, S4, theorem 1).

    A + P P^T = -c/theta + skew, with c = 1/2 for legs and 0 else; P = sqrt(n + 1/2) for legs,
    sqrt(1/2) for lagt, sqrt(2) times the basis at lag 0 for fourier, sqrt(2n+1) over the even and
    the odd n for legt, each over sqrt(theta).

    >>> form = normal_plus_low_rank("legs", 4)
    >>> bool(np.allclose(form.V @ (np.diag(form.Lambda) - form.P @ form.P.conj().T) @ form.V.conj().T, hippo("legs", 4).A))
    True
    """
    system = hippo(measure, order, theta)
    n = np.arange(len(system.A))
    if measure == "legt":
        P = np.sqrt(2 * n + 1)[:, None] * np.stack((n % 2 == 0, n % 2 == 1), axis=-1)
    else:
        P = {
            "legs": np.sqrt(n + 0.5),
            "lagt": np.full(len(n), np.sqrt(0.5)),
            "fourier": np.sqrt(2) * _edge(len(n)),
        }[measure][:, None]
    P = P / np.sqrt(theta)
    skew = system.A + P @ P.T
    turn, V = np.linalg.eigh(-0.5j * (skew - skew.T))
    return NormalLowRank(
        -DECAY[measure] / theta + 1j * turn, V.conj().T @ P, V.conj().T @ system.B, V
    )


def legendre_delay(order, theta=1.0, lag=None):
    """The memory of the Legendre Memory Unit: the state m (order,) of theta dm/dt = A m + B u, read
    out as u(t - lag), by default u(t - theta).

    A_ij = (2i+1) (-1 for i < j, (-1)^(i-j+1) else), B_i = (2i+1)(-1)^i (Voelker et al. 2019,
    equations 1 and 2): ``hippo("legt")`` in other coordinates, m_n = (-1)^n sqrt(2n+1) x_n.
    C_n(lag) = P_n(2 lag/theta - 1); at lag = theta it is (1, ..., 1), and the transfer function the
    [order-1/order] Pade approximant of exp(-theta s).

    Raises ValueError for a lag outside [0, theta].

    >>> legendre_delay(3).A.astype(int).tolist(), legendre_delay(3).B.ravel().tolist()
    ([[-1, -1, -1], [3, -3, -3], [-5, 5, -5]], [1.0, -3.0, 5.0])
    """
    from scipy.special import eval_legendre

    order, theta = _checked("legt", order, theta)
    i, j = np.indices((order, order))
    A = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    B = ((2 * np.arange(order) + 1) * (-1.0) ** np.arange(order))[:, None]
    ago = 1.0 if lag is None else number("lag", lag) / theta
    if not 0 <= ago <= 1:
        raise ValueError(f"lag = {lag}: the window reaches from 0 to theta = {theta}")
    return LinearSystem(
        A / theta, B / theta, np.array([eval_legendre(np.arange(order), 2 * ago - 1)])
    )


def _edge(order):
    """The Fourier basis at lag 0."""
    return np.where(np.arange(order) == 0, 1.0, np.sqrt(2) * (np.arange(order) % 2))


def _checked(measure, order, theta):
    if measure not in MEASURES:
        raise UnknownNameError("measure", measure, MEASURES)
    order, (theta,) = integer("order", order, 1), above_zero(theta=theta)
    if measure == "fourier" and order % 2 == 0:
        raise ValueError(
            f"order = {order}: fourier holds a constant and pairs of cosine and "
            f"sine, pass an odd order such as {order + 1}"
        )
    return order, theta
