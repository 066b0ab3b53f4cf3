"""HiPPO: linear memories whose state holds the coefficients of the past in an orthogonal basis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import stack, tensors
from ..errors import ShapeError, UnknownNameError
from ..linear import LinearSystem
from ..runtime.validation import integer, number
from ..system import Map
from ..typing import Array, ArrayLike, Rng

MEASURES = ("legs", "legt", "lagt", "fourier")
NORMAL_PART_DECAY = {"legs": 0.5, "legt": 0.0, "lagt": 0.0, "fourier": 0.0}


def hippo(measure: str, order: int, theta: float = 1.0) -> LinearSystem:
    """Continuous system dx/dt = A x + B u whose state x (order,) holds the past of u in a basis.

    Parameters
    ----------
    measure : {"legs", "legt", "lagt", "fourier"}
        The basis, as for ``basis``.
    order : int
        Number of basis functions; odd for "fourier".
    theta : float above 0, optional
        Length of the window, or time scale of the weight.

    Returns
    -------
    LinearSystem
        With C the identity.

    Raises
    ------
    UnknownNameError
        For another measure.
    ValueError
        For an order or theta out of range.

    Notes
    -----
    Theta is the whole window, as in Voelker et al. (2019) and Gu et al. (2020), so that A_00 =
    -1/theta for legt. The code published with S4 halves LegT (and writes Fourier) for a window of
    2: its matrices are those of theta = 2 here.

    References
    ----------
    Gu, Dao, Ermon, Rudra and Re (2020), NeurIPS, theorems 1 and 2 and appendix D. Gu et al. (2022),
    How to train your HiPPO, equations 5 to 8.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.hippo.hippo("legs", 3).A.round(4).tolist()
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


def basis(measure: str, order: int, lags: ArrayLike, theta: float = 1.0) -> np.ndarray:
    """Values p_n(s) of the basis at lags s into the past: u(t - s) is about sum_n x_n(t) p_n(s).

        legs: sqrt(2n+1) P_n(2 exp(-s/theta) - 1), Legendre under an exponential weight
        legt: sqrt(2n+1) P_n(1 - 2s/theta), Legendre over a sliding window
        lagt: exp(-s/(2 theta)) L_n(s/theta), Laguerre functions
        fourier: 1, sqrt(2) cos(2 pi k s/theta), sqrt(2) sin(2 pi k s/theta), over a sliding window

    Parameters
    ----------
    measure : {"legs", "legt", "lagt", "fourier"}
        The basis.
    order : int
        Number of basis functions; odd for "fourier".
    lags : array_like (...)
        Lags of at least 0.
    theta : float above 0, optional
        Length of the window, or time scale of the weight.

    Returns
    -------
    numpy.ndarray (..., order)
        Zero beyond the window of legt and fourier.

    Raises
    ------
    UnknownNameError
        For another measure.
    ValueError
        For a negative lag, and an order or theta out of range.

    References
    ----------
    Gu, Dao, Ermon, Rudra and Re (2020), NeurIPS, appendix D.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.hippo.basis("legt", 3, [0.0, 1.0]).round(4).tolist()
    [[1.0, 1.7321, 2.2361], [1.0, -1.7321, 2.2361]]
    """
    from scipy.special import eval_laguerre, eval_legendre

    order, theta = _checked(measure, order, theta)
    s, n = tensors(lags)[..., None] / theta, np.arange(order)
    if (s < 0).any():
        raise ValueError(f"lags must be at least 0, got {float((s * theta).min())}")
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


def reconstruct(measure: str, x: ArrayLike, lags: ArrayLike, theta: float = 1.0) -> np.ndarray:
    """The past u(t - s) as the state of ``hippo`` remembers it.

    Parameters
    ----------
    measure : {"legs", "legt", "lagt", "fourier"}
        The basis.
    x : array_like (..., order)
        State.
    lags : array_like (k,)
        Lags s of at least 0.
    theta : float above 0, optional
        Length of the window, or time scale of the weight.

    Returns
    -------
    numpy.ndarray (..., k)

    Raises
    ------
    ShapeError
        For a state that is a single number.
    ValueError
        As for ``basis``.

    References
    ----------
    Gu, Dao, Ermon, Rudra and Re (2020), NeurIPS, section 2.

    Examples
    --------
    >>> import dynmem as dm
    >>> memory = dm.models.hippo.hippo("legt", 5)
    >>> steady = np.linalg.solve(-memory.A, memory.B)[:, 0]  # under a constant input of 1
    >>> dm.models.hippo.reconstruct("legt", steady, [0.1, 0.9]).round(9).tolist()
    [1.0, 1.0]
    """
    state = tensors(x)
    if state.ndim == 0:
        raise ShapeError("x must have shape (..., order), got a single number")
    return state @ basis(measure, state.shape[-1], lags, theta).T


