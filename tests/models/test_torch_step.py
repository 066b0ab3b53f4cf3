"""Step functions of torch as systems, held to the maps of the same equation and to closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import TorchStep, from_torch

CELL = nn.GRUCell(3, 5).double()
DRIVE = np.random.default_rng(0).standard_normal((160, 3))


def gru(h, u):
    """A GRU written out."""
    x, w = u @ CELL.weight_ih.T + CELL.bias_ih, h @ CELL.weight_hh.T + CELL.bias_hh
    r, z = torch.sigmoid(x[:10] + w[:10]).chunk(2)
    return (1 - z) * torch.tanh(x[10:] + r * w[10:]) + z * h


def fused(h, u):
    """The same by torch's own kernel, which torch.func.vmap cannot batch."""
    return CELL(u[None], h[None])[0]


class Named(nn.Module):
    """A module of one's own, (state, input) -> state."""

    def __init__(self):
        super().__init__()
        self.cell = CELL

    def forward(self, state, u):
        return fused(state, u)


START = torch.zeros(5, dtype=torch.float64)


@pytest.mark.parametrize("step, batches", [(gru, True), (fused, False), (Named(), False)])
def test_the_same_numbers_as_the_map_of_the_same_equation(step, batches):
    system, known = TorchStep(step, START, 3), from_torch(CELL)
    x, u = 0.3 * np.ones((4, 5)), DRIVE[:4]
    np.testing.assert_allclose(system.rule(x, u), known.rule(x, u), atol=1e-14)
    assert system.batches == batches and (system.size, system.inputs) == (5, 3)
    for wrt in ("state", "input"):
        np.testing.assert_allclose(
            dm.jacobian(system, x, u, wrt=wrt), dm.jacobian(known, x, u, wrt=wrt), atol=1e-14
        )
    options = {"drive": DRIVE[:41], "lags": 30, "transient": 10, "x0": np.zeros(5)}
    for name in ("log_state_gradient", "log_input_gradient"):
        np.testing.assert_allclose(
            dm.gradient_norms(system, **options)[name],
            dm.gradient_norms(known, **options)[name],
            atol=1e-10,
        )
    options = {"drive": DRIVE[:26], "lags": 20, "transient": 5, "x0": np.zeros(5)}
    profile, expected = (dm.gradient_profile(one, **options) for one in (system, known))
    np.testing.assert_allclose(profile.log_input_gradient, expected.log_input_gradient, atol=1e-10)


def test_forward_mode_of_many_states():
    """From 7 states on torch.func: the same Jacobians, of one state and of a batch."""
    model = dm.models.Tanh.random(40, 2, rng=0, bias_sd=0.1)
    W, V, b = (torch.tensor(a) for a in (model.W, model.V, model.b))
    start = torch.zeros(40, dtype=torch.float64)
    system = TorchStep(lambda x, u: torch.tanh(W @ x + V @ u + b), start, 2)
    assert system.forward_mode
    rng = np.random.default_rng(0)
    for shape in ((), (3,)):
        x, u = rng.standard_normal((*shape, 40)), rng.standard_normal((*shape, 2))
        for wrt in ("state", "input"):
            np.testing.assert_allclose(
                dm.jacobian(system, x, u, wrt=wrt), dm.jacobian(model, x, u, wrt=wrt), atol=1e-14
            )
        np.testing.assert_allclose(system.rule(x, u), model.rule(x, u), atol=1e-14)


def test_spectra_of_functions():
    """The same exponents as those of the converted cell, from the same start."""
    options = {"drive": torch.tensor(DRIVE[:50]), "duration": 30, "transient": 20}
    known = dm.lyapunov_spectrum(CELL, state=START, **options)
    for step in (gru, Named()):
        found = dm.lyapunov_spectrum(step, state=START, **options)
        np.testing.assert_allclose(found.lyapunov, known.lyapunov, atol=1e-10)
    batch = np.stack([DRIVE[:40], DRIVE[-40:]])
    found = dm.lyapunov_spectrum(gru, state=START, drive=batch, exponents=2)
    each = [dm.lyapunov_spectrum(gru, state=START, drive=u, exponents=2).lyapunov for u in batch]
    np.testing.assert_allclose(found.lyapunov, np.mean(each, axis=0), atol=1e-12)


def test_a_henon_map_without_input():
    """Its sum of exponents is ln 0.3."""

    def henon(x):
        return torch.stack((1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]))

    start = torch.tensor([0.1, 0.1], dtype=torch.float64)
    found = dm.lyapunov_spectrum(henon, state=start, duration=300)
    assert float(found.lyapunov.sum()) == pytest.approx(np.log(0.3), abs=1e-12)
    assert float(found.lyapunov[0]) == pytest.approx(0.419, abs=0.1)
    points = dm.fixed_points(TorchStep(henon, start), rng=0)
    assert sorted(points.x[:, 0].values.round(6)) == [-1.131354, 0.631354]


