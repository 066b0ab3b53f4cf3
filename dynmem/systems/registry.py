"""Systems by name."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from importlib import import_module
from typing import Any

from ..runtime.registry import Registry
from ..runtime.validation import public
from ..system import Flow, Map
from .equations import equation, stated_equation, summary
from .known import Known

__all__ = ["get", "names"]

# each ends with SYSTEMS = {name: class}
MODULES = (
    "maps",
    "flows",
    "hamiltonian",
    "extended",
    "planets",
    "nbody",
    "attractors",
    "synapses",
    "neural",
)
ALIASES = {
    "arnold_cat": "cat",
    "bakers_map": "baker",
    "chirikov": "standard",
    "coupled_map_lattice": "coupled_logistic",
    "cr3bp": "restricted_three_body",
    "figure8": "figure_eight",
    "graded_hopfield_network": "graded_hopfield",
    "henonheiles": "henon_heiles",
    "hopfield_network": "hopfield",
    "hyper_rossler": "hyper_roessler",
    "hyperchaos": "hyper_roessler",
    "kaplanyorke": "kaplan_yorke",
    "ks": "kuramoto_sivashinsky",
    "kuramoto": "kuramoto_sivashinsky",
    "logistic_map": "logistic",
    "lorenz": "lorenz63",
    "lorenz_63": "lorenz63",
    "lorenz_96": "lorenz96",
    "mackeyglass": "mackey_glass",
    "nbody": "n_body",
    "rossler": "roessler",
    "rössler": "roessler",
    "sprott": "sprott_jerk",
    "standard_map": "standard",
    "vanderpol": "van_der_pol",
}


@cache
def table() -> dict[str, type[Map] | type[Flow]]:
    """Class of each system by name: the tables of the modules, merged at first use."""
    merged: dict[str, type[Map] | type[Flow]] = {}
    for module in MODULES:
        own = import_module(f".{module}", __package__).SYSTEMS
        if both := sorted(set(merged) & set(own)):
            raise ValueError(
                f"{', '.join(both)}: in two tables of systems, rename one in {module}.py"
            )
        merged |= own
    return merged


REGISTRY = Registry("system", table, ALIASES)


def names() -> list[str]:
    """Names of the systems that ``get`` returns.

    Returns
    -------
    list of str
        In alphabetical order, without aliases.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.names()[:3]
    ['baker', 'benna_fusi', 'cascade_synapse']
    """
    return REGISTRY.names()


@public
def get(name: str, /, **parameters: Any) -> Map | Flow:
    """A system by name.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias such as "lorenz" or "rossler".
    **parameters
        Parameters that differ from their defaults.

    Returns
    -------
    Map or Flow
        The system.

    Raises
    ------
    UnknownNameError
        For a name that is unknown.
    TypeError
        For a parameter that the system does not take, or text in place of a number.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.get("lorenz", rho=20.0).rho
    20.0
    """
    return REGISTRY.find(name)(**parameters)


@public
def describe(name: str) -> dict[str, Any]:
    """Facts about a system at its default parameters.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.

    Returns
    -------
    dict
        ``name``, ``class`` (its name), ``kind`` ("Map" or "Flow"), ``about`` (a sentence),
        ``equation`` (text), ``equation_latex``, ``states`` (names),
        ``inputs`` (number), ``parameters`` (defaults by name), ``known`` (a ``Known``: exponents
        with tolerance and source, or None) and ``source`` (reference).

    Raises
    ------
    UnknownNameError
        For a name that is unknown.

    Examples
    --------
    >>> import dynmem as dm
    >>> facts = dm.systems.describe("henon")
    >>> facts["kind"], facts["parameters"], facts["known"].exponents
    ('Map', {'a': 1.4, 'b': 0.3}, (0.41922, -1.62319))
    """
    kind = REGISTRY.find(name)
    system = kind()
    defaults = system.parameters
    return {
        "name": REGISTRY.resolve(name),
        "class": kind.__name__,
        "kind": "Map" if issubclass(kind, Map) else "Flow",
        "about": summary(kind),
        "equation": stated_equation(kind),
        "equation_latex": system.equation or equation(system).get("latex"),
        "states": tuple(system.states),
        "inputs": system.inputs,
        "parameters": {f.name: defaults[f.name] for f in fields(kind) if f.init},
        "known": known_exponents(name),
        "source": kind.source,
    }


@public
def about(name: str) -> str:
    """One sentence on a system.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.

    Returns
    -------
    str
        First sentence of its docstring.

    Raises
    ------
    UnknownNameError
        For a name that is unknown.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.about("cat")
    "Arnold's cat map, a hyperbolic automorphism of the torus."
    """
    return summary(REGISTRY.find(name))


@public
def known_exponents(name: str) -> Known | None:
    """Lyapunov exponents of a system at its default parameters, known from elsewhere.

    Parameters
    ----------
    name : str
        Name of ``names()``, or an alias.

    Returns
    -------
    Known or None
        Exponents in nats per unit of time with tolerance and source; None where none are known.

    Raises
    ------
    UnknownNameError
        For a name that is unknown.

    References
    ----------
    Sprott (2003), Chaos and Time-Series Analysis, app. A; Wolf et al. (1985), Physica D 16, 285.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.known_exponents("lorenz63").exponents[0]
    0.9056
    """
    return REGISTRY.find(name).known
