"""Datasets by name: orbits of the systems of nature, planets, neural memories, text and speech, as
labelled arrays that are stored without loss."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
