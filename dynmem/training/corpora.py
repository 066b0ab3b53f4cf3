"""Recorded text and speech as tasks: what is held out is the corpus's own part of it, never a random share."""

from dataclasses import dataclass

import numpy as np

from ..datasets import speech as recordings, text as texts
from ..datasets.splits import PARTS
from ..errors import ShapeError
from .samples import Samples


@dataclass(frozen=True, eq=False)
class Divided(Samples):
    """Samples with a held-out part of their own, of which ``last`` says whether the answer is due at the last step alone.

    What ``dm.fit`` evaluates on is drawn from held_inputs and held_targets; the floor and the chance are those of the part trained on.
    """

    held_inputs: np.ndarray = None
    held_targets: np.ndarray = None
    last: bool = False
    title: str = "recorded sequences"
    source: str = "given by the caller"
    dependency: int | None = None
    characters_per_token: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "scored", "recalled" if self.last else "all")
        object.__setattr__(self, "recalled", slice(-1, None) if self.last else slice(None))
        super().__post_init__()

    @property
    def inputs(self):
        """Input width; as many as there are classes where the inputs are symbols."""
        return self.inputs_array.shape[2] if self.inputs_array.ndim == 3 else self.outputs

    @property
    def parameters(self):
        """What a store records."""
        return super().parameters | {"held_out": len(self.held_targets), "title": self.title, "dependency": self.dependency}

    def split(self, rng):
        """What is trained on, and what is held out, in an order drawn at random: a part of it is a fair sample."""
        order = np.random.default_rng(rng).permutation(len(self.held_targets))
        return self, Samples(self.held_inputs[order], self.held_targets[order], self.loss, self.outputs if self.targets.ndim == 2 else None)

    def bits_per_character(self, loss):
        """A mean loss in nats per token as bits per character, by the characters per token of the held-out text."""
        return float(loss / np.log(2.0) / self.characters_per_token)


def next_token(data, *, steps=64):
    """Predict the next token of a text, at every step: a task from a Dataset of ``dynmem.datasets.text.text``.

    Windows of ``steps`` tokens, none of which overlap or cross from one document to another. The floor is the entropy of single tokens,
    the loss of a predictor that knows their frequencies and reads nothing. Entries that no document uses (bytes that do not occur, say) are
    left out of the classes.

    >>> from dynmem.datasets.text import text
    >>> task = next_token(text("python", vocabulary=256), steps=32)
    >>> task.steps, 4.0 < task.bits_per_character(task.floor) < 5.0
    (32, True)
    """
    _holding(data, "token", "dm.datasets.load('text')")
    used, tokens = np.unique(data.token.values, return_inverse=True)
    pieces = np.split(tokens, data.start.values[1:])
    trained, held = (_windows([p for p, out in zip(pieces, data.held_out.values, strict=True) if out == part], steps) for part in (False, True))
    return Divided(trained[:, :-1], trained[:, 1:], classes=len(used), held_inputs=held[:, :-1], held_targets=held[:, 1:], title=data.attrs["title"],
                   source=data.attrs["source"], characters_per_token=float(data.characters_per_token.sel(part="held_out")[-1]))


def _windows(pieces, steps):
    rows = [piece[: (len(piece) - 1) // steps * steps + 1] for piece in pieces]
    cut = [np.lib.stride_tricks.sliding_window_view(row, steps + 1)[::steps] for row in rows if len(row) > steps]
    if not cut:
        raise ShapeError(f"steps = {steps}: no document is as long, pass fewer steps, or hold out others")
    return np.concatenate(cut)


def who_spoke(data):
    """Name the speaker at the last step: a task from a Dataset of ``dynmem.datasets.speech``, ``vowels`` or ``prompts``.

    Scored at the last step alone. The floor is the entropy of the speakers, the chance the share of the most frequent one, both of the part
    that is trained on.
    """
    _holding(data, "inputs", "dm.datasets.load('japanese_vowels')")
    speaker, held = data["speaker" if "speaker" in data.data_vars else "voice"].values, data.split.values == PARTS["test"]
    inputs = data.inputs.values
    targets = np.repeat(speaker[:, None], inputs.shape[1], axis=1)
    return Divided(inputs[~held], targets[~held], classes=int(data.attrs["speakers"]), held_inputs=inputs[held], held_targets=targets[held],
                   last=True, title=data.attrs["title"], source=data.attrs["source"], dependency=int(data.attrs["dependency"]))


def _holding(data, name, example):
    if not hasattr(data, "data_vars") or name not in data:
        raise ShapeError(f"expected a Dataset that holds {name}, such as {example}, got {type(data).__name__} without it")


def text_task(source="python", *, steps=64, **options):
    """``next_token`` of a text by name, with the options of ``dynmem.datasets.text.text``."""
    return next_token(texts.text(source, **options), steps=steps)


def speech_task(silence=0):
    """``who_spoke`` of the Japanese vowels, asked so many frames after each has ended."""
    return who_spoke(recordings.vowels(silence=silence))
