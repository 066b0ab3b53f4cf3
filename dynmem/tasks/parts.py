"""Split a law into training, validation and test parts by a hash of each sequence."""

from __future__ import annotations

import numpy as np

PARTS = {"train": tuple(range(8)), "validation": (8,), "test": (9,)}  # tenths of all sequences


def fingerprints(inputs: np.ndarray) -> np.ndarray:
    """A hash of each sequence, (count,): its bytes as a polynomial modulo 2^64, mixed by the last
    steps of splitmix64 (Steele et al. 2014)."""
    rows = np.ascontiguousarray(inputs).reshape(len(inputs), -1).view(np.uint8)
    words = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view(np.uint64)
    powers = np.cumprod(np.full(words.shape[1], 0x9E3779B97F4A7C15, np.uint64))
    mixed = (words * powers).sum(axis=1, dtype=np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def in_part(inputs: np.ndarray, part: str) -> np.ndarray:
    """Which sequences belong to a part, (count,)."""
    return np.isin(fingerprints(inputs) % np.uint64(10), PARTS[part])
