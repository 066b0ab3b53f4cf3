"""How far does a trained network forecast chaos, and does it make the chaos its own?

Five models are fitted to one orbit of the Lorenz attractor: an echo-state network, whose readout is
a ridge regression, and GRU, LSTM, a linear recurrent unit and a stack of S4D, by gradient descent.
Each then runs on its own output. Three things are measured and compared with the truth: how many
Lyapunov times the forecast stays valid; the Lyapunov spectrum of the learned dynamics; and the
gradient d y_(t + lag)/d y_t along the network's own orbit, which by theory must grow as
exp(lambda_1 lag) once the network is right: a network that learns chaos has exploding gradients
(Mikhaeil, Monfared and Durstewitz 2022). Their remedy, teacher forcing only once in the doubling
time of errors (ln 2/lambda_1), is tried on each trained network in a second stage. The floor is the
forecast that never moves; a model has learned where its forecast stays valid, less two standard
errors, ten times as long.
"""

import time
import warnings
from dataclasses import replace

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.autodiff.jacobian import push
from dynmem.errors import NotFiniteError, ShortRunWarning
from dynmem.study import Study
from dynmem.training import (
    Forecaster,
    echo_state_forecaster,
    fit_forecaster,
    learned_dynamics,
    valid_time,
)
from dynmem.training.forecaster import untrained_forecaster

MODELS = {  # options of dm.models.get, and the learning rate
    "esn": ({"units": 300, "spectral_radius": 0.5, "input_gain": 0.3}, None),
    "gru": ({"units": 64}, 5e-3),
    "lstm": ({"units": 64}, 5e-3),
    "lru": ({"units": 32, "layers": 2, "placement": "pre", "feedforward": 64}, 5e-3),
    "s4d": (
        {
            "units": 32,
            "layers": 2,
            "placement": "pre",
            "feedforward": 64,
            "modes": 4,
            "step_min": 0.1,
            "step_max": 1.0,
        },
        5e-3,
    ),
}
STAGES = ("every step", "then at the doubling time")
SECOND_STAGE_RATE = 3e-5  # learning rate of the second stage: larger ones lose the attractor
EXPONENT_COUNT = 3
REQUIRED_RATIO = 10  # of the valid time to that of the forecast that never moves
WARMUP_STEPS = 200  # values read before a gradient is followed
LAGS_PER_LYAPUNOV_TIME = 8  # lags at which the gradient is measured in a Lyapunov time


def measure(model, seed, system, samples, steps, further, starts, times, reach):
    """One model and seed, after each stage: valid time, exponents, and gradients along its own
    orbit."""
    data = dm.datasets.load(system, samples=samples)
    stages = [
        evaluate(forecaster, data, starts, times, reach, seed, spent)
        for forecaster, spent in forecasters_by_stage(model, data, seed, steps, further)
    ]
    # a ridge regression has no second stage
    stages += [stages[0].map(lambda v: v * np.nan)] * (len(STAGES) - len(stages))
    result = xr.concat(stages, "stage", combine_attrs="override").assign_coords(stage=list(STAGES))
    result.stage.attrs = {"units": "1", "long_name": "teacher forcing in training"}
    floor = valid_time(still(data), data, starts=starts, longest=reach).mean_valid_time.item()
    learned = result.valid_time - 2.0 * result.valid_time_error > REQUIRED_RATIO * floor
    true, _ = log_gradients(
        dm.FlowMap(dm.systems.get(system), data.attrs["sampling_step"]), data, starts, reach
    )
    return result.assign(
        floor=labelled((), floor, "Lyapunov time", "valid time of the forecast that never moves"),
        asked=labelled(
            (), REQUIRED_RATIO, "1", "multiple of that floor for which a forecast must stay valid"
        ),
        learned=labelled(
            "stage",
            np.where(result.valid_time.isnull(), np.nan, learned),
            "1",
            "whether it does, by two standard errors",
        ),
        true_log_gradient=labelled("lag", true, "1", "ln |d y_(t+lag)/d y_t| of the system itself"),
        true_lyapunov=labelled(
            "exponent",
            data.attrs["exponents"][:EXPONENT_COUNT],
            "1/time unit",
            "Lyapunov exponent of the system",
        ),
    )


