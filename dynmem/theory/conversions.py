"""One unit for every measure of memory: the lag, in steps, to which it reaches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import NotFiniteError, ShapeError
from ..labels import dataset, step_length, unit_factor
from ..runtime.validation import choice, number, public
from ..tasks import Task
from ..typing import ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset

LN2 = math.log(2.0)


class Measure(NamedTuple):
    """A measure of memory: what it is, its unit, and its conversion to a lag and back."""

    text: str
    units: str
    to_lag: Callable[[Any], Any]
    from_lag: Callable[[Any], Any]
    least: float = 0.0


def lag_of_rate(rate: ArrayLike) -> np.ndarray:
    """-1/rate, where exp(rate lag) has fallen to 1/e; infinite for rates of 0 and above.

    >>> lag_of_rate([-0.25, 0.0]).tolist()
    [4.0, inf]
    """
    rate = np.asarray(rate, float)
    with np.errstate(divide="ignore"):
        return np.where(np.isnan(rate), np.nan, np.where(rate < 0, -1.0 / rate, np.inf))


def lag_of_factor(factor: ArrayLike) -> np.ndarray:
    """-1/ln factor, where factor^lag has fallen to 1/e: of a forget gate, a spectral radius.

    >>> lag_of_factor([0.9, 0.0, 1.0]).round(4).tolist()
    [9.4912, 0.0, inf]
    """
    with np.errstate(divide="ignore"):
        return lag_of_rate(np.log(np.asarray(factor, float)))


def _rate_of_lag(lag):
    with np.errstate(divide="ignore"):
        return -1.0 / np.asarray(lag, float)


def _same(value):
    return value


def _steps_seen(lag):
    return lag + 1.0


def _last_lag(steps):
    return np.maximum(steps - 1.0, 0.0)


MEASURES = {
    "lag": Measure("lag to which the memory reaches", "step", _same, _same),
    "horizon": Measure("lag at which the gradient has fallen to 1/e", "step", _same, _same),
    "time_scale": Measure("time scale -1/lambda_1", "step", _same, _same),
    "half_life": Measure(
        "lag at which the memory has fallen to 1/2",
        "step",
        lambda value: value / LN2,
        lambda lag: lag * LN2,
    ),
    "lyapunov": Measure(
        "first Lyapunov exponent", "1/step", lag_of_rate, _rate_of_lag, least=-math.inf
    ),
    "factor": Measure(
        "factor by which the memory falls in a step",
        "1",
        lag_of_factor,
        lambda lag: np.exp(_rate_of_lag(lag)),
    ),
    "pade_delay": Measure("delay theta of a Legendre memory", "step", _same, _same),
    "receptive_field": Measure(
        "steps that are seen, the present one among them", "step", _last_lag, _steps_seen
    ),
    "window": Measure(
        "steps of a window, the present one among them", "step", _last_lag, _steps_seen
    ),
}
# variables of Datasets, by what they measure
DELAYS = (
    "learnable_delay",
    "predicted_delay",
    "longest_learned",
    "next_failed",
    "all_shorter",
    "visible_delay",
    "trainable_delay",
    "hard_limit",
    "delay",
)
NAMES = (*MEASURES, *DELAYS)


@public
def memory_units(
    value: ArrayLike | Dataset,
    of: str | None = None,
    *,
    task: Task | None = None,
    characters_per_token: float | Task | Dataset | None = None,
    dt: float | None = None,
) -> Dataset:
    """Express one memory in every unit: as a lag, half life, window, delay of a task, characters.

    The common unit is the lag, in steps, to which a memory reaches: where an exponential one,
    exp(-lag / tau), has fallen to 1/e, and the last lag from which a bounded one sees anything.
    Then

        time scale = horizon = Pade delay = lag,    half life = ln 2 lag,    exponent = -1/lag,
        factor a step = exp(-1/lag),    window = receptive field = lag + 1,

    the delay is the longest at which the task's cue lies within the lag, and the characters are the
    lag times the characters of a token.

    Parameters
    ----------
    value : float, array_like (memories,) or xarray.Dataset
        Numbers in steps (exponents per step), or a result of dynmem, whose units are read.
    of : str, optional
        What the numbers are: "lag", "horizon", "time_scale", "half_life", "lyapunov", "factor" (a
        forget gate, a spectral radius), "pade_delay", "receptive_field", "window" or "delay". Of a
        Dataset, the variable; None where it has one of them alone.
    task : Task, optional
        Whose delays are meant.
    characters_per_token : float, task or xarray.Dataset, optional
        Of a tokenizer: the mean, or a text of ``dm.datasets`` or a task of one, which know it.
    dt : float, optional
        Time of a step: that of the Dataset, or unknown.

    Returns
    -------
    xarray.Dataset
        lag : (memory,), step
            The common unit. The dims are those of ``value``, none for one number.
        time_scale : (memory,), step
            Time constant of the exponential memory with this lag.
        half_life : (memory,), step
            Its half life.
        lyapunov : (memory,), 1/step
            Its exponent.
        factor : (memory,), 1
            Its factor a step.
        window : (memory,), step
            Steps of the bounded memory with this lag, the present one among them: the window, the
            receptive field.
        time : (memory,), time unit [optional]
            lag times dt, where dt is known.
        delay : (memory,), step [optional]
            Longest delay of the task whose cue lies within the lag, 0 for none; with a task.
        characters : (memory,), character [optional]
            With characters of a token.

    Raises
    ------
    ValueError
        For numbers that cannot be, and where what they are is not known.
    TypeError
        Where delays are given without a task, and for a task without delays.

    References
    ----------
    Definitions.

    Examples
    --------
    >>> import dynmem as dm
    >>> gate = dm.theory.memory_units(0.99, "factor")
    >>> round(float(gate.time_scale), 2), round(float(gate.half_life), 2)
    (99.5, 68.97)
    >>> task = dm.tasks.get("copy", delay=30, length=2)
    >>> float(dm.theory.memory_units(61, "receptive_field", task=task).delay)
    58.0
    >>> float(dm.theory.memory_units(1024, "window", characters_per_token=4.0).characters)
    4092.0
    """
    import xarray as xr

    if isinstance(value, xr.Dataset):
        given, name = _from_dataset(value, of, dt)
        dt = step_length(value) if dt is None else dt
    else:
        name = choice("of", of, (*MEASURES, "delay"))
        given = xr.DataArray(_numbers(value, name), dims=("memory",)[: np.ndim(value)])
    lag = given.copy(data=_to_lag(given.values, name, task))
    return _as_dataset(lag, name, task, characters_per_token, dt)


def _numbers(value, name):
    """Numbers, or one, of which none is NaN or too small."""
    try:
        numbers = np.asarray(value, float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold real numbers, got {value!r:.60}") from None
    if numbers.ndim > 1:
        raise ShapeError(f"{name} has shape {numbers.shape}: pass one number, or a list of them")
    if np.isnan(numbers).any():
        raise NotFiniteError(f"{name} holds NaN")
    least = MEASURES[name].least if name in MEASURES else 0.0
    if (numbers < least).any():
        raise ValueError(f"{name} = {numbers.min():g}: must be at least {least:g}")
    return numbers


def _from_dataset(holder, of, dt):
    """A variable in steps, and what it is."""
    there = [name for name in NAMES if name in holder.data_vars]
    if of is None and len(there) != 1:
        listed = ", ".join(there) or f"none of {', '.join(NAMES)}"
        raise ValueError(f"the Dataset has {listed}: pass of=, which of its variables is meant")
    name = there[0] if of is None else choice("of", of, there)
    found = holder[name]
    if name == "lyapunov" and "exponent" in found.dims:
        found = found.max("exponent")
    units = "1" if name == "factor" else "1/step" if name == "lyapunov" else "step"
    own = holder[name].attrs.get("units", units)
    try:
        factor = unit_factor(own, units, dt=step_length(holder) if dt is None else dt)
    except ValueError as problem:
        raise ValueError(f"{name} is in {own!r}, not in {units!r}: {problem}") from None
    return found.astype(float) * factor, name


def _to_lag(values, name, task):
    if name in MEASURES:
        return np.asarray(MEASURES[name].to_lag(values), float)
    if task is None:
        raise TypeError(f"{name} is a delay of a task: pass task=, by which it becomes a lag")
    return lag_of_delay(task, values)


def lag_of_delay(task: Task, delays: ArrayLike) -> np.ndarray:
    """Longest lag, in steps, from a cue to where it is needed, at each delay of a task; linear
    between whole delays, 0 at 0, infinite at infinity.

    >>> import dynmem as dm
    >>> lag_of_delay(dm.tasks.get("copy", length=2), [0, 4, 4.5, np.inf]).tolist()
    [0.0, 6.0, 6.5, inf]
    """
    delays = np.asarray(delays, float)
    known: dict[float, float] = {}
    for delay in np.unique(delays[np.isfinite(delays) & (delays > 0)]).tolist():
        below, above = math.floor(delay), math.ceil(delay)
        ends = [_dependency(task, whole) if whole else 0.0 for whole in (below, above)]
        known[delay] = ends[0] + (ends[1] - ends[0]) * (delay - below)
    found = [known.get(delay, delay) for delay in delays.ravel().tolist()]
    return np.array(found, float).reshape(delays.shape)


def delay_of_lag(task: Task, lags: ArrayLike) -> np.ndarray:
    """The longest delay of a task whose cue lies within each lag; 0 for none, infinite for
    infinity.

    >>> import dynmem as dm
    >>> delay_of_lag(dm.tasks.get("copy", length=2), [1.5, 6.0, 6.9]).tolist()
    [0.0, 4.0, 4.0]
    """
    lags = np.asarray(lags, float)
    found = [_delay_of_lag(task, lag) if math.isfinite(lag) else lag for lag in lags.ravel()]
    return np.array(found, float).reshape(lags.shape)


def _delay_of_lag(task, lag):
    def within(delay):
        try:
            return _dependency(task, delay) <= lag + 1e-9
        except ValueError:
            return None  # below the least delay of the task

    least = next((delay for delay in range(1, 65) if within(delay) is not None), 1)
    if not within(least):
        return 0
    high = 2 * least
    while within(high):
        high *= 2
    low = least
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if within(middle) else (low, middle)
    return low


def _dependency(task, delay):
    found = task.with_delay(delay).dependency
    if found is None:
        raise TypeError(f"{task} has no longest lag (dependency): its delays are no lags")
    return float(found)


def characters_of(source: Any) -> float:
    """Mean characters per token: a number, or what a text and a task of one know of themselves."""
    if isinstance(source, Task):
        if (found := getattr(source, "characters_per_token", None)) is None:
            raise TypeError(f"{source} reads no tokens: pass a task of a text, or a number")
        return float(found)
    if hasattr(source, "data_vars"):
        if "characters_per_token" not in source:
            raise TypeError(
                "the Dataset has no characters_per_token: pass a text of dm.datasets, or a number"
            )
        ratio = source.characters_per_token
        ratio = ratio.sel(part="held_out") if "part" in ratio.dims else ratio
        return float(ratio.values.ravel()[-1])
    return number("characters_per_token", source, above=0)


def _as_dataset(lag, name, task, characters, dt) -> Dataset:
    rows: dict[str, tuple] = {}

    def add(row, values, units, text):
        rows[row] = (lag.dims, np.asarray(values, float), units, text)

    for row in ("lag", "time_scale", "half_life", "lyapunov", "factor", "window"):
        add(row, MEASURES[row].from_lag(lag.values), MEASURES[row].units, MEASURES[row].text)
    if dt is not None:
        add("time", number("dt", dt, above=0) * lag.values, "time unit", "lag in units of time")
    if task is not None:
        text = "longest delay whose cue lies within the lag"
        add("delay", delay_of_lag(task, lag.values), "step", text)
    if characters is not None:
        ratio = characters_of(characters)
        add("characters", ratio * lag.values, "character", "lag in characters of the text")
    coords = {
        str(k): (c.dims, c.values, c.attrs.get("units", "1"), c.attrs.get("long_name", str(k)))
        for k, c in lag.coords.items()
    }
    parameters = {"of": name, "dt": dt, **({} if task is None else task.parameters)}
    return dataset(
        rows, coords, title="one memory in every unit", source="definitions", parameters=parameters
    )
