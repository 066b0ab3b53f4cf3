"""Receptive fields: which inputs an output depends on, and how the gradient is spread over them."""

import numpy as np

from ...autodiff.jacobian import linearise_rule
from ...errors import ConvergenceError, NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...orbits import trajectory
from ...runtime.threads import one_thread
from ...system import Map, as_input, as_state, as_system
from ..drive import read_drive

SOURCE = "Luo, Li, Urtasun and Zemel (2016), arXiv:1701.04128, for the effective field"
# steps of the first window tried; numbers that the states of a window may take (a gigabyte)
FIRST, LARGEST = 64, 2**27
FADED = 1e-6  # of the largest share: below it the rest of a gradient no longer counts
PROBES = 8  # outputs, or random mixtures of them, pulled back


def receptive_field(system, u=1.0, *, lags=200, x0=None, transient=50, samples=8, rng=0):
    """Which inputs u_(T-lag) the output y_T depends on, from exact derivatives along driven orbits,
    and how the gradient is spread over them.

    Rows of d y_T are pulled back through the rule until nothing is left of them: past that lag no
    input reaches y_T. A path of n or more steps through n components passes one of them twice and
    can be drawn out for ever: where the gradient is still there, the field is infinite. What a dead
    unit hides in one orbit (a relu's derivative is exactly 0) another may show: a lag counts as
    reached if any of ``samples`` orbits reaches it. A change of rounding size is not a zero: shift
    registers make exact ones, a matrix with nearly dependent rows does not.

    Parameters: system, a Map with inputs; u, its input: None (zero), a number (standard deviation
    of white noise), a function (rng, steps) -> array, or sequences (steps, inputs) or (samples,
    steps, inputs), whose last step is T; lags, how far to follow an infinite field; x0, start (n,).

    Returns over ``lag``: ``reached``, ``share`` of the squared gradient |d y_T / d u_(T-lag)|^2,
    its mean over samples; and ``receptive_field``, 1 + the largest lag reached (inf for
    recurrences, 0 where no input is seen); ``mean_lag``, of the shares; ``effective_field`` =
    sqrt(1 + 12 variance of the lag), the width of the box with the spread of the shares (inf where
    these have not faded to a millionth within ``lags``). Twin: ``dm.theory.receptive_field``.

    Raises ShapeError for a system without inputs and for sequences shorter than the field,
    ConvergenceError where the states of the window would outgrow memory.

    >>> import dynmem as dm
    >>> found = receptive_field(dm.models.get("tcn", units=4, inputs=1, layers=3, kernel=3))
    >>> int(found.receptive_field), float(receptive_field(dm.models.get("gru", units=3, inputs=1)).receptive_field)
    (29, inf)
    """
    system = as_system(system, Map)
    if not system.inputs:
        raise ShapeError(
            f"{type(system).__name__} takes no input, so it has no receptive field: "
            "pass a driven Map"
        )
    for name, value, least in (
        ("lags", lags, 1),
        ("samples", samples, 1),
        ("transient", transient, 0),
    ):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} = {value!r:.60}: must be a whole number of at least {least}")
    seeds = np.random.default_rng(rng).spawn(2)
    x = system.initial(seeds[0]) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,)")
    seeds = seeds[1].integers(2**32, size=samples)
    # what is not finite is refused
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        logs, infinite = _followed(system, u, x, transient, lags, seeds)
    return field_report(
        *_shares(logs),
        infinite,
        title=f"receptive field of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(system)
        | {
            "samples": samples,
            "transient": transient,
            "lags": lags,
            "u": u if u is None or np.isscalar(u) else type(u).__name__,
        },
    )


def field_report(reached, share, infinite, **attributes):
    """Dataset of a receptive field from what is reached (lags,) and the share of the squared
    gradient (lags,)."""
    lag = np.arange(len(share))
    mean = float(lag @ share)
    faded = not infinite or share[-1] <= FADED * share.max()
    effective = np.sqrt(1.0 + 12.0 * max((lag - mean) ** 2 @ share, 0.0)) if faded else np.inf
    seen = reached.any()
    made = {
        "reached": (
            "lag",
            reached,
            "1",
            "whether the output depends on the input so many steps ago",
        ),
        "share": (
            "lag",
            share,
            "1",
            "share of the squared gradient of the output by the input so many steps ago",
        ),
        "receptive_field": (
            (),
            np.inf if infinite else float(lag[reached].max() + 1 if seen else 0),
            "step",
            "receptive field",
        ),
        "effective_field": (
            (),
            float(effective) if seen else 0.0,
            "step",
            "effective receptive field",
        ),
        "mean_lag": ((), mean if faded else np.inf, "step", "mean lag of the squared gradient"),
    }
    return dataset(made, {"lag": ("lag", lag, "step", "lag")}, **attributes)


