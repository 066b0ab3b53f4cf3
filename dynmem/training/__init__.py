"""Training: a system with trainable arrays, the loop that fits it to a task, forecasts, and
checkpoints that cannot run code."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
