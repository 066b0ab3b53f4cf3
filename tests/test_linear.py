"""Linear systems against scipy.signal, their Gramians, and recurrence = convolution."""

import numpy as np
import pytest
from scipy import signal

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.linear import LinearSystem, linearize
from tests.reference import ForcedDuffing, Henon, Lorenz, row


def system(n=4, inputs=2, outputs=3, seed=0, dt=None):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    A = (
        A - (np.linalg.eigvals(A).real.max() + 0.3) * np.eye(n)
        if dt is None
        else 0.9 * A / np.abs(np.linalg.eigvals(A)).max()
    )
    return LinearSystem(
        A,
        rng.standard_normal((n, inputs)),
        rng.standard_normal((outputs, n)),
        rng.standard_normal((outputs, inputs)),
        dt,
    )


@pytest.mark.parametrize("method", ["zoh", "bilinear", "euler"])
@pytest.mark.parametrize("dt", [0.01, 0.5, 3.0])
def test_discretisation_is_scipys(method, dt):
    """scipy's bilinear form moves half a step into C and D, so A and B are compared, and the
    response below."""
    flow = system()
    ours = flow.discretise(dt, method)
    A, B, *_ = signal.cont2discrete((flow.A, flow.B, flow.C, flow.D), dt, method)
    np.testing.assert_allclose(ours.A, A, atol=1e-12)
    np.testing.assert_allclose(ours.B, B, atol=1e-12)
    assert ours.dt == dt


def test_first_order_decay():
    """a = -1, step 0.1: 0.904837, 0.904762, 0.9."""
    flow = LinearSystem([[-1.0]], [[1.0]])
    found = [flow.discretise(0.1, m).A.item() for m in ("zoh", "bilinear", "euler")]
    np.testing.assert_allclose(found, [np.exp(-0.1), 0.95 / 1.05, 0.9], atol=1e-15)


def test_undamped_oscillator():
    """Zero-order hold and bilinear have modulus 1, Euler more, whatever the step."""
    flow = LinearSystem([[0.0, 1.0], [-4.0, 0.0]])
    for dt in (0.01, 0.3, 5.0):
        assert flow.discretise(dt).spectral_radius == pytest.approx(1, abs=1e-12)
        assert flow.discretise(dt, "bilinear").spectral_radius == pytest.approx(1, abs=1e-12)
        assert flow.discretise(dt, "euler").spectral_radius > 1


def test_lagged_has_the_response_that_scipy_simulates():
    ours = system(dt=0.5)
    A, B, C, D = ours.lagged
    u = np.random.default_rng(1).standard_normal((40, 2))
    np.testing.assert_allclose(
        ours.run(None, u)[0], signal.dlsim((A, B, C, D, 0.5), u)[1], atol=1e-12
    )
    impulses = signal.dimpulse((A, B, C, D, 0.5), n=30)[1]
    np.testing.assert_allclose(ours.kernel(30), np.stack(impulses, axis=-1), atol=1e-12)


def test_kernel_sums_to_the_frequency_response():
    """sum_j K_j z^-j = C (I - A / z)^-1 B + D on the unit circle."""
    ours = system(dt=1.0)
    for w in (0.0, 0.3, 2.0):
        z = np.exp(1j * w)
        summed = np.einsum("joi,j->oi", ours.kernel(600), z ** -np.arange(600.0))
        np.testing.assert_allclose(
            summed, ours.C @ np.linalg.solve(np.eye(4) - ours.A / z, ours.B) + ours.D, atol=1e-10
        )
        A, B, C, D = ours.lagged
        np.testing.assert_allclose(
            summed, C @ np.linalg.solve(z * np.eye(4) - A, B) + D, atol=1e-10
        )


