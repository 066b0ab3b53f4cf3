"""How long a memory lasts, and by which law gradients fall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...labels import dataset
from ...runtime.validation import choice, number, public
from ...system import System
from ...typing import ArrayLike, Drive
from ..convergence import standard_error
from .gradient_norms import gradient_norms

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = "e-folding lag of gradient norms; laws compared by least squares"
MIN_FALL_NATS = 0.1  # of ln g over the lags fitted, below which gradients do not fall


@public
def memory_horizon(
    system: Dataset | System,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = None,
    of: str | None = None,
    **options: Any,
) -> Dataset:
    """Find the lag at which a gradient has fallen to 1/e of its value at lag 0.

    The crossing is interpolated between lags. (The slowest mode's -1/lambda_1 is a time scale,
    ``dm.theory.time_scale``: the two agree where the gradient is exp(lambda_1 lag) from the start.)

    Parameters
    ----------
    system : xarray.Dataset, Map or Flow
        A result of ``gradient_norms`` or ``gradient_profile``; or a system, for which
        ``gradient_norms`` runs.
    x0 : array_like (n,), optional
        Start of that run.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Its input, as for ``gradient_norms``.
    of : {"state", "input"}, optional
        Which gradient; by default that of the state where the Dataset has it, else of the input.
    **options
        For ``gradient_norms``; ``lags`` is required for a system.

    Returns
    -------
    xarray.Dataset
        horizon : (), step
            Lag at which the gradient has fallen to 1/e; infinite where it does not within the lags.
        horizon_error : (), step
            Standard error: from that of the logarithm where there are samples, otherwise from the
            scatter of the slope.
        reached : (), 1
            Whether the gradient fell to 1/e within the lags.
        lower_bound : (), step
            The horizon, or the largest lag where it is not reached.

    Raises
    ------
    TypeError
        If ``lags`` is missing for a system.
    ValueError
        If the Dataset has no such gradient, or not at lag 0.

    References
    ----------
    Bengio, Simard and Frasconi (1994), IEEE Trans. Neural Netw. 5, 157, for the gradient.

    Examples
    --------
    >>> import dynmem as dm
    >>> round(float(dm.memory_horizon(dm.models.Linear(0.9 * np.eye(2)), lags=50).horizon), 4)
    9.4912
    """
    gradients = _gradients(system, x0, drive, options)
    of = _which(gradients, of)
    lags, logs, errors = _logarithms(gradients, of)
    fall = logs[0] - logs
    reached = bool((fall >= 1.0).any())
    horizon, error = np.inf, np.inf
    if reached:
        j = int(np.argmax(fall >= 1.0))
        a, b = fall[j - 1], fall[j]
        horizon = float(lags[j])
        if np.isfinite(b):
            horizon = lags[j - 1] + (lags[j] - lags[j - 1]) * (1.0 - a) / (b - a)
        error = _crossing_error(lags, logs, errors, j, horizon)
    bound = float(horizon if reached else lags[-1])
    variables = {
        "horizon": ((), float(horizon), "step", "lag at which the gradient has fallen to 1/e"),
        "horizon_error": ((), float(error), "step", "standard error of the horizon"),
        "reached": ((), reached, "1", "whether the gradient fell to 1/e within the lags"),
        "lower_bound": ((), bound, "step", "the horizon, or the largest lag if it is not reached"),
    }
    return dataset(variables, title=f"memory horizon, {of} gradient", source=SOURCE)


def _gradients(system, x0, drive, options):
    """The Dataset given, or that of ``gradient_norms``."""
    if hasattr(system, "data_vars"):
        given = options | {"x0": x0, "drive": drive}
        unused = [name for name, value in given.items() if value is not None]
        if unused:
            raise TypeError(
                f"{', '.join(unused)}: belong to a run of gradient_norms, got its Dataset: leave "
                "them out"
            )
        return system
    if "lags" not in options:
        raise TypeError(
            f"got {type(system).__name__}: pass a Dataset of gradient_norms, "
            "or a system with lags=, the largest lag"
        )
    return gradient_norms(system, x0, drive=drive, **options)


def _which(gradients, of):
    """The gradient asked for, or the one that is there: that of the state, else of the input."""
    if of is not None:
        return choice("of", of, ("state", "input"))
    return "state" if "log_state_gradient" in gradients else "input"


def _logarithms(gradients, of):
    """Lags, logarithms of the gradient, and their errors or None."""
    name = f"log_{of}_gradient"
    if name not in gradients:
        raise ValueError(
            f"the Dataset has no {name}: it has "
            f"{', '.join(map(str, gradients.data_vars))}; 'input' needs a system with inputs"
        )
    lags, logs = gradients.lag.values, gradients[name].values
    if lags[0] != 0 or len(lags) < 2:
        raise ValueError(
            "the gradient is needed at lag 0 and at one more lag: pass lags=N or [0, ...] to "
            "gradient_norms"
        )
    if not np.isfinite(logs[0]):
        raise ValueError(f"the {of} gradient at lag 0 is {np.exp(logs[0])}: no fall is defined")
    error = gradients.get(f"{name}_error")
    return lags.astype(float), logs, None if error is None else error.values


def _crossing_error(lags, logs, errors, j, horizon):
    """Error of the crossing: that of the logarithm over the local slope, or of the mean slope times
    the horizon."""
    slope = (logs[0] - logs[j]) / (lags[j] - lags[0])
    if errors is not None:
        return errors[j] / slope if np.isfinite(slope) and slope > 0 else np.inf
    steps = np.diff(lags[: j + 1])
    rates = np.diff(logs[: j + 1]) / steps
    scatter = 0.0
    if len(rates) > 1 and np.isfinite(rates).all():
        scatter = rates.std(ddof=1) / np.sqrt(len(rates))
    return horizon * scatter / slope if np.isfinite(slope) and slope > 0 else 0.0


@public
def forgetting(
    gradients: Dataset, *, of: str | None = None, min_lag: float | None = None
) -> Dataset:
    """Fit the law by which a gradient g falls over the lag: exponential, power law, or none.

    ln g = a + slope lag and ln g = a - power ln lag are fitted by least squares to the lags from
    ``min_lag`` on, and the better is the law; "none" where ln g varies by less than 0.1 (an
    isometry).

    Parameters
    ----------
    gradients : xarray.Dataset
        A result of ``gradient_norms`` or ``gradient_profile``.
    of : {"state", "input"}, optional
        Which gradient; by default that of the state where the Dataset has it, else of the input.
    min_lag : float, optional
        By default a tenth of the largest lag, at least 1.

    Returns
    -------
    xarray.Dataset
        law : (), 1
            "exponential", "power law" or "none".
        slope : (), 1/step
            Slope of ln g over the lag.
        slope_error : (), 1/step
            Standard error, by blocks.
        power : (), 1
            Exponent p of g ~ lag^-p.
        residual_exponential : (), 1
            Root mean square residual of the exponential.
        residual_power : (), 1
            Root mean square residual of the power law.

    Raises
    ------
    ValueError
        If fewer than three gradients are finite from ``min_lag`` on.

    References
    ----------
    Clauset, Shalizi and Newman (2009), SIAM Rev. 51, 661, on mistaking the laws.

    Examples
    --------
    >>> import dynmem as dm
    >>> gradients = dm.gradient_norms(dm.models.Linear(0.9 * np.eye(2)), lags=100)
    >>> str(dm.analysis.forgetting(gradients).law.values)
    'exponential'
    """
    of = _which(gradients, of)
    lags, logs, _ = _logarithms(gradients, of)
    if min_lag is None:
        min_lag = max(1.0, 0.1 * lags[-1])
    min_lag = number("min_lag", min_lag, above=0)
    use = (lags >= min_lag) & np.isfinite(logs)
    if use.sum() < 3:
        raise ValueError(
            f"only {int(use.sum())} finite gradients from lag {min_lag:g} on, of at least 3: pass "
            "more lags"
        )
    x, y = lags[use], logs[use]
    slope, residual = _fit(x, y)
    power, power_residual = _fit(np.log(x), y)
    law = "exponential" if residual <= power_residual else "power law"
    law = "none" if np.ptp(y) < MIN_FALL_NATS else law
    error = standard_error(np.diff(x), np.diff(y)[:, None])[0]
    variables = {
        "law": ((), law, "1", "law of forgetting"),
        "slope": ((), slope, "1/step", "slope of ln g over the lag"),
        "slope_error": ((), error, "1/step", "standard error of the slope"),
        "power": ((), -power, "1", "exponent p of g ~ lag^-p"),
        "residual_exponential": ((), residual, "1", "root mean square residual of the exponential"),
        "residual_power": ((), power_residual, "1", "root mean square residual of the power law"),
    }
    return dataset(
        variables,
        title=f"law of forgetting, {of} gradient",
        source=SOURCE,
        parameters={"min_lag": min_lag},
    )


def _fit(x, y):
    """Slope and root mean square residual of a straight line."""
    slope, offset = np.polyfit(x, y, 1)
    return float(slope), float(np.sqrt(np.mean((y - slope * x - offset) ** 2)))
