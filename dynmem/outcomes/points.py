"""The points of a race: what is predicted of one model and seed, and what becomes of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotFiniteError
from ..labels import dataset
from ..training.loop import torch_threads
from ..training.memory.learnable_delay import learnable_delay
from ..training.memory.predicted_delay import predicted_delay
from ..training.memory.recipe import Recipe
from ..training.memory.sequence_module import sequence_module, task_at
from ..training.memory.short_fit import short_fit
from .entrants import COSTS, Entrant, cost_of
from .horizons import lags_up_to, measured_horizon, no_horizon, predicted_time_scale

if TYPE_CHECKING:
    from xarray import Dataset

STAGES = ("predicted", "measured")  # all predictions are stored before a longer delay is trained
RUNGS = 3  # delays at which a prediction trains: the shortest ones
SOURCE = "predicted_delay beside learnable_delay; memory horizons; theory of the first exponent"
UNITS: dict[str, str | tuple[str, str]] = {
    "stage": ("1", "what was made"),
    "model": ("1", "model"),
    "seed": ("1", "seed of weights and sequences"),
}
# variables of a point: (dims, units, long name), of either stage; a text has no units
POINT: dict[str, dict[str, tuple]] = {
    "predicted": {
        "seed_predicted_delay": ((), "step", "predicted learnable delay"),
        "seed_predicted_delay_lower": ((), "step", "lower end of its interval, 5 %"),
        "seed_predicted_delay_upper": ((), "step", "upper end of its interval, 95 %"),
        "visible_delay": ((), "step", "longest delay that is visible"),
        "trainable_delay": ((), "step", "longest delay that the steps suffice for"),
        "hard_limit": ((), "step", "longest delay with any signal"),
        "snr_squared": ("delay", "1", "SNR^2 of the weakest mode in a batch, untrained"),
        "theory_time_scale": ((), "step", "time scale -1/lambda_1 by theory, untrained"),
        "seed_horizon": ((), "step", "memory horizon, untrained"),
        "seed_horizon_error": ((), "step", "standard error of the horizon"),
        "log_gradient": ("lag", "1", "ln of the gradient while waiting, untrained"),
        "seed_units": ((), "1", "units of each layer"),
        "seed_parameters": ((), "1", "numbers that are trained"),
        "seed_state_size": ((), "1", "numbers that the state holds"),
        "seed_limit": ((), "", "limit that binds"),
        "seed_horizon_of": ((), "", "gradient of the horizon"),
        "no_theory": ((), "", "why there is no theory"),
        "predicted_at": ((), "", "when the prediction was made"),
    },
    "measured": {
        "longest_learned": ((), "step", "longest delay learned"),
        "next_failed": ((), "step", "shortest longer delay that failed"),
        "all_shorter": ((), "step", "longest delay learned with all shorter ones"),
        "share_learned": ((), "1", "share of the ladder that was learned"),
        "state": ("delay", "1", "0 nothing, 1 a part, 2 learned"),
        "steps_needed": ("delay", "step", "training steps until it was learned"),
        "loss_over_floor": ("delay", "1", "least held-out loss over the floor"),
        "seed_trained_horizon": ((), "step", "memory horizon, trained at the longest delay"),
        "seed_trained_horizon_error": ((), "step", "standard error of the trained horizon"),
        "trained_log_gradient": ("lag", "1", "ln of the gradient while waiting, trained"),
        "measured_at": ((), "", "when the measurement began"),
    },
}


def measure_entrant(
    stage: str,
    entrant: Entrant,
    task: Any,
    *,
    seed: int,
    delays: list[int],
    evaluate_every: int,
    resolution: float,
    **recipe: Any,
) -> Dataset:
    """One point of a race: the prediction for one model and seed, or its measurement."""
    from datetime import UTC, datetime

    lags = lags_up_to(2 * delays[-1])
    began = datetime.now(UTC).isoformat(timespec="milliseconds")
    recipe = {**recipe, "learning_rate": entrant.learning_rate}
    with torch_threads(1):
        if stage == "predicted":
            found = _predicted(entrant, task, seed, delays, lags, evaluate_every, recipe)
            found["predicted_at"] = began
        else:
            found = _measured(entrant, task, seed, delays, lags, evaluate_every, resolution, recipe)
            found["measured_at"] = began
    return _point(stage, found, delays, lags)


def _predicted(entrant, task, seed, delays, lags, every, recipe):
    made = predicted_delay(
        entrant.model,
        task,
        ladder=delays[: min(RUNGS, len(delays) - 1)],
        longest=delays[-1],
        evaluate_every=every,
        rng=seed,
        progress=False,
        **recipe,
    )
    scale, reason, horizon, cost = _untrained(entrant, task_at(task, delays[-1]), seed, lags)
    upper = float(made.predicted_delay_upper)
    return {
        "seed_predicted_delay": float(made.predicted_delay),
        "seed_predicted_delay_lower": float(made.predicted_delay_lower),
        # nothing longer was looked at
        "seed_predicted_delay_upper": math.inf if upper >= delays[-1] else upper,
        **{name: float(made[name]) for name in ("visible_delay", "trainable_delay", "hard_limit")},
        "snr_squared": made.snr_squared.min("mode").reindex(delay=delays).values,
        "theory_time_scale": scale,
        **_horizon_rows("", horizon),
        "seed_horizon_of": horizon.of,
        "seed_units": cost["units"],
        "seed_parameters": cost["parameters"],
        "seed_state_size": cost["state"],
        "seed_limit": made.attrs["limit"],
        "no_theory": reason,
    }


def _untrained(entrant, task, seed, lags):
    """Time scale by theory or why there is none, horizon, and cost of a network before training;
    NaN where its outputs are not finite."""
    try:
        module = sequence_module(entrant.model, task, 1, seed, "float32")
        scale, reason = predicted_time_scale(module, task, seed)
        return (
            scale,
            reason,
            measured_horizon(module, task, lags, seed),
            cost_of(entrant.model, task, seed),
        )
    except NotFiniteError as error:
        return math.nan, str(error), no_horizon(lags), dict.fromkeys(COSTS, math.nan)


def _measured(entrant, task, seed, delays, lags, every, resolution, recipe):
    found = learnable_delay(
        entrant.model,
        task,
        delays=delays,
        seeds=[seed],
        evaluate_every=every,
        resolution=resolution,
        progress=False,
        **recipe,
    ).isel(seed=0)
    rows = ("longest_learned", "next_failed", "all_shorter", "share_learned")
    ladder = found.sel(delay=delays)
    longest = int(found.longest_learned)
    horizon = no_horizon(lags)
    if longest:
        horizon = _trained_horizon(entrant, task, seed, longest, delays[-1], lags, every, recipe)
    return {
        **{name: float(found[name]) for name in rows},
        **{name: ladder[name].values for name in ("state", "steps_needed", "loss_over_floor")},
        **_horizon_rows("trained_", horizon),
    }


def _horizon_rows(stage, horizon):
    return {
        f"seed_{stage}horizon": horizon.lag,
        f"seed_{stage}horizon_error": horizon.error,
        f"{stage}log_gradient": horizon.log_gradient,
    }


def _trained_horizon(entrant, task, seed, delay, longest, lags, every, recipe):
    """Horizon of the network that learned the longest delay, trained once more: the same seed gives
    the same weights."""
    built = []

    def build(at):
        built.append(sequence_module(entrant.model, at, 1, seed, "float32"))
        return built[-1]

    steps = recipe["budget"]
    options = {k: v for k, v in recipe.items() if k != "budget"}
    rng = np.random.default_rng((seed, delay))
    short_fit(build, task_at(task, delay), Recipe(steps, **options), rng, every)
    built[-1].eval()
    return measured_horizon(built[-1], task_at(task, longest), lags, seed)


def _point(stage, found, delays, lags) -> Dataset:
    """Dataset of a point: the variables of both stages, those of the other one NaN or empty."""
    sizes = {"delay": len(delays), "lag": len(lags)}
    variables: dict[str, tuple] = {}
    for of, rows in POINT.items():
        for name, (dim, units, text) in rows.items():
            missing = np.full([sizes[dim]] if dim else [], np.nan) if units else ""
            value = found[name] if of == stage else missing
            value = np.asarray(value, float) if units else value
            variables[name] = (dim, value, units or "1", text)
    coords = {
        "delay": ("delay", delays, "step", "delay of the task"),
        "lag": ("lag", lags, "step", "lag"),
    }
    return dataset(variables, coords, title="a point of a race", source=SOURCE)


def merged(results: Dataset) -> Dataset:
    """Both stages of the points of a race in one, without the dim ``stage`` (the status keeps
    it)."""
    from_stage = {
        name: results[name].sel(stage=stage, drop=True)
        for stage, rows in POINT.items()
        for name in rows
        if name in results
    }
    for name, variable in from_stage.items():
        variable.attrs = results[name].attrs
    failed = np.char.startswith(results.status.values.astype(str), "failed")
    status = results.status.copy(data=np.where(failed, results.status.values, "done"))
    return results.drop_vars([*from_stage, "status"]).assign(from_stage | {"status": status})
