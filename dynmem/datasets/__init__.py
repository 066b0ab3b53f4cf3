"""Data as labelled arrays that explain themselves: chaotic orbits, planets, neural memories, by
name; kept without loss, read back unchanged."""

from ..runtime.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
