"""What does each HiPPO measure remember, and how well can the past be read back from its state?

Theory: the state holds the coefficients of the past in an orthogonal basis under a measure (Gu et
al. 2020, 2022): a window for LegT and Fourier, an exponential for LegS and, here with the time
constant theta / N, LagT. A linear memory reads back exp(i omega (t - s)) as p(s) . (i omega - A)^-1
B, so that the error of any stationary signal is known at every lag. Measurement: noise with a band
limit through each memory, step by step, zero-order hold; the past read back at every lag of every
state.
"""

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.models.hippo import MEASURES, hippo, reconstruct
from dynmem.study import Study

NOISE_FREQUENCIES = 24  # frequencies of the noise


def measure(measure, order, band, seed, theta, steps, duration):
    """One memory: error over the lag, measured and predicted, and one past with its
    reconstruction."""
    order = order + 1 - order % 2 if measure == "fourier" else order  # a constant and pairs
    # each of its functions delays by up to 4 scales: all of them by up to 4 theta
    scale = theta / order if measure == "lagt" else theta
    dt, rng = theta / steps, np.random.default_rng(seed)
    omega = (
        band
        * (np.arange(NOISE_FREQUENCIES) + rng.uniform(0, 1, NOISE_FREQUENCIES))
        / NOISE_FREQUENCIES
        / theta
    )
    t = dt * np.arange(int(duration * steps))
    u = np.sqrt(2 / NOISE_FREQUENCIES) * np.cos(
        omega[:, None] * t + rng.uniform(0, 2 * np.pi, (NOISE_FREQUENCIES, 1))
    ).sum(axis=0)
    states = hippo(measure, order, scale).discretise(dt).run(None, u[:, None])[0]
    lags = np.unique(np.r_[0:5, np.linspace(0, 3 * steps, 121).astype(int)])
    at = np.arange(len(u) // 2, len(u), max(1, steps // 16))
    ago = (lags + 0.5) * dt  # a sample held over a step belongs to the middle of the step
    errors = reconstruct(measure, states[at], ago, scale) - u[at[:, None] - lags]
    predicted = dm.theory.hippo_memory(measure, order, ago, omega, theta=scale)
    lag = {"units": "theta", "long_name": "how long ago"}
    return xr.Dataset(
        {
            "error": (
                "lag",
                np.sqrt(np.mean(errors**2, axis=0)),
                {"units": "1", "long_name": "rms error of the past, over the signal's rms"},
            ),
            "predicted": (
                "lag",
                predicted.error.values,
                {"units": "1", "long_name": "predicted error"},
            ),
            "past": (
                "lag",
                u[len(u) - 1 - lags],
                {"units": "1", "long_name": "the past as it was"},
            ),
            "read_back": (
                "lag",
                reconstruct(measure, states[-1], ago, scale),
                {"units": "1", "long_name": "the past as the state has it"},
            ),
            "reach": (
                (),
                reach(ago / theta, predicted.error.values),
                {"units": "theta", "long_name": "lag at which half the rms is lost"},
            ),
            "longest_time_constant": (
                (),
                hippo(measure, order, scale).time_constants[0] / theta,
                {"units": "theta", "long_name": "longest time constant of the memory"},
            ),
        },
        {"lag": ("lag", ago / theta, lag)},
    )


def reach(lags, error, level=0.5):
    """The lag from which on the error stays above a level."""
    below = np.flatnonzero(error <= level)
    return float(lags[below[-1]]) if below.size else 0.0


def summary(results):
    """Table of the error in the window and the reach, mean over seeds."""
    rows = [
        f"rms error of the past over the signal's rms, {results.sizes['seed']} seed(s)",
        f"{'measure':>9} {'order':>6} {'band':>6} {'error 0.1-0.9 theta':>20} "
        f"{'predicted':>10} {'reach/theta':>12}",
    ]
    inside = results.sel(lag=slice(0.1, 0.9)).mean(["lag", "seed"])
    for measure in results.measure.values:
        for order in results.order.values:
            for band in results.band.values:
                here = {"measure": measure, "order": order, "band": band}
                rows.append(
                    f"{measure:>9} {order:6d} {band:6.0f} "
                    f"{float(inside.error.sel(here)):20.4f} "
                    f"{float(inside.predicted.sel(here)):10.4f} "
                    f"{float(results.reach.sel(here).mean()):12.2f}"
                )
    return "\n".join(rows)


STUDY = Study(
    name="hippo",
    question="What does each HiPPO measure remember, and how well can the past be read back from "
    "its state?",
    grid={
        "measure": list(MEASURES),
        "order": [8, 16, 32, 64],
        "band": [6.0, 20.0, 60.0],
        "seed": [0, 1],
    },
    settings={"theta": 1.0, "steps": 500, "duration": 40},
    quick={"order": [8, 32], "band": [20.0], "seed": [0], "steps": 200, "duration": 12},
    units={
        "measure": ("1", "measure"),
        "order": ("1", "number of coefficients N"),
        "band": ("radian per theta", "largest angular frequency"),
        "seed": ("1", "seed of the noise"),
    },
    limits={
        "measure": list(MEASURES),
        "order": (1, 512),
        "band": (0.01, 10_000.0),
        "seed": (0, None),
        "theta": (1e-6, 1e6),
        "steps": (10, 100_000),
        "duration": (8, 100_000),
    },
    source="Gu et al. (2020); Gu et al. (2022)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
