"""Recorded text and speech as tasks: what is held out is the corpus's own part of it, never a
random share, and has no say in the training."""

from dataclasses import dataclass

import numpy as np

from ..datasets import speech as recordings, text as texts
from ..datasets.splits import PARTS
from ..errors import ShapeError
from ..tasks import whole
from .array_task import Samples
from .options import refuse

# one in so many of the sequences to train on chooses the best weights, where the corpus has no part
# for it
WATCHED = 8


@dataclass(frozen=True, eq=False)
class SplitSamples(Samples):
    """Samples that bring the parts for validation and for the test with them, each as a pair
    (inputs, targets).

    ``due`` is the first step at which the answer is due, and all after it (-1: the last alone).
    ``fit`` chooses the best weights on the validation part and judges them on the test. The floor
    and the chance are those of the part trained on; ``asked`` is the share of the floor that a loss
    must be below to be called learned. ``own`` holds the floor and the chance that the dataset
    states of itself, with their meanings.
    """

    validation: tuple = ()
    test: tuple = ()
    due: int = 0
    asked: float = 0.1
    title: str = "recorded sequences"
    source: str = "given by the caller"
    dependency: int | None = None
    characters_per_token: float = 1.0
    own: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, "scored", "recalled" if self.due else "all")
        object.__setattr__(self, "recalled", slice(self.due, None))
        super().__post_init__()

    def problems(self):
        """Sentences, one for each option that cannot be."""
        yield from super().problems()
        for name in ("validation", "test"):
            given = [np.shape(array) for array in getattr(self, name)]
            if (
                len(given) != 2
                or given[0][1:] != self.inputs_array.shape[1:]
                or given[1][1:] != self.targets.shape[1:]
                or not given[1][0]
            ):
                yield (
                    f"{name} has the shapes {given}: pass inputs (count, "
                    f"{', '.join(map(str, self.inputs_array.shape[1:]))}) and targets (count, "
                    f"{', '.join(map(str, self.targets.shape[1:]))}) of at least one sequence"
                )

    @property
    def inputs(self):
        """Input width; as many as there are classes where the inputs are symbols."""
        return self.inputs_array.shape[2] if self.inputs_array.ndim == 3 else self.outputs

    @property
    def parameters(self):
        """What a store records."""
        counts = {"validation": len(self.validation[1]), "test": len(self.test[1])}
        return super().parameters | counts | {"title": self.title, "dependency": self.dependency}

    def split(self, rng):
        """What is trained on, what chooses the best weights, and the test, both in an order drawn
        at random: a part of them is a fair sample."""
        rng = np.random.default_rng(rng)
        orders = [(part, rng.permutation(len(part[1]))) for part in (self.validation, self.test)]
        return self, *(self.part(*(array[order] for array in part)) for part, order in orders)

    def bits_per_character(self, loss):
        """A mean loss in nats per token as bits per character, by the characters per token of the
        test part."""
        return float(loss / np.log(2.0) / self.characters_per_token)


def own(data):
    """What a dataset states of its floor and its chance: pairs of names and values."""
    names = ("floor", "floor_meaning", "chance", "chance_meaning")
    return tuple((f"dataset_{name}", data.attrs[name]) for name in names if name in data.attrs)


def next_token(data, *, steps=64):
    """Predict the next token of a text, at every step: a task from a Dataset of
    ``dynmem.datasets.text.text``.

    Windows of ``steps`` tokens, none of which overlap or cross from one document to another; the
    test is the documents held out, the validation the last eighth of the others' windows. The floor
    is the entropy of single tokens, the loss of a predictor that knows their frequencies and reads
    nothing; learned is a loss below nine tenths of it. Entries that no document uses (bytes that do
    not occur, say) are left out of the classes.

    >>> from dynmem.datasets.text import text
    >>> task = next_token(text("python", vocabulary=256), steps=32)
    >>> task.steps, 4.0 < task.bits_per_character(task.floor) < 5.0
    (32, True)
    """
    holding(data, ("token",), "dm.datasets.load('text')")
    refuse(whole({"steps": steps}, steps=1))
    used, tokens = np.unique(data.token.values, return_inverse=True)
    pieces = np.split(tokens, data.start.values[1:])
    rows, test = (
        _windows(
            [p for p, out in zip(pieces, data.held_out.values, strict=True) if out == part], steps
        )
        for part in (False, True)
    )
    kept = len(rows) - max(1, len(rows) // WATCHED)
    if not kept:
        raise ShapeError(
            f"steps = {steps}: there is one window to train on, and none to validate "
            "by: pass fewer steps"
        )
    trained, watched, test = (
        (part[:, :-1], part[:, 1:]) for part in (rows[:kept], rows[kept:], test)
    )
    return SplitSamples(
        *trained,
        classes=len(used),
        validation=watched,
        test=test,
        title=data.attrs["title"],
        source=data.attrs["source"],
        asked=0.9,
        own=own(data),
        characters_per_token=float(data.characters_per_token.sel(part="held_out")[-1]),
    )


def _windows(pieces, steps):
    rows = [piece[: (len(piece) - 1) // steps * steps + 1] for piece in pieces]
    cut = [
        np.lib.stride_tricks.sliding_window_view(row, steps + 1)[::steps]
        for row in rows
        if len(row) > steps
    ]
    if not cut:
        raise ShapeError(
            f"steps = {steps}: no document is as long, pass fewer steps, or hold out others"
        )
    return np.concatenate(cut)


def speaker_task(data):
    """Name the speaker at the last step: a task from a Dataset of ``dynmem.datasets.speech``,
    ``vowels`` or ``prompts``.

    Scored at the last step alone. The test is the dataset's own; every eighth utterance of each
    speaker among the others is kept for validation. The floor is the entropy of the speakers, the
    chance the share of the most frequent one, both of the part that is trained on; learned is a
    loss below half the floor.
    """
    holding(data, ("inputs", "split"), "dm.datasets.load('japanese_vowels')")
    speaker, test = (
        data["speaker" if "speaker" in data.data_vars else "voice"].values,
        data.split.values == PARTS["test"],
    )
    watched = np.zeros(len(speaker), bool)
    for one in np.unique(speaker):
        watched[np.flatnonzero((speaker == one) & ~test)[1::WATCHED]] = True
    if not watched.any():
        raise ShapeError(
            "no speaker has two utterances to train on, of which one could be kept for validation"
        )
    inputs = data.inputs.values
    targets = np.repeat(speaker[:, None], inputs.shape[1], axis=1)
    trained, watched, test = (
        (inputs[part], targets[part]) for part in (~test & ~watched, watched, test)
    )
    return SplitSamples(
        *trained,
        classes=int(data.attrs["speakers"]),
        validation=watched,
        test=test,
        due=-1,
        asked=0.5,
        own=own(data),
        title=data.attrs["title"],
        source=data.attrs["source"],
        dependency=int(data.attrs["dependency"]),
    )


def holding(data, names, example):
    """Refuse what is not a Dataset that holds these variables."""
    if missing := [
        name for name in names if not hasattr(data, "data_vars") or name not in data.variables
    ]:
        raise ShapeError(
            f"expected a Dataset that holds {', '.join(missing)}, such as {example}, "
            f"got {type(data).__name__} without it"
        )


def text_task(source="python", *, steps=64, **options):
    """``next_token`` of a text by name, with the options of ``dynmem.datasets.text.text``."""
    return next_token(texts.text(source, **options), steps=steps)


def speech_task(silence=0):
    """``speaker_task`` of the Japanese vowels, asked so many frames after each has ended."""
    return speaker_task(recordings.vowels(silence=silence))
