"""Chaotic flows: where chaos sets in."""

import numpy as np

import dynmem as dm
from dynmem.systems import flows


def test_lorenz_onset():
    """Chaos sets in at rho = sigma (sigma + beta + 3)/(sigma - beta - 1) = 24.7368, where C+- lose
    their stability (Sparrow 1982)."""
    for rho, sign in ((24.7368 - 1e-3, -1), (24.7368 + 1e-3, 1)):
        c = np.sqrt(8 / 3 * (rho - 1))
        eigenvalues = np.linalg.eigvals(dm.jacobian(flows.Lorenz63(rho=rho), [c, c, rho - 1]))
        assert np.sign(eigenvalues.real.max()) == sign