class ScaledLegendre(Map):
    """HiPPO-LegS as first published: the whole history in Legendre polynomials stretched over it.

        (1 - A/2k) x_k = (1 + A/2k) x_(k-1) + B u_k / k

    Parameters
    ----------
    order : int
        Number of polynomials.

    Notes
    -----
    It is dx/dt = (A x + B u) / t with the A and B of ``hippo("legs")``, stepped by the bilinear
    rule at t = k, the number of steps so far. The state is x (order,), then the clock k; the output
    is x. After T steps u at lag s is ``reconstruct("legt", x, s, theta=T)``. It forgets as a power
    of time, (t/T)^(n+1), no longer exponentially: every exponent is 0.

    References
    ----------
    Gu, Dao, Ermon, Rudra and Re (2020), NeurIPS, theorem 2 and section 2.4.

    Examples
    --------
    >>> import dynmem as dm
    >>> memory = dm.models.hippo.ScaledLegendre(4)
    >>> _, last = memory.unroll(np.zeros(5), np.ones((1000, 1)))
    >>> bool(abs(last - [1, 0, 0, 0, 1000]).max() < 0.01)  # a constant is the first polynomial
    True
    """

    order: int
    inputs = 1
    source = "Gu, Dao, Ermon, Rudra and Re (2020), HiPPO, NeurIPS"

    def __post_init__(self) -> None:
        integer("order", self.order, 1)

    @property
    def size(self) -> int:
        return self.order + 1

    @property
    def states(self) -> tuple[str, ...]:
        return (*(f"x{n}" for n in range(self.order)), "clock")

    def rule(self, x: Array, u: Array | None) -> Array:
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

    def output(self, x: Array, u: Array | None) -> Array:
        return x[..., : self.order]

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """The state 0: no inputs so far."""
        return np.zeros(self.size)


class NormalLowRank(NamedTuple):
    """A = V (diag(Lambda) - P P^*) V^* and B = V B'.

    Lambda (order,), P (order, rank), B' (order, 1), V (order, order) unitary. The eigenvalues
    Lambda come in conjugate pairs, by rising imaginary part, and so do the rows of P and B'.
    """

    Lambda: np.ndarray
    P: np.ndarray
    B: np.ndarray
    V: np.ndarray


def normal_plus_low_rank(measure: str, order: int, theta: float = 1.0) -> NormalLowRank:
    """The matrices of ``hippo`` as a normal matrix minus one of low rank: rank 1, and 2 for legt.

        A + P P^T = -c/theta + skew

    Parameters
    ----------
    measure : {"legs", "legt", "lagt", "fourier"}
        The basis, as for ``basis``.
    order : int
        Number of basis functions; odd for "fourier".
    theta : float above 0, optional
        Length of the window, or time scale of the weight.

    Returns
    -------
    NormalLowRank

    Raises
    ------
    UnknownNameError
        For another measure.
    ValueError
        For an order or theta out of range.

    Notes
    -----
    c = 1/2 for legs and 0 else; P = sqrt(n + 1/2) for legs, sqrt(1/2) for lagt, sqrt(2) times the
    basis at lag 0 for fourier, sqrt(2n+1) over the even and the odd n for legt, each over
    sqrt(theta).

    References
    ----------
    Gu, Goel and Re (2022), Efficiently modeling long sequences with structured state spaces,
    theorem 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> form = dm.models.hippo.normal_plus_low_rank("legs", 4)
    >>> A = form.V @ (np.diag(form.Lambda) - form.P @ form.P.conj().T) @ form.V.conj().T
    >>> bool(np.allclose(A, dm.models.hippo.hippo("legs", 4).A))
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
        -NORMAL_PART_DECAY[measure] / theta + 1j * turn, V.conj().T @ P, V.conj().T @ system.B, V
    )


def legendre_delay(order: int, theta: float = 1.0, lag: float | None = None) -> LinearSystem:
    """The memory of the Legendre Memory Unit: theta dm/dt = A m + B u, read out as u(t - lag).

        A_ij = (2i+1) (-1 for i < j, (-1)^(i-j+1) else),  B_i = (2i+1) (-1)^i,
        C_n = P_n(2 lag/theta - 1)

    Parameters
    ----------
    order : int
        Number of Legendre polynomials.
    theta : float above 0, optional
        Length of the window.
    lag : float from 0 to theta, optional
        Lag that is read out; theta by default.

    Returns
    -------
    LinearSystem

    Raises
    ------
    ValueError
        For a lag outside the window, and an order or theta out of range.

    Notes
    -----
    It is ``hippo("legt")`` in other coordinates, m_n = (-1)^n sqrt(2n+1) x_n. At lag = theta C is
    (1, ..., 1), and the transfer function the [order-1/order] Pade approximant of exp(-theta s).

    References
    ----------
    Voelker, Kajic and Eliasmith (2019), NeurIPS, equations 1 and 2.

    Examples
    --------
    >>> import dynmem as dm
    >>> memory = dm.models.hippo.legendre_delay(3)
    >>> memory.A.astype(int).tolist(), memory.B.ravel().tolist()
    ([[-1, -1, -1], [3, -3, -3], [-5, 5, -5]], [1.0, -3.0, 5.0])
    """
    from scipy.special import eval_legendre

    order, theta = _checked("legt", order, theta)
    i, j = np.indices((order, order))
    A = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    B = ((2 * np.arange(order) + 1) * (-1.0) ** np.arange(order))[:, None]
    ago = 1.0 if lag is None else number("lag", lag, least=0, most=theta) / theta
    return LinearSystem(
        A / theta, B / theta, np.array([eval_legendre(np.arange(order), 2 * ago - 1)])
    )


def _edge(order: int) -> np.ndarray:
    """The Fourier basis at lag 0."""
    return np.where(np.arange(order) == 0, 1.0, np.sqrt(2) * (np.arange(order) % 2))


def _checked(measure: str, order: int, theta: float) -> tuple[int, float]:
    if measure not in MEASURES:
        raise UnknownNameError("measure", measure, MEASURES)
    order, theta = integer("order", order), number("theta", theta, above=0)
    if measure == "fourier" and order % 2 == 0:
        raise ValueError(
            f"order = {order}: fourier has a constant and pairs of cosine and sine, pass an odd "
            f"order such as {order + 1}"
        )
    return order, theta
