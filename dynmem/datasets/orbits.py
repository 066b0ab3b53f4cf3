"""Orbits of the systems of nature as datasets, sampled at a share of their Lyapunov time; and where
the planets really were."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from .. import systems
from ..errors import ConvergenceError, ShapeError
from ..labels import as_seed, dataset, describe_system
from ..orbits import FlowMap, suggest_step, trajectory
from ..runtime.memory import require_memory
from ..system import Map
from .checks import refuse
from .ephemeris import solar_system
from .splits import MEANINGS, ends, marks
from .timescales import clock

FINE = 1e-7  # error of the tangent map of an integration step, per unit of time
# radians that the fastest component may turn between two samples: four samples a period
TURN = np.pi / 2
DRIFT = 1e-10  # share of a conserved energy that may be lost within a block
HALVINGS = 8  # of the steps, for close encounters
BLOCK = 500_000  # samples that are integrated at once
PILOT = 20_000  # samples whose standard deviation sets the noise
LONGEST = 1e10  # steps of a transient: hours
# of state and time, where they are not pure numbers
UNITS = {"outer_solar_system": ("AU, AU/year", "year"), "wong_wang": ("1", "s")}
SOURCE = "Runge-Kutta of order 8 (Dormand and Prince)"


@dataclass(frozen=True)
class Orbits:
    """Orbits of one registered system: ``dm.datasets.load(name, ...)`` calls it with the options
    below and the system's own parameters.

    samples: of the orbit, evenly spaced. fraction: of the Lyapunov time 1/lambda_1 between two
    samples; for a system that is not chaotic, of the turn 2 pi/omega, omega the mean angular speed
    of its fastest component. dt: that spacing in the system's own unit, in its place. transient:
    time before the first sample, in Lyapunov times (default 20; 0 where energy is conserved).
    noise: standard deviation of white observation noise, as a share of each component's own over
    the first 20,000 samples. train, validation: shares of the samples, in time, the test last; gap:
    time between the parts, in Lyapunov times. rng: seed of the start and of the noise. A parameter
    of the system may be a list: the dim ``parameter`` then holds an orbit for each value, all with
    the spacing of the shortest Lyapunov time.

    Returns x(time, state) as observed; where there is noise, clean(time, state) and noise(state),
    its standard deviation; lyapunov(exponent), split(time). lambda_1 is the known one
    (``dm.systems.known_exponents``) at the system's own parameters, else measured; the attributes
    say which. Raises ValueError for a spacing that skips the dynamics: more than a Lyapunov time,
    or more than a quarter turn of the fastest component; ConvergenceError where a conserved energy
    drifts; MemoryError, before it starts, for more samples than fit.

    >>> d = Orbits("lorenz63")(samples=500, noise=0.1)
    >>> round(d.attrs["lyapunov_time"], 4), d.attrs["signal_to_noise"]
    (1.1042, '10 (20.0 dB)')
    """

    name: str

    @property
    def options(self) -> dict:
        """Options with their defaults."""
        own = {
            "samples": 20_000,
            "fraction": 0.02,
            "dt": None,
            "transient": None,
            "noise": 0.0,
            "train": 0.7,
            "validation": 0.15,
            "gap": 3.0,
            "rng": 0,
        }
        taken = fields(type(systems.get(self.name)))
        return own | {f.name: getattr(systems.get(self.name), f.name) for f in taken if f.init}

    @property
    def settings(self) -> dict:
        """The options that are not parameters of the system."""
        return {
            name: value
            for name, value in self.options.items()
            if name not in {f.name for f in fields(type(systems.get(self.name)))}
        }

    @property
    def about(self):
        """What it is in a line."""
        return f"orbit: {systems.about(self.name)}"

    def __call__(self, **given):
        plan = self.plan(**given)
        # blocks, and all of them together
        require_memory(
            2 * plan.nbytes,
            f"{plan.samples} samples of {self.name}",
            "pass fewer, or write them to a file: dm.datasets.write, dynmem data",
        )
        blocks = list(plan.blocks())
        return plan.labelled(*(np.concatenate(part, axis=-2) for part in zip(*blocks, strict=True)))

    def plan(
        self,
        *,
        samples=20_000,
        fraction=0.02,
        dt=None,
        transient=None,
        noise=0.0,
        train=0.7,
        validation=0.15,
        gap=3.0,
        rng=0,
        **parameters,
    ):
        """What is integrated and how: a ``Plan``."""
        # by the system
        found = [name for name, value in (("dt", dt), ("transient", transient)) if value is None]
        positive, least = [
            {"fraction", "dt"} - set(found),
            {"transient", "noise", "gap"} - set(found),
        ]
        refuse(
            {
                "samples": samples,
                "fraction": fraction,
                "dt": dt,
                "transient": transient,
                "noise": noise,
                "train": train,
                "validation": validation,
                "gap": gap,
                "rng": rng,
            },
            wholes={"samples": 10},
            reals=dict.fromkeys(sorted(least), (0, np.inf)),
            positive=sorted(positive),
        )
        members, values = _members(self.name, parameters)
        clocks = [clock(self.name, system, published=not parameters, rng=rng) for system in members]
        unit = min(each.unit for each in clocks)
        if not np.isfinite(unit) and dt is None:
            why = "is not chaotic here" if isinstance(members[0], Map) else "comes to rest"
            raise ValueError(
                f"{self.name} {why}, so that it has no time of its own: pass dt, the "
                "time between two samples"
            )
        if (
            dt is not None
            and isinstance(members[0], Map)
            and abs(dt / members[0].dt - max(1, round(dt / members[0].dt))) > 1e-9
        ):
            raise ValueError(
                f"dt = {dt}: {self.name} moves in steps of {members[0].dt:g}, pass a multiple of it"
            )
        maps, every = _steps(members, fraction * unit if dt is None else dt)
        plan = Plan(
            self.name, tuple(maps), every, tuple(clocks), values, samples, noise, rng, transient
        )
        _refuse_skips(plan)
        gap_samples = round(gap * unit / plan.dt) if np.isfinite(unit) else 0
        return replace(
            plan, ends=ends(samples, train=train, validation=validation, gap=gap_samples)
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """Orbits that are about to be integrated: as maps of which every so manyth state is a
    sample."""

    name: str
    maps: tuple
    every: int
    clocks: tuple
    values: dict
    samples: int
    noise: float
    rng: object
    transient: float | None
    ends: tuple = ()

    dt = property(lambda self: self.every * self.maps[0].dt)
    systems = property(lambda self: [m.flow if isinstance(m, FlowMap) else m for m in self.maps])
    several = property(lambda self: bool(self.values))

    @cached_property
    def generators(self):
        """Generators of the starts and of the noise."""
        return np.random.default_rng(self.rng).spawn(2)

    @cached_property
    def starts(self):
        """States of the first sample."""
        seed = int(self.generators[0].integers(2**32))
        return [
            self._settled(each, seed, steps)
            for each, steps in zip(self.maps, self.transients, strict=True)
        ]

    @cached_property
    def spread(self):
        """Standard deviation of each component, ([parameter,] 1, state), over the first samples, at
        most PILOT."""
        count = min(PILOT, self.samples) * self.every
        found = np.stack(
            [
                trajectory(each, x, count)[: -1 : self.every].std(axis=0)
                for each, x in zip(self.maps, self.starts, strict=True)
            ]
        )
        return found[:, None, :] if self.several else found

    def blocks(self) -> Iterator[tuple]:
        """Blocks of states ([parameter,] time, state), as observed, and clean ones where there is
        noise, one after another."""
        states, disturbing, done = self.starts, self.generators[1], 0
        while done < self.samples:
            count = min(BLOCK, self.samples - done)
            orbits = [
                _faithful(*each, count * self.every)
                for each in zip(self.maps, self.clocks, states, strict=True)
            ]
            states = [orbit[-1] for orbit in orbits]
            clean = (
                np.stack([orbit[: -1 : self.every] for orbit in orbits])
                if self.several
                else orbits[0][: -1 : self.every]
            )
            yield (
                (clean,)
                if not self.noise
                else (
                    clean + self.noise * self.spread * disturbing.standard_normal(clean.shape),
                    clean,
                )
            )
            done += count

    @property
    def transients(self):
        """Steps before the first sample of each orbit."""
        if self.transient is not None:
            times = [self.transient * each.unit if self.transient else 0.0 for each in self.clocks]
        else:
            times = [
                0.0 if each.conservative or not np.isfinite(each.unit) else 20.0 * each.unit
                for each in self.clocks
            ]
        steps = [
            time / each.dt if time else 0.0 for time, each in zip(times, self.maps, strict=True)
        ]
        if max(steps) > LONGEST:
            raise ValueError(
                f"transient = {self.transient} takes {max(steps):.3g} steps between "
                "samples (a system at rest has no time of its own): "
                f"pass a shorter one, of at most {LONGEST:.0e} steps"
            )
        return list(map(round, steps))

    def _settled(self, step, seed, transient):
        """State after the transient, of which no more than a block is in memory."""
        x = step.initial(np.random.default_rng(seed))
        for done in range(0, transient, BLOCK):
            x = trajectory(step, x, min(BLOCK, transient - done))[-1]
        return x

    @property
    def nbytes(self):
        """Bytes of the states, of time and of the parts."""
        return self.samples * (
            8 * self.systems[0].size * len(self.maps) * (2 if self.noise else 1) + 9
        )

    def datasets(self, attributes) -> Iterator:
        """The dataset in blocks along time, for one that is larger than memory."""
        first = 0
        for block in self.blocks():
            made = self.labelled(*block, first=first)
            made.attrs |= attributes
            first += made.sizes["time"]
            yield made

    def labelled(self, x, clean=None, first=0):
        """Dataset of states ([parameter,] time, state) whose time begins at the sample
        ``first``."""
        unit, time_unit = UNITS.get(
            self.name,
            (
                "1",
                "step" if isinstance(self.maps[0], Map) and self.maps[0].dt == 1 else "time unit",
            ),
        )
        lead = ("parameter",) if self.several else ()
        n, exponents = self.systems[0].size, _joined([each.exponents for each in self.clocks])
        rates, errors = exponents, _joined([each.errors for each in self.clocks])
        variables = {
            "x": (
                (*lead, "time", "state"),
                x,
                unit,
                "state as observed" if self.noise else "state",
            ),
            **(self._noise(lead, clean, unit) if self.noise else {}),
            "lyapunov": (
                (*lead, "exponent"),
                rates if self.several else rates[0],
                f"1/{time_unit}",
                "Lyapunov exponent",
            ),
            "lyapunov_error": (
                (*lead, "exponent"),
                errors if self.several else errors[0],
                f"1/{time_unit}",
                "error of the Lyapunov exponent",
            ),
        }
        time, count = np.arange(first, first + np.shape(x)[-2]), exponents.shape[-1]
        coords = {
            "time": ("time", time * self.dt, time_unit, "time since the first sample"),
            "state": (
                "state",
                list(self.systems[0].states) or [f"x{i}" for i in range(n)],
                "1",
                "component of the state",
            ),
            "exponent": (
                "exponent",
                np.arange(1, count + 1),
                "1",
                "index of the exponent, largest first",
            ),
            "split": ("time", marks(time, self.ends), "1", "part that the sample belongs to"),
            **{k: ("parameter", v, "1", f"parameter {k}") for k, v in self.values.items()},
        }
        parameters = describe_system(self.systems[0]) | {
            k: v.tolist() for k, v in self.values.items()
        }
        made = dataset(
            variables,
            coords,
            title=f"orbit of {type(self.systems[0]).__name__}",
            source=self.systems[0].source,
            parameters=parameters,
            seed=as_seed(self.rng),
            goal="forecast",
            **self.facts(),
        )
        made.split.attrs |= MEANINGS
        return made

    def _noise(self, lead, clean, unit):
        """What an orbit with noise holds besides."""
        deviation = self.noise * (self.spread[:, 0] if self.several else self.spread[0])
        return {
            "clean": ((*lead, "time", "state"), clean, unit, "state without observation noise"),
            "noise": (
                (*lead, "state"),
                deviation,
                unit,
                "standard deviation of the observation noise",
            ),
        }

    def facts(self) -> dict:
        """Attributes: exponents, Lyapunov times, noise, floor, law."""
        first, system = self.clocks[0], self.systems[0]
        how = (
            "iterated by dynmem"
            if isinstance(system, Map)
            else f"integrated by dynmem: {SOURCE}, error below {FINE:g} a unit of time"
        )
        transients = [
            steps * each.dt for each, steps in zip(self.maps, self.transients, strict=True)
        ]
        made = {
            "sampling_step": float(self.dt),
            "transient": listed(transients),
            "exponents_source": "; ".join(dict.fromkeys(each.source for each in self.clocks)),
            "made_by": how,
            "licence": "none needed: computed",
            "floor": float(self.noise),
            "floor_meaning": "least error of a forecast, in standard deviations of each "
            "component: the observation noise",
            "chance": 1.0,
            "chance_meaning": "error of the forecast that is always the mean, in the same unit",
            "signal_to_noise": f"{1 / self.noise:g} ({-20 * np.log10(self.noise):.1f} dB)"
            if self.noise
            else "no observation noise",
        }
        if not self.several:  # of several, the variable lyapunov holds them
            made["exponents"] = listed(first.exponents)
        if any(each.chaotic for each in self.clocks):
            made["lyapunov_time"] = listed(
                [each.unit if each.chaotic else np.inf for each in self.clocks]
            )
        if not all(each.chaotic for each in self.clocks):
            made["characteristic_time"] = listed(
                [np.nan if each.chaotic else each.unit for each in self.clocks]
            )
        return made | law(system)


def law(system) -> dict:
    """Equation of a small system as text and as LaTeX; of a large one its first sentence."""
    import sympy

    from ..symbolic import equations

    left = "{}' = {}" if isinstance(system, Map) else "d{}/dt = {}"
    try:
        right = list(equations(system, parameters="symbols"))
    except (ShapeError, ValueError, TypeError):
        # who writes the equation
        owner = next(kind for kind in type(system).__mro__ if {"rule", "force"} & set(vars(kind)))
        return {
            "law": " ".join(
                dict.fromkeys(
                    (kind.__doc__ or "").strip().partition("\n\n")[0]
                    for kind in (type(system), owner)
                )
            )
        }
    rows = zip(system.states, right, strict=True)
    tex = [
        sympy.latex(
            sympy.Eq(
                sympy.Symbol(rf"{name}'" if isinstance(system, Map) else rf"\dot{{{name}}}"),
                f,
                evaluate=False,
            )
        )
        for name, f in zip(system.states, right, strict=True)
    ]
    return {
        "law": ", ".join(left.format(name, f) for name, f in rows),
        "law_latex": r" \\ ".join(tex),
    }


def listed(numbers):
    """Numbers as an attribute that a file gives back as it was: netCDF knows no list of one."""
    numbers = np.asarray(numbers, dtype=np.float64).tolist()
    return numbers if len(numbers) != 1 else numbers[0]


def _joined(arrays):
    """Rows of numbers of unequal length as one array, NaN where there is none."""
    out = np.full((len(arrays), max(len(a) for a in arrays)), np.nan)
    for row, a in zip(out, arrays, strict=True):
        row[: len(a)] = a
    return out


def _members(name, parameters):
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
            "lists of parameters are flat and of one length"
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


def _steps(members, dt):
    """The systems as maps of one step, and how many of its steps lie between two samples."""
    if isinstance(members[0], Map):
        every = max(1, int(dt / members[0].dt * (1 + 1e-9)))
        return members, every
    steps = [suggest_step(flow, tolerance=FINE, duration=1e4) for flow in members]
    return [
        FlowMap(flow, dt, substeps=max(1, int(np.ceil(dt / step))), order=8)
        for flow, step in zip(members, steps, strict=True)
    ], 1


def _refuse_skips(plan):
    """Refuse a spacing between whose samples the dynamics is lost, with the largest that will
    do."""
    own = plan.maps[0].dt if isinstance(plan.systems[0], Map) else 0.0
    for each, system in zip(plan.clocks, plan.systems, strict=True):
        most = min(
            TURN / each.speed if each.speed > 0 else np.inf, each.unit if each.chaotic else np.inf
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


def _faithful(step, ticking, x, steps):
    """The orbit from x, in shorter steps where a conserved energy changes: those of one length are
    wrong at close encounters.

    Raises ConvergenceError where the shortest are not short enough.
    """
    system = step.flow if isinstance(step, FlowMap) else step
    for halving in range(1 + (HALVINGS if isinstance(step, FlowMap) else 0)):
        orbit = trajectory(
            replace(step, substeps=step.substeps << halving) if halving else step, x, steps
        )
        if not (ticking.conservative and hasattr(system, "energy")):
            return orbit
        energy = system.energy(orbit)
        # what energies the components would have apart, since the whole may be 0
        apart = system.energy(np.random.default_rng(0).permuted(orbit[:2000], axis=0))
        drift = np.abs(energy - energy[0]).max() / np.median(np.abs(apart - energy[0]))
        if drift < DRIFT:
            return orbit
    raise ConvergenceError(
        f"the energy of {type(system).__name__} drifts by a share of "
        f"{drift:.2g}: a close encounter, which even steps "
        "do not resolve; pass a smaller dt or fewer samples, or take "
        "dm.orbit(system, duration=..., rtol=1e-12)"
    )


DATASETS = {name: Orbits(name) for name in systems.names()} | {"solar_system": solar_system}
