"""Cache of datasets in the user's cache folder, by options and by the code that made them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime import files

if TYPE_CHECKING:
    from xarray import Dataset


def cache_folder() -> Path:
    """Folder of ``load(..., cache=True)``: dynmem/datasets in the user's cache folder
    (XDG_CACHE_HOME, or ~/.cache)."""
    return files.cache_base() / "dynmem" / "datasets"


def cached(name: str, given: dict[str, Any], make: Callable[[], Dataset]) -> Dataset:
    """The dataset from the cache, where it matches its checksum and the code that made it; else
    ``make()``, cached where there is room.

    What depends on a Generator, or on random numbers without a seed, is another one each time and
    is not cached.
    """
    if not all(map(_is_plain, given.values())):
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


def _is_plain(value: object) -> bool:
    """Whether an option as it is written down determines what is made."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str, np.bool_, np.number)) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "biufU"
    )


def _key(name: str, given: dict[str, Any]) -> str:
    """Hash of what determines a dataset: its options, and the source of every file of dynmem."""
    package = Path(__file__).parents[1]
    plain = {
        k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v
        for k, v in sorted(given.items())
    }
    digest = hashlib.sha256(f"{name} {plain!r}".encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
