"""Figures: one file a picture, of the name of its study, with ``draw(dataset)``."""
