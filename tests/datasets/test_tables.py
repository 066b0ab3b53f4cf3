"""What a user brings as a series: arrays, pandas, xarray and files of any kind, and what is refused
with a way out."""

import os

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from dynmem.datasets import from_series
from dynmem.errors import DamageError, NotFiniteError, ShapeError, UnknownNameError

N = 240
X = np.random.default_rng(0).normal(size=N)
HOURS = pd.date_range("2020-03-01", periods=N, freq="h", name="time")
LINES = "\n".join(f"{i},{value!r}" for i, value in enumerate(X.tolist()))


def written(folder, text, name="own.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


SAME = {
    "list": X.tolist(),
    "column": X[:, None],
    "torch": torch.tensor(X, requires_grad=True),
    "Series": pd.Series(X),
    "DataFrame": pd.DataFrame({"v": X}),
    "nullable": pd.DataFrame({"v": pd.array(X, dtype="Float64")}),
    "DataArray": xr.DataArray(X, dims="time"),
    "Dataset": xr.Dataset({"v": ("time", X), "made": 3}),
}


@pytest.mark.parametrize("given", SAME.values(), ids=list(SAME))
def test_the_same_numbers_in_any_form(given):
    data = from_series(given)
    np.testing.assert_array_equal(data.x.values[:, 0], X)
    assert data.attrs["sampling_step"] == 1.0 and data.time.attrs["units"] == "step"


CLOCKS = {
    "hours": (HOURS, 1.0, "hour"),
    "hours across summer time": (HOURS.tz_localize("UTC").tz_convert("Europe/Rome"), 1.0, "hour"),
    "ten minutes": (pd.date_range("2020", periods=N, freq="10min"), 10.0, "minute"),
    "weeks": (pd.date_range("2020", periods=N, freq="W"), 7.0, "day"),
    "first days of months": (pd.date_range("2000", periods=N, freq="MS"), 1.0, "month"),
    "last days of months": (pd.date_range("2000", periods=N, freq="ME"), 1.0, "month"),
    "quarters": (pd.period_range("1900", periods=N, freq="Q"), 3.0, "month"),
    "durations": (pd.timedelta_range("0s", periods=N, freq="250ms"), 0.25, "time unit"),
    "25 Hz": (pd.date_range("2020", periods=N, freq="40ms"), 40.0, "ms"),
    "numbers": (pd.Index(0.1 * np.arange(N), name="t"), 0.1, "time unit"),
}


@pytest.mark.parametrize(("index", "step", "unit"), CLOCKS.values(), ids=list(CLOCKS))
def test_the_step_is_that_of_the_times(index, step, unit):
    data = from_series(pd.Series(X, index))
    assert data.attrs["sampling_step"] == pytest.approx(step, rel=1e-12)
    assert data.time.attrs["units"] == unit
    assert data.time.values[-1] == pytest.approx((N - 1) * step)


def test_columns_units_and_names():
    frame = pd.DataFrame({"date": HOURS, "wind": X, "load": X**2, "site": "A"})
    data = from_series(frame, columns=["load", "wind"], units={"wind": "m/s", "load": "MW"})
    assert data.state.values.tolist() == ["load", "wind"]
    assert (
        data.unit.values.tolist() == ["MW", "m/s"] and data.attrs["start"][:13] == "2020-03-01T00"
    )
    array = xr.DataArray(
        X, dims="time", coords={"time": ("time", np.arange(N) / 4, {"units": "s"})}
    )
    data = from_series(array.assign_attrs(units="mV").rename("voltage"))
    assert (data.x.attrs["units"], data.time.attrs["units"]) == ("mV", "s")
    assert data.state.values.tolist() == ["voltage"] and data.attrs["sampling_step"] == 0.25


def test_several_series_in_any_form():
    parts = [X[:80], X[80:160], X[160:]]
    frame = (
        pd.concat(
            [
                pd.DataFrame({"who": name, "t": np.arange(80.0), "v": part})
                for name, part in zip("cab", parts, strict=True)
            ]
        )
        .sample(frac=1.0, random_state=0)
        .sort_values("t")
    )  # rows of series in turn
    array = xr.DataArray(np.stack(parts), dims=("trial", "time"), coords={"trial": list("cab")})
    for given, options, order in (
        (parts, {}, [0, 1, 2]),
        (np.stack(parts)[..., None], {}, [0, 1, 2]),
        ([pd.Series(part) for part in parts], {}, [0, 1, 2]),
        (frame, {"group": "who"}, [1, 2, 0]),
        (array, {"group": "trial"}, [0, 1, 2]),
    ):
        data = from_series(given, **options)
        np.testing.assert_array_equal(
            data.x.values[:, 0], np.concatenate([parts[i] for i in order])
        )
        assert data.series_index.values.tolist() == np.repeat([0, 1, 2], 80).tolist()
    assert data.series.values.tolist() == ["c", "a", "b"]


CSV = {
    "comma": "t,v\n" + LINES,
    "semicolon": "t;v\n" + LINES.replace(",", ";"),
    "tab": "t\tv\n" + LINES.replace(",", "\t"),
    "spaces": "t  v\n" + LINES.replace(",", "   "),
    "windows": ("t,v\n" + LINES).replace("\n", "\r\n"),
    "byte order mark": b"\xef\xbb\xbf" + f"t,v\n{LINES}".encode(),
    "as pandas writes it": pd.DataFrame({"v": X}).to_csv(),
    "quoted": '"t","v"\n' + LINES,
}


@pytest.mark.parametrize("text", CSV.values(), ids=list(CSV))
def test_a_csv_file_reads_as_its_numbers(text, tmp_path):
    data = from_series(written(tmp_path, text))
    np.testing.assert_array_equal(data.x.values[:, 0], X)
    assert data.state.values.tolist() == ["v"] and data.attrs["title"] == "own.csv"


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("delimiter", [" ", ",", "\t", ";"])
def test_what_savetxt_writes_comes_back(columns, delimiter, tmp_path):
    values = np.random.default_rng(0).normal(size=(200, columns))
    np.savetxt(tmp_path / "own.txt", values, delimiter=delimiter, fmt="%.17g")
    np.testing.assert_array_equal(from_series(tmp_path / "own.txt").x, values)


def test_a_name_of_two_words_is_one_column(tmp_path):
    data = from_series(written(tmp_path, "wind speed\n" + "\n".join(map(str, X))))
    assert data.state.values.tolist() == ["wind speed"]


BAD_CSV = {
    "empty": ("", DamageError, "is empty"),
    "blank lines": ("\n\n\n", DamageError, "is empty"),
    "a header alone": ("t,v\n", ShapeError, "has 0 rows"),
    "a longer line": (f"t,v\n{LINES}\n5,6,7\n", DamageError, "line 242, saw 3"),
    "a longer first line": (f"t,v\n1,2,3\n{LINES}", DamageError, "lines of equal length"),
    "a shorter line": (f"t,v\n{LINES}\n240\n", NotFiniteError, "column 'v' at sample 240"),
    "an empty cell": (f"t,v\n{LINES}\n240,\n", NotFiniteError, "frame.interpolate"),
    "overflow": (f"t,v\n{LINES}\n240,1e999\n", NotFiniteError, "missing or infinite"),
    "400 digits": (f"t,v\n{LINES}\n240,{'9' * 400}\n", NotFiniteError, "missing or infinite"),
    "a formula": (f"t,v\n{LINES}\n240,=1+1\n", TypeError, "such as '=1\\+1' in row 240"),
    "a command": (f"t,v\n=cmd|' /C calc'!A0,1\n{LINES}", ValueError, "'t' is no time"),
    "code": (f"t,v\n0,__import__('os')\n{LINES}", TypeError, "__import__"),
    "NUL": (b"t,v\n0,\x002\n" + LINES.encode(), TypeError, "in row 0"),
    "an open quote": (f't,v\n0,"2\n{LINES}', DamageError, "EOF inside string"),
    "decimal commas": (
        "t;v\n" + LINES.replace(",", ";").replace(".", ","),
        TypeError,
        "decimal=','",
    ),
    "Latin-1": (f"t,v\xe9\n{LINES}".encode("latin-1"), DamageError, "UTF-8.*encoding=..."),
    "UTF-16": (f"t,v\n{LINES}".encode("utf-16"), DamageError, "no text in UTF-8"),
    "a name that turns the text": (f"t,\u202ev\n{LINES}", ValueError, "letters that print"),
    "a name of 300 letters": (f"t,{'v' * 300}\n{LINES}", ValueError, "letters that print"),
    "text": (f"t,v,city\n{LINES}".replace("\n0,", "\n0,1,Rome\n0,"), TypeError, "'Rome' in row 0"),
    "no header": (LINES, ValueError, "'0' counts up evenly.*time="),
    "an archive": (b"PK\x03\x04" + bytes(range(256)), DamageError, "no text in UTF-8"),
}


@pytest.mark.parametrize(("text", "error", "match"), BAD_CSV.values(), ids=list(BAD_CSV))
def test_a_csv_file_that_is_none_is_refused_with_what_to_do(text, error, match, tmp_path):
    with pytest.raises(error, match=match):
        from_series(written(tmp_path, text))


def test_what_is_no_plain_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    for place, error, match in (
        (tmp_path / "none.csv", FileNotFoundError, "there is no file"),
        ("http://localhost:9/own.csv", ValueError, "nothing is fetched"),
        (tmp_path / "own.parquet", ValueError, r"\.parquet: series are read from CSV"),
        (tmp_path / "own.csv.gz", ValueError, r"\.gz"),
        (tmp_path / "own.pkl", ValueError, r"\.pkl"),
    ):
        with pytest.raises(error, match=match):
            from_series(place)
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")  # reading it would wait for ever
    for name in ("folder.csv", "pipe.csv"):
        with pytest.raises(ValueError, match="no plain file"):
            from_series(tmp_path / name)
    path = written(tmp_path, f"t,v\n{LINES}")
    monkeypatch.setattr("dynmem.runtime.memory.free_memory", lambda: 10_000)
    monkeypatch.setattr("dynmem.runtime.memory.SMALL_BYTES", 0)
    with pytest.raises(MemoryError, match="pass a part of it"):
        from_series(path)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_a_netcdf_file_reads_as_its_numbers(engine, tmp_path):
    array = xr.DataArray(X, dims="time", coords={"time": HOURS}, name="v", attrs={"units": "K"})
    array.to_netcdf(tmp_path / "own.nc", engine=engine)
    data = from_series(tmp_path / "own.nc")
    np.testing.assert_array_equal(data.x.values[:, 0], X)
    assert (data.x.attrs["units"], data.time.attrs["units"]) == ("K", "hour")
    both = xr.Dataset({"a": ("time", X), "b": ("time", X**2), "z": ("level", [1.0, 2.0])})
    both.to_netcdf(tmp_path / "own.nc", engine=engine)
    with pytest.raises(ShapeError, match="different dims"):
        from_series(tmp_path / "own.nc")
    assert from_series(tmp_path / "own.nc", columns=["b", "a"]).state.values.tolist() == ["b", "a"]


def test_a_netcdf_file_that_reads_another_or_is_none_is_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(X.tobytes())
    paths = {name: tmp_path / f"{name}.nc" for name in ("external", "link", "virtual", "attrs")}
    with h5py.File(paths["external"], "w") as file:
        file.create_dataset("v", (N,), "f8", external=[(str(secret), 0, 8 * N)])
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["v"] = X
    with h5py.File(paths["link"], "w") as file:
        file["v"] = h5py.ExternalLink("other.h5", "/v")
    with h5py.File(paths["virtual"], "w") as file:
        layout = h5py.VirtualLayout((N,), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "v", (N,))
        file.create_virtual_dataset("v", layout)
    for name in ("external", "link", "virtual"):
        with pytest.raises(DamageError, match="is read from another file"):
            from_series(paths[name])
    with h5py.File(paths["attrs"], "w") as file:
        file["v"] = X
        file["v"].attrs["scale_factor"] = "__import__('os')"
    for content in (paths["attrs"].read_bytes(), b"hello" * 99, b"CDF\x01" + b"x" * 99, b""):
        with pytest.raises(DamageError, match="no netCDF file that can be read"):
            from_series(written(tmp_path, content, "own.nc"))


def test_a_file_that_unpacks_to_more_than_the_memory_is_refused(tmp_path):
    with h5py.File(tmp_path / "bomb.nc", "w") as file:
        time = file.create_dataset("time", (2**50,), "f4", chunks=(2**20,), compression="gzip")
        time.make_scale("time")
    assert (tmp_path / "bomb.nc").stat().st_size < 1e5
    with pytest.raises(MemoryError, match="pass a part of it"):
        from_series(tmp_path / "bomb.nc")


REFUSED = {
    "missing": (np.where(X > 2, np.nan, X), NotFiniteError, "numpy.interp"),
    "missing, pandas": (pd.Series(np.where(X > 2, np.nan, X)), NotFiniteError, "frame.interpolate"),
    "missing, xarray": (
        xr.DataArray(np.where(X > 2, np.nan, X), dims="when"),
        NotFiniteError,
        r"array.interpolate_na\('when'\)",
    ),
    "nullable": (pd.Series([1, None, 2] * 80, dtype="Int64"), NotFiniteError, "80 of 240"),
    "uneven": (
        pd.Series(X, HOURS.delete(7).append(HOURS[-1:] + HOURS.freq * 1)),
        ValueError,
        r"not evenly spaced: steps from 3600 to 7200 s; resample.*'3600s'",
    ),
    "a gap at the end": (
        pd.Series(X, [*HOURS[:-1], HOURS[-1] + pd.Timedelta("1h")]),
        ValueError,
        "evenly spaced",
    ),
    "trading days": (
        pd.Series(X, pd.bdate_range("2020", periods=N)),
        ValueError,
        "only their order counts",
    ),
    "repeated": (
        pd.Series(X, HOURS.repeat(2)[:N]),
        ValueError,
        "repeat at sample 1.*drop_duplicates",
    ),
    "reversed": (pd.Series(X, HOURS[::-1]), ValueError, "go back at sample 1.*sort_values"),
    "reversed, xarray": (
        xr.DataArray(X, dims="t", coords={"t": -np.arange(N)}),
        ValueError,
        r"array.sortby\(time\)",
    ),
    "no time": (pd.Series(X, [*HOURS[:-1], pd.NaT]), NotFiniteError, "drop those rows"),
    "constant": (
        pd.DataFrame({"a": X, "b": 1.0}),
        ValueError,
        "b: constant over the training part",
    ),
    "huge": (pd.DataFrame({"a": X, "b": 1e300 * X}), ValueError, "column 'b' .*another unit"),
    "tiny": (1e-200 * X, ValueError, "column 'x' .*another unit"),
    "text": (pd.DataFrame({"a": X, "b": "u"}), TypeError, "the column 'b' holds .* such as 'u'"),
    "categories": (
        pd.DataFrame({"b": pd.Categorical(["u", "v"] * 120)}),
        TypeError,
        "'u' in row 0",
    ),
    "levels": (
        pd.Series(X, pd.MultiIndex.from_product([range(2), range(120)])),
        ShapeError,
        "reset_index",
    ),
    "two names": (pd.DataFrame(np.stack([X, X], 1), columns=["a", "a"]), ValueError, "two columns"),
    "short": (X[:100], ShapeError, "leave 1[0-9] for the validation part.*at least 23"),
    "sideways": (np.stack([X, X**2]), ShapeError, r"time comes first, pass array.T"),
    "four axes": (X.reshape(2, 2, 2, 30), ShapeError, "list of such arrays"),
    "two dims": (
        xr.DataArray(X.reshape(60, 2, 2), dims=("t", "a", "b")),
        ShapeError,
        "array.stack",
    ),
    "a scalar": (3.0, ShapeError, "pass \\(time,\\)"),
    "nothing": ([], ShapeError, "is empty"),
    "None": (None, TypeError, "must hold real numbers"),
    "complex": (X + 1j, TypeError, "complex128"),
    "objects": (np.array([1, "a"] * 99, object), TypeError, "object"),
    "masked": (np.ma.masked_less(X, 0), TypeError, "filled"),
    "dict": ({"a": X}, TypeError, "pandas.DataFrame"),
    "other columns": ([X, np.stack([X, X], 1)], ShapeError, "all need the same"),
}


@pytest.mark.parametrize(("given", "error", "match"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_a_series_is_refused_with_what_to_do(given, error, match):
    with pytest.raises(error, match=match):
        from_series(given)


def test_the_ways_out_work():
    """What an error tells to do is done, and then the series is taken."""
    gappy = pd.DataFrame({"v": np.where(X > 2, np.nan, X)})
    assert from_series(gappy.interpolate(limit_direction="both")).sizes["time"] == N
    array = xr.DataArray(np.where(X > 2, np.nan, X), dims="time", coords={"time": np.arange(N)})
    assert from_series(array.interpolate_na("time")).sizes["time"] == N
    frame = pd.DataFrame({"time": HOURS.delete(7), "v": X[1:]})
    even = frame.set_index("time").resample("3600s").mean().interpolate()
    assert from_series(even).attrs["sampling_step"] == 1.0
    again = pd.DataFrame({"time": HOURS.repeat(2), "v": np.repeat(X, 2)})
    assert from_series(again.drop_duplicates("time")).sizes["time"] == N
    assert from_series(frame.drop(columns="time"), dt=1.0).sizes["time"] == N - 1


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"dt": 0.0}, ValueError, "dt = 0.0"),
        ({"dt": 7.0}, ValueError, "dt = 7, and the times in 't' are 0.5 apart"),
        ({"gap": -1, "split": "random"}, ValueError, "gap = -1.*\nsplit = 'random'"),
        ({"train": 0.9, "validation": 0.1}, ValueError, "must be shares"),
        ({"columns": "w"}, UnknownNameError, "no column is called 'w'"),
        ({"time": "w"}, UnknownNameError, "'w'"),
        ({"group": "w"}, UnknownNameError, "'w'"),
        ({"units": {"w": "K"}}, ValueError, "units names w, the columns are v"),
        ({"split": "series"}, ValueError, "1 series cannot be"),
        ({"unit": "s"}, TypeError, "did you mean units"),
    ],
)
def test_options_that_cannot_be(options, error, match):
    with pytest.raises(error, match=match):
        from_series(pd.DataFrame({"t": 0.5 * np.arange(N), "v": X}), **options)
    if "columns" in options:
        with pytest.raises(TypeError, match="has no names"):
            from_series(X, **options)
