"""Gradient norms over the lag: closed forms, torch's autograd at every lag, exponents, and laws of
orthogonal networks."""

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.analysis import forgetting, gradient_norms, lyapunov_spectrum
from dynmem.autodiff.jacobian import as_tensor
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import GRU, LSTM, Linear, Network, Orthogonal, Relu, Tanh
from dynmem.models.rnn import haar
from dynmem.system import map_arrays
from tests.reference import ForcedDuffing, Henon, Lorenz

MODELS = {
    "linear": lambda: Linear.random(5, 2, rng=0, bias_sd=0.2),
    "tanh": lambda: Tanh.random(6, 2, rng=0, gain=1.4, bias_sd=0.2),
    "leaky": lambda: Tanh.random(6, 1, rng=0, gain=1.4, leak=0.3),
    "relu": lambda: Relu.random(6, 2, rng=3, gain=1.2, bias_sd=0.3),
    "modrelu": lambda: Orthogonal.random(6, 2, rng=0, nonlinearity="modrelu", bias_sd=0.3),
    "lstm": lambda: LSTM.random(4, 3, rng=0, forget_bias=1.0),
    "gru": lambda: GRU.random(4, 3, rng=0, bias_sd=0.3),
    "readout": lambda: dm.models.get("lstm", units=3, inputs=2, layers=2, outputs=2, rng=0),
    "mixed": lambda: Network(
        (Tanh.random(4, 2, rng=1), GRU.random(3, 4, rng=2)), np.ones((1, 3)), np.array([0.1])
    ),
    "duffing": lambda: dm.FlowMap(ForcedDuffing(), 0.2),
    "rank one": lambda: Tanh(np.diag(np.ones(4), 1), np.eye(5)[:, :1]),
}


def autograd(system, x, u, lags, norm, anchor):
    """The logarithms by torch in float64, a full Jacobian at each lag: rows of the state and of the
    output."""
    twin = map_arrays(system, as_tensor)
    states, inputs = (
        [torch.tensor(x, requires_grad=True)],
        [torch.tensor(step, requires_grad=True) for step in u],
    )
    for step in inputs:
        states.append(twin.rule(states[-1], step))
    outputs = [None, *(twin.output(s, i) for s, i in zip(states[1:], inputs, strict=True))]
    end, found = len(u), {"state": [], "input": []}
    start = len(u) - lags[-1] - 1  # the profile's x_0 when it starts there
    for lag in lags:
        a, b = (end, end - lag) if anchor == "end" else (start + lag, start)
        by_state = rows(states[a], states[b])
        a, b = (end, end - lag) if anchor == "end" else (start + 1 + lag, start + 1)
        by_input = rows(outputs[a], inputs[b - 1])
        for name, J, directions in (("state", by_state, len(x)), ("input", by_input, u.shape[1])):
            size = (
                np.linalg.norm(J, 2)
                if norm == "spectral"
                else np.linalg.norm(J) / np.sqrt(directions)
            )
            with np.errstate(divide="ignore"):
                found[name].append(np.log(size))
    return found


def rows(y, x):
    """Jacobian (len(y), len(x)) row by row."""
    zero = torch.zeros_like(x)
    one = [torch.autograd.grad(part, x, retain_graph=True, allow_unused=True)[0] for part in y]
    return torch.stack([zero if g is None else g for g in one]).numpy()


@pytest.mark.parametrize("anchor", ["end", "start"])
@pytest.mark.parametrize("norm", ["rms", "spectral"])
@pytest.mark.parametrize("name", MODELS)
def test_against_autograd_at_every_lag(name, norm, anchor):
    system, longest, transient = MODELS[name](), 9, 4
    rng = np.random.default_rng(2)
    x, u = (
        0.5 * rng.standard_normal(system.size),
        rng.standard_normal((longest + 1 + transient, system.inputs)),
    )
    found = gradient_norms(
        system, drive=u, x0=x, lags=longest, transient=transient, norm=norm, anchor=anchor
    )
    expected = autograd(system, x, u, list(range(longest + 1)), norm, anchor)
    for kind in ("state", "input"):
        np.testing.assert_allclose(found[f"log_{kind}_gradient"], expected[kind], atol=1e-9)
        np.testing.assert_allclose(found[f"{kind}_gradient"], np.exp(expected[kind]), rtol=1e-9)
    sparse = gradient_norms(
        system, drive=u, x0=x, lags=[9, 2, 5, 2], transient=transient, norm=norm, anchor=anchor
    )
    assert sparse.lag.values.tolist() == [2, 5, 9]
    np.testing.assert_allclose(
        sparse.log_input_gradient, np.array(expected["input"])[[2, 5, 9]], atol=1e-9
    )


