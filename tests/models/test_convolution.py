"""Temporal convolutional networks as shift registers: against torch, and their receptive fields."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import receptive_field
from dynmem.autodiff.jacobian import linearise_rule
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import Activation, Convolution, ConvolutionBlock, Dense, Network, get
from dynmem.training import Trainable

# kernel, layers, base, convolutions
SHAPES = [
    (2, 1, 2, 1),
    (2, 4, 2, 1),
    (3, 3, 2, 2),
    (3, 2, 3, 1),
    (4, 3, 1, 2),
    (1, 2, 2, 2),
    (2, 3, 4, 2),
]


def tcn(kernel, layers, base=2, convolutions=1, **options):
    options = {"units": 6, "inputs": 2, "outputs": 2, "rng": 3} | options
    return get("tcn", layers=layers, kernel=kernel, base=base, convolutions=convolutions, **options)


def counted(kernel, layers, base, convolutions):
    return 1 + convolutions * (kernel - 1) * sum(base**i for i in range(layers))


def in_torch(system, u):
    """Outputs of u (batch, T, inputs) by torch's modules with our weights, and the
    weight-normalised convolutions, block by block."""
    import torch
    from torch.nn import Conv1d
    from torch.nn.functional import conv1d, pad
    from torch.nn.utils.parametrizations import weight_norm

    h, blocks = u.mT, []
    for block in system.layers:
        z, made = h, []
        for layer in block.convolutions:
            conv = weight_norm(
                Conv1d(
                    layer.inputs,
                    layer.outputs,
                    layer.kernel,
                    dilation=layer.dilation,
                    dtype=torch.float64,
                )
            )
            with torch.no_grad():
                conv.parametrizations.weight.original0.copy_(torch.tensor(layer.g)[:, None, None])
                conv.parametrizations.weight.original1.copy_(torch.tensor(layer.V).mT)
                conv.bias.copy_(torch.tensor(layer.b))
            z = conv(pad(z, ((layer.kernel - 1) * layer.dilation, 0))).relu()
            made.append(conv)
        skip = block.skip
        h = (
            z
            + (
                h
                if skip is None
                else conv1d(h, torch.tensor(skip.V)[..., None], torch.tensor(skip.b))
            )
        ).relu()
        blocks.append(made)
    return h.mT, blocks


# Against torch


@pytest.mark.parametrize("shape", SHAPES)
def test_the_network_is_torchs(shape):
    """Outputs, and gradients by V, g and b, of Bai, Kolter and Koltun's (2018, fig. 1b) block made
    of torch's convolutions."""
    import torch

    system = (
        tcn(*shape, outputs=None, inputs=6 if shape[1] % 2 else 3)
        if shape[1] > 1
        else Network((tcn(*shape, outputs=None),))
    )
    u, trainable = (
        torch.tensor(np.random.default_rng(0).standard_normal((3, 40, system.inputs))),
        Trainable(system, dtype="float64"),
    )
    (theirs, blocks), ours = in_torch(system, u), trainable(u)
    assert (ours - theirs).abs().max() < 1e-12
    theirs.sin().sum().backward()
    ours.sin().sum().backward()
    gradients = {name: weight.grad for name, weight in trainable.weights().items()}
    for i, block in enumerate(blocks):
        for j, conv in enumerate(block):
            g, V, b = (gradients[f"layers.{i}.convolutions.{j}.{name}"] for name in "gVb")
            scale = V.abs().max()
            assert (V.mT - conv.parametrizations.weight.original1.grad).abs().max() < 1e-12 * scale
            assert (
                g - conv.parametrizations.weight.original0.grad.ravel()
            ).abs().max() < 1e-11 * scale
            assert (b - conv.bias.grad).abs().max() < 1e-12 * scale