def still(data):
    """The forecaster that predicts no motion."""
    k = data.sizes["state"]
    model = dm.models.get("linear", units=1, inputs=k, outputs=k)
    return untrained_forecaster(replace(model, R=np.zeros((k, 1))), data)


def forecasters_by_stage(name, data, seed, steps, further):
    """The forecaster after each stage of its training, and the processor time spent until then."""
    options, rate = MODELS[name]
    k, began = data.sizes["state"], time.process_time()
    model = dm.models.get(name, inputs=k, outputs=k, rng=seed, **options)
    if rate is None:
        return [
            (
                echo_state_forecaster(model, data, ridge=1e-7, noise=1e-4, rng=seed),
                time.process_time() - began,
            )
        ]
    first, _ = fit_forecaster(
        model, data, steps=steps, forcing=1, window=50, learning_rate=rate, rng=seed
    )
    between = time.process_time() - began
    second, _ = fit_forecaster(
        first, data, steps=further, learning_rate=SECOND_STAGE_RATE, rng=seed
    )
    return [(first, between), (second, time.process_time() - began)]


def evaluate(forecaster, data, starts, times, reach, rng, spent):
    """Dataset of one forecaster."""
    valid = valid_time(forecaster, data, starts=starts, longest=reach)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShortRunWarning)  # its standard error is stored
            learned = learned_dynamics(
                forecaster, data, exponents=EXPONENT_COUNT, times=times, rng=rng
            )
        logs, slopes = log_gradients(forecaster, data, starts, reach)
    except NotFiniteError:  # the free run diverges: it has learned no attractor
        return evaluation(valid, spent, reach)
    return evaluation(valid, spent, reach, learned, logs, slopes)


def evaluation(valid, spent, reach, learned=None, logs=None, slopes=None):
    """The variables of one forecaster; NaN where it has no attractor."""
    lost, lags = learned is None, gradient_lags(reach)
    exponents, nothing = np.arange(1, EXPONENT_COUNT + 1), np.full(EXPONENT_COUNT, np.nan)
    return xr.Dataset(
        {
            "valid_time": labelled(
                (), valid.mean_valid_time, "Lyapunov time", "valid time of the forecast"
            ),
            "valid_time_error": labelled(
                (),
                valid.mean_valid_time_error,
                "Lyapunov time",
                "standard error of the valid time, over starts",
            ),
            "lyapunov": labelled(
                "exponent",
                nothing if lost else learned.lyapunov,
                "1/time unit",
                "Lyapunov exponent of the learned dynamics",
            ),
            "lyapunov_error": labelled(
                "exponent",
                nothing if lost else learned.lyapunov_error,
                "1/time unit",
                "its standard error",
            ),
            "attractor_distance": labelled(
                (),
                np.nan if lost else learned.state_distance / learned.state_distance_floor,
                "1",
                "divergence of the learned attractor, over that of another "
                "stretch of the true orbit",
            ),
            "log_gradient": labelled(
                "lag",
                np.full(len(lags), np.nan) if lost else logs,
                "1",
                "ln |d y_(t+lag)/d y_t|, mean over starts",
            ),
            "gradient_slope": labelled(
                (), np.nan if lost else slopes.mean(), "1/time unit", "growth of the gradient"
            ),
            "gradient_slope_error": labelled(
                (),
                np.nan if lost else slopes.std(ddof=1) / np.sqrt(len(slopes)),
                "1/time unit",
                "its standard error",
            ),
            "seconds": labelled((), spent, "s", "processor time of the training"),
        },
        {
            "exponent": labelled("exponent", exponents, "1", "index of the exponent"),
            "lag": labelled("lag", lags, "Lyapunov time", "lag"),
        },
    )


def labelled(dims, values, units, text):
    """A variable with its units and long name."""
    return dims, np.asarray(values), {"units": units, "long_name": text}


def gradient_lags(reach):
    return np.arange(0, int(reach * LAGS_PER_LYAPUNOV_TIME) + 1) / LAGS_PER_LYAPUNOV_TIME


