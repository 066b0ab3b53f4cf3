"""What an installation holds: dynmem alone, with its studies and figures, and everything in an
archive of the source."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
REPOSITORY = "https://github.com/dynmem/dynmem"


def test_every_package_is_installed():
    found = [
        ".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("dynmem/**/__init__.py")
    ]
    assert sorted(SETUPTOOLS["packages"]) == sorted([*found, *SETUPTOOLS["package-dir"]])


def test_dynmem_finds_its_studies_in_a_checkout_and_from_anywhere(tmp_path):
    code = "import dynmem.studies.vanishing as v, dynmem.figures.vanishing; print(v.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == f"{ROOT}/studies/vanishing.py\n", ran.stderr


def build(folder, kind):
    """A wheel or sdist, built from a copy: setuptools writes into the folder that it builds."""
    source = folder / "source"
    ignored = shutil.ignore_patterns(".venv", "__pycache__", "results", "*.egg-info", "build")
    for name in ("dynmem", "studies", "figures", "tests", ".ci", "docs"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith(".git"):
            shutil.copy(path, source)
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(folder)!r}))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return folder / ran.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with what the wheel puts into site-packages, and nothing else."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build(folder, "wheel")) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow  # builds a wheel: half a minute
def test_a_wheel_holds_dynmem_alone_with_stubs_studies_and_figures(site):
    assert {path.name.partition("-")[0] for path in site.iterdir()} == {"dynmem"}
    for folder in ("dynmem", "studies", "figures"):
        there = site / "dynmem" / ("" if folder == "dynmem" else folder)
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".pyi") or path.name == "py.typed":
                assert (there / path.relative_to(ROOT / folder)).is_file(), path
    metadata = Parser().parsestr(next(site.glob("*.dist-info/METADATA")).read_text("utf-8"))
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert all(REPOSITORY in url for url in metadata.get_all("Project-URL"))


@pytest.mark.slow  # as a user of the wheel: a study, its figure, in fresh interpreters
def test_an_installed_dynmem_runs_and_draws_in_an_empty_folder(site, tmp_path):
    def dynmem(*arguments):
        ran = subprocess.run(
            [sys.executable, "-m", "dynmem", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert "vanishing" in dynmem("list", "studies")
    assert str(site / "dynmem" / "studies") in dynmem("show", "vanishing", "--json")
    small = ("--set", "units=30", "--set", "lags=10", "--set", "duration=50", "--output", "out")
    dynmem("run", "vanishing", "--quick", "--workers", "2", *small)
    dynmem("figures", "vanishing", "--results", "out", "--output", "out")
    assert (tmp_path / "out" / "vanishing.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.slow  # builds an archive
def test_an_archive_of_the_source_holds_tests_studies_figures_and_pins(tmp_path):
    pytest.importorskip("setuptools", minversion="77")
    import tarfile

    with tarfile.open(build(tmp_path, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"constraints.txt", "Makefile", "CHANGELOG.md", ".ci/run", "tests/tiny.py"} <= names
    for folder in ("dynmem", "studies", "figures", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            assert str(path.relative_to(ROOT)) in names
    assert "figures/gallery/vanishing.png" in names


def test_links_of_the_readme_work_on_a_package_index():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets and all(target.startswith("https://") for target in targets)
    raw = "https://raw.githubusercontent.com/dynmem/dynmem/main/"
    for target in targets:
        if target.startswith(raw):
            assert (ROOT / target.removeprefix(raw)).is_file()
        elif target.startswith(f"{REPOSITORY}/blob/main/"):
            assert (ROOT / target.removeprefix(f"{REPOSITORY}/blob/main/")).is_file()
