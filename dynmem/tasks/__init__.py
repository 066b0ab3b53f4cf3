"""Tasks: sequences whose answer needs a memory, each with the exact loss of a predictor that has
none.

A new task is one class derived from ``Task`` and one entry in ``TASKS``.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
