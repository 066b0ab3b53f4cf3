"""A user's own torch modules, converted and held to torch in float64; or refused, with the part
that stood in the way and what to pass instead."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import dynmem as dm
from dynmem.models import from_torch
from dynmem.models.attention import rotated

STEPS = 13


class Net(nn.Module):
    """The usual: recurrent layers and a readout."""

    def __init__(self, kind=nn.LSTM, hidden=6, read=None, **options):
        super().__init__()
        self.rnn = kind(3, hidden, batch_first=True, **options)
        self.head = nn.Linear(read or hidden, 2)

    def forward(self, u):
        return self.head(self.rnn(u)[0])


class Encoded(nn.Module):
    """Encoder, recurrent layers, norms, functions between them, dropout, readout."""

    def __init__(self):
        super().__init__()
        self.encoder, self.drop = nn.Linear(3, 5), nn.Dropout(0.3)
        self.first, self.norm = nn.GRU(5, 4, batch_first=True), nn.LayerNorm(4, eps=1e-6)
        self.second = nn.RNN(4, 6, nonlinearity="relu", batch_first=True)
        self.root, self.act, self.head = nn.RMSNorm(6, eps=1e-4), nn.SiLU(), nn.Linear(6, 2)

    def forward(self, u):
        h = self.first(self.drop(functional.gelu(self.encoder(u), approximate="tanh")))[0]
        return self.head(self.act(self.root(self.second(torch.tanh(self.norm(h)))[0])))


class Tokens(nn.Module):
    """Symbols through an embedding, and a recurrence that takes time first."""

    def __init__(self):
        super().__init__()
        self.embedding, self.gru, self.head = nn.Embedding(7, 4), nn.GRU(4, 5), nn.Linear(5, 7)

    def forward(self, tokens):
        return self.head(self.gru(self.embedding(tokens).transpose(0, 1))[0].transpose(0, 1))


class Last(Net):
    def forward(self, u):
        return self.head(self.rnn(u)[0][:, -1])


class Hidden(Net):
    def forward(self, u):
        return self.head(torch.relu(self.rnn(u)[1][0][-1]))


class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 4, num_layers=2), nn.Linear(4, 2)

    def forward(self, u):
        return self.head(self.rnn(u)[0])


class Causal(nn.Module):
    """Convolutions over features that come last, padded by a function."""

    def __init__(self):
        super().__init__()
        self.conv, self.deep = nn.Conv1d(3, 4, 3, dilation=2), nn.Conv1d(4, 5, 2)
        self.head = nn.Linear(5, 2)

    def forward(self, u):
        h = functional.relu(self.conv(functional.pad(u.transpose(1, 2), (4, 0))))
        return self.head(torch.tanh(self.deep(functional.pad(h, (1, 0)))).transpose(1, 2))


class Masked(nn.Module):
    """Attention with its causal mask, and a readout."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 8, activation=functional.silu, batch_first=True)
        self.embed = nn.Linear(3, 4)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(4, 2)

    def forward(self, u):
        mask = nn.Transformer.generate_square_subsequent_mask(u.shape[1], dtype=u.dtype)
        return self.head(self.encoder(self.embed(u), mask=mask))


class Deep(nn.Module):
    """A module of modules."""

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleDict({"net": Net(read=6), "more": nn.Sequential(nn.ReLU())})
        self.tail = nn.Sequential(nn.Linear(2, 4), nn.ELU(), nn.Linear(4, 2))

    def forward(self, u):
        return self.tail(self.body["more"](self.body["net"](u)))


CONVERTED = {
    "lstm + linear": Net,
    "gru, two layers": lambda: Net(nn.GRU, num_layers=2),
    "projected lstm": lambda: Net(proj_size=4, read=4, num_layers=2),
    "encoded": Encoded,
    "tokens": Tokens,
    "last step": Last,
    "hidden state": Hidden,
    "time first": TimeFirst,
    "convolutions": Causal,
    "attention": Masked,
    "deep": Deep,
    "in sequence": lambda: nn.Sequential(nn.Linear(3, 3), nn.GELU("tanh"), Net()),
    "parallel": lambda: nn.DataParallel(Net()),
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(Net()),
}


