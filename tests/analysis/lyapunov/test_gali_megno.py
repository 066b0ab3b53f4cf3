"""GALI and MEGNO: closed forms first, then published values, then what they do at the edges."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis.lyapunov.gali_megno import advance, orthonormal
from dynmem.autodiff.jacobian import push
from dynmem.systems import (
    FigureEight,
    HierarchicalTriple,
    Kepler,
    NBody,
    Symplectic,
    TwoPlanets,
    barycentric,
    orbit_state,
)


class StandardMap(dm.Map):
    """Chirikov's map on the line."""

    K: float = 1.0
    states = ("theta", "p")

    def rule(self, x, u):
        p = x[..., 1] + self.K * dm.sin(x[..., 0])
        return dm.stack((x[..., 0] + p, p))


class Shear(dm.Flow):
    """q' = p, p' = 0: a tangent vector (0, 1) grows as sqrt(1 + t^2)."""

    states = ("q", "p")

    def rule(self, x, u):
        return dm.stack((x[..., 1], 0.0 * x[..., 1]))


def linear(*diagonal):
    return dm.models.Linear(np.diag(diagonal))


# ---- closed forms


def test_gali_of_a_linear_map_falls_with_the_differences_of_exponents():
    """exp(-[(l1 - l2) + (l1 - l3)] t), Skokos, Bountis and Antonopoulos (2007)."""
    system, x0 = linear(2.0, 1.0, 0.5), np.zeros(3)
    for vectors, rate in ((2, np.log(2.0)), (3, np.log(2.0) + np.log(4.0))):
        found = dm.gali(system, x0, duration=2000, vectors=vectors)
        late = found.isel(time=slice(250, None))
        np.testing.assert_allclose(np.polyfit(late.time, late.log_gali, 1)[0], -rate, rtol=1e-10)
    assert float(found.log_gali[-1]) < -4000  # far below what a float holds


def test_gali_is_the_volume_of_the_deviation_vectors():
    """Against the definition: vectors carried one by one, scaled to length 1, singular values
    multiplied."""
    system, steps = Symplectic(FigureEight(), 0.05, order=2), 40
    found = dm.gali(system, duration=2.0, vectors=4, points=steps, rng=5)
    rng = np.random.default_rng(5)
    x = system.initial(rng)
    rows = np.linalg.qr(rng.standard_normal((4, 12)).T)[0].T
    for t in range(steps):
        x, rows = push(system, x, rows)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        np.testing.assert_allclose(
            found.gali[t], np.prod(np.linalg.svd(unit, compute_uv=False)), rtol=1e-9
        )


def test_gali_of_one_vector_is_one():
    np.testing.assert_allclose(
        dm.gali(StandardMap(), [0.1, 0.2], duration=50, vectors=1).gali, 1.0, atol=1e-14
    )


def test_megno_of_a_linear_map():
    """|w| = e^(l t): Y = l t, the mean l t/2 (Cincotta and Simo 2000)."""
    found = dm.megno(linear(np.e), np.zeros(1), duration=400)
    np.testing.assert_allclose(found.megno, found.time, rtol=1e-12)
    np.testing.assert_allclose(found.mean_megno, 0.5 * (found.time + 1), rtol=1e-12)
    np.testing.assert_allclose(found.lyapunov, 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.lyapunov_time, 1.0, rtol=0.02)


def test_megno_of_a_shear_tends_to_two():
    """|w|^2 = 1 + t^2: Y = 2 - 2 arctan(t)/t; the direction at random only shifts the time."""
    found = dm.megno(Shear(), [0.0, 0.0], duration=2000.0, dt=0.5)
    assert (
        abs(float(found.megno[-1]) - 2.0) < 0.01 and abs(float(found.mean_megno[-1]) - 2.0) < 0.05
    )
    assert np.isinf(found.lyapunov_time)
    step = dm.FlowMap(Shear(), 0.01)
    _, _, L = advance(step, np.zeros((1, 2)), np.array([[[0.0, 1.0]]]), 1000)
    times = 0.01 * np.arange(1, 1001)
    weighted = np.cumsum(np.log(L[:, 0, 0, 0]) * (2 * times - 0.01)) / times
    np.testing.assert_allclose(weighted, 2 - 2 * np.arctan(times) / times, atol=1e-4)


def test_megno_of_rotation_is_zero():
    """An isochronous motion: no tangent vector grows."""
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    np.testing.assert_allclose(
        dm.megno(dm.models.Linear(turn), [1.0, 0.0], duration=1000).mean_megno, 0.0, atol=1e-10
    )


