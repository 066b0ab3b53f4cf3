"""What does each memory of the brain forget, and by which law?

Six memories under noise, load or later memories, each beside its theory. A line attractor in noise
forgets the exact value: its variance grows as 2 D t, or leaks away with 1/(1 - w) (Seung 1996). A
ring attractor keeps the shape of its bump and forgets the angle by diffusion (Ben-Yishai et al.
1995; Burak and Fiete 2012). A Hopfield network remembers every pattern up to a load of 0.138 and
none beyond (Amit, Gutfreund and Sompolinsky 1985). Synapses forget what they stored under what they
store next: exponentially, by a cascade, or as t^(-1/2) (Fusi, Drew and Abbott 2005; Benna and Fusi
2016). Competing populations hold a choice while the background current lets them (Wong and Wang
2006). A bit flips at Kramers' rate, exponential in the inverse of the noise.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.analysis import memory_lifetime, memory_trace, noisy_recall, retrieved_overlap
from dynmem.labels import dataset
from dynmem.orbits import trajectory
from dynmem.study import Study
from dynmem.systems import (
    BennaFusi,
    CascadeSynapse,
    FlipFlop,
    Hopfield,
    Impulses,
    LeakySynapse,
    LineAttractor,
    Noisy,
    RingAttractor,
    WongWang,
)

FEEDBACKS = (1.0, 0.98, 0.9)
NOISE = 1e-3  # diffusion of the line attractor's rate
RING_NOISE = 1e-5  # and of each rate of the ring
MODULATIONS = (1.0, 1.8, 2.5, 3.0, 4.0, 6.0)
LOADS = (0.02, 0.05, 0.08, 0.1, 0.115, 0.125, 0.132, 0.138, 0.145, 0.155, 0.17, 0.2)
BACKGROUNDS = tuple(np.round(np.linspace(0.30, 0.375, 26), 4).tolist())
BIT_NOISES = (0.07, 0.06, 0.052, 0.046, 0.041, 0.037)
RATE, LEVELS, VARIABLES = 0.05, 8, 12
LAGS = tuple(np.unique(np.round(np.logspace(0, 3, 19)).astype(int)).tolist())
SIZES = (1e3, 3e3, 1e4, 3e4)


def measure(seed, trials, units, synapses, duration):
    """All six memories with one seed, and what theory says of each."""
    parts = [
        line(seed, trials, duration),
        ring(seed, trials, duration),
        ring_spectrum(seed),
        hopfield(seed, units),
        synapses_of(seed, synapses),
        wong_wang(seed),
        flip_flop(seed, trials),
    ]
    return xr.merge(parts, combine_attrs="drop_conflicts", join="outer", compat="no_conflicts")


def line(seed, trials, duration):
    """Spread of the value that a line attractor holds."""
    made = []
    for feedback in FEEDBACKS:
        noisy = Noisy(LineAttractor(feedback), dt=0.1, diffusion=NOISE)
        found = noisy_recall(
            noisy, [1.0], duration=duration, trials=10 * trials, points=20, rng=seed
        )
        theory = dm.theory.line_attractor(noisy, time=found.time.values)
        made.append(_twins(found, theory, "line", ("variance", "mean_readout")))
    return xr.concat(
        made, xr.Variable("feedback", list(FEEDBACKS), {"units": "1", "long_name": "feedback w"})
    )


def ring(seed, trials, duration):
    """Spread of the angle that a ring attractor holds."""
    system = RingAttractor()
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    start = trajectory(dm.FlowMap(system, 0.1), system.bump(angle), 1000)[-1]
    noisy = Noisy(system, dt=0.1, diffusion=RING_NOISE)
    found = noisy_recall(
        noisy,
        start,
        duration=duration,
        trials=trials,
        points=20,
        readout=system.phase,
        period=2 * np.pi,
        rng=seed,
    )
    return _twins(
        found,
        dm.theory.ring_diffusion(noisy, time=found.time.values, start=system.phase(start)),
        "ring",
        ("variance",),
    )


def ring_spectrum(seed):
    """Leading exponents of a ring attractor, flat or with a bump, over the modulation."""
    made = []
    for modulation in MODULATIONS:
        system = RingAttractor(modulation=modulation)
        start = trajectory(dm.FlowMap(system, 0.1), system.initial(seed), 3000)[-1]
        found = dm.lyapunov_spectrum(
            system, start, duration=30, transient=40, exponents=3, dt=0.1, rng=seed
        )
        theory = dm.theory.ring_flat(system) if modulation <= 2 else dm.theory.ring_bump(system)
        made.append(_twins(found, theory.isel(exponent=slice(3)), "ring", ("lyapunov",)))
    return xr.concat(
        made,
        xr.Variable("modulation", list(MODULATIONS), {"units": "1", "long_name": "modulation J1"}),
    )


def hopfield(seed, units):
    """Overlap of retrieved patterns over the load, at temperature 0."""
    networks = [Hopfield.random(units, round(load * units), rng=seed) for load in LOADS]
    found = [
        retrieved_overlap(net, probes=min(10, len(net.patterns)), sweeps=400, rng=seed)
        for net in networks
    ]
    theory = dm.theory.hopfield(LOADS)
    variables = {
        "hopfield_overlap": (
            "load",
            [d.mean_overlap.item() for d in found],
            "1",
            "overlap of the retrieved state with its pattern",
        ),
        "hopfield_overlap_error": (
            "load",
            [d.mean_overlap_error.item() for d in found],
            "1",
            "standard error of the overlap",
        ),
        "hopfield_overlap_theory": ("load", theory.overlap.values, "1", "predicted overlap"),
    }
    return _dataset(variables, {"load": ("load", list(LOADS), "1", "patterns per unit")})


RULES = {
    "exponential": (LeakySynapse(RATE), True),
    "cascade": (CascadeSynapse(LEVELS), True),
    "power law": (Impulses(BennaFusi(VARIABLES), dt=1.0), False),
}


def synapses_of(seed, synapses):
    """Traces of three kinds of synapses, and how long N of them remember."""
    made = []
    for system, binary in RULES.values():
        found = memory_trace(
            system,
            lags=LAGS,
            synapses=synapses,
            stored=LAGS[-1] + 1,
            repeats=100,
            binary=binary,
            rng=seed,
        )
        theory, fine = (
            dm.theory.memory_trace(system, lags=lags, stored=LAGS[-1] + 1, binary=binary)
            for lags in (LAGS, np.unique(np.logspace(0, 5, 300).astype(int)))
        )
        part = _twins(found, theory, "synapse", ("signal_to_noise", "trace"))
        part["lifetime"], part["lifetime_theory"] = (
            memory_lifetime(found, SIZES).lifetime,
            memory_lifetime(fine, SIZES).lifetime,
        )
        made.append(part)
    return xr.concat(
        made, xr.Variable("rule", list(RULES), {"units": "1", "long_name": "law of plasticity"})
    )


def wong_wang(seed, starts=24):
    """Where two competing populations come to rest, from starts drawn at random, over the
    background current."""
    ends = []
    for background in BACKGROUNDS:
        x = np.random.default_rng(seed).uniform(0.0, 0.8, (starts, 2))
        ends.append(
            trajectory(dm.FlowMap(WongWang(background=background), 0.02), x, 1000, np.zeros(2))[-1]
        )
    return _dataset(
        {
            "wong_wang_rest": (
                ("background", "start", "state"),
                ends,
                "1",
                "share of open NMDA gates at rest",
            )
        },
        {
            "background": ("background", list(BACKGROUNDS), "nA", "background current I0"),
            "state": ("state", list(WongWang.states), "1", "population"),
        },
    )


def flip_flop(seed, trials):
    """How long a bit stays, over the noise."""
    system = FlipFlop(bits=20)
    start = np.random.default_rng(seed).choice([-0.9575, 0.9575], 20)
    units = [Noisy(system, dt=0.2, diffusion=D) for D in BIT_NOISES]
    kept, theory = [], [dm.theory.flip_flop(noisy, time=[0.0]) for noisy in units]
    for noisy, twin in zip(units, theory, strict=True):
        found = noisy_recall(
            noisy,
            start,
            duration=float(twin.escape_time.round()),
            trials=max(trials // 4, 10),
            points=4,
            readout=lambda x: np.sign(x) * np.sign(start),
            rng=seed,
        )
        kept.append(_decay_time(found.time.values, found.mean_readout.values))
    variables = {
        "bit_time": (
            "noise",
            kept,
            "time unit",
            "time in which the correlation of a bit with its start falls by 1/e",
        ),
        "bit_time_theory": (
            "noise",
            [d.escape_time.item() for d in theory],
            "time unit",
            "mean time to the ridge",
        ),
        "bit_time_kramers": (
            "noise",
            [d.kramers_time.item() for d in theory],
            "time unit",
            "the same by Kramers' formula",
        ),
    }
    return _dataset(
        variables, {"noise": ("noise", list(BIT_NOISES), "1/time unit", "noise D of a bit")}
    )


def _decay_time(times, values):
    """Time constant of the second half of a decay, when the fluctuations within a well, which come
    first, have passed."""
    half, end = len(values) // 2, len(values) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return (times[end] - times[half]) / np.log(values[half] / values[end])


def _twins(found, theory, prefix, names):
    """Measured and predicted variables side by side: prefix_NAME, prefix_NAME_error,
    prefix_NAME_theory."""
    made = {}
    for name in names:
        made[f"{prefix}_{name}"], made[f"{prefix}_{name}_theory"] = found[name], theory[name]
        error = f"{name}_error"
        if error in found:
            made[f"{prefix}_{name}_error"] = found[error]
    return xr.Dataset(made).drop_attrs(deep=False)


def _dataset(variables, coords):
    return dataset(variables, coords, title="memory in the brain", source=SOURCE).drop_attrs(
        deep=False
    )


def summary(results):
    """Table: what each memory forgets, its law, and theory beside measurement."""
    mean = results.drop_vars("status", errors="ignore").mean("seed")
    last = mean.isel(time=-1)
    rows = [f"{'memory':28}{'quantity':46}{'theory':>11}{'measured':>11}"]

    def row(memory, quantity, theory, measured):
        rows.append(f"{memory:28}{quantity:46}{float(theory):11.4g}{float(measured):11.4g}")

    for w in mean.feedback.values:
        at = last.sel(feedback=w)
        row(
            f"line attractor, w = {w:g}",
            "variance at the end",
            at.line_variance_theory,
            at.line_variance,
        )
    row(
        "ring attractor",
        "variance of the angle at the end",
        last.ring_variance_theory,
        last.ring_variance,
    )
    for J1 in (1.8, 4.0):
        at = mean.sel(modulation=J1)
        for i in (0, 1):
            row(
                f"ring attractor, J1 = {J1:g}",
                f"exponent {i + 1}",
                at.ring_lyapunov_theory[i],
                at.ring_lyapunov[i],
            )
    for load in (0.1, 0.125, 0.17):
        at = mean.sel(load=load)
        row(
            "Hopfield network",
            f"overlap at load {load:g}",
            at.hopfield_overlap_theory,
            at.hopfield_overlap,
        )
    for rule in mean.rule.values:
        at = mean.sel(rule=rule, synapses=3e3)
        row(
            f"synapses, {rule}",
            "lifetime with 3,000 synapses (memories)",
            at.lifetime_theory,
            at.lifetime,
        )
    for D in (mean.noise.values[0], mean.noise.values[-1]):
        row(
            "bit in noise",
            f"lifetime at D = {D:g}",
            mean.bit_time_theory.sel(noise=D),
            mean.bit_time.sel(noise=D),
        )
    return "\n".join(rows)


SOURCE = (
    "Seung (1996); Ben-Yishai, Bar-Or and Sompolinsky (1995); Amit, Gutfreund and "
    "Sompolinsky (1985); Fusi, Drew and Abbott (2005); "
    "Benna and Fusi (2016); Wong and Wang (2006); Kramers (1940)"
)
STUDY = Study(
    name="brain",
    question="What does each memory of the brain forget, and by which law?",
    grid={"seed": [0, 1, 2, 3]},
    settings={"trials": 200, "units": 2500, "synapses": 10_000, "duration": 20.0},
    quick={"seed": [0], "trials": 20, "units": 200, "synapses": 500, "duration": 4.0},
    units={"seed": ("1", "seed of noise, patterns and memories")},
    limits={
        "seed": (0, None),
        "trials": (2, 100_000),
        "units": (50, 20_000),
        "synapses": (10, 10_000_000),
        "duration": (1.0, 10_000.0),
    },
    source=SOURCE,
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
