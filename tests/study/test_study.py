"""A study from its grid to its Dataset: configuration, results, provenance, failed points."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import dynmem
from dynmem.study import ChangedError, Store, Study, failures, load, save
from tests.tiny import key_of


def square(gain, seed=0):
    return xr.Dataset({"square": ((), gain**2 + seed)})


def demo(**more):
    return Study(
        "demo",
        "What is a square?",
        **{"grid": {"gain": [0.5, 2.0], "seed": [0, 1]}, "measure": square, **more},
    )


# ---- the Dataset ---------------------------------------------------------------------------------


def test_dims_are_the_axes_and_then_those_of_the_measure(study, store):
    dataset = study.load(output=store)
    assert dict(dataset.sizes) == {"gain": 3, "seed": 4, "step": 5, "mode": 24}
    assert dataset.norm.dims == ("gain", "seed", "step")
    assert dataset.mean_norm.dims == ("gain", "step")
    assert dataset.gain.attrs == {"units": "1", "long_name": "gain of the weights"}
    assert dataset.norm.attrs["units"] == "1"
    assert (dataset.status == "done").all()


def test_each_point_stands_where_its_parameters_say(study, store):
    dataset = study.load(output=store)
    for gain in (0.5, 2.0):
        for seed in (0, 3):
            expected = study.measure(gain=gain, seed=seed, steps=5)
            point = dataset.sel(gain=gain, seed=seed)
            for name in expected.data_vars:
                np.testing.assert_array_equal(
                    point[name].values, expected[name].values, err_msg=name
                )


def test_types_survive_the_disk(study, store, tmp_path):
    dataset = study.run(output=tmp_path)
    kinds = {name: dataset[name].dtype.kind for name in ("norm", "eigenvalue", "grows", "rank")}
    assert kinds == {"norm": "f", "eigenvalue": "c", "grows": "b", "rank": "i"}
    assert set(dataset.word.values.ravel().tolist()) == {"grows", "decays"}
    xr.testing.assert_identical(dataset, study.load(output=store))


def test_attributes_say_where_the_numbers_come_from(study, store):
    attributes = study.load(output=store).attrs
    assert attributes["title"] == "tiny: How does a small matrix act?"
    assert attributes["source"] == "a test"
    assert json.loads(attributes["parameters"]) == {
        "gain": [0.5, 1.0, 2.0],
        "seed": [0, 1, 2, 3],
        "steps": 5,
    }
    assert json.loads(attributes["seed"]) == [0, 1, 2, 3]
    assert attributes["threads"] == 1
    assert {"python", "numpy", "scipy", "torch", "dynmem"} <= set(
        json.loads(attributes["versions"])
    )
    assert attributes["dynmem_version"] == dynmem.__version__
    code = json.loads(attributes["configuration"])["code"]
    assert set(code) == {f"tiny_module.{name}" for name in ("measure", "trouble", "claimed")}


def test_save_and_load_give_an_equal_dataset(tmp_path):
    values = xr.Dataset(
        {
            "z": ("x", np.exp(1j * np.arange(5))),
            "z32": ("x", np.ones(5, "c8") * 1j),
            "nan": ("x", [np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        },
        {"x": list("abcde")},
        {"title": "t"},
    )
    xr.testing.assert_identical(load(save(values, tmp_path / "a.nc")), values)


def test_points_may_differ_in_a_coordinate(tmp_path):
    def measure(delay):
        return xr.Dataset({"recall": ("lag", np.ones(delay))}, {"lag": np.arange(delay)})

    dataset = Study("lags", "q", {"delay": [1, 3]}, measure).run(output=tmp_path)
    np.testing.assert_array_equal(dataset.recall, [[1, np.nan, np.nan], [1, 1, 1]])
    assert (dataset.status == "done").all()


def test_any_dim_may_be_called_point(tmp_path):
    """As that of ``dm.fixed_points`` is, also where a point of the grid has failed."""

    def measure(gain):
        if gain == 2.0:
            raise ValueError("no luck")
        return xr.Dataset({"x": ("point", gain * np.arange(3.0))}, {"kind": ("point", list("abc"))})

    dataset = Study("named", "q", {"gain": [0.5, 1.0, 2.0]}, measure).run(output=tmp_path)
    assert dataset.x.dims == ("gain", "point") and dataset.x.sel(gain=0.5).values.tolist() == [
        0.0,
        0.5,
        1.0,
    ]
    assert dataset.x.sel(gain=2.0).isnull().all() and dataset.status.sel(gain=1.0) == "done"


def test_lengths_that_differ_need_a_coordinate(tmp_path):
    def measure(n):
        return xr.Dataset({"x": ("k", np.ones(n))})

    dataset = Study("lengths", "q", {"n": [2, 3], "seed": [0, 1]}, lambda n, seed: measure(n)).run(
        output=tmp_path, overrides={"n": [2, 3]}
    )
    words = "does not fit: dim k has 3 entries, where most points have 2: give it a coordinate"
    assert dataset.status.sel(n=3, seed=0).item().startswith(f"failed: {words}")
    assert dataset.x.sel(n=2).notnull().all() and dataset.x.sel(n=3).isnull().all()


def test_what_is_not_finite_is_labelled(tmp_path):
    dataset = demo(
        measure=lambda gain, seed: xr.Dataset(
            {"x": ((), np.inf if gain > 1 else 1.0), "y": ((), np.nan)}
        )
    ).run(output=tmp_path)
    assert dataset.status.sel(gain=2.0, seed=0).item() == "not finite: x, y"
    assert dataset.status.sel(gain=0.5, seed=0).item() == "not finite: y"
    assert failures(dataset) == []


def test_strings_may_be_an_axis(tmp_path):
    dataset = Study(
        "cells",
        "q",
        {"cell": ["tanh", "lstm"]},
        lambda cell: xr.Dataset({"n": ((), len(cell) + 1)}),
    ).run(output=tmp_path)
    assert dataset.n.sel(cell="lstm") == 5
    assert dataset.cell.values.tolist() == ["tanh", "lstm"]


def test_numpy_values_and_ranges_make_an_axis(tmp_path):
    plan = Study("n", "q", {"gain": np.linspace(0, 1, 3), "seed": range(2)}, square).plan()
    assert plan.grid == {"gain": [0.0, 0.5, 1.0], "seed": [0, 1]}


# ---- the same bits -------------------------------------------------------------------------------


def test_any_order_of_the_points_gives_the_same_bytes(study, store):
    file, rng = store / "tiny.nc", np.random.default_rng(0)
    expected = file.read_bytes()
    for _ in range(3):
        file.unlink()
        for index in rng.choice(12, 6, replace=False):
            Store("tiny", store).forget(key_of(study, int(index)))
        study.run(output=store)
        assert file.read_bytes() == expected


def test_points_run_on_one_thread(tmp_path):
    def measure(seed):
        from threadpoolctl import threadpool_info

        return xr.Dataset(
            {"threads": ((), max([pool["num_threads"] for pool in threadpool_info()], default=1))}
        )

    assert (Study("threads", "q", {"seed": [0]}, measure).run(output=tmp_path).threads == 1).all()


# ---- running again -------------------------------------------------------------------------------


def test_a_finished_study_is_not_run_again(study, store, tmp_path, capsys, monkeypatch):
    first = study.load(output=store)
    monkeypatch.setenv("TINY_TROUBLE", f"raise:everywhere:1:{tmp_path / 'code'}")
    xr.testing.assert_identical(study.run(output=store), first)
    assert capsys.readouterr().err.strip() == f"tiny is done: {store / 'tiny.nc'} (12 points)"


def test_a_run_goes_on_where_it_stopped(study, store, capsys):
    for index in (3, 7):
        Store("tiny", store).forget(key_of(study, index))
    (store / "tiny.nc").unlink()
    study.run(output=store)
    assert "resuming tiny: 10 of 12 points done" in capsys.readouterr().err


def test_fresh_moves_the_earlier_store_aside(study, store):
    for steps in (3, 4):
        study.run(output=store, overrides={"steps": steps, "seed": [0]}, fresh=True)
    assert load(store / "tiny.old-1" / "tiny.nc").sizes["step"] == 5
    assert load(store / "tiny.old-2" / "tiny.nc").sizes["step"] == 3
    assert load(store / "tiny.nc").sizes["step"] == 4


def test_points_may_be_deleted_once_the_study_is_finished(study, store):
    first = study.load(output=store)
    shutil.rmtree(store / "tiny.points")
    xr.testing.assert_identical(study.run(output=store), first)
    with pytest.raises(ChangedError, match="steps was 5 in the store, 6 now"):
        study.run(output=store, overrides={"steps": 6})
    assert not (store / "tiny.points").exists()


def test_a_quick_run_keeps_apart(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dict(study.run(quick=True).sizes) == {"gain": 3, "seed": 1, "step": 2, "mode": 24}
    assert Path("results/quick/tiny.nc").exists() and not Path("results/tiny.nc").exists()
    assert study.load(quick=True).sizes["step"] == 2


def test_a_bar_is_shown_where_it_is_wanted(tmp_path, capsys):
    demo().run(output=tmp_path / "bar", progress=True)
    assert "4/4" in capsys.readouterr().err
    demo().run(output=tmp_path / "none")
    assert capsys.readouterr() == ("", "")


# ---- points that fail ----------------------------------------------------------------------------


def test_an_error_costs_its_own_point_only(study, store, tmp_path, monkeypatch, capsys):
    whole = study.load(output=store)
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("TINY_TROUBLE", f"raise:1.0,2:1:{tmp_path / 'marks'}")
    dataset = study.run(output=tmp_path)
    assert failures(dataset) == [
        {
            "point": 6,
            "parameters": {"gain": 1.0, "seed": 2},
            "error": "ValueError: no luck with gain 1.0",
        }
    ]
    assert (
        np.isnan(dataset.norm.sel(gain=1.0, seed=2)).all()
        and np.isnan(dataset.eigenvalue.sel(gain=1.0, seed=2)).all()
    )
    assert dataset.word.sel(gain=1.0, seed=2) == ""
    np.testing.assert_array_equal(dataset.norm.sel(gain=2.0), whole.norm.sel(gain=2.0))

    again = study.run(output=tmp_path)
    assert "1 that failed before is tried again" in capsys.readouterr().err
    xr.testing.assert_identical(again, whole)


def test_all_points_may_fail(study, tmp_path, monkeypatch):
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("TINY_TROUBLE", f"exit:everywhere:99:{tmp_path / 'marks'}")
    dataset = study.run(output=tmp_path)
    assert len(failures(dataset)) == 12
    assert failures(dataset)[0]["error"] == "SystemExit: 3"


@pytest.mark.parametrize(
    "result, words",
    [
        (3.0, "must return an xarray.Dataset"),
        (xr.Dataset({"gain": ((), 1.0)}), "which the grid adds"),
        (xr.Dataset({"x": ("seed", [1.0])}), "which the grid adds"),
        (xr.Dataset({"status": ((), "ok")}), "which the grid adds"),
        (
            xr.Dataset({"x": ("n", np.array([{}, None], object))}),
            "other values than numbers or strings",
        ),
    ],
)
def test_a_result_that_cannot_be_stored_fails_with_a_reason(tmp_path, result, words):
    dataset = demo(measure=lambda gain, seed: result).run(output=tmp_path)
    assert (
        all(words in failure["error"] for failure in failures(dataset))
        and len(failures(dataset)) == 4
    )


def test_an_error_in_finish_keeps_the_points(tmp_path):
    def finish(dataset):
        raise KeyError("absent")

    with pytest.raises(KeyError):
        demo(finish=finish).run(output=tmp_path)
    assert Store("demo", tmp_path).count() == 4


def test_what_a_measure_prints_goes_to_stderr(tmp_path, capsys):
    demo(measure=lambda gain, seed: print("hello") or square(gain)).run(output=tmp_path)
    out, err = capsys.readouterr()
    assert out == "" and err.count("hello") == 4
