"""The study of the real planets: the law with relativity, the ellipse, the linear model, and what
it does without the ephemeris."""

import sys

import numpy as np
import pytest
import xarray as xr

import dynmem as dm
from dynmem.datasets.splits import in_time
from dynmem.studies import planets_forecast as study
from dynmem.systems.symplectic import halves

ARCSECONDS = np.degrees(1.0) * 3600


@pytest.fixture
def without(monkeypatch):
    """No ephemeris, whatever is installed."""
    for name in ("jplephem", "jplephem.spk", "skyfield_data"):
        monkeypatch.setitem(sys.modules, name, None)
    study.the_sky.cache_clear()
    study.law.cache_clear()
    yield
    study.the_sky.cache_clear()
    study.law.cache_clear()


def pericentres(q, v, mu):
    """Directions to the pericentre, the vectors of Laplace, of states (T, 3) about a mass."""
    return np.cross(v, np.cross(q, v)) / mu - q / np.linalg.norm(q, axis=-1, keepdims=True)


def series(x, dt=1.0, train=0.55, validation=0.1):
    """x(time, state) in three parts."""
    return xr.Dataset(
        {"x": (("time", "state"), x)},
        {
            "split": ("time", in_time(len(x), train=train, validation=validation)),
            "state": list("xyz"),
        },
        {"sampling_step": dt},
    )


def test_relativity_turns_the_orbit_of_mercury_by_43_seconds_a_century():
    # Murray and Dermott (1999), table A.2
    axis, eccentricity, mu = 0.38709893, 0.20563069, study.GRAVITY
    start = np.zeros((2, 2, 3))  # positions and velocities of the Sun and of a planet without mass
    start[0, 1, 0], start[1, 1, 1] = (
        axis * (1 - eccentricity),
        np.sqrt(mu / axis * (1 + eccentricity) / (1 - eccentricity)),
    )
    law, period = (
        study.PostNewtonian(masses=np.array([1.0, 0.0]), G=mu, dimension=3),
        2 * np.pi * np.sqrt(axis**3 / mu),
    )
    orbit = dm.orbit(law, start.ravel(), duration=8 * period, dt=period, rtol=1e-12)
    q, v = halves(orbit.x.values.reshape(-1, 12))
    found = pericentres(q[:, 3:], v[:, 3:], mu)
    turned = np.arctan2(found[-1, 1], found[-1, 0]) * ARCSECONDS * 100 / (8 * period)
    # Will (2014), Living Rev. Relativ. 17, 4; Einstein (1915): 6 pi G M/(c^2 a (1 - e^2)) a turn
    assert turned == pytest.approx(42.98, abs=0.05)
    assert turned == pytest.approx(
        6
        * np.pi
        * mu
        / (study.LIGHT_SPEED**2 * axis * (1 - eccentricity**2))
        * ARCSECONDS
        * 100
        / period,
        rel=1e-3,
    )


def test_the_drift_with_relativity_is_that_of_the_rule():
    law = study.PostNewtonian(masses=np.array([1.0, 1e-6, 1e-3]), G=study.GRAVITY, dimension=3)
    flat = study.NBody(law.masses, law.G).initial()
    start = np.zeros((2, 3, 3))
    # near the Sun, where there is most of it
    start[..., :2] = flat.reshape(2, 3, 2) / np.array([4.0, 0.5])[:, None, None]
    errors = []
    for substeps in (20, 40):
        x = dm.systems.Symplectic(law, 0.02, order=6, substeps=substeps).rule(start.ravel(), None)
        errors.append(
            np.abs(
                x - dm.orbit(law, start.ravel(), duration=0.02, dt=0.02, rtol=1e-13).x.values[-1]
            )[:9].max()
        )
    assert errors[1] < errors[0] / 3.5 and errors[1] < 1e-9


def test_newton_lacks_what_mercury_has_by_relativity():
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    study.the_sky.cache_clear()
    sky, at, ahead = study.the_sky(150.0, "stop"), 1800, 400
    start = np.concatenate((sky.position.values[at].ravel(), sky.velocity.values[at].ravel()))
    newton = dm.systems.NBody(masses=sky.mass.values, G=study.GRAVITY, dimension=3)
    states = dm.orbits.trajectory(
        dm.systems.Symplectic(newton, study.STEP_YEARS, order=6, substeps=16), start, ahead
    )
    q, v = (part.reshape(ahead + 1, -1, 3) for part in halves(states))
    mine, real = (
        pericentres(p[:, 1] - p[:, 0], w[:, 1] - w[:, 0], study.GRAVITY * (1 + float(sky.mass[1])))
        for p, w in (
            (q, v),
            (sky.position.values[at : at + ahead + 1], sky.velocity.values[at : at + ahead + 1]),
        )
    )
    normal = np.cross(q[0, 1] - q[0, 0], v[0, 1] - v[0, 0])
    apart = (
        (np.cross(mine, real) @ normal)
        / np.linalg.norm(normal)
        / (mine * real).sum(-1)
        * ARCSECONDS
    )
    rate = 100 * np.polyfit(np.arange(ahead + 1) * study.STEP_YEARS, apart, 1)[0]
    assert rate == pytest.approx(42.98, abs=0.3)  # arcseconds a century, Will (2014)
    places = {
        name: study.law(name, (at,), 60, 150.0, "stop")[:, 0] for name in ("newton", "relativity")
    }
    true = (sky.position - sky.position.sel(body="Sun")).values[at : at + 61]
    errors = {
        name: study.separation(q[:, 1:], true[:, 1:]).max(0) * 3600 for name, q in places.items()
    }
    assert errors["newton"][0] > 1 and errors["relativity"][0] < 0.01  # Mercury, 3 years
    assert errors["newton"][4:].max() < 0.01  # Jupiter and beyond


