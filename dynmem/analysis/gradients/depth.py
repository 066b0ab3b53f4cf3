"""Depth as time: the residual stream from block to block, the spectrum of its tangents, and the
gradient at each layer."""

from dataclasses import dataclass

import numpy as np

from ...autodiff.jacobian import push
from ...errors import NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...models import Attention, Block, Convolution, ConvolutionBlock, Dense, Network
from ...models.attention import constant_like
from ...models.residual import Memoryless
from ...runtime.threads import one_thread
from ...runtime.validation import integer
from ...system import Map, as_input, as_system, map_arrays
from ..lyapunov.qr import Frame, random_frame
from ..lyapunov.tangent_growth import how_many

# mixers whose ``run`` is plain algebra, on dual numbers too
AT_ONCE = (Attention, Convolution, ConvolutionBlock, Memoryless)
SOURCE = "Xiong et al. (2020), On layer normalization in the Transformer architecture, section 3.3"


@dataclass(frozen=True, eq=False)
class Depth(Map):
    """One residual block as a map of the stream: the state is the stream of all positions (steps x
    width), a step leads through the block.

    Iterated, it is a stack whose blocks share their weights. Fields: block, a Block; steps, the
    number of positions.

    >>> import dynmem as dm
    >>> block = dm.models.get("attention", units=4, inputs=4, placement="pre", layers=1).layers[1]
    >>> dm.jacobian(Depth(block, 3), np.ones(12)).shape
    (12, 12)
    """

    block: Block
    steps: int

    size = property(lambda self: self.steps * self.block.inputs)

    def rule(self, x, u):
        block, rest = self.block, constant_like(np.zeros((*x.shape[:-1], self.block.size)), x)
        stream = x.reshape(*x.shape[:-1], self.steps, block.inputs)
        return (block.run if isinstance(block.mixer, AT_ONCE) else block.unroll)(rest, stream)[
            0
        ].reshape(*x.shape)


def depth_spectrum(model, u=1.0, *, steps=1, exponents=None, samples=1, rng=0):
    """Lyapunov spectrum over depth, natural logarithms a block: how the directions of the residual
    stream grow from block to block.

    The stream of ``steps`` positions, steps x width numbers, is a state; each block is a step with
    its own Jacobian J_l, and a frame goes through J_L ... J_1, orthonormalised after every block.
    Where the growth changes with depth (Pre-Norm) ``growth`` tells it block by block, and lyapunov
    is its mean.

    Parameters
    ----------
    model : a Network with residual blocks (``models.get(..., placement=...)``), or one Block.
    u : standard deviation of white noise, or an array (steps, inputs), the input of the model.
    steps : positions of the noise; 1 asks for the stream of a single position. exponents: how many,
    by default all steps x width.
    samples : sequences whose growth is averaged.

    Returns lyapunov(exponent), lyapunov_error(exponent), over samples and blocks; growth(layer,
    exponent). A direction that a norm takes out (the mean over components) has the exponent -inf.
    Raises TypeError for a model without residual blocks.

    >>> import dynmem as dm
    >>> net = dm.models.get("attention", units=64, inputs=64, layers=8, placement="none", feedforward=64)
    >>> bool(abs(depth_spectrum(net, exponents=1).lyapunov[0] - np.log(3) / 2) < 0.05)
    True
    """
    before, blocks, _ = parts(model)
    # not rng itself: the model's weights may come from the same seed
    seeds = np.random.default_rng(rng).spawn(2)
    runs = _inputs(model, u, steps, samples, seeds[0])
    k = how_many(exponents, runs.shape[1] * blocks[0].inputs)
    with one_thread():
        growth = np.array(
            [
                _growth(before, blocks, run, k, seed)
                for run, seed in zip(runs, seeds[1].spawn(len(runs)), strict=True)
            ]
        )
    with np.errstate(invalid="ignore"):
        each = growth.mean(axis=1)
        mean, scatter = (
            each.mean(axis=0),
            growth.reshape(-1, k).std(axis=0) / np.sqrt(len(runs) * len(blocks)),
        )
    return spectrum_report(
        mean,
        growth.mean(axis=0),
        np.nan_to_num(scatter),
        seed=rng,
        title=f"Lyapunov spectrum over the depth of {type(model).__name__}",
        source="Benettin et al. (1980), the blocks as time",
        parameters=describe_system(model) | {"steps": runs.shape[1], "samples": len(runs)},
    )


