"""Forecasting: a model that runs on its own output, how it is taught, and how far and how truly it
follows the orbit it was taught."""

from dataclasses import dataclass, replace

import numpy as np

from ..analysis import lyapunov_spectrum
from ..arrays import concat
from ..datasets.splits import part
from ..errors import NotFiniteError, ShapeError
from ..labels import as_seed, dataset
from ..orbits import trajectory
from ..system import Map, as_system
from ..tasks import whole
from .options import as_model, generator, positive, refuse
from .readout import ridge_readout

WARMUP = 20  # first steps of a window, in which the model hears the truth and is not scored
EVEN = 1e-9  # share of its size below which what changes is rounding
# normalised error at which a forecast is no longer valid (Pathak et al. 2018 and most since)
THRESHOLD = 0.4
SOURCE = (
    "Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35, for the forcing interval ln "
    "2/lambda_1; Pathak et al. (2018), Phys. Rev. Lett. "
    "120, 024102, for the valid time"
)


@dataclass(frozen=True, eq=False)
class Forecaster(Map):
    """A model that hears its own output: h_t = rule(h_(t-1), z_(t-1)), z_t = z_(t-1) + gain
    output(h_t, z_(t-1)), z = (y - mean)/scale.

    An autonomous Map of the states (h, z), so that exponents, fixed points and orbits of what was
    learned come from the ordinary analysis; its output is y, in the data's own unit, and a step
    lasts ``dt`` of the data's time. The model, with as many outputs as inputs, says the increment
    of z in units of ``gain``, the standard deviation of increments. What h and z have in common,
    the readout, leaves exponents of -inf behind the n of the dynamics.

    >>> import dynmem as dm
    >>> one = np.ones(1)
    >>> f = Forecaster(dm.models.get("tanh", units=2, inputs=1, outputs=1), one, one, one, dt=0.1)
    >>> f.size, f.outputs
    (3, 1)
    """

    model: Map
    mean: np.ndarray
    scale: np.ndarray
    gain: np.ndarray
    dt: float = 1.0

    def __post_init__(self):
        model = as_system(self.model, Map)
        if model.inputs != model.outputs or not model.inputs:
            raise ShapeError(
                f"{type(model).__name__} has {model.inputs} inputs and "
                f"{model.outputs} outputs: a forecast needs as many of each"
            )
        for name in ("mean", "scale", "gain"):
            value = np.asarray(getattr(self, name), float)
            if value.shape != (model.inputs,):
                raise ShapeError(
                    f"{name} has shape {value.shape}: pass ({model.inputs},), a "
                    "number for each component"
                )
            if not np.isfinite(value).all() or (name != "mean" and not (value > 0).all()):
                raise NotFiniteError(
                    f"{name} = {value}: pass finite numbers{'' if name == 'mean' else ' above 0'}"
                )
            object.__setattr__(self, name, value)
        if problems := list(positive({"dt": self.dt}, "dt")):
            raise ValueError(problems[0])

    size = property(lambda self: self.model.size + self.model.outputs)
    outputs = property(lambda self: self.model.outputs)
    states = property(lambda self: (*self.model.states, *(f"z{i}" for i in range(self.outputs))))

    def rule(self, x, u):
        n = self.model.size
        h, z = x[..., :n], x[..., n:]
        h = self.model.rule(h, z)
        return concat((h, z + self.gain * self.model.output(h, z)))

    def output(self, x, u):
        return self.mean + self.scale * x[..., self.model.size :]

    def initial(self, rng=0):
        return np.concatenate(
            (np.zeros(self.model.size), np.random.default_rng(rng).standard_normal(self.outputs))
        )

    def standard(self, y):
        """z of values y in the data's own unit."""
        return (np.asarray(y, float) - self.mean) / self.scale

    def warmed(self, y):
        """State (..., n) after hearing the values y (..., T, outputs), from rest: the forecast goes
        on from the last of them."""
        z = self.standard(y)
        _, h = self.model.run(np.zeros((*z.shape[:-2], self.model.size)), z[..., :-1, :])
        return np.concatenate((h, z[..., -1, :]), axis=-1)

    def targets(self, y):
        """Inputs z (..., T-1, outputs) and what the model should say to them."""
        return inputs_and_increments(y, {"mean": self.mean, "scale": self.scale, "gain": self.gain})


