"""Positions of the planets: a published table, and the JPL ephemeris DE421 that PyPI's
skyfield-data ships. Nothing is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..typing import ArrayLike

if TYPE_CHECKING:
    from jplephem.spk import SPK

YEAR = 365.25  # days in a Julian year
# AU^3 per solar mass and Julian year^2 (Hairer, Lubich and Wanner 2006, I.2.4)
GRAVITY = 0.000295912208286 * YEAR**2
TABLE_DATE = 2449600.5  # 5 September 1994, 0h
AU = 149597870.699626  # km in DE421
# G m of DE421 in km^3/s^2, Folkner, Williams and Boggs (2009), IPN Progress Report 42-178, table 4:
# with their moons.
SUN = 132712440040.944
INNER = {1: 22032.090000, 2: 324858.592000, 3: 403503.236309, 4: 42828.375214}
OUTER = {
    5: 126712764.800000,
    6: 37940585.200000,
    7: 5794548.600000,
    8: 6836535.000000,
    9: 977.000000,
}
NAMES = (
    "Sun",
    "Mercury",
    "Venus",
    "Earth",
    "Mars",
    "Jupiter",
    "Saturn",
    "Uranus",
    "Neptune",
    "Pluto",
)
SOURCE = (
    "JPL DE421: Folkner, Williams and Boggs (2009), IPN Progress Report 42-178; shipped by "
    "PyPI's skyfield-data"
)
LICENCE = (
    "the ephemeris is a work of the US government, in the public domain; skyfield-data is "
    "under the MIT licence"
)
LAW = (
    "post-Newtonian equations of motion of Sun, Moon, planets and 343 asteroids, fitted to "
    "observations (Folkner et al. 2009)"
)
NEEDED = (
    "positions of planets at a date come from the ephemeris DE421 in the packages "
    "skyfield-data and jplephem, which are missing here: "
    "pip install 'dynmem[planets]' (17 MB, nothing is downloaded later); "
    "without them there is dm.systems.OuterSolarSystem(), from the published table of 1994"
)


def table(pluto: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Masses and heliocentric states of the Sun, Jupiter ... Neptune on 5 September 1994.

    Parameters
    ----------
    pluto : bool
        Whether Pluto is included.

    Returns
    -------
    masses : np.ndarray (N,)
        In solar masses.
    states : np.ndarray (N, 6)
        Positions and velocities, in AU and AU/year.

    References
    ----------
    Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, chapter I, table 2.2.

    Examples
    --------
    >>> masses, states = table()
    >>> states.shape, round(float(np.linalg.norm(states[1, :3])), 2)
    ((5, 6), 5.41)
    """
    masses = [
        1.00000597682,
        0.000954786104043,
        0.000285583733151,
        0.0000437273164546,
        0.0000517759138449,
        1 / 1.3e8,
    ]
    states = [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-3.5023653, -3.8169847, -1.5507963, 0.00565429, -0.00412490, -0.00190589],
        [9.0755314, -3.0458353, -1.6483708, 0.00168318, 0.00483525, 0.00192462],
        [8.3101420, -16.2901086, -7.2521278, 0.00354178, 0.00137102, 0.00055029],
        [11.4707666, -25.7294829, -10.8169456, 0.00288930, 0.00114527, 0.00039677],
        [-15.5387357, -25.2225594, -3.1902382, 0.00276725, -0.00170702, -0.00136504],
    ]
    bodies = 6 if pluto else 5
    return np.array(masses[:bodies]), np.array(states[:bodies]) * np.repeat((1.0, YEAR), 3)


def read(date: float, pluto: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Masses and heliocentric states as of ``table``, at a date from DE421.

    The Sun stands for the centre of mass of the Sun and the inner planets.

    Parameters
    ----------
    date : float
        Julian day (TDB).
    pluto : bool
        Whether Pluto is included.

    Returns
    -------
    masses : np.ndarray (N,)
        In solar masses.
    states : np.ndarray (N, 6)
        Positions and velocities, in AU and AU/year.

    Raises
    ------
    ImportError
        Where the extra ``planets`` is not installed.
    ValueError
        For a day that the ephemeris does not cover.
    """
    with _open() as kernel:
        _covered(kernel, date)
        states = {body: _state(kernel, body, date) for body in (10, *INNER, *OUTER)}
    weights = {10: SUN, **INNER}
    centre = sum(weights[body] * states[body] for body in weights) / sum(weights.values())
    planets = [5, 6, 7, 8] + [9] * pluto
    masses = np.array([sum(weights.values()), *(OUTER[body] for body in planets)]) / SUN
    return masses, np.array([centre, *(states[body] for body in planets)]) - centre


def positions(days: ArrayLike) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Barycentric states of the Sun, the eight planets with their moons, and Pluto, from DE421.

    Parameters
    ----------
    days : array_like (T,)
        Julian days (TDB).

    Returns
    -------
    names : list of str
        Sun, Mercury ... Pluto.
    masses : np.ndarray (10,)
        In solar masses.
    states : np.ndarray (T, 10, 6)
        Positions and velocities, in AU and AU/year.

    Raises
    ------
    ImportError
        Where the extra ``planets`` is not installed.
    ValueError
        For days that the ephemeris does not cover.
    """
    days, bodies = np.asarray(days, float), {10: SUN, **INNER, **OUTER}
    with _open() as kernel:
        _covered(kernel, days.min(), days.max())
        states = np.stack([_state(kernel, body, days).T for body in bodies], axis=1)
    return list(NAMES), np.array(list(bodies.values())) / SUN, states


def _covered(kernel: SPK, *dates: float) -> None:
    """Refuse Julian days outside of the ephemeris."""
    first, last = (
        f(getattr(s, name) for s in kernel.segments)
        for f, name in ((max, "start_jd"), (min, "end_jd"))
    )
    for date in dates:
        if not first <= date <= last:
            raise ValueError(
                f"date = {date}: DE421 covers the Julian days {first:.1f} to "
                f"{last:.1f} (1899 to 2053); pass a Julian day"
            )


def _open() -> SPK:
    try:
        import skyfield_data
        from jplephem.spk import SPK
    except ImportError as error:
        raise ImportError(NEEDED) from error
    from pathlib import Path

    return SPK.open(str(Path(skyfield_data.__file__).parent / "data" / "de421.bsp"))


def _state(kernel: SPK, body: int, date: ArrayLike) -> np.ndarray:
    """Barycentric position and velocity, shape (6,), or (6, T) for many dates, in AU and
    AU/year."""
    position, velocity = kernel[0, body].compute_and_differentiate(date)  # km and km/day
    return np.concatenate((position, velocity * YEAR)) / AU
