"""Lyapunov spectra of small systems by machine code, against heyoka, jitcode, diffrax, jax,
lyapynov and scipy in the same run.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.chaos [--rounds 5] [--quick] Peers that are not
installed are left out; for all of them, in a throw-away environment: pip install heyoka jitcode
diffrax "jax[cpu]" lyapynov. Goals for Lorenz-63, full spectrum, T = 1000: 40 times faster than
jitcode, 10 than heyoka, 500 than lyapynov and solve_ivp; Henon, 1e6 steps: 500 times faster than
lyapynov; Lorenz-96 of 40 units, T = 200: 4 times faster than jitcode, 15 than heyoka, not slower
than jax; first call below 2.5 s (three states) and 5 s (forty), from the cache below 0.3 s; 1,000
parameters on two cores 1.8 times faster than on one.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile

import numpy as np

import dynmem as dm
from tests.benchmarks.peers import PEERS, henon_by_lyapynov, timed

RUNS = {"lorenz63": (1000, 100, -41 / 3), "lorenz96": (200, 20, -40.0)}
# run a part as long, and scale
LONG = {("lorenz63", "scipy"): 10, ("lorenz96", "scipy"): 20, ("lorenz96", "diffrax"): 1}
FIRST = """
import time
import numpy, scipy.linalg, xarray, numba
import dynmem as dm
system, start = dm.systems.get("{name}"), time.perf_counter()
dm.lyapunov_spectrum(system, duration={duration})
print(time.perf_counter() - start)
"""


def ours(name, duration, transient, rounds):
    """Median of calls, with the exponents."""
    system = dm.systems.get(name)
    dm.lyapunov_spectrum(system, duration=duration, transient=transient)
    runs = [
        timed(lambda: dm.lyapunov_spectrum(system, duration=duration, transient=transient))
        for _ in range(rounds)
    ]
    return float(np.median([t for t, _ in runs])), runs[-1][1].lyapunov.values


def first_calls(name, duration):
    """Seconds of the first call in a process, without and with a cache; numba, scipy and xarray
    imported before."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        command = [sys.executable, "-c", FIRST.format(name=name, duration=duration)]
        return [
            float(
                subprocess.run(
                    command, env=environment, capture_output=True, text=True, check=True
                ).stdout
            )
            for _ in range(2)
        ]


def line(what, seconds, ratio=None, note=""):
    print(
        f"{what:<44}{seconds * 1e3:12.1f} "
        f"ms{'' if ratio is None else f'{ratio:10.1f} times':>16}   {note}",
        flush=True,
    )


def spectra(rounds, quick):
    """Whole spectra of two flows, ours and the peers' in turn."""
    for name, (duration, transient, total) in RUNS.items():
        own, found = ours(name, duration, transient, rounds)
        line(
            f"{name}, T={duration}",
            own,
            note=f"lambda_1 {found[0]:.4f}, sum rule broken by {abs(found.sum() - total):.0e}",
        )
        for peer, run in PEERS.items():
            if importlib.util.find_spec(peer):
                part = LONG.get((name, peer), 1) * (10 if quick else 1)
                compiling, running, found = run(name, duration / part, transient / part)
                again, _ = ours(name, duration, transient, rounds)
                line(
                    f"  {peer}{f' (T={duration / part:g}, scaled)' if part > 1 else ''}",
                    running * part,
                    2 * running * part / (own + again),
                    f"compiled in {compiling:.1f} s, lambda_1 {found[0]:.4f}, sum rule broken by "
                    f"{abs(found.sum() - total):.0e}",
                )


def henon(rounds, quick):
    """A million steps of a map."""
    own, found = ours("henon", 1_000_000, 1000, rounds)
    line("henon, 1e6 steps", own, note=f"lambda_1 {found[0]:.5f}")
    if importlib.util.find_spec("lyapynov"):
        steps = 20_000 if quick else 1_000_000
        _, running, found = henon_by_lyapynov(steps)
        running *= 1e6 / steps
        line(
            f"  lyapynov{f' ({steps} steps, scaled)' if quick else ''}",
            running,
            running / own,
            f"lambda_1 {found[0]:.5f}",
        )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--quick", action="store_true", help="the peers for a tenth of the time, scaled"
    )
    options = parser.parse_args()
    spectra(options.rounds, options.quick)
    henon(options.rounds, options.quick)
    for name, duration in (("lorenz63", 200), ("lorenz96", 20)):
        first, cached = first_calls(name, duration)
        line(f"{name}, first call of a process", first, note=f"with a cache {cached:.2f} s")
    systems = [dm.systems.get("lorenz63", rho=rho) for rho in np.linspace(25.0, 60.0, 1000)]
    runs = {
        w: min(
            timed(lambda w=w: dm.lyapunov_spectrum(systems, duration=200, workers=w))[0]
            for _ in range(3)
        )
        for w in (1, 2)
    }
    line(
        "1,000 Lorenz parameters, T=200, two cores", runs[2], runs[1] / runs[2], "one core over two"
    )
    seconds, _ = timed(lambda: dm.orbit(dm.systems.get("lorenz63"), duration=50_000, dt=0.05))
    line("lorenz63, 1e6 samples of an orbit", seconds)


if __name__ == "__main__":
    main()
