"""A flow in time: Runge-Kutta steps as maps."""
