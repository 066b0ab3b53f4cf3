"""S4D and S4 against direct loops, scipy.signal and their published formulas: one model, many
forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import signal

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import S4, S4D
from dynmem.models.blockwise import blockwise, causal_convolution
from dynmem.models.hippo import hippo, normal_plus_low_rank
from dynmem.models.ssm import diagonal

MODELS = {
    "s4d, zoh": lambda: S4D.random(3, 3, rng=1, modes=8),
    "s4d, bilinear": lambda: S4D.random(2, 2, rng=2, modes=6, method="bilinear", init="inv"),
    "s4d, real": lambda: S4D.random(2, 2, rng=3, modes=4, init="real", step_min=0.1, step_max=0.3),
    "s4": lambda: S4.random(3, 3, rng=4, modes=8),
    "s4, lagt": lambda: S4.random(2, 2, rng=5, modes=4, init="lagt", step_min=0.05, step_max=0.3),
    "s4, rank 2": lambda: S4.random(2, 2, rng=6, modes=8, init="legt"),
}


def made(name, length=301, batch=3):
    rng = np.random.default_rng(7)
    model = MODELS[name]()
    return (
        model,
        rng.standard_normal((batch, length, model.units)),
        rng.standard_normal((batch, model.size)),
    )


def close(found, expected, within=1e-12):
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=within * max(1.0, np.abs(expected).max())
    )


def test_initialisations():
    """Gu et al. (2022), S4D, section 4: Lin -1/2 + i pi n; Inv -1/2 + i (N/pi) (N/(2n+1) - 1); LegS
    -1/2 + i of the normal part; Real -(n+1)."""
    n, N = np.arange(32), 64
    for init, frequency in (
        ("lin", np.pi * n),
        ("inv", N / np.pi * (N / (2 * n + 1) - 1)),
        ("legs", None),
        ("real", 0 * n),
    ):
        model = S4D.random(2, 2, init=init)
        np.testing.assert_allclose(
            np.exp(model.log_decay[0]), n + 1 if init == "real" else 0.5, rtol=1e-12
        )
        if frequency is not None:
            np.testing.assert_allclose(model.frequency[1], frequency, rtol=1e-12)
    A = hippo("legs", N).A
    normal = np.linalg.eigvals(A + np.outer(*2 * [np.sqrt(np.arange(N) + 0.5)]))
    np.testing.assert_allclose(
        np.sort(normal.imag[normal.imag > 0]),
        S4D.random(1, 1, init="legs").frequency[0],
        rtol=1e-10,
    )
    steps = np.exp(S4D.random(4000, 4000, modes=2).log_step)
    assert (
        steps.min() >= 0.001
        and steps.max() <= 0.1
        and np.log(steps).mean() == pytest.approx(np.log(0.01), abs=0.1)
    )
    C = S4D.random(500, 500).C
    assert C.var() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_s4d_is_its_published_formula(method):
    """Gu et al. (2022), S4D, in complex numbers: the recurrence, and the kernel as a Vandermonde
    product."""
    model = S4D.random(2, 2, rng=3, modes=10, method=method)
    step, A = np.exp(model.log_step)[:, None], -np.exp(model.log_decay) + 1j * model.frequency
    C = model.C[..., 0] + 1j * model.C[..., 1]
    a, b = (
        (np.exp(step * A), (np.exp(step * A) - 1) / A)
        if method == "zoh"
        else ((1 + step / 2 * A) / (1 - step / 2 * A), step / (1 - step / 2 * A))
    )
    u, x, expected = (
        np.random.default_rng(0).standard_normal((50, 2)),
        np.zeros((2, 5), complex),
        [],
    )
    for each in u:
        x = a * x + b * each[:, None]
        expected.append(2 * (C * x).sum(-1).real + model.D * each)
    outputs, last = model.unroll(np.zeros(model.size), u)
    close(outputs, np.array(expected))
    close(last, np.stack((x.real, x.imag), -1).ravel())
    kernel = 2 * np.einsum("hm,hm,hml->lh", C, b, a[..., None] ** np.arange(50)).real
    kernel[0] += model.D
    close(model.kernel(50), kernel)


def test_s4_is_hippo_under_the_bilinear_rule():
    """The dense way: the real matrices of HiPPO, discretised by scipy, with the same readout, in
    the basis of LegS itself."""
    N = 16
    model, form, memory = (
        S4.random(1, 1, rng=2, modes=N),
        normal_plus_low_rank("legs", N),
        hippo("legs", N),
    )
    step = float(np.exp(model.log_step[0]))
    A, B, *_ = signal.cont2discrete((memory.A, memory.B, memory.C, memory.D), step, "bilinear")
    C = 2 * ((model.C[0, :, 0] + 1j * model.C[0, :, 1]) @ form.V[:, N // 2 :].conj().T).real
    u, x, expected = np.random.default_rng(1).standard_normal((200, 1)), np.zeros(N), []
    for each in u:
        x = A @ x + B @ each
        expected.append(C @ x + model.D @ each)
    outputs, last = model.run(np.zeros(model.size), u)
    close(outputs[:, 0], np.array(expected), 1e-10)
    re, im = model.parts(last)
    close(2 * (form.V[:, N // 2 :] @ (re + 1j * im)[0]).real, x, 1e-10)


def test_s4_kernel_is_the_published_generating_function():
    """Gu et al. (2022), S4, algorithm 1, as the annotated code writes it: g = (2/s)(1 - z)/(1 + z),
    c = 2/(1 + z), Cauchy sums over both of each pair, at an odd length, whose roots of unity miss z
    = -1."""
    L, model = 63, S4.random(1, 1, rng=8, modes=8)
    step, z = np.exp(model.log_step[0]), np.exp(-2j * np.pi * np.arange(63) / 63)
    A, _, C = model.matrices()
    C = (C[0] @ (np.eye(8) - np.linalg.matrix_power(A[0], L))).reshape(-1, 2) @ [0.5, -0.5j]
    lam, P, B = (
        (-np.exp(model.log_decay) + 1j * model.frequency)[0],
        model.P[0, 0] @ [1, 1j],
        model.B[0] @ [1, 1j],
    )
    lam, P, B, C = (np.concatenate((v, v.conj())) for v in (lam, P, B, C))
    g, c = 2 / step * (1 - z) / (1 + z), 2 / (1 + z)
    k00, k01, k10, k11 = (
        (v / (g[:, None] - lam)).sum(-1) for v in (C * B, C * P, P.conj() * B, P.conj() * P)
    )
    kernel = np.fft.ifft(c * (k00 - k01 * k10 / (1 + k11)))
    assert np.abs(kernel.imag).max() < 1e-12
    close(model.kernel(L)[:, 0], kernel.real + model.D * (np.arange(L) == 0), 1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_the_discrete_form_is_the_rule_and_scipys_continuous_form(name):
    model, u, x = made(name)
    whole, linear = model.discrete(), dm.linearize(model, x[0], u[0, 0])
    for letter in "ABCD":
        close(getattr(whole, letter), getattr(linear, letter))
    for h in range(model.units):
        flow, step = model.continuous(h), model.discrete(h)
        A, B, *_ = signal.cont2discrete(
            (flow.A, flow.B, flow.C, flow.D), 1.0, getattr(model, "method", "bilinear")
        )
        close(step.A, A)
        close(step.B, B)
        lagged = (*step.lagged, 1.0)
        close(signal.dlsim(lagged, u[0, :, h])[1][:, 0], model.convolve(u)[0, :, h], 1e-10)
        close(signal.dimpulse(lagged, n=40)[1][0][:, 0], model.kernel(40)[:, h], 1e-10)
        assert flow.eigenvalues.real.max() < 0
    assert model.continuous().A.shape == (model.size, model.size)


def test_a_held_input_is_integrated_exactly():
    """scipy integrates the continuous form of S4D for an input held over each step."""
    model, u, _ = made("s4d, zoh", length=30)
    flow = model.continuous(1)
    t = np.arange(0, 30.0, 1 / 50)
    _, y, _ = signal.lsim(
        (flow.A, flow.B, flow.C, np.zeros((1, 1))), np.repeat(u[0, :, 1], 50), t, interp=False
    )
    close(y[50::50], (model.run(np.zeros(model.size), u[0])[0] - model.D * u[0])[:-1, 1], 1e-10)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("length", [1, 2, 127, 128, 301])
def test_recurrence_convolution_and_blocks_agree(name, length):
    model, u, x = made(name, length)
    rest = np.zeros(model.size)
    expected, last = model.unroll(x, u)
    for found, wanted in zip(model.run(x, u), (expected, last), strict=True):
        close(found, wanted)
    expected = model.unroll(rest, u)[0]
    close(model.convolve(u), expected)
    direct = np.stack(
        [
            [
                np.convolve(u[i, :, h], model.kernel(length)[:, h])[:length]
                for h in range(model.units)
            ]
            for i in range(len(u))
        ]
    )
    close(direct.swapaxes(1, 2), expected)
    close(model.discrete().convolve(u), expected)


@pytest.mark.parametrize("name", MODELS)
def test_a_sequence_may_be_cut_anywhere(name):
    model, u, x = made(name)
    whole, last = model.run(x, u)
    for cut in (1, 100, 300):
        first, middle = model.run(x, u[:, :cut])
        second, end = model.run(middle, u[:, cut:])
        close(np.concatenate((first, second), axis=1), whole)
        close(end, last)
    one, end = model.run(x[1], u[1])  # a batch is a loop, and axes in front may be none or several
    close(one, whole[1])
    close(end, last[1])
    close(model.run(x[:, None], u[:, None])[0][:, 0], whole)
    close(model.run(x[0], u)[0], np.stack([model.run(x[0], each)[0] for each in u]))


@pytest.mark.parametrize("name", MODELS)
def test_torch_runs_and_differentiates_every_form(name):
    import torch

    from dynmem.training import Trainable

    model, u, x = made(name, 150)
    net = Trainable(model, torch.float64)
    u, x = (torch.tensor(v, requires_grad=True) for v in (u, x))
    twin, weight = net.twin(), torch.randn(3, 150, model.units, dtype=torch.float64)
    close(
        twin.run(x, u)[0].detach().numpy(), model.unroll(x.detach().numpy(), u.detach().numpy())[0]
    )
    close(twin.convolve(u).detach().numpy(), model.convolve(u.detach().numpy()))
    parameters = list(net.parameters())

    def gradients(outputs, *more):
        return torch.autograd.grad(
            (outputs * weight).sum() + sum(m.square().sum() for m in more),
            [*parameters, u, x],
            allow_unused=True,
        )

    stepwise, blocks = (gradients(*method(x, u)) for method in (net.twin().unroll, net.twin().run))
    rest = torch.zeros(3, model.size, dtype=torch.float64)
    kernel, resting = gradients(net.twin().convolve(u)), gradients(net.twin().unroll(rest, u)[0])
    for found, wanted in (
        *zip(blocks, stepwise, strict=True),
        *zip(kernel[:-1], resting[:-1], strict=True),
    ):
        assert (found - wanted).abs().max() <= 1e-10 * max(1.0, wanted.abs().max())


@pytest.mark.parametrize("kind, init", [(S4D, "lin"), (S4D, "inv"), (S4D, "legs"), (S4, "legs")])
def test_precision(kind, init):
    """S4D recurrence = FFT convolution, N = 64, L = 1024: relative 1e-12 in double precision, 1e-5
    in single; published code differed by 1e-2."""
    import torch

    from dynmem.training import Trainable

    model = kind.random(4, 4, rng=9, init=init)
    u = torch.randn(2, 1024, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        twin, at = Trainable(model, dtype).twin(), u.to(dtype)
        with torch.no_grad():
            recurrence = twin.unroll(torch.zeros(2, model.size, dtype=dtype), at)[0]
            for found in (
                twin.convolve(at),
                twin.run(torch.zeros(2, model.size, dtype=dtype), at)[0],
            ):
                assert (found - recurrence).abs().max() <= bound * recurrence.abs().max()
    exact = torch.tensor(model.convolve(u.numpy()))
    # and single precision is the model, not only itself
    assert (recurrence - exact).abs().max() <= 2e-5 * exact.abs().max()


def test_the_kernel_of_s4_is_regular_at_half_the_rate():
    """z = -1 is a root of unity of every even length, and the published 2/(1 + z) infinite
    there."""
    model = S4.random(2, 2, rng=1, modes=4)
    for length in (2, 4, 1000):
        close(
            model.kernel(length),
            np.stack([model.discrete(h).kernel(length)[:, 0, 0] for h in range(2)], -1),
        )


@pytest.mark.parametrize("name", ["s4d, zoh", "s4d, real", "s4d, bilinear", "s4"])
def test_another_sampling_rate(name):
    """Halving the step of a model and of its samples: exact for a held input under zero-order hold,
    to second order under the bilinear rule."""
    model, _, _ = made(name)
    t = np.arange(400)
    u = np.sin(0.02 * t)[:, None] * np.ones(model.units)
    zoh = getattr(model, "method", "") == "zoh"
    finer = model.resampled(0.5).run(np.zeros(model.size), np.repeat(u, 2, axis=0))[0][1::2]
    expected = model.run(np.zeros(model.size), u)[0]
    assert np.abs(finer - expected).max() <= (1e-12 if zoh else 0.03) * np.abs(expected).max()
    assert model.discrete(0, factor=0.5).dt == 0.5
    close(
        model.discrete(0, factor=0.5).exponents[0],
        model.continuous(0).exponents[0],
        1e-12 if zoh else 0.1,
    )
    close(model.resampled(2.0).resampled(0.5).log_step, model.log_step)


def test_a_stack_at_another_sampling_rate():
    """A slow signal sampled twice as often: a stack of two layers, its steps halved, says the same;
    and a tanh network cannot."""
    model = dm.models.get(
        "s4d",
        units=4,
        inputs=1,
        outputs=1,
        layers=2,
        placement="pre",
        feedforward=8,
        modes=8,
        rng=3,
        step_max=0.02,
    )
    t = np.arange(0, 300, 0.5)
    u = np.sin(0.03 * t)[:, None]
    rest = np.zeros(model.size)
    finer, coarse = (
        dm.models.resampled(model, 0.5).run(rest, u)[0][1::2],
        model.run(rest, u[1::2])[0],
    )
    assert np.abs(finer - coarse)[20:].max() < 0.02 * np.abs(coarse).max()
    assert np.abs(model.run(rest, u)[0][1::2] - coarse)[20:].max() > 0.1 * np.abs(coarse).max()
    lru = dm.models.get("lru", units=3, inputs=2, outputs=1, placement="post", modes=4, rng=1)
    assert dm.models.resampled(lru, 2.0).layers[1].mixer.eigenvalues == pytest.approx(
        lru.layers[1].mixer.eigenvalues ** 2
    )
    assert dm.models.resampled(dm.models.LMU.random(2, 1, theta=8.0), 2.0).theta == 4.0
    with pytest.raises(TypeError, match="Tanh is in discrete time"):
        dm.models.resampled(dm.models.get("tanh", units=3, inputs=2, layers=2), 0.5)


def test_time_constants():
    model = S4D.random(2, 2, modes=8, step_min=0.01, step_max=0.01)
    np.testing.assert_allclose(model.time_constants, 200.0)  # 1 / (step / 2)
    np.testing.assert_allclose(model.discrete(0).time_constants, 200.0)
    np.testing.assert_allclose(model.continuous(0).time_constants, 200.0)


def test_an_undamped_mode_stays_on_the_circle():
    """Zero-order hold and bilinear have modulus 1 for every step; so has S4D as its decay goes to
    0."""
    for method in ("zoh", "bilinear"):
        model = S4D.random(1, 1, modes=16, method=method, step_min=0.5, step_max=0.5)
        model = replace(model, log_decay=np.full((1, 8), -40.0))
        np.testing.assert_allclose(np.abs(model.discrete(0).eigenvalues), 1, atol=1e-12)


def test_a_step_far_beyond_the_memory():
    """A model resampled by 10^5 forgets everything within a step: b -> 1/|lambda|, no number is
    lost. And a short step keeps its digits."""
    model = S4D.random(2, 2, rng=0, modes=64, init="real", step_min=0.05, step_max=0.1)
    a, c, b, d = model.resampled(1e5).coefficients
    assert not a.any() and not c.any() and not d.any()
    np.testing.assert_allclose(b, np.exp(-model.log_decay), rtol=1e-14)
    short = model.resampled(1e-12)
    np.testing.assert_allclose(
        short.coefficients[2], np.exp(short.log_step)[:, None] * np.ones((1, 32)), rtol=1e-11
    )


def test_a_mode_that_forgets_in_one_step():
    """a = 0, at step |lambda| = 2 under the bilinear rule, has no logarithm."""
    model = replace(
        S4D.random(1, 1, modes=2, method="bilinear"),
        log_decay=np.zeros((1, 1)),
        frequency=np.zeros((1, 1)),
        log_step=[np.log(2.0)],
    )
    u = np.random.default_rng(0).standard_normal((9, 1))
    close(model.convolve(u), model.unroll(np.zeros(2), u)[0])
    assert model.time_constants.tolist() == [[0.0]]


def test_s4d_legs_tends_to_s4_legs():
    """Gu et al. (2022), S4D, theorem 3: with B / 2 the normal part alone tends to LegS as N grows.
    Its kernels still ring, so the frequency responses of the first three basis functions are
    compared: they close in as 1/N."""
    omega, errors = np.array([0.0, 1.0, 3.0, 10.0]), []
    for N in (16, 64, 256):
        form = normal_plus_low_rank("legs", N)
        response = (form.V[:3] / (1j * omega[:, None, None] - form.Lambda) @ (form.B / 2))[..., 0]
        errors.append(np.abs(response - hippo("legs", N).frequency_response(omega)[:, :3, 0]).max())
    assert errors[0] < 0.11
    np.testing.assert_allclose(np.array(errors) * [1, 4, 16] / errors[0], 1, atol=0.4)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.sampled_from([2, 4, 10]),
    st.integers(1, 70),
    st.sampled_from(["zoh", "bilinear", "s4"]),
)
def test_recurrence_is_convolution_whatever_the_parameters(seed, units, modes, length, kind):
    rng = np.random.default_rng(seed)
    model = (
        S4.random(units, units, rng=rng, modes=modes)
        if kind == "s4"
        else S4D.random(units, units, rng=rng, modes=modes, method=kind)
    )
    wild = {
        name: getattr(model, name) + rng.standard_normal(getattr(model, name).shape)
        for name in ("log_decay", "frequency", "C", "log_step")
    }
    model = replace(model, **wild)
    u = rng.standard_normal((length, units))
    expected, last = model.unroll(np.zeros(model.size), u)
    close(model.convolve(u), expected, 1e-10)
    for found, wanted in zip(model.run(np.zeros(model.size), u), (expected, last), strict=True):
        close(found, wanted, 1e-10)


def test_blocks_and_convolution():
    rng = np.random.default_rng(3)
    kernel, u = rng.standard_normal(17), rng.standard_normal((2, 17))
    close(causal_convolution(kernel, u), np.stack([np.convolve(kernel, each)[:17] for each in u]))
    A, B, C, x = (
        0.3 * rng.standard_normal((2, 3, 3)),
        rng.standard_normal((2, 3)),
        rng.standard_normal((2, 3)),
        rng.standard_normal(6),
    )
    inputs, state, expected = rng.standard_normal((400, 2)), x.reshape(2, 3), []
    for each in inputs:
        state = np.einsum("hij,hj->hi", A, state) + B * each[:, None]
        expected.append((C * state).sum(-1))
    y, last = blockwise(A, B, C, inputs, x)
    close(y, np.array(expected))
    close(last, state.ravel())


@pytest.mark.slow  # 150 steps of training
def test_training_reduces_the_loss():
    task = dm.tasks.Copy(delay=3, scored="recalled")
    model = dm.models.get(
        "s4d",
        units=16,
        inputs=task.inputs,
        outputs=task.outputs,
        layers=1,
        placement="pre",
        modes=8,
        rng=0,
        step_max=0.5,
    )
    trained, history = dm.fit(
        model, task, steps=150, evaluate_every=75, validation_size=64, learning_rate=1e-2
    )
    assert history.validation_loss[-1] < 0.7 * history.floor
    assert trained.layers[1].mixer.continuous(0).exponents[0] < 0


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: S4D.random(3, 2),
            ValueError,
            "inputs = 2: S4D works channel by channel, pass inputs = units = 3",
        ),
        (lambda: S4D.random(0, 0), ValueError, "units = 0"),
        (lambda: S4D.random(1, 1, modes=5), ValueError, "modes = 5: must be even"),
        (lambda: S4.random(1, 1, modes=0), ValueError, "modes = 0"),
        (
            lambda: S4D.random(1, 1, init="linear"),
            ValueError,
            "init = 'linear'",
        ),
        (
            lambda: S4.random(1, 1, init="fourier"),
            ValueError,
            "init = 'fourier'",
        ),
        (lambda: S4D.random(1, 1, method="euler"), ValueError, "method = 'euler'"),
        (
            lambda: S4D.random(1, 1, step_min=-1.0),
            ValueError,
            "step_min = -1.0: must be a finite number above 0",
        ),
        (lambda: S4.random(1, 1, step_min=0.0), ValueError, "step_min = 0.0"),
        (
            lambda: S4D.random(1, 1, step_min=0.2),
            ValueError,
            "step_min = 0.2 is above step_max = 0.1",
        ),
        (lambda: S4D.random(1, 1).resampled(0.0), ValueError, "factor = 0.0"),
        (lambda: S4D.random(1, 1).resampled(-2), ValueError, "factor = -2"),
        (lambda: S4D.random(1, 1).discrete(1), ValueError, "channel = 1"),
        (lambda: S4D.random(1, 1).kernel(0), ValueError, "length = 0"),
        (lambda: S4.random(1, 1).kernel(1.5), ValueError, "length = 1.5"),
        (
            lambda: replace(S4D.random(1, 1), frequency=np.zeros(3)),
            ShapeError,
            "frequency of S4D must be a matrix",
        ),
        (
            lambda: replace(S4D.random(2, 2), D=np.zeros(3)),
            ShapeError,
            r"D of S4D has shape \(3,\), expected \(2,\)",
        ),
        (lambda: replace(S4.random(2, 2), P=np.zeros(3)), ShapeError, "P of S4 has shape"),
        (
            lambda: replace(S4.random(1, 1), P=np.zeros((1, 0, 32, 2))),
            ShapeError,
            "a rank of at least 1",
        ),
        (
            lambda: replace(S4.random(1, 1), P=np.zeros((1, 1, 3, 2))),
            ShapeError,
            r"P of S4 has shape \(1, 1, 3, 2\), expected \(1, 1, 32, 2\)",
        ),
        (
            lambda: replace(S4.random(1, 1), B=np.full((1, 32, 2), np.nan)),
            NotFiniteError,
            "B of S4 holds NaN",
        ),
        (
            lambda: replace(S4D.random(1, 1), log_step=[800.0]),
            NotFiniteError,
            "log_step of S4D exceeds .*: lower learning_rate",
        ),
        (
            lambda: replace(S4D.random(1, 1), C=1j * np.ones((1, 32, 2))),
            TypeError,
            "C of S4D must hold real numbers",
        ),
        (lambda: diagonal("lin2", 3), ValueError, "init = 'lin2'"),
        (
            lambda: dm.models.get("s4d", units=4, inputs=2, gain=1.0),
            TypeError,
            "s4d takes no option 'gain': it takes init, method",
        ),
    ],
)
def test_bad_models(make, error, text):
    with pytest.raises(error, match=text):
        make()
