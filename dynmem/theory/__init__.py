"""Predictions in closed form or by mean field: each twin of an analysis takes the system first and
returns its variables, dims, coordinates and units."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
