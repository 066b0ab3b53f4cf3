"""Theory of the brain's memories: published numbers, closed forms, other ways to the same number,
and the twins of measurements."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import erf

import dynmem as dm
from dynmem import theory
from dynmem.analysis import memory_lifetime, memory_trace, noisy_recall, retrieved_overlap
from dynmem.errors import ConvergenceError
from dynmem.orbits import trajectory
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
)


def agree(predicted, measured, of, sigmas=4.0, tolerance=0.0):
    """Whether twins agree wherever both have labels."""
    return (
        dm.compare(predicted, measured, of=of, sigmas=sigmas, tolerance=tolerance).verdict
        == "agree"
    ).all()


# ---- line attractor


@pytest.mark.parametrize(("feedback", "tau"), [(0.5, 1.0), (0.9, 1.0), (0.99, 0.1)])
def test_time_constant_of_a_leak(feedback, tau):
    """1/(1 - w) (Seung 1996, PNAS 93, 13339)."""
    found = theory.line_attractor([tau / (1 - feedback)], feedback=feedback, time_constant=tau)
    assert np.isclose(found.memory_time, tau / (1 - feedback), rtol=1e-14)
    assert np.isclose(found.mean_readout[0], np.exp(-1), rtol=1e-12)


def test_an_integrator_diffuses_and_a_leak_settles():
    """Variance 2 D t/N at w = 1, D/(N k) at the end of a leak (Uhlenbeck and Ornstein 1930)."""
    assert np.allclose(
        theory.line_attractor([3.0], diffusion=0.1, units=4).variance, 2 * 0.1 * 3 / 4
    )
    assert np.allclose(
        theory.line_attractor([1e4], feedback=0.5, diffusion=0.1).variance, 0.1 / 0.5
    )
    near, at = (
        theory.line_attractor([3.0], feedback=1 - 1e-9, diffusion=0.1),
        theory.line_attractor([3.0], diffusion=0.1),
    )
    np.testing.assert_allclose(near.variance, at.variance, rtol=1e-7)


@pytest.mark.parametrize(("feedback", "units"), [(1.0, 1), (1.0, 5), (0.8, 2)])
def test_a_measured_line_attractor_agrees(feedback, units):
    noisy = Noisy(LineAttractor(feedback, units=units), dt=0.2, diffusion=0.01)
    measured = noisy_recall(noisy, np.ones(units), duration=10, trials=1000, rng=3)
    predicted = theory.line_attractor(
        measured.time.values, feedback=feedback, units=units, diffusion=0.01
    )
    assert (
        agree(predicted, measured, "variance")
        and agree(predicted, measured, "mean_readout")
        and agree(predicted, measured, "diffusion")
    )
    spectrum = dm.lyapunov_spectrum(
        LineAttractor(feedback, units=units), duration=30, transient=30, dt=0.1
    )
    np.testing.assert_allclose(spectrum.lyapunov, predicted.lyapunov, atol=1e-6)


# ---- ring attractor


def test_flat_ring():
    """N = 128, J0 = -7.3, J1 = 1.8: top eigenvalue J1/2 - 1 = -0.1 (Ben-Yishai et al. 1995); every
    mode by the eigenvalues of the matrix."""
    for units, J0, J1, tau in ((128, -7.3, 1.8, 1.0), (7, 0.5, -3.0, 0.1), (12, -1.0, 1.0, 2.0)):
        found = theory.ring_flat(units=units, inhibition=J0, modulation=J1, time_constant=tau)
        ring = RingAttractor(J0, J1, 1.0, tau, units)
        rates = np.full(units, found.rate.item())
        assert np.abs(ring.rule(rates, None)).max() < 1e-13
        expected = np.sort(np.linalg.eigvals(dm.jacobian(ring, rates)).real)[::-1]
        np.testing.assert_allclose(found.lyapunov, expected, atol=1e-10)
    assert theory.ring_flat().lyapunov[0].item() == pytest.approx(-0.1, abs=1e-12)


def test_a_bump_on_the_lattice():
    """N = 128, J1 = 4: 64 units, 0 and -0.7609; on a unit 65 and +4/N (equations of Ben-Yishai et
    al. 1995, solved on the lattice)."""
    found = theory.ring_bump()
    assert found.active.values.tolist() == [65, 64] and found.stable.values.tolist() == [
        False,
        True,
    ]
    np.testing.assert_allclose(found.lyapunov_at[:, 0], [0.03125, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.lyapunov[:2], [0.0, -0.7609], atol=1e-4)
    assert found.half_width.item() == pytest.approx(np.pi / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("units", "J0", "J1", "tau"),
    [(128, -7.3, 3.0, 1.0), (128, -7.3, 6.0, 1.0), (127, -2.0, 2.5, 0.1), (12, -5.0, 4.0, 1.0)],
)
def test_bumps_of_other_rings(units, J0, J1, tau):
    """The bump that a simulation settles in, and the eigenvalues of the rule there."""
    found = theory.ring_bump(units=units, inhibition=J0, modulation=J1, time_constant=tau)
    ring = RingAttractor(J0, J1, 1.0, tau, units)
    place = int(np.argmax(found.stable.values))
    start = ring.bump(2 * np.pi / units * (3 + 0.5 * place), height=0.3)
    rates = trajectory(dm.FlowMap(ring, 0.1 * tau), start, 3000)[-1]
    assert (rates > 1e-9).sum() == found.active[place] and np.isclose(
        rates.mean(), found.mean_rate[place], rtol=1e-8
    )
    expected = np.sort(np.linalg.eigvals(dm.jacobian(ring, rates)).real)[::-1]
    np.testing.assert_allclose(found.lyapunov, expected, atol=1e-8)


def test_the_lattice_of_many_units_is_a_continuum():
    """th - sin(2 th)/2 = 2 pi/J1 (Hansel and Sompolinsky 1998); the cost of a shift falls with
    N."""
    for J1 in (2.5, 3.0, 6.0):
        found = theory.ring_bump(units=4096, modulation=J1)
        assert abs(found.active[0] / 4096 - theory.brain.half_width(J1) / np.pi) < 1e-3
        assert np.abs(found.lyapunov_at[:, 0]).max() < 2e-3


def test_a_measured_bump_diffuses():
    ring = RingAttractor()
    start = trajectory(dm.FlowMap(ring, 0.1), ring.bump(0.7), 1000)[-1]
    measured = noisy_recall(
        Noisy(ring, dt=0.1, diffusion=1e-5),
        start,
        duration=15,
        trials=200,
        readout=ring.phase,
        period=2 * np.pi,
        points=5,
    )
    predicted = theory.ring_diffusion(measured.time.values, diffusion=1e-5, start=ring.phase(start))
    assert agree(predicted, measured, "variance", tolerance=2e-6) and agree(
        predicted, measured, "diffusion"
    )


# ---- Hopfield


def test_capacity_at_zero_temperature():
    """0.1379056 and overlap 0.9674171 there (Amit, Gutfreund and Sompolinsky 1987; the digits by
    mpmath: 0.137905566, 0.967417116)."""
    found = theory.hopfield_capacity(0.0)
    assert (
        abs(found.capacity.item() - 0.1379056) < 1e-6
        and abs(found.overlap.item() - 0.9674173) < 1e-6
    )
    assert (
        abs(found.capacity.item() - 0.137905566494931738) < 1e-11
        and abs(found.overlap.item() - 0.967417115685291592) < 1e-9
    )


def test_the_line_of_retrieval():
    """T_M = 1 - 1.95 sqrt(a) for light loads, and no retrieval from T = 1 on (Amit, Gutfreund and
    Sompolinsky 1987)."""
    found = theory.hopfield_capacity([0.0, 1e-4, 0.0011, 0.5, 0.99, 1.0, 2.0])
    np.testing.assert_allclose((1 - 0.99) / np.sqrt(found.capacity[4]), 1.95, atol=0.01)
    np.testing.assert_allclose(found.capacity[:3], 0.1379, atol=1e-4)
    assert found.capacity[5:].values.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("load", "T"), [(0.02, 0.5), (0.05, 0.5), (0.1, 0.2), (0.1, 0.0), (0.13, 0.0), (0.005, 0.8)]
)
def test_the_equations_of_the_overlap(load, T):
    """The same state by iteration of the equations with Gauss and Hermite's nodes."""
    z, w = np.polynomial.hermite_e.hermegauss(180)
    w = w / w.sum()
    m, r = 0.99, 1.0
    for _ in range(4000):
        if T:
            h = np.tanh((m + np.sqrt(load * r) * z) / T)
            m, q = w @ h, w @ h**2
            r = q / (1 - (1 - q) / T) ** 2
        else:
            m, C = (
                erf(m / np.sqrt(2 * load * r)),
                np.sqrt(2 / (np.pi * load * r)) * np.exp(-(m**2) / (2 * load * r)),
            )
            r = 1 / (1 - C) ** 2
    found = theory.hopfield([load], T)
    np.testing.assert_allclose(
        [found.overlap[0], found.interference[0]], [m, r], rtol=1e-4 if T == 0.2 else 1e-8
    )