def inputs_of(module, steps=STEPS):
    torch.manual_seed(1)
    if isinstance(module, Tokens):
        return torch.randint(7, (4, steps))
    return torch.randn(4, steps, 3, dtype=torch.float64)


def outputs_of(module, u):
    """What torch gives, (batch, time, outputs)."""
    with torch.no_grad():
        time_first = isinstance(module, TimeFirst)
        y = module.double().eval()(u.transpose(0, 1) if time_first else u)
    y = y[:, None] if y.ndim == 2 else y
    return (y.transpose(0, 1) if time_first else y).numpy()


@pytest.mark.parametrize("name", CONVERTED)
def test_modules_that_call_layers_one_after_another(name):
    torch.manual_seed(0)
    module = CONVERTED[name]()
    system = from_torch(module, window=STEPS if name == "attention" else None)
    u = inputs_of(module)
    rows = np.eye(7)[u] if name == "tokens" else u.numpy()
    ours, torchs = system.run(np.zeros((4, system.size)), rows)[0], outputs_of(module, u)
    np.testing.assert_allclose(ours[:, -torchs.shape[1] :], torchs, atol=1e-12)
    assert all(p.dtype == torch.float32 for p in CONVERTED[name]().parameters())


def test_the_module_is_left_as_it_was():
    module = Net()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    from_torch(module)
    assert module.training and torch.get_default_dtype() == torch.float32
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert not module.rnn._forward_hooks and all(p.requires_grad for p in module.parameters())


class OptimizedModule(nn.Module):
    """What torch.compile makes, of the same name and with the module in the same place."""

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module


def test_wrappers_of_wrappers_are_unwrapped():
    lstm = nn.LSTM(2, 3)
    wrapped = OptimizedModule(nn.DataParallel(OptimizedModule(lstm)))
    np.testing.assert_array_equal(from_torch(wrapped).W, from_torch(lstm).W)


@pytest.mark.slow  # torch.compile loads its compiler, 5 s
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_modules_are_unwrapped():
    lstm = nn.LSTM(2, 3)
    compiled = torch.compile(lstm)
    assert compiled._orig_mod is lstm
    np.testing.assert_array_equal(from_torch(compiled).W, from_torch(lstm).W)


class Mean(Net):
    def forward(self, u):
        return self.head(self.rnn(u)[0].mean(1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, u):
        return self.two(u + self.one(u))


class Scaled(Net):
    def forward(self, u):
        return 1.0001 * super().forward(u)


class LearntStart(Net):
    def __init__(self):
        super().__init__(nn.GRU)
        self.start = nn.Parameter(torch.ones(1, 1, 6))

    def forward(self, u):
        return self.head(self.rnn(u, self.start.expand(1, len(u), 6).contiguous())[0])


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(3, 4), nn.Linear(4, 2)

    def forward(self, u):
        h, out = u.new_zeros(len(u), 4), []
        for step in u.unbind(1):
            h = self.cell(step, h)
            out.append(self.head(h))
        return torch.stack(out, 1)


class Noisy(Net):
    def forward(self, u):
        return super().forward(u + 0.1 * torch.randn_like(u))


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, u):
        return self.norm(self.fc(u).transpose(1, 2)).transpose(1, 2)


class Cast(Net):
    """Computes in float32 in between, as Llama- and Mamba-like modules do."""

    def forward(self, u):
        return self.head(self.rnn(u)[0].to(torch.float32).to(u.dtype))


