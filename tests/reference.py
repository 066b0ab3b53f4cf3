"""One row a system: what the generic tests run over. A new system brings its row here and nothing
else."""

from dataclasses import replace

import numpy as np

import dynmem as dm
from dynmem.models import (
    GRU,
    LMU,
    LSTM,
    S4,
    S4D,
    Attention,
    Convolution,
    Hybrid,
    Linear,
    Network,
    Orthogonal,
    Relu,
    Tanh,
)
from dynmem.systems import DoublePendulum, KuramotoSivashinsky, MackeyGlass
from dynmem.training import Forecaster


class Pendulum(dm.Flow):
    damping: float = 0.1
    states = ("angle", "velocity")

    def rule(self, x, u):
        angle, velocity = x[..., 0], x[..., 1]
        return dm.stack((velocity, -self.damping * velocity - dm.sin(angle)))


class Lorenz(dm.Flow):
    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8 / 3
    states = ("x", "y", "z")

    def rule(self, x, u):
        x, y, z = (x[..., i] for i in range(3))
        return dm.stack((self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z))


class Lorenz96(dm.Flow):
    """No named states: its size is that of the state passed in."""

    forcing: float = 8.0

    def rule(self, x, u):
        ahead, behind = dm.concat((x[..., 1:], x[..., :1])), dm.concat((x[..., -1:], x[..., :-1]))
        behind2 = dm.concat((x[..., -2:], x[..., :-2]))
        return (ahead - behind2) * behind - x + self.forcing


class ForcedDuffing(dm.Flow):
    """A driven flow with an output of its own."""

    damping: float = 0.3
    states = ("position", "velocity")
    inputs = 1

    def rule(self, x, u):
        q, v = x[..., 0], x[..., 1]
        return dm.stack((v, q - q**3 - self.damping * v + u[..., 0]))

    def output(self, x, u):
        return x[..., :1] * (1 + u)


class Henon(dm.Map):
    a: float = 1.4
    b: float = 0.3
    states = ("x", "y")

    def rule(self, x, u):
        return dm.stack((1 - self.a * x[..., 0] ** 2 + x[..., 1], self.b * x[..., 0]))


class Logistic(dm.Map):
    r: float = 4.0
    states = ("x",)

    def rule(self, x, u):
        return self.r * x * (1 - x)


class Quadratic(dm.Map):
    """A matrix field, an input that multiplies the state, and a constant component."""

    M: np.ndarray = None
    states = ("p", "q", "clock")
    inputs = 2

    def rule(self, x, u):
        moved = dm.tanh(x @ self.M.T)
        first = moved[..., 0] * u[..., 0] + dm.exp(-(x[..., 1] ** 2))
        return dm.stack((first, dm.softmax(moved)[..., 1] + dm.sigmoid(u[..., 1]) * x[..., 0], 0.1))


class Cat(dm.Map):
    """A matrix of integers and a modulus: the cat map of Arnold."""

    M: np.ndarray = None
    states = ("x", "y")

    def rule(self, x, u):
        return (x @ self.M.T) % 1.0


class Implicit(dm.Flow):
    """M(x) dx/dt = f(x), with every other word of the vocabulary somewhere in it."""

    states = ("x", "y")

    def rule(self, x, u):
        a, b = x[..., 0], x[..., 1]
        slow = (
            dm.where(a > b, dm.cosh(a), dm.sqrt(1 + b * b)) + dm.maximum(a, 0.25) - dm.minimum(b, a)
        )
        odd = dm.arctan(a) + dm.log1p(b * b) + dm.relu(b) + dm.softplus(a) + abs(b) * dm.sign(a)
        return dm.stack(
            (slow / (2 + dm.sinh(b) ** 2), dm.log(1.5 + dm.cos(a)) - dm.tan(0.3 * b) - odd)
        )


class Oscillators(dm.Map):
    """Integer indices as a field."""

    neighbour: np.ndarray = None
    frequency: np.ndarray = None

    def rule(self, x, u):
        return x + 0.1 * (self.frequency + dm.sin(x[..., self.neighbour] - x))


def _tanh(units=3, inputs=2, **options):
    return Tanh.random(units, inputs, rng=1, gain=1.3, bias_sd=0.2, **options)


def _table(shape):
    return np.random.default_rng(14).standard_normal(shape)


