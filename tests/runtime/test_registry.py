import pytest

from dynmem.errors import UnknownNameError
from dynmem.runtime.registry import Registry

TABLE = {"tanh": 1, "lstm": 2}
MODELS = Registry("model", TABLE, {"vanilla": "tanh"})


def test_an_alias_finds_its_entry_and_is_not_listed():
    assert MODELS.find("vanilla") == MODELS.find("tanh") == 1
    assert MODELS.resolve("vanilla") == "tanh" and MODELS.names() == ["lstm", "tanh"]


@pytest.mark.parametrize(
    "name, meant", [("LSTM", "did you mean lstm"), ("vanila", "did you mean vanilla")]
)
def test_an_unknown_name_is_answered_with_the_name_or_alias_probably_meant(name, meant):
    with pytest.raises(UnknownNameError, match=f"{name!r}.*lstm, tanh.*{meant}"):
        MODELS.find(name)


@pytest.mark.parametrize("name", [None, 3, ["no"], "xyz", ""])
def test_anything_else_is_an_unknown_name_too(name):
    with pytest.raises(UnknownNameError, match="lstm, tanh$"):
        MODELS.find(name)


def test_entries_from_a_function_are_read_when_needed():
    calls = []
    lazy = Registry("model", lambda: calls.append(1) or TABLE)
    assert not calls and lazy.find("lstm") == 2 and calls
