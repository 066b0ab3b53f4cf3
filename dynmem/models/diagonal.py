"""Linear recurrences of independent complex modes between dense maps: LRU and S5."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import as_complex, concat, cos, exp, sin, split, sqrt
from ..linear import LinearSystem
from ..runtime.validation import choice, generator, integer, number
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
from .hippo import normal_plus_low_rank

__all__ = ["LRU", "S5"]

GAMMAS = ("tied", "trained")


class Diagonal(Map):
    """N complex modes x_t = lambda x_(t-1) + B u_t, y_t = r Re(C x_t) + D u_t: base of LRU and S5.

    The state holds the real parts of the modes and then the imaginary ones, 2N components. A
    subclass has the fields B_re, B_im (N, inputs), C_re, C_im (outputs, N) and D (outputs, inputs),
    returns the modes and the matrix by which inputs reach them in ``coefficients``, and r in
    ``copies``: 2 where each mode stands for a conjugate pair.
    """

    square = False
    copies = 1

    if TYPE_CHECKING:  # the arrays are fields of the subclasses

        def __getattr__(self, name: str) -> Any: ...

    def __post_init__(self) -> None:
        modes, inputs = matrix_shape(self, "B_re", "modes, inputs")
        outputs, _ = matrix_shape(self, "C_re", "outputs, modes")
        keep_arrays(
            self,
            {
                "B_re": (modes, inputs),
                "B_im": (modes, inputs),
                "C_re": (outputs, modes),
                "C_im": (outputs, modes),
                "D": (outputs, inputs),
            },
        )

    @property
    def modes(self) -> int:
        """Number N of complex modes."""
        return len(self.B_re)

    @property
    def inputs(self) -> int:
        return self.B_re.shape[1]

    @property
    def outputs(self) -> int:
        return len(self.C_re)

    @property
    def size(self) -> int:
        return 2 * self.modes

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(f"{part}{n}" for part in ("re", "im") for n in range(self.modes))

    @property
    def coefficients(self) -> tuple[Array, Array, Array, Array]:
        """Real and imaginary part of lambda (N,), and of the input matrix (N, inputs)."""
        raise NotImplementedError

    @cached_property
    def recurrence(self) -> tuple[Array, Array, Array]:
        """Factors of the state itself and of the other part of each mode, each (2N,), and the input
        matrix (2N, inputs).
        """
        re, im, B_re, B_im = self.coefficients
        return concat((re, re)), concat((-im, im)), concat((B_re, B_im), axis=0)

    @cached_property
    def readout(self) -> Array:
        """Matrix (outputs, 2N) from the state to r Re(C x)."""
        return self.copies * concat((self.C_re, -self.C_im))

    @property
    def eigenvalues(self) -> np.ndarray:
        """The modes lambda, complex, shape (N,)."""
        re, im, *_ = self.coefficients
        return re + 1j * im

    @property
    def time_constants(self) -> np.ndarray:
        """Steps in which each mode falls to 1/e, -1/ln|lambda|, shape (N,)."""
        return -1.0 / np.log(np.abs(self.eigenvalues))

    def rule(self, x: Array, u: Array | None) -> Array:
        own, other, B = self.recurrence
        re, im = split(x, 2)
        turned = own * x + other * concat((im, re))
        return turned if u is None else turned + u @ B.T

    def output(self, x: Array, u: Array | None) -> Array:
        y = x @ self.readout.T
        return y if u is None else y + u @ self.D.T

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, outputs) and last state (..., 2N) by one scan over all modes."""
        from ..scan import linear_scan

        x, u = one_batch_of_steps(x, u)
        re, im, *_ = self.coefficients
        states = linear_scan(
            as_complex(re, im),
            as_complex(*split(u @ self.recurrence[2].T, 2)),
            as_complex(*split(x, 2)),
        )
        x = concat((states.real, states.imag))
        return self.output(x, u), x[..., -1, :]

    @property
    def rates(self) -> np.ndarray:
        """Logarithms a of the modes, complex, shape (N,): lambda = exp(a)."""
        raise NotImplementedError

    def continuous(self) -> LinearSystem:
        """The system dx/dt = a x + B u of which this is the zero-order hold.

        The unit of time is one step.
        """
        a, (_, _, re, im) = self.rates, self.coefficients
        B = _held(a, 1.0)[:, None] ** -1 * (re + 1j * im)
        return self._real(a, np.concatenate((B.real, B.imag)), None)

    def discrete(self) -> LinearSystem:
        """The map as a LinearSystem of 2N states."""
        return self._real(self.eigenvalues, self.recurrence[2], 1.0)

    def _real(self, modes, B, dt):
        re, im = np.diag(modes.real), np.diag(modes.imag)
        return LinearSystem(np.block([[re, -im], [im, re]]), B, self.readout, self.D, dt)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """Rest, the state 0."""
        return np.zeros(self.size)


