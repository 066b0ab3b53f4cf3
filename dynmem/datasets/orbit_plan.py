"""Plan of the orbits of a dataset: the systems as maps of one step, spacing, transient, parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import systems
from ..errors import ShapeError
from ..orbits import FlowMap, suggest_step
from ..runtime.validation import all_errors, generator, integer, number
from ..system import Flow, Map
from ..typing import Rng
from .splits import check_shares, part_ends
from .timescales import Timescale, timescale

STEP_TOLERANCE = 1e-7  # error of the tangent map of an integration step, per unit of time
STEP_RTOL = 1e-11  # relative error at which a step is divided
# radians that the fastest component may turn between two samples: four samples a period
MAX_TURN = np.pi / 2
TRANSIENT_TIMES = 20.0  # Lyapunov times, or turns, before the first sample
MAX_TRANSIENT_STEPS = 1e10  # hours


@dataclass(frozen=True, eq=False)
class Plan:
    """Orbits to integrate: maps, of which every ``every``-th state is a sample.

    ``values``: values of the parameters that vary, by name; ``ends``: samples at which the parts
    end, as of ``splits.part_ends``.
    """

    name: str
    maps: tuple[Map, ...]
    every: int
    timescales: tuple[Timescale, ...]
    values: dict[str, np.ndarray]
    samples: int
    noise: float
    rng: Rng
    transient: float | None
    ends: tuple[int, ...] = ()

    @property
    def dt(self) -> float:
        """Time between two samples."""
        return self.every * self.maps[0].dt

    @property
    def systems(self) -> list[Map | Flow]:
        """The systems that the maps integrate, or the maps themselves."""
        return [each.flow if isinstance(each, FlowMap) else each for each in self.maps]

    @property
    def several(self) -> bool:
        """Whether a parameter varies."""
        return bool(self.values)

    @cached_property
    def generators(self) -> list[np.random.Generator]:
        """Generators of the starts and of the noise."""
        return generator(self.rng).spawn(2)

    @property
    def transients(self) -> list[int]:
        """Steps before the first sample of each orbit."""
        if self.transient is not None:
            times = [
                self.transient * each.unit if self.transient else 0.0 for each in self.timescales
            ]
        else:
            times = [
                0.0
                if each.conservative or not np.isfinite(each.unit)
                else TRANSIENT_TIMES * each.unit
                for each in self.timescales
            ]
        steps = [
            time / each.dt if time else 0.0 for time, each in zip(times, self.maps, strict=True)
        ]
        if max(steps) > MAX_TRANSIENT_STEPS:
            raise ValueError(
                f"transient = {self.transient} takes {max(steps):.3g} steps between "
                "samples (a system at rest has no time of its own): "
                f"pass a shorter one, of at most {MAX_TRANSIENT_STEPS:.0e} steps"
            )
        return list(map(round, steps))

    @property
    def nbytes(self) -> int:
        """Bytes of the states, of time and of the parts."""
        states = (self.systems[0].size or 0) * len(self.maps) * (2 if self.noise else 1)
        return self.samples * (8 * states + 9)


def make_plan(
    name: str,
    *,
    samples: int = 20_000,
    fraction: float = 0.02,
    dt: float | None = None,
    transient: float | None = None,
    noise: float = 0.0,
    train: float = 0.7,
    validation: float = 0.15,
    gap: float = 3.0,
    rng: Rng = 0,
    **parameters: Any,
) -> Plan:
    """The plan of ``Orbits(name)`` with these options."""
    with all_errors() as check:
        samples = check(integer, "samples", samples, 10)
        check(number, "fraction", fraction, above=0)
        if dt is not None:
            check(number, "dt", dt, above=0)
        if transient is not None:
            check(number, "transient", transient, least=0)
        check(number, "noise", noise, least=0)
        check(check_shares, train, validation)
        check(number, "gap", gap, least=0)
        check(generator, rng)
    members, values = _members(name, parameters)
    timescales = [timescale(name, system, published=not parameters, rng=rng) for system in members]
    unit = min(each.unit for each in timescales)
    _check_spacing(name, members[0], dt, unit)
    maps, every = _maps(members, fraction * unit if dt is None else dt)
    plan = Plan(name, tuple(maps), every, tuple(timescales), values, samples, noise, rng, transient)
    _check_resolution(plan)
    gap_samples = round(gap * unit / plan.dt) if np.isfinite(unit) else 0
    ends = part_ends(samples, train=train, validation=validation, gap=gap_samples)
    return replace(plan, ends=ends)


def _members(
    name: str, parameters: dict[str, Any]
) -> tuple[list[Map | Flow], dict[str, np.ndarray]]:
    """The systems of a dataset, and the values of the parameters that vary."""
    template = systems.get(name)
    varied = {
        k: np.asarray(v)
        for k, v in parameters.items()
        if np.ndim(v) > np.ndim(getattr(template, k))
    }
    if not varied:
        return [systems.get(name, **parameters)], {}
    if (
        len({len(v) for v in varied.values()}) > 1
        or min(v.ndim for v in varied.values()) > 1
        or not all(v.size for v in varied.values())
    ):
        raise ValueError(
            f"{', '.join(f'{k} has {len(v)} values' for k, v in varied.items())}: "
            "lists of parameters must be flat and of one length"
        )
    rows = [
        {k: v[i].item() for k, v in varied.items()} for i in range(len(next(iter(varied.values()))))
    ]
    members = [systems.get(name, **(parameters | row)) for row in rows]
    if len({m.size for m in members}) > 1:
        raise ShapeError(
            f"{name} has another number of states for each of {', '.join(varied)}: "
            "load them one by one"
        )
    return members, varied


def _check_spacing(name: str, system: Map | Flow, dt: float | None, unit: float) -> None:
    """Refuse a missing spacing of a system without a time scale, and one that is no multiple of a
    map's step."""
    if dt is None and not np.isfinite(unit):
        why = "is not chaotic here" if isinstance(system, Map) else "comes to rest"
        raise ValueError(
            f"{name} {why}, so that it has no time of its own: pass dt, the "
            "time between two samples"
        )
    if (
        dt is not None
        and isinstance(system, Map)
        and abs(dt / system.dt - max(1, round(dt / system.dt))) > 1e-9
    ):
        raise ValueError(
            f"dt = {dt}: {name} moves in steps of {system.dt:g}, pass a multiple of it"
        )


