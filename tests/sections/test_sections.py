"""Poincaré and stroboscopic maps against the flows that they see, scipy and published cycles."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dynmem as dm

LORENZ = dm.PoincareMap(dm.systems.get("lorenz63"), "z", 27.0, -1)
DUFFING = dm.systems.get("duffing", amplitude=0.2)
STABLE = [(-0.79005, 0.04358), (1.19707, 0.08447)]  # Floquet theory, by scipy


class Driven(dm.Flow):
    amplitude: float = 0.2
    states = ("position", "velocity")

    def rule(self, x, u, t):
        position, velocity = x[..., 0], x[..., 1]
        force = position - position**3 + self.amplitude * dm.cos(t)
        return velocity, force - 0.25 * velocity


class Forced(dm.Flow):
    states = ("position", "velocity")
    inputs = 1

    def rule(self, x, u):
        position, velocity = x[..., 0], x[..., 1]
        return velocity, position - position**3 - 0.25 * velocity + u[..., 0]


def central(system, x, width=1e-5):
    moved = [
        (system.rule(x + width * e, None) - system.rule(x - width * e, None))
        for e in np.eye(len(x))
    ]
    return np.stack(moved, axis=-1) / (2 * width)


def test_a_crossing_against_scipy():
    x = LORENZ.on_section(LORENZ.initial())

    def velocity(t, s):
        return [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]]

    def section(t, s):
        return s[2] - 27 if t > 1e-3 else -1.0

    section.terminal, section.direction = True, -1
    found = solve_ivp(velocity, (0, 9), x, "DOP853", events=section, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(
        LORENZ.rule(LORENZ.point(x), None), found.y_events[0][0][:2], rtol=1e-9
    )
    assert LORENZ.return_time(LORENZ.point(x)) == pytest.approx(found.t_events[0][0], rel=1e-10)


@pytest.mark.parametrize(
    "section",
    [
        LORENZ,
        dm.PoincareMap(dm.systems.get("lorenz63"), [0.3, -0.2, 1.0], 25.0),
        dm.PoincareMap(dm.systems.get("roessler"), "y", 0.0, 0),
        dm.PoincareMap(DUFFING, "phase", 0.7),
        dm.PoincareMap(DUFFING, "velocity", 0.0, -1),
        dm.StroboscopicMap(Driven(), 2 * np.pi, 0.7),
        dm.StroboscopicMap(Forced(), 2 * np.pi, drive=lambda t: 0.2 * dm.cos(t)),
    ],
    ids=lambda s: f"{type(s).__name__} {getattr(s, 'section', '')}",
)
def test_the_jacobian_against_differences(section):
    x = section.rule(section.initial(1), None)
    J = dm.jacobian(section, x)
    np.testing.assert_allclose(J, central(section, x), rtol=1e-5, atol=1e-6 * np.abs(J).max())
    rows = np.eye(len(x))
    np.testing.assert_allclose(dm.cotangent_product(section, x, rows), J, rtol=1e-12)
    batch = section.rule(np.stack([x, x]), None)
    np.testing.assert_allclose(batch, np.stack([section.rule(x, None)] * 2), rtol=1e-9)


def test_the_lorenz_cycle_that_goes_round_both_wings():
    """Viswanath (2003), Nonlinearity 16, 1035: AB has the period 1.5586522107162."""
    found = dm.fixed_points(LORENZ, [[-2.1, 2.0], [2.2, -2.1]], period=2)
    period = LORENZ.return_time(found.x.values).sum()
    assert found.sizes["point"] == 2 and found.period.values.tolist() == [2, 2]
    assert period == pytest.approx(1.5586522107162, abs=1e-10)
    assert found.eigenvalue_real.values[0, 0] == pytest.approx(4.7129, abs=1e-4)


@pytest.mark.parametrize("amplitude", [0.2, 0.1, 0.15])
def test_a_driven_cycle_at_a_phase(amplitude):
    """The registry's duffing gave no period, and a marginal point at any phase."""
    flow = dm.systems.get("duffing", amplitude=amplitude)
    section = dm.PoincareMap(flow, "phase", 0.0)
    strobed = dm.StroboscopicMap(Driven(amplitude), 2 * np.pi)
    starts = np.array([[-0.79, 0.04], [1.2, 0.08]])
    found, same = (dm.fixed_points(system, starts) for system in (section, strobed))
    found, same = (each.isel(point=each.stable.values) for each in (found, same))
    assert found.sizes["point"] == 2
    np.testing.assert_allclose(found.x, same.x, rtol=1e-8)
    np.testing.assert_allclose(found.eigenvalue_imag, same.eigenvalue_imag, rtol=1e-6)
    size = np.hypot(found.eigenvalue_real, found.eigenvalue_imag)
    np.testing.assert_allclose(size.prod("mode"), np.exp(-0.25 * 2 * np.pi), rtol=1e-8)
    if amplitude == 0.2:
        np.testing.assert_allclose(found.x, STABLE, atol=1e-5)


