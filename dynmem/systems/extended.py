"""Chaos with many degrees of freedom: a delay equation, a lattice, a partial differential equation
and random networks."""

from __future__ import annotations

import numpy as np

from ..arrays import roll
from ..models import Tanh
from ..runtime.validation import all_errors, generator, integer, number
from ..system import Flow, Map
from ..typing import Array, ArrayLike, Rng
from .components import component_names
from .known import Known

__all__ = ["KuramotoSivashinsky", "Lorenz96", "MackeyGlass", "RandomRate", "RandomTanh"]


class Lorenz96(Flow):
    """Lorenz's model of the atmosphere along a circle of latitude.

    x_i' = (x_(i+1) - x_(i-2)) x_(i-1) - x_i + F, F = forcing

    Parameters
    ----------
    forcing : float
        Forcing F; dimensionless.
    units : int
        Number of sites, at least 4.

    Notes
    -----
    States: x0, x1, ... The unit of time is the decay time of the dissipation, about 5 days. The
    exponents sum to -units.

    References
    ----------
    Lorenz (1996), Proc. Seminar on Predictability, ECMWF, 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.Lorenz96(units=4).rule(np.array([1.0, 2.0, 3.0, 4.0]), None).tolist()
    [3.0, 5.0, 11.0, 1.0]
    """

    forcing: float = 8.0
    units: int = 40
    equation = r"\dot x_i = (x_{i+1} - x_{i-2})\, x_{i-1} - x_i + F"
    source = "Lorenz (1996), Proc. Seminar on Predictability, ECMWF, 1"
    known = Known(
        (1.66,),
        0.05,
        "independent simulations; a second of our own: 1.683 +- 0.008 at T = 8e3",
        "40 sites",
        27.0,
        10.1,
        13,
    )

    def __post_init__(self) -> None:
        # below 4 a site and its neighbours are not different ones
        object.__setattr__(self, "units", integer("units", self.units, 4))

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the sites."""
        return component_names("x", self.units)

    def rule(self, x: Array, u: Array | None) -> Array:
        return (roll(x, -1) - roll(x, 2)) * roll(x, 1) - x + self.forcing

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.forcing + generator(rng).standard_normal(self.units)

    @property
    def exponent_sum(self) -> float:
        """Exact sum of the exponents: -units."""
        return -float(self.units)


class MackeyGlass(Map):
    """Mackey and Glass' delay equation of blood production, as a map of its history.

    x'(t) = production x(t - delay)/(1 + x(t - delay)^power) - loss x(t)

    Parameters
    ----------
    production : float
        Rate of production, per unit of time.
    loss : float
        Rate of decay, per unit of time.
    power : float
        Exponent of the feedback; dimensionless.
    delay : float
        Delay, in units of time, above 0; one step of the map.
    units : int
        Number of points of the history, at least 4.

    Notes
    -----
    The state holds x at the ``units`` Chebyshev points of the last ``delay`` units of time, oldest
    first, and one step of the map is one delay. Over that step the delayed term f is known, so that
    the equation is linear and is solved exactly,
    ``x(t + s) = exp(-loss s) x(t) + int_0^s exp(-loss (s - r)) f(x(t + r - delay)) dr``, with f
    interpolated through the points: the error falls exponentially with ``units``, and no time step
    enters. The Frobenius-Perron semigroup of a delay equation has infinitely many exponents; those
    far down depend on ``units``.

    References
    ----------
    Mackey and Glass (1977), Science 197, 287; Farmer (1982), Physica D 4, 366.

    Examples
    --------
    A history that is constant at the fixed point x = 1 stays:

    >>> import dynmem as dm
    >>> bool(np.allclose(dm.systems.MackeyGlass().rule(np.ones(40), None), 1.0))
    True
    """

    production: float = 0.2
    loss: float = 0.1
    power: float = 10.0
    delay: float = 17.0
    units: int = 40
    equation = r"\dot x(t) = \frac{\beta\, x(t - \tau)}{1 + x(t - \tau)^n} - \gamma\, x(t)"
    source = "Mackey and Glass (1977), Science 197, 287; Farmer (1982), Physica D 4, 366"
    known = Known(
        (0.0052, 0.0),
        5e-4,
        "independent simulation by a shift register of the history",
        dimension=2.1,
    )

    # computed from the parameters; not annotated, so that they are no parameters themselves
    decay = weights = None  # type: Array

    def __post_init__(self) -> None:
        with all_errors() as check:
            units = check(integer, "units", self.units, 4)
            check(number, "delay", self.delay, above=0)
            check(number, "loss", self.loss)
        object.__setattr__(self, "units", units)
        decay, weights = delay_step(self.units, self.delay, self.loss)
        object.__setattr__(self, "decay", decay)
        object.__setattr__(self, "weights", weights)

    dt = property(lambda self: self.delay, doc="Duration of a step: the delay.")

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the points of the history."""
        return component_names("x", self.units)

    @property
    def times(self) -> np.ndarray:
        """Times of the components of the state, from -delay to 0, shape (units,)."""
        return (chebyshev(self.units) - 1.0) * self.delay

    def rule(self, x: Array, u: Array | None) -> Array:
        produced = self.production * x / (1.0 + x**self.power)
        return x[..., -1:] * self.decay + produced @ self.weights.T

    def initial(self, rng: Rng = 0) -> np.ndarray:
        phase = generator(rng).uniform(0.0, 2 * np.pi)
        return 0.9 + 0.2 * np.sin(2 * np.pi * self.times / (3 * self.delay) + phase)


