"""Ring attractor: spectra against the matrix and against simulated bumps, and diffusion."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory
from dynmem.analysis import noisy_recall
from dynmem.errors import ConvergenceError
from dynmem.orbits import trajectory
from dynmem.systems import Noisy, RingAttractor
from dynmem.theory.brain.ring_attractor import half_width


def test_flat_ring():
    """N = 128, J0 = -7.3, J1 = 1.8: top eigenvalue J1/2 - 1 = -0.1 (Ben-Yishai et al. 1995); every
    mode by the eigenvalues of the matrix."""
    for units, J0, J1, tau in ((128, -7.3, 1.8, 1.0), (7, 0.5, -3.0, 0.1), (12, -1.0, 1.0, 2.0)):
        ring = RingAttractor(J0, J1, 1.0, tau, units)
        found = theory.ring_flat(ring)
        rates = np.full(units, found.rate.item())
        assert np.abs(ring.rule(rates, None)).max() < 1e-13
        expected = np.sort(np.linalg.eigvals(dm.jacobian(ring, rates)).real)[::-1]
        np.testing.assert_allclose(found.lyapunov, expected, atol=1e-10)
    assert theory.ring_flat(RingAttractor(modulation=1.8)).lyapunov[0].item() == pytest.approx(
        -0.1, abs=1e-12
    )


def test_a_bump_on_the_lattice():
    """N = 128, J1 = 4: 64 units, 0 and -0.7609; on a unit 65 and +4/N (equations of Ben-Yishai et
    al. 1995, solved on the lattice)."""
    found = theory.ring_bump(RingAttractor())
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
    ring = RingAttractor(J0, J1, 1.0, tau, units)
    found = theory.ring_bump(ring)
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
        found = theory.ring_bump(RingAttractor(units=4096, modulation=J1))
        assert abs(found.active[0] / 4096 - half_width(J1) / np.pi) < 1e-3
        assert np.abs(found.lyapunov_at[:, 0]).max() < 2e-3


def test_a_measured_bump_diffuses():
    ring = RingAttractor()
    start = trajectory(dm.FlowMap(ring, 0.1), ring.bump(0.7), 1000)[-1]
    noisy = Noisy(ring, dt=0.1, diffusion=1e-5)
    measured = noisy_recall(
        noisy,
        start,
        duration=15,
        trials=200,
        readout=ring.phase,
        period=2 * np.pi,
        points=5,
    )
    predicted = theory.ring_diffusion(noisy, time=measured.time.values, start=ring.phase(start))
    for name, tolerance in (("variance", 2e-6), ("diffusion", 0.0)):
        found = dm.compare(predicted, measured, of=name, sigmas=4.0, tolerance=tolerance)
        assert (found.verdict == "agree").all()


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: theory.ring_flat(RingAttractor(inhibition=1.0)), ValueError, "inhibition = 1.0"),
        (lambda: theory.ring_bump(RingAttractor(modulation=2.0)), ValueError, "modulation = 2.0"),
        (lambda: theory.ring_bump(RingAttractor(current=0.0)), ValueError, "current = 0.0"),
        (lambda: theory.ring_bump(RingAttractor(modulation=30.0)), ConvergenceError, "no bump"),
        (lambda: theory.ring_bump(12), TypeError, "RingAttractor"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
