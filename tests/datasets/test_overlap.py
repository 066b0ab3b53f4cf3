"""Windows that share steps: found, and kept apart."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.datasets.overlap import apart, places
from dynmem.errors import ShapeError
from dynmem.training import Samples, fit

RNG = np.random.default_rng(0)


def windows(series, steps, every):
    found = np.lib.stride_tricks.sliding_window_view(series, steps, axis=0)[::every]
    return np.moveaxis(found, -1, 1)


def noise(count=1000):
    return RNG.standard_normal((count, 2))


def spikes(count, steps):
    return (RNG.random((count, steps, 1)) < 0.05).astype(float)


SHUFFLED = windows(noise(), 50, 10)
SHARING = {
    "every step": windows(noise(), 50, 1),
    "every tenth": windows(noise(), 50, 10),
    "one step in common": windows(noise(), 50, 49),
    "in any order": SHUFFLED[RNG.permutation(len(SHUFFLED))],
    "symbols": windows(RNG.integers(3, size=2000), 20, 5),
    "rare spikes": windows(spikes(3000, 1)[:, 0], 50, 10),
    "few windows": windows(noise(100), 50, 15),
}
APART = {
    "side by side": windows(noise(), 50, 50),
    "independent": RNG.standard_normal((300, 50, 1)),
    "symbols": RNG.integers(3, size=(200, 20)),
    "symbols side by side": windows(RNG.integers(26, size=2000), 20, 20),
    "rare spikes": spikes(300, 50),
    "one stimulus for all": np.broadcast_to(RNG.standard_normal((1, 50, 1)), (100, 50, 1)),
    "silence before and after": np.pad(
        RNG.standard_normal((300, 18, 1)), ((0, 0), (16, 16), (0, 0))
    ),
    "a copy": dm.tasks.get("copy").arrays(300)[0],
}


@pytest.mark.parametrize("name", SHARING)
def test_windows_that_share_steps_are_found(name):
    assert places(SHARING[name]) is not None


@pytest.mark.parametrize("name", APART)
def test_sequences_of_their_own_are_not_taken_for_windows(name):
    assert places(APART[name]) is None


def test_windows_get_their_place_back():
    series, place = places(SHARING["every tenth"])
    assert set(series) == {series[0]}
    np.testing.assert_array_equal(np.diff(place), 10)


@pytest.mark.parametrize("every", [1, 7, 30])
@pytest.mark.parametrize("count", [1, 40])
def test_no_part_shares_a_step_with_another(every, count):
    """Each sample of the series has a number of its own, which no two parts may hold."""
    series = [1000.0 * i + np.arange(600.0)[:, None] for i in range(count)]
    inputs = np.concatenate([windows(one, 40, every) for one in series])
    parts = Samples(inputs, inputs).split(0)
    held = [set(part.inputs_array.ravel()) for part in parts]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    kept = sum(len(part.targets) for part in parts)
    assert kept > (0.99 if count > 1 else 0.6) * len(inputs)
    assert min(len(part.targets) for part in parts) > 0.03 * len(inputs)


def test_windows_left_out_are_those_between_parts_alone():
    series, place = np.zeros(100, int), 10 * np.arange(100)
    training, validation, test = apart(series, place, 25, (0.8, 0.9), np.random.default_rng(0))
    assert training.tolist() == list(range(78)) and test.tolist() == list(range(90, 100))
    assert validation.tolist() == list(range(80, 88))


def test_windows_that_all_overlap_are_refused():
    with pytest.raises(ShapeError, match="windows that overlap.*SplitSamples"):
        Samples(*(2 * [windows(noise(110), 50, 20)])).split(0)


def test_overlapping_windows_of_noise_are_not_learned():
    """A network that knows them by heart knows nothing of others."""
    series = RNG.standard_normal((500, 1))
    cut = windows(series, 11, 1)
    model = dm.models.get("gru", units=16, inputs=1, outputs=1)
    _, history = fit(model, (cut[:, :-1], cut[:, 1:]), steps=100, learning_rate=3e-2, batch=32)
    assert history.learned == 0 and history.test_loss > 0.9 * history.floor
