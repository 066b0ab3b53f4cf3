"""Recurrence that also attends to its own past states."""

from __future__ import annotations

import numpy as np

from ..arrays import concat, softmax, stack, tanh, where
from ..runtime.validation import generator, integer, number
from ..typing import Array, Rng
from .attention import MASKED_SCORE, constant_like
from .cell import Cell, one_batch

__all__ = ["Hybrid"]


class Hybrid(Cell):
    """Recurrent network with self-attention over its past states and a relevancy screen.

        h_t = tanh(W s_(t-1) + V u_t + b),  e_i = a . tanh(Q s_(t-1) + K h_i),
        c_t = sum_i alpha_i h_i,  alpha = softmax(e) over the states held,  s_t = h_t + c_t

    Parameters
    ----------
    W : array_like (N, N)
        Recurrent weights.
    V : array_like (N, D), optional
        Input weights; None for a network without input.
    b : array_like (N,), optional
        Bias; None for zero.
    Q, K : array_like (N, N), optional
        Weights of queries and keys; None for zero.
    a : array_like (N,), optional
        Weights of the scores; None for zero.
    window : int, optional
        How many of the last states are held.
    kept : int, optional
        How many older states are held, the most relevant ones; 0 for none.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    The relevance of a state is the sum of its weights while it was in the window. A gradient
    reaches a held state in one step, through alpha_i, however long ago it was. Comparisons select
    the states that are kept, and carry no derivative.

    The state is s (N), then ``window`` slots, the oldest first, then ``kept`` slots, the most
    relevant first, each with h (N), its relevance and a flag, 1 where it is filled. The output is
    s.

    References
    ----------
    Kerg et al. (2020), Untangling tradeoffs between recurrence and self-attention, NeurIPS, eq. 1
    and section 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Hybrid.random(3, 1, window=2, kept=1).size
    18
    >>> dm.models.Hybrid.zeros(1, 1, window=1).rule(np.zeros(4), np.ones(1)).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """

    equation = (
        r"h_t = \tanh(W s_{t-1} + V u_t + b), \quad "
        r"s_t = h_t + \sum_i \alpha_i h_i, \quad "
        r"\alpha_i = \mathrm{softmax}_i\; a \cdot \tanh(Q s_{t-1} + K h_i)"
    )

    W: Array
    V: Array = None
    b: Array = None
    Q: Array = None
    K: Array = None
    a: Array = None
    window: int = 16
    kept: int = 0
    shapes = {"W": "N,N", "V": "N,D", "b": "N", "Q": "N,N", "K": "N,N", "a": "N"}
    source = (
        "Kerg et al. (2020), Untangling tradeoffs between recurrence and self-attention, NeurIPS"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "window", integer("window", self.window, 1))
        object.__setattr__(self, "kept", integer("kept", self.kept, 0))

    @property
    def slot(self) -> int:
        """Number of state components of one slot, N + 2."""
        return self.units + 2

    @property
    def size(self) -> int:
        return self.units + (self.window + self.kept) * self.slot

    @property
    def states(self) -> tuple[str, ...]:
        held = [f"w{i}" for i in range(self.window)] + [f"r{i}" for i in range(self.kept)]
        parts = (*(f"h{i}" for i in range(self.units)), "relevance", "flag")
        return tuple(f"s{i}" for i in range(self.units)) + tuple(
            f"{part}_{name}" for name in held for part in parts
        )

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A small random s, and no states held."""
        return np.concatenate(
            [
                1e-3 * np.random.default_rng(rng).standard_normal(self.units),
                np.zeros(self.size - self.units),
            ]
        )

    def rule(self, x: Array, u: Array | None) -> Array:
        x, u = (x, u) if u is None else one_batch(x, u)
        n, s = self.units, x[..., : self.units]
        slots = x[..., n:].reshape(*x.shape[:-1], self.window + self.kept, self.slot)
        h = tanh(self.driven(s @ self.W.T + self.b, u))
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

    def output(self, x: Array, u: Array | None) -> Array:
        return x[..., : self.units]

    def attend(self, s: Array, states: Array, flags: Array) -> Array:
        """Weights (..., slots) of the states (..., slots, N) held, from s (..., N); exactly 0 for a
        slot whose flag is at most 1/2.
        """
        scores = tanh((s @ self.Q.T)[..., None, :] + states @ self.K.T) @ self.a
        return softmax(where(flags > 0.5, scores, MASKED_SCORE))

    def _screened(self, slots):
        """The kept slots after the oldest of the window has left it: inserted where its relevance
        ranks, the least relevant dropped."""
        if not self.kept:
            return ()
        leaving, kept, n = slots[..., :1, :], slots[..., self.window :, :], self.units
        rank = lambda slot: where(slot[..., n + 1 :] > 0.5, slot[..., n : n + 1], MASKED_SCORE)  # noqa: E731
        # what stands one place higher; at the top the one that comes
        before = concat((leaving, kept[..., :-1, :]), axis=-2)
        stays, above = rank(kept) >= rank(leaving), rank(before) >= rank(leaving)
        return (where(stays, kept, where(above, leaving, before)),)

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
        sharpness: float = 1.0,
        window: int = 16,
        kept: int = 0,
    ) -> Hybrid:
        """Random network, Q and K ~ N(0, 1/N).

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
        sharpness : float of at least 0, optional
            a ~ N(0, sharpness^2/N): scores spread by at most sharpness.
        window : int, optional
            How many of the last states are held.
        kept : int, optional
            How many older states are held; 0 for none.

        Returns
        -------
        Hybrid

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        rng, sharpness = generator(rng), number("sharpness", sharpness, least=0)
        drawn = cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd)
        Q, K = (rng.standard_normal((units, units)) / np.sqrt(units) for _ in range(2))
        return cls(
            **drawn,
            Q=Q,
            K=K,
            a=sharpness / np.sqrt(units) * rng.standard_normal(units),
            window=window,
            kept=kept,
        )
