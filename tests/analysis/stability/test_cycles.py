"""Cycles against published periods, closed forms, scipy's boundary value problems, and counts."""

import numpy as np
import pytest
from scipy.integrate import solve_bvp

import dynmem as dm
from dynmem.errors import ShapeError


class VanDerPol(dm.Flow):
    mu: float = 1.0
    states = ("x", "v")

    def rule(self, x, u):
        x, v = x[..., 0], x[..., 1]
        return v, self.mu * (1.0 - x * x) * v - x


class Radial(dm.Flow):
    """r' = r (1 - r^2) growth, angle' = w, z' = -fall z: the cycle r = 1 of multipliers
    e^(-2 growth T), e^(-fall T), T = 2 pi / w."""

    growth: float = 0.3
    frequency: float = 2.0
    fall: float = 0.5
    states = ("x", "y", "z")

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        g = self.growth * (1.0 - x * x - y * y)
        return g * x - self.frequency * y, g * y + self.frequency * x, -self.fall * z


@pytest.mark.parametrize(
    ("mu", "period", "digits"),
    [
        (1.0, 6.66328686, 1e-8),  # Andersen and Geer (1982), SIAM J. Appl. Math. 42, 678
        (0.1, 2 * np.pi * (1 + 0.1**2 / 16 - 5 * 0.1**4 / 3072), 1e-7),  # their series
        (10.0, 19.0783696, 1e-6),
    ],
)
def test_the_period_of_van_der_pol(mu, period, digits):
    found = dm.cycles(VanDerPol(mu), [2.0, 0.0])
    assert found.sizes["cycle"] == 1 and found.stable.item()
    assert found.period.item() == pytest.approx(period, abs=digits)
    assert float(found.period_error[0]) < 1e-8 and float(found.unit_error[0]) < 1e-9
    if mu <= 1.0:  # the sum rule: the mean divergence over the cycle
        x = found.x.values[0, :, 0]
        rate = mu * (1.0 - x * x).mean()
        assert np.log(found.multiplier_real.item()) == pytest.approx(rate * period, rel=1e-3)


def test_against_a_boundary_value_problem():
    found = dm.cycles(VanDerPol(4.0), [2.0, 0.0])

    def rule(s, y, p):
        return p[0] * np.array([y[1], 4.0 * (1 - y[0] ** 2) * y[1] - y[0]])

    def ends(a, b, p):
        return np.array([a[0] - b[0], a[1] - b[1], a[1]])

    s, x = np.linspace(0, 1, 65), found.x.values[0]
    other = solve_bvp(rule, ends, s, np.vstack([x, x[:1]]).T, [10.0], tol=1e-8, max_nodes=20000)
    assert found.period.item() == pytest.approx(other.p[0], rel=1e-7)


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e5])
@pytest.mark.parametrize("growth", [0.3, -0.3])
def test_multipliers_in_closed_form(growth, unit):
    """Stable and unstable, in any unit of time."""
    flow = Radial(growth / unit, 2.0 / unit, 0.5 / unit)
    period = np.pi * unit
    near = {"x0": [0.9, 0.1, 0.05], "period": 3.0 * unit}
    found = dm.cycles(flow, **near)
    assert found.period.item() == pytest.approx(period, rel=1e-10)
    expected = sorted((np.exp(-2 * growth * np.pi), np.exp(-0.5 * np.pi)), reverse=True)
    np.testing.assert_allclose(found.multiplier_real.values[0], expected, rtol=1e-8)
    assert found.kind.item() == ("stable" if growth > 0 else "saddle")
    x = found.x.values[0]
    np.testing.assert_allclose(np.hypot(x[:, 0], x[:, 1]), 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "periods", "multiplier"),
    [
        # Viswanath (2003), Nonlinearity 16, 1035: AB, AAB, AAAB, AABB
        ("lorenz63", [1.55865221071, 2.30590726394, 3.02358370339, 3.08427677848], 4.71294),
        ("roessler", [5.88108846, 11.75862607], -2.403953),
    ],
)
def test_unstable_cycles_in_chaos(name, periods, multiplier):
    """Roessler's: Cvitanovic et al., Chaos: Classical and Quantum, exercise 7.1 (5.8811)."""
    found = dm.cycles(dm.systems.get(name))
    np.testing.assert_allclose(found.period[: len(periods)], periods, atol=1e-8)
    assert found.multiplier_real.values[0, 0] == pytest.approx(multiplier, abs=1e-4)
    assert (found.kind == "saddle").all() and float(found.residual.max()) < 1e-9
    ends = dm.orbit(dm.systems.get(name), found.x.values[0, 0], duration=float(found.period[0]))
    np.testing.assert_allclose(ends.x[-1], found.x.values[0, 0], atol=1e-4)


