from .adding import Adding as Adding
from .copying import LAYOUTS as LAYOUTS, Copy as Copy, SelectiveCopy as SelectiveCopy
from .digits import Digits as Digits
from .matching import DelayedMatch as DelayedMatch, NBack as NBack
from .questions import Questions as Questions
from .recall import AssociativeRecall as AssociativeRecall, Induction as Induction
from .registry import (
    TASKS as TASKS,
    about as about,
    describe as describe,
    get as get,
    names as names,
)
from .switching import FlipFlop as FlipFlop, Parity as Parity
from .task import Task as Task
