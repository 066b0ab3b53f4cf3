"""``predicted_delay``: its pieces on numbers that are known, and whole predictions."""

import importlib
import math

import numpy as np
import pytest
from torch import nn

import dynmem as dm
from dynmem.training.memory.predicted_delay import _predict, trainable_delay
from dynmem.training.memory.short_fit import Outcome
from dynmem.training.memory.visible_delay import Visible, crossing

module = importlib.import_module("dynmem.training.memory.predicted_delay")
ONE = dm.tasks.Copy(symbols=2, length=1, scored="recalled")
FAST = {"units": 4, "learning_rate": 1e-2, "batch": 8, "budget": 60, "ladder": [2, 4]}


def learned(**steps):
    return {
        int(delay[1:]): Outcome(0, math.nan, 1.0) if n is None else Outcome(2, n, 0.05)
        for delay, n in steps.items()
    }


def seen(ratios, sums=None, hard=math.inf):
    delays = np.array(sorted(ratios))
    untrained = np.array([[ratios[d]] for d in delays])
    return Visible(delays, untrained, ("which",), sums or {}, 0.0, hard)


def predict(visible, tried, budget=600, longest=256):
    return _predict(visible, tried, budget, longest, np.random.default_rng(0))


ALWAYS = seen({4: 1e4, 256: 1e3})


def test_a_power_law_is_continued_to_the_budget():
    assert trainable_delay({4: 40, 8: 80, 16: 160}, [], 600) == pytest.approx(60)
    assert trainable_delay({4: 32, 8: 128}, [], 512) == pytest.approx(16)
    assert trainable_delay({4: 40, 8: 40, 16: 40}, [], 600) == math.inf
    assert trainable_delay({4: 90, 8: 50, 16: 40}, [], 600) == math.inf
    assert trainable_delay({8: 50}, [4], 600) == 96  # in proportion
    assert trainable_delay({}, [4, 8], 600) == pytest.approx(4 / math.sqrt(2))
    assert trainable_delay({4: 90, 16: 100}, [8], 600) > 16  # what was learned counts


def test_a_crossing_is_exact_for_an_exponential():
    delays = np.array([4, 8, 16, 32, 64])
    assert crossing(delays, np.exp(-(delays - 20.0)), 1.0) == pytest.approx(20)
    assert crossing(delays, np.full(5, 3.0), 1.0) == math.inf
    assert crossing(delays, np.full(5, 0.3), 1.0) == 0
    assert crossing(delays, [9.0, 9.0, 0.0, 0.0, 0.0], 1.0) == math.inf  # a hard limit binds
    assert crossing(delays, [9.0, 0.1, 9.0, 0.1, 0.1], 1.0) > 16  # the longest one


def test_the_smaller_limit_binds():
    slow = learned(d4=40, d8=80, d16=160)
    found = predict(ALWAYS, slow)
    assert found["limit"] == "trainable" and found["predicted_delay"] == pytest.approx(60)
    assert found["predicted_delay_lower"] < 60 < found["predicted_delay_upper"]
    fades = seen({4: 1e4, 32: math.exp(4), 64: math.exp(-4), 256: 1e-9})
    found = predict(fades, slow)
    assert found["limit"] == "visible" and found["predicted_delay"] == pytest.approx(48)
    longer = fades._replace(summed={32: 1e3, 64: 1e2, 128: 0.1, 256: 0.0})
    assert predict(longer, slow)["limit"] == "trainable"  # the null training shows it
    assert 64 < predict(longer, slow)["null_visible_delay"] < 128
    found = predict(ALWAYS._replace(hard=30.0), slow)
    assert found["limit"] == "hard" and found["predicted_delay"] == 30
    found = predict(ALWAYS, learned(d4=40, d8=40, d16=40))
    assert found["at_least"] == 1 and found["predicted_delay"] == 256
    assert found["limit"] == "none up to the longest delay"


