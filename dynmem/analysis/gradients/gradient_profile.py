"""How far back gradients reach through a whole model: d y_T / d u_(T-lag) over the lag from one
backward pass with random probes."""

import copy
from itertools import pairwise

import numpy as np

from ...errors import NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...orbits import as_map
from ...runtime.validation import integer
from ...system import Map, System, as_system, map_arrays
from ..drive import example_input
from .gradient_norms import lag_axis, window

SOURCE = (
    "Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433, with orthogonal probes; "
    "Pascanu, Mikolov and Bengio (2013), ICML"
)
# steps; a segment that loses its cotangent to the dtype's range is cut in halves
SEGMENT = {"float64": 256, "float32": 64}


def gradient_profile(
    model,
    u=None,
    *,
    lags,
    probes=16,
    samples=1,
    ends=1,
    x0=None,
    transient=100,
    dtype="float64",
    dt=None,
    rng=0,
):
    """Norm of d y_T / d u_(T-lag), of input to output, for a whole model of any depth, at every lag
    from one backward pass.

    |J|_F^2 = E |v^T J|^2 over random cotangents v of the output; the rows of the batch hold the probes v, orthogonal to each other, so
    that as many probes as outputs are exact. The cotangent of the state is pulled back segment by
    segment, through ``run``, and brought back to size one between them, its logarithm kept: what
    autograd alone rounds to 0 stays a number. The norm is |d y_T / d u_(T-lag)|_F / sqrt(inputs),
    as in ``gradient_norms``, and so are the input and the start.

    Parameters
    ----------
    model : a Map (a Flow with ``dt``); or a torch module that maps (batch, time, features) to
        (batch, time, features), analysed from outside in a copy, in evaluation mode. nn.RNN,
        nn.LSTM and nn.GRU are cut as Maps are. Other modules carry no state that could be cut:
        their gradients come from one pass over the whole sequence, and what falls below
        exp(``log_floor``) is given as 0, logarithm -inf.
    u : input, as for ``gradient_norms``: None (zero), a number (standard deviation of white noise),
        an array (steps, inputs), a function (rng, steps) -> array; or an array (samples, steps,
        inputs). A torch module needs an array or a function, which tell its features.
    lags : the largest lag, or the lags wanted (whole numbers of steps).
    probes : random cotangents for each end; the batch of the backward pass has samples x ends x
    probes rows.
    samples, ends : runs with other starts and noise; ends T in each run, spread evenly over as many
        further steps as the largest lag, which takes the run to be stationary. The logarithms are
        averaged over both.
    dtype : "float64" or "float32".

    Returns a Dataset over ``lag``: ``log_input_gradient``, ``input_gradient``,
    ``log_input_gradient_error`` (of the probes, or of the scatter over samples and ends, which
    contains it; left out where the answer is exact) and ``log_floor``. The probes' error is nearly
    one factor common to all lags, so that a slope over the lag is better known than it says. Raises
    ValueError for a model without inputs, NotFiniteError where a gradient is not finite.

    >>> import dynmem as dm
    >>> net = dm.models.get("lstm", units=8, inputs=1, layers=2, outputs=1)
    >>> deep, exact = (f(net, 1.0, lags=50).log_input_gradient for f in (gradient_profile, dm.gradient_norms))
    >>> bool(abs(deep - exact).max() < 1e-10)
    True
    """
    wanted = lag_axis(lags)
    probes, samples, ends = (
        integer(name, value, 1)
        for name, value in (("probes", probes), ("samples", samples), ("ends", ends))
    )
    if dtype not in SEGMENT:
        raise ValueError(f"dtype = {dtype!r}: must be float64 or float32")
    longest = int(wanted[-1])
    further = longest if ends > 1 else 0
    runs, seeds = _runs(u, samples, np.random.default_rng(rng))
    model, x0 = _known(model, x0)
    prepare = _Whole if _is_module(model) else _Carried
    seen = prepare(model, runs, x0, transient, longest + further, dtype, dt, seeds)
    last = np.round(np.linspace(seen.steps - 1 - further, seen.steps - 1, ends)).astype(int)
    cotangents = _frames(seen.outputs, probes, (len(runs), len(last)), seeds[0])
    logs = _backwards(seen, cotangents, last, longest, dtype)[..., wanted]
    mean, error = _averaged(logs, seen.outputs, seen.inputs, seen.log_floor)
    variables = {"log_input_gradient": ("lag", mean, "1", "ln |d y_T / d u_(T-lag)|")}
    with np.errstate(over="ignore"):  # the logarithm is there for what overflows
        variables["input_gradient"] = ("lag", np.exp(mean), "1", "|d y_T / d u_(T-lag)|")
    if error is not None:
        variables["log_input_gradient_error"] = (
            "lag",
            error,
            "1",
            "standard error of ln |d y_T / d u_(T-lag)|",
        )
    variables["log_floor"] = (
        (),
        seen.log_floor,
        "1",
        "logarithm below which a gradient is given as 0",
    )
    told = {
        "probes": cotangents.shape[2],
        "samples": len(runs),
        "ends": ends,
        "transient": transient,
        "dtype": dtype,
        "u": u if u is None or np.isscalar(u) else type(u).__name__,
    }
    return dataset(
        variables,
        {"lag": ("lag", wanted, "step", "lag")},
        title=f"gradient profile of {type(model).__name__}",
        source=SOURCE,
        parameters=seen.described | told,
        seed=rng,
    )


