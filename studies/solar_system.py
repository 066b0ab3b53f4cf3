"""Is the outer Solar System chaotic, and how soon, within the errors of what we know of it?

Theory: Jupiter, Saturn, Uranus and Neptune are close to three-body resonances (Murray and Holman
1999); within the errors of today's initial conditions some starts have Lyapunov times of five
million years, others show no chaos at all (Hayes 2007). One number for the Lyapunov time of the
outer Solar System does not exist. Measurement: distributions over initial conditions drawn within
an error, for planets of their own mass and of several times that: heavier planets become chaotic
within the time that a run of minutes covers. MEGNO, by a symplectic map of order 6, with the error
of its energy.
"""

import numpy as np

import dynmem as dm
from dynmem.study import Study

STEP_YEARS = 1.25  # Julian years: ten steps for one revolution of Jupiter
MAX_ENERGY_ERROR = 1e-4


def measure(mass, seed, years, error, date):
    """One start: MEGNO over time, Lyapunov exponent (0 where it does not differ from order) and
    error of the energy."""
    system = heavier(dm.systems.OuterSolarSystem.of(date or None), mass)
    start = system.perturbed(error, 1, rng=seed)[0]
    found = dm.megno(
        dm.systems.Symplectic(system, STEP_YEARS, order=6),
        start,
        duration=years,
        points=200,
        conserved=system.energy,
        rng=seed,
        workers=1,
    )
    last = found.isel(time=-1, drop=True)
    made = found[["mean_megno"]].assign_coords(time=found.time.assign_attrs(units="year"))
    made["rate"] = (1e6 / last.lyapunov_time).assign_attrs(
        units="1/Myr", long_name="Lyapunov exponent, 0 where it does not differ from order"
    )
    made["energy_error"] = last.conserved_error
    return made


def heavier(system, factor):
    """The system with planets of a multiple of their mass, at their heliocentric positions and
    velocities."""
    from dataclasses import replace

    masses = system.masses * np.array([1.0] + [factor] * (len(system.masses) - 1))
    states = np.moveaxis(system.initial().reshape(2, -1, 3), 0, -2).reshape(-1, 6)
    return replace(
        system, masses=masses, start=dm.systems.barycentric(masses, states - states[0], dimension=3)
    )


def summary(results):
    """Table: the distribution of Lyapunov times over the starts, for each mass."""
    years = float(results.time[-1])
    rows = [
        f"{'mass':>6}{'starts':>8}{'no chaos seen':>15}{'encounter':>11}   Lyapunov time in "
        "1000 years: least, median, longest      energy error"
    ]
    for mass in results.mass.values:
        at = results.sel(mass=mass)
        met = at.energy_error.values > MAX_ENERGY_ERROR
        times = 1e3 / at.rate.values[(at.rate.values > 0) & ~met]
        spread = (
            ", ".join(f"{v:.4g}" for v in (times.min(), np.median(times), times.max()))
            if times.size
            else f"none below {years / 1e3:.0f}"
        )
        rows.append(
            f"{mass:6g}{met.size:8}{(at.rate.values == 0).mean():15.2f}{met.mean():11.2f} "
            f"  {spread:48}"
            f"{float(at.energy_error.median()):14.1e}"
        )
    rows.append(
        f"runs of {years / 1e6:g} million years; whether the real system (mass 1) is "
        "chaotic depends on the start within its errors and "
        "takes far longer runs to decide (Hayes 2007)"
    )
    return "\n".join(rows)


STUDY = Study(
    name="solar_system",
    question="Is the outer Solar System chaotic, and how soon, within the errors of what we know "
    "of it?",
    grid={
        "mass": [1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0],
        "seed": list(range(8)),
    },
    settings={"years": 1.5e6, "error": 1e-6, "date": 0.0},
    quick={"mass": [1.0, 10.0], "seed": [0, 1], "years": 2e4},
    units={
        "mass": ("1", "masses of the planets over the real ones"),
        "seed": ("1", "seed of the error of the start"),
    },
    limits={
        "mass": (0.0, 100.0),
        "seed": (0, None),
        "years": (100.0, 1e10),
        "error": (0.0, 0.1),
        "date": (0.0, 2.6e6),
    },
    source="Hayes (2007), Nature Physics 3, 689; Murray and Holman (1999), Science 283, 1877; "
    "Hairer, Lubich and Wanner (2006), I.2.4",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