def test_beyond_capacity_nothing_is_retrieved():
    found = theory.hopfield([0.0, 0.137, 0.1385, 1.0])
    assert found.retrieved.values.tolist() == [True, True, False, False] and found.overlap.values[
        2:
    ].tolist() == [0.0, 0.0]
    assert theory.hopfield([0.01], 1.5).overlap.item() == 0.0


def test_a_measured_overlap_agrees_at_a_temperature():
    measured = retrieved_overlap(Hopfield.random(1000, 20, temperature=0.5), probes=10, sweeps=60)
    assert (
        abs(measured.mean_overlap - theory.hopfield([0.02], 0.5).overlap.item())
        < 4 * measured.mean_overlap_error + 1e-3
    )


# ---- synapses


def test_a_chain_fades_as_one_over_the_root_of_time():
    """r(100) = 0.133431, r(1000) = 0.042498, slope -1/2 (Benna and Fusi 2016, Nature Neurosci. 19,
    1697)."""
    found = theory.benna_fusi([100, 1000, 100_000])
    np.testing.assert_allclose(found.trace[:2], [0.133431, 0.042498], atol=1e-6)
    lags = np.unique(np.logspace(1.5, 5, 50).astype(int))
    slope = np.gradient(np.log(theory.benna_fusi(lags).trace.values), np.log(lags))
    assert np.abs(slope[5:-5] + 0.5).max() < 0.02


