"""A grid that grows finds its points again, and what has changed is said (R7)."""

import functools
import json
import os

import numpy as np
import pytest
import xarray as xr

from dynmem.study import ChangedError, ConfigurationError, Store, Study, failures
from tests.tiny import SOURCE, contents, import_study


def changed(tmp_path, monkeypatch, *pairs):
    """The study of another text."""
    source = SOURCE
    for old, new in pairs:
        assert old in source
        source = source.replace(old, new)
    return import_study(tmp_path / "code", monkeypatch, source)


def squares(*gains, **more):
    """A study of squares."""
    return Study("squares", "q", **{"grid": {"gain": list(gains)}, "measure": square, **more})


def square(gain, power=2):
    with open(os.environ["TINY_" + "CALLS"], "a") as file:
        print(gain, power, file=file)
    return xr.Dataset({"x": ((), float(gain) ** power)})


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """(gain, power) of each call of ``square`` since the last look."""
    file = tmp_path / "calls"
    monkeypatch.setenv("TINY_CALLS", str(file))

    def look():
        found = [tuple(map(float, line.split())) for line in file.read_text().splitlines()]
        file.write_text("")
        return found

    return look


# ---- growth --------------------------------------------------------------------------------------


def test_values_added_to_an_axis_cost_their_own_points(tmp_path, calls):
    squares(1.5, 2.2, 3.0).run(output=tmp_path / "grown")
    calls()
    grown = squares(1.5, 2.2, 3.0, 3.5).run(output=tmp_path / "grown")
    assert calls() == [(3.5, 2)]
    whole = squares(1.5, 2.2, 3.0, 3.5).run(output=tmp_path / "whole")
    xr.testing.assert_identical(grown, whole)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


@pytest.mark.parametrize("gains", [(2.2, 1.0, 1.5), (1.0, 1.5), (3.0,), (3.0, 2.2, 1.5, 1.0)])
def test_values_may_be_added_anywhere_removed_and_reordered(tmp_path, calls, gains):
    squares(1.5, 2.2, 3.0).run(output=tmp_path / "grown")
    calls()
    grown = squares(*gains).run(output=tmp_path / "grown")
    assert {gain for gain, _ in calls()} == {*gains} - {1.5, 2.2, 3.0}
    np.testing.assert_array_equal(grown.x, np.array(gains) ** 2)
    squares(1.5, 2.2, 3.0).run(output=tmp_path / "grown")
    assert not calls()  # what was removed is still there


def test_an_axis_may_be_added_for_which_the_measure_has_a_default(tmp_path, calls):
    squares(1.5, 2.0).run(output=tmp_path)
    calls()
    grown = squares(grid={"gain": [1.5, 2.0], "power": [1, 2, 3]}).run(output=tmp_path)
    assert sorted({power for _, power in calls()}) == [1, 3]
    np.testing.assert_allclose(grown.x, [[1.5, 2.25, 3.375], [2.0, 4.0, 8.0]])


def test_a_setting_may_become_an_axis_and_an_axis_a_setting(tmp_path, calls):
    squares(1.5, 2.0, settings={"power": 3}).run(output=tmp_path)
    calls()
    squares(grid={"gain": [1.5, 2.0], "power": [3, 4]}).run(output=tmp_path)
    assert sorted({power for _, power in calls()}) == [4]
    squares(1.5, 2.0, settings={"power": 4}).run(output=tmp_path)
    assert calls() == []


def test_the_order_of_the_axes_costs_no_point(study, store, tmp_path, monkeypatch, capsys):
    grid = '{"gain": [0.5, 1.0, 2.0], "seed": [0, 1, 2, 3]}'
    turned = changed(
        tmp_path, monkeypatch, (grid, '{"seed": [0, 1, 2, 3], "gain": [0.5, 1.0, 2.0]}')
    )
    dataset = turned.run(output=store)
    assert "resuming tiny: 12 of 12 points done" in capsys.readouterr().err
    assert dataset.norm.dims == ("seed", "gain", "step")


