"""How does a gradient fall with distance through recurrence, gates, convolution and attention?

Theory: a recurrence multiplies it at every step, exp(lambda_1 lag) with lambda_1 of the mean field
(Bengio et al. 1994; Sompolinsky et al. 1988; Can et al. 2020). Attention reaches every input in one
step, at the price of dilution: with scores of spread sigma = sharpness^2 the path through the
values carries exp(sigma^2/2)/t and the one through the scores sigma times that. Recurrence with
attention keeps a power law too (Kerg et al. 2020). Convolution reaches to the end of its receptive
field, exactly. Measurement: gradients of random networks under white noise, over the lag and of the
first input over the length of the sequence; the two paths through attention over the sharpness of
its scores; and the steps of the shortest path.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

MODELS = {  # name in the study: name of the model, and its options as a function of the longest lag
    "tanh": ("tanh", lambda lags: {"gain": 1.0}),
    "lstm": ("lstm", lambda lags: {"forget_bias": 1.0}),
    # its receptive field ends before the last lag
    "tcn": ("tcn", lambda lags: {"layers": max(1, int(np.log2(lags / 8 + 1))), "kernel": 3}),
    "attention": ("attention", lambda lags: {"window": lags + 1}),
    # equal weights, as in the theory
    "hybrid": (
        "hybrid",
        lambda lags: {"window": lags + 1, "gain": RECURRENT_GAIN, "sharpness": 0.0},
    ),
}
RECURRENT_GAIN = 0.7  # of the recurrent part of the hybrid
ANCHOR_LAG = 10  # lag at which the level of a slope is taken from the measurement
SHARPNESSES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
# samples of attention for one of the others: it is faster by this factor, and scatters more
ATTENTION_SAMPLE_FACTOR = 4


def build(model, units, lags, rng, **options):
    """A random model of the study, with as many inputs as units."""
    kind, given = MODELS[model]
    return dm.models.get(kind, units=units, inputs=units, rng=rng, **given(lags) | options)


def measure(model, seed, units, lags, samples):
    """One model: gradients over the lag, of the first input over the length, and paths; each with
    its theory."""
    runs = samples * (ATTENTION_SAMPLE_FACTOR if model == "attention" else 1)

    def gradients(wanted, **options):
        made = (build(model, units, lags, [seed, run], **options) for run in range(runs))
        return mean_square(
            [
                dm.analysis.attention_paths(system, drive=1.0, lags=wanted, rng=[seed, run])
                for run, system in enumerate(made)
            ]
        )

    profile, lengths = gradients(lags), np.unique(np.geomspace(4, lags + 1, 7).astype(int))
    rate = exponent(build(model, units, lags, [seed, 0]))
    result = xr.Dataset(
        {
            "gradient": profile.total_gradient,
            "predicted": (
                "lag",
                predicted(model, rate, profile.lag.values, lags + 1, profile.total_gradient.values),
            ),
            "first_gradient": (
                "length",
                [float(gradients([length - 1]).total_gradient[0]) for length in lengths],
            ),
            "predicted_first": (
                "length",
                [
                    predicted(model, rate, np.array([n - 1]), n, profile.total_gradient.values)[0]
                    for n in lengths
                ],
            ),
            # the same for any number of units
            "path_length": dm.analysis.path_length(build(model, 4, lags, 0), lags=lags).path_length,
        },
        {"length": lengths},
    )
    return labelled(
        xr.merge([result, over_sharpness(gradients if model == "attention" else None, lags)])
    )


def mean_square(runs):
    """Root mean square over runs, whose order has no meaning."""
    return np.sqrt((xr.concat(runs, "sample", combine_attrs="drop") ** 2).mean("sample"))


def exponent(system):
    """First exponent of the mean field, for one layer of units driven by independent noise; NaN
    where none is known."""
    try:
        return float(dm.theory.lyapunov_spectrum(system, drive=1.0).lyapunov[0])
    except (ValueError, TypeError, KeyError):
        return np.nan


def predicted(model, rate, lags, steps, measured):
    """Theory of the gradient at these lags, at the end of a sequence of ``steps``; NaN where there
    is none."""
    if model == "attention":
        return np.where(
            lags > 0,
            dm.theory.diluted_gradient([1], steps=max(steps, 2)).total_gradient.item(),
            np.nan,
        )
    if model == "hybrid":
        return dm.theory.hybrid_gradient(
            lags, steps=steps, gain=RECURRENT_GAIN
        ).input_gradient.values
    if model == "tanh":  # an input goes through phi' once more than through W, of gain 1
        return np.exp(rate * (lags + 1.0))
    anchor = min(ANCHOR_LAG, len(measured) - 1)
    return measured[anchor] * np.exp(rate * (lags - anchor))


def over_sharpness(gradients, lags):
    """Direct path and path through the scores of attention over its sharpness, times the number of
    slots; NaN for other models."""
    parts = ("direct_gradient", "score_gradient")
    measured, theory = np.full((2, 2, len(SHARPNESSES)), np.nan)
    for i, sharpness in enumerate(SHARPNESSES if gradients else ()):
        found, known = (
            gradients(lags, sharpness=sharpness),
            dm.theory.diluted_gradient([1], steps=lags + 1, sharpness=sharpness),
        )
        measured[:, i] = [
            (lags + 1) * float(np.sqrt((found[name][1:] ** 2).mean())) for name in parts
        ]
        if sharpness**2 <= known.largest_spread:
            theory[:, i] = [(lags + 1) * known[name].item() for name in parts]
    values = {
        "direct": measured[0],
        "score": measured[1],
        "predicted_direct": theory[0],
        "predicted_score": theory[1],
    }
    return xr.Dataset(
        {name: ("sharpness", value) for name, value in values.items()},
        {"sharpness": list(SHARPNESSES)},
    )


def labelled(result):
    """The Dataset with units and long names."""
    names = {
        "gradient": "|d y_T / d u_(T-lag)|",
        "predicted": "theory of it",
        "first_gradient": "|d y_T / d u_1|",
        "predicted_first": "theory of it",
        "direct": "number of slots times the gradient through the values",
        "score": "the same through the scores",
        "predicted_direct": "theory of it",
        "predicted_score": "theory of it",
    }
    for name, text in names.items():
        result[name].attrs = {"units": "1", "long_name": text}
    result.length.attrs = {"units": "step", "long_name": "length of the sequence"}
    result.sharpness.attrs = {"units": "1", "long_name": "sharpness s; scores have spread s^2"}
    return result


def summary(results):
    """Table by model: gradient at a few lags with theory, and steps of the shortest path to the
    last, over seeds."""
    lags = [lag for lag in (1, 10, 30, 100, 200) if lag <= int(results.lag.max())]
    rows = [
        f"{'model':>10}" + "".join(f"{f'lag {lag}':>21}" for lag in lags) + f"{'steps':>8}   "
        "gradient "
        "(theory), and "
        "steps of the "
        "shortest path"
    ]
    for model in results.model.values:
        at = results.sel(model=model).mean("seed")
        cells = "".join(
            f"{float(at.gradient.sel(lag=lag)):11.1e} ({float(at.predicted.sel(lag=lag)):7.1e})"
            for lag in lags
        )
        rows.append(f"{model:>10}{cells}{float(at.path_length[-1]):8.0f}")
    return "\n".join(rows)


STUDY = Study(
    name="attention_path",
    question="How does a gradient fall with distance through recurrence, gates, convolution and "
    "attention?",
    grid={"model": list(MODELS), "seed": [0, 1, 2]},
    settings={"units": 32, "lags": 200, "samples": 4},
    quick={"model": list(MODELS), "seed": [0], "units": 8, "lags": 30, "samples": 2},
    units={"model": ("1", "model"), "seed": ("1", "seed of weights and noise")},
    limits={"seed": (0, None), "units": (2, 512), "lags": (8, 2000), "samples": (1, 1000)},
    source="Vaswani et al. (2017); Kerg et al. (2020); Derrida (1981); Bengio et al. (1994)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
