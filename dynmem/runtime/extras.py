"""Optional packages: what each extra of the installation brings, and one sentence where it is
missing."""

from __future__ import annotations

import importlib.util

# import names by extra of pyproject.toml; of alternatives in one tuple any will do
EXTRAS: dict[str, tuple[tuple[str, ...], ...]] = {
    "digits": (("sklearn",),),
    "planets": (("jplephem",), ("skyfield_data",)),
    "speech": (("aeon", "sktime"),),
    "text": (("tokenizers",),),
    "zarr": (("zarr",),),
}
# aeon is needed for one file in its wheel, and would move numba and pandas to older versions
COMMANDS = {"speech": "--no-deps aeon"}


def missing_extra(extra: str) -> str:
    """What is missing of an extra, or of a package by its import name, with the command that
    installs it; empty where nothing is.

    >>> missing_extra("numpy"), missing_extra("no_such_package")
    ('', 'no_such_package, which is missing here: python -m pip install no_such_package')
    """
    needed = EXTRAS.get(extra, ((extra,),))
    absent = [
        names[0]
        for names in needed
        if not any(importlib.util.find_spec(name) is not None for name in names)
    ]
    if not absent:
        return ""
    command = COMMANDS.get(extra, f"'dynmem[{extra}]'" if extra in EXTRAS else extra)
    are = "is" if len(absent) == 1 else "are"
    return f"{' and '.join(absent)}, which {are} missing here: python -m pip install {command}"
