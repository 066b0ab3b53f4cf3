"""Datasets on disk: equal after reading, refused when damaged, larger than memory, and never a way to run code."""

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import xarray as xr

import dynmem as dm
from dynmem import files
from dynmem.datasets import description, folders, store
from dynmem.errors import DamageError

MB = 1 << 20
SUFFIXES = [".nc", ".zarr"]


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    if request.param == ".zarr":
        pytest.importorskip("zarr")
    return request.param


def everything():
    """A Dataset of every kind of number and text that the package makes."""
    rng = np.random.default_rng(0)
    variables = {
        "complex": (("t", "m"), rng.standard_normal((3, 2)) + 1j * rng.standard_normal((3, 2))), "complex64": ("t", np.ones(3, np.complex64)),
        "text": ("t", np.array(["a", "bb", "ü"])), "holes": ("t", [1.0, np.nan, -np.inf]), "small": ("t", np.array([-1, 0, 1], np.int8)),
        "large": ("t", np.array([0, 1, 2**64 - 1], np.uint64)), "flags": ("t", [True, False, True]), "half": ("t", np.ones(3, np.float32)),
        "number": ((), 0.1), "word": ((), "word"), "none": ("q", np.zeros(0)),
    }
    made = xr.Dataset(variables, {"t": [0.0, 0.1, 0.2], "m": ["x", "yy"]}, {"a": 1, "f": 0.5, "list": [1.0, 2.0], "text": "é\n", "empty": ""})
    made.complex.attrs = {"units": "1/s", "long_name": "λ"}
    return made