def test_multipliers_against_differences():
    flow = dm.systems.get("roessler")
    found = dm.cycles(flow, starts=6)
    x, period = found.x.values[0, 0], float(found.period[0])
    step = dm.FlowMap(flow, period, substeps=400, order=8)
    width = 1e-5
    J = np.stack(
        [(step.rule(x + width * e, None) - step.rule(x - width * e, None)) for e in np.eye(3)], -1
    )
    values = np.linalg.eigvals(J / (2 * width))
    wanted = values[np.abs(values).argmax()].real
    assert found.multiplier_real.values[0, 0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "counts"),
    [
        # all that the symbols 0 and 1 allow: 2, 1, 2, 3, 6, 9 cycles
        ("logistic", {"r": 4.0}, {1: 2, 2: 1, 3: 2, 4: 3, 5: 6, 6: 9}),
        # Galias (1998), by interval arithmetic, and the fixed point off the attractor
        ("henon", {}, {2: 1, 3: 0, 4: 1, 6: 2, 8: 7}),
    ],
)
def test_counts_of_cycles_of_maps(name, options, counts):
    system = dm.systems.get(name, **options)
    for period, count in counts.items():
        found = dm.cycles(system, period=period)
        assert found.sizes["cycle"] == count, period
        if count:
            x = found.x.values
            np.testing.assert_allclose(system.rule(x, None), np.roll(x, -1, axis=1), atol=1e-8)


def test_cycles_of_networks():
    """x' = -tanh(g y), y' = tanh(g x): a quarter of a turn. With a = tanh(g a) the corners (a, a)
    make a stable cycle of four states, the middles (a, 0) of the sides a saddle."""
    for gain, size in ((2.0, 0.9575040), (1.5, 0.8585595)):
        system = dm.models.Tanh(gain * np.array([[0.0, -1.0], [1.0, 0.0]]))
        found = dm.cycles(system, period=4)
        assert sorted(found.kind.values.tolist()) == ["saddle", "stable"]
        corners = found.isel(cycle=found.stable.values).x.values
        np.testing.assert_allclose(np.abs(corners), size, atol=1e-6)
        assert dm.cycles(system, period=3).sizes["cycle"] == 0


def test_cycles_lie_where_orbits_get():
    gru = dm.models.get("gru", units=6, inputs=1, gain=3.0, rng=2)
    found = dm.cycles(gru, period=1, drive=[0.3])
    assert found.sizes["cycle"] and np.abs(found.x.values).max() <= 1.0
    np.testing.assert_allclose(gru.rule(found.x.values[:, 0], np.array([0.3])), found.x[:, 0])


def test_driven_and_phased_flows():
    """The registry's duffing on its stable cycle of one turn has the multipliers of its strobe."""
    flow = dm.systems.get("duffing", amplitude=0.2)
    found = dm.cycles(flow, [1.197, 0.0845, 0.0], period=6.2)
    assert found.period.item() == pytest.approx(2 * np.pi, rel=1e-12) and found.stable.item()
    section = dm.PoincareMap(flow, "phase", 0.0)
    same = dm.cycles(section, [[1.197, 0.0845]])
    same = same.isel(cycle=same.stable.values)
    np.testing.assert_allclose(
        np.hypot(found.multiplier_real, found.multiplier_imag)[0],
        np.hypot(same.multiplier_real, same.multiplier_imag)[0],
        rtol=1e-7,
    )


def test_nothing_found_and_wrong_arguments():
    rest = dm.Flow.from_function(lambda x: -x, states=("x", "y"))
    found = dm.cycles(rest, [1.0, 0.5])
    assert found.sizes["cycle"] == 0 and "ended on a cycle" in found.note
    timed = dm.Flow.from_function(lambda x, t: -x + dm.cos(t)[..., None], states=("x",))
    with pytest.raises(TypeError, match=r"depends on time.*dm\.StroboscopicMap"):
        dm.cycles(timed)
    with pytest.raises(ShapeError, match="x0 has 2 components"):
        dm.cycles(Radial(), [1.0, 0.0])
    with pytest.raises(ValueError, match="period"):
        dm.cycles(Radial(), period=-1.0)
