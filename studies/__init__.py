"""Studies: one file for each question, with ``measure`` for one point of its grid, and
``STUDY``."""