def test_an_edge_inside_the_ladder_is_the_prediction():
    found = predict(ALWAYS, learned(d4=100, d8=None, d16=None))
    assert found["predicted_delay"] == pytest.approx(math.sqrt(32))
    assert found["predicted_delay_lower"] <= 4 and found["predicted_delay_upper"] >= 8
    found = predict(ALWAYS, learned(d4=580, d8=None))  # another run may fail at 4
    assert found["predicted_delay_lower"] < 4
    found = predict(ALWAYS, learned(d4=None, d8=None))
    assert found["predicted_delay_lower"] == 0 and found["predicted_delay_upper"] == 4


def test_what_was_learned_is_never_denied():
    blind = seen({4: 1e-3, 256: 1e-9})
    assert predict(blind, learned(d4=40, d8=50, d16=60))["predicted_delay"] == 16


def test_the_interval_is_that_of_runs_scattered_by_30_percent():
    # E = 4 (budget / n) for steps in proportion to the delay, so that ln E scatters as ln n does
    found = predict(ALWAYS, learned(d4=40), budget=200)
    width = math.log(found["predicted_delay_upper"] / found["predicted_delay_lower"])
    assert width == pytest.approx(2 * 1.645 * 0.3, rel=0.15)


def test_a_prediction_is_made_of_the_seed():
    options = FAST | {"longest": 32, "null_runs": 1, "budget": 30}
    found = dm.predicted_delay("tanh", ONE, rng=3, **options)
    assert found.identical(dm.predicted_delay("tanh", ONE, rng=3, **options))
    assert not found.identical(dm.predicted_delay("tanh", ONE, rng=4, **options))
    assert found.delay.values.tolist() == [2, 4, 8, 16, 32] and found.rung.values.tolist() == [2, 4]
    assert found.limit in module.LIMITS
    assert found.snr_squared.dims == ("delay", "mode") and (found.snr_squared > 0).all()


def test_no_delay_above_the_ladder_is_trained(monkeypatch):
    trained = []
    real = module.Recipe.descend

    def watched(self, network, task, rng, **options):
        trained.append(task.delay)
        return real(self, network, task, rng, **options)

    monkeypatch.setattr(module.Recipe, "descend", watched)
    dm.predicted_delay("tanh", ONE, longest=64, **FAST)
    assert set(trained) == {2, 4}


def test_hard_limits_are_found_to_the_step():
    model = dm.models.get("tcn", units=4, inputs=4, outputs=3, kernel=4)
    found = dm.predicted_delay(model, ONE, longest=64, **FAST)
    hard = int(found.hard_limit)
    ends = dm.memory_signal(model, ONE, delays=[hard, hard + 1]).signal.squeeze().values
    assert ends[0] > 0 and ends[1] == 0


def test_a_model_may_depend_on_the_task():
    def windowed(task, rng):
        return dm.models.get("attention", units=4, inputs=4, outputs=3, window=task.steps, rng=rng)

    found = dm.predicted_delay(windowed, ONE, longest=32, **FAST)
    assert float(found.hard_limit) == np.inf


def test_a_users_module_in_five_lines():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.readout = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, u):
            return self.readout(self.cell(u)[0])

    found = dm.predicted_delay(Net(), ONE, longest=16, **FAST)
    assert 0 < found.predicted_delay.item() <= 16


def test_sampled_tasks_too():
    found = dm.predicted_delay("tanh", "adding", longest=16, **{**FAST, "ladder": [4, 8]})
    assert found.mode.values.tolist() == ["first", "second"]
    assert np.isfinite(found.predicted_delay.item())


def test_outputs_that_overflow_are_a_limit():
    model = dm.models.get("linear", units=4, inputs=4, outputs=3, gain=30.0)
    found = dm.predicted_delay(model, ONE, longest=64, **FAST)
    assert 20 < float(found.hard_limit) < 35  # 30^d leaves the range of float32 at d = 26


def test_a_ladder_above_the_longest_delay_is_refused():
    with pytest.raises(ValueError, match="above the ladder"):
        dm.predicted_delay("tanh", ONE, ladder=[4, 300])
