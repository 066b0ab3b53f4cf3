"""Receptive fields: which inputs an output depends on, and how the gradient is spread over them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...autodiff.jacobian import linearise_rule
from ...drive import drive_name, drive_values, read_drive
from ...errors import ConvergenceError, NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...orbits import trajectory
from ...runtime.threads import one_thread
from ...runtime.validation import generator, integer, is_real, public
from ...system import Map, as_system
from ...typing import ArrayLike, Drive, Rng
from .at_once import pull_back_at_once, runs_at_once
from .window import read_start, read_transient, require_samples

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "Luo, Li, Urtasun and Zemel (2016), arXiv:1701.04128, for the effective field"
FIRST_WINDOW_STEPS = 64
MAX_WINDOW_STATES = 2**27  # numbers that the states of a window may hold: a gigabyte
MIN_LAST_SHARE = 1e-6  # of the largest share, below which the rest of a gradient is negligible
MAX_COTANGENTS = 8  # outputs, or random mixtures of them
MIN_STATES_AT_ONCE = 128  # below it steps are quick


@public
def receptive_field(
    system: Map,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = 1.0,
    lags: int = 200,
    transient: int | None = None,
    samples: int = 8,
    rng: Rng = 0,
) -> Dataset:
    """Find the inputs u_(T-lag) that the output y_T depends on, and how its gradient is spread.

    Rows of d y_T are pulled back through the rule along driven orbits until they are exactly zero:
    no input beyond that lag reaches y_T. A path of n or more steps through n components passes one
    of them twice and can be extended without end: where the gradient is still there after n steps,
    the field is infinite. A lag counts as reached if any of ``samples`` orbits reaches it, since a
    ReLU at rest has a derivative of exactly 0. The effective field is the width of the box with the
    spread of the shares,

        effective field = sqrt(1 + 12 var(lag)).

    Theory: ``dm.theory.receptive_field``.

    Parameters
    ----------
    system : Map
        A system with inputs.
    x0 : array_like (n,), optional
        Start; by default ``system.initial``.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input: None (zero), a number (standard deviation of white noise), a function (rng, steps) ->
        array, or sequences (steps, inputs) or (samples, steps, inputs), whose last step is T.
    lags : int
        Largest lag to which an infinite field is followed.
    transient : int, optional
        Steps before the window; by default a tenth of ``lags``, at least 100; of sequences, all
        steps before the window, at least this many: by default a tenth of them.
    samples : int
        Orbits with other noise.
    rng : int, Generator or None
        Of start and noise.

    Returns
    -------
    xarray.Dataset
        reached : (lag,), 1
            Whether the output depends on the input of that lag.
        share : (lag,), 1
            Share of the squared gradient |d y_T / d u_(T-lag)|^2, its mean over samples.
        receptive_field : (), step
            1 + the largest lag reached; infinite for recurrences, 0 where no input is reached.
        effective_field : (), step
            Width of the box with the spread of the shares; infinite where the last share is more
            than a millionth of the largest within ``lags``.
        mean_lag : (), step
            Mean lag of the shares; infinite in the same case.

    Raises
    ------
    ShapeError
        If the system has no input, or a sequence is shorter than the field.
    ConvergenceError
        If the states of the window would need more than a gigabyte.
    NotFiniteError
        If a gradient becomes infinite or NaN.

    Notes
    -----
    A gradient of rounding size is not zero: shift registers have exact zeros, a matrix with nearly
    dependent rows does not.

    References
    ----------
    Luo, Li, Urtasun and Zemel (2016), arXiv:1701.04128.

    Examples
    --------
    >>> import dynmem as dm
    >>> tcn = dm.models.get("tcn", units=4, inputs=1, layers=3, kernel=3)
    >>> gru = dm.models.get("gru", units=3, inputs=1)
    >>> [float(dm.analysis.receptive_field(model).receptive_field) for model in (tcn, gru)]
    [29.0, inf]
    """
    system = as_system(system, Map)
    if not system.inputs:
        raise ShapeError(
            f"{type(system).__name__} takes no input, so it has no receptive field: "
            "pass a driven Map"
        )
    lags, samples = integer("lags", lags), integer("samples", samples)
    name = drive_name(drive)
    if not (drive is None or is_real(drive) or callable(drive) or np.ndim(drive) == 1):
        drive = sequences = _sequences(system, drive)
        transient = sequences.shape[1] // 10 if transient is None else transient
    transient = read_transient(transient, lags)
    require_samples(samples, transient + lags + 1, lags)
    seeds = generator(rng).spawn(2)
    x = read_start(system, x0, seeds[0])
    orbit_seeds = seeds[1].integers(2**32, size=samples)
    # _step_by_step raises where a gradient is not finite
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        logs, infinite = _squared_gradients(system, x, drive, transient, lags, orbit_seeds)
    options = {"samples": samples, "transient": transient, "lags": lags, "drive": name}
    reached, share = _shares(logs)
    return field_report(
        reached,
        share,
        infinite,
        title=f"receptive field of {type(system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(system) | options,
    )


def field_report(reached, share, infinite, **attributes):
    """Dataset of a receptive field, from the lags reached (lags,) and the share of the squared
    gradient (lags,)."""
    lag = np.arange(len(share))
    mean = float(lag @ share)
    faded = not infinite or share[-1] <= MIN_LAST_SHARE * share.max()
    effective = np.sqrt(1.0 + 12.0 * max((lag - mean) ** 2 @ share, 0.0)) if faded else np.inf
    field = float(lag[reached].max() + 1) if reached.any() else 0.0
    variables = {
        "reached": ("lag", reached, "1", "whether the output depends on the input of that lag"),
        "share": ("lag", share, "1", "share of the squared gradient of the output by that input"),
        "receptive_field": ((), np.inf if infinite else field, "step", "receptive field"),
        "effective_field": (
            (),
            float(effective) if reached.any() else 0.0,
            "step",
            "effective receptive field",
        ),
        "mean_lag": ((), mean if faded else np.inf, "step", "mean lag of the squared gradient"),
    }
    return dataset(variables, {"lag": ("lag", lag, "step", "lag")}, **attributes)


def _shares(logs):
    """Which lags any sample reaches, and the mean squared gradient of each as a share of all, from
    logarithms (samples, lags)."""
    top = logs.max()
    power = np.exp(logs - top).mean(axis=0) if top > -np.inf else np.zeros(logs.shape[1])
    return (logs > -np.inf).any(axis=0), power / max(power.sum(), 1e-300)


def _squared_gradients(system, x, drive, transient, lags, seeds):
    """ln |d y_T / d u_(T-lag)|^2 of each orbit, (samples, lags), as far as they go, and whether
    they never end."""
    rows = _cotangents(system.outputs)
    if len(x) >= MIN_STATES_AT_ONCE and runs_at_once(system, x):
        one = drive[:1] if _is_batch(drive) else drive
        try:
            # one orbit and one mixture of the outputs find the window at a small share of the cost
            engine = partial(pull_back_at_once, system, x, rows=rows.sum(axis=0)[None])
            window = _settled(engine, system, x, one, transient, lags, seeds[:1])[0].shape[1]
            engine = partial(pull_back_at_once, system, x, rows=rows)
            return _settled(engine, system, x, drive, transient, lags, seeds, window)
        except FloatingPointError:  # steps rescale the gradients
            pass
    engine = partial(_step_by_step, system, x, rows=rows, lags=lags)
    return _settled(engine, system, x, drive, transient, lags, seeds)


def _settled(engine, system, x, drive, transient, lags, seeds, window=FIRST_WINDOW_STEPS):
    """Logs and whether the field is infinite, from the first of ever longer windows that shows
    it."""
    longest = max(2 * len(x), lags + 1)  # an infinite field shows at one of the lags n .. 2n - 1
    given = _is_batch(drive)
    available = drive.shape[1] - transient if given else longest
    if available < 1:
        raise ShapeError(
            f"drive has shape {drive.shape}: pass (steps, inputs) or (samples, steps, "
            f"inputs), of more steps than the transient of {transient}"
        )
    while True:
        window = min(window, longest, available)
        logs, ended = engine(_inputs(system, drive, transient + window, seeds), window)
        if ended:
            return logs, False
        reached = np.flatnonzero((logs > -np.inf).any(axis=0))
        if window > max(len(x), lags) and reached.size and reached[-1] >= max(len(x), lags):
            return logs[:, : lags + 1], True
        if window == longest:
            return logs, False
        if given and window == available:
            raise ShapeError(
                f"drive has {drive.shape[1]} steps, {transient} of them transient, and the "
                "field goes on beyond their start: pass longer "
                "sequences, or a number for white noise"
            )
        window *= 2


def _is_batch(drive):
    return isinstance(drive, np.ndarray) and drive.ndim == 3


def _inputs(system, drive, steps, seeds):
    """Inputs u_1 .. u_T of each orbit, (T, samples, inputs)."""
    if _is_batch(drive):  # all of them, whatever the window at their end
        return np.moveaxis(drive, 0, 1)
    each = [read_drive(system, drive, steps, np.random.default_rng(s)).array() for s in seeds]
    return np.stack(each, axis=1)


def _sequences(system, drive):
    """Sequences (samples, steps, inputs)."""
    values = drive_values(system, drive)
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3:
        raise ShapeError(
            f"drive has shape {values.shape}: pass (steps, inputs) or (samples, steps, inputs)"
        )
    return values


def _step_by_step(system, x, inputs, window, rows, lags):
    """Logs of the squared gradients (samples, lags), and whether they end within the window; they
    stop at the first lag that shows an infinite field."""
    n, samples = len(x), inputs.shape[1]
    if window * n * samples > MAX_WINDOW_STATES and window > FIRST_WINDOW_STEPS:
        raise ConvergenceError(
            f"the receptive field of {type(system).__name__} goes on "
            f"beyond {window // 2} steps, and the states of a longer "
            f"window take {window * n * samples * 8e-9:.1f} GB: pass fewer "
            "samples, or a model of fewer units"
        )
    states = trajectory(system, np.tile(x, (samples, 1)), len(inputs), inputs)
    start = np.repeat(rows[:, None], samples, axis=1)
    pulled = _pull_back(system.output, states[-1], inputs[-1])(start)
    direct, rows = pulled[..., n:], pulled[..., :n]
    log_scale, found = np.zeros(samples), []
    for lag in range(window):
        pulled = _pull_back(system.rule, states[-lag - 2], inputs[-lag - 1])(rows)
        by_input = pulled[..., n:] if lag else pulled[..., n:] + direct
        found.append(2.0 * log_scale + np.log((by_input * by_input).sum(axis=(0, 2))))
        size = np.sqrt(np.square(pulled).sum(axis=(0, 2)))
        if not np.isfinite(size).all():
            raise NotFiniteError(
                f"gradient not finite at lag {lag} ({system}): the rule has no derivative there"
            )
        scale = np.where(size > 0.0, size, 1.0)
        rows, log_scale = pulled[..., :n] / scale[:, None], log_scale + np.log(scale)
        if not rows.any():
            return np.array(found).T, True
        if lag >= max(n, lags) and (found[-1] > -np.inf).any():
            break
    return np.array(found).T, False


def _cotangents(outputs):
    """The outputs, or random mixtures of them with the same mean squared gradient where they are
    many."""
    if outputs <= MAX_COTANGENTS:
        return np.eye(outputs)
    draws = np.random.default_rng(0)
    return draws.standard_normal((MAX_COTANGENTS, outputs)) / np.sqrt(MAX_COTANGENTS)


def _pull_back(function, x, u):
    """Reverse mode of function(x, u): cotangents (k, samples, m) to those of x and u concatenated,
    (k, samples, n + inputs)."""
    n = x.shape[-1]

    def joined(p):
        return function(p[..., :n], p[..., n:])

    return linearise_rule(joined, np.concatenate([x, u], axis=-1))[1]
