"""How long a silence can lie between hearing who speaks and saying it?

Nine men say two Japanese vowels (Kudo, Toyama and Shimbo 1999: 270 utterances for training, of
which 36 form the validation set, and 370 for the test); the answer is due a chosen number of silent
frames after the utterance has ended. A network has learned where its test loss lies, with two
standard errors, below half of that of guessing. Without silence every architecture names the
speaker; the longer the silence, the more it takes a memory that is there before training: where the
gradient over the silence has vanished at initialisation, nothing is learned. Measured besides: that
gradient, d x_T / d x_(T - silence), of the untrained network at rest. The recordings come in the
wheel of aeon, the extra ``speech``.
"""

import xarray as xr

import dynmem as dm
from dynmem.study import Study

MODELS = {
    "tanh": ("tanh", {"init": "uniform"}),
    "gru": ("gru", {"init": "uniform"}),
    "lstm": ("lstm", {"init": "uniform", "forget_bias": 1.0}),
    "lstm_chrono": ("lstm", {"init": "uniform", "chrono": None}),
    "lru": ("lru", {"r_min": 0.9, "r_max": 0.999}),
    "s4d": ("s4d", {}),
}
LEARNING_RATE = 3e-3
NAMES = ("accuracy", "loss", "loss_error", "learned", "asked", "chance", "log_gradient")
WORDS = {
    "accuracy": "speakers named rightly in the test",
    "loss": "test loss over that of guessing",
    "loss_error": "its standard error",
    "learned": "loss and two errors below the required share of guessing",
    "asked": "required share of the loss of guessing",
    "chance": "share of the most frequent speaker",
    "log_gradient": "ln of the gradient over the silence, before training",
}


def measure(model, silence, seed, units, steps, batch):
    """Accuracy on the test set after training, and the gradient over the silence before it."""
    task = dm.training.speech_task(silence)
    system = build(model, task, units, seed)
    gradient = (
        dm.gradient_norms(
            system, lags=[silence], transient=0, norm="spectral", rng=seed
        ).log_state_gradient.item()
        if silence
        else 0.0
    )
    _, history = dm.fit(
        system,
        task,
        steps=steps,
        batch=batch,
        rng=seed,
        learning_rate=LEARNING_RATE,
        evaluate_every=max(1, steps // 5),
        progress=False,
    )
    return answer(
        history.test_accuracy,
        history.test_loss / task.floor,
        history.test_loss_error / task.floor,
        int(history.learned),
        history.pass_ratio,
        history.dataset_chance,
        gradient,
    )


def build(name, task, units, rng):
    """A model of the study at initialisation; the chrono bias is set by the length of the task."""
    kind, options = MODELS[name]
    if "chrono" in options:
        options = options | {"chrono": float(task.steps)}
    return dm.models.get(
        kind, units=units, inputs=task.inputs, outputs=task.outputs, rng=rng, **options
    )


def answer(*values):
    """Dataset of the results of a point."""
    return xr.Dataset(
        {
            name: ((), float(value), {"units": "1", "long_name": WORDS[name]})
            for name, value in zip(NAMES, values, strict=True)
        }
    )


def summary(results):
    """Table: accuracy by model and silence, mean over seeds."""
    seeds = results.sizes["seed"]
    rows = [
        "accuracy on the 370 utterances of the test, mean over seeds (always the most "
        f"frequent speaker: {float(results.chance.max()):.3f}); in "
        "brackets ln of the gradient over the silence at the start;",
        f"of {seeds} seeds, how many have learned: a test loss that lies, with two standard "
        f"errors, below {float(results.asked.max()):g} of "
        "that of guessing",
        f"{'silence':>12}" + "".join(f"{int(s):>20}" for s in results.silence.values),
    ]
    for model in results.model.values:
        at = results.sel(model=model)
        mean, learned = at.mean("seed"), at.learned.sum("seed").values
        cells = "".join(
            f"{float(a):8.3f} ({float(g):5.0f}) {int(n)}/{seeds}"
            for a, g, n in zip(mean.accuracy.values, mean.log_gradient.values, learned, strict=True)
        )
        rows.append(f"{model:>12}{cells}")
    return "\n".join(rows)


STUDY = Study(
    name="speech",
    question="How long a silence can lie between hearing who speaks and saying it?",
    grid={"model": list(MODELS), "silence": [0, 10, 30, 100, 200], "seed": [0, 1]},
    settings={"units": 32, "steps": 250, "batch": 32},
    quick={
        "model": ["lstm", "lru"],
        "silence": [0, 20],
        "seed": [0],
        "units": 8,
        "steps": 10,
    },
    units={
        "model": ("1", "model"),
        "silence": ("frame", "silence before the answer"),
        "seed": ("1", "seed"),
    },
    limits={
        "silence": (0, 100_000),
        "seed": (0, None),
        "units": (2, 1024),
        "steps": (1, 1_000_000),
        "batch": (1, 270),
    },
    source="Kudo, Toyama and Shimbo (1999), Pattern Recognition Letters 20, 1103; "
    "doi:10.24432/C5NS47 (CC BY 4.0)",
    extras={"speech": {}},
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
