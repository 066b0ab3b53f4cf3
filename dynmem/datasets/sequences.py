"""Sequences that a user brings, in one form: padded at their end, with what is asked and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import NotFiniteError, ShapeError
from ..runtime.memory import require_memory
from ..runtime.torch_modules import as_numpy, unpacked
from .scaling import UNSCORED
from .splits import PARTS
from .tables import check_size, label, numbers

# equal steps in a row by which two windows of one series are known
LEAST_SHARED_STEPS, MOST_SHARED_STEPS = 3, 12
VARIED_SHARE = 2 / 3  # of such steps that differ from each other
PADDING = {"targets": UNSCORED}  # of unequal sequences, by what they are; else 0
ONE_OF = "pass targets (values, or classes as whole numbers) or labels (one class a sequence)"


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of one length, padded at their end, and what is asked of them.

    ``targets``: (count,) classes or (count, outputs) values of the last step; (count, steps)
    classes or (count, steps, outputs) values of each. ``scored`` (count, steps): where.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    scored: np.ndarray
    classes: tuple[str, ...] = ()


def as_sequences(
    inputs: Any, targets: Any, labels: Any, lengths: Any, mask: Any, ignore_index: int | None
) -> Sequences:
    """Inputs, targets and where they are scored, from what the user gives."""
    if (targets is None) == (labels is None):
        raise TypeError(f"{'neither' if targets is None else 'both'} given: {ONE_OF}")
    u, own = _padded("inputs", inputs)
    if u.ndim == 2 and u.dtype.kind == "f":
        u = u[..., None]
    if u.ndim not in (2, 3) or 0 in u.shape:
        raise ShapeError(
            f"inputs have shape {u.shape}: pass (count, steps, inputs), (count, steps), or a list "
            "of arrays (steps, inputs)"
        )
    steps = _lengths(lengths, own, u.shape[:2])
    names: tuple[str, ...] = ()
    if labels is None:
        y = _targets(targets, steps, u.shape[1], ignore_index)
    else:
        y, names = _labels(labels, u.shape[:2])
    counts = np.arange(u.shape[1]) < steps[:, None]
    if mask is not None:
        counts &= _mask(mask, u.shape[:2])
    if y.ndim == 1 or (y.ndim == 2 and y.dtype.kind == "f"):
        _require_steps(counts & (y != UNSCORED)[:, None] if y.ndim == 1 else counts)
        steps = u.shape[1] - counts[:, ::-1].argmax(axis=1)
        scored = np.arange(u.shape[1]) == steps[:, None] - 1
    else:
        classes = y.ndim == 2
        scored = counts & (y != UNSCORED) if classes else counts
        _require_steps(scored)
        y = np.where(scored, y, UNSCORED) if classes else np.where(scored[..., None], y, 0.0)
    inside = np.arange(u.shape[1]) < steps[:, None]
    u = np.where(inside if u.ndim == 2 else inside[..., None], u, u.dtype.type(0))
    _check_numbers(u, y)
    return Sequences(u, y, steps, scored, names)


def _require_steps(counts: np.ndarray) -> None:
    """Refuse sequences of which no step counts."""
    if not counts.any(axis=1).all():
        raise ShapeError(
            f"sequence {int(counts.any(axis=1).argmin())} has no step that is scored: leave it "
            "out, or mend its mask or its targets"
        )


def _padded(name: str, given: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """An array (count, steps, ...), and the lengths of the sequences of a list of them, which are
    padded by ``PADDING`` at their end."""
    given = as_numpy(unpacked(given))
    if not isinstance(given, (list, tuple)) and getattr(given, "dtype", None) != object:
        return _real(name, given), None
    rows = [_real(f"{name}[{i}]", row) for i, row in enumerate(given)]
    if not rows:
        raise ShapeError(f"{name} holds no sequence")
    if rows[0].ndim == 0:
        return np.stack(rows), None
    if len(kinds := {row.shape[1:] for row in rows}) > 1:
        odd = next(i for i, row in enumerate(rows) if row.shape[1:] != rows[0].shape[1:])
        raise ShapeError(
            f"{name}[{odd}] has shape {rows[odd].shape}, {name}[0] {rows[0].shape}: all need "
            "(steps, ...) of the same width"
        )
    lengths = np.array([len(row) for row in rows])
    shape = (len(rows), int(lengths.max()), *kinds.pop())
    require_memory(
        8 * int(np.prod(shape)),
        f"{len(rows)} sequences padded to {shape[1]} steps",
        "cut the longest ones into windows",
    )
    padded = np.full(shape, PADDING.get(name, 0), np.result_type(*(row.dtype for row in rows)))
    for row, into in zip(rows, padded, strict=True):
        into[: len(row)] = row
    return padded, lengths


def _real(name: str, values: Any) -> np.ndarray:
    """Whole numbers as int64, other real numbers as float64."""
    try:
        array = np.asarray(as_numpy(values))
    except ValueError:  # rows of unequal length
        array = np.empty(0, object)
    if array.dtype.kind in "US" and name.startswith("targets"):
        raise TypeError(
            "targets are text: pass the names of classes as labels=, "
            "dm.datasets.from_sequences(inputs, labels=...)"
        )
    return array.astype(np.int64) if array.dtype.kind in "iub" else numbers(name, values)


def _lengths(lengths: Any, own: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Steps of each sequence."""
    count, steps = shape
    if lengths is None:
        found = np.full(count, steps) if own is None else own
    else:
        found = np.asarray(lengths.detach().cpu() if hasattr(lengths, "detach") else lengths)
        if own is not None and not np.array_equal(found, own):
            raise ShapeError("a list of arrays has the lengths of its arrays: leave lengths out")
        if found.shape != (count,) or found.dtype.kind not in "iu":
            raise ShapeError(
                f"lengths have shape {found.shape} and dtype {found.dtype}: pass {count} whole "
                "numbers"
            )
    if found.min() < 1 or found.max() > steps:
        odd = int(np.flatnonzero((found < 1) | (found > steps))[0])
        raise ShapeError(
            f"sequence {odd} has length {found[odd]}: pass 1 to {steps}, and leave empty ones out"
        )
    return found.astype(np.int64)


