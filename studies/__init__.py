"""Studies: one file a question, with ``measure`` for one point of its grid and ``STUDY``."""
