"""Datasets on disk: equal after reading, refused when damaged, larger than memory, never run."""

import hashlib
import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import xarray as xr

import dynmem as dm
from dynmem.datasets import description, orbit_blocks, splits, store
from dynmem.errors import DamageError
from dynmem.runtime import files

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
        "complex": (("t", "m"), rng.standard_normal((3, 2)) + 1j * rng.standard_normal((3, 2))),
        "complex64": ("t", np.ones(3, np.complex64)),
        "text": ("t", np.array(["a", "bb", "ü"])),
        "holes": ("t", [1.0, np.nan, -np.inf]),
        "small": ("t", np.array([-1, 0, 1], np.int8)),
        "large": ("t", np.array([0, 1, 2**64 - 1], np.uint64)),
        "flags": ("t", [True, False, True]),
        "half": ("t", np.ones(3, np.float32)),
        "number": ((), 0.1),
        "word": ((), "word"),
        "none": ("q", np.zeros(0)),
    }
    made = xr.Dataset(
        variables,
        {"t": [0.0, 0.1, 0.2], "m": ["x", "yy"]},
        {"a": 1, "f": 0.5, "list": [1.0, 2.0], "text": "é\n", "empty": ""},
    )
    made.complex.attrs = {"units": "1/s", "long_name": "λ"}
    return made


def test_round_trip_without_loss(tmp_path, suffix):
    made = everything()
    path = dm.datasets.save(made, tmp_path / f"all{suffix}")
    with dm.datasets.open(path) as again:
        assert again.identical(made)
        assert {k: v.dtype for k, v in again.variables.items()} == {
            k: v.dtype for k, v in made.variables.items()
        }
        assert description.fingerprint(again) == description.fingerprint(made)
        # bit for bit, the kinds of NaN too
        assert all(
            again[k].values.tobytes() == made[k].values.tobytes()
            for k in made.variables
            if made[k].dtype.kind in "fciub"
        )
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", f"all{suffix}.sha256"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


