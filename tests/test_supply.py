"""What dynmem stands on: one pin for each requirement, lower bounds that were tried, and an
environment without contradictions."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
# aeon is held below numba and pandas of the pins: it is installed without what it requires
UNPINNED = {"aeon"}


def pins(name):
    """Version of each pin of a file; one that stands there twice is an error."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
            assert match, line
            key = canonicalize_name(match[1])
            assert key not in found, f"{key} is pinned twice"
            found[key] = Version(match[2])
    return found


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-oldest.txt"])
def test_every_requirement_has_one_pin_within_its_range(file):
    known = pins(file)
    extras = [Requirement(line) for name in EXTRAS for line in EXTRAS[name]]
    wanted = CORE + (extras if file == "constraints.txt" else [])
    for one in wanted:
        if one.name not in UNPINNED:
            assert one.specifier.contains(known[canonicalize_name(one.name)]), one


def test_the_oldest_pins_are_the_lower_bounds():
    oldest = pins("constraints-oldest.txt")
    for one in CORE:
        (least,) = (part.version for part in one.specifier if part.operator == ">=")
        assert oldest[canonicalize_name(one.name)].release[:2] == Version(least).release[:2], one


def test_the_environment_has_no_contradictions():
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        capture_output=True,
        text=True,
    )
    if "No module named pip" in ran.stderr:
        pytest.skip("this environment has no pip")
    wrong = [line for line in ran.stdout.splitlines() if not line.startswith("aeon ")]
    assert ran.returncode == 0 or not wrong, ran.stdout + ran.stderr
