"""Tasks by name."""

from dataclasses import fields

from ..errors import UnknownNameError
from .adding import Adding
from .copying import Copy, SelectiveCopy
from .digits import Digits
from .matching import DelayedMatch, NBack
from .questions import Questions
from .recall import AssociativeRecall, Induction
from .switching import FlipFlop, Parity

TASKS = {task.name: task for task in (
    Copy, SelectiveCopy, Adding, DelayedMatch, NBack, FlipFlop, Parity, Induction, AssociativeRecall, Questions, Digits,
)}  # fmt: skip


def get(name, **options):
    """Task of this name with these options; ValueError lists every option that cannot be, UnknownNameError the names there are.

    >>> get("copy", delay=100).steps
    120
    """
    kind = TASKS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownNameError("task", name, TASKS)
    known = [f.name for f in fields(kind)]
    problems = [f"{k} = {v!r}: no option of {name}, which has {', '.join(known)}" for k, v in options.items() if k not in known]
    try:
        task = kind(**{k: v for k, v in options.items() if k in known})
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return task


def names():
    """Names that ``get`` knows.

    >>> names()[:4]
    ['adding', 'associative_recall', 'copy', 'delayed_match']
    """
    return sorted(TASKS)
