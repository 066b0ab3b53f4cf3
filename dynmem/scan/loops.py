"""The loops of the scans: text that ``launch`` completes for one precision and hands to numba.

What stands between the two rulers is put in place of these lines for another precision. Every array
of a kernel is memory of its own, which ``Restrict`` lets LLVM know: it then keeps coefficients and
state in registers and needs no test for overlap, which costs more than a short loop itself.
Channels are worked on in blocks of ``LANES``, one vector or two of the processor; time in pieces of
``CHUNK`` steps, at whose starts the state is kept, so that the backward pass computes the states of
one piece anew and holds no more of them.

A kernel works on the blocks p0 <= p < p1 of batch x channels, which do not depend on the number of
threads: nor does any bit of a result."""

import math

import numba
import numpy as np
from numba.core.compiler import Compiler

from dynmem.runtime.jit import late

# ------------------------------------------------------------------------------------------
REAL, INTEGER, EXACT, LANES, CHUNK = np.float64, np.int64, False, 32, 64
# ------------------------------------------------------------------------------------------


class Restrict(Compiler):
    """numba's compiler, told that no two arrays of a function overlap."""

    def define_pipelines(self):
        self.state.flags.noalias = True
        return super().define_pipelines()


FAST = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True, "pipeline_class": Restrict}
REORDERED = FAST | {"fastmath": {"contract", "reassoc"}}  # a sum may take several numbers at once
F, N = numba.from_dtype(np.dtype(REAL)), numba.int64
F1, F2, F3, F4, F5 = (numba.types.Array(F, dims, "C") for dims in range(1, 6))
# sums over time, in which float32 would lose digits
D2, D3, D4 = (numba.types.Array(numba.float64, dims, "C") for dims in range(2, 5))

DOUBLE = REAL is np.float64
MANTISSA, BIAS = (52, 1023) if DOUBLE else (23, 127)
# to add ROUND leaves the nearest whole number in the lowest bits
ROUND, INVERSE = REAL(1.5 * 2.0**MANTISSA), REAL(1 / math.log(2))
HIGH, LOW = (
    (REAL(6.93147180369123816490e-01), REAL(1.90821492927058770002e-10))
    if DOUBLE
    else (REAL(0.693359375), REAL(-2.12194440e-4))
)
TOP, BOTTOM = (REAL(709.3), REAL(-708.3)) if DOUBLE else (REAL(88.3), REAL(-87.3))
ZERO, HALF, ONE, INFINITE = REAL(0), REAL(0.5), REAL(1), REAL(math.inf)
# of exp(r), highest power first
TAYLOR = tuple(REAL(1 / math.factorial(k)) for k in range(13 if DOUBLE else 7, 1, -1))
# of the slope of (exp(z) - 1)/z
INCLINE = tuple(REAL((k + 1) / math.factorial(k + 2)) for k in range(14 if DOUBLE else 8, -1, -1))


@late(numba.types.UniTuple(F, 2)(F), **FAST)
def exponential(z):
    """exp(z) and exp(z) - 1, to an ulp or two: z = k ln 2 + r, a Taylor series in r, and 2^k
    through the bits. LLVM has no exp for vectors.

    Below BOTTOM the first is 0, above TOP both are infinite.
    """
    shifted = REAL(z * INVERSE + ROUND)
    k = shifted - ROUND
    r = (z - k * HIGH) - k * LOW
    p = ZERO
    for c in TAYLOR:
        p = c + r * p
    p = r + r * r * p
    bits = INTEGER((shifted.view(INTEGER) << MANTISSA) + (BIAS << MANTISSA))
    scale = bits.view(REAL)
    e, less = scale * p + scale, scale * p + (scale - ONE)
    e = ZERO if z < BOTTOM else INFINITE if z > TOP else e
    less = -ONE if z < BOTTOM else INFINITE if z > TOP else less
    return e, less


@late(numba.void(F1, F1, F1), **FAST)
def exponentials(z, e, less):  # of an array, for the tests
    for l in range(z.shape[0]):
        e[l], less[l] = exponential(z[l])


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
            if fixed and t % CHUNK == 0:
                for j in range(to - at):
                    total[i, at + j] += sums[j]
                    sums[j] = ZERO


linear_forward.signature = numba.void(N, N, N, numba.boolean, F3, F3, F2, F3)
linear_backward.signature = numba.void(N, N, N, numba.boolean, F3, F2, F3, F3, F2, F3, F3, D2)


@late(numba.void(F3, N, N, N, F2), **FAST)
def take(source, i, s, at, piece):
    """Copy steps from s and channels from ``at`` on into a piece (CHUNK, LANES), the rest of which
    is 0."""
    for t in range(min(CHUNK, source.shape[1] - s)):
        row = source[i, s + t, at : min(at + LANES, source.shape[2])]
        for l in range(row.shape[0]):
            piece[t, l] = row[l]
        for l in range(row.shape[0], LANES):
            piece[t, l] = ZERO


