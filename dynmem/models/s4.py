"""S4: a state-space model whose state matrix is normal plus low rank."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..arrays import as_complex, concat, exp, namespace, solve, stack, transpose
from ..errors import ShapeError
from ..runtime.validation import choice, generator, integer
from ..typing import Array, Rng
from .blockwise import blockwise, fourier
from .hippo import normal_plus_low_rank
from .ssm import MIN_DECAY, StateSpace, divided, mode_pairs

__all__ = ["S4"]

INITS = ("legs", "legt", "lagt")


class S4(StateSpace):
    """Structured state-space model, channel by channel: A = diag(lambda) - P P^*, bilinear rule.

        x_t = (2/s - A)^-1 ((2/s + A) x_(t-1) + 2 B u_t),  y_t = 2 Re(C x_t) + D u_t,
        lambda = -exp(log_decay) + i frequency,  s = exp(log_step)

    Parameters
    ----------
    log_decay : array_like (H, M)
        Logarithm of the decay of each mode; H channels, M conjugate pairs of modes.
    frequency : array_like (H, M)
        Angular frequency of each mode.
    P : array_like (H, R, M, 2)
        Low-rank part of rank R, real and imaginary.
    B, C : array_like (H, M, 2)
        Input and output vectors, real and imaginary.
    D : array_like (H,)
        From input to output.
    log_step : array_like (H,)
        Logarithm of the step.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    A + A^* is negative: no state grows, whatever training does. The inverse is Woodbury's, in a
    number of operations linear in the modes. The state holds the real and imaginary parts, (H, M,
    2) flattened.

    References
    ----------
    Gu, Goel and Re (2022), Efficiently modeling long sequences with structured state spaces, ICLR,
    section 3 and appendix C.

    Examples
    --------
    >>> import dynmem as dm
    >>> model = dm.models.S4.random(1, 1, modes=4)
    >>> (model.continuous(0).eigenvalues.real / np.exp(model.log_step)).round(9).tolist()
    [-1.0, -2.0, -3.0, -4.0]
    """

    equation = r"\dot x = (\Lambda - P P^*) x + B u, \quad y = 2\, \mathrm{Re}(C x) + D u"

    log_decay: Array
    frequency: Array
    P: Array
    B: Array
    C: Array
    D: Array
    log_step: Array
    shapes = {
        "log_decay": "HM",
        "frequency": "HM",
        "P": "HRM2",
        "B": "HM2",
        "C": "HM2",
        "D": "H",
        "log_step": "H",
    }
    source = (
        "Gu, Goel and Re (2022), Efficiently modeling long sequences with structured state spaces"
    )

    def _sizes(self) -> dict[str, int]:
        if np.ndim(self.P) != 4 or not np.shape(self.P)[1]:
            raise ShapeError(
                f"P of S4 has shape {np.shape(self.P)}, expected (channels, rank, modes, 2) with "
                "a rank of at least 1; without it the model is S4D"
            )
        return super()._sizes() | {"R": np.shape(self.P)[1]}

    @cached_property
    def low_rank(self) -> tuple[Array, Array]:
        """Real and imaginary parts (R, H, M) of P."""
        ranks = range(self.P.shape[1])
        return tuple(stack([self.P[:, r, :, part] for r in ranks], axis=0) for part in (0, 1))

    def _state_matrix(self, re, im):
        """A x of the parts (..., H, M) of a state: lambda x - P (P^* x), the sum in P^* x running
        over both of each pair."""
        decay, turn = exp(self.log_decay), self.frequency
        new_re, new_im = -decay * re - turn * im, turn * re - decay * im
        for p, q in zip(*self.low_rank, strict=True):
            along = projected(p, q, re, im)
            new_re, new_im = new_re - p * along, new_im - q * along
        return new_re, new_im

    def velocity(self, re: Array, im: Array, u: Array | None) -> tuple[Array, Array]:
        """dx/dt of the parts of the state; the unit of time is a step."""
        step, (re, im) = exp(self.log_step)[..., None], self._state_matrix(re, im)
        if u is not None:
            re, im = re + self.B[..., 0] * u[..., None], im + self.B[..., 1] * u[..., None]
        return step * re, step * im

    @cached_property
    def pole(self) -> tuple[Array, Array]:
        """Real and imaginary parts (H, M) of 2/s - lambda."""
        return 2.0 * exp(-self.log_step)[..., None] + exp(self.log_decay), -self.frequency

    @cached_property
    def woodbury(self) -> tuple[Array, Array]:
        """For each rank r the vector (2/s - lambda + sum_(q<r) P_q P_q^*)^-1 P_r over 1 + P_r^* of
        it, real and imaginary (R, H, M).
        """
        found: list[tuple[Array, Array]] = []
        for p, q in zip(*self.low_rank, strict=True):
            re, im = self._inverse(p, q, found)
            under = 1.0 + projected(p, q, re, im)
            found.append((re / under, im / under))
        return tuple(stack([each[part] for each in found], axis=0) for part in (0, 1))

    def _inverse(self, re, im, corrections):
        """(2/s - A)^-1 x, with as many of the ranks of A as there are corrections (Sherman and
        Morrison, rank by rank)."""
        re, im = divided((re, im), self.pole)
        for p, q, (cr, ci) in zip(*self.low_rank, corrections, strict=False):
            along = projected(p, q, re, im)
            re, im = re - cr * along, im - ci * along
        return re, im

    def rule(self, x: Array, u: Array | None) -> Array:
        re, im = self.parts(x)
        rate, (moved_re, moved_im) = (
            2.0 * exp(-self.log_step)[..., None],
            self._state_matrix(re, im),
        )
        re, im = rate * re + moved_re, rate * im + moved_im
        if u is not None:
            re, im = (
                re + 2.0 * self.B[..., 0] * u[..., None],
                im + 2.0 * self.B[..., 1] * u[..., None],
            )
        return self.joined(*self._inverse(re, im, list(zip(*self.woodbury, strict=True))))

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, H) and last state (..., n), in blocks of steps: a convolution inside
        each, the rule's powers between them.
        """
        y, x = blockwise(*self.matrices(), u, x)
        return y + self.D * u, x

    def kernel(self, length: int) -> Array:
        """Convolution kernel (length, H), D at lag 0 included, from the roots of unity.

        With z = exp(-2 pi i k / length), K(z) = C (1 - A_d^length) (1 - A_d z)^-1 B_d, and with
        half the angle w = pi k / length (1 - A_d z)^-1 B_d = exp(i w) (E + cos(w) P P^*)^-1 B, E =
        2i sin(w)/s - cos(w) lambda: Woodbury's inverse, whose sums over modes are Cauchy's. The
        published form divides by 1 + z, which is 0 at half the rate, a root of unity of every even
        length; here nothing is singular, and 1 - z comes without cancellation from sin(w): it holds
        in single precision. Source: Gu et al. (2022), theorem 3.
        """
        length = integer("length", length, 1)
        C = as_complex(*self._truncated(length))
        B, P = (
            as_complex(self.B[..., 0], self.B[..., 1])[:, None],
            as_complex(self.P[..., 0], self.P[..., 1]),
        )
        left, right = concat((C[:, None], P.conj()), axis=1), concat((B, P), axis=1)
        sums, cosine, turn = self._cauchy(
            (left[:, :, None] * right[:, None]).reshape(len(C), -1, C.shape[-1]), length
        )
        ranks = P.shape[1]
        sums = sums.reshape(*sums.shape[:2], ranks + 1, ranks + 1)
        inner = namespace_eye(ranks, sums) + cosine * sums[..., 1:, 1:]
        values = sums[..., :1, :1] - cosine * (sums[..., :1, 1:] @ solve(inner, sums[..., 1:, :1]))
        return self._kernel(fourier(self.C).irfft(turn * values[..., 0, 0], length))

    def _truncated(self, length):
        """Real and imaginary parts (H, M) of C (1 - A_d^length)."""
        A, _, C = self.matrices()
        power = np.linalg.matrix_power if isinstance(A, np.ndarray) else _torch_power
        row = (C[:, None] - C[:, None] @ power(A, length))[:, 0].reshape(*self.C.shape) / 2.0
        return row[..., 0], -row[..., 1]

    def _cauchy(self, v, length):
        """Sums over all modes of v / E, shape (H, F, k), for v (H, k, M), with cos(w) (F, 1, 1) and
        exp(i w) (F,), F = length // 2 + 1."""
        w = np.pi * np.arange(length // 2 + 1) / length
        sine, cosine, turn = np.sin(w)[:, None], np.cos(w)[:, None], np.exp(1j * w)
        if namespace(v).__name__ == "Torch":
            sine, cosine = self.C.new_tensor(sine), self.C.new_tensor(cosine)
            turn = as_complex(self.C.new_tensor(turn.real), self.C.new_tensor(turn.imag))
        decay, rate = (
            cosine * exp(self.log_decay)[:, None],
            2.0 * exp(-self.log_step)[:, None, None] * sine,
        )
        swing = cosine * self.frequency[:, None]
        ahead, behind = 1.0 / as_complex(decay, rate - swing), 1.0 / as_complex(decay, rate + swing)
        return ahead @ transpose(v) + behind @ transpose(v.conj()), cosine[..., None], turn

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        modes: int = 64,
        init: str = "legs",
        step_min: float = 0.001,
        step_max: float = 0.1,
    ) -> S4:
        """Random model with the A and B of HiPPO, theta = 1; C complex normal, D normal.

        Parameters
        ----------
        units : int
            Number H of channels.
        inputs : int
            Number of inputs, equal to units.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        modes : even int, optional
            Number N = 2M of modes.
        init : {"legs", "legt", "lagt"}, optional
            Measure of HiPPO.
        step_min, step_max : float above 0, optional
            Steps are log-uniform between them.

        Returns
        -------
        S4

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        rng, pairs, init = generator(rng), mode_pairs(modes), choice("init", init, INITS)
        drawn = cls.drawn(units, inputs, rng, step_min, step_max)
        form = normal_plus_low_rank(init, 2 * pairs)
        H, upper = len(drawn["D"]), slice(pairs, None)
        each = {
            "log_decay": np.log(np.maximum(-form.Lambda.real[upper], MIN_DECAY)),
            "frequency": form.Lambda.imag[upper],
            "P": as_pairs(form.P[upper].T),
            "B": as_pairs(form.B[upper, 0]),
        }
        C = rng.standard_normal((H, pairs, 2)) / np.sqrt(2)
        return cls(
            C=C,
            **{name: np.tile(value, (H,) + (1,) * value.ndim) for name, value in each.items()},
            **drawn,
        )


def projected(p: Array, q: Array, re: Array, im: Array) -> Array:
    """P^* x, shape (..., H, 1), over conjugate pairs: 2 Re(sum_m conj(p + iq) (re + i im))."""
    return 2.0 * (p * re + q * im).sum(axis=-1)[..., None]


def as_pairs(z: np.ndarray) -> np.ndarray:
    """Complex numbers as real ones with an axis (real, imaginary) at the end."""
    return np.stack((z.real, z.imag), axis=-1)


def namespace_eye(n: int, like: Array) -> Array:
    """Identity (n, n) of the kind of ``like``."""
    return like.new_tensor(np.eye(n)) if hasattr(like, "new_tensor") else np.eye(n)


def _torch_power(A, n):
    import torch

    return torch.linalg.matrix_power(A, n)
