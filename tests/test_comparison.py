"""compare: theory, measurement and trained model, label by label."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.labels import dataset

W = np.diag([0.9, 0.5, 0.2])


@pytest.fixture(scope="module")
def measured():
    return dm.lyapunov_spectrum(dm.models.Linear(W), duration=300, transient=300)


def test_exact_theory_agrees(measured):
    result = dm.compare(dm.theory.linear_spectrum(W), measured, tolerance=1e-9)
    assert (result.verdict == "agree").all()
    np.testing.assert_allclose(result.error, 0.0, atol=1e-9)
    assert result.predicted.attrs["units"] == measured.lyapunov.attrs["units"]


def test_wrong_theory_differs(measured):
    assert (
        dm.compare(dm.theory.linear_spectrum(1.01 * W), measured, tolerance=1e-4).verdict
        == "differ"
    ).all()


def test_only_shared_labels_are_compared(measured):
    result = dm.compare(dm.theory.tanh_spectrum(0.9), measured, tolerance=0.1)
    assert result.sizes["exponent"] == 1 and result.verdict.item() == "agree"


def test_the_trained_model_is_a_third_variable(measured):
    trained = dm.lyapunov_spectrum(dm.models.Linear(0.5 * W), duration=100, transient=100)
    result = dm.compare(dm.theory.linear_spectrum(W), measured, trained, tolerance=1e-6)
    np.testing.assert_allclose(result.trained, np.log(0.5 * np.diag(W)), atol=1e-6)


def test_infinities_of_one_sign_agree_and_nan_is_undefined(measured):
    both = measured.assign(lyapunov=measured.lyapunov.copy(data=[np.log(0.9), -np.inf, np.nan]))
    theory = measured.assign(lyapunov=measured.lyapunov.copy(data=[np.log(0.9), -np.inf, 0.0]))
    assert dm.compare(theory, both, tolerance=1e-9).verdict.values.tolist() == [
        "agree",
        "agree",
        "undefined",
    ]


def test_gradients_compare_too():
    system = dm.models.Linear(W)
    result = dm.compare(
        dm.theory.gradient_norms(system, lags=50),
        dm.gradient_norms(system, lags=50),
        of="log_state_gradient",
        tolerance=1e-12,
    )
    assert (result.verdict == "agree").all() and result.sizes["lag"] == 51


def test_what_is_missing_is_named(measured):
    with pytest.raises(ValueError, match="predicted has no variable 'horizon'"):
        dm.compare(measured, measured, of="horizon")
    with pytest.raises(ValueError, match="share no label"):
        dm.compare(measured.assign_coords(exponent=[7, 8, 9]), measured)
    with pytest.raises(
        TypeError,
        match=r"predicted must be a Dataset of dm.theory or "
        r"dm.analysis, got float",
    ):
        dm.compare(0.1, measured)


def test_a_misspelt_argument_is_named(measured):
    with pytest.raises(TypeError, match="tolerances.*did you mean tolerance"):
        dm.compare(measured, measured, tolerances=0.1)


def made(value, units="step", error=0.0, **rest):
    """A Dataset of one number."""
    rows = {"horizon": ((), value, units, "horizon"), "horizon_error": ((), error, units, "error")}
    rows |= {name: ((), number, units, name) for name, number in rest.items() if name != "dt"}
    parameters = {"dt": rest["dt"]} if "dt" in rest else {}
    return dataset(rows, title="made", source="by hand", parameters=parameters)


def verdict(predicted, measured, **options):
    return dm.compare(predicted, measured, of="horizon", **options).verdict.item()


@pytest.mark.parametrize("factor", [np.exp(-2.0), 0.9, 0.98])
def test_a_memory_beyond_the_run_bounds_the_horizon(factor):
    """Predicted 0.5, 9.5 and 49.5 steps; measured infinite, at least 100."""
    system = dm.models.Linear(factor * np.eye(3))
    theory = dm.memory_horizon(dm.theory.gradient_norms(system, lags=100))
    measured = dm.memory_horizon(dm.models.Orthogonal.random(3, rng=0), lags=100)
    found = dm.compare(theory, measured, of="horizon")
    assert found.verdict == "differ" and np.isposinf(found.measured)
    assert found.error == pytest.approx(100 + 1 / np.log(factor))


@pytest.mark.parametrize(
    ("predicted", "measured", "expected"),
    [
        (made(150.0), made(np.inf, error=np.inf, horizon_lower_bound=100.0), "undecided"),
        (made(95.0, error=3.0), made(np.inf, error=np.inf, horizon_lower_bound=100.0), "undecided"),
        (made(80.0, error=3.0), made(np.inf, error=np.inf, horizon_lower_bound=100.0), "differ"),
        (made(np.inf), made(np.inf, horizon_lower_bound=100.0), "undecided"),
        (made(np.inf, horizon_lower_bound=100.0), made(50.0), "differ"),
        (made(3.0), made(0.0, horizon_upper_bound=4.0), "undecided"),
        (made(9.0), made(0.0, horizon_upper_bound=4.0), "differ"),
        (made(0.5), made(np.inf, error=np.inf), "differ"),
        (made(np.inf), made(0.5, error=np.inf), "differ"),
        (made(np.inf), made(np.inf), "agree"),
        (made(-np.inf), made(np.inf), "differ"),
        (made(0.5), made(0.7, error=np.inf), "undecided"),
        (made(0.5, error=0.1), made(0.7), "agree"),
        (made(0.5), made(0.7), "differ"),
        (made(np.nan), made(0.7), "undefined"),
    ],
)
def test_verdicts_on_bounds_infinities_and_errors(predicted, measured, expected):
    assert verdict(predicted, measured) == expected


def test_units_are_converted_or_refused():
    """Leak 0.25: exponents per unit of time, of which a step lasts a quarter."""
    assert verdict(made(2.0, "time unit", dt=0.25), made(8.0, "step")) == "agree"
    assert verdict(made(2.0, "time unit", dt=0.25), made(2.0, "step")) == "differ"
    assert verdict(made(1.0, "nats/step"), made(1 / np.log(2), "bits/step")) == "agree"
    assert verdict(made(2.0, "s"), made(2000.0, "ms")) == "agree"
    found = dm.compare(made(2.0, "step", dt=0.25, error=0.4), made(0.5, "time unit"), of="horizon")
    assert found.uncertainty == pytest.approx(0.1) and found.predicted.attrs["units"] == "time unit"
    for one, other, words in [
        ("1/time unit", "1/step", "the time of a step is not known"),
        ("1/step", "step", "not units of one kind"),
        ("metre", "step", "no conversion is known"),
    ]:
        with pytest.raises(ValueError, match=f"predicted horizon is in '{one}'.*{words}"):
            verdict(made(1.0, one), made(1.0, other))


def test_the_time_scale_of_a_leaky_network_is_in_steps():
    system = dm.models.Linear(np.diag([0.5, 0.5]), leak=0.25)
    slope = -1 / np.log(1 - 0.25 + 0.25 * 0.5)
    for found in (
        dm.theory.lyapunov_spectrum(system),
        dm.lyapunov_spectrum(system, duration=50),
    ):
        scale = dm.theory.time_scale(found).time_scale
        assert scale == pytest.approx(slope) and scale.attrs["units"] == "step"
    rest = dm.theory.time_scale(dm.theory.tanh_spectrum(0.5, leak=0.0)).time_scale
    assert rest == pytest.approx(2.0) and rest.attrs["units"] == "time unit"
    with pytest.raises(ValueError, match="per step already"):
        dm.theory.time_scale(dm.theory.tanh_spectrum(0.5), dt=0.5)


def test_the_slowest_mode_is_a_time_scale_and_the_fall_to_1_over_e_a_horizon():
    cell = dm.models.get("lru", units=8, inputs=2, modes=16, r_min=0.9, r_max=0.999, rng=0)
    scale = dm.theory.lyapunov_spectrum(cell).time_scale
    horizon = dm.memory_horizon(cell, lags=600).horizon
    assert not hasattr(cell, "horizon") and scale > 2 * horizon
    assert scale.attrs["units"] == horizon.attrs["units"] == "step"


@pytest.mark.parametrize(
    ("model", "units", "drive"),
    [("tanh", 16, 0.5), ("tanh", 64, 0.5), ("orthogonal", 32, 1.0)],
)
def test_theory_of_many_units_agrees_with_a_network_of_few(model, units, drive):
    options = {"nonlinearity": "tanh"} if model == "orthogonal" else {"gain": 0.9}
    network = dm.models.get(model, units=units, inputs=4, rng=3, **options)
    measured = dm.lyapunov_spectrum(network, drive=drive, duration=600, exponents=1)
    found = dm.compare(dm.theory.lyapunov_spectrum(network, drive=drive), measured)
    assert found.verdict == "agree"
    assert found.finite_size_error == pytest.approx(0.5 / np.sqrt(units))
    assert f"the network has {units}" in found.attrs["note"]
    off = measured.assign(lyapunov=measured.lyapunov + 4 * found.uncertainty.values)
    assert dm.compare(dm.theory.lyapunov_spectrum(network, drive=drive), off).verdict == "differ"


def test_gates_at_rest_scatter_by_the_share_that_is_recurrent():
    network = dm.models.get("gru", units=16, inputs=2, rng=0, gain=1.0)
    theory = dm.theory.lyapunov_spectrum(network)
    measured = dm.lyapunov_spectrum(network, np.zeros(16), duration=200, transient=200)
    found = dm.compare(theory, measured)
    share = 1 - 0.5 / float(theory.spectral_radius)
    assert found.finite_size_error == pytest.approx(0.5 * share / 4)
    assert found.verdict == "agree"


def test_the_scatter_of_an_unknown_number_of_units_is_not_counted(measured):
    found = dm.compare(dm.theory.tanh_spectrum(0.9), measured.assign_attrs(parameters="{}"))
    assert "not known" in found.attrs["note"] and found.finite_size_error == 0


def test_swapped_arguments_are_noticed(measured):
    theory = dm.theory.linear_spectrum(W)
    with pytest.raises(ValueError, match="lyapunov_spectrum and measured from .*swapped"):
        dm.compare(measured, theory)
    system = dm.models.Linear(W)
    run, law = dm.gradient_norms(system, lags=20), dm.theory.gradient_norms(system, lags=20)
    with pytest.raises(ValueError, match="swapped"):
        dm.compare(run, law, of="log_state_gradient")
    with pytest.raises(ValueError, match="swapped"):
        dm.compare(dm.memory_horizon(run), dm.memory_horizon(law), of="horizon")
    assert (dm.compare(measured, measured).verdict == "agree").all()
