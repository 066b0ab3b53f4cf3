"""Where should the norm stand in a deep residual network, and why does Post-Norm want a warm-up?

Theory: mean field of random Transformers (Xiong et al. 2020). Under Pre-Norm the stream grows
linearly with depth, and the gradient of the last layer falls as layers^(-1/2); under Post-Norm the
stream keeps its size and that gradient does not depend on depth; without a norm both grow by a
factor for each block; DeepNorm (Wang et al. 2022) keeps the stream and makes the gradients small
and even. The directions of the stream grow over depth as a product of Jacobians: exponentially
without a norm, not at all (the first) under Post-Norm, as a power law under Pre-Norm. Measurement:
stream, gradients and the spectrum over depth of random stacks; then the copy task, learned with and
without warm-up, and the gradient of its loss at each layer before and after.
"""

import numpy as np
import torch
import xarray as xr

import dynmem as dm
from dynmem.analysis import depth_spectrum, layer_gradients, stream_variance
from dynmem.study import Study
from dynmem.training import fitting

PLACEMENTS = ("pre", "post", "deepnorm", "none")
RECIPE = {
    "batch": 32,
    "validation_size": 128,
    "evaluate_every": 25,
    "stop": False,
    "progress": False,
}


def measure(
    placement, layers, seed, width, steps, shallow, deep, units, rate, warmup, training_steps
):
    """One depth and placement: random stacks with theory, and at two depths a small Transformer
    trained with and without warm-up."""
    net = dm.models.get(
        "attention",
        units=width,
        inputs=width,
        layers=layers,
        placement=placement,
        feedforward=width,
        sharpness=0.0,
        rng=seed,
    )
    about = {"placement": placement, "width": width}
    stream, gradients = (
        stream_variance(net, steps=steps, rng=seed),
        layer_gradients(net, steps=steps, samples=4, rng=seed),
    )
    spectrum = depth_spectrum(net, exponents=3 * width // 4, rng=seed)
    theory = [
        dm.theory.stream_variance(layers, steps=steps, **about),
        dm.theory.layer_gradients(layers, steps=steps, **about),
        dm.theory.depth_spectrum(layers, exponents=3 * width // 4, **about),
    ]
    names = ("variance", "feedforward_gradient", "lyapunov")
    predicted = {f"predicted_{name}": twin[name] for name, twin in zip(names, theory, strict=True)}
    parts = {
        "variance": stream.variance,
        "feedforward_gradient": gradients.feedforward_gradient,
        "lyapunov": spectrum.lyapunov,
        **predicted,
    }
    # from block 1 on
    held = xr.merge(
        [part.rename(name) for name, part in parts.items()],
        join="inner",
        compat="override",
        combine_attrs="drop",
    )
    trained = trainings(
        placement,
        layers,
        seed,
        (0, warmup) if layers in (shallow, deep) else (),
        units,
        rate,
        training_steps,
    )
    return xr.merge([held.rename(layer="block"), trained], join="exact", compat="override")


def task():
    """Two symbols out of four, recalled after four steps; floor ln 4."""
    return dm.tasks.get("copy", delay=4, symbols=4, length=2, scored="recalled")


def transformer(placement, layers, units, rng):
    """A small Transformer for the task."""
    law = task()
    return dm.models.get(
        "attention",
        units=units,
        inputs=law.inputs,
        outputs=law.outputs,
        layers=layers,
        placement=placement,
        feedforward=units,
        heads=2,
        window=law.steps,
        positions="rotary",
        rng=rng,
    )


def trainings(placement, layers, seed, warmups, units, rate, steps):
    """The same initialisation trained with each warm-up: loss over the floor, and the gradient at
    each layer before and after."""
    losses, gradients = [], []
    for warmup in warmups:
        start = transformer(placement, layers, units, seed)
        try:
            trained, history = dm.fit(
                start, task(), steps=steps, learning_rate=rate, warmup=warmup, rng=seed, **RECIPE
            )
            losses.append(history.validation_loss.values / task().floor)
            after = at_task(trained, seed)
        # a training that diverged has no loss: NaN, which the status of the point reports
        except dm.errors.NotFiniteError:
            losses.append(np.full(steps // RECIPE["evaluate_every"], np.nan))
            after = np.full(layers, np.nan)
        gradients.append([at_task(start, seed), after])
    evaluated = np.arange(1, steps // RECIPE["evaluate_every"] + 1) * RECIPE["evaluate_every"]
    shape = (len(warmups), 2, layers)
    return xr.Dataset(
        {
            "loss": (
                ("warmup_steps", "step"),
                np.reshape(losses, (len(warmups), len(evaluated))),
                {"units": "1", "long_name": "held-out loss over the floor"},
            ),
            "task_gradient": (
                ("warmup_steps", "stage", "block"),
                np.reshape(gradients, shape),
                {"units": "nat", "long_name": "gradient of W2"},
            ),
        },
        {
            "warmup_steps": (
                "warmup_steps",
                np.array(warmups, int),
                {"units": "step", "long_name": "warm-up"},
            ),
            "step": ("step", evaluated, {"units": "step", "long_name": "training step"}),
            "stage": ["start", "trained"],
            "block": (
                "block",
                np.arange(1, layers + 1),
                {"units": "1", "long_name": "residual block"},
            ),
        },
    )


def at_task(model, seed):
    """Gradient of the task's loss at each layer's W2."""
    law = task()
    u, targets = fitting.as_tensors(law, law.arrays(64, np.random.default_rng(seed)), torch.float64)
    loss = fitting.per_sequence(law)
    return layer_gradients(
        model, drive=u.numpy(), loss=lambda outputs: loss(outputs, targets).mean()
    ).feedforward_gradient.values


def last(results, name):
    """Value of a variable over blocks at the last block of each stack."""
    return xr.concat(
        [results[name].sel(layers=n, block=n, drop=True) for n in results.layers.values],
        results.layers,
    )


def summary(results):
    """Table by placement: slopes over depth, first exponent, and what training reached."""
    rows = [
        f"{'placement':>10}{'slope of last gradient':>24}{'stream at last':>16}"
        f"{'first exponent':>16}   loss over floor, deepest, by warm-up"
    ]
    for placement in results.placement.values:
        at = results.sel(placement=placement)
        mean = np.log(last(at, "feedforward_gradient")).mean("seed")
        slope = np.polyfit(np.log(at.layers), mean, 1)[0]
        deepest = at.isel(layers=-1)
        exponent = (
            f"{float(deepest.lyapunov[..., 0].mean()):8.3f} "
            f"({float(deepest.predicted_lyapunov[..., 0].mean()):5.3f})"
        )
        loss = at.loss.isel(step=-1).dropna("layers", how="all").isel(layers=-1)
        losses = ", ".join(
            f"{int(w)}: {float(loss.sel(warmup_steps=w).mean()):.3f}"
            for w in loss.warmup_steps.values
        )
        losses += f" ({int(loss.isnull().sum())} trainings lost)" if loss.isnull().any() else ""
        rows.append(
            f"{placement:>10}{slope:24.2f}"
            f"{float(last(at, 'variance').isel(layers=-1).mean()):16.3g}{exponent:>16}   {losses}"
        )
    return "\n".join(rows)


STUDY = Study(
    name="norms",
    question="Where should the norm stand in a deep residual network, and why does Post-Norm want "
    "a warm-up?",
    grid={"placement": list(PLACEMENTS), "layers": [2, 4, 8, 16, 32], "seed": [0, 1]},
    settings={
        "width": 128,
        "steps": 8,
        "shallow": 4,
        "deep": 16,
        "units": 32,
        "rate": 3e-3,
        "warmup": 100,
        "training_steps": 200,
    },
    quick={
        "layers": [2, 6],
        "seed": [0],
        "width": 32,
        "steps": 4,
        "shallow": 2,
        "deep": 6,
        "units": 8,
        "warmup": 10,
        "training_steps": 25,
    },
    units={
        "layers": ("1", "residual blocks"),
        "seed": ("1", "seed of weights and noise"),
        "placement": ("1", "place of the norm"),
    },
    limits={
        "layers": (1, 200),
        "seed": (0, None),
        "width": (8, 4096),
        "steps": (1, 1000),
        "shallow": (1, 200),
        "deep": (1, 200),
        "units": (4, 1024),
        "rate": (1e-9, 10.0),
        "warmup": (1, 1_000_000),
        "training_steps": (25, 1_000_000),
    },
    source="Xiong et al. (2020); Wang et al. (2022), DeepNet; Vaswani et al. (2017), section 5.3",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
