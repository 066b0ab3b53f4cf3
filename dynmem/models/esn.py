"""Echo-state networks: a random reservoir that is never trained, under a readout that is solved
for."""

from dataclasses import dataclass

import numpy as np

from ..runtime.validation import number
from .rnn import Tanh


@dataclass(frozen=True, eq=False)
class ESN(Tanh):
    """Reservoir of an echo-state network: h_t = (1 - d) h_(t-1) + d tanh(W h_(t-1) + V u_t + b), W,
    V and b random, rho(W) chosen exactly.

    Only the readout of the ``Network`` around it is trained, by ``training.ridge_readout``: one
    linear system. With a spectral radius below 1 it forgets its start, for most inputs; the states
    that come first are left out (washout). Fields as for ``Tanh``.

    Source: Jaeger (2001), GMD report 148; Jaeger and Haas (2004), Science 304, 78; Lukosevicius
    (2012), A practical guide, for the scales.

    >>> reservoir = ESN.random(50, 1, spectral_radius=0.8)
    >>> round(float(abs(np.linalg.eigvals(reservoir.W)).max()), 12)
    0.8
    """

    kernel = Tanh.kernel

    @classmethod
    def random(
        cls, units, inputs=0, *, rng=0, spectral_radius=0.9, input_gain=1.0, bias=0.5, leak=1.0
    ):
        """W Gaussian, scaled to the spectral radius; V uniform in +-input_gain, b uniform in +-bias
        (which breaks the symmetry of tanh)."""
        rng = np.random.default_rng(rng)
        made = cls.gaussian(units, inputs, rng, 1.0, 1.0, 0.0)
        made["W"] = made["W"] * (
            number("spectral_radius", spectral_radius) / np.abs(np.linalg.eigvals(made["W"])).max()
        )
        made["V"] = rng.uniform(-input_gain, input_gain, (units, inputs)) if inputs else made["V"]
        made["b"] = rng.uniform(-bias, bias, units)
        return cls(**made, leak=number("leak", leak))
