"""The real Solar System, from the ephemeris that JPL fitted to its observations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..labels import dataset
from ..runtime.memory import require_memory
from ..runtime.validation import all_errors, choice, number
from ..systems import ephemeris
from .entry import Entry
from .splits import MEANINGS, check_shares, in_time

if TYPE_CHECKING:
    from xarray import Dataset

JULIAN_1900 = 2415020.5  # 1 January 1900, 0h
QUARTER_TURN = 87.969 / 4  # days in which Mercury, the fastest planet, turns by a right angle
FRAMES = ("barycentric", "heliocentric")
FLOOR_MEANING = (
    "error of the ephemeris itself, in AU, at the worst: some 1000 km for Uranus, Neptune and Pluto"
)


def solar_system(
    *,
    start: float = 1900.0,
    years: float = 150.0,
    step: float = 10.0,
    frame: str = "barycentric",
    train: float = 0.7,
    validation: float = 0.15,
    gap: float = 5.0,
) -> Dataset:
    """Positions and velocities of Sun, planets and Pluto as they were, from JPL's ephemeris DE421.

    Parameters
    ----------
    start : float
        Julian epoch year of the first sample, 1900 or later.
    years : float
        Length in years.
    step : float
        Days between samples, at most a quarter turn of Mercury.
    frame : str
        "barycentric" or "heliocentric".
    train, validation : float
        Shares of the samples, in time; the rest is the test.
    gap : float
        Years between the parts.

    Returns
    -------
    xarray.Dataset
        position : (time, body, axis), AU
            Along the axes of the International Celestial Reference Frame.
        velocity : (time, body, axis), AU/year
            In the same frame.
        mass : (body), solar mass
            Mass of the planet with its moons.

        Coordinates: time in years since the start, julian_day (TDB), body, axis, split.

    Raises
    ------
    ImportError
        Where the extra ``planets`` is missing; nothing is downloaded.
    ValueError
        For dates that DE421 does not cover, and steps that skip Mercury's orbit.

    References
    ----------
    Folkner, Williams and Boggs (2009), IPN Progress Report 42-178.

    Examples
    --------
    >>> solar_system(frame="galactic")
    Traceback (most recent call last):
    ...
    ValueError: frame = 'galactic': must be one of 'barycentric', 'heliocentric'
    """
    with all_errors() as check:
        check(choice, "frame", frame, FRAMES)
        check(number, "start", start)
        check(number, "gap", gap, least=0)
        check(number, "years", years, above=0)
        check(number, "step", step, above=0)
        check(check_shares, train, validation)
    if step > QUARTER_TURN:
        raise ValueError(
            f"step = {step} days: Mercury turns by a right angle in "
            f"{QUARTER_TURN:.1f}, pass at most that"
        )
    require_memory(
        1000 * years * ephemeris.YEAR / step,
        f"{years} years in steps of {step} days",
        "pass fewer years or a longer step",
    )
    first = JULIAN_1900 + (start - 1900.0) * ephemeris.YEAR
    days = first + np.arange(int(years * ephemeris.YEAR / step * (1 + 1e-12)) + 1) * step
    names, masses, states = ephemeris.positions(days)
    states = states - states[:, :1] if frame == "heliocentric" else states
    split = in_time(
        len(days), train=train, validation=validation, gap=round(gap * ephemeris.YEAR / step)
    )
    variables = {
        "position": (("time", "body", "axis"), states[..., :3], "AU", f"{frame} position"),
        "velocity": (("time", "body", "axis"), states[..., 3:], "AU/year", f"{frame} velocity"),
        "mass": ("body", masses, "solar mass", "mass of the planet with its moons"),
    }
    coords = {
        "time": (
            "time",
            (days - first) / ephemeris.YEAR,
            "year",
            "time since the first sample, Julian years",
        ),
        "julian_day": ("time", days, "day", "Julian day (TDB)"),
        "body": ("body", names, "1", "Sun, or planet with its moons"),
        "axis": (
            "axis",
            list("xyz"),
            "1",
            "axis of the ICRF: x to the equinox, z to the celestial pole of J2000",
        ),
        "split": ("time", split, "1", "part that the sample belongs to"),
    }
    made = dataset(
        variables,
        coords,
        title="the Solar System, as observed",
        source=ephemeris.SOURCE,
        parameters={"frame": frame},
        sampling_step=step / ephemeris.YEAR,
        size=f"{len(days)} epochs of {len(names)} bodies, of an ephemeris of 17 MB",
        licence=ephemeris.LICENCE,
        law=ephemeris.LAW,
        **_floors(states, split),
    )
    made.split.attrs |= MEANINGS
    return made


def _floors(states: np.ndarray, split: np.ndarray) -> dict[str, Any]:
    """Goal, floor and chance: root mean square errors over the test, in AU."""
    test = states[split == 2][..., :3]
    return {
        "floor": 3e-5,
        "floor_meaning": FLOOR_MEANING,
        "chance": float(np.sqrt(np.mean(np.square(test - test.mean(0)).sum(-1)))),
        "chance_meaning": "root mean square error, in AU, of the forecast that is always the "
        "mean position",
        "goal": "forecast",
    }


DATASETS = {
    "solar_system": Entry(solar_system, "forecast", ephemeris.LICENCE, ephemeris.LAW, FLOOR_MEANING)
}