@pytest.mark.parametrize(
    ("variables", "base", "coupling"),
    [(1, 2.0, 0.25), (5, 2.0, 0.25), (8, 3.0, 0.5), (6, 1.3, 1.0)],
)
def test_other_chains(variables, base, coupling):
    A = dm.jacobian(BennaFusi(variables, base, coupling), np.zeros(variables))
    found = theory.benna_fusi(
        [0, 1, 17, 300], variables=variables, base=base, coupling=coupling, dt=0.5
    )
    np.testing.assert_allclose(
        found.trace, [expm(0.5 * lag * A)[0, 0] for lag in (0, 1, 17, 300)], rtol=1e-8, atol=1e-13
    )
    np.testing.assert_allclose(
        found.lyapunov, np.sort(np.linalg.eigvals(A).real)[::-1], rtol=1e-6, atol=1e-12
    )
    traces = theory.benna_fusi(
        range(40), variables=variables, base=base, coupling=coupling
    ).trace.values
    some = theory.benna_fusi([0], variables=variables, base=base, coupling=coupling, stored=40)
    np.testing.assert_allclose(some.noise, np.sqrt((traces**2).sum()), rtol=1e-10)


def test_measured_exponents_of_a_chain_agree():
    predicted = theory.benna_fusi([0], variables=3)
    for system in (BennaFusi(3), Impulses(BennaFusi(3), dt=0.5)):
        measured = dm.lyapunov_spectrum(system, duration=1000, transient=500, dt=0.5)
        np.testing.assert_allclose(measured.lyapunov, predicted.lyapunov, atol=1e-5)