# ---- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("finished", [True, False])
def test_another_setting_is_refused_and_may_be_accepted(study, store, capsys, finished):
    if not finished:
        (store / "tiny.nc").unlink()
    before = contents(store)
    with pytest.raises(ChangedError, match="^steps was 5 in the store, 6 now: use"):
        study.run(output=store, overrides={"steps": 6})
    assert contents(store) == before
    more = {"steps": 6, "seed": [0, 1, 2, 3, 4]}
    dataset = study.run(output=store, overrides=more, accept=True)
    assert "resuming tiny: 12 of 15 points done" in capsys.readouterr().err
    assert dataset.norm.sel(seed=4).notnull().all()
    assert dataset.norm.sel(seed=0, step=6).isnull().all()
    assert json.loads(dataset.attrs["accepted"]) == ["12 points: steps was 5 in the store, 6 now"]
    xr.testing.assert_identical(study.run(output=store, overrides=more), dataset)


def test_several_changes_stand_on_lines_of_their_own(tmp_path, calls):
    squares(1.5, settings={"power": 3}).run(output=tmp_path)
    with pytest.raises(ChangedError) as refused:
        Study("squares", "q", {"rate": [1.5]}, lambda rate: xr.Dataset()).run(output=tmp_path)
    lines = str(refused.value).splitlines()
    assert "power was 3 in the store, absent now" in lines
    assert any("rate is a new axis: give it a default in measure" in line for line in lines)
    assert "gain was an axis in the store, absent now" in lines
    assert lines[-1].startswith("use another --output, --fresh to start anew, or --accept")


# ---- code ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("x = W @ x", "x = W @ x * 1.0", "tiny_module.measure has changed:"),
        ("/ 24**0.5", "/ 25**0.5", "24 ** 0.5"),
        ("if claimed(marks, int(times)):", "if claimed(marks, int(times) + 1):", "trouble"),
        ('{"steps": 5}', '{"steps": 4}', "steps was 5 in the store, 4 now"),
    ],
)
def test_changed_code_is_refused_line_by_line(store, tmp_path, monkeypatch, old, new, words):
    with pytest.raises(ChangedError) as refused:
        changed(tmp_path, monkeypatch, (old, new)).run(output=store)
    assert words in str(refused.value)


def test_changed_code_may_be_accepted(store, tmp_path, monkeypatch, capsys):
    other = changed(tmp_path, monkeypatch, ("x = W @ x", "x = W @ x + 1.0"))
    more = {"gain": [0.5, 1.0, 2.0, 3.0]}
    dataset = other.run(output=store, overrides=more, accept=True)
    assert "resuming tiny: 12 of 16 points done" in capsys.readouterr().err
    (line,) = json.loads(dataset.attrs["accepted"])
    assert line.startswith("12 points: tiny_module.measure has changed:")


def test_an_accepted_axis_keeps_the_old_points(tmp_path, monkeypatch):
    """The measure gets a parameter, with the value that it had before as its default."""
    source = SOURCE.replace('{"gain": [0.5, 1.0, 2.0]', '{"gain": [0.5, 1.0]')
    import_study(tmp_path / "code", monkeypatch, source).run(output=tmp_path / "out")
    source = source.replace(
        "def measure(gain, seed, steps):", "def measure(gain, seed, steps, size=24):"
    )
    source = source.replace('"seed": [0, 1, 2, 3]},', '"seed": [0, 1, 2, 3], "size": [24, 25]},')
    other = import_study(tmp_path / "code", monkeypatch, source)
    with pytest.raises(ChangedError, match="measure has changed"):
        other.run(output=tmp_path / "out")
    dataset = other.run(output=tmp_path / "out", accept=True)
    assert len(list((tmp_path / "out" / "tiny.points").glob("*.point"))) == 16
    assert json.loads(dataset.attrs["accepted"])[0].startswith("8 points: ")


