"""Diagonal state-space models, and what models share that are linear channel by channel."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..arrays import as_complex, concat, cos, exp, namespace, sin, stack, transpose
from ..linear import LinearSystem
from ..runtime.validation import choice, generator, integer, number
from ..scan import channel_scan
from ..system import Map
from ..typing import Array, Rng
from .blockwise import causal_convolution
from .cell import (
    check_logarithms,
    expm1,
    keep_arrays,
    log_uniform,
    matrix_shape,
    one_batch_of_steps,
)
from .hippo import normal_plus_low_rank

__all__ = ["S4D"]

INITS = ("lin", "inv", "legs", "real")
METHODS = ("zoh", "bilinear")
MIN_DECAY = 1e-4  # of a mode, where the measure's own decay is 0


class StateSpace(Map):
    """H linear channels dx/dt = A x + B u, y = 2 Re(C x) + D u, sampled at exp(log_step).

    A subclass brings ``rule``, its A in ``velocity``, and its arrays in ``shapes``, in terms of H
    channels, M modes and rank R, with log_step (H,), C (H, M, 2) and D (H,) among them. Of each
    conjugate pair of modes one is kept: the state holds its real and imaginary parts, (H, M, 2)
    flattened. One step of the map is the unit of time.
    """

    square = True
    shapes: ClassVar[dict[str, str]] = {}

    if TYPE_CHECKING:  # the arrays are fields of the subclasses

        def __getattr__(self, name: str) -> Any: ...

    def __post_init__(self) -> None:
        sizes = self._sizes()
        keep_arrays(
            self,
            {
                name: tuple(sizes[letter] for letter in letters)
                for name, letters in self.shapes.items()
            },
        )
        check_logarithms(self, "log_decay", "log_step")

    def _sizes(self) -> dict[str, int]:
        """The letters of ``shapes`` as numbers."""
        H, M = matrix_shape(self, "frequency", "channels, modes")
        return {"H": H, "M": M, "2": 2}

    @property
    def units(self) -> int:
        return self.frequency.shape[0]

    @property
    def inputs(self) -> int:
        return self.frequency.shape[0]

    @property
    def outputs(self) -> int:
        return self.frequency.shape[0]

    @property
    def modes(self) -> int:
        """Number M of conjugate pairs of modes of each channel."""
        return self.frequency.shape[1]

    @property
    def size(self) -> int:
        return 2 * self.units * self.modes

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(
            f"{part}{h}_{m}"
            for h in range(self.units)
            for m in range(self.modes)
            for part in ("re", "im")
        )

    def parts(self, x: Array) -> tuple[Array, Array]:
        """Real and imaginary parts (..., H, M) of the state x (..., n)."""
        z = x.reshape(*x.shape[:-1], *self.frequency.shape, 2)
        return z[..., 0], z[..., 1]

    def joined(self, re: Array, im: Array) -> Array:
        """The state (..., n) of its parts (..., H, M)."""
        return stack((re, im)).reshape(*re.shape[:-2], self.size)

    def output(self, x: Array, u: Array | None) -> Array:
        re, im = self.parts(x)
        y = 2.0 * (re * self.C[..., 0] - im * self.C[..., 1]).sum(axis=-1)
        return y if u is None else y + self.D * u

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """Rest, the state 0."""
        return np.zeros(self.size)

    def matrices(self) -> tuple[Array, Array, Array]:
        """A (H, n, n), B (H, n) and C (H, n) of the map, n = 2M real states each."""
        like, (H, M) = self.frequency, self.frequency.shape
        units = np.tile(np.eye(2 * M)[:, None], (1, H, 1)).reshape(2 * M, self.size)
        eye, zero, one = (
            like.new_tensor(a) if hasattr(like, "new_tensor") else a
            for a in (units, np.zeros(self.size), np.ones(H))
        )
        moved = self.rule(eye, None).reshape(2 * M, H, 2 * M)
        C = 2.0 * stack((self.C[..., 0], -self.C[..., 1])).reshape(H, 2 * M)
        return moved.swapaxes(0, 1).swapaxes(1, 2), self.rule(zero, one).reshape(H, 2 * M), C

    def continuous(self, channel: int | None = None) -> LinearSystem:
        """The system before it is sampled, of one channel or of the whole, in units of a step."""
        H, n = self.units, 2 * self.modes
        eye = np.tile(np.eye(n)[:, None], (1, H, 1)).reshape(n, self.size)
        A = self.joined(*self.velocity(*self.parts(eye), None)).reshape(n, H, n).transpose(1, 2, 0)
        B = self.joined(*self.velocity(*self.parts(np.zeros(self.size)), np.ones(H))).reshape(H, n)
        return self._assembled(A, B, self.matrices()[2], None, channel)

    def discrete(self, channel: int | None = None, factor: float = 1.0) -> LinearSystem:
        """The map, of one channel or of the whole, with steps ``factor`` times as long."""
        model = self.resampled(factor)
        return model._assembled(*model.matrices(), float(factor), channel)

    def _assembled(self, A, B, C, dt, channel):
        if channel is not None:
            h = integer("channel", channel, 0, self.units - 1)
            return LinearSystem(A[h], B[h][:, None], C[h][None], np.array([[self.D[h]]]), dt)
        from scipy.linalg import block_diag

        return LinearSystem(
            block_diag(*A),
            block_diag(*(b[:, None] for b in B)),
            block_diag(*(c[None] for c in C)),
            np.diag(self.D),
            dt,
        )

    def resampled(self, factor: float) -> Self:
        """The same model for inputs that lie ``factor`` times as far apart: the step grows by it.

        Examples
        --------
        >>> model = S4D.random(1, 1)
        >>> A = np.linalg.matrix_power(model.discrete(0).A, 3)
        >>> bool(np.allclose(model.resampled(3.0).discrete(0).A, A))
        True
        """
        factor = number("factor", factor, above=0)
        return replace(self, **{"log_step": self.log_step + np.log(factor)})

    def convolve(self, u: Array) -> Array:
        """Outputs (..., T, H) from rest for inputs u (..., T, H), by FFT, zero padded."""
        return transpose(causal_convolution(transpose(self.kernel(u.shape[-2])), transpose(u)))

    def _kernel(self, response):
        """Kernel (T, H) of the responses (H, T) of the states, with D at lag 0."""
        kernel = transpose(response)
        return concat((kernel[:1] + self.D, kernel[1:]), axis=0)

    @classmethod
    def drawn(
        cls, units: int, inputs: int, rng: np.random.Generator, step_min: float, step_max: float
    ) -> dict[str, np.ndarray]:
        """log_step, with exp(log_step) log-uniform in (step_min, step_max), and D ~ N(0, 1), by
        name (Gu et al. 2022).
        """
        units = integer("units", units, 1)
        if integer("inputs", inputs, 0) != units:
            raise ValueError(
                f"inputs = {inputs}: {cls.__name__} works channel by channel, pass inputs = units "
                f"= {units}, or use dm.models.get, which puts an encoder in front"
            )
        return {
            "log_step": np.log(log_uniform(rng, step_min, step_max, units)),
            "D": rng.standard_normal(units),
        }


class S4D(StateSpace):
    """Diagonal state-space model, channel by channel.

        x_t = a x_(t-1) + b u_t,  y_t = 2 Re(sum_m C_m x_m,t) + D u_t,
        lambda = -exp(log_decay) + i frequency,  s = exp(log_step),
        zoh: a = exp(s lambda), b = (a - 1)/lambda,
        bilinear: a = (1 + s lambda/2)/(1 - s lambda/2), b = s/(1 - s lambda/2)

    Parameters
    ----------
    log_decay : array_like (H, M)
        Logarithm of the decay of each mode; H channels, M conjugate pairs of modes.
    frequency : array_like (H, M)
        Angular frequency of each mode.
    C : array_like (H, M, 2)
        Output vector, real and imaginary; B is 1.
    D : array_like (H,)
        From input to output.
    log_step : array_like (H,)
        Logarithm of the step.
    method : {"zoh", "bilinear"}, optional
        How dx/dt = lambda x + u is sampled.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    Real parts are negative by construction: no mode grows. The state holds the real and imaginary
    parts, (H, M, 2) flattened.

    References
    ----------
    Gu, Goel, Gupta and Re (2022), On the parameterization and initialization of diagonal state
    space models, NeurIPS, sections 3 and 4.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.S4D.random(2, 2, modes=8, init="lin").frequency[0].round(4).tolist()
    [0.0, 3.1416, 6.2832, 9.4248]
    """

    equation = (
        r"\dot x = \Lambda x + B u, \quad "
        r"y = 2\, \mathrm{Re}(C x) + D u, \quad "
        r"\Lambda = \mathrm{diag}(-e^{a} + i \omega)"
    )

    log_decay: Array
    frequency: Array
    C: Array
    D: Array
    log_step: Array
    method: str = "zoh"
    shapes = {"log_decay": "HM", "frequency": "HM", "C": "HM2", "D": "H", "log_step": "H"}
    source = "Gu, Goel, Gupta and Re (2022), On the parameterization of diagonal state space models"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("method", self.method, METHODS)

    def velocity(self, re: Array, im: Array, u: Array | None) -> tuple[Array, Array]:
        """dx/dt of the parts of the state; the unit of time is a step."""
        decay, step = exp(self.log_decay), exp(self.log_step)[..., None]
        drive = 0.0 if u is None else u[..., None]
        return step * (drive - decay * re - self.frequency * im), step * (
            self.frequency * re - decay * im
        )

    @cached_property
    def coefficients(self) -> tuple[Array, Array, Array, Array]:
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

    def rule(self, x: Array, u: Array | None) -> Array:
        re, im = self.parts(x)
        a, c, b, d = self.coefficients
        new_re, new_im = a * re - c * im, a * im + c * re
        if u is not None:
            new_re, new_im = new_re + b * u[..., None], new_im + d * u[..., None]
        return self.joined(new_re, new_im)

    @property
    def time_constants(self) -> np.ndarray:
        """Steps (H, M) in which each mode falls to 1/e: -1/ln|a|."""
        a, c, _, _ = self.coefficients
        with np.errstate(divide="ignore"):
            return -1.0 / np.log(np.hypot(a, c))

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, H) and last state (..., n), by one compiled scan that forms no array of
        modes times steps.
        """
        a, b = as_complex(*self.coefficients[:2]), as_complex(*self.coefficients[2:])
        x, u = one_batch_of_steps(x, u)
        y, x = channel_scan(
            a, b, 2.0 * as_complex(self.C[..., 0], self.C[..., 1]), u, as_complex(*self.parts(x))
        )
        return y + self.D * u, self.joined(x.real, x.imag)

    def kernel(self, length: int) -> Array:
        """Convolution kernel (length, H): 2 Re(sum_m C_m b_m a_m^j), and D at j = 0.

        The powers are those of the coefficient as it is rounded, taken in double precision: else
        the kernel and the recurrence drift apart.
        """
        length = integer("length", length, 1)
        a, b = as_complex(*self.coefficients[:2]), as_complex(*self.coefficients[2:])
        weights = 2.0 * as_complex(self.C[..., 0], self.C[..., 1]) * b
        # a^(q width + r) as a product, so that no array of modes times steps is formed
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
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        modes: int = 64,
        init: str = "lin",
        method: str = "zoh",
        step_min: float = 0.001,
        step_max: float = 0.1,
    ) -> S4D:
        """Random model with a published lambda; C complex normal, D normal.

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
        init : {"lin", "inv", "legs", "real"}, optional
            lambda_n = -1/2 + i pi n; -1/2 + i (N/pi) (N/(2n+1) - 1); the eigenvalues of the normal
            part of HiPPO-LegS; or -(n+1).
        method : {"zoh", "bilinear"}, optional
            How the continuous system is sampled.
        step_min, step_max : float above 0, optional
            Steps are log-uniform between them.

        Returns
        -------
        S4D

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        rng, pairs = generator(rng), mode_pairs(modes)
        drawn = cls.drawn(units, inputs, rng, step_min, step_max)
        decay, frequency = diagonal(init, pairs)
        C = rng.standard_normal((len(drawn["D"]), pairs, 2)) / np.sqrt(2)
        return cls(
            np.log(np.tile(decay, (len(C), 1))),
            np.tile(frequency, (len(C), 1)),
            C,
            method=method,
            **drawn,
        )


def diagonal(init: str, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Decay -Re lambda and frequency Im lambda, each (pairs,), of an initialisation of S4D (Gu et
    al. 2022, section 4).
    """
    choice("init", init, INITS)
    n, half = np.arange(pairs), np.full(pairs, 0.5)
    if init == "lin":
        return half, np.pi * n
    if init == "inv":
        return half, 2 * pairs / np.pi * (2 * pairs / (2 * n + 1) - 1)
    if init == "legs":
        return half, normal_plus_low_rank("legs", 2 * pairs).Lambda.imag[pairs:]
    return n + 1.0, np.zeros(pairs)


def mode_pairs(modes: int) -> int:
    """Half of an even number of modes."""
    if integer("modes", modes, 2) % 2:
        raise ValueError(f"modes = {modes}: must be even, modes come in conjugate pairs")
    return int(modes) // 2


def divided(z: tuple[Array, Array], w: tuple[Array, Array]) -> tuple[Array, Array]:
    """z / w of complex numbers given as (real, imaginary)."""
    size = w[0] * w[0] + w[1] * w[1]
    return (z[0] * w[0] + z[1] * w[1]) / size, (z[1] * w[0] - z[0] * w[1]) / size


def powers(a: Array, exponents: np.ndarray) -> Array:
    """a^j for each of the exponents j (k,), shape (..., k), of a complex array a (...), from its
    logarithm in double precision.
    """
    least = 1e-300  # in the place of 0, whose logarithm is infinite
    if namespace(a).__name__ == "Torch":
        import torch

        exact = a.to(torch.complex128)
        return torch.exp(
            torch.log(exact + least * (exact == 0))[..., None]
            * torch.as_tensor(exponents, device=a.device)
        ).to(a.dtype)
    return np.exp(np.log(a + least * (a == 0))[..., None] * exponents)
