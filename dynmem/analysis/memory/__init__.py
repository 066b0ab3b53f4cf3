"""How much of the past can be read back? Memory capacity and recall."""
