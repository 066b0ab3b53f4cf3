"""How far back does a temporal convolutional network see, and how far back does it look?

Theory: m convolutions of k taps in each of L layers, with dilations base^i, see 1 + m (k-1) sum_i
base^i steps (Bai et al. 2018). Random weights spread the squared gradient like a sum of independent
steps (Luo et al. 2016): over sqrt(L) steps without dilation, over a fixed share of the field with
it; the residual connections, taken with probability 1/(1 + rho) in each block, draw it back to the
newest input. Measurement: the exact support of the derivatives, and the spread of the gradient, at
the two usual initialisations. Training: the copy task from the initialisation of He et al. (2015),
which can be learned only where the field reaches the symbols, and then the lags that the output
depends on.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.analysis import receptive_field
from dynmem.study import Study

from ._recurrent import TRAINING, copy_task, single

INITS = ("he", "uniform")
COLUMN_WIDTHS = {
    "formula": 9,
    "support": 9,
    "theory_he": 11,
    "measured_he": 13,
    "theory_uniform": 16,
    "measured_uniform": 18,
    "trained": 9,
    "loss_over_floor": 17,
}


def measure(layers, kernel, base, seed, convolutions, units, delay, steps, samples, lags):
    """One shape: fields by formula, exact support and spread of the gradient, before and after
    training."""
    task = copy_task(delay)
    shape = {"layers": layers, "kernel": kernel, "base": base, "convolutions": convolutions}
    models = {
        init: dm.models.get(
            "tcn",
            units=units,
            inputs=task.inputs,
            outputs=task.outputs,
            init=init,
            rng=seed,
            **shape,
        )
        for init in INITS
    }
    found = {
        init: receptive_field(model, transient=50, samples=samples, rng=seed)
        for init, model in models.items()
    }
    theory = {init: predicted(init, task.inputs != units, **shape) for init in INITS}
    trained, history = dm.fit(
        models["he"],
        task,
        steps=steps,
        rng=seed,
        learning_rate=5e-3,
        progress=False,
        **TRAINING | {"evaluate_every": 50},
    )
    looked = receptive_field(
        trained,
        drive=endless(task, int(found["he"].receptive_field), samples, seed),
        transient=0,
        rng=seed,
    )
    fields = {
        f"{kind}_{init}": (
            float(made[init].effective_field),
            "step",
            f"effective field, {kind}, start {init!r}",
        )
        for kind, made in (("theory", theory), ("measured", found))
        for init in INITS
    }
    numbers = single(
        formula=(float(theory["he"].receptive_field), "step", "receptive field by formula"),
        support=(
            float(max(found[init].receptive_field for init in INITS)),
            "step",
            "receptive field by exact support",
        ),
        trained=(
            float(looked.effective_field),
            "step",
            "effective field while it recalls, trained",
        ),
        loss_over_floor=(
            history.test_loss.item() / task.floor,
            "1",
            "test loss over the memoryless floor",
        ),
        learned=(int(history.learned), "1", "whether the copy was learned"),
        dependency=(float(task.dependency), "step", "lag of the symbols to be copied"),
        **fields,
    )
    shares = {"share_theory": theory["he"], "share_start": found["he"], "share_trained": looked}
    return xr.merge(
        [numbers, *(profile(made.share, lags, name) for name, made in shares.items())],
        combine_attrs="drop_conflicts",
    )


def predicted(init, dense, *, layers, kernel, base, convolutions):
    """Theory of the network at initialisation: a convolution and its relu keep the mean square (he)
    or a sixth of it (uniform: 1/3 by the weights, of which the relu leaves half); the first block's
    1x1 convolution keeps it wholly or a third of it."""
    power = 1.0 if init == "he" else 6.0**-convolutions
    first = power if init == "he" or not dense else 3.0 * power
    return dm.theory.receptive_field(
        kernel,
        layers,
        base=base,
        convolutions=convolutions,
        path_power=[first, *[power] * (layers - 1)],
    )


def endless(task, field, samples, rng):
    """Sequences of the task one after another, ending with a recall, longer than the field."""
    count = -(-(field + 2) // task.steps)
    drawn = task.encode(task.arrays(samples * count, np.random.default_rng(rng))[0])
    return drawn.reshape(samples, count * task.steps, task.inputs)


def profile(share, lags, name):
    """Shares up to a lag, zero beyond the field."""
    values = np.zeros(lags + 1)
    values[: min(len(share), lags + 1)] = share.values[: lags + 1]
    long_name = f"share of the squared gradient, {name.removeprefix('share_')}"
    return xr.DataArray(
        values,
        {"lag": ("lag", np.arange(lags + 1), {"units": "step", "long_name": "lag"})},
        name=name,
        attrs={"units": "1", "long_name": long_name},
    )


def summary(results):
    """Table by base, kernel and layers, mean over seeds."""
    rows = [
        f"{'base':>4}{'k':>3}{'L':>3}"
        + "".join(f"{name.replace('_', ' '):>{width + 2}}" for name, width in COLUMN_WIDTHS.items())
        + "  learned"
    ]
    for base in results.base.values:
        for kernel in results.kernel.values:
            for layers in results.layers.values:
                at = results.sel(base=base, kernel=kernel, layers=layers)
                numbers = "".join(
                    f"{float(at[name].mean()):{width + 2}.4g}"
                    for name, width in COLUMN_WIDTHS.items()
                )
                rows.append(
                    f"{base:4d}{kernel:3d}{layers:3d}{numbers}  {int(at.learned.sum())} "
                    f"of {at.sizes['seed']}"
                )
    return "\n".join(rows)


STUDY = Study(
    name="receptive_field",
    question="How far back does a temporal convolutional network see, and how far back does it "
    "look?",
    grid={"layers": [1, 2, 3, 4, 5, 6], "kernel": [2, 3, 5], "base": [1, 2], "seed": [0, 1]},
    settings={"convolutions": 2, "units": 16, "delay": 20, "steps": 300, "samples": 8, "lags": 64},
    quick={
        "layers": [1, 2, 3],
        "kernel": [3],
        "base": [1, 2],
        "seed": [0],
        "units": 8,
        "delay": 4,
        "steps": 40,
        "samples": 4,
        "lags": 20,
    },
    units={
        "layers": ("1", "layers L"),
        "kernel": ("1", "taps k of each convolution"),
        "base": ("1", "factor of the dilation from layer to layer"),
        "seed": ("1", "seed"),
    },
    limits={
        "layers": (1, 12),
        "kernel": (1, 64),
        "base": (1, 8),
        "seed": (0, None),
        "convolutions": (1, 2),
        "units": (1, 256),
        "delay": (1, 1000),
        "steps": (1, 1_000_000),
        "samples": (1, 1000),
        "lags": (1, 10_000),
    },
    source="Bai, Kolter and Koltun (2018); Luo, Li, Urtasun and Zemel (2016)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
