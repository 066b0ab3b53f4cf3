"""How fast do gradients vanish or explode in a plain recurrent network?

Theory: a linear network multiplies a gradient by its spectral radius rho each step, rho^lag (Bengio
et al. 1994; Pascanu et al. 2013). A random tanh network is linear at rest; above gain 1 its
activity limits the explosion to the mean-field exponent (Sompolinsky et al. 1988; Engelken et al.
2023), and noise that drives it pulls the exponent down again. Measurement: gradient profiles of
linear networks rescaled to rho, and the first Lyapunov exponents of random tanh networks, at rest
and driven, over the gain. The slope of the gradient over the lag must be the exponent.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

DRIVES = (0.0, 0.5)


def measure(gain, seed, units, lags, duration):
    """One gain: gradients of a linear network of that spectral radius, and exponents of a tanh
    network of that gain."""
    linear = with_radius(dm.models.get("linear", units=units, rng=seed), gain)
    gradients = dm.gradient_norms(linear, lags=lags)[["log_state_gradient"]].rename(
        log_state_gradient="linear_gradient"
    )
    theory = dm.theory.power_gradient(gain, np.arange(lags + 1)).log_state_gradient
    exact = dm.theory.linear_gradient(linear.W, np.arange(lags + 1)).log_state_gradient
    driven = [tanh(gain, sd, seed, units, duration, lags) for sd in DRIVES]
    drive = xr.Variable(
        "drive",
        list(DRIVES),
        {"units": "1", "long_name": "standard deviation of the noise at each unit"},
    )
    parts = [
        gradients,
        theory.rename("linear_gradient_power"),
        exact.rename("linear_gradient_exact"),
    ]
    return xr.merge(
        [*parts, xr.concat(driven, drive, coords="minimal", compat="override")],
        combine_attrs="drop_conflicts",
        compat="override",
    )


def with_radius(network, radius):
    """The network with its recurrent weights scaled to a spectral radius."""
    from dataclasses import replace

    return replace(network, W=network.W * radius / dm.spectral_radius(network.W))


def tanh(gain, sd, seed, units, duration, lags):
    """Exponent of a random tanh network whose units are driven by independent noise of this
    standard deviation: predicted, measured, and as the slope of the gradient."""
    made = dm.models.get("tanh", units=units, gain=gain, rng=seed)
    network = dm.models.Tanh(made.W, np.eye(units), made.b)
    drive = sd or None
    spectrum = dm.lyapunov_spectrum(
        network,
        duration=duration,
        transient=max(200, duration // 5),
        exponents=4,
        drive=drive,
        rng=seed,
    )
    gradients = dm.gradient_norms(network, drive=drive, lags=5 * lags, transient=500, rng=seed)
    slope = dm.analysis.forgetting(gradients)
    predicted = dm.theory.tanh_spectrum(gain, 0.0, sd)
    result = spectrum[["lyapunov", "lyapunov_error"]].isel(exponent=0, drop=True)
    result["predicted"] = predicted.lyapunov.isel(exponent=0, drop=True)
    result["slope"], result["slope_error"] = slope.slope, slope.slope_error
    return result


def summary(results):
    """Table of exponents by gain: theory, measurement over seeds, slope of the gradient."""
    rows = [
        f"{'gain':>5} {'drive':>6} {'theory':>9} {'measured':>9} {'+-':>7} {'slope':>9}   "
        f"first exponent per step, {results.sizes['seed']} seed(s)"
    ]
    for gain in results.gain.values:
        for drive in results.drive.values:
            at = results.sel(gain=gain, drive=drive)
            error = float(
                np.hypot(at.lyapunov_error.mean(), at.lyapunov.std() / np.sqrt(at.sizes["seed"]))
            )
            rows.append(
                f"{gain:5.2f} {drive:6.2f} {float(at.predicted.mean()):9.4f} "
                f"{float(at.lyapunov.mean()):9.4f} {error:7.4f} "
                f"{float(at.slope.mean()):9.4f}"
            )
    return "\n".join(rows)


STUDY = Study(
    name="vanishing",
    question="How fast do gradients vanish or explode in a plain recurrent network?",
    grid={"gain": [0.5, 0.7, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 2.5, 3.0], "seed": [0, 1, 2]},
    settings={"units": 400, "lags": 100, "duration": 1000},
    quick={"gain": [0.9, 1.0, 1.1, 2.0], "seed": [0], "units": 100, "lags": 40, "duration": 300},
    units={
        "gain": ("1", "gain g, or spectral radius of the linear network"),
        "seed": ("1", "seed of the weights"),
    },
    limits={
        "gain": (0.0, 100.0),
        "seed": (0, None),
        "units": (2, 4096),
        "lags": (4, 10_000),
        "duration": (10, 1_000_000),
    },
    source="Bengio et al. (1994); Pascanu et al. (2013); Sompolinsky et al. (1988); Engelken et "
    "al. (2023)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