def test_the_ellipse_is_found_from_positions():
    t = np.arange(300) * 0.05
    plane = dm.theory.kepler_orbit(t - 0.3, 1.5, 0.2, mu=39.5).x.values[:, :2]
    from scipy.spatial.transform import Rotation

    y = Rotation.from_rotvec([0.3, -0.8, 0.5]).apply(np.column_stack((plane, np.zeros(len(t)))))
    found = study.kepler(series(y, 0.05))
    np.testing.assert_allclose(found(t), y, atol=1e-8)


def test_the_delay_line_is_regression_on_delays():
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.standard_normal((200, 3)), axis=0)
    data = series(y)
    taught = dm.training.echo_state_forecaster(
        study.delay_line(3, 4), data, washout=4, ridge=0.0, noise=0.0
    )
    known = y[data.split.values == 0]
    delays = np.column_stack(
        [known[3 - k : len(known) - 1 - k] for k in range(4)] + [np.ones(len(known) - 4)]
    )
    weights = np.linalg.lstsq(delays[1:], known[5:], rcond=None)[0]
    at, heard = 150, y[147:151][::-1].ravel()
    np.testing.assert_allclose(
        taught.output(taught.rule(taught.warmed_up(y[:151]), None), None),
        np.append(heard, 1.0) @ weights,
        atol=1e-8,
    )
    np.testing.assert_allclose(
        study.free_run(taught, data, np.array([at]), 1)[0, 0],
        np.append(heard, 1.0) @ weights,
        atol=1e-8,
    )


def test_lines_on_the_unit_circle_are_forecast_for_good_by_a_linear_model():
    t = np.arange(1000.0)[:, None]
    y = np.cos(np.array([[0.31, 0.31, 0.83]]) * t + np.array([[0.0, 1.0, 2.0]])) + 0.2 * np.cos(
        0.62 * t
    )
    data = series(y)
    taught = study.solved(study.delay_line(3, 6), data, 7)
    forecast = study.free_run(taught, data, np.array([650, 700]), 250)
    np.testing.assert_allclose(forecast[:, 0], y[651:901], atol=1e-4)
    # the exponents of a quasi-periodic orbit
    assert np.abs(study.exponents(taught, data, 0)).max() < 1e-6


def test_angles_and_their_growth():
    assert study.separation(np.array([1.0, 0, 0]), np.array([1.0, 1e-9, 0])) == pytest.approx(
        np.degrees(1e-9), rel=1e-9
    )
    grown = study.growing(np.array([[3.0, 3.0], [1.0, 1.0], [4.0, 6.0], [np.nan, 1.0]]))
    np.testing.assert_allclose(grown, [3.0, 3.0, np.sqrt(26.0), np.nan])
    assert [study.until(grown, limit) for limit in (1.0, 4.0, 10.0)] == [0, 2, 3] and study.until(
        grown[:3], 10.0
    ) == 3


POINT = {"seed": 0, "years": 150.0, "reach": 3.0, "starts": 2, "steps": 1}


def test_what_is_integrated_is_marked_so(without):
    with pytest.raises(ImportError, match=r"pip install 'dynmem\[planets\]'"):
        study.measure("delays", "Jupiter", **POINT, orbits="observed")
    with pytest.raises(ValueError, match=r"Mercury.*no such body.*dynmem\[planets\]"):
        study.measure("delays", "Mercury", **POINT, orbits="integrated")
    found = study.measure("delays", "Jupiter", **POINT, orbits="integrated")
    assert not found.observed and found.attrs["source"].startswith("integrated, not observed")
    assert found.error[-1] < 0.1 and found.reference_error.sel(reference="newton").max() < 1e-6
    assert (
        found.error[-1]
        < 0.05 * found.reference_error.sel(reference=list(study.FLOORS)).isel(lead=-1).min()
    )
    whole = found.expand_dims(model=["delays"], body=["Jupiter"], seed=[0])
    assert study.summary(whole).startswith("NOT the real planets")
    assert study.STUDY.settings["orbits"] == "observed"


def test_a_forecast_longer_than_the_test_is_refused(without):
    with pytest.raises(ValueError, match="reach = 50"):
        study.measure(
            "delays", "Jupiter", **(POINT | {"years": 100.0, "reach": 50.0}), orbits="integrated"
        )


def test_mercury_is_forecast_below_every_floor():
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    study.the_sky.cache_clear()
    found = study.measure("delays", "Mercury", **POINT, orbits="observed")
    floor = found.reference_error.sel(reference=list(study.FLOORS)).min("reference")
    assert found.observed and found.error[-1] < 0.01 and (found.error < 1e-3 * floor).all()
    assert found.error[-1] < found.reference_error.sel(reference="kepler")[-1]
