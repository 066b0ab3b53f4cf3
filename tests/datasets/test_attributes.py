"""Names and attributes that a file would change are refused."""

import pytest
import xarray as xr

import dynmem as dm

SUFFIXES = [".nc", ".zarr"]


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    if request.param == ".zarr":
        pytest.importorskip("zarr")
    return request.param


LOSSY = [
    (
        {"x": ("t", [1.0, 2.0], {"units": "days since 2000-01-01"})},
        {},
        "the attribute units of x defines how numbers are packed",
    ),
    ({"x": ("t", [1.0, 2.0], {"scale_factor": 2.0})}, {}, "the attribute scale_factor of x"),
    ({"x": ("t", [1.0, 2.0], {"_FillValue": 2.0})}, {}, "the attribute _FillValue of x"),
    ({"a/b": ("t", [1.0, 2.0])}, {}, "the name 'a/b'"),
    ({"x": 1.0}, {"when": object}, "the attribute when = .* of the dataset"),
    ({"x": 1.0}, {1: 2, "f": {1}}, "the attribute f"),
]


@pytest.mark.parametrize(("variables", "attrs", "message"), LOSSY, ids=[m[-20:] for *_, m in LOSSY])
def test_what_would_come_back_otherwise_is_not_written(tmp_path, suffix, variables, attrs, message):
    with pytest.raises(ValueError, match=message):
        dm.datasets.save(xr.Dataset(variables, attrs=attrs), tmp_path / f"x{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [True, None, {"a": 1}, [1.0], 10**30, "a\0b"])
def test_attributes_that_netcdf_does_not_have(tmp_path, value):
    with pytest.raises(ValueError, match="netCDF-4 holds text, numbers and lists"):
        dm.datasets.save(xr.Dataset(attrs={"seen": value}), tmp_path / "x.nc")
