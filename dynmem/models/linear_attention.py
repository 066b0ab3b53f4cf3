"""Linear attention: a matrix for a memory, written by keys and read by queries."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..arrays import concat, exp, namespace, sum, transpose, where  # noqa: A004
from ..runtime.validation import generator, integer
from ..system import Map
from ..typing import Array, Rng
from .cell import check_logarithms, keep_arrays, matrix_shape, one_batch_of_steps

__all__ = ["LinearAttention"]

STEPS_PER_CHUNK = 64  # whose mutual attention is one matrix product
NORMALISER_EPSILON = 1e-6  # keeps an empty memory from dividing by zero, as in the authors' code


def feature(x: Array) -> Array:
    """phi(x) = elu(x) + 1: exp(x) below zero, x + 1 above, positive everywhere.

    >>> feature(np.array([-1.0, 0.0, 2.0])).round(4).tolist()
    [0.3679, 1.0, 3.0]
    """
    above = x > 0
    # the inner choice: exp of a large x would spoil the gradient
    return where(above, x + 1.0, exp(where(above, 0.0, x)))


class LinearAttention(Map):
    """Causal linear attention as a recurrence: the state of each head is a matrix S and a vector z.

        q, k, v = Q u, K u, V u,  S <- r S + phi(k) v^T,  z <- r z + phi(k),
        y = O [S^T phi(q) / (phi(q) . z + 1e-6)],  phi = elu + 1

    Parameters
    ----------
    Q, K : array_like (heads d, inputs)
        Queries and keys.
    V : array_like (heads e, inputs)
        Values.
    O : array_like (units, heads e)
        Output map.
    heads : int, optional
        Number of heads; divides the rows of K and V.
    log_rate : array_like (heads,), optional
        r = exp(-exp(log_rate)), one for each head, as in RetNet (Sun et al. 2023), here with the
        normaliser kept; with None r is 1.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    With r = 1 nothing is forgotten: every exponent is 0, and a memory only thins out, as 1/t; one
    layer then knows which inputs there were and not in which order, so that it cannot copy two
    symbols.

    The state is, for each head, the rows of (S, z), d (e + 1) components.

    References
    ----------
    Katharopoulos et al. (2020), Transformers are RNNs, ICML, equations 16 to 20.

    Examples
    --------
    >>> import dynmem as dm
    >>> layer = dm.models.LinearAttention.random(4, 2, heads=2)
    >>> layer.size, layer.outputs
    (12, 4)
    """

    equation = (
        r"S_t = r S_{t-1} + \phi(k_t) v_t^\top, \quad "
        r"z_t = r z_{t-1} + \phi(k_t), \quad "
        r"y_t = O\, \frac{S_t^\top \phi(q_t)}{\phi(q_t) \cdot z_t}"
    )

    Q: Array
    K: Array
    V: Array
    O: Array
    heads: int = 1
    log_rate: Array | None = None
    square = False
    source = (
        "Katharopoulos et al. (2020), Transformers are RNNs: fast autoregressive transformers "
        "with linear attention, ICML"
    )

    def __post_init__(self) -> None:
        keys, inputs = matrix_shape(self, "K", "heads times keys, inputs")
        values, _ = matrix_shape(self, "V", "heads times values, inputs")
        units, _ = matrix_shape(self, "O", "units, heads times values")
        heads = integer("heads", self.heads, 1)
        if keys % heads or values % heads:
            raise ValueError(
                f"heads = {heads}: must divide {keys} rows of K and {values} rows of V"
            )
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("Q", "K"), (keys, inputs))
        keep_arrays(self, shapes | {"V": (values, inputs), "O": (units, values)})
        if self.log_rate is not None:
            keep_arrays(self, {"log_rate": (heads,)})
            check_logarithms(self, "log_rate")

    @property
    def inputs(self) -> int:
        return self.K.shape[1]

    @property
    def outputs(self) -> int:
        return len(self.O)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (heads, d, e + 1) of the state: keys, and values with the normaliser."""
        return self.heads, self.K.shape[0] // self.heads, self.V.shape[0] // self.heads + 1

    @property
    def states(self) -> tuple[str, ...]:
        heads, keys, values = self.shape
        return tuple(
            f"S{h}_{i}_{j}" if j < values - 1 else f"z{h}_{i}"
            for h in range(heads)
            for i in range(keys)
            for j in range(values)
        )

    @cached_property
    def kept(self) -> Array:
        """The share r of the memory that a step keeps, shape (heads, 1, 1); 1 without a decay."""
        return 1.0 if self.log_rate is None else exp(-exp(self.log_rate))[:, None, None]

    def rule(self, x: Array, u: Array | None) -> Array:
        u = self._input(x, u)
        memory = (
            self.kept * self._memory(x)
            + feature(self._cut(u @ self.K.T))[..., None] * self._values(u)[..., None, :]
        )
        return memory.reshape(*memory.shape[:-3], self.size)

    def output(self, x: Array, u: Array | None) -> Array:
        u = self._input(x, u)
        query = feature(self._cut(u @ self.Q.T))
        return self._read(sum(query[..., None] * self._memory(x), axis=-2))

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, units) and last state (..., n).

        Within chunks of 64 steps by matrix products, from chunk to chunk by a scan.
        """
        x, u = one_batch_of_steps(x, u)
        queries, keys = (feature(self._cut(u @ W.T)) for W in (self.Q, self.K))
        values, total, seen = self._values(u), u.shape[-2], []
        whole = total - total % STEPS_PER_CHUNK
        for start, end, length in ((0, whole, STEPS_PER_CHUNK), (whole, total, total - whole)):
            if start < end:
                q, k, v = (part[..., start:end, :, :] for part in (queries, keys, values))
                found, x = self._chunks(q, k, v, x, length)
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
        mean = seen[..., :-1] / (seen[..., -1:] + NORMALISER_EPSILON)
        return mean.reshape(*mean.shape[:-2], self.V.shape[0]) @ self.O.T

    def _input(self, x, u):
        """u, or zero input in its place."""
        return sum(0.0 * x)[..., None] * np.zeros(self.inputs) if u is None else u

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A small memory whose normaliser is about 1, as one key of zero would leave it: the output
        is steep where the normaliser is near 0.
        """
        memory = 1e-3 * np.random.default_rng(rng).standard_normal(self.shape)
        memory[..., -1] += 1.0
        return memory.ravel()

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int,
        *,
        rng: Rng = 0,
        heads: int = 1,
        keys: int | None = None,
        decay: bool = False,
    ) -> LinearAttention:
        """Random layer: Q, K, V and O normal with variance 1/columns.

        Parameters
        ----------
        units : int
            Number of outputs.
        inputs : int
            Number of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        heads : int, optional
            Number of heads; divides units and keys.
        keys : int, optional
            Key components of all heads together; as many as units by default.
        decay : bool, optional
            Whether head h = 0, 1 ... keeps 1 - 2^(-5 - h) in a step, as in RetNet; the rate is
            trained.

        Returns
        -------
        LinearAttention

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        units, inputs, rng = integer("units", units), integer("inputs", inputs), generator(rng)
        heads, keys = integer("heads", heads), integer("keys", units if keys is None else keys)
        if units % heads or keys % heads:
            raise ValueError(f"heads = {heads}: must divide units = {units} and keys = {keys}")
        Q, K, V, O = (
            rng.standard_normal(shape) / np.sqrt(shape[1])
            for shape in ((keys, inputs), (keys, inputs), (units, inputs), (units, units))
        )
        log_rate = np.log(-np.log1p(-(2.0 ** (-5 - np.arange(heads))))) if decay else None
        return cls(Q, K, V, O, heads, log_rate)


def _alike(x, array):
    """A constant array as x's own kind."""
    return x.new_tensor(array) if namespace(x).__name__ == "Torch" else array
