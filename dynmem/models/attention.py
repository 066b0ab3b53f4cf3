"""Causal softmax attention as a system: its state is a cache of the last keys and values."""

from __future__ import annotations

import numpy as np

from ..arrays import concat, namespace, softmax, tensors, transpose, where
from ..errors import ShapeError
from ..runtime.validation import choice, generator, integer, number
from ..system import Map
from ..typing import Array, Rng
from .cell import keep_arrays, matrix_shape, one_batch, one_batch_of_steps

__all__ = ["Attention"]

POSITIONS = ("none", "rotary", "alibi", "learned", "absolute")
MASKED_SCORE = -1e30  # far below any score: its exponential is exactly 0
ADDITIVE_POSITIONS = ("alibi", "learned")  # which add to the scores
MIN_QUERIES_PER_BLOCK = 128
MATRICES = ("Wq", "Wk", "Wv", "Wo")


class Attention(Map):
    """Causal softmax attention with many heads over the last ``window`` steps.

        q, k, v = Wq u + bq, Wk u + bk, Wv u + bv,
        alpha_tj = softmax over j of q_t . k_j / sqrt(N / heads) + position,
        y_t = Wo (sum_j alpha_tj v_j, head after head) + bo,  t - window < j <= t

    Parameters
    ----------
    Wq, Wk, Wv, Wo : array_like (N, N)
        Queries, keys, values (torch's in_proj) and output (out_proj); Wk and Wv (M, N) with fewer
        key heads, M = N key_heads / heads.
    bq, bk, bv, bo : array_like (N,), optional
        Their biases, bk and bv (M,); None for zero.
    P : array_like, optional
        Table of the positions "learned", (heads, window), or "absolute", (window, N).
    heads : int, optional
        Number of heads; divides N.
    window : int, optional
        Number of steps that are attended to.
    positions : {"none", "rotary", "alibi", "learned", "absolute"}, optional
        "rotary" turns pairs of components by angles lag base^(-2i/d); "alibi" adds -slope lag to
        the scores; "learned" adds P[head, lag]; "absolute" adds P[step] to the input.
    key_heads : int, optional
        Number of heads of keys and values; divides heads, each serving heads / key_heads heads of
        queries in turn (grouped-query attention). None for as many as heads.
    base : float above 0, optional
        Base of the rotary angles.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.
    ValueError
        For heads that do not divide N, key heads that do not divide the heads, and positions that
        are unknown or have no table.

    Notes
    -----
    The state is the cache that generates text: ``window`` slots, the oldest first, each with a key
    (M), a value (M) and a flag, 1 where it is filled. The rule shifts it by one slot, so that its
    Jacobian is nilpotent and every exponent -inf; a slot whose flag is at most 1/2 has weight
    exactly 0. From the empty cache, the state of rest, the first ``window`` outputs are those of
    full causal attention.

    "none", "rotary", "alibi" and "learned" depend on the lag alone, so they slide with the window
    without end. With "absolute" the cache counts the steps by its flags and holds no more than
    ``window`` of them: a longer sequence raises ShapeError.

    References
    ----------
    Vaswani et al. (2017), NeurIPS, eq. 1 and section 3.2.2. Positions: Su et al. (2021),
    arXiv:2104.09864, eq. 15; Press, Smith and Lewis (2022), ICLR. Key heads: Ainslie et al. (2023),
    EMNLP, arXiv:2305.13245.

    Examples
    --------
    >>> import dynmem as dm
    >>> attention = dm.models.Attention.random(4, 4, heads=2, window=3)
    >>> y, cache = attention.run(attention.initial(), np.eye(4)[:2])
    >>> bool(np.allclose(y[0], attention.Wo @ attention.Wv[:, 0]))  # the first step sees itself
    True
    >>> attention.weights(cache, np.eye(4)[1])[0, 0].round(2).item()  # of the empty slot
    0.0
    """

    equation = (
        r"y_t = W_o \sum_j \alpha_{tj} W_v u_j, \quad "
        r"\alpha_{tj} = \mathrm{softmax}_j \frac{(W_q u_t) \cdot (W_k u_j)}{\sqrt{d}}"
    )

    Wq: Array
    Wk: Array
    Wv: Array
    Wo: Array
    bq: Array = None
    bk: Array = None
    bv: Array = None
    bo: Array = None
    P: Array | None = None
    heads: int = 1
    window: int = 32
    positions: str = "none"
    key_heads: int | None = None
    base: float = 10000.0
    square = True
    fused = True  # whether torch's own kernel may run it
    source = "Vaswani et al. (2017), Attention is all you need, NeurIPS"
    branch_gain = "gain"  # the option of ``random`` that DeepNorm's beta goes to

    def __post_init__(self) -> None:
        for name in ("heads", "window"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        width, columns = matrix_shape(self, "Wq", "N, N")
        if width != columns:
            raise ShapeError(
                f"Wq of Attention must be a matrix (N, N), got shape {(width, columns)}"
            )
        choice("positions", self.positions, POSITIONS)
        _check_heads(width, self.heads, self.positions)
        shared = self.heads if self.key_heads is None else self.key_heads
        shared = integer("key_heads", shared, 1, self.heads)
        if self.heads % shared:
            raise ValueError(
                f"key_heads = {shared}: must divide {self.heads} heads, each serves as many"
            )
        object.__setattr__(self, "key_heads", shared)
        object.__setattr__(self, "base", number("base", self.base, above=0))
        narrow = width // self.heads * shared
        biases = {"bq": (width,), "bk": (narrow,), "bv": (narrow,), "bo": (width,)}
        for name, shape in biases.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.zeros(shape))
        shapes: dict[str, tuple[int, ...]] = {
            "Wq": (width, width),
            "Wk": (narrow, width),
            "Wv": (narrow, width),
            "Wo": (width, width),
        }
        tables = {"learned": (self.heads, self.window), "absolute": (self.window, width)}
        if self.positions in tables:
            if self.P is None:
                object.__setattr__(self, "P", np.zeros(tables[self.positions]))
            shapes["P"] = tables[self.positions]
        elif self.P is not None:
            raise ValueError(
                f"positions {self.positions!r} have no table P: leave it out, or pass "
                "positions='learned' or 'absolute'"
            )
        keep_arrays(self, shapes | biases)

    @property
    def inputs(self) -> int:
        return self.Wq.shape[0]

    @property
    def outputs(self) -> int:
        return self.Wq.shape[0]

    @property
    def keys(self) -> int:
        """Number M of components of a key, and of a value."""
        return self.Wk.shape[0]

    @property
    def slot(self) -> int:
        """Number of state components of one slot, 2M + 1."""
        return 2 * self.keys + 1

    @property
    def size(self) -> int:
        return self.window * self.slot

    @property
    def states(self) -> tuple[str, ...]:
        parts = [f"{letter}{i}" for letter in "kv" for i in range(self.keys)] + ["filled"]
        return tuple(f"{part}_{lag}" for lag in range(self.window - 1, -1, -1) for part in parts)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """The empty cache."""
        return np.zeros(self.size)

    def rule(self, x: Array, u: Array | None) -> Array:
        x, u = one_batch(x, u)
        flags, filled = x[..., 2 * self.keys :: self.slot], 0.0 * u[..., :1] + 1.0
        self._refuse_beyond(flags, 1)
        u = self._placed(u, concat((flags[..., 1:], filled)))
        return concat(
            (x[..., self.slot :], u @ self.Wk.T + self.bk, u @ self.Wv.T + self.bv, filled)
        )

    def output(self, x: Array, u: Array | None) -> Array:
        weights, values = self._weighed(x, u)
        return self.mix(weights, values)[..., 0, :] @ self.Wo.T + self.bo

    def weights(self, x: Array, u: Array) -> Array:
        """Attention weights alpha (..., heads, window), the oldest slot first.

        At the state x (..., n) that the input u (..., N) has led to.
        """
        return self._weighed(x, u)[0][..., 0, :]

    def cache(self, x: Array) -> tuple[Array, Array, Array]:
        """Keys (..., window, M), values (..., window, M) and flags (..., window) of a state."""
        slots, n = x.reshape(*x.shape[:-1], self.window, self.slot), self.keys
        return slots[..., :n], slots[..., n : 2 * n], slots[..., 2 * n]

    def attend(self, q: Array, k: Array, flags: Array, at: np.ndarray, places: np.ndarray) -> Array:
        """Weights (..., heads, T, S) of queries q (..., T, N) at the times ``at`` over keys k (...,
        S, M) at the times ``places``.
        """
        q, k = self._turned(q, k, at, places)
        bias, scores = self._bias(at[:, None] - places, q), q @ transpose(k) / np.sqrt(q.shape[-1])
        return softmax(where(_seen(flags), scores if bias is None else scores + bias, MASKED_SCORE))

    def mix(self, weights: Array, values: Array) -> Array:
        """Weighted sums (..., T, N) of values (..., S, M), head after head."""
        return self._joined(weights @ self._shared(values))

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, N) and last state (..., n), in bands of the sequence."""
        x, u = one_batch_of_steps(x, u)
        (keys, values, flags), steps, n = self.cache(x), u.shape[-2], self.keys
        self._refuse_beyond(flags, steps)
        filled, u = 0.0 * u[..., :1] + 1.0, self._counted(u, flags)
        slots = concat((u @ self.Wk.T + self.bk, u @ self.Wv.T + self.bv, filled))
        last = slots[..., max(0, steps - self.window) :, :]
        last = concat(
            (
                x[..., last.shape[-2] * self.slot :],
                last.reshape(*last.shape[:-2], last.shape[-2] * self.slot),
            )
        )
        empty = self._empty(flags)
        k, v = (
            concat((old[..., empty:, :], new), axis=-2)
            for old, new in ((keys, slots[..., :n]), (values, slots[..., n : 2 * n]))
        )
        q, flags, held = (
            u @ self.Wq.T + self.bq,
            concat((flags[..., empty:], slots[..., 2 * n])),
            self.window - empty,
        )
        block, mixed = max(self.window, MIN_QUERIES_PER_BLOCK), []
        for first in range(0, steps, block):
            at = np.arange(held + first, held + min(first + block, steps))
            places = np.arange(max(0, at[0] - self.window + 1), at[-1] + 1)
            band = slice(places[0], places[-1] + 1)
            mixed.append(
                self._look(
                    q[..., first : first + block, :],
                    k[..., band, :],
                    v[..., band, :],
                    flags[..., band],
                    at,
                    places,
                )
            )
        return concat(mixed, axis=-2) @ self.Wo.T + self.bo, last

    def _weighed(self, x, u):
        """Weights (..., heads, 1, window) of the present query, and the values of the cache."""
        keys, values, flags = self.cache(x)
        q = self._placed(u, flags) @ self.Wq.T + self.bq
        return self.attend(
            q[..., None, :], keys, flags, np.array([self.window - 1]), np.arange(self.window)
        ), values

    def _look(self, q, k, v, flags, at, places):
        """Mixed values of a block of queries, on torch by its own kernel."""
        if namespace(q).__name__ != "Torch" or not self.fused:
            return self.mix(self.attend(q, k, flags, at, places), v)
        from torch.nn.functional import scaled_dot_product_attention

        # no cache, no band: causality is all that masks
        plain = len(at) == len(places) <= self.window and self.positions not in ADDITIVE_POSITIONS
        (q, k), bias = (
            self._turned(q, k, at, places),
            None if plain else self._bias(at[:, None] - places, q),
        )
        empty = (
            None if plain else where(_seen(flags), 0.0 * flags[..., None, None, :], MASKED_SCORE)
        )
        mask = empty if bias is None else empty + bias
        return self._joined(
            scaled_dot_product_attention(q, k, self._shared(v), attn_mask=mask, is_causal=plain)
        )

    def _turned(self, q, k, at, places):
        """Queries and keys by head, turned where positions are rotary."""
        q, k = self._by_head(q), self._shared(k)
        return (
            (rotated(q, at - at[0], self.base), rotated(k, places - at[0], self.base))
            if self.positions == "rotary"
            else (q, k)
        )

    def _bias(self, lags, like):
        """What position and band add to the scores, of a shape that broadcasts to (heads,
        *lags.shape), or None."""
        bias = None
        if self.positions == "alibi":
            bias = constant_like(-alibi_slopes(self.heads)[:, None, None] * lags, like)
        elif self.positions == "learned":
            bias = self.P[:, np.clip(lags, 0, self.window - 1)]
        outside = (lags < 0) | (lags >= self.window)
        if not outside.any():
            return bias
        outside = constant_like(np.where(outside, MASKED_SCORE, 0.0), like)
        return outside if bias is None else bias + outside

    def _by_head(self, x):
        """(..., T, heads d) to (..., heads, T, d), of all heads or of the key heads."""
        d = self.inputs // self.heads
        return x.reshape(*x.shape[:-1], x.shape[-1] // d, d).swapaxes(-2, -3)

    def _shared(self, x):
        """Keys or values (..., S, M) to (..., heads, S, d), each key head for its heads in turn."""
        x, group = self._by_head(x), self.heads // self.key_heads
        if group == 1:
            return x
        repeated = x[..., None, :, :] + constant_like(np.zeros((group, 1, 1)), x)
        return repeated.reshape(*x.shape[:-3], self.heads, *x.shape[-2:])

    def _joined(self, x):
        """(..., heads, T, N / heads) back to (..., T, N)."""
        x = x.swapaxes(-2, -3)
        return x.reshape(*x.shape[:-2], self.inputs)

    def _placed(self, u, flags):
        """The input with its absolute position, which is the number of filled slots less one."""
        if self.positions != "absolute":
            return u
        flags = where(flags > 0.5, 0.0 * flags + 1.0, 0.0 * flags)
        # 1 at the oldest filled slot
        oldest = concat((flags[..., :1], flags[..., 1:] - flags[..., :-1]))
        return u + oldest @ self.P[np.arange(self.window - 1, -1, -1)]

    def _counted(self, u, flags):
        """A whole sequence with its absolute positions, counted on from the slots filled before
        it."""
        if self.positions != "absolute":
            return u
        return (
            u
            + self.P[tensors((flags > 0.5).sum(-1)).astype(int)[..., None] + np.arange(u.shape[-2])]
        )

    def _refuse_beyond(self, flags, steps):
        """Refuse a sequence longer than the table of absolute positions; symbols have no number to
        look at."""
        flags = namespace(flags).detach(flags)
        if self.positions != "absolute" or getattr(flags, "dtype", None) == object:
            return
        held = int((flags > 0.5).sum(-1).max())
        if held + steps > self.window:
            raise ShapeError(
                f"{held} steps before and {steps} now exceed the {self.window} absolute "
                "positions: pass a shorter sequence, a larger window, or positions='rotary', "
                "'alibi' or 'learned', which depend on the lag alone"
            )

    def _empty(self, flags):
        """Number of leading slots that are empty everywhere in the batch: nobody need look
        there."""
        filled = (
            (tensors(namespace(flags).detach(flags)) > 0.5).reshape(-1, self.window).any(axis=0)
        )
        return int(np.argmax(filled)) if filled.any() else self.window

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int,
        *,
        rng: Rng = 0,
        heads: int = 1,
        window: int = 32,
        positions: str = "none",
        gain: float = 1.0,
        sharpness: float = 1.0,
        key_heads: int | None = None,
        base: float = 10000.0,
    ) -> Attention:
        """Random attention: weights ~ N(0, 1/N), biases and relative positions zero.

        Parameters
        ----------
        units : int
            Number N of components.
        inputs : int
            Equal to units.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        heads : int, optional
            Number of heads; divides units.
        window : int, optional
            Number of steps that are attended to.
        positions : {"none", "rotary", "alibi", "learned", "absolute"}, optional
            Absolute positions are N(0, 0.02^2), as in GPT-2.
        gain : float of at least 0, optional
            Scale of values and output, beta of DeepNorm.
        sharpness : float of at least 0, optional
            Scale of queries and keys: scores on white noise have standard deviation sharpness^2.
        key_heads : int, optional
            Number of heads of keys and values; None for as many as heads.
        base : float above 0, optional
            Base of the rotary angles.

        Returns
        -------
        Attention

        Raises
        ------
        ShapeError
            Where inputs and units differ.
        ValueError
            For an option out of its range.

        References
        ----------
        Glorot and Bengio (2010), as in Xiong et al. (2020), ICML. Wang et al. (2022),
        arXiv:2203.00555.
        """
        units, inputs, rng = integer("units", units), integer("inputs", inputs), generator(rng)
        if units != inputs:
            raise ShapeError(
                f"inputs = {inputs}: attention has as many inputs as units, {units}: make them "
                "equal or use dm.models.get"
            )
        heads, window = integer("heads", heads), integer("window", window)
        gain, sharpness = number("gain", gain, least=0), number("sharpness", sharpness, least=0)
        scales = (sharpness, sharpness, gain, gain)
        shared = heads if key_heads is None else integer("key_heads", key_heads, 1, heads)
        rows = dict.fromkeys(MATRICES, units) | dict.fromkeys(("Wk", "Wv"), units // heads * shared)
        weights = {
            name: scale / np.sqrt(units) * rng.standard_normal((rows[name], units))
            for name, scale in zip(MATRICES, scales, strict=True)
        }
        P = 0.02 * rng.standard_normal((window, units)) if positions == "absolute" else None
        return cls(
            **weights,
            P=P,
            heads=heads,
            window=window,
            positions=positions,
            key_heads=key_heads,
            base=base,
        )


def _seen(flags):
    """Whether a slot is filled, for each of the heads and queries."""
    return (flags > 0.5)[..., None, None, :]


def _check_heads(width, heads, positions):
    """Refuse heads that do not divide the width, and rotary positions on an odd number of
    components."""
    if width % heads:
        near = min((n for n in range(1, width + 1) if width % n == 0), key=lambda n: abs(n - heads))
        raise ValueError(
            f"heads = {heads}: must divide {width} units: pass heads={near}, or "
            f"{width + heads - width % heads} units"
        )
    if positions == "rotary" and width // heads % 2:
        raise ValueError(
            f"rotary positions turn pairs of components, a head has {width // heads}: pass an "
            "even number of units a head"
        )


def rotated(x: Array, times: np.ndarray, base: float = 10000.0) -> Array:
    """x (..., T, d) with each pair (2i, 2i+1) turned by the angle times base^(-2i/d), first members
    before second ones (Su et al. 2021, eq. 34).

    >>> rotated(np.array([[1.0, 0.0]]), np.array([np.pi / 2])).round(9).tolist()
    [[0.0, 1.0]]
    """
    angle = times[:, None] * base ** (-np.arange(0, x.shape[-1], 2) / x.shape[-1])
    cos, sin = constant_like(np.cos(angle), x), constant_like(np.sin(angle), x)
    first, second = x[..., 0::2], x[..., 1::2]
    return concat((first * cos - second * sin, first * sin + second * cos))


def alibi_slopes(heads: int) -> np.ndarray:
    """Slopes of ALiBi, one a head (Press, Smith and Lewis 2022, section 3 and their code).

    2^(-8 h / heads) for a power of two; else those of the next lower power and every other of the
    next higher one.

    >>> alibi_slopes(3).tolist()
    [0.0625, 0.00390625, 0.25]
    """
    low = 1 << (heads.bit_length() - 1)
    slopes = 2.0 ** (-8.0 * np.arange(1, low + 1) / low)
    return (
        np.concatenate([slopes, alibi_slopes(2 * low)[0::2][: heads - low]])
        if heads > low
        else slopes
    )


def constant_like(array: np.ndarray, like: Array) -> Array:
    """A numpy array as a constant of the kind of another: on torch a tensor of its dtype."""
    return like.new_tensor(array) if namespace(like).__name__ == "Torch" else array