def chebyshev(n: int) -> np.ndarray:
    """Chebyshev points of the second kind on [0, 1], in rising order, both ends among them; shape
    (n,)."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / (n - 1))


def delay_step(n: int, delay: float, loss: float) -> tuple[np.ndarray, np.ndarray]:
    """decay_i = exp(-loss s_i) and W_ij = int_0^(s_i) exp(-loss (s_i - r)) l_j(r) dr for the n
    Chebyshev points s_i of [0, delay], with l_j the polynomial that is 1 at s_j and 0 at the
    others; shapes (n,) and (n, n).

    >>> decay, weights = delay_step(8, 2.0, 0.5)
    >>> bool(np.allclose(weights.sum(axis=1), (1 - decay) / 0.5))
    True
    """
    points = chebyshev(n)
    nodes, mass = np.polynomial.legendre.leggauss(n + 16)
    # quadrature points of each interval [0, s_i], as shares of the delay
    r = points[:, None] * (0.5 + 0.5 * nodes)
    kernel = 0.5 * points[:, None] * mass * np.exp(-loss * delay * (points[:, None] - r))
    return np.exp(-loss * delay * points), delay * np.einsum(
        "iq,iqj->ij", kernel, interpolation(points, r)
    )


def interpolation(points: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Values at r, shape (...), of the polynomials l_j through Chebyshev points (n,): shape (...,
    n), by the barycentric formula (Berrut and Trefethen 2004)."""
    signs = (-1.0) ** np.arange(len(points))
    signs[[0, -1]] *= 0.5
    apart = r[..., None] - points
    hit = apart == 0.0
    terms = signs / np.where(hit, 1.0, apart)
    values = terms / terms.sum(axis=-1, keepdims=True)
    return np.where(hit.any(axis=-1, keepdims=True), hit, values)