def _is_module(model):
    return hasattr(model, "named_parameters") and hasattr(model, "forward")


def _known(model, x0):
    """The Map that a torch module stands for, where it is our own or a plain recurrent one, and its
    start, at rest as torch has it; any other model itself."""
    if not _is_module(model):
        return model, x0
    from torch import nn

    if hasattr(model, "frozen"):
        model = model.frozen()
    elif (
        type(model) in (nn.RNN, nn.LSTM, nn.GRU) and not model.bidirectional and not model.proj_size
    ):
        from ...models import from_torch

        model = from_torch(model)
    else:
        return model, x0
    return model, np.zeros(model.size) if x0 is None else x0


def _runs(u, samples, rng):
    """The input of each run, and its random numbers."""
    batch = np.ndim(u) == 3 and not callable(u)
    if batch and samples not in (1, len(u)):
        raise ValueError(f"samples = {samples}, but u holds {len(u)} sequences: leave samples out")
    runs = list(u) if batch else [u] * samples
    return runs, rng.spawn(len(runs))


class _Carried:
    """A Map on torch, its inputs (runs, steps, inputs) and the states (runs, n) at the boundaries
    of segments."""

    log_floor = -np.inf

    def __init__(self, model, runs, x0, transient, longest, dtype, dt, seeds):
        import torch

        system = as_map(
            as_system(model, Map if dt is None else System),
            dt,
            x0,
            example_input(as_system(model), runs[0]),
        )
        if not system.inputs:
            raise ValueError(
                f"{type(model).__name__} takes no inputs, so it has no gradient of "
                "output to input: ask gradient_norms"
            )
        windows = [
            window(system, u, x0, transient, longest, seed)
            for u, seed in zip(runs, seeds, strict=True)
        ]
        if len({len(inputs) for _, inputs in windows}) > 1:
            raise ShapeError("the runs differ in length: pass an array (samples, steps, inputs)")
        kind = getattr(torch, dtype)
        twin = map_arrays(
            system,
            lambda a: torch.tensor(a, dtype=kind) if a.dtype.kind == "f" else torch.as_tensor(a),
        )
        self.run, self.inputs, self.outputs, self.described = (
            twin.run,
            system.inputs,
            system.outputs,
            describe_system(model),
        )
        every = torch.tensor(np.stack([inputs for _, inputs in windows]), dtype=kind)
        x, early = (
            torch.tensor(np.stack([x for x, _ in windows]), dtype=kind),
            every.shape[1] - longest - 1,
        )
        with torch.no_grad():
            x = self.run(x, every[:, :early])[1] if early else x
            self.u, self.steps = every[:, early:], longest + 1
            self.states = {0: x}
            for start in range(0, self.steps - SEGMENT[dtype], SEGMENT[dtype]):
                self.states[start + SEGMENT[dtype]] = self.run(
                    self.states[start], self.u[:, start : start + SEGMENT[dtype]]
                )[1]
            last = self.run(self.states[max(self.states)], self.u[:, max(self.states) :])[1]
        if not torch.isfinite(last).all():
            raise NotFiniteError(
                f"the state of {type(model).__name__} is not finite along the "
                "run: check its weights or lower u"
            )
        self.scale = 1.0

    def split(self, start, stop):
        """Cut a segment in the middle, and remember the state there."""
        import torch

        middle = (start + stop) // 2
        with torch.no_grad():
            self.states[middle] = self.run(self.states[start], self.u[:, start:middle])[1]
        return [(start, middle), (middle, stop)]


