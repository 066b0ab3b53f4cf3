"""Working memory on paper: line and ring attractors, bistable units, competing populations."""

import numpy as np

from ..autodiff.jacobian import jacobian
from ..errors import ConvergenceError
from ..labels import dataset
from ..systems.attractors import FlipFlop, LineAttractor, RingAttractor
from ..systems.neural import CTRNN, WongWang
from .checks import count, finite, not_negative, number, positive, vector
from .results import lyapunov_report


def recall_report(time, mean, variance, *, title, source, parameters, **variables):
    """Dataset over time of what a readout of many trials tells: mean, variance, and the diffusion
    constant var(T)/(2 T) of its end."""
    last = int(np.argmax(time))
    diffusion = variance[last] / (2.0 * time[last]) if time[last] > 0 else np.nan
    made = {
        "mean_readout": ("time", mean, "1", "mean of the readout"),
        "variance": ("time", variance, "1", "variance of the readout over trials"),
        "diffusion": (
            (),
            float(diffusion),
            "1/time unit",
            "half the growth of the variance per unit of time",
        ),
    }
    return dataset(
        made | variables,
        {"time": ("time", time, "time unit", "time since the start")},
        title=title,
        source=source,
        parameters=parameters,
    )


def time_axis(time):
    """Times as a vector, none negative."""
    found = vector("time", time)
    if not (found.size and (np.isfinite(found) & (found >= 0)).all()):
        raise ValueError(f"time = {found.tolist()!s:.60}: pass finite times of at least 0")
    return found


def line_attractor(time, *, feedback=1.0, time_constant=1.0, units=1, diffusion=0.0, start=1.0):
    """Mean rate of a line attractor in noise: an Ornstein-Uhlenbeck process, at feedback 1 a
    diffusion.

    k = (1 - w)/tau;  mean(t) = start exp(-k t);  variance(t) = D/N (1 - exp(-2 k t))/k, 2 D t/N at
    w = 1: more neurons, longer memory.

    time: t >= 0; the arguments of ``LineAttractor``; diffusion D of each neuron (``Noisy``); start:
    mean rate at t = 0. Returns mean_readout(time), variance(time), diffusion, memory_time 1/k
    (infinite at w = 1), lyapunov(exponent). Source: Seung (1996), PNAS 93, 13339; Burak and Fiete
    (2012), PNAS 109, 17645, for the 1/N.

    >>> d = line_attractor([0.0, 10.0], feedback=0.9, diffusion=0.01)
    >>> d.mean_readout.values.round(6).tolist(), round(float(d.memory_time), 9)
    ([1.0, 0.367879], 10.0)
    """
    time, D, start = time_axis(time), not_negative("diffusion", diffusion), finite("start", start)
    line = LineAttractor(
        finite("feedback", feedback),
        positive("time_constant", time_constant),
        count("units", units),
    )
    k = (1.0 - line.feedback) / line.time_constant
    with np.errstate(over="ignore"):
        variance = (
            2.0 * D * time / line.units
            if k == 0
            else D / line.units * -np.expm1(-2.0 * k * time) / k
        )
        mean = start * np.exp(-k * time)
    exponents = [-k] + [-1.0 / line.time_constant] * (line.units - 1)
    given = {
        "title": "line attractor in noise",
        "source": LineAttractor.source,
        "parameters": line.parameters | {"diffusion": D, "start": start},
    }
    memory = (
        (),
        1.0 / k if k > 0 else np.inf,
        "time unit",
        "time in which the mean rate falls to 1/e",
    )
    return recall_report(time, mean, variance, memory_time=memory, **given).merge(
        lyapunov_report(exponents, per="1/time unit", **given)[["lyapunov"]],
        combine_attrs="override",
    )


