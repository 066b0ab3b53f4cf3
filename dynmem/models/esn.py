"""Echo-state networks: a random reservoir that is not trained, and a readout by least squares."""

from __future__ import annotations

from typing import Self

import numpy as np

from ..runtime.validation import generator, number
from ..typing import Rng
from .rnn import Tanh

__all__ = ["ESN"]


class ESN(Tanh):
    """Reservoir of an echo-state network, with an exact spectral radius of W.

        h_t = (1 - d) h_(t-1) + d tanh(W h_(t-1) + V u_t + b)

    Parameters
    ----------
    W : array_like (N, N)
        Recurrent weights.
    V : array_like (N, D), optional
        Input weights; None for a network without input.
    b : array_like (N,), optional
        Bias; None for zero.
    leak : float in (0, 1], optional
        The leak d, also the duration ``dt`` of one step.

    Notes
    -----
    Only the readout of the ``Network`` around it is trained, by ``training.ridge_readout``: one
    linear system. With a spectral radius below 1 it forgets its start, for most inputs; the first
    states are left out (washout). The state is h (N,), which is the output too.

    References
    ----------
    Jaeger (2001), GMD report 148. Jaeger and Haas (2004), Science 304, 78. Lukosevicius (2012), A
    practical guide to applying echo state networks, for the scales.

    Examples
    --------
    >>> import dynmem as dm
    >>> reservoir = dm.models.ESN.random(50, 1, spectral_radius=0.8)
    >>> round(float(abs(np.linalg.eigvals(reservoir.W)).max()), 12)
    0.8
    """

    kernel = Tanh.kernel
    source = "Jaeger (2001), GMD report 148; Jaeger and Haas (2004), Science 304, 78"

    @classmethod
    def random(  # type: ignore[override]  # its own scales
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        spectral_radius: float = 0.9,
        input_gain: float = 1.0,
        bias: float = 0.5,
        leak: float = 1.0,
    ) -> Self:
        """Random reservoir.

        Parameters
        ----------
        units : int
            Number N of units.
        inputs : int, optional
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        spectral_radius : float, optional
            W is Gaussian, scaled to this spectral radius.
        input_gain : float, optional
            V is uniform in +-input_gain.
        bias : float, optional
            b is uniform in +-bias, which breaks the symmetry of tanh.
        leak : float in (0, 1], optional
            The leak d.

        Returns
        -------
        ESN

        Raises
        ------
        ValueError
            For an option that is no finite number.
        """
        rng = generator(rng)
        arrays = cls.gaussian(units, inputs, rng, 1.0, 1.0, 0.0)
        arrays["W"] = arrays["W"] * (
            number("spectral_radius", spectral_radius)
            / np.abs(np.linalg.eigvals(arrays["W"])).max()
        )
        input_gain, bias = number("input_gain", input_gain), number("bias", bias)
        if inputs:
            arrays["V"] = rng.uniform(-input_gain, input_gain, (units, inputs))
        arrays["b"] = rng.uniform(-bias, bias, units)
        return cls(**arrays, leak=number("leak", leak, above=0, most=1))
