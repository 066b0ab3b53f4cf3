"""Coupled oscillators as a network: the continuous system, and the map by which coRNN steps through
it."""

from dataclasses import dataclass, replace

import numpy as np

from ..arrays import concat, split, tanh
from ..runtime.validation import integer, number
from ..system import Flow
from .cell import Cell, above_zero

DAMPINGS = ("implicit", "explicit")


@dataclass(frozen=True, eq=False)
class CoRNN(Cell):
    """Coupled oscillatory network (Rusch and Mishra 2021): damped oscillators that drive one
    another through a tanh, stepped by IMEX.

    z_t = z_(t-1) + step (tanh(W y_(t-1) + U z_(t-1) + V u_t + b) - gamma y_(t-1) - epsilon z),  y_t
    = y_(t-1) + step z_t. ``damping`` "implicit": z is z_t, the scheme that the paper's proofs are
    about; "explicit": z_(t-1), as its code has it.

    Fields: W, U (N, N), V (N, D), b (N,); gamma, the square of each oscillator's own frequency;
    epsilon, its damping; step, above 0. The state is (y, z), positions and velocities, the output
    y. ``flow`` is the continuous network. Outputs answer an input after about 1/step steps: with
    the default, 24, a task of ten steps sees next to nothing of them; pass a step of 0.5. Source:
    Rusch and Mishra (2021), Coupled oscillatory recurrent neural network, ICLR, equations 1 and 3.

    >>> free = CoRNN(np.zeros((1, 1)), gamma=1.0, epsilon=0.0, step=0.1)
    >>> free.rule(np.array([1.0, 0.0]), None).round(12).tolist()
    [0.99, -0.1]
    """

    W: np.ndarray
    U: np.ndarray | None = None
    V: np.ndarray | None = None
    b: np.ndarray | None = None
    gamma: float = 2.7
    epsilon: float = 4.7
    step: float = 0.042
    damping: str = "implicit"
    shapes = {"W": "N,N", "U": "N,N", "V": "N,D", "b": "N"}
    letters = ("y", "z")
    source = "Rusch and Mishra (2021), Coupled oscillatory recurrent neural network, ICLR"

    def __post_init__(self):
        super().__post_init__()
        above_zero(step=self.step)
        for name in ("gamma", "epsilon"):
            if not (np.isfinite(number(name, getattr(self, name))) and getattr(self, name) >= 0):
                raise ValueError(
                    f"{name} = {getattr(self, name)}: must be a finite number of at least 0"
                )
        if self.damping not in DAMPINGS:
            raise ValueError(f"damping must be one of {', '.join(DAMPINGS)}, got {self.damping!r}")

    def force(self, y, z, u):
        """Acceleration of the oscillators without their damping, (..., N)."""
        return tanh(self.drive(u, y @ self.W.T + z @ self.U.T + self.b)) - self.gamma * y

    def rule(self, x, u):
        y, z = split(x, 2)
        ahead = z + self.step * self.force(y, z, u)
        z = (
            ahead / (1.0 + self.step * self.epsilon)
            if self.damping == "implicit"
            else ahead - self.step * self.epsilon * z
        )
        return concat((y + self.step * z, z))

    def output(self, x, u):
        return split(x, 2)[0]

    @property
    def flow(self):
        """The continuous network of which this is the discretisation."""
        return CoupledOscillators(self)

    def resampled(self, factor):
        """The same oscillators for inputs whose samples lie ``factor`` times as far apart: the step
        grows; what the scheme leaves out of the continuous network, of first order in the step,
        grows with it."""
        (factor,) = above_zero(factor=factor)
        return replace(self, step=self.step * factor)

    @classmethod
    def random(
        cls, units, inputs=0, *, rng=0, gamma=2.7, epsilon=4.7, step=0.042, damping="implicit"
    ):
        """W, U, V and b uniform in +-1/sqrt(2N + D), as the authors' code has them; its parameters
        for row-wise MNIST are the defaults."""
        units, inputs, rng = (
            integer("units", units, 1),
            integer("inputs", inputs, 0),
            np.random.default_rng(rng),
        )
        bound = 1 / np.sqrt(2 * units + inputs)
        arrays = (
            rng.uniform(-bound, bound, shape)
            for shape in ((units, units), (units, units), (units, inputs), units)
        )
        return cls(
            *arrays,
            gamma=number("gamma", gamma),
            epsilon=number("epsilon", epsilon),
            step=number("step", step),
            damping=damping,
        )


@dataclass(frozen=True, eq=False)
class CoupledOscillators(Flow):
    """The continuous network behind coRNN: y'' = tanh(W y + U y' + V u + b) - gamma y - epsilon y'.

    Field: cell, a CoRNN, whose weights, gamma and epsilon these are; its step plays no part. State
    (y, y'). Source: Rusch and Mishra (2021), equation 1.

    >>> CoRNN.random(2, 1).flow.rule(np.array([0.0, 0.0, 1.0, 0.0]), None)[:2].tolist()
    [1.0, 0.0]
    """

    cell: CoRNN
    source = CoRNN.source

    inputs = property(lambda self: self.cell.inputs)
    size = property(lambda self: self.cell.size)
    states = property(lambda self: self.cell.states)

    def rule(self, x, u):
        y, z = split(x, 2)
        return concat((z, self.cell.force(y, z, u) - self.cell.epsilon * z))

    def output(self, x, u):
        return self.cell.output(x, u)

    def initial(self, rng=0):
        return self.cell.initial(rng)