def inputs_and_increments(y, known):
    """Inputs z (..., T-1, k) of values y (..., T, k) under known scales, and the increments to be
    said to them, in units of the gain."""
    z = (np.asarray(y, float) - known["mean"]) / known["scale"]
    return z[..., :-1, :], (z[..., 1:, :] - z[..., :-1, :]) / known["gain"]


def forecaster(model, data):
    """An untaught ``Forecaster`` of a model and a dataset x(time, state), its scales those of the
    training part."""
    return Forecaster(model, **scales(data))


def scales(data):
    """Mean, scale and gain of each component in the training part of an orbit, and the time of a
    step: what a ``Forecaster`` takes besides a model.

    The gain of a component that moves evenly, such as a phase, is its increment. Raises ValueError
    where one stands still, NotFiniteError where one is missing.
    """
    y = values(data, "train")
    if not np.isfinite(y).all():
        raise NotFiniteError(
            "the training part of the orbit holds NaN or infinity: leave out or "
            "fill what is missing"
        )
    spread = y.std(0)
    if (still := ~(spread > EVEN * np.abs(y).max(0))).any():
        names = [str(name) for name in as_orbit(data).state.values[still]]
        raise ValueError(
            f"{', '.join(names[:6])}{' ...' if names[6:] else ''} of the training "
            "part stands still, so that there is nothing to "
            "forecast: leave it out, data.sel(state=[...]), or load another orbit"
        )
    moved = np.diff((y - y.mean(0)) / spread, axis=0)
    usual, varied = np.sqrt(np.mean(np.square(moved), axis=0)), moved.std(0)
    return {
        "mean": y.mean(0),
        "scale": spread,
        "gain": np.where(varied > EVEN * usual, varied, usual),
        "dt": float(data.attrs["sampling_step"]),
    }


def values(data, name):
    """The orbit (samples, components) of one part of a dataset."""
    return part(as_orbit(data), name).x.values


def as_orbit(data):
    """A dataset with x(time, state): itself, or positions and velocities (time, body, axis) side by
    side. Raises ShapeError for any other."""
    if hasattr(data, "data_vars") and "sampling_step" in data.attrs:
        if "x" in data and data.x.dims == ("time", "state"):
            return data
        if {"position", "velocity"} <= set(
            data.data_vars
        ) and data.position.dims == data.velocity.dims == ("time", "body", "axis"):
            both = np.concatenate(
                [
                    data[name].values.reshape(data.sizes["time"], -1)
                    for name in ("position", "velocity")
                ],
                axis=1,
            )
            names = [
                f"{what}{axis} of {body}"
                for what in ("", "d")
                for body in data.body.values
                for axis in data.axis.values
            ]
            return data.assign(x=(("time", "state"), both)).assign_coords(state=names)
    raise ShapeError(
        "a forecast needs x(time, state) with its sampling_step: load an orbit "
        "(dm.datasets.load), of one parameter "
        f"(data.isel(parameter=0) of several), got {_what(data)}"
    )


def _what(data):
    return (
        f"a Dataset of {', '.join(map(str, data.data_vars)) or 'nothing'}"
        if hasattr(data, "data_vars")
        else type(data).__name__
    )


def time_unit(data):
    """The Lyapunov time of a dataset, else its own time: what valid times are counted in."""
    for name in ("lyapunov_time", "characteristic_time"):
        unit = data.attrs.get(name)
        if np.ndim(unit) == 0 and unit is not None and np.isfinite(unit) and unit > 0:
            return float(unit)
    raise ValueError(
        "the dataset has neither a lyapunov_time nor a characteristic_time, in which "
        "forecasts are judged: set "
        "data.attrs['characteristic_time'], a number in the unit of sampling_step"
    )


