"""Chaotic series and linear noise."""

import numpy as np
from scipy.signal import lfilter

import dynmem as dm
from tests.reference import Henon, Lorenz


def logistic(r, samples=3000, x=0.3, skip=500):
    out = []
    for _ in range(samples + skip):
        x = r * x * (1 - x)
        out.append(x)
    return np.array(out[skip:])


def henon(samples):
    return dm.orbit(Henon(), [0.1, 0.1], duration=samples + 100).x.values[101:, 0]


def lorenz():
    """x of Lorenz, 3000 samples 0.03 apart."""
    return dm.orbit(Lorenz(), [1.0, 1.0, 20.0], duration=105, dt=0.03).x.values[-3000:, 0]


def noise(name, seed, samples=1500):
    """Linear noise: white, of one and of two poles, smooth; and a random walk."""
    white = np.random.default_rng(seed).standard_normal(samples + 100)
    filters = {
        "white": ([1.0], [1.0]),
        "red": ([1.0], [1.0, -0.9]),
        "narrow": ([1.0], [1.0, -1.9 * np.cos(0.3), 0.9025]),
        "smooth": (np.hanning(30), [1.0]),
        "walk": ([1.0], [1.0, -1.0]),
    }
    return lfilter(*filters[name], white)[100:]
