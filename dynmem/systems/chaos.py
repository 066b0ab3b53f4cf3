"""Chaotic maps and flows."""

from dataclasses import dataclass

import numpy as np

from ..arrays import stack
from ..system import Flow, Map


@dataclass(frozen=True, eq=False)
class Logistic(Map):
    """Logistic map x' = r x (1 - x) (May 1976); at r = 4 its exponent is ln 2 exactly."""

    r: float = 4.0
    states = ("x",)
    source = "May (1976), Nature 261, 459"

    def rule(self, x, u):
        return self.r * x * (1.0 - x)

    def initial(self, rng=0):
        return np.random.default_rng(rng).uniform(0.1, 0.9, 1)


@dataclass(frozen=True, eq=False)
class Henon(Map):
    """Henon map x' = 1 - a x^2 + y, y' = b x (Henon 1976); exponents 0.41922, -1.62319 (Sprott 2003) with sum ln b."""

    a: float = 1.4
    b: float = 0.3
    states = ("x", "y")
    source = "Henon (1976), Commun. Math. Phys. 50, 69"

    def rule(self, s, u):
        x, y = s[..., 0], s[..., 1]
        return stack((1.0 - self.a * x * x + y, self.b * x))

    def initial(self, rng=0):
        return 0.1 * np.random.default_rng(rng).uniform(-1.0, 1.0, 2)


@dataclass(frozen=True, eq=False)
class Lorenz63(Flow):
    """Lorenz's convection: x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z; exponents 0.9056, 0, -14.5723 (Sprott 2003)."""

    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8.0 / 3.0
    states = ("x", "y", "z")
    source = "Lorenz (1963), J. Atmos. Sci. 20, 130"

    def rule(self, s, u):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return stack((self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z))

    def initial(self, rng=0):
        return np.array([1.0, 1.0, 20.0]) + 0.1 * np.random.default_rng(rng).standard_normal(3)
