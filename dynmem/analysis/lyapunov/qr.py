"""Orthonormal frames: the QR at the heart of Lyapunov exponents, fast where the frame allows and
exact where it does not.

A frame holds k directions as rows, shape (k, n). ``Frame.orthonormalise`` writes F = L Q with L
lower triangular and Q orthonormal. Large frames go by blocks: each block is freed from the rows
before it (classical Gram-Schmidt, two matrix products) and then factored by Cholesky (Fukaya et al.
2014), which squares the condition: once, twice, or, where that fails too, by Householder instead,
and the next frame is cut into more blocks. Every step follows the same guard: what share of a row's
length is left once the rows before it are taken out. Rounding is amplified by the inverse of that
share.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.linalg import lapack

from ...errors import NotFiniteError
from .cholesky import cholesky_qr

# squared shares above which one Cholesky factor, whose error is rounding over them, is enough, or
# two are
ONE_FACTOR_SHARE, TWO_FACTORS_SHARE = 1e-6, 1e-12
# share below which one projection leaves rows too far from orthogonal: twice is enough
REPROJECTION_SHARE = 1e-3
HOUSEHOLDER_ROWS = 96  # rows up to which Householder is as fast, and exact to the last digits
MIN_SQUARED_LENGTH = 1e-280  # squared length of a row below which its square is too coarse a number


class Frame:
    """Orthonormaliser that adapts the number of blocks to the frames of one system."""

    def __init__(self, rows):
        self.rows, self.blocks, self.easy_frames = rows, 1, 0

    def orthonormalise(self, F: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q (k, n), the log of the growth of each row ln|L_ii| (k,), and the share |L_ii| / |F_i|
        (k,) of each row that was new.

        A row that lies in the span of those before it, to rounding, has growth -inf and share 0: no
        digit of it is left. Raises NotFiniteError for a frame that holds NaN or infinity.
        """
        if self.rows <= HOUSEHOLDER_ROWS:
            return _householder(F)
        edges = np.linspace(0, self.rows, self.blocks + 1).astype(int)
        Q, logs, shares, easy = np.empty_like(F), np.empty(self.rows), np.empty(self.rows), True
        for a, b in pairwise(edges):
            found = _block(F[a:b], Q[:a])
            # huge or tiny rows, or rows that are lost: the whole frame by Householder
            if found is None:
                self.blocks = min(2 * self.blocks, max(1, self.rows // 64))
                return _householder(F)
            Q[a:b], logs[a:b], shares[a:b], well = found
            easy &= well
        self._adapt(easy)
        return Q, logs, shares

    def _adapt(self, easy):
        """More blocks where Cholesky failed; fewer after many easy frames."""
        self.easy_frames = self.easy_frames + 1 if easy else 0
        if not easy:
            self.blocks = min(2 * self.blocks, max(1, self.rows // 64))
        elif self.easy_frames >= 200 and self.blocks > 1:
            self.blocks, self.easy_frames = self.blocks // 2, 0


def _block(F, before):
    """One block of rows, freed from the rows ``before`` and orthonormalised; None where a row is
    lost, to rounding too."""
    with np.errstate(over="ignore"):
        squares = np.vecdot(F, F)
    if not (np.isfinite(squares).all() and squares.min() > MIN_SQUARED_LENGTH):
        return None
    if not len(before):
        return _finish(F, squares, before)
    F = F - (F @ before.T) @ before
    left = np.vecdot(F, F)
    if left.min() <= MIN_SQUARED_LENGTH or (left / squares).min() < (64 * np.finfo(float).eps) ** 2:
        return None
    if (left / squares).min() < REPROJECTION_SHARE**2:
        F -= (F @ before.T) @ before
    return _finish(F, squares, before)


def _finish(F, squares, before):
    """Factor of a block with logs and shares, and whether one Cholesky factor did: else two, or
    Householder."""
    factors = cholesky_qr(F, TWO_FACTORS_SHARE)
    if factors is not None:
        Q, diagonal, share = factors
        logs, easy = np.log(diagonal), share > ONE_FACTOR_SHARE
    else:
        Q, logs, shares = _householder(F)
        easy = False
        if not shares.all():
            return None
    if not easy:
        again = _again(Q, before)
        if again is None:
            return None
        Q, logs = again[0], logs + np.log(again[1])
    return Q, logs, np.exp(logs - 0.5 * np.log(squares)), easy


def _again(Q, before):
    """Nearly orthonormal rows made orthonormal, among themselves and against the rows before, and
    the diagonal of the factor: the error of the first pass is what the second one starts from
    (Yamamoto et al. 2015). None where that is no small error: what the first pass had left of a row
    were rounding errors, which lie in the span of the rows before as well as outside."""
    if len(before):
        Q = Q - (Q @ before.T) @ before
    found = cholesky_qr(Q, 0.0)
    return None if found is None or found[1].min() < 0.5 else found[:2]


def _householder(F):
    """Q, logs and shares by LAPACK's Householder QR. Where a row is lost, what fills its place is
    orthogonal to all that are left."""
    Q, logs, shares = _qr(F)
    lost = shares == 0.0
    if (lost[:-1] & ~lost[1:]).any():
        order = np.argsort(lost, kind="stable")
        for whole, part in zip((Q, logs, shares), _qr(F[order]), strict=True):
            whole[order] = part
        logs[lost], shares[lost] = -np.inf, 0.0
    return Q, logs, shares


def _qr(F):
    """The same by one call of LAPACK, rows scaled first so that neither huge nor tiny ones are
    lost.

    Components that are zero in every row stay exactly zero where they come last: a reflection onto
    one would leave rounding there, which a shift register would propagate.
    """
    reached = F.any(axis=0)
    if not reached.all() and reached[np.argmin(reached) :].any():
        order = np.argsort(~reached, kind="stable")
        Q, logs, shares = _qr(F[:, order])
        return Q[:, np.argsort(order)], logs, shares
    k, n = F.shape
    scale = np.abs(F).max(axis=1)
    if not np.isfinite(scale).all():
        raise NotFiniteError(
            f"row {int(np.isfinite(scale).argmin())} of the frame holds NaN or infinity"
        )
    dead = scale == 0.0
    scale[dead] = 1.0
    a, tau, _, _ = lapack.dgeqrf(np.divide(F, scale[:, None]).T, lwork=64 * n, overwrite_a=1)
    diagonal = np.abs(a.diagonal()[:k])
    lengths = np.sqrt(np.einsum("ij,ij->j", *(np.triu(a[:k]),) * 2)) if k > 1 else diagonal.copy()
    Q, _, _ = lapack.dorgqr(a[:, :k], tau, lwork=64 * n, overwrite_a=1)
    shares = diagonal / np.where(lengths > 0.0, lengths, 1.0)
    shares[dead | (shares < 4.0 * np.sqrt(n) * np.finfo(float).eps)] = 0.0
    with np.errstate(divide="ignore"):
        logs = np.where(shares > 0.0, np.log(diagonal) + np.log(scale), -np.inf)
    return Q.T, logs, shares


def random_frame(k: int, n: int, rng: np.random.Generator, clock: int = 0) -> np.ndarray:
    """k random orthonormal rows of length n, the first of them the same whatever k; with ``clock``
    more components that are 0, of a time that no perturbation changes."""
    rows = np.linalg.qr(rng.standard_normal((k, n)).T)[0].T
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, clock))))
