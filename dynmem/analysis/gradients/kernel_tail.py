"""How a kernel ends: by an exponential, by a power law, at a last lag, or undecided by the lags at
hand."""

import numpy as np

from ...errors import NotFiniteError
from ...labels import dataset
from ...linear import LinearSystem
from ...runtime.validation import integer
from ..convergence import standard_error
from .gradient_profile import gradient_profile
from .memory_horizon import forgetting

SOURCE = (
    "least squares on the logarithm, judged by extrapolation; on mistaking the laws: "
    "Clauset, Shalizi and Newman (2009), SIAM Rev. 51, 661"
)
# a law is chosen where its misfit beyond the fit is this many times smaller than the other's
CLEAR = 2.0


def kernel_tail(kernel, u=None, *, of="input", least=None, lags=None, **options):
    """The law of a kernel's tail: exponential exp(-rate lag), power law lag^-power, finite, none
    (it does not fall), or undecided.

    Both laws are fitted to the logarithm over the earlier half of the lags from ``least`` on, and
    foretell the later half: the one whose misfit there is at least twice smaller is the law; with
    neither, the law is "undecided". Where the kernel oscillates, the fits see its peaks (local
    maxima that no later lag exceeds), else every lag. A sum of many exponentials is a power law up
    to the longest of their times: what is said holds from ``least`` to ``greatest``, not beyond.

    Parameters: kernel, an array (lags,) or (lags, outputs, inputs); a discrete LinearSystem with
    ``lags``, the largest lag; a Dataset of ``gradient_norms`` or ``gradient_profile`` (``of``
    "input" or "state"); or a model for which ``gradient_profile`` is made with u, ``lags`` and the
    options. least: the first lag of the tail, default a tenth of the largest.

    Returns a Dataset: law, rate (1/step) with rate_error, time_constant (1/rate, step), power with
    power_error, misfit_exponential and misfit_power (root mean squares of the logarithm over the
    later half), support (the lag from which the kernel is 0, else inf), greatest. Raises ValueError
    where fewer than six lags are left, NotFiniteError for a kernel that holds NaN.

    >>> [str(kernel_tail(k).law.values) for k in (0.9 ** np.arange(100), 1 / np.arange(1.0, 100.0), np.eye(100)[3])]
    ['exponential', 'power law', 'finite']
    """
    lag, logs = _logarithms(kernel, u, of, lags, options)
    least = max(1.0, 0.1 * lag[-1]) if least is None else float(least)
    support = _support(lag, logs)
    found = {
        "law": "finite",
        "rate": np.inf,
        "rate_error": 0.0,
        "power": np.inf,
        "power_error": 0.0,
        "misfit_exponential": np.inf,
        "misfit_power": np.inf,
        "greatest": support - 1,
    }
    if not np.isfinite(support):
        found = _fitted(lag, logs, least)
    with np.errstate(divide="ignore"):
        time = float(np.divide(1.0, found["rate"])) if found["rate"] > 0 else np.inf
    variables = {
        "law": ((), found["law"], "1", "law of the kernel's tail"),
        "rate": ((), found["rate"], "1/step", "rate of the exponential fitted to the tail"),
        "rate_error": ((), found["rate_error"], "1/step", "standard error of the rate"),
        "time_constant": (
            (),
            time,
            "step",
            "lag over which the tail falls to 1/e, by the exponential",
        ),
        "power": ((), found["power"], "1", "exponent p of the power law lag^-p fitted to the tail"),
        "power_error": ((), found["power_error"], "1", "standard error of the exponent"),
        "misfit_exponential": (
            (),
            found["misfit_exponential"],
            "1",
            "misfit of ln |kernel| that the exponential leaves beyond its fit",
        ),
        "misfit_power": (
            (),
            found["misfit_power"],
            "1",
            "misfit of ln |kernel| that the power law leaves beyond its fit",
        ),
        "support": ((), support, "step", "lag from which the kernel is 0"),
        "greatest": ((), float(found["greatest"]), "step", "last lag that was seen"),
    }
    return dataset(
        variables, title="tail of a kernel", source=SOURCE, parameters={"least": least, "of": of}
    )


