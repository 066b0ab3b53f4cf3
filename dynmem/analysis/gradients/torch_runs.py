"""Runs in torch of Maps of which ``gradient_profile`` takes gradients, with their state at the
boundaries of segments."""

from __future__ import annotations

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
    last_only = False

    def __init__(self, model, x0, drives, transient, longest, dtype, dt, device, seeds):
        import torch

        self.name = type(model).__name__
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
        dtype = dtype or "float64"
        kind = self.dtype = getattr(torch, dtype)
        self.run = map_arrays(
            system,
            lambda a: torch.tensor(a, dtype=kind if a.dtype.kind == "f" else None, device=device),
        ).run
        self.inputs, self.outputs = system.inputs, system.outputs
        self.description = describe_system(model)
        x, every = (
            torch.tensor(np.stack(each), dtype=kind, device=device)
            for each in zip(*windows, strict=True)
        )
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
