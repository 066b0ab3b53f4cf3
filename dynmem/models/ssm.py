"""Diagonal state-space models, and what every model shares that runs channel by channel as a linear
system."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arrays import as_complex, concat, cos, exp, namespace, sin, stack, transpose
from ..linear import LinearSystem
from ..runtime.validation import integer
from ..scan import channel_scan
from ..system import Map
from .blockwise import causal_convolution
from .cell import above_zero, expm1, keep, log_uniform, logarithms, matrix_shape, one_batch_of_steps
from .hippo import normal_plus_low_rank

INITS = ("lin", "inv", "legs", "real")
METHODS = ("zoh", "bilinear")
SLOWEST = 1e-4  # decay that a mode keeps at least, where the measure's own is 0


@dataclass(frozen=True, eq=False)
class StateSpace(Map):
    """Channels side by side, each a linear system of its own: dx/dt = A x + B u, y = 2 Re(C x) + D
    u, sampled at exp(log_step).

    A subclass brings ``rule``, its A in ``velocity``, and its arrays in ``shapes``, in terms of H
    channels, M modes and rank R, with log_step (H,), C (H, M, 2) and D (H,) among them. Of each
    conjugate pair of modes one is kept: the state holds its real and imaginary parts, (H, M, 2)
    flattened. One step of the map is the unit of time.
    """

    square = True
    shapes = {}

    def __post_init__(self):
        sizes = self._sizes()
        keep(
            self,
            **{
                name: tuple(sizes[letter] for letter in letters)
                for name, letters in self.shapes.items()
            },
        )
        logarithms(self, "log_decay", "log_step")

    def _sizes(self):
        """The letters of ``shapes`` as numbers."""
        H, M = matrix_shape(self, "frequency", "channels, modes")
        return {"H": H, "M": M, "2": 2}

    units = property(lambda self: self.frequency.shape[0])
    modes = property(lambda self: self.frequency.shape[1])
    inputs = outputs = units
    size = property(lambda self: 2 * self.units * self.modes)

    @property
    def states(self):
        return tuple(
            f"{part}{h}_{m}"
            for h in range(self.units)
            for m in range(self.modes)
            for part in ("re", "im")
        )

    def parts(self, x):
        """Real and imaginary parts (..., H, M) of the state x (..., n)."""
        z = x.reshape(*x.shape[:-1], *self.frequency.shape, 2)
        return z[..., 0], z[..., 1]

    def joined(self, re, im):
        """The state (..., n) of its parts (..., H, M)."""
        return stack((re, im)).reshape(*re.shape[:-2], self.size)

    def output(self, x, u):
        re, im = self.parts(x)
        y = 2.0 * (re * self.C[..., 0] - im * self.C[..., 1]).sum(axis=-1)
        return y if u is None else y + self.D * u

    def initial(self, rng=0):
        """Rest, as for every linear network."""
        return np.zeros(self.size)

    def matrices(self):
        """A (H, n, n), B (H, n) and C (H, n) of the discrete channels with n = 2M real states each,
        from the rule itself."""
        like, (H, M) = self.frequency, self.frequency.shape
        eye = np.tile(np.eye(2 * M)[:, None], (1, H, 1)).reshape(2 * M, self.size)
        eye, zero, one = (
            like.new_tensor(a) if hasattr(like, "new_tensor") else a
            for a in (eye, np.zeros(self.size), np.ones(H))
        )
        moved = self.rule(eye, None).reshape(2 * M, H, 2 * M)
        C = 2.0 * stack((self.C[..., 0], -self.C[..., 1])).reshape(H, 2 * M)
        return moved.swapaxes(0, 1).swapaxes(1, 2), self.rule(zero, one).reshape(H, 2 * M), C

    def continuous(self, channel=None):
        """The system before it was sampled, of one channel or, all side by side, of the whole; its
        unit of time is one step."""
        H, n = self.units, 2 * self.modes
        eye = np.tile(np.eye(n)[:, None], (1, H, 1)).reshape(n, self.size)
        A = self.joined(*self.velocity(*self.parts(eye), None)).reshape(n, H, n).transpose(1, 2, 0)
        B = self.joined(*self.velocity(*self.parts(np.zeros(self.size)), np.ones(H))).reshape(H, n)
        return self._assembled(A, B, self.matrices()[2], None, channel)

    def discrete(self, channel=None, factor=1.0):
        """The system that the rule steps, of one channel or of the whole, with steps ``factor``
        times as long."""
        model = self.resampled(factor)
        return model._assembled(*model.matrices(), float(factor), channel)

    def _assembled(self, A, B, C, dt, channel):
        if channel is not None:
            h = integer("channel", channel, 0)
            if h >= self.units:
                raise ValueError(
                    f"channel = {h}: {type(self).__name__} has channels 0 to {self.units - 1}"
                )
            return LinearSystem(A[h], B[h][:, None], C[h][None], np.array([[self.D[h]]]), dt)
        from scipy.linalg import block_diag

        return LinearSystem(
            block_diag(*A),
            block_diag(*(b[:, None] for b in B)),
            block_diag(*(c[None] for c in C)),
            np.diag(self.D),
            dt,
        )

    def resampled(self, factor):
        """The same continuous model for inputs whose samples lie ``factor`` times as far apart
        (below 1: closer): the step alone changes.

        >>> model = S4D.random(1, 1)
        >>> bool(np.allclose(model.resampled(3.0).discrete(0).A, np.linalg.matrix_power(model.discrete(0).A, 3)))
        True
        """
        (factor,) = above_zero(factor=factor)
        return replace(self, log_step=self.log_step + np.log(factor))

    def convolve(self, u):
        """Outputs (..., T, H) from rest for inputs u (..., T, H), as one convolution with the
        kernel by FFT, zero padded; numpy and torch."""
        return transpose(causal_convolution(transpose(self.kernel(u.shape[-2])), transpose(u)))

    def _kernel(self, response):
        """Kernel (T, H) of the responses (H, T) of the states, with D at lag 0."""
        kernel = transpose(response)
        return concat((kernel[:1] + self.D, kernel[1:]), axis=0)

    @classmethod
    def drawn(cls, units, inputs, rng, step_min, step_max):
        """log_step with exp(log_step) log-uniform in (step_min, step_max), and D ~ N(0, 1), as a
        dict of arrays (Gu et al. 2022)."""
        units = integer("units", units, 1)
        if integer("inputs", inputs, 0) != units:
            raise ValueError(
                f"inputs = {inputs}: {cls.__name__} works channel by channel, pass "
                f"inputs = units = {units}, or let "
                "dm.models.get put an encoder in front"
            )
        return {
            "log_step": np.log(log_uniform(rng, step_min, step_max, units)),
            "D": rng.standard_normal(units),
        }


@dataclass(frozen=True, eq=False)
class S4D(StateSpace):
    """Diagonal state-space model: x_t = a x_(t-1) + b u_t, y_t = 2 Re(sum_m C_m x_m,t) + D u_t,
    channel by channel.

    lambda = -exp(log_decay) + i frequency and B = 1 in continuous time; with s = exp(log_step),
    "zoh": a = exp(s lambda), b = (a - 1) / lambda; "bilinear": a = (1 + s lambda/2) / (1 - s
    lambda/2), b = s / (1 - s lambda/2). Real parts are negative by construction: no mode grows.

    Fields: log_decay (H, M), frequency (H, M), C (H, M, 2), D (H,), log_step (H,), method. M modes
    of conjugate pairs, N = 2M. Source: Gu, Goel, Gupta and Re (2022), "On the Parameterization and
    Initialization of Diagonal State Space Models", sections 3 and 4.

    >>> S4D.random(2, 2, modes=8, init="lin").frequency[0].round(4).tolist()
    [0.0, 3.1416, 6.2832, 9.4248]
    """

    log_decay: np.ndarray
    frequency: np.ndarray
    C: np.ndarray
    D: np.ndarray
    log_step: np.ndarray
    method: str = "zoh"
    shapes = {"log_decay": "HM", "frequency": "HM", "C": "HM2", "D": "H", "log_step": "H"}

    def __post_init__(self):
        super().__post_init__()
        if self.method not in METHODS:
            raise ValueError(f"method must be {' or '.join(METHODS)}, got {self.method!r}")

    def velocity(self, re, im, u):
        """dx/dt of the parts of the state, the unit of time being a step."""
        decay, step = exp(self.log_decay), exp(self.log_step)[..., None]
        drive = 0.0 if u is None else u[..., None]
        return step * (drive - decay * re - self.frequency * im), step * (
            self.frequency * re - decay * im
        )

    @cached_property
    def coefficients(self):
        """Real and imaginary parts (H, M) of a, and of b."""
        step, decay = exp(self.log_step)[..., None], exp(self.log_decay)
        x, y = -step * decay, step * self.frequency
        if self.method == "zoh":
            half = sin(y / 2.0)
            # a - 1 without the loss of digits at small steps
            turned = expm1(x) - 2.0 * exp(x) * half * half, exp(x) * sin(y)
            b = divided(turned, (-decay, self.frequency))
            return exp(x) * cos(y), turned[1], *b
        under = (1.0 - x / 2.0, -y / 2.0)
        return *divided((1.0 + x / 2.0, y / 2.0), under), *divided((step + 0.0 * x, 0.0 * y), under)

    def rule(self, x, u):
        re, im = self.parts(x)
        a, c, b, d = self.coefficients
        new_re, new_im = a * re - c * im, a * im + c * re
        if u is not None:
            new_re, new_im = new_re + b * u[..., None], new_im + d * u[..., None]
        return self.joined(new_re, new_im)

    @property
    def time_constants(self):
        """Steps (H, M) over which each mode falls to 1/e: -1/ln|a|."""
        a, c, _, _ = self.coefficients
        with np.errstate(divide="ignore"):
            return -1.0 / np.log(np.hypot(a, c))

    def run(self, x, u):
        """Outputs (..., T, H) and last state (..., n), by one compiled scan that makes no array of
        modes times steps."""
        a, b = as_complex(*self.coefficients[:2]), as_complex(*self.coefficients[2:])
        x, u = one_batch_of_steps(x, u)
        y, x = channel_scan(
            a, b, 2.0 * as_complex(self.C[..., 0], self.C[..., 1]), u, as_complex(*self.parts(x))
        )
        return y + self.D * u, self.joined(x.real, x.imag)

    def kernel(self, length):
        """Convolution kernel (length, H): 2 Re(sum_m C_m b_m a_m^j), and D at j = 0; on numpy and
        torch.

        The powers are those of the coefficient as it is rounded, taken in double precision: else
        the kernel and the recurrence drift apart.
        """
        length = integer("length", length, 1)
        a, b = as_complex(*self.coefficients[:2]), as_complex(*self.coefficients[2:])
        weights = 2.0 * as_complex(self.C[..., 0], self.C[..., 1]) * b
        # a^(q width + r) as a product, so that no array of modes times steps is made
        width = int(np.ceil(np.sqrt(length)))
        coarse, fine = (
            powers(a, width * np.arange(-(-length // width))),
            powers(a, np.arange(width)),
        )
        return self._kernel(
            (transpose(weights[..., None] * coarse) @ fine).real.reshape(self.units, -1)[:, :length]
        )

    @classmethod
    def random(
        cls,
        units,
        inputs=0,
        *,
        rng=0,
        modes=64,
        init="lin",
        method="zoh",
        step_min=0.001,
        step_max=0.1,
    ):
        """Published initialisations, ``modes`` = N (even): "lin" -1/2 + i pi n; "inv" -1/2 + i
        (N/pi) (N/(2n+1) - 1); "legs" the eigenvalues of the normal part of HiPPO-LegS; "real"
        -(n+1). C complex normal, D normal, steps log-uniform in (step_min, step_max)."""
        rng, pairs = np.random.default_rng(rng), mode_pairs(modes)
        made = cls.drawn(units, inputs, rng, step_min, step_max)
        decay, frequency = diagonal(init, pairs)
        C = rng.standard_normal((len(made["D"]), pairs, 2)) / np.sqrt(2)
        return cls(
            np.log(np.tile(decay, (len(C), 1))),
            np.tile(frequency, (len(C), 1)),
            C,
            method=method,
            **made,
        )


def diagonal(init, pairs):
    """Decay -Re lambda and frequency Im lambda, each (pairs,), of an initialisation of S4D (Gu et
    al. 2022, section 4)."""
    n, half = np.arange(pairs), np.full(pairs, 0.5)
    if init == "lin":
        return half, np.pi * n
    if init == "inv":
        return half, 2 * pairs / np.pi * (2 * pairs / (2 * n + 1) - 1)
    if init == "legs":
        return half, normal_plus_low_rank("legs", 2 * pairs).Lambda.imag[pairs:]
    if init == "real":
        return n + 1.0, np.zeros(pairs)
    raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")


def mode_pairs(modes):
    """Half of an even number of modes."""
    if integer("modes", modes, 2) % 2:
        raise ValueError(f"modes = {modes}: must be even, modes come in conjugate pairs")
    return int(modes) // 2


def divided(z, w):
    """z / w of complex numbers given as (real, imaginary)."""
    size = w[0] * w[0] + w[1] * w[1]
    return (z[0] * w[0] + z[1] * w[1]) / size, (z[1] * w[0] - z[0] * w[1]) / size


def powers(a, exponents):
    """a^j for each of the exponents j (k,), shape (..., k), of a complex array a (...), from its
    logarithm in double precision."""
    least = 1e-300  # in the place of 0, whose logarithm is infinite
    if namespace(a).__name__ == "Torch":
        import torch

        exact = a.to(torch.complex128)
        return torch.exp(
            torch.log(exact + least * (exact == 0))[..., None]
            * torch.as_tensor(exponents, device=a.device)
        ).to(a.dtype)
    return np.exp(np.log(a + least * (a == 0))[..., None] * exponents)
