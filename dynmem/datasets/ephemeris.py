"""The real Solar System, from the ephemeris that JPL fitted to its observations."""

import numpy as np

from ..labels import dataset
from ..runtime.memory import require_memory
from ..systems import ephemeris
from .checks import refuse
from .splits import MEANINGS, in_time

JULIAN_1900 = 2415020.5  # 1 January 1900, 0h
QUARTER_TURN = 87.969 / 4  # days in which Mercury, the fastest planet, turns by a right angle


def solar_system(
    *,
    start=1900.0,
    years=150.0,
    step=10.0,
    frame="barycentric",
    train=0.7,
    validation=0.15,
    gap=5.0,
):
    """Positions and velocities of the Sun, the eight planets (with their moons) and Pluto, as they
    were, from JPL's ephemeris DE421.

    start: Julian epoch year of the first sample, 1900 or later; years: length; step: days between
    samples; frame: "barycentric", or "heliocentric"; train, validation: shares in time, the test
    last; gap: years between the parts.

    Returns position(time, body, axis) in AU and velocity(time, body, axis) in AU/year, axes of the
    International Celestial Reference Frame, time in years since the start with its Julian day
    (TDB), mass(body) in solar masses, split(time). Needs the extra ``planets``; nothing is
    downloaded. Raises ImportError where it is missing, ValueError for dates that DE421 does not
    cover and steps that skip Mercury's orbit.
    """
    if frame not in ("barycentric", "heliocentric"):
        raise ValueError(f"frame = {frame!r}: choose barycentric or heliocentric")
    options = {
        "start": start,
        "years": years,
        "step": step,
        "gap": gap,
        "train": train,
        "validation": validation,
    }
    refuse(
        options, reals={"start": (-np.inf, np.inf), "gap": (0, np.inf)}, positive=["years", "step"]
    )
    if step > QUARTER_TURN:
        raise ValueError(
            f"step = {step} days: Mercury turns by a right angle in "
            f"{QUARTER_TURN:.1f}; pass a number above 0 and at most that"
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


def _floors(states, split):
    """What is asked, and how well one would do without a law: root mean square errors over the
    test, in AU."""
    test = states[split == 2][..., :3]
    return {
        "floor": 3e-5,
        "floor_meaning": "error of the ephemeris itself, in AU, at the worst: "
        "some 1000 km for Uranus, Neptune and Pluto",
        "chance": float(np.sqrt(np.mean(np.square(test - test.mean(0)).sum(-1)))),
        "chance_meaning": "root mean square error, in AU, of the forecast that is always the "
        "mean position",
        "goal": "forecast",
    }
