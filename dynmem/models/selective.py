"""Selective state-space model: the input sets how long each channel remembers."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..arrays import exp, softplus, sum  # noqa: A004
from ..errors import ShapeError
from ..runtime.validation import choice, generator, integer
from ..system import Map
from ..typing import Array, Rng
from .cell import (
    check_logarithms,
    expm1,
    keep_arrays,
    log_uniform,
    matrix_shape,
    one_batch_of_steps,
)

__all__ = ["Selective"]

INPUT_STEPS = ("euler", "exact")


class Selective(Map):
    """Selective state-space model, S6, the scan of Mamba without its block (``Mamba``).

        x_hn <- exp(delta_h A_hn) x_hn + g_hn B_n u_h,  y_h = sum_n C_n x_hn + D_h u_h,
        delta = softplus(W_up W_down u + b),  B = W_B u,  C = W_C u,  A = -exp(log_A)

    Parameters
    ----------
    log_A : array_like (H, N)
        Logarithm of the decay; H channels of N real modes.
    W_B, W_C : array_like (N, H)
        Input and output vectors of an input.
    W_down : array_like (R, H)
        First factor of the step's map, of rank R.
    W_up : array_like (H, R)
        Second factor.
    b : array_like (H,)
        Bias of the step.
    D : array_like (H,)
        From input to output.
    input_step : {"euler", "exact"}, optional
        g = delta, or g = (exp(delta A) - 1)/A.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    A step delta near 0 passes over the input and keeps the state, a long one forgets it. The
    exponents are A_hn times the mean step of channel h, never positive. "exact" is the zero-order
    hold of the paper's equation 4; "euler" is what its code does, the first order of the other:
    they differ by a factor 1 + delta A/2 + O(delta^2). With "euler" a long delta adds all of B u
    delta; with "exact" no more than B u/|A|, the limit of a held input.

    The state is x, H N components, the modes of the first channel first.

    References
    ----------
    Gu and Dao (2023), Mamba, arXiv:2312.00752, algorithm 2 and section 3.6; reference code
    ``selective_scan_ref``.

    Examples
    --------
    >>> import dynmem as dm
    >>> layer = dm.models.Selective.random(2, 2, modes=3)
    >>> layer.size, layer.A[0].round(9).tolist()
    (6, [-1.0, -2.0, -3.0])
    """

    equation = (
        r"x_t = e^{\delta_t A} x_{t-1} + \delta_t B_t u_t, \quad "
        r"y_t = C_t x_t + D u_t, \quad "
        r"\delta_t = \mathrm{softplus}(W u_t + b)"
    )

    log_A: Array
    W_B: Array
    W_C: Array
    W_down: Array
    W_up: Array
    b: Array
    D: Array
    input_step: str = "euler"
    square = True
    source = (
        "Gu and Dao (2023), Mamba: linear-time sequence modeling with selective state spaces, "
        "arXiv:2312.00752"
    )

    def __post_init__(self) -> None:
        channels, modes = matrix_shape(self, "log_A", "channels, modes")
        rank, _ = matrix_shape(self, "W_down", "rank, channels")
        keep_arrays(
            self,
            {
                "log_A": (channels, modes),
                "W_B": (modes, channels),
                "W_C": (modes, channels),
                "W_down": (rank, channels),
                "W_up": (channels, rank),
                "b": (channels,),
                "D": (channels,),
            },
        )
        check_logarithms(self, "log_A")
        choice("input_step", self.input_step, INPUT_STEPS)

    @property
    def inputs(self) -> int:
        return len(self.log_A)

    @property
    def outputs(self) -> int:
        return len(self.log_A)

    @property
    def modes(self) -> int:
        """Number N of modes of each channel."""
        return self.log_A.shape[1]

    @property
    def size(self) -> int:
        return self.log_A.shape[0] * self.log_A.shape[1]

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(f"x{h}_{n}" for h in range(self.inputs) for n in range(self.modes))

    @cached_property
    def A(self) -> Array:
        """Rates of decay of the modes, negative, shape (H, N)."""
        return -exp(self.log_A)

    def step(self, u: Array) -> Array:
        """Steps delta (..., H) that the inputs u (..., H) set."""
        return softplus(u @ self.W_down.T @ self.W_up.T + self.b)

    def rule(self, x: Array, u: Array | None) -> Array:
        u = self._input(x, u)
        step = self.step(u)[..., None]
        kept = exp(step * self.A)
        gain = expm1(step * self.A) / self.A if self.input_step == "exact" else step
        x = kept * self._modes(x) + gain * (u[..., None] * (u @ self.W_B.T)[..., None, :])
        return x.reshape(*x.shape[:-2], self.size)

    def output(self, x: Array, u: Array | None) -> Array:
        u = self._input(x, u)
        return sum(self._modes(x) * (u @ self.W_C.T)[..., None, :]) + self.D * u

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, H) and last state (..., H N), by one scan."""
        from ..scan import selective_scan

        x, u = one_batch_of_steps(x, u)
        exact = self.input_step == "exact"
        y, last = selective_scan(
            self.step(u), self.A, u @ self.W_B.T, u @ self.W_C.T, u, self._modes(x), exact
        )
        return y + self.D * u, last.reshape(*last.shape[:-2], self.size)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """Rest, the state 0."""
        return np.zeros(self.size)

    def _modes(self, x):
        """The state as (..., H, N)."""
        return x.reshape(*x.shape[:-1], *self.log_A.shape)

    def _input(self, x, u):
        """u, or zero input in its place."""
        return 0.0 * x[..., : self.inputs] if u is None else u

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int | None = None,
        *,
        rng: Rng = 0,
        modes: int = 16,
        rank: int | None = None,
        step_min: float = 1e-3,
        step_max: float = 0.1,
        input_step: str = "euler",
    ) -> Selective:
        """Random model, initialised as in the published code.

        A is -1 .. -N, D one; W_B, W_C and W_down are uniform in +-1/sqrt(H), W_up in +-1/sqrt(R).

        Parameters
        ----------
        units : int
            Number H of channels.
        inputs : int, optional
            Equal to units.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        modes : int, optional
            Number N of modes of each channel.
        rank : int, optional
            Rank R of the step's map; H/16, rounded up, by default.
        step_min, step_max : float above 0, optional
            Steps at zero input are log-uniform between them.
        input_step : {"euler", "exact"}, optional
            How an input enters.

        Returns
        -------
        Selective

        Raises
        ------
        ShapeError
            Where inputs and units differ.
        ValueError
            For an option out of its range.
        """
        units, modes, rng = integer("units", units), integer("modes", modes), generator(rng)
        if inputs not in (None, units):
            raise ShapeError(
                f"inputs = {inputs}: Selective has as many inputs as units, {units}: make them "
                "equal or use dm.models.get"
            )
        rank = integer("rank", -(-units // 16) if rank is None else rank)
        steps = log_uniform(rng, step_min, step_max, units)
        W_B, W_C = rng.uniform(-1, 1, (2, modes, units)) / np.sqrt(units)
        W_down = rng.uniform(-1, 1, (rank, units)) / np.sqrt(units)
        W_up = rng.uniform(-1, 1, (units, rank)) / np.sqrt(rank)
        b = steps + np.log(-np.expm1(-steps))  # softplus of it is the step
        return cls(
            np.log(np.tile(np.arange(1.0, modes + 1), (units, 1))),
            W_B,
            W_C,
            W_down,
            W_up,
            b,
            np.ones(units),
            input_step,
        )
