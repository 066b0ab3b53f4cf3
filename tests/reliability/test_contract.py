"""Every system and every model that has a name keeps the contract (R11)."""

import numpy as np
import pytest

import dynmem as dm


@pytest.mark.promise("R11")
@pytest.mark.parametrize("name", dm.systems.names())
def test_every_system_keeps_the_contract(name):
    assert np.isfinite(dm.check_system(dm.systems.get(name)).error).any()


@pytest.mark.promise("R11")
@pytest.mark.parametrize("name", dm.models.names())
def test_every_model_keeps_the_contract(name):
    model = dm.models.get(name, units=4, inputs=2, rng=0)
    assert np.isfinite(dm.check_system(model).error).any()
