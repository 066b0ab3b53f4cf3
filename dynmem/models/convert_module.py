"""Maps of a user's own torch modules, which call layers one after another.

The module is run once on random input, and what each layer that dynmem knows was given and returned
is recorded. Between two layers stands nothing, or an activation, or a change of the order of axes.
The chain is then held to the module on other random input, so that a sum, a pooling or a mask that
the record does not show is refused and never converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runtime.torch_modules import copied, default_dtype, first_tensor
from ..system import Map
from .convert_layers import IGNORED, LAYERS, as_map, kind_of, maps_of
from .residual import ACTIVATIONS

RECURRENT = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
ATTENTION = ("MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder")
KNOWN = (*RECURRENT, *ATTENTION, *LAYERS, "ConstantPad1d")
LONG = 48  # steps of a longer run
BATCH, STEPS = 11, 7  # of the recorded run; they differ, so that axes cannot be mistaken
PROBE_SIZES = (0.03, 2.0, 50.0)
TOLERANCE = 1e-9  # of the module in float64 against its maps, of the largest output


@dataclass(frozen=True, eq=False)
class Call:
    """A layer of a user's module, as it was called."""

    name: str
    layer: Any
    given: Any
    returned: Any

    def __str__(self) -> str:
        return f"net.{self.name} ({type(self.layer).__name__})"


def composition(module: Any, convert: Callable[[Any], Map], window: int | None) -> Map | None:
    """The map of a module that calls layers one after another, held to it on random input, of no
    more steps than the window of attention; None for a module without layers that dynmem knows.

    Raises TypeError, with what stood in the way, for a module that does something else.
    """
    import torch

    layers = dict(_layers(module))
    if not any(layers.values()):
        return None
    try:
        twin = copied(module, torch.float64, "cpu")
    except Exception as error:
        raise _refusal(module, layers, f"it cannot be copied ({_first_line(error)})") from None
    with torch.no_grad(), default_dtype(torch.float64):
        given, returned, calls = _recorded(module, twin, layers, probe_steps(window))
        converted = as_map(maps_of(_chain(module, layers, given, returned, calls), convert))
        others = [*_others(given, calls[0].layer), *_longer(twin, given, calls[0].layer, window)]
        difference = max(disagreement(twin, converted, other) for other in others)
    if not difference <= TOLERANCE:
        raise _refusal(
            module,
            layers,
            "its output is not that of its layers one after another"
            + (
                f" (they differ by {difference:.0e} of its size)" if np.isfinite(difference) else ""
            ),
        )
    return converted


def disagreement(module: Any, system: Map, u: Any) -> float:
    """Largest difference of a module in float64 from its system, over the size of its output, on
    the input u, with the axes of both in the order that fits; infinite where none does, or where
    the module does not run."""
    try:
        found = first_tensor(module(u)).double().numpy()
    except Exception:
        return np.inf
    rows = u.numpy() if u.is_floating_point() else np.eye(system.inputs)[u.numpy()]
    least, size = np.inf, max(float(np.abs(found).max()), 1e-300)
    for inputs in _orders(rows):
        if inputs.shape[2] != system.inputs:
            continue
        expected = system.run(np.zeros((len(inputs), system.size)), inputs)[0]
        for outputs in _orders(found):
            # the last output alone, or those that a convolution without padding has
            wanted = expected[:, expected.shape[1] - outputs.shape[1] :]
            if wanted.shape == outputs.shape:
                least = min(least, float(np.abs(outputs - wanted).max()) / size)
    return least


def _orders(rows: np.ndarray) -> list[np.ndarray]:
    """Rows as (batch, time, features), from every order of these axes that torch uses; one row for
    each of a batch is a sequence of one step."""
    if rows.ndim != 3:
        return [rows[:, None]] if rows.ndim == 2 else []
    return [rows.transpose(order) for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1))]


