"""Read the parts of a numpydoc docstring: summary, equation, parameters."""

from __future__ import annotations

import inspect
import re


def summary(thing: object) -> str:
    """First paragraph of a docstring, in one line.

    >>> summary(summary)
    'First paragraph of a docstring, in one line.'
    """
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def equation(thing: object) -> str:
    """The indented block before the first section of a docstring; empty where there is none.

    >>> from dynmem.models import Linear
    >>> equation(Linear)
    'x_t = (1 - d) x_(t-1) + d (W x_(t-1) + V u_t + b)'
    """
    text = re.split(r"\n[A-Z]\w+\n-{3,}\n", inspect.getdoc(thing) or "")[0]
    for paragraph in text.split("\n\n")[1:]:
        lines = paragraph.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            return inspect.cleandoc("\n" + paragraph)
    return ""


def parameters(thing: object) -> dict[str, str]:
    """Type of each row of the section Parameters of a docstring, without "optional".

    >>> from dynmem.models import Linear
    >>> parameters(Linear.random)["leak"]
    'float in (0, 1]'
    """
    head = re.split(r"(?:^|\n)Parameters\n-{3,}\n", inspect.getdoc(thing) or "")
    if len(head) < 2:
        return {}
    body = re.split(r"\n\n[A-Z][\w ]+\n-{3,}\n", head[1])[0]
    rows = re.findall(r"^(\S[^:\n]*) : (.*)$", body, re.MULTILINE)
    return {
        name.strip(): kind.removesuffix(", optional")
        for names, kind in rows
        for name in names.split(",")
    }
