"""Working memory in small circuits: competing populations, continuous-time networks, coupled
oscillators; and the table of this part."""

from dataclasses import dataclass

import numpy as np

from ..arrays import abs, exp, relu, sigmoid, stack, where  # noqa: A004
from ..errors import ShapeError
from ..system import Flow
from .attractors import (
    FlipFlop,
    GradedHopfield,
    Hopfield,
    LineAttractor,
    RingAttractor,
    above_zero,
    numbered,
)
from .synapses import BennaFusi, CascadeSynapse, LeakySynapse


@dataclass(frozen=True, eq=False)
class WongWang(Flow):
    """Two populations that compete through slow NMDA synapses, and hold the winner: S_i the share
    of open NMDA gates,

    dS_i/dt = -S_i/tau + (1 - S_i) gamma H(x_i),  H(x) = (a x - b)/(1 - exp(-d (a x - b))),  x_i =
    J11 S_i - J12 S_j + I0 + u_i.

    At the default parameters rest (0.1027, 0.1027) is stable beside two memories, (0.5670, 0.0319)
    and its mirror: activity persists after the stimulus u is gone. Without noise nothing is
    forgotten; noise makes jumps between the three (``dm.theory.wong_wang``).

    Times in s, currents (I0, J S, u) in nA, rates H in 1/s: a in 1/(nA s), b in 1/s, d in s.
    Source: Wong and Wang (2006), J. Neurosci. 26, 1314, the reduced model of two variables.

    >>> WongWang().rule(np.array([0.1027, 0.1027]), None).round(2).tolist()
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
    source = "Wong and Wang (2006), J. Neurosci. 26, 1314"

    def __post_init__(self):
        above_zero(a=self.a, d=self.d, tau=self.tau)

    def rate(self, current):
        """Firing rate H of an input current in nA, in 1/s; through the removable singularity at a x
        = b by its series."""
        z = self.d * (self.a * current - self.b)
        size = abs(z)
        near = size < 1e-4
        # z/(1 - exp(-z)) = max(z, 0) + |z| exp(-|z|)/(1 - exp(-|z|)), which cannot overflow
        fall = exp(-where(near, 1.0, size))
        return (
            where(near, 1.0 + 0.5 * z + z * z / 12.0, relu(z) + size * fall / (1.0 - fall)) / self.d
        )

    def rule(self, x, u):
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

    def initial(self, rng=0):
        """Near the memory of the first population."""
        return np.array([0.567, 0.032]) + 0.01 * np.random.default_rng(rng).uniform(-1.0, 1.0, 2)


@dataclass(frozen=True, eq=False)
class CTRNN(Flow):
    """Continuous-time recurrent network: tau_i dy_i/dt = -y_i + sum_j w_ij sigma(y_j + theta_j) +
    u_i, sigma the logistic function.

    The default is Beer's oscillator of two neurons, its thresholds at the centre: a limit cycle,
    exponents 0 and below. One neuron with a self-connection above 4 is a bit of memory
    (``dm.theory.ctrnn_bistability``).

    weights w (N, N), from column to row; biases theta (N); time_constants tau (N), all above 0.
    Inputs: N currents. Source: Beer (1995), Adaptive Behavior 3, 469.

    >>> CTRNN().rule(np.array([2.75, 1.75]), None).tolist()
    [0.0, 0.0]
    """

    weights: np.ndarray = None
    biases: np.ndarray = None
    time_constants: np.ndarray = None
    source = "Beer (1995), Adaptive Behavior 3, 469"

    def __post_init__(self):
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
    def random(cls, units, rng=0, scale=5.0, slowest=1.0):
        """Centre-crossing network: weights uniform in [-scale, scale], biases -1/2 sum_j w_ij, time
        constants uniform in [1, slowest]."""
        rng = np.random.default_rng(rng)
        return cls(
            rng.uniform(-scale, scale, (units, units)),
            time_constants=rng.uniform(1.0, slowest, units),
        )

    size = property(lambda self: len(self.biases))
    states = property(lambda self: numbered("y", self.size))
    inputs = property(lambda self: len(self.biases))

    def rule(self, x, u):
        drive = sigmoid(x + self.biases) @ self.weights.T - x
        return (drive if u is None else drive + u) / self.time_constants

    def initial(self, rng=0):
        return 0.5 * np.random.default_rng(rng).standard_normal(self.size) - self.biases


@dataclass(frozen=True, eq=False)
class DoubleFitzHughNagumo(Flow):
    """Two FitzHugh-Nagumo neurons joined by a gap junction:

    dv_i/dt = v_i - v_i^3/3 - w_i + I + u_i + k (v_j - v_i),  dw_i/dt = epsilon (v_i + a - b w_i).

    With k > 0 they fire together, with k < 0 in turn: the pair forgets the difference of its phases
    exponentially, at the rate of the second exponent, and keeps the common phase for ever (exponent
    0). On the synchronous cycle the exponents are those of one neuron and those of one neuron with
    -2k on its diagonal.

    current I, a, b, epsilon, coupling k; inputs: a current for each neuron. State: v1, w1, v2, w2.
    Source: FitzHugh (1961), Biophys. J. 1, 445; Yanagita, Ichinomiya and Oyama (2005), Phys. Rev. E
    72, 056218, for repulsive coupling.

    >>> DoubleFitzHughNagumo().rule(np.array([0.0, 0.5, 0.0, 0.5]), None).round(3).tolist()
    [0.0, 0.024, 0.0, 0.024]
    """

    current: float = 0.5
    a: float = 0.7
    b: float = 0.8
    epsilon: float = 0.08
    coupling: float = 0.05
    states = ("v1", "w1", "v2", "w2")
    inputs = 2
    source = "FitzHugh (1961), Biophys. J. 1, 445"

    def rule(self, x, u):
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

    def initial(self, rng=0):
        return np.array([1.0, 0.5, -1.0, 0.2]) + 0.1 * np.random.default_rng(rng).standard_normal(4)


SYSTEMS = {
    "line_attractor": LineAttractor,
    "ring_attractor": RingAttractor,
    "hopfield": Hopfield,
    "graded_hopfield": GradedHopfield,
    "flip_flop": FlipFlop,
    "leaky_synapse": LeakySynapse,
    "cascade_synapse": CascadeSynapse,
    "benna_fusi": BennaFusi,
    "wong_wang": WongWang,
    "ctrnn": CTRNN,
    "double_fitzhugh_nagumo": DoubleFitzHughNagumo,
}
