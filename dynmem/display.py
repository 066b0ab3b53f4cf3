"""How a system shows itself in a notebook: equations in LaTeX, parameters, known exponents."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from . import symbolic
from .runtime.docstrings import summary
from .runtime.html import card, listed
from .system import Flow, System, arrays_of, inner

MAX_TERMS = 100  # operations in the formulas of a system, beyond which nobody reads them


def latex(system: System) -> str | None:
    """Equations of a system in LaTeX, or None where they are too long to read.

    A recurrent cell of many units is shown at one unit and one input, its weights as symbols. A
    class whose equations symbols cannot show states them itself, in its attribute ``equation``.

    Parameters
    ----------
    system : Map or Flow

    Returns
    -------
    str or None
        A display equation with its dollar signs.

    Examples
    --------
    >>> import dynmem as dm
    >>> latex(dm.systems.get("logistic"))
    "$\\\\displaystyle \\\\begin{aligned}{x}' &= r x \\\\left(1 - x\\\\right)\\\\end{aligned}$"
    """
    formula = _formula(system)
    return None if formula is None else f"$\\displaystyle {formula}$"


def _formula(system: System) -> str | None:
    for stated in (system, inner(system)):
        if stated.equation:
            return stated.equation
    shown = _small(system)
    if shown is None:
        return None
    import sympy

    try:
        states, _ = symbolic.symbols(shown)
        right = symbolic.equations(shown, parameters="symbols")
    except (TypeError, ValueError, AttributeError, NotImplementedError, ArithmeticError):
        return None  # a rule that symbols do not run through has no formula to show
    if sum(entry.count_ops() for entry in right) > MAX_TERMS:
        return None
    lines = []
    for state, entry in zip(states, right, strict=True):
        name = sympy.latex(state)
        left = rf"\frac{{d {name}}}{{dt}}" if isinstance(inner(shown), Flow) else f"{{{name}}}'"
        lines.append(f"{left} &= {sympy.latex(_readable(entry))}")
    return r"\begin{aligned}" + r"\\".join(lines) + r"\end{aligned}"


def _readable(entry: Any) -> Any:
    """(1 + tanh(z/2))/2, as rules compute it, shown as sigma(z), and 1.0 as 1."""
    import sympy

    half, z = sympy.Rational(1, 2), sympy.Wild("z")
    sigma = sympy.Function("sigma")
    entry = entry.replace(half * sympy.tanh(z) + half, lambda z: sigma(sympy.expand(2 * z)))
    whole = {x: sympy.Integer(int(x)) for x in entry.atoms(sympy.Float) if float(x).is_integer()}
    return entry.xreplace(whole)


def _small(system: System) -> System | None:
    """The system itself, its flow, or a cell of its kind with one unit."""
    system = inner(system)
    if system.size is not None and 0 < system.size <= symbolic.MAX_STATES and not arrays_of(system):
        return system
    zeros = getattr(type(system), "zeros", None)
    return None if zeros is None else zeros(1, min(1, system.inputs))


def system_html(system: System) -> str:
    """A card with the equations, parameters, sizes, known exponents and reference of a system."""
    kind = "Flow" if isinstance(system, Flow) else "Map"
    rows: list[tuple[str, Any]] = [
        ("kind", kind),
        ("states", _states(system)),
        ("inputs", system.inputs or None),
        ("outputs", _outputs(system)),
        ("weights", f"{sum(a.size for a in arrays_of(system)):,}" if arrays_of(system) else None),
    ]
    rows += [(f.name, _parameter(getattr(system, f.name))) for f in fields(system)]
    rows += _known(system)
    rows.append(("source", system.source))
    formula = _formula(system)
    return card(repr(system), summary(type(system)), rows, [formula] if formula else [])


def _states(system: System) -> str | None:
    if system.size is None:
        return None
    names = system.states if 0 < len(system.states) <= symbolic.MAX_STATES else ()
    return f"{system.size} ({', '.join(map(str, names))})" if names else str(system.size)


def _outputs(system: System) -> int | None:
    try:
        return system.outputs if system.outputs != system.size else None
    except (TypeError, ValueError):
        return None


def _parameter(value: Any) -> str | None:
    if isinstance(value, System):
        return repr(value)
    if isinstance(value, tuple) and any(isinstance(v, System) for v in value):
        return "; ".join(map(repr, value))
    shape = getattr(value, "shape", None)
    if shape:
        return listed(value.tolist()) if value.ndim == 1 and value.size <= 8 else f"array {shape}"
    return None if value is None else listed(value)


def _known(system: System) -> list[tuple[str, Any]]:
    """Known exponents, where the parameters are those at which they hold."""
    known = system.known
    defaults = {f.name: f.default for f in fields(system) if f.default is not MISSING}
    if known is None or any(getattr(system, k) is not v for k, v in defaults.items() if v is None):
        return []
    if any(
        getattr(system, k) != v for k, v in defaults.items() if isinstance(v, (int, float, str))
    ):
        return []
    return [("known exponents", listed(known.exponents)), ("known from", known.source)]
