"""Training, validation and test parts, marked along a dim by whole numbers with their meanings, as
the flags of the CF conventions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnknownNameError
from ..runtime.validation import generator, is_real, public
from ..typing import ArrayLike, Rng

if TYPE_CHECKING:
    from xarray import Dataset

SAMPLES_PER_PIECE = 10_000_000  # marks read at once
PARTS = {"gap": -1, "train": 0, "validation": 1, "test": 2}
MEANINGS = {"flag_values": list(PARTS.values()), "flag_meanings": " ".join(PARTS)}


def in_time(
    count: int, *, train: float = 0.7, validation: float = 0.15, gap: int = 0
) -> np.ndarray:
    """Part of each of ``count`` samples: train, then validation, then test.

    Parameters
    ----------
    count : int
        Number of samples.
    train, validation : float
        Shares of the samples that are left without the gaps; the rest is the test.
    gap : int
        Samples between two parts, which belong to none.

    Returns
    -------
    np.ndarray
        Marks (count,) of ``PARTS``, int8.

    Raises
    ------
    ValueError
        Where a part would be empty.

    Examples
    --------
    >>> in_time(12, train=0.5, validation=0.25, gap=2).tolist()
    [0, 0, 0, 0, -1, -1, 1, 1, -1, -1, 2, 2]
    """
    return marks(np.arange(count), part_ends(count, train=train, validation=validation, gap=gap))


def check_shares(train: float, validation: float) -> None:
    """Raise ValueError for shares that leave no test part."""
    if not (
        is_real(train)
        and is_real(validation)
        and 0 < train < 1
        and 0 < validation < 1
        and train + validation < 1
    ):
        raise ValueError(
            f"train = {train!r:.60}, validation = {validation!r:.60}: must be shares above 0 with "
            "a sum below 1, the rest is the test"
        )


def part_ends(
    count: int, *, train: float, validation: float, gap: int
) -> tuple[int, int, int, int]:
    """Sample after the last one of train, of the gap, of validation and of the second gap."""
    check_shares(train, validation)
    left = count - 2 * gap
    first, second = round(train * left), round(validation * left)
    if min(first, second, left - first - second) < 1:
        raise ValueError(
            f"{count} samples with two gaps of {gap} leave {max(left, 0)} for the "
            "three parts: pass more samples, or a smaller gap"
        )
    return first, first + gap, first + gap + second, first + second + 2 * gap


def marks(samples: ArrayLike, ends: tuple[int, ...]) -> np.ndarray:
    """Part, int8, of samples with these numbers, where the parts end at ``ends``."""
    order = ("train", "gap", "validation", "gap", "test")
    return np.array([PARTS[name] for name in order], np.int8)[
        np.searchsorted(ends, samples, side="right")
    ]


@public
def part(dataset: Dataset, name: str) -> Dataset:
    """One part of a dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        A Dataset with a coordinate ``split`` along one dim, such as those of ``load``.
    name : str
        "train", "validation", "test", or "gap" for the samples between.

    Returns
    -------
    xarray.Dataset
        NAME : (dims), units
            Each variable, at the samples of this part. Where they are contiguous, those of a file
            stay on disk.

    Raises
    ------
    UnknownNameError
        For another name.
    ValueError
        For a Dataset without a coordinate ``split``.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("henon", samples=100)
    >>> [dm.datasets.part(data, name).sizes["time"] for name in ("train", "validation", "test")]
    [60, 13, 13]
    """
    if not isinstance(name, str) or name not in PARTS:
        raise UnknownNameError("part", name, PARTS)
    if "split" not in dataset.variables or dataset.split.ndim != 1:
        raise ValueError(
            "the dataset holds no coordinate split along one dim: it is not divided into parts"
        )
    (dim,) = dataset.split.dims
    spans = [
        (start + places[0], start + places[-1] + 1, len(places))
        for start, found in pieces(dataset)
        if len(places := np.flatnonzero(found == PARTS[name]))
    ] or [(0, 0, 0)]
    first, stop = spans[0][0], spans[-1][1]
    contiguous = stop - first == sum(count for *_, count in spans)
    return dataset.isel(
        {
            dim: slice(first, stop)
            if contiguous
            else np.flatnonzero(dataset.split.values == PARTS[name])
        }
    )


def pieces(dataset: Dataset) -> Iterator[tuple[int, np.ndarray]]:
    """First sample and marks of each piece of the coordinate split, one in memory at a time."""
    split = dataset.split.variable
    for start in range(0, split.size, SAMPLES_PER_PIECE):
        yield start, split[start : start + SAMPLES_PER_PIECE].values


def whole_groups(groups: ArrayLike, *, train: float, validation: float, rng: Rng) -> np.ndarray:
    """Part of each of the samples, such that those of a group are in one part: groups are drawn at
    random, a part ends with the group that reaches its share.

    Parameters
    ----------
    groups : array_like (count,)
        Group of each sample.
    train, validation : float
        Shares of the samples; the rest is the test.
    rng : int or Generator
        Draws the order of the groups.

    Returns
    -------
    np.ndarray
        Marks (count,) of ``PARTS``, int8.

    Raises
    ------
    ValueError
        For fewer than three groups.

    Examples
    --------
    >>> marks = whole_groups([0, 0, 1, 1, 2, 3], train=0.5, validation=0.2, rng=0)
    >>> sorted(set(marks.tolist())), bool(marks[0] == marks[1] and marks[2] == marks[3])
    ([0, 1, 2], True)
    """
    check_shares(train, validation)
    _, index, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(counts) < 3:
        raise ValueError(
            f"{len(counts)} groups cannot be trained on, validated and tested: at least 3 are "
            "needed"
        )
    order = generator(rng).permutation(len(counts))
    middle = (np.cumsum(counts[order]) - 0.5 * counts[order]) / counts.sum()
    part = np.searchsorted([train, train + validation], middle, side="right")
    # every part has a group of its own, whatever the shares
    part[0], part[-1] = 0, 2
    if 1 not in part:
        part[int(np.argmin(np.abs(middle[1:-1] - train - 0.5 * validation))) + 1] = 1
    found = np.empty(len(counts), np.int8)
    found[order] = part
    return found[index]
