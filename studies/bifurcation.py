"""Where does order end and chaos begin as one parameter is turned?

Measurement: the attractor and its largest Lyapunov exponent over a parameter of the logistic map,
the Henon map, Lorenz's flow, two neurons with inhibition (Pasemann 2002) and a random tanh network;
the parameters at which cycles double their period; and, for the two neurons, the exponent over both
biases. Theory: doublings at 3 and 1 + sqrt 6 (logistic), at 3 (1 - b)^2/4 and (1 - b)^2 + (1 +
b)^2/4 (Henon), and everywhere at intervals that shrink by Feigenbaum's 4.6692; the Hopf bifurcation
of Lorenz; for the network ln(g rho) while it rests and the mean field above.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

FEIGENBAUM = 4.669201609
ACCUMULATION_POINTS = {"logistic": 3.569945672}  # Feigenbaum (1978)
EXACT_DOUBLINGS = {"logistic": (3.0, 1.0 + np.sqrt(6.0)), "henon": (0.3675, 0.9125)}


class TwoNeurons(dm.Map):
    """Two sigmoid neurons in discrete time: a' = theta_1 + w_11 s(a) + w_12 s(b), b' = theta_2 +
    w_21 s(a)."""

    bias: float = -2.0
    other_bias: float = 3.0
    own: float = -20.0
    from_other: float = 6.0
    to_other: float = -6.0
    states = ("a", "b")
    source = "Pasemann (2002), Network: Comput. Neural Syst. 13, 195"

    def rule(self, x, u):
        first, second = dm.sigmoid(x[..., 0]), dm.sigmoid(x[..., 1])
        return dm.stack(
            (
                self.bias + self.own * first + self.from_other * second,
                self.other_bias + self.to_other * first,
            )
        )

    def initial(self, rng=0):
        return 0.1 * np.random.default_rng(rng).standard_normal(2)


MAP_OPTIONS = {"transient": 1000, "samples": 120, "duration": 1500}
FLOW_OPTIONS = {
    "transient": 60.0,
    "samples": 60,
    "duration": 60.0,
    "section": "z",
    "dt": 0.005,
    "x0": [1.0, 1.0, 20.0],
}
# parameter, its range, options of the diagram, and the range in which doublings are followed, with
# the first period
CASES = {
    "logistic": ("r", (2.8, 4.0), MAP_OPTIONS, (2.9, 3.6, 1)),
    "henon": ("a", (0.1, 1.4), MAP_OPTIONS | {"x0": [0.1, 0.1]}, (0.2, 1.2, 1)),
    "lorenz63": ("rho", (2.0, 220.0), FLOW_OPTIONS, None),
    "neurons": ("bias", (-6.0, 4.0), MAP_OPTIONS, (-6.0, -3.0, 2)),
    "network": ("gain", (0.5, 3.0), {"transient": 500, "samples": 40, "duration": 1000}, None),
}


def measure(system, values, side, units, doublings, seed):
    """One system: attractor, exponents, doublings, and the map of the two neurons."""
    parameter, (low, high), options, cascade = CASES[system]
    made, grid = (
        _made(system, units, seed),
        np.linspace(low, high, values if system != "network" else max(12, values // 10)),
    )
    diagram = dm.bifurcation(made, parameter, grid, exponents=1, rng=seed, **options)
    parts = [_dots(diagram, parameter), _exponents(diagram, parameter)]
    parts.append(_doublings(made, parameter, cascade, doublings))
    parts.append(_biases(side if system == "neurons" else 0))
    radius = dm.spectral_radius(made(1.0).W) if system == "network" else 0.0
    parts.append(
        xr.Dataset(
            {
                "spectral_radius": (
                    (),
                    radius,
                    {"units": "1", "long_name": "spectral radius of the network at gain 1"},
                )
            }
        )
    )
    return xr.merge(parts, combine_attrs="drop_conflicts")


def _made(system, units, seed):
    if system == "network":
        J = dm.models.Tanh.random(units, gain=1.0, rng=seed).W
        return lambda gain: dm.models.Tanh(gain * J)
    return TwoNeurons() if system == "neurons" else dm.systems.get(system)


def _dots(diagram, parameter, component=0):
    """All samples of the diagram as points, missing ones left out."""
    component = 2 if parameter == "rho" else component
    x = diagram.x.values[..., component]
    at = np.broadcast_to(diagram[parameter].values[:, None], x.shape)
    kept = np.isfinite(x)
    names = {
        "dot_parameter": (at, "parameter of a dot"),
        "dot_state": (x, "state on the attractor"),
    }
    return xr.Dataset(
        {
            name: ("dot", v[kept], {"units": "1", "long_name": text})
            for name, (v, text) in names.items()
        },
        {"dot": np.arange(kept.sum())},
    )


def _exponents(diagram, parameter):
    found = (
        diagram[["lyapunov", "lyapunov_error"]]
        .isel(exponent=0, drop=True)
        .rename({parameter: "place"})
    )
    for name in ("lyapunov", "lyapunov_error"):  # maps and flows side by side
        found[name].attrs["units"] = "1/time unit"
    found["parameter"] = ("place", found.place.values, {"units": "1", "long_name": "parameter"})
    return found.assign_coords(
        place=(
            "place",
            np.arange(found.sizes["place"]),
            {"units": "1", "long_name": "place in the diagram"},
        )
    )


def _doublings(made, parameter, cascade, doublings):
    """Parameters of the period doublings; empty for a system without a cascade in the range."""
    values, limit = np.empty(0), 0.0
    if cascade:
        start, stop, period = cascade
        found = dm.analysis.period_doublings(
            made, parameter, start, stop, period=period, doublings=doublings
        )
        values, limit = found.value.values, found.accumulation.item()
    return xr.Dataset(
        {
            "doubling_value": (
                "doubling",
                values,
                {"units": "1", "long_name": "parameter at the doubling"},
            ),
            "accumulation": (
                (),
                limit,
                {
                    "units": "1",
                    "long_name": "parameter at which doublings accumulate (0: none sought)",
                },
            ),
        },
        {"doubling": np.arange(len(values))},
    )


def _biases(side):
    """Exponents of the two neurons over their biases; empty for other systems."""
    axes = {"bias": np.linspace(-8.0, 5.0, side), "other_bias": np.linspace(-4.0, 10.0, side)}
    if not side:
        label = {"units": "1/step", "long_name": "Lyapunov exponent"}
        coords = {
            name: (name, values, {"units": "1", "long_name": f"parameter {name}"})
            for name, values in axes.items()
        }
        return xr.Dataset({"map_exponent": (tuple(axes), np.empty((0, 0)), label)}, coords)
    found = dm.analysis.parameter_map(TwoNeurons(), axes, duration=1000, transient=500)
    return found[["lyapunov"]].isel(exponent=0, drop=True).rename(lyapunov="map_exponent")


def summary(results):
    """Table: doublings against theory, and the range of the exponents."""
    rows = [
        "period doublings: parameter, and ratio of successive intervals (theory: 4.6692 in "
        "the limit)"
    ]
    for system in [s for s in results.system.values if CASES[s][3]]:
        at = results.sel(system=system)
        values = at.doubling_value.values[np.isfinite(at.doubling_value.values)]
        gaps = np.diff(values)
        exact = (
            f"theory {', '.join(f'{v:.9f}' for v in EXACT_DOUBLINGS[system])}"
            if system in EXACT_DOUBLINGS
            else ""
        )
        rows += [
            f"  {system:10} {', '.join(f'{v:.9f}' for v in values[:4])} ...   {exact}",
            f"  {'':10} ratios {', '.join(f'{v:.4f}' for v in gaps[:-1] / gaps[1:])};  limit "
            f"{float(at.accumulation):.9f}"
            + (
                f" (theory {ACCUMULATION_POINTS[system]:.9f})"
                if system in ACCUMULATION_POINTS
                else ""
            ),
        ]
    rows.append(
        "share of the range with a positive exponent (by two standard errors), and the largest"
    )
    for system in results.system.values:
        at = results.sel(system=system).dropna("place", subset=["parameter"])
        rows.append(
            f"  {system:10} {float((at.lyapunov > 2 * at.lyapunov_error).mean()):5.2f}  "
            f"{float(at.lyapunov.max()):8.4f}"
        )
    return "\n".join(rows)


STUDY = Study(
    name="bifurcation",
    question="Where does order end and chaos begin as one parameter is turned?",
    grid={"system": list(CASES)},
    settings={"values": 600, "side": 160, "units": 100, "doublings": 8, "seed": 0},
    quick={"values": 60, "side": 30, "units": 80, "doublings": 4},
    units={"system": ("1", "system")},
    limits={
        "values": (12, 10_000),
        "side": (2, 2000),
        "units": (2, 1024),
        "doublings": (3, 10),
        "seed": (0, None),
    },
    source="May (1976); Feigenbaum (1978); Lorenz (1963); Pasemann (2002); Sompolinsky et al. "
    "(1988)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
