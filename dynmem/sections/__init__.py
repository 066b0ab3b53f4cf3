"""A flow seen once a period, or once a crossing: maps of sections."""
