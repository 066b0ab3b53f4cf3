"""Checkpoints: equal after a round trip, whole or absent, and files that cannot run code."""

import contextlib
import json
import os
import pickle

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.errors import DamageError, ShapeError
from dynmem.training import Forecaster, checkpoint, fit, fit_forecaster, load, save
from dynmem.training.trainable import leaves, rebuilt
from tests.training.examples import CELLS, EASY, copy_model, pair, same, small


@pytest.mark.parametrize(("name", "layers"), [*((name, 1) for name in CELLS), ("lstm", 2)])
def test_checkpoints_come_back_equal(name, layers, tmp_path):
    options = {"leak": 0.5} if name == "tanh" else {}
    for outputs in (None, 3):
        model = small(name, layers, outputs, **options)
        save(model, tmp_path / "model.pt")
        assert same(load(tmp_path / "model.pt"), model)


def test_fit_keeps_the_best_on_disk(tmp_path):
    path = tmp_path / "best.pt"
    trained, history = fit(
        copy_model(), EASY, steps=20, evaluate_every=5, validation_size=16, checkpoint=path
    )
    assert same(load(path), trained) and os.listdir(tmp_path) == ["best.pt"]
    _, record = checkpoint.read(path)
    assert record["facts"]["step"] == history.best_step and record["facts"]["seed"] == 0
    assert set(torch.load(path, weights_only=True)) == {"weights", "record", "sha256", "training"}


def test_fit_keeps_the_forecaster_on_disk(tmp_path):
    task = dm.training.task_of(dm.datasets.load("henon", samples=600), steps=30)
    trained, history = dm.fit(
        "gru",
        task,
        units=4,
        steps=4,
        evaluate_every=2,
        checkpoint=tmp_path / "best.pt",
        progress=False,
    )
    found = load(tmp_path / "best.pt")
    np.testing.assert_array_equal(found.model.R, trained.model.R)
    assert found.dt == 1.0 and history.best_step in (2, 4)


@pytest.mark.parametrize("name", ["gru", "s4d", "esn"])
def test_a_forecaster_comes_back_from_its_file(name, tmp_path):
    """The same bits, and so the same free run."""
    data = dm.datasets.load("henon", samples=600)
    kept, _ = fit_forecaster(name, data, units=4, steps=2, forcing=1, batch=2, window=30)
    save(kept, tmp_path / "f.pt", lambda_1=0.9)
    found = load(tmp_path / "f.pt")
    assert isinstance(found, Forecaster) and found.dt == kept.dt and found.states == kept.states
    heard = data.x.values[:50]
    starts = [system.warmed_up(heard) for system in (kept, found)]
    np.testing.assert_array_equal(*starts)
    np.testing.assert_array_equal(
        *(dm.orbit(system, starts[0], duration=100 * kept.dt).x.values for system in (kept, found))
    )
    again = load(tmp_path / "f.pt", like=kept)
    np.testing.assert_array_equal(again.gain, kept.gain)
    data = bytearray((tmp_path / "f.pt").read_bytes())
    data[data.index(kept.gain.tobytes())] ^= 1
    (tmp_path / "f.pt").write_bytes(data)
    with pytest.raises(DamageError):
        load(tmp_path / "f.pt")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"dt": "a"}, "dt = 'a'"),
        ({"dt": -1.0}, "dt = -1.0"),
        ({"mean": 3}, "cannot be: mean of Forecaster must hold"),
        ({"model": None}, "cannot be"),
    ],
)
def test_a_record_of_a_forecaster_that_cannot_be(change, words, tmp_path):
    """The checksum is right, the record is not."""
    kept = Forecaster(dm.models.get("tanh", units=2, inputs=3, outputs=3), *np.ones((3, 3)))
    described = checkpoint.system_record(kept)
    described["fields"] |= change
    record = json.dumps({"system": described, "facts": {}}, sort_keys=True)
    arrays = {
        name: torch.from_numpy(v.copy()) for name, v in leaves(kept) if isinstance(v, np.ndarray)
    }
    torch.save(
        {"weights": arrays, "record": record, "sha256": checkpoint.digest(arrays, record)},
        tmp_path / "f.pt",
    )
    with pytest.raises(DamageError, match=words):
        load(tmp_path / "f.pt")


def test_a_users_own_system_needs_one_like_it(tmp_path):
    path, mine = tmp_path / "pair.pt", rebuilt(pair(), {"damping": 0.7, "K": np.eye(2)})
    save(mine, path)
    with pytest.raises(TypeError, match="holds a Pair, no model of dynmem: pass like="):
        load(path)
    assert same(load(path, like=pair()), mine)
    with pytest.raises(ShapeError, match=r"which GRU with .* cannot take"):
        load(path, like=small("gru"))