# ---- published values


def test_gali_of_the_standard_map():
    """K = 1: (0.001, 0.008) chaotic, below 1e-12 within 1000 steps; (pi, 0.01) regular, above 1/t
    (the tests of ChaosTools.jl)."""
    found = dm.gali(
        StandardMap(), np.array([[0.001, 0.008], [np.pi, 0.01]]), duration=1000, points=1000
    )
    assert float(found.gali[-1, 0]) < 1e-12
    assert float(found.gali[-1, 1]) > 1e-3
    assert (found.gali[10:, 1] > 1.0 / found.time[10:]).all()


def test_gali_shows_the_dimension_of_the_torus():
    """Skokos, Bountis and Antonopoulos (2007): on a torus of N = 2 dimensions GALI_2 stays, GALI_3
    falls as a power of t, -2."""

    class Rotors(dm.Map):
        """Two uncoupled twists whose frequencies depend on both actions."""

        states = ("a", "b", "p", "q")

        def rule(self, x, u):
            p, q = x[..., 2], x[..., 3]
            return dm.concat(
                (dm.stack((x[..., 0] + p + 0.3 * q, x[..., 1] + 0.3 * p - q)), x[..., 2:])
            )

    two, three = (dm.gali(Rotors(), [0.1, 0.2, 0.3, 0.4], duration=5000, vectors=k) for k in (2, 3))
    assert float(two.gali[-1]) > 0.1 * float(two.gali[5])
    slope = np.polyfit(np.log(three.time[250:]), three.log_gali[250:], 1)[0]
    assert abs(slope + 2.0) < 0.05


def test_megno_of_the_standard_map_is_its_exponent():
    """K = 20: exponent close to ln(K/2) (Chirikov 1979)."""
    found = dm.megno(StandardMap(20.0), [0.3, 0.2], duration=20_000)
    np.testing.assert_allclose(found.lyapunov, np.log(10.0), atol=0.03)
    np.testing.assert_allclose(1.0 / found.lyapunov_time, np.log(10.0), rtol=0.05)


def far_apart():
    masses = [1.0, 1e-3, 1e-3]
    return NBody(
        masses,
        start=barycentric(
            masses,
            [np.zeros(4), orbit_state(1.5, mu=1.001), orbit_state(15.0, anomaly=1.0, mu=1.002)],
        ),
    )


@pytest.mark.parametrize("rng", [0, 1])
def test_two_small_planets_far_apart_are_regular(rng):
    """Masses 1e-3 at a = 1.5 and 15, T = 1e4: mean MEGNO 2 +- 0.2 (as the tests of rebound ask of
    Cincotta and Simo's indicator)."""
    system = far_apart()
    found = dm.megno(
        Symplectic(system, 0.1, order=2), duration=1e4, conserved=system.energy, rng=rng
    )
    assert abs(float(found.mean_megno[-1]) - 2.0) < 0.2
    assert float(found.conserved_error) < 1e-6 and np.isinf(found.lyapunov_time)


def test_two_close_planets_are_chaotic():
    """Masses 1e-4, period ratio 1.17, a thousand orbits: above 50. Single starts scatter between 10
    and 1000, since the planets meet closely: no fixed step follows that (a symplectic one of 300
    steps an orbit changes the energy by 140 times its parts), controlled steps do, to the
    rounding of the distance at the deepest encounters."""
    system = TwoPlanets()
    starts = system.states_of(1.17, anomaly=np.linspace(0.0, 6.0, 8))
    found = dm.megno(system, starts, duration=2000 * np.pi)
    last = found.mean_megno[-1].values
    assert last.mean() > 50 and (last > 2.5).all()
    assert found.conserved_error[0] < 1e-9 and np.median(found.conserved_error) < 1e-9
    with pytest.warns(dm.DriftWarning, match="steps are too long"):
        dm.megno(Symplectic(system, 2 * np.pi / 300, order=2), starts, duration=2000 * np.pi)


def test_periodic_and_hierarchical_orbits_are_regular():
    for system in (FigureEight(), HierarchicalTriple()):
        found = dm.megno(Symplectic(system, 0.01, order=2), duration=500.0, conserved=system.energy)
        assert abs(float(found.mean_megno[-1]) - 2.0) < 0.1, type(system).__name__
        assert float(found.conserved_error) < 1e-3


# ---- properties


