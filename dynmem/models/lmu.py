"""The Legendre Memory Unit: a linear memory of a sliding window beside a tanh network."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from ..arrays import concat, namespace, tanh
from ..errors import ShapeError
from ..linear import LinearSystem
from ..runtime.validation import generator, integer, number
from ..system import Map
from ..typing import Array, Rng
from .cell import keep_arrays, matrix_shape
from .hippo import legendre_delay

__all__ = ["LMU"]


class LMU(Map):
    """Legendre Memory Unit.

        m_t = A m_(t-1) + B (Ex u_t + Eh h_(t-1) + Em m_(t-1)),
        h_t = tanh(V u_t + W h_(t-1) + M m_t)

    Parameters
    ----------
    W : array_like (N, N)
        Recurrent weights.
    V : array_like (N, D)
        Input weights.
    M : array_like (N, d q)
        Weights of the memory; d memories of order q.
    Ex : array_like (d, D)
        What the inputs write.
    Eh : array_like (d, N)
        What the hidden units write.
    Em : array_like (d, d q)
        What the memories write.
    theta : float above 0, optional
        Length of the window in steps; ``train=("theta",)`` trains it too.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    A and B are the zero-order hold, over one step, of theta dm/dt = A m + B w, whose order-q state
    holds the last theta steps of w in Legendre polynomials (``legendre_delay``); they are not
    trained. The state is h (N,), then m (d, q) flattened; the output is h. The hidden cell of
    keras-lmu may be another, here it is the paper's.

    References
    ----------
    Voelker, Kajic and Eliasmith (2019), NeurIPS, equations 1 to 7.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.LMU.random(4, 1, order=6, theta=20.0).size
    10
    """

    equation = (
        r"m_t = A m_{t-1} + B (e_x u_t + e_h h_{t-1} + e_m m_{t-1}), \quad "
        r"h_t = \tanh(V u_t + W h_{t-1} + M m_t)"
    )

    W: Array
    V: Array
    M: Array
    Ex: Array
    Eh: Array
    Em: Array
    theta: float = 100.0
    square = False
    source = "Voelker, Kajic and Eliasmith (2019), Legendre memory units, NeurIPS"

    def __post_init__(self) -> None:
        N, width = matrix_shape(self, "M", "units, memories times order")
        d, _ = matrix_shape(self, "Eh", "memories, units")
        D = np.shape(self.V)[-1] if np.ndim(self.V) else 0
        if width % d:
            raise ShapeError(
                f"M of LMU has {width} columns, which {d} memories do not divide: expected "
                "(units, memories times order)"
            )
        shapes = {"W": (N, N), "V": (N, D), "M": (N, width)}
        keep_arrays(self, shapes | {"Ex": (d, D), "Eh": (d, N), "Em": (d, width)})
        number("theta", self.theta, above=0)

    @property
    def units(self) -> int:
        return self.W.shape[0]

    @property
    def outputs(self) -> int:
        return self.W.shape[0]

    @property
    def inputs(self) -> int:
        return self.V.shape[1]

    @property
    def memories(self) -> int:
        """Number d of memories."""
        return self.Eh.shape[0]

    @property
    def order(self) -> int:
        """Number q of Legendre polynomials of each memory."""
        return self.M.shape[1] // self.Eh.shape[0]

    @property
    def size(self) -> int:
        return sum(self.M.shape)

    @property
    def states(self) -> tuple[str, ...]:
        return (
            *(f"h{i}" for i in range(self.units)),
            *(f"m{i}_{j}" for i in range(self.memories) for j in range(self.order)),
        )

    @property
    def memory(self) -> LinearSystem:
        """One memory as a continuous system, read out at lag theta."""
        return legendre_delay(self.order, self.theta)

    @cached_property
    def step(self) -> tuple[Array, Array]:
        """A (q, q) and B (q,) of the memory over one step."""
        q, unit = self.order, legendre_delay(self.order)
        block = np.zeros((q + 1, q + 1))
        block[:q] = np.concatenate([unit.A, unit.B], axis=1)
        block = exponential(block, self.theta, self.W)
        return block[:q, :q], block[:q, q]

    def rule(self, x: Array, u: Array | None) -> Array:
        h, m = x[..., : self.units], x[..., self.units :]
        w, z = h @ self.Eh.T + m @ self.Em.T, h @ self.W.T
        if u is not None:
            w, z = w + u @ self.Ex.T, z + u @ self.V.T
        A, B = self.step
        m = m.reshape(*m.shape[:-1], self.memories, self.order) @ A.T + w[..., None] * B
        m = m.reshape(*w.shape[:-1], self.memories * self.order)
        return concat((tanh(z + m @ self.M.T), m))

    def output(self, x: Array, u: Array | None) -> Array:
        return x[..., : self.units]

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A small random state, shape (n,): near the zero from which training starts, yet off the
        fixed point that zero is.
        """
        return 1e-3 * np.random.default_rng(rng).standard_normal(self.size)

    def resampled(self, factor: float) -> LMU:
        """The same memory for inputs that lie ``factor`` times as far apart."""
        return replace(self, theta=self.theta / number("factor", factor, above=0))

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        order: int = 16,
        theta: float = 100.0,
        memories: int = 1,
    ) -> LMU:
        """Random unit, initialised as published.

        W, V and M are normal of variance 2/(rows + columns) (Glorot), Ex and Eh uniform of variance
        1/columns (LeCun), Em is zero.

        Parameters
        ----------
        units : int
            Number N of units.
        inputs : int, optional
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        order : int, optional
            Number q of Legendre polynomials of each memory.
        theta : float above 0, optional
            Length of the window in steps.
        memories : int, optional
            Number d of memories.

        Returns
        -------
        LMU

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        N, D, rng = integer("units", units), integer("inputs", inputs, 0), generator(rng)
        q, d = integer("order", order), integer("memories", memories)

        def glorot(rows, columns):
            return np.sqrt(2 / (rows + columns)) * rng.standard_normal((rows, columns))

        def lecun(rows, columns):
            return np.sqrt(3 / max(columns, 1)) * rng.uniform(-1, 1, (rows, columns))

        return cls(
            glorot(N, N),
            glorot(N, D),
            glorot(N, d * q),
            lecun(d, D),
            lecun(d, N),
            np.zeros((d, d * q)),
            number("theta", theta, above=0),
        )


def exponential(matrix: np.ndarray, theta: Array, like: Array) -> Array:
    """exp(matrix / theta) of the kind of ``like``, for a number, a tensor or a symbol theta."""
    kind = namespace(theta, like).__name__
    if kind == "Torch":
        import torch

        return torch.matrix_exp(like.new_tensor(matrix) / theta)
    if namespace(theta).__name__ == "Symbols":
        import sympy

        exact = sympy.Matrix(matrix.astype(int)) / (
            theta.item() if isinstance(theta, np.ndarray) else theta
        )
        return np.array(exact.exp().tolist(), dtype=object)
    from scipy.linalg import expm

    return expm(matrix / theta)
