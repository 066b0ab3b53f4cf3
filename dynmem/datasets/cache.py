"""Datasets kept in the user's cache folder, by the options and the code that made them."""

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..runtime import files


def cache_folder() -> Path:
    """Where ``load(..., cache=True)`` keeps datasets: dynmem/datasets in the user's cache folder
    (XDG_CACHE_HOME, or ~/.cache)."""
    return files.cache_base() / "dynmem" / "datasets"


def cached(name, given, make):
    """The dataset from the cache, where it matches its checksum and the code that made it; else it
    is made, and kept where there is room.

    What depends on a generator, or on random numbers without a seed, is another one each time: it
    is made and not kept.
    """
    if not all(map(_says_all, given.values())):
        return make()
    try:
        path = cache_folder() / f"{name}-{_key(name, given)}.nc"
    except RuntimeError:  # no home
        return make()
    try:
        return files.load(path)
    except (OSError, ValueError):  # none there, damaged, or not readable: made anew
        made = make()
    # no home, a full disk, a folder that is read only: the dataset does not depend on it
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.save(made, path)
    return made


def _says_all(value):
    """Whether an option, as it is written down, decides what is made."""
    if isinstance(value, (list, tuple)):
        return all(map(_says_all, value))
    return isinstance(value, (bool, int, float, str, np.bool_, np.number)) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "biufU"
    )


def _key(name, given):
    """What decides a dataset: its options, and the text of every file of dynmem that could have a
    hand in it."""
    package = Path(__file__).parents[1]
    plain = {
        k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v
        for k, v in sorted(given.items())
    }
    digest = hashlib.sha256(f"{name} {plain!r}".encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
