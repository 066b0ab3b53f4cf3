"""Mistakes that published tools have made, one test each: what goes wrong, in the smallest case
that shows it."""

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.analysis import conditional_exponents, kaplan_yorke, lyapunov_spectrum
from dynmem.models import LSTM, Linear, Relu, Tanh
from dynmem.systems.registry import table
from dynmem.training import Trainable, fitting
from dynmem.training.loop import Schedule, descend
from tests.reference import Product, exponents


def test_a_stable_fixed_point_reported_as_zero():
    """ChaosTools.jl, for seven years: the tangent vectors of an orbit at rest were not evolved."""
    assert exponents(
        dm.systems.get("logistic", r=2.5), [0.3], duration=200, transient=200
    ).item() == pytest.approx(np.log(0.5), abs=1e-9)
    np.testing.assert_allclose(
        exponents(Linear(np.diag([0.9, 0.5])), np.zeros(2), duration=100, transient=100),
        np.log([0.9, 0.5]),
        atol=1e-9,
    )


def test_fewer_exponents_than_dimensions_wrong():
    """The first k are the first k of all, whatever the order of the components."""
    A = np.diag([0.2, 1.3, 0.7, -1.1])
    for k in range(1, 5):
        np.testing.assert_allclose(
            exponents(Linear(A), np.zeros(4), duration=300, transient=300, exponents=k),
            np.log([1.3, 1.1, 0.7, 0.2])[:k],
            atol=1e-9,
        )