def _growth(before, blocks, u, k, rng):
    """Logarithms (layer, k) of the growth of k directions at each block; a direction that is lost
    leaves the frame."""
    x = _through(before, u).reshape(-1)
    frame, kept, growth = (
        random_frame(k, x.size, rng),
        np.arange(k),
        np.full((len(blocks), k), -np.inf),
    )
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


def stream_variance(model, u=1.0, *, steps=16, samples=8, rng=0):
    """Variance of the residual stream over depth, and how alike its positions have become.

    model, u, steps, samples: as for ``depth_spectrum``. Returns variance(layer), the mean square of
    the stream's components, and similarity(layer), the mean cosine between its positions (1/steps
    where they are independent); layer 0 is the stream that enters. Twin:
    ``dm.theory.stream_variance``.

    >>> import dynmem as dm
    >>> net = dm.models.get("attention", units=64, inputs=64, layers=8, placement="post", feedforward=64)
    >>> stream_variance(net).variance[1:].values.round(3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    before, blocks, _ = parts(model)
    stream = [
        _through(before, _inputs(model, u, steps, samples, np.random.default_rng(rng).spawn(1)[0]))
    ]
    for block in blocks:
        stream.append(block.run(np.zeros((len(stream[-1]), block.size)), stream[-1])[0])
    if not np.isfinite(stream[-1]).all():
        raise NotFiniteError(
            "the stream is not finite at the last block: without a norm it grows "
            "by a factor a block, pass fewer layers"
        )
    size = [np.linalg.norm(x, axis=-1, keepdims=True) for x in stream]
    cosine = [
        np.square((x / np.maximum(n, 1e-300)).mean(axis=-2)).sum(-1).mean()
        for x, n in zip(stream, size, strict=True)
    ]
    return stream_report(
        np.array([np.square(x).mean() for x in stream]),
        np.array(cosine),
        title=f"residual stream of {type(model).__name__}",
        source=SOURCE,
        parameters=describe_system(model)
        | {"steps": stream[0].shape[1], "samples": len(stream[0])},
        seed=rng,
    )


def layer_gradients(model, u=1.0, loss=None, *, steps=16, samples=8, rng=0):
    """Norm of the gradient of a loss at each residual block: with respect to its parameters, and to
    the stream that enters it.

    parameters: model, a Network with residual blocks or one Block, untrained or trained; u,
    standard deviation of white noise, or an array (steps, inputs) or (samples, steps, inputs);
    loss, a function of the outputs, a torch tensor (samples, steps, outputs), that returns one
    number; None: for each sample v . y with a random unit vector v, the root mean square over
    samples.

    Returns over ``layer`` (1 is the first block): input_gradient, parameter_gradient (all arrays of
    the block) and, where every block has a feed-forward layer, feedforward_gradient (its second
    matrix, of which Xiong et al. 2020 speak). Twin: ``dm.theory.layer_gradients``.

    >>> import dynmem as dm
    >>> net = dm.models.get("attention", units=64, inputs=64, layers=8, placement="pre", feedforward=64)
    >>> layer_gradients(net).sizes["layer"]
    8
    """
    import torch

    before, blocks, after = parts(model)
    for_inputs, for_probes = np.random.default_rng(rng).spawn(2)
    runs = _inputs(model, u, steps, samples, for_inputs)
    stream = torch.tensor(_through(before, runs))
    groups = stream[:, None] if loss is None else stream[None]
    found = [_by_layer(blocks, after, group, loss or _probe(for_probes)) for group in groups]
    squares = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
    told = {
        "steps": runs.shape[1],
        "samples": len(runs),
        "loss": "probe" if loss is None else "given",
    }
    return layer_report(
        squares,
        title=f"gradient at each layer of {type(model).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(model) | told,
    )


def _probe(rng):
    """A loss v . y with v of mean square length one."""

    def loss(outputs):
        return (
            outputs
            * outputs.new_tensor(rng.standard_normal(outputs.shape) / np.sqrt(outputs.numel()))
        ).sum()

    return loss


def _by_layer(blocks, after, stream, loss):
    """Squared norms over layers of the gradients of one loss."""
    import torch

    weights, twins = zip(*map(_trained, blocks), strict=True)
    streams = [stream.requires_grad_()]
    for block in twins:
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
    result = {"input_gradient": [next(squares) for _ in twins]}
    by_block = [[next(squares) for _ in block] for block in weights]
    result["parameter_gradient"] = [sum(block) for block in by_block]
    if all(block.feedforward for block in blocks):
        places = [
            [id(w) for w in block].index(id(twin.feedforward.W2))
            for block, twin in zip(weights, twins, strict=True)
        ]
        result["feedforward_gradient"] = [
            block[place] for block, place in zip(by_block, places, strict=True)
        ]
    return result


def _trained(block):
    """The float arrays of a block as tensors that want a gradient, and the block that holds
    them."""
    import torch

    held = []

    def place(array):
        tensor = torch.tensor(array, requires_grad=array.dtype.kind == "f")
        held.extend([tensor] if tensor.requires_grad else [])
        return tensor

    twin = map_arrays(block, place)
    return held, twin


def parts(model):
    """The layers before the residual blocks, the blocks, and the layers (and the readout) after
    them."""
    layers = model.layers if isinstance(as_system(model, Map), Network) else (model,)
    places = [i for i, layer in enumerate(layers) if isinstance(layer, Block)]
    if not places or places != list(range(places[0], places[-1] + 1)):
        raise TypeError(
            f"{type(model).__name__} has no stack of residual blocks: make it with "
            "dm.models.get(..., placement='pre')"
        )
    after = layers[places[-1] + 1 :]
    if isinstance(model, Network) and model.R is not None:
        after = (*after, Dense(model.R, model.a))
    return layers[: places[0]], [layers[i] for i in places], after


def _inputs(model, u, steps, samples, rng):
    """Inputs (samples, steps, inputs) of the model: noise, or the array given."""
    if np.ndim(u) == 0 and not isinstance(u, str) and u is not None:
        if not (np.isfinite(u) and u > 0):
            raise ValueError(
                f"u = {u}: the standard deviation of the noise must be a finite number above 0"
            )
        return float(u) * rng.standard_normal(
            (integer("samples", samples, 1), integer("steps", steps, 1), model.inputs)
        )
    found = None if u is None else as_input(model, u)
    if found is None or found.ndim not in (2, 3) or 0 in found.shape:
        raise ShapeError(
            f"u must be a number, or an array (steps, {model.inputs}) or (samples, "
            f"steps, {model.inputs}), got "
            f"{'None' if u is None else f'shape {np.shape(u)}'}"
        )
    return found if found.ndim == 3 else found[None]


def _through(layers, u):
    """Outputs of the layers before the blocks, from rest."""
    for layer in layers:
        u = layer.run(np.zeros((*u.shape[:-2], layer.size)), u)[0]
    return u


def stream_report(variance, similarity, **about):
    """Dataset over layer of the stream's variance and the likeness of its positions."""
    return dataset(
        {
            "variance": ("layer", variance, "1", "mean square of the residual stream, a component"),
            "similarity": ("layer", similarity, "1", "mean cosine between positions"),
        },
        {"layer": ("layer", np.arange(len(variance)), "1", "block after which, 0: what enters")},
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
