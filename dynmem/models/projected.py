"""The LSTM whose hidden state is a projection of its cell output."""

from __future__ import annotations

import numpy as np

from ..arrays import concat, split
from ..runtime.validation import generator, integer
from ..system import Map
from ..typing import Array, Rng
from .cell import keep_arrays, matrix_shape
from .gated import lstm_gates, lstm_state

__all__ = ["ProjectedLSTM"]


class ProjectedLSTM(Map):
    """Long short-term memory with a recurrent projection, torch's ``proj_size``.

        i, f, o = sigma(W h_(t-1) + V u_t + b),  g = tanh(W h_(t-1) + V u_t + b),
        c_t = f c_(t-1) + i g,  h_t = P (o tanh c_t)

    Parameters
    ----------
    W : array_like (4N, M)
        Recurrent weights, N rows for each of i, f, g, o in torch's order.
    V : array_like (4N, D)
        Input weights.
    b : array_like (4N,)
        Bias.
    P : array_like (M, N)
        Projection of the N cells to the M outputs.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    The state is (h, c), M + N components. The output is h (M,).

    References
    ----------
    Sak, Senior and Beaufays (2014), arXiv:1402.1128, eq. 1 to 6, without peepholes.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.ProjectedLSTM.random(6, 3, projection=2).size
    8
    """

    W: Array
    V: Array
    b: Array
    P: Array
    source = "Sak, Senior and Beaufays (2014), arXiv:1402.1128"

    def __post_init__(self) -> None:
        width, units = matrix_shape(self, "P", "M, N")
        inputs = matrix_shape(self, "V", "4N, D")[1]
        keep_arrays(
            self,
            {
                "W": (4 * units, width),
                "V": (4 * units, inputs),
                "b": (4 * units,),
                "P": (width, units),
            },
        )

    @property
    def inputs(self) -> int:
        return self.V.shape[1]

    @property
    def outputs(self) -> int:
        return self.P.shape[0]

    @property
    def size(self) -> int:
        return sum(self.P.shape)

    @property
    def states(self) -> tuple[str, ...]:
        width, units = self.P.shape
        return tuple(f"h{i}" for i in range(width)) + tuple(f"c{i}" for i in range(units))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A small random state, near the zero from which torch starts."""
        return 1e-3 * generator(rng).standard_normal(self.size)

    def rule(self, x: Array, u: Array | None) -> Array:
        h, c = x[..., : self.outputs], x[..., self.outputs :]
        z = h @ self.W.T + self.b
        z = z if u is None else z + u @ self.V.T
        c, h = lstm_state(c, *lstm_gates(*split(z, 4)))
        return concat((h @ self.P.T, c))

    def output(self, x: Array, u: Array | None) -> Array:
        return x[..., : self.outputs]

    @classmethod
    def random(cls, units: int, inputs: int, *, rng: Rng = 0, projection: int = 1) -> ProjectedLSTM:
        """Random network, every weight uniform in +-1/sqrt(N), as torch draws them.

        Parameters
        ----------
        units : int
            Number N of cells.
        inputs : int
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        projection : int, optional
            Number M of outputs.

        Returns
        -------
        ProjectedLSTM
        """
        units, inputs = integer("units", units), integer("inputs", inputs)
        width, draws = integer("projection", projection), generator(rng)
        bound = 1 / np.sqrt(units)
        shapes = (4 * units, width), (4 * units, inputs), (4 * units,), (width, units)
        return cls(*(draws.uniform(-bound, bound, shape) for shape in shapes))