def test_round_trip_without_loss(tmp_path, suffix):
    made = everything()
    path = dm.datasets.save(made, tmp_path / f"all{suffix}")
    with dm.datasets.open(path) as again:
        assert again.identical(made)
        assert {k: v.dtype for k, v in again.variables.items()} == {k: v.dtype for k, v in made.variables.items()}
        assert description.fingerprint(again) == description.fingerprint(made)
        # bit for bit, the kinds of NaN too
        assert all(again[k].values.tobytes() == made[k].values.tobytes() for k in made.variables if made[k].dtype.kind in "fciub")
    done = subprocess.run(["sha256sum", "--check", "--quiet", f"all{suffix}.sha256"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_equal_datasets_and_files_have_one_checksum(tmp_path):
    made = dm.datasets.load("henon", samples=300)
    one, two = (dm.datasets.save(made, tmp_path / f"{name}.nc") for name in "ab")
    assert one.read_bytes() == two.read_bytes()
    assert description.fingerprint(made) != description.fingerprint(made.assign_attrs(seed=1))
    with xr.open_dataset(one, engine="h5netcdf") as plain:  # with nothing but the file
        assert plain.identical(made)


def spoil(path, how):
    """Damage a file, or the largest of a folder."""
    target = max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size) if path.is_dir() else path
    data = target.read_bytes()
    if how == "cut":
        target.write_bytes(data[: len(data) // 2])
    elif how == "bit":
        target.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif how == "more" and path.is_dir():
        (path / "extra").write_bytes(b"x")
    else:
        target.write_bytes(b"" if how == "empty" else data + b"x")


@pytest.mark.parametrize("how", ["cut", "bit", "more", "empty"])
def test_damage_is_found(tmp_path, suffix, how):
    path = dm.datasets.save(dm.datasets.load("henon", samples=300), tmp_path / f"d{suffix}")
    spoil(path, how)
    with pytest.raises(DamageError, match="make it again"):
        dm.datasets.open(path)


def test_files_that_are_not_ours(tmp_path):
    foreign = tmp_path / "foreign.nc"
    foreign.write_bytes(b"CDF\x01 not really")
    with pytest.raises(DamageError, match="no checksum"):
        dm.datasets.open(foreign)
    foreign.with_name("foreign.nc.sha256").write_bytes(files.checksum_line("foreign.nc", hashlib.sha256(foreign.read_bytes()).hexdigest()))
    with pytest.raises(DamageError, match="no netCDF-4 file"):
        dm.datasets.open(foreign)
    with pytest.raises(FileNotFoundError):
        dm.datasets.open(tmp_path / "none.nc")
    with pytest.raises(ValueError, match=r"\.nc \(netCDF-4\)"):
        dm.datasets.open(tmp_path / "data.pickle")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        dm.datasets.save(everything(), tmp_path / "deeper" / "x.nc")


def reseal(folder):
    """Checksums of a folder as an attacker would write them."""
    files.sidecar(folder).write_bytes(folders._lines(folder, folder.name))


def test_a_folder_that_could_run_code_is_refused(tmp_path):
    folder = tmp_path / "evil.zarr"
    (folder / "x").mkdir(parents=True)
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    array = {"zarr_format": 3, "node_type": "array", "codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}]}
    (folder / "zarr.json").write_text(json.dumps(group))
    (folder / "x" / "zarr.json").write_text(json.dumps(array))
    reseal(folder)
    with pytest.raises(DamageError, match=r"codec numcodecs\.pickle"):
        dm.datasets.open(folder)
    (folder / "x" / "zarr.json").unlink()
    (folder / "zarr.json").write_text(json.dumps(group | {"consolidated_metadata": {"metadata": {"x": array}}}))
    reseal(folder)
    with pytest.raises(DamageError, match="codec"):
        dm.datasets.open(folder)
    (folder / ".zarray").write_text("{}")
    reseal(folder)
    with pytest.raises(DamageError, match="Zarr 2"):
        dm.datasets.open(folder)


def test_a_kill_leaves_the_file_that_was_there(tmp_path, suffix, monkeypatch):
    path = dm.datasets.save(dm.datasets.load("henon", samples=100), tmp_path / f"d{suffix}")
    before = files.sidecar(path).read_bytes()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync" if suffix == ".nc" else "rename", full)
    with pytest.raises(files.NoSpaceError):
        dm.datasets.save(dm.datasets.load("henon", samples=200), path)
    monkeypatch.undo()
    assert not list(tmp_path.glob("*.part"))
    if files.sidecar(path).exists():
        assert files.sidecar(path).read_bytes() == before
        with dm.datasets.open(path) as again:
            assert again.sizes["time"] == 100


def test_without_zarr_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"dynmem\[zarr\]"):
        dm.datasets.save(everything(), tmp_path / "x.zarr")


def test_orbit_in_blocks_is_the_orbit(tmp_path, suffix, monkeypatch):
    from dynmem.datasets import orbits

    options = {"samples": 60_000, "noise": 0.1}
    whole = dm.datasets.load("lorenz63", **options)
    monkeypatch.setattr(orbits, "BLOCK", 20_000)
    monkeypatch.setattr(store, "LARGEST", 1000)
    with dm.datasets.open(dm.datasets.write("lorenz63", tmp_path / f"o{suffix}", **options)) as again:
        assert again.identical(whole)


# ---- the cache -------------------------------------------------------------------------------------------------------------------


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


# ---- larger than memory ----------------------------------------------------------------------------------------------------------


def blocks(count, rows):
    """Datasets of one long series, ``count`` blocks of ``rows`` samples of three numbers."""
    for number in range(count):
        time = np.arange(number * rows, (number + 1) * rows)
        yield xr.Dataset({"x": (("time", "state"), time[:, None] + np.array([0.0, 0.1, 0.2]))}, {"time": time * 1.0}, {"title": "long"})


def test_a_file_of_100_mb_is_sampled_in_8(tmp_path, suffix):
    path = store.save_blocks(blocks(20, 170_000), tmp_path / f"long{suffix}")
    size = sum(p.stat().st_size for p in path.rglob("*")) if path.is_dir() else path.stat().st_size
    assert suffix == ".zarr" or size > 100 * MB  # Zarr packs the numbers
    tracemalloc.start()
    with dm.datasets.open(path) as data:
        assert data.x.nbytes > 77 * MB
        for start in (0, 1_234_567, 3_399_000):
            window = data.x.isel(time=slice(start, start + 1000)).load()
            np.testing.assert_array_equal(window[:, 0], np.arange(start, start + 1000))
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (8 if suffix == ".nc" else 16) * MB, peak / MB  # a chunk of Zarr is a whole block of 4 MB, and is unpacked


@pytest.mark.slow  # an orbit of a gigabyte is integrated, written and hashed: a minute or two
def test_an_orbit_of_a_gigabyte_in_half_of_it(tmp_path):
    code = """
import resource, sys
import numpy as np
import dynmem as dm
dm.datasets.open(dm.datasets.write("lorenz63", sys.argv[1] + ".small.nc", samples=50_000)).close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # the interpreter, its libraries and its machine code
path = dm.datasets.write("lorenz63", sys.argv[1], samples=33_000_000)
with dm.datasets.open(path) as data:
    assert data.x.nbytes > 790e6
    print(dm.datasets.describe(data).count("parts"))
    test = data.x.isel(time=slice(32_000_000, 32_010_000)).load()
    assert np.isfinite(test).all() and 5 < float(test.std()) < 20
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    path = tmp_path / "orbit.nc"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert path.stat().st_size > 1e9
    before, after = int(done.stdout.split()[0]), int(done.stdout.split()[-1])
    assert after - before < 256 * 1024 and after < 1 << 20  # kB
