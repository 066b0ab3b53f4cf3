"""What a model costs on paper: parameters, state, operations and sequential steps, counted by
running its own rule; widths that match."""

from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from ...errors import ShapeError, UnknownNameError
from ...labels import dataset, describe_system
from ...models import get
from ...runtime.validation import integer, number
from ...system import Map, as_system, map_arrays
from .counting import Counted, Tally

SOURCE = (
    "counted: one multiply-add for each product in a matrix product (two operations), one "
    "operation for each number elementwise"
)
ON = {"parameters": "parameters", "state": "state_size", "operations": "operations"}


def counted_cost(model, *, lengths=1024):
    """Parameters, state, operations, memory and sequential steps of a model, for one step and for
    whole sequences.

    No formula of its own: the rule runs once on arrays that count (``counting``), and so does
    ``run`` for each length where a model takes all steps at once. A layer whose ``run`` is machine
    code (a compiled scan) does the rule's operations at each step, and so is counted, each layer
    over the whole sequence. What is computed of the weights alone, before any input, is not.
    Operations are 2 multiply_adds + elementwise.

    Parameters: model, a Map; lengths, one or several numbers of steps, of one sequence.

    Returns a Dataset over ``length``: multiply_adds, elementwise, operations, activations (numbers
    that the operations make: at most what a backward pass keeps), sequential_steps (the longest
    chain of array operations that wait for one another); and parameters, state_size,
    step_multiply_adds, step_elementwise, step_operations (rule and output of one step, between
    which a stack goes through its lower layers twice), by_rule (whether the rule of some layer was
    counted at every step, in place of ``run``). Raises TypeError for a torch module
    (``dm.models.from_torch`` converts it) and for a rule that leaves the vocabulary.

    >>> import dynmem as dm
    >>> found = counted_cost(dm.models.get("lstm", units=64, inputs=64), lengths=256)
    >>> int(found.step_multiply_adds) == 8 * 64**2, int(found.parameters) == 4 * (2 * 64**2 + 64)
    (True, True)
    """
    system = as_system(model, Map)
    if system.size is None:
        raise ShapeError(
            f"{type(system).__name__} names no states: set states = (...), so that "
            "its cost is known"
        )
    lengths = np.unique(
        [integer("lengths", value, 1) for value in np.atleast_1d(np.asarray(lengths, dtype=object))]
    )
    step, by_rule = _step(system), _run(system, 1) is None
    try:
        whole_runs = [_run(_countable(system), int(length)) for length in lengths]
    except MemoryError as error:
        raise MemoryError(
            f"a sequence of {lengths.max():,} steps does not fit into memory "
            f"({error}): count shorter ones, from which the cost "
            "of longer ones follows"
        ) from None
    tallies, depths = zip(*whole_runs, strict=True)
    variables = {
        "parameters": ((), parameters(system), "1", "numbers that can be trained"),
        "state_size": ((), system.size, "1", "numbers that the state holds"),
        "step_multiply_adds": (
            (),
            step.multiply_adds,
            "1/step",
            "multiply-adds of rule and output in one step",
        ),
        "step_elementwise": (
            (),
            step.elementwise,
            "1/step",
            "elementwise operations of rule and output in one step",
        ),
        "step_operations": (
            (),
            _operations(step),
            "1/step",
            "operations of rule and output in one step",
        ),
        "by_rule": (
            (),
            by_rule,
            "1",
            "whether the rule of a layer was counted at each step, since run is machine code",
        ),
        "multiply_adds": (
            "length",
            [t.multiply_adds for t in tallies],
            "1",
            "multiply-adds of a sequence",
        ),
        "elementwise": (
            "length",
            [t.elementwise for t in tallies],
            "1",
            "elementwise operations of a sequence",
        ),
        "operations": (
            "length",
            [_operations(t) for t in tallies],
            "1",
            "operations of a sequence",
        ),
        "activations": (
            "length",
            [t.numbers for t in tallies],
            "1",
            "numbers that the operations of a sequence make",
        ),
        "sequential_steps": (
            "length",
            list(depths),
            "1",
            "longest chain of array operations that wait for one another",
        ),
    }
    coords = {"length": ("length", lengths, "step", "length of the sequence")}
    return dataset(
        variables,
        coords,
        title=f"cost of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system),
    )


def parameters(system):
    """Number of floats in the arrays of a system and of the systems inside it: what
    ``dm.Trainable`` trains."""
    found = []
    map_arrays(
        as_system(system), lambda array: found.append(array.size if array.dtype.kind in "fc" else 0)
    )
    return int(sum(found))


def _operations(tally):
    return 2 * tally.multiply_adds + tally.elementwise


def _start(system, tally):
    """A state of rest that counts."""
    return Counted(np.zeros(system.size), tally)


def _step(system):
    """The tally of one step."""
    tally = Tally()
    u = Counted(np.zeros(system.inputs), tally) if system.inputs else None
    with np.errstate(all="ignore"):  # the numbers do not matter
        system.output(system.rule(_start(system, tally), u), u)
    return tally


def _run(system, length):
    """Tally and chain of ``run`` over a sequence, or None where it leaves the arrays that count."""
    tally = Tally()
    try:
        with np.errstate(all="ignore"):
            y, last = system.run(
                _start(system, tally), Counted(np.zeros((length, system.inputs)), tally)
            )
    except TypeError as error:
        if "count" not in str(error) and "operations of numpy" not in str(error):
            raise
        return None
    return tally, max(y.depth, getattr(last, "depth", 0))