@pytest.mark.parametrize(
    "old, new",
    [
        ("More words.", "Other words."),
        ("x = W @ x", "x = W @ x  # a step"),
        ("def summary(dataset):", "def unused():\n    return 3\n\n\ndef summary(dataset):"),
        ('units={"gain": ("1", "gain of the weights")},', ""),
    ],
)
def test_what_no_point_goes_through_may_change(store, tmp_path, monkeypatch, capsys, old, new):
    changed(tmp_path, monkeypatch, (old, new)).run(output=store)
    assert "tiny is done" in capsys.readouterr().err


def test_a_changed_finish_costs_no_point(store, tmp_path, monkeypatch, capsys):
    pair = ('mean_norm=dataset.norm.mean("seed")', 'norm_spread=dataset.norm.std("seed")')
    dataset = changed(tmp_path, monkeypatch, pair).run(output=store)
    assert "resuming tiny: 12 of 12 points done" in capsys.readouterr().err
    assert "norm_spread" in dataset and "mean_norm" not in dataset


def test_another_version_is_said_and_recorded(study, store, monkeypatch, capsys):
    first = study.load(output=store)
    versions = {**json.loads(first.attrs["versions"]), "numpy": "9.9"}
    monkeypatch.setattr("dynmem.study.provenance.versions", lambda packages: versions)
    xr.testing.assert_identical(study.run(output=store), first)
    assert "numpy was 2." in capsys.readouterr().err
    grown = study.run(output=store, overrides={"seed": [0, 1, 2, 3, 4]})
    assert "9.9 now; recorded" in capsys.readouterr().err
    (line,) = json.loads(grown.attrs["accepted"])
    assert line.startswith("12 points: numpy was 2.") and line.endswith("9.9 now")


# ---- what a measure reaches ----------------------------------------------------------------------

SCALE = 2.0
TABLE = {"a": np.arange(3.0)}


def helper(x):
    return SCALE * x


