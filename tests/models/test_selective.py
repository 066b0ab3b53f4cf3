"""The selective model: against the published reference's formulas, the zero-order hold, its
exponents and its initial values."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import expm

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import Selective, get
from dynmem.training import Trainable


def layer(**options):
    return Selective.random(5, modes=3, rank=2, rng=2, **options)


def drive(*batch, steps=40, channels=5):
    return np.random.default_rng(0).standard_normal((*batch, steps, channels))


def selective_scan_ref(u, delta, A, B, C, D):
    """The lines of state-spaces/mamba's function of that name, in numpy: (batch, channels, length)
    and the Euler step of the input."""
    deltaA = np.exp(np.einsum("bdl,dn->bdln", delta, A))
    deltaB_u = np.einsum("bdl,bnl,bdl->bdln", delta, B, u)
    x, ys = np.zeros((len(u), *A.shape)), []
    for i in range(u.shape[2]):
        x = deltaA[:, :, i] * x + deltaB_u[:, :, i]
        ys.append(np.einsum("bdn,bn->bd", x, C[:, :, i]))
    return np.stack(ys, axis=2) + u * D[:, None], x


def test_euler_is_the_published_reference():
    model, u = layer(), drive(2)
    delta = np.log1p(np.exp(u @ model.W_down.T @ model.W_up.T + model.b))
    last_first = [
        np.moveaxis(part, -1, -2) for part in (u, delta, u @ model.W_B.T, u @ model.W_C.T)
    ]
    expected, last = selective_scan_ref(
        last_first[0], last_first[1], -np.exp(model.log_A), *last_first[2:], model.D
    )
    y, end = model.run(np.zeros((2, model.size)), u)
    np.testing.assert_allclose(y, np.moveaxis(expected, -1, -2), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(end, last.reshape(2, -1), rtol=1e-12, atol=1e-13)


def test_exact_is_the_zero_order_hold():
    """Every step and channel through the matrix exponential of its own held input."""
    model, u = layer(input_step="exact", step_max=2.0, step_min=0.1), drive(steps=12)
    x, outputs = np.zeros((5, 3)), []
    for now in u:
        step, B, C = model.step(now), model.W_B @ now, model.W_C @ now
        for h in range(5):
            block = np.zeros((4, 4))
            block[:3, :3], block[:3, 3] = np.diag(-np.exp(model.log_A[h])), B * now[h]
            x[h] = (expm(step[h] * block) @ np.append(x[h], 1.0))[:3]
        outputs.append(x @ C + model.D * now)
    y, last = model.run(np.zeros(model.size), u)
    np.testing.assert_allclose(y, outputs, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(last, x.ravel(), rtol=1e-11, atol=1e-12)


def test_the_difference_of_the_two_input_steps():
    """From rest after one step: x_euler / x_exact = delta A / (exp(delta A) - 1), that is 1 - delta
    A/2 to first order; and a step so long that everything is forgotten lets in B u / |A| by the one
    and delta B u by the other."""
    for step, tolerance in ((1e-3, 1e-5), (40.0, None)):
        euler = layer(step_min=step, step_max=step)
        euler = replace(euler, W_down=0.0 * euler.W_down)
        exact, u = replace(euler, input_step="exact"), np.ones(5)
        one, other = (model.rule(np.zeros(15), u).reshape(5, 3) for model in (euler, exact))
        if tolerance:
            np.testing.assert_allclose(one / other, 1 - step * euler.A / 2, rtol=tolerance)
        else:
            np.testing.assert_allclose(other, (euler.W_B @ u) / -euler.A, rtol=1e-12)
            np.testing.assert_allclose(
                one, np.broadcast_to(step * (euler.W_B @ u), (5, 3)), rtol=1e-12
            )


def test_exponents_are_rates_times_the_mean_step():
    """Given inputs, the exponents are A_n times the mean step, never positive: exactly on the
    Jacobians, and as measured."""
    model, u = layer(step_max=1.0, step_min=0.1), drive(steps=3000)
    predicted = dm.theory.selective_spectrum(model, drive=u)
    x, growth = np.zeros(model.size), np.zeros(model.size)
    for now in u:
        J = dm.jacobian(model, x, now)
        assert np.count_nonzero(J) == model.size
        growth, x = growth + np.log(np.diagonal(J)), model.rule(x, now)
    np.testing.assert_allclose(predicted.lyapunov, np.sort(growth / 3000)[::-1], rtol=0, atol=1e-10)
    assert (predicted.lyapunov < 0).all()
    measured = dm.lyapunov_spectrum(
        model, np.zeros(model.size), duration=3000, transient=0, drive=u, exponents=3
    )
    np.testing.assert_allclose(measured.lyapunov, predicted.lyapunov[:3], atol=5e-3)
    assert predicted.lyapunov.dims == measured.lyapunov.dims and predicted.mean_step.sizes == {
        "unit": 5
    }


def test_a_short_exact_step_keeps_its_digits():
    """In single precision, where exp(delta A) - 1 by subtraction has four of them at the published
    steps."""
    made = replace(layer(), input_step="exact", b=np.full(5, -8.0))
    u = np.random.default_rng(3).standard_normal(5)
    found = (
        Trainable(made)
        .twin()
        .rule(torch.zeros(made.size), torch.tensor(u, dtype=torch.float32))
        .detach()
        .numpy()
    )
    expected = made.rule(np.zeros(made.size), u)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_a_step_near_zero_keeps_and_a_long_one_forgets():
    model = layer()
    x = np.linspace(-1, 1, 15)
    for bias, factor in ((-60.0, 1.0), (60.0, 0.0)):
        extreme = replace(
            model,
            W_down=0.0 * model.W_down,
            b=np.full(5, bias),
            input_step="exact",
            W_B=0.0 * model.W_B,
        )
        np.testing.assert_allclose(extreme.rule(x, np.ones(5)), factor * x, atol=1e-15)


def test_initial_values_are_the_published_ones():
    """A = -1 .. -N in every channel, D one, softplus(b) log-uniform in (0.001, 0.1), weights within
    their bounds."""
    model = Selective.random(400, rng=0)
    np.testing.assert_allclose(model.A, -np.tile(np.arange(1.0, 17.0), (400, 1)))
    step = np.log1p(np.exp(model.b))
    assert 1e-3 <= step.min() < 1.1e-3 and 0.09 < step.max() <= 0.1
    assert np.log(step).mean() == pytest.approx(np.log(1e-2), abs=0.2)
    assert (
        (model.D == 1).all()
        and model.W_down.shape == (25, 400)
        and np.abs(model.W_up).max() <= 1 / 5
    )
    assert Selective.random(3).W_down.shape == (1, 3)


def test_channels_get_an_encoder_where_widths_differ():
    model = get("selective", units=6, inputs=2, modes=2)
    assert [type(part).__name__ for part in model.layers] == [
        "Dense",
        "Selective",
    ] and model.inputs == 2
    assert type(get("selective", units=6, inputs=6, modes=2)) is Selective


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: Selective.random(3, 2),
            ShapeError,
            "inputs = 2: Selective has as many inputs as units",
        ),
        (lambda: Selective.random(3, modes=0), ValueError, "modes = 0"),
        (lambda: Selective.random(3, rank=1.5), ValueError, "rank = 1.5"),
        (
            lambda: Selective.random(3, input_step="zoh"),
            ValueError,
            "input_step = .zoh.: must be one of",
        ),
        (
            lambda: Selective.random(3, step_min=0.0),
            ValueError,
            "step_min = 0.0: must be a finite number above 0",
        ),
        (
            lambda: Selective.random(3, step_min=1.0),
            ValueError,
            "step_min = 1.0 is above step_max = 0.1",
        ),
        (
            lambda: replace(layer(), log_A=np.zeros(3)),
            ShapeError,
            "log_A of Selective must be a matrix",
        ),
        (
            lambda: replace(layer(), W_B=np.zeros((2, 5))),
            ShapeError,
            r"W_B of Selective has shape "
            r"\(2, 5\), expected \(3, 5\)",
        ),
        (
            lambda: replace(layer(), b=np.full(5, np.inf)),
            NotFiniteError,
            "b of Selective holds NaN",
        ),
        (
            lambda: dm.theory.selective_spectrum(layer(), drive=np.ones((4, 2))),
            ShapeError,
            "drive has 2 inputs, Selective takes 5",
        ),
        (
            lambda: dm.theory.selective_spectrum(get("lru", units=2, inputs=2)),
            TypeError,
            "expected a dynmem Selective, got LRU",
        ),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