@late(numba.void(F2, N, N, N, F3), **FAST)
def give(piece, i, s, at, target):
    """The way back of ``take``; the piece is 0 afterwards."""
    for t in range(min(CHUNK, target.shape[1] - s)):
        row = target[i, s + t, at : min(at + LANES, target.shape[2])]
        for l in range(row.shape[0]):
            row[l] = piece[t, l]
        for l in range(LANES):
            piece[t, l] = ZERO


@late(numba.void(F1, F1, F1, F1, F1, F1, F1, F1, F2, F2, N), **FAST)
def channel_steps(ar, ai, br, bi, cr, ci, xr, xi, U, Y, steps):
    """x <- a x + b u, y += Re c x over one piece, for one mode of each channel of a block."""
    for t in range(steps):
        for l in range(LANES):
            r = ar[l] * xr[l] - ai[l] * xi[l] + br[l] * U[t, l]
            m = ar[l] * xi[l] + ai[l] * xr[l] + bi[l] * U[t, l]
            xr[l], xi[l] = r, m
            Y[t, l] += cr[l] * r - ci[l] * m


def channel_forward(p0, p1, k, u, xr, xi, y, marks, U, Y):
    """Outputs y (batch, T, H) of inputs u; k (blocks, 6, N, LANES) holds a, b, c as real and
    imaginary parts, xr and xi (batch x blocks, N, LANES) the state, from the first to the last, and
    ``marks`` (batch x blocks, pieces or 0, 2, N, LANES) that at the start of each piece."""
    blocks, T, modes = k.shape[0], u.shape[1], k.shape[2]
    for p in range(p0, p1):
        i, c = p // blocks, p % blocks
        for s in range(0, T, CHUNK):
            take(u, i, s, c * LANES, U)
            for n in range(modes):
                if marks.shape[1] > 0:
                    for l in range(LANES):
                        marks[p, s // CHUNK, 0, n, l] = xr[p, n, l]
                        marks[p, s // CHUNK, 1, n, l] = xi[p, n, l]
                channel_steps(
                    k[c, 0, n],
                    k[c, 1, n],
                    k[c, 2, n],
                    k[c, 3, n],
                    k[c, 4, n],
                    k[c, 5, n],
                    xr[p, n],
                    xi[p, n],
                    U,
                    Y,
                    min(CHUNK, T - s),
                )
            give(Y, i, s, c * LANES, y)


@late(numba.void(*(F1,) * 8, *(F2,) * 3, N), **FAST)
def channel_again(ar, ai, br, bi, startr, starti, xr, xi, U, XR, XI, steps):
    """The states of one piece once more, before the first step and after each; they pass through xr
    and xi, which stay in registers."""
    for l in range(LANES):
        xr[l], xi[l] = startr[l], starti[l]
        XR[0, l], XI[0, l] = startr[l], starti[l]
    for t in range(steps):
        for l in range(LANES):
            r = ar[l] * xr[l] - ai[l] * xi[l] + br[l] * U[t, l]
            m = ar[l] * xi[l] + ai[l] * xr[l] + bi[l] * U[t, l]
            xr[l], xi[l] = r, m
            XR[t + 1, l], XI[t + 1, l] = r, m


@late(numba.void(*(F1,) * 8, *(F2,) * 4, N), **FAST)
def channel_back(ar, ai, br, bi, cr, ci, lr, li, G, GU, LR, LI, steps):
    """The adjoint l of the states of one piece, from the last step to the first, and the gradient
    of the inputs."""
    for back in range(steps):
        t = steps - 1 - back
        for l in range(LANES):
            r, m = lr[l] + G[t, l] * cr[l], li[l] - G[t, l] * ci[l]
            GU[t, l] += r * br[l] + m * bi[l]
            LR[t, l], LI[t, l] = r, m
            lr[l], li[l] = ar[l] * r + ai[l] * m, ar[l] * m - ai[l] * r


@late(numba.void(*(F2,) * 6, *(F1,) * 6, N), **FAST)
def channel_sums(U, G, XR, XI, LR, LI, dar, dai, dbr, dbi, dcr, dci, steps):
    """Gradients of a, b and c: products of the adjoint with states and inputs, and of g with
    states, summed over one piece."""
    for t in range(steps):
        for l in range(LANES):
            dar[l] += LR[t, l] * XR[t, l] + LI[t, l] * XI[t, l]
            dai[l] += LI[t, l] * XR[t, l] - LR[t, l] * XI[t, l]
            dbr[l] += LR[t, l] * U[t, l]
            dbi[l] += LI[t, l] * U[t, l]
            dcr[l] += G[t, l] * XR[t + 1, l]
            dci[l] -= G[t, l] * XI[t + 1, l]


def channel_backward(p0, p1, k, u, g, marks, lr, li, du, dk, U, G, GU, LR, LI, XR, XI, rows):
    """Gradients du (batch, T, H) and dk (batch x blocks, 6, N, LANES) from g of y and lr, li of the
    last state, which become those of x0."""
    blocks, T, modes = k.shape[0], u.shape[1], k.shape[2]
    for p in range(p0, p1):
        i, c = p // blocks, p % blocks
        for s in range((T - 1) // CHUNK * CHUNK, -1, -CHUNK):
            take(u, i, s, c * LANES, U)
            take(g, i, s, c * LANES, G)
            steps = min(CHUNK, T - s)
            for n in range(modes):
                ar, ai, br, bi, cr, ci = (
                    k[c, 0, n],
                    k[c, 1, n],
                    k[c, 2, n],
                    k[c, 3, n],
                    k[c, 4, n],
                    k[c, 5, n],
                )
                channel_again(
                    ar,
                    ai,
                    br,
                    bi,
                    marks[p, s // CHUNK, 0, n],
                    marks[p, s // CHUNK, 1, n],
                    rows[6],
                    rows[7],
                    U,
                    XR,
                    XI,
                    steps,
                )
                channel_back(ar, ai, br, bi, cr, ci, lr[p, n], li[p, n], G, GU, LR, LI, steps)
                channel_sums(
                    U,
                    G,
                    XR,
                    XI,
                    LR,
                    LI,
                    rows[0],
                    rows[1],
                    rows[2],
                    rows[3],
                    rows[4],
                    rows[5],
                    steps,
                )
                for q in range(6):
                    for l in range(LANES):
                        dk[p, q, n, l] += rows[q, l]
                        rows[q, l] = ZERO
            give(GU, i, s, c * LANES, du)


channel_forward.signature = numba.void(N, N, F4, F3, F3, F3, F3, F5, F2, F2)
channel_backward.signature = numba.void(N, N, F4, F3, F3, F5, F3, F3, F3, D4, *(F2,) * 8)


@late(F(F, F), **FAST)
def incline(z, e):
    """d/dz (exp(z) - 1)/z = ((z - 1) exp(z) + 1)/z^2, by its series where the difference would lose
    its digits."""
    p = ZERO
    for c in INCLINE:
        p = c + z * p
    return ((z - ONE) * e + ONE) / (z * z) if abs(z) > HALF else p


@late(F(F, F, F, F), **FAST)
def gain(A, R, D, less):
    """What one step makes of its input: (exp(D A) - 1)/A where the input is held; 1 for Euler's
    step, where D is in the input already."""
    if EXACT:
        return less * R if A != ZERO else D
    return ONE


@late(numba.void(F2, F2, F2, N), **FAST)
def weigh(D, U, V, steps):
    """The inputs V as the step takes them: D U, or U where the input is held."""
    for t in range(steps):
        for l in range(LANES):
            V[t, l] = U[t, l] if EXACT else D[t, l] * U[t, l]


@late(numba.void(F2, F2, F2, F2, N), **FAST)
def unweigh(D, U, GD, GV, steps):
    """The way back: the gradient of V becomes that of U, and its part in that of D."""
    if not EXACT:
        for t in range(steps):
            for l in range(LANES):
                GD[t, l] += GV[t, l] * U[t, l]
                GV[t, l] *= D[t, l]


@late(numba.void(F1, F1, F1, F2, F2, F2, F2, N, F2, N), **FAST)
def selective_steps(A, R, x, D, V, B, C, n, Y, steps):
    """x <- exp(D A) x + gain B V, y += C x over one piece, for one state of each channel of a
    block."""
    for t in range(steps):
        b, c = B[t, n], C[t, n]
        for l in range(LANES):
            e, less = exponential(D[t, l] * A[l])
            x[l] = e * x[l] + gain(A[l], R[l], D[t, l], less) * V[t, l] * b
            Y[t, l] += c * x[l]


def selective_forward(p0, p1, A, R, delta, u, B, C, x, y, marks, D, U, V, Y):
    """Outputs y (batch, T, H) of inputs u under the steps ``delta``; A and its inverse R (blocks,
    N, LANES), B and C (batch, T, N), the state x (batch x blocks, N, LANES), ``marks`` (batch x
    blocks, pieces or 0, N, LANES) as in ``channel_forward``."""
    blocks, T, modes = A.shape[0], u.shape[1], A.shape[1]
    for p in range(p0, p1):
        i, c = p // blocks, p % blocks
        for s in range(0, T, CHUNK):
            steps = min(CHUNK, T - s)
            take(u, i, s, c * LANES, U)
            take(delta, i, s, c * LANES, D)
            weigh(D, U, V, steps)
            for n in range(modes):
                if marks.shape[1] > 0:
                    for l in range(LANES):
                        marks[p, s // CHUNK, n, l] = x[p, n, l]
                selective_steps(
                    A[c, n],
                    R[c, n],
                    x[p, n],
                    D,
                    V,
                    B[i, s : s + CHUNK],
                    C[i, s : s + CHUNK],
                    n,
                    Y,
                    steps,
                )
            give(Y, i, s, c * LANES, y)


@late(numba.void(*(F1,) * 3, *(F2,) * 3, N, *(F2,) * 3, N), **FAST)
def selective_again(A, R, x, D, V, B, n, X, E, L, steps):
    """The states of one piece once more, before the first step and after each, with their decays E
    and gains L."""
    for l in range(LANES):
        X[0, l] = x[l]
    for t in range(steps):
        b = B[t, n]
        for l in range(LANES):
            e, less = exponential(D[t, l] * A[l])
            E[t, l] = e
            if EXACT:
                L[t, l] = gain(A[l], R[l], D[t, l], less)
            x[l] = e * x[l] + gain(A[l], R[l], D[t, l], less) * V[t, l] * b
            X[t + 1, l] = x[l]


@late(numba.void(*(F1,) * 3, *(F2,) * 5, N, *(F2,) * 7, N), **REORDERED)
def selective_back(A, dA, adjoint, D, V, G, B, C, n, X, E, L, GD, GV, dB, dC, steps):
    """The adjoint of the states of one piece, from the last step to the first, and the
    gradients."""
    for back in range(steps):
        t = steps - 1 - back
        b, c, db, dc = B[t, n], C[t, n], ZERO, ZERO
        for l in range(LANES):
            a = adjoint[l] + G[t, l] * c
            dc += G[t, l] * X[t + 1, l]
            w = a * E[t, l]
            if EXACT:
                GV[t, l] += a * L[t, l] * b
                GD[t, l] += w * (A[l] * X[t, l] + b * V[t, l])
                dA[l] += D[t, l] * (
                    w * X[t, l] + a * b * V[t, l] * D[t, l] * incline(D[t, l] * A[l], E[t, l])
                )
                db += a * L[t, l] * V[t, l]
            else:
                q = w * X[t, l]
                GV[t, l] += a * b
                GD[t, l] += q * A[l]
                dA[l] += q * D[t, l]
                db += a * V[t, l]
            adjoint[l] = w
        dB[t, n] += db
        dC[t, n] += dc


def selective_backward(
    p0,
    p1,
    A,
    R,
    delta,
    u,
    B,
    C,
    g,
    marks,
    adjoint,
    ddelta,
    du,
    dA,
    dB,
    dC,
    D,
    U,
    V,
    G,
    GD,
    GV,
    E,
    L,
    X,
    rows,
):
    """Gradients from g of y and ``adjoint`` of the last state, which becomes that of x0: ddelta and
    du (batch, T, H), dA (batch x blocks, N, LANES), dB and dC (blocks, batch, T, N)."""
    blocks, T, modes = A.shape[0], u.shape[1], A.shape[1]
    for p in range(p0, p1):
        i, c = p // blocks, p % blocks
        for s in range((T - 1) // CHUNK * CHUNK, -1, -CHUNK):
            steps, to = min(CHUNK, T - s), s + CHUNK
            take(u, i, s, c * LANES, U)
            take(delta, i, s, c * LANES, D)
            take(g, i, s, c * LANES, G)
            weigh(D, U, V, steps)
            for n in range(modes):
                for l in range(LANES):
                    rows[0, l], rows[1, l] = marks[p, s // CHUNK, n, l], ZERO
                selective_again(A[c, n], R[c, n], rows[0], D, V, B[i, s:to], n, X, E, L, steps)
                selective_back(
                    A[c, n],
                    rows[1],
                    adjoint[p, n],
                    D,
                    V,
                    G,
                    B[i, s:to],
                    C[i, s:to],
                    n,
                    X,
                    E,
                    L,
                    GD,
                    GV,
                    dB[c, i, s:to],
                    dC[c, i, s:to],
                    steps,
                )
                for l in range(LANES):
                    dA[p, n, l] += rows[1, l]
            unweigh(D, U, GD, GV, steps)
            give(GV, i, s, c * LANES, du)
            give(GD, i, s, c * LANES, ddelta)


selective_forward.signature = numba.void(N, N, F3, F3, *(F3,) * 4, F3, F3, F4, *(F2,) * 4)
selective_backward.signature = numba.void(
    N, N, F3, F3, *(F3,) * 5, F4, F3, F3, F3, D3, F4, F4, *(F2,) * 10
)
