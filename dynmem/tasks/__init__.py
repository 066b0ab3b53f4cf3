"""Tasks: sequences whose answer needs a memory, each with the exact loss of a predictor that has
none.

A new task is one class derived from ``Task`` and one entry in ``TASKS``.
"""

from .adding import Adding
from .copying import LAYOUTS, Copy, SelectiveCopy
from .digits import Digits
from .matching import DelayedMatch, NBack
from .questions import Questions
from .recall import AssociativeRecall, Induction
from .registry import TASKS, about, get, names
from .switching import FlipFlop, Parity
from .task import LOSSES, PARTS, RIGHT, TOLERANCE, Task, whole

__all__ = [
    "Task",
    "Copy",
    "SelectiveCopy",
    "Adding",
    "DelayedMatch",
    "NBack",
    "FlipFlop",
    "Parity",
    "Induction",
    "AssociativeRecall",
    "Questions",
    "Digits",
    "get",
    "names",
    "about",
    "whole",
    "TASKS",
    "LAYOUTS",
    "LOSSES",
    "PARTS",
    "RIGHT",
    "TOLERANCE",
]