REFUSED = {
    "pooling": (Mean, TypeError, r"the input of net.head \(Linear\) is not the output of net.rnn"),
    "residual": (Residual, TypeError, "Pass a part, net.one of net = Residual"),
    "scaled": (Scaled, TypeError, "its output is not the output of net.head.*Pass a part, net.rnn"),
    "start": (LearntStart, TypeError, "its output is not that of its layers.*net.rnn"),
    "loop": (Loop, TypeError, r"calls net.cell \(GRUCell\) several times.*net.cell"),
    "noise": (Noisy, TypeError, "the input of net.rnn .* is not its input"),
    "batch norm": (Norms, TypeError, "net.norm is none of these layers"),
    "cast": (Cast, TypeError, "dm.gradient_profile, which takes any module"),
    "bidirectional": (lambda: Net(bidirectional=True, read=12), ValueError, "reads the future"),
    "unmasked": (lambda: nn.Transformer(4, 1, 1, 1), TypeError, "from_torch takes nn.RNN"),
    "state dict": (lambda: Net().state_dict(), TypeError, r"module.load_state_dict\(state_dict\)"),
    "file": (lambda: "net.pt", TypeError, r"'net.pt' is no module: .*torch.load\(path, weights"),
    "path": (lambda: Path("net.pt"), TypeError, "and pass the module"),
    "class": (lambda: Net, TypeError, "got the class Net: pass an instance"),
    "pair": (lambda: nn.Sequential(nn.LSTM(2, 4), nn.Linear(4, 4)), ValueError, r"from_torch\(net"),
    "window": (Masked, ValueError, "pass window="),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_part_and_the_way_out(name):
    make, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        from_torch(make())


def doubled(module, *_):
    return 2 * _[-1] if isinstance(_[-1], torch.Tensor) else (2 * _[-1][0], _[-1][1])


def test_hooks_that_change_an_output_are_refused_and_those_that_record_are_not():
    for make, part in (
        (lambda: nn.Linear(3, 3), lambda m: m),
        (lambda: nn.LSTM(3, 3), lambda m: m),
        (lambda: nn.GRUCell(3, 3), lambda m: m),
        (lambda: nn.Embedding(3, 3), lambda m: m),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), lambda m: m[1]),
        (lambda: nn.Conv1d(3, 3, 2), lambda m: m),
    ):
        module, seen = make(), []
        part(module).register_forward_hook(lambda *a, seen=seen: seen.append(a[-1]))
        assert from_torch(module) is not None and seen
        part(module).register_forward_hook(doubled)
        with pytest.raises(TypeError, match="a forward hook .* changes what"):
            from_torch(module)
    net = Net()
    net.rnn.register_forward_hook(doubled)
    with pytest.raises(TypeError, match="its output is not that of its layers"):
        from_torch(net)
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    layer.linear1.register_forward_hook(lambda *a: None)
    assert from_torch(layer, window=4).size
    layer.linear1.register_forward_hook(doubled)
    with pytest.raises(TypeError, match=r"\(net.linear1\) changes"):
        from_torch(layer, window=4)


def test_norms_of_every_eps():
    """nn.RMSNorm without eps adds the rounding of its dtype; small inputs show it."""
    u = torch.tensor(1e-3 * np.random.default_rng(0).standard_normal((5, 8)))
    for norm in (nn.RMSNorm(8), nn.RMSNorm(8, eps=1e-3), nn.LayerNorm(8, eps=1e-6)):
        expected = norm(u.float()).detach().numpy()
        np.testing.assert_allclose(from_torch(norm).output(None, u.numpy()), expected, atol=2e-6)
    double = nn.RMSNorm(8, dtype=torch.float64)
    np.testing.assert_allclose(
        from_torch(double).output(None, u.numpy()), double(u).detach().numpy(), rtol=1e-12
    )


def test_projected_lstm_is_torchs():
    torch.manual_seed(0)
    module = nn.LSTM(3, 5, num_layers=2, proj_size=2, batch_first=True).double()
    system, u = from_torch(module), inputs_of(module)
    with torch.no_grad():
        expected, (h, c) = module(u)
    found, last = system.run(np.zeros((4, system.size)), u.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-13)
    np.testing.assert_allclose(last, torch.cat([h[0], c[0], h[1], c[1]], -1), atol=1e-13)
    drawn = dm.models.ProjectedLSTM.random(5, 3, projection=2)
    assert (drawn.size, drawn.inputs, drawn.outputs, len(drawn.states)) == (7, 3, 2, 7)


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_fewer_key_heads_and_another_rotary_base(key_heads):
    """Against torch's grouped attention, and rotary angles written out."""
    base, rng, steps = 500.0, np.random.default_rng(0), 9
    layer = dm.models.Attention.random(
        8, 8, heads=4, key_heads=key_heads, window=steps, positions="rotary", base=base, rng=1
    )
    u = rng.standard_normal((steps, 8))
    q, k, v = (
        torch.tensor((u @ W.T).reshape(steps, -1, 2).swapaxes(0, 1))
        for W in (layer.Wq, layer.Wk, layer.Wv)
    )
    angle = torch.arange(steps, dtype=torch.float64)  # a head has one pair, of angle base^0 t
    turn = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), -1).view(-1, 2, 2)
    q, k = (torch.einsum("tij,htj->hti", turn, each) for each in (q, k))
    mixed = functional.scaled_dot_product_attention(
        q[None], k[None], v[None], is_causal=True, enable_gqa=True
    )[0]
    expected = mixed.transpose(0, 1).reshape(steps, 8).numpy() @ layer.Wo.T
    for method in (layer.run, layer.unroll):
        np.testing.assert_allclose(method(layer.initial(), u)[0], expected, atol=1e-13)
    four = dm.models.Attention.random(4, 4, window=3, positions="rotary", base=base)
    angles = base ** (-np.array([0.0, 0.5]))
    turned = rotated(np.array([[1.0, 0.0, 1.0, 0.0]]), np.array([1.0]), four.base)
    np.testing.assert_allclose(turned[0], [*np.cos(angles), *np.sin(angles)])
    with pytest.raises(ValueError, match="key_heads = 3: must divide 4 heads"):
        dm.models.Attention.random(8, 8, heads=4, key_heads=3)


