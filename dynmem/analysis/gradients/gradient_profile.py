"""Gradients through a whole model: d y_T / d u_(T-lag) over the lag from one backward pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...drive import drive_name, drive_values
from ...errors import NotFiniteError
from ...labels import dataset
from ...models import Embedding, Network, from_torch
from ...runtime.devices import as_device
from ...runtime.torch_modules import (
    as_numpy,
    check_layout,
    device_of,
    gradients_on,
    is_module,
    unwrapped,
)
from ...runtime.validation import choice, generator, integer, public
from ...system import System
from ...typing import ArrayLike, Drive, Rng
from .module_run import WholeRun, has_embedding, log_smallest
from .torch_runs import STEPS_PER_SEGMENT, SegmentedRun
from .window import lag_axis, read_transient, require_samples

if TYPE_CHECKING:
    from torch.nn import Module
    from xarray import Dataset

SOURCE = (
    "Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433, with orthogonal probes; "
    "Pascanu, Mikolov and Bengio (2013), ICML"
)


@public
def gradient_profile(
    model: System | Module,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = None,
    lags: ArrayLike,
    transient: int | None = None,
    samples: int = 1,
    ends: int = 1,
    probes: int = 16,
    dtype: str | None = None,
    dt: float | None = None,
    device: Any = None,
    rng: Rng = 0,
) -> Dataset:
    """Measure the norm of d y_T / d u_(T-lag) of a whole model at every lag by one backward pass.

    Hutchinson's estimator: over random cotangents v of the output,

        |J|_F^2 = E |v^T J|^2,    norm = |d y_T / d u_(T-lag)|_F / sqrt(inputs),

    as in ``gradient_norms``. The rows of the batch hold orthogonal probes v, so that as many probes
    as outputs are exact. The cotangent of the state is pulled back segment by segment, through
    ``run``, and rescaled to size one between them, its logarithm kept: gradients that autograd
    rounds to 0 stay finite numbers.

    Parameters
    ----------
    model : Map, Flow or torch.nn.Module
        A Flow with ``dt``. A module is copied, in evaluation mode, and converted where
        ``dm.models.from_torch`` can. Any other has no known state that could be cut: its gradients
        come from one pass over the whole sequence, and are 0 below exp(``log_floor``), logarithm
        -inf. It maps sequences (batch, time, features), or (time, batch, features), to sequences or
        to one output (batch, features), or reads symbols (batch, time) through an nn.Embedding,
        whose output is then the u of the gradient. Which of these is found by running it.
    x0 : array_like (n,), optional
        Start; of a converted torch module the state zero by default.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input, as for ``gradient_norms``; or an array (samples, steps, inputs), whatever the order
        of axes that a module takes. A torch module needs an array or a function, which have its
        number of features, or integers (steps,) or (samples, steps) where it reads symbols. A torch
        tensor is read as an array.
    lags : int or array_like of int
        Largest lag, or the lags wanted, in steps.
    transient : int, optional
        Steps before the window; by default a tenth of the largest lag, at least 100, or all rows of
        an array before the window.
    samples, ends : int
        Runs with other starts and noise; ends T in each run, spread evenly over as many further
        steps as the largest lag, where the run is taken to be stationary. The logarithms are
        averaged over both.
    probes : int
        Random cotangents for each end; the backward pass has samples x ends x probes rows.
    dtype : {"float64", "float32"}, optional
        Of the run; by default float64, or the own dtype of a module that does not run in it. The
        parameter ``precision`` in the result is the lowest dtype that a module computes in, by a
        cast in its forward; the gradient is as accurate as that.
    dt : float, optional
        Step of a Flow.
    device : {"cpu", "cuda"}, torch.device or None
        Where torch computes; None: where the module is, the processor for a Map. The numbers are
        the same to rounding, and they come back as numpy arrays.
    rng : int, Generator or None
        Of starts, noise and probes.

    Returns
    -------
    xarray.Dataset
        log_input_gradient : (lag,), 1
            Natural logarithm of the norm of d y_T / d u_(T-lag).
        input_gradient : (lag,), 1
            Its exponential.
        log_input_gradient_error : (lag,), 1 [optional]
            Standard error of the logarithm: of the probes, or from the scatter over samples and
            ends, which contains it; not there where the result is exact. The error of the probes is
            nearly one factor common to all lags, so that a slope over the lag is more accurate.
        log_floor : (), 1
            Logarithm below which a gradient is given as 0.

    Raises
    ------
    ValueError
        If the model has no inputs, an argument is out of range, or a module gives different outputs
        for the same input.
    ShapeError
        If an array is too short, or a module mixes the sequences of a batch or takes other axes.
    TypeError
        If a module returns no tensor, or its symbols reach no nn.Embedding.
    NotFiniteError
        If a state or a gradient becomes infinite or NaN.

    References
    ----------
    Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433. Pascanu, Mikolov and Bengio (2013),
    ICML.

    Examples
    --------
    >>> import dynmem as dm
    >>> net = dm.models.get("lstm", units=8, inputs=1, layers=2, outputs=1)
    >>> profile = dm.gradient_profile(net, drive=1.0, lags=50).log_input_gradient
    >>> exact = dm.gradient_norms(net, drive=1.0, lags=50).log_input_gradient
    >>> bool(abs(profile - exact).max() < 1e-10)
    True
    """
    wanted = lag_axis(lags)
    longest = int(wanted[-1])
    probes, samples = integer("probes", probes), integer("samples", samples)
    ends = integer("ends", ends)
    require_samples(samples * ends * probes, longest + 1, longest + 1)
    if dtype is not None:
        choice("dtype", dtype, STEPS_PER_SEGMENT)
    further = longest if ends > 1 else 0
    device = as_device(device) or (device_of(model) if is_module(model) else None)
    system, x0, drive = _as_map(model, x0, drive)
    drives, seeds = _drives(system, drive, samples, generator(rng))
    transient = read_transient(transient, longest + further, system, drives[0])
    prepare = WholeRun if is_module(system) else SegmentedRun
    with gradients_on():
        run = prepare(system, x0, drives, transient, longest + further, dtype, dt, device, seeds)
        if ends > 1 and run.last_only:
            raise ValueError(
                f"ends = {ends}: {run.name} has one output for a sequence, leave ends out"
            )
        last = np.round(np.linspace(run.steps - 1 - further, run.steps - 1, ends)).astype(int)
        cotangents = _cotangents(run.outputs, probes, (len(drives), len(last)), seeds[0])
        logs = _logs(run, cotangents, last, longest)[..., wanted]
    mean, error = _average(logs, run.outputs, run.inputs, run.log_floor)
    kind = "|d y_T / d u_(T-lag)|"
    variables: dict[str, tuple] = {"log_input_gradient": ("lag", mean, "1", f"ln {kind}")}
    with np.errstate(over="ignore"):  # the logarithm holds what overflows
        variables["input_gradient"] = ("lag", np.exp(mean), "1", kind)
    if error is not None:
        long_name = f"standard error of ln {kind}"
        variables["log_input_gradient_error"] = ("lag", error, "1", long_name)
    long_name = "logarithm below which a gradient is given as 0"
    variables["log_floor"] = ((), run.log_floor, "1", long_name)
    options = {
        "probes": cotangents.shape[2],
        "samples": len(drives),
        "ends": ends,
        "transient": transient,
        "dtype": str(run.dtype).removeprefix("torch."),
        "drive": drive_name(drive),
    }
    return dataset(
        variables,
        {"lag": ("lag", wanted, "step", "lag")},
        title=f"gradient profile of {type(unwrapped(model)).__name__}",
        source=SOURCE,
        parameters=run.description | options,
        seed=rng,
    )


def _as_map(model, x0, drive):
    """The Map equal to a torch module and its start, zero as in torch, where there is one, else the
    module without its wrapper; and the drive as an array, of an embedding's rows where the Map read
    symbols."""
    drive = as_numpy(drive)
    if not is_module(model):
        return model, x0, drive
    check_layout(model, np.shape(drive))
    module = unwrapped(model)
    try:
        system = from_torch(module)
    except (TypeError, ValueError):  # from outside, then
        return module, x0, drive
    first = system.layers[0] if isinstance(system, Network) else None
    if isinstance(first, Embedding) and _symbols(drive) and len(system.layers) > 1:
        drive = first.output(None, drive_values(system, drive))
        system = replace(system, layers=system.layers[1:])
    return system, np.zeros(system.size) if x0 is None else x0, drive


def _symbols(drive):
    return not callable(drive) and np.asarray(drive).dtype.kind in "iu" and np.ndim(drive) > 0


def _drives(model, drive, samples, rng):
    """The input of each run, and its random numbers."""
    axes = 2 if is_module(model) and has_embedding(model) and _symbols(drive) else 3
    batch = not callable(drive) and np.ndim(drive) == axes
    if batch and samples not in (1, len(drive)):
        raise ValueError(
            f"samples = {samples}, but drive has {len(drive)} sequences: leave samples out"
        )
    drives = list(drive) if batch else [drive] * samples
    return drives, rng.spawn(len(drives))


def _logs(run, *arguments):
    """What ``_backward_pass`` returns, from smaller cotangents where the large ones overflow."""
    try:
        return _backward_pass(run, *arguments)
    except RuntimeError as error:  # of torch, for instance of a tensor changed in place
        reason = str(error).strip().splitlines()[0]
        raise TypeError(f"torch cannot take the gradient of {run.name}: {reason}") from None
    except NotFiniteError:
        if run.scale == 1.0:
            raise
        run.scale = 1.0
        return _backward_pass(run, *arguments)


def _cotangents(outputs, probes, shape, rng):
    """Cotangents (*shape, probes, outputs) whose mean |v^T J|^2 is |J|_F^2: random orthogonal ones
    of size sqrt(outputs), or all unit vectors."""
    if probes >= outputs:
        return np.broadcast_to(np.sqrt(outputs) * np.eye(outputs), (*shape, outputs, outputs))
    q, _ = np.linalg.qr(rng.standard_normal((*shape, outputs, probes)))
    return np.sqrt(outputs) * np.swapaxes(q, -1, -2)


def _backward_pass(run, cotangents, last, longest):
    """ln |v^T d y_T / d u_(T-lag)|, shape (runs, ends, probes, lags), segment by segment from the
    end."""
    import torch

    runs, ends, probes, outputs = cotangents.shape
    rows = runs * ends * probes
    of_run = torch.arange(runs).repeat_interleave(ends * probes)
    ends_at = np.tile(np.repeat(last, probes), runs)
    v = torch.tensor(cotangents.reshape(rows, outputs), dtype=run.u.dtype, device=run.u.device)
    back = torch.zeros(rows, run.states[0].shape[1], dtype=v.dtype, device=v.device)
    log_scale = np.zeros(rows)
    logs = np.full((rows, run.steps), -np.inf)
    smallest = log_smallest(v.dtype)
    segments = list(pairwise([*sorted(run.states), run.steps]))
    while segments:
        start, stop = segments.pop()
        here = (ends_at >= start) & (ends_at < stop)
        if not here.any() and not back.any():
            continue
        by_input, by_state = _pull_back(run, start, stop, of_run, v, ends_at, here, back)
        sizes, left = _log_size(by_input), _log_size(by_state)
        lost = (here | (_log_size(back) > -np.inf)) & (
            (left < smallest) | (left == np.inf) | (sizes == np.inf).any(axis=1)
        )
        if lost.any() and stop - start > 1 and back.shape[1]:
            segments += run.split(start, stop)
            continue
        if (left == np.inf).any() or (sizes == np.inf).any():
            raise NotFiniteError(
                f"a gradient is not finite {run.steps - start} steps before the end, in {run.dtype}"
            )
        logs[:, start:stop] = sizes + log_scale[:, None]
        factor = np.where(left > -np.inf, left, 0.0)
        back = by_state * torch.tensor(np.exp(-factor), dtype=v.dtype, device=v.device)[:, None]
        log_scale += factor
    at = ends_at[:, None] - np.arange(longest + 1)
    wanted = np.take_along_axis(logs, at, axis=1) - np.log(run.scale)
    return wanted.reshape(runs, ends, probes, longest + 1)


def _pull_back(run, start, stop, of_run, v, ends_at, here, back):
    """Cotangents of the inputs (rows, steps, inputs) and of the first state (rows, n) of a segment,
    by one backward pass."""
    import torch

    u = run.u[of_run, start:stop].requires_grad_()
    x = run.states[start][of_run].requires_grad_()
    y, after = run.run(x, u)
    pairs = [(after, back)]
    if here.any():
        at = torch.as_tensor(np.flatnonzero(here))
        pairs.append((y[at, torch.as_tensor(ends_at[here] - start)], run.scale * v[at]))
    pairs = [
        (tensor, cotangent)
        for tensor, cotangent in pairs
        if tensor.requires_grad and tensor.numel()
    ]
    if not pairs:
        return torch.zeros_like(u), torch.zeros_like(x)
    tensors, given = zip(*pairs, strict=True)
    found = torch.autograd.grad(tensors, (u, x), given, allow_unused=True)
    return tuple(
        torch.zeros_like(at) if g is None else g for g, at in zip(found, (u, x), strict=True)
    )


def _log_size(rows):
    """ln of the norm over the last axis, whatever the size of the entries; +inf where one is not
    finite."""
    rows = np.abs(as_numpy(rows).astype(np.float64))
    if not rows.shape[-1]:
        return np.full(rows.shape[:-1], -np.inf)
    largest = rows.max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(largest[..., None] > 0, rows / largest[..., None], 0.0)
        found = np.log(largest) + 0.5 * np.log((ratio * ratio).sum(axis=-1))
    return np.where(largest == 0, -np.inf, np.where(np.isfinite(largest), found, np.inf))


def _average(logs, outputs, inputs, floor):
    """Mean logarithm of the norm over runs and ends, and its standard error (None where it is
    exact), from logs (runs, ends, probes, lags).

    The sample variance of p orthogonal probes among n counts (1 - p/n) times (Cochran 1977,
    sampling without replacement); the logarithm of their mean is below that of the expectation by
    half the relative variance, which is put back.
    """
    logs = logs.reshape(-1, *logs.shape[2:])
    probes = logs.shape[1]
    top = np.maximum(logs.max(axis=1), -1e300)
    squares = np.exp(2 * (logs - top[:, None]))
    mean = squares.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = squares.std(axis=1, ddof=1) if 1 < probes < outputs else np.zeros_like(mean)
        relative = np.where(mean > 0, deviation / mean, 0.0) * np.sqrt(
            (1 - probes / outputs) / probes
        )
        each = top + 0.5 * np.log(mean / inputs) + 0.25 * relative**2
        each = np.where(each < floor, -np.inf, each)
        scatter = (
            each.std(axis=0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.5 * relative[0]
        )
    if len(each) == 1 and probes == 1 < outputs:
        scatter = np.full(len(scatter), np.inf)  # one probe has no scatter
    exact = len(each) == 1 and probes == outputs
    return each.mean(axis=0), None if exact else np.where(np.isnan(scatter), 0.0, scatter)
