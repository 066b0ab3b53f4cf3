"""Why does an orthogonal start alone not save a tanh network?

Theory: an orthogonal matrix is an isometry, so a linear or modReLU network (without bias) keeps
every gradient; tanh saturates, and each step then multiplies the gradient by sech^2 of the field:
lambda_1 = 1/2 ln E[sech^4(sqrt(q) z)], q = E[tanh^2] + s^2, below zero for every drive s
(Pennington, Schoenholz and Ganguli 2017, for depth). Only without any drive does it fall as a power
law. Measurement: exponents and gradient profiles of networks with Haar orthogonal weights under
noise. Training: the copy task, with the orthogonal constraint and without it.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

# tanh_free: orthogonal at the start, then trained without the constraint
NETWORKS = ("linear", "tanh", "modrelu", "tanh_free")


def network(kind, units, inputs, outputs, rng):
    """A network of this kind with orthogonal recurrent weights."""
    if kind == "tanh_free":
        return dm.models.get(
            "tanh", units=units, inputs=inputs, outputs=outputs, rng=rng, init="orthogonal"
        )
    nonlinearity = "identity" if kind == "linear" else kind
    return dm.models.get(
        "orthogonal",
        units=units,
        inputs=inputs,
        outputs=outputs,
        rng=rng,
        nonlinearity=nonlinearity,
    )


def measure(network, seed, units, duration, lags, drives, delay, hidden, steps):
    """One kind of network: exponents and gradients under noise, and the copy task."""
    at_drives = [under_noise(network, sd, seed, units, duration, lags) for sd in drives]
    drive = xr.Variable(
        "drive",
        list(drives),
        {"units": "1", "long_name": "standard deviation of the noise at each unit"},
    )
    joined = xr.concat(
        at_drives, drive, coords="minimal", compat="override", combine_attrs="drop_conflicts"
    )
    return xr.merge(
        [joined, on_copy(network, seed, delay, hidden, steps)], combine_attrs="drop_conflicts"
    )


def under_noise(kind, sd, seed, units, duration, lags):
    """Exponent and gradients of the cell under independent noise at each unit, with theory."""
    cell = network(kind, units, units, None, seed)
    weights = {"V": np.eye(units)}
    from dataclasses import replace

    cell, drive = replace(cell, **weights), sd or None
    spectrum = dm.lyapunov_spectrum(
        cell, duration=duration, transient=round(0.1 * duration), exponents=2, drive=drive, rng=seed
    )
    gradients = dm.gradient_norms(cell, drive=drive, lags=lags, rng=seed)
    result = spectrum[["lyapunov", "lyapunov_error"]].isel(exponent=0, drop=True)
    result["predicted"] = dm.theory.lyapunov_spectrum(cell, drive=sd).lyapunov.isel(
        exponent=0, drop=True
    )
    result["gradient"] = gradients.log_state_gradient
    result["predicted_gradient"] = dm.theory.gradient_norms(
        cell, lags=lags, drive=sd
    ).log_state_gradient
    return result


def on_copy(kind, seed, delay, hidden, steps):
    """Held-out loss on the copy task over its floor, and the exponent while waiting, before and
    after training."""
    from ._recurrent import train, waiting_exponent

    task = dm.tasks.get("copy", delay=delay, symbols=4, length=3)
    start = network(kind, hidden, task.inputs, task.outputs, seed)
    trained, history = train(start, task, steps=steps, rng=seed)
    before, after = (waiting_exponent(system, task, rng=seed) for system in (start, trained))
    values = {
        "loss_over_floor": (
            history.test_loss.item() / task.floor,
            "1",
            "test loss over the floor",
        ),
        "learned": (int(history.learned), "1", "whether the copy task was learned"),
        "waiting_before": (before, "1/step", "first exponent while waiting, before training"),
        "waiting_after": (after, "1/step", "first exponent while waiting, after training"),
    }
    return xr.Dataset(
        {
            name: ((), value, {"units": units, "long_name": text})
            for name, (value, units, text) in values.items()
        }
    )


def summary(results):
    """Table: exponents by drive, and the results of training."""
    at = results.mean("seed")
    rows = [
        "network     "
        + "".join(f"  s={float(s):<4g} theory/measured" for s in at.drive.values)
        + "   copy: loss/floor  learned"
    ]
    for kind in results.network.values:
        one = at.sel(network=kind)
        pairs = "".join(
            f"     {float(p):8.4f} {float(m):8.4f} "
            for p, m in zip(one.predicted, one.lyapunov, strict=True)
        )
        share = results.learned.sel(network=kind)
        rows.append(
            f"{kind:12}{pairs}   {float(one.loss_over_floor):14.3f}   {int(share.sum())} "
            f"of {share.size}"
        )
    return "\n".join(rows)


STUDY = Study(
    name="orthogonal",
    question="Why does an orthogonal start alone not save a tanh network?",
    grid={"network": list(NETWORKS), "seed": [0, 1, 2]},
    settings={
        "units": 256,
        "duration": 1000,
        "lags": 200,
        "drives": [0.0, 0.1, 0.5, 1.0],
        "delay": 30,
        "hidden": 64,
        "steps": 1000,
    },
    quick={
        "seed": [0],
        "units": 64,
        "duration": 200,
        "lags": 50,
        "drives": [0.0, 0.5],
        "delay": 5,
        "hidden": 16,
        "steps": 20,
    },
    units={"network": ("1", "kind of network"), "seed": ("1", "seed")},
    limits={
        "seed": (0, None),
        "units": (2, 2048),
        "lags": (4, 10_000),
        "duration": (10, 1_000_000),
        "delay": (1, 1000),
        "hidden": (2, 1024),
        "steps": (1, 100_000),
    },
    source="Pennington et al. (2017); Arjovsky et al. (2016); Helfrich et al. (2018)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
