"""Every system of tests/reference.py keeps the contract, and systems that break it are told which
clause."""

import math

import numpy as np
import pytest

import dynmem as dm
from dynmem.contract import check_system
from dynmem.errors import ContractError, ShapeError
from tests.reference import BUILD, row


@pytest.mark.parametrize("name", BUILD)
def test_every_system_keeps_the_contract(name):
    system, x, u = row(name)
    result = check_system(system, x, u)
    assert float(result.error.sel(check="differences")) < 1e-8
    assert np.isfinite(result.error.sel(check="torch")), str(result.note.sel(check="torch").values)
    assert str(result.note.sel(check="symbols").values) in ("", "the formula would be long")


class Own(dm.Map):
    states = ("x", "y")


class Flat(Own):
    def rule(self, x, u):
        return x[..., 0] * 2


class Infinite(Own):
    def rule(self, x, u):
        return x / (x[..., :1] - x[..., :1])


class InPlace(Own):
    def rule(self, x, u):
        x[..., 0] = 1.0
        return 2.0 * x


class Random(Own):
    def rule(self, x, u):
        return x + np.random.default_rng().standard_normal(2)


class NoBatch(Own):
    def rule(self, x, u):
        return x * x[0]


class Numbers(Own):
    def rule(self, x, u):
        return np.array([x[1], -math.sin(x[0])])


class Rounded(Own):
    def rule(self, x, u):
        return x + dm.where(x > 0, 1.0, 1e-3) * dm.sign(x - x)  # fine


class Detached(Own):
    def rule(self, x, u):
        return x * getattr(x, "value", x)  # hides half of its derivative


class BackendDependent(Own):
    def rule(self, x, u):
        return x * (2.0 if isinstance(x, np.ndarray) else 3.0)


@pytest.mark.parametrize(
    "system, clause",
    [
        (Flat, "shape"),
        (Infinite, "finite"),
        (InPlace, "unchanged"),
        (Random, "deterministic"),
        (NoBatch, "batch"),
        (BackendDependent, "duals"),
        (Numbers, "batch"),
        (Detached, "differences"),
    ],
)
def test_a_broken_contract_names_its_clause(system, clause):
    with pytest.raises(ContractError, match=f"fails the check '{clause}'"):
        check_system(system(), np.array([0.5, 1.5]))


def test_a_rule_in_order_passes():
    assert check_system(Rounded(), np.array([0.5, 1.5])).sizes["check"] == 11


def test_wrong_arguments_are_refused():
    with pytest.raises(ShapeError, match="pass shape"):
        check_system(Own(), np.ones(3))
    with pytest.raises(ContractError, match="has no rule"):
        check_system(Own())
    with pytest.raises(TypeError, match="pass an instance"):
        check_system(Own)