class LRU(Diagonal):
    """Linear recurrent unit: N complex modes that can neither explode nor stop turning.

        x_t = lambda x_(t-1) + gamma B u_t,  y_t = Re(C x_t) + D u_t,
        lambda = exp(-exp(nu) + i exp(theta)),  gamma = sqrt(1 - |lambda|^2)

    Parameters
    ----------
    nu : array_like (N,)
        Logarithm of the decay in one step.
    theta : array_like (N,)
        Logarithm of the phase in one step.
    B_re, B_im : array_like (N, inputs)
        Input matrix.
    C_re, C_im : array_like (outputs, N)
        Output matrix.
    D : array_like (outputs, inputs)
        From input to output; the paper has a vector.
    log_gamma : array_like (N,), optional
        Logarithm of gamma, which is then trained, as in the authors' code; with None gamma follows
        lambda.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    With gamma = sqrt(1 - |lambda|^2) white noise gives every mode the same variance however long it
    remembers. The state holds the real parts of the modes, then the imaginary ones. The exponents
    are ln|lambda|, each twice.

    References
    ----------
    Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences, ICML, section
    3 and appendix A.

    Examples
    --------
    >>> import dynmem as dm
    >>> unit = dm.models.LRU.random(4, 2, modes=3, r_min=0.9, r_max=0.99)
    >>> radius = abs(unit.eigenvalues)
    >>> unit.size, bool(((0.9 < radius) & (radius < 0.99)).all())
    (6, True)
    """

    equation = (
        r"x_t = \lambda x_{t-1} + \gamma B u_t, \quad "
        r"y_t = \mathrm{Re}(C x_t) + D u_t, \quad "
        r"\lambda = e^{-e^\nu + i e^\theta}"
    )

    nu: Array
    theta: Array
    B_re: Array
    B_im: Array
    C_re: Array
    C_im: Array
    D: Array
    log_gamma: Array | None = None
    source = (
        "Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences, ICML"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [name for name in ("nu", "theta", "log_gamma") if getattr(self, name) is not None]
        keep_arrays(self, dict.fromkeys(names, (self.modes,)))
        check_logarithms(self, *names)

    @cached_property
    def coefficients(self) -> tuple[Array, Array, Array, Array]:
        decay, phase = exp(self.nu), exp(self.theta)
        # sqrt(1 - |lambda|^2), with all its digits where lambda is near 1
        modulus, tied = exp(-decay), sqrt(-expm1(-2.0 * decay))
        gamma = tied if self.log_gamma is None else exp(self.log_gamma)
        return (
            modulus * cos(phase),
            modulus * sin(phase),
            gamma[:, None] * self.B_re,
            gamma[:, None] * self.B_im,
        )

    @property
    def rates(self) -> np.ndarray:
        return -np.exp(self.nu) + 1j * np.exp(self.theta)

    def resampled(self, factor: float) -> LRU:
        """The same unit for inputs that lie ``factor`` times as far apart.

        Each input is held until the next: the modes become lambda^factor, and B what fits them.

        Examples
        --------
        >>> unit = LRU.random(2, 1)
        >>> bool(np.allclose(unit.resampled(3).eigenvalues, unit.eigenvalues**3))
        True
        """
        factor = number("factor", factor, above=0)
        longer = replace(self, nu=self.nu + np.log(factor), theta=self.theta + np.log(factor))
        ratio = _held(self.rates, factor) / _held(self.rates, 1.0)
        if self.log_gamma is None:
            ratio = ratio * np.sqrt(
                np.expm1(-2 * np.exp(self.nu)) / np.expm1(-2 * np.exp(longer.nu))
            )
        B = ratio[:, None] * (self.B_re + 1j * self.B_im)
        return replace(longer, B_re=B.real, B_im=B.imag)

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int,
        *,
        rng: Rng = 0,
        modes: int | None = None,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * np.pi,
        gamma: str = "tied",
    ) -> LRU:
        """Random unit, its modes uniform over a ring of the unit disc.

        B is complex normal of variance 1/inputs, C of variance 1/modes, D normal of variance
        1/inputs.

        Parameters
        ----------
        units : int
            Number of outputs.
        inputs : int
            Number of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        modes : int, optional
            Number N of complex modes; as many as units by default.
        r_min, r_max : float from 0 to 1, optional
            The ring r_min <= abs(lambda) <= r_max.
        max_phase : float in (0, 2 pi], optional
            Phases are uniform in (0, max_phase).
        gamma : {"tied", "trained"}, optional
            Whether gamma follows lambda, or starts there and is trained.

        Returns
        -------
        LRU

        Raises
        ------
        ValueError
            For an option out of its range.

        References
        ----------
        Orvieto et al. (2023), lemma 3.2.
        """
        units, inputs, rng = integer("units", units), integer("inputs", inputs), generator(rng)
        modes = integer("modes", units if modes is None else modes)
        nu, theta = ring(modes, r_min, r_max, max_phase, rng)
        choice("gamma", gamma, GAMMAS)
        log_gamma = None if gamma == "tied" else 0.5 * np.log(-np.expm1(-2.0 * np.exp(nu)))
        B = rng.standard_normal((2, modes, inputs)) / np.sqrt(2 * inputs)
        C = rng.standard_normal((2, units, modes)) / np.sqrt(modes)
        D = rng.standard_normal((units, inputs)) / np.sqrt(inputs)
        return cls(nu, theta, B[0], B[1], C[0], C[1], D, log_gamma)


