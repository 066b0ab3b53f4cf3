"""``learnable_delay``: every rung, the edge bisected, states, bounds, and a store that goes on."""

import importlib
import json
import math

import numpy as np
import pytest
from torch import nn

import dynmem as dm
from dynmem.training.memory.learnable_delay import all_shorter, edge, geometric_mean
from dynmem.training.memory.short_fit import STATES, Outcome, state_of

module = importlib.import_module("dynmem.training.memory.learnable_delay")
ONE = dm.tasks.Copy(symbols=2, length=1, scored="recalled")
FAST = {"units": 8, "learning_rate": 1e-2, "batch": 16, "budget": 200}


def outcomes(**states):
    return {int(delay[1:]): Outcome(state, math.nan, 1.0) for delay, state in states.items()}


def scripted(monkeypatch, learned):
    """Let trainings end as a function of (seed, delay) says: (state, steps)."""
    tried = []

    def short_fit(build, task, recipe, rng, every):
        tried.append(task.delay)
        state, steps = learned(task.delay)
        return Outcome(state, steps if state == 2 else math.nan, (1.0, 0.4, 0.05)[state])

    monkeypatch.setattr(module, "short_fit", short_fit)
    return tried


def test_the_ladder_does_not_stop_at_a_failure_and_the_last_edge_is_bisected(monkeypatch):
    tried = scripted(monkeypatch, lambda d: (2 if d in (4, 8) or 24 <= d <= 40 else 0, d))
    found = dm.learnable_delay("tanh", ONE, seeds=1, units=2)
    assert tried[:7] == [4, 8, 16, 32, 64, 128, 256]  # every rung
    assert tried[7:] == [45, 38]  # sqrt(32 64) fails, sqrt(32 45) does not, 45 / 38 < 1.2
    assert found.longest_learned.item() == 38 and found.next_failed.item() == 45
    assert found.all_shorter.item() == 8
    assert found.share_learned.item() == pytest.approx(3 / 7) and found.bound == 0
    assert found.steps_needed.sel(delay=32).item() == 32
    assert found.state.sel(delay=[8, 16, 38]).values.tolist() == [[2, 0, 2]]


def test_a_ladder_that_ends_with_success_gives_a_bound(monkeypatch):
    tried = scripted(monkeypatch, lambda d: (2, 20))
    found = dm.learnable_delay("tanh", ONE, seeds=[3, 5], delays=[2, 10], units=2)
    assert tried == [2, 2, 10, 10] and found.seed.values.tolist() == [3, 5]
    assert (found.next_failed == np.inf).all() and found.bound == 1
    assert found.learnable_delay.item() == 10 and found.learnable_delay_error.item() == 0


def test_nothing_learned_is_0_without_a_bisection(monkeypatch):
    tried = scripted(monkeypatch, lambda d: (1, 0))
    found = dm.learnable_delay("tanh", ONE, seeds=1, delays=[4, 8], units=2)
    assert tried == [4, 8] and found.longest_learned.item() == 0
    assert found.next_failed.item() == 4 and found.learnable_delay.item() == 0
    assert np.isnan(found.learnable_delay_error) and (found.state == 1).all()


def test_edges_and_means():
    tried = outcomes(d4=2, d8=0, d16=2, d32=1)
    assert edge(tried) == (16, 32) and all_shorter(tried) == 4
    assert edge(outcomes(d4=0)) == (0, 4) and edge(outcomes(d4=2)) == (4, math.inf)
    mean, error = geometric_mean(np.array([10.0, 40.0]))
    assert mean == pytest.approx(20) and error == pytest.approx(20 * np.log(4) / 2)


def test_states_are_the_plateaus():
    task = dm.tasks.Copy(symbols=4, length=2, scored="recalled")
    assert task.plateaus() == {"which": pytest.approx(3 / 8 * task.floor, rel=1e-15)}
    assert STATES[state_of(task, 0.4 * task.floor)] == "part"
    assert STATES[state_of(ONE, 0.4 * ONE.floor)] == "nothing"  # one symbol has no order
    # the loss of the predictor that knows which symbols were shown, step by step
    inputs, targets, p = task.sequences()
    which = task.modes(inputs, targets)["which"][:, task.recalled]
    right = np.take_along_axis(which, targets[:, task.recalled, None].astype(int), -1)
    assert float(p @ -np.log(right[..., 0]).mean(1)) == pytest.approx(task.plateaus()["which"])


