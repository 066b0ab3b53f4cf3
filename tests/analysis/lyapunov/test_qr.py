"""Orthonormal frames against numpy's QR, where the frame is random, graded, nearly dependent, huge,
faint, or broken."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dynmem.analysis.lyapunov.qr import HOUSEHOLDER_ROWS, Frame, random_frame
from dynmem.analysis.lyapunov.tangent_growth import GROWTH_RECORDS, Record
from dynmem.errors import NotFiniteError

SIZES = [
    (1, 1),
    (1, 30),
    (7, 20),
    (20, 20),
    (HOUSEHOLDER_ROWS, HOUSEHOLDER_ROWS),
    (HOUSEHOLDER_ROWS + 1, HOUSEHOLDER_ROWS + 1),
    (64, 100),
    (100, 100),
    (150, 400),
]


def truth(F):
    """ln|L_ii| and shares by numpy's Householder QR, rows scaled first."""
    scale = np.abs(F).max(axis=1)
    lower = np.linalg.qr((F / scale[:, None]).T)[1].T
    return np.log(np.abs(lower.diagonal())) + np.log(scale), np.abs(
        lower.diagonal()
    ) / np.linalg.norm(lower, axis=1)


def factor(F, blocks):
    engine = Frame(len(F))
    engine.blocks = blocks if len(F) > HOUSEHOLDER_ROWS else 1
    return engine.orthonormalise(F.copy())


def held(F, blocks, orthogonal=2e-8, within=1e-9):
    """The three promises: Q orthonormal and spanning what F spans row by row; growth and shares as
    Householder finds them, to rounding amplified by the inverse of the least share so far."""
    Q, logs, shares = factor(F, blocks)
    expected, new = truth(F)
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(F)), atol=orthogonal)
    allowed = within + 1e-12 / np.minimum.accumulate(new)
    assert (np.abs(logs - expected) < allowed).all() and (
        np.abs(shares - new) < allowed * new
    ).all()
    L = (F / np.abs(F).max(axis=1, keepdims=True)) @ Q.T
    # each row lies in the span of the first Q
    np.testing.assert_allclose(np.triu(L, 1), 0.0, atol=orthogonal)
    return logs


@pytest.mark.parametrize("blocks", [1, 2, 3])
@pytest.mark.parametrize(("k", "n"), SIZES)
def test_random_graded_and_ill_conditioned_frames(k, n, blocks):
    rng = np.random.default_rng(k + n)
    F = rng.standard_normal((k, n))
    held(F, blocks)
    held(F * np.logspace(0, -8, n), blocks)  # columns: ill-conditioned
    held(F * np.logspace(0, -150, k)[:, None], blocks)  # rows: growth from e^0 to e^-345
    if k > 2:
        held(
            np.linalg.cholesky(np.eye(k) * 1e-6 + np.ones((k, k))) @ random_frame(k, n, rng), blocks
        )


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("distance", [1e-3, 1e-7, 1e-10, 1e-12])
@pytest.mark.parametrize(("near", "far"), [(0, -1), (0, 1), (-2, -1), (10, 70)])
def test_nearly_dependent_rows_stay_orthogonal(near, far, distance, blocks):
    """Also where they lie within one block, or in two."""
    rng = np.random.default_rng(1)
    F = rng.standard_normal((128, 150))
    F[far] = F[near] + distance * rng.standard_normal(150)
    held(F, blocks)


