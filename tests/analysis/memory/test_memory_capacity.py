"""Memory capacity: closed forms, Gramian against kernel against simulation, ordinary least squares,
bounds of degree 2, then bad input."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import linear_capacity, memory_capacity
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import Linear, Tanh
from dynmem.theory import memory_capacity as predicted_capacity, ring_capacity


def ring(units, decay):
    """A cyclic shift whose first unit has the input."""
    return Linear(decay * np.roll(np.eye(units), 1, axis=0), np.eye(units)[:, :1])


def discrete(cell):
    return dm.linearize(cell, np.zeros(cell.size))


def test_one_unit():
    """Variance 1/(1 - l^2), of which lag k makes l^2k."""
    for l in (0.5, 0.9, -0.99):
        cell = Linear(np.array([[l]]), np.ones((1, 1)))
        expected = (1 - l**2) * l ** (2 * np.arange(21))
        for found in (
            linear_capacity(discrete(cell), lags=20),
            predicted_capacity(cell, lags=20),
        ):
            np.testing.assert_allclose(found.capacity, expected, rtol=1e-10)
            assert found.limit == 1 and found["rank"] == 1


@pytest.mark.parametrize("units, decay", [(1, 0.7), (5, 0.9), (12, 0.97)])
def test_rings(units, decay):
    cell, lags = ring(units, decay), 6 * units
    expected = ring_capacity(units, decay, lags=lags)
    for found in (
        linear_capacity(discrete(cell), lags=lags),
        predicted_capacity(cell, lags=lags),
    ):
        np.testing.assert_allclose(found.capacity, expected.capacity, atol=1e-10)
        assert found.limit == expected.limit == units


def test_gramian_and_kernel_agree():
    """Two routes, for a few units and inputs, whose Gramian has its digits."""
    for seed in range(5):
        cell = Linear.random(5, 2, rng=seed, gain=0.9, init="orthogonal")
        exact, paper = (
            linear_capacity(discrete(cell), lags=60),
            predicted_capacity(cell, lags=60),
        )
        np.testing.assert_allclose(exact.capacity, paper.capacity, atol=1e-9)
        assert (
            exact.total == pytest.approx(5, abs=1e-4) and exact.capacity.dims == paper.capacity.dims
        )


def test_outputs_and_a_direct_path():
    """Two outputs of four states and D: from the definition, 1 - residual variance over the
    kernel's rows."""
    rng = np.random.default_rng(0)
    system = dm.LinearSystem(
        0.8 * np.linalg.qr(rng.standard_normal((4, 4)))[0],
        rng.standard_normal((4, 1)),
        rng.standard_normal((2, 4)),
        rng.standard_normal((2, 1)),
        dt=1.0,
    )
    K = system.kernel(400)[..., 0]
    for noise in (0.0, 0.7):
        expected = np.einsum("ko,op,kp->k", K, np.linalg.inv(K.T @ K + noise**2 * np.eye(2)), K)
        found = linear_capacity(system, lags=399, noise=noise)
        np.testing.assert_allclose(found.capacity, expected, atol=1e-12)
        assert found.limit == pytest.approx(expected.sum(), abs=1e-10)


def test_outputs_that_no_input_reaches():
    """Two of three units have no input: a rank of one, or of none, and no more capacity than
    that."""
    system = dm.LinearSystem(0.5 * np.eye(3), np.eye(3)[:, :1], dt=1.0)
    assert linear_capacity(system, lags=50)["rank"] == 1 and linear_capacity(
        system, lags=50
    ).total == pytest.approx(1, abs=1e-12)
    unreached = linear_capacity(dm.LinearSystem(0.5 * np.eye(3), np.zeros((3, 1)), dt=1.0), lags=5)
    assert unreached["rank"] == 0 and (unreached.capacity == 0).all() and unreached.limit == 0
    silent = memory_capacity(Linear(0.5 * np.eye(3), np.zeros((3, 1))), lags=5, steps=500)
    assert silent["rank"] == 0 and abs(silent.total) < 0.1


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_a_linear_reservoir_of_n_units_holds_n(distribution):
    """Within 2 % (Jaeger 2002), each lag within its error, though the readout fits noise at every
    one of 150 lags."""
    cell = Linear.random(20, 1, rng=1, gain=0.95, init="orthogonal")
    found = memory_capacity(cell, lags=150, steps=10_000, distribution=distribution, rng=2)
    exact = predicted_capacity(cell, lags=150)
    assert (
        found.total == pytest.approx(20, rel=0.02)
        and found.total_error < 0.4
        and found["rank"] == 20
    )
    z = (found.capacity - exact.capacity) / found.capacity_error
    # the jackknife of an R^2 of noise says 1.5 times the truth
    assert 0.5 < np.sqrt((z**2).mean()) < 1.3
    assert abs(found.capacity - exact.capacity).max() < 0.05
    assert linear_capacity(discrete(cell), lags=150).total == pytest.approx(
        found.total.item(), rel=0.02
    )