def test_the_whole_sequence_is_the_rule_step_by_step():
    """On numpy and torch, from any state, cut anywhere, each of a batch by itself."""
    import torch

    rng = np.random.default_rng(1)
    for system in (
        Convolution.random(3, 2, kernel=3, dilation=4),
        tcn(3, 3, 2, 2),
        get("tcn", units=4, inputs=1, layers=2, placement="pre"),
    ):
        x, u = rng.standard_normal((4, system.size)), rng.standard_normal((4, 30, system.inputs))
        y, last = system.run(x, u)
        expected, end = system.unroll(x, u)
        np.testing.assert_allclose(y, expected, atol=1e-12)
        np.testing.assert_allclose(last, end, atol=1e-12)
        first, middle = system.run(x, u[:, :7])
        second, cut = system.run(middle, u[:, 7:])
        np.testing.assert_allclose(np.concatenate([first, second], axis=1), y, atol=1e-12)
        np.testing.assert_allclose(cut, last, atol=1e-12)
        np.testing.assert_allclose(system.run(x[2], u[2])[0], y[2], atol=1e-12)
        for start, inputs in (
            ((x[2], u), (x, u[2])) if not hasattr(system, "layers") or system.layers[0].size else ()
        ):
            np.testing.assert_allclose(
                system.run(start, inputs)[0], system.unroll(start, inputs)[0], atol=1e-12
            )
        by_torch = Trainable(system, dtype="float64").run(torch.tensor(x), torch.tensor(u))
        for ours, theirs in zip((y, last), by_torch, strict=True):
            np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-12)


def test_weight_normalisation_keeps_the_direction_apart_from_the_length():
    layer = Convolution.random(4, 3, kernel=2)
    np.testing.assert_allclose(layer.W, Convolution(layer.V).W, atol=1e-15)
    np.testing.assert_allclose(
        np.linalg.norm(Convolution(7 * layer.V, g=np.arange(4.0)).W, axis=1),
        np.arange(4.0),
        atol=1e-15,
    )


def test_initialisation_statistics():
    """torch's uniform weights; He et al. (2015), eq. 10: the mean square goes through a relu
    unchanged."""
    uniform, he = (
        Convolution.random(300, 100, kernel=3, init=init, normed=False, rng=2)
        for init in ("uniform", "he")
    )
    assert (
        np.abs(uniform.V).max() == pytest.approx(1 / np.sqrt(300), rel=1e-3)
        and uniform.b.any()
        and not he.b.any()
    )
    assert he.V.var() == pytest.approx(2 / 300, rel=0.02)
    y = np.maximum(
        he.run(np.zeros(he.size), np.random.default_rng(0).standard_normal((200, 100)))[0], 0.0
    )
    assert (y[2:] ** 2).mean() == pytest.approx(1.0, rel=0.05)


def test_dilations_double_from_layer_to_layer():
    net = tcn(3, 4, 2, 2, outputs=None)
    assert [layer.dilation for block in net.layers for layer in block.convolutions] == [
        1,
        1,
        2,
        2,
        4,
        4,
        8,
        8,
    ]
    assert net.size == sum(
        layer.inputs * (2 * layer.dilation + 1)
        for block in net.layers
        for layer in block.convolutions
    )
    blocks = [
        layer.mixer for layer in tcn(3, 3, 3, placement="pre").layers if hasattr(layer, "mixer")
    ]
    assert [block.convolutions[0].dilation for block in blocks] == [1, 3, 9]


# A shift register


@pytest.mark.parametrize("shape", SHAPES)
def test_shift_register(shape):
    """Nilpotent: the field's power of the Jacobian is exactly zero, every eigenvalue too; no direct
    path besides the register."""
    system, field = tcn(*shape), counted(*shape)
    linear = dm.linearize(system, np.random.default_rng(2).standard_normal(system.size), np.ones(2))
    assert not np.linalg.matrix_power(linear.A, field).any() and not linear.D.any()
    assert linear.spectral_radius < 1e-3  # rounding spreads a defective zero as eps^(1/field)


