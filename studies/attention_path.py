"""How does a gradient fall with distance: through recurrence, gates, convolution, attention, and both together?

Theory: a recurrence multiplies it at every step, exp(lambda_1 lag) with lambda_1 of the mean field (Bengio et al. 1994; Sompolinsky et al. 1988;
Can et al. 2020). Attention reaches every input in one step, at the price of dilution: with scores of spread sigma = sharpness^2 the root
mean square weight over t slots is exp(sigma^2/2)/t, the path through the values carries alpha_j, the one through the scores alpha_j sigma,
so that |d y_T / d u_j| = sqrt(1 + sigma^2) exp(sigma^2/2) / t (Derrida 1981 for the weights). Recurrence with attention keeps that power law
(Kerg et al. 2020, proposition 1).
Measurement: gradients of random networks under white noise, over the lag and of the first input over the length of the sequence; the two
paths through attention over the sharpness of its scores; and the steps of the shortest path.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

MODELS = {  # name in the study: name of the model, its options as a function of the longest lag
    "tanh": ("tanh", lambda lags: {"gain": 1.0}),
    "lstm": ("lstm", lambda lags: {"forget_bias": 1.0}),
    "tcn": ("tcn", lambda lags: {"layers": int(np.ceil(np.log2(lags / 4 + 1))), "kernel": 3}),  # receptive field 1 + 4 (2^layers - 1)
    "attention": ("attention", lambda lags: {"window": lags + 1}),
    "hybrid": ("hybrid", lambda lags: {"window": lags + 1}),
}
PRESENT = [name for name, (kind, _) in MODELS.items() if kind in dm.models.names()]
SHARPNESS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


def build(model, units, lags, rng, **options):
    """A random model of the study, by a name of its table or of dm.models, with as many inputs as units."""
    kind, given = MODELS.get(model, (model, lambda lags: {}))
    return dm.models.get(kind, units=units, inputs=units, rng=rng, **given(lags), **options)


def measure(model, seed, units, lags, samples):
    """One kind of model: gradients over the lag, of the first input over the length, and paths; each beside theory."""
    system, rng = build(model, units, lags, seed), np.random.default_rng(seed)
    profile = mean_square([dm.analysis.attention_paths(system, 1.0, lags=lags, rng=rng.spawn(1)[0]) for _ in range(samples)])
    lengths = np.unique(np.geomspace(4, lags + 1, 9).astype(int))
    first = [mean_square([dm.analysis.attention_paths(system, 1.0, lags=[length - 1], rng=rng.spawn(1)[0]) for _ in range(samples)])
             for length in lengths]
    result = xr.Dataset({
        "gradient": profile.total_gradient, "predicted": (("lag",), predicted(model, system, profile.lag.values)),
        "first_gradient": ("length", [float(each.total_gradient[0]) for each in first]),
        "predicted_first": ("length", predicted_first(model, system, lengths)),
        "path_length": paths(model, lags),
    }, {"length": lengths})
    result = xr.merge([result, over_sharpness(model, seed, units, lags, samples)])
    return labelled(result)


def mean_square(runs):
    """Root mean square over runs, whose order tells of nothing."""
    return np.sqrt((xr.concat(runs, "sample", combine_attrs="drop") ** 2).mean("sample"))


def exponent(system):
    """First exponent of the mean field, for one layer of units that hear independent noise; NaN where none is known."""
    try:
        return float(dm.theory.lyapunov_spectrum(system, drive=1.0).lyapunov[0])
    except (ValueError, TypeError, KeyError):
        return np.nan


def predicted(model, system, lags):
    """Theory over the lag: a tanh network from its mean field, any other recurrence by its slope from lag 0; attention flat."""
    if model == "attention":
        return np.where(lags > 0, dilution(1.0, lags.max() + 1), np.nan)
    rate = exponent(system)
    return np.exp(rate * (lags + 1.0))  # of u to x one more factor phi', as from x to x: gain 1


def predicted_first(model, system, lengths):
    """The same for the first input of a sequence."""
    return dilution(1.0, lengths) if model == "attention" else np.exp(exponent(system) * lengths)


def dilution(sharpness, slots):
    """Root mean square of d y_T / d u_j over directions and noise, before the weights freeze on a few slots."""
    spread = np.square(sharpness)
    return np.sqrt(1 + spread**2) * np.exp(spread**2 / 2) / slots


def paths(model, lags):
    """Steps of the shortest path, of a small model: which entries are zero does not depend on the number of units."""
    try:
        return dm.analysis.path_length(build(model, 2, lags, 0), lags=lags).path_length
    except MemoryError:
        return ("lag", np.full(lags + 1, np.nan))


def over_sharpness(model, seed, units, lags, samples):
    """Direct path and path through the scores of attention over its sharpness, times the number of slots; NaN for other models."""
    found = np.full((2, len(SHARPNESS)), np.nan)
    for i, sharpness in enumerate(SHARPNESS if model == "attention" else ()):
        runs = [dm.analysis.attention_paths(build(model, units, lags, [seed, run], sharpness=sharpness), 1.0, lags=lags, rng=run)
                for run in range(samples)]
        found[:, i] = [(lags + 1) * float(np.sqrt((mean_square(runs)[name][1:] ** 2).mean())) for name in ("direct_gradient", "score_gradient")]
    return xr.Dataset({"direct": ("sharpness", found[0]), "score": ("sharpness", found[1])}, {"sharpness": list(SHARPNESS)})


def labelled(result):
    """Units and long names."""
    names = {"gradient": "|d y_T / d u_(T-lag)|", "predicted": "theory of it", "first_gradient": "|d y_T / d u_1|", "predicted_first": "theory of it",
             "direct": "number of slots times the gradient through the values", "score": "the same through the scores"}
    for name, text in names.items():
        result[name].attrs = {"units": "1", "long_name": text}
    result.length.attrs = {"units": "step", "long_name": "length of the sequence"}
    result.sharpness.attrs = {"units": "1", "long_name": "sharpness s; scores have spread s^2"}
    return result


def summary(results):
    """Table by model: gradient at a few lags beside theory, and steps of the shortest path, means over seeds."""
    lags = [lag for lag in (1, 10, 50, 100, 200) if lag <= int(results.lag.max())]
    rows = [f"{'model':>10}" + "".join(f"{f'lag {lag}':>22}" for lag in lags) + "   path at the last   gradient (theory)"]
    for model in results.model.values:
        at = results.sel(model=model).mean("seed")
        cells = "".join(f"{float(at.gradient.sel(lag=lag)):>11.2e} ({float(at.predicted.sel(lag=lag)):.1e})" for lag in lags)
        rows.append(f"{model:>10}{cells}   {float(at.path_length[-1]):.0f}")
    return "\n".join(rows)


STUDY = Study(
    name="attention_path",
    question="How does a gradient fall with distance: through recurrence, gates, convolution, attention, and both together?",
    grid={"model": PRESENT, "seed": [0, 1, 2]},
    settings={"units": 32, "lags": 200, "samples": 4},
    quick={"model": PRESENT, "seed": [0], "units": 8, "lags": 30, "samples": 2},
    units={"model": ("1", "model"), "seed": ("1", "seed of weights and noise")},
    limits={"seed": (0, None), "units": (2, 512), "lags": (8, 2000), "samples": (1, 1000)},
    source="Vaswani et al. (2017); Kerg et al. (2020); Derrida (1981); Bengio et al. (1994)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
