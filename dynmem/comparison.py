"""Theory, measurement and trained model side by side, with errors and a verdict."""

import numpy as np

from .labels import dataset


def compare(predicted, measured, trained=None, *, of="lyapunov", tolerance=0.0, sigmas=3.0):
    """Predicted against measured values of one variable, label by label.

    Both Datasets come from twins, a function of ``dm.theory`` and the one of ``dm.analysis`` that
    it predicts, so that they share names and coordinates; only labels that both hold are compared.
    ``trained``, the same analysis of a trained model, stands beside them. The verdict is "agree"
    where |measured - predicted| <= sigmas * (standard error of the measurement) + tolerance *
    max(1, |predicted|), "differ" elsewhere, and "undefined" where a value is NaN. Two infinities of
    one sign agree.

    Returns a Dataset: ``predicted``, ``measured``, [``trained``,] ``error`` (measured - predicted),
    ``uncertainty``, ``verdict``. Raises TypeError for anything but Datasets, ValueError where one
    lacks the variable, or where no label is shared.

    >>> import dynmem as dm
    >>> W = np.diag([0.9, 0.5])
    >>> measured = dm.lyapunov_spectrum(dm.models.Linear(W), duration=200, transient=200)
    >>> str(compare(dm.theory.linear_spectrum(W), measured, tolerance=1e-9).verdict.values[0])
    'agree'
    """
    import xarray as xr

    for name, holder in (("predicted", predicted), ("measured", measured), ("trained", trained)):
        if holder is not None and not isinstance(holder, xr.Dataset):
            raise TypeError(
                f"{name} must be a Dataset of dm.theory or dm.analysis, got {type(holder).__name__}"
            )
        if holder is not None and of not in holder:
            raise ValueError(
                f"{name} holds no variable {of!r}: it has {', '.join(map(str, holder.data_vars))}"
            )
    error_name = f"{of}_error"
    parts = [
        predicted[of],
        measured[of],
        measured[error_name] if error_name in measured else xr.zeros_like(measured[of]),
    ]
    theory, value, spread = xr.align(*parts, join="inner")
    if 0 in theory.shape:
        raise ValueError(
            f"predicted and measured {of} share no label: compare the same lags or exponents"
        )
    same = (theory == value) & np.isinf(theory)
    error = xr.where(same, 0.0, value - theory)
    bound = sigmas * spread + tolerance * np.maximum(
        1.0, np.abs(theory.where(np.isfinite(theory), 1.0))
    )
    verdict = xr.where(
        np.isnan(error), "undefined", xr.where(np.abs(error) <= bound, "agree", "differ")
    )
    units, long_name = measured[of].attrs.get("units", "1"), measured[of].attrs.get("long_name", of)
    rows = {
        "predicted": (theory, units, f"predicted {long_name}"),
        "measured": (value, units, f"measured {long_name}"),
        "error": (error, units, "measured less predicted"),
        "uncertainty": (spread, units, "standard error of the measurement"),
        "verdict": (
            verdict,
            "1",
            f"agreement within {sigmas:g} standard errors and tolerance {tolerance:g}",
        ),
    }
    if trained is not None:
        rows["trained"] = (
            trained[of].reindex_like(value),
            units,
            f"{long_name} of the trained model",
        )
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
