"""Each point alone: what a measure may do to its process, what it may return, and what becomes of a
point that differs from the others."""

import os
import random
import time
import warnings

import numpy as np
import pytest
import xarray as xr

from dynmem.study import Store, Study, failures
from dynmem.study.combine import Layout, Survey
from dynmem.study.encoding import PointFile
from dynmem.study.point import Task, isolated
from tests.tiny import contents, key_of


def run(folder, measure, values=(1.0, 2.0, 3.0), **more):
    return Study("points", "q", {"gain": list(values)}, measure).run(output=folder, **more)


# ---- U4: the state of the process ----------------------------------------------------------------


def draws(gain):
    return xr.Dataset({"python": random.random(), "numpy": np.random.rand(), "torch": torch_draw()})


def torch_draw():
    import torch

    return torch.nn.LSTM(2, 3).weight_hh_l0[0, 0].item()


def test_global_generators_are_seeded_by_the_point(tmp_path):
    forwards = run(tmp_path / "a", draws)
    backwards = run(tmp_path / "b", draws, (3.0, 2.0, 1.0)).sortby("gain")
    xr.testing.assert_equal(forwards.drop_vars("status"), backwards.drop_vars("status"))
    for name in ("python", "numpy", "torch"):
        assert len(set(forwards[name].values.tolist())) == 3


def rude(gain):
    os.chdir("/")
    os.environ["RUDE"] = "1"
    np.seterr(all="raise")
    warnings.simplefilter("ignore")
    random.seed(0)
    np.random.seed(0)
    return xr.Dataset({"x": gain})


def test_what_a_measure_changes_is_put_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("first", rude)  # imports what it needs
    np.random.seed(7)
    random.seed(7)
    before = np.geterr(), random.getstate(), np.random.get_state()[1].tolist(), warnings.filters[:]
    run("out", rude)
    after = np.geterr(), random.getstate(), np.random.get_state()[1].tolist(), warnings.filters[:]
    assert before == after
    assert os.getcwd() == str(tmp_path) and "RUDE" not in os.environ
    assert (tmp_path / "out" / "points.nc").exists()


def test_a_list_that_a_measure_changes_is_its_own(tmp_path):
    def measure(gain, rates):
        rates.append(gain)
        return xr.Dataset({"n": len(rates)})

    study = Study("points", "q", {"gain": [1.0, 2.0]}, measure, settings={"rates": [0.1]})
    assert study.run(output=tmp_path).n.values.tolist() == [2, 2]
    assert study.run(output=tmp_path).n.values.tolist() == [2, 2]


def test_isolation_costs_little():
    start = time.process_time()
    for _ in range(50):
        with isolated(3):
            pass
    assert (time.process_time() - start) / 50 < 0.003


# ---- U5: what a point may hold -------------------------------------------------------------------


@pytest.mark.parametrize(
    "attrs, words",
    [
        ({"scale_factor": 10}, "scale_factor"),
        ({"add_offset": 1.0}, "add_offset"),
        ({"_FillValue": 2}, "_FillValue"),
        ({"missing_value": 2}, "missing_value"),
        ({"_Unsigned": "true"}, "_Unsigned"),
        ({"dtype": "bool"}, "dtype"),
        ({"coordinates": "x"}, "coordinates"),
        ({"units": "days since 2000-01-01"}, "turn into dates"),
        ({"units": "seconds since 1970-01-01 00:00"}, "turn into dates"),
        ({"note": {"a": 1}}, "is a dict"),
        ({"note": None}, "is a NoneType"),
        ({"note": True}, "is a bool"),
        ({"note": 2**70}, "is a int"),
        ({"note": "a\0b"}, "is a str"),
        ({"note": "\ud800"}, "is a str"),
    ],
)
def test_what_a_reader_would_change_is_refused_at_the_point(tmp_path, attrs, words):
    def measure(gain):
        return xr.Dataset({"x": ("k", [0, 1, 2, 3], attrs if gain == 2.0 else {})})

    dataset = run(tmp_path, measure)
    (failure,) = failures(dataset)
    assert failure["point"] == 1 and words in failure["error"]
    assert dataset.x.sel(gain=3.0).values.tolist() == [0, 1, 2, 3]


