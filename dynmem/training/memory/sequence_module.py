"""A model of any kind, a name, a Map or a torch module, as a torch module that fits a task."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from ...errors import NotFiniteError, ShapeError
from ...runtime.validation import generator
from ...system import Map
from ...tasks import Task
from ..fitting import as_task, as_tensors
from ..forecaster import Forecaster, as_model
from ..trainable import Trainable, as_dtype


def task_at(task: Any, delay: int | None) -> Task:
    """The task with this delay (None: as it is), from a task, a name, arrays or a function of the
    delay."""
    if callable(task):
        made = task() if delay is None else task(delay)
        if not isinstance(made, Task):
            raise TypeError(
                f"the function gave {type(made).__name__} for delay {delay}, not a Task"
            )
        return made
    found = as_task(task, None, None)
    return found if delay is None else found.with_delay(delay)


def delay_of(task: Task) -> int:
    """The delay that a task has: its ``delay_option``, or its longest lag, or its length."""
    return getattr(task, task.delay_option, None) or task.dependency or task.steps


def sequence_module(model: Any, task: Task, units: int, rng: Any, dtype: Any) -> torch.nn.Module:
    """A module of its own (a copy), from inputs (batch, steps, inputs) to outputs (batch, steps,
    outputs).

    A name makes a model of ``units``; a function is called as ``model(task, rng)`` and returns any
    of the others.
    """
    if not isinstance(model, (str, Map, torch.nn.Module)) and callable(model):
        model = model(task, np.random.default_rng(rng))
    model = as_model(model, task.inputs, task.outputs, units, np.random.default_rng(rng))
    if isinstance(model, Forecaster) or not isinstance(model, (Map, torch.nn.Module)):
        raise TypeError(
            f"{type(model).__name__} is no sequence model: pass a name of dm.models, a Map, a "
            "torch module or a function (task, rng) that returns one of them"
        )
    module = (
        Trainable(model, dtype)
        if isinstance(model, Map)
        else copy.deepcopy(model).to(as_dtype(dtype))
    )
    if not trained(module):
        raise ValueError(f"{type(model).__name__} has no weights to train")
    _check_widths(module, task)
    return module


def seed_of(rng: Any) -> int:
    """A seed itself, or one drawn from a Generator: a named model has the weights that
    ``dm.models.get`` draws from that seed."""
    drawing = generator(rng)
    return int(rng) if isinstance(rng, (int, np.integer)) else int(drawing.integers(2**62))


def trained(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that training changes."""
    return [weight for weight in module.parameters() if weight.requires_grad and weight.numel()]


def name_of(model: Any) -> str:
    """What a Dataset says of a model."""
    if isinstance(model, str):
        return model
    if isinstance(model, Trainable):
        return type(model.system).__name__
    return getattr(model, "__name__", type(model).__name__)


def outputs_of(module: torch.nn.Module, u: torch.Tensor) -> torch.Tensor:
    """The outputs: what the module returns, or the first entry of a tuple."""
    found = module(u)
    return found[0] if isinstance(found, tuple) else found


class Outputs(torch.nn.Module):
    """A module that returns its outputs alone."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Outputs (batch, steps, outputs)."""
        return outputs_of(self.inner, u)


def in_double(module: torch.nn.Module) -> torch.nn.Module:
    """A copy in float64, without dropout."""
    return copy.deepcopy(module).double().eval()


def _check_widths(module, task):
    """Refuse a module that does not map the inputs of the task to its outputs, each sequence by
    itself."""
    name = type(getattr(module, "system", module)).__name__
    dtype = next(module.parameters()).dtype
    u, _ = as_tensors(task, task.arrays(2, 0), dtype, next(module.parameters()).device)
    made_for = f"the task gives (batch, time, features) = (batch, {task.steps}, {task.inputs})"
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            both, alone = outputs_of(module, u), outputs_of(module, u[1:])
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        raise ShapeError(f"{name} does not take the inputs: {made_for} ({reason:.200})") from None
    finally:
        module.train(was_training)
    expected = (2, task.steps, task.outputs)
    shape = tuple(getattr(both, "shape", ()))
    if shape != expected:
        raise ShapeError(
            f"{name} gave outputs of shape {shape} for two sequences, the task requires "
            f"{expected}: {made_for}"
        )
    if not torch.isfinite(both).all():
        raise NotFiniteError(f"the outputs of {name} are not finite: check its weights")
    if not torch.allclose(both[1:], alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max())):
        raise ShapeError(
            f"{name} mixes the sequences of a batch: pass batch_first=True, so that it takes "
            "(batch, time, features)"
        )
