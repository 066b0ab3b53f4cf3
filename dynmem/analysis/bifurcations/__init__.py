"""What changes with a parameter? Diagrams, maps of exponents, period doublings, Poincare
sections."""
