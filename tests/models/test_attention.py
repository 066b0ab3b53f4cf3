"""Attention and the hybrid against direct loops and torch, positions against their papers, whole
sequences against steps, and bad input."""

from dataclasses import replace

import numpy as np
import pytest

import dynmem as dm
from dynmem.autodiff.jacobian import as_tensor
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import Attention, Block, Hybrid, Network, from_torch, get
from dynmem.models.attention import POSITIONS, alibi_slopes, rotated
from dynmem.system import map_arrays
from dynmem.training import Trainable

N, HEADS = 6, 3


def build(positions="none", window=40, heads=HEADS, **options):
    """Attention with biases and, where it has one, a table of positions of size one."""
    rng = np.random.default_rng(3)
    built = Attention.random(
        N, N, rng=rng, heads=heads, window=window, positions=positions, sharpness=1.5, **options
    )
    table = {} if built.P is None else {"P": rng.standard_normal(built.P.shape)}
    return replace(
        built, **{name: rng.standard_normal(N) for name in ("bq", "bk", "bv", "bo")}, **table
    )


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal((*shape, N))


def by_loops(attention, u):
    """Outputs (T, N) of attention without a cache, head by head and pair by pair, as the papers
    write it; rotary as complex numbers."""
    if attention.positions == "absolute":
        u = u + attention.P[: len(u)]
    q, k, v = (u @ getattr(attention, f"W{c}").T + getattr(attention, f"b{c}") for c in "qkv")
    d, out = N // attention.heads, np.zeros_like(u)
    for head in range(attention.heads):
        part = slice(head * d, (head + 1) * d)
        for t in range(len(u)):
            past = range(max(0, t - attention.window + 1), t + 1)
            scores = np.array([score(attention, q[t, part], k[j, part], t, j, head) for j in past])
            alpha = np.exp(scores - scores.max())
            out[t, part] = (alpha / alpha.sum()) @ v[list(past), part]
    return out @ attention.Wo.T + attention.bo


