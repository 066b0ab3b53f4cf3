"""Digits: images pixel by pixel, their floor, and parts that share no image."""

import builtins
import math

import numpy as np
import pytest

from dynmem import tasks
from dynmem.tasks import digits as digits_module
from dynmem.tasks.parts import PARTS


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    digits_module.read.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "dynmem\[digits\]"'):
        tasks.Digits().arrays(1)


@pytest.fixture
def digits():
    pytest.importorskip("sklearn")
    return digits_module.read()


def test_digits_are_the_images_pixel_by_pixel(digits):
    images, labels = digits
    inputs, targets = tasks.Digits(delay=3).arrays(50, rng=0)
    assert inputs.shape == (50, 67, 1)
    assert not inputs[:, 64:].any()
    assert not targets[:, :-1].any()
    for row, target in zip(inputs[:, :64, 0], targets[:, -1], strict=True):
        # a solver: no two images are the same
        (found,) = np.flatnonzero((images == 16 * row).all(1))
        assert labels[found] == target
    assert images.shape == (1797, 64)


@pytest.mark.parametrize("delay", [0, 4])
def test_floor_of_digits_is_what_the_last_pixel_leaves_open(digits, delay):
    task = tasks.Digits(delay=delay)
    inputs, targets = task.arrays(40_000, rng=0)
    grey, digit = np.rint(16 * inputs[:, -1, 0]).astype(int), targets[:, -1]
    counts = np.zeros((17, 10))
    np.add.at(counts, (grey, digit), 1)
    joint = counts[counts > 0] / len(digit)
    grey_only = counts.sum(1)[counts.sum(1) > 0] / len(digit)
    assert task.floor == pytest.approx(
        (grey_only * np.log(grey_only)).sum() - (joint * np.log(joint)).sum(), abs=0.01
    )
    assert task.chance == pytest.approx(counts.max(1).sum() / len(digit), abs=0.01)
    if delay:
        assert task.floor == pytest.approx(math.log(10), abs=1e-3)


def test_parts_of_digits_share_no_image(digits):
    parts = [
        {row.tobytes() for row in tasks.Digits().arrays(20_000, rng=seed, part=part)[0]}
        for seed, part in enumerate(PARTS)
    ]
    assert sum(map(len, parts)) == 1797
    assert len(set.union(*parts)) == 1797
    assert [round(len(part) / 1797, 1) for part in parts] == [0.8, 0.1, 0.1]
    assert {"CC BY 4.0", "doi:10.24432/C50P49"} <= set(
        tasks.Digits.source.replace(",", ";").split("; ")
    )
