"""Linear recurrences of independent complex modes between dense maps: LRU and S5."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arrays import as_complex, concat, cos, exp, sin, split, sqrt
from ..linear import LinearSystem
from ..runtime.validation import integer, number
from ..system import Map
from .cell import above_zero, expm1, keep, log_uniform, logarithms, matrix_shape, one_batch_of_steps
from .hippo import normal_plus_low_rank


@dataclass(frozen=True, eq=False)
class Diagonal(Map):
    """What LRU and S5 share: x_t = lambda x_(t-1) + B u_t with N complex modes, y_t = r Re(C x_t) +
    D u_t.

    The state holds the real parts of the modes and then the imaginary ones, 2N components. A
    subclass has the fields B_re, B_im (N, inputs), C_re, C_im (outputs, N) and D (outputs, inputs),
    gives the modes and the matrix by which inputs reach them in ``coefficients``, and r in
    ``copies``: 2 where the conjugate of each mode is there, too, and left out.
    """

    square = False
    copies = 1

    def __post_init__(self):
        modes, inputs = matrix_shape(self, "B_re", "modes, inputs")
        outputs, _ = matrix_shape(self, "C_re", "outputs, modes")
        keep(
            self,
            B_re=(modes, inputs),
            B_im=(modes, inputs),
            C_re=(outputs, modes),
            C_im=(outputs, modes),
            D=(outputs, inputs),
        )

    modes = property(lambda self: len(self.B_re))
    inputs = property(lambda self: self.B_re.shape[1])
    outputs = property(lambda self: len(self.C_re))
    size = property(lambda self: 2 * self.modes)
    states = property(
        lambda self: tuple(f"{part}{n}" for part in ("re", "im") for n in range(self.modes))
    )

    @property
    def coefficients(self):
        """Real and imaginary part of lambda, each (N,), and of the matrix by which inputs reach the
        modes, each (N, inputs)."""
        raise NotImplementedError

    @cached_property
    def recurrence(self):
        """Factors of the state itself and of the other part of each mode, each (2N,), and the
        inputs' matrix (2N, inputs)."""
        re, im, B_re, B_im = self.coefficients
        return concat((re, re)), concat((-im, im)), concat((B_re, B_im), axis=0)

    @cached_property
    def readout(self):
        """Matrix (outputs, 2N) from the state to r Re(C x)."""
        return self.copies * concat((self.C_re, -self.C_im))

    @property
    def eigenvalues(self):
        """The modes lambda, complex, shape (N,)."""
        re, im, *_ = self.coefficients
        return re + 1j * im

    @property
    def time_constants(self):
        """Steps in which each mode falls to 1/e, -1/ln|lambda|, shape (N,)."""
        return -1.0 / np.log(np.abs(self.eigenvalues))

    def rule(self, x, u):
        own, other, B = self.recurrence
        re, im = split(x, 2)
        turned = own * x + other * concat((im, re))
        return turned if u is None else turned + u @ B.T

    def output(self, x, u):
        y = x @ self.readout.T
        return y if u is None else y + u @ self.D.T

    def run(self, x, u):
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
    def rates(self):
        """Logarithms a of the modes, complex, shape (N,): lambda = exp(a), decay and turn in one
        step."""
        raise NotImplementedError

    def continuous(self):
        """The system dx/dt = a x + B u of 2N states whose zero-order hold over one step, the unit
        of time, is this one: a LinearSystem."""
        a, (_, _, re, im) = self.rates, self.coefficients
        B = _held(a, 1.0)[:, None] ** -1 * (re + 1j * im)
        return self._real(a, np.concatenate((B.real, B.imag)), None)

    def discrete(self):
        """The system that the rule steps, a LinearSystem of 2N states: its kernel, convolution by
        FFT and transfer function."""
        return self._real(self.eigenvalues, self.recurrence[2], 1.0)

    def _real(self, modes, B, dt):
        re, im = np.diag(modes.real), np.diag(modes.imag)
        return LinearSystem(np.block([[re, -im], [im, re]]), B, self.readout, self.D, dt)

    def initial(self, rng=0):
        """Rest, as for every linear network."""
        return np.zeros(self.size)


