"""What nature does: dynamical systems by name."""

from ..runtime.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__, __file__)
