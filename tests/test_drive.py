"""The input of a run: four forms, read alike, and what is refused."""

import math

import numpy as np
import pytest
import xarray as xr

import dynmem as dm
from dynmem.drive import (
    STEPS_PER_CHUNK,
    constant_drive,
    default_transient,
    drive_name,
    read_drive,
)
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.theory.drive import drive_array

DRIVEN, FREE = dm.models.Tanh.random(3, 2, rng=0), dm.systems.get("henon")
ROWS = np.random.default_rng(1).standard_normal((20, 2))


def read(drive, system=DRIVEN, steps=10, **options):
    return read_drive(system, drive, steps, np.random.default_rng(0), **options)


@pytest.mark.parametrize(
    "drive",
    [
        None,
        0.5,
        np.array(0.5),
        ROWS[:10],
        ROWS[:10].tolist(),
        lambda rng, n: rng.standard_normal((n, 2)),
        lambda t: dm.stack((dm.sin(t), dm.cos(t))),
        lambda t: (math.sin(t), 1.0),
    ],
    ids=["none", "number", "0-d array", "array", "list", "random", "of the step", "of one step"],
)
def test_steps_blocks_and_the_whole_agree(drive):
    whole = read(drive).array()
    assert whole.shape == (10, 2)
    inputs = read(drive)
    np.testing.assert_array_equal([inputs(step) for step in range(10)], whole)
    block = np.broadcast_to(read(drive).block(3, 4), (4, 2))
    np.testing.assert_array_equal(block, whole[3:7])


def test_noise_does_not_depend_on_how_it_is_read():
    steps = 2 * STEPS_PER_CHUNK + 7
    whole = read(0.5, steps=steps).array()
    inputs, parts = read(0.5, steps=steps), []
    for start in range(0, steps, 500):
        parts.append(inputs.block(start, min(500, steps - start)))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(whole, 0.5 * np.random.default_rng(0).standard_normal((steps, 2)))


def test_an_array_has_a_row_for_each_step():
    np.testing.assert_array_equal(read(ROWS, steps=20).array(), ROWS)
    np.testing.assert_array_equal(read(ROWS, steps=20, lags=5).array(), ROWS)
    with pytest.raises(ShapeError, match=r"lags together: pass transient=14, or drive\[-10:\]$"):
        read(ROWS, lags=5)
    with pytest.raises(ShapeError, match=r"lags together: pass transient=14$"):
        read(ROWS, steps=30, lags=5)
    with pytest.raises(ShapeError, match=r"drive has shape \(20, 2\), the run needs \(30, 2\)"):
        read(ROWS, steps=30)
    with pytest.raises(ShapeError, match=r"needs \(10, 2\).*duration=20, or drive\[:10\]"):
        read(ROWS)
    with pytest.raises(ShapeError, match=r"lags up to 24 need at least \(25, 2\)"):
        read(ROWS, steps=30, lags=24)


def test_without_inputs_there_is_nothing_to_read():
    assert read(None, FREE).array() is None and read(None, FREE)(0) is None
    for drive in (0.5, ROWS, lambda rng, steps: ROWS[:steps], np.sin):
        with pytest.raises(ValueError, match="Henon takes no input: leave drive out"):
            read(drive, FREE)


@pytest.mark.parametrize(
    ("drive", "error", "message"),
    [
        (-0.5, ValueError, "drive = -0.5"),
        (np.nan, ValueError, "drive = nan"),
        ("noise", ValueError, "drive = 'noise': must be None, a number"),
        (True, ValueError, "drive = True: must be None, a number"),
        (1j * ROWS, TypeError, "drive is complex"),
        (np.ma.masked_array(ROWS), TypeError, "drive is a masked array"),
        ([[1.0], [1.0, 2.0]], ValueError, "drive = .*: must be None, a number"),
        (np.nan * ROWS, NotFiniteError, "drive holds NaN"),
        (ROWS[:, :1], ShapeError, "drive has 1 inputs, Tanh takes 2"),
        (xr.DataArray(ROWS.T, dims=("input", "time")), ShapeError, r"drive.transpose\('time'"),
        (xr.DataArray(ROWS, dims=("a", "b")), ShapeError, "expected .*'time', 'input'"),
        (lambda rng, steps: ROWS, ShapeError, "the drive returned shape"),
    ],
)
def test_what_is_no_input_is_refused(drive, error, message):
    with pytest.raises(error, match=message):
        read(drive).array()