class KuramotoSivashinsky(Map):
    """Kuramoto-Sivashinsky equation of a flame front on a ring, by spectral steps in time.

    u_t = -u u_x - u_xx - u_xxxx, u(x) = sum_k a_k cos q_k x + b_k sin q_k x, q_k = 2 pi k/length

    Parameters
    ----------
    length : float
        Circumference of the ring; dimensionless.
    step : float
        Time of one step of the map (ETDRK4); dimensionless.
    modes : int
        Number of wave numbers kept; the highest must be damped, q >= 2.

    Notes
    -----
    The state holds the cosine and then the sine coefficients of the lowest wave numbers. The mean,
    which the equation conserves, and the Nyquist mode are no states: kept, they add two exponents
    of 0 that are not part of the dynamics. Products are free of aliasing (3/2 rule). One exponent
    is 0 for time and one for translation along the ring.

    References
    ----------
    Kuramoto (1976), Prog. Theor. Phys. 55, 356; Sivashinsky (1977), Acta Astronaut. 4, 1177; of the
    scheme: Kassam and Trefethen (2005), SIAM J. Sci. Comput. 26, 1214, eqs. 26-29.

    Examples
    --------
    >>> import dynmem as dm
    >>> front = dm.systems.KuramotoSivashinsky()
    >>> front.size, front.profile(front.initial()).shape
    (30, (46,))
    """

    length: float = 22.0
    step: float = 0.25
    modes: int = 15
    equation = r"u_t = -u\, u_x - u_{xx} - u_{xxxx}"
    source = (
        "Kuramoto (1976), Prog. Theor. Phys. 55, 356; Sivashinsky (1977), Acta Astronaut. 4, 1177"
    )
    known = Known(
        (0.048, 0.0, 0.0, -0.002, -0.19, -0.256),
        (2.5e-3, 1e-3, 1e-3, 1.5e-3, 0.01, 0.013),
        "the first by Cvitanovic, Davidchack and Siminos (2010), SIAM J. Appl. Dyn. "
        "Syst. 9, 1; the others independent simulation",
        dimension=4.25,
    )

    # computed from the parameters; not annotated, so that they are no parameters themselves
    waves = slope = half = full = None  # type: Array
    inner = first = middle = last = None  # type: Array

    def __post_init__(self) -> None:
        with all_errors() as check:
            modes = check(integer, "modes", self.modes)
            check(number, "step", self.step, above=0)
            check(number, "length", self.length, above=0)
        object.__setattr__(self, "modes", modes)
        q = 2 * np.pi / self.length * np.arange(1, self.modes + 1)
        if q[-1] < 2:
            raise ValueError(
                f"modes = {self.modes}: must be at least "
                f"{int(np.ceil(self.length / np.pi))} for length = {self.length}, or "
                "nothing dissipates the energy that long waves gain"
            )
        angles = (
            2 * np.pi / self.points * np.outer(np.arange(self.points), np.arange(1, self.modes + 1))
        )
        sines, cosines = np.sin(angles), np.cos(angles)
        made = {
            "waves": np.concatenate([cosines, sines], axis=1).T,
            # -(u^2)_x / 2 projected, by parts
            "slope": np.concatenate([-q * sines, q * cosines], axis=1) / self.points,
            **etdrk4(np.tile(q**2 - q**4, 2), self.step),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    dt = property(lambda self: self.step, doc="Duration of a step.")

    @property
    def points(self) -> int:
        """Number of points of the ring at which products are formed."""
        return 3 * self.modes + 1

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the coefficients: cosine1 ..., sine1 ..."""
        return tuple(f"{part}{k}" for part in ("cosine", "sine") for k in range(1, self.modes + 1))

    def rule(self, x: Array, u: Array | None) -> Array:
        quadratic = self._quadratic
        n0 = quadratic(x)
        decayed = self.half * x
        a = decayed + self.inner * n0
        n1 = quadratic(a)
        n2 = quadratic(decayed + self.inner * n1)
        n3 = quadratic(self.half * a + self.inner * (2.0 * n2 - n0))
        return self.full * x + self.first * n0 + self.middle * (n1 + n2) + self.last * n3

    def _quadratic(self, x: Array) -> Array:
        """Coefficients of -u u_x."""
        field = x @ self.waves
        return (field * field) @ self.slope

    def profile(self, x: ArrayLike) -> np.ndarray:
        """Field u at the points of the ring, shape (..., points), of a state (..., 2 modes)."""
        return np.asarray(x) @ self.waves

    def initial(self, rng: Rng = 0) -> np.ndarray:
        falling = np.exp(-np.arange(self.modes) / 2.0)
        return generator(rng).standard_normal(2 * self.modes) * np.tile(falling, 2)


def etdrk4(rates: np.ndarray, step: float, circle: int = 64) -> dict[str, np.ndarray]:
    """Coefficients of Kassam and Trefethen's exponential Runge-Kutta scheme for a diagonal linear
    part of these rates, each (n,).

    Near rate 0 the formulas lose their digits, so that each is averaged over a circle of radius 1
    around its argument.

    >>> made = etdrk4(np.zeros(1), 0.3)
    >>> bool(np.isclose(made["first"] + 2 * made["middle"] + made["last"], 0.3))
    True
    """
    # its lower half adds the complex conjugate
    z = step * rates[:, None] + np.exp(1j * np.pi * (np.arange(circle) + 0.5) / circle)
    e = np.exp(z)
    formulas = {
        "inner": (np.exp(z / 2) - 1) / z,
        "first": (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
        "middle": 2 * (2 + z + e * (z - 2)) / z**3,
        "last": (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
    }
    return {"half": np.exp(step * rates / 2), "full": np.exp(step * rates)} | {
        k: step * v.mean(axis=1).real for k, v in formulas.items()
    }


class RandomTanh(Map):
    """Random recurrent network in discrete time, chaotic above gain 1.

    x' = (1 - leak) x + leak tanh(J x), J independent N(0, gain^2/units)

    Parameters
    ----------
    gain : float
        Standard deviation of the weights times sqrt(units); dimensionless.
    units : int
        Number of units.
    leak : float
        Share of the state that is replaced in a step, in (0, 1]; also the duration of a step, in
        time constants.
    seed : int
        Seed of the weights.

    Notes
    -----
    States: the activity of each unit. It is ``dm.models.Tanh`` with such weights. The published
    exponent is that of infinitely many units; ``dm.theory.tanh_spectrum`` has it for every gain.

    References
    ----------
    Engelken, Wolf and Abbott (2023), Phys. Rev. Res. 5, 043044.

    Examples
    --------
    >>> import dynmem as dm
    >>> network = dm.systems.RandomTanh(units=50, leak=0.5)
    >>> network.size, network.dt
    (50, 0.5)
    """

    gain: float = 3.0
    units: int = 200
    leak: float = 1.0
    seed: int = 0
    equation = r"x' = (1 - \alpha)\, x + \alpha \tanh(J x), \quad J_{ij} \sim N(0, g^2/N)"
    source = "Engelken, Wolf and Abbott (2023), Phys. Rev. Res. 5, 043044"
    known = Known(
        (0.31024932,),
        0.03,
        "mean field of infinitely many units: Molgedey, Schuchhardt and Schuster (1992)",
        "one realisation",
    )

    network = None  # type: Array

    def __post_init__(self) -> None:
        network = Tanh.random(self.units, rng=self.seed, gain=self.gain, leak=float(self.leak))
        object.__setattr__(self, "network", network)

    dt = property(lambda self: self.leak, doc="Duration of a step, in time constants.")
    states = property(lambda self: self.network.states, doc="Names of the units.")

    def rule(self, x: Array, u: Array | None) -> Array:
        return self.network.rule(x, u)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.network.initial(rng)


class RandomRate(Flow):
    """Random recurrent network in continuous time, chaotic above gain 1.

    x' = -x + tanh(J x), J independent N(0, gain^2/units)

    Parameters
    ----------
    gain : float
        Standard deviation of the weights times sqrt(units); dimensionless.
    units : int
        Number of units.
    seed : int
        Seed of the weights.

    Notes
    -----
    States: the activity of each unit; time in time constants. It is the limit of ``RandomTanh`` for
    a small leak. With h = J x this is h' = -h + J tanh(h), the form of Sompolinsky, Crisanti and
    Sommers; the exponents are the same. Finite networks lie well below the mean field of infinite
    ones, at gain 3: 0.2355 there, 0.22 measured at 800 units, 0.16 to 0.20 at 200.

    References
    ----------
    Sompolinsky, Crisanti and Sommers (1988), Phys. Rev. Lett. 61, 259.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.RandomRate(units=3).rule(np.zeros(3), None).tolist()
    [0.0, 0.0, 0.0]
    """

    gain: float = 3.0
    units: int = 200
    seed: int = 0
    equation = r"\dot x = -x + \tanh(J x), \quad J_{ij} \sim N(0, g^2/N)"
    source = "Sompolinsky, Crisanti and Sommers (1988), Phys. Rev. Lett. 61, 259"

    network = None  # type: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", Tanh.random(self.units, rng=self.seed, gain=self.gain))

    states = property(lambda self: self.network.states, doc="Names of the units.")

    def rule(self, x: Array, u: Array | None) -> Array:
        return self.network.rule(x, u) - x

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.network.initial(rng)


SYSTEMS = {
    "kuramoto_sivashinsky": KuramotoSivashinsky,
    "lorenz96": Lorenz96,
    "mackey_glass": MackeyGlass,
    "random_rate": RandomRate,
    "random_tanh": RandomTanh,
}
