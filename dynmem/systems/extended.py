"""Chaos with many degrees of freedom: a delay equation, a partial differential equation, random
networks; each a map or flow as any other."""

from dataclasses import dataclass

import numpy as np

from ..models import Tanh
from ..system import Flow, Map
from .known import Known


@dataclass(frozen=True, eq=False)
class MackeyGlass(Map):
    """Mackey and Glass' delay equation x'(t) = production x(t - delay)/(1 + x(t - delay)^power) -
    loss x(t), as a finite map.

    The state is the history: x at the ``units`` Chebyshev points of the last ``delay`` units of
    time, oldest first, and one step of the map is one delay. Over that step the delayed term f is
    known, so that the equation is linear and is solved exactly,
        x(t + s) = exp(-loss s) x(t) + int_0^s exp(-loss (s - r)) f(x(t + r - delay)) dr,
    with f interpolated through the points: the error falls exponentially with ``units``, no step of
    time enters. The Frobenius-Perron semigroup of a delay equation has infinitely many exponents;
    those far down depend on ``units``.
    """

    production: float = 0.2
    loss: float = 0.1
    power: float = 10.0
    delay: float = 17.0
    units: int = 40
    source = "Mackey and Glass (1977), Science 197, 287; Farmer (1982), Physica D 4, 366"
    known = Known(
        (0.0052, 0.0),
        5e-4,
        "independent simulation by a shift register of the history",
        dimension=2.1,
    )

    def __post_init__(self):
        if self.units != int(self.units) or self.units < 4:
            raise ValueError(
                f"units = {self.units}: must be a whole number of at least 4, the "
                "points of the history"
            )
        if not (np.isfinite(self.delay) and self.delay > 0 and np.isfinite(self.loss)):
            raise ValueError(
                f"delay = {self.delay}, loss = {self.loss}: the delay must be "
                "positive, both must be finite"
            )
        decay, weights = delay_step(self.units, self.delay, self.loss)
        object.__setattr__(self, "decay", decay)
        object.__setattr__(self, "weights", weights)

    dt = property(lambda self: self.delay)

    @property
    def states(self):
        return tuple(f"x{i}" for i in range(self.units))

    @property
    def times(self):
        """Times of the components of the state, from -delay to 0, shape (units,)."""
        return (chebyshev(self.units) - 1.0) * self.delay

    def rule(self, x, u):
        produced = self.production * x / (1.0 + x**self.power)
        return x[..., -1:] * self.decay + produced @ self.weights.T

    def initial(self, rng=0):
        phase = np.random.default_rng(rng).uniform(0.0, 2 * np.pi)
        return 0.9 + 0.2 * np.sin(2 * np.pi * self.times / (3 * self.delay) + phase)