def forcing_interval(data) -> int:
    """Steps between two corrections of a forecast that is being taught: ln 2/lambda_1, after which
    errors have doubled.

    Raises ValueError for a dataset without a Lyapunov time.

    >>> import dynmem as dm
    >>> forcing_interval(dm.datasets.load("lorenz63", samples=1000))
    35
    """
    as_orbit(data)
    if "lyapunov_time" not in data.attrs:
        raise ValueError(
            "the dataset has no Lyapunov time, so that errors do not double: pass "
            "forcing, a number of steps"
        )
    return max(
        1, round(float(np.log(2.0) * data.attrs["lyapunov_time"] / data.attrs["sampling_step"]))
    )


def echo_state_forecaster(model, data, *, units=300, washout=100, ridge=1e-6, noise=1e-3, rng=0):
    """A ``Forecaster`` whose readout is solved for (``ridge_readout``), on the training part of a
    dataset: the cheap baseline.

    model: a Network with a readout, such as ``dm.models.get("esn", units=300, inputs=3,
    outputs=3)``, or a name, of so many ``units``; noise: standard deviation of white noise on the
    inputs, in standard deviations of the data, which keeps the closed loop from drifting off the
    attractor.

    >>> import dynmem as dm
    >>> echo_state_forecaster("esn", dm.datasets.load("henon", samples=1000), units=50).outputs
    2
    """
    refuse(positive({"noise": noise, "ridge": ridge}, "noise", "ridge", least=0))
    z, _ = inputs_and_increments(values(data, "train"), scales(data))
    disturbing = generator(rng)
    untaught = forecaster(
        as_model(model, z.shape[1], z.shape[1], units, disturbing.spawn(1)[0]), data
    )
    z, wanted = untaught.targets(values(data, "train"))
    heard = z + noise * disturbing.standard_normal(z.shape)
    # what leads from the disturbed value to the true next one
    wanted = wanted + (z - heard) / untaught.gain
    return replace(
        untaught, model=ridge_readout(untaught.model, heard, wanted, washout=washout, ridge=ridge)
    )


def fits(taught, y):
    """Refuse what is no forecaster of these values."""
    if not isinstance(taught, Forecaster):
        raise TypeError(
            "expected a Forecaster, which dm.fit, dm.training.fit_forecaster and "
            "dm.training.echo_state_forecaster make of a model and an orbit, got "
            f"{type(taught).__name__}"
        )
    if taught.outputs != y.shape[-1]:
        raise ShapeError(
            f"the forecaster has {taught.outputs} components and the orbit "
            f"{y.shape[-1]}: pass the dataset that it was taught on"
        )


