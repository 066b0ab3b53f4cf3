"""Docstrings in numpydoc, for every public name: what an editor, ``help`` and a reader rely on."""

import functools
import importlib
import inspect
import re
from dataclasses import fields, is_dataclass

import pytest
from numpydoc.docscrape import NumpyDocString

PACKAGES = (
    "dynmem",
    *(
        f"dynmem.{name}"
        for name in [
            "analysis",
            "datasets",
            "models",
            "scan",
            "systems",
            "tasks",
            "theory",
            "training",
        ]
    ),
)
# a variable of a returned Dataset: "lyapunov : (exponent,), 1/step"
VARIABLE = re.compile(r"^\s*(\w+|\w+_NAME|\.\.\.\w+) : \((.*?)\), \S")
CITED = ("dynmem.analysis", "dynmem.theory", "dynmem.systems")


def public_names():
    """(full name, object) of every function and class that a package exports, each once."""
    seen = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                seen.setdefault(id(thing), (f"{package}.{name}", thing))
    return sorted(seen.values(), key=lambda pair: pair[0])


PUBLIC = [
    (name, thing)
    for name, thing in public_names()
    if not (inspect.isclass(thing) and issubclass(thing, Exception))
]
FUNCTIONS = [(name, thing) for name, thing in PUBLIC if inspect.isfunction(thing)]


@functools.cache
def parsed(thing):
    return NumpyDocString(inspect.getdoc(thing) or "")


def ids(pairs):
    return [name for name, _ in pairs]


@pytest.mark.parametrize(("name", "thing"), PUBLIC, ids=ids(PUBLIC))
def test_the_summary_is_one_sentence_on_one_line(name, thing):
    summary = parsed(thing)["Summary"]
    assert len(summary) == 1, f"{name}: {summary}"
    assert summary[0].endswith((".", "?")), f"{name}: {summary[0]}"


@pytest.mark.parametrize(("name", "thing"), PUBLIC, ids=ids(PUBLIC))
def test_every_parameter_is_documented(name, thing):
    documented = [
        part.strip("* ") for row in parsed(thing)["Parameters"] for part in row.name.split(",")
    ]
    if inspect.isclass(thing):
        expected = [f.name for f in fields(thing) if f.init] if is_dataclass(thing) else documented
    else:
        expected = list(inspect.signature(thing).parameters)
    assert documented == expected, name


@pytest.mark.parametrize(("name", "thing"), FUNCTIONS, ids=ids(FUNCTIONS))
def test_what_is_returned_is_documented(name, thing):
    annotation = str(inspect.signature(thing).return_annotation)
    assert annotation != str(inspect.Signature.empty), f"{name} has no return annotation"
    returned = parsed(thing)["Returns"]
    if annotation != "None":
        assert returned, f"{name} documents nothing that it returns"
    if annotation in ("Dataset", "xr.Dataset", "xarray.Dataset"):
        rows = [line for row in returned for line in row.desc if VARIABLE.match(line)]
        assert rows, f"{name}: rows 'NAME : (dims), units' under xarray.Dataset"


@pytest.mark.parametrize(("name", "thing"), PUBLIC, ids=ids(PUBLIC))
def test_there_is_an_example_that_runs(name, thing):
    assert ">>>" in "\n".join(parsed(thing)["Examples"]), name


@pytest.mark.parametrize(("name", "thing"), PUBLIC, ids=ids(PUBLIC))
def test_results_have_a_reference(name, thing):
    if name.startswith(CITED) and not name.endswith((".get", ".names", ".about", ".describe")):
        assert parsed(thing)["References"], name
