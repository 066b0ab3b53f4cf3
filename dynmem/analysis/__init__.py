"""Questions to a system, each answered with a Dataset."""

from ..runtime.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
