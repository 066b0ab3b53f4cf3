"""Arguments of public classes: the answer names what was probably meant."""

import importlib
import inspect

import pytest

PACKAGES = [
    "dynmem", "dynmem.analysis", "dynmem.theory", "dynmem.models", "dynmem.systems",
    "dynmem.tasks", "dynmem.datasets", "dynmem.training", "dynmem.study",
]  # fmt: skip


def exported():
    """Classes that a user calls: no errors and no abstract bases."""
    for package in map(importlib.import_module, PACKAGES):
        for name in package.__all__:
            found = getattr(package, name)
            if not isinstance(found, type) or issubclass(found, Exception):
                continue
            if not inspect.isabstract(found) and name not in ("System", "Stopped", "Plan", "Store"):
                yield pytest.param(found, id=f"{package.__name__}.{name}")


@pytest.mark.parametrize("call", list(exported()))
def test_a_class_refuses_an_unknown_argument(call):
    with pytest.raises(TypeError, match="takes no (argument|parameter) 'qqzz'"):
        call(qqzz=3)


@pytest.mark.parametrize(
    ("call", "arguments", "text"),
    [
        ("LinearSystem", {"b": 3}, r"no argument 'b' \(did you mean B\?\)"),
        ("LinearSystem", {}, "LinearSystem needs A: it takes A, B, C, D, dt"),
        ("Study", {"name": "mine"}, "Study needs question"),
        ("tasks.Copy", {"dely": 3}, r"no argument 'dely' \(did you mean delay\?\)"),
    ],
)
def test_a_class_is_answered_as_a_function(call, arguments, text):
    import dynmem as dm

    for name in call.split("."):
        dm = getattr(dm, name)
    with pytest.raises(TypeError, match=text):
        dm(**arguments)
