"""Capacity of a leaky cell, a Network and a LinearSystem: one matrix, read three ways."""

import numpy as np
import pytest

import dynmem as dm
from dynmem import theory
from dynmem.errors import ShapeError
from dynmem.models import Linear, Network


def test_the_same_system_read_three_ways():
    cell = Linear.random(5, 1, rng=0, gain=0.9, init="orthogonal", leak=0.7)
    system = dm.linearize(cell, np.zeros(5))
    found = [theory.memory_capacity(each, lags=20) for each in (cell, Network((cell,)), system)]
    exact = dm.analysis.linear_capacity(system, lags=20)
    for each in found:
        for name in exact.data_vars:
            np.testing.assert_allclose(each[name], exact[name], atol=1e-9)
            assert each[name].dims == exact[name].dims


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: theory.memory_capacity(Linear(0.5 * np.eye(2)), lags=3), ValueError, "no input"),
        (
            lambda: theory.memory_capacity(
                dm.LinearSystem(np.eye(2) / 2, np.ones((2, 1)), np.ones((1, 2)), dt=1.0), lags=3
            ),
            ShapeError,
            "output other than its state",
        ),
        (
            lambda: theory.memory_capacity(dm.LinearSystem(-np.eye(2), np.ones((2, 1))), lags=3),
            TypeError,
            "LinearSystem",
        ),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
