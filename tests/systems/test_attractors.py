"""Attractor networks: closed forms, published numbers, theory."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import retrieved_overlap
from dynmem.errors import ConvergenceError, NotFiniteError, ShapeError
from dynmem.orbits import trajectory
from dynmem.systems import (
    FlipFlop,
    GradedHopfield,
    Hopfield,
    LineAttractor,
    RingAttractor,
)
from dynmem.systems.attractors import flipped, logistic, random_patterns


@pytest.mark.parametrize(
    ("feedback", "tau"), [(0.0, 1.0), (0.9, 1.0), (1.0, 1.0), (0.95, 0.1), (1.05, 2.0)]
)
def test_a_line_attractor_leaks_with_tau_over_one_less_w(feedback, tau):
    """x' = -x + w x: time constant 1/(1 - w), exact (Seung 1996, PNAS 93, 13339)."""
    line = LineAttractor(feedback, tau, units=3)
    values = np.sort(np.linalg.eigvals(dm.jacobian(line, np.ones(3))).real)[::-1]
    np.testing.assert_allclose(
        values, sorted([(feedback - 1) / tau, -1 / tau, -1 / tau], reverse=True), atol=1e-14
    )
    end = dm.orbits.trajectory(
        dm.FlowMap(line, 0.05 * tau, order=8), np.array([0.5, 1.0, 1.5]), 40
    )[-1]
    np.testing.assert_allclose(end.mean(), np.exp((feedback - 1) * 2.0), rtol=1e-9)


def test_exponents_of_a_line_attractor():
    found = dm.lyapunov_spectrum(LineAttractor(0.9, units=2), duration=50, transient=50, dt=0.1)
    np.testing.assert_allclose(found.lyapunov, [-0.1, -1.0], atol=1e-6)


def settled(ring, angle, time=300.0):
    return trajectory(dm.FlowMap(ring, 0.2), ring.bump(angle), round(time / 0.2))[-1]


def eigenvalues(ring, rates):
    return np.sort(np.linalg.eigvals(dm.jacobian(ring, rates)).real)[::-1]


def test_a_weakly_tuned_ring_is_flat():
    """N = 128, J0 = -7.3, I = 1, J1 = 1.8: top eigenvalue J1/2 - 1 = -0.1 (Ben-Yishai, Bar-Or and
    Sompolinsky 1995, PNAS 92, 3844)."""
    ring = RingAttractor(modulation=1.8)
    rates = settled(ring, 0.7)
    assert np.ptp(rates) < 1e-10
    np.testing.assert_allclose(eigenvalues(ring, rates)[:3], [-0.1, -0.1, -1.0], atol=1e-9)


@pytest.mark.parametrize("angle", [0.01, 0.0245, 0.7, 3.0])
def test_a_bump_stands_where_it_was_put(angle):
    """J1 = 4: 64 of 128 units wherever it starts, exponents 0 and -0.7609 (equations of Ben-Yishai
    et al. 1995, solved on the lattice)."""
    ring = RingAttractor()
    rates = settled(ring, angle)
    assert (rates > 1e-12).sum() == 64
    np.testing.assert_allclose(eigenvalues(ring, rates)[:2], [0.0, -0.7609], atol=1e-4)
    assert abs(ring.phase(rates) - angle) < 2 * np.pi / 128


def test_only_a_bump_on_a_unit_feels_the_lattice():
    """Exactly centred: 65 active units and the eigenvalue +4/N = 0.03125 (derived in
    ``theory.ring_bump``), the two outer ones at their threshold."""
    ring = RingAttractor()
    rates = settled(ring, 0.0, 5.0)
    for _ in range(2000):  # keep the symmetry, which rounding would break
        rates = rates + 0.1 * ring.rule(rates, None)
        rates = 0.5 * (rates + np.roll(rates[::-1], 1))
    order = rates @ ring.tuning.T / 128
    field = (
        ring.current + ring.inhibition * order[0] + ring.modulation * order[1:] @ ring.tuning[1:]
    )
    active = field > -1e-12
    assert active.sum() == 65 and abs(field[32]) < 1e-12
    cosines = np.cos(ring.angles[:, None] - ring.angles)
    values = np.linalg.eigvals(
        active[:, None] * (ring.inhibition + ring.modulation * cosines) / 128 - np.eye(128)
    ).real
    np.testing.assert_allclose(np.sort(values)[-1], 0.03125, atol=1e-9)


