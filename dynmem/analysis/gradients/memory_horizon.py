"""How long a memory lasts, and by which law it fades."""

import numpy as np

from ...labels import dataset
from ..convergence import standard_error
from .gradient_norms import gradient_norms

SOURCE = "e-folding lag of gradient norms; laws compared by least squares"


def memory_horizon(gradients, u=None, *, of="state", **options):
    """The lag, in steps, at which a gradient has fallen to 1/e of its value at lag 0, with its
    error.

    ``gradients`` is a Dataset of ``gradient_norms``, or a system, for which it is made with ``u``
    and the options. ``of`` is "state" or "input". The crossing is interpolated; its error comes
    from the standard error of the logarithm where there are samples, and from the scatter of the
    slope otherwise. Infinite where the gradient does not fall to 1/e within the lags: ``reached``
    is then False and ``lower_bound`` is the largest lag.

    >>> import dynmem as dm
    >>> round(float(memory_horizon(dm.models.Linear(0.9 * np.eye(2)), lags=50).horizon), 4)
    9.4912
    """
    if not hasattr(gradients, "data_vars"):
        if "lags" not in options:
            raise TypeError(
                f"got {type(gradients).__name__}: pass a Dataset of gradient_norms, "
                "or a system with lags=, the largest lag to look at"
            )
        gradients = gradient_norms(gradients, u, **options)
    lags, logs, errors = _profile(gradients, of)
    fall = logs[0] - logs
    reached = bool((fall >= 1.0).any())
    horizon, error = np.inf, np.inf
    if reached:
        j = int(np.argmax(fall >= 1.0))
        a, b = fall[j - 1], fall[j]
        horizon = (
            lags[j - 1] + (lags[j] - lags[j - 1]) * (1.0 - a) / (b - a)
            if np.isfinite(b)
            else float(lags[j])
        )
        error = _crossing_error(lags, logs, errors, j, horizon)
    variables = {
        "horizon": ((), float(horizon), "step", "lag at which the gradient has fallen to 1/e"),
        "horizon_error": ((), float(error), "step", "standard error of the horizon"),
        "reached": ((), reached, "1", "whether the gradient fell to 1/e within the lags"),
        "lower_bound": (
            (),
            float(horizon if reached else lags[-1]),
            "step",
            "lag up to which the memory certainly lasts",
        ),
    }
    return dataset(variables, title=f"memory horizon, {of} gradient", source=SOURCE)


def _profile(gradients, of):
    name = f"log_{of}_gradient"
    if name not in gradients:
        raise ValueError(
            f"the Dataset holds no {name}: it has "
            f"{', '.join(map(str, gradients.data_vars))}; drive the system for "
            "'input'"
        )
    lags, logs = gradients.lag.values, gradients[name].values
    if lags[0] != 0 or len(lags) < 2:
        raise ValueError(
            "a horizon needs lag 0 and at least one more: ask gradient_norms for lags=N or [0, ...]"
        )
    if not np.isfinite(logs[0]):
        raise ValueError(
            f"the {of} gradient at lag 0 is {np.exp(logs[0])}: there is nothing to forget"
        )
    return (
        lags.astype(float),
        logs,
        gradients[f"{name}_error"].values if f"{name}_error" in gradients else None,
    )


def _crossing_error(lags, logs, errors, j, horizon):
    """Error of the crossing: that of the logarithm over the local slope, or of the mean slope times
    the horizon."""
    slope = (logs[0] - logs[j]) / (lags[j] - lags[0])
    if errors is not None:
        return errors[j] / slope if np.isfinite(slope) and slope > 0 else np.inf
    steps = np.diff(lags[: j + 1])
    rates = np.diff(logs[: j + 1]) / steps
    spread = (
        rates.std(ddof=1) / np.sqrt(len(rates))
        if len(rates) > 1 and np.isfinite(rates).all()
        else 0.0
    )
    return horizon * spread / slope if np.isfinite(slope) and slope > 0 else 0.0


def forgetting(gradients, *, of="state", least=None):
    """The law of forgetting over lags from ``least`` (default a tenth of the largest): exponential,
    power law, or none.

    Fits ln g = a + s lag and ln g = a - p ln lag by least squares and keeps the better; "none"
    where ln g varies by less than 0.1 over the range (an isometry). Returns a Dataset: ``law``,
    ``slope`` per step with ``slope_error`` (by blocks), ``power``, and ``residual_exponential``,
    ``residual_power`` (root mean squares).

    >>> import dynmem as dm
    >>> str(forgetting(gradient_norms(dm.models.Linear(0.9 * np.eye(2)), lags=100)).law.values)
    'exponential'
    """
    lags, logs, _ = _profile(gradients, of)
    least = max(1.0, 0.1 * lags[-1]) if least is None else least
    use = (lags >= least) & np.isfinite(logs)
    if use.sum() < 3:
        raise ValueError(
            f"only {int(use.sum())} finite gradients from lag {least} on: ask for more lags"
        )
    x, y = lags[use], logs[use]
    slope, straight = _fit(x, y)
    power, bent = _fit(np.log(x), y)
    law = "none" if np.ptp(y) < 0.1 else "exponential" if straight <= bent else "power law"
    error = standard_error(np.diff(x), np.diff(y)[:, None])[0]
    variables = {
        "law": ((), law, "1", "law of forgetting"),
        "slope": ((), slope, "1/step", "slope of ln g over the lag"),
        "slope_error": ((), error, "1/step", "standard error of the slope"),
        "power": ((), -power, "1", "exponent p of g ~ lag^-p"),
        "residual_exponential": ((), straight, "1", "root mean square residual of the exponential"),
        "residual_power": ((), bent, "1", "root mean square residual of the power law"),
    }
    return dataset(
        variables,
        title=f"law of forgetting, {of} gradient",
        source=SOURCE,
        parameters={"least": float(least)},
    )


def _fit(x, y):
    slope, offset = np.polyfit(x, y, 1)
    return float(slope), float(np.sqrt(np.mean((y - slope * x - offset) ** 2)))