def score(attention, q, k, t, j, head):
    d = len(q)
    # Su et al. (2021), eq. 12: Re of q e^(i m theta) times the conjugate of k e^(i n theta)
    if attention.positions == "rotary":
        theta = 10000.0 ** (-2 * np.arange(d // 2) / d)
        q, k = (z[0::2] + 1j * z[1::2] for z in (q, k))
        return (
            q * np.exp(1j * t * theta) * np.conj(k * np.exp(1j * j * theta))
        ).sum().real / np.sqrt(d)
    bias = {
        "alibi": -alibi_slopes(attention.heads)[head] * (t - j),
        "learned": attention.P[head, t - j] if attention.positions == "learned" else 0,
    }
    return q @ k / np.sqrt(d) + bias.get(attention.positions, 0.0)


@pytest.mark.parametrize("window", [1, 4, 40])
@pytest.mark.parametrize("positions", POSITIONS)
def test_attention_is_what_the_papers_write(positions, window):
    attention = build(positions, window)
    u = noise(
        1 if positions == "absolute" and window == 1 else 4 if positions == "absolute" else 25
    )
    np.testing.assert_allclose(
        attention.run(attention.initial(), u)[0], by_loops(attention, u), atol=1e-12
    )


@pytest.mark.parametrize("window", [1, 4, 150])
@pytest.mark.parametrize("positions", POSITIONS)
def test_whole_sequences_are_steps_on_numpy_and_torch(positions, window):
    attention = build(positions, window)
    u = noise(2, 3, window if positions == "absolute" else 300)
    rest = np.zeros((2, 3, attention.size))
    expected, last = attention.unroll(rest, u)
    cut = u.shape[-2] // 3
    first, middle = attention.run(rest, u[..., :cut, :]) if cut else (u[..., :0, :], rest)
    second, end = attention.run(middle, u[..., cut:, :])
    twin = map_arrays(attention, as_tensor)
    for found, state in (
        attention.run(rest, u),
        (np.concatenate([first, second], -2), end),
        twin.run(as_tensor(rest), as_tensor(u)),
        twin.run(as_tensor(middle), as_tensor(u[..., cut:, :])),
    ):
        np.testing.assert_allclose(found, expected[..., -found.shape[-2] :, :], atol=1e-12)
        np.testing.assert_allclose(state, last, atol=1e-12)


@pytest.mark.parametrize("positions", POSITIONS)
def test_gradients_of_torchs_kernel_are_those_of_the_rule(positions):
    """Both from rest, where causality alone masks, and from a cache, where a mask does."""
    import torch

    attention, u = build(positions, 9), as_tensor(noise(2, 4))
    found = []
    for fused in (True, False):
        module = Trainable(attention, torch.float64, fused=fused)
        first, state = module.run(None, u)
        second, _ = module.run(state, u)
        (first.square().sum() + second.sin().sum()).backward()
        found.append([p.grad.numpy() for p in module.parameters()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_an_empty_slot_weighs_exactly_nothing():
    attention = build(window=5)
    _, cache = attention.run(attention.initial(), noise(3))
    weights = attention.weights(cache, noise(3)[-1])
    assert (weights[:, :2] == 0).all() and (weights[:, 2:] > 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-15)
    spoilt = cache.reshape(5, -1).copy()
    spoilt[:2, :-1] = 1e3  # whatever an empty slot holds
    np.testing.assert_array_equal(
        attention.output(spoilt.ravel(), noise(3)[-1]), attention.output(cache, noise(3)[-1])
    )


def test_scores_of_any_size_stay_finite():
    attention = build()
    for size in (1e3, 1e6):
        y, _ = attention.run(attention.initial(), size * noise(10))
        assert np.isfinite(y).all()


def test_the_cache_is_nilpotent_and_nothing_reaches_beyond_the_window():
    """A shift register: the product of ``window`` Jacobians is 0, and d y_t / d u_(t-lag) is
    exactly 0 from lag = window on."""
    attention = build(window=4)
    gradients = dm.gradient_norms(attention, drive=1.0, lags=7, rng=0)
    assert (gradients.input_gradient[:4] > 0).all() and (gradients.input_gradient[4:] == 0).all()
    assert (gradients.state_gradient[4:] == 0).all()
    assert (
        dm.lyapunov_spectrum(attention, duration=50, transient=10, exponents=3, drive=1.0).lyapunov
        == -np.inf
    ).all()


def test_rotary_scores_know_the_lag_alone():
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 1, 8))
    scores = [
        (rotated(q, np.array([m])) * rotated(k, np.array([m - 3]))).sum() for m in (3, 10, 500)
    ]
    np.testing.assert_allclose(scores, scores[0], atol=1e-12)
    np.testing.assert_allclose(
        np.linalg.norm(rotated(q, np.array([77]))), np.linalg.norm(q), atol=1e-14
    )


def test_alibi_slopes_are_the_published_ones():
    """Press, Smith and Lewis (2022), section 3: 8 heads 1/2 .. 1/2^8, 16 heads 1/2^0.5, 1/2 ..;
    their code for 12 heads."""
    np.testing.assert_allclose(alibi_slopes(8), 0.5 ** np.arange(1, 9), rtol=1e-15)
    np.testing.assert_allclose(alibi_slopes(16), 0.5 ** (np.arange(1, 17) / 2), rtol=1e-15)
    np.testing.assert_allclose(alibi_slopes(12), [*alibi_slopes(8), *alibi_slopes(16)[0::2][:4]])


def test_d_out_d_value_is_the_weight_times_the_identity():
    """Path length 1 (Vaswani et al. 2017, table 1): with Wo the identity, d out / d v_j = alpha_j I
    for one head."""
    attention = replace(build(window=5, heads=1), Wo=np.eye(N))
    u = noise(5)
    _, cache = attention.run(attention.initial(), u)
    by_state = dm.jacobian(attention, cache, u[-1], of="output").reshape(N, 5, attention.slot)
    alpha = attention.weights(cache, u[-1])[0]
    for slot in range(5):
        np.testing.assert_allclose(
            by_state[:, slot, N : 2 * N], alpha[slot] * np.eye(N), atol=1e-12
        )


def test_deepnorm_scales_values_and_output():
    plain = get("attention", units=64, inputs=2, layers=3, rng=0, placement="post")
    deep = get("attention", units=64, inputs=2, layers=3, rng=0, placement="deepnorm")
    # beta = (8 layers)^(-1/4), Wang et al. (2022)
    for name, scale in (("Wq", 1.0), ("Wk", 1.0), ("Wv", 24**-0.25), ("Wo", 24**-0.25)):
        np.testing.assert_allclose(
            getattr(deep.layers[1].mixer, name),
            scale * getattr(plain.layers[1].mixer, name),
            rtol=1e-12,
        )
    assert deep.layers[1].alpha == 6**0.25 and isinstance(deep.layers[0], dm.models.Dense)
    np.testing.assert_array_equal(
        get("attention", units=4, inputs=4, rng=0, placement="deepnorm", gain=1.0)
        .layers[1]
        .mixer.Wv.std()
        > 0.3,
        True,
    )


def test_a_frame_beyond_memory_is_refused():
    """All 66,048 exponents of a cache of 512 slots would need 32 GiB at the least."""
    with pytest.raises(
        MemoryError,
        match="a frame of 66048 directions of 66048 states takes 33 GiB: pass exponents=k, such "
        "as 10",
    ):
        dm.lyapunov_spectrum(
            get("attention", units=64, inputs=64, window=512), duration=10, transient=2, drive=1.0
        )


def test_a_network_of_attention_learns():
    """The first of six numbers, asked for at the last: attention reads it from its cache within 80
    steps."""
    import torch

    torch.manual_seed(0)
    module = Trainable(
        get(
            "attention",
            units=8,
            inputs=2,
            outputs=1,
            rng=0,
            placement="pre",
            feedforward=16,
            heads=2,
            window=6,
            positions="learned",
        )
    )
    u = torch.randn(64, 6, 2)
    optimiser, losses = torch.optim.Adam(module.parameters(), 1e-2), []
    for _ in range(80):
        loss = (module(u)[:, -1, 0] - u[:, 0, 0]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    trained = module.frozen()
    np.testing.assert_allclose(
        trained.run(np.zeros((64, trained.size)), u.numpy())[0], module(u).detach(), atol=1e-4
    )


def hybrid_by_lists(cell, u):
    """Kerg et al. (2020) with lists that grow: the window, and of what left it the ``kept`` largest
    sums of weights."""
    s, window, kept, outputs = np.zeros(cell.units), [], [], []
    for step in u:
        h = np.tanh(cell.W @ s + cell.V @ step + cell.b)
        window.append([h, 0.0])
        if len(window) > cell.window:
            kept = sorted([*kept, window.pop(0)], key=lambda pair: -pair[1])[: cell.kept]
        held = [*window, *kept]
        e = np.array([cell.a @ np.tanh(cell.Q @ s + cell.K @ past) for past, _ in held])
        alpha = np.exp(e - e.max()) / np.exp(e - e.max()).sum()
        for pair, weight in zip(window, alpha[: len(window)], strict=True):
            pair[1] += weight
        s = h + sum(weight * past for weight, (past, _) in zip(alpha, held, strict=True))
        outputs.append(s)
    return np.array(outputs)


@pytest.mark.parametrize("window, kept", [(1, 0), (3, 0), (3, 2), (1, 4), (60, 2)])
def test_the_hybrid_is_the_algorithm_of_the_paper(window, kept):
    cell = Hybrid.random(4, 2, rng=1, window=window, kept=kept, sharpness=3.0, bias_sd=0.3)
    u = np.random.default_rng(2).standard_normal((50, 2))
    rest = np.zeros(cell.size)
    found, last = cell.run(rest, u)
    np.testing.assert_allclose(found, hybrid_by_lists(cell, u), atol=1e-12)
    np.testing.assert_allclose(cell.run(cell.run(rest, u[:20])[1], u[20:])[1], last, atol=1e-13)
    np.testing.assert_allclose(
        map_arrays(cell, as_tensor).run(as_tensor(rest), as_tensor(u))[0], found, atol=1e-12
    )
    np.testing.assert_allclose(
        cell.run(np.stack([rest, rest]), np.stack([u, -u]))[0][0], found, atol=1e-13
    )


def test_attention_holds_a_gradient_that_recurrence_loses():
    """0.5 times an orthogonal matrix forgets at least as fast as 0.5^lag (Pascanu et al. 2013);
    with attention the same weights keep about 1/window of every state in reach (Kerg et al.
    2020)."""
    plain = get("tanh", units=16, inputs=16, gain=0.5, rng=0, init="orthogonal")
    hybrid = replace(Hybrid.random(16, 16, rng=0, window=40), W=plain.W, V=plain.V, b=plain.b)
    lost, held = (
        dm.gradient_norms(cell, drive=0.3, lags=[30], rng=0).input_gradient.item()
        for cell in (plain, hybrid)
    )
    assert lost < 0.5**30 * np.linalg.norm(plain.V, 2) and held > 1e-3


def causal_mask(steps):
    import torch

    return torch.nn.Transformer.generate_square_subsequent_mask(steps, dtype=torch.float64)


def scrambled(module):
    """The module in float64, with biases and gains that are not those it started from."""
    import torch

    torch.manual_seed(1)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_multihead_attention_is_torchs(bias, batch_first):
    import torch

    module = scrambled(
        torch.nn.MultiheadAttention(8, 2, bias=bias, batch_first=batch_first, dropout=0.3)
    )
    system, u = from_torch(module, window=9), torch.randn(2, 9, 8, dtype=torch.float64)
    given = u if batch_first else u.transpose(0, 1)
    expected, weights = module(
        given, given, given, attn_mask=causal_mask(9), average_attn_weights=False
    )
    found, last = system.run(np.zeros((2, system.size)), u.numpy())
    np.testing.assert_allclose(
        found, (expected if batch_first else expected.transpose(0, 1)).detach(), atol=1e-12
    )
    np.testing.assert_allclose(
        system.weights(last, u[:, -1].numpy()), weights[:, :, -1].detach(), atol=1e-12
    )
    assert isinstance(system, Attention) and system.window == 9


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_encoders_are_torchs(norm_first, activation, layers):
    """layers = 0 is one nn.TransformerEncoderLayer by itself."""
    import torch

    built = torch.nn.TransformerEncoderLayer(
        8,
        4,
        16,
        activation=activation,
        norm_first=norm_first,
        batch_first=layers != 1,
        bias=layers != 3,
    )
    if layers:
        built = torch.nn.TransformerEncoder(
            built,
            layers,
            norm=torch.nn.LayerNorm(8) if norm_first else None,
            enable_nested_tensor=False,
        )
    module, u = scrambled(built), torch.randn(2, 9, 8, dtype=torch.float64)
    given = u.transpose(0, 1) if layers == 1 else u
    expected = module(given, causal_mask(9)).detach()
    system = from_torch(module, window=9)
    found = system.run(np.zeros((2, system.size)), u.numpy())[0]
    np.testing.assert_allclose(
        found, expected.transpose(0, 1) if layers == 1 else expected, atol=1e-12
    )
    np.testing.assert_allclose(
        system.unroll(np.zeros((2, system.size)), u.numpy())[0], found, atol=1e-12
    )
    assert isinstance(system, Network if layers else Block)


def torch_modules():
    """What torch has and a causal system has not: (make, error, text)."""
    import torch
    from torch import nn

    class Own(nn.MultiheadAttention):
        def forward(self, *given, **options):
            return super().forward(*given, **options)

    class OwnLayer(nn.TransformerEncoderLayer):
        def forward(self, *given, **options):
            return super().forward(*given, **options)

    def inside(part, other):
        layer = nn.TransformerEncoderLayer(4, 2, 8)
        setattr(layer, part, other)
        return layer

    def encoder(layer):
        return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    return [
        (
            lambda: from_torch(nn.MultiheadAttention(4, 2)),
            ValueError,
            "pass window=.*causal mask; without one it reads the future",
        ),
        (lambda: from_torch(nn.TransformerEncoderLayer(4, 2)), ValueError, "pass window="),
        (
            lambda: from_torch(nn.MultiheadAttention(4, 2), window=0),
            ValueError,
            "window = 0: must be a whole number of at least 1",
        ),
        (
            lambda: from_torch(nn.MultiheadAttention(4, 2, add_bias_kv=True), window=3),
            ValueError,
            "add_bias_kv and add_zero_attn",
        ),
        (
            lambda: from_torch(nn.MultiheadAttention(4, 2, add_zero_attn=True), window=3),
            ValueError,
            "train without them",
        ),
        (
            lambda: from_torch(nn.MultiheadAttention(4, 2, kdim=3), window=3),
            ValueError,
            "kdim = 3 and vdim = 4",
        ),
        (
            lambda: from_torch(Own(4, 2), window=3),
            TypeError,
            "Own has a forward of its own.*nn.MultiheadAttention",
        ),
        (
            lambda: from_torch(OwnLayer(4, 2), window=3),
            TypeError,
            "OwnLayer has a forward of its own",
        ),
        (
            lambda: from_torch(encoder(OwnLayer(4, 2)), window=3),
            TypeError,
            "OwnLayer has a forward of its own",
        ),
        (
            lambda: from_torch(inside("self_attn", Own(4, 2)), window=3),
            TypeError,
            "Own has a forward of its own",
        ),
        (
            lambda: from_torch(inside("activation", torch.atan), window=3),
            ValueError,
            "activation atan of a TransformerEncoderLayer is not one of relu, tanh",
        ),
        (
            lambda: from_torch(inside("activation", nn.ELU(0.5)), window=3),
            ValueError,
            "alpha=0.5",
        ),
        (
            lambda: from_torch(inside("norm1", nn.LayerNorm((3, 4))), window=3),
            ValueError,
            "over the last axis alone",
        ),
        (
            lambda: from_torch(inside("norm2", nn.Identity()), window=3),
            TypeError,
            "a norm must be nn.LayerNorm or nn.RMSNorm, got Identity",
        ),
        (
            lambda: from_torch(nn.TransformerDecoderLayer(4, 2), window=3),
            TypeError,
            "from_torch takes .*nn.TransformerEncoder",
        ),
    ]


@pytest.mark.parametrize("case", range(15))
def test_from_torch_refuses_what_no_causal_rule_represents(case):
    make, error, text = torch_modules()[case]
    with pytest.raises(error, match=text):
        make()


def test_root_mean_square_norms_come_over():
    import torch

    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0)
    layer.norm1, layer.norm2 = (
        torch.nn.RMSNorm(4, eps=1e-5),
        torch.nn.LayerNorm(4, elementwise_affine=False),
    )
    u = torch.randn(1, 5, 4, dtype=torch.float64)
    # in eval mode torch's own fast path takes no RMSNorm
    system = from_torch(scrambled(layer).train(), window=5)
    np.testing.assert_allclose(
        system.run(np.zeros((1, system.size)), u.numpy())[0],
        layer(u, causal_mask(5)).detach(),
        atol=1e-12,
    )


EYE = np.eye(4)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: get("attention", units=6, inputs=2, heads=4),
            ValueError,
            "heads = 4: must divide 6 units: pass heads=3, or 8 units",
        ),
        (
            lambda: Attention(EYE, EYE, EYE, EYE, heads=3),
            ValueError,
            "heads = 3: must divide 4 units: pass heads=[24], or 6 units",
        ),
        (
            lambda: get("attention", units=6, inputs=2, heads=2, positions="rotary"),
            ValueError,
            "rotary positions turn pairs .* a head has 3",
        ),
        (lambda: get("attention", units=4, inputs=2, heads=0), ValueError, "heads = 0"),
        (
            lambda: get("attention", units=4, inputs=2, window=0),
            ValueError,
            "window = 0: must be a whole number of at least 1",
        ),
        (lambda: get("attention", units=4, inputs=2, window=2.5), ValueError, "window = 2.5"),
        (
            lambda: get("attention", units=4, inputs=2, positions="sine"),
            ValueError,
            "positions = 'sine'",
        ),
        (lambda: get("attention", units=4, inputs=2, gain=-1), ValueError, "gain = -1"),
        (lambda: get("attention", units=4, inputs=2, sharpness="a"), ValueError, "sharpness = 'a'"),
        (
            lambda: get("attention", units=4, inputs=2, dropout=0.1),
            TypeError,
            "attention takes no option 'dropout': it takes base, gain, heads",
        ),
        (
            lambda: Attention.random(4, 3),
            ShapeError,
            "inputs = 3: attention has as many inputs as units, 4",
        ),
        (
            lambda: Attention(np.ones((3, 4)), EYE, EYE, EYE),
            ShapeError,
            r"Wq of Attention must be a matrix \(N, N\)",
        ),
        (
            lambda: Attention(EYE, EYE, EYE, np.eye(3)),
            ShapeError,
            r"Wo of Attention has shape \(3, 3\), expected \(4, 4\)",
        ),
        (
            lambda: Attention(EYE, EYE, EYE, EYE, bq=np.ones(3)),
            ShapeError,
            "bq of Attention has shape",
        ),
        (
            lambda: Attention(EYE, EYE, EYE * np.nan, EYE),
            NotFiniteError,
            "Wv of Attention holds NaN",
        ),
        (
            lambda: Attention(EYE, EYE, 1j * EYE, EYE),
            TypeError,
            "Wv of Attention must hold real numbers",
        ),
        (
            lambda: Attention(EYE, EYE, EYE, None),
            TypeError,
            "Wo of Attention must hold real numbers",
        ),
        (
            lambda: Attention(EYE, EYE, EYE, EYE, P=np.ones((1, 32))),
            ValueError,
            "positions 'none' have no table P",
        ),
        (
            lambda: Attention(EYE, EYE, EYE, EYE, P=np.ones((4, 2)), positions="learned"),
            ShapeError,
            r"P of Attention .* expected \(1, 32\)",
        ),
        (
            lambda: build("absolute", 5).run(np.zeros(65), noise(6)),
            ShapeError,
            "0 steps before and 6 now exceed the 5 absolute positions",
        ),
        (
            lambda: build("absolute", 5).unroll(np.zeros(65), noise(6)),
            ShapeError,
            "5 steps before and 1 now .* positions='rotary'",
        ),
        (lambda: Hybrid.random(3, window=0), ValueError, "window = 0"),
        (
            lambda: Hybrid.random(3, kept=-1),
            ValueError,
            "kept = -1: must be a whole number of at least 0",
        ),
        (lambda: Hybrid.random(3, sharpness=np.inf), ValueError, "sharpness = inf"),
        (
            lambda: Hybrid(np.eye(3), a=np.ones(2)),
            ShapeError,
            r"a of Hybrid with 3 units .* has shape \(2,\), expected \(3,\)",
        ),
    ],
)
def test_bad_attention(make, error, text):
    with pytest.raises(error, match=text):
        make()
