"""Systems of plain functions: what ``Map.from_function`` and ``Flow.from_function`` build."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import stack
from .errors import ShapeError, suggestion
from .runtime.validation import integer


def system_of(
    kind: type,
    function: Callable,
    states: Sequence[str] | int | None,
    inputs: int | None,
    parameters: dict[str, Any],
    name: str | None,
    events: tuple = (),
) -> Any:
    """A system of this kind whose rule is the function; see ``System.from_function``."""
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"from_function takes a function f(x) or f(x, u), got {function!r:.60}")
    takes_input, takes_time, values = _arguments(function, parameters)
    count = integer("inputs", int(takes_input) if inputs is None else inputs, 0)
    if count and not takes_input:
        raise TypeError(f"inputs = {count}, but {_name(function)} takes no input: write f(x, u)")
    names = _states(states)
    ordered = _in_order(function, takes_input, takes_time)
    call = ordered
    if names:
        call = _style_that_works(ordered, takes_input, len(names), count, values)

    def rule(self: Any, x: Any, u: Any) -> Any:
        return call(x, u, 0.0, {p: getattr(self, p) for p in values})

    def timed_rule(self: Any, x: Any, u: Any, t: Any) -> Any:
        return call(x, u, t, {p: getattr(self, p) for p in values})

    def reduced(self: Any) -> tuple:
        now = {p: getattr(self, p) for p in values}
        return system_of, (kind, function, states, inputs, now, name, events)

    body = {
        "__annotations__": dict.fromkeys(values, Any),
        "__doc__": function.__doc__ or f"{kind.__name__} of the function {_name(function)}.",
        "__module__": function.__module__,
        "__reduce__": reduced,
        "rule": timed_rule if takes_time else rule,
        "states": names,
        "inputs": count,
        "events": events,
        **values,
    }
    return type(name or _name(function), (kind,), body)()


def _name(function: Callable) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return name if name.isidentifier() else "Function"


def _arguments(function: Callable, given: dict[str, Any]) -> tuple[bool, bool, dict[str, Any]]:
    """Whether a function takes an input, and the time, and the values of its parameters."""
    signature = inspect.signature(function).parameters
    every = list(signature.values())
    positional = [p for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not positional:
        raise TypeError(f"{_name(function)} takes no state: write f(x) or f(x, u)")
    if positional[0].name in ("t", "time"):
        raise TypeError(
            f"{_name(function)} takes the time {positional[0].name} first, as scipy's solvers call "
            "it: write f(x, u, t) or f(x, t), with the state first"
        )
    needed = [p for p in positional[1:3] if p.default is p.empty and p.name not in given]
    takes_time = bool(needed) and needed[-1].name in ("t", "time")
    takes_input = bool(needed) and needed[0].name not in ("t", "time")
    rest = positional[1 + takes_input + takes_time :]
    known = [*rest, *(p for p in every if p.kind is p.KEYWORD_ONLY)]
    names = [p.name for p in known]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in every)
    if unknown := [p for p in given if p not in names and not open_ended]:
        raise TypeError(
            f"{_name(function)} takes no parameter {unknown[0]!r}{suggestion(unknown[0], names)}: "
            f"it takes {', '.join(names) or 'none'}"
        )
    values = {p.name: p.default for p in known if p.default is not p.empty} | given
    if missing := [p for p in names if p not in values]:
        raise TypeError(
            f"parameter {missing[0]} of {_name(function)} has no value: pass "
            f"parameters={{{missing[0]!r}: ...}}"
        )
    return takes_input, takes_time, {p: _parameter(v) for p, v in values.items()}


def _parameter(value: Any) -> Any:
    """Lists of numbers as arrays, so that arithmetic works on them."""
    if isinstance(value, (list, tuple)) and np.asarray(value).dtype.kind in "biuf":
        return np.asarray(value, float)
    return value


def _states(states: Sequence[str] | int | None) -> tuple[str, ...]:
    if states is None:
        return ()
    if isinstance(states, str):
        return tuple(states.replace(",", " ").split())
    if isinstance(states, (int, np.integer)):
        return tuple(f"x{i}" for i in range(integer("states", states)))
    return tuple(map(str, states))


def _stacked(result: Any) -> Any:
    return stack(tuple(result)) if isinstance(result, (tuple, list)) else result


def _in_order(function: Callable, takes_input: bool, takes_time: bool) -> Callable:
    """The function of state, input and time, whichever of them it takes."""

    def ordered(x: Any, u: Any, t: Any, values: dict) -> Any:
        taken = [x, *([u] if takes_input else []), *([t] if takes_time else [])]
        return _stacked(function(*taken, **values))

    ordered.__name__ = _name(function)
    return ordered


def _time_of_all(ordered: Callable) -> Callable:
    """The same with the time as (..., 1), for -x + cos(t) of a whole state x (..., n)."""
    return lambda x, u, t, values: ordered(x, u, t[..., None] if hasattr(t, "shape") else t, values)


def _component_style(ordered: Callable, n: int, inputs: int, single: bool) -> Callable:
    """The function of one state, called with the sequences of its components and of the inputs;
    ``single``: one input as itself."""

    def call(x: Any, u: Any, t: Any, values: dict) -> Any:
        parts = tuple(x[..., i] for i in range(n))
        given = u if u is None else tuple(u[..., i] for i in range(inputs))
        return ordered(parts, given[0] if single and given else given, t, values)

    return call


def _style_that_works(
    ordered: Callable, takes_input: bool, n: int, inputs: int, values: dict[str, Any]
) -> Callable:
    """Array style where a batch is a loop, component style otherwise; tried on random states."""
    rng = np.random.default_rng(0)
    batch = 3 if n != 3 else 4  # rows must not pass for components
    x, u = rng.uniform(0.1, 0.9, (batch, n)), rng.uniform(0.1, 0.9, (batch, inputs))
    t = rng.uniform(0.1, 0.9, batch)
    reasons = []
    for call in (
        ordered,
        _time_of_all(ordered),
        *(
            _component_style(ordered, n, inputs, single)
            for single in ([True, False] if inputs == 1 else [False])
        ),
    ):
        with np.errstate(all="ignore"):
            try:
                together = np.asarray(call(x, u if takes_input else None, t, values), float)
                each = [
                    call(x[i], u[i] if takes_input else None, t[i], values) for i in range(batch)
                ]
            except Exception as error:  # whatever a user's function raises
                reasons.append(f"{type(error).__name__}: {error}")
                continue
        if together.shape != x.shape:
            reasons.append(f"it returned shape {together.shape} for states of shape {x.shape}")
        elif not np.allclose(together, np.asarray(each, float), equal_nan=True):
            reasons.append("several states at once gave other values than one by one")
        else:
            return call
    raise ShapeError(
        f"{ordered.__name__} is no function of {n} states: neither of an array x (..., {n}) with "
        f"components x[..., i] ({reasons[0]}), nor of one state with components x[i] "
        f"({reasons[-1]})"
    )
