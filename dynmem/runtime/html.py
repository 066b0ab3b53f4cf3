"""Small HTML cards for notebooks: a title, rows of facts and formulas, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any


def card(title: str, summary: str, rows: Iterable[tuple[str, Any]], formulas: Iterable[str] = ()):
    """A table of facts below a title; formulas are LaTeX, which a notebook typesets.

    >>> card("demo", "", [("a<b", 1)])
    '<div class="dynmem"><b>demo</b><table><tr><th>a&lt;b</th><td>1</td></tr></table></div>'
    """
    parts = [f"<b>{escape(title)}</b>"]
    if summary:
        parts.append(f"<p>{escape(summary)}</p>")
    parts += [f"<p>$${escape(formula, quote=False)}$$</p>" for formula in formulas]
    body = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows
        if value not in (None, "", (), {})
    )
    if body:
        parts.append(f"<table>{body}</table>")
    return f'<div class="dynmem">{"".join(parts)}</div>'


def listed(values: Any, limit: int = 12) -> str:
    """Numbers or names on one line, the middle of long lists left out.

    >>> listed([0.25, 1.0])
    '0.25, 1'
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return f"{values:.6g}" if isinstance(values, float) else str(values)
    shown = [listed(value) for value in values]
    return ", ".join(shown if len(shown) <= limit else [*shown[: limit - 1], "...", shown[-1]])
