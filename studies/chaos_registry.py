"""Do the chaotic systems that come with dynmem have the exponents that the literature gives them?

Public collections of attractors state exponents that break their own sum rule. Here each system is
measured, all exponents where that is feasible, and compared with the published spectrum, the exact
sum of the exponents (constant divergence or determinant), and the mean growth of volume along the
orbit.
"""

import numpy as np

import dynmem as dm
from dynmem.labels import dataset
from dynmem.study import Study

SHOWN_EXPONENTS = 6  # leading exponents kept
# duration, transient (None: a tenth), exponents (None: all), step (None: by the tangent map)
DEFAULT_RUN = (10_000, None, None, None)
# what converges faster or slower; other chaotic systems with known exponents take the default
RUN_OPTIONS = {
    "baker": (10_000, 100, None, None),
    "cat": (10_000, 100, None, None),
    "coupled_logistic": (20_000, 1000, None, None),
    "henon": (200_000, 1000, None, None),
    "ikeda": (200_000, 1000, None, None),
    "kaplan_yorke": (200_000, 1000, None, None),
    "logistic": (200_000, 1000, None, None),
    "lozi": (200_000, 1000, None, None),
    "standard": (20_000_000, 10_000, None, None),
    "tent": (10_000, 100, None, None),
    "chen": (4000, 50, None, None),
    "chua": (8000, 200, None, 0.005),
    "double_pendulum": (10_000, 100, None, None),
    "duffing": (40_000, 1000, None, None),
    "henon_heiles": (200_000, 1000, None, None),
    "hyper_roessler": (10_000, 500, None, None),
    "lorenz63": (8000, 100, None, None),
    "lorenz96": (2000, 50, None, None),
    "roessler": (10_000, 500, None, None),
    "sprott_jerk": (40_000, 500, None, None),
    "thomas": (40_000, 1000, None, None),
    "van_der_pol": (20_000, 500, None, None),
    "kuramoto_sivashinsky": (6000, 500, None, None),
    "mackey_glass": (200_000, 5000, 8, None),
    "random_rate": (400, 100, 12, 0.2),
    "random_tanh": (1000, 200, None, None),
}


def chaotic_systems():
    """Systems of the table, and all others whose known exponents begin with a positive one."""
    known = {name: dm.systems.known_exponents(name) for name in dm.systems.names()}
    others = [name for name, k in known.items() if k and k.exponents and k.exponents[0] > 0]
    return list(dict.fromkeys([*RUN_OPTIONS, *others]))


def measure(system, seed, scale):
    """One system from one start: its leading exponents, with published and exact values."""
    made = dm.systems.get(system)
    duration, transient, exponents, dt = RUN_OPTIONS.get(system, DEFAULT_RUN)
    found = dm.lyapunov_spectrum(
        made,
        duration=max(10, round(scale * duration)),
        transient=transient,
        exponents=exponents,
        dt=dt,
        rng=seed,
    )
    known = dm.systems.known_exponents(system)
    per = "1/time unit"  # of maps a step: one unit for all systems
    whole = found.sizes["exponent"] == made.size
    stated = padded(known.exponents if known else ())
    allowed = padded(known.tolerances if known else ())
    variables = {
        "lyapunov": ("exponent", padded(found.lyapunov.values), per, "Lyapunov exponent"),
        "lyapunov_error": (
            "exponent",
            padded(found.lyapunov_error.values),
            per,
            "standard error of the exponent",
        ),
        "published": ("exponent", stated, per, "published exponent"),
        "tolerance": ("exponent", allowed, per, "error allowed by the source"),
        "own": (
            (),
            bool(known and known.source.startswith("own")),
            "1",
            "whether the published exponents are an independent run of our own",
        ),
        "dimension": ((), float(found.kaplan_yorke_dimension), "1", "Kaplan-Yorke dimension"),
        "published_dimension": (
            (),
            (known.dimension if known else None) or np.nan,
            "1",
            "published Kaplan-Yorke dimension",
        ),
        "entropy": ((), float(found.entropy_rate), f"nats{per[1:]}", "entropy rate"),
        "total": (
            (),
            float(found.lyapunov.sum()) if whole else np.nan,
            per,
            "sum of all exponents",
        ),
        "exact_total": (
            (),
            float(np.nan if made.exponent_sum is None else made.exponent_sum),
            per,
            "exact sum of all exponents",
        ),
        "sum_residual": (
            (),
            float(found.sum_residual),
            per,
            "sum of the exponents less the mean growth of volume",
        ),
    }
    coords = {
        "exponent": (
            "exponent",
            np.arange(1, SHOWN_EXPONENTS + 1),
            "1",
            "index of the exponent, largest first",
        )
    }
    return dataset(
        variables,
        coords,
        title="exponents of the registry, measured and published",
        source=found.attrs["source"],
        seed=seed,
        parameters={"system": system, "scale": scale},
    )


