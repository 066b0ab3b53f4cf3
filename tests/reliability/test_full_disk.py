"""A disk that fills: file systems of their own (tmpfs), in name spaces of the kernel."""

import subprocess
import sys

import pytest

from tests.tiny import contents, dynmem, environment

# The disk is filled by somebody else once a number of points is there.
SCRIPT = """
mount -t tmpfs -o size=20m tiny {disk}
(while [ $(ls {disk}/tiny.points/*.point 2>/dev/null | wc -l) -lt {points} ]; do sleep 0.02; done
 cat /dev/zero >{disk}/filler) 2>/dev/null &
TINY_PAUSE=0.3 {run}; echo "exit $?"
wait; rm {disk}/filler
{run}; echo "exit $?"; cp -r {disk} {out}
"""


@pytest.fixture
def own_disks(tmp_path):
    """Skip where no file system can be mounted."""
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "tiny", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs a file system of its own (unshare)")


@pytest.mark.promise("R5")
@pytest.mark.parametrize("points", [1, 2, 5, 9, 11, 12])
def test_a_disk_fills_while_a_study_runs_and_nothing_is_damaged(
    own_disks, packages, tmp_path, points
):
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    command = ["run", "tiny", "--set", "steps=1000", "--set", "gain=0.5,0.9,1.0"]
    command += ["--workers", "1", "--output"]
    assert dynmem(packages, *command, tmp_path / "whole").returncode == 0
    run = f"{sys.executable} -m dynmem {' '.join(command)} {disk} 2>&1"
    script = SCRIPT.format(points=points, disk=disk, out=out, run=run)
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=packages,
        env=environment(packages),
        capture_output=True,
        text=True,
    )
    words = "dynmem: no space left; nothing was damaged; free space and run again\nexit 1\n"
    # behind the last point the Dataset may have been written before the disk was full
    assert words in ran.stdout or points == 12, ran.stdout + ran.stderr
    assert ran.stdout.endswith("exit 0\n"), ran.stdout
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.promise("S7")
def test_what_cannot_fit_is_said_after_the_first_point(own_disks, packages, tmp_path):
    script = f"mount -t tmpfs -o size=200k tiny {tmp_path} && {sys.executable} -m dynmem run tiny "
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{script} --set steps=1000 --output {tmp_path}"],
        cwd=packages,
        env=environment(packages),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("dynmem: needs about ") and "are free" in ran.stderr
