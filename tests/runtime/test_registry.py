import pytest

import dynmem as dm
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
    with pytest.raises(UnknownNameError, match=f"{name!r} .{meant}.*: choose one of lstm, tanh"):
        MODELS.find(name)


@pytest.mark.parametrize("name", [None, 3, ["no"], "xyz", ""])
def test_anything_else_is_an_unknown_name_too(name):
    with pytest.raises(UnknownNameError, match="lstm, tanh$"):
        MODELS.find(name)


def test_of_many_names_few_are_listed_and_the_command_that_lists_all():
    many = {f"net{i}": i for i in range(50)}
    with pytest.raises(UnknownNameError) as error:
        Registry("model", many).find("qqq")
    assert str(error.value) == (
        "no model is called 'qqq': such as net0, net2, net30, net41; `dynmem list models` lists all"
    )
    with pytest.raises(UnknownNameError, match=r"\(did you mean net7\?\): `dynmem list models`"):
        Registry("model", many).find("nett7")
    with pytest.raises(UnknownNameError, match="such as net0, net2, net30, net41$"):
        Registry("part", many).find("qqq")  # no command lists these


def test_the_name_of_another_kind_is_told():
    for call, words in (
        (lambda: dm.models.get("lorenz63", units=3), r"of a system, dm.systems.get\('lorenz63'\)"),
        (lambda: dm.systems.get("gru"), r"of a model, dm.models.get\('gru', units=...\)"),
        (lambda: dm.tasks.get("henon"), r"of a system, dm.systems.get\('henon'\)"),
        (lambda: dm.datasets.load("copy"), r"of a task, dm.tasks.get\('copy'\)"),
    ):
        with pytest.raises(UnknownNameError, match=words):
            call()


def test_entries_from_a_function_are_read_when_needed():
    calls = []
    lazy = Registry("model", lambda: calls.append(1) or TABLE)
    assert not calls and lazy.find("lstm") == 2 and calls
