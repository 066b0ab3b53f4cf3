"""Causal softmax attention as a system: its state is a cache of the last keys and values."""

from dataclasses import dataclass

import numpy as np

from ..arrays import concat, namespace, softmax, tensors, transpose, where
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import integer, number
from ..system import Map
from .cell import one_batch, one_batch_of_steps

POSITIONS = ("none", "rotary", "alibi", "learned", "absolute")
LOW = -1e30  # a score far below any real one: its exponential is exactly 0
BIASED = ("alibi", "learned")  # positions that add to the scores
BLOCK = 128  # queries looked at together, at least
WEIGHTS = ("Wq", "Wk", "Wv", "Wo")


@dataclass(frozen=True, eq=False)
class Attention(Map):
    """Causal softmax attention over the last ``window`` steps, many heads (Vaswani et al. 2017, eq.
    1 and section 3.2.2).

    q, k, v = Wq u + bq, Wk u + bk, Wv u + bv; in each head alpha_tj = softmax over j of q_t . k_j /
    sqrt(N / heads) + position; the output is y_t = Wo (sum_j alpha_tj v_j, head after head) + bo,
    with t - window < j <= t.

    The state is the cache that generates text: ``window`` slots, the oldest first, each with a key
    (N), a value (N) and a flag, 1 where it is filled. The rule shifts it by one slot, so that its
    Jacobian is nilpotent and every exponent -inf; a slot whose flag is at most 1/2 gets weight
    exactly 0. From the empty cache, the state of rest, the first ``window`` outputs are those of
    full causal attention.

    positions: "none"; "rotary" turns pairs of components by angles lag 10000^(-2i/d) (Su et al.
    2021, eq. 15); "alibi" adds -slope lag to the scores (Press, Smith and Lewis 2022); "learned"
    adds P[head, lag], P (heads, window); these three know the lag alone, so they slide with the
    window without end. "absolute" adds P[step] to the input, P (window, N): the cache counts the
    steps by its flags and holds no more than ``window`` of them, so a longer sequence is refused.

    Fields: Wq, Wk, Wv, Wo (N, N) with biases bq, bk, bv, bo (N,), the parts of torch's in_proj and
    out_proj; P or None; heads, which divides N; window; positions. Raises ShapeError, ValueError or
    NotFiniteError where they do not fit.

    >>> attention = Attention.random(4, 4, heads=2, window=3)
    >>> y, cache = attention.run(attention.initial(), np.eye(4)[:2])
    >>> np.allclose(y[0], attention.Wo @ attention.Wv[:, 0]), attention.weights(cache, np.eye(4)[1])[0].round(2).tolist()[0]
    (True, 0.0)
    """

    Wq: np.ndarray
    Wk: np.ndarray
    Wv: np.ndarray
    Wo: np.ndarray
    bq: np.ndarray | None = None
    bk: np.ndarray | None = None
    bv: np.ndarray | None = None
    bo: np.ndarray | None = None
    P: np.ndarray | None = None
    heads: int = 1
    window: int = 32
    positions: str = "none"
    square = True
    fused = True  # whether torch's own kernel may run it
    branch_gain = "gain"  # the option of ``random`` that DeepNorm's beta goes to

    def __post_init__(self):
        for name in ("heads", "window"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        if (
            np.ndim(self.Wq) != 2
            or np.shape(self.Wq)[0] != np.shape(self.Wq)[1]
            or not len(self.Wq)
        ):
            raise ShapeError(
                f"Wq of Attention must be a matrix (N, N), got shape {np.shape(self.Wq)}"
            )
        width = len(self.Wq)
        if self.positions not in POSITIONS:
            raise ValueError(
                f"positions must be one of {', '.join(POSITIONS)}, got {self.positions!r}"
            )
        _check_heads(width, self.heads, self.positions)
        shapes = {
            **dict.fromkeys(WEIGHTS, (width, width)),
            **dict.fromkeys(("bq", "bk", "bv", "bo"), (width,)),
        }
        if self.positions in ("learned", "absolute"):
            shapes["P"] = (
                (self.heads, self.window) if self.positions == "learned" else (self.window, width)
            )
        elif self.P is not None:
            raise ValueError(
                f"positions {self.positions!r} have no table P: leave it out, or "
                "pass positions='learned' or 'absolute'"
            )
        for name, shape in shapes.items():
            given = getattr(self, name)
            value = np.zeros(shape) if given is None and name not in WEIGHTS else tensors(given)
            if value.dtype != np.float64:
                raise TypeError(f"{name} of Attention must hold real numbers, got {given!r:.60}")
            if value.shape != shape:
                raise ShapeError(f"{name} of Attention has shape {value.shape}, expected {shape}")
            if not np.isfinite(value).all():
                raise NotFiniteError(
                    f"{name} of Attention holds NaN or infinity: check the training that made it"
                )
            object.__setattr__(self, name, value)

    inputs = outputs = property(lambda self: self.Wq.shape[0])
    slot = property(lambda self: 2 * self.inputs + 1)
    size = property(lambda self: self.window * self.slot)

    @property
    def states(self):
        parts = [f"{letter}{i}" for letter in "kv" for i in range(self.inputs)] + ["filled"]
        return tuple(f"{part}_{lag}" for lag in range(self.window - 1, -1, -1) for part in parts)

    def initial(self, rng=0):
        """The empty cache."""
        return np.zeros(self.size)

    def rule(self, x, u):
        x, u = one_batch(x, u)
        flags, filled = x[..., 2 * self.inputs :: self.slot], 0.0 * u[..., :1] + 1.0
        self._refuse_beyond(flags, 1)
        u = self._placed(u, concat((flags[..., 1:], filled)))
        return concat(
            (x[..., self.slot :], u @ self.Wk.T + self.bk, u @ self.Wv.T + self.bv, filled)
        )

    def output(self, x, u):
        weights, values = self._weighed(x, u)
        return self.mix(weights, values)[..., 0, :] @ self.Wo.T + self.bo

    def weights(self, x, u):
        """Attention weights alpha at the state x (..., n) that the input u (..., N) has led to,
        (..., heads, window), the oldest slot first."""
        return self._weighed(x, u)[0][..., 0, :]

    def cache(self, x):
        """Keys (..., window, N), values (..., window, N) and flags (..., window) of a state."""
        slots, n = x.reshape(*x.shape[:-1], self.window, self.slot), self.inputs
        return slots[..., :n], slots[..., n : 2 * n], slots[..., 2 * n]

    def attend(self, q, k, flags, at, places):
        """Weights (..., heads, T, S) of queries q (..., T, N) at the times ``at`` over keys k (...,
        S, N) at the times ``places``."""
        q, k = self._turned(q, k, at, places)
        bias, scores = self._bias(at[:, None] - places, q), q @ transpose(k) / np.sqrt(q.shape[-1])
        return softmax(where(_seen(flags), scores if bias is None else scores + bias, LOW))

    def mix(self, weights, values):
        """Weighted sums (..., T, N) of values (..., S, N), head after head."""
        return self._joined(weights @ self._by_head(values))

    def run(self, x, u):
        """Outputs (..., T, N) and last state (..., n): softmax over bands of the sequence, as many
        queries at once as the window has slots."""
        x, u = one_batch_of_steps(x, u)
        (keys, values, flags), steps, n = self.cache(x), u.shape[-2], self.inputs
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
        block, mixed = max(self.window, BLOCK), []
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
        plain = len(at) == len(places) <= self.window and self.positions not in BIASED
        (q, k), bias = (
            self._turned(q, k, at, places),
            None if plain else self._bias(at[:, None] - places, q),
        )
        empty = None if plain else where(_seen(flags), 0.0 * flags[..., None, None, :], LOW)
        mask = empty if bias is None else empty + bias
        return self._joined(
            scaled_dot_product_attention(q, k, self._by_head(v), attn_mask=mask, is_causal=plain)
        )

    def _turned(self, q, k, at, places):
        """Queries and keys by head, turned where positions are rotary."""
        q, k = self._by_head(q), self._by_head(k)
        return (
            (rotated(q, at - at[0]), rotated(k, places - at[0]))
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
        outside = constant_like(np.where(outside, LOW, 0.0), like)
        return outside if bias is None else bias + outside

    def _by_head(self, x):
        """(..., T, N) to (..., heads, T, N / heads)."""
        return x.reshape(*x.shape[:-1], self.heads, self.inputs // self.heads).swapaxes(-2, -3)

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
                f"{held} steps before and {steps} now are more than the "
                f"{self.window} absolute positions that were learned: pass a "
                "shorter sequence, a larger window, or positions='rotary', 'alibi' "
                "or 'learned', which know the lag alone"
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
        cls, units, inputs, *, rng=0, heads=1, window=32, positions="none", gain=1.0, sharpness=1.0
    ):
        """Weights ~ N(0, 1/N) (Glorot and Bengio 2010, as in Xiong et al. 2020), those of values
        and output times ``gain`` (beta of DeepNorm, Wang et al. 2022), those of queries and keys
        times ``sharpness``, so that scores on white noise have standard deviation sharpness^2;
        biases and relative positions zero, absolute positions N(0, 0.02^2) as in GPT-2."""
        units, inputs = integer("units", units, 1), integer("inputs", inputs, 1)
        if units != inputs:
            raise ShapeError(
                f"attention maps {inputs} inputs to as many outputs, got units = "
                f"{units}: dm.models.get puts an encoder in front"
            )
        heads, window, rng = (
            integer("heads", heads, 1),
            integer("window", window, 1),
            np.random.default_rng(rng),
        )
        for name, value in (("gain", gain), ("sharpness", sharpness)):
            if not (np.isfinite(number(name, value)) and value >= 0):
                raise ValueError(f"{name} = {value}: must be a finite number of at least 0")
        scales = (sharpness, sharpness, gain, gain)
        weights = {
            name: scale / np.sqrt(units) * rng.standard_normal((units, units))
            for name, scale in zip(WEIGHTS, scales, strict=True)
        }
        P = 0.02 * rng.standard_normal((window, units)) if positions == "absolute" else None
        return cls(**weights, P=P, heads=heads, window=window, positions=positions)


def _seen(flags):
    """Whether a slot is filled, for each of the heads and queries."""
    return (flags > 0.5)[..., None, None, :]


def _check_heads(width, heads, positions):
    """Refuse heads that do not divide the width, and rotary positions on an odd number of
    components."""
    if width % heads:
        near = min((n for n in range(1, width + 1) if width % n == 0), key=lambda n: abs(n - heads))
        raise ValueError(
            f"{heads} heads do not divide {width} units: pass heads={near}, or "
            f"{width + heads - width % heads} units"
        )
    if positions == "rotary" and width // heads % 2:
        raise ValueError(
            "rotary positions turn pairs of components, a head has "
            f"{width // heads}: pass an even number of units a head"
        )


def rotated(x, times, base=10000.0):
    """x (..., T, d) with each pair (2i, 2i+1) turned by the angle times base^(-2i/d) (Su et al.
    2021, eq. 34), first members before second ones.

    >>> rotated(np.array([[1.0, 0.0]]), np.array([np.pi / 2])).round(9).tolist()
    [[0.0, 1.0]]
    """
    angle = times[:, None] * base ** (-np.arange(0, x.shape[-1], 2) / x.shape[-1])
    cos, sin = constant_like(np.cos(angle), x), constant_like(np.sin(angle), x)
    first, second = x[..., 0::2], x[..., 1::2]
    return concat((first * cos - second * sin, first * sin + second * cos))


def alibi_slopes(heads):
    """Slopes of ALiBi, one a head: 2^(-8 h / heads) for a power of two; else those of the next
    lower power and every other of the next higher one (Press, Smith and Lewis 2022, section 3 and
    their published code).

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


def constant_like(array, like):
    """A numpy array as a constant of the kind of another: a tensor of its dtype on torch, else
    itself."""
    return like.new_tensor(array) if namespace(like).__name__ == "Torch" else array
