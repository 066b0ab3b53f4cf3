"""Label predictions: Datasets with the variables, dims and units of the analysis they predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import kaplan_yorke
from ..labels import dataset
from ..typing import ArrayLike
from .conversions import lag_of_rate

if TYPE_CHECKING:
    from xarray import Dataset


# sd over networks of N random units of their first exponent about its limit, times sqrt(N):
# measured at 16 to 64 units, tanh 0.13 to 0.8 (gain 0.5 to 3, at rest and driven), orthogonal tanh
# 0.1 to 0.3, LSTM and GRU 0.1 to 0.7 (gain 2 to 6); more where small networks fall into cycles
FINITE_SIZE_SCATTER = 0.5


def lyapunov_report(
    exponents: ArrayLike,
    *,
    title: str,
    source: str,
    parameters: Mapping,
    per: str = "1/step",
    lyapunov_error: ArrayLike | None = None,
    seed: Any = None,
    partial: bool = False,
    scatter: float = 0.0,
    **variables: Any,
) -> Dataset:
    """Dataset of a predicted spectrum, largest first, with its dimension and entropy rate.

    ``partial``: only the leading exponents are known, and dimension and entropy rate are NaN where
    these do not settle them. ``per`` is the unit of the exponents. ``scatter``: of one network
    about a theory of infinitely many units, times sqrt(units). Further variables are entries
    (dims, values, units, long_name).
    """
    values = np.sort(np.atleast_1d(np.asarray(exponents, float)))[::-1]
    error = (
        np.zeros_like(values)
        if lyapunov_error is None
        else np.atleast_1d(np.asarray(lyapunov_error, float))
    )
    entropy = float(values[values > 0].sum()) if not partial or values[-1] <= 0 else np.nan
    dimension = float(kaplan_yorke(values, not partial))
    predicted = {
        "lyapunov": ("exponent", values, per, "Lyapunov exponent"),
        "lyapunov_error": ("exponent", error, per, "standard error of the exponent"),
        "kaplan_yorke_dimension": ((), dimension, "1", "Kaplan-Yorke dimension"),
        "entropy_rate": ((), entropy, f"nats{per[1:]}", "entropy rate by Pesin's formula"),
    }
    if scatter:
        long_name = "scatter of the exponent over networks, times sqrt(units)"
        predicted["lyapunov_scatter"] = ("exponent", np.full(values.size, scatter), per, long_name)
    index = np.arange(1, values.size + 1)
    coords = {"exponent": ("exponent", index, "1", "index of the exponent, largest first")}
    return dataset(
        predicted | variables,
        coords,
        title=title,
        source=source,
        parameters=parameters,
        seed=seed,
    )


def gradient_report(
    lags: np.ndarray,
    log_gradient: ArrayLike,
    *,
    title: str,
    source: str,
    parameters: Mapping,
    scatter: float = 0.0,
    **variables: Any,
) -> Dataset:
    """Dataset over lag of a predicted gradient d state_T / d state_(T-lag): root mean square
    singular value, and its logarithm. ``scatter``: of the first exponent of one network about a
    theory of infinitely many units, a step, times sqrt(units)."""
    logs = np.asarray(log_gradient, float)
    with np.errstate(over="ignore"):  # the logarithm is there for those who need what overflows
        gradient = np.exp(logs)
    predicted = {
        "log_state_gradient": ("lag", logs, "1", "ln |d state_T / d state_(T-lag)|"),
        "state_gradient": ("lag", gradient, "1", "|d state_T / d state_(T-lag)|"),
    }
    if scatter:
        long_name = "scatter of ln |d state_T / d state_(T-lag)| over networks, times sqrt(units)"
        predicted["log_state_gradient_scatter"] = ("lag", scatter * lags, "1", long_name)
    return dataset(
        predicted | variables,
        lag_coordinate(lags),
        title=title,
        source=source,
        parameters=parameters,
    )


def lag_coordinate(lags: np.ndarray) -> dict[str, tuple]:
    """The coordinate of a Dataset over lags in steps."""
    return {"lag": ("lag", lags, "step", "lag")}


def time_scale_entry(rate: float, dt: float | None = 1.0) -> tuple:
    """The time scale -1/lambda_1 in steps of dt (None: in units of time), as a variable; infinite
    where lambda_1 >= 0."""
    scale = lag_of_rate(rate) / (dt or 1.0)
    return (), float(scale), "step" if dt else "time unit", "time scale -1/lambda_1"
