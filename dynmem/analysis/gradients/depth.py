"""Depth as time: the residual stream from block to block, the spectrum of its tangents, and the
gradient at each layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autodiff.jacobian import push
from ...drive import drive_name, drive_values, read_drive
from ...errors import NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...models import Attention, Block, Convolution, ConvolutionBlock, Dense, Network
from ...models.attention import constant_like
from ...models.residual import Memoryless
from ...runtime.memory import require_memory
from ...runtime.threads import one_thread
from ...runtime.torch_modules import gradients_on
from ...runtime.validation import generator, integer, is_real, public
from ...system import Map, System, as_system, map_arrays
from ...typing import Array, Drive, Rng
from ..lyapunov.qr import Frame, random_frame
from ..lyapunov.tangent_growth import how_many

if TYPE_CHECKING:
    from torch import Tensor
    from xarray import Dataset

# mixers whose ``run`` is plain algebra, on dual numbers too
MIXERS_WITH_ALGEBRAIC_RUN = (Attention, Convolution, ConvolutionBlock, Memoryless)
SOURCE = "Xiong et al. (2020), On layer normalization in the Transformer architecture, section 3.3"


class Depth(Map):
    """One residual block as a map of the stream of all positions, iterated from block to block.

    The state is the stream, steps x width numbers; a step applies the block, so that an orbit is a
    stack whose blocks share their weights.

    Parameters
    ----------
    block : Block
        The residual block.
    steps : int
        Number of positions.

    Examples
    --------

    >>> import dynmem as dm
    >>> block = dm.models.get("attention", units=4, inputs=4, placement="pre", layers=1).layers[1]
    >>> dm.jacobian(Depth(block, 3), np.ones(12)).shape
    (12, 12)
    """

    block: Block
    steps: int

    size = property(lambda self: self.steps * self.block.inputs)

    def rule(self, x: Array, u: Array | None) -> Array:
        block, zero = self.block, constant_like(np.zeros((*x.shape[:-1], self.block.size)), x)
        stream = x.reshape(*x.shape[:-1], self.steps, block.inputs)
        algebraic = isinstance(block.mixer, MIXERS_WITH_ALGEBRAIC_RUN)
        return (block.run if algebraic else block.unroll)(zero, stream)[0].reshape(*x.shape)


@public
def depth_spectrum(
    model: Map,
    *,
    drive: Drive = 1.0,
    steps: int = 1,
    exponents: int | None = None,
    samples: int = 1,
    rng: Rng = 0,
) -> Dataset:
    """Measure the Lyapunov spectrum over depth: the growth of directions from block to block.

    The residual stream of ``steps`` positions is a state, and each block l a step with a Jacobian
    J_l of its own. A frame goes through J_L ... J_1, orthonormalised after every block. Where the
    growth changes with depth (Pre-Norm) ``growth`` gives it block by block, and lyapunov is its
    mean. Theory: ``dm.theory.depth_spectrum``.

    Parameters
    ----------
    model : Map
        A Network with residual blocks (``models.get(..., placement=...)``), or one Block.
    drive : float, array_like or callable, optional
        Input of the model: None (zero), a number (standard deviation of white noise), an array
        (steps, inputs) or (samples, steps, inputs), or a function (rng, steps) -> array.
    steps : int
        Positions of the noise.
    exponents : int, optional
        How many; by default all steps x width.
    samples : int
        Sequences whose growth is averaged.
    rng : int, Generator or None
        Of noise and frame.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/block
            Mean growth of a direction; -inf for a direction that a norm removes (the mean over
            components).
        lyapunov_error : (exponent,), 1/block
            Standard error over samples and blocks.
        growth : (layer, exponent), nat
            Growth of a direction at one block.

    Raises
    ------
    TypeError
        If the model has no residual blocks.
    NotFiniteError
        If the stream becomes infinite or NaN.

    References
    ----------
    Benettin, Galgani, Giorgilli and Strelcyn (1980), Meccanica 15, 9, the blocks as time.

    Examples
    --------
    >>> import dynmem as dm
    >>> size = {"units": 64, "inputs": 64, "layers": 8, "feedforward": 64}
    >>> net = dm.models.get("attention", placement="none", **size)
    >>> first = dm.analysis.depth_spectrum(net, exponents=1).lyapunov[0]
    >>> bool(abs(first - np.log(3) / 2) < 0.05)
    True
    """
    before, blocks, _ = parts(model)
    # not rng itself: the model's weights may come from the same seed
    seeds = generator(rng).spawn(2)
    runs = _read_runs(model, drive, steps, samples, seeds[0])
    k = how_many(exponents, runs.shape[1] * blocks[0].inputs)
    frames = seeds[1].spawn(len(runs))
    with one_thread():
        growth = np.array(
            [_growth(before, blocks, run, k, seed) for run, seed in zip(runs, frames, strict=True)]
        )
    with np.errstate(invalid="ignore"):
        mean = growth.mean(axis=1).mean(axis=0)
        error = growth.reshape(-1, k).std(axis=0) / np.sqrt(len(runs) * len(blocks))
    return spectrum_report(
        mean,
        growth.mean(axis=0),
        np.nan_to_num(error),
        seed=rng,
        title=f"Lyapunov spectrum over the depth of {type(model).__name__}",
        source="Benettin et al. (1980), the blocks as time",
        parameters=describe_system(model) | _run_parameters(drive, runs),
    )


def _growth(before, blocks, u, k, rng):
    """Logarithms (layer, k) of the growth of k directions at each block; a direction that is lost
    leaves the frame."""
    x = _through(before, u).reshape(-1)
    frame, kept = random_frame(k, x.size, rng), np.arange(k)
    growth = np.full((len(blocks), k), -np.inf)
    for layer, block in enumerate(blocks):
        x, frame = push(Depth(block, len(u)), x, frame)
        if not np.isfinite(x).all():
            raise NotFiniteError(
                f"the stream is not finite after block {layer + 1} of "
                f"{len(blocks)}: without a norm it grows by a factor a block, "
                "pass fewer layers or placement='pre'"
            )
        frame, logs, _ = Frame(len(frame)).orthonormalise(frame)
        growth[layer, kept] = logs
        frame, kept = frame[logs > -np.inf], kept[logs > -np.inf]
        if not len(kept):
            break
    return growth


@public
def stream_variance(
    model: Map, *, drive: Drive = 1.0, steps: int = 16, samples: int = 8, rng: Rng = 0
) -> Dataset:
    """Measure the variance of the residual stream over depth, and the similarity of its positions.

    Theory: ``dm.theory.stream_variance``.

    Parameters
    ----------
    model : Map
        A Network with residual blocks, or one Block.
    drive : float, array_like or callable, optional
        Input, as for ``depth_spectrum``.
    steps : int
        Positions of the noise.
    samples : int
        Sequences averaged.
    rng : int, Generator or None
        Of the noise.

    Returns
    -------
    xarray.Dataset
        variance : (layer,), 1
            Mean square of the stream's components; layer 0 is the stream that enters.
        similarity : (layer,), 1
            Mean cosine between positions, 1/steps where they are independent.

    Raises
    ------
    TypeError
        If the model has no residual blocks.
    NotFiniteError
        If the stream becomes infinite or NaN.

    References
    ----------
    Xiong et al. (2020), ICML, lemma 2. Dong, Cordonnier and Loukas (2021), ICML, for the
    similarity.

    Examples
    --------
    >>> import dynmem as dm
    >>> size = {"units": 64, "inputs": 64, "layers": 4, "feedforward": 64}
    >>> net = dm.models.get("attention", placement="post", **size)
    >>> dm.analysis.stream_variance(net).variance[1:].values.round(3).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    before, blocks, _ = parts(model)
    runs = _read_runs(model, drive, steps, samples, generator(rng).spawn(1)[0])
    stream = [_through(before, runs)]
    for block in blocks:
        stream.append(block.run(np.zeros((len(stream[-1]), block.size)), stream[-1])[0])
    if not np.isfinite(stream[-1]).all():
        raise NotFiniteError(
            "the stream is not finite at the last block: without a norm it grows "
            "by a factor a block, pass fewer layers"
        )
    similarity = []
    for x in stream:
        size = np.linalg.norm(x, axis=-1, keepdims=True)
        mean = (x / np.maximum(size, 1e-300)).mean(axis=-2)
        similarity.append(np.square(mean).sum(-1).mean())
    return stream_report(
        np.array([np.square(x).mean() for x in stream]),
        np.array(similarity),
        title=f"residual stream of {type(model).__name__}",
        source=SOURCE,
        parameters=describe_system(model) | _run_parameters(drive, runs),
        seed=rng,
    )


