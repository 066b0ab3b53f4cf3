"""The law of a kernel's tail: exponential, power law, finite, or undecided at the lags given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import NotFiniteError
from ...labels import dataset
from ...linear import LinearSystem
from ...runtime.memory import require_memory
from ...runtime.validation import choice, integer, number, public
from ...system import System
from ...typing import ArrayLike, Drive
from ..convergence import standard_error
from .gradient_profile import gradient_profile
from .memory_horizon import forgetting

if TYPE_CHECKING:
    from torch.nn import Module
    from xarray import Dataset

SOURCE = (
    "least squares on the logarithm, judged by extrapolation; on mistaking the laws: "
    "Clauset, Shalizi and Newman (2009), SIAM Rev. 51, 661"
)
MIN_MISFIT_RATIO = 2.0  # of the other law's misfit beyond the fit to that of the law chosen
MIN_LAGS_FITTED = 6


@public
def kernel_tail(
    system: ArrayLike | LinearSystem | Dataset | System | Module,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = None,
    lags: int | None = None,
    of: str = "input",
    min_lag: float | None = None,
    **options: Any,
) -> Dataset:
    """Find the law of a kernel's tail: exponential, power law, finite, none, or undecided.

    Both laws, exp(-rate lag) and lag^-power, are fitted to the logarithm over the earlier half of
    the lags from ``min_lag`` on, and extrapolated to the later half: the one whose misfit there is
    at least twice smaller is the law; otherwise the law is "undecided". It is "finite" where the
    kernel is 0 from some lag on, and "none" where it does not fall. Where the kernel oscillates,
    its peaks are fitted (local maxima that no later lag exceeds), else every lag.

    Parameters
    ----------
    system : array_like, LinearSystem, xarray.Dataset, Map, Flow or torch.nn.Module
        A kernel (lags,) or (lags, outputs, inputs); a discrete LinearSystem with ``lags``; a result
        of ``gradient_norms`` or ``gradient_profile``; or a model for which ``gradient_profile``
        runs.
    x0 : array_like (n,), optional
        Start of that run.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Its input, as for ``gradient_profile``.
    lags : int, optional
        Largest lag, required for a system.
    of : {"input", "state"}
        Which gradient of a Dataset.
    min_lag : float, optional
        First lag of the tail; by default a tenth of the largest, at least 1.
    **options
        For ``gradient_profile``.

    Returns
    -------
    xarray.Dataset
        law : (), 1
            "exponential", "power law", "finite", "none" or "undecided".
        rate : (), 1/step
            Rate of the exponential.
        rate_error : (), 1/step
            Standard error.
        time_constant : (), step
            1/rate; infinite where the kernel does not fall.
        power : (), 1
            Exponent of the power law.
        power_error : (), 1
            Standard error.
        misfit_exponential : (), 1
            Root mean square misfit of the logarithm over the later half.
        misfit_power : (), 1
            The same for the power law.
        support : (), step
            Lag from which the kernel is 0; infinite where there is none.
        max_lag : (), step
            Last lag fitted.

    Raises
    ------
    ValueError
        If fewer than six lags are not 0, or ``lags`` is missing.
    NotFiniteError
        If the kernel holds NaN or infinity.

    Notes
    -----
    A sum of many exponentials is a power law up to the longest of their times: the law holds from
    ``min_lag`` to ``max_lag``, not beyond.

    References
    ----------
    Clauset, Shalizi and Newman (2009), SIAM Rev. 51, 661.

    Examples
    --------
    >>> import dynmem as dm
    >>> kernels = 0.9 ** np.arange(100), 1 / np.arange(1.0, 100.0), np.eye(100)[3]
    >>> [str(dm.analysis.kernel_tail(kernel).law.values) for kernel in kernels]
    ['exponential', 'power law', 'finite']
    """
    choice("of", of, ("input", "state"))
    lag, logs = _kernel_logarithms(system, x0, drive, lags, of, options)
    if min_lag is None:
        min_lag = max(1.0, 0.1 * lag[-1])
    min_lag, support = number("min_lag", min_lag, above=0), _support(lag, logs)
    fit = {
        "law": "finite",
        "rate": np.inf,
        "rate_error": 0.0,
        "power": np.inf,
        "power_error": 0.0,
        "misfit_exponential": np.inf,
        "misfit_power": np.inf,
        "max_lag": support - 1,
    }
    if not np.isfinite(support):
        fit = _fit_laws(lag, logs, min_lag)
    with np.errstate(divide="ignore"):
        time = float(np.divide(1.0, fit["rate"])) if fit["rate"] > 0 else np.inf
    beyond = "root mean square misfit of ln |kernel| beyond the fit,"
    variables = {
        "law": ((), fit["law"], "1", "law of the kernel's tail"),
        "rate": ((), fit["rate"], "1/step", "rate of the exponential fitted to the tail"),
        "rate_error": ((), fit["rate_error"], "1/step", "standard error of the rate"),
        "time_constant": ((), time, "step", "time constant of the exponential"),
        "power": ((), fit["power"], "1", "exponent p of the power law lag^-p fitted to the tail"),
        "power_error": ((), fit["power_error"], "1", "standard error of the exponent"),
        "misfit_exponential": ((), fit["misfit_exponential"], "1", f"{beyond} exponential"),
        "misfit_power": ((), fit["misfit_power"], "1", f"{beyond} power law"),
        "support": ((), support, "step", "lag from which the kernel is 0"),
        "max_lag": ((), float(fit["max_lag"]), "step", "last lag fitted"),
    }
    return dataset(
        variables,
        title="tail of a kernel",
        source=SOURCE,
        parameters={"min_lag": min_lag, "of": of},
    )


def _kernel_logarithms(system, x0, drive, lags, of, options):
    """Lags and the logarithms of the kernel's norm there."""
    if isinstance(system, LinearSystem):
        if lags is None:
            raise ValueError("the tail of a LinearSystem needs lags, the largest lag")
        lags = integer("lags", lags, 5)
        require_memory(
            8 * (lags + 1) * max(1, system.B.shape[1] * system.C.shape[0]),
            f"a kernel of lags = {lags}",
            "pass fewer",
        )
        return _array_logarithms(system.kernel(lags + 1))
    if isinstance(system, (np.ndarray, list, tuple)):
        return _array_logarithms(system)
    gradients = system
    if not hasattr(system, "data_vars"):
        if lags is None:
            raise ValueError(
                f"the tail of {type(system).__name__} needs lags, the largest lag; "
                "or pass a kernel as an array (lags, ...)"
            )
        gradients = gradient_profile(system, x0, drive=drive, lags=lags, **options)
    name = f"log_{of}_gradient"
    if name not in gradients:
        raise ValueError(
            f"the Dataset has no {name}: it has {', '.join(map(str, gradients.data_vars))}"
        )
    return gradients.lag.values.astype(float), gradients[name].values