def chebyshev(n):
    """Chebyshev points of the second kind on [0, 1], in rising order, both ends among them; shape
    (n,)."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / (n - 1))


def delay_step(n, delay, loss):
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


def interpolation(points, r):
    """Values at r, shape (...), of the polynomials l_j through Chebyshev points (n,): shape (...,
    n), by the barycentric formula (Berrut and Trefethen 2004)."""
    signs = (-1.0) ** np.arange(len(points))
    signs[[0, -1]] *= 0.5
    apart = r[..., None] - points
    hit = apart == 0.0
    terms = signs / np.where(hit, 1.0, apart)
    values = terms / terms.sum(axis=-1, keepdims=True)
    return np.where(hit.any(axis=-1, keepdims=True), hit, values)


@dataclass(frozen=True, eq=False)
class KuramotoSivashinsky(Map):
    """Kuramoto-Sivashinsky equation u_t = -u u_x - u_xx - u_xxxx on a ring of circumference
    ``length``, one step of ``step`` by ETDRK4.

    The state holds the cosine and then the sine coefficients of the ``modes`` lowest wave numbers
    q_k = 2 pi k/length,
        u(x) = sum_k a_k cos q_k x + b_k sin q_k x.
    The mean, which the equation conserves, and the Nyquist mode are no states: kept, they add two
    exponents of 0 that are no part of the dynamics. Products are free of aliasing (3/2 rule). One
    exponent is 0 for time and one for translation along the ring. Source of the scheme: Kassam and
    Trefethen (2005), SIAM J. Sci. Comput. 26, 1214, eqs. 26-29.
    """

    length: float = 22.0
    step: float = 0.25
    modes: int = 15
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

    def __post_init__(self):
        if self.modes != int(self.modes) or self.modes < 1:
            raise ValueError(f"modes = {self.modes}: must be a whole number of at least 1")
        if not (
            np.isfinite(self.step)
            and self.step > 0
            and np.isfinite(self.length)
            and self.length > 0
        ):
            raise ValueError(f"step = {self.step}, length = {self.length}: must be positive")
        q = 2 * np.pi / self.length * np.arange(1, self.modes + 1)
        if q[-1] < 2:
            raise ValueError(
                f"modes = {self.modes}: must be at least "
                f"{int(np.ceil(self.length / np.pi))} for length = {self.length}, or "
                "nothing "
                "takes up the energy that long waves gain"
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

    dt = property(lambda self: self.step)
    points = property(
        lambda self: 3 * self.modes + 1, doc="Points of the ring at which products are formed."
    )

    @property
    def states(self):
        return tuple(f"{part}{k}" for part in ("cosine", "sine") for k in range(1, self.modes + 1))

    def rule(self, x, u):
        quadratic = self._quadratic
        n0 = quadratic(x)
        decayed = self.half * x
        a = decayed + self.inner * n0
        n1 = quadratic(a)
        n2 = quadratic(decayed + self.inner * n1)
        n3 = quadratic(self.half * a + self.inner * (2.0 * n2 - n0))
        return self.full * x + self.first * n0 + self.middle * (n1 + n2) + self.last * n3

    def _quadratic(self, x):
        """Coefficients of -u u_x."""
        field = x @ self.waves
        return (field * field) @ self.slope

    def profile(self, x):
        """Field u at the points of the ring, shape (..., points), of a state (..., 2 modes)."""
        return np.asarray(x) @ self.waves

    def initial(self, rng=0):
        falling = np.exp(-np.arange(self.modes) / 2.0)
        return np.random.default_rng(rng).standard_normal(2 * self.modes) * np.tile(falling, 2)


def etdrk4(rates, step, circle=64):
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


@dataclass(frozen=True, eq=False)
class RandomTanh(Map):
    """Random network in discrete time, x' = (1 - d) x + d tanh(J x), J iid N(0, gain^2/units), of
    leak d: ``models.Tanh`` with such weights.

    Above gain 1 it is chaotic. The published exponent is that of infinitely many units;
    ``dm.theory.tanh_spectrum`` has it for every gain.
    """

    gain: float = 3.0
    units: int = 200
    leak: float = 1.0
    seed: int = 0
    source = "Engelken, Wolf and Abbott (2023), Phys. Rev. Res. 5, 043044"
    known = Known(
        (0.31024932,),
        0.03,
        "mean field of infinitely many units: Molgedey, Schuchhardt and Schuster (1992)",
        "one realisation",
    )

    def __post_init__(self):
        network = Tanh.random(self.units, rng=self.seed, gain=self.gain, leak=float(self.leak))
        object.__setattr__(self, "network", network)

    dt = property(lambda self: self.leak)
    states = property(lambda self: self.network.states)

    def rule(self, x, u):
        return self.network.rule(x, u)

    def initial(self, rng=0):
        return self.network.initial(rng)


@dataclass(frozen=True, eq=False)
class RandomRate(Flow):
    """Random network in continuous time, x' = -x + tanh(J x), J iid N(0, gain^2/units): the limit
    of ``RandomTanh`` for a small leak.

    With h = J x this is h' = -h + J tanh(h), the form of Sompolinsky, Crisanti and Sommers; the
    exponents are the same. Finite networks lie well below the mean field of infinite ones, at gain
    3: 0.2355 there, 0.22 measured at 800 units, 0.16 to 0.20 at 200.
    """

    gain: float = 3.0
    units: int = 200
    seed: int = 0
    source = "Sompolinsky, Crisanti and Sommers (1988), Phys. Rev. Lett. 61, 259"

    def __post_init__(self):
        object.__setattr__(self, "network", Tanh.random(self.units, rng=self.seed, gain=self.gain))

    states = property(lambda self: self.network.states)

    def rule(self, x, u):
        return self.network.rule(x, u) - x

    def initial(self, rng=0):
        return self.network.initial(rng)


SYSTEMS = {
    "kuramoto_sivashinsky": KuramotoSivashinsky,
    "mackey_glass": MackeyGlass,
    "random_rate": RandomRate,
    "random_tanh": RandomTanh,
}
