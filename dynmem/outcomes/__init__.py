"""Predictions beside outcomes: what models are expected to learn to remember, and what they do."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
