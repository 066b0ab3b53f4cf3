"""Training: a system with trainable arrays, the loop that fits it to a task, forecasts, and
checkpoints that cannot run code."""

from ..runtime.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__, __file__)