KINDS = [
    "i1",
    "i2",
    "i4",
    "i8",
    "u1",
    "u2",
    "u4",
    "u8",
    "f2",
    "f4",
    "f8",
    "c8",
    "c16",
    "?",
    "M8[ns]",
    "m8[ns]",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_number_comes_back(tmp_path, suffix, kind):
    numbers = (
        np.random.default_rng(0)
        .integers(0, 256, 3 * np.dtype(kind).itemsize, np.uint8)
        .view("?" if kind == "?" else "u1")
    )
    numbers = (numbers > 100).astype(bool) if kind == "?" else numbers.view(kind)
    if kind[0] == "M":
        # farther apart than 292 years nanoseconds overflow in xarray
        numbers = (numbers.view("i8") // 1000).view(kind)
    extremes = (
        np.array([np.iinfo(kind).min, np.iinfo(kind).max], kind) if kind[0] in "iu" else numbers[:2]
    )
    made = xr.Dataset({"x": ("t", np.concatenate([numbers, extremes]))}, attrs={"empty": ""})
    with dm.datasets.open(dm.datasets.save(made, tmp_path / f"x{suffix}")) as again:
        assert (
            again.identical(made)
            and again.x.dtype == made.x.dtype
            and again.x.values.tobytes() == made.x.values.tobytes()
        )


# two kinds of NaN, and -0.0
@pytest.mark.parametrize("bits", [0x7FF8DEAD00000001, 0xFFF8000000000000, 0x8000000000000000])
def test_an_array_of_one_kind_of_nothing_keeps_its_bits(tmp_path, suffix, bits):
    made = xr.Dataset({"x": ("t", np.full(4, bits, np.uint64).view(float))})
    with dm.datasets.open(dm.datasets.save(made, tmp_path / f"x{suffix}")) as again:
        assert again.x.values.tobytes() == made.x.values.tobytes()


def test_text_of_any_length_has_a_checksum(tmp_path, suffix):
    made = xr.Dataset({"x": ("t", np.array(["a", "bcd"], object))})
    with dm.datasets.open(dm.datasets.save(made, tmp_path / f"x{suffix}")) as again:
        assert again.identical(made) and description.fingerprint(again) == description.fingerprint(
            made
        )


@pytest.mark.parametrize("name", ["logistic", "henon"])  # one exponent, and two
def test_an_orbit_comes_back_with_its_attributes(tmp_path, suffix, name):
    made = dm.datasets.load(name, samples=100)
    with dm.datasets.open(dm.datasets.save(made, tmp_path / f"x{suffix}")) as again:
        assert again.identical(made)


def test_what_is_there_and_not_ours_is_kept(tmp_path, suffix):
    place = tmp_path / f"thesis{suffix}"
    place.mkdir()
    (place / "chapter").write_text("one")
    with pytest.raises(OSError, match="not replaced|is a folder"):
        dm.datasets.save(everything(), place)
    assert (place / "chapter").read_text() == "one" and [p.name for p in tmp_path.iterdir()] == [
        place.name
    ]


def test_a_file_opens_in_xarray_with_nothing_else(tmp_path, suffix):
    made = dm.datasets.load("henon", samples=300)
    # warnings are errors
    with xr.open_dataset(dm.datasets.save(made, tmp_path / f"x{suffix}")) as plain:
        assert plain.identical(made)


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
    foreign.with_name("foreign.nc.sha256").write_bytes(
        files.checksum_line("foreign.nc", hashlib.sha256(foreign.read_bytes()).hexdigest())
    )
    with pytest.raises(DamageError, match="no netCDF-4 file of ours"):
        dm.datasets.open(foreign)
    with pytest.raises(FileNotFoundError):
        dm.datasets.open(tmp_path / "none.nc")
    with pytest.raises(ValueError, match=r"\.nc \(netCDF-4\)"):
        dm.datasets.open(tmp_path / "data.pickle")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        dm.datasets.save(everything(), tmp_path / "deeper" / "x.nc")


def seal(path):
    """The checksum of a file as an attacker would write it."""
    files.sidecar(path).write_bytes(
        files.checksum_line(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    )
    return path


class Bomb:
    """What runs code when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_hostile_files_are_refused_or_are_words(tmp_path):
    import h5py

    bomb, secret = pickle.dumps(Bomb(tmp_path / "ran")), tmp_path / "secret"
    secret.write_bytes(b"password")
    (tmp_path / "pickle.nc").write_bytes(bomb)
    with h5py.File(tmp_path / "opaque.nc", "w") as file:
        file["x"], file.attrs["title"] = np.void(bomb), np.void(bomb)
    with h5py.File(tmp_path / "outside.nc", "w") as file:
        file.create_dataset("x", (8,), dtype="u1", external=[(str(secret), 0, 8)])
    with h5py.File(tmp_path / "link.nc", "w") as file:
        file["x"] = h5py.ExternalLink(str(tmp_path / "outside.nc"), "/x")
    with h5py.File(tmp_path / "plain.nc", "w") as file:
        file["x"] = np.arange(3.0)  # HDF5, but without the dims of netCDF
    for name in ("pickle", "outside", "link", "plain"):
        with pytest.raises(
            DamageError,
            match="no netCDF-4 file of ours: one from elsewhere opens by xarray.open_dataset",
        ):
            dm.datasets.open(seal(tmp_path / f"{name}.nc"))
    with dm.datasets.open(seal(tmp_path / "opaque.nc")) as data:
        dm.datasets.summary(data.load())
    assert not (tmp_path / "ran").exists()
    hostile = {
        "title": "\033[2Jgone",
        "parameters": "{bad",
        "options": "__import__('os').mkdir('ran')",
        "floor": "x",
        "floor_meaning": 3,
    }
    with dm.datasets.open(
        dm.datasets.save(xr.Dataset(attrs=hostile), tmp_path / "words.nc")
    ) as data:
        assert dm.datasets.summary(data).startswith("?[2Jgone\n")


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


def test_orbit_in_blocks_is_the_orbit(tmp_path, suffix, monkeypatch):
    options = {"samples": 12_000, "noise": 0.1}
    whole = dm.datasets.load("lorenz63", **options)
    monkeypatch.setattr(orbit_blocks, "SAMPLES_PER_BLOCK", 4000)
    monkeypatch.setattr(store, "MAX_BYTES_IN_MEMORY", 1000)
    with dm.datasets.open(
        dm.datasets.write("lorenz63", tmp_path / f"o{suffix}", **options)
    ) as again:
        assert again.identical(whole)


def blocks(count, rows):
    """Datasets of one long series, ``count`` blocks of ``rows`` samples of three numbers."""
    for number in range(count):
        time = np.arange(number * rows, (number + 1) * rows)
        yield xr.Dataset(
            {"x": (("time", "state"), time[:, None] + np.array([0.0, 0.1, 0.2]))},
            {"time": time * 1.0},
            {"title": "long"},
        )


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
        marks = np.zeros(data.sizes["time"], np.int8)
        marks[3_000_000:] = splits.PARTS["test"]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        test = (
            dm.datasets.part(data.assign_coords(split=("time", marks)), "test")
            .isel(time=slice(0, 10))
            .load()
        )
        assert float(test.x[0, 0]) == 3_000_000
        # the numbers of the part stay on disk
        assert tracemalloc.get_traced_memory()[1] - before < 20 * MB
    tracemalloc.stop()
    # a chunk of Zarr is a whole block of 4 MB, and is unpacked
    assert peak < (8 if suffix == ".nc" else 16) * MB, peak / MB


@pytest.mark.slow  # an orbit of a gigabyte is integrated, written and hashed: a minute or two
def test_an_orbit_of_a_gigabyte_in_half_of_it(tmp_path):
    code = """
import re, sys
import numpy as np
import dynmem as dm

def peak():  # of this process alone: ru_maxrss begins at that of the process that started it
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])

dm.datasets.open(dm.datasets.write("lorenz63", sys.argv[1] + ".small.nc", samples=50_000)).close()
# the interpreter, its libraries and compiled code
print(peak())
path = dm.datasets.write("lorenz63", sys.argv[1], samples=33_000_000)
with dm.datasets.open(path) as data:
    assert data.x.nbytes > 790e6
    print(dm.datasets.summary(data).count("parts"))
    test = data.x.isel(time=slice(32_000_000, 32_010_000)).load()
    assert np.isfinite(test).all() and 5 < float(test.std()) < 20
print(peak())
"""
    path = tmp_path / "orbit.nc"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert path.stat().st_size > 1e9
    before, after = int(done.stdout.split()[0]), int(done.stdout.split()[-1])
    assert after - before < 256 * 1024 and after < 1 << 20  # kB
