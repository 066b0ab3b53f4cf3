"""Poincaré maps: a flow seen where its orbit crosses a plane, or a phase its value."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ConvergenceError, NotFiniteError
from ..orbits import suggest_step
from ..runtime.validation import generator, number
from ..system import Flow, as_state, as_system
from ..typing import ArrayLike, Rng
from .passage import SECTION_RTOL, Passage, ReturnMap, check_rtol
from .surface import next_crossing, plane

LONGEST_WAY = 10_000  # steps without a crossing, after which an orbit does not return
SMALLEST_ANGLE = (
    1e-9  # |n . f| / |f| at a crossing, below which it grazes the plane, and has no derivative
)
REST = 1e-9  # of the state, by which it moves in a step, below which a flow rests


class PoincareMap(ReturnMap):
    """Next crossing of a section by the orbits of a flow, x -> P(x).

    The section is a plane normal . x = value, a component that has a value, or a phase that has one
    modulo its period. Points of it have one component less than the flow: the others are the states
    of this map, under their own names. The crossing is located to rounding, and the Jacobian is
    exact: with M the tangent of the flow over the time of return and f the velocity at the
    crossing,

        DP = (I - f n^T / (n^T f)) M.

    Every analysis of a Map takes it: ``fixed_points`` gives cycles of the flow that cross the
    section once, with their multipliers; ``lyapunov_spectrum`` exponents per return.

    Parameters
    ----------
    inside : Flow
        The flow.
    section : str, int or array_like (n,)
        A component, by name or index, or the normal vector of a plane.
    value : float, optional
        Value of the component, or of normal . x.
    direction : {1, -1, 0}, optional
        Whether it grows (1) or falls (-1) through the value, or either (0).
    modulus : float, optional
        Period of a phase; by default that which the flow states in ``circles``.
    longest_step : float, optional
        Longest step between two looks at the section, by default that of ``suggest_step``.
    rtol : float, optional
        Relative error of a Runge-Kutta step of order 8.

    Raises
    ------
    TypeError
        If ``inside`` is no flow, or depends on time.
    ShapeError
        If the section is no component and no vector (n,).
    ConvergenceError
        Where no orbit returns, or one touches the section without crossing it.

    Notes
    -----
    An exponent per return is the exponent of the flow times the mean time of return,
    ``return_time``.

    References
    ----------
    Henon (1982), Physica D 5, 412; Parker and Chua (1989), Practical Numerical Algorithms for
    Chaotic Systems, section 2.2 and appendix D.

    Examples
    --------
    >>> import dynmem as dm
    >>> roessler = dm.systems.get("roessler")
    >>> section = dm.PoincareMap(roessler, "y", direction=1)
    >>> section.states
    ('x', 'z')
    """

    inside: Flow = None  # type: ignore[assignment]
    section: Any = 0
    value: float = 0.0
    direction: int = 1
    modulus: float | None = None
    longest_step: float | None = None
    rtol: float = SECTION_RTOL

    def __post_init__(self):
        as_system(self.inside, Flow)
        if self.inside.size is None:
            raise TypeError(
                f"{type(self.inside).__name__} names no states: set states = (...), so that its "
                "section has a number of components"
            )
        check_rtol(self.rtol)
        if self.longest_step is not None:
            number("longest_step", self.longest_step, above=0)
        _ = self.plane

    source = property(lambda self: self.inside.source)
    inputs = property(lambda self: self.inside.inputs)
    size = property(lambda self: self.inside.size - 1)
    states = property(lambda self: tuple(np.delete(self.inside.states, self.dropped).tolist()))
    circles = property(lambda self: self.inside.circles)

    @cached_property
    def plane(self):
        """The plane with its direction."""
        return plane(
            self.inside, self.section, self.value, self.direction, self.modulus, self.inside.size
        )

    @cached_property
    def dropped(self) -> int:
        """Index of the component that the others determine on the section."""
        return int(np.abs(self.plane.normal).argmax())

    @cached_property
    def passage(self):
        """The steps of the flow."""
        return Passage(self.inside, self.rtol)

    @cached_property
    def look(self) -> float:
        """Longest step between two looks at the section."""
        return suggest_step(self.inside) if self.longest_step is None else float(self.longest_step)

    def on_section(self, y: ArrayLike) -> np.ndarray:
        """States (..., n) of the flow at points (..., n - 1) of the section."""
        return self._embedded(as_state(self, y))

    def _embedded(self, y):
        normal, j = self.plane.normal, self.dropped
        rest = (self.plane.offset - y @ np.delete(normal, j)) / normal[j]
        return np.insert(y, j, rest, axis=-1)

    def point(self, x: ArrayLike) -> np.ndarray:
        """Points (..., n - 1) of the section at states (..., n) of the flow that lie on it."""
        return np.delete(as_state(self.inside, x), self.dropped, axis=-1)

    def return_time(self, y: ArrayLike, u: ArrayLike | None = None) -> np.ndarray:
        """Time (...) from points (..., n - 1) of the section to their images."""
        x = self.on_section(y)
        found = self._returned(x.reshape(-1, x.shape[-1]), u)
        if x.ndim == 1 and np.isnan(found.times[0]):
            raise self.lost(self.point(x))
        return found.times.reshape(x.shape[:-1])

    def image(self, x, u, tangent):
        start = self._embedded(x)
        found = self._returned(start, u)
        y = np.delete(found.points, self.dropped, axis=-1)
        return y, self._jacobian(start, u, found) if tangent else None

    def lost(self, x):
        start = self._embedded(x)
        return ConvergenceError(
            f"the orbit of {type(self.inside).__name__} from {start} does not return to the "
            f"section within {LONGEST_WAY * self.look:g} units of time, or is lost: start "
            "elsewhere, or take another section"
        )

    def _returned(self, start, u):
        with np.errstate(all="ignore"):
            found = next_crossing(self.passage, self.plane, start, u, self.look, steps=LONGEST_WAY)
            speed = np.linalg.norm(self.inside.rule(found.points, u), axis=1)
        rests = speed * self.look <= REST * (1.0 + np.linalg.norm(found.points, axis=1))
        found.points[rests], found.times[rests] = np.nan, np.nan
        return found

    def _jacobian(self, start, u, found):
        """Derivatives (m, n - 1, n - 1 + inputs) of the images."""
        n, j, normal = self.inside.size, self.dropped, self.plane.normal
        longest = np.nanmax(found.times, initial=0.0)
        steps = max(1, int(np.ceil(longest / self.look)))
        y, M = self.passage.tangents(start, u, found.times / steps, steps)
        with np.errstate(all="ignore"):
            f = np.asarray(self.inside.rule(y, u))
            across = f @ normal
            across[np.abs(across) < SMALLEST_ANGLE * np.linalg.norm(f, axis=1)] = np.nan
            time = -np.einsum("i,mik->mk", normal, M) / across[:, None]  # of the crossing
        moved = M + f[:, :, None] * time[:, None, :]
        embed = np.zeros((n + self.inputs, n - 1 + self.inputs))
        keep = np.delete(np.arange(n + self.inputs), j)
        embed[keep, np.arange(len(keep))] = 1.0
        embed[j, : n - 1] = -np.delete(normal, j) / normal[j]
        return np.delete(moved @ embed, j, axis=1)

    def output(self, x, u):
        return x

    def initial(self, rng: Rng = 0) -> np.ndarray:
        start = self.inside.initial(generator(rng))[None]
        u = np.zeros((1, self.inputs)) if self.inputs else None
        with np.errstate(all="ignore"):
            found = next_crossing(
                self.passage, self.plane, start, u, self.look, steps=LONGEST_WAY, leaving=False
            )
        if not np.isfinite(found.times[0]):
            raise NotFiniteError(
                f"the orbit of {type(self.inside).__name__} from its own start does not cross the "
                f"section within {LONGEST_WAY * self.look:g} units of time: take another section, "
                "or pass a start"
            )
        return self.point(found.points[0])


__all__ = ["PoincareMap"]
