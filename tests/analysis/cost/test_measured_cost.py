"""Measured cost: curves of known crossings, a clock that is held, and bad input."""

import numpy as np
import pytest
from torch import nn

import dynmem as dm
from dynmem.analysis import measured_cost
from dynmem.analysis.cost.measured_cost import CLOCKS, cost_curves, crossover
from dynmem.errors import NotFiniteError


def test_crossovers_of_known_curves():
    """c1 L against c2 L^2 cross at c1/c2; where one never wins, inf; where it always does, 0."""
    lengths = np.array([10.0, 30.0, 100.0, 300.0, 1000.0])
    line, square = 50 * lengths, lengths**2
    assert (
        crossover(lengths, square, line) == pytest.approx(50)
        and crossover(lengths, line, square) == np.inf
    )
    assert crossover(lengths, line, line / 2) == 0 and crossover(lengths, line / 2, line) == np.inf
    cut = np.where(lengths > 100, np.inf, square)
    assert crossover(lengths, cut, 300 * lengths) == 300  # not tried from there on
    rng = np.random.default_rng(0)
    noise = np.exp(0.05 * rng.standard_normal((9, 2, 5, 2)))
    found = cost_curves(
        np.stack([square, line])[None, :, :, None] * noise, lengths, ["attention", "rnn"]
    )
    assert found.crossover.sel(model="attention", versus="rnn") == pytest.approx(50, rel=0.1)
    assert found.crossover.sel(
        model="rnn", versus="attention"
    ) == np.inf and found.crossover.values.diagonal().tolist() == [np.inf, np.inf]
    assert 0.2 < found.crossover_error[0, 1] < 4 and found.crossover_agreement[0, 1] == 1
    np.testing.assert_allclose(found.slope, [2, 1], atol=0.05)
    assert (
        abs(found.slope - [2, 1]) < 5 * found.slope_error
    ).all() and 0.005 < found.training_seconds_error[0, 0] / 100 < 0.05


class Sleeping(nn.Module):
    """A pass of a known duration on a clock of its own."""

    input_size, now = 1, 0.0

    def __init__(self, seconds):
        super().__init__()
        self.layer, self.seconds = nn.Linear(1, 1), seconds

    def forward(self, u):
        Sleeping.now += self.seconds(u.shape[1])
        return self.layer(u)


def test_measured_cost(monkeypatch):
    """L seconds against L^2 / 100: the second costs more above 100 steps, and the
    limit stops it."""
    monkeypatch.setitem(CLOCKS, "wall", lambda: Sleeping.now)
    models = {"line": Sleeping(lambda L: 1.0 * L), "square": Sleeping(lambda L: 0.01 * L * L)}
    found = measured_cost(
        models, lengths=[25, 50, 200, 400, 800, 1600], rounds=3, batch=1, limit=1000
    )
    assert (
        found.measured.values.tolist() == [[True] * 6, [True] * 4 + [False] * 2]
        and found.training_seconds[1, 4] == np.inf
    )
    assert (
        found.crossover.sel(model="square", versus="line") == pytest.approx(100)
        and found.crossover_error.max() < 1e-9
    )
    np.testing.assert_allclose(found.slope, [1, 2], rtol=1e-9)
    np.testing.assert_allclose(found.forward_seconds[0], found.length, rtol=1e-9)


def test_models_of_each_kind_are_timed():
    cells = {
        "tanh": dm.models.get("tanh", units=4, inputs=2),
        "gru": dm.models.get("gru", units=4, inputs=2, layers=2, outputs=1, placement="pre"),
        "torch": nn.LSTM(2, 4, batch_first=True),
    }
    found = measured_cost(cells, lengths=[4, 8], rounds=2, clock="processor", dtype="float64")
    assert (
        (found.training_seconds > 0).all()
        and found.crossover.dims == ("model", "versus")
        and found.forward_seconds.attrs["units"] == "s"
    )


CELL = dm.models.get("tanh", units=3, inputs=1)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: measured_cost([CELL], lengths=[4, 8]), TypeError, "dict of models"),
        (
            lambda: measured_cost({}, lengths=[4, 8]),
            TypeError,
            "dict of models by name, at least one, got {}",
        ),
        (lambda: measured_cost({"a": CELL}, lengths=[4]), ValueError, "at least two"),
        (lambda: measured_cost({"a": CELL}, lengths=[4, 8], rounds=1), ValueError, "rounds = 1"),
        (
            lambda: measured_cost({"a": CELL}, lengths=[4, 8], clock="sun"),
            ValueError,
            "clock = 'sun': must be one of 'wall', 'processor'",
        ),
        (
            lambda: measured_cost({"a": CELL}, lengths=[4, 8], dtype="float16"),
            ValueError,
            "float16",
        ),
        (
            lambda: measured_cost({"a": dm.models.get("tanh", units=3)}, lengths=[4, 8]),
            ValueError,
            "a takes no inputs",
        ),
        (
            lambda: measured_cost({"a": nn.Linear(2, 3)}, lengths=[4, 8]),
            ValueError,
            "pass features=",
        ),
        (
            lambda: measured_cost(
                {"a": dm.models.Linear(1e9 * np.eye(1), np.ones((1, 1)))}, lengths=[4, 80]
            ),
            NotFiniteError,
            "outputs of a",
        ),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
