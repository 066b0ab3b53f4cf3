"""Orbits that several files of tests share."""

import pytest

import dynmem as dm


@pytest.fixture(scope="package")
def lorenz():
    return dm.datasets.load("lorenz63", samples=24_000)


@pytest.fixture(scope="package")
def esn(lorenz):
    """An echo-state network that forecasts Lorenz-63."""
    model = dm.models.get(
        "esn", units=300, inputs=3, outputs=3, spectral_radius=0.5, input_gain=0.3
    )
    return dm.training.echo_state_forecaster(model, lorenz, ridge=1e-7, noise=1e-4)
