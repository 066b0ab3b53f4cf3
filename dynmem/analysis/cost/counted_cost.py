"""Cost of a model on paper: parameters, state, operations and sequential steps, counted by its own
rule; and widths at which models cost the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ShapeError, UnknownNameError
from ...labels import dataset, describe_system
from ...models import get
from ...runtime.validation import choice, integer, number, public
from ...system import Map, as_system, map_arrays
from ...typing import ArrayLike
from .counting import Counted, Tally, UncountedError

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "counted: one multiply-add for each product in a matrix product (two operations), one "
    "operation for each number elementwise"
)
# variable of counted_cost that ``match`` compares, by the name of the quantity
MATCHED_VARIABLES = {
    "parameters": "parameters",
    "state": "state_size",
    "operations": "operations",
}
LONG_NAMES = {
    "parameters": "numbers that can be trained",
    "state_size": "numbers that the state holds",
    "multiply_adds": "multiply-adds of a sequence",
    "operations": "operations of a sequence",
}


@public
def counted_cost(model: Map, *, lengths: ArrayLike = 1024) -> Dataset:
    """Count parameters, state, operations, memory and sequential steps of a model.

    The rule runs once on arrays that count, and so does ``run`` for each length where a model takes
    all steps at once. A layer whose ``run`` is compiled (a scan) does the rule's operations at each
    step, and is counted so. Operations are

        operations = 2 multiply_adds + elementwise.

    Parameters
    ----------
    model : Map
        A model, or any other map.
    lengths : int or array_like of int
        Numbers of steps, of one sequence each.

    Returns
    -------
    xarray.Dataset
        parameters : (), 1
            Numbers that can be trained.
        state_size : (), 1
            Numbers that the state holds.
        step_multiply_adds : (), 1/step
            Multiply-adds of rule and output in one step; between the two a stack goes through its
            lower layers twice.
        step_elementwise : (), 1/step
            Elementwise operations of rule and output in one step.
        step_operations : (), 1/step
            Operations of rule and output in one step.
        by_rule : (), 1
            Whether the rule of a layer was counted at every step, in place of ``run``.
        multiply_adds : (length,), 1
            Multiply-adds of a sequence.
        elementwise : (length,), 1
            Elementwise operations of a sequence.
        operations : (length,), 1
            Operations of a sequence.
        activations : (length,), 1
            Numbers that the operations compute: at most what a backward pass keeps.
        sequential_steps : (length,), 1
            Longest chain of array operations each of which needs the one before.

    Raises
    ------
    TypeError
        For a torch module that ``dm.models.from_torch`` does not convert, and for a rule that uses
        functions whose cost is not known.
    ShapeError
        If the model has no size.
    MemoryError
        If a sequence does not fit into memory.

    Notes
    -----
    What is computed of the weights alone, before any input, is not counted.

    References
    ----------
    Vaswani et al. (2017), NeurIPS, table 1, for operations and sequential steps of layers.

    Examples
    --------
    >>> import dynmem as dm
    >>> lstm = dm.models.get("lstm", units=64, inputs=64)
    >>> found = dm.analysis.counted_cost(lstm, lengths=256)
    >>> int(found.step_multiply_adds) == 8 * 64**2, int(found.parameters) == 4 * (2 * 64**2 + 64)
    (True, True)
    """
    system = as_system(model, Map)
    if system.size is None:
        raise ShapeError(
            f"{type(system).__name__} names no states: set states = (...), so that "
            "its cost is known"
        )
    given = np.atleast_1d(np.asarray(lengths, dtype=object))
    steps = np.unique([integer("lengths", value) for value in given])
    step, by_rule = _count_step(system), _count_run(system, 1) is None
    try:
        runs = [_count_run(_countable(system), int(length)) for length in steps]
    except MemoryError as error:
        raise MemoryError(
            f"a sequence of {steps.max():,} steps does not fit into memory "
            f"({error}): count shorter ones, from which the cost "
            "of longer ones follows"
        ) from None
    tallies, chains = zip(*runs, strict=True)
    per_step = {
        "multiply_adds": (step.multiply_adds, "multiply-adds"),
        "elementwise": (step.elementwise, "elementwise operations"),
        "operations": (_operations(step), "operations"),
    }
    per_sequence = {
        "multiply_adds": ([t.multiply_adds for t in tallies], LONG_NAMES["multiply_adds"]),
        "elementwise": ([t.elementwise for t in tallies], "elementwise operations of a sequence"),
        "operations": ([_operations(t) for t in tallies], LONG_NAMES["operations"]),
        "activations": ([t.numbers for t in tallies], "numbers computed over a sequence"),
        "sequential_steps": (
            list(chains),
            "longest chain of array operations each of which needs the one before",
        ),
    }
    variables: dict[str, tuple] = {
        "parameters": ((), count_parameters(system), "1", LONG_NAMES["parameters"]),
        "state_size": ((), system.size, "1", LONG_NAMES["state_size"]),
    }
    for name, (value, text) in per_step.items():
        long_name = f"{text} of rule and output in one step"
        variables[f"step_{name}"] = ((), value, "1/step", long_name)
    variables["by_rule"] = (
        (),
        by_rule,
        "1",
        "whether the rule of a layer was counted at each step",
    )
    for name, (values, text) in per_sequence.items():
        variables[name] = ("length", values, "1", text)
    return dataset(
        variables,
        {"length": ("length", steps, "step", "length of the sequence")},
        title=f"cost of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system),
    )


def count_parameters(system):
    """Number of floats in the arrays of a system and of the systems inside it: what
    ``dm.Trainable`` trains."""
    found = []
    map_arrays(
        as_system(system), lambda array: found.append(array.size if array.dtype.kind in "fc" else 0)
    )
    return int(sum(found))


def _operations(tally):
    return 2 * tally.multiply_adds + tally.elementwise


def _counting_state(system, tally):
    """The state zero, as a counting array."""
    return Counted(np.zeros(system.size), tally)


def _count_step(system):
    """The tally of one step."""
    tally = Tally()
    u = Counted(np.zeros(system.inputs), tally) if system.inputs else None
    with np.errstate(all="ignore"):  # the values do not matter
        system.output(system.rule(_counting_state(system, tally), u), u)
    return tally


def _count_run(system, length):
    """Tally and chain of ``run`` over a sequence, or None where it converts counting arrays to
    plain ones."""
    tally = Tally()
    try:
        with np.errstate(all="ignore"):
            y, last = system.run(
                _counting_state(system, tally), Counted(np.zeros((length, system.inputs)), tally)
            )
    except UncountedError:
        return None
    return tally, max(y.depth, getattr(last, "depth", 0))


@dataclass(frozen=True, eq=False)
class ByRule(Map):
    """The same system, its ``run`` the rule step by step."""

    system: Map
    inputs = property(lambda self: self.system.inputs)
    outputs = property(lambda self: self.system.outputs)
    size = property(lambda self: self.system.size)
    states = property(lambda self: self.system.states)
    dt = property(lambda self: self.system.dt)

    def rule(self, x, u):
        return self.system.rule(x, u)

    def output(self, x, u):
        return self.system.output(x, u)


def _countable(system):
    """The system, with ``ByRule`` around those inside it whose ``run`` cannot be counted: a whole
    stack by its rule would count its lower layers twice, and make each layer wait for the other."""
    if _count_run(system, 1) is not None:
        return system
    inside = {}
    if is_dataclass(system):
        inside = {each.name: getattr(system, each.name) for each in fields(system)}
    parts = {
        name: tuple(map(_countable, value)) if isinstance(value, tuple) else _countable(value)
        for name, value in inside.items()
        if isinstance(value, Map)
        or (isinstance(value, tuple) and value and all(isinstance(part, Map) for part in value))
    }
    changed = replace(system, **parts) if parts else system
    return changed if parts and _count_run(changed, 1) is not None else ByRule(system)


def _cost(model, quantity, length):
    """Parameters, state or operations of ``length`` steps of a model."""
    if quantity == "parameters":
        return count_parameters(model)
    if quantity == "state":
        return model.size
    return _operations(_count_run(_countable(model), length)[0])


@public
def match(
    models: str | Sequence[str],
    *,
    budget: float | tuple[str, int],
    quantity: str = "parameters",
    length: int = 256,
    inputs: int = 1,
    outputs: int | None = None,
    layers: int = 1,
    multiple: int = 1,
    max_units: int = 8192,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    **shared: Any,
) -> Dataset:
    """Find widths at which models cost the same, so that a comparison between them is fair.

    For each model the number of units whose cost is nearest to the budget, in ratio, found by
    bisection on models that are built and counted.

    Parameters
    ----------
    models : str or sequence of str
        Names of ``dm.models``.
    budget : float or (str, int)
        A cost, or a name and its units, e.g. ("lstm", 64), whose cost is the budget.
    quantity : {"parameters", "state", "operations"}
        What costs the same: numbers that can be trained, numbers that the state holds, or
        operations of a sequence of ``length`` steps.
    length : int
        Steps of that sequence.
    inputs, outputs, layers : int
        Of every model, as in ``dm.models.get``.
    multiple : int
        Units are multiples of it (heads that must divide them).
    max_units : int
        Largest number of units tried.
    options : dict, optional
        Options of single models: {name: {option: value}}.
    **shared
        Options of all models, as in ``dm.models.get``.

    Returns
    -------
    xarray.Dataset
        units : (model,), 1
            Units of each layer.
        parameters : (model,), 1
            Numbers that can be trained.
        state_size : (model,), 1
            Numbers that the state holds.
        operations : (model,), 1
            Operations of ``length`` steps.
        deviation : (model,), 1
            Cost over budget, minus 1.

    Raises
    ------
    UnknownNameError
        For a name that is no model, or options of a model that is not compared.
    ValueError
        If even the narrowest model costs more than 1.5 times the budget, or the widest less.

    References
    ----------
    Kaplan et al. (2020), arXiv:2001.08361, for comparisons at equal parameters or operations.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.analysis.match(["tanh", "lstm"], budget=10_000, inputs=8)
    >>> found.units.values.tolist(), bool(abs(found.deviation).max() < 0.03)
    ([96, 46], True)
    """
    names, given = [models] if isinstance(models, str) else list(models), options or {}
    choice("quantity", quantity, MATCHED_VARIABLES)
    for name in given:
        if name not in names:
            raise UnknownNameError("model of this comparison", name, names)
    multiple, max_units = integer("multiple", multiple), integer("max_units", max_units)
    length = integer("length", length)
    ends = {"inputs": inputs, "outputs": outputs, "layers": layers}

    def build(name, units):
        return get(name, units=units, **ends, **(shared | given.get(name, {})))

    def count(model, kind=quantity):
        return _cost(model, kind, length)

    if isinstance(budget, (tuple, list)) and len(budget) == 2:
        allowed = count(build(*budget))
    else:
        allowed = number("budget", budget, above=0)
    units = [
        _nearest_units(
            lambda u, name=name: count(build(name, u)), allowed, multiple, max_units, name
        )
        for name in names
    ]
    built = [build(name, each) for name, each in zip(names, units, strict=True)]
    costs = {kind: [count(model, kind) for model in built] for kind in MATCHED_VARIABLES}
    variables: dict[str, tuple] = {"units": ("model", units, "1", "units of each layer")}
    for kind, name in MATCHED_VARIABLES.items():
        variables[name] = ("model", costs[kind], "1", LONG_NAMES[name])
    deviation = np.array(costs[quantity]) / allowed - 1
    variables["deviation"] = ("model", deviation, "1", "cost over budget, minus 1")
    settings = {
        "budget": allowed,
        "quantity": quantity,
        "length": length,
        "multiple": multiple,
        **ends,
    }
    return dataset(
        variables,
        {"model": ("model", names, "1", "model")},
        title=f"models matched on {quantity}",
        source=SOURCE,
        parameters=settings | shared,
    )


def _nearest_units(count, budget, multiple, max_units, name):
    """The multiple whose cost is nearest to the budget in ratio; costs grow with it."""
    low, high = 1, 1
    while count(high * multiple) < budget:
        low, high = high, 2 * high
        if high * multiple > 2 * max_units:
            raise ValueError(
                f"{name} of {low * multiple} units costs less than the budget of "
                f"{budget:g}: raise max_units = {max_units}, or lower the budget"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle * multiple) < budget else (low, middle)
    ratios = {
        units: max(cost / budget, budget / cost)
        for units in (low, high)
        if (cost := count(units * multiple))
    }
    best = min(ratios, key=ratios.get)
    if ratios[best] > 1.5 and best == 1:
        raise ValueError(
            f"{name} of {multiple} units costs {count(multiple)}, the budget is "
            f"{budget:g}: raise the budget"
        )
    return best * multiple
