"""Small circuits: published fixed points, limit cycles and bifurcations."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dynmem as dm
from dynmem.errors import ShapeError
from dynmem.orbits import trajectory
from dynmem.systems import (
    CTRNN,
    DoubleFitzHughNagumo,
    WongWang,
)


def test_wong_and_wang_remember():
    """Stable (0.1027, 0.1027) and (0.5670, 0.0319) with its mirror; eigenvalues -5.12, -8.33 a
    second (equations of Wong and Wang 2006, J. Neurosci. 26, 1314, solved at their parameters)."""
    network = WongWang()
    step = dm.FlowMap(network, 0.005)
    for start, end in (
        ((0.1, 0.12), (0.1027, 0.1027)),
        ((0.6, 0.1), (0.5670, 0.0319)),
        ((0.1, 0.6), (0.0319, 0.5670)),
    ):
        np.testing.assert_allclose(
            trajectory(step, np.array(start), 4000, np.zeros(2))[-1], end, atol=1e-4
        )
    memory = trajectory(step, np.array([0.6, 0.1]), 4000, np.zeros(2))[-1]
    values = np.sort(np.linalg.eigvals(dm.jacobian(network, memory)).real)[::-1]
    np.testing.assert_allclose(values, [-5.12, -8.33], atol=0.005)
    spectrum = dm.lyapunov_spectrum(network, memory, duration=10, transient=2, dt=0.01)
    np.testing.assert_allclose(spectrum.lyapunov, values, atol=1e-3)


def test_a_stimulus_writes_the_memory_and_its_end_leaves_it():
    step = dm.FlowMap(WongWang(), 0.005)
    x = np.array([0.1027, 0.1027])
    x = trajectory(step, x, 100, np.array([0.03, 0.0]))[-1]
    np.testing.assert_allclose(
        trajectory(step, x, 2000, np.zeros(2))[-1], [0.5670, 0.0319], atol=1e-4
    )


def test_the_rate_goes_through_its_removable_singularity():
    network = WongWang()
    around = network.rate(network.b / network.a + np.array([-1e-5, -1e-12, 0.0, 1e-12, 1e-5]))
    assert (
        np.isfinite(around).all()
        and (np.diff(around) >= 0).all()
        and np.isclose(around[2], 1 / network.d)
    )
    assert network.rate(np.array([-100.0]))[0] == 0.0


def test_beers_two_neurons_oscillate():
    """A limit cycle around the centre (Beer 1995): exponents 0 and below; the centre is an unstable
    focus 0.125 +- 0.25 i."""
    network = CTRNN()
    values = np.linalg.eigvals(dm.jacobian(network, -network.biases))
    np.testing.assert_allclose(sorted(values.imag), [-0.25, 0.25], atol=1e-12)
    np.testing.assert_allclose(values.real, 0.125, atol=1e-12)
    found = dm.lyapunov_spectrum(network, duration=400, transient=200, dt=0.1)
    assert abs(found.lyapunov[0]) < 5e-3 and found.lyapunov[1] < -0.1
    assert np.ptp(dm.orbit(network, duration=200, dt=0.1).x.values[1000:, 0]) > 1


@pytest.mark.parametrize("weight", [4.5, 6.0, 10.0])
def test_one_neuron_is_bistable_between_its_folds(weight):
    """Beer (1995): two stable states between the folds, one outside."""
    theory = dm.theory.ctrnn_bistability(weight)
    for current, states in (
        (theory.input_low.item() - 0.05, 1),
        (theory.input_low.item() + 0.02, 2),
        (theory.input_high.item() - 0.02, 2),
        (theory.input_high.item() + 0.05, 1),
    ):
        network = CTRNN(np.array([[weight]]), np.zeros(1))
        ends = trajectory(
            dm.FlowMap(network, 1.0), np.array([[-15.0], [15.0]]), 400, np.array([current])
        )[-1]
        assert len(np.unique(ends.round(3))) == states


def test_two_fitzhugh_nagumo_neurons_forget_their_difference():
    """On the synchronous cycle the exponents are those of one neuron, and of one neuron with -2k
    (master stability: Pecora and Carroll 1998), the latter integrated here by scipy on equations of
    their own."""
    pair = DoubleFitzHughNagumo()

    def one(t, y, k):
        v, w, a, b = y
        size = 1.0 - v * v - 2 * k
        return [
            v - v**3 / 3 - w + 0.5,
            0.08 * (v + 0.7 - 0.8 * w),
            size * a - b,
            0.08 * (a - 0.8 * b),
        ]

    settled_ = solve_ivp(one, (0, 300), [1.0, 0.5, 1.0, 0.0], args=(0.5,), rtol=1e-9, atol=1e-9).y[
        :2, -1
    ]
    y, growth = np.array([*settled_, 1.0, 0.0]), 0.0
    for _ in range(20):
        y = solve_ivp(one, (0, 25), y, args=(0.05,), rtol=1e-8, atol=1e-10).y[:, -1]
        growth += np.log(np.hypot(*y[2:]))
        y[2:] /= np.hypot(*y[2:])
    transverse = growth / 500
    start = np.concatenate((settled_, settled_))
    found = dm.lyapunov_spectrum(pair, start, duration=500, transient=100, exponents=2, dt=0.2)
    assert abs(found.lyapunov[0]) < 2e-3
    np.testing.assert_allclose(found.lyapunov[1], transverse, atol=3e-3)


def test_repulsive_neurons_fire_in_turn():
    """Antiphase firing under phase-repulsive coupling, of neurons that would rest alone (Yanagita,
    Ichinomiya and Oyama 2005)."""
    orbit = dm.orbit(
        DoubleFitzHughNagumo(current=0.3, coupling=-0.1), duration=500, dt=0.1
    ).x.values[2500:]
    assert np.ptp(orbit[:, 0]) > 3 and np.corrcoef(orbit[:, 0], orbit[:, 2])[0, 1] < -0.5
    alone = dm.orbit(
        DoubleFitzHughNagumo(current=0.3, coupling=0.0), duration=500, dt=0.1
    ).x.values[2500:]
    assert np.ptp(alone[:, 0]) < 0.1


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: WongWang(tau=0.0), ValueError),
        (lambda: CTRNN(np.ones((2, 3))), ShapeError),
        (lambda: CTRNN(np.eye(2), biases=np.zeros(3)), ShapeError),
        (lambda: CTRNN(np.eye(2), time_constants=np.zeros(2)), ValueError),
    ],
)
def test_bad_parameters_are_refused(make, error):
    with pytest.raises(error):
        make()
