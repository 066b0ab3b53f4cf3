"""Tables of Datasets."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import UnknownNameError
from dynmem.labels import dataset

MADE = dataset(
    {
        "rate": ("model", [0.5, -0.25], "1/step", "rate"),
        "rate_error": ("model", [0.01, np.nan], "1/step", "error"),
        "delay": ("model", [8.0, 16.0], "step", "delay"),
        "delay_lower": ("model", [4.0, 16.0], "step", "least"),
        "delay_upper": ("model", [9.5, np.inf], "step", "most"),
        "word": ("model", ["yes", "no"], "1", "word"),
        "single": ((), 3.0, "1", "single"),
    },
    {"model": ("model", ["a", "long name"], "1", "model")},
    title="made up",
    source="none",
)


def test_numbers_stand_with_their_errors_and_intervals():
    assert dm.table(MADE).splitlines() == [
        "model             rate         delay  word",
        "              (1/step)       (steps)",
        "a          0.5 +- 0.01    8 [4, 9.5]  yes",
        "long name        -0.25  16 [16, ...)  no",
    ]


def test_a_comparison_is_a_table():
    W = np.diag([0.9, 0.5])
    measured = dm.lyapunov_spectrum(dm.models.Linear(W), duration=50, transient=50)
    text = dm.table(dm.compare(dm.theory.linear_spectrum(W), measured, tolerance=1e-9))
    assert text.splitlines()[0].split()[0] == "exponent" and text.count("agree") == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rows": "modle"}, UnknownNameError, "model"),
        ({"columns": ["rat"]}, UnknownNameError, "rate"),
        ({"columns": ["single"]}, ValueError, "a column has model alone"),
    ],
)
def test_what_is_not_there(options, error, words):
    with pytest.raises(error, match=words):
        dm.table(MADE, **options)


def test_a_dataset_without_a_column():
    with pytest.raises(ValueError, match="no variable of the Dataset has one dim"):
        dm.table(MADE[["single"]])
