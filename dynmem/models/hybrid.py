"""Recurrence that also attends to its own past states."""

from dataclasses import dataclass

import numpy as np

from ..arrays import concat, softmax, stack, tanh, where
from ..runtime.validation import integer, number
from .attention import LOW, constant_like
from .cell import Cell, one_batch


@dataclass(frozen=True, eq=False)
class Hybrid(Cell):
    """Recurrent network with self-attention over its past states and a relevancy screen (Kerg et
    al. 2020).

    h_t = tanh(W s_(t-1) + V u_t + b);  e_i = a . tanh(Q s_(t-1) + K h_i);  alpha = softmax(e) over
    the states held; c_t = sum_i alpha_i h_i;  s_t = h_t + c_t, which is also the output.

    Held are the last ``window`` states and, of those older, the ``kept`` most relevant: the
    relevance of a state is the sum of its weights while it was in the window. A gradient reaches a
    held state in one step, through alpha_i, however long ago it was.

    The state is s (N), then ``window`` slots, the oldest first, then ``kept`` slots, the most
    relevant first, each with h (N), its relevance and a flag, 1 where it is filled. Which states
    are kept is decided by comparisons, which carry no derivative. Fields: W, Q, K (N, N), V (N, D),
    b, a (N,); window of at least 1, kept of at least 0.

    >>> cell = Hybrid.random(3, 1, window=2, kept=1)
    >>> cell.size, Hybrid.zeros(1, 1, window=1).rule(np.zeros(4), np.ones(1)).tolist()
    (18, [0.0, 0.0, 1.0, 1.0])
    """

    W: np.ndarray
    V: np.ndarray | None = None
    b: np.ndarray | None = None
    Q: np.ndarray | None = None
    K: np.ndarray | None = None
    a: np.ndarray | None = None
    window: int = 16
    kept: int = 0
    shapes = {"W": "N,N", "V": "N,D", "b": "N", "Q": "N,N", "K": "N,N", "a": "N"}

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "window", integer("window", self.window, 1))
        object.__setattr__(self, "kept", integer("kept", self.kept, 0))

    slot = property(lambda self: self.units + 2)
    size = property(lambda self: self.units + (self.window + self.kept) * self.slot)

    @property
    def states(self):
        held = [f"w{i}" for i in range(self.window)] + [f"r{i}" for i in range(self.kept)]
        parts = (*(f"h{i}" for i in range(self.units)), "relevance", "flag")
        return tuple(f"s{i}" for i in range(self.units)) + tuple(
            f"{part}_{name}" for name in held for part in parts
        )

    def initial(self, rng=0):
        """A small random s, and nothing held."""
        return np.concatenate(
            [
                1e-3 * np.random.default_rng(rng).standard_normal(self.units),
                np.zeros(self.size - self.units),
            ]
        )

    def rule(self, x, u):
        x, u = (x, u) if u is None else one_batch(x, u)
        n, s = self.units, x[..., : self.units]
        slots = x[..., n:].reshape(*x.shape[:-1], self.window + self.kept, self.slot)
        h = tanh(self.drive(u, s @ self.W.T + self.b))
        new = concat((h, 0.0 * h[..., :1], 0.0 * h[..., :1] + 1.0))[..., None, :]
        held = concat((slots[..., 1 : self.window, :], new, *self._screened(slots)), axis=-2)
        states, relevance, flags = held[..., :n], held[..., n], held[..., n + 1]
        alpha = self.attend(s, states, flags)
        s = h + (alpha[..., None, :] @ states)[..., 0, :]
        # relevance grows in the window only
        counted = np.arange(self.window + self.kept) < self.window
        relevance = relevance + alpha * constant_like(counted * 1.0, alpha)
        held = concat((states, stack((relevance, flags))))
        return concat((s, held.reshape(*x.shape[:-1], self.size - n)))

    def output(self, x, u):
        return x[..., : self.units]

    def attend(self, s, states, flags):
        """Weights (..., slots) of the states (..., slots, N) held, from s (..., N); exactly 0 for a
        slot whose flag is at most 1/2."""
        scores = tanh((s @ self.Q.T)[..., None, :] + states @ self.K.T) @ self.a
        return softmax(where(flags > 0.5, scores, LOW))

    def _screened(self, slots):
        """The kept slots after the oldest of the window has left it: inserted where its relevance
        ranks, the least relevant dropped."""
        if not self.kept:
            return ()
        leaving, kept, n = slots[..., :1, :], slots[..., self.window :, :], self.units
        rank = lambda slot: where(slot[..., n + 1 :] > 0.5, slot[..., n : n + 1], LOW)  # noqa: E731
        # what stands one place higher; at the top the one that comes
        before = concat((leaving, kept[..., :-1, :]), axis=-2)
        stays, above = rank(kept) >= rank(leaving), rank(before) >= rank(leaving)
        return (where(stays, kept, where(above, leaving, before)),)

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
        sharpness=1.0,
        window=16,
        kept=0,
    ):
        """W ~ N(0, gain^2/N), V ~ N(0, input_gain^2/D), b ~ N(0, bias_sd^2); Q, K ~ N(0, 1/N), a ~
        N(0, sharpness^2/N), so that scores have a spread of at most ``sharpness``."""
        rng = np.random.default_rng(rng)
        made = cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd)
        if not (np.isfinite(number("sharpness", sharpness)) and sharpness >= 0):
            raise ValueError(f"sharpness = {sharpness}: must be a finite number of at least 0")
        Q, K = (rng.standard_normal((units, units)) / np.sqrt(units) for _ in range(2))
        return cls(
            **made,
            Q=Q,
            K=K,
            a=sharpness / np.sqrt(units) * rng.standard_normal(units),
            window=window,
            kept=kept,
        )
