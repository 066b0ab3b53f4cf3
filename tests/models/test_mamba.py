"""The block of Mamba: against torch's own layers around the published scan, its parts one by one,
and its initial values."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError, UnknownNameError
from dynmem.models import LRU, Mamba, Selective, get


def block(**options):
    return Mamba.random(4, rng=2, **{"modes": 3, "step_min": 0.05, "step_max": 0.5} | options)


def drive(*batch, steps=30, channels=4):
    return np.random.default_rng(0).standard_normal((*batch, steps, channels))


def published(model, u):
    """What state-spaces/mamba's module ``Mamba`` computes without its fused kernels, with torch's
    linear, conv1d and silu: (batch, steps, width)."""
    weight = lambda value: torch.tensor(np.asarray(value))  # noqa: E731
    ssm, (channels, kernel) = model.mixer, model.V.shape
    xz = functional.linear(
        torch.tensor(u), weight(np.concatenate((model.W_in, model.W_gate)))
    ).transpose(1, 2)
    x, z = xz.chunk(2, dim=1)
    x = functional.silu(
        functional.conv1d(
            x, weight(model.V)[:, None], weight(model.b), padding=kernel - 1, groups=channels
        )[..., : u.shape[1]]
    )
    x_dbl = functional.linear(
        x.transpose(1, 2), weight(np.concatenate((ssm.W_down, ssm.W_B, ssm.W_C)))
    )
    dt, B, C = torch.split(x_dbl, [len(ssm.W_down), ssm.modes, ssm.modes], dim=-1)
    dt = functional.softplus(functional.linear(dt, weight(ssm.W_up), weight(ssm.b)))
    state, ys = torch.zeros(len(u), channels, ssm.modes, dtype=torch.float64), []
    for t in range(u.shape[1]):
        state = (
            state * torch.exp(dt[:, t, :, None] * -weight(np.exp(ssm.log_A)))
            + dt[:, t, :, None] * B[:, t, None] * x[:, :, t, None]
        )
        ys.append((state * C[:, t, None]).sum(-1))
    y = (torch.stack(ys, dim=2) + weight(ssm.D)[:, None] * x) * functional.silu(z)
    return functional.linear(y.transpose(1, 2), weight(model.W_out)).numpy(), x


@pytest.mark.parametrize("kernel, expand", [(4, 2), (1, 1), (3, 2)])
def test_the_block_is_the_published_one(kernel, expand):
    model, u = block(kernel=kernel, expand=expand), drive(2)
    expected, _ = published(model, u)
    np.testing.assert_allclose(
        model.run(np.zeros((2, model.size)), u)[0], expected, rtol=1e-10, atol=1e-12
    )


def test_the_state_is_the_published_cache():
    """conv_state, the last k of in_proj's first half, as its step() rolls them in, and then
    ssm_state."""
    model, u = block(), drive(steps=9)
    last = model.run(np.zeros(model.size), u)[1]
    np.testing.assert_allclose(last[: model.held].reshape(4, 8), u[-4:] @ model.W_in.T, rtol=1e-13)
    _, seen = published(model, u[None])
    ssm = model.mixer.run(np.zeros(model.mixer.size), seen[0].T.numpy())[1]
    np.testing.assert_allclose(last[model.held :], ssm, rtol=1e-10, atol=1e-13)
    assert (
        len(model.states) == model.size
        and model.states[0] == "v3_0"
        and model.states[32:34] == ("x0_0", "x0_1")
    )


def test_an_input_reaches_the_mixer_for_as_many_steps_as_the_kernel():
    """A pulse between channels at rest: what the mixer reads is silu(V v) at the age of each tap,
    and silu(b) afterwards."""
    model = replace(block(), b=np.zeros(8))
    u = np.zeros((7, 4))
    u[1] = [1.0, -2.0, 0.5, 0.0]
    v, reads = model.W_in @ u[1], []
    spy = replace(model, mixer=Recorder(reads))
    spy.unroll(np.zeros(spy.size), u)
    z = np.array(
        [model.V[:, 3 - age] * v if 0 <= age < 4 else np.zeros(8) for age in np.arange(7) - 1]
    )
    np.testing.assert_allclose(reads, z / (1 + np.exp(-z)), rtol=1e-12)


class Recorder(dm.Map):
    """A mixer of eight channels that notes what its rule reads."""

    size, inputs, outputs, states, dt = 0, 8, 8, (), 1.0

    def __init__(self, reads):
        object.__setattr__(self, "reads", reads)

    def rule(self, x, u):
        self.reads.append(u)
        return x

    def output(self, x, u):
        return u


def test_a_closed_gate_is_silence():
    model, u = block(), drive()
    y, last = replace(model, W_gate=0.0 * model.W_gate).run(np.zeros(model.size), u)
    assert not y.any()
    np.testing.assert_array_equal(last, model.run(np.zeros(model.size), u)[1])


def test_exponents_are_those_of_the_mixer_inside():
    """The register forgets in k steps; below it the Jacobian is block triangular, so that the
    mixer's exponents stay."""
    model, u = (
        Mamba.random(2, rng=3, mixer="lru", modes=3, r_min=0.6, r_max=0.9),
        drive(steps=550, channels=2),
    )
    found = dm.lyapunov_spectrum(
        model, np.zeros(model.size), drive=u, duration=500, transient=50, exponents=6
    )
    np.testing.assert_allclose(
        found.lyapunov,
        np.sort(np.tile(np.log(np.abs(model.mixer.eigenvalues)), 2))[::-1],
        atol=5e-3,
    )


