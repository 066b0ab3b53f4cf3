"""Coupled oscillators as a network: the continuous system, and the map that coRNN is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import concat, split, tanh
from ..runtime.validation import choice, generator, integer, number
from ..system import Flow
from ..typing import Array, Rng
from .cell import Cell

__all__ = ["CoRNN", "CoupledOscillators"]

DAMPINGS = ("implicit", "explicit")


class CoRNN(Cell):
    """Coupled oscillatory network: damped oscillators that drive one another through a tanh.

        z_t = z_(t-1) + step (tanh(W y_(t-1) + U z_(t-1) + V u_t + b) - gamma y_(t-1) - epsilon z),
        y_t = y_(t-1) + step z_t

    Parameters
    ----------
    W, U : array_like (N, N)
        Coupling through positions and through velocities; U None for zero.
    V : array_like (N, D), optional
        Input weights; None for a network without input.
    b : array_like (N,), optional
        Bias; None for zero.
    gamma : float of at least 0, optional
        Square of each oscillator's own frequency.
    epsilon : float of at least 0, optional
        Damping.
    step : float above 0, optional
        Time step.
    damping : {"implicit", "explicit"}, optional
        z in the damping is z_t, the scheme of the paper's proofs, or z_(t-1), as in its code.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    The state is (y, z), positions and velocities, the output y. ``flow`` is the continuous network.
    Outputs follow an input after about 1/step steps: with the default, 24, a task of ten steps sees
    next to nothing of them; pass a step of 0.5.

    References
    ----------
    Rusch and Mishra (2021), Coupled oscillatory recurrent neural network, ICLR, equations 1 and 3.

    Examples
    --------
    >>> import dynmem as dm
    >>> free = dm.models.CoRNN([[0.0]], gamma=1.0, epsilon=0.0, step=0.1)
    >>> free.rule(np.array([1.0, 0.0]), None).round(12).tolist()
    [0.99, -0.1]
    """

    equation = r"\ddot y = \tanh(W y + U \dot y + V u + b) - \gamma y - \epsilon \dot y"

    W: Array
    U: Array = None
    V: Array = None
    b: Array = None
    gamma: float = 2.7
    epsilon: float = 4.7
    step: float = 0.042
    damping: str = "implicit"
    shapes = {"W": "N,N", "U": "N,N", "V": "N,D", "b": "N"}
    letters = ("y", "z")
    source = "Rusch and Mishra (2021), Coupled oscillatory recurrent neural network, ICLR"

    def __post_init__(self) -> None:
        super().__post_init__()
        number("step", self.step, above=0)
        number("gamma", self.gamma, least=0)
        number("epsilon", self.epsilon, least=0)
        choice("damping", self.damping, DAMPINGS)

    def force(self, y: Array, z: Array, u: Array | None) -> Array:
        """Acceleration of the oscillators without their damping, (..., N)."""
        return tanh(self.driven(y @ self.W.T + z @ self.U.T + self.b, u)) - self.gamma * y

    def rule(self, x: Array, u: Array | None) -> Array:
        y, z = split(x, 2)
        ahead = z + self.step * self.force(y, z, u)
        z = (
            ahead / (1.0 + self.step * self.epsilon)
            if self.damping == "implicit"
            else ahead - self.step * self.epsilon * z
        )
        return concat((y + self.step * z, z))

    def output(self, x: Array, u: Array | None) -> Array:
        return split(x, 2)[0]

    @property
    def flow(self) -> CoupledOscillators:
        """The continuous network of which this is the discretisation."""
        return CoupledOscillators(self)

    def resampled(self, factor: float) -> CoRNN:
        """The same oscillators for inputs that lie ``factor`` times as far apart: the step grows.

        The error of the scheme, of first order in the step, grows with it.
        """
        return replace(self, step=self.step * number("factor", factor, above=0))

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        gamma: float = 2.7,
        epsilon: float = 4.7,
        step: float = 0.042,
        damping: str = "implicit",
    ) -> CoRNN:
        """Random network: W, U, V and b uniform in +-1/sqrt(2N + D), as in the authors' code.

        Parameters
        ----------
        units : int
            Number N of units.
        inputs : int, optional
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        gamma : float of at least 0, optional
            Square of each oscillator's own frequency; by default that of row-wise MNIST, as for
            epsilon and step.
        epsilon : float of at least 0, optional
            Damping.
        step : float above 0, optional
            Time step.
        damping : {"implicit", "explicit"}, optional
            Scheme of the damping.

        Returns
        -------
        CoRNN

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        units, inputs, rng = integer("units", units), integer("inputs", inputs, 0), generator(rng)
        bound = 1 / np.sqrt(2 * units + inputs)
        shapes = (units, units), (units, units), (units, inputs), (units,)
        W, U, V, b = (rng.uniform(-bound, bound, shape) for shape in shapes)
        return cls(
            W,
            U,
            V,
            b,
            gamma=number("gamma", gamma),
            epsilon=number("epsilon", epsilon),
            step=number("step", step),
            damping=damping,
        )


class CoupledOscillators(Flow):
    """The continuous network behind coRNN.

        y'' = tanh(W y + U y' + V u + b) - gamma y - epsilon y'

    Parameters
    ----------
    cell : CoRNN
        Whose weights, gamma and epsilon these are; its step has no effect.

    Notes
    -----
    The state is (y, y'), the output y.

    References
    ----------
    Rusch and Mishra (2021), Coupled oscillatory recurrent neural network, ICLR, equation 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> flow = dm.models.CoRNN.random(2, 1).flow
    >>> flow.rule(np.array([0.0, 0.0, 1.0, 0.0]), None)[:2].tolist()
    [1.0, 0.0]
    """

    cell: CoRNN
    source = CoRNN.source

    @property
    def inputs(self) -> int:
        return self.cell.inputs

    @property
    def size(self) -> int:
        return self.cell.size

    @property
    def states(self) -> tuple[str, ...]:
        return self.cell.states

    def rule(self, x: Array, u: Array | None) -> Array:
        y, z = split(x, 2)
        return concat((z, self.cell.force(y, z, u) - self.cell.epsilon * z))

    def output(self, x: Array, u: Array | None) -> Array:
        return self.cell.output(x, u)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.cell.initial(rng)
