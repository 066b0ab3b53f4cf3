"""Working memory of neural circuits: line and ring attractors, bistable units, populations."""
