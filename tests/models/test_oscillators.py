"""coRNN: the authors' cell, the implicit scheme, the flow it steps through, and what bad parameters
are told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import CoRNN, CoupledOscillators


def test_explicit_damping_is_the_published_cell():
    """tk-rusch/coRNN: hz += dt (tanh(Linear(cat(x, hz, hy))) - gamma hy - epsilon hz), hy += dt
    hz."""
    model = CoRNN.random(4, 2, rng=0, damping="explicit", step=0.1, gamma=1.5, epsilon=0.7)
    linear = torch.nn.Linear(2 + 4 + 4, 4).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(np.concatenate([model.V, model.U, model.W], axis=1)))
        linear.bias.copy_(torch.tensor(model.b))
        u = np.random.default_rng(0).standard_normal((3, 30, 2))
        hy = hz = torch.zeros(3, 4, dtype=torch.float64)
        outputs = []
        for x in torch.tensor(u).unbind(1):
            hz = hz + 0.1 * (torch.tanh(linear(torch.cat((x, hz, hy), 1))) - 1.5 * hy - 0.7 * hz)
            hy = hy + 0.1 * hz
            outputs.append(hy)
    y, last = model.run(np.zeros((3, 8)), u)
    np.testing.assert_allclose(y, torch.stack(outputs, 1).numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(last, torch.cat((hy, hz), 1).numpy(), rtol=1e-12, atol=1e-14)


def test_implicit_damping_solves_its_equation():
    """Equation 3 with the new z in the damping, and y moved by the new z."""
    model = CoRNN.random(3, 1, rng=1, step=0.3)
    rng = np.random.default_rng(0)
    x, u = rng.standard_normal(6), rng.standard_normal(1)
    y, z = x[:3], x[3:]
    new_y, new_z = np.split(model.rule(x, u), 2)
    force = np.tanh(model.W @ y + model.U @ z + model.V @ u + model.b) - model.gamma * y
    np.testing.assert_allclose(new_z, z + 0.3 * (force - model.epsilon * new_z), atol=1e-14)
    np.testing.assert_allclose(new_y, y + 0.3 * new_z, atol=1e-15)


@pytest.mark.parametrize("damping", ["implicit", "explicit"])
def test_small_steps_lead_to_the_flow(damping):
    """A scheme of first order: a tenth of the step, a tenth of the error."""
    errors = []
    for step in (0.02, 0.002):
        model = CoRNN.random(3, 1, rng=2, step=step, damping=damping, epsilon=0.5)
        held, x0 = np.array([0.7]), np.linspace(-1, 1, 6)
        end = model.run(x0, np.tile(held, (round(2 / step), 1)))[1]
        errors.append(
            np.abs(
                end - dm.orbit(model.flow, x0, duration=2.0, drive=held, rtol=1e-10).x[-1].values
            ).max()
        )
    assert 8 < errors[0] / errors[1] < 12


def test_one_oscillator_swings_at_its_frequency():
    """Undamped and alone: y'' = -gamma y. The IMEX step is symplectic there: its amplitude stays
    for 10,000 steps."""
    model = CoRNN(np.zeros((1, 1)), gamma=4.0, epsilon=0.0, step=0.01)
    y, _ = model.run(np.array([1.0, 0.0]), np.zeros((10_000, 0)))
    assert np.abs(y[-2000:]).max() == pytest.approx(1.0, abs=2e-2)
    np.testing.assert_allclose(
        np.abs(dm.linearize(model, np.zeros(2)).eigenvalues), 1.0, atol=1e-14
    )
    np.testing.assert_allclose(
        dm.linearize(model.flow, np.zeros(2)).eigenvalues.imag, [2.0, -2.0], atol=1e-14
    )


def test_the_flow_shares_its_weights():
    model = CoRNN.random(3, 2, rng=0)
    flow = model.flow
    assert isinstance(flow, CoupledOscillators) and flow.cell is model
    assert (flow.inputs, flow.size, flow.outputs, flow.states) == (2, 6, 3, model.states)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: CoRNN.random(3, step=0.0),
            ValueError,
            "step = 0.0: must be a finite number above 0",
        ),
        (lambda: CoRNN.random(3, step=-0.1), ValueError, "step = -0.1"),
        (
            lambda: CoRNN.random(3, gamma=-1.0),
            ValueError,
            "gamma = -1.0: must be a finite number of at least 0",
        ),
        (lambda: CoRNN.random(3, epsilon=np.nan), ValueError, "epsilon = nan"),
        (
            lambda: CoRNN.random(3, epsilon="a"),
            ValueError,
            "epsilon = 'a'",
        ),
        (
            lambda: CoRNN.random(3, damping="none"),
            ValueError,
            "damping = 'none'",
        ),
        (
            lambda: CoRNN(np.eye(3), U=np.eye(2)),
            ShapeError,
            r"U of CoRNN with 3 units and 0 inputs has shape \(2, 2\), expected \(3, 3\)",
        ),
        (
            lambda: replace(CoRNN.random(3), W=np.full((3, 3), np.inf)),
            NotFiniteError,
            "W of CoRNN .* holds NaN or infinity",
        ),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_another_sampling_rate_needs_no_training():
    """A held signal sampled 2, 4 and 8 times as often, in a stack: what differs is of first order
    in the step."""
    model = dm.models.get(
        "cornn", units=3, inputs=2, outputs=1, rng=1, step=0.2, gamma=1.0, epsilon=0.5
    )
    t = np.arange(40)[:, None]
    u = np.sin(0.2 * t) * [1.0, -0.5]
    fine = dm.models.resampled(model, 1 / 64)
    exact = fine.run(np.zeros(6), np.repeat(u, 64, axis=0))[0][63::64]
    errors = [
        np.abs(
            dm.models.resampled(model, 1 / k).run(np.zeros(6), np.repeat(u, k, axis=0))[0][
                k - 1 :: k
            ]
            - exact
        ).max()
        for k in (1, 2, 4)
    ]
    assert (
        errors[0] < 0.1 and 1.8 < errors[0] / errors[1] < 2.4 and 1.8 < errors[1] / errors[2] < 2.4
    )
