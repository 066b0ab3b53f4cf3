"""The loops around a program of machine code: a frame of tangent vectors along an orbit, and a QR
as often as its condition asks.

``stepping`` makes the program of a system's step; ``advance`` calls it by its address. Frames are
rows (k, n) between two QRs; inside a step they are cut into tiles of some directions, (n, width)
each, so that every operation of the rule works on neighbouring numbers. Plain loops over arrays
that are passed in, and ``advance`` in one piece, since numba compiles a loop quickly and takes its
time for each function; compiled once on a machine, whatever the system.
"""

import math

import numba
from numba.extending import intrinsic, register_jitable

FAST = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
FINE, STATE_LOST, TANGENT_LOST, COLLAPSED, TOO_MANY_PARTS = 0, 1, 2, 3, 4
# what a program says of the growth of volume: nothing where there is none
NO_VOLUME, LOGARITHM, JACOBIAN = 0, 1, 2
# as in analysis.growth and analysis.frame
LOG_TARGET_SHARE, MIN_ROW_SHARE, MIN_LOG_GROWTH, MAX_STEPS_BETWEEN_QR, ROUNDING_ERROR = (
    math.log(1e-4),
    1e-6,
    -600.0,
    64,
    9e-16,
)
# as in integrate.runge_kutta; the share is of a squared error
SMALLEST_PART, GROWTH_SHARE, MAX_PARTS = 2.0**-30, 2.0**-18, 20_000


@intrinsic
def advance_steps(typing, code, x, v, p, u, first, last, t, h, count, substeps, tiles, check, g, e):
    """``advance_steps`` of a program at the address ``code``; ``first`` is the entry of p at which
    the parameters begin."""
    from llvmlite import ir

    whole, real, pointer = ir.IntType(64), ir.DoubleType(), ir.DoubleType().as_pointer()

    def call(context, builder, signature, values):
        def start(i):
            return context.make_array(signature.args[i])(context, builder, values[i]).data

        data = [start(1), start(2), builder.gep(start(3), [values[5]]), start(4)]
        kind = ir.FunctionType(
            whole, [pointer] * 4 + [whole, whole, real] + [whole] * 4 + [pointer] * 2
        )
        return builder.call(
            builder.inttoptr(values[0], kind.as_pointer()),
            [*data, *values[6:13], start(13), start(14)],
        )

    return (
        numba.int64(code, x, v, p, u, first, last, t, h, count, substeps, tiles, check, g, e),
        call,
    )


# a sum may take several numbers at once
@register_jitable(**FAST | {"fastmath": {"contract", "reassoc"}})
def dot(F, i, j):
    total = 0.0
    for m in range(F.shape[1]):
        total += F[i, m] * F[j, m]
    return total


@register_jitable(**FAST)
def orthonormalise(F, R, logs):
    """Gram-Schmidt on the rows of F in place: F = R Q, R lower triangular; ``logs`` are ln R_ii.
    Returns the least share of its length that a row has kept, 0 where one is lost or has grown too
    faint, -1 where one is not finite. A row that loses more than half is freed from the others
    twice (Giraud et al. 2005)."""
    worst = 1.0
    for i in range(F.shape[0]):
        scale = 0.0
        for m in range(F.shape[1]):
            size = abs(F[i, m])
            if not size < math.inf:
                return -1.0
            if size > scale:
                scale = size
        if scale == 0.0:
            return 0.0
        if 1e-140 < scale < 1e140:
            scale = 1.0
        else:  # its square would under- or overflow
            for m in range(F.shape[1]):
                F[i, m] /= scale
        before = math.sqrt(dot(F, i, i))
        length, last, passes = before, math.inf, 0
        for j in range(F.shape[0]):
            R[i, j] = 0.0
        while i and passes < 2 and length < 0.5 * last:
            for j in range(i):
                r = dot(F, j, i)
                R[i, j] += r * scale
                for m in range(F.shape[1]):
                    F[i, m] -= r * F[j, m]
            last, length, passes = length, math.sqrt(dot(F, i, i)), passes + 1
        if length < ROUNDING_ERROR * before * math.sqrt(F.shape[1]):
            return 0.0
        if length < worst * before:
            worst = length / before
        inverse = 1.0 / length
        for m in range(F.shape[1]):
            F[i, m] *= inverse
        R[i, i] = length * scale
        logs[i] = math.log(length) if scale == 1.0 else math.log(length) + math.log(scale)
    return worst


