"""Parts of a dataset: in time with gaps, or anywhere."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

import dynmem as dm
from dynmem.datasets import splits
from dynmem.errors import UnknownNameError


def test_parts_follow_each_other_with_gaps():
    d = dm.datasets.load("lorenz63", samples=3000, gap=5.0)
    parts = [dm.datasets.part(d, name).time.values for name in ("train", "validation", "test")]
    for before, after in pairwise(parts):
        assert after[0] - before[-1] > 5.0 * d.attrs["lyapunov_time"]
    assert len(parts[0]) > 4 * len(parts[1]) and sum(map(len, parts)) == 3000 - 2 * round(
        5.0 / 0.02
    )
    with pytest.raises(UnknownNameError, match="validation"):
        dm.datasets.part(d, "tests")
    with pytest.raises(UnknownNameError, match="validation"):
        dm.datasets.part(d, ["test"])
    with pytest.raises(ValueError, match="no coordinate split"):
        dm.datasets.part(d.drop_vars("split"), "test")


def test_parts_need_not_follow_each_other(monkeypatch):
    marks = [0, 2, 2, -1, 0, 1, 2, 0]
    made = xr.Dataset({"x": ("time", np.arange(8))}, {"split": ("time", np.array(marks, np.int8))})
    for piece in (1, 3, 100):
        monkeypatch.setattr(splits, "SAMPLES_PER_PIECE", piece)
        for name, code in splits.PARTS.items():
            np.testing.assert_array_equal(
                dm.datasets.part(made, name).x, np.flatnonzero(np.array(marks) == code)
            )
            assert dm.datasets.part(made.isel(time=slice(0, 1)), name).sizes["time"] == (
                name == "train"
            )


def test_shares_that_leave_no_test_are_refused():
    assert splits.in_time(10, train=0.5, validation=0.2).tolist() == [0] * 5 + [1] * 2 + [2] * 3
    with pytest.raises(ValueError, match="a sum below 1"):
        splits.in_time(10, train=0.0)
