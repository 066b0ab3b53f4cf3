"""Predictions in closed form or by mean field: each twin of an analysis takes the system first and
returns its variables, dims, coordinates and units."""

from ..runtime.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__, __file__)
