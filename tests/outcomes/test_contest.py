"""``race``: whatever the user brings, in stages, from a store, on workers."""

import importlib
import math

import numpy as np
import pytest
import torch
from torch import nn

import dynmem as dm
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.outcomes.entrants import cost_of, entrants
from dynmem.study import ChangedError

points = importlib.import_module("dynmem.outcomes.points")
ONE = dm.tasks.Copy(symbols=2, length=1, scored="recalled")
FAST = {"delays": [1, 2], "seeds": 1, "units": 6, "batch": 8, "budget": 20, "progress": False}


class Mine(nn.Module):
    """A module as users write them."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(4, 6, batch_first=True)
        self.gate = nn.Parameter(torch.ones(6))
        self.readout = nn.Linear(6, 3)

    def forward(self, u):
        h, _ = self.rnn(u)
        return self.readout(h * torch.sigmoid(self.gate) + h.cumsum(1) * 0.01)


def by_hand(task, rng):
    return dm.models.get("lstm", units=5, inputs=task.inputs, outputs=task.outputs, rng=rng)


@pytest.fixture
def made(monkeypatch):
    """What was predicted and what was measured, in order; without any training."""
    order = []

    def predicted(model, task, *, ladder, longest, rng, **given):
        order.append(("predicted", rng, tuple(ladder), longest))
        found = dm.predicted_delay(model, task, ladder=[1], longest=2, rng=rng, **given)
        return found

    def measured(model, task, *, delays, seeds, **given):
        order.append(("measured", seeds[0], tuple(delays)))
        return dm.learnable_delay(model, task, delays=delays, seeds=seeds, **given)

    monkeypatch.setattr(points, "predicted_delay", predicted)
    monkeypatch.setattr(points, "learnable_delay", measured)
    return order


def test_every_prediction_is_stored_before_the_first_measurement(made, tmp_path):
    found = dm.race(["tanh", "gru"], ONE, store=tmp_path, **FAST | {"seeds": 2})
    assert [row[0] for row in made] == ["predicted"] * 4 + ["measured"] * 4
    assert made[0][2:] == ((1,), 2)  # nothing beyond the ladder is trained
    assert max(found.predicted_at.values.ravel()) < min(found.measured_at.values.ravel())
    again = dm.race(["tanh", "gru"], ONE, store=tmp_path, **FAST | {"seeds": 2})
    assert len(made) == 8
    assert again.equals(found)


def test_a_race_grows_by_a_model_and_refuses_another_budget(made, tmp_path):
    dm.race(["tanh"], ONE, store=tmp_path, **FAST)
    dm.race(["tanh", "gru"], ONE, store=tmp_path, **FAST)
    assert len(made) == 4
    with pytest.raises(ChangedError, match="budget"):
        dm.race(["tanh"], ONE, store=tmp_path, **FAST | {"budget": 21})


@pytest.mark.slow  # five kinds, each predicted and measured: 6 s
def test_models_of_every_kind():
    system = dm.models.get("tanh", units=4, inputs=4, outputs=3)
    models = {
        "name": "tanh",
        "pair": ("lstm", {"forget_bias": 2.0, "units": 4}),
        "system": system,
        "module": Mine(),
        "function": by_hand,
    }
    found = dm.race(models, ONE, **FAST)
    assert found.model.values.tolist() == list(models)
    assert found.units.values[:2].tolist() == [6, 4]
    assert found.horizon_of.values.tolist() == ["state", "state", "state", "input", "state"]
    assert "Mine is a module" in found.no_theory.sel(model="module").values.item(0)
    assert np.isfinite(found.time_scale.sel(model=["name", "system"])).all()
    assert set(found.status.values.ravel()) == {"done"}
    for name in found.data_vars:
        assert found[name].attrs["long_name"] and found[name].attrs.get("units", "1"), name


def test_the_weights_of_a_module_stay():
    module = Mine()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    dm.race(module, ONE, **FAST)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_race_is_what_its_parts_are():
    given = {"budget": 60, "batch": 8, "units": 6, "learning_rate": 1e-2}
    found = dm.race("gru", ONE, delays=[1, 2, 4], seeds=[3], progress=False, **given)
    predicted = dm.predicted_delay("gru", ONE, ladder=[1, 2], longest=4, rng=3, **given)
    learned = dm.learnable_delay("gru", ONE, delays=[1, 2, 4], seeds=[3], **given)
    assert found.seed_predicted_delay.item() == predicted.predicted_delay.item()
    assert found.longest_learned.item() == learned.longest_learned.item()
    assert found.next_failed.item() == learned.next_failed.item()


@pytest.mark.parametrize("quantity", ["parameters", "state", "operations"])
def test_models_that_cost_the_same(quantity):
    made = entrants(["lstm", "tanh", "gru"], ONE, units=16, learning_rate=1e-3, matched=quantity)
    costs = [cost_of(one.model, ONE)[quantity] for one in made.values()]
    assert made["lstm"].model.units == 16
    np.testing.assert_allclose(costs, costs[0], rtol=0.06)


def test_models_match_the_one_that_is_given():
    module = Mine()
    made = entrants(
        {"tanh": "tanh", "mine": module}, ONE, units=32, learning_rate=1e-3, matched="parameters"
    )
    wanted = sum(weight.numel() for weight in module.parameters())
    assert cost_of(made["tanh"].model, ONE)["parameters"] == pytest.approx(wanted, rel=0.06)
    with pytest.raises(ValueError, match="state of mine cannot be counted"):
        entrants(
            {"tanh": "tanh", "mine": module}, ONE, units=32, learning_rate=1e-3, matched="state"
        )


@pytest.mark.parametrize(
    ("models", "options", "error", "words"),
    [
        ([], {}, ValueError, "models is empty"),
        ("tanhh", {}, UnknownNameError, "did you mean tanh"),
        (("tanh", {"gian": 2.0}), {}, TypeError, "gian"),
        (nn.Linear(3, 3), {}, ShapeError, "does not take the inputs"),
        (3, {}, TypeError, "not iterable|no sequence model"),
        ("tanh", {"delays": [4]}, ValueError, "two or more"),
        ("tanh", {"seeds": 0}, ValueError, "seeds = 0"),
        ("tanh", {"budget": 0, "batch": 0}, ValueError, "(?s)steps.*batch"),
        ("tanh", {"matched": "weights"}, ValueError, "matched = 'weights'"),
        ("tanh", {"learning_rate": {"gru": 0.1}}, UnknownNameError, "gru"),
        (["tanh", "gru"], {"learning_rate": {"gru": 0.1}}, ValueError, "none for tanh"),
        ("tanh", {"task": "copi"}, UnknownNameError, "copy"),
        ("tanh", {"task": 3}, TypeError, "int is no task"),
        ("tanh", {"task": "questions"}, TypeError, "no option 'delay'"),
    ],
)
def test_requests_that_cannot_be_met(models, options, error, words):
    given = FAST | options
    with pytest.raises(error, match=words):
        dm.race(models, given.pop("task", ONE), **given)


def test_a_network_that_explodes_is_a_row_and_no_error():
    linear = dm.models.Linear(1e3 * np.eye(4), V=np.ones((4, 4)))
    network = dm.models.Network((linear,), np.ones((3, 4)), np.zeros(3))
    found = dm.race({"exploding": network, "tanh": "tanh"}, ONE, **FAST | {"delays": [20, 300]})
    assert found.longest_learned.sel(model="exploding").item() == 0
    assert found.verdict.sel(model="exploding").item() in ("holds", "undefined")
    assert not math.isnan(found.predicted_delay.sel(model="tanh").item())


@pytest.mark.slow  # two worker processes import torch
def test_workers_change_nothing():
    one = dm.race(["tanh", Mine()], ONE, **FAST)
    two = dm.race(["tanh", Mine()], ONE, workers=2, **FAST)
    kept = [name for name in one if not name.endswith("_at")]
    # Mine draws other weights each time
    assert (
        one[kept]
        .sel(model="tanh")
        .longest_learned.equals(two[kept].sel(model="tanh").longest_learned)
    )
