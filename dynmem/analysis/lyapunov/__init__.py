"""How fast do differences grow? Lyapunov exponents and vectors, conditional exponents, chaos
indicators."""