def test_a_batch_is_a_loop():
    starts = np.random.default_rng(0).uniform(0, 3, (2, 3, 2))
    for indicator, name in ((dm.gali, "log_gali"), (dm.megno, "mean_megno")):
        many = indicator(StandardMap(), starts, duration=60, rng=4)
        assert many[name].dims == ("time", "batch0", "batch1")
        for i, j in ((0, 0), (1, 2)):
            one = indicator(StandardMap(), starts[i, j], duration=60, rng=4)
            np.testing.assert_allclose(many[name][:, i, j], one[name], rtol=1e-9, atol=1e-12)


def test_compiled_and_numpy_agree():
    from dynmem.compiler.program import program

    step = StandardMap()
    x, frame = np.array([[0.3, 0.2], [3.0, 0.1]]), np.tile(np.eye(2), (2, 1, 1))
    compiled = program(step, 2)
    slow, fast = advance(step, x, frame, 30), advance(step, x, frame, 30, compiled)
    for a, b in zip(slow, fast, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_factors_rebuild_the_rows():
    scale = np.array([1e-200, 1.0, 1e200])[:, None, None]
    rows = scale * np.random.default_rng(1).standard_normal((3, 5, 4))
    L = np.zeros((5, 3, 3))
    frame = orthonormal(rows, L)
    np.testing.assert_allclose(
        np.einsum("kbn,jbn->bkj", frame, frame), np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-14
    )
    rebuilt = np.einsum("bkj,jbn->kbn", L, frame)
    np.testing.assert_allclose(rebuilt / scale, rows / scale, rtol=1e-12, atol=1e-13)


def test_step_and_flow_give_one_megno():
    """MEGNO does not depend on the step of integration."""
    values = [
        float(dm.megno(dm.FlowMap(Kepler(), dt, order=8), duration=20.0).mean_megno[-1])
        for dt in (0.05, 0.025)
    ]
    np.testing.assert_allclose(values[0], values[1], rtol=2e-3)


# ---- the edges


class Square(dm.Map):
    states = ("x",)

    def rule(self, x, u):
        return x * x


def test_a_lost_start_is_reported_and_all_lost_is_an_error():
    found = dm.megno(Square(), np.array([[0.5], [3.0]]), duration=40)
    assert np.isinf(found.lost[0]) and 8 <= float(found.lost[1]) <= 11
    assert np.isnan(found.mean_megno[-1, 1]) and np.isfinite(found.mean_megno[5, 1])
    np.testing.assert_allclose(found.megno[:8, 0], dm.megno(Square(), [0.5], duration=40).megno[:8])
    for indicator in (dm.megno, lambda *a, **k: dm.gali(*a, vectors=1, **k)):
        with pytest.raises(dm.NotFiniteError, match="step"):
            indicator(Square(), [3.0], duration=40)


def test_a_vector_that_vanishes():
    """A nilpotent map: every vector is 0 after two steps; GALI is 0, MEGNO -inf, and nothing is NaN
    but what has no value."""
    system = dm.models.Linear(np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert (dm.gali(system, np.zeros(2), duration=10).gali[1:] == 0).all()
    found = dm.megno(system, np.zeros(2), duration=10)
    assert (
        np.isneginf(found.megno[-1])
        and np.isneginf(found.lyapunov)
        and np.isinf(found.lyapunov_time)
    )


def test_bad_input_is_refused():
    cases = [
        (lambda: dm.gali(StandardMap(), [0.0, 0.0], duration=10, vectors=3), "no more than 2"),
        (lambda: dm.gali(StandardMap(), [0.0, 0.0], duration=10, vectors=0), "at least 1"),
        (lambda: dm.megno(StandardMap(), [0.0, 0.0, 0.0], duration=10), "2 states"),
        (lambda: dm.megno(StandardMap(), [0.0, 0.0], duration=0), "less than one step"),
        (lambda: dm.megno(StandardMap(), [0.0, 0.0], duration=10, points=0), "points"),
        (lambda: dm.megno(StandardMap(), [0.0, 0.0], duration=np.nan), "finite"),
        (
            lambda: dm.megno(
                dm.models.get("tanh", units=3, inputs=1, rng=0), np.zeros(3), duration=10
            ),
            "takes an input",
        ),
        (lambda: dm.megno(StandardMap, [0.0, 0.0], duration=10), "pass an instance"),
    ]
    for call, words in cases:
        with pytest.raises((ValueError, TypeError), match=words):
            call()
    with pytest.raises(dm.NotFiniteError):
        dm.megno(StandardMap(), [np.nan, 0.0], duration=10)
