"""Integrate planned orbits block by block, in shorter steps at close encounters, with noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import ConvergenceError
from ..orbits import FlowMap, trajectory
from ..system import Map
from .orbit_plan import Plan
from .timescales import Timescale

MAX_ENERGY_DRIFT = 1e-10  # share of a conserved energy that may be lost within a block
MAX_HALVINGS = 8  # of the steps, for close encounters
SAMPLES_PER_BLOCK = 500_000  # samples that are integrated at once
PILOT_SAMPLES = 20_000  # samples whose standard deviation sets the noise


@dataclass(frozen=True, eq=False)
class Integration:
    """Orbits of a plan in blocks, so that they may be larger than memory."""

    plan: Plan

    @cached_property
    def starts(self) -> list[np.ndarray]:
        """States of the first sample of each orbit."""
        plan = self.plan
        seed = int(plan.generators[0].integers(2**32))
        return [
            _settled(each, seed, steps)
            for each, steps in zip(plan.maps, plan.transients, strict=True)
        ]

    @cached_property
    def noise_deviation(self) -> np.ndarray:
        """Standard deviation of the noise, ([parameter,] state): the share ``noise`` of that of
        each component over the first samples."""
        plan = self.plan
        count = min(PILOT_SAMPLES, plan.samples) * plan.every
        found = np.stack(
            [
                trajectory(each, x, count)[: -1 : plan.every].std(axis=0)
                for each, x in zip(plan.maps, self.starts, strict=True)
            ]
        )
        return plan.noise * (found if plan.several else found[0])

    def blocks(self) -> Iterator[tuple[np.ndarray, ...]]:
        """States ([parameter,] time, state) as observed, block after block, and where there is
        noise also those without it."""
        plan, states, done = self.plan, self.starts, 0
        while done < plan.samples:
            count = min(SAMPLES_PER_BLOCK, plan.samples - done)
            orbits = [
                _accurate_orbit(*each, count * plan.every)
                for each in zip(plan.maps, plan.timescales, states, strict=True)
            ]
            states = [orbit[-1] for orbit in orbits]
            clean = (
                np.stack([orbit[: -1 : plan.every] for orbit in orbits])
                if plan.several
                else orbits[0][: -1 : plan.every]
            )
            yield self._observed(clean) if plan.noise else (clean,)
            done += count

    def _observed(self, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States with noise, and without."""
        normal = self.plan.generators[1].standard_normal(clean.shape)
        return clean + self.noise_deviation[..., None, :] * normal, clean


def _settled(step: Map, seed: int, transient: int) -> np.ndarray:
    """State after the transient, of which no more than a block is in memory."""
    x = step.initial(np.random.default_rng(seed))
    for done in range(0, transient, SAMPLES_PER_BLOCK):
        x = trajectory(step, x, min(SAMPLES_PER_BLOCK, transient - done))[-1]
    return x


def _accurate_orbit(step: Map, timescale: Timescale, x: np.ndarray, steps: int) -> np.ndarray:
    """The orbit from x, in shorter steps where a conserved energy changes: those of one length are
    wrong at close encounters.

    Raises ConvergenceError where the shortest are not short enough.
    """
    system = step.flow if isinstance(step, FlowMap) else step
    energy_of = getattr(system, "energy", None) if timescale.conservative else None
    for halving in range(1 + (MAX_HALVINGS if isinstance(step, FlowMap) else 0)):
        if halving and isinstance(step, FlowMap):
            step = replace(step, substeps=2 * step.substeps)
        orbit = trajectory(step, x, steps)
        if energy_of is None:
            return orbit
        energy = energy_of(orbit)
        # energies of the components drawn apart set the scale, since the whole may be 0
        apart = energy_of(np.random.default_rng(0).permuted(orbit[:2000], axis=0))
        drift = np.abs(energy - energy[0]).max() / np.median(np.abs(apart - energy[0]))
        if drift < MAX_ENERGY_DRIFT:
            return orbit
    raise ConvergenceError(
        f"the energy of {type(system).__name__} drifts by a share of "
        f"{drift:.2g}: a close encounter, which even steps "
        "do not resolve; pass a smaller dt or fewer samples, or take "
        "dm.orbit(system, duration=..., rtol=1e-12)"
    )