BUILD = {
    "pendulum": Pendulum,
    "lorenz": Lorenz,
    "lorenz96": Lorenz96,
    "duffing": ForcedDuffing,
    "henon": Henon,
    "logistic": Logistic,
    "quadratic": lambda: Quadratic(np.random.default_rng(3).standard_normal((3, 3))),
    "cat": lambda: Cat(np.array([[2, 1], [1, 1]])),
    "implicit": Implicit,
    "oscillators": lambda: Oscillators(np.array([1, 2, 3, 0, 0]), np.linspace(-1, 1, 5)),
    "pendulum map": lambda: dm.FlowMap(Pendulum(), 0.1),
    "lorenz map": lambda: dm.FlowMap(Lorenz(), 0.01, substeps=2),
    "lorenz map, order 8": lambda: dm.FlowMap(Lorenz(), 0.02, order=8),
    "duffing map": lambda: dm.FlowMap(ForcedDuffing(), 0.05),
    "kepler": lambda: dm.systems.Kepler(),
    "three bodies, restricted": lambda: dm.systems.RestrictedThreeBody(),
    "sitnikov": lambda: dm.systems.Sitnikov(eccentricity=0.3),
    "figure eight": lambda: dm.systems.FigureEight(),
    "two planets": lambda: dm.systems.TwoPlanets(),
    "kepler, leapfrog": lambda: dm.systems.Symplectic(dm.systems.Kepler(), 0.1, order=2),
    "figure eight, leapfrog": lambda: dm.systems.Symplectic(dm.systems.FigureEight(), 0.1, order=2),
    "double pendulum": DoublePendulum,
    "mackey-glass": lambda: MackeyGlass(units=5),
    "kuramoto-sivashinsky": lambda: KuramotoSivashinsky(modes=8),
    "line attractor": lambda: dm.systems.LineAttractor(0.9, units=2),
    "line attractor in noise": lambda: dm.systems.Noisy(
        dm.systems.LineAttractor(0.9, units=2), 0.1, diffusion=0.02
    ),
    "ring attractor": lambda: dm.systems.RingAttractor(units=5),
    "hopfield": lambda: dm.systems.Hopfield.random(6, 2, temperature=0.5),
    "graded hopfield": lambda: dm.systems.GradedHopfield.random(6, 2, beta=1.5),
    "flip-flop": lambda: dm.systems.FlipFlop(bits=2),
    "leaky synapse": lambda: dm.systems.LeakySynapse(0.2),
    "cascade": lambda: dm.systems.CascadeSynapse(3),
    "benna-fusi": lambda: dm.systems.BennaFusi(4),
    "benna-fusi impulses": lambda: dm.systems.Impulses(dm.systems.BennaFusi(9), 1.0),
    # a tenth of the gain: the input tried here is about 1 nA
    "wong-wang": lambda: dm.systems.WongWang(a=27.0, b=10.8),
    "ctrnn": lambda: dm.systems.CTRNN.random(3, rng=2, slowest=4.0),
    "double fitzhugh-nagumo": dm.systems.DoubleFitzHughNagumo,
    "linear": lambda: Linear.random(3, 2, rng=1, bias_sd=0.1),
    "linear, leaky": lambda: Linear.random(3, rng=1, leak=0.2),
    "tanh": _tanh,
    "tanh, leaky": lambda: _tanh(leak=0.3),
    "tanh, one unit": lambda: _tanh(1, 1),
    "tanh, large": lambda: _tanh(40),
    "relu": lambda: Relu.random(4, 2, rng=3, bias_sd=0.5),
    "relu, leaky": lambda: Relu.random(3, 1, rng=3, leak=0.5),
    "orthogonal, identity": lambda: Orthogonal.random(4, 2, rng=4),
    "orthogonal, tanh": lambda: Orthogonal.random(3, 1, rng=4, nonlinearity="tanh", bias_sd=0.3),
    "orthogonal, modrelu": lambda: Orthogonal.random(
        4, 2, rng=4, nonlinearity="modrelu", bias_sd=0.3
    ),
    "lstm": lambda: LSTM.random(2, 1, rng=5, bias_sd=0.3, forget_bias=1.0),
    "lstm, one unit": lambda: LSTM.random(1, 1, rng=5),
    "lstm, large": lambda: LSTM.random(12, 3, rng=5, init="uniform", chrono=20),
    "gru": lambda: GRU.random(3, 1, rng=6, bias_sd=0.3),
    "gru, large": lambda: GRU.random(17, 2, rng=6, init="uniform", chrono=20),
    "esn": lambda: dm.models.ESN.random(6, 2, rng=17),
    "esn, leaky": lambda: dm.models.get("esn", units=5, inputs=1, outputs=1, rng=17, leak=0.4),
    "forecaster": lambda: Forecaster(
        dm.models.get("s4d", units=2, inputs=2, outputs=2, rng=12, modes=2),
        *np.array([[0.1, 0.2], [1.5, 2.0], [0.1, 0.3]]),
        dt=0.5,
    ),
    "attention, one unit": lambda: Attention.random(1, 1, rng=12, window=2),
    "attention, heads": lambda: Attention.random(4, 4, rng=12, heads=2, window=3, sharpness=1.5),
    "attention, rotary": lambda: Attention.random(
        4, 4, rng=12, heads=2, window=3, positions="rotary"
    ),
    "attention, alibi": lambda: Attention.random(
        3, 3, rng=12, heads=3, window=4, positions="alibi"
    ),
    "attention, learned": lambda: replace(
        Attention.random(4, 4, rng=12, heads=2, window=3), positions="learned", P=_table((2, 3))
    ),
    "attention, absolute": lambda: replace(
        Attention.random(2, 2, rng=12, window=4), positions="absolute", P=_table((4, 2))
    ),
    "attention, deep": lambda: dm.models.get(
        "attention",
        units=4,
        inputs=2,
        layers=2,
        outputs=1,
        rng=12,
        placement="pre",
        feedforward=5,
        heads=2,
        window=3,
    ),
    "hybrid": lambda: Hybrid.random(3, 2, rng=13, window=3, bias_sd=0.2, sharpness=2.0),
    "hybrid, screened": lambda: Hybrid.random(
        2, 1, rng=13, window=2, kept=2, bias_sd=0.2, sharpness=2.0
    ),
    "network, tanh": lambda: dm.models.get("tanh", units=3, inputs=2, layers=2, outputs=2, rng=7),
    "network, lstm": lambda: dm.models.get("lstm", units=1, inputs=2, layers=2, rng=7),
    "network, gru": lambda: dm.models.get("gru", units=2, inputs=1, layers=3, outputs=1, rng=7),
    "block, pre": lambda: dm.models.get(
        "tanh",
        units=3,
        inputs=2,
        outputs=2,
        rng=9,
        placement="pre",
        feedforward=4,
        activation="gelu",
    ),
    "block, post": lambda: dm.models.get(
        "gru", units=2, inputs=1, outputs=1, rng=9, placement="post", norm="rms", feedforward=3
    ),
    "block, deepnorm": lambda: dm.models.get(
        "lstm", units=2, inputs=1, layers=2, rng=9, placement="deepnorm"
    ),
    "block, none": lambda: dm.models.get(
        "orthogonal", units=3, inputs=2, outputs=2, rng=9, placement="none"
    ),
    "s4d": lambda: S4D.random(2, 2, rng=12, modes=4),
    "s4d, bilinear": lambda: S4D.random(1, 1, rng=12, modes=8, method="bilinear", init="inv"),
    "s4d, one mode": lambda: S4D.random(
        1, 1, rng=12, modes=2, init="legs", step_max=1.0, step_min=0.5
    ),
    "s4": lambda: S4.random(1, 1, rng=12, modes=4),
    "s4, rank 2": lambda: S4.random(2, 2, rng=12, modes=6, init="legt"),
    "lmu": lambda: LMU.random(3, 2, rng=12, order=4, theta=6.0),
    "lmu, small": lambda: LMU.random(1, 1, rng=12, order=2, theta=3.0),
    "lmu, two memories": lambda: replace(
        LMU.random(2, 1, rng=12, order=3, theta=5.0, memories=2), Em=0.1 * np.ones((2, 6))
    ),
    "scaled legendre": lambda: dm.models.hippo.ScaledLegendre(4),
    "network, s4d": lambda: dm.models.get(
        "s4d",
        units=3,
        inputs=2,
        outputs=2,
        layers=2,
        rng=12,
        modes=2,
        placement="pre",
        feedforward=4,
    ),
    "lru": lambda: dm.models.LRU.random(2, 2, rng=10, modes=3, r_min=0.5),
    "lru, trained gamma": lambda: dm.models.get(
        "lru", units=3, inputs=1, rng=10, gamma="trained", r_max=0.9
    ),
    "s5": lambda: dm.models.S5.random(2, 2, rng=11, modes=3, step_min=0.1, step_max=0.5),
    "selective": lambda: dm.models.Selective.random(2, rng=12, modes=2, rank=1),
    "selective, exact": lambda: dm.models.Selective.random(
        3, rng=12, modes=4, rank=2, input_step="exact", step_max=1.0
    ),
    "mamba": lambda: dm.models.Mamba.random(1, rng=12, kernel=2, modes=2),
    "mamba, lru": lambda: dm.models.Mamba.random(
        2, rng=12, kernel=3, expand=1, mixer="lru", modes=2, r_min=0.5
    ),
    "linear attention": lambda: dm.models.LinearAttention.random(2, 1, rng=13, heads=2),
    "linear attention, decay": lambda: dm.models.LinearAttention.random(
        4, 2, rng=13, heads=2, decay=True
    ),
    "cornn": lambda: dm.models.CoRNN.random(2, 1, rng=14),
    "cornn, explicit": lambda: dm.models.CoRNN.random(3, 2, rng=14, damping="explicit", step=0.1),
    "coupled oscillators": lambda: dm.models.CoRNN.random(2, 1, rng=14, epsilon=0.3).flow,
    "block, lru": lambda: dm.models.get(
        "lru", units=3, inputs=2, outputs=1, rng=16, layers=2, placement="pre", feedforward=4
    ),
    "block, selective": lambda: dm.models.get(
        "selective", units=2, inputs=1, outputs=1, rng=15, placement="post", norm="rms", modes=2
    ),
    "convolution": lambda: Convolution.random(2, 2, rng=10, kernel=2, dilation=2),
    "convolution, plain": lambda: Convolution.random(
        1, 1, rng=10, kernel=3, dilation=2, normed=False
    ),
    "tcn block": lambda: dm.models.get("tcn", units=2, inputs=1, rng=10, kernel=2),
    "tcn": lambda: dm.models.get("tcn", units=3, inputs=2, layers=2, outputs=1, rng=10, init="he"),
    "tcn, one convolution": lambda: dm.models.get(
        "tcn", units=2, inputs=2, layers=2, rng=10, kernel=2, convolutions=1
    ),
    "block, tcn": lambda: dm.models.get(
        "tcn",
        units=2,
        inputs=1,
        layers=2,
        outputs=1,
        rng=10,
        kernel=2,
        placement="pre",
        feedforward=3,
    ),
    "network, mixed": lambda: Network(
        (_tanh(4, 2), LSTM.random(3, 4, rng=8), Henon_layer()), np.ones((1, 2)), np.array([0.5])
    ),
}
STATES = {
    "scaled legendre": [0.3, -0.2, 0.5, 0.1, 6.0],
    "logistic": [0.3],
    "lorenz96": [1.0, -0.5, 2.0, 0.3, 1.7],
    "oscillators": [0.1, 0.9, -0.4, 0.2, 2.0],
    "cat": [0.31, 0.22],
}


class Product(dm.Map):
    """x -> M_t x with the matrix M_t as the input."""

    n: int = 2
    inputs = property(lambda self: self.n**2)
    size = property(lambda self: self.n)

    def rule(self, x, u):
        return x @ u.reshape(self.n, self.n).T


class Henon_layer(Henon):
    """A user's own map on top of a stack, its output depending on what the layer below feeds it."""

    inputs = 3

    def rule(self, x, u):
        return Henon.rule(self, x, None) + (0 if u is None else 0.1 * u[..., :2])

    def output(self, x, u):
        return x * (1 + u[..., 2:])


def row(name):
    """A system by name with a state and an input (None where it takes none) at which to try it."""
    system, rng = BUILD[name](), np.random.default_rng(11)
    x = np.array(STATES[name]) if name in STATES else 0.7 * rng.standard_normal(system.size)
    return system, x, rng.standard_normal(system.inputs) if system.inputs else None


def exponents(system, x0=None, **options):
    """The numbers of ``dm.lyapunov_spectrum`` alone."""
    return dm.lyapunov_spectrum(system, x0, **options).lyapunov.values
