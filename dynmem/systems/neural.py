"""Working memory in small circuits: competing populations, continuous-time networks, coupled
oscillators."""

from __future__ import annotations

import numpy as np

from ..arrays import abs, exp, relu, sigmoid, stack, where  # noqa: A004
from ..errors import ShapeError
from ..runtime.validation import all_errors, generator, number
from ..system import Flow
from ..typing import Array, Rng
from .components import component_names

__all__ = ["CTRNN", "DoubleFitzHughNagumo", "WongWang"]


class WongWang(Flow):
    """Wong and Wang's circuit: two populations compete through slow synapses and hold the winner.

    dS_i/dt = -S_i/tau + (1 - S_i) gamma H(x_i), H(x) = (a x - b)/(1 - exp(-d (a x - b))),
    x_i = J11 S_i - J12 S_j + I0 + u_i

    Parameters
    ----------
    a : float
        Slope of the rate, above 0, in 1/(nA s).
    b : float
        Threshold of the rate, in 1/s.
    d : float
        Width of the threshold, above 0, in s.
    tau : float
        Time constant of the NMDA gates, above 0, in s.
    gamma : float
        Share of gates that a spike opens; dimensionless.
    self_coupling : float
        Excitation J11 of a population by itself, in nA.
    cross_coupling : float
        Inhibition J12 by the other population, in nA.
    background : float
        Background current I0, in nA.

    Notes
    -----
    States: S1, S2, the shares of open NMDA gates; inputs: a current u for each population, in nA;
    time in s. At the default parameters rest (0.1027, 0.1027) is stable next to two memories,
    (0.5670, 0.0319) and its mirror: activity persists after the stimulus is gone. Without noise
    nothing is forgotten; noise makes jumps between the three (``dm.theory.wong_wang``).

    References
    ----------
    Wong and Wang (2006), J. Neurosci. 26, 1314, the reduced model of two variables.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.WongWang().rule(np.array([0.1027, 0.1027]), None).round(2).tolist()
    [-0.0, -0.0]
    """

    a: float = 270.0
    b: float = 108.0
    d: float = 0.154
    tau: float = 0.1
    gamma: float = 0.641
    self_coupling: float = 0.2609
    cross_coupling: float = 0.0497
    background: float = 0.3255
    states = ("S1", "S2")
    inputs = 2
    equation = (
        r"\dot S_i = -\frac{S_i}{\tau} + (1 - S_i)\, \gamma\, H(x_i), \quad H(x) = "
        r"\frac{a x - b}{1 - e^{-d (a x - b)}}, \quad x_i = J_{11} S_i - J_{12} S_j + I_0 "
        r"+ u_i"
    )
    source = "Wong and Wang (2006), J. Neurosci. 26, 1314"

    def __post_init__(self) -> None:
        with all_errors() as check:
            for name in ("a", "d", "tau"):
                check(number, name, getattr(self, name), above=0)

    def rate(self, current: Array) -> Array:
        """Firing rate H in 1/s of an input current (...) in nA, shape (...); through the removable
        singularity at a x = b by its series."""
        z = self.d * (self.a * current - self.b)
        size = abs(z)
        near = size < 1e-4
        # z/(1 - exp(-z)) = max(z, 0) + |z| exp(-|z|)/(1 - exp(-|z|)), which cannot overflow
        fall = exp(-where(near, 1.0, size))
        return (
            where(near, 1.0 + 0.5 * z + z * z / 12.0, relu(z) + size * fall / (1.0 - fall)) / self.d
        )

    def rule(self, x: Array, u: Array | None) -> Array:
        first, second = x[..., 0], x[..., 1]
        one = self.self_coupling * first - self.cross_coupling * second + self.background
        two = self.self_coupling * second - self.cross_coupling * first + self.background
        if u is not None:
            one, two = one + u[..., 0], two + u[..., 1]
        return stack(
            (
                (1.0 - first) * self.gamma * self.rate(one) - first / self.tau,
                (1.0 - second) * self.gamma * self.rate(two) - second / self.tau,
            )
        )

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """Near the memory of the first population."""
        return np.array([0.567, 0.032]) + 0.01 * generator(rng).uniform(-1.0, 1.0, 2)


