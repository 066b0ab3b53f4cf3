"""Receptive fields in one reverse pass over a whole sequence, against the rule step by step."""

import time

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import receptive_field
from dynmem.analysis.gradients.at_once import pull_back_at_once, runs_at_once


def tcn(layers, kernel, **options):
    return dm.models.get("tcn", units=4, inputs=2, layers=layers, kernel=kernel, **options)


FINITE = [
    (tcn(3, 3), 29.0),  # 1 + 2 (k - 1)(2^L - 1)
    (tcn(2, 4, init="he"), 19.0),
    (dm.models.get("attention", units=4, inputs=2, layers=2, window=20), 39.0),  # 1 + L (W - 1)
]


@pytest.mark.parametrize("system, field", FINITE)
def test_one_pass_agrees_with_the_steps(system, field, monkeypatch):
    assert runs_at_once(system, system.initial(0))
    found = receptive_field(system, samples=2)
    monkeypatch.setattr("dynmem.analysis.gradients.receptive_field.MIN_STATES_AT_ONCE", 10**9)
    by_step = receptive_field(system, samples=2)
    assert found.receptive_field == by_step.receptive_field == field
    np.testing.assert_array_equal(found.reached, by_step.reached)


def test_a_field_of_763_steps_against_autograd():
    """7 layers of kernel 4: 1 + 2 * 3 * 127; the gradients themselves by torch."""
    import torch

    system = dm.models.get("tcn", units=8, inputs=2, layers=7, kernel=4)
    found = receptive_field(system)
    assert found.receptive_field == 763 and bool(found.reached.all())
    u = np.random.default_rng(0).standard_normal((1, 800, 2))
    logs, ended = pull_back_at_once(
        system, system.initial(0), u.swapaxes(0, 1), 763, np.eye(system.outputs)
    )
    trainable = dm.training.Trainable(system, dtype="float64")
    v = torch.tensor(u, requires_grad=True)
    x = torch.tensor(system.initial(0))[None]
    last = trainable.run(x, v)[0][0, -1]
    rows = [torch.autograd.grad(y, v, retain_graph=True)[0][0] for y in last]
    squares = sum(row.square().sum(-1) for row in rows).flip(0).numpy()  # newest first
    assert ended and not squares[logs.shape[1] :].any()
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(logs[0], np.log(squares[: logs.shape[1]]), rtol=1e-9)


# 0.3 s each, alone on a core; step by step 40 s
@pytest.mark.parametrize("layers, kernel, units", [(7, 4, 16), (8, 3, 16), (5, 8, 16)])
def test_long_fields_are_not_stepped_through(layers, kernel, units):
    system = dm.models.get("tcn", units=units, inputs=1, layers=layers, kernel=kernel)
    started = time.process_time()
    found = receptive_field(system)
    assert time.process_time() - started < 5.0
    assert found.receptive_field == 1 + 2 * (kernel - 1) * (2**layers - 1)


def test_a_recurrence_is_stepped_and_infinite():
    recurrent = dm.models.get("gru", units=140, inputs=1)
    assert not runs_at_once(recurrent, recurrent.initial(0))
    above = dm.models.Network((tcn(1, 3), dm.models.get("gru", units=130, inputs=4)))
    found = receptive_field(above, samples=1, lags=20)
    assert np.isinf(found.receptive_field) and found.sizes["lag"] == 21


def test_gradients_that_underflow_are_refused_in_one_pass():
    """h' = 0.01 h + u: beyond lag 100 less than 1e-200 is left, which is not the end of a field."""
    system = dm.models.Linear(np.diag([0.01]), np.ones((1, 1)))
    u = np.ones((200, 1, 1))
    with pytest.raises(FloatingPointError):
        pull_back_at_once(system, np.zeros(1), u, 200, np.eye(1))
    logs, ended = pull_back_at_once(system, np.zeros(1), u, 50, np.eye(1))
    assert not ended
    np.testing.assert_allclose(logs[0], 2 * np.log(0.01) * np.arange(50), rtol=1e-12, atol=1e-12)


def test_given_sequences_too_short_for_the_field():
    system, u = tcn(4, 3), np.random.default_rng(0).standard_normal((2, 50, 2))
    with pytest.raises(dm.errors.ShapeError, match="pass longer"):
        receptive_field(system, drive=u, transient=0)
    longer = np.random.default_rng(0).standard_normal((2, 70, 2))
    assert receptive_field(system, drive=longer, transient=0).receptive_field == 61
