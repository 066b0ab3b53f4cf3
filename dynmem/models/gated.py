"""Gated networks: LSTM and GRU."""

from dataclasses import dataclass

import numpy as np

from ..arrays import concat, sigmoid, split, tanh
from ..runtime.validation import number
from .cell import Cell


def lstm_gates(i, f, g, o):
    """Gates i, f, o and candidate g from the sums that reach them: sigma, and tanh for g."""
    return sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)


def lstm_state(c, i, f, g, o):
    """Next cell state f c + i g and its output o tanh of it."""
    c = f * c + i * g
    return c, o * tanh(c)


def gru_candidate(r, drive, recurrent):
    """Candidate n = tanh(drive + r recurrent): the reset gate acts on the recurrent sum alone."""
    return tanh(drive + r * recurrent)


def gru_state(h, z, n):
    """Next state (1 - z) n + z h."""
    return n + z * (h - n)


@dataclass(frozen=True, eq=False)
class LSTM(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
    2000).

    i, f, o = sigma(W h + V u + b), g = tanh(W h + V u + b), each with its own block of N rows in
    the order i, f, g, o of torch; c_t = f c_(t-1) + i g,  h_t = o tanh(c_t).  The state is (h, c),
    2N components: leaving c out of the Jacobian leaves out the constant error carousel. Fields: W
    (4N, N), V (4N, D), b (4N,).

    >>> LSTM.zeros(1).rule(np.array([0.0, 1.0]), None)[1].item()
    0.5
    """

    W: np.ndarray
    V: np.ndarray | None = None
    b: np.ndarray | None = None
    gates = 4
    kernel = "lstm"
    tile = 128
    shapes = {"W": "gN,N", "V": "gN,D", "b": "gN"}
    letters = ("h", "c")

    def gate_values(self, x, u):
        """Gates i, f, o and the candidate g, in the order i, f, g, o, each of shape (..., N)."""
        h, _ = split(x, 2)
        return lstm_gates(*split(self.drive(u, h @ self.W.T + self.b), 4))

    def rule(self, x, u):
        c, h = lstm_state(split(x, 2)[1], *self.gate_values(x, u))
        return concat((h, c))

    def output(self, x, u):
        return split(x, 2)[0]

    @classmethod
    def random(
        cls,
        units,
        inputs=0,
        *,
        rng=0,
        gain=1.0,
        input_gain=1.0,
        bias_sd=0.0,
        forget_bias=None,
        init="gaussian",
        chrono=None,
    ):
        """Random LSTM. init "gaussian": W ~ N(0, gain^2/N), V ~ N(0, input_gain^2/D), b ~ N(0,
        bias_sd^2); "uniform": torch's default.

        ``forget_bias`` sets the forget gate's bias (Jozefowicz et al. 2015: 1). ``chrono=T`` draws
        it as ln U(1, T - 1) and sets the input gate's to its negative (Tallec and Ollivier 2018,
        eq. 16), so that memories of up to T steps are spread over the units.
        """
        if init not in ("gaussian", "uniform"):
            raise ValueError(f"init must be gaussian or uniform, got {init!r}")
        rng = np.random.default_rng(rng)
        made = (
            cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd)
            if init == "gaussian"
            else cls.uniform(units, inputs, rng)
        )
        b, n = made["b"], made["W"].shape[1]
        if forget_bias is not None and chrono is not None:
            raise ValueError("give forget_bias or chrono, not both")
        if forget_bias is not None:
            b[n : 2 * n] = number("forget_bias", forget_bias)
        if chrono is not None:
            b[n : 2 * n] = chrono_bias(n, chrono, rng)
            b[:n] = -b[n : 2 * n]
        return cls(**made)


@dataclass(frozen=True, eq=False)
class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), with torch's placing of the reset gate and of the
    convex sum.

    r, z = sigma(W h + V u + b), n = tanh(V u + b + r (W h + c)),  h_t = (1 - z) n + z h_(t-1).  z
    near 1 keeps. Fields: W (3N, N), V (3N, D), b (3N,) in the order r, z, n, and c (N,), the bias
    inside the reset gate.

    >>> GRU.zeros(1).rule(np.array([1.0]), None).item()
    0.5
    """

    W: np.ndarray
    V: np.ndarray | None = None
    b: np.ndarray | None = None
    c: np.ndarray | None = None
    gates = 3
    kernel = "gru"
    tile = 128
    shapes = {"W": "gN,N", "V": "gN,D", "b": "gN", "c": "N"}

    def gate_values(self, x, u):
        """Reset gate r, update gate z and candidate n, each of shape (..., N)."""
        size = x.shape[-1]
        recurrent, drive = x @ self.W.T, self.drive(u, self.b)
        gate = sigmoid(recurrent[..., : 2 * size] + drive[..., : 2 * size])
        r, z = split(gate, 2)
        return r, z, gru_candidate(r, drive[..., 2 * size :], recurrent[..., 2 * size :] + self.c)

    def rule(self, x, u):
        _, z, n = self.gate_values(x, u)
        return gru_state(x, z, n)

    @classmethod
    def random(
        cls,
        units,
        inputs=0,
        *,
        rng=0,
        gain=1.0,
        input_gain=1.0,
        bias_sd=0.0,
        update_bias=None,
        init="gaussian",
        chrono=None,
    ):
        """Random GRU; options as for ``LSTM.random``, with the bias of the update gate z in place
        of the forget gate's."""
        if init not in ("gaussian", "uniform"):
            raise ValueError(f"init must be gaussian or uniform, got {init!r}")
        rng = np.random.default_rng(rng)
        if init == "uniform":
            made = cls.uniform(units, inputs, rng)
        else:
            made = cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd) | {
                "c": np.zeros(units)
            }
        n = made["W"].shape[1]
        if update_bias is not None and chrono is not None:
            raise ValueError("give update_bias or chrono, not both")
        if update_bias is not None:
            made["b"][n : 2 * n] = number("update_bias", update_bias)
        if chrono is not None:
            made["b"][n : 2 * n] = chrono_bias(n, chrono, rng)
        return cls(**made)


def chrono_bias(units, longest, rng):
    """Biases ln U(1, T - 1), shape (units,), for memories of up to T = ``longest`` steps (Tallec
    and Ollivier 2018)."""
    if not (np.isfinite(number("chrono", longest)) and longest > 2):
        raise ValueError(f"chrono = {longest}: the longest memory must be above 2 steps")
    return np.log(np.random.default_rng(rng).uniform(1.0, longest - 1.0, units))