class CTRNN(Flow):
    """Continuous-time recurrent network, by default Beer's oscillator of two neurons.

    tau_i dy_i/dt = -y_i + sum_j w_ij sigma(y_j + theta_j) + u_i, sigma(y) = 1/(1 + exp(-y))

    Parameters
    ----------
    weights : np.ndarray (N, N), optional
        Weights w, from the column's neuron to the row's; dimensionless.
    biases : np.ndarray (N,), optional
        Biases theta; by default the thresholds stand at the centre, -1/2 sum_j w_ij.
    time_constants : np.ndarray (N,), optional
        Time constants tau, all above 0, in units of time; by default 1.

    Notes
    -----
    States: y0, y1, ...; inputs: a current for each neuron. The default has a limit cycle, exponents
    0 and below. One neuron with a self-connection above 4 is a bit of memory
    (``dm.theory.ctrnn_bistability``).

    References
    ----------
    Beer (1995), Adaptive Behavior 3, 469.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.CTRNN().rule(np.array([2.75, 1.75]), None).tolist()
    [0.0, 0.0]
    """

    weights: np.ndarray = None  # type: ignore[assignment]
    biases: np.ndarray = None  # type: ignore[assignment]
    time_constants: np.ndarray = None  # type: ignore[assignment]
    equation = r"\tau_i \dot y_i = -y_i + \sum_j w_{ij}\, \sigma(y_j + \theta_j) + u_i"
    source = "Beer (1995), Adaptive Behavior 3, 469"

    def __post_init__(self) -> None:
        weights = np.array(
            [[4.5, 1.0], [-1.0, 4.5]] if self.weights is None else self.weights, dtype=float
        )
        if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not weights.size:
            raise ShapeError(
                f"weights have shape {weights.shape}: pass (N, N), from the column's "
                "neuron to the row's"
            )
        n = len(weights)
        biases = -weights.sum(1) / 2 if self.biases is None else np.asarray(self.biases, float)
        taus = np.ones(n) if self.time_constants is None else np.asarray(self.time_constants, float)
        for name, value in (("biases", biases), ("time_constants", taus)):
            if value.shape != (n,):
                raise ShapeError(
                    f"{name} have shape {value.shape}: pass ({n},), one for each neuron"
                )
        if not (
            np.isfinite(weights).all()
            and np.isfinite(biases).all()
            and (np.isfinite(taus) & (taus > 0)).all()
        ):
            raise ValueError("weights and biases must be finite, time_constants finite and above 0")
        for name, value in (("weights", weights), ("biases", biases), ("time_constants", taus)):
            object.__setattr__(self, name, value)

    @classmethod
    def random(cls, units: int, rng: Rng = 0, scale: float = 5.0, slowest: float = 1.0) -> CTRNN:
        """Centre-crossing network: weights uniform in [-scale, scale], biases -1/2 sum_j w_ij, time
        constants uniform in [1, slowest]."""
        rng = generator(rng)
        return cls(
            rng.uniform(-scale, scale, (units, units)),
            time_constants=rng.uniform(1.0, slowest, units),
        )

    size = property(lambda self: len(self.biases), doc="Number of neurons.")
    states = property(lambda self: component_names("y", self.size), doc="Names of the neurons.")
    inputs = property(lambda self: len(self.biases), doc="Number of inputs, one a neuron.")

    def rule(self, x: Array, u: Array | None) -> Array:
        drive = sigmoid(x + self.biases) @ self.weights.T - x
        return (drive if u is None else drive + u) / self.time_constants

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return 0.5 * generator(rng).standard_normal(self.size) - self.biases


class DoubleFitzHughNagumo(Flow):
    """Two FitzHugh-Nagumo neurons joined by a gap junction.

    dv_i/dt = v_i - v_i^3/3 - w_i + I + u_i + k (v_j - v_i), dw_i/dt = epsilon (v_i + a - b w_i)

    Parameters
    ----------
    current : float
        Background current I; dimensionless.
    a, b : float
        Constants of the recovery; dimensionless.
    epsilon : float
        Rate of the recovery, per unit of time.
    coupling : float
        Conductance k of the junction; dimensionless, negative for repulsive coupling.

    Notes
    -----
    States: v1, w1, v2, w2 (membrane potentials and recoveries); inputs: a current for each neuron.
    With k > 0 they fire together, with k < 0 in turn: the pair forgets the difference of its phases
    exponentially, at the rate of the second exponent, and keeps the common phase for ever (exponent
    0). On the synchronous cycle the exponents are those of one neuron and those of one neuron with
    -2k on its diagonal.

    References
    ----------
    FitzHugh (1961), Biophys. J. 1, 445; Yanagita, Ichinomiya and Oyama (2005), Phys. Rev. E 72,
    056218, for repulsive coupling.

    Examples
    --------
    >>> import dynmem as dm
    >>> pair = dm.systems.DoubleFitzHughNagumo()
    >>> pair.rule(np.array([0.0, 0.5, 0.0, 0.5]), None).round(3).tolist()
    [0.0, 0.024, 0.0, 0.024]
    """

    current: float = 0.5
    a: float = 0.7
    b: float = 0.8
    epsilon: float = 0.08
    coupling: float = 0.05
    states = ("v1", "w1", "v2", "w2")
    inputs = 2
    equation = (
        r"\dot v_i = v_i - \tfrac13 v_i^3 - w_i + I + u_i + k (v_j - v_i), \quad \dot w_i "
        r"= \epsilon (v_i + a - b w_i)"
    )
    source = "FitzHugh (1961), Biophys. J. 1, 445"

    def rule(self, x: Array, u: Array | None) -> Array:
        v1, w1, v2, w2 = (x[..., i] for i in range(4))
        junction = self.coupling * (v2 - v1)
        fast1, fast2 = (
            v1 - v1 * v1 * v1 / 3.0 - w1 + self.current + junction,
            v2 - v2 * v2 * v2 / 3.0 - w2 + self.current - junction,
        )
        if u is not None:
            fast1, fast2 = fast1 + u[..., 0], fast2 + u[..., 1]
        return stack(
            (
                fast1,
                self.epsilon * (v1 + self.a - self.b * w1),
                fast2,
                self.epsilon * (v2 + self.a - self.b * w2),
            )
        )

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return np.array([1.0, 0.5, -1.0, 0.2]) + 0.1 * generator(rng).standard_normal(4)


SYSTEMS = {
    "ctrnn": CTRNN,
    "double_fitzhugh_nagumo": DoubleFitzHughNagumo,
    "wong_wang": WongWang,
}
