"""Twins: a function of theory and the analysis that it predicts take one system and return one
shape."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems.attractors import LineAttractor
from dynmem.systems.noise import Noisy
from dynmem.systems.synapses import LeakySynapse

ONE = {"units": 8, "inputs": 8}
STACK = {**ONE, "layers": 3, "placement": "pre", "feedforward": 8, "sharpness": 0.0}
TOKENS = {256: np.ones(500, int), 512: np.full(250, 2)}


@dataclass(frozen=True)
class Pair:
    """One row: both functions, what they are called with, and the variable that is compared."""

    analysis: str
    theory: str
    of: str
    first: Callable  # the first argument of both
    shared: dict = field(default_factory=dict)
    measured: dict = field(default_factory=dict)
    predicted: dict = field(default_factory=dict)


def pair(name, of, first, **rest):
    """Both functions have one name."""
    return Pair(name, name, of, first, **rest)


PAIRS = [
    pair(
        "lyapunov_spectrum",
        "lyapunov",
        lambda: dm.models.Linear(np.diag([0.9, 0.5])),
        measured={"duration": 200},
    ),
    pair(
        "gradient_norms",
        "log_state_gradient",
        lambda: dm.models.get("lru", units=3, inputs=2, modes=4),
        shared={"lags": [0, 3, 20], "drive": 1.0},
    ),
    pair(
        "attention_paths",
        "total_gradient",
        lambda: dm.models.Attention.random(4, 4, window=9),
        shared={"lags": 8, "drive": 1.0},
    ),
    pair(
        "attention_dilution",
        "largest_weight",
        lambda: dm.models.Attention.random(4, 4, window=9, heads=2, sharpness=0.0),
        shared={"steps": 12},
    ),
    pair("path_length", "path_length", lambda: dm.models.Tanh.random(3, 2), shared={"lags": 7}),
    pair(
        "receptive_field",
        "share",
        lambda: dm.models.get("tcn", units=16, inputs=2, layers=2, convolutions=1, init="he"),
    ),
    pair(
        "depth_spectrum",
        "lyapunov",
        lambda: dm.models.get("attention", **STACK),
        shared={"exponents": 4},
    ),
    pair(
        "stream_variance",
        "variance",
        lambda: dm.models.get("attention", **STACK),
        shared={"steps": 4},
    ),
    pair(
        "layer_gradients",
        "feedforward_gradient",
        lambda: dm.models.get("attention", **STACK),
        shared={"steps": 4},
        measured={"samples": 2},
    ),
    pair(
        "memory_capacity",
        "capacity",
        lambda: dm.models.get("linear", units=4, inputs=1, gain=0.8, init="orthogonal"),
        shared={"lags": 12},
        measured={"steps": 2000},
    ),
    pair("token_paths", "path_length", lambda: TOKENS, shared={"characters": 10, "window": 50}),
    pair(
        "memory_trace",
        "trace",
        lambda: LeakySynapse(0.1),
        shared={"lags": [0, 3, 10]},
        measured={"synapses": 2000},
    ),
    Pair(
        "counted_cost",
        "layer_cost",
        "multiply_adds",
        lambda: dm.models.get("lstm", **ONE),
        shared={"lengths": [1, 16]},
    ),
    Pair(
        "noisy_recall",
        "line_attractor",
        "variance",
        lambda: Noisy(LineAttractor(), dt=1.0, diffusion=0.01),
        measured={"x0": np.ones(1), "duration": 10, "points": 10},
        predicted={"time": np.arange(11.0)},
    ),
]


@pytest.fixture(scope="module", params=PAIRS, ids=lambda row: f"{row.analysis}-{row.theory}")
def twins(request):
    row = request.param
    first = row.first()
    theory, analysis = getattr(dm.theory, row.theory), getattr(dm.analysis, row.analysis)
    measured = analysis(first, **row.shared, **row.measured)
    return row, theory(first, **row.shared, **row.predicted), measured


def test_every_pair_of_one_name_is_in_the_table():
    def public(package):
        return {name for name in dir(package) if inspect.isroutine(getattr(package, name))}

    shared = public(dm.theory) & public(dm.analysis)
    assert shared == {row.analysis for row in PAIRS if row.analysis == row.theory}


@pytest.mark.parametrize("row", PAIRS, ids=lambda row: f"{row.analysis}-{row.theory}")
def test_the_system_comes_first_and_shared_arguments_have_one_default(row):
    theory, analysis = (
        inspect.signature(getattr(package, name)).parameters
        for package, name in ((dm.theory, row.theory), (dm.analysis, row.analysis))
    )
    for parameters in (theory, analysis):
        assert next(iter(parameters)) in ("system", "model", "task", "lengths")
        if "drive" in parameters:
            assert parameters["drive"].kind is inspect.Parameter.KEYWORD_ONLY
    # a prediction has no start, and one number of steps may serve several functions
    for name in (theory.keys() & analysis.keys()) - {next(iter(theory)), "steps"}:
        assert theory[name].default == analysis[name].default, name


def test_variables_have_the_same_dims_units_and_long_names(twins):
    row, predicted, measured = twins
    shared = set(predicted.data_vars) & set(measured.data_vars)
    assert row.of in shared
    for name in shared:
        assert predicted[name].dims == measured[name].dims, name
        assert predicted[name].attrs["units"] == measured[name].attrs["units"], name
        if not name.endswith("_error"):  # a prediction has errors of another kind
            assert predicted[name].attrs["long_name"] == measured[name].attrs["long_name"], name


def test_coordinates_are_the_same(twins):
    row, predicted, measured = twins
    theory, value = predicted[row.of], measured[row.of]
    assert set(theory.coords) == set(value.coords) == set(value.dims)
    for name in theory.coords:
        assert theory[name].attrs == value[name].attrs, name
        shared = np.intersect1d(theory[name].values, value[name].values)
        assert shared.size == min(theory[name].size, value[name].size), name


def test_compare_takes_the_pair(twins):
    row, predicted, measured = twins
    found = dm.compare(predicted, measured, of=row.of, tolerance=1.0, sigmas=6.0)
    assert found.verdict.size and (found.verdict != "undefined").all()