def _maps(members: list[Any], dt: float) -> tuple[list[Map], int]:
    """The systems as maps of one step, and how many of its steps lie between two samples."""
    if isinstance(members[0], Map):
        return members, max(1, int(dt / members[0].dt * (1 + 1e-9)))
    steps = [suggest_step(flow, tolerance=STEP_TOLERANCE, duration=1e4) for flow in members]
    return [
        FlowMap(flow, dt, substeps=max(1, int(np.ceil(dt / step))), order=8, rtol=STEP_RTOL)
        for flow, step in zip(members, steps, strict=True)
    ], 1


def _check_resolution(plan: Plan) -> None:
    """Refuse a spacing that does not resolve the dynamics, with the largest that does."""
    own = plan.maps[0].dt if isinstance(plan.systems[0], Map) else 0.0
    for each, system in zip(plan.timescales, plan.systems, strict=True):
        most = min(
            MAX_TURN / each.speed if each.speed > 0 else np.inf,
            each.unit if each.chaotic else np.inf,
        )
        if plan.dt > max(most, own) * (1 + 1e-9):
            turned = (
                f"its component {each.fastest} turns by {plan.dt * each.speed:.2g} rad"
                if each.speed > 0
                else "it moves on"
            )
            raise ValueError(
                f"a sampling step of {plan.dt:.4g} skips the dynamics of "
                f"{type(system).__name__}: between two samples {turned} and "
                "errors grow by a factor of "
                f"{np.exp(min(50.0, plan.dt / each.unit)):.3g}; pass dt of at most "
                f"{max(most, own):.4g}"
                + (
                    f", or fraction of at most {max(most, own) / each.unit:.3g}"
                    if np.isfinite(each.unit)
                    else ""
                )
            )
