"""A scan and its backward pass, written for arrays, as a function for torch's autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .arguments import array


def as_function(name: str, forward: Callable, backward: Callable, saved: Callable) -> Callable:
    """``apply(options, *tensors)`` of a torch.autograd.Function.

    ``forward(*arrays, **options)`` returns outputs, the last of which may be what is kept for the
    backward pass: where ``options`` has "keep". ``saved(tensors, outputs)`` selects the arguments
    of ``backward(*saved, *gradients, **options)``, which returns a gradient for each tensor. The
    backward pass is a function of its own, so that torch.func differentiates through it; a second
    derivative raises NotImplementedError.
    """

    class Back(torch.autograd.Function):
        @staticmethod
        def forward(options, *tensors):
            return tuple(map(torch.from_numpy, backward(*map(array, tensors), **options)))

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx, *_):
            raise NotImplementedError(
                f"{name} has no second derivative: take it through a plain loop over the steps, "
                "as Map.unroll"
            )

        @staticmethod
        def vmap(info, in_dims, options, *tensors):
            return one_by_one(Back, info, in_dims, options, tensors)

    class Scan(torch.autograd.Function):
        @staticmethod
        def forward(options, *tensors):
            return tuple(map(torch.from_numpy, forward(*map(array, tensors), **options)))

        @staticmethod
        def setup_context(ctx, inputs, outputs):
            options, *tensors = inputs
            ctx.options = {key: value for key, value in options.items() if key != "keep"}
            if "keep" in options:
                ctx.mark_non_differentiable(outputs[-1])
            ctx.outputs = [
                (tuple(y.shape), y.dtype) for y in outputs[: len(outputs) - ("keep" in options)]
            ]
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*saved(tensors, outputs))

        @staticmethod
        def backward(ctx, *gradients):
            kept = ctx.saved_tensors
            given = [
                kept[0].new_zeros(shape, dtype=dtype) if g is None else g
                for g, (shape, dtype) in zip(gradients, ctx.outputs, strict=False)
            ]
            return None, *Back.apply(ctx.options, *kept, *given)

        @staticmethod
        def vmap(info, in_dims, options, *tensors):
            return one_by_one(Scan, info, in_dims, options, tensors)

    Scan.__name__ = Scan.__qualname__ = name
    return Scan.apply


def one_by_one(
    function: Any, info: Any, in_dims: tuple, options: dict, tensors: Sequence[torch.Tensor]
) -> tuple:
    """torch.vmap: entry by entry, since each scan uses all cores already."""
    each = [
        [t if d is None else t.select(d, i) for t, d in zip(tensors, in_dims[1:], strict=True)]
        for i in range(info.batch_size)
    ]
    outputs = tuple(
        map(torch.stack, zip(*(function.apply(options, *one) for one in each), strict=True))
    )
    return outputs, (0,) * len(outputs)
