"""A user's own labelled sequences as a Dataset: one answer a sequence or one a step, of unequal
lengths, with masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError
from ..labels import as_seed, dataset
from ..runtime.validation import all_errors, generator, integer, number, public
from ..typing import ArrayLike, Rng
from .floors import sequence_floor
from .overlap import apart, places
from .scaling import UNSCORED
from .sequences import Sequences, as_sequences, group_names, refuse_shared_steps
from .splits import MEANINGS, PARTS, check_shares, whole_groups
from .tables import label

if TYPE_CHECKING:
    from xarray import Dataset


@public
def from_sequences(
    inputs: Any,
    targets: Any = None,
    *,
    labels: Any = None,
    lengths: ArrayLike | None = None,
    mask: Any = None,
    ignore_index: int | None = None,
    groups: ArrayLike | None = None,
    dt: float | None = None,
    units: str = "1",
    target_units: str = "1",
    time_units: str | None = None,
    train: float = 0.7,
    validation: float = 0.15,
    rng: Rng = 0,
    title: str = "sequences given by the caller",
    source: str = "given by the caller",
) -> Dataset:
    """Your own sequences as a Dataset, with classes or values to predict, one each or one a step.

    Parameters
    ----------
    inputs : array_like (count, steps, inputs) or (count, steps), or list of arrays
        Vectors, or symbols as whole numbers from 0; a list of arrays (steps, inputs) or (steps,),
        or a torch PackedSequence, for sequences of unequal length.
    targets : array_like, optional
        (count,) whole numbers: the class of each sequence; (count,) or (count, outputs) floats:
        values at its last step; (count, steps) whole numbers: a class at each step; (count, steps)
        or (count, steps, outputs) floats: values at each step. A list of arrays as the inputs.
    labels : array_like (count,), optional
        In place of targets: the class of each sequence, by names or numbers of any kind.
    lengths : array_like (count,), optional
        Steps of each sequence of a padded array; None: all.
    mask : array_like (count, steps), optional
        True where a step is scored; with one answer a sequence, True where a step belongs to it.
    ignore_index : int, optional
        Class that stands for no class, as of torch's losses (-100): these steps are not scored.
    groups : array_like (count,), optional
        Subject, session or series of each sequence: those of a group come into one part.
    dt : float, optional
        Time of a step; None: 1.
    units, target_units, time_units : str
        Units of inputs, of values to predict and of time.
    train, validation : float
        Shares of the sequences; the rest is the test.
    rng : int or numpy.random.Generator, optional
        Draws the parts.
    title, source : str
        Phrase for titles, and reference.

    Returns
    -------
    xarray.Dataset
        inputs : (sequence, step, input) or (sequence, step), units
            As they came, 0 beyond the end of a sequence.
        targets : (sequence [, step] [, output]), units
            Classes, or values; -100, or 0, where a step is not scored.
        scored : (sequence, step), 1
            1 where the answer is due, else 0; of one answer a sequence, at its last step.
        length : (sequence), step
            Steps of the sequence.
        input_mean, input_scale : (input), units [optional]
            Mean and standard deviation of the inputs of the training part, with which a task
            standardises them (scale 1 for an input that is constant).
        target_mean, target_scale : (output), units [optional]
            The same of values to predict.

        Coordinates: split(sequence); class_name(class) of classes that have names;
        group(sequence). Windows of one series that overlap are divided in their order, those
        between two parts in none. The attributes hold goal ("targets"), floor and chance, the loss
        and the share of right answers of the best of several regressions on the present input and
        the step, learned on the training part (values are standardised).

    Raises
    ------
    ShapeError
        For arrays that do not fit each other, with the shapes that do.
    NotFiniteError
        For NaN or infinity within a sequence or among scored targets.
    ValueError
        For fewer than three groups, constant inputs, one class alone, and sequences of unequal
        length that share steps across parts, unless groups are given.
    TypeError
        For what is no number.

    References
    ----------
    Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, sec. 7.2, for the
    three parts; sec. 4.4 for the regression of classes.

    Examples
    --------
    >>> import dynmem as dm
    >>> rng = np.random.default_rng(0)
    >>> up = rng.integers(2, size=120)  # does the sequence begin above 0?
    >>> inputs = [rng.normal(size=(rng.integers(5, 9), 1)) for _ in up]
    >>> for sequence, one in zip(inputs, up, strict=True):
    ...     sequence[0] = 2.0 * one - 1.0
    >>> data = dm.datasets.from_sequences(inputs, labels=np.where(up, "above", "below"))
    >>> data.inputs.shape, data.class_name.values.tolist(), round(data.attrs["floor"], 1)
    ((120, 8, 1), ['above', 'below'], 0.7)
    >>> trained, history = dm.fit(
    ...     "gru", data, units=12, steps=150, batch=32, learning_rate=2e-2
    ... )
    >>> float(history.test_accuracy), history.chance < 0.6
    (1.0, True)
    """
    with all_errors() as check:
        dt = 1.0 if dt is None else check(number, "dt", dt, above=0)
        check(check_shares, train, validation)
        drawing = check(generator, rng)
        if ignore_index is not None:
            ignore_index = check(integer, "ignore_index", ignore_index, -(2**31), 2**31)
    found = as_sequences(inputs, targets, labels, lengths, mask, ignore_index)
    count = len(found.lengths)
    members = group_names(groups, count)
    if members is None and count < 3:
        raise ShapeError(
            f"{count} sequences cannot be trained on, validated and tested: cut them into windows, "
            "(count, steps, inputs), or pass the series to dm.datasets.from_series"
        )
    split = _parts(found, members, (train, validation), drawing)
    if members is None:
        refuse_shared_steps(found, split)
    return _labelled(
        found,
        split,
        members,
        (units, target_units, label("unit", time_units or ("step" if dt == 1.0 else "time unit"))),
        dt,
        title=title,
        source=source,
        seed=as_seed(rng),
        goal="targets",
        sampling_step=dt,
        law="not known",
        licence="of whoever gave them",
    )


def _parts(
    found: Sequences,
    groups: np.ndarray | None,
    shares: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Part of each sequence: whole groups at random; of windows of one series that overlap in their
    order, those between two parts in none."""
    count, steps = found.inputs.shape[:2]
    if groups is not None or np.ptp(found.lengths) or (overlap := places(found.inputs)) is None:
        own = np.arange(count) if groups is None else groups
        return whole_groups(own, train=shares[0], validation=shares[1], rng=rng)
    indices = apart(*overlap, steps, (shares[0], sum(shares)), rng)
    if not all(map(len, indices)):
        raise ShapeError(
            f"the {count} sequences are windows that overlap, so that no three parts without a "
            "common step are left: cut windows that lie side by side, or shorter ones; pass "
            "groups=range(count) where steps are meant to repeat"
        )
    split = np.full(count, PARTS["gap"], np.int8)
    for part, index in zip(("train", "validation", "test"), indices, strict=True):
        split[index] = PARTS[part]
    return split


