"""Delays and the past read back: Pade fractions of a Legendre memory, what HiPPO remembers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...labels import dataset
from ...models.hippo import basis, hippo
from ...runtime.validation import array, integer, number, public
from ...typing import ArrayLike
from ..checks import vector

if TYPE_CHECKING:
    from xarray import Dataset


@public
def pade_delay(order: int, omega: ArrayLike, theta: float = 1.0) -> Dataset:
    """Delay of a Legendre memory: the [q-1/q] Pade approximant of exp(-theta s).

        R(s) = sum_j N_j (-theta s)^j / sum_j D_j (theta s)^j,
        N_j = (2q-1-j)! (q-1)! / ((2q-1)! j! (q-1-j)!),
        D_j = (2q-1-j)! q! / ((2q-1)! j! (q-j)!).

    Near omega = 0 the error is (q-1)! q! / ((2q-1)! (2q)!) (theta omega)^(2q): the delay holds up
    to theta omega of about q, and fails above.

    Parameters
    ----------
    order : int
        Order q of the memory.
    omega : float or array_like (frequencies,)
        Angular frequencies, radian per time unit.
    theta : float, default 1.0
        Delay, in time units.

    Returns
    -------
    xarray.Dataset
        gain : (frequency,), 1
            Modulus of R(i omega).
        phase_delay : (frequency,), time unit
            Phase over frequency, for frequencies close enough to unwrap it.
        error : (frequency,), 1
            abs(R(i omega) - exp(-i omega theta)).
        leading_error : (frequency,), 1
            First term of the error at low frequency.

    Raises
    ------
    ValueError
        Where the order is not a whole number of at least 1, or theta is not above 0.

    References
    ----------
    Voelker, Kajic and Eliasmith (2019), NeurIPS 32, section 2; Pade (1892).

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.pade_delay(6, [0.5, 20.0]).error.values.round(4).tolist()
    [0.0, 0.6719]
    """
    q, omega = integer("order", order), vector("omega", omega)
    theta = number("theta", theta, above=0)
    z = 1j * theta * omega
    response = ratio(pade_coefficients(q), z)
    leading = np.exp(
        math.lgamma(q) + math.lgamma(q + 1) - math.lgamma(2 * q) - math.lgamma(2 * q + 1)
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        delay = np.where(omega == 0, theta, -np.unwrap(np.angle(response)) / omega)
        first = leading * np.abs(z) ** (2 * q)
    return dataset(
        {
            "gain": ("frequency", np.abs(response), "1", "gain"),
            "phase_delay": (
                "frequency",
                delay,
                "time unit",
                "phase over frequency, for frequencies close enough to unwrap it",
            ),
            "error": (
                "frequency",
                np.abs(response - np.exp(-z)),
                "1",
                "distance from the exact delay",
            ),
            "leading_error": ("frequency", first, "1", "first term of the error at low frequency"),
        },
        {"frequency": ("frequency", omega, "radian per time unit", "angular frequency")},
        title="delay of a Legendre memory",
        source="Voelker, Kajic and Eliasmith (2019), section 2",
        parameters={"order": q, "theta": theta},
    )


def pade_coefficients(q: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the [q-1/q] Pade approximant of exp(-z), of rising powers: numerator (q,),
    denominator (q + 1,).

    >>> top, bottom = pade_coefficients(2)  # (6 - 2z) / (6 + 4z + z^2)
    >>> top.tolist() == [1.0, -1 / 3], bottom.tolist() == [1.0, 2 / 3, 1 / 6]
    (True, True)
    """

    def part(n, sign):
        whole = math.factorial(2 * q - 1)
        return [
            sign**j
            * math.factorial(2 * q - 1 - j)
            * math.factorial(n)
            / (whole * math.factorial(j) * math.factorial(n - j))
            for j in range(n + 1)
        ]

    return np.array(part(q - 1, -1)), np.array(part(q, 1))


def ratio(coefficients, z):
    """The fraction at the points z: for large z in powers of 1/z, so that nothing overflows."""
    top, bottom = coefficients
    small = np.abs(z) <= 1
    near, far = np.where(small, z, 0.0), 1.0 / np.where(small, 1.0, z)
    direct = np.polyval(top[::-1], near) / np.polyval(bottom[::-1], near)
    return np.where(small, direct, np.polyval(top, far) * far / np.polyval(bottom, far))


@public
def hippo_memory(
    measure: str,
    order: int,
    lags: ArrayLike,
    omega: ArrayLike = (),
    power: ArrayLike | None = None,
    theta: float = 1.0,
) -> Dataset:
    """What a HiPPO state remembers: weight of the past, and error with which it is read back.

    Of exp(i omega t) the state is (i omega - A)^-1 B exp(i omega t), and the value read at lag s
    is p(s) . (i omega - A)^-1 B exp(i omega t) in place of exp(i omega (t - s)): the root mean
    square of the difference, over frequencies with these powers, is exact for any stationary
    signal of that spectrum.

    Parameters
    ----------
    measure : str
        "legs", "legt", "lagt" or "fourier".
    order : int
        Number of components of the state.
    lags : float or array_like (lags,)
        Times s of at least 0 before now, in time units.
    omega : array_like (frequencies,), optional
        Angular frequencies of the signal, radian per time unit; without them no error is returned.
    power : array_like (frequencies,), optional
        Power at each frequency; equal by default.
    theta : float, default 1.0
        Length of the window, or time constant of the weight, in time units.

    Returns
    -------
    xarray.Dataset
        weight : (lag,), 1/time unit
            Weight of the past.
        error : (lag,), 1
            Root mean square error over that of the signal: 1 is the error of knowing nothing
            [optional].

    Raises
    ------
    UnknownNameError
        Where there is no such measure.
    ValueError
        Where ``power`` is negative or does not have one number for each frequency.

    References
    ----------
    Gu, Dao, Ermon, Rudra and Re (2020), NeurIPS 33, section 2; the error follows from linearity.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.hippo_memory("legt", 16, [0.5, 2.0], omega=[6.0]).error.values.round(2).tolist()
    [0.0, 1.0]
    """
    lags, omega = vector("lags", lags), array("omega", np.atleast_1d(omega))
    theta = number("theta", theta, above=0)
    p, system = basis(measure, order, lags, theta), hippo(measure, order, theta)
    faded = measure in ("legs", "lagt")
    inside = np.exp(-lags / theta) if faded else (lags <= theta) * 1.0
    variables = {"weight": ("lag", inside / theta, "1/time unit", "weight of the past")}
    if omega.size:
        shares = np.full(omega.size, 1.0) if power is None else vector("power", power)
        if shares.shape != omega.shape or (shares < 0).any() or not shares.sum() > 0:
            raise ValueError(
                f"power has shape {shares.shape}, expected one number of at least 0 for each of "
                f"the {omega.size} frequencies"
            )
        response = system.frequency_response(omega)[:, :, 0] @ p.T
        squared = (
            shares @ np.abs(response - np.exp(-1j * np.outer(omega, lags))) ** 2 / shares.sum()
        )
        variables["error"] = (
            "lag",
            np.sqrt(squared),
            "1",
            "rms error of the past, over the signal's own rms",
        )
    return dataset(
        variables,
        {"lag": ("lag", lags, "time unit", "lag")},
        title=f"memory of HiPPO, {measure}",
        source="Gu et al. (2020), section 2",
        parameters={"measure": measure, "order": order, "theta": theta},
    )
