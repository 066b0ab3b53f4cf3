"""Damage on the disk is never read as data, and a full disk damages nothing. By default few cases;
`-m slow` for many."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dynmem.errors import DamageError
from dynmem.study import ChangedError, NoSpaceError, Store
from tests.tiny import contents, dynmem, environment, import_study, light_study, write_installation


@pytest.fixture
def study(tmp_path, monkeypatch):
    return import_study(tmp_path / "code", monkeypatch)


@pytest.fixture
def light():
    return light_study()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return write_installation(tmp_path_factory.mktemp("packages"))


# ---- R4: damage ----------------------------------------------------------------------------------


def flip(path: Path, rng) -> None:
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


def truncate(path: Path, rng) -> None:
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def delete(path: Path, rng) -> None:
    path.unlink()


def damage(study, tmp_path, how, kinds, times, finished):
    """Damage one file after another: each run refuses, or gives the right bytes; repair and a run
    always give them."""
    study.run(output=tmp_path / "whole")
    if not finished:
        for path in (tmp_path / "whole").glob("light.nc*"):
            path.unlink()
    rng, refused = np.random.default_rng(0), 0
    files = sorted(
        path.relative_to(tmp_path / "whole")
        for kind in kinds
        for path in (tmp_path / "whole").rglob(kind)
    )
    expected = None
    for number in range(times):
        output = tmp_path / f"damaged-{number}"
        shutil.copytree(tmp_path / "whole", output)
        how(output / files[number % len(files)], rng)
        try:
            study.run(output=output)
        except DamageError as error:
            refused += 1
            assert f"run dynmem repair light --output {output}" in str(error)
            assert Store("light", output).repair()
            study.run(output=output)
        found = study.load(output=output)
        expected = found if expected is None else expected
        xr.testing.assert_identical(found, expected)
        shutil.rmtree(output)
    xr.testing.assert_identical(expected, study.run(output=tmp_path / "right"))
    return refused


DAMAGE = [
    (flip, ["0*.nc"], False, 1.0),
    (flip, ["light.nc"], True, 1.0),
    (flip, ["*.json", "*.sha256"], True, 0.0),
    (flip, ["*.json"], False, 1.0),
    (truncate, ["0*.nc", "0*.json"], False, 1.0),
    (truncate, ["light.nc", "light.nc.sha256"], True, 1.0),
    (delete, ["0*.nc", "0*.json"], False, 0.5),
    (delete, ["*.nc", "*.json", "*.sha256"], True, 0.0),
]


@pytest.mark.parametrize("how, kinds, finished, refused", DAMAGE)
def test_damage_is_never_read_as_data(light, tmp_path, how, kinds, finished, refused):
    assert damage(light, tmp_path, how, kinds, 6, finished) >= refused * 6


@pytest.mark.slow
@pytest.mark.parametrize("how, kinds, finished, refused", DAMAGE)
def test_damage_is_never_read_as_data_often(light, tmp_path, how, kinds, finished, refused):
    assert damage(light, tmp_path, how, kinds, 60, finished) >= refused * 60


def test_damage_names_the_point_and_repair_removes_only_it(packages):
    output = packages / "repaired"
    assert dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1).returncode == 0
    unbroken = contents(output)
    (output / "tiny.nc").unlink()
    (output / "tiny.points/000007.nc").write_bytes(b"")
    ran = dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1)
    words = (
        "store tiny: point 7 does not match its checksum: run dynmem repair tiny --output repaired"
    )
    assert (ran.returncode, ran.stderr) == (1, f"dynmem: {words}\n")
    mended = dynmem(packages, "repair", "tiny", "--output", "repaired")
    assert (mended.returncode, mended.stdout) == (
        0,
        "store tiny: removed point 7; run it again to restore it\n",
    )
    again = dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1)
    assert (again.returncode, again.stderr) == (0, "resuming tiny: 11 of 12 points done\n")
    assert contents(output) == unbroken
    assert Store("tiny", output).repair() == []


def test_a_lost_configuration_does_not_let_points_mix(study, tmp_path):
    study.run(output=tmp_path)
    (tmp_path / "tiny.nc").unlink()
    (tmp_path / "tiny.points/configuration.json").write_text("x")
    with pytest.raises(
        DamageError, match="its configuration does not match its checksum: run dynmem repair"
    ):
        study.run(output=tmp_path)
    assert Store("tiny", tmp_path).repair() == ["configuration.json"]
    with pytest.raises(ChangedError, match="points of another configuration"):
        study.run(output=tmp_path, overrides={"steps": 6})
    assert (study.run(output=tmp_path).status == "done").all()


def test_a_point_in_the_place_of_another_is_noticed(study, tmp_path):
    study.run(output=tmp_path)
    (tmp_path / "tiny.nc").unlink()
    for kind in ("nc", "json"):
        shutil.copy(
            tmp_path / f"tiny.points/000001.{kind}", tmp_path / f"tiny.points/000002.{kind}"
        )
    with pytest.raises(DamageError, match="point 2 does not match"):
        study.run(output=tmp_path)


# ---- R5: disk full -------------------------------------------------------------------------------


def test_full_before_each_write_nothing_is_damaged(light, tmp_path, monkeypatch):
    light.run(output=tmp_path / "whole")
    whole, flush, left = contents(tmp_path / "whole"), os.fsync, [0]

    def full(descriptor):
        left[0] -= 1
        if left[0] == -1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    for write in range(100):
        left[0] = write
        try:
            light.run(output=tmp_path / str(write))
        except NoSpaceError as error:
            assert str(error) == "no space left; nothing was damaged; free space and run again"
            left[0] = 10**6
            light.run(output=tmp_path / str(write))
            assert contents(tmp_path / str(write)) == whole
        else:
            break
    assert write > 10


SCRIPT = """
mount -t tmpfs -o size={size}k tiny {disk} && {run}; echo "exit $?"
mount -o remount,size=20m {disk} && {run}; echo "exit $?"; cp -r {disk} {out}
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [200, 240, 280, 360, 420, 480])
def test_a_small_disk_fills_and_nothing_is_damaged(packages, tmp_path, size):
    if subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tiny", str(tmp_path)], capture_output=True
    ).returncode:
        pytest.skip("needs a file system of its own (unshare)")
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    command = [
        "run",
        "tiny",
        "--set",
        "steps=1000",
        "--set",
        "gain=0.5,0.9,1.0",
        "--workers",
        "1",
        "--output",
    ]
    assert dynmem(packages, *command, tmp_path / "whole").returncode == 0
    run = f"{sys.executable} -m dynmem {' '.join(command)} {disk} 2>&1"
    script = SCRIPT.format(size=size, disk=disk, out=out, run=run)
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=packages,
        env=environment(packages),
        capture_output=True,
        text=True,
    )
    assert (
        "dynmem: no space left; nothing was damaged; free space and run again\nexit 1\n"
        in ran.stdout
    ), ran.stdout + ran.stderr
    assert ran.stdout.endswith("exit 0\n"), ran.stdout
    assert contents(out) == contents(tmp_path / "whole")