@public
def layer_gradients(
    model: Map,
    *,
    drive: Drive = 1.0,
    loss: Callable[[Tensor], Tensor] | None = None,
    steps: int = 16,
    samples: int = 8,
    rng: Rng = 0,
) -> Dataset:
    """Measure the gradient of a loss at each residual block.

    Norms of the gradient with respect to the parameters of a block, and to the stream that enters
    it. Without a loss, that of v . y with a random unit vector v for each sample, the root mean
    square over samples. Theory: ``dm.theory.layer_gradients``.

    Parameters
    ----------
    model : Map
        A Network with residual blocks, or one Block, untrained or trained.
    drive : float, array_like or callable, optional
        Input, as for ``depth_spectrum``.
    loss : callable, optional
        Function of the outputs, a tensor (samples, steps, outputs), that returns one number.
    steps : int
        Positions of the noise.
    samples : int
        Sequences.
    rng : int, Generator or None
        Of noise and vectors v.

    Returns
    -------
    xarray.Dataset
        input_gradient : (layer,), 1
            Norm with respect to the stream that enters the block; 1 is the first block.
        parameter_gradient : (layer,), 1
            Norm with respect to all arrays of the block.
        feedforward_gradient : (layer,), 1 [optional]
            Norm with respect to the second matrix of the feed-forward layer (of which Xiong et al.
            2020 write), where every block has one.

    Raises
    ------
    TypeError
        If the model has no residual blocks.
    NotFiniteError
        If the loss becomes infinite or NaN.

    References
    ----------
    Xiong et al. (2020), ICML, section 3.3.

    Examples
    --------
    >>> import dynmem as dm
    >>> size = {"units": 64, "inputs": 64, "layers": 8, "feedforward": 64}
    >>> net = dm.models.get("attention", placement="pre", **size)
    >>> dm.analysis.layer_gradients(net).sizes["layer"]
    8
    """
    import torch

    before, blocks, after = parts(model)
    for_inputs, for_probes = generator(rng).spawn(2)
    runs = _read_runs(model, drive, steps, samples, for_inputs)
    stream = torch.tensor(_through(before, runs))
    groups = stream[:, None] if loss is None else stream[None]
    function = loss or _random_projection(for_probes)
    found = [_squared_gradients(blocks, after, group, function) for group in groups]
    squares = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
    options = {"loss": "random projection" if loss is None else "given"}
    return layer_report(
        squares,
        title=f"gradient at each layer of {type(model).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(model) | _run_parameters(drive, runs) | options,
    )


