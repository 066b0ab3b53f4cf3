"""The command ``dynmem`` in processes of its own: modules, projects, workers."""

import json
import re
import signal
import subprocess
import sys

from tests.test_cli import DONE, MINE
from tests.tiny import FIGURE, ROOT, SOURCE, dynmem, environment, start, wait_for_points


def test_a_figure_of_a_study_that_failed_says_why(packages, tmp_path):
    folder = packages
    ran = dynmem(
        folder,
        "run",
        "tiny",
        "--quick",
        "--output",
        "nothing",
        "--workers",
        1,
        TINY_TROUBLE=f"raise:everywhere:9:{tmp_path}",
    )
    assert ran.returncode == 1 and "no luck with gain 0.5" in ran.stderr
    drawn = dynmem(folder, "figures", "tiny", "--results", "nothing", "--output", "pictures")
    assert (drawn.returncode, drawn.stdout) == (1, "")
    assert drawn.stderr == (
        "dynmem: figure tiny: every point of nothing/tiny.nc failed, the first "
        "with ValueError: no luck with gain 0.5\n"
    )


def test_a_study_runs_as_a_module_too(packages):
    folder = packages
    command = [
        sys.executable,
        "-m",
        "studies.tiny",
        "--quick",
        "--set",
        "gain=1,2",
        "--output",
        "module",
        "--workers",
        "2",
        "--json",
    ]
    ran = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told == {
        "study": "tiny",
        "store": "module/tiny.nc",
        "sizes": {"gain": 2, "seed": 1, "step": 2, "mode": 24},
        "failed": [],
    }


def test_failed_points_are_named_and_the_exit_code_is_1(packages, tmp_path):
    folder = packages
    ran = dynmem(
        folder,
        "run",
        "tiny",
        "--quick",
        "--output",
        "failed",
        "--workers",
        1,
        TINY_TROUBLE=f"raise:1.0,0:1:{tmp_path}",
    )
    assert ran.returncode == 1
    assert ran.stderr == "point 1 (gain=1.0, seed=0) failed: ValueError: no luck with gain 1.0\n"
    assert re.search(
        r"\nresults: failed/tiny.nc, without the 1 of \d points that failed\n$", ran.stdout
    )


def test_a_project_finds_its_studies_next_to_those_of_dynmem(packages):
    folder = packages
    listed = dynmem(folder, "list", "studies", "--json")
    names = [study["name"] for study in json.loads(listed.stdout)["studies"]]
    assert names == ["tiny", "vanishing"]
    figures = json.loads(dynmem(folder, "list", "figures", "--json").stdout)["figures"]
    assert [figure["name"] for figure in figures] == ["tiny", "vanishing"]


def test_a_name_of_two_studies_is_refused_and_the_path_is_accepted(packages):
    folder = packages
    for kind, source in (("studies", SOURCE), ("figures", FIGURE)):
        (folder / kind / "vanishing.py").write_text(source)
    try:
        listed = dynmem(folder, "list", "studies", "--json")
        names = [study["name"] for study in json.loads(listed.stdout)["studies"]]
        assert names == ["studies/vanishing.py", "tiny", "vanishing"]
        ran = dynmem(folder, "run", "vanishing", "--quick", "--output", "clash")
        assert ran.returncode == 2 and not (folder / "clash").exists()
        assert ran.stderr == (
            f"dynmem: vanishing is the name of two studies, {folder}/dynmem/studies/vanishing.py "
            f"of dynmem and {folder}/studies/vanishing.py: rename yours, or give its path, "
            "studies/vanishing.py\n"
        )
        ran = dynmem(
            folder, "run", "studies/vanishing.py", "--quick", "--output", "clash", "--workers", 1
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.endswith("results: clash/tiny.nc\n")
    finally:
        for kind in ("studies", "figures"):
            (folder / kind / "vanishing.py").unlink()


def test_a_file_of_ones_own_runs_in_workers_and_is_drawn(packages, tmp_path):
    folder = packages
    mine = tmp_path / "mine.py"
    (tmp_path / "helper_of_mine.py").write_text('NAME = "mine"\n')
    source = SOURCE.replace('"tiny"', "NAME").replace(
        "import os\n", "import os\nfrom helper_of_mine import NAME\n", 1
    )
    mine.write_text(source + FIGURE.replace('"""Norms over steps."""', ""))
    ran = dynmem(folder, "run", mine, "--quick", "--workers", 2, "--output", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out" / "mine.nc").exists()
    drawn = dynmem(
        folder, "figures", mine, "--results", tmp_path / "out", "--output", tmp_path / "out"
    )
    assert (drawn.returncode, drawn.stdout) == (0, f"{tmp_path}/out/mine.png\n"), drawn.stderr


def test_a_project_beside_a_clone_on_the_path(tmp_path):
    """The clone's package ``studies`` is found before the project's folder of that name."""
    folder = tmp_path / "project" / "studies"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(MINE.format(body=DONE))
    ran = subprocess.run(
        [sys.executable, "-m", "dynmem", "run", "mine", "--workers", "2"],
        cwd=tmp_path / "project",
        env=environment(ROOT),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("results: results/mine.nc\n")


def test_status_says_where_a_study_stands(packages):
    def status(name="state"):
        ran = dynmem(packages, "status", "--output", name, "--json")
        assert ran.returncode == 0, ran.stderr
        (row,) = json.loads(ran.stdout)
        return row

    assert dynmem(packages, "status", "--output", "state").stdout == "no study has run in state\n"
    process = start(packages, "run", "tiny", "--output", "state", "--workers", 1, TINY_PAUSE=0.4)
    wait_for_points(packages / "state" / "tiny.points", 2)
    row = status()
    assert (row["state"], row["process"], row["points"]) == ("running", process.pid, 12)
    assert row["done"] >= 2 and 0 < row["seconds_left"] < 60
    process.kill()
    process.communicate()
    row = status()
    assert row["state"] == "broken" and "ended without a word: run it again" in row["words"]
    process = start(packages, "run", "tiny", "--output", "state", "--workers", 1, TINY_PAUSE=0.4)
    wait_for_points(packages / "state" / "tiny.points", row["done"] + 1)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert status()["state"] == "stopped"
    assert dynmem(packages, "run", "tiny", "--output", "state", "--workers", 1).returncode == 0
    assert dynmem(packages, "status", "--output", "state").stdout == (
        "tiny  done     12 of 12 points\n"
    )
    assert dynmem(packages, "status", "nobody", "--output", "state").returncode == 1


def test_a_script_without_a_guard_runs_on_workers(packages):
    """Without `if __name__ == "__main__"` it would start itself again in each worker."""
    (packages / "unguarded.py").write_text(
        "import xarray\nfrom dynmem.study import Study\n"
        "def f(a): return xarray.Dataset({'x': 2 * a})\n"
        "raise SystemExit(Study('n', 'q', {'a': [1, 2]}, f).main(['--workers', '2']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "unguarded.py"],
        cwd=packages,
        env=environment(packages),
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "results: results/n.nc\n"), ran.stderr


def test_a_measure_of_a_notebook_goes_to_the_workers(packages):
    """There is no file that a worker could import: neither measure nor its helper."""
    code = (
        "from dynmem.study import Study; import xarray\n"
        "def double(a): return 2 * a\n"
        "def f(a): return xarray.Dataset({'x': double(a)})\n"
        "print(Study('n', 'q', {'a': [1, 2]}, f).run(output='cell', workers=2).x.values.tolist())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=packages,
        env=environment(packages),
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "[2, 4]\n", ran.stderr
