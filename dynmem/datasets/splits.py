"""Training, validation and test parts, marked along a dim: whole numbers with their meanings, as the CF conventions have flags."""

import numpy as np

from ..errors import UnknownNameError

PARTS = {"gap": -1, "train": 0, "validation": 1, "test": 2}
MEANINGS = {"flag_values": list(PARTS.values()), "flag_meanings": " ".join(PARTS)}


def in_time(count, *, train=0.7, validation=0.15, gap=0):
    """Part of each of ``count`` samples, (count,) int8: train, then validation, then test, with ``gap`` samples between that belong to none.

    The shares are of the samples that are left without the gaps. Raises ValueError where a part would be empty.

    >>> in_time(12, train=0.5, validation=0.25, gap=2).tolist()
    [0, 0, 0, 0, -1, -1, 1, 1, -1, -1, 2, 2]
    """
    if not (0 < train < 1 and 0 < validation < 1 and train + validation < 1):
        raise ValueError(f"train = {train}, validation = {validation}: pass shares above 0 with a sum below 1, the rest is the test")
    left = count - 2 * gap
    first, second = round(train * left), round(validation * left)
    if min(first, second, left - first - second) < 1:
        raise ValueError(f"{count} samples with two gaps of {gap} leave {max(left, 0)} for the three parts: pass more samples, or a smaller gap")
    marks = np.full(count, PARTS["gap"], np.int8)
    marks[:first], marks[first + gap : first + gap + second], marks[first + second + 2 * gap :] = 0, 1, 2
    return marks


def part(dataset, name):
    """The samples of one part of a dataset: "train", "validation" or "test".

    >>> import dynmem as dm
    >>> d = dm.datasets.load("henon", samples=100)
    >>> [part(d, name).sizes["time"] for name in ("train", "validation", "test")]
    [60, 13, 13]
    """
    if name not in PARTS:
        raise UnknownNameError("part", name, PARTS)
    if "split" not in dataset.variables:
        raise ValueError("the dataset holds no coordinate split: it is not divided into parts")
    marks = dataset.split
    return dataset.isel({marks.dims[0]: np.flatnonzero(marks.values == PARTS[name])})
