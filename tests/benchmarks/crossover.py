"""Where scans (LRU, S4D) and the LSTM become cheaper to train than attention, over width and
length.

Run: python -m tests.benchmarks.crossover [--widths 16 32 64 128 256] [--longest 16384] [--batch 1]
[--threads 1] [--limit 0.5] The table: seconds forward and backward of one layer at each length, the
length from which on each trains faster than attention and than the LSTM, and where operations alone
would put the LSTM against attention with its projections, 2 d (``theory.cost_crossover``).
Attention's window is the whole sequence. A model that took longer than the limit is not tried at
greater lengths. Seen so far, at widths 64 and 256: from 1,024 steps on every one of them trains
faster than attention.
"""

import argparse

import numpy as np

import dynmem as dm
from dynmem.studies.cost_frontier import MIXERS, mixer_seconds


def lengths_to(longest):
    """Powers of two from 256 to the longest."""
    return [2**k for k in range(8, int(np.log2(longest)) + 1)]


def table(found, width):
    """Rows of one width: seconds over the length, and the crossovers."""
    predicted = float(dm.theory.cost_crossover("lstm", width, projections=True).crossover)
    rows = [
        f"{width} units"
        + "".join(f"{n:>10}" for n in found.length.values)
        + f"{'slope':>8}{'< attention':>14}{'< LSTM':>10}"
    ]
    for name in found.model.values:
        at = found.sel(model=name)
        cells = "".join(
            f"{1e3 * value:9.1f}m" if np.isfinite(value) else f"{'-':>10}"
            for value in at.training_seconds.values
        )
        crossings = [
            float(found.crossover.sel(model=other, versus=name)) if name != other else np.nan
            for other in ("attention", "lstm")
        ]
        rows.append(
            f"{name:9}{cells}{float(at.slope):8.2f}{crossings[0]:14.0f}{crossings[1]:10.0f}"
            + (f"   (by operations {predicted:.0f})" if name == "lstm" else "")
        )
    return "\n".join(rows)


def main():
    """Print a table a width."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--limit", type=float, default=0.5)
    for name, value in (("longest", 16384), ("batch", 1), ("threads", 1), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print(f"{options}; a crossover of 0: at every length, inf: at none", flush=True)
    for width in options.widths:
        found = mixer_seconds(
            width,
            lengths_to(options.longest),
            names=MIXERS,
            batch=options.batch,
            limit=options.limit,
            rounds=options.rounds,
            threads=options.threads,
        )
        print(table(found, width), flush=True)


if __name__ == "__main__":
    main()