def log_gradients(system, data, starts, reach):
    """ln of the largest gradient d y_(t+lag)/d y_t (start, lag) along free-running orbits from many
    starts, and the slope of each over the later lags, per unit of time. system: a forecaster, which
    is warmed up on the data first, or the true map."""
    unit, dt, lags, y = (
        data.attrs["lyapunov_time"],
        data.attrs["sampling_step"],
        gradient_lags(reach),
        data.x.values,
    )
    wanted = np.round(lags * unit / dt).astype(int)
    warmup = np.stack(
        [y[at - WARMUP_STEPS : at] for at in np.linspace(WARMUP_STEPS, len(y), starts).astype(int)]
    )
    x, scale = (
        (system.warmed_up(warmup), system.scale)
        if isinstance(system, Forecaster)
        else (warmup[:, -1], np.ones(y.shape[1]))
    )
    k, logs = len(scale), []
    rows = np.zeros((k, *x.shape))  # in the basis of the last values read
    rows[np.arange(k), :, np.arange(k) - k] = 1.0 / scale[:, None]
    for step in range(wanted[-1] + 1):
        if step in wanted:
            logs.append(
                np.log(np.linalg.norm(np.moveaxis(rows[..., -k:] * scale, 0, -1), 2, axis=(-2, -1)))
            )
        x, rows = push(system, x, rows)
    if not np.isfinite(logs).all():
        raise NotFiniteError(f"the free run of {type(system).__name__} is not finite")
    late = lags >= min(2.0, reach / 2)  # the first lags belong to the directions that decay
    return np.mean(logs, axis=1), np.polyfit(wanted[late] * dt, np.array(logs)[late], 1)[0]


def summary(results):
    """Table by model and stage: valid time, exponents, growth of the gradient, mean over seeds."""
    true = results.true_lyapunov.isel(model=0, seed=0).values
    rows = [
        f"{'model':>6} "
        f"{'teacher forcing':<26}{'valid time':>16}{'lambda_1':>9}{'lambda_2':>9}{'lambda_3':>9}"
        f"{'gradient':>17}{'attractor':>11}{'seconds':>9}{'learned':>9}",
        f"{'':>6} {'the forecast never moves':<26}{float(results.floor.mean()):8.2f}",
        f"{'':>6} {'the system itself':<26}{'':>16}"
        + "".join(f"{value:9.3f}" for value in true)
        + f"{true[0]:10.3f}",
    ]
    for model in results.model.values:
        for stage in results.stage.values:
            at = results.sel(model=model, stage=stage)
            mean = at.mean("seed")
            if bool(mean.valid_time.isnull()):
                continue
            rows.append(
                f"{model:>6} {stage:<26}{float(mean.valid_time):8.2f} +- "
                f"{float(mean.valid_time_error):4.2f}"
                + "".join(f"{value:9.3f}" for value in mean.lyapunov.values)
                + f"{float(mean.gradient_slope):10.3f} "
                f"+-{float(mean.gradient_slope_error):4.2f}{float(mean.attractor_distance):11.2f}"
                f"{float(mean.seconds):9.1f}{int(at.learned.sum()):4d} of "
                f"{at.sizes['seed']}"
            )
    rows.append(
        "learned: seeds whose valid time, less two standard errors over starts, is above "
        f"{float(results.asked.max()):g} times that of the forecast that never moves"
    )
    rows.append(
        "valid time in Lyapunov times; exponents and growth of the gradient per unit of "
        "time; attractor: divergence over that of another "
        "stretch of the true orbit (1 is perfect); seconds of one processor"
    )
    return "\n".join(rows)


STUDY = Study(
    name="chaos_forecast",
    question="How far does a trained network forecast chaos, and does it make the chaos its own?",
    grid={"model": list(MODELS), "seed": [0, 1]},
    settings={
        "system": "lorenz63",
        "samples": 40_000,
        "steps": 2000,
        "further": 40,
        "starts": 48,
        "times": 200,
        "reach": 12,
    },
    quick={
        "model": ["esn", "gru"],
        "seed": [0],
        "samples": 8000,
        "steps": 30,
        "further": 2,
        "starts": 16,
        "times": 20,
        "reach": 5,
    },
    units={"model": ("1", "model"), "seed": ("1", "seed of weights, windows and tangents")},
    limits={
        "seed": (0, None),
        "system": ["lorenz63", "roessler", "chen", "thomas"],
        "samples": (4000, 1_000_000),
        "steps": (1, 1_000_000),
        "further": (1, 100_000),
        "starts": (16, 10_000),
        "times": (10, 100_000),
        "reach": (2, 40),
    },
    source="Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35; Pathak et al. (2018), Phys. "
    "Rev. Lett. 120, 024102",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
