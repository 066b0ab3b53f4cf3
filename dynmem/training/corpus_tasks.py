"""Recorded text and speech as tasks: the test set is the corpus's own part, never a random share,
and has no say in the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import speech as recordings, text as texts
from ..datasets.splits import PARTS
from ..errors import ShapeError
from ..runtime.validation import integer, public
from ..tasks.memoryless import Rows
from ..typing import Rng
from .array_task import Samples, together

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["SplitSamples"]

# one sequence in so many of the training part validates, where the corpus has no part for it
SEQUENCES_PER_VALIDATION = 8


@public
@dataclass(frozen=True, eq=False)
class SplitSamples(Samples):
    """Samples with a validation set and a test set of their own.

    ``fit`` chooses the best weights on the validation set and judges them on the test set. The
    floor and the chance are those of answers without a memory that are fitted on the training set
    and measured on the others.

    Parameters
    ----------
    inputs_array, targets, loss, classes
        The training set, as of ``Samples``.
    validation, test : pair of array_like
        Inputs and targets of the other sets.
    answer_from : int
        First step that is scored, and all after it (-1: the last alone).
    pass_ratio : float
        Share of the floor that a loss must be below to be called learned.
    title, source : str
        Phrase for titles, and reference.
    dependency : int, optional
        Longest lag in steps from a cue to its recall.
    characters_per_token : float
        Of a text.
    dataset_facts : tuple of pairs
        Names and values of the floor and the chance that the dataset states of itself.

    Raises
    ------
    ShapeError
        Where the sets do not fit each other.

    References
    ----------
    Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, sec. 7.2.

    Examples
    --------
    >>> import dynmem as dm
    >>> x = np.sin(np.arange(60.0)).reshape(6, 10, 1)
    >>> sets = [(x[i : i + 2, :-1], x[i : i + 2, 1:]) for i in (0, 2, 4)]
    >>> task = dm.training.SplitSamples(*sets[0], validation=sets[1], test=sets[2], answer_from=-1)
    >>> int(task.weights.sum()), task.steps
    (1, 9)
    """

    validation: tuple = ()
    test: tuple = ()
    answer_from: int = 0
    pass_ratio: float = 0.1
    title: str = "recorded sequences"  # type: ignore[misc]
    source: str = "given by the caller"  # type: ignore[assignment]
    dependency: int | None = None  # type: ignore[assignment]
    characters_per_token: float = 1.0
    dataset_facts: tuple = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scored", "recalled" if self.answer_from else "all")
        object.__setattr__(self, "recalled", slice(self.answer_from, None))
        super().__post_init__()

    def check_options(self) -> None:
        """Refuse sets that do not fit each other."""
        super().check_options()
        for name in ("validation", "test"):
            given = [np.shape(array) for array in getattr(self, name)]
            if (
                len(given) != 2
                or given[0][1:] != self.inputs_array.shape[1:]
                or given[1][1:] != self.targets.shape[1:]
                or not given[1][0]
            ):
                raise ShapeError(
                    f"{name} has the shapes {given}: pass inputs (count, "
                    f"{', '.join(map(str, self.inputs_array.shape[1:]))}) and targets (count, "
                    f"{', '.join(map(str, self.targets.shape[1:]))}) of at least one sequence"
                )

    @property
    def inputs(self) -> int:
        """Input width; as many as there are classes where the inputs are symbols."""
        return self.inputs_array.shape[2] if self.inputs_array.ndim == 3 else self.outputs

    @property
    def parameters(self) -> dict:
        """What a store records."""
        counts = {"validation": len(self.validation[1]), "test": len(self.test[1])}
        return super().parameters | counts | {"title": self.title, "dependency": self.dependency}

    def split(self, rng: Rng) -> tuple[Samples, Samples, Samples]:
        """Training, validation and test set, the last two in random order: a part of them is a fair
        sample."""
        rng = np.random.default_rng(rng)
        orders = [(part, rng.permutation(len(part[1]))) for part in (self.validation, self.test)]
        validation, test = (self.part(*(array[order] for array in part)) for part, order in orders)
        return self, validation, test

    def _folds(self) -> list[tuple[Rows, Rows]]:
        held_out = together(*(self.part(*sets) for sets in (self.validation, self.test)))
        return [(self.rows_scored(), held_out)]

    def bits_per_character(self, loss: float) -> float:
        """A mean loss in nats per token as bits per character, by the characters per token of the
        test set."""
        return float(loss / np.log(2.0) / self.characters_per_token)


def dataset_facts(data: Dataset) -> tuple[tuple[str, Any], ...]:
    """Floor and chance that a dataset states of itself, and their meanings: pairs of name and
    value."""
    names = ("floor", "floor_meaning", "chance", "chance_meaning")
    return tuple((f"dataset_{name}", data.attrs[name]) for name in names if name in data.attrs)


@public
def next_token(data: Dataset, *, steps: int = 64) -> SplitSamples:
    """Predict the next token of a text, at every step.

    Windows of ``steps`` tokens, none of which overlap or cross from one document to another; the
    test set is the documents held out, the validation set the last eighth of the others' windows.
    The floor is the loss of a predictor that reads the present token and no other, by the
    frequencies of pairs in training; learned is a loss below nine tenths of it. Entries that no
    document uses (bytes that do not occur, say) are left out of the classes.

    Parameters
    ----------
    data : xarray.Dataset
        Of ``dm.datasets.load("text")``, ``from_text`` or ``from_tokens``.
    steps : int
        Tokens of a window.

    Returns
    -------
    SplitSamples

    Raises
    ------
    ShapeError
        For another dataset, or where no document is as long as a window.
    ValueError
        For steps that cannot be.

    References
    ----------
    Shannon (1951), Bell System Technical Journal 30, 50.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("text", vocabulary=256)
    >>> task = dm.training.next_token(data, steps=32)
    >>> task.steps, 3.0 < task.bits_per_character(task.floor) < 4.0
    (32, True)
    """
    require_variables(data, ("token",), "dm.datasets.load('text')")
    steps = integer("steps", steps)
    used, tokens = np.unique(data.token.values, return_inverse=True)
    documents = np.split(tokens, data.start.values[1:])
    rows, test = (
        _windows(
            [d for d, out in zip(documents, data.held_out.values, strict=True) if out == part],
            steps,
        )
        for part in (False, True)
    )
    kept = len(rows) - max(1, len(rows) // SEQUENCES_PER_VALIDATION)
    if not kept:
        raise ShapeError(
            f"steps = {steps}: there is one window to train on, and none to validate "
            "by: pass fewer steps"
        )
    training, validation, test = (
        (part[:, :-1], part[:, 1:]) for part in (rows[:kept], rows[kept:], test)
    )
    return SplitSamples(
        *training,
        classes=len(used),
        validation=validation,
        test=test,
        title=data.attrs["title"],
        source=data.attrs["source"],
        pass_ratio=0.9,
        dataset_facts=dataset_facts(data),
        characters_per_token=float(data.characters_per_token.sel(part="held_out")[-1])
        if "characters_per_token" in data
        else 1.0,
    )


def _windows(documents, steps):
    rows = [document[: (len(document) - 1) // steps * steps + 1] for document in documents]
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


@public
def speaker_task(data: Dataset) -> SplitSamples:
    """Name the speaker of an utterance at the last step.

    Scored at the last step alone. The test set is the dataset's own; every eighth utterance of each
    speaker among the others is kept for validation. The floor is the loss of an answer from the
    last frame alone, the entropy of the speakers where that is silent; learned is a loss below half
    the floor.

    Parameters
    ----------
    data : xarray.Dataset
        Of ``dm.datasets.load("japanese_vowels")`` or ``dm.datasets.load("telephone_prompts")``.

    Returns
    -------
    SplitSamples

    Raises
    ------
    ShapeError
        For another dataset, or where no speaker has two utterances to train on.

    References
    ----------
    Kudo, Toyama and Shimbo (1999), Pattern Recognition Letters 20, 1103.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.training.speaker_task(dm.datasets.load("henon", samples=100))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    dynmem.errors.ShapeError: expected a Dataset that holds inputs, such as ...
    """
    require_variables(data, ("inputs", "split"), "dm.datasets.load('japanese_vowels')")
    speaker = data["speaker" if "speaker" in data.data_vars else "voice"].values
    test = data.split.values == PARTS["test"]
    validation = np.zeros(len(speaker), bool)
    for one in np.unique(speaker):
        mine = np.flatnonzero((speaker == one) & ~test)
        validation[mine[1::SEQUENCES_PER_VALIDATION]] = True
    if not validation.any():
        raise ShapeError(
            "no speaker has two utterances to train on, of which one could be kept for validation"
        )
    inputs = data.inputs.values
    targets = np.repeat(speaker[:, None], inputs.shape[1], axis=1)
    sets = [(inputs[part], targets[part]) for part in (~test & ~validation, validation, test)]
    return SplitSamples(
        *sets[0],
        classes=int(data.attrs["speakers"]),
        validation=sets[1],
        test=sets[2],
        answer_from=-1,
        pass_ratio=0.5,
        dataset_facts=dataset_facts(data),
        title=data.attrs["title"],
        source=data.attrs["source"],
        dependency=int(data.attrs["dependency"]),
    )


def require_variables(data: Any, names: Sequence[str], example: str) -> None:
    """Refuse what is not a Dataset that holds these variables."""
    if missing := [
        name for name in names if not hasattr(data, "data_vars") or name not in data.variables
    ]:
        raise ShapeError(
            f"expected a Dataset that holds {', '.join(missing)}, such as {example}, "
            f"got {type(data).__name__} without it"
        )


@public
def text_task(source: str = "python", *, steps: int = 64, **options: Any) -> SplitSamples:
    """``next_token`` of a text by name.

    Parameters
    ----------
    source : str
        As of ``dm.datasets.text.text``; own files are read by ``dm.datasets.from_text``.
    steps : int
        Tokens of a window.
    **options
        Of ``dm.datasets.text.text``: vocabulary, held_out ...

    Returns
    -------
    SplitSamples

    Raises
    ------
    ValueError
        For options that cannot be.

    References
    ----------
    Shannon (1951), Bell System Technical Journal 30, 50.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.training.text_task("python", vocabulary=256, steps=16).steps
    16
    """
    return next_token(texts.text(source, **options), steps=steps)


@public
def speech_task(silence: int = 0) -> SplitSamples:
    """``speaker_task`` of the Japanese vowels, with a silence before the answer.

    Parameters
    ----------
    silence : int
        Frames from the end of an utterance to the answer.

    Returns
    -------
    SplitSamples

    Raises
    ------
    ValueError
        For a silence that is no whole number of at least 0.
    ImportError
        Where the package that holds the recordings is not installed.

    References
    ----------
    Kudo, Toyama and Shimbo (1999), Pattern Recognition Letters 20, 1103.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.training.speech_task(-1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: silence = -1...
    """
    return speaker_task(recordings.vowels(silence=silence))
