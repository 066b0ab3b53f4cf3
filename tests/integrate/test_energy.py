"""The energy of an orbit as its check: kept where the steps are controlled, reported where not."""

import warnings

import numpy as np
import pytest

import dynmem as dm
from dynmem.integrate.energy import conserved_energy, energy_scale
from dynmem.systems.nbody import TwoPlanets
from dynmem.systems.symplectic import Symplectic


@pytest.mark.parametrize("ratio", [1.17, 1.13])
def test_megno_of_planets_that_meet_closely_keeps_their_energy(ratio):
    planets = TwoPlanets()
    starts = planets.states_of(ratio, anomaly=np.linspace(0.0, 6.0, 4))
    found = dm.megno(planets, starts, duration=400.0)
    assert (found.conserved_error.values < 1e-9).all()


def test_a_step_that_is_too_long_is_reported():
    planets = TwoPlanets()
    start = planets.states_of(1.17, anomaly=0.05)
    with pytest.warns(dm.DriftWarning, match="steps are too long"):
        dm.megno(Symplectic(planets, 0.5, order=2), start, duration=400.0)
    with pytest.warns(dm.DriftWarning):
        found = dm.orbit(dm.systems.get("kepler"), duration=50.0, dt=0.3)
    assert found.attrs["energy_error"] > 1e-4


@pytest.mark.parametrize("name", ["kepler", "henon_heiles", "double_pendulum"])
def test_orbits_say_how_well_they_keep_their_energy(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dm.orbit(dm.systems.get(name), duration=50.0)
    assert 0.0 <= found.attrs["energy_error"] < 1e-6


def test_what_has_no_energy_says_nothing():
    assert conserved_energy(dm.systems.get("lorenz63")) is None
    assert "energy_error" not in dm.orbit(dm.systems.get("lorenz63"), duration=1.0).attrs
    assert conserved_energy(dm.systems.get("sitnikov", eccentricity=0.2)) is None


def test_the_scale_of_an_energy_of_zero():
    energy = lambda x: 0.5 * x[..., 1] ** 2 - x[..., 0]  # noqa: E731
    assert energy_scale(energy, np.array([[0.5, 1.0]])) == pytest.approx([1.5])
