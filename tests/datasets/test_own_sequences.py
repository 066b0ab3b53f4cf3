"""Own labelled sequences as Datasets: one answer a sequence or one a step, unequal lengths, masks,
groups; statistics, floors with a closed form, and what is refused with a way out."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import entr, expit
from scipy.stats import norm

import dynmem as dm
from dynmem.datasets import from_sequences
from dynmem.datasets.scaling import UNSCORED, answers
from dynmem.errors import NotFiniteError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 10, 3))
Y = RNG.integers(0, 2, 50)
STEPS = RNG.integers(0, 3, (50, 10))
LENGTHS = RNG.integers(3, 11, 50)
ROWS = [x[:length] for x, length in zip(X, LENGTHS, strict=True)]
INSIDE = np.arange(10) < LENGTHS[:, None]


def test_one_class_a_sequence_in_any_form():
    names = np.array(["no", "yes"])
    found = [
        from_sequences(X, Y),
        from_sequences(torch.tensor(X), torch.tensor(Y)),
        from_sequences(list(X), Y.tolist()),
        from_sequences(X, labels=names[Y]),
        from_sequences(X, labels=pd.Series(names[Y], dtype="category")),
        from_sequences(X, labels=Y.astype(bool)),
        from_sequences(X, labels=7.0 * Y),
    ]
    for data in found:
        np.testing.assert_array_equal(data.targets, Y)
        assert data.targets.dims == ("sequence",) and data.attrs["classes"] == 2
        np.testing.assert_array_equal(data.scored.values.argmax(1), 9)
        assert data.scored.values.sum() == 50
    assert [data.class_name.values.tolist() for data in found[3:]] == [
        ["no", "yes"],
        ["no", "yes"],
        ["False", "True"],
        ["0", "7"],
    ]


def test_values_of_the_last_step_and_of_each():
    for targets, dims in (
        (X.sum((1, 2)), ("sequence", "output")),
        (X.sum(1), ("sequence", "output")),
        (X.sum(2), ("sequence", "step", "output")),
        (X.cumsum(1), ("sequence", "step", "output")),
    ):
        data = from_sequences(X, targets, target_units="mV")
        assert data.targets.dims == dims and data.targets.attrs["units"] == "mV"
        np.testing.assert_array_equal(data.targets.values.squeeze(), targets)


def test_unequal_lengths_in_any_form():
    """A list of arrays, a padded array with its lengths or with a mask are the same data."""
    junk = np.where(INSIDE[..., None], X, 99.0)
    for targets, padded, ragged in (
        (Y, Y, Y),
        (STEPS, STEPS, [y[:n] for y, n in zip(STEPS, LENGTHS, strict=True)]),
        (X, junk, ROWS),
    ):
        found = [
            from_sequences(ROWS, ragged),
            from_sequences(junk, padded, lengths=LENGTHS),
            from_sequences(junk, padded, lengths=torch.tensor(LENGTHS)),
        ]
        if targets is Y:
            found.append(from_sequences(junk, padded, mask=INSIDE))
        for data in found[1:]:
            assert data.identical(found[0])
        u, y = answers(found[0])
        assert not u[~INSIDE].any()
        scored = y != UNSCORED if y.ndim == 2 else ~np.isnan(y[..., 0])
        np.testing.assert_array_equal(
            scored, np.arange(10) == LENGTHS[:, None] - 1 if targets is Y else INSIDE
        )


def test_ignore_index_and_mask_leave_steps_out():
    ignored = np.where(RNG.random((50, 10)) < 0.5, STEPS, -1)
    ignored[:, 0] = STEPS[:, 0]
    data = from_sequences(X, ignored, ignore_index=-1)
    np.testing.assert_array_equal(data.scored, ignored >= 0)
    np.testing.assert_array_equal(answers(data)[1], np.where(ignored >= 0, ignored, UNSCORED))
    same = from_sequences(X, STEPS, mask=ignored >= 0)
    assert same.identical(data)
    # a step that is not scored is still read: lengths and mask mean different things
    assert (data.length == 10).all() and data.inputs.values[0, 9].any()
    values = from_sequences(X, X.cumsum(1), mask=ignored >= 0)
    np.testing.assert_array_equal(~np.isnan(answers(values)[1][..., 0]), ignored >= 0)
    zero = from_sequences(X, np.where(ignored < 0, 0, ignored + 1), ignore_index=0)
    np.testing.assert_array_equal(zero.scored, data.scored)


def test_groups_come_into_one_part_and_parts_have_their_shares():
    subject = RNG.integers(0, 12, 50)
    data = from_sequences(X, Y, groups=[f"subject {i}" for i in subject])
    for one in np.unique(subject):
        assert len(set(data.split.values[subject == one].tolist())) == 1
    assert data.group.values[0] == f"subject {subject[0]}"
    marks = from_sequences(np.repeat(X, 20, 0), np.repeat(Y, 20)).split.values
    assert np.bincount(marks).tolist() == [700, 150, 150]
    other = from_sequences(X, Y, rng=1).split.values
    assert (other != from_sequences(X, Y).split.values).any()
    np.testing.assert_array_equal(other, from_sequences(X, Y, rng=1).split.values)


def test_statistics_are_those_of_the_training_part_within_the_sequences():
    data = from_sequences(ROWS, [row.sum(0) * 100.0 for row in ROWS])
    trained = np.flatnonzero(data.split.values == 0)
    steps = np.concatenate([ROWS[i] for i in trained])
    np.testing.assert_allclose(data.input_mean, steps.mean(0), rtol=1e-12)
    np.testing.assert_allclose(data.input_scale, steps.std(0), rtol=1e-12)
    targets = np.array([ROWS[i].sum(0) * 100.0 for i in trained])
    np.testing.assert_allclose(data.target_scale, targets.std(0), rtol=1e-12)
    u, y = answers(data)
    np.testing.assert_allclose(u[trained][INSIDE[trained]].std(0), 1.0, rtol=1e-12)
    back = dm.datasets.unscaled(data, y[np.arange(50), LENGTHS - 1])
    np.testing.assert_allclose(back, data.targets, rtol=1e-12)
    constant = np.concatenate((X, np.ones((50, 10, 1))), 2)  # a bias, say: left as it is
    assert from_sequences(constant, Y).input_scale.values[-1] == 1.0
    with pytest.raises(
        ValueError, match="'targets' has no mean and scale.*: those that have are inputs"
    ):
        dm.datasets.unscaled(from_sequences(X, Y), Y)


def test_the_floor_of_classes_of_which_the_last_input_tells():
    """y = 1 with probability expit(2 u): the entropy that is left, by integration over u."""
    u = np.random.default_rng(1).normal(size=(4000, 4, 1))
    y = (np.random.default_rng(2).random(4000) < expit(2 * u[:, -1, 0])).astype(int)
    grid = np.linspace(-8, 8, 4001)
    p = expit(2 * grid)
    left = np.trapezoid((entr(p) + entr(1 - p)) * norm.pdf(grid), grid)
    data = from_sequences(u, y)
    assert data.attrs["floor"] == pytest.approx(left, rel=0.05)
    first = from_sequences(u[:, ::-1], y)  # told at the first step alone
    assert first.attrs["floor"] == pytest.approx(np.log(2), rel=0.02)


def test_the_floor_of_symbols_steps_and_values():
    rng = np.random.default_rng(3)
    symbols = rng.integers(0, 4, (1000, 6))
    now = (symbols + (rng.random((1000, 6)) < 0.25)) % 4  # the symbol, or the one after it
    left = entr(0.25) + entr(0.75)
    assert from_sequences(symbols, now).attrs["floor"] == pytest.approx(left, rel=0.03)
    step = np.broadcast_to(rng.permutation(6), (1000, 6))  # the step tells all
    assert from_sequences(symbols, step).attrs["floor"] < 0.05
    u = rng.normal(size=(3000, 5, 2))
    last = u[:, -1, 0] ** 2 + u[:, 0, 1]  # variances 2 and 1: the present input tells the first
    assert from_sequences(u, last).attrs["floor"] == pytest.approx(1 / 3, rel=0.15)
    noise = from_sequences(u, rng.normal(size=(3000, 5)))
    assert noise.attrs["floor"] == pytest.approx(1.0, rel=0.05)


def test_windows_of_one_series_that_overlap_share_no_step_across_parts():
    series = np.cumsum(RNG.normal(size=600))
    for stride, steps in ((1, 20), (5, 20), (10, 20), (1, 4), (3, 7)):
        windows = np.lib.stride_tricks.sliding_window_view(series, steps)[::stride][..., None]
        order = RNG.permutation(len(windows))
        data = from_sequences(windows[order], windows[order][:, -1, 0])
        begin = stride * order
        seen = [
            {int(first) + k for first in begin[data.split.values == part] for k in range(steps)}
            for part in range(3)
        ]
        assert all(seen) and not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
        assert np.mean(data.split.values == 0) > 0.6
    grouped = from_sequences(windows, windows[:, -1, 0], groups=np.arange(len(windows)) // 40)
    assert (grouped.split >= 0).all()
    apart = series.reshape(30, 20)[..., None]
    assert (from_sequences(apart, apart[:, -1, 0]).split >= 0).all()


def test_windows_of_unequal_length_that_overlap_across_parts_are_refused():
    series = RNG.normal(size=600)
    windows = [series[5 * i : 5 * i + 15 + i % 3, None] for i in range(100)]
    with pytest.raises(ValueError, match="share steps.*dm.datasets.from_series"):
        from_sequences(windows, labels=np.arange(100) % 2)
    data = from_sequences(windows, labels=np.arange(100) % 2, groups=np.arange(100) // 20)
    assert len(set(data.split.values[:20].tolist())) == 1
    with pytest.raises(ShapeError, match="no three parts without a common step"):
        long = np.lib.stride_tricks.sliding_window_view(series, 590)[..., None]
        from_sequences(long, labels=np.arange(11) % 2)


def test_trials_that_repeat_a_cue_are_no_windows():
    cues = RNG.normal(size=(4, 8, 2))
    same = np.tile(cues, (12, 1, 1))
    assert from_sequences(same, np.tile([0, 1, 0, 1], 12)).sizes["sequence"] == 48
    pulses = np.zeros((60, 30, 1))
    for pulse, onset in zip(pulses, RNG.integers(0, 20, 60), strict=True):
        pulse[onset : onset + 8] = 1.0
    assert from_sequences(pulses, RNG.integers(0, 2, 60)).sizes["sequence"] == 60
    bits = RNG.integers(0, 2, (60, 30)).astype(float)
    assert from_sequences(bits, bits).sizes["sequence"] == 60


NAN = np.where(np.arange(10)[:, None] < 8, X, np.nan)
REFUSED = {
    "no answer": ((X,), {}, TypeError, "neither given: pass targets"),
    "two answers": ((X, Y), {"labels": Y}, TypeError, "both given"),
    "fewer answers": (
        (X, Y[:40]),
        {},
        ShapeError,
        r"targets have shape \(40,\), inputs \(50, 10\)",
    ),
    "other steps": ((X, STEPS[:, :7, None]), {}, ShapeError, r"\(50, 10, outputs\) for one a step"),
    "text": ((X, np.array(["a", "b"] * 25)), {}, TypeError, "names of classes as labels="),
    "float labels": ((X,), {"labels": X[:, 0, 0]}, TypeError, "pass values to predict as targets="),
    "labels a step": ((X,), {"labels": STEPS}, ShapeError, "a class for each step is targets="),
    "time first": (
        (X.swapaxes(0, 1),),
        {"labels": Y},
        ShapeError,
        r"time comes first in the inputs, pass numpy.swapaxes\(inputs, 0, 1\)",
    ),
    "None in labels": ((X,), {"labels": [None, "a"] * 25}, TypeError, "labels hold None"),
    "padding": ((X, STEPS - 1), {}, ValueError, "class -1 .*ignore_index=-1"),
    "padding of torch": ((X, STEPS - 100), {}, ValueError, "ignore_index=-100"),
    "padding of symbols": ((STEPS - 1, Y), {}, ValueError, "symbol -1.*lengths="),
    "NaN as padding": ((NAN, Y), {}, NotFiniteError, "lengths= or mask="),
    "NaN in targets": ((X, NAN), {}, NotFiniteError, "targets of sequence 0 hold NaN"),
    "no sequence": (([], []), {}, ShapeError, "inputs holds no sequence"),
    "two sequences": ((X[:2], Y[:2] * 0 + [0, 1]), {}, ShapeError, "cut them into windows"),
    "two groups": ((X, Y), {"groups": Y}, ValueError, "2 groups cannot be"),
    "fewer groups": ((X, Y), {"groups": Y[:9]}, ShapeError, "one for each of the 50"),
    "one class": ((X, Y * 0), {}, ValueError, "one class alone"),
    "huge": ((1e300 * X, Y), {}, ValueError, "inputs has values of the size"),
    "constant values": ((X, Y * 0.0), {}, ValueError, "targets of the training part are constant"),
    "constant inputs": ((X * 0, Y), {}, ValueError, "inputs of the training part are constant"),
    "an empty sequence": ((X, Y), {"lengths": LENGTHS * 0}, ShapeError, "sequence 0 has length 0"),
    "too long": ((X, Y), {"lengths": LENGTHS + 9}, ShapeError, "pass 1 to 10"),
    "float lengths": ((X, Y), {"lengths": LENGTHS / 2}, ShapeError, "50 whole numbers"),
    "other lengths": ((ROWS, Y), {"lengths": LENGTHS - 1}, ShapeError, "leave lengths out"),
    "an empty mask": ((X, Y), {"mask": INSIDE & False}, ShapeError, "sequence 0 has no step"),
    "a mask of weights": ((X, Y), {"mask": INSIDE * 0.5}, ShapeError, "True and False"),
    "widths": (
        ([X[0], X[1, :, :2], X[2]], Y[:3]),
        {},
        ShapeError,
        r"inputs\[1\] has shape \(10, 2\)",
    ),
    "a number": ((3.0, Y), {}, ShapeError, "inputs have shape"),
    "other steps of one": ((ROWS, [row[1:] for row in ROWS]), {}, ShapeError, "of sequence 0 have"),
    "objects": ((np.full((50, 10), None), Y), {}, TypeError, "must hold real numbers"),
    "all options": (
        (X, Y),
        {"dt": -1, "train": 2, "rng": "a"},
        ValueError,
        "dt = -1.*\ntrain = 2.*\nrng = 'a'",
    ),
    "a name": ((X,), {"labels": ["a\0b", "b"] * 25}, ValueError, "letters that print"),
}


@pytest.mark.parametrize(
    ("given", "options", "error", "match"), REFUSED.values(), ids=list(REFUSED)
)
def test_what_does_not_fit_is_refused_with_what_to_do(given, options, error, match):
    with pytest.raises(error, match=match):
        from_sequences(*given, **options)


def test_a_padded_file_comes_back_as_it_was(tmp_path):
    data = from_sequences(ROWS, labels=np.where(Y, "é", "no"), groups=np.arange(50) % 9, dt=0.1)
    with dm.datasets.open(dm.datasets.save(data, tmp_path / "own.nc")) as again:
        assert again.identical(data)
        np.testing.assert_array_equal(answers(again)[1], answers(data)[1])
    assert "train" in dm.datasets.summary(data) and data.step.attrs["units"] == "time unit"
