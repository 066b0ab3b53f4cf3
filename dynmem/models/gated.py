"""Gated networks: LSTM and GRU."""

from __future__ import annotations

from typing import Self

import numpy as np

from ..arrays import concat, sigmoid, split, tanh
from ..runtime.validation import choice, generator, number
from ..typing import Array, Rng
from .cell import Cell

__all__ = ["GRU", "LSTM"]

INITS = ("gaussian", "uniform")


def lstm_gates(i: Array, f: Array, g: Array, o: Array) -> tuple[Array, Array, Array, Array]:
    """Gates i, f, o and candidate g of their sums: sigma, and tanh for g."""
    return sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)


def lstm_state(c: Array, i: Array, f: Array, g: Array, o: Array) -> tuple[Array, Array]:
    """Next cell state f c + i g and its output o tanh of it."""
    c = f * c + i * g
    return c, o * tanh(c)


def gru_candidate(r: Array, drive: Array, recurrent: Array) -> Array:
    """Candidate n = tanh(drive + r recurrent): the reset gate acts on the recurrent sum alone."""
    return tanh(drive + r * recurrent)


def gru_state(h: Array, z: Array, n: Array) -> Array:
    """Next state (1 - z) n + z h."""
    return n + z * (h - n)


class LSTM(Cell):
    """Long short-term memory.

        i, f, o = sigma(W h_(t-1) + V u_t + b),  g = tanh(W h_(t-1) + V u_t + b),
        c_t = f c_(t-1) + i g,  h_t = o tanh(c_t)

    Parameters
    ----------
    W : array_like (4N, N)
        Recurrent weights, N rows for each of i, f, g, o in torch's order.
    V : array_like (4N, D), optional
        Input weights; None for a network without input.
    b : array_like (4N,), optional
        Bias; None for zero.

    Notes
    -----
    The state is (h, c), 2N components: a Jacobian without c misses the constant error carousel. The
    output is h (N,).

    References
    ----------
    Hochreiter and Schmidhuber (1997), Neural Computation 9, 1735; the forget gate: Gers,
    Schmidhuber and Cummins (2000), Neural Computation 12, 2451.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.LSTM.zeros(1).rule(np.array([0.0, 1.0]), None)[1].item()
    0.5
    """

    W: Array
    V: Array = None
    b: Array = None
    gates = 4
    kernel = "lstm"
    tile = 128
    shapes = {"W": "gN,N", "V": "gN,D", "b": "gN"}
    letters = ("h", "c")
    source = "Hochreiter and Schmidhuber (1997), Neural Computation 9, 1735"

    def gate_values(self, x: Array, u: Array | None) -> tuple[Array, Array, Array, Array]:
        """Gates i, f, candidate g and gate o, each of shape (..., N)."""
        h, _ = split(x, 2)
        return lstm_gates(*split(self.driven(h @ self.W.T + self.b, u), 4))

    def rule(self, x: Array, u: Array | None) -> Array:
        c, h = lstm_state(split(x, 2)[1], *self.gate_values(x, u))
        return concat((h, c))

    def output(self, x: Array, u: Array | None) -> Array:
        return split(x, 2)[0]

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        gain: float = 1.0,
        input_gain: float = 1.0,
        bias_sd: float = 0.0,
        forget_bias: float | None = None,
        init: str = "gaussian",
        chrono: float | None = None,
    ) -> Self:
        """Random LSTM.

        Parameters
        ----------
        units : int
            Number N of units.
        inputs : int, optional
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        gain : float of at least 0, optional
            W ~ N(0, gain^2/N).
        input_gain : float of at least 0, optional
            V ~ N(0, input_gain^2/D).
        bias_sd : float of at least 0, optional
            b ~ N(0, bias_sd^2).
        forget_bias : float, optional
            Bias of the forget gate, 1 in Jozefowicz et al. (2015).
        init : {"gaussian", "uniform"}, optional
            As above, or every weight uniform in +-1/sqrt(N), as torch draws them.
        chrono : float above 2, optional
            Longest memory T in steps: forget biases ln U(1, T - 1), input biases their negatives,
            so that memories of up to T steps are spread over the units.

        Returns
        -------
        LSTM

        Raises
        ------
        ValueError
            For an option out of its range, and for forget_bias together with chrono.

        References
        ----------
        Jozefowicz, Zaremba and Sutskever (2015), ICML. Tallec and Ollivier (2018), ICLR, eq. 16.
        """
        rng, init = generator(rng), choice("init", init, INITS)
        arrays = (
            cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd)
            if init == "gaussian"
            else cls.uniform(units, inputs, rng)
        )
        b, n = arrays["b"], arrays["W"].shape[1]
        if forget_bias is not None and chrono is not None:
            raise ValueError("pass forget_bias or chrono, not both")
        if forget_bias is not None:
            b[n : 2 * n] = number("forget_bias", forget_bias)
        if chrono is not None:
            b[n : 2 * n] = chrono_bias(n, chrono, rng)
            b[:n] = -b[n : 2 * n]
        return cls(**arrays)


