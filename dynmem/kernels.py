"""The loops of the machine code: an orbit, its frame of tangent vectors, and a QR as often as the frame's condition asks.

``compiled`` takes this text, puts the functions of one system in place of those of the identity map between the two rulers, and hands the
whole to numba. Frames are rows (k, n) between two QRs; inside a step they are cut into tiles of ``WIDTH`` directions, (n, WIDTH) each, so
that every operation of the rule works on neighbouring numbers. It is written with plain loops over arrays that are handed in, and ``advance`` in one
piece: numba compiles a loop quickly, and takes its time for each function, array functions above all.
"""

import math

import numba

FAST = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}


def late(signature, **options):
    """numba.njit with one signature, compiled when a caller is: one that comes from the cache needs nothing, and without a signature numba
    would compile a function anew for each constant that it is called with."""

    def dispatcher(function):
        made = numba.njit(**options)(function)

        def template(args, kws):
            if not made.overloads:
                made.compile(signature)
                made.disable_compile()
            return type(made).get_call_template(made, args, kws)

        made.get_call_template = template
        return made

    return dispatcher


M, N = "float64[:, ::1]", "int64"
SLOPE, LANES = f"void({M}, {N}, {M}, {N}, {M}, {N}, {N}, {M})", f"void({M}, {M}, {N}, {N}, {M})"
MOVE, PUSH = f"void({M}, {N}, {M}, {N}, float64, {M}, {M})", f"void({M}, float64, {M}, {N}, {M})"
VOLUME, DOT, QR = f"float64({M}, float64, {M}, {M})", f"float64({M}, {N}, {N})", f"float64({M}, {M}, float64[::1])"
REORDERED = FAST | {"fastmath": {"contract", "reassoc"}}  # a sum may take several numbers at once
# ---------------------------------------------------------------------------------------------------------------------------------------
SIZE, WIDTH, STAGES, STORAGE = 1, 1, 1, 1  # states; directions in a tile; stages of the scheme; numbers in a tile


@late(MOVE, **FAST)
def move(P, member, U, t, h, K, C):
    """Carry the state, in row STAGES + 1 of K, one step on; C keeps what the tangent of the step needs, a row each stage."""


@late(PUSH, **FAST)
def push(C, h, V, tile, K):
    """Carry one tile of directions, a row of V, through the tangent of that step."""


@late(VOLUME, **FAST)
def volume(C, h, J, K):
    """Logarithm of the growth of volume in that step."""
    return 0.0


# ---------------------------------------------------------------------------------------------------------------------------------------
FINE, STATE_LOST, TANGENT_LOST, COLLAPSED = 0, 1, 2, 3
LOG_AIM, LEAST, FAINT, LONGEST, ROUNDING = math.log(1e-4), 1e-6, -600.0, 64, 9e-16  # as in analysis.growth and analysis.frame


@late(DOT, **REORDERED)
def dot(F, i, j):
    total = 0.0
    for m in range(SIZE):
        total += F[i, m] * F[j, m]
    return total


@late(QR, **FAST)
def orthonormalise(F, R, logs):
    """Gram-Schmidt on the rows of F in place: F = R Q, R lower triangular; ``logs`` are ln R_ii. Returns the least share of its length
    that a row has kept, 0 where one is lost or has grown too faint, -1 where one is not finite. A row that loses more than half is freed
    from the others twice (Giraud et al. 2005)."""
    worst = 1.0
    for i in range(F.shape[0]):
        scale = 0.0
        for m in range(SIZE):
            size = abs(F[i, m])
            if not size < math.inf:
                return -1.0
            if size > scale:
                scale = size
        if scale == 0.0:
            return 0.0
        if 1e-140 < scale < 1e140:
            scale = 1.0
        for m in range(SIZE):
            F[i, m] /= scale
        for j in range(F.shape[0]):
            R[i, j] = 0.0
        before = math.sqrt(dot(F, i, i))
        length, last, passes = before, math.inf, 0
        while passes < 2 and length < 0.5 * last:
            for j in range(i):
                r = dot(F, j, i)
                R[i, j] += r * scale
                for m in range(SIZE):
                    F[i, m] -= r * F[j, m]
            last, length, passes = length, math.sqrt(dot(F, i, i)), passes + 1
        if length < ROUNDING * before * math.sqrt(SIZE):
            return 0.0
        if length < worst * before:
            worst = length / before
        for m in range(SIZE):
            F[i, m] /= length
        R[i, i] = length * scale
        logs[i] = math.log(length) + math.log(scale)
    return worst