class _Whole:
    """A torch module from outside: one segment, no state; its cotangents start large, for the sake
    of what is left of them at the end."""

    def __init__(self, module, runs, x0, transient, longest, dtype, dt, seeds):
        import torch

        name, kind = type(module).__name__, getattr(torch, dtype)
        if x0 is not None or dt is not None:
            raise ValueError(
                f"x0 and dt belong to systems, {name} is a torch module: leave them out"
            )
        arrays = [
            u(seed, int(transient) + longest + 1) if callable(u) else u
            for u, seed in zip(runs, seeds, strict=True)
        ]
        if any(np.ndim(u) != 2 or len(u) < longest + 1 for u in arrays):
            got = "None" if arrays[0] is None else f"shape {np.shape(arrays[0])}"
            raise ShapeError(
                "u of a torch module must be an array (steps, features) or "
                "(samples, steps, features), or a function (rng, steps) -> "
                f"array, of at least {longest + 1} steps, got {got}"
            )
        module = copy.deepcopy(module).to(kind).eval().requires_grad_(False)
        weight = next(module.parameters(), torch.zeros(()))
        self.u = torch.tensor(
            np.stack([np.asarray(u, float) for u in arrays]), dtype=kind, device=weight.device
        )
        if not torch.isfinite(self.u).all():
            raise NotFiniteError("u holds NaN or infinity")
        self.steps, self.inputs = self.u.shape[1:]
        self.states = {0: self.u.new_zeros(len(self.u), 0)}
        self.run = lambda x, u: (_first(module(u)), x)
        self.outputs = _checked(name, self.run, self.u[0], dtype)
        self.scale = 1e150 if dtype == "float64" else 1e15
        self.log_floor = float(_least(kind) - np.log(self.scale))
        self.described = {"module": name}


def _first(output):
    return output[0] if isinstance(output, tuple) else output


def _checked(name, run, u, dtype):
    """Number of outputs of a module that keeps the sequences of a batch apart; refused
    otherwise."""
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
            "time, features), with batch_first=True where torch asks for it"
        )
    if not torch.isfinite(alone).all():
        raise NotFiniteError(f"the output of {name} is not finite: check its weights or lower u")
    if not torch.allclose(pair[1], alone[0], rtol=1e-3, atol=1e-3 * float(alone.abs().max())):
        raise ShapeError(
            f"{name} mixes the sequences of a batch: pass batch_first=True, so that "
            "it takes (batch, time, features)"
        )
    return alone.shape[-1]


def _frames(outputs, probes, shape, rng):
    """Cotangents (*shape, probes, outputs) whose mean |v^T J|^2 is |J|_F^2: random orthogonal ones
    of size sqrt(outputs), or all unit vectors."""
    if probes >= outputs:
        return np.broadcast_to(np.sqrt(outputs) * np.eye(outputs), (*shape, outputs, outputs))
    q, _ = np.linalg.qr(rng.standard_normal((*shape, outputs, probes)))
    return np.sqrt(outputs) * np.swapaxes(q, -1, -2)


