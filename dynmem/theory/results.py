"""Predictions as Datasets of the same variables and dims as the measurements they are compared
with."""

import numpy as np

from ..analysis import kaplan_yorke
from ..labels import dataset


def lyapunov_report(
    exponents,
    *,
    title,
    source,
    parameters,
    per="1/step",
    lyapunov_error=None,
    seed=None,
    partial=False,
    **variables,
):
    """Dataset of a predicted spectrum, largest first, with its dimension and entropy rate.

    ``partial`` says that only the leading exponents are known: the two are NaN where these do not
    settle them. ``per`` is the unit of the exponents. Further variables are entries (dims, values,
    units, long_name).
    """
    exponents = np.sort(np.atleast_1d(np.asarray(exponents, float)))[::-1]
    error = (
        np.zeros_like(exponents)
        if lyapunov_error is None
        else np.atleast_1d(np.asarray(lyapunov_error, float))
    )
    entropy = float(exponents[exponents > 0].sum()) if not partial or exponents[-1] <= 0 else np.nan
    made = {
        "lyapunov": ("exponent", exponents, per, "predicted Lyapunov exponent"),
        "lyapunov_error": ("exponent", error, per, "numerical error of the prediction"),
        "kaplan_yorke_dimension": (
            (),
            float(kaplan_yorke(exponents, not partial)),
            "1",
            "Kaplan-Yorke dimension",
        ),
        "entropy_rate": ((), entropy, f"nats{per[1:]}", "sum of the positive exponents"),
    }
    coords = {
        "exponent": (
            "exponent",
            np.arange(1, exponents.size + 1),
            "1",
            "index of the exponent, largest first",
        )
    }
    return dataset(
        made | variables, coords, title=title, source=source, parameters=parameters, seed=seed
    )


def gradient_report(lags, log_gradient, *, title, source, parameters, **variables):
    """Dataset over lag of a predicted gradient d x_T / d x_(T - lag): root mean square singular
    value, and its logarithm."""
    log_gradient = np.asarray(log_gradient, float)
    with np.errstate(over="ignore"):  # the logarithm is there for those who need what overflows
        gradient = np.exp(log_gradient)
    made = {
        "log_state_gradient": (
            "lag",
            log_gradient,
            "nat",
            "logarithm of the rms singular value of d x_T / d x_(T-lag)",
        ),
        "state_gradient": ("lag", gradient, "1", "rms singular value of d x_T / d x_(T-lag)"),
    }
    coords = {"lag": ("lag", lags, "step", "lag")}
    return dataset(made | variables, coords, title=title, source=source, parameters=parameters)


def horizon_entry(rate, dt=1.0):
    """Memory horizon -1/lambda_1 in steps as a variable; infinite where the exponent is not
    negative."""
    with np.errstate(divide="ignore"):
        horizon = np.where(np.less(rate, 0), -1.0 / np.asarray(rate, float), np.inf) / dt
    return (), float(horizon), "step", "lag at which the gradient has fallen to 1/e"
