"""What the benchmarks share: functions timed in turn, so that a busy machine slows all of them
alike, and the machine's own rate."""

import statistics
import time

import numpy as np


def medians(functions, rounds=7, clock=time.process_time):
    """Median seconds of each function, taken in turn after one call to warm up: of processor time,
    which other processes do not lengthen, or by another clock."""
    for function in functions:
        function()
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, taken in zip(functions, times, strict=True):
            start = clock()
            function()
            taken.append(clock() - start)
    return [statistics.median(taken) for taken in times]


def product(rows, inner, columns, seconds=0.01):
    """A function that multiplies (rows, inner) by (inner, columns) over and over, and how many
    floating-point operations it does."""
    rng, flops = np.random.default_rng(0), 2 * rows * inner * columns
    A, B, out = (
        rng.standard_normal((rows, inner)),
        rng.standard_normal((columns, inner)).T,
        np.empty((rows, columns)),
    )
    repeats = max(1, int(seconds * 2e10 / flops))

    def run():
        for _ in range(repeats):
            np.matmul(A, B, out=out)

    return run, flops * repeats
