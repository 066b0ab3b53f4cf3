"""Bifurcation diagrams and parameter maps."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import parameter_map
from tests.reference import ForcedDuffing, Henon, Logistic, Lorenz

START = [1.0, 1.0, 20.0]


class Hopf(dm.Flow):
    """Normal form of the Hopf bifurcation: a circle of radius sqrt(mu), period 2 pi."""

    mu: float = 1.0
    states = ("x", "y")

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        q = self.mu - x * x - y * y
        return dm.stack((x * q - y, y * q + x))


class Fold(dm.Map):
    """x' = x + (h + x - x^3)/2: between h = -0.3849 and 0.3849 two states are stable."""

    h: float = 0.0
    states = ("x",)

    def rule(self, x, u):
        return x + 0.5 * (self.h + x - x * x * x)


def test_logistic_branches_are_exact():
    found = dm.bifurcation(
        Logistic(),
        "r",
        [2.8, 3.2, 3.5, 3.83],
        x0=[0.3],
        transient=3000,
        samples=24,
        exponents=1,
        duration=1000,
    )
    assert found.period.values.tolist() == [1, 2, 4, 3] and not found.escaped.any()
    np.testing.assert_allclose(found.x[0], 1 - 1 / 2.8, atol=1e-9)
    r = 3.2
    two = (r + 1 + np.array([-1, 1]) * np.sqrt((r - 3) * (r + 1))) / (2 * r)
    np.testing.assert_allclose(np.unique(found.x[1].values.round(10)), two, atol=1e-9)
    np.testing.assert_allclose(found.lyapunov[:2, 0], [np.log(0.8), 0.5 * np.log(0.16)], atol=1e-9)
    assert (found.lyapunov[:, 0] < 0).all() and found.x.dims == ("r", "sample", "state")


def test_blow_ups_are_counted_and_not_silent():
    found = dm.bifurcation(
        Logistic(),
        "r",
        [3.9, 4.1, 5.0],
        x0=[0.3],
        transient=200,
        samples=10,
        exponents=1,
        duration=300,
    )
    assert found.escaped.values.tolist() == [False, True, True] and "2 of 3" in found.attrs["note"]
    assert (
        np.isfinite(found.x[0]).all()
        and np.isnan(found.x[1:]).all()
        and np.isnan(found.lyapunov[1:]).all()
    )
    assert float(found.lyapunov[0, 0]) == pytest.approx(0.4945, abs=0.08) and found[
        "count"
    ].values.tolist() == [10, 0, 0]


def test_exponents_together_are_those_alone():
    """Where one of many is lost, the others are found in smaller groups."""
    values = [1.0, 1.2, 1.4, 3.0, 1.3]
    found = parameter_map(
        Henon(), {"a": values, "b": [0.3]}, duration=400, x0=[0.1, 0.1], exponents=2
    )
    assert (
        found.escaped.values[:, 0].tolist() == [False, False, False, True, False]
        and "1 of 5" in found.attrs["note"]
    )
    for a in (1.2, 1.3):
        alone = dm.lyapunov_spectrum(Henon(a), [0.1, 0.1], duration=400)
        np.testing.assert_allclose(found.lyapunov.sel(a=a, b=0.3), alone.lyapunov, atol=1e-8)
    np.testing.assert_allclose(
        found.lyapunov.isel(a=[0, 1, 2, 4]).sum("exponent"), np.log(0.3), atol=1e-9
    )


def test_hopf_maxima():
    """Maxima sqrt(mu) above 0, rest below: one sample, at rest."""
    found = dm.bifurcation(
        Hopf(),
        "mu",
        [-1.0, 0.25, 1.0],
        x0=[0.5, 0.1],
        transient=60,
        duration=40,
        samples=20,
        dt=0.05,
    )
    assert found.period.values.tolist() == [1, 1, 1] and found["count"].values.tolist() == [1, 6, 6]
    np.testing.assert_allclose(found.x[0, 0], [0.0, 0.0], atol=1e-10)
    np.testing.assert_allclose(found.x[1:, :6, 0], np.repeat([[0.5], [1.0]], 6, axis=1), atol=1e-6)


def test_sections_lie_on_their_plane():
    options = {"x0": START, "transient": 10, "duration": 20, "samples": 50, "dt": 0.02}
    for direction in (1, -1):
        found = dm.bifurcation(Lorenz(), "rho", [28.0], section=("z", 27.0, direction), **options)
        points = found.x[0, : int(found["count"][0])].values
        velocity = Lorenz().rule(points, None)
        np.testing.assert_allclose(points[:, 2], 27.0, atol=1e-9)
        assert len(points) > 10 and (direction * velocity[:, 2] > 0).all()
    tops = dm.bifurcation(Lorenz(), "rho", [28.0], section="z", **options)
    points = tops.x[0, : int(tops["count"][0])].values
    np.testing.assert_allclose(Lorenz().rule(points, None)[:, 2], 0.0, atol=1e-7)
    assert points[:, 2].min() > 27.0


