"""Datasets by name: orbits of the systems of nature, planets, neural memories, text and speech, as
labelled arrays that are stored without loss."""

from ..runtime.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__, __file__)
