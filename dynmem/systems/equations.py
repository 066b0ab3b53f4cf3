"""Equations of systems as text and as LaTeX."""

from __future__ import annotations

from ..errors import ShapeError
from ..system import Map, System


def equation(system: System) -> dict[str, str]:
    """Equation of a system.

    Parameters
    ----------
    system : Map or Flow
        The system.

    Returns
    -------
    dict
        ``text``, and ``latex`` for a system that is small enough to be written out component by
        component, from its rule; of a larger one the text is that of its docstring.

    Examples
    --------
    >>> import dynmem as dm
    >>> equation(dm.systems.get("henon"))["text"]
    "x' = -a*x**2 + y + 1.0, y' = b*x"
    """
    import sympy

    from ..symbolic import equations

    try:
        right = list(equations(system, parameters="symbols"))
    except (ShapeError, ValueError, TypeError):
        kind = type(system)
        sentences = dict.fromkeys((summary(kind), summary(_owner(kind)), stated_equation(kind)))
        return {"text": " ".join(filter(None, sentences))}
    discrete = isinstance(system, Map)
    rows = list(zip(system.states, right, strict=True))
    left = "{}' = {}" if discrete else "d{}/dt = {}"
    latex = [
        sympy.latex(
            sympy.Eq(
                sympy.Symbol(f"{name}'" if discrete else rf"\dot{{{name}}}"), value, evaluate=False
            )
        )
        for name, value in rows
    ]
    return {
        "text": ", ".join(left.format(name, value) for name, value in rows),
        "latex": r" \\ ".join(latex),
    }


def summary(kind: type[System]) -> str:
    """First paragraph of the docstring of a class, in one line."""
    return " ".join((kind.__doc__ or "").strip().partition("\n\n")[0].split())


def stated_equation(kind: type[System]) -> str:
    """Equation in the docstring of a class, or of the parent whose rule it inherits: the second
    paragraph, after the summary."""
    paragraphs = (_owner(kind).__doc__ or "").strip().split("\n\n")
    return " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else ""


def _owner(kind: type[System]) -> type[System]:
    """The class that defines the rule of a class."""
    return next(each for each in kind.__mro__ if {"rule", "force"} & set(vars(each)))