def test_the_period_of_driven_cycles():
    options = {"x0": [1.0, 0.0, 0.0], "duration": 400.0, "transient": 400.0, "samples": 20}
    for section in (("phase", 0.0), "position", ("velocity", 0.0)):
        found = dm.bifurcation(DUFFING, "amplitude", [0.2], section=section, **options)
        assert found.period.item() == 1
    np.testing.assert_allclose(
        dm.bifurcation(DUFFING, "amplitude", [0.2], section=("phase", 0.0), **options).x[0, -1, :2],
        STABLE[1],
        atol=1e-5,
    )
    maps = (
        (dm.FlowMap(DUFFING, 2 * np.pi, substeps=64), options["x0"]),
        (dm.StroboscopicMap(Driven(), 2 * np.pi), [1.0, 0.0]),
        (dm.PoincareMap(DUFFING, "phase", 0.0), [1.0, 0.0]),
    )
    for system, x0 in maps:
        found = dm.bifurcation(
            system, "amplitude", [0.2], x0=x0, samples=12, transient=60 * system.dt
        )
        assert found.period.item() == 1, system
        np.testing.assert_allclose(found.x[0, -1, :2], STABLE[1], atol=1e-5)


def test_exponents_of_a_section_are_those_of_its_flow():
    """Per return: the flow's exponents times the mean time of return."""
    strobed = dm.StroboscopicMap(Driven(), 2 * np.pi)
    found = dm.lyapunov_spectrum(strobed, [1.19707, 0.08447], duration=600.0, transient=60.0)
    np.testing.assert_allclose(found.lyapunov.sum(), -0.25, rtol=1e-6)
    section = dm.PoincareMap(DUFFING, "phase", 0.0)
    same = dm.lyapunov_spectrum(section, [1.19707, 0.08447], duration=100, transient=10)
    np.testing.assert_allclose(same.lyapunov.sum(), -0.25 * 2 * np.pi, rtol=1e-6)


def test_what_is_no_section():
    lorenz = dm.systems.get("lorenz63")
    with pytest.raises(dm.errors.ShapeError, match="3 numbers for Lorenz63"):
        dm.PoincareMap(lorenz, [1.0, 0.0])
    with pytest.raises(ValueError, match="no component 'w'"):
        dm.PoincareMap(lorenz, "w")
    with pytest.raises(ValueError, match="must be one of"):
        dm.PoincareMap(lorenz, "x", direction=2)
    with pytest.raises(ValueError, match="a phase is crossed forwards"):
        dm.PoincareMap(DUFFING, "phase", direction=0)
    with pytest.raises(TypeError, match="depends on time"):
        dm.PoincareMap(Driven(), "position")
    with pytest.raises(TypeError, match=r"no formula: an integrator"):
        dm.symbolic.jacobian(LORENZ)
    with pytest.raises(dm.errors.ConvergenceError, match="does not return to the section"):
        dm.PoincareMap(dm.systems.get("lorenz63", rho=0.5), "z", 5.0, -1).rule(np.ones(2), None)
    with pytest.raises(TypeError, match="must be a function of time"):
        dm.StroboscopicMap(Driven(), 1.0, drive=lambda t: t)


@pytest.mark.slow  # 9 s: orbits that do not return are followed for 10,000 steps
def test_starts_that_do_not_return_are_passed_over():
    """Random starts lie off the section's part to which orbits return: the cycle is found from the
    others, of period 5.8811."""
    section = dm.PoincareMap(dm.systems.get("roessler"), [0.0, 1.0, 0.0])
    found = dm.fixed_points(section, starts=20)
    assert found.sizes["point"] == 1
    assert section.return_time(found.x.values[0]) == pytest.approx(5.88108846, abs=1e-7)
