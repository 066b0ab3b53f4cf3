"""Types of arguments that many functions share, for annotations of your own code."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Array", "ArrayLike", "Drive", "Rng"]

Array: TypeAlias = Any
"""What a rule computes with: a numpy array, a torch tensor, a dual number or a sympy expression."""

Rng: TypeAlias = int | np.random.Generator | None
"""Seed or Generator; None draws another seed each time."""

Drive: TypeAlias = float | ArrayLike | Callable[..., Any] | None
"""Input of a system: None (zero), a number (standard deviation of white noise), an array (steps,
inputs) with one row a step, one input (inputs,) that is held, samples with times, a function of
time, or a function (rng, steps) -> array (steps, inputs)."""
