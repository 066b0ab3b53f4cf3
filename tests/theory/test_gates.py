"""Gated networks: closed forms against the models' own Jacobians, mean field against independent
plain-numpy simulation."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import models, theory
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.theory.gated_mean_field import Fields, first_exponent, gru_unit, lstm_unit
from dynmem.theory.leaky import leaky_exponent


def sigma(x):
    return 1 / (1 + np.exp(-x))


def simulate(name, gain, keep_bias, input_sd, units=300, steps=500, transient=150, seed=0):
    """First exponent and E[h^2] of a random LSTM or GRU driven by noise; tangents by hand, apart
    from the library on purpose."""
    rng = np.random.default_rng(seed)
    weights = (
        rng.standard_normal((4 if name == "lstm" else 3, units, units)) * gain / np.sqrt(units)
    )
    h, c, dh, dc = rng.standard_normal((4, units))
    growth = power = 0.0
    for step in range(-transient, steps):
        a, da, drive = (
            weights @ h,
            weights @ dh,
            input_sd * rng.standard_normal((len(weights), units)),
        )
        drive[1] += keep_bias
        if name == "lstm":
            i, f, o = (sigma(a[k] + drive[k]) for k in (0, 1, 3))
            g = np.tanh(a[2] + drive[2])
            dc = (
                f * dc + c * f * (1 - f) * da[1] + g * i * (1 - i) * da[0] + i * (1 - g * g) * da[2]
            )
            c = f * c + i * g
            h = o * np.tanh(c)
            dh = o * (1 - np.tanh(c) ** 2) * dc + h * (1 - o) * da[3]
            size = np.sqrt(dh @ dh + dc @ dc)
        else:
            r, z = sigma(a[0] + drive[0]), sigma(a[1] + drive[1])
            n = np.tanh(drive[2] + r * a[2])
            dh = (
                z * dh
                + (h - n) * z * (1 - z) * da[1]
                + (1 - z) * (1 - n * n) * (r * da[2] + a[2] * r * (1 - r) * da[0])
            )
            h = n + z * (h - n)
            size = np.sqrt(dh @ dh)
        dh, dc = dh / size, dc / size
        growth, power = growth + np.log(size) * (step >= 0), power + (h @ h) / units * (step >= 0)
    return growth / steps, power / steps


def test_time_scales():
    np.testing.assert_allclose(
        theory.gate_time_scale([0.9, 0.99]).time_scale, [9.4912215811, 99.4991624791], rtol=1e-9
    )
    chrono = theory.chrono_bias([1.5, 2.0, 30.0, 1e6])
    np.testing.assert_allclose(1 / (1 - sigma(chrono.bias)), chrono.time, rtol=1e-9)
    np.testing.assert_allclose(chrono.forget, sigma(chrono.bias), rtol=1e-14)
    assert chrono.time_scale.values[2] == pytest.approx(29.5, abs=0.01)


@pytest.mark.parametrize("bias, value", [(0.0, -0.6931472), (1.0, -0.3132617), (5.0, -0.0067153)])
def test_zero_weight_spectra(bias, value):
    found = theory.zero_weight_lstm_spectrum(4, bias)
    np.testing.assert_allclose(found.lyapunov, [value] * 4 + [-np.inf] * 4, atol=5e-8)
    np.testing.assert_allclose(
        theory.zero_weight_gru_spectrum(4, bias).lyapunov, [value] * 4, atol=5e-8
    )
    assert theory.zero_weight_lstm_spectrum(2, [-800.0, 800.0]).lyapunov.values[:2].tolist() == [
        0.0,
        -800.0,
    ]
    assert found.horizon.item() == pytest.approx(
        theory.gate_time_scale(sigma(bias)).time_scale.item()
    )


@pytest.mark.parametrize("name, keep", [("lstm", "forget_bias"), ("gru", "update_bias")])
def test_origin_spectrum_is_that_of_the_models_jacobian(name, keep):
    model = models.get(name, units=7, inputs=1, rng=2, gain=1.4, **{keep: 0.7})
    state = np.zeros(model.size)
    values = np.sort(np.abs(np.linalg.eigvals(dm.jacobian(model, state))))[::-1]
    block = model.W[14:21]
    found = getattr(theory, f"{name}_origin_spectrum")(block, **{keep: 0.7})
    np.testing.assert_allclose(np.exp(found.lyapunov), values, atol=1e-7)


def test_origin_edge_and_critical_gain():
    weights = np.random.default_rng(0).standard_normal((500, 500)) / np.sqrt(500)
    for edge, whole, options in (
        (
            theory.lstm_origin,
            theory.lstm_origin_spectrum,
            {"forget_bias": 1.0, "input_bias": -0.5, "output_bias": 0.3},
        ),
        (theory.gru_origin, theory.gru_origin_spectrum, {"update_bias": 1.0, "reset_bias": 0.4}),
    ):
        assert whole(1.2 * weights, **options).lyapunov.values[0] == pytest.approx(
            edge(1.2, **options).lyapunov.item(), abs=0.02
        )
        critical = edge(1.0, **options).critical_gain.item()
        assert edge(critical, **options).lyapunov.item() == pytest.approx(0.0, abs=1e-14)
    assert theory.gru_origin(1.0, update_bias=3.0).critical_gain.item() == pytest.approx(2.0)


@pytest.mark.parametrize(
    "name, gain, keep_bias, drive",
    [("lstm", 2.0, 1.0, 1.0), ("gru", 2.0, 1.0, 1.0), ("gru", 6.0, 0.0, 1.0)],
)
def test_mean_field_against_simulation(name, gain, keep_bias, drive):
    """Networks of 300 units with fixed weights: the first exponent within 0.02 and the mean square
    within 5 %."""
    measured, power = simulate(name, gain, keep_bias, drive)
    predict = {"lstm": theory.lstm_spectrum, "gru": theory.gru_spectrum}[name]
    found = predict(
        gain,
        drive,
        **{"forget_bias" if name == "lstm" else "update_bias": keep_bias},
        samples=2,
        rng=1,
    )
    assert found.lyapunov.item() == pytest.approx(measured, abs=0.02)
    assert found.state_variance.item() == pytest.approx(power, rel=0.05)


def test_rest_is_exact():
    assert theory.lstm_spectrum(1.0, forget_bias=1.0).lyapunov.item() == pytest.approx(
        np.log(sigma(1.0) + 0.25)
    )
    assert theory.gru_spectrum(1.0).lyapunov.item() == pytest.approx(np.log(0.75))
    # continuous in the drive
    weak = theory.lstm_spectrum(1.0, 0.01, forget_bias=1.0, population=128, samples=2)
    assert weak.lyapunov.item() == pytest.approx(np.log(sigma(1.0) + 0.25), abs=0.02)


def test_untied_weights_miss_coherent_growth():
    tied, untied = (
        theory.lstm_spectrum(2.0, 1.0, forget_bias=1.0, weights=w, samples=2).lyapunov.item()
        for w in ("tied", "untied")
    )
    assert untied < tied - 0.1


def test_untied_gru_against_quadrature():
    """Gilboa et al. (2019): q = E[z^2] q + E[(1-z)^2] E[n^2], where the input of n is a Gaussian
    mixture over r."""
    gain, drive = 1.5, 1.0
    x, w = np.polynomial.hermite_e.hermegauss(60)
    w = w / w.sum()
    q = 0.1
    for _ in range(200):
        z = sigma(np.sqrt(gain**2 * q + drive**2) * x)
        spread = np.sqrt(drive**2 + z**2 * gain**2 * q)
        q = (w @ z**2) * q + (w @ (1 - z) ** 2) * (w @ np.tanh(spread[:, None] * x) ** 2 @ w)
    found = theory.gru_spectrum(gain, drive, weights="untied", samples=4)
    assert found.state_variance.item() == pytest.approx(q, rel=0.01)


def test_population_against_the_leaky_network():
    """The sampled method and the exact two-time equations agree where both apply."""

    def leaky_unit(x, recurrent, drive):
        x = 0.5 * x + 0.5 * dm.tanh(recurrent[0] + drive[0])
        return x, x

    fields = Fields(2.0, 0.5, (0.0,), (0.0,))
    found = [
        first_exponent(leaky_unit, fields, units=512, window=256, rng=seed)[0] for seed in range(3)
    ]
    assert np.mean(found) == pytest.approx(
        0.5 * leaky_exponent(2.0, 0.0, 0.5, 0.5)["lyapunov"], abs=0.006
    )


@pytest.mark.parametrize("name, unit", [("lstm", lstm_unit), ("gru", gru_unit)])
def test_units_obey_the_models_rule(name, unit):
    """One unit fed by its own fields is the model with one unit: the mean field solves the equation
    that is trained."""
    model = models.get(name, units=1, inputs=1, rng=3, bias_sd=0.5)
    state, u = np.array([0.3, -0.8])[: model.size], np.array([0.4])
    drive = (model.V @ u + model.b)[:, None]
    after, output = unit(state[-1:], (model.W * state[0]).reshape(-1, 1), drive)
    new = model.rule(state, u)
    assert new[-1] == pytest.approx(after[0], abs=1e-14) and new[0] == pytest.approx(
        output[0], abs=1e-14
    )


def test_twins_share_names_dims_and_units():
    """A prediction is subtracted from a measurement by labels alone."""
    model = models.get("lstm", units=5, rng=0, gain=0.5, forget_bias=1.0)
    measured = dm.lyapunov_spectrum(model, duration=2000, transient=500, rng=0)
    predicted = theory.lstm_origin_spectrum(model.W[10:15], forget_bias=1.0)
    for name in ("lyapunov", "lyapunov_error", "kaplan_yorke_dimension", "entropy_rate"):
        assert (
            predicted[name].dims == measured[name].dims
            and predicted[name].attrs["units"] == measured[name].attrs["units"]
        )
    assert abs(predicted.lyapunov - measured.lyapunov)[:5].max() < 5e-3


def test_shut_gates_have_no_critical_gain():
    assert (
        theory.lstm_origin(1.0, input_bias=-1e3).critical_gain
        == np.inf
        == theory.gru_origin(1.0, reset_bias=-1e3).critical_gain
    )


def test_seeds_repeat():
    a, b, c = (
        theory.gru_spectrum(1.0, 1.0, population=48, samples=2, rng=seed) for seed in (5, 5, 6)
    )
    assert a.identical(b) and a.lyapunov.item() != c.lyapunov.item()


@pytest.mark.parametrize(
    "call, error, advice",
    [
        (lambda: theory.gate_time_scale(1.0), ValueError, "between 0 and 1"),
        (lambda: theory.chrono_bias(1.0), ValueError, "T > 1"),
        (lambda: theory.chrono_bias("a"), ValueError, "time = 'a': pass real numbers"),
        (lambda: theory.gate_time_scale(None), ValueError, "forget = None"),
        (lambda: theory.zero_weight_gru_spectrum(3, "a"), ValueError, "update_bias = 'a'"),
        (lambda: theory.lstm_origin(np.eye(2)), ValueError, "gain has shape"),
        (lambda: theory.gru_origin(1.0, reset_bias=None), ValueError, "reset_bias = None"),
        (lambda: theory.lstm_spectrum("a"), ValueError, "gain = 'a'"),
        (lambda: theory.lstm_spectrum(1e200), ValueError, "pass a smaller gain, at most 1000"),
        (lambda: theory.gru_spectrum(1.0, 1e200), ValueError, "pass a smaller input_sd"),
        (lambda: theory.zero_weight_lstm_spectrum(3, [0.0, 1.0]), ValueError, "vector of 3"),
        (lambda: theory.lstm_origin(-1.0), ValueError, "at least 0"),
        (lambda: theory.lstm_origin(1.0, forget_bias=np.nan), NotFiniteError, "forget_bias"),
        (lambda: theory.gru_origin_spectrum(np.ones((2, 3))), ShapeError, "square"),
        (lambda: theory.lstm_spectrum(0.0, 1.0), ValueError, "above 0"),
        (lambda: theory.lstm_spectrum(1e6, 1.0), ValueError, "saturates"),
        (lambda: theory.gru_spectrum(1.0, 1.0, weights="frozen"), ValueError, "tied or untied"),
        (lambda: theory.gru_spectrum(1.0, -1.0), ValueError, "input_sd"),
    ],
)
def test_errors_say_what_to_do(call, error, advice):
    with pytest.raises(error, match=advice):
        call()