def _backwards(seen, cotangents, last, longest, dtype):
    """ln |v^T d y_T / d u_(T-lag)|, shape (runs, ends, probes, lags), segment by segment from the
    end."""
    import torch

    runs, ends, probes, outputs = cotangents.shape
    rows = runs * ends * probes
    of_run = torch.arange(runs).repeat_interleave(ends * probes)
    ends_at = np.tile(np.repeat(last, probes), runs)
    v = torch.tensor(cotangents.reshape(rows, outputs), dtype=seen.u.dtype, device=seen.u.device)
    back, log_scale = (
        torch.zeros(rows, seen.states[0].shape[1], dtype=v.dtype, device=v.device),
        np.zeros(rows),
    )
    logs = np.full((rows, seen.steps), -np.inf)
    least = _least(v.dtype)
    marks = [*sorted(seen.states), seen.steps]
    segments = list(pairwise(marks))
    while segments:
        start, stop = segments.pop()
        here = (ends_at >= start) & (ends_at < stop)
        if not here.any() and not back.any():
            continue
        by_input, by_state = _pull(seen, start, stop, of_run, v, ends_at, here, back)
        sizes, left = _log_size(by_input), _log_size(by_state)
        lost = (here | (_log_size(back) > -np.inf)) & (
            (left < least) | (left == np.inf) | (sizes == np.inf).any(axis=1)
        )
        if lost.any() and stop - start > 1 and back.shape[1]:
            segments += seen.split(start, stop)
            continue
        if (left == np.inf).any() or (sizes == np.inf).any():
            raise NotFiniteError(
                f"a gradient is not finite {seen.steps - start} steps before the end, in {dtype}"
            )
        logs[:, start:stop] = sizes + log_scale[:, None]
        factor = np.where(left > -np.inf, left, 0.0)
        back = by_state * torch.tensor(np.exp(-factor), dtype=v.dtype, device=v.device)[:, None]
        log_scale += factor
    at = ends_at[:, None] - np.arange(longest + 1)
    return (np.take_along_axis(logs, at, axis=1) - np.log(seen.scale)).reshape(
        runs, ends, probes, longest + 1
    )


def _least(dtype):
    """ln of the size below which numbers of a dtype lose digits."""
    import torch

    return np.log(torch.finfo(dtype).tiny) - np.log(torch.finfo(dtype).eps)


def _pull(seen, start, stop, of_run, v, ends_at, here, back):
    """Cotangents of the inputs (rows, steps, inputs) and of the first state (rows, n) of a segment,
    by one backward pass."""
    import torch

    u = seen.u[of_run, start:stop].requires_grad_()
    x = seen.states[start][of_run].requires_grad_()
    y, after = seen.run(x, u)
    pairs = [(after, back)]
    if here.any():
        at = torch.as_tensor(np.flatnonzero(here))
        pairs.append((y[at, torch.as_tensor(ends_at[here] - start)], seen.scale * v[at]))
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
    rows = np.abs(rows.detach().cpu().numpy().astype(np.float64))
    if not rows.shape[-1]:
        return np.full(rows.shape[:-1], -np.inf)
    largest = rows.max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(largest[..., None] > 0, rows / largest[..., None], 0.0)
        found = np.log(largest) + 0.5 * np.log((ratio * ratio).sum(axis=-1))
    return np.where(largest == 0, -np.inf, np.where(np.isfinite(largest), found, np.inf))


def _averaged(logs, outputs, inputs, floor):
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
        scatter = np.full(len(scatter), np.inf)  # one probe says nothing of its error
    exact = len(each) == 1 and probes == outputs
    return each.mean(axis=0), None if exact else np.where(np.isnan(scatter), 0.0, scatter)
