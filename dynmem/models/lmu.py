"""The Legendre Memory Unit: a linear memory of a sliding window, written and read by a tanh
network."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arrays import concat, namespace, tanh
from ..errors import ShapeError
from ..runtime.validation import integer, number
from ..system import Map
from .cell import above_zero, keep, matrix_shape
from .hippo import legendre_delay


@dataclass(frozen=True, eq=False)
class LMU(Map):
    """Legendre Memory Unit: m_t = A m_(t-1) + B (Ex u_t + Eh h_(t-1) + Em m_(t-1)), h_t = tanh(V
    u_t + W h_(t-1) + M m_t).

    A and B are the zero-order hold, over one step, of theta dm/dt = A m + B w, whose order-q state
    holds the last theta steps of w in Legendre polynomials (``legendre_delay``); they are not
    trained. d memories stand side by side. State: h (N,), then m (d, q) flattened.

    Fields: W (N, N), V (N, D), M (N, d q), Ex (d, D), Eh (d, N), Em (d, d q), theta in steps, a
    number that ``train=("theta",)`` trains too. Source: Voelker, Kajic and Eliasmith (2019),
    equations 1 to 7; keras-lmu's hidden cell may be another, here it is the paper's.

    >>> LMU.random(4, 1, order=6, theta=20.0).size
    10
    """

    W: np.ndarray
    V: np.ndarray
    M: np.ndarray
    Ex: np.ndarray
    Eh: np.ndarray
    Em: np.ndarray
    theta: float = 100.0
    square = False

    def __post_init__(self):
        (N, width), (d, _), D = (
            matrix_shape(self, "M", "units, memories order"),
            matrix_shape(self, "Eh", "memories, units"),
            np.shape(self.V)[-1],
        )
        if width % d:
            raise ShapeError(
                f"M of LMU has {width} columns, which {d} memories do not divide: "
                "expected (units, memories order)"
            )
        keep(self, W=(N, N), V=(N, D), M=(N, width), Ex=(d, D), Eh=(d, N), Em=(d, width))
        above_zero(theta=self.theta)

    units = outputs = property(lambda self: self.W.shape[0])
    inputs = property(lambda self: self.V.shape[1])
    memories = property(lambda self: self.Eh.shape[0])
    order = property(lambda self: self.M.shape[1] // self.Eh.shape[0])
    size = property(lambda self: sum(self.M.shape))

    @property
    def states(self):
        return (
            *(f"h{i}" for i in range(self.units)),
            *(f"m{i}_{j}" for i in range(self.memories) for j in range(self.order)),
        )

    @property
    def memory(self):
        """The linear memory of one encoded signal as a continuous system, read out at lag theta;
        ``discretise(1.0)`` is what the rule steps."""
        return legendre_delay(self.order, self.theta)

    @cached_property
    def step(self):
        """A (q, q) and B (q,) of the memory over one step."""
        q, unit = self.order, legendre_delay(self.order)
        block = np.zeros((q + 1, q + 1))
        block[:q] = np.concatenate([unit.A, unit.B], axis=1)
        block = exponential(block, self.theta, self.W)
        return block[:q, :q], block[:q, q]

    def rule(self, x, u):
        h, m = x[..., : self.units], x[..., self.units :]
        w, z = h @ self.Eh.T + m @ self.Em.T, h @ self.W.T
        if u is not None:
            w, z = w + u @ self.Ex.T, z + u @ self.V.T
        A, B = self.step
        m = m.reshape(*m.shape[:-1], self.memories, self.order) @ A.T + w[..., None] * B
        m = m.reshape(*w.shape[:-1], self.memories * self.order)
        return concat((tanh(z + m @ self.M.T), m))

    def output(self, x, u):
        return x[..., : self.units]

    def initial(self, rng=0):
        """A small random state: near the zero from which training starts, yet off the fixed point
        that zero is."""
        return 1e-3 * np.random.default_rng(rng).standard_normal(self.size)

    def resampled(self, factor):
        """The same memory for inputs whose samples lie ``factor`` times as far apart: the window is
        as many steps shorter."""
        (factor,) = above_zero(factor=factor)
        return replace(self, theta=self.theta / factor)

    @classmethod
    def random(cls, units, inputs=0, *, rng=0, order=16, theta=100.0, memories=1):
        """W, V and M normal of variance 2/(rows + columns) (Glorot), Ex and Eh uniform of variance
        1/columns (LeCun), Em zero, as published."""
        N, D = integer("units", units, 1), integer("inputs", inputs, 0)
        q, d, rng = (
            integer("order", order, 1),
            integer("memories", memories, 1),
            np.random.default_rng(rng),
        )

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
            number("theta", theta),
        )


def exponential(matrix, theta, like):
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