@pytest.mark.parametrize("shared", [10, 500])
@pytest.mark.parametrize("seed", [4, 14, 23])
def test_rows_of_which_rounding_alone_is_new_stay_orthogonal_to_the_block_before(shared, seed):
    """Of the second block too few directions are new: what fills them is rounding, much of it along
    the first block."""
    rng, half = np.random.default_rng(seed), 64
    known, new = np.split(np.linalg.qr(rng.standard_normal((2 * half, 2 * half)))[0], 2)
    mixed = np.linalg.qr(rng.standard_normal((half, half)))[0]
    size = np.concatenate([np.ones(half // 2), np.geomspace(1, 1e-17, half // 2)])
    F = np.vstack(
        [
            known,
            mixed * size @ new + shared * rng.standard_normal((half, half)) @ known / np.sqrt(half),
        ]
    )
    Q, _, _ = factor(F, 2)
    np.testing.assert_allclose(Q @ Q.T, np.eye(2 * half), atol=1e-9)


@pytest.mark.parametrize(("k", "n"), SIZES)
@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-160, 1e-140, 1e140, 1e160, 1e300])
def test_growth_of_any_size(k, n, size):
    """Squares of such rows are zero, infinite, or a number with few digits."""
    F = np.random.default_rng(2).standard_normal((k, n))
    held(F * size, 1)
    half = F.copy()
    half[k // 2 :] *= size
    held(half, 2)


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize(("k", "n"), [(20, 20), (100, 130)])
def test_rows_that_are_lost(k, n, blocks):
    """Zero rows and rows in the span of others: growth -inf, share 0, an orthonormal frame
    nonetheless, the rest untouched."""
    rng = np.random.default_rng(3)
    F = rng.standard_normal((k, n))
    kept = np.delete(np.arange(k), [3, k - 1])
    for lost in (np.zeros((2, n)), np.stack([F[0] - F[1], F[0] + 2 * F[2]])):
        G = F.copy()
        G[[3, k - 1]] = lost
        Q, logs, shares = factor(G, blocks)
        assert np.isneginf(logs[[3, k - 1]]).all() and not shares[[3, k - 1]].any()
        np.testing.assert_allclose(Q @ Q.T, np.eye(k), atol=1e-12)
        np.testing.assert_allclose(logs[kept], truth(G[kept])[0], atol=1e-10)
    Q, logs, _ = factor(np.zeros((k, n)), blocks)
    assert np.isneginf(logs).all() and np.allclose(Q @ Q.T, np.eye(k), atol=1e-12)


@pytest.mark.parametrize(("k", "n"), [(5, 9), (100, 100)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_frames_that_are_not_finite(k, n, bad):
    F = np.random.default_rng(4).standard_normal((k, n))
    F[k - 2, 1] = bad
    with pytest.raises(NotFiniteError, match=f"row {k - 2} of the frame"):
        Frame(k).orthonormalise(F)


def test_the_argument_is_left_alone():
    for k in (10, 100):
        F = np.random.default_rng(5).standard_normal((k, k))
        before, engine = F.copy(), Frame(k)
        for _ in range(3):
            engine.orthonormalise(F)
        np.testing.assert_array_equal(F, before)


def test_cutting_follows_the_frames():
    """Ill-conditioned frames are cut finer, and long calm ones coarser again; either way the
    numbers stay."""
    rng, engine = np.random.default_rng(6), Frame(128)
    hard = rng.standard_normal((128, 128)) * np.logspace(0, -9, 128)
    for _ in range(4):
        found = engine.orthonormalise(hard)[1]
        np.testing.assert_allclose(found, truth(hard)[0], atol=1e-5)
    assert engine.blocks == 2
    easy = random_frame(128, 128, rng)
    for _ in range(401):
        engine.orthonormalise(easy)
    assert engine.blocks == 1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(0, 40),
    st.floats(0, 12),
    st.integers(1, 3),
    st.integers(0, 10_000),
)
def test_any_frame(k, more, spread, blocks, seed):
    """Volume: the sum of the growth is half the log determinant of F F^T."""
    rng = np.random.default_rng(seed)
    F = (rng.standard_normal((k, k + more)) * np.exp(-spread * rng.random(k + more))) * np.exp(
        20 * rng.standard_normal(k)
    )[:, None]
    _, logs, shares = factor(F, blocks)
    singular = np.linalg.svd(F / np.linalg.norm(F, axis=1, keepdims=True), compute_uv=False)
    volume = np.log(singular).sum() + np.log(np.linalg.norm(F, axis=1)).sum()
    assert abs(logs.sum() - volume) < 1e-9 + 1e-13 * k / min(singular.min(), shares.min())


def test_random_frames_are_orthonormal():
    frame = random_frame(7, 12, np.random.default_rng(0))
    np.testing.assert_allclose(frame @ frame.T, np.eye(7), atol=1e-14)
    assert frame.flags.c_contiguous


def test_records_merge_without_losing_anything():
    """However long the run, at most 2048 records, whose sums are those of all that was added."""
    rng, record, durations, growths = np.random.default_rng(0), Record(), 0.0, np.zeros(2)
    for i in range(5 * GROWTH_RECORDS + 7):
        duration, growth = rng.uniform(0.5, 2.0), rng.standard_normal(2)
        record.add(duration, growth)
        durations, growths = durations + duration, growths + growth
        if i % 997 == 0 or i == 5 * GROWTH_RECORDS + 6:
            times, sums = record.arrays()
            assert len(times) == len(sums) <= 2 * GROWTH_RECORDS
            assert times.sum() == pytest.approx(durations) and sums.sum(axis=0) == pytest.approx(
                growths
            )
