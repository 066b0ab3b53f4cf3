"""Mean field of gated networks against independent plain-numpy simulation and closed forms."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import models, theory
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
        samples=1,
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
    weak = theory.lstm_spectrum(1.0, 0.01, forget_bias=1.0, population=128, samples=1)
    assert weak.lyapunov.item() == pytest.approx(np.log(sigma(1.0) + 0.25), abs=0.02)


def test_untied_weights_miss_coherent_growth():
    tied, untied = (
        theory.lstm_spectrum(
            2.0, 1.0, forget_bias=1.0, weights=w, population=128, samples=1
        ).lyapunov.item()
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
    found = theory.gru_spectrum(gain, drive, weights="untied", samples=2)
    assert found.state_variance.item() == pytest.approx(q, rel=0.01)


def test_population_against_the_leaky_network():
    """The sampled method and the exact two-time equations agree where both apply."""

    def leaky_unit(x, recurrent, drive):
        x = 0.5 * x + 0.5 * dm.tanh(recurrent[0] + drive[0])
        return x, x

    fields = Fields(2.0, 0.5, (0.0,), (0.0,))
    found = [
        first_exponent(leaky_unit, fields, units=512, window=256, rng=seed)[0] for seed in range(2)
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


def test_seeds_repeat():
    a, b, c = (
        theory.gru_spectrum(1.0, 1.0, population=48, samples=1, rng=seed) for seed in (5, 5, 6)
    )
    assert a.identical(b) and a.lyapunov.item() != c.lyapunov.item()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: theory.lstm_spectrum("a"), "gain = 'a'"),
        (lambda: theory.lstm_spectrum(0.0, 1.0), "gain = 0.0"),
        (lambda: theory.lstm_spectrum(1e6, 1.0), "pass a smaller gain, at most 1000"),
        (lambda: theory.gru_spectrum(1.0, 1e200), "pass a smaller input_sd"),
        (lambda: theory.gru_spectrum(1.0, -1.0), "input_sd = -1.0"),
        (lambda: theory.gru_spectrum(1.0, 1.0, weights="frozen"), "weights = 'frozen'"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(ValueError, match=text):
        call()
