"""The Solar System against Kepler and published elements."""

import sys

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems import ephemeris


def test_solar_system_obeys_kepler():
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    d = dm.datasets.load("solar_system", frame="heliocentric")
    assert d.sizes["time"] == 5479 and d.time.values[-1] > 149.9
    distance = np.sqrt((d.position**2).sum("axis"))
    earth = distance.sel(body="Earth")
    # the Earth-Moon barycentre: e = 0.0167
    assert abs(float(earth.min()) - 0.9832) < 2e-4 and abs(float(earth.max()) - 1.0168) < 2e-4
    speed = (d.velocity**2).sum("axis")
    axis = 1.0 / (2.0 / distance - speed / (ephemeris.GRAVITY * (1.0 + d.mass)))  # vis viva
    # Standish (1992), Explanatory Supplement table 5.8.1: semi-major axes in AU
    for body, known in {
        "Mercury": 0.38710,
        "Venus": 0.72333,
        "Earth": 1.00000,
        "Mars": 1.52366,
        "Jupiter": 5.20336,
    }.items():
        assert abs(float(axis.sel(body=body).mean()) / known - 1) < 2e-3, body
    h = d.attrs["sampling_step"]
    slope = (d.position.values[2:] - d.position.values[:-2]) / (2 * h)
    # outer planets turn slowly enough for a difference
    assert abs(slope - d.velocity.values[1:-1])[:, 5:].max() < 1e-3
    assert d.attrs["licence"] and "DE421" in d.attrs["source"]
    with pytest.raises(ValueError, match="covers the Julian days"):
        dm.datasets.load("solar_system", start=2000.0)


def test_solar_system_agrees_with_the_single_day():
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    masses, bodies = ephemeris.read(ephemeris.TABLE_DATE, pluto=True)
    names, weights, states = ephemeris.positions([ephemeris.TABLE_DATE])
    np.testing.assert_allclose(
        states[0, 5:, 3:] - states[0, 5, 3:], bodies[1:, 3:] - bodies[1, 3:], atol=1e-14
    )
    np.testing.assert_allclose(weights[5:], masses[1:], rtol=1e-15)
    assert names[5] == "Jupiter"


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jplephem", None)
    monkeypatch.setitem(sys.modules, "jplephem.spk", None)
    monkeypatch.setitem(sys.modules, "skyfield_data", None)
    with pytest.raises(ImportError, match=r"dynmem\[planets\]"):
        dm.datasets.load("solar_system")
