"""S4: a state-space model whose state matrix is normal plus low rank, in blocks of steps, step by
step, and as a kernel in Fourier space."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import as_complex, concat, exp, namespace, solve, stack, transpose
from ..errors import ShapeError
from ..runtime.validation import integer
from .blockwise import blockwise, fourier
from .hippo import normal_plus_low_rank
from .ssm import SLOWEST, StateSpace, divided, mode_pairs

INITS = ("legs", "legt", "lagt")


@dataclass(frozen=True, eq=False)
class S4(StateSpace):
    """Structured state-space model: A = diag(lambda) - P P^*, sampled by the bilinear rule with s =
    exp(log_step).

    x_t = (2/s - A)^-1 ((2/s + A) x_(t-1) + 2 B u_t), y_t = 2 Re(C x_t) + D u_t. With lambda =
    -exp(log_decay) + i frequency, A + A^* is negative: no state grows, whatever training does. The
    inverse is Woodbury's, in a number of operations linear in the modes.

    Fields: log_decay (H, M), frequency (H, M), P (H, R, M, 2) of rank R, B (H, M, 2), C (H, M, 2),
    D (H,), log_step (H,); M conjugate pairs, N = 2M. Source: Gu, Goel and Re (2022), "Efficiently
    Modeling Long Sequences with Structured State Spaces", section 3 and appendix C.

    >>> model = S4.random(1, 1, modes=4)
    >>> model.continuous(0).eigenvalues.real.round(9).tolist() == (-np.arange(1, 5) * np.exp(model.log_step)).round(9).tolist()
    True
    """

    log_decay: np.ndarray
    frequency: np.ndarray
    P: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    log_step: np.ndarray
    shapes = {
        "log_decay": "HM",
        "frequency": "HM",
        "P": "HRM2",
        "B": "HM2",
        "C": "HM2",
        "D": "H",
        "log_step": "H",
    }

    def _sizes(self):
        if np.ndim(self.P) != 4 or not np.shape(self.P)[1]:
            raise ShapeError(
                f"P of S4 has shape {np.shape(self.P)}, expected (channels, rank, "
                "modes, 2) with a rank of at least 1; without it "
                "the model is S4D"
            )
        return super()._sizes() | {"R": np.shape(self.P)[1]}

    @cached_property
    def low_rank(self):
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

    def velocity(self, re, im, u):
        """dx/dt of the parts of the state, the unit of time being a step."""
        step, (re, im) = exp(self.log_step)[..., None], self._state_matrix(re, im)
        if u is not None:
            re, im = re + self.B[..., 0] * u[..., None], im + self.B[..., 1] * u[..., None]
        return step * re, step * im

    @cached_property
    def pole(self):
        """Real and imaginary parts (H, M) of 2/s - lambda."""
        return 2.0 * exp(-self.log_step)[..., None] + exp(self.log_decay), -self.frequency

    @cached_property
    def woodbury(self):
        """For each rank r the vector (2/s - lambda + sum_(q<r) P_q P_q^*)^-1 P_r over 1 + P_r^* of
        it, real and imaginary (R, H, M)."""
        found = []
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

    def rule(self, x, u):
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

    def run(self, x, u):
        """Outputs (..., T, H) and last state (..., n), in blocks of steps: a convolution inside
        each, the rule's powers between them."""
        y, x = blockwise(*self.matrices(), u, x)
        return y + self.D * u, x

    def kernel(self, length):
        """Convolution kernel (length, H), D at lag 0 included, from its values at the roots of
        unity z = exp(-2 pi i k / length).

        K(z) = C (1 - A_d^length) (1 - A_d z)^-1 B_d, and with half the angle w = pi k / length (1 -
        A_d z)^-1 B_d = exp(i w) (E + cos(w) P P^*)^-1 B, E = 2i sin(w)/s - cos(w) lambda:
        Woodbury's inverse, whose sums over modes are Cauchy's. The published form divides by 1 + z,
        which is 0 at half the rate, a root of unity of every even length; here nothing is singular,
        and 1 - z comes without cancellation from sin(w): it holds in single precision. Source: Gu
        et al. (2022), theorem 3.
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
    def random(cls, units, inputs=0, *, rng=0, modes=64, init="legs", step_min=0.001, step_max=0.1):
        """A and B of HiPPO ("legs", "legt" or "lagt", theta = 1), ``modes`` = N (even); C complex
        normal, D normal, steps log-uniform."""
        rng, pairs = np.random.default_rng(rng), mode_pairs(modes)
        if init not in INITS:
            raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")
        made, form = (
            cls.drawn(units, inputs, rng, step_min, step_max),
            normal_plus_low_rank(init, 2 * pairs),
        )
        H, upper = len(made["D"]), slice(pairs, None)
        each = {
            "log_decay": np.log(np.maximum(-form.Lambda.real[upper], SLOWEST)),
            "frequency": form.Lambda.imag[upper],
            "P": as_pairs(form.P[upper].T),
            "B": as_pairs(form.B[upper, 0]),
        }
        C = rng.standard_normal((H, pairs, 2)) / np.sqrt(2)
        return cls(
            C=C,
            **{name: np.tile(value, (H,) + (1,) * value.ndim) for name, value in each.items()},
            **made,
        )


def projected(p, q, re, im):
    """P^* x, shape (..., H, 1), over both of each conjugate pair: 2 Re(sum_m conj(p + iq) (re + i
    im))."""
    return 2.0 * (p * re + q * im).sum(axis=-1)[..., None]


def as_pairs(z):
    """Complex numbers as real ones with an axis (real, imaginary) at the end."""
    return np.stack((z.real, z.imag), axis=-1)


def namespace_eye(n, like):
    """Identity (n, n) of the kind of ``like``."""
    return like.new_tensor(np.eye(n)) if hasattr(like, "new_tensor") else np.eye(n)


def _torch_power(A, n):
    import torch

    return torch.linalg.matrix_power(A, n)