@pytest.mark.parametrize("shape", [(2, 4, 2, 1), (3, 3, 2, 2), (3, 2, 3, 1)])
@pytest.mark.parametrize("exponents", [1, 5, None])
def test_exponents_are_minus_infinity(shape, exponents):
    """Nothing of a perturbation is left once it has been shifted out."""
    system = tcn(*shape, units=3)
    result = dm.lyapunov_spectrum(
        system, duration=3 * counted(*shape), exponents=exponents, drive=1.0
    )
    assert np.isneginf(result.lyapunov).all() and len(result.lyapunov) == (exponents or system.size)
    assert (
        not result.lyapunov_error.any()
        and result.kaplan_yorke_dimension == 0
        and result.entropy_rate == 0
    )
    assert "-inf" in result.attrs["collapsed"]


def test_fixed_points():
    """One for each input that is held: there is no memory to choose between several;
    superstable."""
    system = tcn(2, 2)
    found = dm.fixed_points(system, rng=0, drive=np.ones(2))
    _, end = system.run(np.zeros(system.size), np.ones((10, 2)))
    np.testing.assert_allclose(found.x[0], end, atol=1e-9)
    assert (
        len(found.point) == 1
        and not found.eigenvalue_real.any()
        and not found.eigenvalue_imag.any()
        and found.kind == "stable"
    )


def test_a_register_beside_a_recurrence():
    """The exponents of the recurrence are found, the register's are -inf: what is lost does not
    come back by rounding."""
    net = Network(
        (
            Convolution.random(3, 1, rng=0, kernel=4, dilation=5),
            get("linear", units=3, inputs=3, rng=1, gain=0.9),
        )
    )
    result = dm.lyapunov_spectrum(net, duration=2000, transient=100)
    np.testing.assert_allclose(
        result.lyapunov[:3],
        dm.lyapunov_spectrum(net.layers[1], duration=2000, transient=100).lyapunov,
        atol=1e-3,
    )
    assert np.isneginf(result.lyapunov[3:]).all() and len(result.lyapunov) == 19


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_gradients_end_with_the_field(shape):
    """d y_T / d u_(T-lag) is exactly 0 beyond the receptive field, and not within, at a base that
    leaves no gaps."""
    system, field = tcn(*shape, init="he", units=16), counted(*shape)
    gradients = dm.gradient_norms(system, drive=1.0, lags=field + 3, samples=1, transient=field)
    assert (
        np.isneginf(gradients.log_input_gradient[field:]).all()
        and (gradients.input_gradient[field:] == 0).all()
    )
    assert np.isneginf(gradients.log_state_gradient[-1])
    assert np.isfinite(gradients.log_input_gradient[field - 1])


# Receptive fields


@pytest.mark.parametrize(
    "shape, field",
    [((2, 10, 2, 1), 1024), ((3, 6, 2, 2), 253), ((3, 4, 1, 1), 9), ((2, 3, 3, 2), 27)],
)
def test_fields_by_autograd(shape, field):
    """1 + (k-1)(2^L - 1) and 1 + 2(k-1)(2^L - 1) (Bai et al. 2018, sec. 3): exact, by torch's
    autograd through the whole sequence."""
    import torch

    trainable = Trainable(tcn(*shape, units=8, init="he"), dtype="float64")
    u = torch.randn(
        (32, field + 20, 2),
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
        requires_grad=True,
    )
    trainable(u)[:, -1].sum().backward()
    reached = (u.grad != 0).any(dim=(0, 2)).flip(0).numpy()
    assert counted(*shape) == field and reached[field - 1] and not reached[field:].any()
    predicted = dm.theory.receptive_field(
        *shape[:2], base=shape[2], convolutions=shape[3], path_power=1.0
    )
    assert predicted.receptive_field == field
    np.testing.assert_array_equal(predicted.reached, reached[:field])


@pytest.mark.parametrize("shape", SHAPES)
def test_fields_by_exact_support(shape):
    found = receptive_field(tcn(*shape, init="he"))
    predicted = dm.theory.receptive_field(
        *shape[:2], base=shape[2], convolutions=shape[3], path_power=1.0
    )
    assert found.receptive_field == predicted.receptive_field == counted(*shape)
    np.testing.assert_array_equal(found.reached, predicted.reached)
    assert (
        set(found.data_vars) == set(predicted.data_vars)
        and found.share.dims == predicted.share.dims
    )
    assert all(found[name].attrs == predicted[name].attrs for name in found.data_vars)


