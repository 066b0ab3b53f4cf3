"""The same exponents by other packages: heyoka, jitcode, diffrax, jax, lyapynov, and scipy's
solve_ivp with variational equations.

Each function returns (seconds to compile, seconds to run, exponents). Frames are orthonormalised
every ``EVERY`` units of time, and adaptive integrators run at ``TOLERANCE``; how far the exponents
then break the sum rule is printed beside ours.
"""

import contextlib
import tempfile
import time

import numpy as np

TOLERANCE = 1e-9
# units of time between two QRs: the third exponent of Lorenz loses 3 digits of 16 in it
EVERY = 0.5


def timed(function):
    """Seconds of wall clock, and the result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def lorenz63(x):
    """The velocity of Lorenz-63 of any kind of numbers."""
    a, b, c = x
    return [10.0 * (b - a), a * (28.0 - c) - b, a * b - 8.0 / 3.0 * c]


def lorenz96(x):
    """The velocity of Lorenz-96."""
    n = len(x)
    return [(x[(i + 1) % n] - x[i - 2]) * x[i - 1] - x[i] + 8.0 for i in range(n)]


def jacobian63(x):
    a, b, c = x
    return np.array([[-10.0, 10.0, 0.0], [28.0 - c, -1.0, -a], [b, a, -8.0 / 3.0]])


def jacobian96(x):
    n = len(x)
    J, i = -np.eye(n), np.arange(n)
    J[i, (i + 1) % n] += x[i - 1]
    J[i, i - 2] -= x[i - 1]
    J[i, i - 1] += x[(i + 1) % n] - x[i - 2]
    return J


SYSTEMS = {
    "lorenz63": (lorenz63, jacobian63, [1.0, 1.0, 20.0]),
    "lorenz96": (lorenz96, jacobian96, 8 + np.random.default_rng(0).standard_normal(40)),
}


def rates(step, frame, duration, transient):
    """Exponents from step(frame), which pushes a frame (n, n) of columns over EVERY units of
    time."""
    total, n = np.zeros(len(frame)), round((duration + transient) / EVERY)
    for i in range(n):
        frame, R = np.linalg.qr(step(frame))
        if i * EVERY >= transient:
            total += np.log(np.abs(np.diag(R)))
    return total / duration


def by_solve_ivp(name, duration, transient):
    """scipy's DOP853 on state and tangents together."""
    from scipy.integrate import solve_ivp

    velocity, jacobian, start = SYSTEMS[name]
    n, state = len(start), np.array(start)

    def right(t, y):
        return np.concatenate([velocity(y[:n]), (jacobian(y[:n]) @ y[n:].reshape(n, n)).ravel()])

    def step(frame):
        nonlocal state
        y = solve_ivp(
            right,
            (0.0, EVERY),
            np.concatenate([state, frame.ravel()]),
            method="DOP853",
            rtol=TOLERANCE,
            atol=TOLERANCE,
        ).y[:, -1]
        state = y[:n]
        return y[n:].reshape(n, n)

    return 0.0, *timed(lambda: rates(step, np.eye(n), duration, transient))


def by_jitcode(name, duration, transient):
    """jitcode_lyap with dopri5, which orthonormalises at each call."""
    from jitcode import jitcode_lyap, y

    velocity, _, start = SYSTEMS[name]

    def make():
        ode = jitcode_lyap(
            velocity([y(i) for i in range(len(start))]), n_lyap=len(start), verbose=False
        )
        # its set-up reads the pyproject.toml it stands beside
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            ode.compile_C()
        ode.set_integrator("dopri5", rtol=TOLERANCE, atol=TOLERANCE)
        ode.set_initial_value(np.array(start), 0.0)
        return ode

    compiling, ode = timed(make)
    times = np.arange(1, round((duration + transient) / EVERY) + 1) * EVERY
    running, found = timed(lambda: [ode.integrate(t)[1] for t in times])
    return compiling, running, np.mean(found[round(transient / EVERY) :], axis=0)


def by_heyoka(name, duration, transient):
    """heyoka's Taylor integrator with its variational equations of first order."""
    import heyoka as hy

    velocity, _, start = SYSTEMS[name]
    n = len(start)

    def make():
        names = [f"x{i}" for i in range(n)]
        x = hy.make_vars(*names)
        system = hy.var_ode_sys(list(zip(x, velocity(x), strict=True)), hy.var_args.vars, order=1)
        return hy.taylor_adaptive(system, list(start), tol=TOLERANCE, compact_mode=n > 8)

    compiling, ta = timed(make)

    def step(frame):
        ta.state[n:] = frame.ravel()
        ta.propagate_for(EVERY)
        return ta.state[n:].reshape(n, n).copy()

    return compiling, *timed(lambda: rates(step, np.eye(n), duration, transient))


