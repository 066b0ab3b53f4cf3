"""Compare a prediction with a measurement, and with the same measurement of a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .labels import dataset
from .runtime.validation import number, public

if TYPE_CHECKING:
    from xarray import Dataset


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
    that it predicts, which share names and coordinates; only labels that both have are compared.
    A value agrees where

        |measured - predicted| <= sigmas * (standard error) + tolerance * max(1, |predicted|),

    and where both are infinite with one sign.

    Parameters
    ----------
    predicted, measured : xarray.Dataset
        Results of ``dm.theory`` and ``dm.analysis``.
    trained : xarray.Dataset, optional
        The same analysis of a trained model, stored next to the other two.
    of : str
        Name of the variable; its standard error is ``of`` + "_error" of ``measured``, 0 if there is
        none.
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
            Measured minus predicted.
        uncertainty : (as the variable), its units
            Standard error of the measurement.
        verdict : (as the variable), 1
            "agree", "differ", or "undefined" where a value is NaN.
        trained : (as the variable), its units [optional]
            Values of the trained model.

    Raises
    ------
    TypeError
        If an argument is not a Dataset.
    ValueError
        If a Dataset lacks the variable, or if the two share no label.

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

    for name, holder in (("predicted", predicted), ("measured", measured), ("trained", trained)):
        if holder is not None and not isinstance(holder, xr.Dataset):
            raise TypeError(
                f"{name} must be a Dataset of dm.theory or dm.analysis, got {type(holder).__name__}"
            )
        if holder is not None and of not in holder:
            raise ValueError(
                f"{name} has no variable {of!r}: it has {', '.join(map(str, holder.data_vars))}"
            )
    tolerance = number("tolerance", tolerance, least=0)
    sigmas = number("sigmas", sigmas, least=0)
    error_name = f"{of}_error"
    theory, value, uncertainty = xr.align(
        predicted[of],
        measured[of],
        measured[error_name] if error_name in measured else xr.zeros_like(measured[of]),
        join="inner",
    )
    if 0 in theory.shape:
        raise ValueError(
            f"predicted and measured {of} share no label: compare the same lags or exponents"
        )
    same = (theory == value) & np.isinf(theory)
    error = xr.where(same, 0.0, value - theory)
    size = np.abs(theory.where(np.isfinite(theory), 1.0))
    bound = sigmas * uncertainty + tolerance * np.maximum(1.0, size)
    agreement = xr.where(np.abs(error) <= bound, "agree", "differ")
    verdict = xr.where(np.isnan(error), "undefined", agreement)
    units = measured[of].attrs.get("units", "1")
    long_name = measured[of].attrs.get("long_name", of)
    limits = f"{sigmas:g} standard errors and tolerance {tolerance:g}"
    rows = {
        "predicted": (theory, units, f"predicted {long_name}"),
        "measured": (value, units, f"measured {long_name}"),
        "error": (error, units, "measured minus predicted"),
        "uncertainty": (uncertainty, units, "standard error of the measurement"),
        "verdict": (verdict, "1", f"agreement within {limits}"),
    }
    if trained is not None:
        of_trained = trained[of].reindex_like(value)
        rows["trained"] = (of_trained, units, f"{long_name} of the trained model")
    variables = {
        name: (array.dims, array.values, unit, text) for name, (array, unit, text) in rows.items()
    }
    coords = {
        str(k): (c.dims, c.values, c.attrs.get("units", "1"), c.attrs.get("long_name", str(k)))
        for k, c in value.coords.items()
    }
    return dataset(
        variables,
        coords,
        title=f"comparison of {of}",
        source=f"{predicted.attrs.get('source', '')}; {measured.attrs.get('source', '')}",
        parameters={"sigmas": sigmas, "tolerance": tolerance},
    )
