"""Synaptic memories: published laws, the matrix exponential, and measured traces."""

import numpy as np
import pytest
from scipy.linalg import expm

import dynmem as dm
from dynmem import theory
from dynmem.analysis import memory_lifetime, memory_trace
from dynmem.systems import BennaFusi, CascadeSynapse, Impulses, LeakySynapse, LineAttractor


def chain(lags, *shape, dt=1.0, stored=None):
    return theory.memory_trace(Impulses(BennaFusi(*shape), dt=dt), lags=lags, stored=stored)


def leaky(lags, rate):
    return theory.memory_trace(LeakySynapse(rate), lags=lags, binary=True)


def test_a_chain_fades_as_one_over_the_root_of_time():
    """r(100) = 0.133431, r(1000) = 0.042498, slope -1/2 (Benna and Fusi 2016, Nature Neurosci. 19,
    1697)."""
    found = chain([100, 1000, 100_000])
    np.testing.assert_allclose(found.trace[:2], [0.133431, 0.042498], atol=1e-6)
    lags = np.unique(np.logspace(1.5, 5, 50).astype(int))
    slope = np.gradient(np.log(chain(lags).trace.values), np.log(lags))
    assert np.abs(slope[5:-5] + 0.5).max() < 0.02


@pytest.mark.parametrize(
    ("variables", "base", "coupling"),
    [(1, 2.0, 0.25), (5, 2.0, 0.25), (8, 3.0, 0.5), (6, 1.3, 1.0)],
)
def test_other_chains(variables, base, coupling):
    A = dm.jacobian(BennaFusi(variables, base, coupling), np.zeros(variables))
    shape = (variables, base, coupling)
    found = chain([0, 1, 17, 300], *shape, dt=0.5)
    np.testing.assert_allclose(
        found.trace, [expm(0.5 * lag * A)[0, 0] for lag in (0, 1, 17, 300)], rtol=1e-8, atol=1e-13
    )
    np.testing.assert_allclose(
        found.lyapunov, np.sort(np.linalg.eigvals(A).real)[::-1], rtol=1e-6, atol=1e-12
    )
    traces = chain(range(40), *shape).trace.values
    some = chain([0], *shape, stored=40)
    np.testing.assert_allclose(some.noise, np.sqrt((traces**2).sum()), rtol=1e-10)


def test_measured_exponents_of_a_chain_agree():
    predicted = chain([0], 3)
    for system in (BennaFusi(3), Impulses(BennaFusi(3), dt=0.5)):
        measured = dm.lyapunov_spectrum(system, duration=1000, transient=500, dt=0.5)
        np.testing.assert_allclose(measured.lyapunov, predicted.lyapunov, atol=1e-5)


def test_exponential_forgetting_lasts_for_the_logarithm_of_the_synapses():
    """Lifetime ln(N)/(2 |ln(1 - q)|): Amit and Fusi (1994), Neural Comput. 6, 957."""
    q, sizes = 0.1, np.logspace(4, 9, 6)
    found = memory_lifetime(leaky(range(400), q), sizes)
    np.testing.assert_allclose(
        found.lifetime, (0.5 * np.log(sizes) + np.log(q)) / -np.log1p(-q), atol=0.05
    )
    np.testing.assert_allclose(
        np.diff(found.lifetime) / np.diff(np.log(sizes)), 0.5 / -np.log1p(-q), rtol=0.01
    )


def test_a_chain_lasts_in_proportion_to_the_synapses():
    """ln lifetime over ln N: slope 1 within 0.05 (Benna and Fusi 2016)."""
    lags = np.unique(np.logspace(0, 7, 400).astype(int))
    for variables, base, coupling in ((16, 2.0, 0.25), (12, 3.0, 0.3)):
        made = chain(lags, variables, base, coupling)
        found = memory_lifetime(made, np.logspace(4, 6.5, 11))
        slope = np.polyfit(np.log(found.synapses), np.log(found.lifetime), 1)[0]
        assert abs(slope - 1) < 0.05
        # a chain of steps of 3 ripples about the law
        assert base > 2 or np.abs(found.slope - 1).max() < 0.05


def test_a_cascade_lasts_longer_than_exponential_forgetting():
    """A power of N (Fusi, Drew and Abbott 2005): with 10^6 synapses 857 events, against 148 for the
    same trace at rate 0.02."""
    lags = np.unique(np.logspace(0, 5, 300).astype(int))
    cascade = memory_lifetime(theory.memory_trace(CascadeSynapse(15), lags=lags), [1e5, 1e6, 1e7])
    plain = memory_lifetime(leaky(lags, 0.02), [1e5, 1e6, 1e7])
    assert (cascade.lifetime > 2 * plain.lifetime).all() and 0.5 < cascade.slope[1] < 0.75


@pytest.mark.parametrize(
    ("system", "binary"),
    [
        (LeakySynapse(0.05), False),
        (LeakySynapse(0.05), True),
        (CascadeSynapse(5), True),
        (Impulses(BennaFusi(4), dt=1.0), False),
    ],
)
def test_measured_traces_agree(system, binary):
    given = {"lags": [0, 1, 3, 10, 30, 100], "stored": 501, "binary": binary}
    measured = memory_trace(system, **given, synapses=4000, rng=2)
    predicted = theory.memory_trace(system, **given)
    verdict = dm.compare(predicted, measured, of="trace", sigmas=4.0).verdict
    assert (verdict == "agree").all() and abs(measured.noise / predicted.noise - 1) < 0.03


def test_a_lifetime_beyond_the_lags_is_infinite_and_a_faint_memory_has_none():
    found = memory_lifetime(leaky(range(10), 0.01), [10, 1e9])
    assert found.lifetime.values.tolist() == [0.0, np.inf]


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: theory.memory_trace(CascadeSynapse(), lags=[-1]), ValueError, r"lags = \[-1\]"),
        (lambda: chain([1], stored=0), ValueError, "stored = 0"),
        (lambda: theory.memory_trace(LineAttractor(), lags=[1]), TypeError, "got LineAttractor"),
        (
            lambda: memory_lifetime(theory.line_attractor(LineAttractor(), time=1.0), [10]),
            ValueError,
            "signal_to_noise",
        ),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
