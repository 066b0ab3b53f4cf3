"""Recurrent models against torch.nn with copied weights, their initialisation, and what bad weights
raise."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError, UnknownNameError
from dynmem.models import GRU, LSTM, Linear, Network, Orthogonal, Relu, Tanh, from_torch, get, names
from dynmem.training.trainable import leaves

T, BATCH, INPUTS, UNITS = 20, 3, 2, 5
KINDS = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}


def drive():
    return np.random.default_rng(0).standard_normal((T, BATCH, INPUTS))


def run(system, u):
    """States and outputs of a system over u (T, batch, inputs) from zero."""
    x, states, outputs = np.zeros((u.shape[1], system.size)), [], []
    for each in u:
        x = system.rule(x, each)
        states.append(x)
        outputs.append(system.output(x, each))
    return np.array(states), np.array(outputs)


def torch_run(module, u):
    """Outputs and last hidden state of a torch module in float64, the layers' states one after
    another as in a Network."""
    import torch

    with torch.no_grad():
        y, last = module.double()(torch.tensor(u))
    parts = last if isinstance(last, tuple) else (last,)
    return y.numpy(), np.concatenate(
        [part[layer].numpy() for layer in range(module.num_layers) for part in parts], axis=-1
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_modules_are_torchs(kind, layers, bias):
    import torch

    torch.manual_seed(0)
    name, options = KINDS[kind]
    module = getattr(torch.nn, name)(INPUTS, UNITS, num_layers=layers, bias=bias, **options)
    system, u = from_torch(module), drive()
    states, outputs = run(system, u)
    expected, last = torch_run(module, u)
    np.testing.assert_allclose(outputs, expected, atol=1e-12, rtol=0)
    np.testing.assert_allclose(states[-1], last, atol=1e-12, rtol=0)
    assert system.size == layers * UNITS * (2 if kind == "lstm" else 1)
    assert (system.inputs, system.outputs) == (INPUTS, UNITS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_cells_are_torchs(kind, bias):
    import torch

    torch.manual_seed(1)
    name, options = KINDS[kind]
    cell = getattr(torch.nn, name + "Cell")(INPUTS, UNITS, bias=bias, **options).double()
    system, u, state = from_torch(cell), drive(), None
    states, _ = run(system, u)
    with torch.no_grad():
        for each in torch.tensor(u):
            state = cell(each, state)
    np.testing.assert_allclose(
        states[-1],
        np.concatenate([s.numpy() for s in (state if kind == "lstm" else (state,))], -1),
        atol=1e-12,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_our_random_models_run_in_torch(kind):
    """The other way round: our weights copied into torch's module."""
    import torch

    model = get(kind, units=UNITS, inputs=INPUTS, rng=3, bias_sd=0.5)
    name, options = KINDS[kind]
    module = getattr(torch.nn, name)(INPUTS, UNITS, **options).double()
    recurrent_bias = np.zeros(len(model.b))
    if kind == "gru":
        recurrent_bias[2 * UNITS :] = model.c
    with torch.no_grad():
        for parameter, value in (
            (module.weight_ih_l0, model.V),
            (module.weight_hh_l0, model.W),
            (module.bias_ih_l0, model.b),
            (module.bias_hh_l0, recurrent_bias),
        ):
            parameter.copy_(torch.tensor(value))
    np.testing.assert_allclose(
        run(model, drive())[1], torch_run(module, drive())[0], atol=1e-12, rtol=0
    )


def test_from_torch_copies_in_float64_and_ignores_dropout():
    import torch

    module = torch.nn.LSTM(INPUTS, UNITS, num_layers=2, dropout=0.5, batch_first=True)
    system = from_torch(module)
    before = system.layers[0].W.copy()
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    np.testing.assert_array_equal(system.layers[0].W, before)
    assert before.dtype == np.float64


