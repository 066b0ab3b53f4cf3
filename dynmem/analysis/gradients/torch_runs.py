"""Runs in torch of which ``gradient_profile`` takes gradients: Maps with their state at segment
boundaries, and torch modules."""

from __future__ import annotations

import copy

import numpy as np

from ...drive import example_input
from ...errors import NotFiniteError, ShapeError
from ...labels import describe_system
from ...orbits import as_map
from ...system import Map, System, as_system, map_arrays
from .window import read_window

# a segment whose cotangent leaves the range of the dtype is cut in halves
STEPS_PER_SEGMENT = {"float64": 256, "float32": 64}


class SegmentedRun:
    """A Map on torch, its inputs (runs, steps, inputs) and the states (runs, n) at the boundaries
    of segments."""

    log_floor = -np.inf

    def __init__(self, model, x0, drives, transient, longest, dtype, dt, seeds):
        import torch

        given = as_system(model, Map if dt is None else System)
        system = as_map(given, dt, x0, example_input(given, drives[0]))
        if not system.inputs:
            raise ValueError(
                f"{type(model).__name__} takes no inputs, so it has no gradient of "
                "output with respect to input: use gradient_norms"
            )
        windows = [
            read_window(system, x0, drive, transient, longest, seed)
            for drive, seed in zip(drives, seeds, strict=True)
        ]
        if len({len(inputs) for _, inputs in windows}) > 1:
            raise ShapeError(
                "the runs differ in length: pass drive as an array (samples, steps, inputs)"
            )
        kind = getattr(torch, dtype)
        self.run = map_arrays(
            system,
            lambda a: torch.tensor(a, dtype=kind) if a.dtype.kind == "f" else torch.as_tensor(a),
        ).run
        self.inputs, self.outputs = system.inputs, system.outputs
        self.description = describe_system(model)
        x, every = (torch.tensor(np.stack(each), dtype=kind) for each in zip(*windows, strict=True))
        early, length = every.shape[1] - longest - 1, STEPS_PER_SEGMENT[dtype]
        with torch.no_grad():
            x = self.run(x, every[:, :early])[1] if early else x
            self.u, self.steps = every[:, early:], longest + 1
            self.states = {0: x}
            for start in range(0, self.steps - length, length):
                self.states[start + length] = self.run(
                    self.states[start], self.u[:, start : start + length]
                )[1]
            last = self.run(self.states[max(self.states)], self.u[:, max(self.states) :])[1]
        if not torch.isfinite(last).all():
            raise NotFiniteError(
                f"the state of {type(model).__name__} is not finite along the "
                "run: check its weights, or lower drive"
            )
        self.scale = 1.0

    def split(self, start, stop):
        """The two halves of a segment, the state between them stored."""
        import torch

        middle = (start + stop) // 2
        with torch.no_grad():
            self.states[middle] = self.run(self.states[start], self.u[:, start:middle])[1]
        return [(start, middle), (middle, stop)]


class WholeRun:
    """A torch module of unknown state: one segment. Cotangents start large, so that less of what is
    left of them underflows."""

    def __init__(self, module, x0, drives, transient, longest, dtype, dt, seeds):
        import torch

        name, kind = type(module).__name__, getattr(torch, dtype)
        if x0 is not None or dt is not None:
            raise ValueError(
                f"x0 and dt belong to systems, {name} is a torch module: leave them out"
            )
        arrays = [
            drive(seed, transient + longest + 1) if callable(drive) else drive
            for drive, seed in zip(drives, seeds, strict=True)
        ]
        if any(np.ndim(u) != 2 or len(u) < longest + 1 for u in arrays):
            got = "None" if arrays[0] is None else f"shape {np.shape(arrays[0])}"
            raise ShapeError(
                "drive of a torch module must be an array (steps, features) or "
                "(samples, steps, features), or a function (rng, steps) -> "
                f"array, of at least {longest + 1} steps, got {got}"
            )
        module = copy.deepcopy(module).to(kind).eval().requires_grad_(False)
        weight = next(module.parameters(), torch.zeros(()))
        self.u = torch.tensor(
            np.stack([np.asarray(u, float) for u in arrays]), dtype=kind, device=weight.device
        )
        if not torch.isfinite(self.u).all():
            raise NotFiniteError("drive holds NaN or infinity")
        self.steps, self.inputs = self.u.shape[1:]
        self.states = {0: self.u.new_zeros(len(self.u), 0)}
        self.run = lambda x, u: (_first(module(u)), x)
        self.outputs = _check_module(name, self.run, self.u[0], dtype)
        self.scale = 1e150 if dtype == "float64" else 1e15
        self.log_floor = float(log_smallest(kind) - np.log(self.scale))
        self.description = {"module": name}


def _first(output):
    return output[0] if isinstance(output, tuple) else output


def _check_module(name, run, u, dtype):
    """Number of outputs of a module; an error unless it treats the sequences of a batch
    independently."""
    import torch

    try:
        with torch.no_grad():
            alone, pair = run(None, u[None])[0], run(None, torch.stack((u.flip(0), u)))[0]
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ShapeError(
            f"{name} does not take an input {(1, *u.shape)}, (batch, time, "
            f"features): {str(error).splitlines()[0]}"
        ) from None
    if not isinstance(alone, torch.Tensor):
        raise TypeError(
            f"{name} returned {type(alone).__name__}: it must return a tensor (batch, "
            "time, features), or a tuple that begins with one"
        )
    if alone.ndim != 3 or alone.shape[:2] != (1, len(u)):
        raise ShapeError(
            f"{name} gave shape {tuple(alone.shape)} for an input {(1, *u.shape)}: "
            "it must map (batch, time, features) to (batch, "
            "time, features), with batch_first=True where torch has it"
        )
    if not torch.isfinite(alone).all():
        raise NotFiniteError(
            f"the output of {name} is not finite: check its weights, or lower drive"
        )
    if not torch.allclose(pair[1], alone[0], rtol=1e-3, atol=1e-3 * float(alone.abs().max())):
        raise ShapeError(
            f"{name} mixes the sequences of a batch: pass batch_first=True, so that "
            "it takes (batch, time, features)"
        )
    return alone.shape[-1]


def log_smallest(dtype):
    """ln of the size below which numbers of a dtype lose digits."""
    import torch

    return np.log(torch.finfo(dtype).tiny) - np.log(torch.finfo(dtype).eps)
