"""Requests that cannot fit or cannot end: every public analysis says so before it starts, with what
it needs and what is free."""

import signal
from contextlib import contextmanager

import numpy as np
import pytest

import dynmem as dm
from dynmem import analysis
from dynmem.runtime import memory

SECONDS = 20  # the first call imports torch
ENOUGH = (MemoryError, ValueError)


@contextmanager
def within(seconds):
    """Fail where a call goes on for longer."""

    def stop(signum, frame):
        raise AssertionError(f"was still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


HENON, LORENZ = dm.systems.get("henon"), dm.systems.get("lorenz63")
TANH = dm.models.get("tanh", units=4, inputs=1, rng=0)
LARGE = dm.systems.get("lorenz96", units=10**6)
SERIES = np.sin(np.arange(2000.0))
DEEP = dm.models.get("gru", units=4, inputs=4, layers=2, placement="pre", rng=0)
LINE = dm.linearize(dm.models.get("linear", units=4, inputs=1, rng=0), np.zeros(4))
MANY = 10**12

# function: calls, each with the word that the sentence has
REQUESTS = {
    "bifurcation": [
        lambda: analysis.bifurcation(dm.systems.get("logistic"), "r", [3.2], transient=1e16),
        lambda: analysis.bifurcation(
            dm.systems.get("logistic"), "r", [3.2], transient=9, samples=MANY
        ),
        lambda: analysis.bifurcation(LORENZ, "rho", [28.0], duration=1e16, transient=1, dt=0.01),
    ],
    "parameter_map": [
        lambda: analysis.parameter_map(
            dm.systems.get("logistic"), {"r": [3.2, 3.9]}, duration=1e17
        ),
    ],
    "period_doublings": [
        lambda: analysis.period_doublings(
            dm.systems.get("logistic"), "r", 2.9, 3.6, doublings=1, duration=10**16
        ),
    ],
    "conditional_exponents": [
        lambda: analysis.conditional_exponents(LORENZ, responding=["y", "z"], duration=1e16),
    ],
    "echo_state": [
        lambda: analysis.echo_state(TANH, duration=1e16),
        lambda: analysis.echo_state(TANH, duration=100, replicas=MANY),
    ],
    "covariant_vectors": [
        lambda: analysis.covariant_vectors(HENON, duration=1e16),
        lambda: analysis.covariant_vectors(HENON, duration=MANY),
    ],
    "finite_time_exponents": [
        lambda: analysis.finite_time_exponents(HENON, duration=1e16, window=2),
        lambda: analysis.finite_time_exponents(HENON, duration=1e11, window=2),
    ],
    "lyapunov_spectrum": [
        lambda: analysis.lyapunov_spectrum(HENON, duration=1e16),
        lambda: analysis.lyapunov_spectrum(LORENZ, duration=1e16),
        lambda: analysis.lyapunov_spectrum(HENON, duration=10, transient=1e16),
        lambda: analysis.lyapunov_spectrum(LARGE, duration=1),
    ],
    "gali": [
        lambda: analysis.gali(HENON, np.zeros(2), duration=1e16),
        lambda: analysis.gali(LORENZ, duration=1e16, dt=0.01),
    ],
    "megno": [lambda: analysis.megno(HENON, np.zeros(2), duration=1e16)],
    "gradient_norms": [
        lambda: analysis.gradient_norms(TANH, lags=MANY),
        lambda: analysis.gradient_norms(TANH, lags=[0, MANY]),
        lambda: analysis.gradient_norms(TANH, lags=4, samples=10**9),
        lambda: analysis.gradient_norms(TANH, lags=4, transient=10**16),
    ],
    "gradient_profile": [
        lambda: analysis.gradient_profile(TANH, lags=MANY),
        lambda: analysis.gradient_profile(TANH, lags=4, samples=10**9),
        lambda: analysis.gradient_profile(TANH, lags=4, probes=MANY),
    ],
    "memory_horizon": [
        lambda: analysis.memory_horizon(TANH, lags=MANY),
        lambda: analysis.memory_horizon(TANH, lags=4, samples=10**9),
    ],
    "kernel_tail": [
        lambda: analysis.kernel_tail(LINE, lags=MANY),
        lambda: analysis.kernel_tail(TANH, lags=MANY),
    ],
    "receptive_field": [
        lambda: analysis.receptive_field(TANH, lags=MANY),
        lambda: analysis.receptive_field(TANH, lags=9, samples=MANY),
    ],
    "path_length": [lambda: analysis.path_length(TANH, lags=MANY)],
    "depth_spectrum": [lambda: analysis.depth_spectrum(DEEP, steps=9, samples=MANY)],
    "layer_gradients": [lambda: analysis.layer_gradients(DEEP, steps=MANY)],
    "stream_variance": [lambda: analysis.stream_variance(DEEP, samples=MANY)],
    # of a flow at most the close returns of one orbit are tried
    "cycles": [lambda: analysis.cycles(HENON, period=2, starts=MANY)],
    "fixed_points": [
        lambda: analysis.fixed_points(HENON, starts=10**9),
        lambda: analysis.fixed_points(HENON, starts=10**10, box=(-2.0, 2.0)),
        lambda: analysis.fixed_points(TANH, np.zeros((3, 4)), starts=10**10),
    ],
    "slow_points": [lambda: analysis.slow_points(TANH, starts=10**10)],
    "spectrum": [
        lambda: analysis.spectrum(LARGE, np.zeros(10**6)),
        lambda: analysis.spectrum(np.eye(2), lags=MANY),
    ],
    "spectral_radius": [lambda: analysis.spectral_radius(LARGE, np.zeros(10**6))],
    "spectral_abscissa": [lambda: analysis.spectral_abscissa(LARGE, np.zeros(10**6))],
    "memory_capacity": [
        lambda: analysis.memory_capacity(TANH, lags=MANY),
        lambda: analysis.memory_capacity(TANH, lags=9, steps=MANY),
        lambda: analysis.memory_capacity(TANH, lags=10**6, degree=2),
    ],
    "linear_capacity": [lambda: analysis.linear_capacity(LINE, lags=MANY)],
    "noisy_recall": [
        lambda: analysis.noisy_recall(TANH, duration=9, trials=MANY),
        lambda: analysis.noisy_recall(TANH, duration=1e16),
        lambda: analysis.noisy_recall(TANH, duration=9, points=MANY),
    ],
    "memory_trace": [
        lambda: analysis.memory_trace(
            dm.systems.get("cascade_synapse"), lags=[1, 10], synapses=MANY
        ),
        lambda: analysis.memory_trace(
            dm.systems.get("cascade_synapse"), lags=[1, 10], stored=10**14
        ),
    ],
    "series_exponent": [lambda: analysis.series_exponent(SERIES, surrogates=MANY)],
    "zero_one_test": [lambda: analysis.zero_one_test(SERIES, frequencies=MANY)],
}
# what takes no length of its own: bounded by the data, the model, or a search with a cap of its own
BOUNDED = {
    "attention_dilution": "by the window of the attention",
    "attention_paths": "by the window of the attention",
    "forgetting": "by the gradients given",
    "kaplan_yorke": "by the exponents given",
    "memory_lifetime": "by the trace given",
    "retrieved_overlap": "by the units of the network, measured in sweeps",
    "counted_cost": "counts on short sequences, and extrapolates exactly",
    "measured_cost": "has the argument limit, in seconds",
    "match": "a bisection over max_units",
    "token_paths": "by the texts given",
}
OTHERS = {
    "orbit": [
        lambda: dm.orbit(HENON, duration=MANY),
        lambda: dm.orbit(HENON, duration=3e9),
        lambda: dm.orbit(LORENZ, duration=1e9, dt=1e-3),
        lambda: dm.orbit(HENON, duration=1e300),
    ],
    "jacobian": [lambda: dm.jacobian(LARGE, np.zeros(10**6))],
    "models": [
        lambda: dm.models.get("linear", units=10**6),
        lambda: dm.models.get("tanh", units=10**6),
    ],
    "study": [
        lambda: dm.Study("a", "?", {"gain": range(10**9)}, lambda gain: None),
        lambda: dm.Study("a", "?", {"gain": [1]}, lambda gain: None, settings={"x": range(10**9)}),
    ],
}


def test_every_public_analysis_has_a_request_or_a_reason():
    assert {*dir(analysis)} >= REQUESTS.keys() | BOUNDED.keys()
    public = {name for name in analysis.__all__ if callable(getattr(analysis, name))}
    assert public - REQUESTS.keys() - BOUNDED.keys() == set()
    assert not REQUESTS.keys() & BOUNDED.keys()


ROWS = [
    pytest.param(call, id=f"{name}{i}")
    for name, calls in {**REQUESTS, **OTHERS}.items()
    for i, call in enumerate(calls)
]


@pytest.mark.parametrize("call", ROWS)
def test_a_request_that_cannot_fit_is_refused_before_it_starts(call):
    with within(SECONDS), pytest.raises(ENOUGH) as error:
        call()
    words = str(error.value)
    assert "\n" not in words and "Unable to allocate" not in words.partition(" does not fit")[0]
    if isinstance(error.value, MemoryError):
        assert "pass" in words and any(unit in words for unit in ("GB", "TB", "PB", "GiB", "TiB"))
    else:
        assert any(part in words for part in ("days", "at most")), words


def test_what_fits_in_the_machine_but_not_in_what_is_free_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 10**9)
    with pytest.raises(
        MemoryError,
        match=r"an orbit of Henon over 1e\+08 steps: needs about 3.2 GB of memory, 2 GB are free: "
        "pass a shorter duration",
    ):
        dm.orbit(HENON, duration=1e8)
