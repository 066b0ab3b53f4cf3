"""Depth as time: exact products first, then the mean field of random stacks against simulation, and
the published laws."""

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem import theory
from dynmem.analysis import depth_spectrum, layer_gradients, stream_variance
from dynmem.analysis.gradients.depth import Depth, parts
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import Block, Dense, FeedForward, Network, Norm, get
from dynmem.system import map_arrays
from dynmem.theory import residual_growth, update_bound
from dynmem.training import Trainable

PLACEMENTS = ("pre", "post", "deepnorm", "none")


def stack(placement, layers, width=64, mixer="attention", rng=0, **options):
    """A stack without a readout, as the theory takes it: attention with scores of zero and a ReLU
    layer."""
    options = {"sharpness": 0.0} | options if mixer == "attention" else options
    return get(
        mixer,
        units=width,
        inputs=width,
        layers=layers,
        placement=placement,
        feedforward=width,
        rng=rng,
        **options,
    )


def linear_stack(matrices):
    return Network(tuple(Block(Dense(V, np.zeros(len(V))), None, (), "none") for V in matrices))


def slope(layers, values):
    return np.polyfit(np.log(layers), np.log(values), 1)[0]


def neighbours(exponents, count=10):
    """Means of so many neighbouring exponents, whose noise over few blocks is independent."""
    values = np.asarray(exponents)[: len(exponents) // count * count]
    return values.reshape(-1, count).mean(axis=1)


# exact products
def test_spectrum_of_diagonal_blocks_is_exact():
    rng = np.random.default_rng(0)
    entries = rng.uniform(-0.9, 2.0, 4)
    found = depth_spectrum(linear_stack([np.diag(entries)] * 60), drive=np.ones((1, 4)))
    np.testing.assert_allclose(
        found.growth[30:].mean("layer"), np.sort(np.log1p(entries))[::-1], atol=1e-6
    )


def test_the_sum_of_the_exponents_is_the_volume():
    """The sum over all directions is the mean of ln |det J| over blocks, by numpy's own determinant
    of autograd's Jacobian."""
    net, u = (
        stack("pre", 3, width=5, mixer="tanh"),
        np.random.default_rng(1).standard_normal((2, 5)),
    )
    found, x, logs = depth_spectrum(net, drive=u), net.layers[0].output(None, u).reshape(-1), []
    for block in net.layers[1:-1]:
        twin = map_arrays(Depth(block, 2), torch.tensor)
        logs.append(
            np.linalg.slogdet(
                torch.autograd.functional.jacobian(
                    lambda x, twin=twin: twin.rule(x, None), torch.tensor(x)
                ).numpy()
            )[1]
        )
        x = Depth(block, 2).rule(x, None)
    np.testing.assert_allclose(found.growth.sum("exponent"), logs, atol=1e-10)
    assert float(found.lyapunov.sum()) == pytest.approx(np.mean(logs), abs=1e-10)


@pytest.mark.parametrize(
    "mixer",
    [
        "tanh",
        "lstm",
        "lru",
        "s4d",
        "selective",
        "mamba",
        "tcn",
        "attention",
        "hybrid",
        "linear_attention",
    ],
)
def test_a_step_of_depth_is_the_block_and_its_tangent_autograds(mixer):
    """Mixers that run step by step on dual numbers: the block over a whole sequence, against
    torch."""
    block = stack("post", 1, width=4, mixer=mixer).layers[-1]
    step, x = Depth(block, 3), np.random.default_rng(0).standard_normal(12)
    np.testing.assert_allclose(
        step.rule(x, None),
        block.run(np.zeros(block.size), x.reshape(3, 4))[0].reshape(-1),
        atol=1e-12,
    )
    size, directions = 1e-5, np.eye(12)
    differences = (
        step.rule(x + size * directions, None) - step.rule(x - size * directions, None)
    ) / (2 * size)
    np.testing.assert_allclose(dm.jacobian(step, x).T, differences, atol=1e-8)


def test_shared_blocks_are_a_system_like_any_other():
    block = Block(Dense(np.diag([0.5, -0.5]), np.zeros(2)), None, (), "none")
    found = dm.lyapunov_spectrum(Depth(block, 1), np.zeros(2), duration=100)
    np.testing.assert_allclose(found.lyapunov, np.log([1.5, 0.5]), atol=1e-6)


def test_the_mean_over_components_is_lost_to_a_layer_norm():
    found = depth_spectrum(stack("post", 3, width=8))
    assert np.isneginf(found.lyapunov).sum() == 1 and np.isfinite(found.lyapunov[:-1]).all()
    assert np.isneginf(depth_spectrum(stack("post", 3, width=8), steps=2).lyapunov).sum() == 2


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_gradients_are_those_of_autograd(placement):
    """Against the whole model in one graph, through the door by which it is trained."""
    task = dm.tasks.get("copy", delay=2, symbols=2, length=1)
    net = get(
        "attention",
        units=6,
        inputs=task.inputs,
        outputs=task.outputs,
        layers=3,
        placement=placement,
        feedforward=5,
        window=task.steps,
    )
    inputs, targets = task.arrays(4, np.random.default_rng(0))

    def loss(outputs):
        return torch.nn.functional.cross_entropy(
            outputs.flatten(0, 1), torch.as_tensor(targets).flatten()
        )

    found, whole = (
        layer_gradients(net, drive=task.encode(inputs, np.float64), loss=loss),
        Trainable(net, torch.float64),
    )
    loss(whole(torch.tensor(task.encode(inputs, np.float64)))).backward()
    squares = dict.fromkeys((1, 2, 3), 0.0)
    for name, weight in whole.weights().items():
        layer = int(name.split(".")[1]) if name.startswith("layers") else 0
        if layer in squares:
            squares[layer] += float(weight.grad.square().sum())
        if name.endswith("feedforward.W2"):
            assert found.feedforward_gradient.sel(layer=layer).item() == pytest.approx(
                float(weight.grad.norm()), rel=1e-10
            )
    np.testing.assert_allclose(
        found.parameter_gradient, np.sqrt(list(squares.values())), rtol=1e-10
    )


def test_the_gradient_of_the_stream_by_differences():
    net, u = stack("post", 2, width=4), np.random.default_rng(2).standard_normal((1, 3, 4))
    found = layer_gradients(net, drive=u, loss=lambda y: y[0, -1, 0] ** 2)
    before, blocks, after = parts(net)
    x = before[0].output(None, u)

    def value(x):
        for layer in (*blocks, *after):
            x = layer.run(np.zeros((1, layer.size)), x)[0]
        return x[0, -1, 0] ** 2

    differences = [
        (value(x + 1e-6 * e) - value(x - 1e-6 * e)) / 2e-6 for e in np.eye(12).reshape(12, 1, 3, 4)
    ]
    assert found.input_gradient[0].item() == pytest.approx(np.linalg.norm(differences), rel=1e-6)


# theory: closed forms and limits
def test_growth_of_a_gaussian_branch_is_its_closed_form():
    kappa, chi = np.linspace(0.001, 0.999, 50), np.array([[0.1], [0.5], [0.999], [2.0]])
    for c in chi.ravel():
        closed = 0.5 * (1 + c - 2 * c * kappa + np.sqrt((1 + c) ** 2 - 4 * c * kappa))
        np.testing.assert_allclose(residual_growth(kappa, c), closed, rtol=1e-6)


@pytest.mark.parametrize("loss", [0.0, 1.0, 2.0])
def test_the_volume_of_a_residual_branch(loss):
    """ln |det(1 + R)| / d: the eigenvalues of R fill a disc of radius sqrt(chi) evenly in angle, so
    that below 1 the mean is ln 1 = 0; for one Gaussian matrix beyond 1 the disc is uniform (Ginibre
    1965) and it is 1/2 ln chi - (1 - 1/chi)/2."""
    kappa = (np.arange(20_000) + 0.5) / 20_000
    assert np.log(residual_growth(kappa, 0.8, loss)).mean() / 2 == pytest.approx(0.0, abs=2e-4)
    if not loss:
        assert np.log(residual_growth(kappa, 3.0)).mean() / 2 == pytest.approx(
            0.5 * np.log(3.0) - (1 - 1 / 3) / 2, abs=2e-4
        )


@pytest.mark.parametrize("loss", [0.0, 1.0, 2.0])
def test_weak_branches_are_an_isotropic_flow(loss):
    """lambda_i = chi/2 (d - 2 i + 1)/d (Le Jan 1985; Newman 1986 for the discrete product)."""
    kappa = np.linspace(0.01, 0.99, 30)
    np.testing.assert_allclose(
        0.5 * np.log(residual_growth(kappa, 1e-4, loss)), 0.5e-4 * (1 - 2 * kappa), atol=1e-8
    )


@pytest.mark.parametrize("chi", [0.5, 2.0])
def test_growth_of_gaussian_branches_by_simulation(chi):
    d, rng = 160, np.random.default_rng(3)
    net = linear_stack(np.sqrt(chi / d) * rng.standard_normal((60, d, d)))
    found, kappa = depth_spectrum(net), (np.arange(d) + 0.5) / d
    predicted = 0.5 * np.log(residual_growth(kappa, chi))
    np.testing.assert_allclose(
        neighbours(found.lyapunov)[: 3 * d // 40], neighbours(predicted)[: 3 * d // 40], atol=0.015
    )


def test_update_bound_of_deepnorm_does_not_know_depth():
    assert [float(update_bound(n).update_bound) for n in (1, 10, 1000)] == pytest.approx([1.0] * 3)
    assert [float(update_bound(n, placement="post").update_bound) for n in (1, 10, 1000)] == [
        4.0,
        40.0,
        4000.0,
    ]


def test_stream_at_one_position():
    """Lemma 2 of Xiong et al. (2020): between 1 + l/2 and 1 + 3 l/2; one position is its upper end,
    many positions lie inside. Without a norm a factor (1 + 1)(1 + 1/2) a block; branches of He's
    variance, 2/width a weight, double the stream: 2^L."""
    layers = np.arange(11)
    np.testing.assert_allclose(
        theory.stream_variance(10, steps=1).variance, 1 + 1.5 * layers, rtol=1e-12
    )
    many = theory.stream_variance(10, steps=64).variance
    assert (many[1:] > 1 + layers[1:] / 2).all() and (many[1:] < 1 + 1.5 * layers[1:]).all()
    np.testing.assert_allclose(
        theory.stream_variance(10, placement="none", steps=1).variance, 3.0**layers, rtol=1e-12
    )
    d, rng = 400, np.random.default_rng(0)
    he = Network(
        tuple(
            Block(FeedForward.random(d, d, rng=rng, gain=2**0.25), None, (), "none")
            for _ in range(10)
        )
    )
    stream = stream_variance(he).variance
    assert slope(np.exp(layers), stream) == pytest.approx(np.log(2), abs=0.03)


def test_first_exponents_by_placement():
    """none: 1/2 ln 3 a block; post: 0; pre: the sum over depth is 1/2 ln of the growth of the
    stream, a power law."""
    wide = {"width": 4000, "exponents": 1}
    assert theory.depth_spectrum(5, placement="none", **wide).lyapunov.item() == pytest.approx(
        0.5 * np.log(3), abs=2e-4
    )
    assert theory.depth_spectrum(5, placement="post", **wide).lyapunov.item() == pytest.approx(
        0.0, abs=2e-4
    )
    for layers in (10, 100):
        growth = theory.depth_spectrum(layers, **wide).growth.cumsum("layer")[:, 0]
        np.testing.assert_allclose(
            growth, 0.5 * np.log1p(1.5 * np.arange(1, layers + 1)), atol=2e-3
        )


def test_post_norm_gradients_are_largest_at_the_output():
    """And those of DeepNorm are even (Xiong et al. 2020, section 3.3; Wang et al. 2022, figure
    4)."""
    post, deep = (
        theory.layer_gradients(24, placement=p).feedforward_gradient.values
        for p in ("post", "deepnorm")
    )
    assert post[-1] > post[0] and deep[0] == pytest.approx(deep[-1], rel=0.01)


# theory against simulation
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_stream_and_gradients_against_simulation(placement):
    """Means over networks, of the logarithm where factors multiply. The theory is that of infinite
    width: norms raise the squared gradient by 16 % at width 64 and 3 % at 256 (40 networks), since
    the mean of 1/|x|^2 is above 1/(mean of |x|^2); without a norm it agrees within 1 %. Eight
    networks with four probes scatter by 5 % of it."""
    nets, about = (
        [stack(placement, 3, width=256, rng=100 + rng) for rng in range(8)],
        {"placement": placement, "steps": 4, "width": 256},
    )
    measured, predicted = (
        [stream_variance(net, steps=4, rng=rng) for rng, net in enumerate(nets)],
        theory.stream_variance(3, **about),
    )
    for name in ("variance", "similarity"):
        np.testing.assert_allclose(
            np.exp(np.mean([np.log(each[name]) for each in measured], axis=0)),
            predicted[name],
            rtol=0.06,
        )
        assert measured[0][name].dims == predicted[name].dims
    measured, predicted = (
        [layer_gradients(net, steps=4, samples=4, rng=rng) for rng, net in enumerate(nets)],
        theory.layer_gradients(3, **about),
    )
    for name in ("input_gradient", "feedforward_gradient"):
        np.testing.assert_allclose(
            np.exp(np.mean([np.log(each[name]) for each in measured], axis=0)),
            predicted[name],
            rtol=0.1,
        )
        assert measured[0][name].dims == predicted[name].dims


@pytest.mark.parametrize("placement, tolerance", [("pre", 0.03), ("post", 0.04), ("none", 0.04)])
def test_spectrum_against_simulation(placement, tolerance):
    net = stack(placement, 12, width=128)
    measured, predicted = (
        depth_spectrum(net, samples=2),
        theory.depth_spectrum(12, placement=placement, width=128),
    )
    np.testing.assert_allclose(
        neighbours(measured.lyapunov)[:9], neighbours(predicted.lyapunov)[:9], atol=tolerance
    )
    assert {v: measured[v].dims for v in measured} == {v: predicted[v].dims for v in predicted}


def test_one_block_without_a_norm_is_a_stack():
    found = stream_variance(Block(FeedForward.random(200, 200), None, (), "none"), samples=50)
    assert found.variance[1].item() == pytest.approx(1.5, abs=0.1) and found.similarity[
        0
    ].item() == pytest.approx(1 / 16, abs=0.01)


# published laws
def laws(layers, width, steps, seeds, samples=8):
    """Slopes over the number of blocks of the last layer's feed-forward gradient, and the stream of
    the deepest Pre-Norm stack."""
    slopes = {}
    for placement in ("pre", "post"):
        nets = [
            [stack(placement, n, width, rng=[n, seed]) for seed in range(seeds)] for n in layers
        ]
        squares = [
            [
                layer_gradients(net, steps=steps, samples=samples).feedforward_gradient[-1].item()
                ** 2
                for net in row
            ]
            for row in nets
        ]
        last = np.sqrt(np.mean(squares, axis=1))
        slopes[placement] = slope(layers, last)
        if placement == "pre":
            stream = np.mean(
                [stream_variance(net, steps=steps).variance for net in nets[-1]], axis=0
            )
    return slopes, stream


def linear_share(stream):
    """Share of the variance of the stream over depth that a straight line explains."""
    layers = np.arange(len(stream))
    return np.corrcoef(layers, stream)[0, 1] ** 2


def test_pre_against_post_norm_in_small():
    slopes, stream = laws((4, 8, 16), width=64, steps=2, seeds=3, samples=3)
    assert slopes["post"] == pytest.approx(0.0, abs=0.15) and slopes["pre"] == pytest.approx(
        -0.5, abs=0.15
    )
    assert linear_share(stream) > 0.98


@pytest.mark.slow  # gradients of stacks of up to 32 blocks at the width of the reference row
def test_pre_against_post_norm_at_width_256():
    """Xiong et al. (2020), theorem 1 and figure 3: post flat in depth, pre as L^(-1/2); lemma 2:
    the Pre-Norm stream grows linearly."""
    slopes, stream = laws((6, 8, 12, 16, 24, 32), width=256, steps=8, seeds=2)
    assert slopes["post"] == pytest.approx(0.0, abs=0.1) and slopes["pre"] == pytest.approx(
        -0.5, abs=0.1
    )
    layers = np.arange(len(stream))
    assert (
        linear_share(stream) > 0.99
        and (stream / stream[0] > 1 + layers / 2 - 0.1).all()
        and (stream / stream[0] < 1 + 1.6 * layers + 0.1).all()
    )


def test_the_same_laws_on_paper():
    layers = (8, 16, 32, 64)
    last = {
        p: [theory.layer_gradients(n, placement=p).feedforward_gradient[-1].item() for n in layers]
        for p in ("pre", "post")
    }
    assert slope(layers, last["post"]) == pytest.approx(0.0, abs=0.02) and slope(
        layers, last["pre"]
    ) == pytest.approx(-0.5, abs=0.06)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: depth_spectrum(get("gru", units=3, inputs=3)),
            TypeError,
            "GRU has no stack of residual blocks: make it with dm.models.get",
        ),
        (
            lambda: stream_variance(get("gru", units=3, inputs=3, layers=2)),
            TypeError,
            "no stack of residual blocks",
        ),
        (lambda: layer_gradients(Norm.plain(3)), TypeError, "no stack of residual blocks"),
        (
            lambda: depth_spectrum(dm.systems.get("lorenz63")),
            TypeError,
            "is a Flow and a Map is needed",
        ),
        (
            lambda: depth_spectrum(stack("pre", 2, 4), exponents=9, steps=2),
            ValueError,
            "exponents = 9: must be a whole number from 1 to 8",
        ),
        (lambda: depth_spectrum(stack("pre", 2, 4), steps=0), ValueError, "steps = 0"),
        (lambda: stream_variance(stack("pre", 2, 4), samples=1.5), ValueError, "samples = 1.5"),
        (
            lambda: stream_variance(stack("pre", 2, 4), drive=-1.0),
            ValueError,
            "drive = -1.0",
        ),
        (
            lambda: layer_gradients(stack("pre", 2, 4), drive=np.ones((3, 5))),
            ShapeError,
            "drive has 5 inputs",
        ),
        (
            lambda: stream_variance(linear_stack([1e200 * np.eye(2)] * 3)),
            NotFiniteError,
            "without a norm it grows by a factor a block, pass fewer",
        ),
        (
            lambda: depth_spectrum(linear_stack([1e200 * np.eye(2)] * 3)),
            NotFiniteError,
            "the stream is not finite after block 2 of 3",
        ),
        (
            lambda: layer_gradients(linear_stack([1e200 * np.eye(2)] * 3)),
            NotFiniteError,
            "the loss is not finite",
        ),
        (
            lambda: theory.stream_variance(0),
            ValueError,
            "number of blocks = 0",
        ),
        (
            lambda: theory.stream_variance(3, placement="middle"),
            ValueError,
            "placement = 'middle'",
        ),
        (lambda: theory.layer_gradients(3, width=2.5), ValueError, "width = 2.5"),
        (
            lambda: theory.depth_spectrum(3, drive=0.0),
            ValueError,
            "drive = 0.0",
        ),
        (lambda: theory.depth_spectrum(3, exponents=0), ValueError, "exponents = 0"),
        (
            lambda: update_bound(3, placement="pre"),
            ValueError,
            "placement = 'pre'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