def test_from_torch_refuses_what_it_cannot_represent():
    import torch

    with pytest.raises(ValueError, match="bidirectional network reads the future"):
        from_torch(torch.nn.GRU(2, 3, bidirectional=True))
    for other in (
        torch.nn.Conv2d(2, 2, 2),
        torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Conv2d(2, 2, 2)),
        np.eye(2),
        torch.nn.LSTM,
    ):
        with pytest.raises(TypeError, match="from_torch takes"):
            from_torch(other)
    broken = torch.nn.RNN(2, 3)
    with torch.no_grad():
        broken.weight_hh_l0[0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="W of Tanh .* holds NaN"):
        from_torch(broken)


def test_from_torch_refuses_a_forward_of_its_own():
    import torch

    class Named(torch.nn.LSTM):
        """No more than another name."""

    class Scaled(torch.nn.LSTM):
        def forward(self, *given):
            return super().forward(*given)

    class Grown(Scaled):
        pass

    class Cell(torch.nn.GRUCell):
        def forward(self, u, h=None):
            return 2 * super().forward(u, h)

    assert from_torch(Named(2, 3)).size == 6
    for module in (Scaled(2, 3), Grown(2, 3), Cell(2, 3)):
        with pytest.raises(
            TypeError, match=f"{type(module).__name__} has a forward of its own.* dm.Map"
        ):
            from_torch(module)
    patched = torch.nn.RNN(2, 3)
    patched.forward = lambda u: u
    with pytest.raises(TypeError, match="forward of its own"):
        from_torch(patched)


def test_leak():
    whole, leaky = (Tanh.random(4, 2, rng=0, leak=leak) for leak in (1.0, 0.3))
    x, u = np.random.default_rng(0).standard_normal(4), np.ones(2)
    np.testing.assert_allclose(leaky.rule(x, u), 0.7 * x + 0.3 * whole.rule(x, u), atol=1e-15)
    assert (leaky.dt, whole.dt) == (0.3, 1.0)
    for bad in (0, -0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"leak = "):
            Tanh(np.eye(2), leak=bad)


@pytest.mark.parametrize("nonlinearity", ["identity", "tanh", "modrelu"])
def test_orthogonal(nonlinearity):
    for units in (1, 2, 7, 100):
        for seed in range(5):
            cell = Orthogonal.random(units, 1, rng=seed, nonlinearity=nonlinearity)
            np.testing.assert_allclose(cell.W @ cell.W.T, np.eye(units), atol=1e-13)
    angles = np.abs(np.angle(np.linalg.eigvals(Orthogonal.random(200, rng=0, angle=0.5).W)))
    assert 0.45 < angles.max() < 0.5 and angles.min() < 0.05


def test_modrelu():
    cell = Orthogonal(np.zeros((3, 3)), b=[0.1, -1.0, -0.1], nonlinearity="modrelu")
    np.testing.assert_allclose(cell.rule(np.array([0.5, 0.5, -0.5]), None), [0.6, 0.0, -0.4])
    with pytest.raises(
        ValueError, match="nonlinearity = 'relu': must be one of 'identity', 'tanh', 'modrelu'"
    ):
        Orthogonal(np.zeros((2, 2)), nonlinearity="relu")
    with pytest.raises(ValueError, match="angle"):
        Orthogonal.random(3, angle=0)


def test_initialisation_statistics():
    units, inputs, rng = 200, 50, 5
    for kind in ("linear", "tanh", "relu", "lstm", "gru"):
        cell = get(kind, units=units, inputs=inputs, rng=rng, gain=1.5, input_gain=0.7, bias_sd=0.3)
        assert cell.W.std() == pytest.approx(1.5 / np.sqrt(units), rel=0.02)
        assert cell.V.std() == pytest.approx(0.7 / np.sqrt(inputs), rel=0.03)
        assert cell.b.std() == pytest.approx(0.3, rel=0.15)
        assert abs(cell.W.mean()) < 5 * 1.5 / units**1.5
        flat = get(kind, units=units, inputs=inputs, rng=rng, init="uniform")
        for weight in (flat.W, flat.V, flat.b):
            assert 0.97 / np.sqrt(units) < np.abs(weight).max() <= 1 / np.sqrt(units)
    W = Tanh.random(50, rng=0, gain=1.2, init="orthogonal").W
    np.testing.assert_allclose(W @ W.T, 1.44 * np.eye(50), atol=1e-13)
    np.testing.assert_array_equal(Relu.random(3, init="identity", gain=0.5).W, 0.5 * np.eye(3))
    assert not Tanh.random(4, 2).b.any()


