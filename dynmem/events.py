"""Events of a flow: where its state is reset, declared by the user."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .arrays import joined, stack
from .errors import ShapeError
from .runtime.validation import choice, public

TIMES = ("t", "time")


@dataclass(frozen=True, eq=False)
class Event:
    """A surface when = 0 and the state then(x) that a flow goes on from where it crosses it."""

    when: Callable
    then: Callable
    direction: int = 0

    @cached_property
    def takes(self) -> tuple[tuple[str, ...], ...]:
        """Names of the arguments of ``when`` and ``then`` after the state."""
        return tuple(_arguments(function) for function in (self.when, self.then))

    def inside(self, flow: Any, u: Any = None, t: Any = None) -> Event:
        """The same event of a flow that holds this one, with its input and its time."""
        return Event(
            lambda x: self.distance(flow, x, u, t),
            lambda x: self.reset(flow, x, u, t),
            self.direction,
        )

    def distance(self, flow: Any, x: Any, u: Any = None, t: Any = None) -> Any:
        """Distance when(x, u, t) of one state (n,) from the surface, a number."""
        found = self.when(x, **self._values(flow, 0, u, t))
        if np.shape(found) not in ((), (1,)):
            raise ShapeError(
                f"when(x) of an event of {type(flow).__name__} returned shape {np.shape(found)} "
                f"for one state of shape {np.shape(x)}: expected one number, such as x[..., 0]"
            )
        return found if np.shape(found) == () else found[0]

    def reset(self, flow: Any, x: Any, u: Any = None, t: Any = None) -> Any:
        """State (n,) after the event."""
        found = self.then(x, **self._values(flow, 1, u, t))
        if isinstance(found, (tuple, list)):
            found = stack(tuple(found))
        if type(found) is np.ndarray and found.dtype.hasobject:
            found = joined(found)
        if np.shape(found) != np.shape(x):
            raise ShapeError(
                f"then(x) of an event of {type(flow).__name__} returned shape {np.shape(found)} "
                f"for a state of shape {np.shape(x)}: expected the whole state after the event, "
                "dm.stack((...))"
            )
        return found

    def _values(self, flow, which, u, t):
        """Values of the arguments after the state: input, time, and parameters by their names."""
        known = {"u": u} | dict.fromkeys(TIMES, t)
        values = {}
        for name in self.takes[which]:
            if name in TIMES and t is None:
                raise TypeError(
                    f"an event of {type(flow).__name__} takes the time {name}, which the flow does "
                    "not follow: write rule(self, x, u, t)"
                )
            values[name] = known[name] if name in known else getattr(flow, name)
        return values


def _arguments(function):
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise TypeError("an event's function takes no state: write when(x) and then(x)")
    return tuple(p.name for p in parameters[1:] if p.default is p.empty and p.kind not in (2, 4))


@public
def event(when: Callable, then: Callable, *, direction: int = 0) -> Event:
    """Event of a Flow: where ``when`` crosses zero, the state becomes that of ``then``.

    ``events = (dm.event(when, then),)`` in the body of a Flow declares impacts, spikes and resets.
    The crossing is located to rounding and the step restarted there; tangent vectors take the
    saltation matrix S = DR + (f_after - DR f_before - dR/dt) n^T / (n^T f_before + dg/dt), with
    n the gradient of g = when(x, u, t), R = then(x, u, t) and f the velocity, by the same duals as
    every derivative: exponents, multipliers and gradients see the event.

    Parameters
    ----------
    when : callable
        Distance from the surface, of a state x; it may take the input ``u``, the time ``t`` (of a
        flow whose rule does) and parameters of the flow, by their names.
    then : callable
        The state after the event, of the same arguments: an array (n,) or n components.
    direction : {0, 1, -1}
        Whether both crossings count, or the one in which ``when`` grows (1) or falls (-1).

    Returns
    -------
    Event

    Raises
    ------
    TypeError
        If ``when`` or ``then`` is no function of a state.
    ValueError
        If the direction is another number.

    References
    ----------
    Leine and Nijmeijer (2004), Dynamics and Bifurcations of Non-Smooth Mechanical Systems, ch. 7;
    Mueller (1995), Chaos, Solitons and Fractals 5, 1671.

    Examples
    --------
    >>> import dynmem as dm
    >>> class Ball(dm.Flow):
    ...     bounce: float = 0.9
    ...     states = ("height", "velocity")
    ...     events = (
    ...         dm.event(
    ...             lambda x: x[..., 0],
    ...             lambda x, bounce: (x[..., 0], -bounce * x[..., 1]),
    ...             direction=-1,
    ...         ),
    ...     )
    ...     def rule(self, x, u):
    ...         return x[..., 1], 0.0 * x[..., 0] - 9.81
    >>> falls = dm.orbit(Ball(), [4.905, 0.0], duration=2.0).x  # hits the floor at t = 1
    >>> round(float(falls[-1, 0]), 6)  # 0.9 9.81 - 9.81 / 2
    3.924
    """
    for name, function in (("when", when), ("then", then)):
        if not callable(function):
            raise TypeError(f"{name} = {function!r:.60}: must be a function of the state x")
    choice("direction", direction, (0, 1, -1))
    made = Event(when, then, direction)
    _ = made.takes
    return made


__all__ = ["Event", "event"]