def _logarithms(kernel, u, of, lags, options):
    """Lags and the logarithms of the kernel's norm there."""
    if isinstance(kernel, LinearSystem):
        if lags is None:
            raise ValueError("the tail of a LinearSystem needs lags, the largest lag")
        kernel = kernel.kernel(integer("lags", lags, 5) + 1)
    elif not isinstance(kernel, (np.ndarray, list, tuple)):
        if lags is None and not hasattr(kernel, "data_vars"):
            raise ValueError(
                f"the tail of {type(kernel).__name__} needs lags, the largest lag; "
                "or pass a kernel as an array (lags, ...)"
            )
        made = (
            kernel
            if hasattr(kernel, "data_vars")
            else gradient_profile(kernel, u, lags=lags, **options)
        )
        name = f"log_{of}_gradient"
        if name not in made:
            raise ValueError(
                f"the Dataset holds no {name}: it has {', '.join(map(str, made.data_vars))}"
            )
        return made.lag.values.astype(float), made[name].values
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
        return np.arange(len(values), dtype=float), np.log(top) + 0.5 * np.log(
            np.maximum((ratio**2).sum(axis=1), 1.0)
        )


def _support(lag, logs):
    """The lag from which the kernel is 0 to the end, inf where it is not, or where it fell below
    what floats can hold."""
    alive = np.flatnonzero(logs > -np.inf)
    if not alive.size:
        return 0.0
    last = alive[-1]
    # e^-400: far from where doubles end
    ends = last < len(logs) - 1 and logs[last] - logs[alive].max() > -400
    return float(lag[last + 1]) if ends else np.inf


def _fitted(lag, logs, least):
    use = np.flatnonzero((lag >= least) & np.isfinite(logs))
    if len(use) < 6:
        raise ValueError(
            f"only {len(use)} lags from {least:g} on are not 0, of at least 6: ask "
            "for more lags, or for a smaller least"
        )
    later = np.maximum.accumulate(logs[::-1])[::-1]
    peaks = [
        i
        for i in use
        if 0 < i < len(logs) - 1 and logs[i - 1] <= logs[i] >= logs[i + 1] and logs[i] >= later[i]
    ]
    seen = np.array(peaks) if len(peaks) >= 6 else use
    early, late = np.array_split(seen, 2)
    half, whole_range = _law(lag[early], logs[early]), _law(lag[seen], logs[seen])
    x, y = lag[late], logs[late]
    straight, bent = (
        float(np.sqrt(np.mean((y - line) ** 2)))
        for line in (half["exponential"](x), half["power"](x))
    )
    law = (
        "exponential"
        if CLEAR * straight <= bent
        else "power law"
        if CLEAR * bent <= straight
        else "undecided"
    )
    law = "none" if whole_range["law"] == "none" else law
    return {
        "law": law,
        "rate": -whole_range["slope"],
        "rate_error": whole_range["slope_error"],
        "power": whole_range["exponent"],
        "power_error": float(
            standard_error(np.diff(np.log(lag[seen])), np.diff(logs[seen])[:, None])[0]
        ),
        "misfit_exponential": straight,
        "misfit_power": bent,
        "greatest": lag[seen[-1]],
    }


def _law(lag, logs):
    """The fits of ``forgetting`` as numbers and as functions of the lag."""
    variables = {"log_input_gradient": ("lag", np.append(0.0, logs), "1", "ln |kernel|")}
    coords = {"lag": ("lag", np.append(0.0, lag), "step", "lag")}
    fit = forgetting(
        dataset(variables, coords, title="kernel", source=SOURCE), of="input", least=lag[0]
    )
    slope, power = float(fit.slope), float(fit.power)
    middle, level = lag.mean(), logs.mean()
    return {
        "law": str(fit.law.values),
        "slope": slope,
        "slope_error": float(fit.slope_error),
        "exponent": power,
        "exponential": lambda x: level + slope * (x - middle),
        "power": lambda x: level - power * (np.log(x) - np.log(lag).mean()),
    }
