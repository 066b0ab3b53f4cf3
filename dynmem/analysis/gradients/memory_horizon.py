"""How long a memory lasts, and by which law gradients fall."""

from __future__ import annotations

import json
import math
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
SAMPLES = 8  # runs from which a horizon and its error are taken
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

    The crossing is interpolated between lags. One run shows one end of one orbit: its error is
    known where the Jacobian is the same along the orbit, and infinite elsewhere, so that a system
    is run ``samples`` = 8 times unless told otherwise. (The slowest mode's -1/lambda_1 is a time
    scale, ``dm.theory.time_scale``: the two agree where the gradient is exp(lambda_1 lag) from the
    start.)

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
            Error that covers in 68 % (by Student's t for the number of samples): that of the
            logarithm over its slope there; infinite where it is not known.
        horizon_scatter : (), step [optional]
            Of a prediction for infinitely many units: the scatter of one network, times sqrt(N).
        reached : (), 1
            Whether the gradient fell to 1/e within the lags.
        horizon_lower_bound : (), step
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
    horizon, error, scatter = np.inf, np.inf, np.inf
    scatters = gradients.get(f"log_{of}_gradient_scatter")
    if reached:
        j = int(np.argmax(fall >= 1.0))
        share = (1.0 - fall[j - 1]) / (fall[j] - fall[j - 1]) if np.isfinite(fall[j]) else 1.0
        horizon = lags[j - 1] + (lags[j] - lags[j - 1]) * share
        samples = json.loads(gradients.attrs.get("parameters", "{}")).get("samples", 1)
        error = _crossing_error(lags, fall, errors, j, share) * student_factor(samples)
        scatter = _crossing_error(
            lags, fall, None if scatters is None else scatters.values, j, share
        )
    bound = float(horizon if reached else lags[-1])
    variables = {
        "horizon": ((), float(horizon), "step", "lag at which the gradient has fallen to 1/e"),
        "horizon_error": ((), float(error), "step", "standard error of the horizon"),
        "reached": ((), reached, "1", "whether the gradient fell to 1/e within the lags"),
        "horizon_lower_bound": (
            (),
            bound,
            "step",
            "the horizon, or the largest lag if it is not reached",
        ),
    }
    if scatters is not None:
        long_name = "scatter of the horizon over networks, times sqrt(units)"
        variables["horizon_scatter"] = ((), float(scatter), "step", long_name)
    return dataset(
        variables,
        title=f"memory horizon, {of} gradient",
        source=SOURCE,
        parameters=json.loads(gradients.attrs.get("parameters", "{}")) | {"of": of},
        **{name: gradients.attrs[name] for name in ("seed",) if name in gradients.attrs},
        gradients=gradients.attrs.get("function", "not known"),
    )


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
    return gradient_norms(system, x0, drive=drive, **({"samples": SAMPLES} | options))


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
    if error is not None:
        return lags.astype(float), logs, error.values
    exact = gradients.attrs.get("function", "").startswith("dynmem.theory")
    return lags.astype(float), logs, np.zeros(len(logs)) if exact else None


def _crossing_error(lags, fall, errors, j, share):
    """Error of the crossing, at this share of the way to the lag number j: that of the logarithm
    over its slope there. 0 where a gradient that varies nowhere ends."""
    if errors is None:
        return np.inf
    error = errors[j - 1] + share * (errors[j] - errors[j - 1])
    slope = (fall[j] - fall[j - 1]) / (lags[j] - lags[j - 1])
    if not np.isfinite(slope):
        return 0.0 if errors[j - 1] == 0.0 == errors[j] else np.inf
    return error / slope


def student_factor(samples: int) -> float:
    """Standard errors of a mean within which the truth lies in 68 %, for this many samples.

    >>> round(student_factor(3), 2)
    1.32
    """
    from scipy.stats import t

    return (
        float(t.ppf(0.5 * (1.0 + math.erf(1.0 / math.sqrt(2.0))), samples - 1))
        if samples > 1
        else 1.0
    )


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
