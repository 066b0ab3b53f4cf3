"""Sequences a second that each task draws, beside a plain fill of the same arrays and the
concatenation of published code.

Run: python -m tests.benchmarks.tasks [--delay 100] [--count 10000]
"""

import argparse
import time

import numpy as np

from dynmem import tasks


def seconds(function, repeats=7):
    """Least processor time of several runs: the one that nothing disturbed."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def concatenate(count, delay, rng):
    """The copy task as published code makes it: float64 pieces, joined."""
    symbols = rng.integers(1, 9, size=(count, 10)).astype(float)
    marker, blanks = np.full((count, 1), 9.0), np.zeros((count, 10))
    inputs = np.concatenate((symbols, np.zeros((count, delay - 1)), marker, blanks), axis=1)
    return inputs, np.concatenate((blanks, np.zeros((count, delay)), symbols), axis=1)


def main():
    """Print one row a task and form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=int, default=100)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    rng, count = np.random.default_rng(0), options.count
    cases = {f"copy {layout}": tasks.Copy(options.delay, layout) for layout in tasks.LAYOUTS}
    n = options.delay
    cases |= {
        "adding": tasks.Adding(n),
        "selective_copy": tasks.SelectiveCopy(n, length=10),
        "delayed_match": tasks.DelayedMatch(n),
        "n_back": tasks.NBack(steps=n),
        "flip_flop": tasks.FlipFlop(n),
        "parity": tasks.Parity(n),
        "induction": tasks.Induction(n),
        "recall": tasks.AssociativeRecall(pairs=8, delay=max(n - 24, 0)),
        "questions": tasks.Questions(facts=2, sentences=max(n // 3, 2)),
    }
    print(
        f"delay {options.delay}, {count} sequences a "
        f"draw\n{'task':16}{'form':18}{'sequences/s':>12}{'fill/this':>12}"
    )
    for name, task in cases.items():
        drawn = task.arrays(count, rng)
        fill = seconds(lambda drawn=drawn: [np.full(a.shape, 1, a.dtype) for a in drawn])
        row(name, "arrays", seconds(lambda task=task: task.arrays(count, rng)), fill, count)
        row(
            name,
            "a part of arrays",
            seconds(lambda task=task: task.arrays(count, rng, part="train")),
            fill,
            count,
        )
        encoded = seconds(lambda task=task: task.encode(task.arrays(count, rng)[0], np.float32))
        fill = seconds(lambda task=task: np.full((count, task.steps, task.inputs), 1, np.float32))
        row(name, "encoded float32", encoded, fill, count)
    fill = seconds(lambda: [np.full((count, options.delay + 20), 1.0) for _ in range(2)])
    row(
        "copy, published",
        "concatenated",
        seconds(lambda: concatenate(count, options.delay, rng)),
        fill,
        count,
    )


def row(name, form, taken, fill, count):
    """One line: the rate, and a plain fill of the same arrays as a share of the time."""
    print(f"{name:16}{form:18}{count / taken:12.3g}{fill / taken:12.2f}")


if __name__ == "__main__":
    main()
