"""Zarr folders that could run code or lead elsewhere are refused."""

import json
import sys

import pytest
import xarray as xr

import dynmem as dm
from dynmem.datasets import zarr_store
from dynmem.errors import DamageError
from dynmem.runtime import files


def reseal(folder):
    """Checksums of a folder as an attacker would write them."""
    files.sidecar(folder).write_bytes(zarr_store._lines(folder, folder.name))


def test_a_folder_that_could_run_code_is_refused(tmp_path):
    folder = tmp_path / "evil.zarr"
    (folder / "x").mkdir(parents=True)
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    array = {
        "zarr_format": 3,
        "node_type": "array",
        "codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}],
    }
    (folder / "zarr.json").write_text(json.dumps(group))
    (folder / "x" / "zarr.json").write_text(json.dumps(array))
    reseal(folder)
    with pytest.raises(DamageError, match=r"codec numcodecs\.pickle"):
        dm.datasets.open(folder)
    (folder / "x" / "zarr.json").unlink()
    (folder / "zarr.json").write_text(
        json.dumps(group | {"consolidated_metadata": {"metadata": {"x": array}}})
    )
    reseal(folder)
    with pytest.raises(DamageError, match="codec"):
        dm.datasets.open(folder)
    (folder / ".zarray").write_text("{}")
    reseal(folder)
    with pytest.raises(DamageError, match="Zarr 2"):
        dm.datasets.open(folder)


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path):
    pytest.importorskip("zarr")
    folder = dm.datasets.save(dm.datasets.load("henon", samples=100), tmp_path / "d.zarr")
    (folder / "x").rename(tmp_path / "x")  # no file below a linked folder is among the checksums
    (folder / "x").symlink_to(tmp_path / "x", target_is_directory=True)
    reseal(folder)
    with pytest.raises(DamageError, match="link to another place"):
        dm.datasets.open(folder)


def test_without_zarr_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"dynmem\[zarr\]"):
        dm.datasets.save(xr.Dataset({"x": 1.0}), tmp_path / "x.zarr")
