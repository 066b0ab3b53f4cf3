"""How does the whole Lyapunov spectrum of a random network change as it goes from order to chaos?

Theory: the mean field of infinite networks gives every exponent as a function of its position i/N,
and with it the attractor's dimension and entropy per unit (Sompolinsky, Crisanti and Sommers 1988;
Engelken, Wolf and Abbott 2023). In continuous time it gives the first exponent. Measurement: all
exponents of networks with fixed weights, of several sizes, so that the remaining difference can be
separated from finite size.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

# places in the spectrum, as fractions of its length, at which sizes are compared
POSITIONS = np.linspace(0.0, 1.0, 65)[1:]


def measure(gain, units, seed, duration, largest):
    """One network: its spectrum at given positions, dimension and entropy per unit, with theory."""
    network = dm.models.get("tanh", units=units, inputs=1, gain=gain, rng=seed)
    # a step of a large network costs its size cubed, and averages more units
    steps = int(min(duration, max(150, duration * (256 / units) ** 2)))
    found = dm.lyapunov_spectrum(network, duration=steps, transient=max(100, steps // 4), rng=seed)
    theory = dm.theory.tanh_spectrum(gain, units=largest)
    per_unit = {
        "first": found.lyapunov[0],
        "first_error": found.lyapunov_error[0],
        "dimension": found.kaplan_yorke_dimension / units,
        "entropy": found.entropy_rate / units,
        "mean_exponent": found.lyapunov.mean(),
        "theory_first": dm.theory.tanh_spectrum(gain).lyapunov[0],
        "theory_dimension": theory.kaplan_yorke_density,
        "theory_entropy": theory.entropy_density,
        "theory_mean_exponent": theory.mean_exponent,
    }
    variables = {
        name: xr.Variable((), float(value), LABELS[name]) for name, value in per_unit.items()
    }
    variables["spectrum"] = at_places(found.lyapunov.values, "measured exponent")
    variables["theory_spectrum"] = at_places(theory.lyapunov.values, "exponent of the mean field")
    place = xr.Variable(
        "place",
        POSITIONS,
        {"units": "1", "long_name": "place in the spectrum, index over number of units"},
    )
    return xr.Dataset(
        variables, {"place": place}, {"source": dm.theory.tanh_spectrum(gain).attrs["source"]}
    )


def at_places(exponents, name):
    """A spectrum of any length, interpolated at the positions."""
    n = len(exponents)
    return xr.Variable(
        "place",
        np.interp(POSITIONS - 0.5 / len(POSITIONS), (np.arange(n) + 0.5) / n, exponents),
        {"units": "1/step", "long_name": name},
    )


LABELS = {
    name: {"units": units, "long_name": text}
    for name, units, text in [
        ("first", "1/step", "first Lyapunov exponent"),
        ("first_error", "1/step", "standard error of the first exponent"),
        ("dimension", "1", "Kaplan-Yorke dimension per unit"),
        ("entropy", "nats/step", "entropy rate per unit"),
        ("mean_exponent", "1/step", "mean of all exponents"),
        ("theory_first", "1/step", "first exponent of the mean field"),
        ("theory_dimension", "1", "Kaplan-Yorke dimension per unit of the mean field"),
        ("theory_entropy", "nats/step", "entropy rate per unit of the mean field"),
        ("theory_mean_exponent", "1/step", "mean of all exponents of the mean field"),
    ]
}


def summary(results):
    """Table over the gain, largest networks: first exponent, dimension and entropy, measured and by
    theory."""
    largest = results.sel(units=results.units.max())
    lines = [
        f"{'gain':>5} {'first':>9} {'theory':>9} {'D_KY/N':>8} {'theory':>8} "
        f"{'entropy/N':>10} {'theory':>8} {'mean':>8} {'theory':>8}   "
        f"{int(largest.units)} units, {results.sizes['seed']} seed(s)"
    ]
    for gain in results.gain.values:
        at = largest.sel(gain=gain).mean("seed")
        cells = [
            ("first", "9.4f"),
            ("theory_first", "9.4f"),
            ("dimension", "8.4f"),
            ("theory_dimension", "8.4f"),
            ("entropy", "10.5f"),
            ("theory_entropy", "8.5f"),
            ("mean_exponent", "8.4f"),
            ("theory_mean_exponent", "8.4f"),
        ]
        lines.append(
            " ".join([f"{gain:5.2f}", *(format(float(at[name]), form) for name, form in cells)])
        )
    return "\n".join(lines)


STUDY = Study(
    name="transition",
    question="How does the whole Lyapunov spectrum of a random network change as it goes from "
    "order to chaos?",
    grid={
        "gain": [0.7, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0],
        "units": [64, 256, 1024],
        "seed": [0, 1],
    },
    settings={"duration": 2000, "largest": 2000},
    quick={
        "gain": [0.9, 1.5, 3.0],
        "units": [32, 64],
        "seed": [0],
        "duration": 300,
        "largest": 200,
    },
    units={
        "gain": ("1", "gain g of the weights"),
        "units": ("1", "units of the network"),
        "seed": ("1", "seed of the weights"),
    },
    limits={
        "gain": (0.01, 100.0),
        "units": (4, 4096),
        "seed": (0, None),
        "duration": (50, 1_000_000),
        "largest": (10, 10_000),
    },
    source="Sompolinsky, Crisanti and Sommers (1988); Engelken, Wolf and Abbott (2023); Newman "
    "(1986)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