def test_the_error_of_the_total_is_true():
    """Over independent runs the total scatters as its error says, about the exact one."""
    cell = Linear.random(6, 1, rng=1, gain=0.8, init="orthogonal")
    runs = [memory_capacity(cell, lags=25, steps=2000, rng=seed) for seed in range(40)]
    totals, errors = (
        np.array([run[name].item() for run in runs]) for name in ("total", "total_error")
    )
    assert totals.std(ddof=1) == pytest.approx(np.sqrt((errors**2).mean()), rel=0.3)
    assert totals.mean() == pytest.approx(
        linear_capacity(discrete(cell), lags=25).total.item(), abs=4 * totals.std() / np.sqrt(40)
    )


def test_the_bias_is_taken_off():
    """Outputs that know nothing: R^2 = N/T at each lag, 0.6 in all, and 0 once corrected."""

    class Autonomous(dm.Map):
        inputs, states = 1, tuple(f"x{i}" for i in range(8))

        def rule(self, x, u):
            return dm.sin(1.7 * x + np.arange(8.0)) * 2.9

    found = [memory_capacity(Autonomous(), lags=99, steps=2000, rng=seed) for seed in range(6)]
    totals, errors = (
        np.array([f[name].item() for f in found]) for name in ("total", "total_error")
    )
    assert (
        abs(totals.mean()) < 4 * errors.mean() / np.sqrt(6) and abs(totals).max() < 4 * errors.max()
    )


def test_against_least_squares():
    """R^2 of numpy's own regression, uncorrected by hand."""
    cell, steps = Tanh.random(6, 2, rng=0, gain=0.9), 3000
    found = memory_capacity(
        cell, lags=4, steps=steps, transient=100, drive=0.5, rng=3, x0=np.zeros(6)
    )
    noise = np.random.default_rng(3).uniform(-np.sqrt(3), np.sqrt(3), (100 + 4 + steps, 2))
    y = cell.unroll(np.zeros(6), 0.5 * noise)[0][-steps:]
    X = np.column_stack([y, np.ones(steps)])
    for lag in range(5):
        expected = 0.0
        for target in noise[len(noise) - steps - lag : len(noise) - lag].T:
            residual = target - X @ np.linalg.lstsq(X, target, rcond=None)[0]
            expected += 1 - residual.var() / target.var() * (steps - 1) / (steps - 7)
        assert found.capacity[lag].item() == pytest.approx(expected, abs=1e-10)


def test_capacity_of_the_second_degree():
    """A state of u_t, u_(t-1) and their product holds two linear and one product capacity; a square
    holds a square (Dambre et al. 2012)."""

    class Product(dm.Map):
        inputs, states = 1, ("now", "before", "product", "square")

        def rule(self, x, u):
            return dm.stack((u[..., 0], x[..., 0], u[..., 0] * x[..., 0], x[..., 1] ** 2))

    for distribution in ("uniform", "normal"):
        found = memory_capacity(
            Product(), lags=4, steps=8000, degree=2, distribution=distribution, x0=np.zeros(4)
        )
        np.testing.assert_allclose(found.capacity, [1, 1, 0, 0, 0], atol=0.02)
        expected = np.zeros((5, 5))
        expected[0, 1] = expected[2, 2] = 1
        np.testing.assert_allclose(found.quadratic_capacity, expected, atol=0.02)
        assert found.quadratic_total == pytest.approx(
            2, abs=0.05
        ) and found.quadratic_capacity.dims == ("lag", "second_lag")


