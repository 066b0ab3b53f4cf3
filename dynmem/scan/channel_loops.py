"""The loops of the channel scan, compiled by ``launch`` behind the text of ``loops``."""

import numba

from dynmem.runtime.jit import late

from .loops import (
    D4,
    F1,
    F2,
    F3,
    F4,
    F5,
    FAST,
    LANES,
    STEPS_PER_CHUNK,
    ZERO,
    N,
    load_piece,
    store_piece,
)

# ------------------------------------------------------------------------------------------


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
        for s in range(0, T, STEPS_PER_CHUNK):
            load_piece(u, i, s, c * LANES, U)
            for n in range(modes):
                if marks.shape[1] > 0:
                    for l in range(LANES):
                        marks[p, s // STEPS_PER_CHUNK, 0, n, l] = xr[p, n, l]
                        marks[p, s // STEPS_PER_CHUNK, 1, n, l] = xi[p, n, l]
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
                    min(STEPS_PER_CHUNK, T - s),
                )
            store_piece(Y, i, s, c * LANES, y)


@late(numba.void(*(F1,) * 8, *(F2,) * 3, N), **FAST)
def channel_recompute(ar, ai, br, bi, startr, starti, xr, xi, U, XR, XI, steps):
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
        for s in range((T - 1) // STEPS_PER_CHUNK * STEPS_PER_CHUNK, -1, -STEPS_PER_CHUNK):
            load_piece(u, i, s, c * LANES, U)
            load_piece(g, i, s, c * LANES, G)
            steps = min(STEPS_PER_CHUNK, T - s)
            for n in range(modes):
                ar, ai, br, bi, cr, ci = (
                    k[c, 0, n],
                    k[c, 1, n],
                    k[c, 2, n],
                    k[c, 3, n],
                    k[c, 4, n],
                    k[c, 5, n],
                )
                channel_recompute(
                    ar,
                    ai,
                    br,
                    bi,
                    marks[p, s // STEPS_PER_CHUNK, 0, n],
                    marks[p, s // STEPS_PER_CHUNK, 1, n],
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
            store_piece(GU, i, s, c * LANES, du)


channel_forward.signature = numba.void(  # type: ignore[attr-defined]
    N, N, F4, F3, F3, F3, F3, F5, F2, F2
)
channel_backward.signature = numba.void(  # type: ignore[attr-defined]
    N, N, F4, F3, F3, F5, F3, F3, F3, D4, *(F2,) * 8
)