def padded(values):
    """The first SHOWN_EXPONENTS values, NaN where there are fewer."""
    out = np.full(SHOWN_EXPONENTS, np.nan)
    out[: min(SHOWN_EXPONENTS, len(values))] = values[:SHOWN_EXPONENTS]
    return out


def over_seeds(results):
    """Mean over the starts, and its standard error: the larger of that of the runs and that over
    the starts."""
    count = results.sizes["seed"]
    inner = np.sqrt((results.lyapunov_error**2).sum("seed")) / count
    outer = results.lyapunov.std("seed", ddof=1) / np.sqrt(count) if count > 1 else 0 * inner
    return results.mean("seed").assign(lyapunov_error=np.maximum(inner, outer))


def verdict(at):
    """Whether each published exponent agrees, within its own error and three standard errors of the
    measurement."""
    stated = np.isfinite(at.published)
    if not stated.any():
        return "nothing published"
    away = abs(at.lyapunov - at.published) / (at.tolerance + 3 * at.lyapunov_error)
    worst, own = float(away.max()), " (our own independent run)" if at.own else ""
    return f"agrees{own}" if worst <= 1 else f"DIFFERS: {worst:.1f} times what is allowed{own}"


def summary(results):
    """Table over the systems: leading exponent, dimension, sum rule, verdict."""
    mean = over_seeds(results)
    rows = [
        f"{'system':<22}{'first':>10} "
        f"{'+-':>8}{'published':>11}{'D_KY':>8}{'publ.':>8}{'sum - exact':>13}"
        f"{'sum - volume':>14}  all published exponents ({results.sizes['seed']} start(s))"
    ]
    for name in mean.system.values:
        at = mean.sel(system=name)
        first, error, stated = (
            float(at[key][0]) for key in ("lyapunov", "lyapunov_error", "published")
        )
        cells = [
            blank(stated, "11.5f"),
            blank(float(at.dimension), "8.3f"),
            blank(float(at.published_dimension), "8.3f"),
            blank(float(at.total - at.exact_total), "13.1e"),
            blank(float(at.sum_residual), "14.1e"),
        ]
        rows.append(f"{name:<22}{first:10.5f} {error:8.5f}{''.join(cells)}  {verdict(at)}")
    return "\n".join(rows)


def blank(value, form):
    """A number, or a dash where there is none."""
    return format(value, form) if np.isfinite(value) else "-".rjust(int(form.partition(".")[0]))


STUDY = Study(
    name="chaos_registry",
    question="Do the chaotic systems that come with dynmem have the exponents that the literature "
    "gives them?",
    grid={"system": chaotic_systems(), "seed": [0, 1]},
    settings={"scale": 1.0},
    quick={
        "system": ["henon", "kaplan_yorke", "logistic", "lorenz63", "mackey_glass", "tent"],
        "seed": [0],
        "scale": 0.05,
    },
    units={"system": ("1", "system"), "seed": ("1", "seed of the start and of the frame")},
    limits={"seed": (0, None), "scale": (1e-3, 1e3)},
    source="the sources of the systems; Sprott (2003); Wolf et al. (1985)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
