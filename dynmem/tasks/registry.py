"""Look up tasks by name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import MISSING, fields
from typing import Any

from ..errors import suggestion
from ..runtime.registry import Registry
from ..runtime.validation import public
from .adding import Adding
from .copying import Copy, SelectiveCopy
from .digits import Digits
from .matching import DelayedMatch, NBack
from .questions import Questions
from .recall import AssociativeRecall, Induction
from .switching import FlipFlop, Parity
from .task import Task

__all__ = ["TASKS", "names"]

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        Copy,
        SelectiveCopy,
        Adding,
        DelayedMatch,
        NBack,
        FlipFlop,
        Parity,
        Induction,
        AssociativeRecall,
        Questions,
        Digits,
    )
}
ALIASES = {
    "adding_problem": "adding",
    "copy_memory": "copy",
    "copying": "copy",
    "selective_copying": "selective_copy",
    "delayed_match_to_sample": "delayed_match",
    "dms": "delayed_match",
    "nback": "n_back",
    "flipflop": "flip_flop",
    "induction_heads": "induction",
    "mqar": "associative_recall",
    "babi": "questions",
    "sequential_digits": "digits",
}
registry: Registry[type[Task]] = Registry("task", TASKS, ALIASES)


@public
def get(name: str, /, **options: Any) -> Task:
    """Make a task by name.

    Parameters
    ----------
    name : str
        Name or alias: "copy", "adding", "mqar" ...
    **options
        Options of the task, the fields of its class: see ``describe(name)``.

    Returns
    -------
    Task

    Raises
    ------
    UnknownNameError
        With the names there are, and the one that was probably meant.
    TypeError
        For options that the task does not take.
    ValueError
        For values that cannot be. Either error lists every option that is wrong.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.tasks.get("copy", delay=100).steps
    120
    """
    kind = registry.find(name)
    known = [field.name for field in fields(kind)]
    unknown = [option for option in options if option not in known]
    try:
        task = kind(**{k: v for k, v in options.items() if k in known})
        wrong: list[str] = []
    except ValueError as error:
        if not unknown:
            raise
        wrong = [str(error)]
    if unknown:
        meant = "".join(suggestion(option, known) for option in unknown)
        refused = f"{name} takes no option {', '.join(unknown)}: it takes {', '.join(known)}{meant}"
        raise TypeError("\n".join([refused, *wrong]))
    return task


def names() -> list[str]:
    """Names that ``get`` knows, sorted.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.tasks.names()[:4]
    ['adding', 'associative_recall', 'copy', 'delayed_match']
    """
    return registry.names()


@public
def about(name: str) -> str:
    """The task of this name in one line.

    Parameters
    ----------
    name : str
        Name or alias.

    Returns
    -------
    str

    Raises
    ------
    UnknownNameError
        With the names there are.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.tasks.about("parity")
    'Parity: is the number of ones so far odd?'
    """
    return (registry.find(name).__doc__ or "").partition("\n\n")[0].replace("``", "")


@public
def describe(name: str) -> dict[str, Any]:
    """What a task is, as plain values: its law, options and limits, floor, reference.

    Parameters
    ----------
    name : str
        Name or alias.

    Returns
    -------
    dict
        name, class, about (one line), question (the law: what is shown, what is required);
        options, a dict of dicts with default and, where there are such, least, most, choices; and
        of the task with its default options inputs, outputs, steps, dependency (steps), loss,
        floor and chance (None where the data is not installed), source.

    Raises
    ------
    UnknownNameError
        With the names there are.

    Examples
    --------
    >>> import dynmem as dm
    >>> described = dm.tasks.describe("adding")
    >>> described["class"], described["options"], round(described["floor"], 4)
    ('Adding', {'steps': {'default': 100, 'least': 2}}, 0.1667)
    """
    name = registry.resolve(name)
    task = get(name)
    shape = ("inputs", "outputs", "steps", "dependency", "loss")
    floor, chance = None, None
    with suppress(ImportError):  # digits need a package that is not always installed
        floor, chance = task.floor, task.chance
    return {
        "name": name,
        "class": type(task).__name__,
        "about": about(name),
        "question": task.law,
        "options": {field.name: _option(task, field) for field in fields(task)},
        **{fact: getattr(task, fact) for fact in shape},
        "floor": floor,
        "chance": chance,
        "source": task.source,
    }


def _option(task, field) -> dict[str, Any]:
    least, most = task.limits.get(field.name, (None, None))
    described = {
        "default": None if field.default is MISSING else field.default,
        "least": least,
        "most": most,
        "choices": task.choices.get(field.name),
    }
    return {k: v for k, v in described.items() if v is not None or k == "default"}
