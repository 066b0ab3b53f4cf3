"""Lyapunov spectra of small systems by machine code, against jitcode and scipy's solve_ivp with variational equations.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.chaos [--rounds 3]
jitcode is left out where it is not installed: pip install jitcode in a throw-away environment. solve_ivp runs a part, and its time is scaled.
Goals for Lorenz-63, full spectrum, T = 1000: 40 times faster than jitcode, 500 times faster than solve_ivp;
Lorenz-96 of 40 units, T = 200: 4 times faster than jitcode; 1,000 parameters on two cores 1.8 times faster than on one.
"""

import argparse
import importlib.util
import time

import numpy as np

import dynmem as dm


def timed(function):
    """Seconds of wall clock, and the result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def ours(name, duration, rounds, **parameters):
    """First call and median of the next ones, with the first exponent."""
    system = dm.systems.get(name, **parameters)
    run = lambda: dm.lyapunov_spectrum(system, duration=duration, transient=duration / 10)  # noqa: E731
    first, _ = timed(run)
    later = [timed(run) for _ in range(rounds)]
    return first, float(np.median([t for t, _ in later])), later[-1][1].lyapunov.values


def by_solve_ivp(duration):
    """Lorenz-63 and its variational equations by DOP853 (rtol 1e-9), a QR every unit of time."""
    from scipy.integrate import solve_ivp

    lorenz = dm.systems.get("lorenz63")

    def velocity(t, y):
        x, V = y[:3], y[3:].reshape(3, 3)
        a, b, c = x
        J = np.array([[-10.0, 10.0, 0.0], [28.0 - c, -1.0, -a], [b, a, -8 / 3]])
        return np.concatenate([lorenz.rule(x, None), (J @ V).ravel()])

    x, V, logs = lorenz.initial(0), np.eye(3), np.zeros(3)
    for _ in range(int(duration)):
        y = solve_ivp(velocity, (0.0, 1.0), np.concatenate([x, V.ravel()]), method="DOP853", rtol=1e-9, atol=1e-9).y[:, -1]
        V, R = np.linalg.qr(y[3:].reshape(3, 3))
        x, logs = y[:3], logs + np.log(np.abs(np.diag(R)))
    return logs / duration


def jitcode_lorenz63():
    from jitcode import y

    return [10 * (y(1) - y(0)), y(0) * (28 - y(2)) - y(1), y(0) * y(1) - 8 / 3 * y(2)]


def jitcode_lorenz96():
    from jitcode import y

    return [(y((i + 1) % 40) - y((i - 2) % 40)) * y((i - 1) % 40) - y(i) + 8 for i in range(40)]


def by_jitcode(right, start, duration):
    """jitcode_lyap with its default dopri5: seconds to compile, seconds to run, exponents."""
    from jitcode import jitcode_lyap

    compiling, ode = timed(lambda: made(jitcode_lyap(right, n_lyap=len(start), verbose=False)))
    ode.set_initial_value(start, 0.0)
    running, rates = timed(lambda: [ode.integrate(t)[1] for t in np.arange(1.0, duration + 1)])
    return compiling, running, np.mean(rates[len(rates) // 10 :], axis=0)


def made(ode):
    ode.set_integrator("dopri5")
    ode.compile_C()
    return ode


def line(what, seconds, ratio=None, note=""):
    print(f"{what:<44}{seconds * 1e3:12.1f} ms{'' if ratio is None else f'{ratio:10.1f} times':>16}   {note}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    first, lorenz, exponents = ours("lorenz63", 1000, rounds)
    line("Lorenz-63, T=1000", lorenz, note=f"first call of this process {first:.2f} s, lambda_1 {exponents[0]:.4f}")
    scaled, found = timed(lambda: by_solve_ivp(20))
    line("  solve_ivp (T=20, scaled)", scaled * 50, scaled * 50 / lorenz, f"lambda_1 {found[0]:.3f}")
    first96, lorenz96, exponents96 = ours("lorenz96", 200, rounds)
    if importlib.util.find_spec("jitcode"):
        compiling, running, found = by_jitcode(jitcode_lorenz63(), [1.0, 1.0, 20.0], 1000)
        line("  jitcode", running, running / lorenz, f"compiled in {compiling:.1f} s, lambda_1 {found[0]:.4f}")
        line("Lorenz-96, 40 units, T=200", lorenz96, note=f"first call of this process {first96:.2f} s, lambda_1 {exponents96[0]:.3f}")
        compiling, running, found = by_jitcode(jitcode_lorenz96(), 8 + np.random.default_rng(0).standard_normal(40), 200)
        line("  jitcode", running, running / lorenz96, f"compiled in {compiling:.1f} s, lambda_1 {found[0]:.3f}")
    _, henon, exponents = ours("henon", 1_000_000, rounds)
    line("Henon, 1e6 steps", henon, note=f"lambda_1 {exponents[0]:.5f}")
    systems = [dm.systems.get("lorenz63", rho=rho) for rho in np.linspace(25.0, 60.0, 1000)]
    runs = {w: min(timed(lambda w=w: dm.lyapunov_spectrum(systems, duration=200, workers=w))[0] for _ in range(2)) for w in (1, 2)}
    line("1,000 Lorenz parameters, T=200, two cores", runs[2], runs[1] / runs[2], "one core over two")
    seconds, _ = timed(lambda: dm.orbit(dm.systems.get("lorenz63"), duration=50_000, dt=0.05))
    line("Lorenz-63, 1e6 samples of an orbit", seconds)


if __name__ == "__main__":
    main()
