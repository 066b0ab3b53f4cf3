"""Do recurrence, convolution and FFT give the same numbers, and what does each precision cost?

Theory: a state-space model is one linear map with many forms (Gu et al. 2022), which agree to
rounding. A coefficient rounded to a relative eps moves the response at lag j by j eps, and so the
whole output by about eps tau / sqrt(2), tau the time constant in steps; the rounding of each step
adds about eps sqrt(tau / 2). Measurement: the rule step by step in single precision against double;
and in either precision the convolution by FFT, the fast run (a compiled scan, or blocks of steps)
and the convolution with the kernel as textbooks write it, each against the recurrence of the same
precision.
"""

from dataclasses import replace

import numpy as np
import torch
import xarray as xr

import dynmem as dm
from dynmem.models.blockwise import causal_convolution
from dynmem.study import Study

MODELS = {
    "s4d": {"kind": "s4d"},
    "s4d_bilinear": {"kind": "s4d", "method": "bilinear"},
    "s4": {"kind": "s4"},
}
FORMS = ("recurrence", "convolution", "run", "textbook")
DTYPES = ("float32", "float64")


def measure(model, step, seed, modes, channels, longest):
    """One model at one step: errors of every form in both precisions, over the length of the
    sequence."""
    options = dict(MODELS[model])
    made = dm.models.get(
        options.pop("kind"),
        units=channels,
        inputs=channels,
        modes=modes,
        rng=seed,
        step_min=step,
        step_max=step,
        **options,
    )
    made = replace(made, D=np.zeros(channels))  # the direct feed-through has no error
    u = np.random.default_rng(seed).standard_normal((1, longest, channels))
    lengths = 2 ** np.arange(5, int(np.log2(longest)) + 1)
    errors, gaps = np.empty((2, len(FORMS), len(DTYPES), len(lengths)))
    recurrence = {dtype: outputs(made, "recurrence", dtype, u) for dtype in DTYPES}
    for d, dtype in enumerate(DTYPES):
        for f, form in enumerate(FORMS):
            whole = (
                recurrence[dtype]
                if form == "recurrence"
                else outputs(made, form, dtype, u)
                if form == "run"
                else None
            )
            for k, length in enumerate(lengths):
                y = (
                    outputs(made, form, dtype, u[:, :length])
                    if whole is None
                    else whole[:, :length]
                )
                errors[f, d, k], gaps[f, d, k] = (
                    distance(y, recurrence[name][:, :length]) for name in ("float64", dtype)
                )
    rate = -float(dm.theory.lyapunov_spectrum(made).lyapunov[0])
    budget = dm.theory.precision_budget(rate, lengths)
    return xr.Dataset(
        {
            "error": (
                ("form", "dtype", "length"),
                errors,
                {"units": "1", "long_name": "largest distance from the recurrence in double"},
            ),
            "gap": (
                ("form", "dtype", "length"),
                gaps,
                {
                    "units": "1",
                    "long_name": "largest distance from the recurrence in the same precision",
                },
            ),
            "coefficient_error": (
                "length",
                budget.coefficient_error.values,
                budget.coefficient_error.attrs,
            ),
            "step_error": ("length", budget.step_error.values, budget.step_error.attrs),
            "time_constant": (
                (),
                1 / rate,
                {"units": "step", "long_name": "longest time constant"},
            ),
        },
        {
            "form": ("form", list(FORMS)),
            "dtype": ("dtype", list(DTYPES)),
            "length": ("length", lengths, {"units": "step", "long_name": "length of the sequence"}),
        },
    )


def distance(y, truth):
    """Largest distance over the largest output."""
    return np.abs(y - truth).max() / np.abs(truth).max()


def outputs(model, form, dtype, u):
    """Outputs (1, T, H) in double precision, of one form computed in a given precision."""
    twin, u = dm.Trainable(model, dtype).twin(), torch.as_tensor(u, dtype=getattr(torch, dtype))
    with torch.no_grad():
        if form == "recurrence":
            y = twin.unroll(u.new_zeros(1, model.size), u)[0]
        elif form == "run":
            y = twin.run(u.new_zeros(1, model.size), u)[0]
        elif form == "convolution":
            y = twin.convolve(u)
        else:
            kernel = torch.as_tensor(textbook_kernel(model, u.shape[1], dtype))
            y = causal_convolution(kernel, u.mT).mT
    return y.double().numpy()


