"""What a precision costs a state-space model, and how closely its forms agree."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

FORMS = {
    "convolution": "convolution by FFT",
    "run": "fast run (scan or blocks)",
    "textbook": "convolution, textbook kernel",
}
MODELS = {"s4d": "S4D, zero-order hold", "s4d_bilinear": "S4D, bilinear", "s4": "S4, bilinear"}
NOTE = (
    "Largest distance over the largest output, for white noise of {longest} steps (upper row) and "
    "at a step of {step:g} (lower row). Red: the recurrence in single precision against double; "
    "dashes: the budget of a rounded coefficient, 2^-24 tau / sqrt(2) with tau the longest time "
    "constant, which for zero-order hold is 2 / step, levelling off for sequences shorter than "
    "tau. A time constant of a thousand steps costs three of seven digits, whatever the form. "
    "Blue: each form against the recurrence of its own precision, filled single, open double. The "
    "forms of S4D agree better than single agrees with double, since they start from the same "
    "rounded coefficients; the textbook kernel (crosses), which rounds others, is as far away as "
    "the precision itself, and so are the forms of S4, each of which rounds numbers of its own."
)


def draw(results):
    """Figure of the study ``duality``."""
    at = results.max("seed")
    shown = at.step.values[np.argmin(np.abs(np.log(at.step.values / 0.003)))]
    with house_style():
        figure, axes = panels(
            len(MODELS),
            2,
            title="One model in many forms: what each precision costs",
            note=NOTE.format(step=shown, longest=int(at.length[-1])),
            width=3.9,
            height=3.0,
            sharey=True,
        )
        for column, (model, title) in enumerate(MODELS.items()):
            above, below = axes[column], axes[column + len(MODELS)]
            above.set(title=title, xlabel="step of the discretisation (time units)")
            below.set(xlabel="length of the sequence (steps)")
            if model in at.model.values:
                _over(above, at.sel(model=model).isel(length=-1), "step")
                _over(below, at.sel(model=model, step=shown), "length")
        for axis in axes[:: len(MODELS)]:
            axis.set_ylabel("relative distance")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
        return figure


def _over(axis, at, name):
    axis.loglog(
        at[name],
        at.error.sel(form="recurrence", dtype="float32"),
        "o-",
        color=CYCLE[1],
        lw=2.0,
        label="single against double",
    )
    axis.loglog(
        at[name],
        at.coefficient_error,
        "--",
        color="#555555",
        label="budget of a rounded coefficient",
    )
    for mark, (form, label) in zip("s^x", FORMS.items(), strict=True):
        for dtype in at.dtype.values:
            single = dtype == "float32"
            axis.loglog(
                at[name],
                at.gap.sel(form=form, dtype=dtype),
                mark + "-",
                color=CYCLE[0] if single else "#7fb3d0",
                lw=0.9,
                ms=4.5,
                mfc=CYCLE[0] if single else "white",
                label=f"{label}, {'single' if single else 'double'}",
            )