def test_effective_fields_in_closed_form():
    """sqrt(1 + m (k^2-1) sum d^2): the variance of a sum of even steps (Luo et al. 2016, sec. 2.2);
    the whole field where k = base."""
    for kernel, layers, base, convolutions in (
        (3, 7, 1, 1),
        (2, 5, 2, 2),
        (5, 4, 2, 1),
        (2, 4, 3, 2),
    ):
        found = dm.theory.receptive_field(kernel, layers, base=base, convolutions=convolutions)
        expected = 1 + convolutions * (kernel**2 - 1) * sum(base ** (2 * i) for i in range(layers))
        assert found.effective_field == pytest.approx(np.sqrt(expected), rel=1e-12)
        assert found.share.sum() == pytest.approx(1, rel=1e-12) and found.mean_lag == pytest.approx(
            (found.receptive_field - 1) / 2
        )
    for base, layers in ((2, 10), (3, 5)):
        found = dm.theory.receptive_field(base, layers, base=base)
        np.testing.assert_allclose(found.share, float(base) ** -layers, rtol=1e-12)
        assert found.effective_field == pytest.approx(base**layers) == found.receptive_field
    wide, deep = (
        dm.theory.receptive_field(3, layers, base=1).effective_field for layers in (100, 400)
    )
    assert deep / wide == pytest.approx(2.0, rel=1e-3)  # the square root of the depth


@pytest.mark.parametrize(
    "shape, init, power",
    [
        ((2, 4, 2, 1), "he", 1.0),
        ((2, 3, 2, 2), "he", 1.0),
        ((2, 3, 2, 2), "uniform", 1 / 36),
        ((3, 4, 1, 1), "he", 1.0),
    ],
)
def test_effective_fields_of_wide_networks(shape, init, power):
    """The mean over starts of the share at each lag is that of the theory, within four standard
    errors."""
    found = np.array(
        [
            receptive_field(
                tcn(*shape, units=48, inputs=48, outputs=None, init=init, rng=seed),
                samples=2,
                rng=seed,
            ).share
            for seed in range(12)
        ]
    )
    predicted = dm.theory.receptive_field(
        *shape[:2], base=shape[2], convolutions=shape[3], path_power=power
    )
    error = found.std(0, ddof=1) / np.sqrt(12.0)
    np.testing.assert_array_less(
        np.abs(found.mean(0) - predicted.share), 4.5 * error + 0.01 * predicted.share.values
    )


def test_fields_of_other_systems():
    """Recurrences are endless; a nilpotent matrix, however dense, is not; a loop counts only where
    it lies between input and output."""
    for name in ("tanh", "lstm", "gru", "orthogonal"):
        assert np.isinf(receptive_field(get(name, units=3, inputs=2, layers=2)).receptive_field)
    shift = np.diag(np.ones(4), 1)
    assert receptive_field(dm.models.Linear(shift, np.eye(5)[:, -1:])).receptive_field == 5
    assert receptive_field(dm.models.Linear(shift, np.eye(5)[:, 1:2])).receptive_field == 2
    apart = np.zeros((6, 6))
    apart[:5, :5], apart[5, 5] = shift, 1.0
    entry = np.eye(6)[:, 4:5]
    assert receptive_field(dm.models.Linear(apart, entry)).receptive_field == 5
    apart[0, 5] = 1.0
    assert receptive_field(dm.models.Linear(apart, entry)).receptive_field == 5
    apart[5, 3] = 1.0
    assert np.isinf(receptive_field(dm.models.Linear(apart, entry)).receptive_field)
    # one lag in turn for each unit
    ring = receptive_field(
        dm.models.Linear(np.roll(np.eye(5), 1, axis=0), np.eye(5)[:, :1]), lags=20
    )
    assert np.isinf(ring.receptive_field) and np.isinf(ring.effective_field) and len(ring.lag) == 21
    none = receptive_field(dm.models.Linear(np.eye(2), np.zeros((2, 1))))
    assert none.receptive_field == 0 and none.effective_field == 0 and not none.reached.any()
    assert (
        receptive_field(Network((Dense.random(2, 1), Activation(2, "tanh")))).receptive_field == 1
    )