class GRU(Cell):
    """Gated recurrent unit, with torch's reset gate and torch's convex sum.

        r, z = sigma(W h_(t-1) + V u_t + b),  n = tanh(V u_t + b + r (W h_(t-1) + c)),
        h_t = (1 - z) n + z h_(t-1)

    Parameters
    ----------
    W : array_like (3N, N)
        Recurrent weights, N rows for each of r, z, n.
    V : array_like (3N, D), optional
        Input weights; None for a network without input.
    b : array_like (3N,), optional
        Bias; None for zero.
    c : array_like (N,), optional
        Bias inside the reset gate; None for zero.

    Notes
    -----
    The state is h (N,), which is the output too. A z near 1 keeps the state.

    References
    ----------
    Cho et al. (2014), EMNLP, arXiv:1406.1078, eq. 5 to 8.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.GRU.zeros(1).rule(np.array([1.0]), None).item()
    0.5
    """

    W: Array
    V: Array = None
    b: Array = None
    c: Array = None
    gates = 3
    kernel = "gru"
    tile = 128
    shapes = {"W": "gN,N", "V": "gN,D", "b": "gN", "c": "N"}
    source = "Cho et al. (2014), EMNLP, arXiv:1406.1078"

    def gate_values(self, x: Array, u: Array | None) -> tuple[Array, Array, Array]:
        """Reset gate r, update gate z and candidate n, each of shape (..., N)."""
        size = x.shape[-1]
        recurrent, drive = x @ self.W.T, self.driven(self.b, u)
        gate = sigmoid(recurrent[..., : 2 * size] + drive[..., : 2 * size])
        r, z = split(gate, 2)
        return r, z, gru_candidate(r, drive[..., 2 * size :], recurrent[..., 2 * size :] + self.c)

    def rule(self, x: Array, u: Array | None) -> Array:
        _, z, n = self.gate_values(x, u)
        return gru_state(x, z, n)

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        gain: float = 1.0,
        input_gain: float = 1.0,
        bias_sd: float = 0.0,
        update_bias: float | None = None,
        init: str = "gaussian",
        chrono: float | None = None,
    ) -> Self:
        """Random GRU.

        Parameters
        ----------
        units : int
            Number N of units.
        inputs : int, optional
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        gain : float of at least 0, optional
            W ~ N(0, gain^2/N).
        input_gain : float of at least 0, optional
            V ~ N(0, input_gain^2/D).
        bias_sd : float of at least 0, optional
            b ~ N(0, bias_sd^2).
        update_bias : float, optional
            Bias of the update gate z.
        init : {"gaussian", "uniform"}, optional
            As above, or every weight uniform in +-1/sqrt(N), as torch draws them.
        chrono : float above 2, optional
            Longest memory T in steps: update biases ln U(1, T - 1).

        Returns
        -------
        GRU

        Raises
        ------
        ValueError
            For an option out of its range, and for update_bias together with chrono.

        References
        ----------
        Tallec and Ollivier (2018), ICLR, eq. 16.
        """
        rng, init = generator(rng), choice("init", init, INITS)
        if init == "uniform":
            arrays = cls.uniform(units, inputs, rng)
        else:
            arrays = cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd) | {
                "c": np.zeros(units)
            }
        n = arrays["W"].shape[1]
        if update_bias is not None and chrono is not None:
            raise ValueError("pass update_bias or chrono, not both")
        if update_bias is not None:
            arrays["b"][n : 2 * n] = number("update_bias", update_bias)
        if chrono is not None:
            arrays["b"][n : 2 * n] = chrono_bias(n, chrono, rng)
        return cls(**arrays)


def chrono_bias(units: int, longest: float, rng: Rng) -> np.ndarray:
    """Biases ln U(1, T - 1), shape (units,), for memories of up to T = ``longest`` steps (Tallec
    and Ollivier 2018).
    """
    longest = number("chrono", longest, above=2)
    return np.log(generator(rng).uniform(1.0, longest - 1.0, units))