def test_initial_values_are_the_published_ones():
    """torch's default of Linear and Conv1d: uniform in +-1/sqrt of the fan-in; the step's rank H/16
    of the block's own width."""
    model = Mamba.random(64, rng=0)
    assert (
        model.W_in.shape == (128, 64)
        and model.V.shape == (128, 4)
        and model.mixer.W_down.shape == (4, 128)
    )
    for value, fan_in in (
        (model.W_in, 64),
        (model.W_gate, 64),
        (model.V, 4),
        (model.b, 4),
        (model.W_out, 128),
        (model.mixer.W_B, 128),
    ):
        assert 0.9 < np.abs(value).max() * np.sqrt(fan_in) <= 1
    assert not model.initial(0).any() and type(model.mixer) is Selective


def test_mixers_by_name_and_an_encoder_where_widths_differ():
    model = get("mamba", units=6, inputs=2, mixer="lru", modes=5, r_min=0.5)
    assert [type(part).__name__ for part in model.layers] == ["Dense", "Mamba"] and type(
        model.layers[1].mixer
    ) is LRU
    assert (
        model.layers[1].mixer.modes == 5 and (np.abs(model.layers[1].mixer.eigenvalues) > 0.5).all()
    )


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: Mamba.random(3, 2),
            ShapeError,
            "inputs = 2: Mamba has as many inputs as units, 3",
        ),
        (lambda: Mamba.random(3, kernel=0), ValueError, "kernel = 0"),
        (lambda: Mamba.random(3, expand=1.5), ValueError, "expand = 1.5"),
        (
            lambda: Mamba.random(3, mixer="gru"),
            UnknownNameError,
            "no mixer of Mamba is called 'gru' .did you mean lru..: choose one of lru, s4d, s5",
        ),
        (
            lambda: get("mamba", units=3, inputs=3, r_min=0.5),
            TypeError,
            "mamba around selective takes no option 'r_min'.*: it takes expand, ",
        ),
        (
            lambda: replace(block(), W_gate=np.zeros((8, 3))),
            ShapeError,
            r"W_gate of Mamba has shape \(8, 3\), expected \(8, 4\)",
        ),
        (lambda: replace(block(), V=np.zeros(8)), ShapeError, "V of Mamba must be a matrix"),
        (
            lambda: replace(block(), mixer=Selective.random(4)),
            ShapeError,
            "W_in of Mamba has 8 channels and Selective has 4 inputs and 4 outputs",
        ),
        (
            lambda: replace(block(), mixer=np.zeros(3)),
            TypeError,
            "expected a dynmem Map, got ndarray",
        ),
        (
            lambda: replace(block(), W_out=np.full((4, 8), np.nan)),
            NotFiniteError,
            "W_out of Mamba holds NaN",
        ),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