def test_effective_field_of_a_recurrence():
    """x' = rho x + u: shares (1 - r) r^lag with r = rho^2, of variance r/(1 - r)^2."""
    r = 0.8**2
    found = receptive_field(dm.models.Linear([[0.8]], [[1.0]]))
    np.testing.assert_allclose(found.share, (1 - r) * r**found.lag, atol=1e-12)
    assert found.effective_field == pytest.approx(np.sqrt(1 + 12 * r / (1 - r) ** 2), rel=1e-6)
    assert found.mean_lag == pytest.approx(r / (1 - r), rel=1e-6)
    exploding = receptive_field(
        dm.models.Linear([[10.0]], [[1.0]]), transient=0, x0=[0.0], drive=np.zeros((600, 1))
    )
    assert np.isinf(exploding.effective_field) and exploding.share.sum() == pytest.approx(1)


def test_what_one_orbit_hides_another_shows():
    """A relu that is closed at one input hides what lies behind it."""
    narrow = tcn(2, 3, 2, 1, units=3, rng=7, init="he")
    fields = [
        float(receptive_field(narrow, samples=1, rng=seed).receptive_field) for seed in range(12)
    ]
    assert min(fields) < max(fields) == 8 == receptive_field(narrow, samples=40).receptive_field


def test_sequences_handed_in():
    """The last step is T; a field that goes on beyond their start is told."""
    system, u = tcn(2, 3, units=16), np.random.default_rng(0).standard_normal((5, 90, 2))
    several, one = (
        receptive_field(system, drive=u, transient=0),
        receptive_field(system, drive=u[0]),
    )
    assert several.receptive_field == one.receptive_field == 8
    _, back = linearise_rule(lambda v: system.run(np.zeros(system.size), v)[0][-1], u[0])
    gradient = (back(np.eye(2)) ** 2).sum((0, 2))[::-1]
    np.testing.assert_allclose(one.share, (gradient / gradient.sum())[:8], atol=1e-12)
    with pytest.raises(ShapeError, match="goes on beyond their start: pass longer sequences"):
        receptive_field(tcn(2, 6), drive=u[:, :60])
    with pytest.raises(ShapeError, match="more steps than the transient of 50"):
        receptive_field(system, drive=u[:, :50], transient=50)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: get("tcn", units=3, inputs=2, kernel=0),
            ValueError,
            "kernel = 0: must be a whole number of at least 1",
        ),
        (lambda: get("tcn", units=3, inputs=2, kernel=2.5), ValueError, "kernel = 2.5"),
        (
            lambda: get("tcn", units=3),
            ValueError,
            "inputs = 0: must be a whole number of at least 1",
        ),
        (lambda: get("tcn", units=3, inputs=2, base=0), ValueError, "base = 0"),
        (lambda: get("tcn", units=3, inputs=2, convolutions=3), ValueError, "a block has 1 or 2"),
        (
            lambda: get("tcn", units=3, inputs=2, init="normal"),
            ValueError,
            "init must be one of he, uniform",
        ),
        (
            lambda: get("tcn", units=3, inputs=2, dilation=2),
            TypeError,
            "no option {'dilation'}: it takes base, convolutions, init, kernel, normed",
        ),
        (
            lambda: Convolution.random(3, 2, dilation=0),
            ValueError,
            "dilation = 0: must be a whole number of at least 1",
        ),
        (lambda: Convolution.random(3, 2, dilation=-1), ValueError, "dilation = -1"),
        (
            lambda: Convolution(np.ones((2, 3))),
            ShapeError,
            r"V must have shape \(outputs, kernel, "
            r"inputs\), got \(2, 3\)",
        ),
        (lambda: Convolution(np.ones((2, 0, 3))), ValueError, "kernel = 0"),
        (
            lambda: Convolution(np.ones((2, 2, 3)), b=np.ones(3)),
            ShapeError,
            r"b has shape \(3,\), a "
            r"Convolution of 2 "
            r"outputs needs \(2,\)",
        ),
        (lambda: Convolution(np.ones((2, 2, 3)), g=1.0), ShapeError, "g has shape"),
        (
            lambda: Convolution(np.full((2, 2, 3), np.nan)),
            NotFiniteError,
            "V of Convolution holds NaN",
        ),
        (
            lambda: Convolution(np.ones((1, 1, 1)) * 1j),
            TypeError,
            "V of Convolution must hold real numbers",
        ),
        (lambda: Convolution(np.zeros((2, 1, 1)), g=np.ones(2)), ValueError, "a row of V is zero"),
        (lambda: ConvolutionBlock(()), TypeError, "one or more Convolutions, got none"),
        (
            lambda: ConvolutionBlock((get("tanh", units=2, inputs=2),)),
            TypeError,
            "one or more Convolutions, got Tanh",
        ),
        (
            lambda: ConvolutionBlock((Convolution.random(3, 2), Convolution.random(2, 2))),
            ShapeError,
            "gives 3 outputs and the next takes 2",
        ),
        (
            lambda: ConvolutionBlock(Convolution.random(3, 2)),
            ShapeError,
            r"pass skip, a Dense of V "
            r"\(3, 2\)",
        ),
        (lambda: Activation(2, "step"), ValueError, "kind must be one of relu, tanh"),
        (lambda: receptive_field(dm.systems.get("henon")), ShapeError, "takes no input"),
        (lambda: receptive_field(tcn(2, 2), lags=0), ValueError, "lags = 0"),
        (lambda: receptive_field(tcn(2, 2), samples=1.5), ValueError, "samples = 1.5"),
        (
            lambda: receptive_field(tcn(2, 2), x0=np.zeros((2, 30))),
            ShapeError,
            "components|one start",
        ),
        (
            lambda: dm.theory.receptive_field(0, 3),
            ValueError,
            "kernel = 0",
        ),
        (
            lambda: dm.theory.receptive_field(2, 40),
            ValueError,
            "pass fewer layers or a smaller base",
        ),
        (
            lambda: dm.theory.receptive_field(2, 400),
            ValueError,
            "pass fewer layers or a smaller base",
        ),
        (
            lambda: dm.theory.receptive_field(2, 3, dilations=[1, 2]),
            ValueError,
            "one for each of the 3 layers",
        ),
        (lambda: dm.theory.receptive_field(2, 3, path_power=-1), ValueError, "path_power = -1"),
        (
            lambda: dm.theory.receptive_field(2, 3, path_power=[1, 2]),
            ValueError,
            "one for each of the 3 layers",
        ),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()