def test_exponents_of_a_ring_attractor():
    ring = RingAttractor()
    start = settled(ring, 1.0, 100.0)
    found = dm.lyapunov_spectrum(ring, start, duration=40, transient=40, exponents=3, dt=0.1)
    np.testing.assert_allclose(
        found.lyapunov, dm.theory.ring_bump(RingAttractor()).lyapunov[:3], atol=1e-4
    )


def test_hopfield_weights_are_hebbian_and_the_field_is_theirs():
    net = Hopfield.random(30, 4, rng=3)
    P = net.patterns
    expected = sum(np.outer(p, p) for p in P) / 30
    np.fill_diagonal(expected, 0.0)
    x = np.random.default_rng(0).standard_normal((5, 30))
    np.testing.assert_allclose(net.weights, expected, atol=1e-14)
    np.testing.assert_allclose(net.field(x), x @ expected, atol=1e-13)


def test_one_pattern_is_recalled_in_one_step_and_ties_keep_their_state():
    net = Hopfield(np.array([[1.0, -1.0, 1.0, 1.0, -1.0]]))
    assert net.rule(flipped(net.patterns[0], 0.2), None).tolist() == net.patterns[0].tolist()
    two = Hopfield(np.array([[1.0, 1.0], [1.0, -1.0]]))  # the weights cancel
    assert two.rule(np.array([-1.0, 1.0]), None).tolist() == [-1.0, 1.0]


def test_a_network_at_temperature_zero_mends_small_errors_in_one_step():
    found = dm.lyapunov_spectrum(Hopfield.random(40, 3), duration=20, transient=5, exponents=3)
    assert np.isneginf(found.lyapunov).all()


def test_energy_falls_until_rest():
    net = Hopfield.random(200, 20, rng=1)
    found = retrieved_overlap(net, start_overlap=0.6, probes=5)
    assert (found.overlap > 0.95).all()
    with pytest.raises(ConvergenceError):
        retrieved_overlap(net, start_overlap=0.2, probes=20, sweeps=1)


def test_the_first_parallel_step_follows_gaussian_crosstalk():
    """Overlap erf(m/sqrt(2 a)) after one update (Kinzel 1985)."""
    from scipy.special import erf

    net, m = Hopfield.random(2000, 400, rng=2), 0.3
    starts = np.array([flipped(p, 0.5 * (1 - m), i) for i, p in enumerate(net.patterns)])
    after = (net.rule(starts, None) * net.patterns).mean()
    assert abs(after - erf(m / np.sqrt(0.4))) < 0.004


def test_the_heat_bath_has_glaubers_probabilities():
    """P(x_i = 1) = 1/(1 + exp(-2 h/T)) (Glauber 1963)."""
    net = Hopfield(np.ones((1, 11)), temperature=0.8)
    x = np.ones(11)
    noise = logistic(np.random.default_rng(0), 20000, 11)
    up = (net.rule(np.broadcast_to(x, noise.shape), noise) > 0).mean()
    assert abs(up - 1 / (1 + np.exp(-2 * (10 / 11) / 0.8))) < 0.003


def test_below_temperature_one_the_memory_of_one_pattern_persists():
    """m = tanh(m/T): T = 0.5 gives 0.9575 (mean field of the ferromagnet)."""
    net = Hopfield(random_patterns(1, 2000), temperature=0.5)
    noise = logistic(np.random.default_rng(1), 60, 2000)
    orbit = trajectory(net, net.patterns[0], 60, noise)
    assert (
        abs(net.overlap(orbit[20:]).mean() - dm.theory.hopfield([0.0], 0.5).overlap.item()) < 0.005
    )


