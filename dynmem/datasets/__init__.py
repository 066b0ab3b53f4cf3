"""Data as labelled arrays that explain themselves: chaotic orbits, planets, neural memories, by
name; kept without loss, read back unchanged."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