def test_bits_that_flipped_and_ends_that_are_missing_are_noticed(tmp_path):
    path, rng = tmp_path / "model.pt", np.random.default_rng(0)
    model = small("gru", 1, 3)
    save(model, path)
    whole = path.read_bytes()
    for at in rng.integers(8 * len(whole), size=200):
        broken = bytearray(whole)
        broken[at // 8] ^= 1 << (at % 8)
        path.write_bytes(broken)
        with contextlib.suppress(DamageError):
            assert same(load(path), model)  # padding between the parts means nothing
    for size in rng.integers(len(whole), size=100):
        path.write_bytes(whole[:size])
        with pytest.raises(DamageError):
            load(path)


def test_changed_numbers_are_noticed(tmp_path):
    path = tmp_path / "model.pt"
    save(small("gru"), path)
    payload = torch.load(path, weights_only=True)
    payload["weights"]["W"][0, 0] += 1e-9
    torch.save(payload, path)
    with pytest.raises(DamageError, match="does not match its checksum"):
        load(path)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "inside"])
def test_no_code_runs_from_a_checkpoint(form, tmp_path):
    path, marker = tmp_path / "model.pt", tmp_path / "marker"
    bomb = Bomb(marker)
    if form == "pickle":
        path.write_bytes(pickle.dumps(bomb))
    elif form == "inside":
        torch.save({"weights": {"W": bomb}, "record": "{}", "sha256": ""}, path)
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(DamageError, match="refused: checkpoint holds objects other than tensors"):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "payload",
    [torch.zeros(3), {"W": torch.zeros(3)}, [1, 2], {"weights": 1, "record": "{}", "sha256": ""}],
)
def test_other_files_are_not_checkpoints(payload, tmp_path):
    torch.save(payload, tmp_path / "other.pt")
    with pytest.raises(DamageError, match="not a dynmem checkpoint"):
        load(tmp_path / "other.pt")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")


def sealed(path, weights, record):
    """A file of a checkpoint's form whose checksum is right."""
    torch.save(
        {"weights": weights, "record": record, "sha256": checkpoint.digest(weights, record)}, path
    )


def gru_fields(**changes):
    return {
        "system": {
            "kind": "GRU",
            "fields": checkpoint.system_record(small("gru"))["fields"] | changes,
        },
        "facts": {},
    }


@pytest.mark.parametrize(
    "record",
    [
        "no JSON",
        "5",
        "[]",
        "{}",
        "[" * 100_000,
        '{"system": 5, "facts": {}}',
        '{"system": [5], "facts": {}}',
        '{"system": null, "facts": {}}',
        '{"system": {"entries": []}, "facts": {}}',
        '{"system": {"array": []}, "facts": {}}',
        '{"system": {"kind": "GRU"}, "facts": {}}',
        '{"system": {"kind": "GRU", "fields": 5}, "facts": {}}',
        '{"system": {"kind": ["GRU"], "fields": {}}, "facts": {}}',
        '{"system": {"kind": "GRU", "fields": {}}, "facts": {}}',
        '{"system": {"kind": "GRU", "fields": {"W": {"array": 3}}}, "facts": {}}',
        json.dumps(gru_fields(foo=1)),
        json.dumps(gru_fields(W=5)),
        json.dumps(gru_fields(W="W")),
        json.dumps(gru_fields(V=None)),
        json.dumps(gru_fields(b={"array": [1]})),
        json.dumps(gru_fields(b={"entries": [1]})),
        '{"system": {"kind": "Network", "fields": {"layers": '
        + '{"entries": [' * 300
        + "5"
        + "]}" * 300
        + '}}, "facts": {}}',
    ],
)
def test_odd_records_are_not_checkpoints(record, tmp_path):
    weights = {name: torch.from_numpy(value.copy()) for name, value in leaves(small("gru"))}
    sealed(tmp_path / "odd.pt", weights, record)
    for like in (None, small("gru")):
        with pytest.raises(DamageError, match="odd.pt is not a dynmem checkpoint"):
            load(tmp_path / "odd.pt", like=like)


def test_odd_weights_are_not_checkpoints(tmp_path):
    weights = {name: torch.from_numpy(value.copy()) for name, value in leaves(small("gru"))}
    lost, nan = (
        {k: v for k, v in weights.items() if k != "b"},
        weights | {"b": weights["b"] * torch.nan},
    )
    for odd in (
        weights | {"foo": torch.zeros(1)},
        lost,
        nan,
        {},
        weights | {"W": weights["W"][:-1]},
    ):
        sealed(tmp_path / "odd.pt", odd, json.dumps(gru_fields()))
        with pytest.raises(DamageError, match="odd.pt is not a dynmem checkpoint"):
            load(tmp_path / "odd.pt")
    torch.save(
        {"weights": {"W": torch.zeros(2, dtype=torch.bfloat16)}, "record": "{}", "sha256": ""},
        tmp_path / "odd.pt",
    )
    with pytest.raises(DamageError, match="does not match"):
        load(tmp_path / "odd.pt")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    save(small("gru"), path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(small("lstm"), path)
    assert same(load(path), small("gru")) and os.listdir(tmp_path) == ["model.pt"]