def test_hysteresis_by_continuation():
    """A branch is followed to its fold at |h| = 2/(3 sqrt 3) = 0.3849, up and down."""
    values = np.linspace(-0.6, 0.6, 61)
    up = dm.bifurcation(Fold(), "h", values, x0=[-1.0], transient=400, samples=2, continuation=True)
    down = dm.bifurcation(
        Fold(), "h", values[::-1], x0=[1.0], transient=400, samples=2, continuation=True
    )
    jump = values[np.argmax(up.x[:, 0, 0].values > 0)]
    assert 0.3849 < jump < 0.3849 + 0.03
    assert -0.3849 - 0.03 < values[::-1][np.argmax(down.x[:, 0, 0].values < 0)] < -0.3849
    fresh = dm.bifurcation(Fold(), "h", [0.0], x0=[0.5], transient=400, samples=2)
    assert fresh.x.values[0, 0, 0] == pytest.approx(1.0)


def test_continuation_starts_anew_after_a_blow_up():
    found = dm.bifurcation(
        Logistic(),
        "r",
        [3.2, 5.0, 3.2],
        x0=[0.3],
        transient=1000,
        samples=8,
        continuation=True,
        exponents=1,
        duration=64,
    )
    assert found.escaped.values.tolist() == [
        False,
        True,
        False,
    ] and found.period.values.tolist() == [2, 0, 2]


def test_a_function_of_the_parameter():
    """A network's gain is no field of it: pass a function. Rest below gain 1, two states above: x =
    tanh(g x)."""
    found = dm.bifurcation(
        lambda gain: dm.models.Tanh(gain * np.eye(1)),
        "gain",
        [0.5, 2.0],
        x0=[0.3],
        transient=300,
        samples=4,
    )
    np.testing.assert_allclose(found.x[:, 0, 0], [0.0, 0.9575040], atol=1e-6)
    two = parameter_map(
        lambda a, b: Henon(a, b),
        {"a": [0.2], "b": [0.1, 0.3]},
        duration=100,
        x0=[0.1, 0.1],
        exponents=2,
    )
    np.testing.assert_allclose(two.lyapunov.sum("exponent")[0], np.log([0.1, 0.3]), atol=1e-9)
    assert two.lyapunov.dims == ("a", "b", "exponent")


def test_a_flow_map_and_a_held_input():
    swept = dm.bifurcation(
        dm.FlowMap(ForcedDuffing(), 0.1),
        "damping",
        [0.3, 0.5],
        x0=[0.5, 0.0],
        drive=[0.2],
        transient=100,
        samples=3,
    )
    rest = np.roots([-1, 0, 1, 0.2]).real.max()
    np.testing.assert_allclose(swept.x[:, :, 0], rest, atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="no float parameter 'x'"):
        dm.bifurcation(Henon(), "x", [1.0], transient=10)
    with pytest.raises(ValueError, match="pass duration"):
        dm.bifurcation(Lorenz(), "rho", [28.0], transient=1)
    with pytest.raises(ValueError, match="finite number"):
        dm.bifurcation(Henon(), "a", [1.0, np.nan], transient=10)
    with pytest.raises(ValueError, match="is a Map"):
        dm.bifurcation(Henon(), "a", [1.0], x0=[0.1, 0.1], transient=10, section="x")
    with pytest.raises(ValueError, match="no component 'w'"):
        dm.bifurcation(
            Lorenz(), "rho", [28.0], x0=START, transient=1, duration=1, dt=0.02, section="w"
        )
    with pytest.raises(TypeError, match="is a class"):
        dm.bifurcation(Henon, "a", [1.0], transient=10)
    with pytest.raises(ValueError, match="a dict"):
        parameter_map(Henon(), [1.0], duration=10)


def test_the_study_is_measured_summed_up_and_drawn(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from dynmem.figures.bifurcation import draw
    from dynmem.studies.bifurcation import STUDY

    tiny = {"system": ["logistic", "neurons"], "values": 12, "side": 3, "units": 70, "doublings": 3}
    results = STUDY.run(output=tmp_path, quick=True, overrides=tiny, progress=False)
    assert (results.status == "done").all() and "3.449489743" in STUDY.summary(results)
    np.testing.assert_allclose(
        results.doubling_value.sel(system="logistic")[:2], [3.0, 1 + np.sqrt(6)], atol=1e-9
    )
    figure = draw(results)
    assert len(figure.axes) == 7
    pyplot.close(figure)


class Tent(dm.Map):
    r: float = 2.0
    states = ("x",)

    def rule(self, x, u):
        return self.r * dm.minimum(x, 1.0 - x)


class Doubling(dm.Map):
    factor: float = 2.0
    states = ("x",)

    def rule(self, x, u):
        return (self.factor * x) % 1.0


@pytest.mark.parametrize(("system", "parameter"), [(Tent(), "r"), (Doubling(), "factor")])
def test_doubles_that_run_out_of_digits_have_no_period(system, parameter):
    """2 x loses a binary digit a step: after 53 steps every double is 0, a repeller."""
    found = dm.bifurcation(system, parameter, [1.7, 2.0], exponents=1, x0=[0.3])
    assert found.period.values.tolist() == [0, 0]
    assert found.note.startswith("1 of 2 orbits ended on an unstable cycle")
    np.testing.assert_allclose(found.lyapunov[:, 0], np.log([1.7, 2.0]), rtol=1e-6)


def test_an_orbit_that_starts_on_a_repeller_has_no_period():
    logistic = dm.systems.get("logistic")
    found = dm.bifurcation(logistic, "r", [0.9, 2.5, 3.9], x0=[0.0])
    assert found.period.values.tolist() == [1, 0, 0] and "2 of 3 orbits" in found.note
