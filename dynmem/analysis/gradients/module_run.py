"""Runs of a user's torch module of which ``gradient_profile`` takes gradients: the module as it is,
its axes, its precision and its embedding found by running it on other input than the user's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ...arrays import tensors
from ...errors import NotFiniteError, ShapeError
from ...runtime.torch_modules import (
    as_numpy,
    copied,
    default_dtype,
    device_of,
    dtype_of,
    first_tensor,
)

# where cotangents start, so that less of what is left of them underflows, by the lowest dtype that
# the module computes in
SCALES = {"float64": 1e150, "float32": 1e15, "bfloat16": 1e15, "float16": 1e2}
STEPS_OF_MANY = 8  # of the sequences of a large batch
MIXES = "mixes the sequences of a batch"


class WholeRun:
    """A torch module of unknown state: one segment, its inputs (runs, steps, features), or the rows
    of its embedding where the drive holds symbols."""

    def __init__(self, module, x0, drives, transient, longest, dtype, dt, device, seeds):
        import torch

        self.name = type(module).__name__
        if x0 is not None or dt is not None:
            raise ValueError(
                f"x0 and dt belong to systems, {self.name} is a torch module: leave them out"
            )
        given = _data(module, drives, transient, longest, seeds)
        self.module, self.dtype, self.precision = _in_dtype(module, given, dtype, device)
        given = given.to(device, self.dtype if given.is_floating_point() else None)
        self.steps = given.shape[1]
        probe = _probe(self.module, given[0])
        self.squeezed = False
        self.time_major, self.outputs, self.last_only = self._layout(probe)
        self.tokens, self.embedding, self.embedded = None, None, None
        if given.is_floating_point():
            self.u = given
        else:
            self.tokens = given
            self.embedding = self._find_embedding(probe)
            with torch.no_grad():
                self.u = self.embedding(given)
            self.embedding.register_forward_hook(lambda *_: self.embedded)
        self.inputs = self.u.shape[2]
        self.states = {0: self.u.new_zeros(len(self.u), 0)}
        self.scale = SCALES[self.precision]
        lowest = getattr(torch, self.precision)
        self._smallest = float(log_smallest(lowest))
        self.description = {
            "module": self.name,
            "precision": self.precision,
            "axes": "time, batch" if self.time_major else "batch, time",
        }
        if not torch.isfinite(self.run(None, self.u)[0]).all():
            raise NotFiniteError(
                f"the output of {self.name} is not finite: check its weights, or lower drive"
            )

    @property
    def log_floor(self) -> float:
        """Logarithm of the gradient below which the dtype has no number."""
        return self._smallest - float(np.log(self.scale))

    def run(self, x, u):
        """Outputs (rows, steps, outputs) for inputs (rows, steps, features), some rows for each
        run."""
        if self.tokens is not None:
            tokens = self.tokens.repeat_interleave(len(u) // len(self.tokens), 0)
            self.embedded = u.transpose(0, 1) if self.time_major else u
            u = tokens
        y = self._called(u)
        return (y.expand(-1, self.steps, -1) if self.last_only else y), x

    def _called(self, u, time_major=None):
        """Outputs (batch, steps, outputs), or (batch, 1, outputs) of a module that has one for a
        sequence."""
        time_major = self.time_major if time_major is None else time_major
        y = first_tensor(self._raw(u.transpose(0, 1) if time_major else u))
        y = y[..., None] if self.squeezed else y
        if time_major and y.ndim == 3:
            return y.transpose(0, 1)
        return y[:, None, None] if y.ndim == 1 else y[:, None] if y.ndim == 2 else y

    def _layout(self, probe):
        """Whether time is the first axis, the number of outputs, and whether there is one output
        for a sequence."""
        import torch

        problems = []
        with torch.no_grad():
            self._check_noise(probe)
            for time_major in (False, True):
                try:
                    self.squeezed = self._one_number_a_step(probe, time_major)
                    alone = self._called(probe[None], time_major)
                    independent = self._independent(probe, time_major)
                except Exception as error:
                    problems.append(str(error).strip().splitlines()[0] if str(error) else "")
                    continue
                steps = tuple(alone.shape[1:2])
                if alone.ndim != 3 or len(alone) != 1 or steps not in ((1,), (self.steps,)):
                    problems.append(f"it gave shape {tuple(alone.shape)}")
                elif not independent:
                    problems.append(MIXES)
                else:
                    return time_major, alone.shape[-1], steps == (1,) and self.steps > 1
        if problems[0] == MIXES:
            raise ShapeError(
                f"{self.name} {MIXES} (batch, time, features), and of (time, batch, features): the "
                "gradient of one sequence needs a module that treats each by itself"
            )
        raise ShapeError(
            f"{self.name} does not take an input {(1, *probe.shape)}, (batch, time, features), nor "
            f"(time, batch, features), to outputs (batch, time, features) or (batch, features): "
            f"{problems[0] or 'it fails'}"
        )

    def _independent(self, probe, time_major):
        """Whether a sequence gives the same alone and as the last of as many as it has steps, short
        ones; the last of two, for a module that takes sequences of one length alone."""
        import torch

        count = max(2, len(probe))
        for steps in (min(len(probe), STEPS_OF_MANY), len(probe)):
            many = torch.stack([probe.roll(-k, 0)[:steps] for k in range(count)])
            try:
                alone = self._called(many[-1:], time_major)
                together = self._called(many, time_major)
            except Exception:
                count = 2
                continue
            return len(together) == count and self._close(together[-1], alone[0])
        return False

    def _one_number_a_step(self, probe, time_major):
        """Whether outputs are (batch, time), or (time, batch), without an axis of features."""
        axis = 1 - time_major
        shapes = [first_tensor(self._raw(u.unsqueeze(1 - axis))).shape for u in (probe, probe[:-1])]
        return len(probe) > 1 and all(
            len(shape) == 2 and shape[axis] == steps and shape[1 - axis] == 1
            for shape, steps in zip(shapes, (len(probe), len(probe) - 1), strict=True)
        )

    def _check_noise(self, probe):
        """Refuse a module that gives different outputs for the same input."""
        import torch

        for batch in (probe[None], probe[:, None]):
            try:
                once, again = (first_tensor(self._raw(batch)) for _ in range(2))
            except Exception:  # noqa: S112  the next form of the batch is tried
                continue
            if not isinstance(once, torch.Tensor):
                raise TypeError(
                    f"{self.name} returned {type(once).__name__}: it must return a tensor (batch, "
                    "time, features) or (batch, features), or a tuple that begins with one"
                )
            if once.isfinite().all() and not self._close(once, again):
                raise ValueError(
                    f"{self.name} gives different outputs for the same input: take the noise out "
                    "of its forward (torch.randn, dropout with training=True)"
                )
            return

    def _raw(self, batch):
        return _called_in(self.dtype, self.module, batch)

    def _close(self, one, other):
        """Equal to half the digits of the precision."""
        import torch

        tolerance = torch.finfo(getattr(torch, self.precision)).eps ** 0.5
        largest = float(one.abs().max()) if one.numel() else 0.0
        return one.shape == other.shape and torch.allclose(
            one, other, rtol=0.0, atol=tolerance * largest, equal_nan=True
        )

    def _find_embedding(self, probe):
        """The nn.Embedding that reads the symbols."""
        import torch

        batch = probe[:, None] if self.time_major else probe[None]
        found = []

        def hook(layer, args, kwargs, _):
            given = args[0] if args else next(iter(kwargs.values()), None)
            if isinstance(given, torch.Tensor) and torch.equal(given, batch):
                found.append(layer)

        layers = [m for m in self.module.modules() if isinstance(m, torch.nn.Embedding)]
        hooks = [m.register_forward_hook(hook, with_kwargs=True) for m in layers]
        with torch.no_grad():
            self._raw(batch)
        for each in hooks:
            each.remove()
        if len(found) != 1:
            raise TypeError(
                f"the symbols of drive reach {len(found) or 'no'} calls of an nn.Embedding of "
                f"{self.name}, and the gradient is taken with respect to the output of one: pass "
                "the part after the embedding, with an array (steps, features)"
            )
        return found[0]


def _data(module, drives, transient, longest, seeds):
    """The inputs of all runs as one tensor: (runs, steps, features), or symbols (runs, steps)."""
    import torch

    arrays = [
        drive(seed, transient + longest + 1) if callable(drive) else drive
        for drive, seed in zip(drives, seeds, strict=True)
    ]
    arrays = [as_numpy(u) for u in arrays]
    symbols = all(np.ndim(u) == 1 and np.asarray(u).dtype.kind in "iu" for u in arrays)
    axes = 1 if symbols and has_embedding(module) else 2
    if any(np.ndim(u) != axes or len(u) < longest + 1 for u in arrays):
        got = "None" if arrays[0] is None else f"shape {np.shape(arrays[0])}"
        raise ShapeError(
            "drive of a torch module must be an array (steps, features) or (samples, steps, "
            "features), symbols as integers (steps,) or (samples, steps) where it has an "
            "nn.Embedding, or a function (rng, steps) -> array, of at least "
            f"{longest + 1} steps, got {got}"
        )
    if len({len(u) for u in arrays}) > 1:
        raise ShapeError("the runs differ in length: pass drive as an array (samples, steps, ...)")
    if axes == 1:
        return torch.tensor(np.stack(arrays)).long()
    given = torch.tensor(np.stack([tensors(u) for u in arrays]))
    if not torch.isfinite(given).all():
        raise NotFiniteError("drive holds NaN or infinity")
    return given


def has_embedding(module: Any) -> bool:
    """Whether there is an nn.Embedding in a module."""
    from torch import nn

    return any(isinstance(part, nn.Embedding) for part in module.modules())


def _in_dtype(module, given, dtype, device):
    """A copy of the module on the device, in float64 where it runs so and no dtype is asked for,
    else in its own; the dtype; and the lowest precision that it computes in."""
    import torch

    wanted = [torch.float64, dtype_of(module)] if dtype is None else [getattr(torch, dtype)]
    for kind in wanted:
        twin = copied(module, kind, device)
        if (lowest := _lowest_precision(twin, given, kind)) is not None:
            return twin, kind, lowest
    return twin, kind, str(kind).removeprefix("torch.")  # what is wrong is found by running it


def _called_in(dtype, module, batch):
    """Output of a module whose new tensors have the dtype; without the cache that it may keep for
    the next call and overwrite in place."""
    known = inspect.signature(module.forward).parameters
    with default_dtype(dtype):
        return module(batch, **({"use_cache": False} if "use_cache" in known else {}))


def _lowest_precision(module, given, kind):
    """Name of the least precise dtype that a module computes in, None where it does not run."""
    import torch
    from torch.overrides import TorchFunctionMode

    seen = {kind}

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            for leaf in found if isinstance(found, (tuple, list)) else (found,):
                if isinstance(leaf, torch.Tensor) and leaf.dtype.is_floating_point:
                    seen.add(leaf.dtype)
            return found

    given = given[:1].to(device_of(module), kind if given.is_floating_point() else None)
    for batch in (given, given.transpose(0, 1)):
        try:
            with torch.no_grad(), Watch():
                _called_in(kind, module, batch)
        except Exception:  # noqa: S112  the next way to call it is tried
            continue
        lowest = max(seen, key=lambda d: (torch.finfo(d).eps, torch.finfo(d).tiny))
        return str(lowest).removeprefix("torch.")
    return None


def _probe(module, given):
    """Other input than the user's, of the same kind: symbols at random; else mixtures of its rows,
    or noise where they are all alike, as a network at rest is given zeros."""
    import torch

    draw = torch.Generator().manual_seed(0)
    if not given.is_floating_point():
        sizes = [m.num_embeddings for m in module.modules() if isinstance(m, torch.nn.Embedding)]
        probe = torch.randint(min(sizes), given.shape, generator=draw)
    elif given.std(0, correction=0).max() == 0:
        probe = torch.randn(given.shape, generator=draw, dtype=torch.float64)
    else:
        part = torch.rand(len(given), 1, generator=draw, dtype=torch.float64).to(given)
        order = torch.randperm(len(given), generator=draw).to(given.device)
        probe = part * given + (1 - part) * given[order]
    return probe.to(given.device, given.dtype)


def log_smallest(dtype: Any) -> float:
    """ln of the size below which numbers of a dtype lose digits."""
    import torch

    return np.log(torch.finfo(dtype).tiny) - np.log(torch.finfo(dtype).eps)