def _random_projection(rng):
    """A loss v . y with v of mean square length one."""

    def loss(outputs):
        v = rng.standard_normal(outputs.shape) / np.sqrt(outputs.numel())
        return (outputs * outputs.new_tensor(v)).sum()

    return loss


def _squared_gradients(blocks, after, stream, loss):
    """Squared norms over layers of the gradients of one loss."""
    with gradients_on():
        return _squares(blocks, after, stream.clone(), loss)


def _squares(blocks, after, stream, loss):
    import torch

    weights, copies = zip(*map(_with_gradients, blocks), strict=True)
    streams = [stream.requires_grad_()]
    for block in copies:
        streams.append(block.run(stream.new_zeros(len(stream), block.size), streams[-1])[0])
    out = streams[-1]
    for layer in after:
        out = map_arrays(layer, torch.tensor).run(stream.new_zeros(len(stream), layer.size), out)[0]
    value = loss(out)
    if not torch.isfinite(value).all():
        raise NotFiniteError(
            "the loss is not finite: without a norm the stream grows by a factor "
            "a block, pass fewer layers or placement='pre'"
        )
    flat = [tensor for block in weights for tensor in block]
    found = torch.autograd.grad(value, [*streams[:-1], *flat], allow_unused=True)
    squares = iter([0.0 if g is None else float(g.square().sum()) for g in found])
    result = {"input_gradient": [next(squares) for _ in copies]}
    by_block = [[next(squares) for _ in block] for block in weights]
    result["parameter_gradient"] = [sum(block) for block in by_block]
    if all(block.feedforward for block in blocks):
        places = [
            [id(w) for w in tensors].index(id(block.feedforward.W2))
            for tensors, block in zip(weights, copies, strict=True)
        ]
        result["feedforward_gradient"] = [
            block[place] for block, place in zip(by_block, places, strict=True)
        ]
    return result


