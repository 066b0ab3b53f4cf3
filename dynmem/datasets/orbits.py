"""Orbits of the systems of nature as datasets, sampled at a share of their Lyapunov time."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import systems
from ..runtime.memory import require_memory
from .orbit_blocks import Integration
from .orbit_labels import FLOOR_MEANING, datasets, labelled, law
from .orbit_plan import Plan, make_plan

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True)
class Orbits:
    """Orbits of one registered system; ``dm.datasets.load(name, ...)`` calls it with options.

    Parameters
    ----------
    name : str
        Name of a system.

    Notes
    -----
    Options of ``load``, besides the parameters of the system:

    samples : int
        Samples of the orbit, evenly spaced, at least 10.
    fraction : float
        Time between two samples, as a share of the Lyapunov time 1/lambda_1; for a system that is
        not chaotic, of the turn 2 pi/omega, omega the mean angular speed of its fastest component.
    dt : float, optional
        That time in the unit of the system, in place of ``fraction``.
    transient : float, optional
        Time before the first sample, in Lyapunov times; by default 20, 0 where energy is conserved.
    noise : float
        Standard deviation of white observation noise, as a share of that of each component over
        the first 20,000 samples.
    train, validation : float
        Shares of the samples, in time; the rest is the test.
    gap : float
        Time between the parts, in Lyapunov times.
    rng : int or Generator
        Seed of the start and of the noise.

    A parameter of the system may be a list: the dim ``parameter`` then holds an orbit for each
    value, all with the spacing of the shortest Lyapunov time. lambda_1 is the known one
    (``dm.systems.known_exponents``) at the default parameters, else it is measured; the attribute
    ``exponents_source`` holds which.

    The Dataset holds

    x : ([parameter,] time, state), unit of the system
        States as observed.
    clean, noise : ([parameter,] time, state) and ([parameter,] state) [optional]
        With noise: states without it, and its standard deviation.
    lyapunov, lyapunov_error : ([parameter,] exponent), 1/time unit
        Exponents, largest first, and their errors.
    split : (time), 1
        Part of each sample.

    Calling it raises ValueError for a spacing that skips the dynamics (more than a Lyapunov time,
    or more than a quarter turn of the fastest component), ConvergenceError where a conserved energy
    drifts, and MemoryError, before it starts, for more samples than fit.

    Examples
    --------
    >>> data = Orbits("lorenz63")(samples=500, noise=0.1)
    >>> round(data.attrs["lyapunov_time"], 4), data.attrs["signal_to_noise"]
    (1.1042, '10 (20.0 dB)')
    """

    name: str
    goal = "forecast"
    licence = "none needed: computed"
    floor = FLOOR_MEANING

    @property
    def settings(self) -> dict[str, Any]:
        """Options that are not parameters of the system, with their defaults."""
        parameters = inspect.signature(make_plan).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def options(self) -> dict[str, Any]:
        """Options with their defaults."""
        system = systems.get(self.name)
        return self.settings | {f.name: getattr(system, f.name) for f in fields(system) if f.init}

    @property
    def about(self) -> str:
        """One sentence."""
        return f"Orbit of {self.name}: {systems.about(self.name)}"

    @property
    def law(self) -> str:
        """Equation of the system."""
        return law(systems.get(self.name))["law"]

    def __call__(self, **given: Any) -> Dataset:
        plan = self.plan(**given)
        integration = Integration(plan)
        # blocks, and all of them together
        require_memory(
            2 * plan.nbytes,
            f"{plan.samples} samples of {self.name}",
            "pass fewer, or write them to a file: dm.datasets.write, dynmem data",
        )
        blocks = list(integration.blocks())
        return labelled(
            integration, *(np.concatenate(part, axis=-2) for part in zip(*blocks, strict=True))
        )

    def plan(self, **given: Any) -> Plan:
        """Plan of the orbits with these options."""
        return make_plan(self.name, **given)

    def blocks(self, plan: Plan, attributes: dict[str, Any]) -> Iterator[Dataset]:
        """The dataset of a plan in blocks along time, with these attributes besides."""
        return datasets(Integration(plan), attributes)


DATASETS = {name: Orbits(name) for name in systems.names()}
