"""What a user may get wrong in a grid, an option or a name: said at once, in words, and nothing is
created."""

import pytest
import xarray as xr

from dynmem.study import ConfigurationError, NoSpaceError, Store, Study


def square(gain, seed=0):
    return xr.Dataset({"square": ((), gain**2 + seed)})


def demo(**more):
    return Study(
        "demo",
        "What is a square?",
        **{"grid": {"gain": [0.5, 2.0], "seed": [0, 1]}, "measure": square, **more},
    )


# ---- every error at once (S1) --------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides, words",
    [
        ({"delay": [1]}, "delay: no such parameter: choose one of gain, seed, steps"),
        ({"gian": [1.0]}, r"\(did you mean gain\?\)"),
        ({"gain": []}, "must be one value or more"),
        ({"gain": 1.0}, "must be one value or more"),
        ({"gain": "1.0"}, "must be one value or more"),
        ({"gain": ["a"]}, "gain = 'a': must be a number"),
        ({"gain": [True]}, "gain = True: must be a number"),
        ({"gain": [float("nan")]}, "gain = nan: must be a finite number"),
        ({"gain": [float("inf")]}, "gain = inf: must be a finite number"),
        ({"gain": [-1.0]}, "gain = -1.0: must be at least 0"),
        ({"gain": [1.0, 1]}, "gain = 1.0 is given twice"),
        ({"seed": [0.5]}, "seed = 0.5: must be a whole number"),
        ({"seed": [2**63]}, "must be a finite number"),
        ({"seed": [-1]}, "seed = -1: must be at least 0"),
        ({"steps": 0}, "steps = 0: must be at least 1"),
        ({"steps": 10_001}, "steps = 10001: must be at most 10000"),
        ({"steps": [5]}, r"steps = \[5\]: must be a whole number"),
        ({"steps": None}, "steps = None: must be a whole number"),
        ({"steps": 5.0}, "steps = 5.0: must be a whole number"),
    ],
)
def test_a_bad_override_is_refused_and_nothing_created(study, tmp_path, overrides, words):
    with pytest.raises(ConfigurationError, match=words):
        study.run(output=tmp_path / "new", overrides=overrides)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1" + 400 * "0", "0.1,-inf", "x"])
def test_a_setting_that_is_a_list_has_limits_too(tmp_path, text, capsys):
    study = Study(
        "listed",
        "q",
        {"gain": [1.0]},
        lambda gain, rates: xr.Dataset(),
        settings={"rates": [0.1, 0.2]},
        limits={"rates": (0, 1)},
    )
    assert study.main(["--set", f"rates={text}", "--output", str(tmp_path / "new")]) == 2
    assert "must be a" in capsys.readouterr().err and not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["seed", "gain", "steps"])
def test_a_number_of_hundreds_of_digits_is_refused(study, tmp_path, name, capsys):
    text = "9" * 400
    assert study.main(["--set", f"{name}={text}", "--output", str(tmp_path / "new")]) == 2
    err = capsys.readouterr().err
    assert "must be a finite number" in err and len(err) < 200
    with pytest.raises(ConfigurationError, match="finite"):
        study.plan(overrides={name: int(text) if name == "steps" else [int(text)]})


def test_every_error_is_said_at_once(study):
    with pytest.raises(ConfigurationError) as refused:
        study.plan(overrides={"gain": [-1.0, float("nan")], "steps": 0, "delay": 3})
    assert len(str(refused.value).splitlines()) == 4


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2"])
def test_a_bad_number_of_workers_is_refused(study, tmp_path, workers):
    with pytest.raises(ConfigurationError, match="must be at least 1"):
        study.run(output=tmp_path / "new", workers=workers)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "more, words",
    [
        ({"grid": {}}, "the grid has no axis"),
        ({"grid": {"gain": [1.0, "a"]}}, "must be all numbers or all strings"),
        ({"grid": {"gain": [True, False]}}, "must be all numbers or all strings"),
        ({"grid": {"gain": [1.0, 1.0]}}, "given twice"),
        ({"grid": {"depth": [1]}}, "measure does not take depth"),
        ({"grid": {"seed": [1]}}, "measure needs gain"),
        ({"quick": {"stepps": 1}}, "stepps: no such parameter"),
        ({"units": {"delay": "s"}}, "delay: no such parameter"),
        ({"settings": {"gain": 1.0}}, "gain is both an axis and a setting"),
        ({"settings": {"rate": object()}}, "a setting is a number"),
        ({"limits": {"gain": (1, None)}}, "gain = 0.5: must be at least 1"),
    ],
)
def test_a_study_that_cannot_run_is_refused_when_it_is_made(more, words):
    with pytest.raises(ConfigurationError, match=words):
        demo(**more)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "a/b",
        "../x",
        "/etc",
        "a\x00",
        "a\n",
        "a b",
        "ä",
        "*",
        "~",
        "$HOME",
        ".hidden",
        "x" * 101,
        None,
        3,
    ],
)
def test_a_name_cannot_leave_its_folder(tmp_path, name):
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("still here")
    for make in (
        lambda: Study(name, "q", {"gain": [1.0]}, square),
        lambda: Store(name, tmp_path / "folder"),
    ):
        with pytest.raises(ValueError, match="is not a name: letters, digits"):
            make()
    assert sentinel.read_text() == "still here" and not (tmp_path / "folder").exists()


def test_a_grid_that_cannot_fit_is_refused_before_it_starts(tmp_path):
    study = Study(
        "vast",
        "q",
        {"gain": range(100_000), "seed": range(100_000), "rate": range(10_000)},
        lambda gain, seed, rate: None,
    )
    with pytest.raises(
        NoSpaceError,
        match=r"needs about .* PB for 100,000,000,000,000 points, .* "
        r"are free",
    ):
        study.run(output=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_foreign_file_is_not_overwritten(study, tmp_path):
    (tmp_path / "tiny.nc").write_text("mine")
    with pytest.raises(OSError, match="has no checksum"):
        study.run(output=tmp_path)
    assert (tmp_path / "tiny.nc").read_text() == "mine"
