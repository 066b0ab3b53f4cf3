"""Extras: one table with pyproject, one sentence where a package is missing, before any point."""

import importlib.util
import tomllib
from pathlib import Path

import pytest
import xarray as xr

from dynmem.errors import MissingExtraError
from dynmem.runtime.extras import EXTRAS, missing_extra
from dynmem.study import ConfigurationError, Study

ROOT = Path(__file__).parents[2]


def square(gain):
    return xr.Dataset({"square": ((), gain**2)})


def study(**extras):
    return Study("demo", "A square?", {"gain": [1.0, 2.0]}, square, extras=extras)


def absent(monkeypatch, *names):
    """Hide packages, whether or not they are installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in names else find(name, *rest),
    )


def test_every_extra_is_one_of_the_installation():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert EXTRAS.keys() <= known["optional-dependencies"].keys()


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_sentence_names_the_package_and_one_command(monkeypatch, extra):
    absent(monkeypatch, *(name for names in EXTRAS[extra] for name in names))
    words = missing_extra(extra)
    command = "--no-deps aeon" if extra == "speech" else f"'dynmem[{extra}]'"
    assert words.endswith(f"missing here: python -m pip install {command}")
    assert words.count("pip install") == 1 and words.startswith(EXTRAS[extra][0][0])


def test_one_of_two_packages_of_the_same_files_is_enough(monkeypatch):
    absent(monkeypatch, "aeon")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name if name == "sktime" else found(name)
    )
    assert not missing_extra("speech")


@pytest.mark.parametrize("name", ["zarr", "no_such_package"])
def test_a_study_is_refused_before_its_first_point(tmp_path, monkeypatch, capsys, name):
    absent(monkeypatch, name)
    one = study(**{name: {}})
    for quick in (False, True):
        with pytest.raises(MissingExtraError, match=f"^study demo needs {name}, which is missing"):
            one.run(output=tmp_path / "results", quick=quick)
    assert one.main(["--output", str(tmp_path / "results"), "--json"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("pip install") == 1
    assert said.err.startswith("dynmem: study demo needs ")
    assert not (tmp_path / "results").exists()


def test_what_is_done_is_read_without_the_package_and_nothing_is_added(tmp_path, monkeypatch):
    one = study(no_such_package={})
    with monkeypatch.context() as patch:
        patch.setattr("dynmem.study.question.missing_extra", lambda extra: "")
        one.run(output=tmp_path)
    assert one.run(output=tmp_path).square.values.tolist() == [1.0, 4.0]
    with pytest.raises(MissingExtraError):
        one.run(output=tmp_path, fresh=True)
    assert one.load(output=tmp_path).status.values.tolist() == ["done", "done"]


def test_a_package_is_needed_for_some_values_only(tmp_path):
    one = study(no_such_package={"gain": 2.0})
    with pytest.raises(MissingExtraError):
        one.run(output=tmp_path / "all")
    some = one.run(output=tmp_path / "some", overrides={"gain": [1.0]})
    assert some.status.values.tolist() == ["done"]
    with pytest.raises(ConfigurationError, match="gian"):
        study(zarr={"gian": 2.0})