def test_isometries():
    """The ratio stays 1 after 1000 steps, from either end; the input keeps its first norm."""
    cell = Orthogonal.random(50, 3, rng=0)
    for anchor in ("end", "start"):
        found = gradient_norms(cell, drive=1.0, lags=1000, anchor=anchor)
        np.testing.assert_allclose(found.state_gradient, 1.0, atol=1e-12)
        np.testing.assert_allclose(
            found.input_gradient, np.linalg.norm(cell.V) / np.sqrt(3), rtol=1e-11
        )
    spectral = gradient_norms(cell, lags=[1000], norm="spectral")
    assert spectral.state_gradient.item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 3.0])
def test_no_underflow_and_no_overflow(factor):
    """0.5^5000 is e^-3466. Both directions of a pair that differ count, too."""
    x = np.zeros(2)
    for anchor in ("end", "start"):
        found = gradient_norms(
            Linear(factor * np.eye(2), np.ones((2, 1))), drive=0.0, x0=x, lags=5000, anchor=anchor
        )
        np.testing.assert_allclose(
            found.log_state_gradient, np.arange(5001) * np.log(factor), atol=1e-8
        )
        np.testing.assert_allclose(
            found.log_input_gradient, np.arange(5001) * np.log(factor) + 0.5 * np.log(2), atol=1e-8
        )
        assert not np.isnan(found.state_gradient).any()


def test_slope_is_the_first_exponent():
    """Per step, over a long orbit, driven and free, from either end."""
    cells = (
        Tanh.random(20, 1, rng=0, gain=2.0),
        LSTM.random(8, 1, rng=1, gain=2.0),
        GRU.random(8, 1, rng=1),
    )
    for cell, drive in zip(cells, (0.5, 1.0, 1.0), strict=True):
        exponent = lyapunov_spectrum(cell, duration=4000, exponents=1, drive=drive)
        for anchor in ("end", "start"):
            law = forgetting(gradient_norms(cell, drive=drive, lags=1200, anchor=anchor))
            error = float(np.hypot(law.slope_error, exponent.lyapunov_error.item()))
            assert law.slope == pytest.approx(exponent.lyapunov.item(), abs=4 * error + 2e-3)


def test_flows():
    """Lags are steps of the flow's map; the slope is the exponent times dt."""
    found = gradient_norms(Lorenz(), lags=300, dt=0.01, norm="spectral", transient=1000)
    assert found.log_state_gradient[-1] > 0 and found.lag.attrs["units"] == "step"
    auto = gradient_norms(ForcedDuffing(), lags=2, dt=0.1)
    assert {"log_state_gradient", "log_input_gradient"} <= set(auto)  # no drive is zero input
    with pytest.raises(TypeError, match="is a Flow and a Map is needed"):
        gradient_norms(Lorenz(), lags=2)


def undriven(W, lags, **options):
    cell = Tanh(W)
    x = np.sign(np.random.default_rng(5).standard_normal(len(W)))
    return gradient_norms(cell, x0=x, lags=lags, transient=0, anchor="start", **options)


def test_undriven_orthogonal_tanh_forgets_by_a_power():
    """One unit: dx/dn = -x^3/3, so x ~ (3/2n)^(1/2) and the gradient of later states falls as
    n^(-3/2). A permutation keeps its units apart: the same law in every direction. A matrix that
    mixes them forgets the amplitude alone as n^(-3/2); the other directions keep their angles and
    fall with the amplitude itself, as n^(-1/2)."""
    lags = np.append(0, np.unique(np.geomspace(1, 10_000, 80).astype(int)))
    for W in (np.eye(1), np.roll(np.eye(5), 1, axis=0)):
        law = forgetting(undriven(W, lags), min_lag=1500)
        assert law.law == "power law" and law.power == pytest.approx(1.5, abs=1e-2)
    mixing = forgetting(undriven(haar(100, 1), lags[lags < 3000]), min_lag=400)
    assert mixing.law == "power law" and mixing.power == pytest.approx(0.5, abs=2e-2)


