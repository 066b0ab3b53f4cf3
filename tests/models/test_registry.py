"""Models by name: what each is, what it takes, and what an unknown name or option is answered."""

import re

import numpy as np
import pytest

import dynmem as dm
from dynmem.errors import UnknownNameError
from dynmem.models import about, describe, get, names
from dynmem.models.registry import ALIASES, MODELS


@pytest.mark.parametrize("name", names())
def test_a_model_describes_itself(name):
    found = describe(name)
    assert found["name"] == name and found["class"] == MODELS[name].__name__
    assert found["about"] == about(name) and re.fullmatch(r"[^\n]{10,95}\.", found["about"])
    assert "=" in found["equation"] and re.search(r"\d{4}", found["source"])
    assert set(found["limits"]) == set(found["parameters"]) - {"rng", "layer"}
    get(name, units=4, inputs=4, **found["parameters"])


def test_every_alias_is_a_model_and_no_name():
    assert set(ALIASES.values()) <= set(names()) and not set(ALIASES) & set(names())
    assert describe("transformer") == describe("attention") and about("rnn") == about("tanh")
    np.testing.assert_array_equal(get("elman", units=3).W, get("tanh", units=3).W)


@pytest.mark.parametrize("call", [about, describe, lambda name: get(name, units=3)])
@pytest.mark.parametrize(
    "name, meant", [("LSTM", "lstm"), ("vanila_rnn", "vanilla_rnn"), ("linear_atention", "linear_")]
)
def test_an_unknown_name_is_answered_with_the_one_probably_meant(call, name, meant):
    with pytest.raises(UnknownNameError, match=rf"{name}.*did you mean {meant}.*list models"):
        call(name)


@pytest.mark.parametrize(
    "model, options, text",
    [
        (
            "lstm",
            {"forgetbias": 1.0},
            r"'forgetbias' \(did you mean forget_bias\?\): it takes bias",
        ),
        ("lstm", {"layer": 2}, r"'layer' \(did you mean layers\?\)"),
        ("gru", {"input": 2}, r"'input' \(did you mean inputs\?\)"),
        ("tanh", {"modes": 3}, "tanh takes no option 'modes'"),
        ("mamba", {"expnd": 2}, r"'expnd' \(did you mean expand\?\)"),
        ("mamba", {"mixer": "lru", "rank": 2}, "mamba around lru takes no option 'rank'"),
        ("tcn", {"rngs": 1}, "tcn takes no option 'rngs'"),
    ],
)
def test_an_unknown_option_is_answered_with_the_one_probably_meant(model, options, text):
    with pytest.raises(TypeError, match=text):
        get(model, **{"units": 4, "inputs": 4} | options)


def test_a_type_error_inside_a_model_is_not_taken_for_an_unknown_option(monkeypatch):
    """What decides is the signature, not the words of an error."""

    def broken(units, inputs=0, *, rng=0):
        raise TypeError("got an unexpected keyword argument")

    monkeypatch.setattr(MODELS["linear"], "random", broken)
    with pytest.raises(TypeError, match="^got an unexpected keyword argument$"):
        get("linear", units=3)


def test_misspelt_arguments_of_resampled_and_from_torch():
    with pytest.raises(TypeError, match=r"'windows' \(did you mean window\?\)"):
        dm.models.from_torch(None, windows=3)
    with pytest.raises(TypeError, match=r"'factors' \(did you mean factor\?\)"):
        dm.models.resampled(get("lru", units=2, inputs=2), factors=2.0)
