"""Bistable units: passage times against Kramers and Fokker-Planck, and measured flips."""

import numpy as np
import pytest

from dynmem import theory
from dynmem.analysis import noisy_recall
from dynmem.systems import FlipFlop, Noisy


def noisy(diffusion):
    return theory.flip_flop(Noisy(FlipFlop(bits=1), diffusion=diffusion), time=[0.0])


def test_bits_flip_as_kramers_has_it():
    """The exact passage time tends to Kramers' formula for weak noise, and to the smallest rate of
    the Fokker-Planck operator."""
    ratios = [noisy(D) for D in (0.05, 0.02, 0.008)]
    ratios = [float(d.escape_time / d.kramers_time) for d in ratios]
    assert ratios[0] > ratios[1] > ratios[2] > 1 and ratios[2] < 1.06
    D, x = 0.03, np.linspace(-2.2, 2.2, 1201)
    h, force = x[1] - x[0], np.tanh(2 * (x[:-1] + x[1:]) / 2) - (x[:-1] + x[1:]) / 2
    up, down = D / h**2 * np.exp(force * h / 2 / D), D / h**2 * np.exp(-force * h / 2 / D)
    out = np.r_[up, 0.0] + np.r_[0.0, down]
    rates = np.linalg.eigvalsh(
        np.diag(out) - np.diag(np.sqrt(up * down), 1) - np.diag(np.sqrt(up * down), -1)
    )
    assert abs(rates[1] * noisy(D).escape_time.item() - 1) < 0.01


def test_measured_bits_flip():
    system = Noisy(FlipFlop(bits=50), dt=0.1, diffusion=0.05)
    start = np.random.default_rng(0).choice([-0.9575, 0.9575], 50)
    measured = noisy_recall(
        system,
        start,
        duration=60,
        trials=100,
        points=6,
        readout=lambda x: np.sign(x) * np.sign(start),
    )
    predicted = theory.flip_flop(system, time=measured.time.values)
    assert np.abs(measured.mean_readout - predicted.mean_readout).max() < 0.03


def test_a_unit_without_two_states_is_refused():
    with pytest.raises(ValueError, match="gain = 1.0"):
        theory.flip_flop(FlipFlop(gain=1.0), time=1.0)


@pytest.mark.parametrize(
    ("gain", "diffusion", "expected"),
    [
        # mpmath.quad of the double integral, 15 digits
        (2.0, 0.02, 12817.811691010089),
        (1.1, 0.02, 16.84224686194859),
        (1.001, 0.02, 1.7250767492695405),
        (1.0001, 0.02, 0.5602260812839904),
        (1.000001, 0.01, 0.09441107158368324),
    ],
)
def test_escape_near_gain_1(gain, diffusion, expected):
    unit = Noisy(FlipFlop(gain=gain), diffusion=diffusion)
    found = theory.flip_flop(unit, time=[0.0])
    assert found.escape_time == pytest.approx(expected, rel=1e-9)