def test_symbols_as_integers():
    """Integers, and the one-hot rows that they stand for."""
    torch.manual_seed(0)
    system, tokens = from_torch(Tokens()), np.random.default_rng(0).integers(7, size=16)
    options = {"lags": 5, "transient": 10}
    found = dm.gradient_norms(system, drive=tokens, **options)
    expected = dm.gradient_norms(system, drive=np.eye(7)[tokens], **options)
    np.testing.assert_array_equal(found.log_input_gradient, expected.log_input_gradient)
    with pytest.raises(ValueError, match="the symbol 9: Network has the symbols 0 to 6"):
        dm.gradient_norms(system, drive=np.full(16, 9), **options)


def test_every_analysis_takes_a_module():
    torch.manual_seed(0)
    module = nn.GRU(2, 3)
    system, u = from_torch(module), np.random.default_rng(0).standard_normal((60, 2))
    for call in (
        lambda s: dm.lyapunov_spectrum(s, drive=u, duration=50, transient=10).lyapunov,
        lambda s: dm.gradient_norms(s, drive=u[:11], lags=5, transient=5).log_input_gradient,
        lambda s: dm.jacobian(s, np.zeros(3), u[0]),
        lambda s: dm.orbit(s, np.zeros(3), drive=u[:9], duration=9).to_array(),
    ):
        np.testing.assert_array_equal(call(module), call(system))
        np.testing.assert_array_equal(call(dm.Trainable(system, "float64")), call(system))


def test_run_reads_tensors():
    torch.manual_seed(0)
    module = nn.LSTM(2, 3, batch_first=True).double()
    system, u = from_torch(module), torch.randn(4, 9, 2, dtype=torch.float64)
    found = system.run(torch.zeros(4, 6, dtype=torch.float64), u)[0]
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found, module(u)[0].detach(), atol=1e-13)
    for x, inputs in ((np.zeros((4, 6)), u), (torch.zeros(4, 6), u.numpy())):
        np.testing.assert_allclose(system.run(x, inputs)[0], found, atol=1e-14)
    traced, plain = u.clone().requires_grad_(), u.clone().requires_grad_()
    system.run(None, traced)[0].sum().backward()
    module(plain)[0].sum().backward()
    np.testing.assert_allclose(traced.grad, plain.grad, atol=1e-13)
    x = torch.ones(6)
    np.testing.assert_array_equal(
        dm.jacobian(system, x, u[0, 0]), dm.jacobian(system, x.numpy(), u[0, 0].numpy())
    )


def test_softplus_and_elu_have_the_slope_of_torch_at_zero():
    for name in ("softplus", "elu", "leaky_relu", "silu", "gelu_tanh"):
        z = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        function = getattr(functional, name.removesuffix("_tanh"))
        y = function(z, approximate="tanh") if name == "gelu_tanh" else function(z)
        (slope,) = torch.autograd.grad(y.sum(), z)
        layer = dm.models.Activation(1, name)
        J = dm.jacobian(layer, np.zeros(0), [0.0], wrt="input", of="output")
        (again,) = torch.autograd.grad(layer.output(None, z).sum(), z)
        assert J.item() == again.item() == pytest.approx(slope.item(), abs=1e-15)