def test_a_graded_memory_of_one_pattern_has_the_exponents_of_its_equation():
    beta, N = 2.0, 20
    net = GradedHopfield(random_patterns(1, N), beta=beta)
    m = 0.5
    for _ in range(500):
        m = np.tanh(beta * m * (1 - 1 / N))
    found = dm.lyapunov_spectrum(net, 0.8 * net.patterns[0], duration=50, transient=300)
    slope = beta * (1 - m * m)
    np.testing.assert_allclose(
        found.lyapunov, np.log([slope * (1 - 1 / N), *[slope / N] * (N - 1)]), atol=1e-9
    )


@pytest.mark.parametrize("load", [0.05, 0.2])
def test_the_graded_origin_is_stable_up_to_the_spin_glass_line(load):
    """Largest eigenvalue of the Hebbian weights without diagonal: (1 + sqrt a)^2 - a = 1 + 2 sqrt a
    (Marchenko and Pastur 1967)."""
    P = random_patterns(int(4000 * load), 4000)
    assert abs(np.linalg.eigvalsh(P @ P.T / 4000)[-1] - load - (1 + 2 * np.sqrt(load))) < 0.03
    net = GradedHopfield(P[:20, :60], beta=0.5)
    np.testing.assert_allclose(dm.jacobian(net, np.zeros(60)), 0.5 * net.weights, atol=1e-14)


@pytest.mark.parametrize(
    ("load", "overlap", "tolerance"), [(0.05, 1.0, 1e-3), (0.12, 0.9923, 0.006)]
)
def test_retrieval_below_capacity(load, overlap, tolerance):
    """Amit, Gutfreund and Sompolinsky (1987): overlap at load, temperature 0; finite N = 1000."""
    found = retrieved_overlap(Hopfield.random(1000, int(1000 * load), rng=5), probes=10)
    assert abs(dm.theory.hopfield([load]).overlap.item() - overlap) < 1e-3
    assert abs(found.mean_overlap - dm.theory.hopfield([load]).overlap.item()) < tolerance


def test_retrieval_ends_above_capacity():
    found = retrieved_overlap(Hopfield.random(1000, 220), probes=10)
    # 0 in theory; the remnant of the start that fades only slowly with N is well known
    assert found.mean_overlap < 0.6


@pytest.mark.parametrize("gain", [1.2, 2.0, 5.0])
def test_three_bits_have_eight_stable_states(gain):
    """8 stable fixed points of 27 (Sussillo and Barak 2013, Neural Comput. 25, 626, find as many in
    trained networks)."""
    flip_flop = FlipFlop(gain)
    m = dm.theory.flip_flop(flip_flop, time=[0.0]).fixed_point.values
    points = np.stack(np.meshgrid(m, m, m), -1).reshape(-1, 3)
    assert np.abs(flip_flop.rule(points, None)).max() < 1e-12
    stable = (np.linalg.eigvals(dm.jacobian(flip_flop, points)).real < 0).all(-1)
    assert stable.sum() == 8 and len(points) == 27


def test_a_pulse_sets_a_bit_and_no_other():
    step = dm.FlowMap(FlipFlop(), 0.1)
    x = trajectory(step, np.array([-0.9, 0.9, -0.9]), 30, np.array([4.0, 0.0, 0.0]))[-1]
    after = trajectory(step, x, 300, np.zeros(3))[-1]
    np.testing.assert_allclose(after, [0.9575, 0.9575, -0.9575], atol=1e-4)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: LineAttractor(units=0), ValueError),
        (lambda: LineAttractor(time_constant=0.0), ValueError),
        (lambda: RingAttractor(units=2), ValueError),
        (lambda: Hopfield(np.ones(5)), ShapeError),
        (lambda: Hopfield(np.full((1, 3), np.nan)), NotFiniteError),
        (lambda: Hopfield(temperature=-1.0), ValueError),
        (lambda: GradedHopfield(beta=0.0), ValueError),
        (lambda: FlipFlop(bits=1.5), ValueError),
        (lambda: retrieved_overlap(Hopfield(), probes=50), ValueError),
    ],
)
def test_bad_parameters_are_refused(make, error):
    with pytest.raises(error):
        make()