def test_nonlinearity_trades_memory_for_products():
    """A tanh network without bias computes odd functions alone; with one the total stays below the
    number of units."""
    odd = Tanh.random(15, 1, rng=0, gain=0.8, init="orthogonal")
    biased = Tanh.random(15, 1, rng=0, gain=0.8, init="orthogonal", bias_sd=0.7)
    faint, strong = (
        memory_capacity(odd, lags=10, steps=5000, degree=2, drive=drive) for drive in (0.01, 2.0)
    )
    assert strong.total < 0.8 * faint.total
    assert abs(strong.quadratic_total) < 4 * strong.quadratic_total_error + 0.01
    bent = memory_capacity(biased, lags=10, steps=5000, degree=2, drive=1.0)
    assert bent.quadratic_total > 1 and bent.total + bent.quadratic_total < 15 + 3 * np.hypot(
        bent.total_error, bent.quadratic_total_error
    )


def test_reproducible():
    cell = Tanh.random(4, 1, rng=0)
    a, b = (memory_capacity(cell, lags=5, steps=500, rng=7) for _ in range(2))
    assert a.identical(b) and a.attrs["seed"] == 7 and "Jaeger" in a.attrs["source"]


CELL = Tanh.random(3, 1)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: memory_capacity(Tanh.random(3), lags=5), ValueError, "Tanh takes no inputs"),
        (lambda: memory_capacity(CELL, lags=-1), ValueError, "lags = -1: must be a whole number"),
        (lambda: memory_capacity(CELL, lags=[1, 2]), ValueError, "lags = "),
        (
            lambda: memory_capacity(CELL, lags=5, steps=20),
            ValueError,
            "steps = 20: a readout of 3 outputs in 10 blocks needs at least 50",
        ),
        (lambda: memory_capacity(CELL, lags=5, blocks=1), ValueError, "blocks = 1"),
        (lambda: memory_capacity(CELL, lags=5, drive=0), ValueError, "drive = 0"),
        (
            lambda: memory_capacity(CELL, lags=5, distribution="cauchy"),
            ValueError,
            "distribution = 'cauchy': must be one of 'uniform', 'normal'",
        ),
        (lambda: memory_capacity(CELL, lags=5, degree=3), ValueError, "degree = 3"),
        (
            lambda: memory_capacity(Tanh.random(3, 2), lags=5, degree=2),
            ValueError,
            "one input, Tanh has 2",
        ),
        (lambda: memory_capacity(CELL, lags=5, x0=np.zeros((2, 3))), ShapeError, "one start"),
        (
            lambda: memory_capacity(Linear(3 * np.eye(1), np.ones((1, 1))), lags=5),
            NotFiniteError,
            "outputs of Linear are not finite",
        ),
        (lambda: linear_capacity(CELL, lags=5), TypeError, "pass dm.linearize"),
        (
            lambda: linear_capacity(dm.LinearSystem(-np.eye(1), np.ones((1, 1))), lags=5),
            ValueError,
            "call discretise",
        ),
        (
            lambda: linear_capacity(dm.LinearSystem(np.eye(1), np.ones((1, 1)), dt=1.0), lags=5),
            ValueError,
            "needs a stable system",
        ),
        (
            lambda: linear_capacity(dm.LinearSystem(0.5 * np.eye(1), dt=1.0), lags=5),
            ValueError,
            "takes no inputs",
        ),
        (
            lambda: linear_capacity(discrete(ring(2, 0.5)), lags=5, noise=-1),
            ValueError,
            "noise = -1",
        ),
        (
            lambda: predicted_capacity(Linear(np.eye(2), np.ones((2, 1))), lags=5),
            ValueError,
            "spectral radius is 1",
        ),
        (lambda: predicted_capacity(Tanh.random(2, 1), lags=5), TypeError, "got Tanh"),
        (
            lambda: predicted_capacity(Linear(0.5 * np.eye(2), np.ones((2, 1))), lags=-5),
            ValueError,
            "lags = -5",
        ),
        (lambda: ring_capacity(0, 0.5, lags=5), ValueError, "units = 0"),
        (lambda: ring_capacity(3, 1.0, lags=5), ValueError, "decay"),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
