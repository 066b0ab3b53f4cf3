"""The loops of the selective scan, compiled by ``launch`` behind the text of ``loops``."""

import numba

from dynmem.runtime.jit import late

from .loops import (
    D3,
    EXACT,
    F1,
    F2,
    F3,
    F4,
    FAST,
    HALF,
    LANES,
    ONE,
    REORDERED_SUMS,
    SLOPE_COEFFICIENTS,
    STEPS_PER_CHUNK,
    ZERO,
    F,
    N,
    exponential,
    load_piece,
    store_piece,
)

# ------------------------------------------------------------------------------------------


@late(F(F, F), **FAST)
def slope_of_gain(z, e):
    """d/dz (exp(z) - 1)/z = ((z - 1) exp(z) + 1)/z^2, by its series where the difference would lose
    its digits."""
    p = ZERO
    for c in SLOPE_COEFFICIENTS:
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
def weigh_inputs(D, U, V, steps):
    """The inputs V as the step takes them: D U, or U where the input is held."""
    for t in range(steps):
        for l in range(LANES):
            V[t, l] = U[t, l] if EXACT else D[t, l] * U[t, l]


@late(numba.void(F2, F2, F2, F2, N), **FAST)
def unweigh_gradients(D, U, GD, GV, steps):
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
        for s in range(0, T, STEPS_PER_CHUNK):
            steps = min(STEPS_PER_CHUNK, T - s)
            load_piece(u, i, s, c * LANES, U)
            load_piece(delta, i, s, c * LANES, D)
            weigh_inputs(D, U, V, steps)
            for n in range(modes):
                if marks.shape[1] > 0:
                    for l in range(LANES):
                        marks[p, s // STEPS_PER_CHUNK, n, l] = x[p, n, l]
                selective_steps(
                    A[c, n],
                    R[c, n],
                    x[p, n],
                    D,
                    V,
                    B[i, s : s + STEPS_PER_CHUNK],
                    C[i, s : s + STEPS_PER_CHUNK],
                    n,
                    Y,
                    steps,
                )
            store_piece(Y, i, s, c * LANES, y)


@late(numba.void(*(F1,) * 3, *(F2,) * 3, N, *(F2,) * 3, N), **FAST)
def selective_recompute(A, R, x, D, V, B, n, X, E, L, steps):
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


@late(numba.void(*(F1,) * 3, *(F2,) * 5, N, *(F2,) * 7, N), **REORDERED_SUMS)
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
                    w * X[t, l] + a * b * V[t, l] * D[t, l] * slope_of_gain(D[t, l] * A[l], E[t, l])
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
        for s in range((T - 1) // STEPS_PER_CHUNK * STEPS_PER_CHUNK, -1, -STEPS_PER_CHUNK):
            steps, to = min(STEPS_PER_CHUNK, T - s), s + STEPS_PER_CHUNK
            load_piece(u, i, s, c * LANES, U)
            load_piece(delta, i, s, c * LANES, D)
            load_piece(g, i, s, c * LANES, G)
            weigh_inputs(D, U, V, steps)
            for n in range(modes):
                for l in range(LANES):
                    rows[0, l], rows[1, l] = marks[p, s // STEPS_PER_CHUNK, n, l], ZERO
                selective_recompute(A[c, n], R[c, n], rows[0], D, V, B[i, s:to], n, X, E, L, steps)
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
            unweigh_gradients(D, U, GD, GV, steps)
            store_piece(GV, i, s, c * LANES, du)
            store_piece(GD, i, s, c * LANES, ddelta)


selective_forward.signature = numba.void(  # type: ignore[attr-defined]
    N, N, F3, F3, *(F3,) * 4, F3, F3, F4, *(F2,) * 4
)
selective_backward.signature = numba.void(
    N, N, F3, F3, *(F3,) * 5, F4, F3, F3, F3, D3, F4, F4, *(F2,) * 10
)
