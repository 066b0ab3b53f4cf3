"""Tasks by name."""

from dataclasses import fields

from ..errors import UnknownNameError, suggestion
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


def get(name, /, **options):
    """Task of this name with these options.

    Raises UnknownNameError with the names there are, TypeError for options that it does not take,
    ValueError for values that cannot be; either lists every option that is wrong.

    >>> get("copy", delay=100).steps
    120
    """
    kind = TASKS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownNameError("task", name, TASKS)
    known = [f.name for f in fields(kind)]
    unknown = [k for k in options if k not in known]
    try:
        task, problems = kind(**{k: v for k, v in options.items() if k in known}), ""
    except ValueError as error:
        task, problems = None, str(error)
    if unknown:
        hints = "".join(suggestion(k, known) for k in unknown)
        raise TypeError(
            f"{name} takes no option {', '.join(unknown)}: it takes "
            f"{', '.join(known)}{hints}\n{problems}".rstrip()
        )
    if problems:
        raise ValueError(problems)
    return task


def names():
    """Names that ``get`` knows.

    >>> names()[:4]
    ['adding', 'associative_recall', 'copy', 'delayed_match']
    """
    return sorted(TASKS)


def about(name):
    """The task of this name in a line.

    >>> about("parity")
    'Parity: is the number of ones so far odd?'
    """
    return TASKS[name].__doc__.partition("\n\n")[0]
