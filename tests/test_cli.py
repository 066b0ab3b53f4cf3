"""The command ``dynmem`` as a user types it."""

import json
import re
import resource
import subprocess
import sys

import pytest

import dynmem as dm
from dynmem import __version__, cli
from dynmem.cli import data, show
from dynmem.study import load, registry
from dynmem.study.command import guarded
from tests.tiny import (
    FIGURE,
    ROOT,
    SOURCE,
    dynmem,
    environment,
    write_installation,
    write_packages,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder where the tiny study has been run once."""
    folder = write_installation(tmp_path_factory.mktemp("done"))
    ran = dynmem(folder, "run", "tiny", "--quick", "--workers", 1)
    assert ran.returncode == 0, ran.stderr
    return folder, ran


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project with the study ``tiny`` as the current folder, in this process; dynmem without
    studies of its own."""
    monkeypatch.chdir(write_packages(tmp_path))
    monkeypatch.setattr(registry, "_own", lambda kind: [])
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    own = (*registry.KINDS, "mine")
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]


def said(capsys) -> str:
    return capsys.readouterr().err


# ---- the whole way -------------------------------------------------------------------------------


def test_run_prints_the_summary_and_where_the_results_are(done):
    folder, ran = done
    assert ran.stdout.splitlines() == [
        f"largest norm {load(folder / 'results/quick/tiny.nc').norm.max().item():.3f}",
        "results: results/quick/tiny.nc",
    ]
    assert ran.stderr == ""


