"""Linear attention: a matrix for a memory, written by keys and read by queries."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import concat, exp, namespace, sum, transpose, where  # noqa: A004
from ..runtime.validation import integer
from ..system import Map
from .cell import keep, logarithms, matrix_shape, one_batch_of_steps

CHUNK = 64  # steps whose mutual attention is one product of matrices
EPSILON = 1e-6  # keeps an empty memory from dividing by zero, as in the authors' code


def feature(x):
    """phi(x) = elu(x) + 1: exp(x) below zero, x + 1 above, positive everywhere.

    >>> feature(np.array([-1.0, 0.0, 2.0])).round(4).tolist()
    [0.3679, 1.0, 3.0]
    """
    above = x > 0
    # the inner choice: exp of a large x would spoil the gradient
    return where(above, x + 1.0, exp(where(above, 0.0, x)))


@dataclass(frozen=True, eq=False)
class LinearAttention(Map):
    """Causal linear attention (Katharopoulos et al. 2020) as a recurrence: each head has a matrix S
    and a vector z for a state.

    q, k, v = Q u, K u, V u;  S <- r S + phi(k) v^T,  z <- r z + phi(k);  y = O [S^T phi(q) /
    (phi(q) . z + 1e-6)];  phi = elu + 1.

    Without ``log_rate`` r is 1 and nothing is forgotten: every exponent is 0, and a memory only
    thins out, as 1/t; one layer then knows which inputs there were and not in which order, so that
    it cannot copy two symbols. With it r = exp(-exp(log_rate)), one for each head, as in RetNet
    (Sun et al. 2023), here with the normaliser kept.

    Fields: Q, K (heads d, inputs), V (heads e, inputs), O (units, heads e), heads, log_rate
    (heads,) or None. State: for each head the rows of (S, z), d (e + 1) components. Source:
    Katharopoulos et al. (2020), Transformers are RNNs, ICML, equations 16 to 20.

    >>> layer = LinearAttention.random(4, 2, heads=2)
    >>> layer.size, layer.outputs
    (12, 4)
    """

    Q: np.ndarray
    K: np.ndarray
    V: np.ndarray
    O: np.ndarray
    heads: int = 1
    log_rate: np.ndarray | None = None
    square = False
    source = (
        "Katharopoulos et al. (2020), Transformers are RNNs: fast autoregressive "
        "transformers with linear attention, ICML"
    )

    def __post_init__(self):
        keys, inputs = matrix_shape(self, "K", "heads times keys, inputs")
        values, _ = matrix_shape(self, "V", "heads times values, inputs")
        units, _ = matrix_shape(self, "O", "units, heads times values")
        heads = integer("heads", self.heads, 1)
        if keys % heads or values % heads:
            raise ValueError(
                f"heads = {heads} do not divide {keys} rows of K and {values} rows "
                "of V: choose a number that divides both"
            )
        keep(self, Q=(keys, inputs), K=(keys, inputs), V=(values, inputs), O=(units, values))
        if self.log_rate is not None:
            keep(self, log_rate=(heads,))
            logarithms(self, "log_rate")

    inputs = property(lambda self: self.K.shape[1])
    outputs = property(lambda self: len(self.O))
    size = property(lambda self: int(np.prod(self.shape)))

    @property
    def shape(self):
        """Heads, key components d, and value components with the normaliser's, e + 1: the shape of
        the state."""
        return self.heads, self.K.shape[0] // self.heads, self.V.shape[0] // self.heads + 1

    @property
    def states(self):
        heads, keys, values = self.shape
        return tuple(
            f"S{h}_{i}_{j}" if j < values - 1 else f"z{h}_{i}"
            for h in range(heads)
            for i in range(keys)
            for j in range(values)
        )

    @cached_property
    def kept(self):
        """The share r of the memory that a step keeps, shape (heads, 1, 1); 1 without a decay."""
        return 1.0 if self.log_rate is None else exp(-exp(self.log_rate))[:, None, None]

    def rule(self, x, u):
        u = self._input(x, u)
        memory = (
            self.kept * self._memory(x)
            + feature(self._cut(u @ self.K.T))[..., None] * self._values(u)[..., None, :]
        )
        return memory.reshape(*memory.shape[:-3], self.size)

    def output(self, x, u):
        u = self._input(x, u)
        query = feature(self._cut(u @ self.Q.T))
        return self._read(sum(query[..., None] * self._memory(x), axis=-2))

    def run(self, x, u):
        """Outputs (..., T, units) and last state (..., n): within chunks of 64 steps by products of
        matrices, from chunk to chunk by a scan."""
        x, u = one_batch_of_steps(x, u)
        queries, keys = (feature(self._cut(u @ W.T)) for W in (self.Q, self.K))
        values, total, seen = self._values(u), u.shape[-2], []
        whole = total - total % CHUNK
        for start, end, length in ((0, whole, CHUNK), (whole, total, total - whole)):
            if start < end:
                found, x = self._chunks(
                    *(part[..., start:end, :, :] for part in (queries, keys, values)), x, length
                )
                seen.append(found)
        return self._read(concat(seen, axis=-3)), x

    def _chunks(self, queries, keys, values, x, length):
        """What queries (..., T, heads, d) find in keys and values up to their own step, (..., T,
        heads, e + 1), and the state after the last: T is a multiple of the chunks' length."""
        from ..scan import linear_scan

        q, k, v = (
            part.reshape(*part.shape[:-3], -1, length, *part.shape[-2:]).swapaxes(-2, -3)
            for part in (queries, keys, values)
        )
        apart, since, kept, left = self._decays(q, length)
        written = transpose(left * k) @ v
        written = written.reshape(*written.shape[:-3], self.size)
        after = linear_scan((kept * _alike(q, np.ones(self.shape))).reshape(self.size), written, x)
        before = concat((0.0 * after[..., :1, :] + x[..., None, :], after[..., :-1, :]), axis=-2)
        seen = (apart * (q @ transpose(k))) @ v + since * (q @ self._memory(before))
        return seen.swapaxes(-2, -3).reshape(*values.shape), after[..., -1, :]

    def _decays(self, q, length):
        """Over a chunk: what is left of each step's writing at each later step, of the memory
        before it at each step and at its end, and of each step's writing at its end."""
        behind = np.arange(length)[:, None] - np.arange(length)
        past, lags, counts = (
            _alike(q, behind >= 0),
            _alike(q, behind.clip(0)),
            _alike(q, np.arange(1.0, length + 1)[:, None]),
        )
        if self.log_rate is None:
            return past, 1.0, 1.0, 1.0
        rate = exp(self.log_rate)[:, None, None]
        since = exp(-rate * counts)
        return past * exp(-rate * lags), since, since[..., -1:, :], exp(-rate * (length - counts))

    def _cut(self, rows):
        """The last axis in heads, (..., heads, components)."""
        return rows.reshape(*rows.shape[:-1], self.heads, rows.shape[-1] // self.heads)

    def _values(self, u):
        """Values with a one behind them, (..., heads, e + 1): what is read from the ones is the
        normaliser."""
        values = self._cut(u @ self.V.T)
        return concat((values, 0.0 * values[..., :1] + 1.0))

    def _memory(self, x):
        """The state as (..., heads, d, e + 1)."""
        return x.reshape(*x.shape[:-1], *self.shape)

    def _read(self, seen):
        """Outputs of what the queries have found, (..., heads, e + 1)."""
        mean = seen[..., :-1] / (seen[..., -1:] + EPSILON)
        return mean.reshape(*mean.shape[:-2], self.V.shape[0]) @ self.O.T

    def _input(self, x, u):
        """u, or zero input in its place."""
        return sum(0.0 * x)[..., None] * np.zeros(self.inputs) if u is None else u

    def initial(self, rng=0):
        """A small memory whose normaliser is about 1, as one key of zero would leave it: output is
        steep where that is near 0."""
        memory = 1e-3 * np.random.default_rng(rng).standard_normal(self.shape)
        memory[..., -1] += 1.0
        return memory.ravel()

    @classmethod
    def random(cls, units, inputs, *, rng=0, heads=1, keys=None, decay=False):
        """Q, K, V and O normal with variance 1/columns; ``keys`` components of all heads together,
        units by default. ``decay=True`` keeps 1 - 2^(-5 - h) in head h = 0, 1 ..., as RetNet does;
        its rate can be trained."""
        units, inputs, heads = (
            integer("units", units, 1),
            integer("inputs", inputs, 1),
            integer("heads", heads, 1),
        )
        keys, rng = integer("keys", units if keys is None else keys, 1), np.random.default_rng(rng)
        if units % heads or keys % heads:
            raise ValueError(
                f"heads = {heads} do not divide units = {units} and keys = {keys}: "
                "choose a number that divides both"
            )
        Q, K, V, O = (
            rng.standard_normal(shape) / np.sqrt(shape[1])
            for shape in ((keys, inputs), (keys, inputs), (units, inputs), (units, units))
        )
        log_rate = np.log(-np.log1p(-(2.0 ** (-5 - np.arange(heads))))) if decay else None
        return cls(Q, K, V, O, heads, log_rate)


def _alike(x, array):
    """A constant array as x's own kind."""
    return x.new_tensor(array) if namespace(x).__name__ == "Torch" else array
