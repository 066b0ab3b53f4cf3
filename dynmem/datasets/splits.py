"""Training, validation and test parts, marked along a dim: whole numbers with their meanings, as
the CF conventions have flags."""

import numpy as np

from ..errors import UnknownNameError
from .checks import not_shares

PIECE = 10_000_000  # samples looked at together
PARTS = {"gap": -1, "train": 0, "validation": 1, "test": 2}
MEANINGS = {"flag_values": list(PARTS.values()), "flag_meanings": " ".join(PARTS)}


def in_time(count, *, train=0.7, validation=0.15, gap=0):
    """Part of each of ``count`` samples, (count,) int8: train, then validation, then test, with
    ``gap`` samples between that belong to none.

    The shares are of the samples that are left without the gaps. Raises ValueError where a part
    would be empty.

    >>> in_time(12, train=0.5, validation=0.25, gap=2).tolist()
    [0, 0, 0, 0, -1, -1, 1, 1, -1, -1, 2, 2]
    """
    return marks(np.arange(count), ends(count, train=train, validation=validation, gap=gap))


def ends(count, *, train, validation, gap):
    """Sample after the last one of train, of the gap, of validation and of the second gap, for the
    same parts."""
    if wrong := not_shares(train, validation):
        raise ValueError(wrong[0])
    left = count - 2 * gap
    first, second = round(train * left), round(validation * left)
    if min(first, second, left - first - second) < 1:
        raise ValueError(
            f"{count} samples with two gaps of {gap} leave {max(left, 0)} for the "
            "three parts: pass more samples, or a smaller gap"
        )
    return first, first + gap, first + gap + second, first + second + 2 * gap


def marks(samples, ends):
    """Part of samples of these numbers, int8, where parts end there."""
    order = ("train", "gap", "validation", "gap", "test")
    return np.array([PARTS[name] for name in order], np.int8)[
        np.searchsorted(ends, samples, side="right")
    ]


def part(dataset, name):
    """The samples of one part of a dataset: "train", "validation" or "test"; where they follow each
    other, of a file they stay on disk.

    >>> import dynmem as dm
    >>> d = dm.datasets.load("henon", samples=100)
    >>> [part(d, name).sizes["time"] for name in ("train", "validation", "test")]
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
    together = stop - first == sum(count for *_, count in spans)
    return dataset.isel(
        {
            dim: slice(first, stop)
            if together
            else np.flatnonzero(dataset.split.values == PARTS[name])
        }
    )


def pieces(dataset):
    """First sample and marks of each piece of the coordinate split, one in memory at a time: the
    whole may be larger."""
    split = dataset.split.variable
    for start in range(0, split.size, PIECE):
        yield start, split[start : start + PIECE].values
