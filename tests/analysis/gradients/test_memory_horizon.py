"""Memory horizons and laws of forgetting: closed forms, then profiles of known shape, then
errors."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import forgetting, gradient_norms, memory_horizon
from dynmem.labels import dataset
from dynmem.models import LSTM, Linear, Orthogonal, Tanh


def profile(logs, lags=None, errors=None):
    """A Dataset like that of ``gradient_norms`` with the given logarithms."""
    lags = np.arange(len(logs)) if lags is None else lags
    variables = {"log_state_gradient": ("lag", np.asarray(logs, float), "1", "ln g")}
    if errors is not None:
        variables["log_state_gradient_error"] = ("lag", np.asarray(errors, float), "1", "error")
    return dataset(variables, {"lag": ("lag", lags, "step", "lag")}, title="made", source="by hand")


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(0.9, 9.4912216), (0.99, 99.4991625), (0.5, 1.442695), (0.2, 0.6213349)],
)
def test_geometric_forgetting(factor, expected):
    """-1/ln f, also from the rotation, which has one law in every direction."""
    assert expected == pytest.approx(-1 / np.log(factor), abs=1e-6)
    rotation = Orthogonal.random(4, rng=0).W
    for W in (factor * np.eye(3), factor * rotation):
        found = memory_horizon(Linear(W), lags=200)
        assert found.horizon == pytest.approx(-1 / np.log(factor), abs=1e-9) and found.reached
        assert (
            found.horizon_error < 1e-9
            and found.horizon_lower_bound == found.horizon
            and found.horizon.attrs["units"] == "step"
        )
    sparse = gradient_norms(Linear(factor * np.eye(2)), lags=[0, 3, 40, 400])
    assert memory_horizon(sparse).horizon == pytest.approx(-1 / np.log(factor), rel=1e-9)


def test_isometries_keep_everything():
    found = memory_horizon(Orthogonal.random(6, rng=0), lags=70)
    assert (
        found.horizon == np.inf
        and found.horizon_error == np.inf
        and not found.reached
        and found.horizon_lower_bound == 70
    )
    growing = memory_horizon(Linear(1.1 * np.eye(2)), x0=np.zeros(2), lags=20)
    assert growing.horizon == np.inf and not growing.reached


def test_horizon_of_a_memory_that_ends():
    """A shift register of three: the gradient is exactly 0 from lag 3 on."""
    found = memory_horizon(Linear(np.diag(np.ones(2), 1)), lags=10)
    assert found.horizon == 3 and found.reached and found.horizon_error == 0


def test_input_horizon_of_a_gate():
    """An LSTM of zero weights but for the candidate: d h_T / d u_(T-lag) falls as f^lag."""
    b = np.repeat([0.0, 2.0, 0.0, 0.0], 3)
    cell = LSTM(np.zeros((12, 3)), np.repeat([0.0, 0.0, 1.0, 0.0], 3)[:, None], b)
    found = memory_horizon(cell, drive=1e-9, of="input", lags=60, transient=0, x0=np.zeros(6))
    assert found.horizon == pytest.approx(-1 / np.log(1 / (1 + np.exp(-2.0))), rel=1e-6)


def test_error_from_samples():
    """The scatter over samples, over the slope; it covers the truth of independent runs."""
    cell = Tanh.random(20, 1, rng=0, gain=0.95)
    options = {"lags": 60, "samples": 8}
    found, again = (memory_horizon(cell, drive=0.3, rng=rng, **options) for rng in (1, 2))
    assert 0 < found.horizon_error < 1
    assert abs(found.horizon - again.horizon) < 5 * np.hypot(
        found.horizon_error, again.horizon_error
    )
    logs = -0.1 * np.arange(40)
    made = memory_horizon(profile(logs, errors=np.full(40, 0.05)))
    assert made.horizon == pytest.approx(10) and made.horizon_error == pytest.approx(0.5)
    rough = memory_horizon(profile(logs + 0.2 * np.random.default_rng(0).standard_normal(40)))
    assert rough.horizon_error == np.inf  # one run shows one end of one orbit


def test_crossing_is_the_first_one():
    found = memory_horizon(profile([0.0, -0.5, -1.5, -0.2, -2.0]))
    assert found.horizon == pytest.approx(1.5)


def test_laws_of_forgetting():
    lags = np.arange(401)
    exponential = forgetting(profile(-0.02 * lags))
    assert (
        exponential.law == "exponential"
        and exponential.slope == pytest.approx(-0.02)
        and exponential.residual_exponential < 1e-9
    )
    assert exponential.slope_error < 1e-9
    power = forgetting(profile(-1.5 * np.log1p(lags)), min_lag=40)
    assert (
        power.law == "power law"
        and power.power == pytest.approx(1.5, abs=0.02)
        and power.residual_power < power.residual_exponential
    )
    assert forgetting(profile(1e-3 * np.sin(lags))).law == "none"
    assert forgetting(gradient_norms(Orthogonal.random(5, rng=1), lags=100)).law == "none"
    noisy = forgetting(profile(-0.02 * lags + 0.3 * np.random.default_rng(0).standard_normal(401)))
    assert noisy.law == "exponential" and abs(noisy.slope + 0.02) < 5e-4 and noisy.slope_error > 0


def test_slope_is_the_first_exponent():
    cell = Tanh.random(30, rng=0, gain=0.8)
    law = forgetting(gradient_norms(cell, lags=2000))
    assert law.slope == pytest.approx(np.log(dm.spectral_radius(cell.W)), abs=2e-3)


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match="'input' needs a system with inputs"):
        memory_horizon(gradient_norms(Linear(np.eye(2)), lags=5), of="input")
    with pytest.raises(ValueError, match="needed at lag 0"):
        memory_horizon(gradient_norms(Linear(np.eye(2)), lags=[3, 5]))
    with pytest.raises(ValueError, match="needed at lag 0"):
        memory_horizon(Linear(np.eye(2)), lags=0)
    with pytest.raises(ValueError, match=r"input gradient at lag 0 is 0\.0"):
        memory_horizon(Tanh.zeros(3, 1), drive=0.1, lags=5, of="input")
    with pytest.raises(ValueError, match="only 0 finite gradients"):
        forgetting(gradient_norms(Linear(np.zeros((2, 2))), lags=20))
    with pytest.raises(TypeError, match=r"expected a dynmem (System|Map), got ndarray"):
        memory_horizon(np.eye(3), lags=5)
    with pytest.raises(
        TypeError, match="got Linear: pass a Dataset of gradient_norms, or a system with lags="
    ):
        memory_horizon(Linear(np.eye(2)))


@pytest.mark.parametrize(
    "cell",
    [
        Tanh.random(4, 2, rng=0, gain=0.3),
        Tanh.random(6, 2, rng=1, gain=0.9),
        LSTM.random(3, 2, rng=2, gain=2.0),
    ],
    ids=["falls before lag 2", "tanh", "lstm"],
)
def test_the_error_of_one_run_is_infinite_and_that_of_eight_covers(cell):
    """One run shows one end: the horizon differs from seed to seed by far more than the slope along
    it. With eight runs, one error holds the truth in two of three, two in nine of ten."""
    options = {"drive": 1.0, "lags": 12, "transient": 20}
    one = memory_horizon(cell, samples=1, **options)
    assert np.isfinite(one.horizon) and one.horizon_error == np.inf
    truth = memory_horizon(cell, samples=80, rng=99, **options)
    found = [memory_horizon(cell, rng=rng, **options) for rng in range(10)]
    off = np.array([abs(float(f.horizon - truth.horizon) / float(f.horizon_error)) for f in found])
    assert (off < 1).mean() > 0.4 and (off < 3).mean() >= 0.9


def test_where_the_jacobian_is_the_same_one_run_is_enough():
    """Linear systems, driven and at rest, and a network at its fixed point; not a bent one."""
    linear = Linear(np.array([[0.5, 0.4], [0.0, 0.8]]))
    assert memory_horizon(linear, np.ones(2), lags=30, samples=1).horizon_error == 0
    memory = dm.models.get("lru", units=3, inputs=2, modes=4)
    assert memory_horizon(memory, drive=1.0, lags=60, samples=1).horizon_error == 0
    rest = Tanh.random(5, rng=0, gain=0.5)
    assert memory_horizon(rest, np.zeros(5), lags=30, samples=1).horizon_error == 0
    assert memory_horizon(rest, np.ones(5), lags=30, transient=0, samples=1).horizon_error > 0
    # runs from one start without noise are one run
    assert memory_horizon(rest, np.ones(5), lags=30, transient=0, samples=4).horizon_error > 0


def test_the_gradient_that_is_there_is_read():
    gradients = gradient_norms(Tanh.random(4, 2, rng=0, gain=0.8), drive=0.5, lags=30, samples=3)
    only = gradients.drop_vars("log_state_gradient")
    assert memory_horizon(only).identical(memory_horizon(gradients, of="input"))
    assert memory_horizon(gradients).attrs["title"].endswith("state gradient")
    module = pytest.importorskip("torch").nn.RNN(2, 4, batch_first=True).double()
    assert memory_horizon(dm.gradient_profile(module, drive=0.5, lags=12)).horizon > 0
