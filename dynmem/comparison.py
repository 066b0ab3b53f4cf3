"""Compare a prediction with a measurement, and with the same measurement of a trained model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from .labels import dataset, step_length, unit_factor
from .runtime.validation import number, public

if TYPE_CHECKING:
    from xarray import DataArray, Dataset


@public
def compare(
    predicted: Dataset,
    measured: Dataset,
    trained: Dataset | None = None,
    *,
    of: str = "lyapunov",
    tolerance: float = 0.0,
    sigmas: float = 3.0,
) -> Dataset:
    """Compare predicted and measured values of one variable, label by label.

    The Datasets come from twins, a function of ``dm.theory`` and the function of ``dm.analysis``
    that it predicts, which share names and coordinates; only labels that both have are compared, in
    the units of the measurement. A value agrees where

        |measured - predicted| <= sigmas * uncertainty + tolerance * max(1, |predicted|),

    and where both are infinite with one sign; it differs where one alone is infinite. Three errors
    make the uncertainty, as the root of the sum of their squares: of the measurement, of the
    prediction, and, where theory holds for infinitely many units, the scatter of a network of N
    units about it.

    A value may be a bound: a memory that outlasts a run of 100 lags has a horizon of at least 100.
    It differs from what it excludes, and is undecided about the rest.

    Parameters
    ----------
    predicted, measured : xarray.Dataset
        Results of ``dm.theory`` and ``dm.analysis``.
    trained : xarray.Dataset, optional
        The same analysis of a trained model, stored next to the other two.
    of : str
        Name of the variable. Of either Dataset are read: ``of`` + "_error", its standard error (0
        if there is none); ``of`` + "_lower_bound" and "_upper_bound", where these are not the value
        itself; of the prediction ``of`` + "_scatter", the scatter of one network times sqrt(N).
    tolerance : float
        Deviation allowed besides the standard errors, relative to the prediction above 1.
    sigmas : float
        Number of standard errors allowed.

    Returns
    -------
    xarray.Dataset
        predicted : (as the variable), its units
            Predicted values.
        measured : (as the variable), its units
            Measured values.
        error : (as the variable), its units
            Measured minus predicted, of a bound the bound itself.
        uncertainty : (as the variable), its units
            Standard error of that difference.
        finite_size_error : (as the variable), its units [optional]
            Its part that is due to the number of units; the attribute ``note`` has the number.
        verdict : (as the variable), 1
            "agree"; "differ"; "undecided" where a bound allows the other value, or the uncertainty
            is infinite; "undefined" where a value is NaN.
        trained : (as the variable), its units [optional]
            Values of the trained model.

    Raises
    ------
    TypeError
        If an argument is not a Dataset.
    ValueError
        If a Dataset lacks the variable, if the two share no label, if the units cannot be converted
        (steps to units of time need the parameter ``dt``), or if prediction and measurement are
        swapped.

    Examples
    --------
    >>> import dynmem as dm
    >>> W = np.diag([0.9, 0.5])
    >>> measured = dm.lyapunov_spectrum(dm.models.Linear(W), duration=200, transient=200)
    >>> found = dm.compare(dm.theory.linear_spectrum(W), measured, tolerance=1e-9)
    >>> found.verdict.values.tolist()
    ['agree', 'agree']
    """
    import xarray as xr

    given = {"predicted": predicted, "measured": measured}
    if trained is not None:
        given["trained"] = trained
    _check(given, of)
    tolerance = number("tolerance", tolerance, least=0)
    sigmas = number("sigmas", sigmas, least=0)
    units = measured[of].attrs.get("units", "1")
    converted = {name: _in_units(name, holder, of, units, given) for name, holder in given.items()}
    theory, value = xr.align(converted["predicted"], converted["measured"], join="inner")
    if 0 in theory.value.shape:
        raise ValueError(
            f"predicted and measured {of} share no label: compare the same lags or exponents"
        )
    finite_size, note = _finite_size(theory, predicted, measured, of)
    uncertainty = np.sqrt(theory.error**2 + value.error**2 + finite_size**2)
    size = np.abs(theory.value.where(np.isfinite(theory.value), 1.0))
    margin = sigmas * uncertainty + tolerance * np.maximum(1.0, size)
    long_name = measured[of].attrs.get("long_name", of)
    limits = f"{sigmas:g} standard errors and tolerance {tolerance:g}"
    rows = {
        "predicted": (theory.value, units, f"predicted {long_name}"),
        "measured": (value.value, units, f"measured {long_name}"),
        "error": (_less(value.known, theory.known), units, "measured minus predicted"),
        "uncertainty": (uncertainty, units, "standard error of measured minus predicted"),
        "verdict": (_verdict(theory, value, margin), "1", f"agreement within {limits}"),
    }
    if note:
        rows["finite_size_error"] = (finite_size, units, "scatter of a network of so many units")
    if trained is not None:
        of_trained = converted["trained"].value.reindex_like(value.value)
        rows["trained"] = (of_trained, units, f"{long_name} of the trained model")
    return _labelled(rows, value.value, predicted, measured, of, sigmas, tolerance, note)


def _check(given: dict[str, Dataset], of: str) -> None:
    """Raise where an argument is no Dataset of the variable, or the first two are swapped."""
    import xarray as xr

    for name, holder in given.items():
        if not isinstance(holder, xr.Dataset):
            raise TypeError(
                f"{name} must be a Dataset of dm.theory or dm.analysis, got {type(holder).__name__}"
            )
        if of not in holder:
            raise ValueError(
                f"{name} has no variable {of!r}: it has {', '.join(map(str, holder.data_vars))}"
            )
    first, second = (
        # what is read from gradients is as measured as they are
        given[name].attrs.get("gradients", given[name].attrs.get("function", ""))
        for name in ("predicted", "measured")
    )
    if first.startswith("dynmem.analysis") and second.startswith("dynmem.theory"):
        raise ValueError(
            f"predicted comes from {first} and measured from {second}: they are swapped, pass the "
            "prediction first"
        )


def _in_units(
    name: str, holder: Dataset, of: str, units: str, given: dict[str, Dataset]
) -> Dataset:
    """Value, error and bounds of a variable in these units, and ``known``: the value, or the finite
    bound where it is one."""
    own = holder[of].attrs.get("units", "1")
    steps = {step_length(one) for one in given.values()} - {None}
    try:
        factor = unit_factor(own, units, dt=steps.pop() if len(steps) == 1 else None)
    except ValueError as problem:
        raise ValueError(
            f"{name} {of} is in {own!r}, measured {of} in {units!r}: {problem}"
        ) from None
    value = holder[of] * factor

    def part(suffix: str, default: Any) -> DataArray:
        return holder[f"{of}_{suffix}"] * factor if f"{of}_{suffix}" in holder else default

    low, high = part("lower_bound", value), part("upper_bound", value)
    bound = (low < value) | (high > value)
    known = value.where(~bound, low.where(np.isfinite(low), high))
    error = part("error", 0.0 * value.fillna(0.0).where(np.isfinite(value), 0.0))
    entries = {
        "value": value,
        "low": low,
        "high": high,
        "bound": bound,
        "known": known,
        # a bound is sure, and infinity has no error
        "error": error.where(~bound & np.isfinite(value), 0.0),
        "scatter": part("scatter", 0.0 * error.where(np.isfinite(error), 0.0)),
    }
    return value.to_dataset(name="value").assign(entries)


def _less(a: DataArray, b: DataArray) -> DataArray:
    """a - b, 0 where both are infinite with one sign."""
    return (a - b).where(~((a == b) & np.isinf(a)), 0.0)


def _verdict(theory: Dataset, value: Dataset, margin: DataArray) -> DataArray:
    """Verdicts on two intervals [low, high], most of them points."""
    import xarray as xr

    gap = np.maximum(_less(value.low, theory.high), _less(theory.low, value.high))
    one_infinite = np.isposinf(gap)
    differ = (gap > margin) | one_infinite
    open_ended = theory.bound | value.bound | ~np.isfinite(margin)
    decided = xr.where(differ, "differ", xr.where(open_ended, "undecided", "agree"))
    return xr.where(np.isnan(gap) | np.isnan(margin), "undefined", decided)


def _finite_size(
    theory: Dataset, predicted: Dataset, measured: Dataset, of: str
) -> tuple[DataArray, str]:
    """Scatter of one network about the theory of infinitely many units, and a note with it."""
    if f"{of}_scatter" not in predicted:
        return 0.0 * theory.scatter, ""
    sizes = [json.loads(one.attrs.get("parameters", "{}")) for one in (measured, predicted)]
    units = next((one["units"] for one in sizes if isinstance(one.get("units"), int)), None)
    if units is None:
        return 0.0 * theory.scatter, (
            "theory holds for infinitely many units; the number of the network's units is not "
            "known, and its scatter is not counted"
        )
    error = theory.scatter / np.sqrt(units)
    return error, (
        f"theory holds for infinitely many units, the network has {units}: its scatter, up to "
        f"{float(error.max()):.2g}, counts as error"
    )


def _labelled(
    rows: dict[str, tuple],
    like: DataArray,
    predicted: Dataset,
    measured: Dataset,
    of: str,
    sigmas: float,
    tolerance: float,
    note: str,
) -> Dataset:
    variables = {
        name: (array.dims, array.values, unit, text) for name, (array, unit, text) in rows.items()
    }
    coords = {
        str(k): (c.dims, c.values, c.attrs.get("units", "1"), c.attrs.get("long_name", str(k)))
        for k, c in like.coords.items()
    }
    return dataset(
        variables,
        coords,
        title=f"comparison of {of}",
        source=f"{predicted.attrs.get('source', '')}; {measured.attrs.get('source', '')}",
        parameters={"sigmas": sigmas, "tolerance": tolerance},
        **({"note": note} if note else {}),
    )
