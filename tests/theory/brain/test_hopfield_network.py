"""Hopfield's memory: published numbers, the equations solved another way, and simulation."""

import numpy as np
import pytest
from scipy.special import erf

from dynmem import theory
from dynmem.analysis import retrieved_overlap
from dynmem.systems import Hopfield


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


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: theory.hopfield([-0.1]), ValueError, r"load = \[-0.1\]"),
        (lambda: theory.hopfield([np.nan]), ArithmeticError, "load holds NaN"),
        (lambda: theory.hopfield_capacity(-1.0), ValueError, "temperature = -1.0"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