def test_labelled_inputs():
    np.testing.assert_array_equal(
        read(xr.DataArray(ROWS, dims=("time", "input")), steps=20).array(), ROWS
    )


def test_an_input_that_is_held():
    assert constant_drive(FREE, None) is None
    assert constant_drive(DRIVEN, None).tolist() == [0.0, 0.0]
    assert constant_drive(DRIVEN, [1, 2]).tolist() == [1.0, 2.0]
    for drive in (0.5, ROWS, lambda rng, steps: ROWS):
        with pytest.raises(ShapeError, match=r"one input that is held, .*\(2,\)"):
            constant_drive(DRIVEN, drive)


def test_the_default_transient():
    assert default_transient(5000.0, 1.0) == 500.0
    assert default_transient(10.0, -0.01) == 1.0
    found = dm.lyapunov_spectrum(FREE, duration=50)
    assert '"transient": 100.0' in found.attrs["parameters"]


def test_what_a_dataset_records():
    assert drive_name(None) is None and drive_name(0.5) == 0.5
    assert drive_name(np.array(0.5)) == 0.5 and drive_name(ROWS) == "ndarray"


# ---- one meaning in every function ---------------------------------------------------------------

HELD = np.array([0.3, -0.2])
GRU = dm.models.get("gru", units=4, inputs=2, gain=1.5)
QUESTIONS = {
    "orbit": lambda d: dm.orbit(GRU, drive=d, duration=400).x,
    "lyapunov_spectrum": lambda d: dm.lyapunov_spectrum(GRU, drive=d, duration=300).lyapunov,
    "ensemble": lambda d: dm.lyapunov_spectrum([GRU, GRU], drive=d, duration=300).lyapunov,
    "covariant_vectors": lambda d: dm.covariant_vectors(GRU, drive=d, duration=200).lyapunov,
    "gradient_norms": lambda d: dm.gradient_norms(GRU, drive=d, lags=10).log_state_gradient,
    "receptive_field": lambda d: dm.analysis.receptive_field(GRU, drive=d, lags=20).mean_lag,
    "theory": lambda d: drive_array(GRU, d, 400),
}


@pytest.mark.filterwarnings("ignore::dynmem.errors.ShortRunWarning")
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_held_input_is_the_same_input_at_every_step(question):
    ask = QUESTIONS[question]
    np.testing.assert_allclose(ask(HELD), ask(np.tile(HELD, (400, 1))), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(ask(HELD), ask(HELD.tolist()))


@pytest.mark.parametrize("question", [*QUESTIONS, "fixed_points"])
@pytest.mark.parametrize(
    ("drive", "error", "words"),
    [
        (np.ones((400, 2), bool), TypeError, "truth values"),
        (np.array([True, False]), TypeError, "truth values"),
        (HELD * 1j, TypeError, "complex"),
        (np.ones(400), ShapeError, "drive has 400 inputs, GRU takes 2"),
        ("0.3", ValueError, "drive = '0.3': must be None, a number"),
    ],
)
def test_every_function_refuses_the_same_drives(question, drive, error, words):
    ask = QUESTIONS.get(question, lambda d: dm.fixed_points(GRU, drive=d))
    with pytest.raises(error, match=words):
        ask(drive)


def test_a_series_for_one_input_needs_its_axis():
    model = dm.models.get("tanh", units=3, inputs=1)
    with pytest.raises(ShapeError, match=r"shape \(500, 1\), as np.reshape\(drive, \(-1, 1\)\)"):
        dm.lyapunov_spectrum(model, drive=np.ones(500), duration=100)


def test_fixed_points_need_a_held_input():
    for drive in (0.1, lambda rng, steps: np.zeros((steps, 2)), np.zeros((5, 2))):
        with pytest.raises(ShapeError, match=r"one input that is held, an array of shape \(2,\)"):
            dm.fixed_points(GRU, drive=drive)