def textbook_kernel(model, length, dtype):
    """The kernel (H, length) as papers and their annotated code write it, every operation in one
    precision."""
    real, kind = np.dtype(dtype), np.result_type(dtype, np.complex64)
    step = np.exp(model.log_step).astype(real)[:, None]
    modes = (-np.exp(model.log_decay) + 1j * model.frequency).astype(kind)
    C = as_complex(model.C, kind)
    if isinstance(model, dm.models.S4D):
        if model.method == "zoh":
            a, b = np.exp(step * modes), (np.exp(step * modes) - 1) / modes
        else:
            a, b = (1 + step * modes / 2) / (1 - step * modes / 2), step / (1 - step * modes / 2)
        powers = np.exp(np.log(a)[..., None] * np.arange(length, dtype=real))
        return 2 * ((C * b)[..., None] * powers).sum(axis=1).real
    # (1 - A^length) in double, so that the remaining error is that of the kernel itself
    A, _, rows = model.matrices()
    rows = (rows[:, None] - rows[:, None] @ np.linalg.matrix_power(A, length))[:, 0].reshape(
        *C.shape, 2
    ) / 2
    C = as_complex(rows * [1, -1], kind)
    P, B = as_complex(model.P[:, 0], kind), as_complex(model.B, kind)
    modes, C, P, B = (np.concatenate((v, v.conj()), axis=1)[:, None] for v in (modes, C, P, B))
    z = np.exp(-2j * np.pi * np.arange(length) / length).astype(kind)
    g, c = 2 / step * (1 - z) / (1 + z), 2 / (1 + z)
    k00, k01, k10, k11 = (
        (v / (g[..., None] - modes)).sum(-1) for v in (C * B, C * P, P.conj() * B, P.conj() * P)
    )
    return np.fft.ifft(c * (k00 - k01 * k10 / (1 + k11))).real.astype(real)


def as_complex(pairs, kind):
    return (pairs[..., 0] + 1j * pairs[..., 1]).astype(kind)


def summary(results):
    """Table of errors at the longest sequence, by model and step, worst over seeds."""
    at = results.isel(length=-1).max("seed")
    rows = [
        f"at {int(results.length[-1])} steps, over the largest output: single against double "
        "precision, and each form against the "
        "recurrence of its own precision",
        f"{'model':>13} {'step':>7} {'tau':>6} | {'budget':>8} {'single':>8} | single: "
        f"{'convol.':>8} {'run':>8} {'textbook':>8} | double: "
        f"{'convol.':>8} {'run':>8} {'textbook':>8}",
    ]
    for model in results.model.values:
        for step in results.step.values:
            here = at.sel(model=model, step=step)
            single, double = (
                " ".join(
                    f"{float(here.gap.sel(form=form, dtype=dtype)):8.1e}" for form in FORMS[1:]
                )
                for dtype in DTYPES
            )
            lost = float(here.error.sel(form="recurrence", dtype="float32"))
            rows.append(
                f"{model:>13} {step:7.3f} {float(here.time_constant):6.0f} | "
                f"{float(here.coefficient_error):8.1e} {lost:8.1e} |         "
                f"{single} |         {double}"
            )
    return "\n".join(rows)


STUDY = Study(
    name="duality",
    question="Do recurrence, convolution and FFT give the same numbers, and what does each "
    "precision cost?",
    grid={"model": list(MODELS), "step": [0.001, 0.003, 0.01, 0.03, 0.1], "seed": [0]},
    settings={"modes": 64, "channels": 4, "longest": 8192},
    quick={"step": [0.01, 0.1], "modes": 16, "channels": 2, "longest": 512},
    units={
        "model": ("1", "model"),
        "step": ("1", "step of the discretisation"),
        "seed": ("1", "seed of model and input"),
    },
    limits={
        "model": list(MODELS),
        "step": (1e-6, 10.0),
        "seed": (0, None),
        "modes": (2, 1024),
        "channels": (1, 256),
        "longest": (32, 1_000_000),
    },
    source="Gu, Goel and Re (2022); Gu, Goel, Gupta and Re (2022)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
