"""Studies: a grid of parameters, a function that measures one point, and a store that survives what
may happen to it."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
