"""Ephemeris: the published table against JPL DE421."""

import numpy as np
import pytest

from dynmem.systems import (
    OuterSolarSystem,
    Symplectic,
    ephemeris,
)


def carried(step, x, steps):
    """States x_0 ... x_steps by the rule."""
    states = [x]
    for _ in range(steps):
        states.append(step.rule(states[-1], None))
    return np.array(states)


def test_the_published_table_and_the_ephemeris_are_one_sky():
    """Hairer, Lubich and Wanner (2006), table 2.2 of chapter I, against JPL's DE421 for the same
    day: two sources, 1e-4 apart at most."""
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    masses, states = ephemeris.table(pluto=True)
    real_masses, real = ephemeris.read(ephemeris.TABLE_DATE, pluto=True)
    np.testing.assert_allclose(masses[:5], real_masses[:5], rtol=6e-3)
    np.testing.assert_allclose(masses[0], real_masses[0], rtol=1e-9)
    np.testing.assert_allclose(masses[1:3], real_masses[1:3], rtol=2e-3)
    for body in range(1, 6):
        for half in (slice(0, 3), slice(3, 6)):
            assert np.linalg.norm(states[body, half] - real[body, half]) < 1e-4 * np.linalg.norm(
                real[body, half]
            )


def test_a_year_of_the_outer_solar_system_follows_the_ephemeris():
    """Five years of the equations of motion against DE421: what is left is the inner planets and
    the asteroids."""
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    start = 2451545.0
    system = OuterSolarSystem.of(start)
    there = carried(Symplectic(system, 0.5, order=6), system.initial(), 10)[-1].reshape(2, 5, 3)
    real = ephemeris.read(start + 5 * 365.25)[1]
    for body in range(1, 5):
        assert np.linalg.norm(there[0, body] - there[0, 0] - real[body, :3]) < 2e-4


def test_the_date_and_the_extra_are_asked_for(monkeypatch):
    pytest.importorskip("jplephem")
    with pytest.raises(ValueError, match="covers the Julian days"):
        OuterSolarSystem.of(1.0)
    import builtins

    real = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *a, **k: (
            (_ for _ in ()).throw(ImportError(name))
            if name == "skyfield_data"
            else real(name, *a, **k)
        ),
    )
    with pytest.raises(ImportError, match=r"dynmem\[planets\]"):
        OuterSolarSystem.of(ephemeris.TABLE_DATE)