@register_jitable(**FAST)
def multiply(S, R):
    """S R for lower triangular matrices, in the place of S."""
    for i in range(S.shape[0]):
        for j in range(i + 1):
            total = 0.0
            for m in range(j, i + 1):
                total += S[i, m] * R[m, j]
            # entries to the right of j are still the old ones, and those to the left are not asked
            # for again
            S[i, j] = total


@register_jitable(**FAST)
def log_determinant(J):
    """ln |det J| by elimination, in place."""
    total = 0.0
    for i in range(J.shape[0]):
        pivot = i
        for j in range(i + 1, J.shape[0]):
            if abs(J[j, i]) > abs(J[pivot, i]):
                pivot = j
        if J[pivot, i] == 0.0:
            return -math.inf
        for m in range(J.shape[0]):
            J[i, m], J[pivot, m] = J[pivot, m], J[i, m]
        total += math.log(abs(J[i, i]))
        for j in range(i + 1, J.shape[0]):
            r = J[j, i] / J[i, i]
            for m in range(i, J.shape[0]):
                J[j, m] -= r * J[i, m]
    return total


# One function of one loop: its parts would pass these thirty arrays and counters to each other.
def advance(
    code,
    volume,
    X,
    F,
    P,
    U,
    h,
    substeps,
    tolerance,
    clock,
    every,
    check_every,
    logs,
    states,
    frames,
    factors,
    sums,
    status,
    x,
    V,
    G,
    J,
    R,
    S,
    last,
    e,
    y,
    W,
):
    """Members one after another, each over blocks of ``every`` steps: X (m, n) and F (m, k, n) in
    place, P (m, parameters), U (steps or 1, inputs); ``clock`` (m, 3): steps between two QRs, step
    of the next check of volume, and j of the parts 2^-j into which a step is cut where its squared
    error is above ``tolerance`` (0: steps of one size). Growth goes to ``logs`` (m, blocks, k), and
    where they have room, states (m, blocks, n), frames (m, blocks, k, n) and factors (m, blocks, k,
    k). The rest is work space: x (1, n), V (tiles, n width), G (k, n), J (n, n), R and S (k, k),
    last (k), e (1), y and W like x and V."""
    k, n = F.shape[1], X.shape[1]
    width, tiles, newest = V.shape[1] // n, V.shape[0], U.shape[0] - 1
    for member in range(X.shape[0]):
        step, until, first = 0, every * logs.shape[1], member * P.shape[1]
        while step < until:
            block, inside = step // every, step % every
            count = every - inside
            if (k or tolerance > 0.0) and clock[member, 0] < count:
                count = clock[member, 0]
            if clock[member, 2]:
                count = 1
            check = check_every > 0 and step >= clock[member, 1]
            for m in range(n):
                x[0, m] = X[member, m]
            for i in range(k):
                for m in range(n):
                    V[i // width, m * width + i % width] = F[member, i, m]
            grown, done, parts, e[0] = 0.0, 0, 0, 0.0
            if clock[member, 2]:
                part, reached = 0.5 ** clock[member, 2], 0.0
                while reached < 1.0 and parts < MAX_PARTS:
                    for m in range(n):
                        y[0, m] = x[0, m]
                    for i in range(tiles):
                        for m in range(V.shape[1]):
                            W[i, m] = V[i, m]
                    e[0], J[0, 0], parts = 0.0, 0.0, parts + 1
                    done = advance_steps(
                        code,
                        x,
                        V,
                        P,
                        U,
                        first,
                        newest,
                        step,
                        h * part,
                        1,
                        substeps,
                        tiles,
                        1 if check else 0,
                        J,
                        e,
                    )
                    if done and e[0] <= tolerance:
                        if volume == LOGARITHM:
                            grown += J[0, 0]
                        reached += part
                        if e[0] < GROWTH_SHARE * tolerance and reached % (2.0 * part) == 0.0:
                            part *= 2.0
                            clock[member, 2] -= 1
                    elif part <= SMALLEST_PART:
                        break
                    else:
                        part *= 0.5
                        clock[member, 2] += 1
                        for m in range(n):
                            x[0, m] = y[0, m]
                        for i in range(tiles):
                            for m in range(V.shape[1]):
                                V[i, m] = W[i, m]
                if reached < 1.0 and done:
                    status[member, 0], status[member, 1] = TOO_MANY_PARTS, step + 1
                    break
            elif check:
                while done < count:
                    J[0, 0] = 0.0
                    if (
                        advance_steps(
                            code,
                            x,
                            V,
                            P,
                            U,
                            first,
                            newest,
                            step + done,
                            h,
                            1,
                            substeps,
                            tiles,
                            1,
                            J,
                            e,
                        )
                        == 0
                    ):
                        break
                    if volume == LOGARITHM:
                        grown += J[0, 0]
                    elif volume == JACOBIAN:
                        grown += log_determinant(J)
                    done += 1
            else:
                done = advance_steps(
                    code, x, V, P, U, first, newest, step, h, count, substeps, tiles, 0, J, e
                )
            # too long a step, or out of what is finite by one: fewer steps, then parts of one
            if tolerance > 0.0 and not parts and (e[0] > tolerance or done < count):
                if count > 1:
                    clock[member, 0] = count // 2
                else:
                    clock[member, 2] = 1
                continue
            if done < count:
                status[member, 0], status[member, 1] = STATE_LOST, step + done + 1
                break
            if k:
                for i in range(k):
                    for m in range(n):
                        G[i, m] = V[i // width, m * width + i % width]
                worst = orthonormalise(G, R, last)
                faint = False
                for i in range(k):
                    faint |= worst > 0.0 and last[i] < MIN_LOG_GROWTH
                # too long since the last QR: again, with fewer steps
                if count > 1 and (worst < MIN_ROW_SHARE or faint):
                    clock[member, 0] = count // 2
                    continue
                if worst <= 0.0:
                    status[member, 0], status[member, 1] = (
                        (COLLAPSED if worst == 0.0 else TANGENT_LOST),
                        step + 1,
                    )
                    break
                for i in range(k):
                    logs[member, block, i] += last[i]
                    for m in range(n):
                        F[member, i, m] = G[i, m]
                wanted = count * LOG_TARGET_SHARE / math.log(worst) if worst < 0.999 else math.inf
                longest = (
                    MAX_STEPS_BETWEEN_QR
                    if 2 * clock[member, 0] > MAX_STEPS_BETWEEN_QR
                    else 2 * clock[member, 0]
                )
                clock[member, 0] = (
                    longest if wanted > longest else 1 if wanted < 1.0 else int(wanted)
                )
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
            elif tolerance > 0.0 and 2 * clock[member, 0] <= MAX_STEPS_BETWEEN_QR:
                clock[member, 0] *= 2
            step += count
            for m in range(n):
                X[member, m] = x[0, m]
            if inside + count == every:
                if states.shape[1]:
                    for m in range(n):
                        states[member, block, m] = X[member, m]
                if frames.shape[1]:
                    for i in range(k):
                        for m in range(n):
                            frames[member, block, i, m] = F[member, i, m]
                if factors.shape[1]:
                    for i in range(k):
                        for j in range(k):
                            factors[member, block, i, j] = S[i, j]


_1, _2, _3, _4 = (numba.types.Array(numba.float64, dims, "C") for dims in (1, 2, 3, 4))
_whole, _wholes = numba.int64, numba.types.Array(numba.int64, 2, "C")
advance.signature = numba.void(  # type: ignore[attr-defined]
    _whole,
    _whole,
    _2,
    _3,
    _2,
    _2,
    numba.float64,
    _whole,
    numba.float64,
    _wholes,
    _whole,
    _whole,
    _3,
    _3,
    _4,
    _4,
    _2,
    _wholes,
    *(_2,) * 6,
    _1,
    _1,
    _2,
    _2,
)