def test_attention_without_positions_learns_which_and_never_the_order():
    task = dm.tasks.Copy(symbols=2, length=2, scored="recalled")
    options = FAST | {"budget": 80, "units": 4, "evaluate_every": 40}
    found = dm.learnable_delay("attention", task, delays=[2], seeds=1, **options)
    assert found.state.item() == 1
    assert found.loss_over_floor.item() == pytest.approx(0.5, abs=0.05)  # ln 2 / 2 of ln 2


def test_a_training_is_what_fit_does():
    found = dm.learnable_delay("gru", ONE, delays=[2], seeds=1, **FAST)
    steps = int(found.steps_needed.item())
    options = {k: v for k, v in FAST.items() if k not in ("budget", "units")}
    model = dm.models.get("gru", units=8, inputs=4, outputs=3, rng=0)
    _, longer = dm.fit(model, ONE.with_delay(2), steps=steps + 60, **options)
    _, shorter = dm.fit(model, ONE.with_delay(2), steps=max(20, steps // 3), **options)
    assert steps % 20 == 0 and longer.learned == 1 and shorter.learned == 0


def test_an_interrupted_run_goes_on_and_another_measurement_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "rungs.json"
    whole = dm.learnable_delay("tanh", ONE, delays=[1, 2], seeds=2, **FAST)
    real, left = module.short_fit, [3]

    def dies(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, "short_fit", dies)
    with pytest.raises(KeyboardInterrupt):
        dm.learnable_delay("tanh", ONE, delays=[1, 2], seeds=2, store=path, **FAST)
    assert len(json.loads(path.read_text())["rows"]) == 3
    left[0] = 1
    again = dm.learnable_delay("tanh", ONE, delays=[1, 2], seeds=2, store=path, **FAST)
    assert left[0] == 0 and again.identical(whole)
    with pytest.raises(ValueError, match="differs in learning_rate"):
        dm.learnable_delay("tanh", ONE, seeds=2, store=path, **{**FAST, "learning_rate": 1e-3})
    with pytest.raises(ValueError, match="differs in units, weights"):
        dm.learnable_delay("tanh", ONE, store=path, **{**FAST, "units": 9})
    path.write_text("{}")
    with pytest.raises(ValueError, match="no store"):
        dm.learnable_delay("tanh", ONE, store=path, **FAST)


def test_own_sequences_are_judged_by_others():
    """Targets that follow from nothing can be known by heart, but not of sequences kept apart."""
    rng = np.random.default_rng(0)

    def noise(delay):
        shape = (30, delay + 1, 2)
        return dm.training.Samples(rng.standard_normal(shape), rng.standard_normal(shape))

    options = FAST | {"units": 30, "budget": 150, "learning_rate": 3e-2}
    found = dm.learnable_delay("gru", noise, delays=[2], seeds=1, **options)
    assert found.state.item() == 0 and found.loss_over_floor.item() > 0.5


def test_a_divergence_is_an_outcome():
    task = dm.tasks.Adding(steps=4)
    net = dm.models.get("linear", units=4, inputs=2, outputs=1, gain=3.0)
    options = {"budget": 20, "learning_rate": 1.0, "clip": None, "optimizer": "sgd"}
    # the loss is lost in training at 9 steps, the outputs at the start at 400
    found = dm.learnable_delay(net, task, delays=[9, 400], seeds=1, **options)
    assert (found.diverged == 1).all() and (found.state == 0).all()


def test_a_users_module_in_five_lines():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.readout = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, u):
            return self.readout(self.cell(u)[0])

    found = dm.learnable_delay(Net(), ONE, delays=[1], seeds=1, **FAST)
    assert found.longest_learned.item() == 1


def test_options_that_cannot_be_are_all_named():
    with pytest.raises(ValueError, match="resolution(.|\n)*") as caught:
        dm.learnable_delay("tanh", ONE, resolution=1.0, budget=0, delays=[2.5])
    assert "steps" in str(caught.value) and "delays" in str(caught.value)
