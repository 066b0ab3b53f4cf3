"""Memory in the brain: the systems, against closed forms, published numbers and independent
simulations."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import dynmem as dm
from dynmem.analysis import memory_lifetime, memory_trace, noisy_recall, retrieved_overlap
from dynmem.errors import ConvergenceError, NotFiniteError, ShapeError
from dynmem.orbits import trajectory
from dynmem.systems import (
    CTRNN,
    BennaFusi,
    CascadeSynapse,
    DoubleFitzHughNagumo,
    FlipFlop,
    GradedHopfield,
    Hopfield,
    Impulses,
    LeakySynapse,
    LineAttractor,
    Noisy,
    RingAttractor,
    WongWang,
)
from dynmem.systems.attractors import flipped, logistic, random_patterns
from dynmem.systems.neural import SYSTEMS


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_of_the_table_keeps_the_contract_and_stays_finite(name):
    system = dm.systems.get(name)
    dm.check_system(system)
    assert system.source and type(system).__doc__
    step = system if isinstance(system, dm.Map) else dm.FlowMap(system, 0.01)
    drive = np.zeros(system.inputs) if system.inputs else None
    starts = np.array([system.initial(seed) for seed in range(5)])
    assert np.isfinite(trajectory(step, starts, 200, drive)).all()
    assert not np.array_equal(starts[0], starts[1])


# ---- line attractor


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


def test_noise_leaves_the_exponents_of_a_line_attractor_alone():
    noisy = Noisy(LineAttractor(0.9), dt=0.1, diffusion=0.3)
    found = dm.lyapunov_spectrum(noisy, duration=50, transient=10, drive=1.0)
    np.testing.assert_allclose(found.lyapunov, [-0.1], atol=1e-9)


def test_the_stationary_variance_of_a_noisy_leak():
    """Strang's splitting: (D/k) k dt/sinh(k dt), from the recurrence of the variance of a linear
    map."""
    dt, D = 0.5, 0.2
    noisy = Noisy(LineAttractor(0.0), dt=dt, diffusion=D)
    growth, kick = (
        dm.jacobian(noisy, np.zeros(1), np.zeros(1), wrt=wrt)[0, 0] for wrt in ("state", "input")
    )
    # Runge-Kutta of order 4 at dt/2
    np.testing.assert_allclose(kick**2 / (1 - growth**2), D * dt / np.sinh(dt), rtol=1e-3)
    fine = Noisy(LineAttractor(0.0), dt=0.01, diffusion=D)
    growth, kick = (
        dm.jacobian(fine, np.zeros(1), np.zeros(1), wrt=wrt)[0, 0] for wrt in ("state", "input")
    )
    np.testing.assert_allclose(kick**2 / (1 - growth**2), D, rtol=2e-5)


# ---- ring attractor


def settled(ring, angle, time=300.0):
    return trajectory(dm.FlowMap(ring, 0.1), ring.bump(angle), round(time / 0.1))[-1]


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


# ---- Hopfield


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


# ---- synapses


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


# ---- small circuits


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
            dm.FlowMap(network, 0.2), np.array([[-15.0], [15.0]]), 2000, np.array([current])
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
    for _ in range(40):
        y = solve_ivp(one, (0, 25), y, args=(0.05,), rtol=1e-8, atol=1e-10).y[:, -1]
        growth += np.log(np.hypot(*y[2:]))
        y[2:] /= np.hypot(*y[2:])
    transverse = growth / 1000
    start = np.concatenate((settled_, settled_))
    found = dm.lyapunov_spectrum(pair, start, duration=1000, transient=200, exponents=2, dt=0.2)
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


# ---- bad input


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
        (lambda: LeakySynapse(1.0), ValueError),
        (lambda: CascadeSynapse(1), ValueError),
        (lambda: CascadeSynapse(3, base=0.6), ValueError),
        (lambda: BennaFusi(base=1.0), ValueError),
        (lambda: WongWang(tau=0.0), ValueError),
        (lambda: CTRNN(np.ones((2, 3))), ShapeError),
        (lambda: CTRNN(np.eye(2), time_constants=np.zeros(2)), ValueError),
        (lambda: Noisy(WongWang(), dt=0.0), ValueError),
        (lambda: Noisy(WongWang(), diffusion=-1.0), ValueError),
        (lambda: Noisy(LeakySynapse()), TypeError),
        (lambda: Impulses(dm.systems.get("lorenz63")), ValueError),
        (lambda: noisy_recall(Noisy(LineAttractor()), duration=1, trials=1), ValueError),
        (lambda: noisy_recall(Noisy(LineAttractor()), duration=0.01), ValueError),
        (
            lambda: noisy_recall(Noisy(LineAttractor()), duration=1, readout=lambda x: 1.0),
            ShapeError,
        ),
        (lambda: memory_trace(LeakySynapse(), lags=[5], stored=3), ValueError),
        (lambda: memory_trace(LeakySynapse(), lags=[-1]), ValueError),
        (lambda: memory_trace(Noisy(WongWang()), lags=[1]), ShapeError),
        (lambda: retrieved_overlap(Hopfield(), probes=50), ValueError),
        (
            lambda: memory_lifetime(dm.theory.memory_trace(LeakySynapse(), lags=[0, 1]), [0]),
            ValueError,
        ),
    ],
)
def test_bad_input_is_refused(make, error):
    with pytest.raises(error):
        make()
