"""Fixed points and cycles: all of them where their number is known."""

import numpy as np
import pytest

import dynmem as dm
from tests.reference import Cat, ForcedDuffing, Henon, Logistic, Lorenz

CAT = Cat(np.array([[2, 1], [1, 1]]))
BOX = (0.0, 1.0)


class Circle(dm.Flow):
    """Every point of the unit circle rests; so does, unstably, the centre."""

    states = ("x", "y")

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        q = 1.0 - x * x - y * y
        return dm.stack((x * q, y * q))


class Normal(dm.Flow):
    """x' = mu - x^2: two fixed points, one, or none."""

    mu: float = 1.0
    states = ("x",)

    def rule(self, x, u):
        return self.mu - x * x


class Standard(dm.Map):
    """Standard map on the torus."""

    K: float = 0.9
    states = ("angle", "momentum")

    def rule(self, s, u):
        p = s[..., 1] + self.K * dm.sin(s[..., 0])
        return dm.stack(((s[..., 0] + p) % (2 * np.pi), p % (2 * np.pi)))


def multipliers(found):
    return found.eigenvalue_real.values + 1j * found.eigenvalue_imag.values


def test_henon_has_two():
    found = dm.fixed_points(Henon(), box=(-2, 2))
    # Henon (1976)
    np.testing.assert_allclose(found.x.sel(state="x"), [-1.1313545, 0.6313545], atol=1e-7)
    assert found.kind.values.tolist() == ["saddle", "saddle"] and int(found.lost) == 0
    np.testing.assert_allclose(found.eigenvalue_real.prod("mode"), -0.3, atol=1e-12)
    np.testing.assert_allclose(found.exponent.sum("mode"), np.log(0.3), atol=1e-12)
    assert (
        float(found.residual.max()) < 1e-12
        and int(found.found.sum()) == int(found.converged) == 1000
    )