def valid_time(
    taught, data, *, starts=50, threshold=THRESHOLD, warm=100, longest=15.0, name="test"
):
    """How long free-running forecasts stay near the true orbit, in Lyapunov times, over many starts
    in one part of a dataset.

    The error of a forecast is |y - true|/sqrt(mean |true - mean|^2), as a vector over the
    components; the forecast is valid until it first exceeds the ``threshold``. Each start hears
    ``warm`` true values first; ``longest`` ends a forecast that is still valid (and says so).

    Returns valid_time(start), mean_valid_time, median_valid_time, mean_valid_time_error,
    error(lead, start), still_valid (share). Raises ValueError where the part is too short for the
    starts, and for options that cannot be.
    """
    y, unit = values(data, name), time_unit(data)
    fits(taught, y)
    refuse(
        [
            *whole({"starts": starts, "warm": warm}, starts=2, warm=1),
            *positive({"threshold": threshold, "longest": longest}, "threshold", "longest"),
        ]
    )
    steps = max(1, int(longest * unit / taught.dt))
    room = len(y) - warm - steps
    if room < starts:
        raise ValueError(
            f"the {name} part has {len(y)} samples; {starts} starts of {warm} + "
            f"{steps} need {warm + steps + starts}: load more samples"
        )
    at = np.linspace(0, room - 1, starts).astype(int)
    x = taught.warmed(np.stack([y[i : i + warm] for i in at]))
    forecast = taught.output(trajectory(taught, x, steps)[1:], None)  # (steps, starts, outputs)
    truth = np.stack([y[i + warm : i + warm + steps] for i in at], axis=1)
    error = np.linalg.norm(forecast - truth, axis=-1) / np.sqrt(
        np.mean(np.sum((y - y.mean(0)) ** 2, -1))
    )
    over = error > threshold
    last = np.where(over.any(0), over.argmax(0), steps)
    times = last * taught.dt / unit
    made = {
        "valid_time": (
            "start",
            times,
            "Lyapunov time",
            "time until the error of the forecast exceeds the threshold",
        ),
        "mean_valid_time": ((), times.mean(), "Lyapunov time", "mean over starts"),
        "mean_valid_time_error": (
            (),
            times.std(ddof=1) / np.sqrt(starts),
            "Lyapunov time",
            "standard error of the mean, of independent starts",
        ),
        "median_valid_time": ((), np.median(times), "Lyapunov time", "median over starts"),
        "still_valid": (
            (),
            np.mean(~over.any(0)),
            "1",
            "share of forecasts that were still valid at the end",
        ),
        "error": (("lead", "start"), error, "1", "error over the standard deviation of the orbit"),
    }
    coords = {
        "start": ("start", at + warm, "step", "sample at which the forecast begins"),
        "lead": (
            "lead",
            np.arange(1, steps + 1) * taught.dt / unit,
            "Lyapunov time",
            "time since the forecast began",
        ),
    }
    return dataset(
        made,
        coords,
        title=f"free-running forecasts of {type(taught.model).__name__}",
        source=SOURCE,
        parameters={
            "threshold": threshold,
            "starts": starts,
            "warm": warm,
            "part": name,
            "longest": longest,
        },
    )


