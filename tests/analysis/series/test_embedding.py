"""Delay vectors, their delay and dimension, and nearest neighbours in time apart."""

import numpy as np

from dynmem.analysis.series.embedding import (
    decorrelation_lag,
    delay_vectors,
    embedding_dimension,
    mean_period,
    mutual_information_delay,
    nearest_neighbours,
)
from tests.analysis.series.samples import henon, logistic


def test_embedding():
    series = np.arange(10.0)
    assert delay_vectors(series, 3, 2).tolist()[0] == [0, 2, 4] and delay_vectors(
        series, 3, 2
    ).shape == (6, 3)
    sine = np.sin(2 * np.pi * np.arange(2000) / 40)
    assert (
        mean_period(sine) == 40
        and decorrelation_lag(sine) in (8, 9)
        and mutual_information_delay(sine) <= 10
    )
    assert (
        embedding_dimension(henon(2000), 1, 3) == 2
        and embedding_dimension(logistic(4.0), 1, 2) == 1
    )
    rng = np.random.default_rng(0)
    points = rng.standard_normal((300, 2))
    near, distance = nearest_neighbours(points, np.arange(300), 5, neighbours=3)
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)
    gaps[np.abs(np.subtract.outer(np.arange(300), np.arange(300))) <= 5] = np.inf
    np.testing.assert_allclose(distance, np.sort(gaps, axis=1)[:, :3])
    np.testing.assert_array_equal(near, np.argsort(gaps, axis=1)[:, :3])
