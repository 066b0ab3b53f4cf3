"""The loops of the linear scan, compiled by ``launch`` behind the text of ``loops``."""

import numba

from dynmem.runtime.jit import late

from .loops import D2, F1, F2, F3, FAST, STEPS_PER_CHUNK, ZERO, N

# ------------------------------------------------------------------------------------------


@late(numba.void(F1, F1, F1, F1), **FAST)
def real_step(a, b, x, out):
    for j in range(x.shape[0]):
        x[j] = a[j] * x[j] + b[j]
        out[j] = x[j]


@late(numba.void(F1, F1, F1, F1), **FAST)
def complex_step(a, b, x, out):
    for j in range(x.shape[0] // 2):
        r = a[2 * j] * x[2 * j] - a[2 * j + 1] * x[2 * j + 1] + b[2 * j]
        m = a[2 * j] * x[2 * j + 1] + a[2 * j + 1] * x[2 * j] + b[2 * j + 1]
        x[2 * j], x[2 * j + 1] = r, m
        out[2 * j], out[2 * j + 1] = r, m


def linear_forward(p0, p1, width, pairs, a, b, x, out):
    """x <- a x + b, kept in ``out``: a (1, 1, n) or (batch, T, n), b and out (batch, T, n), x
    (batch, n); ``pairs`` of numbers are complex."""
    T, n = b.shape[1], b.shape[2]
    blocks = -(-n // width)
    for p in range(p0, p1):
        i, at = p // blocks, p % blocks * width
        to = min(at + width, n)
        for t in range(T):
            row = a[min(i, a.shape[0] - 1), min(t, a.shape[1] - 1), at:to]
            if pairs:
                complex_step(row, b[i, t, at:to], x[i, at:to], out[i, t, at:to])
            else:
                real_step(row, b[i, t, at:to], x[i, at:to], out[i, t, at:to])


@late(numba.void(F1, F1, F1, F1, F1, F1), **FAST)
def real_back(a, before, g, adjoint, db, da):
    for j in range(g.shape[0]):
        l = g[j] + adjoint[j]
        db[j] = l
        da[j] += l * before[j]
        adjoint[j] = a[j] * l


@late(numba.void(F1, F1, F1, F1, F1, F1), **FAST)
def complex_back(a, before, g, adjoint, db, da):
    for j in range(g.shape[0] // 2):
        r, m = g[2 * j] + adjoint[2 * j], g[2 * j + 1] + adjoint[2 * j + 1]
        db[2 * j], db[2 * j + 1] = r, m
        da[2 * j] += r * before[2 * j] + m * before[2 * j + 1]
        da[2 * j + 1] += m * before[2 * j] - r * before[2 * j + 1]
        adjoint[2 * j] = a[2 * j] * r + a[2 * j + 1] * m
        adjoint[2 * j + 1] = a[2 * j] * m - a[2 * j + 1] * r


def linear_backward(p0, p1, width, pairs, a, x0, states, g, adjoint, db, da, total):
    """The adjoint l = g + conj(a) l, backward in time: db = l, da = l conj(x before); at the end
    ``adjoint`` is the gradient of x0.

    For a fixed a, da (batch, 1, n) is the sum of one piece and ``total`` (batch, n) that of all.
    """
    T, n = g.shape[1], g.shape[2]
    blocks, fixed = -(-n // width), total.shape[0] > 0
    for p in range(p0, p1):
        i, at = p // blocks, p % blocks * width
        to = min(at + width, n)
        for t in range(T - 1, -1, -1):
            row = a[min(i, a.shape[0] - 1), min(t, a.shape[1] - 1), at:to]
            before = states[i, t - 1, at:to] if t > 0 else x0[i, at:to]
            sums = da[i, min(t, da.shape[1] - 1), at:to]
            if pairs:
                complex_back(row, before, g[i, t, at:to], adjoint[i, at:to], db[i, t, at:to], sums)
            else:
                real_back(row, before, g[i, t, at:to], adjoint[i, at:to], db[i, t, at:to], sums)
            if fixed and t % STEPS_PER_CHUNK == 0:
                for j in range(to - at):
                    total[i, at + j] += sums[j]
                    sums[j] = ZERO


linear_forward.signature = numba.void(  # type: ignore[attr-defined]
    N, N, N, numba.boolean, F3, F3, F2, F3
)
linear_backward.signature = numba.void(  # type: ignore[attr-defined]
    N, N, N, numba.boolean, F3, F2, F3, F3, F2, F3, F3, D2
)
