"""Which planets, asteroids and triple stars are chaotic, and on which time scale?

Theory: where resonances overlap, orbits are chaotic (Wisdom 1980 for two planets and for asteroids,
Mardling and Aarseth 2001 for triples); where they do not, motion stays on tori and tangent vectors
grow linearly in time. Measurement: maps of MEGNO over thousands of starts, three problems from the
restricted to the general one. A start that changes its conserved quantity by more than 1e-4 met
another body so closely that a fixed step is no longer accurate.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

JUPITER_MASS = 9.53e-4  # mass of Jupiter over that of the Sun and Jupiter
MAX_CONSERVED_ERROR = 1e-4  # largest change of the conserved quantity
PERIOD = 2 * np.pi  # of Jupiter, of the inner planet; of the inner binary times sqrt(1.5)
PLACES = {
    "asteroid": (0.45, 0.95, "semi-major axis (Jupiter's)"),
    "two planets": (1.1, 2.2, "ratio of the periods"),
    "triple star": (2.0, 7.0, "outer semi-major axis (inner one's)"),
}


def measure(problem, eccentricity, columns, periods):
    """One row of a map: mean MEGNO, Lyapunov time and error of the conserved quantity over the
    place of the body."""
    low, high, _ = PLACES[problem]
    place = np.linspace(low, high, columns)
    found = {"asteroid": asteroid, "two planets": two_planets, "triple star": triple_star}[problem](
        place, eccentricity, periods * PERIOD
    )
    last = found.isel(time=-1, drop=True).rename(batch0="column")
    made = xr.Dataset(
        {"place": ("column", place, {"units": "1", "long_name": "place of the body"})}
    )
    made["mean_megno"] = last.mean_megno.clip(max=1e6)
    made["rate"] = (PERIOD / last.lyapunov_time).assign_attrs(
        units="1/period", long_name="Lyapunov exponent, 0 where it does not differ from order"
    )
    made["error"] = last.conserved_error.clip(max=1e6)
    made["chaotic"] = (last.lyapunov_time < np.inf).assign_attrs(
        units="1", long_name="whether MEGNO shows chaos"
    )
    # the orbit diverged: a close encounter, which a fixed step does not resolve
    gone = np.isfinite(last.lost)
    for name, value in (("mean_megno", 1e6), ("rate", 0.0), ("error", 1e6), ("chaotic", True)):
        made[name] = (
            made[name].where(~gone, value).astype(made[name].dtype).assign_attrs(made[name].attrs)
        )
    return made


def asteroid(axis, eccentricity, duration):
    """Massless bodies inside Jupiter's orbit, from their pericentre at opposition, in the frame
    that turns with Jupiter."""
    system = dm.systems.RestrictedThreeBody(JUPITER_MASS)
    at_rest = dm.systems.orbit_state(axis, eccentricity, mu=1 - JUPITER_MASS, pericentre=np.pi)
    x, y, vx, vy = np.moveaxis(at_rest, -1, 0)
    turning = np.stack((x - JUPITER_MASS, y, vx + y, vy - x), axis=-1)
    return dm.megno(
        dm.FlowMap(system, PERIOD / 80, order=8),
        turning,
        duration=duration,
        points=2,
        conserved=system.jacobi,
        workers=1,
    )


def two_planets(ratio, eccentricity, duration):
    """Two planets of 1e-4 of their star's mass."""
    system = dm.systems.TwoPlanets()
    starts = system.states_of(ratio, eccentricity)
    step = dm.systems.Symplectic(system, PERIOD / 24, order=6)
    return dm.megno(step, starts, duration=duration, points=2, conserved=system.energy, workers=1)


def triple_star(axis, eccentricity, duration):
    """A binary of masses 1 and 1/2 and a third body of mass 1/2."""
    system = dm.systems.HierarchicalTriple()
    step = dm.systems.Symplectic(system, PERIOD / 40, order=6)
    return dm.megno(
        step,
        system.states_of(axis, eccentricity),
        duration=duration,
        points=2,
        conserved=system.energy,
        workers=1,
    )


def summary(results):
    """Table: how much of each map is chaotic, and its Lyapunov times."""
    rows = [
        f"{'problem':14}{'starts':>8}{'regular':>10}{'chaotic':>10}{'encounter':>11}   "
        "Lyapunov time in periods: 10 %, median, 90 %"
        "      median error of the regular"
    ]
    for problem in results.problem.values:
        at = results.sel(problem=problem)
        met, chaotic = at.error.values > MAX_CONSERVED_ERROR, at.chaotic.values.astype(bool)
        times = 1.0 / at.rate.values[at.rate.values > 0]
        spread = (
            ", ".join(f"{v:.3g}" for v in np.quantile(times, (0.1, 0.5, 0.9)))
            if times.size
            else "none"
        )
        rows.append(
            f"{problem:14}{met.size:8}{(~chaotic).mean():10.3f}{(chaotic & ~met).mean():10.3f}"
            f"{met.mean():11.3f}   {spread:45}"
            f"{np.median(at.error.values[~chaotic]) if (~chaotic).any() else np.nan:12.1e}"
        )
    rows.append(
        f"encounter: conserved quantity changed by more than {MAX_CONSERVED_ERROR:g}, where a "
        "fixed step is not accurate; times longer than the run cannot be distinguished from order"
    )
    return "\n".join(rows)


STUDY = Study(
    name="planets",
    question="Which planets, asteroids and triple stars are chaotic, and on which time scale?",
    grid={"problem": list(PLACES), "eccentricity": [round(0.01 * i, 2) for i in range(30)]},
    settings={"columns": 100, "periods": 500.0},
    quick={"eccentricity": [0.0, 0.2], "columns": 10, "periods": 20.0},
    units={"problem": ("1", "problem"), "eccentricity": ("1", "eccentricity at the start")},
    limits={"eccentricity": (0.0, 0.95), "columns": (2, 10_000), "periods": (2.0, 1e6)},
    source="Wisdom (1980); Gladman (1993); Mardling and Aarseth (2001); Cincotta and Simo (2000)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
