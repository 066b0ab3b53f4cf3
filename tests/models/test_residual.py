"""Memoryless layers, norms and residual blocks: against torch's own layers and a direct
computation, for every placement."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies
from torch import nn

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import GRU, Attention, Block, Dense, FeedForward, Network, Norm, Tanh, get
from dynmem.models.residual import ACTIVATIONS, Activation, deepnorm, normalise
from dynmem.system import map_arrays

WIDTH, HIDDEN, STEPS = 6, 10, 7
NOISE = np.random.default_rng(0).standard_normal((3, STEPS, WIDTH))
TORCH_ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": nn.functional.gelu,
    "gelu_tanh": lambda z: nn.functional.gelu(z, approximate="tanh"),
    "silu": nn.functional.silu,
    "sigmoid": torch.sigmoid,
    "softplus": nn.functional.softplus,
    "elu": nn.functional.elu,
    "leaky_relu": nn.functional.leaky_relu,
    "identity": lambda z: z,
}
MIXERS = {
    "attention": lambda: Attention.random(WIDTH, WIDTH, heads=2, window=STEPS, rng=1),
    "gru": lambda: GRU.random(WIDTH, WIDTH, rng=2),
    "feed-forward": lambda: shaken(FeedForward.random(WIDTH, HIDDEN, rng=3)),
}


def shaken(system, seed=5):
    """The same system with noise on every array, so that no bias is zero and no gain one."""
    rng = np.random.default_rng(seed)
    return map_arrays(system, lambda a: a + 0.3 * rng.standard_normal(a.shape))


def tensor(array):
    return torch.tensor(array, dtype=torch.float64)


def block(mixer, placement, hidden, alpha=1.0, kind="layer"):
    count = 0 if placement == "none" else 2 if hidden else 1
    norms = tuple(shaken(Norm.plain(WIDTH, kind), 6 + i) for i in range(count))
    return Block(
        MIXERS[mixer](),
        shaken(FeedForward.random(WIDTH, hidden, rng=4)) if hidden else None,
        norms,
        placement,
        alpha,
    )


def torch_norm(norm):
    built = (nn.LayerNorm if norm.kind == "layer" else nn.RMSNorm)(
        len(norm.gain), eps=1e-5, dtype=torch.float64
    )
    with torch.no_grad():
        built.weight.copy_(tensor(norm.gain))
    # torch's root-mean-square norm has no offset, and the layer norm's is zero at the start
    return lambda x: built(x) + tensor(norm.offset)


def linear(W, b):
    return lambda x: nn.functional.linear(x, tensor(W), tensor(b))


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_norms_are_those_of_torch(kind):
    norm = shaken(Norm.plain(WIDTH, kind))
    built = (nn.LayerNorm if kind == "layer" else nn.RMSNorm)(WIDTH, eps=1e-5, dtype=torch.float64)
    with torch.no_grad():
        built.weight.copy_(tensor(norm.gain))
        if kind == "layer":
            built.bias.copy_(tensor(norm.offset))
        expected = built(tensor(NOISE)).numpy() + (norm.offset if kind == "rms" else 0.0)
    np.testing.assert_allclose(norm.output(None, NOISE), expected, atol=1e-12)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_feed_forward_and_activation_are_those_of_torch(activation):
    ff = replace(shaken(FeedForward.random(WIDTH, HIDDEN, rng=0)), activation=activation)
    expected = linear(ff.W2, ff.b2)(
        TORCH_ACTIVATIONS[activation](linear(ff.W1, ff.b1)(tensor(NOISE)))
    )
    np.testing.assert_allclose(ff.output(None, NOISE), expected, atol=1e-12)
    np.testing.assert_allclose(
        Activation(WIDTH, activation).output(None, NOISE),
        TORCH_ACTIVATIONS[activation](tensor(NOISE)),
        atol=1e-12,
    )


def test_dense_is_that_of_torch():
    dense = shaken(Dense.random(4, WIDTH, rng=0))
    np.testing.assert_allclose(
        dense.output(None, NOISE), linear(dense.V, dense.b)(tensor(NOISE)), atol=1e-12
    )
    assert (dense.inputs, dense.outputs, dense.size, dense.states) == (WIDTH, 4, 0, ())


@pytest.mark.parametrize("alpha", [1.0, 1.7])
@pytest.mark.parametrize("kind", ["layer", "rms"])
@pytest.mark.parametrize("hidden", [0, HIDDEN])
@pytest.mark.parametrize("placement", ["pre", "post", "none"])
@pytest.mark.parametrize("mixer", MIXERS)
def test_block_is_the_direct_computation(mixer, placement, hidden, kind, alpha):
    built = block(mixer, placement, hidden, alpha, kind)
    x = built.initial(1)

    def mixed(u):
        return tensor(
            built.mixer.unroll(np.broadcast_to(x, (3, x.size)), u.numpy())[0]
            if built.size
            else built.mixer.output(None, u.numpy())
        )

    branches = [mixed]
    if hidden:
        ff = built.feedforward
        branches.append(lambda z: linear(ff.W2, ff.b2)(torch.relu(linear(ff.W1, ff.b1)(z))))
    expected, norms = tensor(NOISE), [torch_norm(norm) for norm in built.norms]
    with torch.no_grad():
        for i, branch in enumerate(branches):
            if placement == "pre":
                expected = alpha * expected + branch(norms[i](expected))
            else:
                expected = alpha * expected + branch(expected)
                expected = norms[i](expected) if placement == "post" else expected
    for run in (built.run, built.unroll):
        if run == built.run or built.size:
            np.testing.assert_allclose(
                run(np.broadcast_to(x, (3, x.size)), NOISE)[0], expected, atol=1e-10
            )


@pytest.mark.parametrize("first", [True, False])
def test_block_is_torchs_encoder_layer(first):
    """nn.TransformerEncoderLayer in evaluation, with a causal mask, its weights copied by hand."""
    layer = nn.TransformerEncoderLayer(
        WIDTH, 2, HIDDEN, batch_first=True, norm_first=first, dtype=torch.float64
    ).eval()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(
                0.3
                * torch.randn(
                    weight.shape,
                    generator=torch.Generator().manual_seed(weight.numel()),
                    dtype=torch.float64,
                )
            )
        weights = {name: value.numpy() for name, value in layer.named_parameters()}
        expected = layer(
            tensor(NOISE),
            src_mask=nn.Transformer.generate_square_subsequent_mask(STEPS, dtype=torch.float64),
            is_causal=True,
        ).numpy()
    (Wq, Wk, Wv), (bq, bk, bv) = (
        np.split(weights[f"self_attn.in_proj_{part}"], 3) for part in ("weight", "bias")
    )
    attention = Attention(
        Wq,
        Wk,
        Wv,
        weights["self_attn.out_proj.weight"],
        bq,
        bk,
        bv,
        weights["self_attn.out_proj.bias"],
        heads=2,
        window=STEPS,
    )
    ff = FeedForward(*(weights[f"linear{i}.{part}"] for i in (1, 2) for part in ("weight", "bias")))
    norms = tuple(Norm(weights[f"norm{i}.weight"], weights[f"norm{i}.bias"]) for i in (1, 2))
    built = Block(attention, ff, norms, "pre" if first else "post")
    np.testing.assert_allclose(built.run(np.zeros((3, built.size)), NOISE)[0], expected, atol=1e-10)


def test_the_state_is_that_of_the_mixer_and_a_sequence_may_be_cut():
    built = block("gru", "pre", HIDDEN)
    assert (built.size, built.states, built.inputs, built.outputs) == (
        WIDTH,
        built.mixer.states,
        WIDTH,
        WIDTH,
    )
    x = np.zeros((3, WIDTH))
    whole, last = built.run(x, NOISE)
    first, middle = built.run(x, NOISE[:, :4])
    second, end = built.run(middle, NOISE[:, 4:])
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-12)
    np.testing.assert_allclose(end, last, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(strategies.floats(0.5, 1e6), strategies.floats(-10, 10), strategies.integers(0, 100))
def test_norms_take_out_the_scale_and_the_layer_norm_the_mean(scale, shift, seed):
    x = np.random.default_rng(seed).standard_normal(64)
    layer = normalise(scale * (x + shift), "layer")
    assert layer.mean() == pytest.approx(0.0, abs=1e-9) and (layer * layer).mean() == pytest.approx(
        1.0, abs=1e-4
    )
    np.testing.assert_allclose(layer, normalise(x, "layer"), atol=2e-4)
    np.testing.assert_allclose(normalise(scale * x, "rms"), normalise(x, "rms"), atol=2e-4)


def test_a_norm_of_zero_is_zero():
    for kind in ("layer", "rms"):
        assert not normalise(np.zeros(5), kind).any()


def test_random_weights_have_the_variances_they_promise():
    dense, ff = Dense.random(300, 200, rng=0), FeedForward.random(200, 300, rng=1, gain=0.5)
    assert dense.V.var() == pytest.approx(1 / 200, rel=0.02) and not dense.b.any()
    assert ff.W1.var() == pytest.approx(0.25 * 2 / 500, rel=0.02) and ff.W2.var() == pytest.approx(
        0.25 * 2 / 500, rel=0.02
    )
    assert not (ff.b1.any() or ff.b2.any())


def test_deepnorm_scales_stream_and_branches():
    """alpha = (2 M)^(1/4), beta = (8 M)^(-1/4) for M layers of a decoder (Wang et al. 2022, figure
    2)."""
    assert deepnorm(8) == pytest.approx((2.0, 8**-0.5))
    net = get("attention", units=200, inputs=3, layers=8, placement="deepnorm", feedforward=200)
    assert {built.alpha for built in net.layers[1:]} == {2.0} and {
        built.placement for built in net.layers[1:]
    } == {"post"}
    built, beta = net.layers[1], 8**-0.5
    for weights, scale in (
        (built.mixer.Wv, beta),
        (built.mixer.Wo, beta),
        (built.mixer.Wq, 1.0),
        (built.feedforward.W1, beta),
    ):
        assert weights.std() == pytest.approx(scale / np.sqrt(200), rel=0.03)


@pytest.mark.parametrize(
    "placement, count, last",
    [("pre", 2, Norm), ("post", 2, Block), ("deepnorm", 2, Block), ("none", 0, Block)],
)
def test_the_shape_of_a_stack(placement, count, last):
    net = get(
        "tanh",
        units=5,
        inputs=3,
        layers=2,
        placement=placement,
        feedforward=4,
        norm="rms",
        outputs=2,
    )
    assert (
        isinstance(net, Network)
        and isinstance(net.layers[0], Dense)
        and isinstance(net.layers[-1], last)
    )
    assert all(
        len(built.norms) == count and {norm.kind for norm in built.norms} <= {"rms"}
        for built in net.layers[1:3]
    )
    dm.check_system(net)


def test_a_block_in_torch_trains_every_array():
    from dynmem.training import Trainable

    net = Trainable(block("attention", "pre", HIDDEN), torch.float64)
    net(tensor(NOISE)).square().sum().backward()
    idle = {name for name, weight in net.weights().items() if not weight.grad.any()}
    # a key's bias adds the same to every score, and the softmax takes it out
    assert idle <= {"mixer.bk"}
    assert set(net.weights()) >= {"feedforward.W2", "norms.0.gain", "norms.1.offset", "mixer.Wq"}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Dense(np.ones(3), np.ones(3)),
            ShapeError,
            r"V of Dense must be a matrix \(outputs, inputs\), got shape \(3,\)",
        ),
        (
            lambda: Dense(np.ones((3, 2)), np.ones(2)),
            ShapeError,
            r"b of Dense has shape \(2,\), expected \(3,\)",
        ),
        (
            lambda: Dense(np.full((2, 2), np.nan), np.ones(2)),
            NotFiniteError,
            "V of Dense holds NaN",
        ),
        (lambda: Dense(np.full((2, 2), 1j), np.ones(2)), TypeError, "must hold real numbers"),
        (lambda: Dense.random(0, 2), ValueError, "units = 0: must be a whole number of at least 1"),
        (
            lambda: FeedForward(np.ones(3), None, None, None),
            ShapeError,
            r"W1 of FeedForward must be a matrix \(hidden, width\)",
        ),
        (
            lambda: FeedForward(np.ones((4, 3)), np.ones(4), np.ones((4, 3)), np.ones(3)),
            ShapeError,
            r"W2 of FeedForward has shape \(4, 3\)",
        ),
        (
            lambda: FeedForward.random(3, 4, activation="swish"),
            ValueError,
            "activation = 'swish'",
        ),
        (lambda: FeedForward.random(3, 2.5), ValueError, "hidden = 2.5"),
        (lambda: Activation(3, "swish"), ValueError, "kind = 'swish'"),
        (lambda: Activation(0), ValueError, "width = 0"),
        (
            lambda: Norm(np.ones((2, 2)), np.ones(2)),
            ShapeError,
            r"gain of Norm must have shape \(width,\), got \(2, 2\)",
        ),
        (
            lambda: Norm(np.ones(2), np.ones(3)),
            ShapeError,
            r"offset of Norm has shape \(3,\), expected \(2,\)",
        ),
        (lambda: Norm.plain(3, "batch"), ValueError, "kind = 'batch'"),
        (
            lambda: Block(Tanh.random(3, 2), None, (), "none"),
            ShapeError,
            "Tanh has 2 inputs and 3 outputs, make them equal",
        ),
        (lambda: Block(Tanh.random(3, 0), None, (), "none"), ShapeError, "Tanh has 0 inputs"),
        (lambda: Block(Tanh, None, (), "none"), TypeError, "Tanh is a class: pass an instance"),
        (
            lambda: Block(Tanh.random(3, 3), None, (), "middle"),
            ValueError,
            "placement = 'middle'",
        ),
        (
            lambda: Block(Tanh.random(3, 3)),
            ValueError,
            "placement 'pre' without a feed-forward layer needs 1 norms, got 0",
        ),
        (
            lambda: Block(Tanh.random(3, 3), FeedForward.random(3, 4), (Norm.plain(3),), "post"),
            ValueError,
            "with a feed-forward layer needs 2 norms",
        ),
        (
            lambda: Block(Tanh.random(3, 3), None, (Norm.plain(4),)),
            ShapeError,
            "Norm has width 4 and the mixer 3",
        ),
        (
            lambda: Block(Tanh.random(3, 3), FeedForward.random(4, 4), (), "none"),
            ShapeError,
            "FeedForward has width 4 and the mixer 3",
        ),
        (
            lambda: get("tanh", units=3, inputs=3, placement="before"),
            ValueError,
            "placement = 'before'",
        ),
        (
            lambda: get("tanh", units=3, inputs=3, placement="pre", norm="batch"),
            ValueError,
            "norm = 'batch'",
        ),
        (
            lambda: get("tanh", units=3, inputs=3, placement="pre", feedforward=-1),
            ValueError,
            "feedforward = -1: must be a whole number of at least 0",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