@late(f"void({M}, {M})", **FAST)
def multiply(S, R):
    """S R for lower triangular matrices, in the place of S."""
    for i in range(S.shape[0]):
        for j in range(i + 1):
            total = 0.0
            for m in range(j, i + 1):
                total += S[i, m] * R[m, j]
            S[i, j] = total  # entries to the right of j are still the old ones, and those to the left are not asked for again


def advance(X, F, P, U, h, substeps, clock, every, check_every, logs, states, frames, factors, sums, status, K, C, V, KV, G, J, R, S, last):
    """Members one after another, each over blocks of ``every`` steps: X (m, n) and F (m, k, n) in place, P (m, parameters), U (steps or 1,
    inputs); ``clock`` (m, 2): steps between two QRs, step of the next check of volume; growth goes to ``logs`` (m, blocks, k), and where they
    have room, states (m, blocks, n), frames (m, blocks, k, n) and factors (m, blocks, k, k). The rest is work space."""
    k = F.shape[1]
    for member in range(X.shape[0]):
        step, until = 0, every * logs.shape[1]
        for m in range(SIZE):
            K[STAGES + 1, m] = X[member, m]
        while step < until:
            block, inside = step // every, step % every
            count = every - inside
            if k and clock[member, 0] < count:
                count = clock[member, 0]
            check = check_every > 0 and step >= clock[member, 1]
            for i in range(k):
                for m in range(SIZE):
                    V[i // WIDTH, m * WIDTH + i % WIDTH] = F[member, i, m]
            grown, done = 0.0, 0
            while done < count:
                t = step + done
                if t >= U.shape[0]:
                    t = U.shape[0] - 1
                for _ in range(substeps):
                    move(P, member, U, t, h, K, C)
                    for tile in range(V.shape[0]):
                        push(C, h, V, tile, KV)
                    if check:
                        grown += volume(C, h, J, KV)
                done += 1
                for m in range(SIZE):
                    if not abs(K[STAGES + 1, m]) < math.inf:
                        status[member, 0], status[member, 1] = STATE_LOST, step + done
                if status[member, 0]:
                    break
            if status[member, 0]:
                break
            if k:
                for i in range(k):
                    for m in range(SIZE):
                        G[i, m] = V[i // WIDTH, m * WIDTH + i % WIDTH]
                worst = orthonormalise(G, R, last)
                faint = False
                for i in range(k):
                    faint |= worst > 0.0 and last[i] < FAINT
                if count > 1 and (worst < LEAST or faint):  # too long since the last QR: again, with fewer steps
                    clock[member, 0] = count // 2
                    for m in range(SIZE):
                        K[STAGES + 1, m] = X[member, m]
                    continue
                if worst <= 0.0:
                    status[member, 0], status[member, 1] = (COLLAPSED if worst == 0.0 else TANGENT_LOST), step + 1
                    break
                for i in range(k):
                    logs[member, block, i] += last[i]
                    for m in range(SIZE):
                        F[member, i, m] = G[i, m]
                wanted = count * LOG_AIM / math.log(worst) if worst < 0.999 else math.inf
                longest = LONGEST if 2 * clock[member, 0] > LONGEST else 2 * clock[member, 0]
                clock[member, 0] = longest if wanted > longest else 1 if wanted < 1.0 else int(wanted)
                if factors.shape[1]:
                    if inside == 0:
                        for i in range(k):
                            for j in range(k):
                                S[i, j] = R[i, j]
                    else:
                        multiply(S, R)
                if check:
                    clock[member, 1] = step + count + count * check_every
                    sums[member, 1] += count
                    sums[member, 0] -= grown
                    for i in range(k):
                        sums[member, 0] += last[i]
            step += count
            for m in range(SIZE):
                X[member, m] = K[STAGES + 1, m]
            if inside + count == every:
                if states.shape[1]:
                    for m in range(SIZE):
                        states[member, block, m] = X[member, m]
                if frames.shape[1]:
                    for i in range(k):
                        for m in range(SIZE):
                            frames[member, block, i, m] = F[member, i, m]
                if factors.shape[1]:
                    for i in range(k):
                        for j in range(k):
                            factors[member, block, i, j] = S[i, j]
