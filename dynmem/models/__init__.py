"""What we train: sequence models as systems."""

from ..runtime.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
