"""Steps of flows that jump: cut where a decision of the rule changes and where an event is
declared, so that each piece is smooth.

The pieces are found on plain numbers. Dual numbers then take the same pieces, with the time of each
crossing a dual number too: by the implicit function theorem it moves by -dg / (dg/dt). That, and
nothing else, multiplies tangents by the saltation matrix I + (f_after - f_before) n^T / (n . f).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from ..arrays import namespace, stack
from ..autodiff.branches import SIDE, on_branch
from ..autodiff.dual import Dual
from ..autodiff.tangents import Forward
from ..errors import ConvergenceError, JumpError
from .crossings import crossing

MAX_PIECES = 20_000  # of a step
SHORTEST_PIECE = 2.0**-40  # of a step
SHORTEST_FLIGHT = 1e-9  # of a step, between two crossings of one surface
QUICK_RETURN = 1e-3  # of a step: an event that grazes so soon after it has accumulated
GRAZING_SHARE = 1e-6  # of its mean rate over a step, below which a distance hardly crosses
SAME = 1e-11  # relative difference of velocities that meet
ON_SURFACE = 1e-12  # of what a distance changes by in a step
SHORTEST_RISE = 2.0**-40  # of a step: halvings that look for the flight after a reset


@dataclass
class Piece:
    """A smooth piece of a step with its end, and what ends it: the argument that crossed (None:
    nothing that tangents see), its rate, the event (None where the velocity jumps), and the modes
    after it."""

    modes: list
    length: float
    end: np.ndarray
    argument: int | None = None
    rate: float = 0.0
    event: Any = None
    after: Any = None


class _Branch:
    """The modes of a branch, and the surfaces that end it: distances from them are ``orientation *
    (argument[which] - offset)``, positive inside; those that are ``armed`` end it where they become
    negative."""

    def __init__(self, record, directions):
        self.modes, which, offset, orientation, start = record.modes, [], [], [], 0
        for kind, mode in zip(record.kinds, map(np.ravel, record.modes), strict=True):
            place = np.arange(start, start + len(mode))
            which += [place] if kind is SIDE else [place, place]
            offset += [0.0 * mode] if kind is SIDE else [mode, mode + 1.0]
            orientation += [mode] if kind is SIDE else [0.0 * mode + 1.0, 0.0 * mode - 1.0]
            start += len(mode)
        self.decisions = start
        self.which = np.concatenate([*which, start + np.arange(len(directions))]).astype(int)
        self.offset = np.concatenate([*offset, np.zeros(len(directions))])
        self.orientation = np.concatenate([*orientation, directions]).astype(float)
        self.armed = np.ones(len(self.which), bool)

    def distances(self, arguments):
        at = arguments[..., self.which] - self.offset
        return np.where(self.orientation == 0.0, -abs(at), self.orientation * at)

    def flipped(self, fired, arguments):
        """The modes with the decisions of the surfaces that were crossed the other way."""
        flat = np.concatenate([*map(np.ravel, self.modes), np.zeros(0)])
        for i in np.flatnonzero(fired & (self.which < self.decisions)):
            at, way = self.which[i], self.orientation[i]
            whole = np.count_nonzero(self.which == at) == 2
            flat[at] = flat[at] - way if whole else -way or np.sign(arguments[at])
        parts, start = [], 0
        for mode in self.modes:
            parts.append(flat[start : start + mode.size].reshape(mode.shape))
            start += mode.size
        return parts


def _flat_arguments(flow, events, x, u, record):
    """Arguments of the decisions of a rule, each flat, and the distances of declared events."""
    found = [np.reshape(a, (-1,)) for a in record.arguments]
    for event in events:
        g = event.distance(flow, x, u)
        found.append(g.reshape(1) if isinstance(g, Dual) else np.array([g], float))
    return found


def _values(parts):
    return np.concatenate([*map(_detached, parts), np.zeros(0)])


def _detached(a):
    return a if a is None else np.asarray(namespace(a).detach(a), float)


class _Cutter:
    """Cuts steps of a FlowMap into smooth pieces, along the orbit of one state without tangents."""

    def __init__(self, system, u, h, code):
        self.system, self.flow, self.u, self.h = system, system.flow, u, h
        self.name = type(getattr(self.flow, "inside", self.flow)).__name__
        self.code = code
        self.sign, self.events = np.sign(h), tuple(self.flow.events)
        if self.events and h < 0:
            raise JumpError(
                f"{self.name} declares events, which cannot be undone: integrate it forwards"
            )

    def arguments(self, x, modes):
        """Velocity, arguments (m,) of all decisions and events, at a state."""
        velocity, record = on_branch(self.flow, x, self.u, modes)
        return velocity, _values(_flat_arguments(self.flow, self.events, x, self.u, record)), record

    def slopes(self, x, modes, rows):
        """Change of every argument with each of the rows (k, n): (k, m)."""
        point = Dual(x, Forward(np.ascontiguousarray(rows)))
        _, record = on_branch(self.flow, point, self.u, modes)
        return np.concatenate(
            [
                a.tangent.array() if isinstance(a, Dual) else np.zeros((len(rows), len(a)))
                for a in _flat_arguments(self.flow, self.events, point, self.u, record)
            ],
            axis=1,
        )

    def branch_at(self, x, given=None, after_reset=False):
        """The branch at a state, on the modes given; a state on a surface that it leaves is taken
        to be on the side that it comes from, and crosses at once."""
        velocity, record = on_branch(self.flow, x, self.u, given)
        arguments = _values(_flat_arguments(self.flow, self.events, x, self.u, record))
        directions = np.array([-float(e.direction) for e in self.events])
        g = arguments[len(arguments) - len(directions) :]
        branch = _Branch(record, np.where(directions == 0.0, np.sign(g), directions))
        if not (len(g) or (branch.distances(arguments) <= 0.0).any()):
            return branch
        rates = self.sign * self.slopes(x, record.modes, np.asarray(velocity, float)[None])[0]
        rates = rates[branch.which]
        if given is None:
            self._come_from(branch, arguments, rates)
        if len(g):
            self._arm_events(branch, arguments, rates, directions == 0.0, after_reset)
        return branch

    def _arm_events(self, branch, arguments, rates, both, after_reset):
        """Which events end the branch, and of those that count in both directions, from which
        side."""
        events = branch.which >= branch.decisions
        near = abs(branch.distances(arguments)) <= ON_SURFACE * abs(rates * self.h)
        both = np.append(np.zeros(len(events) - len(both), bool), both) & near
        if after_reset:
            branch.orientation[both] = np.sign(rates[both])
        else:
            both &= branch.orientation == 0.0
            branch.orientation[both] = -np.sign(rates[both])
        distances, toward = branch.distances(arguments), branch.orientation * rates
        branch.armed = ~events | (distances > 0.0) | (near & (toward > 0.0))
        branch.armed |= (distances == 0.0) & (toward < 0.0)

    def _come_from(self, branch, arguments, rates):
        """Modes of decisions that lie on a surface: the side from which the orbit comes."""
        on = (arguments[branch.which] == branch.offset) & (rates != 0.0)
        on &= branch.which < branch.decisions
        flat = [np.array(mode, float).reshape(-1) for mode in branch.modes]
        edges = np.cumsum([0, *map(len, flat)])
        for i in np.flatnonzero(on):
            at = branch.which[i]
            entry = int(np.searchsorted(edges, at, "right")) - 1
            if branch.orientation[i] == 0.0:  # a side
                flat[entry][at - edges[entry]] = branch.orientation[i] = -np.sign(rates[i])
            elif rates[i] > 0.0:  # a whole number, from below
                flat[entry][at - edges[entry]] -= 1.0
                branch.offset[branch.which == at] -= 1.0
        branch.modes = [
            part.reshape(np.shape(mode)) for part, mode in zip(flat, branch.modes, strict=True)
        ]

    def attempt(self, x, length, branch):
        """A step on one branch: the state after it, its error relative to the tolerance, and
        distances (s, m) at times within it, those inside only of low order without machine code."""
        if self.code:
            return self.compiled_attempt(x, length, branch)
        rows = []

        def velocity(y, u):
            slope, arguments, _ = self.arguments(y, branch.modes)
            rows.append(branch.distances(arguments))
            return np.asarray(slope, float)

        rtol = self.system.rtol
        new, slopes = self.system._step(x, self.u, length, velocity)
        error = self.system.error(x, new, slopes, length) / rtol if rtol else 0.0
        nodes, first = np.unique(self.system.nodes, return_index=True)
        inside = [rows[i] for i in first[nodes < 1.0]]
        last = branch.distances(self.arguments(new, branch.modes)[1])
        times = length * np.append(nodes[nodes < 1.0], 1.0)
        return new, error, times, np.array([*inside, last])

    def compiled_attempt(self, x, length, branch):
        """The same by machine code, which controls the error."""
        states = self.code.states(x, self.u, branch.modes, length)
        if states is None:
            return np.full(len(x), np.nan), np.inf, None, None
        times = length * np.arange(len(states)) / (len(states) - 1)
        self.samples = times, states
        if not self.code.together:
            each = [branch.distances(self.arguments(y, branch.modes)[1]) for y in states]
            return states[-1], 0.0, times, np.array(each)
        u = self.u if self.u is None else np.broadcast_to(self.u, (len(states), len(self.u)))
        record = on_branch(self.flow, states, u, branch.modes)[1]
        parts = [
            np.broadcast_to(a, (len(states), *np.shape(a)[np.ndim(a) - mode.ndim :])).reshape(
                len(states), -1
            )
            for a, mode in zip(record.arguments, map(np.asarray, branch.modes), strict=True)
        ]
        for event in self.events:
            g = [float(event.distance(self.flow, y, self.u)) for y in states]
            parts.append(np.array(g)[:, None])
        arguments = np.concatenate([np.zeros((len(states), 0)), *parts], axis=1)
        return states[-1], 0.0, times, branch.distances(arguments)

    def state(self, x, length, branch):
        """State and distances after a part of a step, to the order of the scheme."""
        if length and self.code:  # from the sample before, so that it agrees with all of them
            times, known = self.samples
            k = int(np.searchsorted(abs(times), abs(length), "right")) - 1
            x, rest = known[k], length - times[k]
            states = self.code.states(x, self.u, branch.modes, rest, 1) if rest else [x]
            x = np.full(len(x), np.nan) if states is None else states[-1]
        elif length:
            new, _, _, distances = self.attempt(x, length, branch)
            return new, distances[-1]
        return x, branch.distances(self.arguments(x, branch.modes)[1])

    def first_crossing(self, x, branch, times, distances):
        """Time and index of the first armed distance that becomes negative within a step; None
        where none does."""
        armed, late = branch.armed, None
        middle = distances[1:-1]
        low = (middle < distances[:-2]) & (middle <= distances[2:]) & (middle > 0.0)
        if not (low.any() or (distances[1:] < 0.0).any()):
            branch.armed = armed | (distances > 0.0).any(axis=0)
            return None
        for s in range(1, len(times)):
            below = armed & (distances[s] < 0.0)
            if below.any():
                known = self.code or s == len(times) - 1
                true = distances[s] if known else self.state(x, times[s], branch)[1]
                below = armed & (true < 0.0)
                if below.any():
                    late = times[s], below
                    break
            if s < len(times) - 1:
                late = self._dip(x, branch, times[s - 1 : s + 2], distances[s - 1 : s + 2])
                if late is not None:
                    break
            armed = armed | (distances[s] > 0.0)
        if late is None:
            branch.armed = armed | (distances[-1] > 0.0)
            return None
        branch.armed = armed
        return self._earliest(x, branch, *late)

    def _dip(self, x, branch, times, distances):
        """A time at which an armed distance is negative between two samples that are not: where a
        parabola through three of them falls below zero."""
        before, middle, after = distances
        low = branch.armed & (middle < before) & (middle <= after) & (middle > 0.0)
        if not low.any():
            return None
        a, b = times[0] - times[1], times[2] - times[1]
        first, last = (before - middle) / a, (after - middle) / b
        curve = (last - first) / (b - a)
        slope = first - curve * a
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = middle - slope * slope / (4.0 * curve)
            at = -slope / (2.0 * curve)
        for i in np.flatnonzero(low & (depth < 0.0)):
            true = self.state(x, times[1] + at[i], branch)[1]
            if true[i] < 0.0:
                return times[1] + at[i], branch.armed & (true < 0.0)
        return None

    def _earliest(self, x, branch, end, below):
        """The first of the crossings before the time ``end``, at which the distances ``below`` are
        negative."""
        index = -1
        while below.any():
            index = int(np.flatnonzero(below)[0])
            start = 0.0

            def distance(time, i=index):
                return float(self.state(x, time, branch)[1][i])

            if distance(0.0) <= 0.0:  # just reset, or on the surface: is there a flight before?
                start = 0.5 * end
                while distance(start) <= 0.0 and abs(start) > SHORTEST_RISE * abs(self.h):
                    start, end = 0.5 * start, start
                if distance(start) <= 0.0:
                    return 0.0, index
            before, end = crossing(distance, start, end)
            below = branch.armed & (self.state(x, before, branch)[1] < 0.0)
            below[index] = False
        return end, index

    def cross(self, x, index, branch, mean_rate, again):
        """The piece that ends at a state beyond a surface, the state and the branch after it;
        ``mean_rate`` of the distance over the step, ``again``: it was crossed just before."""
        velocity, arguments, _ = self.arguments(x, branch.modes)
        velocity, at = np.asarray(velocity, float), int(branch.which[index])
        event, after = None, x
        if at >= branch.decisions:
            event = self.events[at - branch.decisions]
            after = np.asarray(event.reset(self.flow, x, self.u), float)
            new = self.branch_at(after, after_reset=True)
        else:
            fired = branch.armed & (branch.distances(arguments) < 0.0)
            fired[index] = True
            new = self.branch_at(x, branch.flipped(fired, arguments))
            kept = fired & (branch.which >= branch.decisions)
            new.armed[len(new.armed) - len(self.events) :] |= kept[len(kept) - len(self.events) :]
        beyond = np.asarray(self.arguments(after, new.modes)[0], float)
        size = np.linalg.norm(velocity) + np.linalg.norm(beyond)
        if event is None and np.linalg.norm(beyond - velocity) <= SAME * size:
            return Piece(branch.modes, 0.0, x), after, new
        gradient = self.slopes(x, branch.modes, np.eye(len(x)))[:, at]
        rate, rate_after = gradient @ velocity, gradient @ beyond
        if abs(rate) <= GRAZING_SHARE * mean_rate:
            raise self.refusal(x, "chatters" if again and event else "grazes", event)
        if event is None and rate * rate_after <= 0.0:
            raise self.refusal(x, "slides", event)
        return Piece(branch.modes, 0.0, x, at, rate, event, new.modes), after, new

    def refusal(self, x, what, event):
        """The error for a crossing that no tangent passes."""
        surface = "the surface of an event" if event else "a surface at which its velocity jumps"
        reason = {
            "grazes": "it only touches it (grazing), where the tangent map has no finite limit",
            "slides": "the velocities on both sides point to it (sliding), so that no solution "
            "leaves it: replace sign(s) by tanh(s / width) with a small width",
            "chatters": "the crossings accumulate in a finite time (Zeno): stop the orbit before, "
            "or let the reset keep some speed",
        }[what]
        return JumpError(
            f"the orbit of {self.name} {what} at {np.array2string(x, precision=6, threshold=8)}, "
            f"on {surface}: {reason}"
        )

    def pieces(self, x):
        """Pieces of a step from x, and the state after it."""
        left, part, branch, found = self.h, self.h, self.branch_at(x), []
        since: dict[int, float] = {}
        while left:
            length = left if abs(part) > 0.999999 * abs(left) else part
            new, error, times, distances = self.attempt(x, length, branch)
            if not error <= 1.0:
                part = length * max(0.2, 0.9 * error**-0.125 if error < np.inf else 0.2)
                if abs(part) > SHORTEST_PIECE * abs(self.h):
                    continue
                if np.isfinite(new).all():
                    raise ConvergenceError(
                        f"a step of {self.name} needs pieces of less than {abs(part):.1e} for a "
                        f"relative error of {self.system.rtol:g}: the flow is stiff or falls into "
                        "a singularity there; a larger rtol, or dt for steps of one size"
                    )
                return [*found, Piece(branch.modes, left, new)], new
            if len(found) > MAX_PIECES:
                raise ConvergenceError(
                    f"a step of {self.name} takes more than {MAX_PIECES} pieces: pass a shorter dt"
                )
            part = length * min(5.0, 0.9 * error**-0.125 if error else 5.0)
            hit = self.first_crossing(x, branch, times, distances)
            if hit is None:
                found.append(Piece(branch.modes, length, new))
                x, left = new, left - length
                since = {i: time + abs(length) for i, time in since.items()}
                continue
            when, index = hit
            place, _ = self.state(x, when, branch)
            since = {i: time + abs(when) for i, time in since.items()}
            largest = abs(distances[:, index]).max()
            at = int(branch.which[index])
            again = since.get(at, np.inf) < QUICK_RETURN * abs(self.h)
            piece, x, branch = self.cross(place, index, branch, largest / abs(length), again)
            piece.length, left = when, left - when
            found.append(piece)
            if piece.argument is not None and since.get(at, np.inf) < SHORTEST_FLIGHT * abs(self.h):
                raise self.refusal(x, "chatters" if piece.event else "slides", piece.event)
            since[at] = 0.0
        return found, x


def jumping_step(system: Any, x: Any, u: Any, h: float) -> Any:
    """State after a step h of a FlowMap whose flow jumps, of one state (n,) or of a batch."""
    if x.dtype == object or namespace(x).__name__ == "Torch":
        raise NotImplementedError(
            f"the velocity of {type(system.flow).__name__} jumps: its crossings are located on "
            "numbers, use engine='dual'"
        )
    if x.ndim > 1:
        flat = x.reshape(-1, x.shape[-1])
        inputs: Any = [None] * len(flat)
        if u is not None:
            inputs = np.broadcast_to(u, (*x.shape[:-1], u.shape[-1])).reshape(len(flat), -1)
        each = [jumping_step(system, flat[i], inputs[i], h) for i in range(len(flat))]
        return stack(tuple(each), axis=0).reshape(x.shape) if each else x
    code = None
    if system.order == 8 and system.rtol:  # machine code stands above, and is imported when needed
        compiler = import_module("dynmem.compiler.branch")
        code = compiler.branch_program(system.flow, x.shape[-1], system.rtol)
    pieces, end = _Cutter(system, _detached(u), h, code).pieces(_detached(x))
    if not (isinstance(x, Dual) or isinstance(u, Dual)):
        return end
    return _replay(system, x, u, pieces, None if isinstance(u, Dual) else code)


def _replay(system, x, u, pieces, code):
    """Dual numbers through the pieces of a step: the time of each crossing is a dual number
    itself."""
    flow = system.flow
    events = tuple(flow.events)
    for piece in pieces:

        def velocity(y, u, modes=piece.modes):
            return on_branch(flow, y, u, modes)[0]

        J = code.jacobian(x.value, u, piece.modes, piece.length) if code and piece.length else None
        if J is not None:
            x = Dual(piece.end, x.tangent.matmul(J, x.shape))
        elif piece.length:
            x = system._step(x, u, piece.length, velocity)[0]
        if piece.argument is None:
            continue
        _, record = on_branch(flow, x, u, piece.modes)
        start = 0
        for part in _flat_arguments(flow, events, x, u, record):
            if start <= piece.argument < start + len(part):
                g = part[piece.argument - start]
            start += len(part)
        late = (_detached(g) - g) * (1.0 / piece.rate)  # 0, but for its tangent
        x = x + late * np.asarray(_detached(velocity(_detached(x), _detached(u))), float)
        x = x if piece.event is None else piece.event.reset(flow, x, u)
        beyond = on_branch(flow, _detached(x), _detached(u), piece.after)[0]
        x = x - late * np.asarray(beyond, float)
    return x
