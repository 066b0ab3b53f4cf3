"""Errors of every form of a state-space model over the length of the sequence and over the time constant, with the theory's budget."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

FORMS = {"recurrence": "recurrence, step by step", "convolution": "convolution by FFT", "run": "fast run (scan or blocks)",
         "textbook": "convolution, textbook kernel"}
MODELS = {"s4d": "S4D, zero-order hold", "s4d_bilinear": "S4D, bilinear", "s4": "S4, bilinear"}
MARKS = {"recurrence": "o", "convolution": "s", "run": "^", "textbook": "x"}
NOTE = (
    "Largest error over the largest output, against the recurrence in double precision, for white noise. Upper row: over the length of the "
    "sequence, at a step of {step:g} (longest time constant {tau:.0f} steps). Colours: forms; filled: single, open: double precision. The forms of "
    "one precision agree with one another far better than single agrees with double: what is lost is the coefficient that was rounded, in "
    "every form alike. Lower row: at {longest} steps, over the time constant, which the step of the discretisation sets. Dashes: the budget, "
    "2^-24 (and 2^-53) times the time constant over sqrt(2), levelling off where the sequence is shorter; S4, whose modes are "
    "coupled and mostly faster than the slowest, stays below it. A time constant of a thousand steps costs three digits of seven."
)


def draw(results):
    """Figure of the study ``duality``."""
    at = results.max("seed")
    shown = at.step.values[np.argmin(np.abs(np.log(at.step.values / 0.01)))]
    note = NOTE.format(step=shown, tau=float(at.time_constant.sel(model="s4d", step=shown)), longest=int(at.length[-1]))
    with house_style():
        figure, axes = panels(len(MODELS), 2, title="One model in four forms: what each precision costs", note=note, width=3.9, height=3.0,
                              sharey=True)
        for column, (model, title) in enumerate(MODELS.items()):
            if model in at.model.values:
                _over(axes[column], at.sel(model=model, step=shown), "length", title)
                _over(axes[column + len(MODELS)], at.sel(model=model).isel(length=-1), "time_constant", "")
                axes[column].set(xlabel="length of the sequence (steps)")
                axes[column + len(MODELS)].set(xlabel="longest time constant (steps)")
        for axis in axes[:: len(MODELS)]:
            axis.set_ylabel("relative error")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", title="single (filled)\ndouble (open)")
        return figure


def _over(axis, errors, name, title):
    x = errors[name]
    for colour, (form, label) in zip(CYCLE, FORMS.items(), strict=False):
        for dtype in errors.dtype.values:
            if form == "recurrence" and dtype == "float64":
                continue  # the measure itself
            single = dtype == "float32"
            axis.loglog(x, errors.error.sel(form=form, dtype=dtype), MARKS[form] + "-", color=colour, lw=0.9, ms=4,
                        mfc=colour if single else "white", label=label if single else None)
    for scale in (1.0, 2.0**-29):
        axis.loglog(x, scale * errors.coefficient_error, "--", color="#555555", lw=1.3, label="budget" if scale == 1 else None)
    axis.set(title=title)
