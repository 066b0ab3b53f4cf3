"""Horizons while a network waits."""

import math

import numpy as np
import pytest
from torch import nn

import dynmem as dm
from dynmem.outcomes.horizons import (
    lags_up_to,
    measured_horizon,
    predicted_time_scale,
    waiting_drive,
    waiting_input,
)

TASK = dm.tasks.Copy(symbols=4, length=1, scored="recalled", delay=50)
LAGS = lags_up_to(200)


def network(cell):
    return dm.models.Network((cell,), np.ones((TASK.outputs, cell.outputs)))


@pytest.mark.parametrize("radius", [0.5, 0.9, 0.98])
def test_a_linear_network_is_exact_in_theory_and_in_measurement(radius):
    model = network(dm.models.Linear(radius * np.eye(3), V=np.ones((3, TASK.inputs))))
    scale, reason = predicted_time_scale(model, TASK, 0)
    assert scale == pytest.approx(-1 / np.log(radius)) and reason == ""
    found = measured_horizon(model, TASK, LAGS, 0)
    assert found.of == "state" and found.lag == pytest.approx(scale, rel=2e-3)


def test_a_slow_mode_is_enough():
    model = network(dm.models.Linear(np.diag([0.1, 0.1, 0.98]), V=np.ones((3, TASK.inputs))))
    assert measured_horizon(model, TASK, LAGS, 0).lag == pytest.approx(49.5, rel=1e-2)


def test_the_held_input_moves_the_biases():
    cell = dm.models.Tanh.random(400, TASK.inputs, rng=1, gain=1.5)
    loud = dm.models.Tanh(cell.W, 3.0 * cell.V, cell.b)
    scales = [predicted_time_scale(network(one), TASK, 0)[0] for one in (cell, loud)]
    assert scales[1] < scales[0]  # units saturate
    waiting = dm.lyapunov_spectrum(
        loud, duration=400, drive=waiting_input(TASK), exponents=1
    ).lyapunov.item()
    assert scales[1] == pytest.approx(-1 / waiting, rel=0.3)


def test_a_memoryless_encoder_is_no_obstacle():
    model = dm.models.get("s4d", units=4, inputs=TASK.inputs, outputs=TASK.outputs, modes=4)
    scale, reason = predicted_time_scale(model, TASK, 0)
    assert reason == ""
    expected = dm.theory.time_scale(dm.theory.lyapunov_spectrum(model.layers[1])).time_scale
    assert scale == expected.item()


def test_why_there_is_no_theory():
    model = dm.models.get("cornn", units=4, inputs=TASK.inputs, outputs=TASK.outputs)
    scale, reason = predicted_time_scale(model, TASK, 0)
    assert math.isnan(scale) and "no theory of CoRNN" in reason


def test_inputs_that_never_wait():
    adding = dm.tasks.get("adding", steps=20)
    assert waiting_input(adding) is None
    drive = waiting_drive(adding)(np.random.default_rng(0), 50)
    assert drive.shape == (50, 2) and (drive[:, 1].sum() > 2)
    model = dm.models.get("gru", units=4, inputs=2, outputs=1)
    found = measured_horizon(model, adding, lags_up_to(20), 0)
    assert 0 < found.lag < 20 and found.error > 0


def test_a_module_whose_equations_are_not_known():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(TASK.inputs, 4, batch_first=True)
            self.out = nn.Linear(4, TASK.outputs)

        def forward(self, u):
            h, _ = self.rnn(u)
            return self.out(h * h)

    found = measured_horizon(Doubled(), TASK, LAGS, 0)
    assert found.of == "input" and found.lag > 0