def test_exponential_forgetting_lasts_for_the_logarithm_of_the_synapses():
    """Lifetime ln(N)/(2 |ln(1 - q)|): Amit and Fusi (1994), Neural Comput. 6, 957."""
    q, sizes = 0.1, np.logspace(4, 9, 6)
    found = memory_lifetime(theory.leaky_synapse(range(400), rate=q, binary=True), sizes)
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
        made = theory.benna_fusi(lags, variables=variables, base=base, coupling=coupling)
        found = memory_lifetime(made, np.logspace(4, 6.5, 11))
        slope = np.polyfit(np.log(found.synapses), np.log(found.lifetime), 1)[0]
        assert abs(slope - 1) < 0.05
        # a chain of steps of 3 ripples about the law
        assert base > 2 or np.abs(found.slope - 1).max() < 0.05


def test_a_cascade_lasts_longer_than_exponential_forgetting():
    """A power of N (Fusi, Drew and Abbott 2005): with 10^6 synapses 857 events, against 148 for the
    same trace at rate 0.02."""
    lags = np.unique(np.logspace(0, 5, 300).astype(int))
    cascade = memory_lifetime(theory.cascade_synapse(lags, levels=15), [1e5, 1e6, 1e7])
    plain = memory_lifetime(theory.leaky_synapse(lags, rate=0.02, binary=True), [1e5, 1e6, 1e7])
    assert (cascade.lifetime > 2 * plain.lifetime).all() and 0.5 < cascade.slope[1] < 0.75


@pytest.mark.parametrize(
    ("system", "twin", "binary"),
    [
        (LeakySynapse(0.05), lambda lags: theory.leaky_synapse(lags, rate=0.05), False),
        (LeakySynapse(0.05), lambda lags: theory.leaky_synapse(lags, rate=0.05, binary=True), True),
        (CascadeSynapse(5), lambda lags: theory.cascade_synapse(lags, levels=5), True),
        (
            Impulses(BennaFusi(4), dt=1.0),
            lambda lags: theory.benna_fusi(lags, variables=4, stored=501),
            False,
        ),
    ],
)
def test_measured_traces_agree(system, twin, binary):
    lags = [0, 1, 3, 10, 30, 100]
    measured = memory_trace(system, lags=lags, synapses=4000, stored=501, binary=binary, rng=2)
    assert (
        agree(twin(lags), measured, "trace") and abs(measured.noise / twin(lags).noise - 1) < 0.03
    )


def test_a_lifetime_beyond_the_lags_is_infinite_and_a_faint_memory_has_none():
    found = memory_lifetime(theory.leaky_synapse(range(10), rate=0.01, binary=True), [10, 1e9])
    assert found.lifetime.values.tolist() == [0.0, np.inf]


# ---- bistability


def test_wong_and_wang():
    """Equations of Wong and Wang (2006), J. Neurosci. 26, 1314: three stable states, two saddles;
    eigenvalues -5.12, -8.33."""
    found = theory.wong_wang()
    assert found.memories == 3 and found.stable.values.tolist() == [True, False, True, False, True]
    np.testing.assert_allclose(found.fixed_point[2], [0.1027, 0.1027], atol=1e-4)
    np.testing.assert_allclose(found.fixed_point[4], [0.5670, 0.0319], atol=1e-4)
    np.testing.assert_allclose(found.eigenvalue[4], [-5.12, -8.33], atol=5e-3)
    assert np.abs(dm.systems.get("wong_wang").rule(found.fixed_point.values, None)).max() < 1e-11