def _mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    found, _ = _padded("mask", mask)
    if found.shape != shape or not np.isin(found, (0, 1)).all():
        raise ShapeError(
            f"the mask has shape {found.shape}: pass {shape} of True and False, one for each step"
        )
    return found.astype(bool)


def _labels(labels: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class of each sequence and the names of the classes, in alphabetical or numeric order."""
    found = np.asarray(as_numpy(labels))
    if found.shape != shape[:1]:
        hint = "a class for each step is targets="
        if found.shape == shape[1:]:
            hint = "where time comes first in the inputs, pass numpy.swapaxes(inputs, 0, 1)"
        raise ShapeError(
            f"labels have shape {found.shape}: pass one for each of the {shape[0]} sequences; "
            f"{hint}"
        )
    if found.dtype.kind == "f" and (not np.isfinite(found).all() or (found % 1).any()):
        raise TypeError("labels are floats: pass values to predict as targets=")
    if found.dtype.kind == "O":
        if odd := [value for value in found if not isinstance(value, (str, int, bool))]:
            raise TypeError(f"labels hold {odd[0]!r:.40}: pass names or whole numbers")
        found = found.astype(str)
    names, classes = np.unique(found, return_inverse=True)
    if found.dtype.kind == "f":
        names = names.astype(np.int64)
    return classes.astype(np.int64), tuple(label("class", name) for name in names.tolist())


def _targets(targets: Any, lengths: np.ndarray, steps: int, ignore_index: int | None) -> np.ndarray:
    """Classes (count,) or (count, steps), values (count, outputs) or (count, steps, outputs)."""
    y, own = _padded("targets", targets)
    count = len(lengths)
    shape = (count, steps)
    ragged = own is not None and len(y) == count and len(np.unique(own)) > 1
    if own is not None and ragged and (own != lengths).any():
        odd = int((own != lengths).argmax())
        raise ShapeError(
            f"targets of sequence {odd} have {own[odd]} steps, its inputs {lengths[odd]}: one for "
            "each step, or one for each sequence"
        )
    fits = y.ndim > 0 and len(y) == count and (y.ndim < 3 or y.shape[1] == steps)
    if not fits or y.ndim > 3 or 0 in y.shape:
        raise ShapeError(
            f"targets have shape {y.shape}, inputs {shape} (count, steps): pass ({count},) or "
            f"({count}, outputs) for one answer a sequence, ({count}, {steps}) or ({count}, "
            f"{steps}, outputs) for one a step"
        )
    if y.dtype.kind == "f":
        if y.ndim == 1:
            return y[:, None]
        return y[..., None] if y.shape == shape else y
    if y.ndim == 3:
        return y.astype(float)
    if y.ndim == 2 and y.shape != shape:
        return y.astype(float)
    return _classes(y, ignore_index, padded=ragged)


def _classes(y: np.ndarray, ignore_index: int | None, padded: bool) -> np.ndarray:
    """Classes from 0, ``UNSCORED`` where there is none."""
    if ignore_index is not None:
        y = np.where(y == ignore_index, UNSCORED, y)
    unknown = y < 0
    if ignore_index is not None or padded:
        unknown &= y != UNSCORED
    if unknown.any():
        raise ValueError(
            f"class {int(y[unknown][0])} among the targets: classes count from 0; where it stands "
            "for no class pass dm.datasets.from_sequences(inputs, targets, "
            f"ignore_index={int(y[unknown][0])}), and numbers of another kind as labels="
        )
    return y


def _check_numbers(u: np.ndarray, y: np.ndarray) -> None:
    """Refuse what is missing, negative symbols, and one class alone."""
    for name, array in (("inputs", u), ("targets", y)):
        if not np.isfinite(array).all():
            at = int(np.argwhere(~np.isfinite(array))[0][0])
            raise NotFiniteError(
                f"{name} of sequence {at} hold NaN or infinity: fill them, leave the sequence out, "
                "or pass lengths= or mask= where that is padding"
            )
        if array.dtype.kind == "f":
            check_size(name, array)
    if u.ndim == 2 and u.min() < 0:
        raise ValueError(
            f"symbol {int(u.min())} among the inputs: symbols count from 0; pass lengths= where "
            "that is padding, or floats for values"
        )
    if y.dtype.kind in "iu" and len(np.unique(y[y != UNSCORED])) < 2:
        raise ValueError("the targets hold one class alone, so that there is nothing to learn")


def group_names(groups: Any, count: int) -> np.ndarray | None:
    """Names of the groups of the sequences."""
    if groups is None:
        return None
    found = np.array([label("group", group) for group in np.asarray(groups).ravel().tolist()])
    if np.shape(groups) != (count,):
        raise ShapeError(
            f"groups have shape {np.shape(groups)}: pass one for each of the {count} sequences"
        )
    if len(np.unique(found)) < 3:
        raise ValueError(
            f"{len(np.unique(found))} groups cannot be trained on, validated and tested: at least "
            "3 are needed, or leave groups out"
        )
    return found


def refuse_shared_steps(found: Sequences, split: np.ndarray) -> None:
    """Raise ValueError for windows of one series that overlap across parts: what is tested would
    have been trained on. Whole sequences that are equal pass, as trials of one cue."""
    u = found.inputs
    length = max(LEAST_SHARED_STEPS, min(MOST_SHARED_STEPS, u.shape[1] // 2))
    if u.ndim == 2 or u.shape[1] <= length:
        return
    codes = _step_codes(u)
    places = u.shape[1] - length + 1
    runs = sum(codes[:, k : k + places] * power for k, power in enumerate(_odd(length)))
    inside = np.arange(places) + length <= found.lengths[:, None]
    sequence, place = np.nonzero(inside & (split[:, None] != PARTS["gap"]))
    _, first, run = np.unique(runs[sequence, place], return_index=True, return_inverse=True)
    earlier = sequence[first[run]]
    shared = (split[sequence] != split[earlier]) & (place != place[first[run]])
    sequence, place, earlier = sequence[shared], place[shared], earlier[shared]
    if not len(sequence):
        return
    steps = np.sort(codes[sequence[:, None], place[:, None] + np.arange(length)], axis=1)
    # a cue that is held, or has few levels, recurs by chance
    varied = 1 + np.count_nonzero(np.diff(steps, axis=1), axis=1) >= VARIED_SHARE * length
    if varied.any():
        at = int(varied.argmax())
        raise ValueError(
            f"sequences {earlier[at]} and {sequence[at]} share steps, in different parts, so that "
            "what is tested would have been trained on: pass windows that do not overlap, "
            "groups=, the series that each was cut from (groups=range(count) where they are meant "
            "to repeat), or the series itself to dm.datasets.from_series"
        )


def _step_codes(u: np.ndarray) -> np.ndarray:
    """A number for each step (count, steps) of u (count, steps, inputs), the same for the same
    inputs, and hardly ever for others."""
    total = np.zeros(u.shape[:2], np.uint64)
    for column, factor in zip(np.moveaxis(u, 2, 0), _odd(u.shape[2]), strict=True):
        bits = (column + 0.0).view(np.uint64)  # -0 is 0
        total += (bits ^ (bits >> np.uint64(29))) * factor
    return (total ^ (total >> np.uint64(32))) * _odd(1)[0]


def _odd(count: int) -> np.ndarray:
    """Random odd numbers of 64 bits, always the same."""
    return np.random.default_rng(0).integers(2**63, size=count, dtype=np.uint64) * 2 + 1
