"""Theory twins that take a system: the prediction that fits its kind, held to the measurement."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import dynmem as dm
from dynmem.theory import predict

CASES = {
    "tanh, chaotic": (lambda: dm.models.get("tanh", units=300, gain=2.5, rng=1), None, 0.02),
    "tanh, driven": (lambda: wide("tanh", gain=1.5, rng=2), 0.5, 0.02),
    "tanh, leaky": (
        lambda: dm.models.get("tanh", units=300, gain=3.0, leak=0.5, rng=3),
        None,
        0.03,
    ),
    "ESN": (
        lambda: replace(
            dm.models.get("esn", units=300, spectral_radius=1.2, rng=15), V=np.eye(300)
        ),
        0.5,
        0.03,
    ),
    "tanh, orthogonal": (lambda: wide("tanh", init="orthogonal", rng=4), 0.5, 0.02),
    "orthogonal, identity": (lambda: dm.models.get("orthogonal", units=100, rng=5), None, 1e-9),
    "orthogonal, tanh": (lambda: wide("orthogonal", nonlinearity="tanh", rng=6), 0.5, 0.02),
    "linear": (lambda: dm.models.get("linear", units=10, gain=0.9, rng=7), None, 5e-3),
    "S4D": (
        lambda: dm.models.get("s4d", units=2, inputs=2, modes=4, step_min=0.01, rng=12),
        None,
        1e-6,
    ),
    "S4": (
        lambda: dm.models.get("s4", units=1, inputs=1, modes=4, step_min=0.05, rng=13),
        None,
        1e-4,
    ),
    "LRU": (
        lambda: dm.models.get("lru", units=3, inputs=2, modes=10, r_min=0.9, rng=11),
        1.0,
        2e-3,
    ),
    "S5": (lambda: dm.models.get("s5", units=3, inputs=2, modes=4, rng=12), 1.0, 2e-3),
    "linear attention": (
        lambda: dm.models.get("linear_attention", units=4, inputs=2, heads=2, decay=True, rng=13),
        1.0,
        2e-3,
    ),
    "selective": (
        lambda: dm.models.get(
            "selective", units=4, inputs=4, modes=3, step_min=0.05, step_max=0.2, rng=14
        ),
        1.0,
        5e-3,
    ),
    "LSTM": (lambda: wide("lstm", forget_bias=1.0, rng=8), 1.0, 0.03),
    "LSTM, chrono": (
        lambda: dm.models.get("lstm", units=100, init="uniform", chrono=50.0, rng=9),
        None,
        5e-3,
    ),
    "GRU": (lambda: wide("gru", rng=10), 1.0, 0.03),
}


def wide(name, units=200, **options):
    """A network whose units each hear noise of their own, as the mean field assumes."""
    cell = dm.models.get(name, units=units, inputs=units, **options)
    return (
        replace(cell, V=np.concatenate([np.eye(units)] * (len(cell.V) // units)))
        if name in ("tanh", "orthogonal")
        else cell
    )


@pytest.mark.parametrize("name", CASES)
def test_first_exponent(name, monkeypatch):
    """For speed the sampled mean field has one population of 128, in place of four of 256."""
    for sampled in ("lstm_spectrum", "gru_spectrum"):
        few = partial(getattr(predict, sampled), samples=1, population=128)
        monkeypatch.setattr(predict, sampled, few)
    make, drive, tolerance = CASES[name]
    system = make()
    predicted = dm.theory.lyapunov_spectrum(system, drive=drive)
    measured = dm.lyapunov_spectrum(system, duration=600, transient=200, exponents=2, drive=drive)
    assert predicted.lyapunov[0].item() == pytest.approx(measured.lyapunov[0].item(), abs=tolerance)
    assert set(predicted.lyapunov.dims) == set(measured.lyapunov.dims)


@pytest.mark.parametrize(
    "name",
    [
        "tanh, driven",
        "orthogonal, tanh",
        "orthogonal, identity",
        "linear",
        "LRU",
        "S5",
        "linear attention",
        "selective",
    ],
)
def test_gradients(name):
    make, drive, _ = CASES[name]
    system = make()
    predicted = dm.theory.gradient_norms(system, lags=30, drive=drive)
    measured = dm.gradient_norms(system, drive=drive, lags=30, samples=3)
    np.testing.assert_allclose(predicted.log_state_gradient, measured.log_state_gradient, atol=0.4)
    assert predicted.log_state_gradient.dims == measured.log_state_gradient.dims


def test_the_drive_counts_by_its_root_mean_square():
    cell = dm.models.get("tanh", units=40, inputs=3, gain=1.5)
    noise = np.random.default_rng(0).standard_normal((1000, 3))

    def draw(rng, steps):
        return noise[:steps]

    expected = dm.theory.lyapunov_spectrum(cell, drive=float(np.sqrt(np.mean(noise**2))))
    for drive in (noise, draw):
        assert dm.theory.lyapunov_spectrum(cell, drive=drive).lyapunov.equals(expected.lyapunov)
    assert dm.theory.lyapunov_spectrum(cell).equals(dm.theory.lyapunov_spectrum(cell, drive=0.0))


def test_a_leak_slows_the_gradient_down():
    # at rest lambda_1 = ln(1 - d + d gain)/d per unit time, d units a step
    cell = dm.models.get("tanh", units=50, gain=0.8, leak=0.25)
    np.testing.assert_allclose(
        dm.theory.gradient_norms(cell, lags=[0, 10]).log_state_gradient,
        [0.0, 10 * np.log(0.95)],
        rtol=2e-2,
    )


def test_a_reservoir_has_the_gradients_of_its_weights():
    cell = dm.models.get("esn", units=20, inputs=2)
    plain = dm.models.Tanh(cell.W, cell.V, cell.b)
    assert dm.theory.gradient_norms(cell, lags=9, drive=0.5).equals(
        dm.theory.gradient_norms(plain, lags=9, drive=0.5)
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: dm.systems.get("lorenz63"),
        lambda: dm.models.get("relu", units=3),
        lambda: dm.models.get("lmu", units=3, inputs=1),
        lambda: dm.models.get("orthogonal", units=3, nonlinearity="modrelu", bias_sd=0.3),
        lambda: dm.models.get("tcn", units=3, inputs=1),
        lambda: dm.models.get("attention", units=3, inputs=3),
    ],
)
def test_where_no_theory_is_known_none_is_given(make):
    for predicted in (
        dm.theory.lyapunov_spectrum,
        lambda system: dm.theory.gradient_norms(system, lags=3),
    ):
        with pytest.raises(ValueError, match="no theory of"):
            predicted(make())


def test_zero_weights_are_exact():
    cell = dm.models.LSTM.zeros(3)
    np.testing.assert_allclose(dm.theory.lyapunov_spectrum(cell).lyapunov[:3], np.log(0.5))


def test_a_network_of_one_layer_is_its_cell():
    net = dm.models.get("linear", units=4, outputs=2, rng=0)
    np.testing.assert_array_equal(
        dm.theory.lyapunov_spectrum(net).lyapunov,
        dm.theory.lyapunov_spectrum(net.layers[0]).lyapunov,
    )


@pytest.mark.parametrize(
    "lags", [-3, [1, -1], 2.5, np.nan, [0, np.nan], np.inf, 1e300, "5", None, [], [[1]]]
)
@pytest.mark.parametrize("name", ["linear", "tanh", "orthogonal", "lstm"])
def test_lags_are_whole_numbers_of_steps(name, lags):
    with pytest.raises(ValueError, match="lags = .*: must be"):
        dm.theory.gradient_norms(dm.models.get(name, units=3), lags=lags)


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
def test_gains_beyond_reach_are_told(name):
    for gain in (1e6, 1e160, 1e300):
        with pytest.raises(
            ValueError, match="gain = .*every unit saturates, pass a smaller gain, at most"
        ):
            dm.theory.lyapunov_spectrum(dm.models.get(name, units=6, gain=gain))
        with pytest.raises(ValueError, match="pass a smaller gain"):
            dm.theory.gradient_norms(dm.models.get(name, units=6, gain=gain), lags=3)


@pytest.mark.parametrize("drive", ["a", np.nan, -1.0, np.eye(2), np.full((4, 2), np.nan)])
def test_a_drive_that_cannot_be_read_is_refused(drive):
    for name in ("linear", "tanh", "gru"):
        with pytest.raises((ValueError, TypeError, ArithmeticError), match="drive"):
            dm.theory.lyapunov_spectrum(dm.models.get(name, units=3, inputs=1), drive=drive)


def test_where_no_theory_is_known():
    with pytest.raises(ValueError, match="measure it"):
        dm.theory.lyapunov_spectrum(dm.models.get("relu", units=3))
    with pytest.raises(ValueError, match="one layer"):
        dm.theory.lyapunov_spectrum(dm.models.get("tanh", units=3, layers=2))
    with pytest.raises(ValueError, match="modReLU"):
        dm.theory.lyapunov_spectrum(
            dm.models.get("orthogonal", units=3, nonlinearity="modrelu", bias_sd=0.1)
        )