@dataclass(frozen=True, eq=False)
class LRU(Diagonal):
    """Linear recurrent unit (Orvieto et al. 2023): N complex modes that can neither explode nor
    stop turning.

    x_t = lambda x_(t-1) + gamma B u_t,  y_t = Re(C x_t) + D u_t;  lambda = exp(-exp(nu) + i
    exp(theta)), gamma = sqrt(1 - |lambda|^2), so that white noise gives every mode the same
    variance however long it remembers.

    Fields: nu, theta (N,), the logarithms of the decay and of the phase in a step; B_re, B_im (N,
    inputs); C_re, C_im (outputs, N); D (outputs, inputs), where the paper has a vector; log_gamma
    (N,), which is trained as in the authors' code, or None where gamma follows lambda. Source:
    Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences, ICML, section
    3 and appendix A.

    >>> unit = LRU.random(4, 2, modes=3, r_min=0.9, r_max=0.99)
    >>> unit.size, bool((0.9 < abs(unit.eigenvalues)).all() and (abs(unit.eigenvalues) < 0.99).all())
    (6, True)
    """

    nu: np.ndarray
    theta: np.ndarray
    B_re: np.ndarray
    B_im: np.ndarray
    C_re: np.ndarray
    C_im: np.ndarray
    D: np.ndarray
    log_gamma: np.ndarray | None = None
    source = (
        "Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences, ICML"
    )

    def __post_init__(self):
        super().__post_init__()
        names = [name for name in ("nu", "theta", "log_gamma") if getattr(self, name) is not None]
        keep(self, **dict.fromkeys(names, (self.modes,)))
        logarithms(self, *names)

    @cached_property
    def coefficients(self):
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
    def rates(self):
        return -np.exp(self.nu) + 1j * np.exp(self.theta)

    def resampled(self, factor):
        """The same unit for inputs that lie ``factor`` times as far apart, each held until the
        next: lambda to that power, and B to fit.

        >>> unit = LRU.random(2, 1)
        >>> bool(np.allclose(unit.resampled(3).eigenvalues, unit.eigenvalues**3))
        True
        """
        (factor,) = above_zero(factor=factor)
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
        units,
        inputs,
        *,
        rng=0,
        modes=None,
        r_min=0.0,
        r_max=1.0,
        max_phase=2 * np.pi,
        gamma="tied",
    ):
        """Modes uniform over the ring r_min <= |lambda| <= r_max, phases uniform in (0, max_phase);
        B complex normal of variance 1/inputs, C of variance 1/modes, D normal of variance 1/inputs.
        ``modes`` is units by default; gamma "tied" follows lambda, "trained" starts there."""
        units, inputs = integer("units", units, 1), integer("inputs", inputs, 1)
        modes, rng = (
            integer("modes", units if modes is None else modes, 1),
            np.random.default_rng(rng),
        )
        nu, theta = ring(modes, r_min, r_max, max_phase, rng)
        if gamma not in ("tied", "trained"):
            raise ValueError(f"gamma must be tied or trained, got {gamma!r}")
        log_gamma = None if gamma == "tied" else 0.5 * np.log(-np.expm1(-2.0 * np.exp(nu)))
        B, C = (
            rng.standard_normal((2, modes, inputs)) / np.sqrt(2 * inputs),
            rng.standard_normal((2, units, modes)) / np.sqrt(modes),
        )
        return cls(
            nu, theta, *B, *C, rng.standard_normal((units, inputs)) / np.sqrt(inputs), log_gamma
        )


def _held(a, duration):
    """(exp(a t) - 1)/a: what an input held for a time t leaves in a mode of rate a."""
    return np.expm1(a * duration) / a