def _array_logarithms(kernel):
    """The same of an array (lags, ...)."""
    values = np.asarray(kernel)
    if values.dtype.kind not in "biufc" or not values.ndim or not np.isfinite(values).all():
        raise NotFiniteError(
            f"the kernel must hold finite numbers, got {type(kernel).__name__} "
            f"of shape {values.shape}, dtype {values.dtype}"
        )
    sizes = np.abs(values).reshape(len(values), -1).astype(float)
    top = sizes.max(axis=1, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(top[:, None] > 0, sizes / top[:, None], 0.0)
        logs = np.log(top) + 0.5 * np.log(np.maximum((ratio**2).sum(axis=1), 1.0))
    return np.arange(len(values), dtype=float), logs


def _support(lag, logs):
    """Lag from which the kernel is 0 to the end; inf where it is not, or where it underflowed."""
    alive = np.flatnonzero(logs > -np.inf)
    if not alive.size:
        return 0.0
    last = alive[-1]
    # a fall of e^400 and more is taken for underflow
    ends = last < len(logs) - 1 and logs[last] - logs[alive].max() > -400
    return float(lag[last + 1]) if ends else np.inf


def _fit_laws(lag, logs, min_lag):
    """Both laws on the lags from ``min_lag`` on, and the one that extrapolates better."""
    use = np.flatnonzero((lag >= min_lag) & np.isfinite(logs))
    if len(use) < MIN_LAGS_FITTED:
        raise ValueError(
            f"only {len(use)} lags from {min_lag:g} on are not 0, of at least {MIN_LAGS_FITTED}: "
            "pass more lags, or a smaller min_lag"
        )
    fitted = _peaks(logs, use)
    early, late = np.array_split(fitted, 2)
    half, full = _law(lag[early], logs[early]), _law(lag[fitted], logs[fitted])
    x, y = lag[late], logs[late]
    exponential, power = (
        float(np.sqrt(np.mean((y - half[name](x)) ** 2))) for name in ("exponential", "power")
    )
    law = "undecided"
    if MIN_MISFIT_RATIO * exponential <= power:
        law = "exponential"
    elif MIN_MISFIT_RATIO * power <= exponential:
        law = "power law"
    steps, growth = np.diff(np.log(lag[fitted])), np.diff(logs[fitted])
    return {
        "law": "none" if full["law"] == "none" else law,
        "rate": -full["slope"],
        "rate_error": full["slope_error"],
        "power": full["exponent"],
        "power_error": float(standard_error(steps, growth[:, None])[0]),
        "misfit_exponential": exponential,
        "misfit_power": power,
        "max_lag": lag[fitted[-1]],
    }


def _peaks(logs, use):
    """Indices of the peaks of an oscillating kernel; all of them where peaks are few."""
    later = np.maximum.accumulate(logs[::-1])[::-1]
    inner = use[(use > 0) & (use < len(logs) - 1)]
    is_peak = (
        (logs[inner - 1] <= logs[inner])
        & (logs[inner] >= logs[inner + 1])
        & (logs[inner] >= later[inner])
    )
    return inner[is_peak] if is_peak.sum() >= MIN_LAGS_FITTED else use


def _law(lag, logs):
    """The fits of ``forgetting`` as numbers and as functions of the lag."""
    variables = {"log_input_gradient": ("lag", np.append(0.0, logs), "1", "ln |kernel|")}
    coords = {"lag": ("lag", np.append(0.0, lag), "step", "lag")}
    kernel = dataset(variables, coords, title="kernel", source=SOURCE)
    fit = forgetting(kernel, of="input", min_lag=lag[0])
    slope, power = float(fit.slope), float(fit.power)
    middle, middle_log, level = lag.mean(), np.log(lag).mean(), logs.mean()
    return {
        "law": str(fit.law.values),
        "slope": slope,
        "slope_error": float(fit.slope_error),
        "exponent": power,
        "exponential": lambda x: level + slope * (x - middle),
        "power": lambda x: level - power * (np.log(x) - middle_log),
    }