class Callable:
    """A measure that is an object."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, gain):
        return xr.Dataset({"x": ((), self.factor * gain)})


def closed_over(value):
    def measure(gain):
        return xr.Dataset({"x": ((), value * gain)})

    return measure


def with_helper(gain):
    return xr.Dataset({"x": ((), helper(gain))})


def with_table(gain):
    return xr.Dataset({"x": ((), gain * TABLE["a"][2])})


def with_variable(gain):
    import os

    return xr.Dataset({"x": ((), gain * float(os.environ.get("TINY_FACTOR", "1")))})


def with_factor(gain, factor):
    return xr.Dataset({"x": ((), gain * factor)})


def run_twice(folder, first, second, **more):
    def study(measure):
        return Study("reached", "q", {"gain": [1.0, 2.0]}, measure, **more)

    study(first).run(output=folder)
    study(first).run(output=folder)
    with pytest.raises(ChangedError) as refused:
        study(second).run(output=folder)
    return str(refused.value)


def test_a_changed_closure_argument_or_object_is_refused(tmp_path):
    one, two = (functools.partial(with_factor, factor=factor) for factor in (1, 2))
    words = run_twice(tmp_path / "1", closed_over(1.0), closed_over(2.0))
    assert "value was 1.0 in the store, 2.0 now" in words
    words = run_twice(tmp_path / "2", Callable(1.0), Callable(2.0))
    assert "'factor': 1.0" in words and "'factor': 2.0" in words
    words = run_twice(tmp_path / "3", one, two)
    assert "factor was 1 in the store, 2 now" in words


@pytest.mark.parametrize(
    "measure, name, value, words",
    [
        (with_helper, "SCALE", 3.0, "SCALE was 2.0 in the store, 3.0 now"),
        (with_helper, "helper", lambda x: 3 * x, "helper was reached in the store, and is not now"),
        (with_table, "TABLE", {"a": np.arange(4.0)}, "TABLE was"),
    ],
)
def test_a_changed_constant_or_helper_is_refused(
    tmp_path, monkeypatch, measure, name, value, words
):
    def study():
        return Study("reached", "q", {"gain": [1.0, 2.0]}, measure)

    study().run(output=tmp_path)
    monkeypatch.setitem(globals(), name, value)
    with pytest.raises(ChangedError, match=words):
        study().run(output=tmp_path)


def test_a_changed_environment_variable_is_refused(tmp_path, monkeypatch):
    study = Study("reached", "q", {"gain": [1.0, 2.0]}, with_variable)
    study.run(output=tmp_path)
    monkeypatch.setenv("TINY_FACTOR", "2")
    with pytest.raises(ChangedError, match="variable TINY_FACTOR was None in the store, '2' now"):
        study.run(output=tmp_path)


def test_a_changed_data_file_is_refused(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("1,2")
    study = Study("reached", "q", {"gain": [1.0]}, with_helper, files=[data])
    study.run(output=tmp_path / "out")
    data.write_text("1,3")
    with pytest.raises(ChangedError, match=r"file .*data.csv was .* in the store"):
        study.run(output=tmp_path / "out")
    data.unlink()
    with pytest.raises(ConfigurationError, match=r"there is no file .*data.csv"):
        study.run(output=tmp_path / "out")


def test_what_cannot_be_compared_is_never_equal(tmp_path):
    import threading

    study = Study("reached", "q", {"gain": [1.0]}, closed_over(threading.Lock()))
    assert failures(study.run(output=tmp_path))
    with pytest.raises(ChangedError, match="value cannot be compared with the store's .*lock"):
        study.run(output=tmp_path)


class Scale:
    """A constant that is an object of a class of the user."""

    def __init__(self, factor):
        self.factor = factor

    def times(self, x):
        return self.factor * x


UNIT = Scale(1.0)


def with_object(gain):
    return xr.Dataset({"x": ((), UNIT.times(gain))})


def test_a_constant_object_is_compared_by_what_it_holds_and_does(tmp_path, monkeypatch):
    study = Study("reached", "q", {"gain": [1.0, 2.0]}, with_object)
    study.run(output=tmp_path)
    study.run(output=tmp_path)
    monkeypatch.setattr(UNIT, "factor", 2.0)
    with pytest.raises(ChangedError, match=r"UNIT was .*1\.0.* in the store, .*2\.0.* now"):
        study.run(output=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(Scale, "times", lambda self, x: x)
    with pytest.raises(ChangedError, match=r"Scale\.times was reached"):
        study.run(output=tmp_path)


def test_a_sibling_file_of_the_study_belongs_to_its_code(tmp_path, monkeypatch):
    import importlib
    import sys

    from dynmem.study.reach import reached

    (tmp_path / "sibling_first.py").write_text(
        "import json\nimport sibling_second\n\n\n"
        "def measure(gain):\n    from sibling_third import third\n"
        "    return third(sibling_second.half(gain))\n"
    )
    (tmp_path / "sibling_second.py").write_text("def half(x):\n    return x / 2\n\n\nOTHER = 3\n")
    (tmp_path / "sibling_third.py").write_text("def third(x):\n    return x / 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = reached(importlib.import_module("sibling_first").measure)
    assert set(found.parts) == {
        "sibling_first.measure",
        "sibling_second.half",
        "sibling_third.third",
    }
    assert found.modules == {"sibling_first", "sibling_second", "sibling_third"}
    for name in ("sibling_first", "sibling_second", "sibling_third"):
        sys.modules.pop(name, None)


def test_code_that_was_edited_after_its_import_is_not_taken_for_what_runs(tmp_path, monkeypatch):
    from dynmem.study.reach import reached

    study = import_study(tmp_path / "code", monkeypatch)
    before = reached(study.measure).parts["tiny_module.measure"]
    module = tmp_path / "code" / "tiny_module.py"
    module.write_text(module.read_text().replace("x = W @ x", "x = W @ x * 2"))
    after = reached(study.measure).parts["tiny_module.measure"]
    assert "W @ x" in before and after.startswith("bytecode ")


def test_points_of_a_lost_configuration_are_never_mixed(study, store):
    (store / "tiny.nc").unlink()
    (store / "tiny.points" / "configuration.json").unlink()
    dataset = study.run(output=store, overrides={"steps": 6})
    assert dataset.norm.notnull().all()
    assert Store("tiny", store).count() == 24
