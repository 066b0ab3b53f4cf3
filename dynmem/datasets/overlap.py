"""Windows of one series that share steps: found by their inputs, so that no step is trained on and
judged by."""

from __future__ import annotations

import numpy as np

CHANCE = 3.0  # times as many matches as independent sequences have before they count as overlap
FEW_MATCHES = 5  # that symbols may have by chance, on top
MANY_SERIES = 20  # from which on whole series are drawn for each part
MIX = tuple(np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def places(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Series (count,) and place in it (count,) of windows (count, steps, ...) that overlap, or None
    where they do not.

    Two windows overlap by s steps where the last s inputs of one are the first s of the other.
    Sequences of few symbols agree by chance too. Beginnings that occur once are compared alone:
    where sequences are independent, 2 n ends agree with one of them, n the number of beginnings
    that occur twice (Good 1953, Biometrika 40, 237).
    """
    count, steps = inputs.shape[:2]
    powers = _powers(steps + 1)
    begun = np.zeros((count, steps + 1), np.uint64)
    begun[:, 1:] = np.cumsum(_hashes(inputs) * powers[:steps], axis=1, dtype=np.uint64)
    symbols = len(np.unique(begun[:, 1])) < count
    links: list[tuple[np.ndarray, np.ndarray, int]] = []
    for shift in range(1, steps):
        head, tail = begun[:, steps - shift] * powers[shift], begun[:, -1] - begun[:, shift]
        _, first, counts = np.unique(head, return_index=True, return_counts=True)
        later, earlier = _matches(head, tail, np.sort(first[counts == 1]))
        by_chance = 2.0 * np.count_nonzero(counts == 2)
        if len(later) > CHANCE * by_chance + (FEW_MATCHES if symbols else 0):
            links.append((later, earlier, shift))
    return _joined(count, links) if links else None


def _hashes(inputs):
    """A number for each step of each sequence, the same for the same inputs."""
    columns = np.ascontiguousarray(inputs, dtype=float).reshape(*inputs.shape[:2], -1) + 0.0
    total = np.zeros(inputs.shape[:2], np.uint64)
    for i, bits in enumerate(np.moveaxis(columns.view(np.uint64), -1, 0)):
        bits = bits + np.full(1, i + 1, np.uint64) * MIX[0]
        for by, shift in ((MIX[1], 30), (MIX[2], 27)):  # Steele et al. (2014), OOPSLA: splitmix64
            bits = (bits ^ (bits >> np.uint64(shift))) * by
        total += bits ^ (bits >> np.uint64(31))
    return total


def _powers(count):
    """Powers of an odd number, modulo 2^64."""
    factor = np.uint64(6364136223846793005)
    return np.cumprod(np.concatenate(([np.uint64(1)], np.full(count - 1, factor))), dtype=np.uint64)


def _matches(head, tail, asked):
    """Indices (later, earlier) with head[later] = tail[earlier], one earlier for each later that is
    asked for."""
    order = np.argsort(tail, kind="stable")
    at = np.searchsorted(tail, head[asked], sorter=order)
    earlier = order[np.minimum(at, len(order) - 1)]
    found = (tail[earlier] == head[asked]) & (earlier != asked)
    return asked[found], earlier[found]


def _joined(count, links):
    """Series and place of each window, from pairs that are ``shift`` steps apart."""
    owner, place = np.arange(count), np.zeros(count, int)
    members = {i: [i] for i in range(count)}
    for later, earlier, shift in links:
        for i, j in zip(later.tolist(), earlier.tolist(), strict=True):
            first, second = int(owner[j]), int(owner[i])
            if first == second:
                continue
            moved = place[j] + shift - place[i]
            if len(members[first]) < len(members[second]):
                first, second, moved = second, first, -moved
            own = members.pop(second)
            owner[own], place[own] = first, place[own] + moved
            members[first] += own
    return owner, place


def apart(
    series: np.ndarray,
    place: np.ndarray,
    steps: int,
    ends: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the windows to train on, validate and test by, such that no step is in two parts;
    training and validation end at the shares ``ends``.

    Whole series where there are many; otherwise the windows in their order, without those that
    reach from one part into the next.
    """
    names, counts = np.unique(series, return_counts=True)
    if len(names) >= MANY_SERIES:
        order = rng.permutation(len(names))
        middle = (np.cumsum(counts[order]) - 0.5 * counts[order]) / counts.sum()
        of_series = np.empty(len(names), int)
        of_series[order] = np.searchsorted(ends, middle)
        mark = of_series[np.searchsorted(names, series)]
    else:
        mark = np.empty(len(series), int)
        mark[np.lexsort((place, series))] = np.searchsorted(
            ends, (np.arange(len(series)) + 0.5) / len(series)
        )
        for part in (0, 1):
            mark[(mark == part) & _shares(series, place, steps, mark > part)] = -1
    training, validation, test = (np.flatnonzero(mark == part) for part in range(3))
    return training, validation, test


def _shares(series, place, steps, later):
    """Whether each window has a step in common with one of those that are marked."""
    found = np.zeros(len(series), bool)
    for name in np.unique(series[later]):
        mine = series == name
        others = np.sort(place[mine & later])
        at = np.searchsorted(others, place[mine] - steps, side="right")
        nearest = np.append(others, np.iinfo(int).max)[at]
        found[mine] = nearest < place[mine] + steps
    return found