def _with_gradients(block):
    """The float arrays of a block as tensors that require a gradient, and the block with them."""
    import torch

    tensors = []

    def place(array):
        tensor = torch.tensor(array, requires_grad=array.dtype.kind == "f")
        tensors.extend([tensor] if tensor.requires_grad else [])
        return tensor

    copied = map_arrays(block, place)
    return tensors, copied


def parts(model: System) -> tuple[Any, list, Any]:
    """The layers before the residual blocks, the blocks, and the layers (and the readout) after
    them."""
    model = as_system(model, Map)
    layers = model.layers if isinstance(model, Network) else (model,)
    places = [i for i, layer in enumerate(layers) if isinstance(layer, Block)]
    if not places or places != list(range(places[0], places[-1] + 1)):
        raise TypeError(
            f"{type(model).__name__} has no stack of residual blocks: make it with "
            "dm.models.get(..., placement='pre')"
        )
    after = layers[places[-1] + 1 :]
    if isinstance(model, Network) and model.R is not None:
        after = (*after, Dense(model.R, np.asarray(model.a)))
    return layers[: places[0]], [layers[i] for i in places], after


def _read_runs(model, drive, steps, samples, rng):
    """Inputs (samples, steps, inputs) of the model."""
    steps, samples = integer("steps", steps), integer("samples", samples)
    require_memory(
        8 * samples * steps * (model.size + model.inputs),
        f"samples = {samples} of {steps} steps",
        "pass fewer",
    )
    if drive is None or is_real(drive) or callable(drive) or np.ndim(drive) == 1:
        values = np.asarray(read_drive(model, drive, samples * steps, rng).array())
        return values.reshape(samples, steps, model.inputs)
    found = drive_values(model, drive)
    if found.ndim not in (2, 3) or 0 in found.shape:
        raise ShapeError(
            f"drive must be a number, or an array (steps, {model.inputs}) or (samples, "
            f"steps, {model.inputs}), got shape {np.shape(drive)}"
        )
    return found if found.ndim == 3 else found[None]


def _run_parameters(drive, runs):
    """What a Dataset records of the input."""
    return {"drive": drive_name(drive), "steps": runs.shape[1], "samples": len(runs)}


def _through(layers, u):
    """Outputs of the layers before the blocks, from the state zero."""
    for layer in layers:
        u = layer.run(np.zeros((*u.shape[:-2], layer.size)), u)[0]
    return u


def stream_report(variance, similarity, **about):
    """Dataset over layer of the stream's variance and the similarity of its positions."""
    return dataset(
        {
            "variance": ("layer", variance, "1", "mean square of the residual stream, a component"),
            "similarity": ("layer", similarity, "1", "mean cosine between positions"),
        },
        {
            "layer": (
                "layer",
                np.arange(len(variance)),
                "1",
                "residual block, 0: the stream that enters",
            )
        },
        **about,
    )


def layer_report(squares, **about):
    """Dataset over layer of gradients, from their squared norms."""
    names = {
        "input_gradient": "norm of the gradient with respect to the stream that enters the block",
        "parameter_gradient": "norm of the gradient with respect to the parameters of the block",
        "feedforward_gradient": "norm of the gradient with respect to W2 of the feed-forward layer",
    }
    count = len(squares["input_gradient"])
    return dataset(
        {name: ("layer", np.sqrt(values), "1", names[name]) for name, values in squares.items()},
        {"layer": ("layer", np.arange(1, count + 1), "1", "residual block, 1 the first")},
        **about,
    )


def spectrum_report(lyapunov, growth, error, **about):
    """Dataset of a spectrum over depth, and of the growth at each block."""
    return dataset(
        {
            "lyapunov": ("exponent", lyapunov, "1/block", "mean growth of a direction over depth"),
            "lyapunov_error": ("exponent", error, "1/block", "standard error of the exponent"),
            "growth": (("layer", "exponent"), growth, "nat", "growth of a direction at one block"),
        },
        {
            "exponent": (
                "exponent",
                np.arange(1, len(lyapunov) + 1),
                "1",
                "index: the first i sum to the growth of a volume of i",
            ),
            "layer": ("layer", np.arange(1, len(growth) + 1), "1", "residual block, 1 the first"),
        },
        **about,
    )
