"""Crossings of a surface along a step: against roots in closed form."""

import math

import pytest

from dynmem.errors import ConvergenceError
from dynmem.integrate.crossings import crossing

ROOTS = {
    "parabola": (lambda t: 2.0 - t * t, 0.0, 2.0, math.sqrt(2.0)),
    "backwards": (lambda t: 2.0 - t * t, 2.0, 0.0, math.sqrt(2.0)),
    "cosine": (math.cos, 0.0, 3.0, math.pi / 2.0),
    "steep": (lambda t: math.exp(-50.0 * t) - 1e-9, 0.0, 1.0, math.log(1e9) / 50.0),
    "jump": (lambda t: -1.0 if t > 0.3 else 1.0, 0.0, 1.0, 0.3),
    "triple": (lambda t: (t - 0.5) ** 3, 0.0, 1.0, 0.5),
    "at the start": (lambda t: -t, 0.0, 1.0, 0.0),
}


@pytest.mark.parametrize("name", ROOTS)
def test_the_bracket_is_one_rounding_error_wide(name):
    distance, start, end, root = ROOTS[name]
    calls = []
    before, beyond = crossing(lambda t: calls.append(t) or distance(t), start, end)
    assert abs(before - root) <= 1e-15 >= abs(beyond - root)
    assert distance(before) * distance(end) <= 0.0 < distance(beyond) * distance(end)
    assert abs(start - before) <= abs(start - beyond)
    assert len(calls) < (70 if name in ("jump", "triple") else 20)


@pytest.mark.parametrize("distance", [lambda t: 1.0, lambda t: math.nan, lambda t: t])
def test_a_distance_that_keeps_its_sign_is_refused(distance):
    with pytest.raises(ConvergenceError, match="must have two signs"):
        crossing(distance, 1.0, 2.0)
