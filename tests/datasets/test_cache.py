"""The cache of datasets is verified, and holds only what its options determine."""

import os
import subprocess
import sys

import numpy as np
import pytest

import dynmem as dm
from dynmem.datasets import cache
from dynmem.runtime import files, jit


def spoil(path, how):
    """Damage a file, or the largest of a folder."""
    target = (
        max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
        if path.is_dir()
        else path
    )
    data = target.read_bytes()
    if how == "cut":
        target.write_bytes(data[: len(data) // 2])
    elif how == "bit":
        target.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif how == "more" and path.is_dir():
        (path / "extra").write_bytes(b"x")
    else:
        target.write_bytes(b"" if how == "empty" else data + b"x")


def test_cache_is_never_trusted(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = dm.datasets.load("henon", samples=100, cache=True)
    (kept,) = (tmp_path / "dynmem" / "datasets").glob("henon-*.nc")
    monkeypatch.setattr("dynmem.datasets.registry._made", None)  # from now on nothing can be made
    assert dm.datasets.load("henon", samples=100, cache=True).identical(made)
    with pytest.raises(TypeError):
        dm.datasets.load("henon", samples=101, cache=True)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spoil(kept, "bit")
    assert dm.datasets.load("henon", samples=100, cache=True).identical(made)
    files.verify(kept)  # made anew, whole again
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert dm.datasets.load("henon", samples=100, cache=True).identical(made)


def test_the_cache_keeps_nothing_that_its_options_do_not_decide(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def first(**options):
        return float(
            dm.datasets.load("henon", samples=100, cache=True, **options)
            .x.values[..., 0, 0]
            .flat[-1]
        )

    assert first(rng=np.random.default_rng(1)) != first(rng=np.random.default_rng(2))
    assert first(rng=None) != first(rng=None)
    assert not list(tmp_path.rglob("*.nc"))
    a = np.linspace(1.0, 1.3, 40)  # an array too long for the attributes
    keys = {cache._key("henon", {"a": given}) for given in (a, a.tolist(), a + 0.01 * (a == a[20]))}
    assert len(keys) == 2


def test_a_relative_cache_folder_is_ignored(tmp_path, monkeypatch):
    # XDG Base Directory Specification: "consider the path invalid and ignore it"
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("relative/folder", "", None):
        monkeypatch.delenv("XDG_CACHE_HOME") if given is None else monkeypatch.setenv(
            "XDG_CACHE_HOME", given
        )
        assert cache.cache_folder() == tmp_path / ".cache" / "dynmem" / "datasets"
        assert jit.cache_folder() == tmp_path / ".cache" / "dynmem" / "programs"


def test_who_has_no_home_has_no_cache(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(files, "cache_base", homeless)
    assert dm.datasets.load("henon", samples=100, cache=True).sizes["time"] == 100


@pytest.mark.slow  # two interpreters start: seven seconds
def test_processes_share_the_cache(tmp_path):
    code = """
import dynmem as dm
for _ in range(5):
    one, two = (dm.datasets.load("henon", samples=2000, cache=True) for _ in range(2))
    assert one.identical(two)
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
        )
        for _ in range(2)
    ]
    assert [process.wait(timeout=100) for process in running] == [0, 0]