@pytest.mark.parametrize(
    ("background", "memories", "points"), [(0.31, 1, 1), (0.34, 2, 3), (0.35, 3, 5), (0.4, 1, 1)]
)
def test_the_states_come_and_go_with_the_background(background, memories, points):
    found = theory.wong_wang(background=background)
    assert (int(found.memories), found.sizes["point"]) == (memories, points)
    starts = np.random.default_rng(0).uniform(0, 0.8, (40, 2))
    ends = trajectory(
        dm.FlowMap(dm.systems.get("wong_wang", background=background), 0.01),
        starts,
        3000,
        np.zeros(2),
    )[-1]
    stable = found.fixed_point.values[found.stable.values]
    near = np.abs(ends[:, None] - stable).max(-1).argmin(1)
    assert np.abs(ends - stable[near]).max() < 1e-6


def test_bits_flip_as_kramers_has_it():
    """The exact passage time tends to Kramers' formula for weak noise, and to the smallest rate of
    the Fokker-Planck operator."""
    ratios = [theory.flip_flop([0.0], diffusion=D) for D in (0.05, 0.02, 0.008)]
    ratios = [float(d.escape_time / d.kramers_time) for d in ratios]
    assert ratios[0] > ratios[1] > ratios[2] > 1 and ratios[2] < 1.06
    D, x = 0.03, np.linspace(-2.2, 2.2, 1201)
    h, force = x[1] - x[0], np.tanh(2 * (x[:-1] + x[1:]) / 2) - (x[:-1] + x[1:]) / 2
    up, down = D / h**2 * np.exp(force * h / 2 / D), D / h**2 * np.exp(-force * h / 2 / D)
    out = np.r_[up, 0.0] + np.r_[0.0, down]
    rates = np.linalg.eigvalsh(
        np.diag(out) - np.diag(np.sqrt(up * down), 1) - np.diag(np.sqrt(up * down), -1)
    )
    assert abs(rates[1] * theory.flip_flop([0.0], diffusion=D).escape_time.item() - 1) < 0.01


def test_measured_bits_flip():
    flip_flop = FlipFlop(bits=50)
    start = np.random.default_rng(0).choice([-0.9575, 0.9575], 50)
    measured = noisy_recall(
        Noisy(flip_flop, dt=0.1, diffusion=0.05),
        start,
        duration=60,
        trials=100,
        points=6,
        readout=lambda x: np.sign(x) * np.sign(start),
    )
    predicted = theory.flip_flop(measured.time.values, diffusion=0.05)
    assert np.abs(measured.mean_readout - predicted.mean_readout).max() < 0.03


def test_folds_of_one_neuron():
    """At a fold the slope of y - w sigma(y) vanishes; w = 6: from Beer's formula (1995)."""
    found = theory.ctrnn_bistability([5.0, 9.0], bias=0.3)
    for w, low, high in zip(
        (5.0, 9.0), found.input_low.values, found.input_high.values, strict=True
    ):
        for current, sign in ((low, 1), (high, -1)):
            s = (1 + sign * np.sqrt(1 - 4 / w)) / 2
            assert np.isclose(np.log(s / (1 - s)) - 0.3 - w * s, current)


# ---- bad input


@pytest.mark.parametrize(
    "make",
    [
        lambda: theory.line_attractor([-1.0]),
        lambda: theory.line_attractor([1.0], diffusion=-1.0),
        lambda: theory.ring_flat(inhibition=1.0),
        lambda: theory.ring_bump(modulation=2.0),
        lambda: theory.ring_bump(current=0.0),
        lambda: theory.hopfield([-0.1]),
        lambda: theory.hopfield([np.nan]),
        lambda: theory.hopfield_capacity(-1.0),
        lambda: theory.leaky_synapse([1], rate=1.0),
        lambda: theory.cascade_synapse([-1]),
        lambda: theory.benna_fusi([1], stored=0),
        lambda: theory.flip_flop([1.0], gain=1.0),
        lambda: theory.wong_wang(cross_coupling=0.0),
        lambda: theory.wong_wang(background="high"),
        lambda: theory.ctrnn_bistability(4.0),
        lambda: memory_lifetime(theory.line_attractor([1.0]), [10]),
    ],
)
def test_bad_input_is_refused(make):
    with pytest.raises(ValueError):
        make()


def test_a_bump_without_bound_is_refused():
    with pytest.raises(ConvergenceError):
        theory.ring_bump(modulation=30.0)
