"""The drive of theory: every form, and what cannot be read."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.theory.drive import drive_array, drive_rms

CELL = dm.models.get("tanh", units=3, inputs=2)


def test_forms_of_a_drive():
    noise = np.random.default_rng(1).standard_normal((1000, 2))
    assert drive_rms(CELL, None) == 0.0 and drive_rms(CELL, np.float32(0.5)) == 0.5
    assert drive_rms(CELL, noise) == np.sqrt(np.mean(noise**2))
    assert drive_rms(CELL, lambda rng, steps: rng.standard_normal((steps, 2)), 1) == drive_rms(
        CELL, noise
    )
    np.testing.assert_array_equal(drive_array(CELL, 2.0, 1000, 1), 2.0 * noise)
    np.testing.assert_array_equal(drive_array(CELL, None, 4), np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("drive", "error", "text"),
    [
        (-1.0, ValueError, "drive = -1.0"),
        (np.nan, ValueError, "drive = nan"),
        ("a", ValueError, "drive = .a."),
        (1j, TypeError, "drive is complex"),
        (np.ones((3, 5)), ShapeError, "drive has 5 inputs, Tanh takes 2"),
        (np.full((3, 2), np.inf), NotFiniteError, "drive holds NaN or infinity"),
        (lambda rng, steps: np.ones((steps, 1)), ShapeError, "the drive returned shape"),
    ],
)
def test_what_cannot_be_read(drive, error, text):
    with pytest.raises(error, match=text):
        drive_rms(CELL, drive)