# As a user walks it


def ours(system, u):
    return system.run(np.zeros((len(u), system.size)), u)[0]


def test_training_and_saving(tmp_path):
    """Adam brings the copy of a symbol far below the floor of ln 2; the trained network comes back
    from its file bit by bit."""
    from dynmem.training import checkpoint

    task = dm.tasks.get("copy", delay=6, symbols=2, length=1, scored="recalled")
    start = get("tcn", units=12, inputs=task.inputs, outputs=task.outputs, layers=3, kernel=2)
    trained, history = dm.fit(
        start, task, steps=120, evaluate_every=40, held_out=128, learning_rate=1e-2, progress=False
    )
    assert history.learned and history.held_out_loss[-1] < 0.1 * task.floor
    checkpoint.save(trained, tmp_path / "tcn.pt")
    again, u = (
        checkpoint.load(tmp_path / "tcn.pt"),
        np.random.default_rng(0).standard_normal((2, 9, task.inputs)),
    )
    np.testing.assert_array_equal(ours(again, u), ours(trained, u))
    checkpoint.save(
        Network((Convolution.random(3, 2, normed=False), Activation(3, "gelu"))),
        tmp_path / "plain.pt",
    )
    assert checkpoint.load(tmp_path / "plain.pt").layers[1].kind == "gelu"