def _layers(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and module of the outermost layers that dynmem knows; None in place of the module for
    other ones without layers inside."""
    for name, child in module.named_children():
        at = f"{path}{name}"
        kind = kind_of(child, KNOWN)
        if kind is not None and type(child).forward is kind.forward:
            yield at, child
        elif next(child.children(), None) is not None:
            yield from _layers(child, f"{at}.")
        elif not kind_of(child, IGNORED):
            yield at, None


def probe_steps(window: int | None) -> int:
    """Steps of a sequence on which a module and its system are compared."""
    return STEPS if window is None else min(STEPS, window)


def _recorded(module, twin, layers, steps):
    """Input, output and calls of a run on random input of the first kind that the module takes."""
    calls: list[Call] = []

    def keep(name, layer):
        def hook(_, args, kwargs, output):
            given = args[0] if args else next(iter(kwargs.values()), None)
            calls.append(Call(name, layer, given, first_tensor(output)))

        return hook

    hooks = [
        twin.get_submodule(name).register_forward_hook(keep(name, layer), with_kwargs=True)
        for name, layer in layers.items()
        if layer is not None
    ]
    reason = "it was not run"
    try:
        for layer in filter(None, layers.values()):
            for given in _inputs(layer, steps):
                calls.clear()
                try:
                    returned = first_tensor(twin(given))
                except Exception as error:
                    reason = f"{_first_line(error)}"
                    continue
                if calls:
                    return given, returned, list(calls)
    finally:
        for hook in hooks:
            hook.remove()
    raise _refusal(module, layers, f"it does not run on random input ({reason})")


def _inputs(layer: Any, steps: int) -> Iterator[Any]:
    """Random inputs of the shapes that a layer may be given by its module."""
    import torch

    draw = torch.Generator().manual_seed(0)
    if (vocabulary := getattr(layer, "num_embeddings", None)) is not None:
        yield torch.randint(vocabulary, (BATCH, steps), generator=draw)
        return
    if (width := _width(layer)) is None:
        return
    for shape in ((BATCH, steps, width), (BATCH, width, steps), (BATCH, width)):
        yield torch.randn(shape, generator=draw, dtype=torch.float64)


def _width(layer: Any) -> int | None:
    """Number of features that a layer reads, None where it takes any."""
    names = ("input_size", "in_features", "in_channels", "embed_dim", "normalized_shape")
    width = next((getattr(layer, name) for name in names if hasattr(layer, name)), None)
    if width is None and hasattr(layer, "layers"):
        width = layer.layers[0].self_attn.embed_dim
    elif width is None and hasattr(layer, "self_attn"):
        width = layer.self_attn.embed_dim
    return width[-1] if isinstance(width, tuple) else width


def _others(given: Any, layer: Any) -> list[Any]:
    """Other random inputs, small and large ones too: a clamp shows at large ones alone."""
    import torch

    draw = torch.Generator().manual_seed(1)
    if not given.is_floating_point():
        return [torch.randint(layer.num_embeddings, given.shape, generator=draw)]
    noise = torch.randn(given.shape, generator=draw, dtype=torch.float64)
    return [size * noise for size in PROBE_SIZES]


def _longer(twin: Any, given: Any, layer: Any, window: int | None) -> Iterator[Any]:
    """A longer random input, where the module takes one: a band of attention, or a far tap, does
    not show in a short one."""
    import torch

    sizes = {BATCH: LONG + 1, probe_steps(window): LONG if window is None else min(LONG, window)}
    features = None
    if given.is_floating_point():
        features = given.ndim - 1 if given.shape[-1] == _width(layer) else 1
    shape = [n if i == features else sizes.get(n, n) for i, n in enumerate(given.shape)]
    draw = torch.Generator().manual_seed(2)
    if given.is_floating_point():
        longer = torch.randn(shape, generator=draw, dtype=torch.float64)
    else:
        longer = torch.randint(layer.num_embeddings, shape, generator=draw)
    try:
        twin(longer)
    except Exception:  # of a module that takes sequences of few steps
        return
    yield longer


def _chain(module, layers, given, returned, calls: Sequence[Call]) -> list[Any]:
    """The layers in the order of their calls, with the names of the activations between them."""
    chain: list[Any] = []
    for call in calls:
        if kind_of(call.layer, RECURRENT) and sum(c.layer is call.layer for c in calls) > 1:
            raise _refusal(module, layers, f"it calls {call} several times")
    before, source = given, "its input"
    for call in calls:
        name, padding = _joint(before, call.given)
        if name is None:
            raise _refusal(
                module,
                layers,
                f"the input of {call} is not {source}, nor an activation of it that dynmem has",
            )
        chain += [name] if name != "identity" else []
        chain += [padding, call.layer] if padding is not None else [call.layer]
        before, source = call.returned, f"the output of {call}"
    name, _ = _joint(before, returned)
    if name is None:
        unknown = [f"net.{name}" for name, layer in layers.items() if layer is None]
        raise _refusal(
            module,
            layers,
            f"its output is not {source}, nor an activation of it that dynmem has"
            + (f"; {', '.join(unknown)} is none of these layers" if unknown else ""),
        )
    return [*chain, name] if name != "identity" else chain


def _joint(before: Any, after: Any) -> tuple[str | None, Any]:
    """The activation between the output of one layer and the input of the next, and the zeros put
    before the sequence; (None, None) where neither explains it."""
    import torch

    if not (isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor)):
        return None, None
    if before.dtype != after.dtype:
        return None, None
    for name, function in ({"identity": ACTIVATIONS["identity"]} | ACTIVATIONS).items():
        if name != "identity" and not before.is_floating_point():
            break
        for view in _views(function(before)):
            if view.shape == after.shape and torch.allclose(view, after, rtol=1e-9, atol=1e-12):
                return name, None
            extra = after.shape[-1] - view.shape[-1]
            if (
                extra > 0
                and after.ndim == view.ndim
                and after.shape[:-1] == view.shape[:-1]
                and not after[..., :extra].any()
                and torch.allclose(after[..., extra:], view, rtol=1e-9, atol=1e-12)
            ):
                return name, torch.nn.ConstantPad1d((extra, 0), 0.0)
    return None, None


def _views(x: Any) -> Iterator[Any]:
    """A sequence with its axes in other orders, and its last step."""
    yield x
    if x.ndim == 3:
        orders = ((1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0), (2, 1, 0))
        yield from (x.permute(order) for order in orders)
        yield from (x[:, -1], x[-1], x[..., -1])


def _refusal(module: Any, layers: dict[str, Any], reason: str) -> TypeError:
    """The error for a module that is not converted, with what to pass instead."""
    name, known = type(module).__name__, [n for n, layer in layers.items() if layer is not None]
    stateful = [n for n in known if kind_of(layers[n], (*RECURRENT, *ATTENTION, "Conv1d"))]
    part = (stateful or known)[0]
    return TypeError(
        f"from_torch takes layers that dynmem knows and modules that call them one after another; "
        f"of {name}, {reason}. Pass a part, net.{part} of net = {name}(...); or pass the whole to "
        "dm.gradient_profile, which takes any module; or write its equation as a class derived "
        "from dm.Map"
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
