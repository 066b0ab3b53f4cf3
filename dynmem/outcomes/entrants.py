"""The models of a race: by name, with options, as systems, modules or functions; of equal cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..analysis.cost.counted_cost import MATCHED_VARIABLES, counted_cost, match
from ..errors import NotFiniteError, UnknownNameError
from ..models import get
from ..models.registry import REGISTRY
from ..runtime.validation import choice, number
from ..system import Map
from ..tasks import Task
from ..training.memory.sequence_module import name_of, sequence_module, trained
from .horizons import as_map

COSTS = ("units", *MATCHED_VARIABLES)


@dataclass(frozen=True)
class Named:
    """Draws a model of ``dm.models`` that fits a task: a function (task, rng)."""

    name: str
    units: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, task: Task, rng: Any) -> Map:
        given: dict[str, Any] = {"inputs": task.inputs, "outputs": task.outputs, **self.options}
        return get(self.name, units=self.units, rng=rng, **given)


@dataclass(frozen=True)
class Entrant:
    """A model of a race, and the rate at which it is trained."""

    model: Any
    learning_rate: float


def entrants(
    models: Any,
    task: Task,
    *,
    units: int,
    learning_rate: float | Mapping[str, float],
    matched: str | None,
) -> dict[str, Entrant]:
    """Models by their labels, each checked against the task.

    ``matched``: models that are named get the width at which they cost what the first model costs
    that is not named, or else the first of all.
    """
    given = _labelled(models)
    choice("matched", matched, (*MATCHED_VARIABLES, None))
    rates = _rates(learning_rate, given)
    named = {label: _named(model, units) for label, model in given.items()}
    ready = {label: named[label] or model for label, model in given.items()}
    if matched is not None:
        ready |= _matched({k: v for k, v in named.items() if v}, ready, task, matched)
    for model in ready.values():
        with suppress(NotFiniteError):  # what explodes is an outcome; what does not fit is refused
            sequence_module(model, task, units, 0, "float32")
    return {label: Entrant(model, rates[label]) for label, model in ready.items()}


def _labelled(models):
    """Models by label, from one model, a list of them, or a dict."""
    if isinstance(models, Mapping):
        given = {str(label): model for label, model in models.items()}
    else:
        single = isinstance(models, (str, Map)) or callable(models) or _is_pair(models)
        given = {}
        for model in [models] if single else list(models):
            label = first = model[0] if _is_pair(model) else name_of(model)
            count = 1
            while label in given:
                count += 1
                label = f"{first} {count}"
            given[label] = model
    if not given:
        raise ValueError("models is empty: pass at least one model")
    return given


def _is_pair(model):
    return isinstance(model, Sequence) and len(model) == 2 and isinstance(model[1], Mapping)


def _named(model, units):
    """A model that is named, or None."""
    name, options = model if _is_pair(model) else (model, {})
    if not isinstance(name, str):
        return None
    options = dict(options)
    return Named(REGISTRY.resolve(name), options.pop("units", units), options)


def _rates(learning_rate, given):
    """Learning rate by label, from one number or some by label."""
    if not isinstance(learning_rate, Mapping):
        rate = number("learning_rate", learning_rate, above=0)
        return dict.fromkeys(given, rate)
    for label in learning_rate:
        if label not in given:
            raise UnknownNameError("model of this race", label, list(given))
    missing = [label for label in given if label not in learning_rate]
    if missing:
        raise ValueError(f"learning_rate has none for {', '.join(missing)}: give one for each")
    return {k: number(f"learning_rate[{k!r}]", learning_rate[k], above=0) for k in given}


def _matched(named, ready, task, quantity):
    """The models that are named, at the width at which they cost as much as the reference."""
    own = [label for label in ready if label not in named]
    label = own[0] if own else next(iter(named))
    cost = cost_of(ready[label], task)[quantity]
    if not np.isfinite(cost):
        raise ValueError(
            f"the {quantity} of {label} cannot be counted: pass matched='parameters', or a system"
        )
    found = {}
    for other, model in named.items():
        if other == label:
            continue
        width = match(
            [model.name],
            budget=cost,
            quantity=quantity,
            length=task.steps,
            inputs=task.inputs,
            outputs=task.outputs,
            multiple=int(model.options.get("heads", 2 if model.name == "attention" else 1)),
            **model.options,
        )
        found[other] = Named(model.name, int(width.units[0]), model.options)
    return found


def cost_of(model: Any, task: Task, seed: int = 0) -> dict[str, float]:
    """Units, parameters, state and operations of a sequence; NaN for what cannot be counted."""
    module = sequence_module(model, task, 1, seed, "float32")
    found = dict.fromkeys(COSTS, np.nan)
    found["units"] = float(getattr(model, "units", np.nan))
    found["parameters"] = float(sum(weight.numel() for weight in trained(module)))
    system = as_map(module, task)
    if system is not None:
        try:
            counted = counted_cost(system, lengths=task.steps)
        except (TypeError, ValueError):
            return found
        found["parameters"] = float(counted.parameters)
        found["state"] = float(counted.state_size)
        found["operations"] = float(counted.operations[0])
    return found