def test_samples_average_logarithms():
    cell = Tanh.random(15, 1, rng=0, gain=1.5)
    together = gradient_norms(cell, drive=0.5, lags=40, samples=4, rng=3)
    apart = [
        gradient_norms(cell, drive=0.5, lags=40, rng=seed)
        for seed in np.random.default_rng(3).spawn(4)
    ]
    assert (
        together.log_state_gradient_error.sizes == {"lag": 41}
        and not together.log_state_gradient_error[0]
    )
    assert together.log_state_gradient[-1] != apart[0].log_state_gradient[-1]
    again = gradient_norms(cell, drive=0.5, lags=40, samples=4, rng=3)
    assert together.identical(again) and together.attrs["seed"] == 3
    many = gradient_norms(cell, drive=0.5, lags=40, samples=40, rng=4)
    assert (
        abs(many.log_state_gradient - together.log_state_gradient).max()
        < 6 * together.log_state_gradient_error.max()
    )


def test_drives():
    cell = Tanh.random(5, 2, rng=0)
    function = gradient_norms(
        cell, drive=lambda rng, steps: 0.3 * rng.standard_normal((steps, 2)), lags=20, rng=1
    )
    assert function.log_input_gradient.equals(
        gradient_norms(cell, drive=0.3, lags=20, rng=1).log_input_gradient
    )
    for number in (1, np.int64(1), np.float32(1.0)):
        assert gradient_norms(cell, drive=number, lags=3).sizes["lag"] == 4
    free = gradient_norms(cell, x0=np.zeros(5), lags=20)
    assert free.log_input_gradient.equals(
        gradient_norms(cell, drive=np.zeros((200, 2)), x0=np.zeros(5), lags=20).log_input_gradient
    )
    assert "log_input_gradient" not in gradient_norms(Tanh.random(5, rng=0), lags=20)


def test_every_row_of_a_drive_is_read():
    """A surplus of rows was left out in silence; now they are the transient, or an error."""
    cell, rows = Tanh.random(5, 2, rng=0), np.random.default_rng(0).standard_normal((71, 2))
    given = {"lags": 20, "x0": np.zeros(5)}
    found = gradient_norms(cell, drive=rows, **given)
    assert found.equals(gradient_norms(cell, drive=rows, transient=50, **given))
    assert not found.equals(gradient_norms(cell, drive=rows[-40:], **given))
    for function, window in (
        (gradient_norms, 21),
        (dm.gradient_profile, 21),
        (dm.analysis.path_length, 24),
    ):
        assert function(cell, drive=rows, **given).sizes["lag"] == 21
        message = rf"needs \({window + 9}, 2\).*pass transient={71 - window}, or drive\[-"
        with pytest.raises(dm.errors.ShapeError, match=message):
            function(cell, drive=rows, transient=9, **given)
        with pytest.raises(dm.errors.ShapeError, match=rf"needs \({window + 99}, 2\)"):
            function(cell, drive=rows, transient=99, **given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": -1}, "whole numbers of steps of at least 0"),
        ({"lags": 2.5}, "whole numbers of steps"),
        ({"lags": [0, 1.5]}, "whole numbers of steps"),
        ({"lags": [0, -2]}, "whole numbers of steps"),
        ({"lags": []}, "whole numbers of steps"),
        ({"transient": -1}, "transient = -1"),
        ({"transient": 0.5}, "transient = 0.5"),
        ({"samples": 0}, "samples = 0"),
        ({"samples": 1.5}, "samples = 1.5"),
        ({"norm": "nuclear"}, "norm = 'nuclear': must be one of 'rms', 'spectral'"),
        ({"anchor": "middle"}, "anchor = 'middle': must be one of 'end', 'start'"),
        ({"drive": -0.1}, "drive = -0.1"),
        ({"drive": np.zeros((5, 2))}, r"need at least \(11, 2\)"),
        ({"drive": np.zeros((50, 3))}, "Tanh takes 2"),
        ({"x0": np.zeros(3)}, "Tanh has 4 states"),
        ({"x0": np.zeros((2, 4))}, "one start"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        gradient_norms(Tanh.random(4, 2), **({"lags": 10} | options))


def test_what_is_not_finite():
    with pytest.raises(NotFiniteError, match="state not finite at step"):
        gradient_norms(Henon(), x0=[10.0, 0.0], lags=10)
    with pytest.raises(NotFiniteError, match="drive holds NaN"):
        gradient_norms(Tanh.random(2, 1), drive=np.full((200, 1), np.nan), lags=10)

    class Root(dm.Map):
        states = ("x",)

        def rule(self, x, u):
            return dm.sqrt(x)

    with pytest.raises(NotFiniteError, match="gradient not finite at lag 1"):
        gradient_norms(Root(), x0=[0.0], lags=10)
    with pytest.raises(ShapeError, match="Henon takes no input: leave drive out"):
        gradient_norms(Henon(), drive=np.zeros((200, 1)), x0=[0.1, 0.1], lags=10)
