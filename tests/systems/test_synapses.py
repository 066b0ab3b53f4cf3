"""Synapses: closed forms and published probabilities."""

import numpy as np
import pytest
from scipy.linalg import expm

import dynmem as dm
from dynmem.analysis import memory_lifetime, memory_trace
from dynmem.orbits import trajectory
from dynmem.systems import (
    BennaFusi,
    CascadeSynapse,
    Impulses,
    LeakySynapse,
)


def test_a_chain_fades_as_its_matrix_exponential():
    """12 variables, C_k = 2^(k-1), g = 2^(-k-2), leak at the end: r(100) = 0.133431, r(1000) =
    0.042498 ([exp(A t)]_11 of Benna and Fusi's chain, 2016, Nature Neurosci. 19, 1697)."""
    A = dm.jacobian(BennaFusi(), np.zeros(12))
    C, g = 2.0 ** np.arange(12), 2.0 ** -(np.arange(12) + 3.0)
    for k in range(12):
        expected = -(g[k] + (g[k - 1] if k else 0.0)) / C[k]
        assert np.isclose(A[k, k], expected, rtol=1e-14)
    assert (
        abs(expm(100 * A)[0, 0] - 0.133431) < 1e-6 and abs(expm(1000 * A)[0, 0] - 0.042498) < 1e-6
    )
    train = Impulses(BennaFusi(), dt=1.0)
    orbit = trajectory(train, train.rule(np.zeros(12), np.array([1.0])), 1000, np.zeros(1))
    np.testing.assert_allclose(orbit[[0, 100, 1000], 0], [1.0, 0.133431, 0.042498], atol=1e-6)


def test_a_chain_conserves_what_does_not_leak():
    chain = BennaFusi(7, base=3.0, coupling=0.1)
    x = np.random.default_rng(0).standard_normal(7)
    rate = (chain.capacity * chain.rule(x, np.array([0.5]))).sum()
    np.testing.assert_allclose(rate, 0.5 - chain.conductance[-1] * x[-1], rtol=1e-12)


@pytest.mark.parametrize(("levels", "base"), [(2, 0.5), (6, 0.5), (10, 0.5), (5, 0.3)])
def test_a_cascade_is_balanced(levels, base):
    """Rows are probabilities; all states are equally occupied under random events (Fusi, Drew and
    Abbott 2005)."""
    synapse = CascadeSynapse(levels, base)
    for M in synapse.transitions():
        assert (M >= 0).all() and (M <= 1).all()
        np.testing.assert_allclose(M.sum(1), 1.0, atol=1e-14)
    np.testing.assert_allclose(
        synapse.rule(synapse.balanced(), np.zeros(1)), synapse.balanced(), atol=1e-15
    )


def test_the_probabilities_of_the_cascade():
    """q_i = 2^(1-i), q_n = 2^(2-n), p_i = 2^(1-i) for base 1/2 (Fusi, Drew and Abbott 2005)."""
    plus, minus = CascadeSynapse(4).transitions()
    assert plus[4:, 0].tolist() == [1.0, 0.5, 0.25, 0.25]
    assert [plus[i, i + 1] for i in range(3)] == [1.0, 0.5, 0.25] and plus[3, 3] == 1.0
    assert minus[:4, 4].tolist() == [1.0, 0.5, 0.25, 0.25]


def test_single_synapses_jump_as_their_occupancies_flow():
    synapse, rng = CascadeSynapse(3), np.random.default_rng(0)
    states = np.full(40_000, 4)
    x = np.eye(6)[4]
    for event in (1.0, -1.0, -1.0, 1.0):
        states = synapse.jump(states, np.full(states.size, event), rng)
        x = synapse.rule(x, np.array([event]))
    np.testing.assert_allclose(np.bincount(states, minlength=6) / states.size, x, atol=0.01)
    np.testing.assert_allclose(synapse.weight(states).mean(), synapse.output(x, None)[0], atol=0.02)


def test_the_exponents_of_a_cascade_are_its_eigenvalues():
    found = dm.lyapunov_spectrum(CascadeSynapse(3), duration=400, transient=200)
    expected = dm.theory.memory_trace(CascadeSynapse(3), lags=[0]).lyapunov
    np.testing.assert_allclose(found.lyapunov[:3], expected[:3], atol=1e-3)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: LeakySynapse(1.0), ValueError),
        (lambda: CascadeSynapse(1), ValueError),
        (lambda: CascadeSynapse(3, base=0.6), ValueError),
        (lambda: BennaFusi(base=1.0), ValueError),
        (lambda: memory_trace(LeakySynapse(), lags=[5], stored=3), ValueError),
        (lambda: memory_trace(LeakySynapse(), lags=[-1]), ValueError),
        (
            lambda: memory_lifetime(dm.theory.memory_trace(LeakySynapse(), lags=[0, 1]), [0]),
            ValueError,
        ),
    ],
)
def test_bad_parameters_are_refused(make, error):
    with pytest.raises(error):
        make()