def test_haar_is_not_numpys_qr():
    """Without the signs of R the eigenvalues of Q lack their uniform angles (Stewart 1980): the
    mean trace is the tell-tale."""
    from dynmem.models.rnn import haar

    traces = [np.trace(haar(4, seed)) for seed in range(2000)]
    assert abs(np.mean(traces)) < 5 / np.sqrt(2000)
    assert np.var(traces) == pytest.approx(1, abs=0.12)


def test_gate_biases():
    """chrono: forget bias ln U(1, T - 1), so that 1 / (1 - f) lies in (2, T) (Tallec and Ollivier
    2018); 1/(1-f) = T at ln(T-1)."""
    lstm, gru = LSTM.random(500, 1, rng=0, chrono=100), GRU.random(500, 1, rng=0, chrono=100)
    for bias in (lstm.b[500:1000], gru.b[500:1000]):
        memory = 1 / (1 - dm.sigmoid(bias))
        assert 2 <= memory.min() < 5 and 95 < memory.max() <= 100
        assert np.exp(bias).mean() == pytest.approx(50, rel=0.08)
    np.testing.assert_array_equal(lstm.b[:500], -lstm.b[500:1000])
    assert not lstm.b[1000:].any()
    assert 1 / (1 - dm.sigmoid(np.log(99.0))) == pytest.approx(100, rel=1e-12)
    forget = LSTM.random(4, 1, forget_bias=2.0, bias_sd=0.1)
    assert (forget.b[4:8] == 2).all() and (forget.b[:4] != 2).all()
    assert (GRU.random(4, update_bias=-1.0).b[4:8] == -1).all()
    for built in (LSTM, GRU):
        with pytest.raises(ValueError, match="chrono = 1: must be a finite number above 2"):
            built.random(3, chrono=1)
        with pytest.raises(ValueError, match="init = 'normal'"):
            built.random(3, init="normal")
    with pytest.raises(ValueError, match="not both"):
        LSTM.random(3, chrono=10, forget_bias=1.0)
    with pytest.raises(ValueError, match="forget_bias = nan"):
        LSTM.random(3, forget_bias=np.nan)


def test_seeds():
    for name in names():
        a, b, other = (
            get(name, units=4, inputs=2, layers=2, outputs=1, rng=seed)
            for seed in (3, np.random.default_rng(3), 4)
        )
        u = np.ones(2)
        np.testing.assert_array_equal(a.rule(a.initial(), u), b.rule(b.initial(), u))
        assert not np.array_equal(a.rule(a.initial(), u), other.rule(other.initial(), u))
        below, above = (
            np.concatenate(
                [np.ravel(v)[-2:] for _, v in leaves(layer) if isinstance(v, np.ndarray)]
            )
            for layer in a.layers[-2:]
        )
        assert not np.array_equal(below, above)


def test_networks():
    net = get("lstm", units=3, inputs=2, layers=2, outputs=4, rng=0)
    assert (net.size, net.inputs, net.outputs, len(net.states)) == (12, 2, 4, 12)
    assert net.states[:4] == ("h0_1", "h1_1", "h2_1", "c0_1") and net.states[-1] == "c2_2"
    x, u = np.random.default_rng(0).standard_normal((5, 12)), np.ones((5, 2))
    first = net.layers[0].rule(x[:, :6], u)
    second = net.layers[1].rule(x[:, 6:], first[:, :3])
    np.testing.assert_array_equal(net.rule(x, u), np.concatenate([first, second], -1))
    np.testing.assert_allclose(net.output(net.rule(x, u), u), second[:, :3] @ net.R.T + net.a)
    assert np.abs(net.R).max() <= 1 / np.sqrt(3)
    assert Network(Tanh.random(3)).size == Network([Tanh.random(3)]).size == 3
    assert net.rule(x, None).shape == x.shape


