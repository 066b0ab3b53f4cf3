"""What is not finite, and what does not converge (R8, R9): named, within seconds."""

import signal
from contextlib import contextmanager

import numpy as np
import pytest

import dynmem as dm
from dynmem import analysis, theory
from dynmem.analysis import retrieved_overlap
from dynmem.errors import ConvergenceError, JumpError, NotFiniteError, ShapeError
from dynmem.models import Linear
from dynmem.systems import Hopfield, RingAttractor

SECONDS = 5  # of processor time: the clock on the wall depends on what else the machine does


@contextmanager
def within(seconds):
    """An error where the block takes longer."""

    def stop(signum, frame):
        raise TimeoutError(f"still running after {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def system(kind, name, rule):
    space = {"__annotations__": {"gain": float}, "gain": 1.0, "states": ("x",), "rule": rule}
    return type(name, (kind,), space)


FLOWS = {
    "Square": lambda s, x, u: s.gain * x * x,
    "Cube": lambda s, x, u: s.gain * x**3,
    "Exponential": lambda s, x, u: dm.exp(s.gain * x),
    "Tangent": lambda s, x, u: s.gain * (1 + x * x),
    "Fall": lambda s, x, u: -s.gain / x,
    "Gravity": lambda s, x, u: -s.gain / x**2,
    "Root": lambda s, x, u: -s.gain * dm.sqrt(x) - 1,
    "Logarithm": lambda s, x, u: dm.log(x) - 1 - s.gain,
    "Nothing": lambda s, x, u: s.gain * (x - x) / (x - x),
    "Linear": lambda s, x, u: 100 * s.gain * x,
}
MAPS = {
    "Squared": lambda s, x, u: 2 * s.gain * x * x,
    "Cubed": lambda s, x, u: 4 * s.gain * x**3,
    "Powers": lambda s, x, u: dm.exp((1 + s.gain) * x),
    "Grows": lambda s, x, u: (1 + s.gain) * x,
    "Logs": lambda s, x, u: dm.log(x) - 1 - s.gain,
    "Roots": lambda s, x, u: dm.sqrt(x - s.gain),
    "Pole": lambda s, x, u: s.gain / (x - x),
    "Flips": lambda s, x, u: -(1.5 + s.gain) * x,
    "Infinity": lambda s, x, u: x + s.gain * 1e308 * 10,
    "Hyperbolic": lambda s, x, u: dm.exp(x) * dm.exp(s.gain * x),
}
LOST = r"not finite at (the start|step \d+ of \d+ )|singularity|stiff|tangent map of .* not finite"


@pytest.mark.promise("R8")
@pytest.mark.parametrize("gain", [0.9, 4.2, 30.0])
@pytest.mark.parametrize("name", [*FLOWS, *MAPS])
def test_a_blow_up_names_its_step_and_parameters(name, gain):
    kind, rules = (dm.Flow, FLOWS) if name in FLOWS else (dm.Map, MAPS)
    own = system(kind, name, rules[name])(gain=gain)
    for ask in (dm.orbit, dm.lyapunov_spectrum):
        with within(SECONDS), pytest.raises((NotFiniteError, ConvergenceError), match=LOST) as lost:
            ask(own, [0.7], duration=2000)
        assert f"gain={gain:g}" in str(lost.value) or name in str(lost.value)


@pytest.mark.promise("R8")
def test_members_of_an_ensemble_that_escape_are_labelled(case):
    found = dm.bifurcation(dm.systems.get("logistic"), "r", [3.2, 3.9, 4.5, 5.0, 6.0])
    for r in found.r.values:
        with case(r):
            one = found.sel(r=r)
            assert bool(one.escaped) == (r > 4)
            assert np.isfinite(one.x[0]) != bool(one.escaped)


# ---- R9 ------------------------------------------------------------------------------------------

NAN, INFINITE = np.full((3, 3), np.nan), np.full((3, 3), np.inf)
FALL, LEAP = (
    system(dm.Flow, "Fall", FLOWS["Fall"])(),
    system(dm.Flow, "Leap", lambda s, x, u: -dm.sign(x) * 1e9)(),
)
ROOT = system(dm.Flow, "Root", lambda s, x, u: dm.sqrt(x - 2.0))()
WIDE = system(dm.Map, "Wide", lambda s, x, u: dm.stack((x, x)))()
LOST_DIRECTION = Linear(np.diag([0.5, 0.0]))
FAILURES = {
    "eigenvalues of NaN": (lambda: dm.spectral_radius(NAN), NotFiniteError, "holds NaN"),
    "eigenvalues of infinity": (lambda: dm.spectral_radius(INFINITE), NotFiniteError, "infinity"),
    "abscissa of NaN": (lambda: dm.spectral_abscissa(NAN), NotFiniteError, "holds NaN"),
    "abscissa of infinity": (lambda: dm.spectral_abscissa(INFINITE), NotFiniteError, "infinity"),
    "spectrum of NaN": (lambda: analysis.spectrum(NAN), NotFiniteError, "holds NaN"),
    "weights of NaN": (lambda: Linear(NAN), NotFiniteError, "W of Linear"),
    "weights of infinity": (lambda: Linear(INFINITE), NotFiniteError, "W of Linear"),
    "a fall": (lambda: dm.orbit(FALL, [1.0], duration=10), ConvergenceError, "singularity"),
    "a leap": (lambda: dm.orbit(LEAP, [1.0], duration=1), JumpError, "slides"),
    "exponents of a fall": (
        lambda: dm.lyapunov_spectrum(FALL, [1.0], duration=10),
        ConvergenceError,
        "singularity",
    ),
    "exponents of a root": (
        lambda: dm.lyapunov_spectrum(ROOT, [1.0], duration=10),
        NotFiniteError,
        "at the start",
    ),
    "Jacobian of a root": (lambda: dm.jacobian(ROOT, [1.0]), NotFiniteError, "Jacobian of Root"),
    "a direction that is lost": (
        lambda: dm.covariant_vectors(LOST_DIRECTION, duration=10, transient=5),
        ConvergenceError,
        "pass exponents=k",
    ),
    "no stable cycle": (
        lambda: analysis.period_doublings(
            dm.systems.get("logistic"), "r", start=3.9, stop=4.0, x0=[0.3]
        ),
        ConvergenceError,
        "no stable cycle",
    ),
    "no bump": (
        lambda: theory.ring_bump(RingAttractor(modulation=30.0)),
        ConvergenceError,
        "no bump",
    ),
    "retrieval cut short": (
        lambda: retrieved_overlap(
            Hopfield.random(60, 12, rng=0), start_overlap=0.2, probes=12, sweeps=1
        ),
        ConvergenceError,
        "pass more",
    ),
    "another shape": (
        lambda: dm.orbit(
            system(dm.Map, "Wide", lambda s, x, u: dm.stack((x, x)))(), [1.0], duration=3
        ),
        ShapeError,
        "returned shape",
    ),
}


@pytest.mark.promise("R9")
@pytest.mark.parametrize("name", FAILURES)
def test_what_does_not_converge_is_a_named_error(name):
    call, error, words = FAILURES[name]
    with within(SECONDS), pytest.raises(error, match=words):
        call()


def short_exponents():
    found = dm.lyapunov_spectrum(dm.systems.get("lorenz63"), duration=3)
    return (found.lyapunov_error > 0.1).all()


def horizon_beyond_the_lags():
    network = dm.models.get("orthogonal", units=4, inputs=2)
    found = dm.memory_horizon(dm.gradient_norms(network, lags=10))
    return not found.reached.any() and (found.horizon_lower_bound == 10).all()


def no_fixed_point():
    found = dm.fixed_points(system(dm.Flow, "Never", FLOWS["Tangent"])(), box=(-3, 3))
    return found.sizes["point"] == 0


def slow_but_not_at_rest():
    found = dm.slow_points(system(dm.Flow, "Slow", FLOWS["Tangent"])())
    return (found.speed > 0.9).all()


def training_that_has_not_learned():
    task = dm.tasks.get("copy", delay=50)
    model = dm.models.get("gru", units=2, inputs=task.inputs, outputs=task.outputs)
    return not dm.fit(model, task, steps=1, progress=False)[1].learned


LABELLED = [
    short_exponents,
    horizon_beyond_the_lags,
    no_fixed_point,
    slow_but_not_at_rest,
    training_that_has_not_learned,
]


@pytest.mark.promise("R9")
@pytest.mark.parametrize("labelled", LABELLED, ids=lambda call: call.__name__)
def test_a_partial_result_is_labelled(labelled):
    assert labelled()