def test_tangent_vectors_not_evolved_through_the_transient():
    """The frame settles while the orbit does. One that starts afresh with the measurement errs by
    ln|overlap|/T, which its error covers."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    A, expected = turn @ np.diag([1.3, 1.0, 0.8]) @ turn.T, np.log([1.3, 1.0, 0.8])
    np.testing.assert_allclose(
        exponents(Linear(A), np.zeros(3), duration=50, transient=200), expected, atol=1e-9
    )
    afresh = lyapunov_spectrum(Linear(A), np.zeros(3), duration=50, transient=0)
    deviation = np.abs(afresh.lyapunov - expected)
    assert deviation.max() > 3e-3 and (deviation < 3.0 * afresh.lyapunov_error).all()


def test_maps_of_one_dimension_crash():
    system = dm.systems.get("logistic")
    assert exponents(system, [0.3], duration=2000).item() == pytest.approx(np.log(2), abs=0.01)
    assert (
        dm.jacobian(system, [0.3]).shape == (1, 1)
        and dm.gali(system, [0.3], duration=10, vectors=1).gali[-1] == 1.0
    )
    assert (np.abs(dm.covariant_vectors(system, [0.3], duration=50).vector) == 1.0).all()
    assert dm.fixed_points(system).x.values.ravel() == pytest.approx([0.0, 0.75], abs=1e-9)


def test_the_log_of_a_mean_for_the_mean_of_a_log():
    """Factors 0.25 and 2 in turn: the mean of the logs is ln(0.5)/2 < 0, the log of the mean
    ln(1.125) > 0."""
    drive = np.tile([[0.25], [2.0]], (200, 1))
    assert exponents(
        Product(1), np.zeros(1), duration=300, transient=100, drive=drive
    ).item() == pytest.approx(0.5 * np.log(0.5), abs=1e-12)
    logs = dm.gradient_norms(Product(1), drive=drive, lags=[10]).log_state_gradient
    assert logs.item() == pytest.approx(5 * np.log(0.5), abs=1e-9)


def test_lstm_jacobians_without_the_cell_state():
    """With zero weights all memory is in the cell: exponent ln sigma(b). The block of h alone is
    zero, and forgets at once."""
    cell = LSTM(np.zeros((8, 2)), b=np.repeat([0.0, 5.0, 0.0, 0.0], 2))
    J = dm.jacobian(cell, cell.initial())
    assert J.shape == (4, 4) and not J[:2, :2].any()
    assert exponents(cell, duration=50, exponents=2) == pytest.approx(
        np.log(1 / (1 + np.exp(-5.0))), abs=1e-9
    )


def test_transposed_jacobians_in_forward_order():
    """Three 4 x 4 matrices from default_rng(0), repeated: 0.9173104 for ... M3 M2 M1; 0.5009533 in
    the reverse order."""
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((4, 4)) for _ in range(3)]
    for order, expected in ((matrices, 0.9173104), (matrices[::-1], 0.5009533)):
        drive = np.tile(np.reshape(order, (3, 16)), (400, 1))
        values = np.linalg.eigvals(order[2] @ order[1] @ order[0])
        # one, or a pair that turns: its mean is steady
        leading = int((np.abs(values) > np.abs(values).max() * (1 - 1e-9)).sum())
        found = exponents(
            Product(4), np.zeros(4), duration=900, transient=300, drive=drive, exponents=2
        )
        assert found[:leading].mean() == pytest.approx(expected, abs=1e-6)


def test_a_two_layer_gru_state_taken_for_the_pair_of_an_lstm():
    """The state is (h of layer 1, h of layer 2), not (h, c): against torch, and the lower layer
    does not depend on the upper one."""
    torch.manual_seed(0)
    module = torch.nn.GRU(2, 3, num_layers=2, dtype=torch.float64)
    network, x, u = (
        dm.models.from_torch(module),
        np.random.default_rng(0).standard_normal(6),
        np.array([0.5, -1.0]),
    )
    with torch.no_grad():
        _, h = module(torch.tensor(u)[None], torch.tensor(x.reshape(2, 3)))
    np.testing.assert_allclose(network.rule(x, u), h.numpy().ravel(), atol=1e-14)
    assert network.size == 6 and not dm.jacobian(network, x, u)[:3, 3:].any()


@pytest.mark.parametrize(
    "values",
    [[0.5, 0.2], [0.0, 0.0, 0.0], [1.0, -0.5, -0.5], [1e-12, -1e-12], [0.3, 0.0, -0.2, -np.inf]],
)
def test_a_kaplan_yorke_dimension_above_the_space(values):
    assert 0.0 <= kaplan_yorke(np.array(values)) <= len(values)


def test_a_measured_dimension_stays_within_the_space():
    """Where volume is kept the sum is 0 to rounding, of either sign."""
    for seed in range(5):
        found = lyapunov_spectrum(
            dm.systems.get("standard"),
            np.random.default_rng(seed).uniform(0.0, 6.0, 2),
            duration=300,
        )
        assert found.kaplan_yorke_dimension <= 2.0


def test_spurious_zero_modes_in_spectral_codes():
    """At rest the waves of Kuramoto and Sivashinsky grow at q^2 - q^4, each wave number twice; the
    mean and the Nyquist mode, which would add zeros, are not among the states."""
    system = dm.systems.get("kuramoto_sivashinsky")
    rates = (
        np.log(np.abs(np.linalg.eigvals(dm.jacobian(system, np.zeros(system.size))))) / system.dt
    )
    q = 2.0 * np.pi / 22.0 * np.repeat(np.arange(1, system.size // 2 + 1), 2)
    np.testing.assert_allclose(np.sort(rates), np.sort(q**2 - q**4), rtol=1e-6, atol=1e-9)
    assert np.abs(rates).min() > 1e-3


def test_a_spectral_radius_below_one_taken_as_sufficient():
    """ReLU: which units are on decides. Of these weights the radius is 0.56, of the first unit
    alone 1.2, and the orbit runs away. A leaky unit whose leak is not that of its input, x <- (1 -
    d a) x + d tanh(w x), is unstable at 0 for a < w < 1."""
    relu = Relu(np.array([[1.2, 1.0], [-1.0, -1.0]]))
    assert dm.spectral_radius(relu.W) < 0.6
    assert exponents(relu, [1.0, 0.0], duration=100, exponents=1).item() == pytest.approx(
        np.log(1.2), abs=1e-12
    )

    class Leaky(dm.Map):
        d: float = 0.5
        a: float = 0.3
        w: float = 0.6
        states = ("x",)

        def rule(self, x, u):
            return (1.0 - self.d * self.a) * x + self.d * dm.tanh(self.w * x)

    assert exponents(Leaky(), [0.0], duration=50).item() == pytest.approx(np.log(1.15), abs=1e-12)


def test_a_spectral_radius_above_one_taken_as_necessary():
    """A leaky network of radius 3 that is stable: |1 - d + d mu| < 1 decides. Product hard, one of
    radius 2 has negative conditional exponents."""
    leaky = Tanh(-3.0 * np.eye(2), leak=0.25)
    assert (
        dm.spectral_radius(leaky.W) == 3.0
        and exponents(leaky, np.zeros(2), duration=50).max() < -30.0
    )
    driven = Tanh.random(20, 20, rng=0, gain=2.0)
    assert conditional_exponents(driven, duration=300, drive=5.0).synchronises


def test_gradients_clipped_before_they_were_computed():
    """A step of plain gradient descent at rate 1 is as long as the clip allows, from the first step
    on."""
    task = dm.tasks.get("copy", delay=1, symbols=2, length=1)
    net = Trainable(
        dm.models.get("gru", units=4, inputs=task.inputs, outputs=task.outputs, rng=0), "float64"
    )
    batches = [fitting.as_tensors(task, task.arrays(8, seed), torch.float64) for seed in range(3)]
    before = torch.nn.utils.parameters_to_vector(net.parameters()).detach().clone()
    schedule = Schedule(steps=3, learning_rate=1.0, optimizer="sgd", clip=1e-3)
    for _, norm in descend(net, batches, fitting.per_sequence(task), schedule):
        after = torch.nn.utils.parameters_to_vector(net.parameters()).detach().clone()
        assert norm > 2e-3 and (after - before).norm().item() == pytest.approx(1e-3, rel=1e-3)
        before = after


def test_exponents_that_break_the_sum_rule():
    """Every published spectrum of ours that is whole sums to the exact value, where there is one; a
    measured one shows how well it does."""
    checked = 0
    for name, kind in table().items():
        known = getattr(kind, "known", None)
        system = (
            dm.systems.get(name) if known is not None and kind.exponent_sum is not None else None
        )
        if system is not None and len(known.exponents) == system.size:
            assert sum(known.exponents) == pytest.approx(
                system.exponent_sum, abs=max(1e-9, min(max(known.tolerances), 2e-4))
            ), name
            checked += 1
    assert checked >= 10
    henon = lyapunov_spectrum(dm.systems.get("henon"), [0.1, 0.1], duration=1000)
    assert (
        henon.lyapunov.sum() == pytest.approx(np.log(0.3), abs=1e-10)
        and abs(henon.sum_residual) < 1e-10
    )
