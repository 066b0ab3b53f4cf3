"""``dynmem compare``: predictions beside outcomes, for models by name and those of a file."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
from pathlib import Path
from typing import Any

from ..study.command import complain
from ..study.parameters import ConfigurationError
from .data import dataset_options, read_any

COLUMNS = ("time_scale", "horizon", "trained_horizon", "predicted_delay", "learnable_delay")
QUICK: dict[str, Any] = {"delays": [2, 4, 8], "seeds": 1, "budget": 100, "units": 8, "batch": 16}


def compare_models(options: argparse.Namespace) -> int:
    """``dynmem compare MODEL ...``: run a race, print its table, write what was asked for."""
    given = {
        name: getattr(options, name)
        for name in ("seeds", "budget", "units", "batch", "learning_rate", "matched", "workers")
        if getattr(options, name) is not None
    }
    if options.delays:
        given["delays"] = [read_any(text) for text in options.delays.split(",")]
    given = {**(QUICK if options.quick else {}), **given, "store": options.output}
    models = dict(_entry(text) for text in options.models)
    if len(models) < len(options.models):
        return complain("two models have one label: leave out one of them", 2)
    task = _task(options.task, options.set)
    try:
        from ..outcomes import race
        from ..tables import table

        found = race(models, task, **given)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        return complain(str(error), 2)
    if options.file:
        from ..study import save

        save(found, options.file)
    if options.figure:
        _draw(found, Path(options.figure))
    if options.json:
        print(json.dumps(_records(found)))
    else:
        print(table(found, columns=[*COLUMNS, "limit", "verdict"]))
        if found.model.size > 2:
            print("\n" + table(found, rows="predictor"))
    return 0


def _entry(text: str) -> tuple[str, Any]:
    """Label and model of NAME, NAME:OPTION=VALUE,... or FILE.py:NAME."""
    name, _, rest = text.partition(":")
    if name.endswith(".py"):
        return text, _from_file(name, rest)
    options = dict(_assignment(one) for one in rest.split(",")) if rest else {}
    return text, (name, options)


def _assignment(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError([f"{text!r}: write an option of a model as NAME:OPTION=VALUE"])
    return name.strip(), read_any(value.strip())


def _from_file(path: str, name: str) -> Any:
    """What a Python file calls by this name: a function (task, rng), a module, a system."""
    if not Path(path).is_file():
        raise ConfigurationError([f"there is no file {path}"])
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    if not hasattr(module, name):
        public = [one for one in vars(module) if not one.startswith("_")]
        raise ConfigurationError(
            [f"{path} has no {name!r}: write FILE.py:NAME, one of {', '.join(public)}"]
        )
    return getattr(module, name)


def _task(name: str, texts: list[str]) -> Any:
    """A task by name, with options."""
    from .. import tasks

    if not texts:
        return name
    described = {option: row["default"] for option, row in tasks.describe(name)["options"].items()}
    return tasks.get(name, **dataset_options(texts, described))


def _draw(found: Any, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from ..outcomes import picture

    picture(found).savefig(path)


def _records(found: Any) -> list[dict[str, Any]]:
    """A record for each model, without what JSON cannot hold."""
    names = [str(name) for name in found.data_vars if found[name].dims == ("model",)]
    return [
        {"model": str(model)}
        | {name: _plain(found[name].sel(model=model).values.item()) for name in names}
        for model in found.model.values
    ]


def _plain(value: Any) -> Any:
    """NaN as null, infinity as the word: JSON has neither.

    >>> _plain(float("nan")), _plain(float("inf")), _plain(2.0)
    (None, 'infinite', 2.0)
    """
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "infinite"
