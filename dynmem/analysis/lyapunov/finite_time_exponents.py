"""Finite-time exponents: how the growth over a window scatters about its mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...drive import drive_name
from ...labels import dataset, describe_system
from ...orbits import steps_in
from ...runtime.memory import require_memory
from ...runtime.threads import one_thread
from ...runtime.validation import public
from ...system import System
from ...typing import ArrayLike, Drive, Rng
from ..convergence import certainty
from .tangent_orbit import rate_unit, start_orbit

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Grassberger, Badii and Politi (1988), J. Stat. Phys. 51, 135; Prasad and Ramaswamy "
    "(1999), Phys. Rev. E 60, 2761"
)
MIN_WINDOWS = 8  # from which a variance is still estimated


@public
def finite_time_exponents(
    system: System,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = None,
    duration: float,
    window: float,
    transient: float | None = None,
    dt: float | None = None,
    exponents: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Finite-time Lyapunov exponents: growth of each direction over a window, per unit of time.

    Their mean is the exponent, and where growth forgets its past their variance falls as 2 D /
    window (central limit; Grassberger et al. 1988). ``diffusion`` is that D, taken from windows
    that are merged 1, 2, 4 ... at a time: it is flat over ``merged_window`` once these are longer
    than the memory of the growth, and falls to 0 where the growth is bounded about its mean.

    Parameters
    ----------
    system : Map or Flow
        The system.
    x0 : array_like (n,), optional
        Start; by default ``system.initial(rng)``.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input, as in ``lyapunov_spectrum``.
    duration : float
        Time that is cut into windows, at least two of them.
    window : float
        Length of a window, in the system's unit.
    transient : float, optional
        Time before that; by default a tenth of the duration, at least 100 steps.
    dt : float, optional
        Runge-Kutta step of a Flow; chosen by its tangent map where none is given.
    exponents : int, optional
        How many directions; by default all n.
    rng : int or Generator, optional
        Seed.

    Returns
    -------
    xarray.Dataset
        finite_time_exponent : (sample, exponent), 1/step or 1/time unit
            Growth over consecutive windows, by the window.
        lyapunov : (exponent,), 1/step or 1/time unit
            Their mean.
        lyapunov_error : (exponent,), 1/step or 1/time unit
            Standard error of the mean.
        variance : (exponent,), 1/step^2 or 1/time unit^2
            Variance over windows.
        skewness, excess_kurtosis : (exponent,), 1
            Higher moments over windows; NaN where the variance is 0.
        skewness_error, kurtosis_error : (), 1
            Standard errors that Gaussian windows would have.
        positive_share : (exponent,), 1
            Share of windows in which the direction grows.
        diffusion : (merged_window, exponent), 1/step or 1/time unit
            Half the variance times the window.
        diffusion_error : (merged_window, exponent), 1/step or 1/time unit
            Standard error of the diffusion.

    Raises
    ------
    ValueError
        For a window of less than a step, or of more than half the duration.
    NotFiniteError
        Where the orbit is lost, with the step.

    References
    ----------
    Grassberger, Badii and Politi (1988), J. Stat. Phys. 51, 135; Prasad and Ramaswamy (1999), Phys.
    Rev. E 60, 2761.

    Examples
    --------
    >>> import dynmem as dm
    >>> linear = dm.models.Linear(np.diag([2.0, 0.5]))
    >>> found = dm.analysis.finite_time_exponents(linear, duration=100, window=10)
    >>> found.lyapunov.values.round(4).tolist(), bool(found.variance.max() < 1e-20)
    ([0.6931, -0.6931], True)
    """
    with one_thread():
        run, (skip, steps), times = start_orbit(
            system,
            x0,
            drive,
            rng,
            exponents=exponents,
            dt=dt,
            times={"transient": transient, "duration": duration},
        )
        length = steps_in(run.stepper, window, "window")
        if length < 1 or steps < 2 * length:
            raise ValueError(
                f"window = {window}: must be at least one step of {run.stepper.dt} "
                f"and at most half the duration {duration}"
            )
        numbers = steps * len(run.frame)  # factors of each step, and moments of each window
        require_memory(
            3 * 8 * numbers, f"the growth of {steps:.6g} steps", "pass a shorter duration"
        )
        run.advance(skip)
        growth = _growths(run, steps // length, length)
    window = length * abs(run.stepper.dt)
    rows, coords = _labels(growth, window, *rate_unit(run.system, run.stepper.dt))
    parameters = times | {"window": window, "drive": drive_name(drive), "dt": run.stepper.dt}
    note = "directions with growth -inf were lost: their moments are NaN"
    return dataset(
        rows,
        coords,
        title=f"finite-time exponents of {type(run.system).__name__}",
        source=SOURCE,
        seed=rng,
        parameters=describe_system(run.system) | parameters,
        **({"note": note} if np.isneginf(growth).any() else {}),
    )


def _growths(run, windows, length):
    """Growth (windows, k) of each direction over each window."""
    parts = []
    for _, _, factors in run.advance_blocks(windows * length):
        with np.errstate(divide="ignore"):
            parts.append(np.log(np.diagonal(factors, axis1=1, axis2=2)))
    return np.concatenate(parts).reshape(windows, length, -1).sum(axis=1)


def _labels(growth, window, per, unit):
    count, k = growth.shape
    values = growth / window
    with np.errstate(invalid="ignore"):
        mean, variance = values.mean(axis=0), values.var(axis=0, ddof=1)
        third, fourth = _shape(values - mean, variance)
        error = certainty(np.full(count, window), growth)[0]
        lengths, diffusion, diffusion_error = _diffusion(growth, window)
    rows = {
        "finite_time_exponent": (("sample", "exponent"), values, per, "growth over the window"),
        "lyapunov": ("exponent", mean, per, "mean growth"),
        "lyapunov_error": ("exponent", error, per, "standard error of the mean"),
        "variance": ("exponent", variance, f"{per}^2", "variance over windows"),
        "skewness": ("exponent", third, "1", "skewness over windows"),
        "skewness_error": (
            (),
            np.sqrt(6 / count),
            "1",
            "standard error of the skewness of Gaussian windows",
        ),
        "excess_kurtosis": ("exponent", fourth, "1", "kurtosis over windows, less 3"),
        "kurtosis_error": (
            (),
            np.sqrt(24 / count),
            "1",
            "standard error of the kurtosis of Gaussian windows",
        ),
        "positive_share": (
            "exponent",
            (values > 0).mean(axis=0),
            "1",
            "share of windows in which the direction grows",
        ),
        "diffusion": (
            ("merged_window", "exponent"),
            diffusion,
            per,
            "half the variance times the window",
        ),
        "diffusion_error": (
            ("merged_window", "exponent"),
            diffusion_error,
            per,
            "standard error of the diffusion",
        ),
    }
    coords = {
        "sample": ("sample", np.arange(count), "1", "window"),
        "time": ("sample", window * np.arange(1, count + 1), unit, "end of the window"),
        "exponent": ("exponent", np.arange(1, k + 1), "1", "index of the direction, fastest first"),
        "merged_window": ("merged_window", lengths, unit, "window after merging neighbours"),
    }
    return rows, coords


def _shape(deviations, variance):
    """Skewness and excess kurtosis; NaN where nothing but rounding varies."""
    sd = np.sqrt(variance)
    sd = np.where(sd > 1e-12 * (1.0 + np.abs(deviations).max(axis=0)), sd, np.nan)
    scaled = deviations / sd
    return (scaled**3).mean(axis=0), (scaled**4).mean(axis=0) - 3.0


def _diffusion(growth, window):
    """Half the variance times the window, (windows merged, k), for windows merged 1, 2, 4 ... at a
    time, with its standard error."""
    lengths, values, errors, width = [], [], [], 1
    while len(growth) // width >= MIN_WINDOWS or width == 1:
        used = len(growth) // width * width
        merged = growth[:used].reshape(-1, width, growth.shape[1]).sum(axis=1)
        value = 0.5 * merged.var(axis=0, ddof=1) / (width * window)
        lengths.append(width * window)
        values.append(value)
        errors.append(value * np.sqrt(2.0 / (len(merged) - 1)))
        width *= 2
    return np.array(lengths), np.array(values), np.array(errors)