@pytest.mark.parametrize("period", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_logistic_map_has_all_its_cycles(period):
    """At r = 4, f^n is conjugate to a tent of 2^n branches: 2^n points with multipliers +-2^n, and
    4^n at x = 0."""
    found = dm.fixed_points(Logistic(), period=period, box=BOX, starts=1000 if period < 7 else 6000)
    assert found.sizes["point"] == 2**period
    k = np.arange(2**period)
    exact = np.concatenate(
        [
            np.sin(np.pi * k / (2**period - 1)) ** 2 if period > 1 else [0.0],
            np.sin(np.pi * k / (2**period + 1)) ** 2,
        ]
    )
    np.testing.assert_allclose(
        np.unique(found.x.values.round(9)), np.unique(exact.round(9)), atol=2e-9
    )
    size = np.abs(multipliers(found)[:, 0]) ** (1 / found.period.values)
    np.testing.assert_allclose(size, np.where(found.x.values[:, 0] < 1e-9, 4.0, 2.0), rtol=1e-6)
    assert set(found.period.values.tolist()) == {d for d in range(1, period + 1) if period % d == 0}


def test_the_number_of_henon_cycles():
    """Galias (1998), Int. J. Bifurcation Chaos 8, 2427, proved 1, 1, 0, 1, 0, 2, 4, 7 cycles of
    length 1 .. 8 on the attractor by interval arithmetic; the second fixed point lies off it."""
    for period, cycles in ((1, 2), (2, 1), (3, 0), (4, 1), (5, 0), (6, 2), (7, 4), (8, 7)):
        found = dm.fixed_points(
            Henon(),
            period=period,
            box=([-1.4, -0.4], [1.4, 0.4]),
            starts=500 if period < 7 else 2500,
        )
        own = found.isel(point=found.period.values == period)
        assert len(np.unique(own.cycle)) == cycles and own.sizes["point"] == cycles * period


@pytest.mark.parametrize(("period", "points"), [(6, 16), (8, 64), (10, 104)])
def test_points_of_every_length_that_divides_the_period(period, points):
    """Of the 104 points of henon^10 the fixed point off the attractor went missing: few starts
    lead to it among so many. The count is the same as that of the divisors, one by one."""
    lengths = [d for d in range(1, period + 1) if period % d == 0]
    options = {"starts": 300} if period < 10 else {"starts": 600}
    found = dm.fixed_points(Henon(), period=period, **options)
    assert found.sizes["point"] == points
    assert set(found.period.values.tolist()) <= set(lengths)
    assert (found.period == 1).sum() == 2 and found.parameters.count('"starts"') == 1


@pytest.mark.parametrize("period", [1, 2, 3, 4, 5])
def test_the_cat_map_on_the_torus(period):
    """|det(M^n - 1)| points, exactly."""
    found = dm.fixed_points(CAT, period=period, box=BOX, modulus=1.0, starts=1500)
    power = np.linalg.matrix_power(CAT.M, period)
    assert found.sizes["point"] == round(abs(np.linalg.det(power - np.eye(2))))
    np.testing.assert_allclose(
        found.eigenvalue_real.values[:, 0] ** (period / found.period.values),
        np.linalg.eigvals(power).max(),
        rtol=1e-9,
    )


def test_points_of_a_cycle_follow_each_other():
    found = dm.fixed_points(Henon(), period=6, box=([-1.4, -0.4], [1.4, 0.4]))
    for cycle in np.unique(found.cycle):
        points = found.x.values[found.cycle.values == cycle]
        np.testing.assert_allclose(
            Henon().rule(points, None), np.roll(points, -1, axis=0), atol=1e-9
        )
        values = multipliers(found)[found.cycle.values == cycle]
        np.testing.assert_allclose(values, np.broadcast_to(values[0], values.shape), rtol=1e-6)
    assert (np.diff(found.cycle) >= 0).all() and (np.diff(found.period) >= 0).all()


def test_lorenz_has_three_equilibria():
    """C+- at (+-sqrt(beta(rho - 1)), same, rho - 1); the cubic of their eigenvalues (Lorenz 1963);
    rho = 20: largest real part -0.1547918."""
    found = dm.fixed_points(Lorenz(), box=([-30, -30, -10], [30, 30, 60]))
    s = np.sqrt(8 / 3 * 27)
    np.testing.assert_allclose(found.x, [[-s, -s, 27], [0, 0, 0], [s, s, 27]], atol=1e-9)
    assert found.kind.values.tolist() == ["saddle"] * 3
    calm = dm.fixed_points(Lorenz(rho=20.0), box=([-30, -30, -10], [30, 30, 60]))
    assert calm.kind.values.tolist() == ["stable", "saddle", "stable"]
    assert calm.exponent.values[0, 0] == pytest.approx(-0.1547918, abs=1e-7)
    # rho_H = 24.7368: Hopf
    marginal = dm.fixed_points(Lorenz(rho=470 / 19), box=([-30, -30, -10], [30, 30, 60]))
    assert marginal.marginal.values.tolist() == [True, False, True]


def test_a_flow_and_its_map_agree():
    flow = dm.fixed_points(Lorenz(), box=([-30, -30, -10], [30, 30, 60]))
    by_map = dm.fixed_points(
        dm.FlowMap(Lorenz(), 0.1, order=8, substeps=4), box=([-20, -20, 0], [20, 20, 40])
    )
    np.testing.assert_allclose(by_map.x, flow.x, atol=1e-7)
    np.testing.assert_allclose(by_map.exponent, flow.exponent, rtol=1e-5)


def test_starts_are_found_without_a_box():
    assert dm.fixed_points(Lorenz(), starts=100).sizes["point"] == 3
    assert dm.fixed_points(Henon(), starts=100).sizes["point"] == 2
    # orbits start near rest, and yet its two memories are found
    memory = dm.fixed_points(dm.systems.get("wong_wang"))
    stable = memory.isel(point=memory.stable.values)
    np.testing.assert_allclose(
        stable.x, [[0.0319, 0.5670], [0.1027, 0.1027], [0.5670, 0.0319]], atol=1e-4
    )
    np.testing.assert_allclose(stable.eigenvalue_real[0], [-5.12, -8.33], atol=5e-3)
    given = dm.fixed_points(Henon(), np.array([[0.6, 0.2], [0.7, 0.2]]))
    assert given.found.values.tolist() == [2] and given.unseen.item() == 0.0


def test_three_bits_of_memory():
    """Three units that each hold a bit: 27 fixed points, of which the 8 patterns are stable."""
    bits = dm.models.Tanh(2.0 * np.eye(3))
    found = dm.fixed_points(bits)
    assert found.sizes["point"] == 27 and int(found.stable.sum()) == 8
    stable = found.x.values[found.stable.values]
    assert len({tuple(row) for row in np.sign(stable)}) == 8
    np.testing.assert_allclose(np.abs(stable), 0.9575040, atol=1e-6)  # x = tanh 2x
    mixed = dm.models.Tanh(2.0 * np.eye(3) + 0.1 * np.random.default_rng(0).standard_normal((3, 3)))
    assert int(dm.fixed_points(mixed).stable.sum()) == 8


def test_random_networks():
    """Below gain 1 rest is all there is; above, fixed points come in pairs (the network is odd)."""
    assert dm.fixed_points(dm.models.Tanh.random(30, gain=0.5, rng=1)).sizes["point"] == 1
    found = dm.fixed_points(dm.models.Tanh.random(30, gain=1.6, rng=3), starts=300)
    assert found.sizes["point"] % 2 == 1
    for x in found.x.values:
        assert np.linalg.norm(found.x.values + x, axis=1).min() < 1e-7


def test_an_input_that_is_held():
    """Duffing at u: v = 0, x - x^3 + u = 0."""
    found = dm.fixed_points(ForcedDuffing(), drive=[0.2], box=(-2, 2))
    np.testing.assert_allclose(
        found.x.sel(state="position"), np.sort(np.roots([-1, 0, 1, 0.2]).real), atol=1e-9
    )
    assert found.kind.values.tolist() == ["stable", "saddle", "stable"]
    assert dm.fixed_points(ForcedDuffing(), drive=[1.0], box=(-2, 2)).sizes["point"] == 1


@pytest.mark.parametrize("system", [dm.models.Linear(np.diag([1.0, 0.5])), Circle()])
def test_a_continuum_is_noted(system):
    """A line attractor and a ring."""
    found = dm.fixed_points(system, box=(-2, 2), starts=100)
    assert (
        float(found.marginal.mean()) > 0.9
        and "continuum" in found.attrs["note"]
        and float(found.residual.max()) < 1e-9
    )
    if isinstance(system, Circle):
        rest = found.isel(point=found.kind.values == "marginal")
        np.testing.assert_allclose(np.linalg.norm(rest.x, axis=1), 1.0, atol=1e-9)
        np.testing.assert_allclose(
            rest.exponent, np.tile([0.0, -2.0], (rest.sizes["point"], 1)), atol=1e-8
        )


def test_none_one_and_a_double_one():
    none = dm.fixed_points(Normal(-1.0), box=(-3, 3), starts=50)
    assert none.sizes == {"point": 0, "state": 1, "mode": 1} and "none of 50" in none.attrs["note"]
    assert int(none.lost) == 50 and np.isnan(none.unseen)
    double = dm.fixed_points(Normal(0.0), box=(-3, 3), starts=50)
    assert double.marginal.all() and np.abs(double.x).max() < 1e-4 and double.sizes["point"] == 1
    two = dm.fixed_points(Normal(4.0), box=(-3, 3), starts=50)
    assert two.x.values[:, 0].tolist() == pytest.approx([-2, 2]) and two.kind.values.tolist() == [
        "repeller",
        "stable",
    ]


def test_every_start_blows_up():
    with pytest.raises(dm.errors.NotFiniteError, match="at any of"):
        dm.fixed_points(Lorenz(rho=np.nan), box=(-1, 1))


def test_infinity_is_no_fixed_point():
    """x' = x/(1 + x^4): the velocity vanishes at 0 and, without a fixed point, far away."""

    class Fading(dm.Flow):
        states = ("x",)

        def rule(self, x, u):
            return x / (1.0 + x * x * x * x)

    found = dm.fixed_points(Fading(), box=(-20, 20), starts=100)
    assert found.x.values.tolist() == [[0.0]] and int(found.lost) > 0


def test_standard_map():
    """Fixed points (0, 0), hyperbolic, and (pi, 0), elliptic for 0 < K < 4: the trace of the latter
    is 2 - K."""
    found = dm.fixed_points(Standard(), modulus=2 * np.pi, box=(0, 2 * np.pi))
    np.testing.assert_allclose(found.x, [[0, 0], [np.pi, 0]], atol=1e-9)
    np.testing.assert_allclose(found.eigenvalue_real.sum("mode"), [2.9, 1.1], atol=1e-9)
    assert found.kind.values.tolist() == ["saddle", "marginal"]


def test_the_search_does_not_depend_on_chunks(monkeypatch):
    from dynmem.analysis.stability import newton

    whole = dm.fixed_points(Henon(), box=(-2, 2), starts=64)
    monkeypatch.setattr(newton, "MAX_BATCH_NUMBERS", 40)
    np.testing.assert_array_equal(
        dm.fixed_points(Henon(), box=(-2, 2), starts=64).found, whole.found
    )


def test_errors():
    with pytest.raises(ValueError, match="pass dm.FlowMap"):
        dm.fixed_points(Lorenz(), period=2)
    for bad in (
        {"period": 0},
        {"period": 1.5},
        {"starts": 0},
        {"box": (1, -1)},
        {"modulus": -1},
        {"tolerance": 0},
        {"drive": [1.0]},
        {"drive": 1.0},
    ):
        with pytest.raises(ValueError):
            dm.fixed_points(Henon(), **bad)
    with pytest.raises(dm.errors.ShapeError, match=r"one input that is held, .*\(1,\)"):
        dm.fixed_points(ForcedDuffing(), drive=0.2)
    with pytest.raises(dm.errors.ShapeError, match="3 components"):
        dm.fixed_points(Henon(), np.zeros((5, 3)))


# Saturated gates


def gated(weight, gain=1.5):
    """A GRU of one unit, h' = (1 - z) tanh(gain h) + z h with z = sigmoid(weight h): the reset gate
    is 1/2."""
    return dm.models.GRU(np.array([[0.0], [weight], [2.0 * gain]]))


class GatedFlow(dm.Flow):
    """The same in continuous time: x' = (1 - z)(tanh 1.5 x - x)."""

    states = ("x",)

    def rule(self, x, u):
        return dm.sigmoid(-4.0 * x) * (dm.tanh(1.5 * x) - x)


@pytest.mark.parametrize("starts", [None, 200, 4000])
@pytest.mark.parametrize("system", [gated(4.0), gated(-4.0), gated(8.0), GatedFlow()])
def test_a_saturated_gate_is_no_fixed_point(system, starts):
    """x = tanh 1.5 x has three solutions (scipy's brentq); beyond z = 1 - 1e-16 everything stands
    still to rounding."""
    from scipy.optimize import brentq

    high = brentq(lambda x: np.tanh(1.5 * x) - x, 0.1, 1.0, xtol=1e-15)
    found = dm.fixed_points(system, starts=starts)
    np.testing.assert_allclose(found.x.values[:, 0], [-high, 0.0, high], atol=1e-9)
    assert found.kind.values.tolist() == ["stable", "repeller", "stable"]
    assert int(found.converged) == int(found.found.sum()) and float(found.residual.max()) < 1e-12


@pytest.mark.parametrize("starts", [None, 200])
@pytest.mark.parametrize("gain", [0.5, 1.5, 3.0, 40.0])
@pytest.mark.parametrize("weight", [20.0, 40.0, 400.0, -40.0, -400.0, 4000.0])
def test_no_false_point_where_a_gate_saturates_within_reach(weight, gain, starts):
    """Of x = tanh(gain x) the solutions that are reached before z = 1 to rounding are found, at
    most, and nothing else: at weight 400 that is from x = 0.09 on."""
    from scipy.optimize import brentq

    high = brentq(lambda x: np.tanh(gain * x) - x, 1e-3, 1.1, xtol=1e-15) if gain > 1 else 0.0
    found = dm.fixed_points(gated(weight, gain), starts=starts)
    true = np.array([-high, 0.0, high])
    # at weight 20 rounding over 1 - z = 3e-8 moves a zero by 1e-8
    assert np.abs(found.x.values - true).min(axis=1).max() < 1e-7
    assert not found.marginal.any() and "note" not in found.attrs
    assert np.abs(found.x.values + np.sign(weight) * high).min() < 1e-9  # where the gate is open


def test_gates_that_saturate_apart():
    """Two units, one closed above 0.09 and one below -0.09: 2 x 2 points."""
    W = np.zeros((6, 2))
    W[2:4], W[4:] = np.diag([400.0, -400.0]), 3.0 * np.eye(2)
    found = dm.fixed_points(dm.models.GRU(W), starts=2000)
    high = 0.8585596366401104
    expected = [[-high, 0.0], [-high, high], [0.0, 0.0], [0.0, high]]
    np.testing.assert_allclose(found.x, expected, atol=1e-9)
    assert int(found.stable.sum()) == 1 and int(found.saturated) > 0


class DeadZone(dm.Flow):
    """x' = -(x - clip(x, -1, 1)): at rest anywhere within +-1."""

    states = ("x",)

    def rule(self, x, u):
        return dm.clip(x, -1.0, 1.0) - x


@pytest.mark.parametrize(
    "system", [dm.models.Relu(np.eye(2)), DeadZone(), dm.models.Linear(np.eye(2))]
)
def test_a_continuum_behind_a_kink_is_kept(system):
    """A relu holds what is above 0 exactly: no gate that fades."""
    states = np.random.default_rng(0).uniform(-2, 2, (60, system.size))
    found = dm.fixed_points(system, states)
    assert found.sizes["point"] >= 15 and found.marginal.any() and int(found.saturated) == 0


@pytest.mark.parametrize("power", [2, 3, 5])
def test_a_flat_zero_is_no_saturation(power):
    """x' = -x^p is at rest at 0 alone, where its slope is 0 too."""
    system = dm.Flow.from_function(lambda x, u: -(x**power), states=("x",))
    found = dm.fixed_points(system, np.array([[0.0], [-1.0], [1.0]]))
    assert int(found.saturated) == 0 and found.sizes["point"] >= 1
    assert 0.0 in found.x.values


@pytest.mark.parametrize("starts", [200, 4000])
def test_one_saturated_unit_among_others(starts):
    """Two units that know nothing of each other: 3 x 3 points."""
    W = np.zeros((6, 2))
    W[2:4], W[4:] = np.diag([4.0, -6.0]), 3.0 * np.eye(2)
    found = dm.fixed_points(dm.models.GRU(W), starts=starts)
    assert found.sizes["point"] == 9 and int(found.stable.sum()) == 4
    assert abs(found.x).max() < 1.0 and not found.marginal.any()


def test_a_cell_state_far_away_is_pinned():
    """c = f c + i g with f = sigma(12): i g/(1 - f) = 1.6e5 tanh(1)/2 is a fixed point, since the
    cell forgets a little; with f = 1 to rounding c holds whatever it holds."""
    b = np.array([0.0, 12.0, 1.0, 0.0])
    c = 0.5 * np.tanh(1.0) * (1.0 + np.exp(12.0))
    x0 = np.column_stack([np.full(20, 0.5), np.linspace(0.0, 2.0 * c, 20)])
    found = dm.fixed_points(dm.models.LSTM(np.zeros((4, 1)), b=b), x0)
    np.testing.assert_allclose(found.x, [[0.5, c]], rtol=1e-9)
    assert found.kind.values.tolist() == ["stable"]
    holds = dm.fixed_points(
        dm.models.LSTM(np.zeros((4, 1)), b=np.array([-40.0, 40.0, 1.0, 0.0])), np.zeros((1, 2))
    )
    assert holds.marginal.all() and abs(holds.x).max() < 1e-3


@pytest.mark.parametrize(
    "kind, options",
    [("tanh", {}), ("tanh", {"leak": 0.1}), ("hybrid", {"window": 2}), ("lstm", {})],
)
def test_points_of_other_cells_against_scipy(kind, options):
    """Whatever is found solves the equation by scipy's own hybrid method, from a little beside."""
    from scipy.optimize import root

    model = dm.models.get(kind, units=4, inputs=1, rng=2, gain=2.0, **options)
    found = dm.fixed_points(model, starts=200, drive=[0.1])
    u, rng = np.array([0.1]), np.random.default_rng(0)
    assert found.sizes["point"] >= 1
    for x in found.x.values[~found.marginal.values][:10]:
        start = x + 1e-3 * rng.standard_normal(x.shape)
        by_scipy = root(lambda y: model.rule(y, u) - y, start, tol=1e-12)
        np.testing.assert_allclose(by_scipy.x, x, atol=1e-8)


def test_a_cell_of_torch():
    import torch

    torch.manual_seed(1)
    layer = torch.nn.GRU(2, 6, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0 *= 6.0
    found = dm.fixed_points(layer, starts=200)
    h = torch.tensor(found.x.values)[None]
    with torch.no_grad():
        after, _ = layer(torch.zeros(1, h.shape[1], 2, dtype=torch.float64), h)
    assert found.sizes["point"] > 1 and float((after - h).abs().max()) < 1e-12


# Starts, classes and distances


def test_starts_from_an_orbit_and_from_states():
    system = Lorenz()
    found = dm.fixed_points(system, [1.0, 1.0, 20.0], starts=100)
    assert found.sizes["point"] == 3 and (found.distance > 0).all()
    states = np.array([[8.0, 8.0, 27.0], [-8.0, -8.0, 27.0], [0.1, 0.0, 0.0]])
    found = dm.fixed_points(system, states)
    assert found.sizes["point"] == 3 and float(found.found.sum()) >= 3
    s = np.sqrt(72.0)
    np.testing.assert_allclose(found.distance[0], np.linalg.norm([s - 8, s - 8]), rtol=1e-9)
    assert "distance" not in dm.fixed_points(system, box=(-30, 60), starts=50)
    with pytest.raises(ValueError, match="pass one of them"):
        dm.fixed_points(system, states, box=(-1, 1))
    with pytest.raises(dm.errors.ShapeError, match="pass one state"):
        dm.fixed_points(system, np.empty((0, 3)))


@pytest.mark.parametrize("rates", [(-1.0, -1e6), (-1e-3, -1e6), (-1.0, -1e10), (-1e-9, -1.0)])
def test_a_stiff_node_is_stable(rates):
    """Rounding moves an eigenvalue by 1e-16 of the largest, not by a millionth of it."""

    class Node(dm.Flow):
        states = ("slow", "fast")

        def rule(self, x, u):
            return dm.stack((rates[0] * x[..., 0], rates[1] * x[..., 1]))

    found = dm.fixed_points(Node(), box=(-1, 1), starts=20)
    assert found.kind.values.tolist() == ["stable"] and not found.marginal.any()
    np.testing.assert_allclose(found.exponent.values[0], rates, rtol=1e-12)
    still = dm.fixed_points(Node(), np.zeros((1, 2)))
    assert still.kind.values.tolist() == ["stable"]


def test_a_slow_memory_is_stable():
    """Multiplier 1 - 1e-7: a memory of ten million steps is no continuum."""
    found = dm.fixed_points(dm.models.Linear(np.diag([1.0 - 1e-7, 0.5])), starts=50)
    assert found.kind.values.tolist() == ["stable"]
    assert found.exponent.values[0, 0] == pytest.approx(-1e-7, rel=1e-6)


def test_a_line_attractor_is_kept_where_orbits_are():
    line = dm.models.Linear(np.diag([1.0, 0.5]))
    states = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    found = dm.fixed_points(line, states)
    assert found.sizes["point"] >= 50 and found.marginal.all()
    assert np.abs(found.x.values[:, 0]).max() < 2.0


@pytest.mark.slow  # trains a network for a minute
@pytest.mark.parametrize("kind, units", [("gru", 24), ("lstm", 12)])
def test_a_trained_flip_flop_has_27_points(kind, units):
    """Sussillo and Barak (2013), section 4.1: 8 memories and the saddles between them. 12 of these
    part two neighbours, 6 four, 1 all; and each is a zero by scipy."""
    from scipy.optimize import root

    task = dm.tasks.get("flip_flop", steps=50, hold=10, bits=3)
    network = dm.models.get(kind, units=units, inputs=3, outputs=3, rng=0)
    trained, history = dm.fit(network, task, steps=1500, rng=0)
    assert int(history.learned) == 1
    pulses, _ = task.draw(64, np.random.default_rng(1))
    x, visited = np.zeros((64, trained.size)), []
    for u in pulses.swapaxes(0, 1).astype(float):
        x = trained.rule(x, u)
        visited.append(x)
    visited = np.concatenate(visited)
    points = [
        dm.fixed_points(trained, *start, starts=starts)
        for start in ((visited,), ())
        for starts in (200, 4000)
    ]
    for found in points:
        unstable = (found.exponent > 0).sum("mode")
        assert np.bincount(unstable).tolist() == [8, 12, 6, 1] and not found.marginal.any()
        np.testing.assert_allclose(np.sort(found.x, 0), np.sort(points[0].x, 0), atol=1e-8)
    stable = points[0].x.values[points[0].stable.values]
    bits = trained.output(stable, np.zeros((len(stable), 3))) > 0
    assert len({tuple(row) for row in bits}) == 8
    for x in points[0].x.values:
        by_scipy = root(lambda y: trained.rule(y, np.zeros(3)) - y, x + 1e-4, tol=1e-12)
        np.testing.assert_allclose(by_scipy.x, x, atol=1e-7)
    # no further zero by scipy among starts from visited states
    rng = np.random.default_rng(2)
    for start in rng.permutation(visited)[:100]:
        by_scipy = root(lambda y: trained.rule(y, np.zeros(3)) - y, start, tol=1e-12)
        if by_scipy.success and np.linalg.norm(by_scipy.fun) < 1e-10:
            assert np.linalg.norm(points[0].x.values - by_scipy.x, axis=1).min() < 1e-6
    slow = dm.slow_points(trained, visited, starts=200)
    assert int(slow.stable[slow.fixed.values].sum()) == 8


@pytest.mark.parametrize("search", [dm.fixed_points, dm.slow_points])
@pytest.mark.parametrize("size", [1e308, 1e200])
def test_states_that_are_all_beyond_reach_are_named(search, size):
    """They ended in numpy's words for an empty array."""
    still = dm.Map.from_function(lambda x, u: 1.0 * x, states=("x", "y"))
    with pytest.raises(dm.NotFiniteError, match="is beyond .*counts as escaped"):
        search(still, [size, -size], starts=20)
