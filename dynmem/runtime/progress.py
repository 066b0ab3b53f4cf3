"""A bar for calls that take long, in a terminal and in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

DELAY = 2.0  # seconds that a call lasts before its bar appears, where nobody requested one


def in_notebook() -> bool:
    """Whether the code runs in a notebook, whose stderr is no terminal though someone looks on."""
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell else None
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def progress_bar(
    iterable: Iterable | None = None,
    *,
    progress: bool | None,
    total: int | None = None,
    unit: str = "step",
    initial: int = 0,
) -> Any:
    """A tqdm bar over an iterable, or without one to be updated by hand.

    ``progress``: True shows it, False does not; with None it appears after two seconds, where
    stderr is a terminal or the code runs in a notebook.

    >>> list(progress_bar(range(3), progress=False))
    [0, 1, 2]
    """
    from tqdm.auto import tqdm

    shown = in_notebook() or sys.stderr.isatty() if progress is None else progress
    return tqdm(
        iterable,
        total=total,
        initial=initial,
        unit=unit,
        disable=not shown,
        leave=False,
        delay=0.0 if progress else DELAY,
        file=sys.stderr,
    )
