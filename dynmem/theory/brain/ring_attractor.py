"""A ring attractor: spectra of its flat state and its bump, and the bump's diffusion in noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConvergenceError
from ...labels import dataset
from ...runtime.validation import number, public
from ...system import System
from ...systems.attractors import RingAttractor
from ...typing import ArrayLike
from ..results import lyapunov_report
from .noise import recall_report, split_noise, time_vector

if TYPE_CHECKING:
    from xarray import Dataset

CENTRES = ("on a unit", "between units")
MAX_WIDTHS_TRIED = 8


@public
def ring_flat(system: System) -> Dataset:
    """Spectrum of the flat state of a ring attractor, by Fourier modes.

    Every unit is active at r = I/(1 - J0); the eigenvalues are (J0 - 1)/tau for mode 0,
    (J1/2 - 1)/tau for the cosine and the sine of mode 1, -1/tau for the others. A bump grows from
    J1 = 2 on.

    Parameters
    ----------
    system : RingAttractor
        N units with inhibition J0 < 1, modulation J1, current I > 0 and time constant tau.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/time unit
            Lyapunov exponents of the flat state, largest first.
        lyapunov_error : (exponent,), 1/time unit
            0: the formula is exact.
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension.
        entropy_rate : (), nats/time unit
            Sum of the positive exponents.
        rate : (), 1
            Rate of every unit.
        eigenvalue : (mode,), 1/time unit
            Eigenvalue of the Fourier modes 0 .. N/2.
        critical_modulation : (), 1
            Modulation at which the flat state becomes unstable.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        Unless J0 < 1 and I > 0: no flat state is active.

    References
    ----------
    Ben-Yishai, Bar-Or and Sompolinsky (1995), PNAS 92, 3844; Hansel and Sompolinsky (1998), in
    Methods in Neuronal Modeling, ch. 13.

    Examples
    --------
    >>> import dynmem as dm
    >>> ring = dm.systems.RingAttractor(modulation=1.8)
    >>> round(float(dm.theory.ring_flat(ring).lyapunov[0]), 9)
    -0.1
    """
    ring, _ = _ring(system)
    modes = np.arange(ring.units // 2 + 1)
    gain = np.where(modes == 0, ring.inhibition, np.where(modes == 1, ring.modulation / 2, 0.0))
    values = (gain - 1.0) / ring.time_constant
    copies = np.where((modes == 0) | (2 * modes == ring.units), 1, 2)
    report = lyapunov_report(
        np.repeat(values, copies),
        title="flat state of a ring attractor",
        source=RingAttractor.source,
        parameters=ring.parameters,
        per="1/time unit",
        rate=((), ring.current / (1.0 - ring.inhibition), "1", "rate of every unit"),
        eigenvalue=("mode", values, "1/time unit", "eigenvalue of a Fourier mode"),
        critical_modulation=((), 2.0, "1", "modulation at which the flat state becomes unstable"),
    )
    return report.assign_coords(mode=("mode", modes, {"units": "1", "long_name": "Fourier mode"}))


def _ring(system: System) -> tuple[Any, float]:
    """The ring and its noise, its parameters checked."""
    ring, diffusion = split_noise(system, RingAttractor)
    number("inhibition", ring.inhibition, below=1)  # or the mean activity grows without bound
    number("modulation", ring.modulation)
    number("current", ring.current, above=0)
    return ring, diffusion


@public
def ring_bump(system: System) -> Dataset:
    """The bump of a ring attractor and its spectrum, exactly as the lattice of N units has it.

    n units around the centre are active, at r_i = h0 + c cos(theta_i - psi); with S1, S2, S3 the
    sums of cos, cos^2, sin^2 over them

        h0 = I + J0 (n h0 + S1 c)/N,   c = J1 (S1 h0 + S2 c)/N,

    and tau times the eigenvalues is: J1 S3/N - 1 for a shift; those of
    ((J0 n, J0 S1), (J1 S1, J1 S2))/N, less 1, for mean and height; -1 for all others.

    Parameters
    ----------
    system : RingAttractor
        N units with inhibition J0 < 1, modulation J1 > 2, current I > 0 and time constant tau.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/time unit
            Lyapunov exponents of the stable bump, largest first.
        lyapunov_error : (exponent,), 1/time unit
            0: the formula is exact.
        kaplan_yorke_dimension : (), 1
            Kaplan-Yorke dimension.
        entropy_rate : (), nats/time unit
            Sum of the positive exponents.
        half_width : (), radian
            Half-width of the bump for many units.
        active : (centre,), 1
            Number of active units, 0 where no bump has this centre.
        mean_rate : (centre,), 1
            Mean rate over all units.
        order : (centre,), 1
            Length r1 of the population vector.
        stable : (centre,), 1
            Whether a bump stays there.
        lyapunov_at : (centre, exponent), 1/time unit
            Eigenvalues of a bump at this centre.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        Unless J0 < 1, J1 > 2 and I > 0.
    ConvergenceError
        Where no bump of finite height exists.

    Notes
    -----
    By symmetry psi lies on a unit (n odd) or between two (n even). For N to infinity the half-width
    obeys th - sin(2 th)/2 = 2 pi/J1, and a shift costs nothing; on the lattice it costs nothing
    only where J1 S3 = N. Where the centres differ, bumps drift to the stable one. A unit just at
    its threshold counts as active: at J1 = 4 and N = 128 a bump on a unit has two of them, 65 in
    all, and the eigenvalue +4/N; the least shift silences one, and from there on costs nothing.

    References
    ----------
    Derived here after Ben-Yishai, Bar-Or and Sompolinsky (1995), PNAS 92, 3844, and Hansel and
    Sompolinsky (1998).

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.ring_bump(dm.systems.RingAttractor())
    >>> found.active.values.tolist(), found.lyapunov_at.values[:, 0].round(5).tolist()
    ([65, 64], [0.03125, 0.0])
    """
    ring, _ = _ring(system)
    if ring.modulation <= 2:
        raise ValueError(
            f"modulation = {ring.modulation}: must be above 2, or the flat state is stable and no "
            "bump forms"
        )
    found = [_bump(ring, centre) for centre in CENTRES]
    if not any(found):
        raise ConvergenceError(
            f"no bump of finite height at inhibition = {ring.inhibition}, "
            f"modulation = {ring.modulation}: more inhibition "
            "(a lower inhibition) may hold it"
        )
    nothing: dict = {
        "active": 0,
        "mean_rate": np.nan,
        "order": np.nan,
        "exponents": np.full(ring.units, np.nan),
    }
    rows: list[dict] = [each or nothing for each in found]
    first = np.array([row["exponents"][0] for row in rows])
    best = int(np.nanargmin(first))
    report = lyapunov_report(
        rows[best]["exponents"],
        title="bump of a ring attractor",
        source=RingAttractor.source,
        per="1/time unit",
        parameters=ring.parameters,
        half_width=((), half_width(ring.modulation), "radian", "half-width for many units"),
    )
    stable = np.nan_to_num(first, nan=1.0) <= 1e-12
    columns = {
        "active": ([row["active"] for row in rows], "number of active units"),
        "mean_rate": ([row["mean_rate"] for row in rows], "mean rate over all units"),
        "order": ([row["order"] for row in rows], "length of the population vector"),
        "stable": (stable, "whether a bump stays there"),
    }
    variables: dict[str, tuple] = {
        name: ("centre", values, "1", text) for name, (values, text) in columns.items()
    }
    variables["lyapunov_at"] = (
        ("centre", "exponent"),
        [row["exponents"] for row in rows],
        "1/time unit",
        "eigenvalues of a bump at this centre",
    )
    coords = {"centre": ("centre", list(CENTRES), "1", "place of the bump's centre on the lattice")}
    return report.merge(dataset(variables, coords, title="", source=""), combine_attrs="override")


def half_width(modulation: float) -> float:
    """Half-width of the bump for many units, in radians: th - sin(2 th)/2 = 2 pi/J1.

    >>> round(half_width(4.0) / np.pi, 9)
    0.5
    """
    from scipy.optimize import brentq

    return float(
        brentq(lambda th: th - np.sin(2 * th) / 2 - 2 * np.pi / modulation, 0.0, np.pi, xtol=1e-15)
    )


def _bump(ring: Any, centre: str) -> dict | None:
    """The consistent bump at a centre, or None: widths are tried from that of the continuum
    outwards."""
    N, offset = ring.units, 0.0 if centre == CENTRES[0] else 0.5
    widths = np.arange(1 if offset == 0 else 2, N + 1, 2)
    distance = np.abs(widths - N * half_width(ring.modulation) / np.pi)
    for n in widths[np.argsort(distance, kind="stable")][:MAX_WIDTHS_TRIED]:
        angles = 2 * np.pi / N * (np.arange(N) - (n - 1) // 2 - offset)
        active = np.arange(N) < n
        cosines = np.cos(angles)
        S1, S2 = cosines[active].sum(), (cosines[active] ** 2).sum()
        even = (
            np.array(
                [
                    [ring.inhibition * n, ring.inhibition * S1],
                    [ring.modulation * S1, ring.modulation * S2],
                ]
            )
            / N
        )
        if abs(np.linalg.det(np.eye(2) - even)) < 1e-12:
            continue
        h0, c = np.linalg.solve(np.eye(2) - even, [ring.current, 0.0])
        rates = h0 + c * cosines
        if c > 0 and (rates[active] > -1e-12 * c).all() and (rates[~active] < -1e-12 * c).all():
            shift = ring.modulation * (n - S2) / N - 1.0
            shift = 0.0 if abs(shift) < 1e-13 else shift
            values = np.concatenate(([shift], np.linalg.eigvals(even) - 1.0, np.full(N - 3, -1.0)))
            mean, order = rates[active].sum() / N, (rates[active] * cosines[active]).sum() / N
            return {
                "active": int(n),
                "mean_rate": float(mean),
                "order": float(order),
                "exponents": np.sort(values.real)[::-1] / ring.time_constant,
            }
    return None


@public
def ring_diffusion(system: System, *, time: ArrayLike, start: float = 0.0) -> Dataset:
    """Angle of the bump of a ring attractor in noise of every rate.

        mean(t) = start,   variance(t) = 2 D_psi t,   D_psi = D/(2 N r1^2),

    r1 the length of the population vector. The twin of ``dm.analysis.noisy_recall`` with the
    readout ``ring.phase``. The left eigenvector of a shift is sin(theta_i - psi) over all units,
    active or not, since the noise of silent ones reaches the others too; its product with the
    bump's slope is N r1. It is exact for weak noise where a shift costs nothing.

    Parameters
    ----------
    system : Noisy or RingAttractor
        ``Noisy(ring, dt, diffusion)``, of which the step does not count; without noise the angle
        stays.
    time : float or array_like (times,)
        Times of at least 0.
    start : float, default 0.0
        Angle at t = 0, in radians.

    Returns
    -------
    xarray.Dataset
        mean_readout : (time,), 1
            Mean of the angle over trials.
        variance : (time,), 1
            Its variance over trials.
        diffusion : (), 1/time unit
            Half the growth of the variance per unit of time.

    Raises
    ------
    TypeError
        For another system.
    ValueError
        For times below 0, and as for ``ring_bump``.

    References
    ----------
    Derived here; Burak and Fiete (2012), PNAS 109, 17645, for the 1/N.

    Examples
    --------
    >>> import dynmem as dm
    >>> ring = dm.systems.Noisy(dm.systems.RingAttractor(), diffusion=1e-4)
    >>> round(float(dm.theory.ring_diffusion(ring, time=[1.0]).diffusion), 9)
    3.3753e-05
    """
    ring, D = _ring(system)
    times, start = time_vector(time), number("start", start)
    bump = ring_bump(ring)
    stable = int(np.nanargmin(bump.lyapunov_at.values[:, 0]))
    angular = D / (2.0 * ring.units * float(bump.order[stable]) ** 2)
    return recall_report(
        times,
        np.full(times.size, start),
        2.0 * angular * times,
        title="bump in noise",
        source="Burak and Fiete (2012), PNAS 109, 17645",
        parameters=ring.parameters | {"diffusion": D, "start": start},
    )