@dataclass(frozen=True, eq=False)
class ByRule(Map):
    """A system that goes through a sequence step by step."""

    system: Map
    inputs, outputs, size = (
        property(lambda self, name=name: getattr(self.system, name))
        for name in ("inputs", "outputs", "size")
    )
    states = property(lambda self: self.system.states)
    dt = property(lambda self: self.system.dt)

    def rule(self, x, u):
        return self.system.rule(x, u)

    def output(self, x, u):
        return self.system.output(x, u)


def _countable(system):
    """The system, with those of the systems inside it by their rule whose ``run`` leaves the arrays
    that count: a stack that went through its steps as a whole would count its lower layers twice,
    and make the layers wait for one another."""
    if _run(system, 1) is not None:
        return system
    inside = (
        {each.name: getattr(system, each.name) for each in fields(system)}
        if is_dataclass(system)
        else {}
    )
    parts = {
        name: tuple(map(_countable, value)) if isinstance(value, tuple) else _countable(value)
        for name, value in inside.items()
        if isinstance(value, Map)
        or (isinstance(value, tuple) and value and all(isinstance(part, Map) for part in value))
    }
    changed = replace(system, **parts) if parts else system
    return changed if parts and _run(changed, 1) is not None else ByRule(system)


def match(
    names,
    *,
    budget,
    on="parameters",
    length=256,
    inputs=1,
    outputs=None,
    layers=1,
    multiple=1,
    most=8192,
    options=None,
    **shared,
):
    """Widths at which models cost the same, so that a comparison between them is fair.

    For each name the number of units whose cost comes nearest to the budget, in ratio, found by
    bisection on models that are built and counted.

    Parameters: names of ``dm.models``; budget, a number, or a name among them with its units, e.g.
    ("lstm", 64), whose cost is then the budget; on, "parameters", "state" (numbers that the state
    holds) or "operations" (of a sequence of ``length`` steps); inputs, outputs, layers and the
    other keywords go to ``dm.models.get``, options[name] only to that model; units are multiples of
    ``multiple`` (heads that must divide them), at most ``most``.

    Returns a Dataset over ``model``: units, parameters, state_size, operations, deviation (cost
    over budget, less 1); attribute budget. Raises UnknownNameError for a name, ValueError where
    even the narrowest model costs more than 1.5 times the budget, or the widest less.

    >>> found = match(["tanh", "lstm"], budget=10_000, inputs=8)
    >>> found.units.values.tolist(), bool(abs(found.deviation).max() < 0.03)
    ([96, 46], True)
    """
    names, options = [names] if isinstance(names, str) else list(names), options or {}
    if on not in ON:
        raise ValueError(f"on = {on!r}: must be parameters, state or operations")
    for name in options:
        if name not in names:
            raise UnknownNameError("model of this comparison", name, names)
    multiple, most, length = (
        integer("multiple", multiple, 1),
        integer("most", most, 1),
        integer("length", length, 1),
    )

    def build(name, units):
        return get(
            name,
            units=units,
            inputs=inputs,
            outputs=outputs,
            layers=layers,
            **(shared | options.get(name, {})),
        )

    def count(model, kind=on):
        return (
            parameters(model)
            if kind == "parameters"
            else model.size
            if kind == "state"
            else _operations(_run(_countable(model), length)[0])
        )

    if isinstance(budget, (tuple, list)) and len(budget) == 2:
        budget = count(build(*budget))
    elif not (np.isfinite(number("budget", budget)) and budget > 0):
        raise ValueError(f"budget = {budget}: must be a number above 0, or a name and its units")
    units = [
        _nearest(lambda u, name=name: count(build(name, u)), budget, multiple, most, name)
        for name in names
    ]
    built = [build(name, each) for name, each in zip(names, units, strict=True)]
    found = {kind: [count(model, kind) for model in built] for kind in ON}
    variables = {"units": ("model", units, "1", "units of each layer")} | {
        label: ("model", found[kind], "1", text)
        for (kind, label), text in zip(
            ON.items(),
            (
                "numbers that can be trained",
                "numbers that the state holds",
                f"operations of {length} steps",
            ),
            strict=True,
        )
    }
    variables["deviation"] = (
        "model",
        np.array(found[on]) / budget - 1,
        "1",
        "cost over budget, less 1",
    )
    return dataset(
        variables,
        {"model": ("model", names, "1", "model")},
        title=f"models matched on {on}",
        source=SOURCE,
        parameters={
            "budget": budget,
            "on": on,
            "length": length,
            "inputs": inputs,
            "outputs": outputs,
            "layers": layers,
            "multiple": multiple,
        }
        | shared,
    )


def _nearest(count, budget, multiple, most, name):
    """The multiple whose cost is nearest to the budget in ratio; costs grow with it."""
    low, high = 1, 1
    while count(high * multiple) < budget:
        low, high = high, 2 * high
        if high * multiple > 2 * most:
            raise ValueError(
                f"{name} of {low * multiple} units costs less than the budget of "
                f"{budget}: raise most = {most}, or lower the budget"
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
            f"{budget}: raise the budget"
        )
    return best * multiple
