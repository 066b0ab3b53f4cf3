"""The picture of a race, and its table."""

import matplotlib
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot

import dynmem as dm


@pytest.fixture(scope="module")
def result():
    task = dm.tasks.Copy(symbols=2, length=1, scored="recalled")
    options = {"delays": [1, 2], "seeds": 1, "units": 4, "batch": 8, "budget": 20}
    return dm.race(["tanh", "lru", "tcn"], task, progress=False, **options)


def test_a_race_is_drawn(result):
    figure = dm.outcomes.picture(result)
    assert len(figure.axes) == 2
    assert all(axis.get_xlabel() and axis.get_title(loc="left") for axis in figure.axes)
    pyplot.close(figure)


def test_a_row_for_each_model(result):
    lines = dm.table(result, columns=["predicted_delay", "learnable_delay", "verdict"]).splitlines()
    assert len(lines) == 2 + 3 and lines[1].split() == ["(steps)", "(steps)"]
    assert [line.split()[0] for line in lines[2:]] == ["tanh", "lru", "tcn"]
