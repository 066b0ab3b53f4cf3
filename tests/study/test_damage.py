"""Damage on the disk is never read as data, and a full disk damages nothing. Few cases
each: tests/reliability has many."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dynmem.errors import DamageError
from dynmem.study import NoSpaceError, Store, load, save
from dynmem.study.encoding import PointFile
from tests.tiny import contents

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
    (flip, ["*.point"], False, 1.0),
    (flip, ["light.nc"], True, 1.0),
    (flip, ["*.json", "*.sha256"], True, 0.0),
    (flip, ["*.json"], False, 1.0),
    (truncate, ["*.point"], False, 1.0),
    (truncate, ["light.nc", "light.nc.sha256"], True, 1.0),
    (delete, ["*.point"], False, 0.0),  # measured again
    (delete, ["*.nc", "*.json", "*.point", "*.sha256"], True, 0.0),
]


@pytest.mark.parametrize("how, kinds, finished, refused", DAMAGE)
def test_damage_is_never_read_as_data(light, tmp_path, how, kinds, finished, refused):
    assert damage(light, tmp_path, how, kinds, 3, finished) >= refused * 3


def point_file(folder: Path, index: int) -> Path:
    """File of a point of the study ``tiny``."""
    for path in sorted((folder / "tiny.points").glob("*.point")):
        parameters = PointFile.open(path).header["parameters"]
        if 4 * [0.5, 1.0, 2.0].index(parameters["gain"]) + parameters["seed"] == index:
            return path
    raise LookupError(index)


def test_a_damaged_configuration_is_said_and_repaired(study, tmp_path):
    study.run(output=tmp_path)
    (tmp_path / "tiny.nc").unlink()
    (tmp_path / "tiny.points/configuration.json").write_text("x")
    with pytest.raises(
        DamageError, match="its configuration does not match its checksum: run dynmem repair"
    ):
        study.run(output=tmp_path)
    assert Store("tiny", tmp_path).repair() == ["configuration.json"]
    assert (study.run(output=tmp_path).status == "done").all()


def test_a_point_in_the_place_of_another_is_noticed(study, tmp_path):
    study.run(output=tmp_path)
    (tmp_path / "tiny.nc").unlink()
    shutil.copy(point_file(tmp_path, 1), point_file(tmp_path, 2))
    with pytest.raises(DamageError, match="point 2 does not match"):
        study.run(output=tmp_path)


# ---- U9, U10: what stands there already ----------------------------------------------------------


def test_while_a_dataset_is_replaced_the_old_or_the_new_one_opens(tmp_path, monkeypatch):
    """A kill before each change of a file, as an exception that nothing catches."""
    old, new = xr.Dataset({"x": 1.0}), xr.Dataset({"x": 2.0})
    path = tmp_path / "x.nc"

    class Killed(BaseException):
        pass

    left = [0]
    for change in range(20):
        save(old, path)

        def counted(function):
            def call(*arguments, **more):
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return function(*arguments, **more)

            return call

        with pytest.MonkeyPatch.context() as patch:
            left[0] = change
            for name in ("replace", "fsync"):
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                save(new, path)
            except Killed:
                assert float(load(path).x) in (1.0, 2.0)
            else:
                break
    assert change > 4 and float(load(path).x) == 2.0


def test_links_are_not_followed(study, tmp_path):
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".tiny.lock").symlink_to(thesis)
    with pytest.raises(OSError, match="is a link: remove it"):
        study.run(output=out)
    (out / ".tiny.lock").unlink()
    for name in ("tiny.nc.part", "tiny.nc.sha256.part", ".tiny.nc.0123abcd.part"):
        (out / name).symlink_to(thesis)
    (out / "tiny.nc.old").write_text("mine too")
    study.run(output=out)
    assert thesis.read_text() == "mine" and (out / "tiny.nc.old").read_text() == "mine too"
    assert (out / "tiny.nc.part").is_symlink()


def test_a_linked_result_is_replaced_not_written_through(study, tmp_path):
    thesis = tmp_path / "thesis.tex"
    study.run(output=tmp_path)
    for name in ("tiny.nc", "tiny.nc.sha256"):
        (tmp_path / name).rename(tmp_path / f"kept-{name}")
    (tmp_path / "tiny.nc").symlink_to(tmp_path / "kept-tiny.nc")
    (tmp_path / "tiny.nc.sha256").symlink_to(tmp_path / "kept-tiny.nc.sha256")
    kept = (tmp_path / "kept-tiny.nc").read_bytes()
    study.run(output=tmp_path, overrides={"seed": [0, 1]})
    assert (tmp_path / "kept-tiny.nc").read_bytes() == kept and not thesis.exists()


def test_a_finished_study_opens_in_a_folder_that_cannot_be_written(study, tmp_path, monkeypatch):
    first = study.run(output=tmp_path)

    def refuse(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("dynmem.study.store.locked", refuse)
    xr.testing.assert_identical(study.run(output=tmp_path), first)
    with pytest.raises(OSError, match="Read-only"):
        study.run(output=tmp_path, overrides={"seed": [0]})


def test_a_file_system_without_locks_is_one_sentence(study, tmp_path, monkeypatch):
    import fcntl

    def refuse(descriptor, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="has no locks .*: two runs could not be kept apart"):
        study.run(output=tmp_path)


# ---- R5: disk full -------------------------------------------------------------------------------


def test_full_before_each_write_nothing_is_damaged(light, tmp_path, monkeypatch):
    light.run(output=tmp_path / "whole")
    whole, left = contents(tmp_path / "whole"), [0]

    def full(function):
        def call(*arguments):
            left[0] -= 1
            if left[0] == -1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, full(getattr(os, name)))
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
