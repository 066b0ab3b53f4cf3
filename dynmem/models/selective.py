"""Selective state-space model: the input decides how long each channel remembers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import exp, softplus, sum  # noqa: A004
from ..errors import ShapeError
from ..runtime.validation import integer
from ..system import Map
from .cell import expm1, keep, log_uniform, logarithms, matrix_shape, one_batch_of_steps

INPUT_STEPS = ("euler", "exact")


@dataclass(frozen=True, eq=False)
class Selective(Map):
    """Selective state-space model, S6, the scan of Mamba (Gu and Dao 2023), without its block
    (``Mamba``): H channels of N real modes whose steps the input sets.

    delta_t = softplus(W_up W_down u_t + b),  B_t = W_B u_t,  C_t = W_C u_t,  A = -exp(log_A);
    x_hn <- exp(delta_h A_hn) x_hn + g_hn B_n u_h,  y_h = sum_n C_n x_hn + D_h u_h.

    A step delta near 0 passes over the input and keeps the state, a long one forgets it. The
    exponents are A_hn times the mean step of channel h, never positive. ``input_step``: "exact", g
    = (exp(delta A) - 1)/A, is the zero-order hold of the paper's equation 4; "euler", g = delta, is
    what its code does: the first order of the other, so that they differ by a factor 1 + delta A/2
    + O(delta^2). With Euler's step a long delta lets in all of B u delta; with the exact one no
    more than B u/|A|, what a held input would settle at.

    Fields: log_A (H, N); W_B, W_C (N, H); W_down (R, H), W_up (H, R), a step of rank R; b, D (H,).
    State: x, H N components, the modes of the first channel first. Source: Gu and Dao (2023),
    Mamba, algorithm 2 and section 3.6; reference code ``selective_scan_ref``.

    >>> layer = Selective.random(2, 2, modes=3)
    >>> layer.size, layer.A[0].round(9).tolist()
    (6, [-1.0, -2.0, -3.0])
    """

    log_A: np.ndarray
    W_B: np.ndarray
    W_C: np.ndarray
    W_down: np.ndarray
    W_up: np.ndarray
    b: np.ndarray
    D: np.ndarray
    input_step: str = "euler"
    square = True
    source = (
        "Gu and Dao (2023), Mamba: linear-time sequence modeling with selective state "
        "spaces, arXiv:2312.00752"
    )

    def __post_init__(self):
        channels, modes = matrix_shape(self, "log_A", "channels, modes")
        rank, _ = matrix_shape(self, "W_down", "rank, channels")
        keep(
            self,
            log_A=(channels, modes),
            W_B=(modes, channels),
            W_C=(modes, channels),
            W_down=(rank, channels),
            W_up=(channels, rank),
            b=(channels,),
            D=(channels,),
        )
        logarithms(self, "log_A")
        if self.input_step not in INPUT_STEPS:
            raise ValueError(
                f"input_step must be one of {', '.join(INPUT_STEPS)}, got {self.input_step!r}"
            )

    inputs = outputs = property(lambda self: len(self.log_A))
    modes = property(lambda self: self.log_A.shape[1])
    size = property(lambda self: self.log_A.shape[0] * self.log_A.shape[1])
    states = property(
        lambda self: tuple(f"x{h}_{n}" for h in range(self.inputs) for n in range(self.modes))
    )

    @cached_property
    def A(self):
        """Rates of decay of the modes, negative, shape (H, N)."""
        return -exp(self.log_A)

    def step(self, u):
        """Steps delta (..., H) that the inputs u (..., H) set."""
        return softplus(u @ self.W_down.T @ self.W_up.T + self.b)

    def rule(self, x, u):
        u = self._input(x, u)
        step = self.step(u)[..., None]
        kept = exp(step * self.A)
        gain = expm1(step * self.A) / self.A if self.input_step == "exact" else step
        x = kept * self._modes(x) + gain * (u[..., None] * (u @ self.W_B.T)[..., None, :])
        return x.reshape(*x.shape[:-2], self.size)

    def output(self, x, u):
        u = self._input(x, u)
        return sum(self._modes(x) * (u @ self.W_C.T)[..., None, :]) + self.D * u

    def run(self, x, u):
        """Outputs (..., T, H) and last state (..., H N) by one scan that computes its coefficients
        as it goes."""
        from ..scan import selective_scan

        x, u = one_batch_of_steps(x, u)
        exact = self.input_step == "exact"
        y, last = selective_scan(
            self.step(u), self.A, u @ self.W_B.T, u @ self.W_C.T, u, self._modes(x), exact
        )
        return y + self.D * u, last.reshape(*last.shape[:-2], self.size)

    def initial(self, rng=0):
        """Rest, as for every linear network."""
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
        units,
        inputs=None,
        *,
        rng=0,
        modes=16,
        rank=None,
        step_min=1e-3,
        step_max=0.1,
        input_step="euler",
    ):
        """As the published code draws it: A = -1 .. -N, D one, steps at zero input log-uniform,
        W_B, W_C and W_down uniform in +-1/sqrt(H), W_up in +-1/sqrt(R); the rank R is H/16, rounded
        up, by default."""
        units, modes = integer("units", units, 1), integer("modes", modes, 1)
        if inputs not in (None, units):
            raise ShapeError(
                f"Selective works channel by channel: {inputs} inputs and {units} "
                "units differ, make them equal or use models.get"
            )
        rank, rng = (
            integer("rank", -(-units // 16) if rank is None else rank, 1),
            np.random.default_rng(rng),
        )
        steps = log_uniform(rng, step_min, step_max, units)
        W_B, W_C = rng.uniform(-1, 1, (2, modes, units)) / np.sqrt(units)
        W_down, W_up = (
            rng.uniform(-1, 1, (rank, units)) / np.sqrt(units),
            rng.uniform(-1, 1, (units, rank)) / np.sqrt(rank),
        )
        inverse = steps + np.log(-np.expm1(-steps))  # softplus of it is the step
        return cls(
            np.log(np.tile(np.arange(1.0, modes + 1), (units, 1))),
            W_B,
            W_C,
            W_down,
            W_up,
            inverse,
            np.ones(units),
            input_step,
        )
