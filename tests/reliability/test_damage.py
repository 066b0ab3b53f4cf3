"""Damage on the disk is never read as data: many flips, truncations and deletions."""

import pytest

from dynmem.study import Store
from tests.study.test_damage import DAMAGE, damage, point_file
from tests.tiny import contents, dynmem


@pytest.mark.promise("R4")
@pytest.mark.parametrize("how, kinds, finished, refused", DAMAGE)
def test_damage_is_never_read_as_data_often(light, tmp_path, how, kinds, finished, refused):
    assert damage(light, tmp_path, how, kinds, 60, finished) >= refused * 60


@pytest.mark.promise("R4")
def test_damage_names_the_point_and_repair_removes_only_it(packages):
    output = packages / "repaired"
    assert dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1).returncode == 0
    unbroken = contents(output)
    (output / "tiny.nc").unlink()
    path = point_file(output, 7)
    path.write_bytes(path.read_bytes()[:-1])
    ran = dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1)
    words = (
        "store tiny: point 7 does not match its checksum: run dynmem repair tiny --output repaired"
    )
    assert (ran.returncode, ran.stderr) == (
        1,
        f"resuming tiny: 12 of 12 points done\ndynmem: {words}\n",
    )
    mended = dynmem(packages, "repair", "tiny", "--output", "repaired")
    assert (mended.returncode, mended.stdout) == (
        0,
        f"store tiny: removed {path.name}; run it again to restore it\n",
    )
    again = dynmem(packages, "run", "tiny", "--output", "repaired", "--workers", 1)
    assert (again.returncode, again.stderr) == (0, "resuming tiny: 11 of 12 points done\n")
    assert contents(output) == unbroken
    assert Store("tiny", output).repair() == []
