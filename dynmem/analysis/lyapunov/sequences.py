"""Spectra along recorded sequences: the run is as long as the data, and a batch is averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...drive import default_transient, drive_values
from ...errors import ShapeError
from ...models.torch_step import TorchStep
from ...runtime.torch_modules import as_numpy, check_layout, is_module
from ...runtime.validation import is_real
from ...system import Flow, System, as_system

if TYPE_CHECKING:
    from xarray import Dataset

SPREAD = "standard deviation of the exponent over the sequences"


def step_system(system: Any, x0: Any, state: Any, drive: Any) -> tuple[Any, Any]:
    """The system of a torch step function and the state it starts from; of a layer of torch that is
    converted, its start (h, c) as one vector; any other system and x0 as they are."""
    if is_module(system):
        check_layout(system, np.shape(drive))
    if state is None:
        plain = callable(system) and not isinstance(system, (System, type))
        if plain and not is_module(system):
            raise TypeError(
                f"{getattr(system, '__name__', type(system).__name__)} is a function: pass state=, "
                "the tensor that a torch step function (state, input) -> state starts from; or "
                "make a system of it by dm.Map.from_function"
            )
        return system, x0
    if x0 is not None:
        raise TypeError("x0 and state are the same start: pass one of them")
    if isinstance(system, (System, list, tuple)):
        raise TypeError("state belongs to a torch function or module: pass x0, the start")
    try:
        converted = as_system(system) if is_module(system) else None
    except (TypeError, ValueError):  # no layer that dynmem knows: a step function
        converted = None
    if converted is None:
        return TorchStep(system, state, _width(drive)), None
    return converted, _start(state)


def _width(drive: Any) -> int:
    """Number of inputs that a drive brings."""
    if drive is None:
        return 0
    if is_real(drive):
        raise ValueError(
            f"drive = {drive}: the number of inputs of a torch function is not known, pass an "
            "array (steps, inputs), or a function (rng, steps) -> array"
        )
    values = drive(np.random.default_rng(0), 1) if callable(drive) else drive
    return int(np.shape(values)[-1]) if np.ndim(values) else 0


def _start(state: Any) -> np.ndarray:
    """The state of a layer of torch, h or (h, c), of shape (n,), (1, n), (layers, n) or (layers, 1,
    n), as one vector: layer after layer."""
    parts = state if isinstance(state, (tuple, list)) else (state,)
    arrays = [np.asarray(as_numpy(p), dtype=float) for p in parts]
    arrays = [a[:, 0] if a.ndim == 3 and a.shape[1] == 1 else a for a in arrays]
    if any(a.ndim > 2 for a in arrays):
        raise ShapeError(
            f"state has shape {arrays[0].shape}: pass the start of one sequence, (layers, 1, n)"
        )
    return np.concatenate([np.atleast_2d(a) for a in arrays], axis=1).reshape(-1)


def recorded(system: Any, drive: Any) -> Any:
    """What a drive given as an array holds, (steps, inputs) or (samples, steps, inputs); None for
    another drive and for a list of systems."""
    if drive is None or is_real(drive) or callable(drive) or isinstance(system, (list, tuple)):
        return None
    return drive_values(system, drive)


def read_span(
    system: Any, drive: Any, duration: float | None, transient: float | None, dt: float | None
) -> tuple[float, float | None]:
    """Duration and transient of a run: those given, or all of the data that a drive holds, of which
    the transient is a tenth, at least 100 steps and at most half."""
    if duration is not None:
        return duration, transient
    values = recorded(system, drive)
    if values is None or values.ndim not in (2, 3):
        raise TypeError(
            "lyapunov_spectrum needs duration, the time over which growth is averaged; only a "
            "drive that is an array (steps, inputs) or (samples, steps, inputs) brings it"
        )
    step = system.dt if not isinstance(system, Flow) else dt
    if step is None:
        raise TypeError(
            "lyapunov_spectrum needs duration, or dt, the time between the rows of drive"
        )
    span = values.shape[-2] * abs(step)
    if transient is None:
        transient = min(default_transient(span, step), abs(step) * (values.shape[-2] // 2))
    if transient >= span:
        raise ShapeError(
            f"drive has {values.shape[-2]} steps, no more than the transient of {transient}: pass "
            "a longer one, or a shorter transient"
        )
    return span - transient, transient


def averaged(measure: Callable[[Any], Dataset], sequences: np.ndarray) -> Dataset:
    """The mean of the spectra along several sequences, its standard error and their spread."""
    import xarray as xr

    found = [measure(sequence) for sequence in sequences]
    first = found[0]
    if len(found) == 1:
        return first
    names = [name for name in first.data_vars if first[name].dtype.kind == "f"]
    with np.errstate(invalid="ignore"):
        together = xr.concat([each[names] for each in found], "sample", join="override")
        mean = together.mean("sample", skipna=False, keep_attrs=True)
        spread = together.lyapunov.std("sample", ddof=1).fillna(0.0)
    result = mean.assign(converged=first.converged.copy(data=all(f.converged for f in found)))
    error = spread / np.sqrt(len(found))
    result["lyapunov_error"] = error.assign_attrs(first.lyapunov_error.attrs)
    result["lyapunov_spread"] = spread.assign_attrs(first.lyapunov.attrs | {"long_name": SPREAD})
    notes = {k: v for each in found for k, v in each.attrs.items()}
    return result[[*first.data_vars, "lyapunov_spread"]].assign_attrs(
        notes | {"samples": len(found)}
    )
