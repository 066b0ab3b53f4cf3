"""Systems by name: tables, aliases, facts about every system, unknown names and parameters."""

from importlib import import_module

import pytest

import dynmem as dm
from dynmem.systems import Known
from dynmem.systems.registry import ALIASES, MODULES, REGISTRY, table


def test_every_table_is_merged():
    tables = [import_module(f"dynmem.systems.{module}").SYSTEMS for module in MODULES]
    assert all(own and own.items() <= table().items() for own in tables)
    assert dm.systems.names() == sorted(table()) and sum(map(len, tables)) == len(table())


@pytest.mark.parametrize("name", sorted(table()))
def test_every_system_has_its_facts(name):
    facts = dm.systems.describe(name)
    assert facts["name"] == name and facts["class"] == table()[name].__name__
    assert facts["about"].endswith(".") and len(facts["about"]) <= 97
    assert " = " in facts["equation"] and facts["equation_latex"] and facts["source"]
    assert facts["kind"] in ("Map", "Flow") and len(facts["states"]) == dm.systems.get(name).size
    assert facts["known"] is dm.systems.known_exponents(name)
    assert facts["known"] is None or isinstance(facts["known"], Known)


@pytest.mark.parametrize("name", sorted(table()))
def test_every_docstring_has_its_sections(name):
    text = table()[name].__doc__
    assert "\nReferences\n" in text.replace("    ", "") and "\nExamples\n" in text.replace(
        "    ", ""
    )
    for parameter in dm.systems.describe(name)["parameters"]:
        assert f"    {parameter} :" in text or f"{parameter}," in text or f", {parameter}" in text


def test_aliases_lead_to_systems():
    assert not set(ALIASES) & set(table())
    assert all(REGISTRY.find(alias) is table()[name] for alias, name in ALIASES.items())
    assert type(dm.systems.get("lorenz")) is dm.systems.Lorenz63
    assert dm.systems.describe("rossler")["name"] == "roessler"


def test_parameters_are_checked():
    assert dm.systems.get("henon", a=1.2).parameters == {"a": 1.2, "b": 0.3}
    with pytest.raises(TypeError, match=r"'sigmma' \(did you mean sigma\?\): it takes sigma, rho"):
        dm.systems.get("lorenz63", sigmma=1.0)
    with pytest.raises(TypeError, match="takes no parameter 'a': it takes none"):
        dm.systems.get("cat", a=1.0)
    with pytest.raises(TypeError, match="a = '1.2': must be a finite number"):
        dm.systems.get("henon", a="1.2")


@pytest.mark.parametrize("name", ["lorentz63", 3, None])
def test_unknown_names_bring_the_names_there_are(name):
    for call in (
        dm.systems.get,
        dm.systems.about,
        dm.systems.describe,
        dm.systems.known_exponents,
    ):
        with pytest.raises(dm.UnknownNameError, match="lorenz63|list systems"):
            call(name)
