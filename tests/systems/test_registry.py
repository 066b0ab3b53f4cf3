"""Systems by name: every table is merged, every entry says what it is, and what is published of it
has a source."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems import Known
from dynmem.systems.registry import MODULES, table


def test_every_table_is_merged():
    from importlib import import_module

    for module in MODULES:
        own = import_module(f"dynmem.systems.{module}").SYSTEMS
        assert own and own.items() <= table().items()
    assert dm.systems.names() == sorted(table())


@pytest.mark.parametrize("name", sorted(table()))
def test_every_system_says_what_it_is(name):
    about = dm.systems.describe(name)
    assert about["summary"] and about["source"] and about["kind"] in ("Map", "Flow")
    assert about["known"] is None or (
        isinstance(about["known"], Known) and about["known"] is dm.systems.known_exponents(name)
    )


def test_parameters_and_their_misspelling():
    assert dm.systems.get("henon", a=1.2).parameters == {"a": 1.2, "b": 0.3}
    with pytest.raises(TypeError, match="takes no parameter sigmma: it takes sigma, rho, beta"):
        dm.systems.get("lorenz63", sigmma=1.0)
    with pytest.raises(TypeError, match="it takes none"):
        dm.systems.get("cat", a=1.0)
    for call in (dm.systems.get, dm.systems.describe, dm.systems.known_exponents):
        with pytest.raises(dm.UnknownNameError, match="lorenz63"):
            call("lorentz")
    with pytest.raises(dm.UnknownNameError, match=r"did you mean lorenz63 or lorenz96\?"):
        dm.systems.get("lorenz")


def test_known_exponents_hold_a_measurement_to_what_is_published():
    known = Known((0.9, 0.0, -14.5), (0.01, 1e-3, 0.1), "a book")
    assert known.agrees([0.905, 5e-4, -14.55]) and not known.agrees([0.905, 5e-3, -14.5])
    assert known.agrees([0.905, 5e-3, -14.5], errors=[0.0, 2e-3, 0.0]), (
        "three standard errors are granted"
    )
    assert not known.agrees([np.nan, 0.0, -14.5])
    with pytest.raises(ValueError, match="measure as many"):
        known.agrees([0.9])


@pytest.mark.parametrize(
    "wrong, message",
    [
        (((0.1,), 0.01, ""), "source"),
        (((0.0, 0.1), 0.01, "x"), "largest"),
        (((0.1,), (1.0, 2.0), "x"), "2 t"),
    ],
)
def test_what_is_not_known(wrong, message):
    with pytest.raises(ValueError, match=message):
        Known(*wrong)
