"""Orbit samples a second of Lorenz-63 as a dataset, beside scipy's adaptive integrator and beside
the fill of the same arrays.

Run: python -m tests.benchmarks.datasets [--samples 2000000]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import dynmem as dm
from tests.benchmarks.harness import medians

PEER = 2000  # samples of scipy's, which is slow


def main():
    """Print one row a form; seconds are of processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2_000_000)
    samples = parser.parse_args().samples
    system, d = dm.systems.get("lorenz63"), dm.datasets.load("lorenz63", samples=PEER)
    step, start = d.attrs["sampling_step"], d.x.values[0]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "orbit.nc")
        forms = {
            "load": (lambda: dm.datasets.load("lorenz63", samples=samples), samples),
            "load, save": (
                lambda: dm.datasets.save(dm.datasets.load("lorenz63", samples=samples), file),
                samples,
            ),
            "verify, open, read": (lambda: dm.datasets.open(file).load().close(), samples),
            "fill of the same arrays": (lambda: np.full((samples, 4), 1.0), samples),
            "scipy, rtol 1e-10": (
                lambda: dm.orbit(system, start, duration=PEER * step, dt=step, rtol=1e-10),
                PEER,
            ),
        }
        taken = medians([function for function, _ in forms.values()], rounds=3)
    rates = {
        name: count / seconds
        for (name, (_, count)), seconds in zip(forms.items(), taken, strict=True)
    }
    print(f"lorenz63, {samples} samples at {step:.4f}\n{'form':26}{'samples/s':>12}{'of load':>12}")
    for name, rate in rates.items():
        print(f"{name:26}{rate:12.3g}{rate / rates['load']:12.3g}")


if __name__ == "__main__":
    main()