def test_states_of_several_parts():
    """(h, c) of an LSTM in float32, as torch's cell takes them."""
    torch.manual_seed(0)
    cell = nn.LSTMCell(3, 4)
    start = torch.full((1, 4), 0.1), torch.full((1, 4), -0.2)
    options = {"drive": DRIVE[:100], "duration": 50, "transient": 50, "exponents": 3}
    found = dm.lyapunov_spectrum(lambda state, u: cell(u, state), state=start, **options)
    known = dm.lyapunov_spectrum(from_torch(cell), np.repeat([0.1, -0.2], 4), **options)
    np.testing.assert_allclose(found.lyapunov, known.lyapunov, atol=1e-5)
    module = nn.LSTM(3, 4, num_layers=2)
    pair = np.full((2, 1, 4), 0.1), np.full((2, 1, 4), -0.2)
    np.testing.assert_array_equal(
        dm.lyapunov_spectrum(module, state=pair, **options).lyapunov,
        dm.lyapunov_spectrum(module, np.tile(np.repeat([0.1, -0.2], 4), 2), **options).lyapunov,
    )


def test_switches_do_not_matter():
    options = {"drive": DRIVE[:30], "duration": 20, "transient": 10, "exponents": 2}
    for step in (gru, fused):
        outside = dm.lyapunov_spectrum(step, state=START, **options).lyapunov
        for switch in (torch.no_grad, torch.inference_mode):
            with switch():
                inside = dm.lyapunov_spectrum(step, state=START, **options).lyapunov
            np.testing.assert_allclose(inside, outside, atol=1e-13)


def test_a_batch_of_ones_own_data():
    """No duration: that of the data; the mean over the sequences, with its spread."""
    torch.manual_seed(0)
    rnn, batch = nn.LSTM(8, 6, batch_first=True), torch.randn(4, 200, 8)
    found = dm.lyapunov_spectrum(rnn, drive=batch, exponents=3)
    each = [
        dm.lyapunov_spectrum(
            from_torch(rnn), drive=u.numpy(), duration=100, transient=100, exponents=3
        ).lyapunov
        for u in batch
    ]
    np.testing.assert_allclose(found.lyapunov, np.mean(each, axis=0), atol=1e-12)
    spread = np.std(each, axis=0, ddof=1)
    np.testing.assert_allclose(found.lyapunov_spread, spread, atol=1e-12)
    np.testing.assert_allclose(found.lyapunov_error, spread / 2, atol=1e-12)
    assert found.time[-1] == 100 and found.attrs["samples"] == 4
    long = dm.lyapunov_spectrum(rnn, drive=np.zeros((1200, 8)), exponents=1)
    assert long.time[-1] == 1080  # a transient of a tenth


def returned(value):
    return lambda x, u=None: value


@pytest.mark.filterwarnings("ignore::dynmem.errors.ShortRunWarning")
@pytest.mark.parametrize(
    "call, error, text",
    [
        (
            lambda: dm.lyapunov_spectrum(gru, drive=DRIVE),
            TypeError,
            "gru is a function: pass",
        ),
        (lambda: dm.lyapunov_spectrum(CELL), TypeError, "lyapunov_spectrum needs duration"),
        (
            lambda: dm.lyapunov_spectrum(gru, START.numpy(), state=START, drive=DRIVE),
            TypeError,
            "x0 and state are the same",
        ),
        (
            lambda: dm.lyapunov_spectrum(from_torch(CELL), state=START, drive=DRIVE),
            TypeError,
            "pass x0, the start",
        ),
        (
            lambda: dm.lyapunov_spectrum(gru, state=START, drive=1.0, duration=10),
            ValueError,
            "the number of inputs of a torch function is not known",
        ),
        (
            lambda: dm.lyapunov_spectrum(nn.GRU(8, 3), drive=np.zeros((200, 4, 8))),
            ShapeError,
            r"pass drive.transpose\(0, 1\)",
        ),
        (lambda: TorchStep(3, START), TypeError, "function is int"),
        (lambda: TorchStep(returned(START), START * np.nan), NotFiniteError, "state holds NaN"),
        (lambda: TorchStep(returned(START[:2]), START), ShapeError, r"shapes \(\(2,\),\)"),
        (lambda: TorchStep(returned((START, START)), START), TypeError, "returned tuple"),
        (lambda: TorchStep(returned(np.zeros(5)), START), TypeError, "returned ndarray"),
        (lambda: TorchStep(returned(START / 0), START), NotFiniteError, "NaN or infinity at"),
        (
            lambda: TorchStep(lambda x: x + torch.randn(5), START),
            ValueError,
            "different states for the same state and input: take the noise out",
        ),
        (
            lambda: TorchStep(lambda x: torch.tanh(x.detach() + 1), START),
            TypeError,
            "torch finds no derivative",
        ),
        (
            lambda: TorchStep(lambda x: torch.tensor(np.tanh(x.numpy() + 1)), START),
            TypeError,
            "torch cannot differentiate the function .* use torch's operations",
        ),
        (lambda: dm.symbolic.jacobian(TorchStep(torch.tanh, START)), TypeError, "no symbols"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