def test_networks_refuse():
    with pytest.raises(ShapeError, match="has 3 outputs and the next 2 inputs"):
        Network((Tanh.random(3), Tanh.random(3, 2)))
    with pytest.raises(ShapeError, match="readout"):
        Network((Tanh.random(3),), np.ones((2, 4)))
    with pytest.raises(ShapeError, match="readout"):
        Network((Tanh.random(3),), np.ones((2, 3)), np.ones(3))
    with pytest.raises(NotFiniteError, match="readout"):
        Network((Tanh.random(3),), np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="at least one layer"):
        Network(())
    with pytest.raises(TypeError, match="expected a dynmem Map"):
        Network((np.eye(2),))
    with pytest.raises(ValueError, match="pass the same leak or dt"):
        Network((Tanh.random(3, leak=0.5), Tanh.random(3, 3)))


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: Tanh(np.ones((3, 4))),
            ShapeError,
            r"W of Tanh with 4 units and 0 inputs has shape \(3, 4\), expected \(4, 4\)",
        ),
        (lambda: Tanh(np.ones(3)), ShapeError, "W of Tanh must be a matrix"),
        (
            lambda: Tanh(np.eye(3), b=np.ones(2)),
            ShapeError,
            r"b of Tanh .* has shape \(2,\), expected \(3,\)",
        ),
        (lambda: Tanh(np.eye(3), np.ones((2, 1))), ShapeError, "V of Tanh .* has shape"),
        (lambda: Tanh(np.eye(3), np.ones(3)), ShapeError, "V of Tanh .* has shape"),
        (lambda: LSTM(np.ones((6, 2))), ShapeError, r"expected \(8, 2\)"),
        (lambda: GRU(np.ones((6, 2)), c=np.ones(3)), ShapeError, r"c of GRU .* has shape \(3,\)"),
        (
            lambda: Tanh(np.full((2, 2), np.nan)),
            NotFiniteError,
            "W of Tanh .* holds NaN or infinity",
        ),
        (lambda: GRU(np.ones((6, 2)), b=[np.inf] * 6), NotFiniteError, "b of GRU"),
        (lambda: Tanh(np.zeros((0, 0))), ValueError, "units = 0"),
        (lambda: Tanh(None), TypeError, "W of Tanh .* must hold real numbers, got None"),
        (lambda: GRU([[1j], [0], [0]]), TypeError, "W of GRU .* must hold real numbers"),
        (lambda: Tanh(np.eye(2), [["a"], ["b"]]), TypeError, "V of Tanh must hold real numbers"),
        (lambda: get("tanh", units=np.inf), ValueError, "units = inf"),
        (lambda: get("tanh", units="3"), ValueError, "units = '3'"),
        (
            lambda: get("lstm", units=0),
            ValueError,
            "units = 0: must be a whole number of at least 1",
        ),
        (lambda: get("tanh", units=2.5), ValueError, "units = 2.5"),
        (lambda: get("tanh", units=-3), ValueError, "units = -3"),
        (lambda: get("tanh", units=3, inputs=-1), ValueError, "inputs = -1"),
        (lambda: get("tanh", units=3, layers=0), ValueError, "layers = 0"),
        (lambda: get("tanh", units=3, outputs=0), ValueError, "outputs = 0"),
        (
            lambda: get("tanh", units=None),
            ValueError,
            "units = None: must be a whole number of at least 1",
        ),
        (lambda: get("tanh", units=[3]), ValueError, "units = .3.: must be a whole number"),
        (lambda: get("tanh", units=3, inputs="a"), ValueError, "inputs = 'a'"),
        (lambda: get("tanh", units=4, gain="a"), ValueError, "gain = 'a'"),
        (
            lambda: get("lstm", units=4, gain=None),
            ValueError,
            "gain = None",
        ),
        (lambda: get("tanh", units=4, gain=np.eye(4)), ValueError, "gain = array"),
        (lambda: get("tanh", units=4, input_gain=1j), ValueError, "input_gain = 1j"),
        (lambda: get("tanh", units=4, leak="a"), ValueError, "leak = 'a'"),
        (lambda: get("lstm", units=4, forget_bias="a"), ValueError, "forget_bias = 'a'"),
        (lambda: get("gru", units=4, chrono="a"), ValueError, "chrono = 'a'"),
        (lambda: get("orthogonal", units=4, angle="a"), ValueError, "angle = 'a'"),
        (
            lambda: get("tanh", units=3, gain=-1),
            ValueError,
            "gain = -1: must be a finite number of at least 0",
        ),
        (lambda: get("gru", units=3, gain=np.nan), ValueError, "gain = nan"),
        (lambda: get("lstm", units=3, bias_sd=np.inf), ValueError, "bias_sd = inf"),
        (lambda: get("linear", units=3, init="normal"), ValueError, "init = 'normal'"),
        (
            lambda: get("rmm", units=3),
            UnknownNameError,
            "no model is called 'rmm': such as .*`dynmem list models`",
        ),
        (lambda: get("LSTM", units=3), UnknownNameError, r"did you mean lstm\?"),
        (lambda: get(["lstm"], units=3), UnknownNameError, "no model is called"),
        (
            lambda: dm.models.from_torch(get("gru", units=3)),
            TypeError,
            "GRU is a dynmem system already",
        ),
        (lambda: dm.FlowMap(get("gru", units=3)), TypeError, "GRU is a Map and a Flow is needed"),
        (
            lambda: get("tanh", units=3, forget_bias=1.0),
            TypeError,
            "tanh takes no option 'forget_bias': it takes bias_sd, gain",
        ),
        (
            lambda: get("orthogonal", units=3, gain=2.0),
            TypeError,
            "orthogonal takes no option 'gain'",
        ),
        (
            lambda: get("gru", units=3, inputs=3, placement="sandwich"),
            ValueError,
            "placement = 'sandwich'",
        ),
        (
            lambda: get("gru", units=3, inputs=3, norm="batch"),
            ValueError,
            "norm = 'batch'",
        ),
        (
            lambda: get("gru", units=3, inputs=3, placement="none", norm="batch"),
            ValueError,
            "norm = 'batch'",
        ),
        (
            lambda: get("gru", units=3, inputs=3, placement="pre", activation="swish"),
            ValueError,
            "activation = 'swish'",
        ),
        (
            lambda: get("gru", units=3, inputs=3, feedforward=4),
            ValueError,
            "feedforward = 4: requires residual blocks, pass placement",
        ),
        (
            lambda: get("gru", units=3, inputs=3, placement="pre", feedforward=-1),
            ValueError,
            "feedforward = -1",
        ),
        (
            lambda: get("tcn", units=8, inputs=8, layers=40),
            MemoryError,
            "the state of tcn has .* GiB: pass fewer layers, or a smaller window, kernel",
        ),
        (
            lambda: get("attention", units=8, inputs=8, window=10**9),
            MemoryError,
            "the state of attention has 17000000000 components, 127 GiB",
        ),
        (
            lambda: get("gru", units=10**8, inputs=3),
            MemoryError,
            "gru of 100000000 units and 1 layers does not fit into memory .*: pass smaller sizes",
        ),
    ],
)
def test_bad_models(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_gain_that_overflows_is_reported():
    from dynmem.orbits import trajectory

    with pytest.raises(NotFiniteError, match="state not finite at step"):
        trajectory(Linear.random(4, rng=0, gain=1e30), np.ones(4), 100)


def test_wrong_inputs_are_refused():
    with pytest.raises(ShapeError, match="takes 2: pass shape"):
        dm.jacobian(LSTM.random(3, 2), np.zeros(6), np.zeros(3))
    with pytest.raises(ShapeError, match="6 states"):
        dm.jacobian(LSTM.random(3, 2), np.zeros(3), np.zeros(2))
