"""dataset: units, long names and provenance; complex values are refused."""

import json

import numpy as np
import pytest

import dynmem as dm
from dynmem.labels import as_seed, dataset, describe_system

ABOUT = {"title": "demo", "source": "none"}


def test_units_names_and_provenance():
    made = dataset(
        {"gain": ("mode", [0.5, 0.9], "1", "gain of a mode")},
        {"mode": ("mode", [1, 2], "1", "mode")},
        parameters={"system": dm.models.Linear(0.9 * np.eye(2)), "weights": np.zeros((9, 9))},
        seed=3,
        note="short",
        **ABOUT,
    )
    assert made.gain.attrs == {"units": "1", "long_name": "gain of a mode"}
    assert made.attrs["seed"] == 3 and made.attrs["note"] == "short"
    parameters = json.loads(made.attrs["parameters"])
    assert parameters["system"]["system"] == "Linear"
    assert parameters["weights"] == "array(9, 9)"
    assert describe_system(dm.models.Linear(0.9 * np.eye(2)))["system"] == "Linear"


def test_complex_values_are_refused():
    with pytest.raises(TypeError, match="eigenvalue_real and eigenvalue_imag"):
        dataset({"eigenvalue": ("mode", [1j], "1", "eigenvalue")}, **ABOUT)
    with pytest.raises(TypeError, match="mode_real"):
        dataset({}, {"mode": ("mode", [1j], "1", "mode")}, **ABOUT)


def test_a_generator_has_no_seed_to_store():
    assert "seed" not in dataset({}, **ABOUT).attrs
    assert as_seed(np.random.default_rng(0)) == "a Generator passed by the caller"