VALUES = {
    "f4": np.array([1.5, np.nan, np.inf], "f4"),
    "i2": np.array([-3, 2, 1], "i2"),
    "u8": np.array([2**63 + 1, 0, 1], "u8"),
    "c16": np.array([1 + 2j, np.nan, 0]),
    "c8": np.array([1 + 2j, 0, 3j], "c8"),
    "bool": np.array([True, False, True]),
    "text": np.array(["", "ä", "line\nbreak"]),
    "big": np.array([1.0, 2.0, 3.0], ">f8"),
}
ATTRIBUTES = {
    "units": "m",
    "n": 3,
    "x": 0.1,
    "list": [1, 2],
    "text": ["a", "b"],
    "np": np.float32(2),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_and_attributes_survive(tmp_path, name):
    """In the file of the point, in the combined file, and for any reader of netCDF."""
    expected = VALUES[name]

    def measure(gain):
        attrs = {"source": "a test"}
        return xr.Dataset({"x": ("k", expected, ATTRIBUTES)}, {"k": ["a", "b", "c"]}, attrs)

    study = Study("points", "q", {"gain": [1.0]}, measure)
    dataset = study.run(output=tmp_path)
    point = Store("points", tmp_path).point(key_of(study, 0)).dataset()
    for found in (point.x, dataset.x.isel(gain=0)):
        assert found.dtype == expected.dtype.newbyteorder("=") or found.dtype.kind == "U"
        np.testing.assert_array_equal(found.values, expected)
        assert set(found.attrs) == set(ATTRIBUTES)
        assert all(np.array_equal(found.attrs[key], value) for key, value in ATTRIBUTES.items())
    with xr.open_dataset(tmp_path / "points.nc") as plain:
        if expected.dtype.kind == "c":
            np.testing.assert_array_equal(plain.x_real[0] + 1j * plain.x_imag[0], expected)
        else:
            np.testing.assert_array_equal(plain.x[0], expected)


def test_complex_numbers_are_two_real_variables_for_hdf5(tmp_path):
    import h5py

    run(tmp_path, lambda gain: xr.Dataset({"z": ("k", [gain * 1j, 2.0])}))
    with h5py.File(tmp_path / "points.nc") as file:
        kinds = {name: file[name].dtype.kind for name in ("z_real", "z_imag")}
    assert kinds == {"z_real": "f", "z_imag": "f"}


# ---- U6: one point among others ------------------------------------------------------------------


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [ValueError("a\0b\ud800"), Silent(), KeyError("\n")])
def test_an_error_of_any_text_costs_its_own_point(tmp_path, error):
    def measure(gain):
        if gain == 2.0:
            raise error
        return xr.Dataset({"x": gain})

    for _ in range(2):
        dataset = run(tmp_path, measure)
        (failure,) = failures(dataset)
        assert failure["point"] == 1 and type(error).__name__ in failure["error"]
        assert dataset.x.sel(gain=[1.0, 3.0]).values.tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    "odd, words",
    [
        (xr.Dataset({"x": ("k", ["a", "b"])}), "x has values of kind text"),
        (xr.Dataset({"x": ("j", [1.0, 2.0])}), "x has dims ('j',)"),
        (xr.Dataset({"x": ("k", [1.0, 2.0], {"units": "km"})}), "x has units km"),
        (xr.Dataset({"x": ("k", [1.0, 2.0, 3.0], {"units": "m"})}), "dim k has 3 entries"),
        (xr.Dataset({}, {"x": ("k", [1.0, 2.0], {"units": "m"})}), "x has coordinate True"),
    ],
)
@pytest.mark.parametrize("place", [1.0, 2.0, 3.0])
def test_a_point_that_does_not_fit_is_failed_and_the_rest_stands(tmp_path, odd, words, place):
    def measure(gain):
        usual = xr.Dataset({"x": ("k", [gain, 0.0], {"units": "m"})})
        return odd if gain == place else usual

    dataset = run(tmp_path, measure)
    assert failures(dataset)[0]["error"].startswith(f"does not fit: {words}")
    assert dataset.sizes["k"] == 2 and dataset.x.attrs == {"units": "m"}
    rest = dataset.x.drop_sel(gain=place)
    np.testing.assert_array_equal(rest.isel(k=0), rest.gain)
    assert dataset.x.sel(gain=place).isnull().all()


def test_variables_and_labels_that_some_points_lack_are_nan(tmp_path):
    def measure(gain):
        labels = {1.0: [3, 1], 2.0: [1, 2], 3.0: [2]}[gain]
        made = xr.Dataset({"n": ("k", np.array(labels) * 10)}, {"k": labels})
        return made.assign(extra=gain, word="yes") if gain == 2.0 else made

    dataset = run(tmp_path, measure)
    assert dataset.k.values.tolist() == [1, 2, 3]
    nan = np.nan
    expected = [[10, nan, 30], [10, 20, nan], [nan, 20, nan]]
    np.testing.assert_array_equal(dataset.n, expected)
    np.testing.assert_array_equal(dataset.extra, [nan, 2.0, nan])
    assert dataset.word.values.tolist() == ["", "yes", ""]


# ---- U8: larger than memory ----------------------------------------------------------------------


# ---- the file of a point -------------------------------------------------------------------------


def test_a_thousand_points_are_combined_in_a_second(tmp_path):
    """One point that is made again costs no more than reading the others."""
    study = Study("points", "q", {"gain": list(range(300))}, lambda gain: xr.Dataset({"x": gain}))
    study.run(output=tmp_path)
    whole = contents(tmp_path)
    Store("points", tmp_path).forget(key_of(study, 7))
    (tmp_path / "points.nc").unlink()
    start = time.process_time()
    study.run(output=tmp_path)
    assert (time.process_time() - start) / 300 < 0.002
    assert contents(tmp_path) == whole


def test_a_point_is_read_as_it_was_written(tmp_path):
    outcome = Task("t", lambda gain: xr.Dataset({"x": ("k", [gain, 2 * gain])}))({"gain": 1.5})
    (tmp_path / "a.point").write_bytes(outcome.data)
    point = PointFile.open(tmp_path / "a.point")
    assert point.dataset().x.values.tolist() == [1.5, 3.0]
    assert point.header["parameters"] == {"gain": 1.5}


def test_a_layout_needs_no_point():
    study = Study("points", "q", {"gain": [1.0, 2.0]}, lambda gain: None)
    layout = Layout(Survey(study.plan()), {0: "a", 1: "b"}, {})
    assert set(layout.specs) == {"gain", "status"}