def ring(modes, r_min, r_max, max_phase, rng):
    """nu and theta of modes spread uniformly over the ring r_min <= |lambda| <= r_max, phases in
    (0, max_phase) (Orvieto et al. 2023, lemma 3.2).

    >>> nu, _ = ring(20_000, 0.9, 0.999, 6.28, np.random.default_rng(0))
    >>> round(float(np.mean(np.exp(-2 * np.exp(nu)))), 3)
    0.904
    """
    # its square must not underflow
    if not (0 <= number("r_min", r_min) < number("r_max", r_max) <= 1 and r_max >= 1e-150):
        raise ValueError(
            f"r_min = {r_min}, r_max = {r_max}: the ring needs 0 <= r_min < r_max <= "
            "1, and r_max of at least 1e-150"
        )
    if not 0 < number("max_phase", max_phase) <= 2 * np.pi:
        raise ValueError(f"max_phase = {max_phase}: must lie in (0, 2 pi]")
    first, second = 1.0 - rng.random((2, modes))  # in (0, 1]: the logarithm of neither is infinite
    return np.log(-0.5 * np.log(r_min**2 + first * (r_max**2 - r_min**2))), np.log(
        max_phase * second
    )


@dataclass(frozen=True, eq=False)
class S5(Diagonal):
    """Simplified state-space layer (Smith, Warrington and Linderman 2023): one diagonal system of
    many inputs and outputs.

    dx/dt = a x + B u, y = 2 Re(C x) + D u with a = -exp(log_decay) + i frequency; of each conjugate
    pair one mode is kept. Sampled by zero-order hold with a step for each mode: lambda = exp(a
    step), x_t = lambda x_(t-1) + (lambda - 1)/a B u_t. At another sampling rate the same weights
    serve (``resampled``).

    Fields: log_decay, frequency, log_step (N,); B_re, B_im (N, inputs); C_re, C_im (outputs, N); D
    (outputs, inputs). Source: Smith, Warrington and Linderman (2023), Simplified state space layers
    for sequence modeling, ICLR, section 3 and appendix B.

    >>> layer = S5.random(4, 2, modes=3)
    >>> bool(np.allclose(layer.resampled(2).eigenvalues, layer.eigenvalues**2))
    True
    """

    log_decay: np.ndarray
    frequency: np.ndarray
    log_step: np.ndarray
    B_re: np.ndarray
    B_im: np.ndarray
    C_re: np.ndarray
    C_im: np.ndarray
    D: np.ndarray
    copies = 2
    source = (
        "Smith, Warrington and Linderman (2023), Simplified state space layers for sequence "
        "modeling, ICLR"
    )

    def __post_init__(self):
        super().__post_init__()
        keep(self, log_decay=(self.modes,), frequency=(self.modes,), log_step=(self.modes,))
        logarithms(self, "log_decay", "log_step")

    @cached_property
    def coefficients(self):
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
    def rates(self):
        return np.exp(self.log_step) * (-np.exp(self.log_decay) + 1j * self.frequency)

    def resampled(self, factor):
        """The same layer for inputs that lie ``factor`` times as far apart: the steps grow, nothing
        is trained anew."""
        (factor,) = above_zero(factor=factor)
        return replace(self, log_step=self.log_step + np.log(factor))

    @classmethod
    def random(cls, units, inputs, *, rng=0, modes=None, blocks=1, step_min=1e-3, step_max=0.1):
        """Modes of the normal part of HiPPO-LegS, ``blocks`` copies of it, its eigenvectors taken
        into B and C; B of variance 1/inputs and C of variance 1/(2 modes) before that, D normal of
        variance 1/inputs; steps log-uniform. ``modes`` (units by default) counts pairs."""
        units, inputs, blocks = (
            integer("units", units, 1),
            integer("inputs", inputs, 1),
            integer("blocks", blocks, 1),
        )
        modes, rng = (
            integer("modes", units if modes is None else modes, 1),
            np.random.default_rng(rng),
        )
        if modes % blocks:
            raise ValueError(
                f"blocks = {blocks} do not divide modes = {modes}: choose another number of blocks"
            )
        # of each pair the upper one
        form, upper = (
            normal_plus_low_rank("legs", 2 * modes // blocks),
            slice(modes // blocks, None),
        )
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