def by_diffrax(name, duration, transient):
    """diffrax's Dopri8 on state and tangents together, adaptive, all segments in one jitted
    scan."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    velocity, _, start = SYSTEMS[name]
    n = len(start)

    def right(t, y, args):
        x, V = y
        f = lambda x: jnp.stack(velocity(x))  # noqa: E731
        value, push = jax.linearize(f, x)
        return value, jax.vmap(push, in_axes=1, out_axes=1)(V)

    term, solver = diffrax.ODETerm(right), diffrax.Dopri8()
    control = diffrax.PIDController(rtol=TOLERANCE, atol=TOLERANCE)

    def segment(carry, _):
        x, V, dt = carry
        found = diffrax.diffeqsolve(
            term,
            solver,
            0.0,
            EVERY,
            dt,
            (x, V),
            stepsize_controller=control,
            saveat=diffrax.SaveAt(t1=True),
        )
        V, R = jnp.linalg.qr(found.ys[1][0])
        return (found.ys[0][0], V, dt), jnp.log(jnp.abs(jnp.diag(R)))

    return _scanned(jax, segment, (jnp.array(start), jnp.eye(n), 0.02), duration, transient)


def by_jax(name, duration, transient):
    """A fixed Runge-Kutta step of order 4 in a jitted scan, QR every EVERY: what one writes oneself
    in jax."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    velocity, _, start = SYSTEMS[name]
    n = len(start)
    # at which the sum rule holds as well as it does for us
    substeps = {"lorenz63": 100, "lorenz96": 40}[name]
    h = EVERY / substeps

    def field(x):
        return (
            jnp.stack(velocity(x))
            if n < 8
            else (jnp.roll(x, -1) - jnp.roll(x, 2)) * jnp.roll(x, 1) - x + 8.0
        )

    def right(y):
        value, push = jax.linearize(field, y[0])
        return value, jax.vmap(push, in_axes=1, out_axes=1)(y[1])

    def moved(y, k, h):
        return y[0] + h * k[0], y[1] + h * k[1]

    def step(y, _):
        a = right(y)
        b = right(moved(y, a, h / 2))
        c = right(moved(y, b, h / 2))
        d = right(moved(y, c, h))
        return tuple(
            p + h / 6 * (s + 2 * t + 2 * u + v) for p, s, t, u, v in zip(y, a, b, c, d, strict=True)
        ), None

    def segment(carry, _):
        (x, V), _ = jax.lax.scan(step, carry, None, length=substeps)
        V, R = jnp.linalg.qr(V)
        return (x, V), jnp.log(jnp.abs(jnp.diag(R)))

    return _scanned(jax, segment, (jnp.array(start), jnp.eye(n)), duration, transient)


def _scanned(jax, segment, carry, duration, transient):
    run = jax.jit(
        lambda carry: jax.lax.scan(
            segment, carry, None, length=round((duration + transient) / EVERY)
        )[1]
    )
    compiling, ready = timed(lambda: run.lower(carry).compile())
    running, logs = timed(lambda: np.asarray(ready(carry)))
    return compiling, running, logs[round(transient / EVERY) :].sum(axis=0) / duration


def by_lyapynov(name, duration, transient):
    """lyapynov's Runge-Kutta loop in Python, with its own default of one QR a step."""
    import lyapynov

    velocity, jacobian, start = SYSTEMS[name]
    system = lyapynov.ContinuousDS(
        np.array(start), 0.0, lambda x, t: np.array(velocity(x)), lambda x, t: jacobian(x), 0.01
    )
    return 0.0, *timed(
        lambda: lyapynov.LCE(
            system, len(start), round(transient / 0.01), round(duration / 0.01), False
        )
    )


def henon_by_lyapynov(steps):
    """The Henon map, both exponents."""
    import lyapynov

    system = lyapynov.DiscreteDS(
        np.array([0.1, 0.1]),
        0,
        lambda x, t: np.array([1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]]),
        lambda x, t: np.array([[-2.8 * x[0], 1.0], [0.3, 0.0]]),
    )
    running, found = timed(lambda: lyapynov.LCE(system, 2, 100, steps, False))
    return 0.0, running, np.asarray(found)


PEERS = {
    "jitcode": by_jitcode,
    "heyoka": by_heyoka,
    "diffrax": by_diffrax,
    "jax": by_jax,
    "lyapynov": by_lyapynov,
    "scipy": by_solve_ivp,
}
