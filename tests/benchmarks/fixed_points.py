"""Fixed points of a GRU from many starts at once, against scipy's hybrid method start by start.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.fixed_points [--units 32 128] [--starts 400]
     [--peer 20]
Processor time of one start. The claim, as a ratio in one run: at 32 units five times faster than
``scipy.optimize.root`` with the exact Jacobian, at 128 units 2.5 times (6.8 and 2.9 were measured).
"""

import argparse
import time

import numpy as np
from scipy.optimize import root

import dynmem as dm


def per_start(system, starts):
    """Processor seconds of dm.fixed_points for a start."""
    before = time.process_time()
    found = dm.fixed_points(system, starts=starts)
    spent = time.process_time() - before
    return spent / int(found.converged + found.lost)


def per_start_of_scipy(system, starts):
    """The same of scipy from states that orbits visit."""
    u = np.zeros(system.inputs)
    x = np.random.default_rng(0).uniform(-1, 1, (starts, system.size))
    eye = np.eye(system.size)
    before = time.process_time()
    for start in x:
        root(lambda y: system.rule(y, u) - y, start, jac=lambda y: dm.jacobian(system, y, u) - eye)
    return (time.process_time() - before) / starts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--starts", type=int, default=400)
    parser.add_argument("--peer", type=int, default=20)
    options = parser.parse_args()
    dm.fixed_points(dm.models.get("gru", units=2, inputs=1), starts=10)  # imports
    for units in options.units:
        system = dm.models.get("gru", units=units, inputs=3, gain=3.0, rng=1)
        ours, peer = per_start(system, options.starts), per_start_of_scipy(system, options.peer)
        print(
            f"{units:4d} units: {1e3 * ours:.2f} ms a start, scipy {1e3 * peer:.2f} ms, "
            f"{peer / ours:.1f} times faster"
        )


if __name__ == "__main__":
    main()