def ring_flat(*, units=128, inhibition=-7.3, modulation=1.8, current=1.0, time_constant=1.0):
    """Spectrum of the flat state of a ring attractor, every unit active at r = I/(1 - J0), by
    Fourier modes:

    (J0 - 1)/tau for mode 0,  (J1/2 - 1)/tau for the cosine and the sine of mode 1,  -1/tau for the
    others.  A bump grows from J1 = 2 on.

    Arguments as for ``RingAttractor``; J0 < 1 and I > 0, or no flat state is active. Returns
    eigenvalue(mode) for the modes 0 .. N/2, lyapunov(exponent) of all N, rate, critical_modulation.
    Source: Ben-Yishai, Bar-Or and Sompolinsky (1995); Hansel and Sompolinsky (1998).

    >>> round(ring_flat().lyapunov.values[0].item(), 9)
    -0.1
    """
    ring = _ring(units, inhibition, modulation, current, time_constant)
    modes = np.arange(ring.units // 2 + 1)
    gain = np.where(modes == 0, ring.inhibition, np.where(modes == 1, ring.modulation / 2, 0.0))
    values = (gain - 1.0) / ring.time_constant
    copies = np.where((modes == 0) | (2 * modes == ring.units), 1, 2)
    report = lyapunov_report(
        np.repeat(values, copies),
        title="flat state of a ring attractor",
        source=RingAttractor.source,
        parameters=ring.parameters,
        per="1/time unit",
        rate=((), ring.current / (1.0 - ring.inhibition), "1", "rate of every unit"),
        eigenvalue=("mode", values, "1/time unit", "eigenvalue of a Fourier mode"),
        critical_modulation=((), 2.0, "1", "modulation at which the flat state becomes unstable"),
    )
    return report.assign_coords(mode=("mode", modes, {"units": "1", "long_name": "Fourier mode"}))


def _ring(units, inhibition, modulation, current, time_constant):
    ring = RingAttractor(
        finite("inhibition", inhibition),
        finite("modulation", modulation),
        positive("current", current),
        positive("time_constant", time_constant),
        count("units", units),
    )
    if ring.inhibition >= 1:
        raise ValueError(
            f"inhibition = {ring.inhibition}: must be below 1, or the mean activity "
            "grows without bound"
        )
    return ring


CENTRES = ("on a unit", "between units")


def ring_bump(*, units=128, inhibition=-7.3, modulation=4.0, current=1.0, time_constant=1.0):
    """The bump of a ring attractor and its spectrum, exactly as the lattice of N units has it.

    n units around the centre are active, at r_i = h0 + c cos(theta_i - psi); with S1, S2, S3 the
    sums of cos, cos^2, sin^2 over them
        h0 = I + J0 (n h0 + S1 c)/N,  c = J1 (S1 h0 + S2 c)/N,
    and tau times the eigenvalues is: J1 S3/N - 1 for a shift; those of ((J0 n, J0 S1), (J1 S1, J1
    S2))/N, less 1, for mean and height; -1 for all others. By symmetry psi lies on a unit (n odd)
    or between two (n even). For N to infinity the half-width obeys th - sin(2 th)/2 = 2 pi/J1, and
    a shift costs nothing; on the lattice it costs nothing only where J1 S3 = N. Where the centres
    differ, bumps drift to the stable one. A unit just at its threshold counts as active: at J1 = 4
    and N = 128 a bump on a unit has two of them, 65 in all, and the eigenvalue +4/N; the least
    shift silences one, and from there on costs nothing.

    Arguments as for ``RingAttractor``, J1 > 2. Returns over ``centre``: active, mean_rate, order
    (r1, the population vector's length), stable, lyapunov_at(centre, exponent); for the stable
    centre lyapunov(exponent), and half_width of the continuum (radian). Raises ConvergenceError
    where no bump of finite height exists. Source: derived here after Ben-Yishai, Bar-Or and
    Sompolinsky (1995) and Hansel and Sompolinsky (1998).

    >>> d = ring_bump()
    >>> d.active.values.tolist(), d.lyapunov_at.values[:, 0].round(5).tolist(), d.lyapunov.values[1].round(4).item()
    ([65, 64], [0.03125, 0.0], -0.7609)
    """
    ring = _ring(units, inhibition, modulation, current, time_constant)
    if ring.modulation <= 2:
        raise ValueError(
            f"modulation = {ring.modulation}: the flat state is stable and no bump "
            "forms, pass a modulation above 2"
        )
    found = [_bump(ring, centre) for centre in CENTRES]
    if not any(found):
        raise ConvergenceError(
            f"no bump of finite height at inhibition = {ring.inhibition}, "
            f"modulation = {ring.modulation}: more inhibition "
            "(a lower inhibition) may hold it"
        )
    nothing = {
        "active": 0,
        "mean_rate": np.nan,
        "order": np.nan,
        "exponents": np.full(ring.units, np.nan),
    }
    rows = [f or nothing for f in found]
    first = np.array([r["exponents"][0] for r in rows])
    best = int(np.nanargmin(first))
    report = lyapunov_report(
        rows[best]["exponents"],
        title="bump of a ring attractor",
        source=RingAttractor.source,
        per="1/time unit",
        parameters=ring.parameters,
        half_width=((), half_width(ring.modulation), "radian", "half-width for many units"),
    )
    made = {
        "active": ("centre", [r["active"] for r in rows], "1", "number of active units"),
        "mean_rate": ("centre", [r["mean_rate"] for r in rows], "1", "mean rate over all units"),
        "order": ("centre", [r["order"] for r in rows], "1", "length of the population vector"),
        "stable": (
            "centre",
            np.nan_to_num(first, nan=1.0) <= 1e-12,
            "1",
            "whether a bump stays there",
        ),
        "lyapunov_at": (
            ("centre", "exponent"),
            [r["exponents"] for r in rows],
            "1/time unit",
            "eigenvalues of a bump at this centre",
        ),
    }
    coords = {"centre": ("centre", list(CENTRES), "1", "place of the bump's centre on the lattice")}
    return report.merge(dataset(made, coords, title="", source=""), combine_attrs="override")


def half_width(modulation) -> float:
    """Half-width of the bump for many units, in radians: th - sin(2 th)/2 = 2 pi/J1.

    >>> round(half_width(4.0) / np.pi, 9)
    0.5
    """
    from scipy.optimize import brentq

    return float(
        brentq(lambda th: th - np.sin(2 * th) / 2 - 2 * np.pi / modulation, 0.0, np.pi, xtol=1e-15)
    )


def _bump(ring, centre):
    """The consistent bump at a centre, or None: widths are tried from that of the continuum
    outwards."""
    N, offset = ring.units, 0.0 if centre == CENTRES[0] else 0.5
    widths = np.arange(1 if offset == 0 else 2, N + 1, 2)
    for n in widths[
        np.argsort(np.abs(widths - N * half_width(ring.modulation) / np.pi), kind="stable")
    ][:8]:
        angles = 2 * np.pi / N * (np.arange(N) - (n - 1) // 2 - offset)
        active = np.arange(N) < n
        cosines = np.cos(angles)
        sums = n, cosines[active].sum(), (cosines[active] ** 2).sum()
        even = (
            np.array(
                [
                    [ring.inhibition * sums[0], ring.inhibition * sums[1]],
                    [ring.modulation * sums[1], ring.modulation * sums[2]],
                ]
            )
            / N
        )
        if abs(np.linalg.det(np.eye(2) - even)) < 1e-12:
            continue
        h0, c = np.linalg.solve(np.eye(2) - even, [ring.current, 0.0])
        rates = h0 + c * cosines
        if c > 0 and (rates[active] > -1e-12 * c).all() and (rates[~active] < -1e-12 * c).all():
            shift = ring.modulation * (n - sums[2]) / N - 1.0
            values = np.concatenate(
                ([_zeroed(shift)], np.linalg.eigvals(even) - 1.0, np.full(N - 3, -1.0))
            )
            exponents = np.sort(values.real)[::-1] / ring.time_constant
            mean, order = rates[active].sum() / N, (rates[active] * cosines[active]).sum() / N
            return {
                "active": int(n),
                "mean_rate": float(mean),
                "order": float(order),
                "exponents": exponents,
            }
    return None


def _zeroed(value):
    """0 for what is 0 to rounding."""
    return 0.0 if abs(value) < 1e-13 else value


def ring_diffusion(
    time,
    *,
    diffusion,
    units=128,
    inhibition=-7.3,
    modulation=4.0,
    current=1.0,
    time_constant=1.0,
    start=0.0,
):
    """Angle of the bump in noise of every rate: mean(t) = start, variance(t) = 2 D_psi t, D_psi =
    D/(2 N r1^2), r1 the population vector.

    The left eigenvector of a shift is sin(theta_i - psi) over all units, active or not, for the
    silent ones still speak to the others through their noise; its product with the bump's slope is
    N r1. It is exact for weak noise where a shift costs nothing.

    time: t >= 0; diffusion D of each rate (``Noisy``); others as for ``RingAttractor``. Returns
    mean_readout(time), variance(time), diffusion. Source: derived here; Burak and Fiete (2012),
    PNAS 109, 17645, for the 1/N.

    >>> round(float(ring_diffusion([1.0], diffusion=1e-4).diffusion), 9)
    3.3753e-05
    """
    time, D = time_axis(time), not_negative("diffusion", diffusion)
    bump = ring_bump(
        units=units,
        inhibition=inhibition,
        modulation=modulation,
        current=current,
        time_constant=time_constant,
    )
    order = float(bump.order.sel(centre=CENTRES[int(np.nanargmin(bump.lyapunov_at.values[:, 0]))]))
    angular = D / (2.0 * units * order**2)
    parameters = {
        "units": units,
        "inhibition": inhibition,
        "modulation": modulation,
        "current": current,
        "diffusion": D,
        "start": start,
    }
    return recall_report(
        time,
        np.full(time.size, finite("start", start)),
        2.0 * angular * time,
        title="bump in noise",
        source="Burak and Fiete (2012), PNAS 109, 17645",
        parameters=parameters,
    )


def flip_flop(time, *, gain=2.0, diffusion=0.0, time_constant=1.0, bits=1):
    """A bistable unit: its fixed points and exponents, and how long noise lets it keep its bit.

    Potential U(x) = (x^2/2 - ln cosh(g x)/g)/tau. Mean time from the state m to the ridge at 0:
        T = 1/D int_0^m dy exp(U(y)/D) int_y^inf dz exp(-U(z)/D),  about pi exp((U(0) -
        U(m))/D)/sqrt(U''(m) |U''(0)|) (Kramers).
    Half of those at the ridge cross, so bits flip at the rate 1/(2 T), and mean(t) = E[sign x(t)
    sign x(0)] = exp(-t/T).

    time: t >= 0; gain g > 1, time_constant and bits as for ``FlipFlop``; diffusion D of each unit
    (``Noisy``); 0: nothing is forgotten. Returns mean_readout(time), variance(time) = 1 - mean^2,
    fixed_point(point), eigenvalue(point), lyapunov(exponent), barrier, escape_time T, kramers_time.
    Source: Kramers (1940), Physica 7, 284; Risken (1989), The Fokker-Planck Equation, section 5.10.

    >>> d = flip_flop([0.0], gain=2.0, diffusion=0.02)
    >>> d.fixed_point.values.round(4).tolist(), round(float(d.barrier), 4)
    ([-0.9575, 0.0, 0.9575], 0.1633)
    """
    time, D = time_axis(time), not_negative("diffusion", diffusion)
    unit = FlipFlop(
        finite("gain", gain), positive("time_constant", time_constant), count("bits", bits)
    )
    if unit.gain <= 1:
        raise ValueError(
            f"gain = {unit.gain}: up to 1 a unit has one stable state and keeps no "
            "bit, pass a gain above 1"
        )
    m = bistable_state(unit.gain)
    slopes = (
        np.array([unit.gain * (1 - m * m) - 1, unit.gain - 1, unit.gain * (1 - m * m) - 1])
        / unit.time_constant
    )
    barrier = -_potential(unit, m)
    escape, kramers = (
        (_escape_time(unit, m, D), np.pi / np.sqrt(-slopes[0] * slopes[1]) * np.exp(barrier / D))
        if D
        else (np.inf, np.inf)
    )
    mean = np.exp(-time / escape)
    given = {
        "title": "flip-flop in noise",
        "source": "Kramers (1940), Physica 7, 284",
        "parameters": unit.parameters | {"diffusion": D},
    }
    report = recall_report(
        time,
        mean,
        1.0 - mean**2,
        barrier=(
            (),
            barrier,
            "1/time unit",
            "height of the potential's ridge over the stable state",
        ),
        escape_time=((), escape, "time unit", "mean time from a stable state to the ridge"),
        kramers_time=((), kramers, "time unit", "the same by Kramers' formula"),
        fixed_point=("point", [-m, 0.0, m], "1", "fixed point"),
        eigenvalue=("point", slopes, "1/time unit", "eigenvalue of the fixed point"),
        **given,
    )
    return report.merge(
        lyapunov_report(np.full(unit.bits, slopes[0]), per="1/time unit", **given)[["lyapunov"]],
        combine_attrs="override",
    )


def bistable_state(gain) -> float:
    """The root above 0 of m = tanh(gain m), gain > 1.

    >>> round(bistable_state(2.0), 6)
    0.957504
    """
    from scipy.optimize import brentq

    return float(
        brentq(
            lambda m: np.tanh(gain * m) - m,
            0.5 * np.sqrt(3 * (gain - 1) / gain**3),
            1.0,
            xtol=1e-15,
            rtol=1e-15,
        )
    )


def _potential(unit, x):
    """U(x), 0 at the ridge."""
    z = np.abs(unit.gain * x)
    return (
        0.5 * x * x - (z + np.log1p(np.exp(-2 * z)) - np.log(2.0)) / unit.gain
    ) / unit.time_constant


def _escape_time(unit, m, D, points=4001):
    """Mean first passage from m to 0, by the trapezoidal rule on a grid that reaches far beyond
    m."""
    x = np.linspace(
        0.0, m + 12.0 * np.sqrt(D * unit.time_constant / (1 - unit.gain * (1 - m * m))), 4 * points
    )
    u = _potential(unit, x) / D
    inner = np.exp(-(u - u.min()))
    beyond = np.concatenate(
        (np.cumsum((0.5 * (inner[1:] + inner[:-1]) * np.diff(x))[::-1])[::-1], [0.0])
    )
    outer = np.exp(u + np.log(np.maximum(beyond, 1e-300)) - u.min())
    below = x <= m
    return float(np.trapezoid(outer[below], x[below]) / D)


def wong_wang(**parameters):
    """Every fixed point of Wong and Wang's network, with its eigenvalues: rest, memories, and the
    saddles between them.

    The first equation gives S2 as a function of S1 (H is monotone); its crossings with the second
    are found on a grid of 20001 values of S1, then polished by Newton's method on the rule. Two
    crossings closer than that are missed.

    parameters: those of ``WongWang``, with both currents u = 0 (a stimulus to both is part of
    ``background``). Returns over ``point``: fixed_point(point, state), eigenvalue(point, mode) in
    1/s, stable, rate(point, state) in 1/s, memories (the number of stable states). Source: Wong and
    Wang (2006), J. Neurosci. 26, 1314.

    >>> d = wong_wang()
    >>> d.fixed_point.values[d.stable.values].round(4).tolist()
    [[0.0319, 0.567], [0.1027, 0.1027], [0.567, 0.0319]]
    """
    network = WongWang(**{name: number(name, value) for name, value in parameters.items()})
    if network.cross_coupling == 0:
        raise ValueError(
            "cross_coupling = 0: the populations do not compete, pass another coupling"
        )
    s = np.linspace(0.0, 1.0, 20003)[1:-1]
    current = _current_of(network, s / (network.gamma * network.tau * (1 - s)))
    other = (network.self_coupling * s + network.background - current) / network.cross_coupling
    valid = np.abs(other - 0.5) < 0.75
    miss = network.rule(np.stack((s, np.where(valid, other, 0.0)), -1), None)[:, 1]
    starts = np.flatnonzero((miss[:-1] * miss[1:] <= 0) & valid[:-1] & valid[1:])
    points = np.array([_newton(network, np.array([s[i], other[i]])) for i in starts])
    values = np.array(
        [np.sort_complex(np.linalg.eigvals(jacobian(network, p)))[::-1] for p in points]
    )
    currents = points @ np.array(
        [
            [network.self_coupling, -network.cross_coupling],
            [-network.cross_coupling, network.self_coupling],
        ]
    )
    stable = (values.real < 0).all(-1)
    made = {
        "fixed_point": (("point", "state"), points, "1", "share of open NMDA gates"),
        "eigenvalue": (("point", "mode"), values, "1/s", "eigenvalue of the fixed point"),
        "stable": ("point", stable, "1", "whether the state persists"),
        "rate": (
            ("point", "state"),
            network.rate(currents + network.background),
            "1/s",
            "firing rate",
        ),
        "memories": ((), int(stable.sum()), "1", "number of stable states"),
    }
    return dataset(
        made,
        {"state": ("state", list(WongWang.states), "1", "population")},
        title="fixed points of Wong and Wang's network",
        source=WongWang.source,
        parameters=network.parameters,
    )


def _current_of(network, rates):
    """The input current at which H takes these rates, by bisection in d (a x - b): H rises with
    it."""
    target = rates * network.d
    low, high = np.full_like(target, -700.0), np.maximum(target, 1.0) + 1.0
    with np.errstate(over="ignore"):
        for _ in range(80):
            middle = 0.5 * (low + high)
            value = np.where(
                middle == 0, 1.0, middle / -np.expm1(-np.where(middle == 0, 1.0, middle))
            )
            low, high = (
                np.where(value < target, middle, low),
                np.where(value < target, high, middle),
            )
    return (0.5 * (low + high) / network.d + network.b) / network.a


def _newton(system, x, steps=50):
    for _ in range(steps):
        change = np.linalg.solve(jacobian(system, x), system.rule(x, None))
        x = x - change
        if np.abs(change).max() < 1e-14:
            break
    return x


def ctrnn_bistability(weight, bias=0.0):
    """Inputs between which one neuron with a self-connection has two stable states, the folds of
    tau y' = -y + w sigma(y + theta) + I:

    I = +-2 ln((sqrt w + sqrt(w - 4))/2) - (w +- sqrt(w (w - 4)))/2 - theta.

    weight w > 4, a number or a vector; bias theta. Returns input_low(weight), input_high(weight),
    width(weight) = their difference. Raises ValueError where w <= 4: such a neuron has one state.
    Source: Beer (1995), Adaptive Behavior 3, 469.

    >>> ctrnn_bistability([4.0001, 6.0]).width.values.round(4).tolist()
    [0.0, 0.8302]
    """
    w, bias = vector("weight", weight), finite("bias", bias)
    if not (np.isfinite(w) & (w > 4)).all():
        raise ValueError(
            f"weight = {w.tolist()}: a neuron is bistable for self-connections above 4 only"
        )
    root, log = np.sqrt(w * (w - 4)), 2 * np.log((np.sqrt(w) + np.sqrt(w - 4)) / 2)
    low, high = log - (w + root) / 2 - bias, -log - (w - root) / 2 - bias
    return dataset(
        {
            "input_low": ("weight", low, "1", "input below which only the low state is left"),
            "input_high": ("weight", high, "1", "input above which only the high state is left"),
            "width": ("weight", high - low, "1", "range of inputs with two stable states"),
        },
        {"weight": ("weight", w, "1", "weight of the self-connection")},
        title="bistability of one neuron",
        source=CTRNN.source,
        parameters={"weight": weight, "bias": bias},
    )