@pytest.mark.parametrize(
    "n, inputs, outputs, length", [(1, 1, 1, 1), (4, 2, 3, 100), (64, 1, 1, 1024)]
)
def test_recurrence_is_convolution(n, inputs, outputs, length):
    ours = system(n, inputs, outputs, dt=1.0)
    u = np.random.default_rng(2).standard_normal((2, length, inputs))
    y, last = ours.run(None, u)
    assert np.max(np.abs(ours.convolve(u) - y)) / np.max(np.abs(y)) < 1e-12
    again, _ = ours.run(
        ours.run(None, u[:, : length // 2])[1] if length > 1 else None, u[:, length // 2 :]
    )
    np.testing.assert_allclose(again[:, -1], y[:, -1], atol=1e-12 * np.max(np.abs(y)))
    assert last.shape == (2, n)


def test_complex_systems():
    """Diagonal state-space models have complex eigenvalues: nothing may be cast away."""
    ours = LinearSystem(
        np.diag([0.9 * np.exp(0.5j), 0.5j]), np.ones((2, 1)), np.ones((1, 2)), dt=1.0
    )
    u = np.random.default_rng(0).standard_normal((50, 1))
    y = ours.run(None, u)[0]
    assert np.abs(y.imag).max() > 0.1
    np.testing.assert_allclose(ours.convolve(u), y, atol=1e-12)
    np.testing.assert_allclose(
        ours.kernel(3).ravel(), [2, 0.9 * np.exp(0.5j) + 0.5j, 0.81 * np.exp(1j) - 0.25], atol=1e-15
    )
    X = ours.gramian()
    np.testing.assert_allclose(
        ours.A @ X @ ours.A.conj().T - X + ours.B @ ours.B.conj().T, 0, atol=1e-13
    )
    Y = ours.gramian("observability")
    np.testing.assert_allclose(
        ours.A.conj().T @ Y @ ours.A - Y + ours.C.conj().T @ ours.C, 0, atol=1e-13
    )


def test_gramians():
    flow, step = system(), system(dt=1.0)
    for kind in ("controllability", "observability"):
        A, B = (flow.A, flow.B) if kind == "controllability" else (flow.A.T, flow.C.T)
        X = flow.gramian(kind)
        np.testing.assert_allclose(A @ X + X @ A.T + B @ B.T, 0, atol=1e-11)
        A, B = (step.A, step.B) if kind == "controllability" else (step.A.T, step.C.T)
        X = step.gramian(kind)
        np.testing.assert_allclose(A @ X @ A.T - X + B @ B.T, 0, atol=1e-11)
    kernel = LinearSystem(step.A, step.B, dt=1.0).kernel(800)
    np.testing.assert_allclose(step.gramian(), np.einsum("joi,jpi->op", kernel, kernel), atol=1e-8)


def test_spectra():
    assert LinearSystem(np.diag([1.1, 0.8]), dt=1.0).exponents == pytest.approx(
        [np.log(1.1), np.log(0.8)], abs=1e-15
    )
    assert LinearSystem(np.diag([0.1, -0.4])).exponents.tolist() == [0.1, -0.4]
    assert LinearSystem(np.diag([-2.0, 1.0]), dt=0.5).spectral_radius == 2.0
    assert LinearSystem(np.zeros((1, 1)), dt=1.0).exponents.tolist() == [-np.inf]
    leaky = dm.models.Linear.random(5, rng=0, leak=0.2)
    mu = np.linalg.eigvals(leaky.W)
    expected = np.sort(np.log(np.abs(1 - 0.2 + 0.2 * mu)) / 0.2)[::-1]
    np.testing.assert_allclose(linearize(leaky, np.zeros(5)).exponents, expected, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["linear", "lstm", "network, tanh", "network, mixed", "duffing", "henon", "lorenz"]
)
def test_a_linearisation_predicts_small_changes(name):
    model, x, u = row(name)
    linear = linearize(model, x, u)
    rng, eps = np.random.default_rng(4), 1e-6
    dx, du = (
        eps * rng.standard_normal(x.size),
        None if u is None else eps * rng.standard_normal(u.size),
    )

    def response(x, u):
        after = model.rule(x, u)
        return after, model.output(x if isinstance(model, dm.Flow) else after, u)

    (a, y), (b, z) = response(x, u), response(x + dx, u if u is None else u + du)
    change = linear.A @ dx + (0 if u is None else linear.B @ du)
    np.testing.assert_allclose(b - a, change, atol=1e-10)
    seen = dx if isinstance(model, dm.Flow) else change
    np.testing.assert_allclose(
        z - y, linear.C @ seen + (0 if u is None else linear.D @ du), atol=1e-10
    )
    assert linear.dt == (None if isinstance(model, dm.Flow) else model.dt)


def test_a_linear_network_is_its_own_linearisation():
    cell = dm.models.Linear.random(4, 2, rng=0, gain=0.8)
    u = np.random.default_rng(0).standard_normal((30, 2))
    x, states = np.zeros(4), []
    for each in u:
        states.append(x := cell.rule(x, each))
    np.testing.assert_allclose(linearize(cell, np.zeros(4)).convolve(u), states, atol=1e-13)


def test_errors():
    with pytest.raises(ShapeError, match="A must be a matrix"):
        LinearSystem(np.ones(3))
    with pytest.raises(ShapeError, match="must be square"):
        LinearSystem(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="do not fit"):
        LinearSystem(np.eye(2), np.ones((3, 1)))
    with pytest.raises(NotFiniteError, match="A holds NaN"):
        LinearSystem([[np.nan]])
    for bad in (0, -1.0, np.nan, "a", [1.0]):
        with pytest.raises(ValueError, match="dt = .*: must be a finite number above 0"):
            LinearSystem(np.eye(2), dt=bad)
        with pytest.raises(ValueError, match="must be a finite number above 0"):
            LinearSystem(np.eye(2)).discretise(bad)
    with pytest.raises(ValueError, match="discrete already"):
        LinearSystem(np.eye(2), dt=1.0).discretise(0.1)
    with pytest.raises(ValueError, match="method = 'tustin'"):
        LinearSystem(np.eye(2)).discretise(0.1, "tustin")
    flow = LinearSystem(-np.eye(2), np.ones((2, 1)))
    for what in (
        lambda: flow.kernel(3),
        lambda: flow.run(None, np.ones((3, 1))),
        lambda: flow.convolve(np.ones((3, 1))),
        lambda: flow.lagged,
    ):
        with pytest.raises(ValueError, match="needs a discrete system"):
            what()
    with pytest.raises(ShapeError, match="LinearSystem takes 1"):
        flow.discretise(0.1).run(None, np.ones((3, 2)))
    step = flow.discretise(0.1)
    for bad in (0, -1, 2.5, "a"):
        with pytest.raises(ValueError, match="length = .*: must be a whole number of at least 1"):
            step.kernel(bad)
    for u, x0 in ((np.ones((3, 1)), np.ones(5)), (np.ones((0, 1)), None)):
        with pytest.raises(
            ShapeError,
            match=r"a run takes x of shape \(..., 2\) and at least "
            r"one step",
        ):
            step.run(x0, u)
    with pytest.raises(
        ValueError, match="an eigenvalue of A, where the transfer function has a pole"
    ):
        flow.transfer([1.0, -1.0])
    with pytest.raises(ValueError, match="leave z = 0 out"):
        step.transfer(0.0)
    with pytest.raises(ValueError, match="needs a stable system"):
        LinearSystem(np.eye(2)).gramian()
    with pytest.raises(ValueError, match="kind = .reachability."):
        flow.gramian("reachability")
    with pytest.raises(ShapeError, match="one state of shape"):
        linearize(Lorenz(), np.ones((2, 3)))
    with pytest.raises(TypeError, match="expected a dynmem System"):
        linearize(np.eye(2), [0, 0])
    assert linearize(ForcedDuffing(), [0.1, 0.2]).B.tolist() == [[0.0], [1.0]]
    assert linearize(Henon(), [0.1, 0.2]).B.shape == (2, 0)


def test_a_linear_system_shows_itself():
    discrete = dm.LinearSystem(np.diag([0.5, 0.2]), np.ones((2, 1)), dt=1.0)._repr_html_()
    assert "x_t = A x_{t-1} + B u_t" in discrete and "-0.693147, -1.60944" in discrete
    assert r"\frac{dx}{dt} = A x, " in dm.LinearSystem(-np.eye(2))._repr_html_()


def test_inputs_of_a_run_have_a_row_a_step():
    system = dm.LinearSystem(np.eye(2), np.eye(2), dt=1.0)
    with pytest.raises(ShapeError, match=r"u has shape \(2,\), expected \(\.\.\., T, 2\)"):
        system.run(None, np.ones(2))