def test_figures_draw_what_was_run(done):
    folder, _ = done
    drawn = dynmem(folder, "figures", "--results", "results/quick", "--output", "pictures")
    assert (drawn.returncode, drawn.stdout, drawn.stderr) == (0, "pictures/tiny.png\n", "")
    assert (folder / "pictures/tiny.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """The points that shall fail: ``failing("1.0,0")``."""
    return lambda where: monkeypatch.setenv("TINY_TROUBLE", f"raise:{where}:9:{tmp_path}")


def test_failed_points_are_named_and_the_exit_code_is_1(here, failing, capsys):
    failing("1.0,0")
    assert cli.main(["run", "tiny", "--quick", "--output", "failed", "--workers", "1"]) == 1
    out, err = capsys.readouterr()
    assert err == "point 1 (gain=1.0, seed=0) failed: ValueError: no luck with gain 1.0\n"
    assert re.search(r"\nresults: failed/tiny.nc, without the 1 of \d points that failed\n$", out)


def test_a_figure_of_a_study_that_failed_says_why(here, failing, capsys):
    failing("everywhere")
    assert cli.main(["run", "tiny", "--quick", "--output", "nothing", "--workers", "1"]) == 1
    assert "no luck with gain 0.5" in said(capsys)
    assert cli.main(["figures", "tiny", "--results", "nothing", "--output", "pictures"]) == 1
    assert capsys.readouterr() == (
        "",
        "dynmem: figure tiny: every point of nothing/tiny.nc failed, the first "
        "with ValueError: no luck with gain 0.5\n",
    )


def test_a_file_of_ones_own_runs_and_is_drawn(here, capsys):
    source = SOURCE.replace('"tiny"', '"mine"') + FIGURE.replace('"""Norms over steps."""', "")
    (here / "mine.py").write_text(source)
    assert cli.main(["run", "mine.py", "--quick", "--workers", "1", "--output", "out"]) == 0
    assert cli.main(["figures", "mine.py", "--results", "out", "--output", "out"]) == 0
    assert capsys.readouterr().out.endswith("results: out/mine.nc\nout/mine.png\n")


def test_help_and_version_are_quick():
    for option, words in (
        ("--help", "how long does a memory last"),
        ("--version", f"dynmem {__version__}"),
    ):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(
            [sys.executable, "-m", "dynmem", option], cwd=ROOT, capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ran.returncode == 0 and words in ran.stdout
        # processor time: the clock on the wall depends on what else the machine does
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_nothing_heavy_is_imported_for_help():
    heavy = {"numpy", "torch", "xarray", "scipy", "matplotlib", "sympy"}
    code = f"import sys, dynmem.cli; dynmem.cli.parser(); print(sorted({heavy} & set(sys.modules)))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
        ).stdout
        == "[]\n"
    )


# ---- list ----------------------------------------------------------------------------------------


def test_list_reads_the_questions_without_importing(here, capsys):
    (here / "studies" / "other.py").write_text(
        '"""Never imported?"""\nraise SystemExit("imported")\nSTUDY = 1\n'
    )
    (here / "studies" / "helper.py").write_text('"""No study."""\n')
    (here / "studies" / "_hidden.py").write_text("")
    assert cli.main(["list", "studies"]) == 0
    assert capsys.readouterr().out == (
        "other          Never imported?\ntiny           How does a small matrix act?\n"
    )


def test_list_as_json(here, capsys):
    assert cli.main(["list", "figures", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "figures": [{"name": "tiny", "about": "Norms over steps."}]
    }


def test_list_survives_a_study_with_a_syntax_error(here, capsys):
    (here / "studies" / "broken.py").write_text('"""Q?"""\ndef (')
    assert cli.main(["list", "studies"]) == 0
    assert "broken         (cannot be read: line 2)" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["systems", "models", "tasks", "datasets"])
def test_list_knows_what_dynmem_holds(kind, capsys):
    pytest.importorskip(f"dynmem.{kind}")
    assert cli.main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(len(line.split()) > 2 for line in lines)  # a name, and what it is


def test_data_writes_a_file_and_says_what_it_is(tmp_path, capsys):
    file = tmp_path / "henon.nc"
    assert (
        cli.main(
            ["data", "henon", "--output", str(file), "--set", "samples=50", "--set", "a=1.3,1.4"]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert (
        shown.startswith(f"{file}\norbit of Henon\n")
        and "checksum" in shown
        and "parameter 2" in shown
    )
    assert cli.main(["data", "henon", "--output", str(file), "--set", "samples=60"]) == 2
    assert (
        f"{file} exists: choose another name, or write over it with --replace"
        in capsys.readouterr().err
    )
    assert (
        cli.main(
            ["data", "henon", "--output", str(file), "--set", "samples=60", "--json", "--replace"]
        )
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["sizes"]["time"] == 60 and told["attributes"]["dataset"] == "henon"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["henan", "--output", "x.nc"], 2, "no dataset is called 'henan'"),
        (["henon", "--output", "x.csv"], 2, "ends in .csv: a dataset is written to .nc"),
        (["henon", "--output", "none/x.nc"], 1, "no such folder"),
        (["henon", "--output", "x.nc", "--set", "sample=5"], 2, "did you mean samples?"),
        (["henon", "--output", "x.nc", "--set", "samples"], 2, "write it as option=value"),
        (["henon", "--output", "x.nc", "--set", "samples=many"], 2, "samples = 'many'"),
        (["kepler", "--output", "x.nc", "--set", "dt=100"], 2, "skips the dynamics"),
        (
            ["henon", "--output", "x.nc", "--set", "noise=0.1,0.2"],
            2,
            "noise = [0.1, 0.2]: ",
        ),
        (["henon", "--output", "x.nc", "--set", "dt=soon"], 2, "dt = 'soon': "),
        (["hopfield_recall", "--output", "x.nc", "--set", f"trials={10**12}"], 2, "B of memory"),
        (
            ["wong_wang_delay", "--output", "x.nc", "--set", "delay=1e12"],
            2,
            "B are free: pass fewer, or shorter, ones",
        ),
        (
            ["text", "--output", "x.nc", "--set", "held_out=0.5"],
            2,
            "held_out = 0.5: pass names of documents",
        ),
        (["lorenz63", "--output", "x.nc", "--set", f"samples={10**13}"], 1, "GB are to be written"),
        (["n_body", "--output", "x.nc", "--set", "masses=1,2"], 2, "call dm.datasets.load"),
    ],
)
def test_data_refuses_in_words(here, capsys, arguments, code, words):
    before = sorted(here.iterdir())
    assert cli.main(["data", *arguments]) == code
    assert words in said(capsys)
    assert sorted(here.iterdir()) == before


def test_options_without_a_default_are_read_as_what_they_look_like():
    known = dm.datasets.options("text") | dm.datasets.options("lorenz63")
    given = data.dataset_options(["held_out=7", "dt=0.01", "transient=3"], known)
    assert given == {"held_out": 7, "dt": 0.01, "transient": 3}
    assert data.dataset_options(["held_out=lambda,print"], known) == {
        "held_out": ["lambda", "print"]
    }


def test_a_reader_that_leaves_is_no_error(done):
    folder, _ = done
    command = f"{sys.executable} -m dynmem list studies | true"
    ran = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    assert ran.stderr == ""


def test_bold_only_where_it_is_wanted(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert show.bold("x") == "\033[1mx\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert show.bold("x") == "x"


# ---- what a user may get wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["run", "tinny"], "no study is called 'tinny' (did you mean tiny?): choose one of tiny"),
        (["run", ".."], "'..' is not a name: letters, digits, . _ -"),
        (["run", "../tiny"], "'../tiny' is not a name: letters, digits, . _ -"),
        (["run", ""], "'' is not a name: letters, digits, . _ -"),
        (
            ["figures", "tinny"],
            "no figure is called 'tinny' (did you mean tiny?): choose one of tiny",
        ),
        (["figures", "tiny", ".."], "'..' is not a name: letters, digits, . _ -"),
        (["repair", "../tiny"], "'../tiny' is not a name: letters, digits, . _ -"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(here, capsys, arguments, words):
    assert cli.main(arguments) == 2
    assert said(capsys) == f"dynmem: {words}\n"
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["walk"],
        ["run"],
        ["run", "tiny", "--wrokers", "2"],
        ["run", "tiny", "--work", "2"],
        ["list", "dogs"],
    ],
)
def test_a_wrong_command_exits_with_2(here, capsys, arguments):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "usage" in said(capsys) and not (here / "results").exists()


@pytest.mark.parametrize(
    "assignments, words",
    [
        (["gain=0.5,abc"], ["gain = 'abc': must be a number"]),
        (["gain="], ["gain = '': must be a number"]),
        (["gain"], ["gain: write it as name=value or name=value,value"]),
        (["gain=nan"], ["gain = nan: must be a finite number"]),
        (["gain=1e999"], ["gain = inf: must be a finite number"]),
        (["gain=-0.1"], ["gain = -0.1: must be at least 0"]),
        (["gain=1,1.0"], ["gain = 1.0 is given twice"]),
        (
            ["gain=__import__('os').system('touch hacked')"],
            ["gain = \"__import__('os').system('touch hacked')\": must be a number"],
        ),
        (["gain=1_0"], ["gain = '1_0': must be a number"]),
        (["gain=1", "gain=2"], ["gain is set twice"]),
        (["seed=1.5"], ["seed = '1.5': must be a whole number"]),
        (["seed=" + "9" * 5000], [f"seed = '{'9' * 5000}': must be a whole number"]),
        (["seed=99999999999999999999"], ["seed = 99999999999999999999: must be a finite number"]),
        (["steps=0"], ["steps = 0: must be at least 1"]),
        (["steps=1,2"], ["steps = '1,2': must be a whole number"]),
        (["delay=3"], ["delay: no such parameter: choose one of gain, seed, steps"]),
        (
            ["sed=3"],
            ["sed: no such parameter: choose one of gain, seed, steps (did you mean seed?)"],
        ),
        (["=3"], [": no such parameter: choose one of gain, seed, steps"]),
        (
            ["gain=x", "steps=0", "delay=1"],
            [
                "gain = 'x': must be a number",
                "delay: no such parameter: choose one of gain, seed, steps",
                "steps = 0: must be at least 1",
            ],
        ),
    ],
)
def test_every_wrong_value_is_said_at_once(tmp_path, monkeypatch, capsys, assignments, words):
    from tests.tiny import import_study

    study = import_study(tmp_path / "code", monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert study.main([option for text in assignments for option in ("--set", text)]) == 2
    assert said(capsys).splitlines() == [f"dynmem: {line}" for line in words]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code"]


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5", "", "1e3", "99999", "²"])
def test_a_wrong_number_of_workers_is_said_with_the_rest(tmp_path, monkeypatch, capsys, workers):
    from tests.tiny import import_study

    study = import_study(tmp_path / "code", monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert study.main([f"--workers={workers}", "--set", "steps=0"]) == 2
    assert said(capsys).splitlines() == [
        f"dynmem: workers = {workers!r}: must be a whole number from 1 to 999",
        "dynmem: steps = 0: must be at least 1",
    ]
    assert not (tmp_path / "results").exists()


def test_values_are_read_as_the_kind_they_have(tmp_path, monkeypatch, capsys):
    from tests.tiny import import_study

    study = import_study(tmp_path / "code", monkeypatch)
    assert (
        study.main(
            [
                "--set",
                "gain=1e-1, 2",
                "--set",
                "seed=+3",
                "--set",
                "steps=2",
                "--output",
                str(tmp_path),
                "--workers",
                "1",
            ]
        )
        == 0
    )
    dataset = study.load(output=tmp_path)
    assert (
        dataset.gain.values.tolist() == [0.1, 2.0]
        and dataset.seed.values.tolist() == [3]
        and dataset.sizes["step"] == 2
    )


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path, monkeypatch, capsys):
    from tests.tiny import import_study

    study = import_study(tmp_path / "code", monkeypatch)
    (tmp_path / "file").write_text("")
    assert study.main(["--output", str(tmp_path / "file"), "--workers", "1"]) == 1
    assert said(capsys) == f"dynmem: File exists: {tmp_path / 'file'}\n"


def test_another_configuration_exits_with_2(tmp_path, monkeypatch, capsys):
    from tests.tiny import import_study

    study = import_study(tmp_path / "code", monkeypatch)
    options = ["--output", str(tmp_path), "--workers", "1", "--quick"]
    assert study.main(options) == 0
    assert study.main([*options, "--set", "steps=3"]) == 2
    assert said(capsys).startswith(
        "dynmem: steps was 2 in the store, 3 now: use another --output, --fresh"
    )
    assert study.main([*options, "--set", "steps=3", "--fresh"]) == 0


def test_a_figure_without_results_says_how_to_make_them(here, capsys):
    assert cli.main(["figures"]) == 1
    assert said(capsys) == (
        "dynmem: no study has run in results: dynmem run NAME, then dynmem figures\n"
    )
    assert cli.main(["figures", "tiny"]) == 1
    assert said(capsys) == "dynmem: figure tiny needs results/tiny.nc: dynmem run tiny\n"
    assert cli.main(["figures", "tiny", "--results", "results/quick"]) == 1
    assert said(capsys) == (
        "dynmem: figure tiny needs results/quick/tiny.nc: dynmem run tiny --quick\n"
    )
    (here / "results" / "quick").mkdir(parents=True)
    (here / "results" / "quick" / "tiny.nc").touch()
    assert cli.main(["figures", "tiny"]) == 1
    assert said(capsys).endswith(
        "dynmem run tiny, or draw its quick run with --results results/quick\n"
    )


def test_repair_of_nothing_says_so(here, capsys):
    assert cli.main(["repair", "tiny"]) == 1
    assert said(capsys) == "dynmem: there is no store of tiny in results\n"


def test_a_missing_package_is_named(here, capsys):
    def missing():
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    assert guarded(missing) == 1
    assert said(capsys) == (
        "dynmem: the package jax is needed and not installed: python -m pip install jax\n"
    )


def test_a_fault_of_the_program_keeps_its_traceback():
    def fault():
        raise ValueError("not ours")

    with pytest.raises(ValueError, match="not ours"):
        guarded(fault)


# ---- a project of one's own ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("none.py", None, "there is no file none.py"),
        ("plain.py", "x = 1", "holds no study: it must define STUDY = Study(...)"),
        ("random.py", "STUDY = 1", "cannot be imported: the name random is that of "),
        ("a.b.py", "STUDY = 1", "give the file a name without dots"),
        (
            "studies/other.py",
            "from studies.tiny import STUDY",
            "calls its study 'tiny': give both the same name",
        ),
    ],
)
def test_a_file_that_is_no_study_is_refused(here, capsys, name, source, words):
    if source is not None:
        (here / name).write_text(source)
    name = "other" if name == "studies/other.py" else name
    assert cli.main(["run", name]) == 2
    assert words in said(capsys)
    assert not (here / "results").exists()


# ---- show ----------------------------------------------------------------------------------------


def test_show_prints_what_a_study_asks_and_measures(here, capsys):
    assert cli.main(["show", "tiny"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "tiny (study)\nHow does a small matrix act?\n\ndescription   More words."
    )
    for words in (
        "gain = 0.5, 1, 2  (gain of the weights; from 0)",
        "steps = 5  (from 1 to 10,000)",
        "full = 12",
        "dynmem run tiny --quick",
    ):
        assert words in shown


def test_show_as_json(here, capsys):
    assert cli.main(["show", "studies/tiny.py", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["study"]
    assert facts["axes"]["seed"]["values"] == [0, 1, 2, 3]
    assert facts["quick"] == {"seed": [0], "steps": 2}
    assert facts["settings"]["steps"]["limits"] == [1, 10_000]


def test_show_prints_each_kind_that_has_the_name(capsys):
    assert cli.main(["show", "flip_flop", "--json"]) == 0
    assert {"task", "dataset"} <= set(json.loads(capsys.readouterr().out))
    assert cli.main(["show", "flip_flop"]) == 0
    shown = capsys.readouterr().out
    assert "flip_flop (task)\n" in shown and "flip_flop (dataset)\n" in shown


def test_show_suggests_names_of_every_kind(here, capsys):
    for name, meant in (("lorentz63", "lorenz63"), ("LSTM", "lstm"), ("tinny", "tiny")):
        assert cli.main(["show", name]) == 2
        assert said(capsys) == (
            f"dynmem: no system, model, task, dataset or study is called {name!r} "
            f"(did you mean {meant}?)\n"
        )
    assert cli.main(["show", "xyzzy"]) == 2
    assert "`dynmem list` shows every name" in said(capsys)


# ---- slips ---------------------------------------------------------------------------------------

MINE = """\"\"\"Does it?\"\"\"
from dynmem.labels import dataset
from dynmem.study import Study

def measure(gain, seed):
    {body}

STUDY = Study(
    name="mine", question="Does it?", grid={{"gain": [1.0, 2.0], "seed": [0]}}, measure=measure
)
"""
DONE = 'return dataset({"a": ((), gain, "1", "a")}, title="t", source="s")'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ndef measure(:\n", "mine.py, line 2: "),
        ("x = 1\n\ny = x / 0\nSTUDY = 1\n", "mine.py, line 3: ZeroDivisionError: division by"),
        ("import dynmem.nothing\nSTUDY = 1\n", "mine.py, line 1: ModuleNotFoundError: No module"),
        ("STUDY = 3\n", "STUDY must be a dm.Study(...), it is 3"),
        ("STUDY = 3\nraise SystemExit(0)\n", 'put that below if __name__ == "__main__":'),
    ],
)
def test_a_study_that_cannot_be_imported_is_one_sentence(here, capsys, text, words):
    (here / "mine.py").write_text(text)
    for command in ("run", "show"):
        assert cli.main([command, "mine.py"]) == 2
        message = said(capsys)
        assert words in message and message.count("\n") == 1 and "Traceback" not in message


@pytest.mark.parametrize("command", ["run", "show", "figures"])
def test_a_file_without_its_ending_is_told(here, capsys, command):
    (here / "mine.py").write_text(MINE.format(body=DONE))
    assert cli.main([command, "mine"]) == 2
    assert "a file is given by its path, mine.py" in said(capsys)


def test_a_run_in_which_every_point_failed_has_no_results(here, capsys):
    (here / "mine.py").write_text(MINE.format(body='raise ValueError("no")'))
    assert cli.main(["run", "mine.py", "--workers", "1"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "no results: every point failed" in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "tiny", "--quik"], "it takes no option --quik (did you mean --quick?)"),
        (["run", "tiny", "--worker=3"], "it takes no option --worker (did you mean --workers?)"),
        (["run", "tiny", "twice"], "it takes no further argument twice"),
        (["show", "tiny", "--jsn"], "(did you mean --json?)"),
        (["list", "studys"], "(did you mean studies?)"),
        (["lst"], "no command is called 'lst' (did you mean list?)"),
        (["--verson"], "(did you mean --version?)"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_one_meant(here, capsys, arguments, words):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2 and words in said(capsys)


def test_an_alias_is_shown_as_one(capsys):
    assert cli.main(["show", "planets"]) == 0
    shown = capsys.readouterr().out
    assert "solar_system (dataset)" in shown and "also called   planets" in shown
    assert cli.main(["show", "henon"]) == 0
    assert "also called" not in capsys.readouterr().out


SHORT = ["--delays", "1,2", "--seeds", "1", "--units", "4", "--batch", "8", "--budget", "10"]
BIT = ["--set", "symbols=2", "--set", "length=1", "--set", "scored=recalled"]


def test_compare_prints_a_row_for_each_model_and_draws_them(here, capsys):
    models = ["tanh", "lstm:forget_bias=2", "mine.py:make"]
    (here / "mine.py").write_text(
        "import dynmem as dm\n"
        "def make(task, rng):\n"
        "    return dm.models.get('gru', units=3, inputs=task.inputs, outputs=task.outputs)\n"
    )
    files = ["--figure", "race.png", "--file", "race.nc"]
    assert cli.main(["compare", *models, *SHORT, *BIT, *files]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[2:5]] == models
    assert (here / "race.png").stat().st_size > 1000
    assert dm.study.load(here / "race.nc").model.values.tolist() == models


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tanhh"], "no model is called 'tanhh' (did you mean tanh?)"),
        (["tanh:gian=2"], "gian"),
        (["tanh:gain"], "write an option of a model as NAME:OPTION=VALUE"),
        (["tanh", "tanh"], "two models have one label"),
        (["tanh", "--task", "copi"], "no task or dataset is called 'copi'"),
        (["tanh", "--set", "symbls=2"], "did you mean symbols"),
        (["tanh", "--delays", "4"], "pass two or more"),
        (["none.py:make"], "there is no file none.py"),
    ],
)
def test_compare_refuses_in_words(here, capsys, arguments, words):
    assert cli.main(["compare", *arguments, "--quick"]) == 2
    assert words in said(capsys)
