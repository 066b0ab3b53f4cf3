"""Period doublings against Feigenbaum's numbers."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import period_doublings
from tests.reference import Henon, Logistic, Lorenz


def test_period_doublings_of_the_logistic_map():
    """3, 1 + sqrt 6, 3.544090, 3.564407, ...; ratios 4.7514, 4.6562, 4.6682, ... to 4.6692, limit
    3.5699457 (Feigenbaum 1978)."""
    found = period_doublings(Logistic(), "r", 2.9, 3.6, doublings=7, x0=[0.3])
    np.testing.assert_allclose(
        found.value,
        [3.0, 1 + np.sqrt(6), 3.544090359, 3.564407266, 3.568759420, 3.569691610, 3.569891259],
        atol=1e-8,
    )
    np.testing.assert_allclose(
        found.ratio[1:-1], [4.7514, 4.6562, 4.6682, 4.6687, 4.6691], atol=1e-4
    )
    np.testing.assert_allclose(found.multiplier, -1.0, atol=1e-6)
    assert found.period.values.tolist() == [1, 2, 4, 8, 16, 32, 64]
    assert found.accumulation.item() == pytest.approx(3.569945672, abs=1e-8)


def test_period_doublings_of_henon():
    """b = 0.3: a = 3 (1 - b)^2/4 = 0.3675 and (1 - b)^2 + (1 + b)^2/4 = 0.9125 exactly, then
    Feigenbaum's ratio: the map contracts."""
    found = period_doublings(Henon(), "a", 0.2, 1.2, doublings=7, x0=[0.1, 0.1])
    np.testing.assert_allclose(found.value[:2], [0.3675, 0.9125], atol=1e-10)
    np.testing.assert_allclose(found.ratio[-3:-1], 4.669, atol=0.01)


def test_doublings_from_above_and_fewer_than_asked():
    mirrored = period_doublings(lambda s: Logistic(6.5 - s), "s", 3.6, 2.9, doublings=2, x0=[0.3])
    np.testing.assert_allclose(mirrored.value, [3.5, 5.5 - np.sqrt(6)], atol=1e-9)
    few = period_doublings(Logistic(), "r", 2.9, 3.5, x0=[0.3])
    assert (
        few.sizes["doubling"] == 2
        and "before 3.5" in few.attrs["note"]
        and np.isnan(few.accumulation)
    )
    none = period_doublings(Logistic(), "r", 2.5, 2.9, x0=[0.3])
    assert none.sizes["doubling"] == 0


def test_errors():
    with pytest.raises(dm.errors.ConvergenceError, match="no stable cycle of period 1"):
        period_doublings(Logistic(), "r", 3.9, 4.0, x0=[0.3])
    with pytest.raises(TypeError, match="needs a Map"):
        period_doublings(Lorenz(), "rho", 1.0, 2.0)