def _labelled(
    found: Sequences,
    split: np.ndarray,
    groups: np.ndarray | None,
    units: tuple[str, str, str],
    dt: float,
    **facts: Any,
) -> Dataset:
    u, y = found.inputs, found.targets
    classes = y.dtype.kind in "iu"
    each_step = y.ndim == 3 or (classes and y.ndim == 2)
    statistics = _statistics(found, split == PARTS["train"])
    target_dims = ("sequence", *(("step",) if each_step else ()), *(() if classes else ("output",)))
    rows: dict[str, tuple] = {
        "inputs": (
            ("sequence", "step", "input")[: u.ndim],
            u,
            units[0],
            "input, 0 beyond the end of the sequence",
        ),
        "targets": (
            target_dims,
            y,
            "1" if classes else units[1],
            f"class to predict, {UNSCORED} where there is none" if classes else "value to predict",
        ),
        "scored": (
            ("sequence", "step"),
            found.scored.astype(np.int8),
            "1",
            "1 where the answer is due, else 0",
        ),
        "length": ("sequence", found.lengths, "step", "steps of the sequence"),
    }
    for name, values in statistics.items():
        kind, what = name.split("_")
        text = "mean" if what == "mean" else "standard deviation"
        rows[name] = (
            "input" if kind == "input" else "output",
            values,
            units[kind == "target"],
            f"{text} of the training part",
        )
    made = dataset(
        rows,
        _coordinates(found, split, groups, units[2], dt),
        parameters={"sequences": len(u), "steps": u.shape[1], "one_answer": not each_step},
        size=f"{len(u)} sequences of {found.lengths.min()} to {found.lengths.max()} steps",
        classes=int(max(y.max() + 1, len(found.classes))) if classes else 0,
        symbols=int(u.max() + 1) if u.ndim == 2 else 0,
        **sequence_floor(found, statistics, split),
        **facts,
    )
    made.split.attrs |= MEANINGS
    return made


def _coordinates(
    found: Sequences, split: np.ndarray, groups: np.ndarray | None, time_unit: str, dt: float
) -> dict[str, tuple]:
    """Steps and parts, and the names of classes and groups where they have some."""
    coords: dict[str, tuple] = {
        "step": (
            "step",
            np.arange(found.inputs.shape[1]) * dt,
            time_unit,
            "time since the first step",
        ),
        "split": ("sequence", split, "1", "part that the sequence belongs to"),
    }
    if found.classes:
        coords["class_name"] = ("class", list(found.classes), "1", "name of the class")
    if groups is not None:
        coords["group"] = ("sequence", groups, "1", "group, all of it in one part")
    return coords


def _statistics(found: Sequences, trained: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and scale of inputs and values of the training part, within the sequences."""
    u, y = found.inputs, found.targets
    inside = np.arange(u.shape[1]) < found.lengths[:, None]
    rows = {}
    if u.ndim == 3:
        rows["input"] = u[trained][inside[trained]]
    if y.dtype.kind == "f":
        rows["target"] = y[trained] if y.ndim == 2 else y[trained][found.scored[trained]]
    made: dict[str, np.ndarray] = {}
    for name, values in rows.items():
        spread = values.std(0)
        still = ~(spread > 1e-9 * np.abs(values).max(0))
        if still.all():
            raise ValueError(
                f"the {name}s of the training part are constant, so that there is nothing to learn"
            )
        made |= {f"{name}_mean": values.mean(0), f"{name}_scale": np.where(still, 1.0, spread)}
    return made