def _held(a, duration):
    """(exp(a t) - 1)/a: what an input held for a time t leaves in a mode of rate a."""
    return np.expm1(a * duration) / a


def ring(
    modes: int, r_min: float, r_max: float, max_phase: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """nu and theta of modes uniform over the ring r_min <= |lambda| <= r_max.

    Orvieto et al. (2023), lemma 3.2.

    >>> nu, _ = ring(20_000, 0.9, 0.999, 6.28, np.random.default_rng(0))
    >>> round(float(np.mean(np.exp(-2 * np.exp(nu)))), 3)
    0.904
    """
    # the square of r_max must not underflow
    r_min, r_max = number("r_min", r_min, least=0), number("r_max", r_max, least=1e-150, most=1)
    if r_min >= r_max:
        raise ValueError(f"r_min = {r_min}: must be below r_max = {r_max}")
    max_phase = number("max_phase", max_phase, above=0, most=2 * np.pi)
    first, second = 1.0 - rng.random((2, modes))  # in (0, 1]: the logarithm of neither is infinite
    return np.log(-0.5 * np.log(r_min**2 + first * (r_max**2 - r_min**2))), np.log(
        max_phase * second
    )


class S5(Diagonal):
    """Simplified state-space layer: one diagonal system of many inputs and outputs.

        dx/dt = a x + B u,  y = 2 Re(C x) + D u,  a = -exp(log_decay) + i frequency

    Parameters
    ----------
    log_decay : array_like (N,)
        Logarithm of the decay.
    frequency : array_like (N,)
        Angular frequency.
    log_step : array_like (N,)
        Logarithm of the step by which each mode is sampled.
    B_re, B_im : array_like (N, inputs)
        Input matrix.
    C_re, C_im : array_like (outputs, N)
        Output matrix.
    D : array_like (outputs, inputs)
        From input to output.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    Of each conjugate pair one mode is kept. Sampled by zero-order hold: lambda = exp(a step),
    x_t = lambda x_(t-1) + (lambda - 1)/a B u_t. At another sampling rate the same weights serve
    (``resampled``). The state holds the real parts of the modes, then the imaginary ones.

    References
    ----------
    Smith, Warrington and Linderman (2023), Simplified state space layers for sequence modeling,
    ICLR, section 3 and appendix B.

    Examples
    --------
    >>> import dynmem as dm
    >>> layer = dm.models.S5.random(4, 2, modes=3)
    >>> bool(np.allclose(layer.resampled(2).eigenvalues, layer.eigenvalues**2))
    True
    """

    equation = r"\dot x = \Lambda x + B u, \quad y = 2\, \mathrm{Re}(C x) + D u"

    log_decay: Array
    frequency: Array
    log_step: Array
    B_re: Array
    B_im: Array
    C_re: Array
    C_im: Array
    D: Array
    copies = 2
    source = (
        "Smith, Warrington and Linderman (2023), Simplified state space layers for sequence "
        "modeling, ICLR"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        keep_arrays(self, dict.fromkeys(("log_decay", "frequency", "log_step"), (self.modes,)))
        check_logarithms(self, "log_decay", "log_step")

    @cached_property
    def coefficients(self) -> tuple[Array, Array, Array, Array]:
        step, rate = exp(self.log_step), exp(self.log_decay)
        fall, turn = rate * step, self.frequency * step
        kept, half = exp(-fall), sin(0.5 * turn)
        re, im = kept * cos(turn), kept * sin(turn)
        # Re lambda - 1 without the loss of digits at small steps
        less = expm1(-fall) - 2.0 * kept * half * half
        size = rate * rate + self.frequency * self.frequency
        # (lambda - 1)/a
        g_re, g_im = (
            (im * self.frequency - less * rate) / size,
            -(less * self.frequency + im * rate) / size,
        )
        g_re, g_im = g_re[:, None], g_im[:, None]
        return re, im, g_re * self.B_re - g_im * self.B_im, g_re * self.B_im + g_im * self.B_re

    @property
    def rates(self) -> np.ndarray:
        return np.exp(self.log_step) * (-np.exp(self.log_decay) + 1j * self.frequency)

    def resampled(self, factor: float) -> S5:
        """The same layer for inputs that lie ``factor`` times as far apart."""
        factor = number("factor", factor, above=0)
        return replace(self, log_step=self.log_step + np.log(factor))

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int,
        *,
        rng: Rng = 0,
        modes: int | None = None,
        blocks: int = 1,
        step_min: float = 1e-3,
        step_max: float = 0.1,
    ) -> S5:
        """Random layer, its modes those of the normal part of HiPPO-LegS.

        B has variance 1/inputs and C variance 1/(2 modes) before the eigenvectors are taken into
        them, D is normal of variance 1/inputs.

        Parameters
        ----------
        units : int
            Number of outputs.
        inputs : int
            Number of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        modes : int, optional
            Number N of conjugate pairs; as many as units by default.
        blocks : int, optional
            Copies of HiPPO-LegS among the modes; divides modes.
        step_min, step_max : float above 0, optional
            Steps are log-uniform between them.

        Returns
        -------
        S5

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        units, inputs, rng = integer("units", units), integer("inputs", inputs), generator(rng)
        modes = integer("modes", units if modes is None else modes)
        blocks = integer("blocks", blocks)
        if modes % blocks:
            raise ValueError(f"blocks = {blocks}: must divide modes = {modes}")
        form = normal_plus_low_rank("legs", 2 * modes // blocks)
        upper = slice(modes // blocks, None)  # of each pair the upper one
        vectors = np.kron(np.eye(blocks), form.V[:, upper])
        B = vectors.conj().T @ rng.standard_normal((2 * modes, inputs)) / np.sqrt(inputs)
        C = rng.standard_normal((units, 2 * modes)) / np.sqrt(2 * modes) @ vectors
        log_step = np.log(log_uniform(rng, step_min, step_max, modes))
        D = rng.standard_normal((units, inputs)) / np.sqrt(inputs)
        return cls(
            np.full(modes, np.log(0.5)),
            np.tile(form.Lambda.imag[upper], blocks),
            log_step,
            B.real,
            B.imag,
            C.real,
            C.imag,
            D,
        )
