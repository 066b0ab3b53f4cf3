"""compare: theory, measurement and trained model, label by label."""

import numpy as np
import pytest

import dynmem as dm

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
