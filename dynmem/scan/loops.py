"""Shared by the loops of the scans: precision, compiler options, exponential, pieces of a sequence.

The loops are source text that ``launch`` completes for one precision and compiles with numba: this
file, with other values between the two rulers, and then what comes after the ruler of
``linear_loops``, ``channel_loops`` or ``selective_loops``.

No two arrays of a kernel overlap, which ``Restrict`` states to LLVM: it then keeps coefficients and
state in registers and needs no test for overlap, which costs more than a short loop itself.
Channels are processed in blocks of ``LANES``, one or two SIMD vectors; time in pieces of
``STEPS_PER_CHUNK`` steps, at whose starts the state is kept, so that the backward pass recomputes
the states of one piece and holds no more of them.

A kernel works on the blocks p0 <= p < p1 of batch x channels, which do not depend on the number of
threads: nor does any bit of a result.
"""

import math

import numba
import numpy as np
from numba.core.compiler import Compiler

from dynmem.runtime.jit import late

# ------------------------------------------------------------------------------------------
REAL, INTEGER, EXACT, LANES, STEPS_PER_CHUNK = np.float64, np.int64, False, 32, 64
# ------------------------------------------------------------------------------------------


class Restrict(Compiler):
    """numba's compiler with the flag that no two arrays of a function overlap."""

    def define_pipelines(self):
        self.state.flags.noalias = True
        return super().define_pipelines()


# options of numba.njit; ``runtime.jit.machine_code`` reads them by this name
FAST = {
    "error_model": "numpy",
    "fastmath": {"contract"},
    "nogil": True,
    "pipeline_class": Restrict,
}
# sums may be reordered, so that they are vectorised
REORDERED_SUMS = FAST | {"fastmath": {"contract", "reassoc"}}
F, N = numba.from_dtype(np.dtype(REAL)), numba.int64
F1, F2, F3, F4, F5 = (numba.types.Array(F, dims, "C") for dims in range(1, 6))
# sums over time, in which float32 would lose digits
D2, D3, D4 = (numba.types.Array(numba.float64, dims, "C") for dims in range(2, 5))

DOUBLE = REAL is np.float64
MANTISSA_BITS, EXPONENT_BIAS = (52, 1023) if DOUBLE else (23, 127)
# to add ROUNDING_SHIFT leaves the nearest whole number in the lowest bits
ROUNDING_SHIFT, INVERSE_LN2 = REAL(1.5 * 2.0**MANTISSA_BITS), REAL(1 / math.log(2))
LN2_HIGH, LN2_LOW = (
    (REAL(6.93147180369123816490e-01), REAL(1.90821492927058770002e-10))
    if DOUBLE
    else (REAL(0.693359375), REAL(-2.12194440e-4))
)
MAX_ARGUMENT, MIN_ARGUMENT = (REAL(709.3), REAL(-708.3)) if DOUBLE else (REAL(88.3), REAL(-87.3))
ZERO, HALF, ONE, INFINITY = REAL(0), REAL(0.5), REAL(1), REAL(math.inf)
# of exp(r), highest power first
EXP_COEFFICIENTS = tuple(REAL(1 / math.factorial(k)) for k in range(13 if DOUBLE else 7, 1, -1))
# of the slope of (exp(z) - 1)/z
SLOPE_COEFFICIENTS = tuple(
    REAL((k + 1) / math.factorial(k + 2)) for k in range(14 if DOUBLE else 8, -1, -1)
)


@late(numba.types.UniTuple(F, 2)(F), **FAST)
def exponential(z):
    """exp(z) and exp(z) - 1, to an ulp or two: z = k ln 2 + r, a Taylor series in r, and 2^k
    through the bits. LLVM has no exp for vectors.

    Below MIN_ARGUMENT the first is 0, above MAX_ARGUMENT both are infinite.
    """
    shifted = REAL(z * INVERSE_LN2 + ROUNDING_SHIFT)
    k = shifted - ROUNDING_SHIFT
    r = (z - k * LN2_HIGH) - k * LN2_LOW
    p = ZERO
    for c in EXP_COEFFICIENTS:
        p = c + r * p
    p = r + r * r * p
    bits = INTEGER((shifted.view(INTEGER) << MANTISSA_BITS) + (EXPONENT_BIAS << MANTISSA_BITS))
    scale = bits.view(REAL)
    e, less = scale * p + scale, scale * p + (scale - ONE)
    e = ZERO if z < MIN_ARGUMENT else INFINITY if z > MAX_ARGUMENT else e
    less = -ONE if z < MIN_ARGUMENT else INFINITY if z > MAX_ARGUMENT else less
    return e, less


@late(numba.void(F1, F1, F1), **FAST)
def exponentials(z, e, less):  # of an array, for the tests
    for l in range(z.shape[0]):
        e[l], less[l] = exponential(z[l])


@late(numba.void(F3, N, N, N, F2), **FAST)
def load_piece(source, i, s, at, piece):
    """Copy steps from s and channels from ``at`` on into a piece (steps, LANES), padded with 0."""
    for t in range(min(STEPS_PER_CHUNK, source.shape[1] - s)):
        row = source[i, s + t, at : min(at + LANES, source.shape[2])]
        for l in range(row.shape[0]):
            piece[t, l] = row[l]
        for l in range(row.shape[0], LANES):
            piece[t, l] = ZERO


@late(numba.void(F2, N, N, N, F3), **FAST)
def store_piece(piece, i, s, at, target):
    """Copy a piece back to where ``load_piece`` reads it; the piece is 0 afterwards."""
    for t in range(min(STEPS_PER_CHUNK, target.shape[1] - s)):
        row = target[i, s + t, at : min(at + LANES, target.shape[2])]
        for l in range(row.shape[0]):
            row[l] = piece[t, l]
        for l in range(LANES):
            piece[t, l] = ZERO
