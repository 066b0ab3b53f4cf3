"""A progress bar for calls that take long."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

DELAY = 2.0  # seconds after which a bar is shown


def bar(
    iterable: Iterable, total: int | None = None, progress: bool | None = None, unit: str = "it"
) -> Any:
    """The iterable with a progress bar on stderr after two seconds; None: where that is a terminal,
    or in a notebook."""
    shown = progress
    if shown is None:
        shown = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not shown:
        return iterable
    from tqdm.auto import tqdm

    return tqdm(iterable, total=total, unit=unit, leave=False, delay=DELAY)