def learned_dynamics(taught, data, *, exponents=None, times=200.0, warm=200, bins=30, rng=0):
    """The dynamics that a forecaster has made its own, beside the true one: exponents of the
    free-running model, its attractor.

    ``times``: length of the free run, in Lyapunov times. Returns lyapunov(exponent) with
    lyapunov_error, true_lyapunov(exponent); state_distance, the Kullback-Leibler divergence of
    histograms of ``bins`` a component (true to learned, one count added to each bin that either
    visits); spectrum_distance, the mean Hellinger distance of power spectra; both also for two
    halves of the true orbit (state_distance_floor, spectrum_distance_floor), which is what a
    perfect model would reach; moments(state).

    Source: Mikhaeil, Monfared and Durstewitz (2022), D_stsp and D_H; Benettin et al. (1980) for the
    exponents.
    """
    y, unit = values(data, "train"), time_unit(data)
    fits(taught, y)
    if "exponents" not in data.attrs:
        raise ValueError(
            "the dataset states no exponents to lay beside the learned ones: load "
            "the orbit of a system, or set data.attrs['exponents']"
        )
    true = np.atleast_1d(np.asarray(data.attrs["exponents"], float))
    count = len(true) if exponents is None else exponents
    refuse(
        [
            *whole({"exponents": count, "warm": warm, "bins": bins}, exponents=1, warm=1, bins=2),
            *positive({"times": times}, "times"),
        ]
    )
    if count > len(true) or warm > len(y):
        raise ValueError(
            f"exponents = {count}, warm = {warm}: the dataset states {len(true)} "
            f"exponents and has {len(y)} samples to train on, pass "
            "at most as many"
        )
    start = taught.warmed(y[:warm])
    found = lyapunov_spectrum(
        taught, start, duration=times * unit, transient=10 * unit, exponents=count, rng=rng
    )
    steps = min(int(times * unit / taught.dt), len(y) // 2)
    free = taught.output(trajectory(taught, start, steps)[1:], None)
    halves = y[:steps], y[-steps:]
    made = {
        "lyapunov": (
            "exponent",
            found.lyapunov.values,
            "1/time unit",
            "Lyapunov exponent of the free-running model",
        ),
        "lyapunov_error": (
            "exponent",
            found.lyapunov_error.values,
            "1/time unit",
            "its standard error",
        ),
        "true_lyapunov": (
            "exponent",
            true[:count],
            "1/time unit",
            "Lyapunov exponent of the system",
        ),
        "state_distance": (
            (),
            state_distance(halves[0], free, bins),
            "nat",
            "divergence of the learned attractor from the true one",
        ),
        "state_distance_floor": (
            (),
            state_distance(*halves, bins),
            "nat",
            "the same of another stretch of the true orbit",
        ),
        "spectrum_distance": (
            (),
            spectrum_distance(halves[0], free),
            "1",
            "Hellinger distance of power spectra",
        ),
        "spectrum_distance_floor": (
            (),
            spectrum_distance(*halves),
            "1",
            "the same of another stretch of the true orbit",
        ),
        "mean_error": (
            "state",
            (free.mean(0) - y.mean(0)) / y.std(0),
            "1",
            "mean of the free run less the true one, in standard deviations",
        ),
        "spread_ratio": (
            "state",
            free.std(0) / y.std(0),
            "1",
            "standard deviation of the free run over the true one",
        ),
    }
    coords = {
        "exponent": (
            "exponent",
            np.arange(1, count + 1),
            "1",
            "index of the exponent, largest first",
        ),
        "state": ("state", list(as_orbit(data).state.values), "1", "component of the state"),
    }
    return dataset(
        made,
        coords,
        title=f"dynamics learned by {type(taught.model).__name__}",
        source=SOURCE,
        seed=as_seed(rng),
        parameters={"times": times, "warm": warm, "bins": bins},
    )


def state_distance(true, free, bins=30):
    """Kullback-Leibler divergence of binned states (T, k), over the range of the true ones; what
    leaves it falls into the outermost bins.

    >>> x = np.random.default_rng(0).standard_normal((5000, 2))
    >>> state_distance(x, x) == 0, state_distance(x, x + 2) > 1
    (True, True)
    """
    low, high = true.min(0), true.max(0)
    index = [
        np.ravel_multi_index(
            np.clip(((v - low) / (high - low) * bins).astype(int), 0, bins - 1).T,
            (bins,) * true.shape[1],
        )
        for v in (true, free)
    ]
    visited, where = np.unique(np.concatenate(index), return_inverse=True)
    p, q = (np.bincount(w, minlength=len(visited)) + 1.0 for w in np.split(where, [len(true)]))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum(p * np.log(p / q)))


def spectrum_distance(true, free, pieces=8):
    """Mean over components of the Hellinger distance sqrt(1 - sum sqrt(P Q)) of power spectra, each
    the mean of ``pieces`` stretches.

    >>> t = np.arange(4000.0)[:, None]
    >>> round(spectrum_distance(np.sin(t), np.sin(t + 1)), 2), round(spectrum_distance(np.sin(t), np.sin(2 * t)), 1)
    (0.0, 1.0)
    """

    def power(y):
        parts = np.stack(np.split(y[: len(y) // pieces * pieces], pieces))
        window = np.hanning(parts.shape[1])[:, None]
        found = np.mean(
            np.abs(np.fft.rfft(window * (parts - parts.mean(1, keepdims=True)), axis=1)) ** 2,
            axis=0,
        )
        return found / np.maximum(found.sum(0), 1e-300)

    overlap = np.sqrt(power(true) * power(free)).sum(0)
    return float(np.sqrt(np.maximum(1.0 - overlap, 0.0)).mean())