def _shares(logs):
    """Which lags any sample reaches, and the mean squared gradient of each as a share of all, from
    logarithms (samples, lags)."""
    top = logs.max()
    power = np.exp(logs - top).mean(axis=0) if top > -np.inf else np.zeros(logs.shape[1])
    return (logs > -np.inf).any(axis=0), power / max(power.sum(), 1e-300)


def _followed(system, u, x, transient, lags, seeds):
    """ln |d y_T / d u_(T-lag)|^2 of each orbit, (samples, lags), as far as they go, and whether
    they go on for ever."""
    n, window = len(x), FIRST
    longest = max(2 * n, lags + 1)  # an endless field shows at one of the lags n .. 2n - 1
    if given := u is not None and not np.isscalar(u) and not callable(u):
        u = _sequences(system, u, transient)
    samples = len(u) if given else len(seeds)
    while True:
        window = min(window, longest, u.shape[1] - transient if given else longest)
        if window * n * samples > LARGEST and window > FIRST:
            raise ConvergenceError(
                f"the receptive field of {type(system).__name__} goes on "
                f"beyond {window // 2} steps, and the states of a longer "
                f"window take {window * n * samples * 8e-9:.1f} GB: pass fewer "
                "samples, or a model of fewer units"
            )
        logs, endless, ended = _pulled(
            system, *_orbits(system, u, x, transient + window, seeds), window, lags
        )
        if ended or window == longest:
            return logs[:, : lags + 1] if endless else logs, endless
        if given and window == u.shape[1] - transient:
            raise ShapeError(
                f"u has {u.shape[1]} steps, {transient} of them transient, and the "
                "field goes on beyond their start: pass longer "
                "sequences, or a number for white noise"
            )
        window *= 2


def _orbits(system, u, x, steps, seeds):
    """States x_0 .. x_T, (T + 1, samples, n), and inputs u_1 .. u_T, of orbits from one start under
    inputs of their own."""
    if isinstance(u, np.ndarray):
        inputs = np.moveaxis(u[:, -steps:], 0, 1)
    else:
        drives = [read_drive(system, u, steps, np.random.default_rng(seed)) for seed in seeds]
        inputs = np.stack([[drive(t) for drive in drives] for t in range(steps)])
    return trajectory(system, np.tile(x, (inputs.shape[1], 1)), steps, inputs), inputs


def _sequences(system, u, transient):
    """Sequences (samples, steps, inputs) handed in."""
    u = as_input(system, u, "u")
    u = u[None] if u.ndim == 2 else u
    if u.ndim != 3 or u.shape[1] <= transient:
        raise ShapeError(
            f"u has shape {u.shape}: pass (steps, inputs) or (samples, steps, "
            "inputs), of more steps than the transient of "
            f"{transient}"
        )
    return u


def _pulled(system, states, inputs, window, lags):
    """Logs of the squared gradients, whether a field is endless, and whether that is settled."""
    n, rows = states.shape[-1], _rows(system.outputs)
    pulled = _back(system.output, states[-1], inputs[-1])(
        np.repeat(rows[:, None], states.shape[1], axis=1)
    )
    direct, rows, log_scale, found = pulled[..., n:], pulled[..., :n], np.zeros(states.shape[1]), []
    for lag in range(window):
        pulled = _back(system.rule, states[-lag - 2], inputs[-lag - 1])(rows)
        by_input = pulled[..., n:] if lag else pulled[..., n:] + direct
        found.append(2.0 * log_scale + np.log((by_input * by_input).sum(axis=(0, 2))))
        size = np.sqrt(np.square(pulled).sum(axis=(0, 2)))
        if not np.isfinite(size).all():
            raise NotFiniteError(
                f"gradient not finite at lag {lag} ({system}): the rule has no derivative there"
            )
        scale = np.where(size > 0.0, size, 1.0)
        rows, log_scale = pulled[..., :n] / scale[:, None], log_scale + np.log(scale)
        if lag >= max(n, lags) and (found[-1] > -np.inf).any():
            return np.array(found).T, True, True
        if not rows.any():
            return np.array(found).T, False, True
    return np.array(found).T, False, False


def _rows(outputs):
    """The outputs, or random mixtures of them with the same mean squared gradient where they are
    many."""
    return (
        np.eye(outputs)
        if outputs <= PROBES
        else np.random.default_rng(0).standard_normal((PROBES, outputs)) / np.sqrt(PROBES)
    )


def _back(function, x, u):
    """Pull-back of function(x, u): cotangents (k, samples, m) to those of x and u side by side, (k,
    samples, n + inputs)."""
    n = x.shape[-1]
    return linearise_rule(
        lambda p: function(p[..., :n], p[..., n:]), np.concatenate([x, u], axis=-1)
    )[1]
