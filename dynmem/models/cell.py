"""What recurrent cells share: checked weights, sizes read off their shapes, and Gaussian or uniform
initialisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..arrays import exp, tanh
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import array, generator, integer, number
from ..system import Map
from ..typing import Array, Rng

__all__ = ["Cell"]

MAX_ABS_LOGARITHM = 300  # of a number computed from weights


class Cell(Map):
    """A recurrent cell: weights as fields, whose shapes are multiples of N (units) and D (inputs).

    Base class of Linear, Tanh, Relu, Orthogonal, LSTM, GRU, ESN, Hybrid and CoRNN. A subclass sets
    ``shapes``, for instance ``{"W": "gN,N", "V": "gN,D", "b": "gN"}``, where g is ``gates``, the
    number of blocks of N rows in W, V and b. The first array must be a matrix of N columns, from
    which N is read; it is required, the others are zero where they are None. A model whose arrays
    have no such shapes derives from Map.

    Attributes
    ----------
    gates : int
        Number of blocks of N rows.
    shapes : dict of str
        Shape of each array, in the letters N, gN and D.
    letters : tuple of str
        Parts of the state, N components each.
    square : bool
        Whether it works channel by channel, with as many outputs as inputs.
    kernel : str or None
        Function of ``models.fused`` that runs this very class on torch.

    Examples
    --------
    >>> import dynmem as dm
    >>> cell = dm.models.LSTM.zeros(3, 2)
    >>> isinstance(cell, dm.models.Cell), cell.V.shape, cell.size, cell.outputs
    (True, (12, 2), 6, 3)
    """

    gates = 1
    shapes: ClassVar[dict[str, str]] = {}
    letters: ClassVar[tuple[str, ...]] = ("h",)  # the parts of the state, each of N units
    square = False  # whether it works channel by channel, with as many outputs as inputs
    plain = True  # whether its options are those that torch's kernel assumes
    # name of torch's own kernel for this very class; one derived from it may have another rule
    kernel: ClassVar[str | None] = None

    if TYPE_CHECKING:  # the arrays are fields of the subclasses

        def __getattr__(self, name: str) -> Any: ...

    def __post_init__(self) -> None:
        first = next(iter(self.shapes))
        shape = np.shape(getattr(self, first))
        if getattr(self, first) is not None and len(shape) != 2:
            raise ShapeError(
                f"{first} of {type(self).__name__} must be a matrix, got shape {shape}"
            )
        units = integer("units", shape[1], 1) if shape else 0
        inputs = np.shape(self.V)[1] if np.ndim(self.V) == 2 else 0
        sizes = self._sizes(units, inputs)
        for name, shape in sizes.items():
            if name != first and getattr(self, name) is None:
                object.__setattr__(self, name, np.zeros(shape))
        keep_arrays(self, sizes, f" with {units} units and {inputs} inputs")

    @classmethod
    def _sizes(cls, units: int, inputs: int) -> dict[str, tuple[int, ...]]:
        """The shape of each array."""
        letters = {"N": units, "gN": cls.gates * units, "D": inputs}
        return {
            name: tuple(letters[letter] for letter in formula.split(","))
            for name, formula in cls.shapes.items()
        }

    @property
    def units(self) -> int:
        """Number N of hidden units."""
        return self._first().shape[1]

    @property
    def inputs(self) -> int:
        """Number D of inputs."""
        return self.V.shape[1]

    @property
    def size(self) -> int:
        """Number of state components, N for each of ``letters``."""
        return len(self.letters) * self.units

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the state's components."""
        n = self.units
        return (
            self.letters
            if n == 1
            else tuple(f"{letter}{i}" for letter in self.letters for i in range(n))
        )

    @property
    def outputs(self) -> int:
        """Number of outputs, the hidden units."""
        return self.units

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A small random state, shape (n,): near the zero from which torch starts, yet off the
        fixed point that zero often is.
        """
        return 1e-3 * np.random.default_rng(rng).standard_normal(self.size)

    def _first(self) -> np.ndarray:
        return getattr(self, next(iter(self.shapes)))

    def driven(self, z: Array, u: Array | None) -> Array:
        """z + V u; z itself without an input."""
        return z if u is None else z + u @ self.V.T

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, N) and last state (..., n), on torch by its own kernel."""
        kernel = vars(type(self)).get("kernel")
        if kernel and self.plain and hasattr(u, "unbind"):
            x, u = one_batch_of_steps(x, u)
            if u.ndim == 3:
                from . import fused

                return getattr(fused, kernel)(self, x, u)
        return self.unroll(x, u)

    @classmethod
    def zeros(cls, units: int, inputs: int = 0, **options: Any) -> Self:
        """A cell of zero weights; ``options`` are the fields that are no arrays."""
        units, inputs = integer("units", units), integer("inputs", inputs, 0)
        shapes = cls._sizes(units, inputs)
        return cls(**{name: np.zeros(shape) for name, shape in shapes.items()}, **options)

    @classmethod
    def gaussian(
        cls,
        units: int,
        inputs: int,
        rng: Rng,
        gain: float,
        input_gain: float,
        bias_sd: float = 0.0,
    ) -> dict[str, np.ndarray]:
        """Arrays W ~ N(0, gain^2/N), V ~ N(0, input_gain^2/D) and b ~ N(0, bias_sd^2) by name."""
        units, inputs = integer("units", units), integer("inputs", inputs, 0)
        gain = number("gain", gain, least=0)
        input_gain = number("input_gain", input_gain, least=0)
        bias_sd = number("bias_sd", bias_sd, least=0)
        rng, rows = generator(rng), cls.gates * units
        return {
            "W": gain / np.sqrt(units) * rng.standard_normal((rows, units)),
            "V": input_gain / np.sqrt(max(inputs, 1)) * rng.standard_normal((rows, inputs)),
            "b": bias_sd * rng.standard_normal(rows) + 0.0,  # no -0.0
        }

    @classmethod
    def uniform(cls, units: int, inputs: int, rng: Rng) -> dict[str, np.ndarray]:
        """Arrays uniform in +-1/sqrt(N), as torch draws them, by name."""
        units, inputs = integer("units", units), integer("inputs", inputs, 0)
        rng, bound = generator(rng), 1 / np.sqrt(units)
        shapes = cls._sizes(units, inputs)
        return {name: rng.uniform(-bound, bound, shape) for name, shape in shapes.items()}


def keep_arrays(system: Map, shapes: Mapping[str, tuple[int, ...]], sizes: str = "") -> None:
    """Check the arrays of a system, named, against their shapes, and keep them as float64."""
    for name, shape in shapes.items():
        label = f"{name} of {type(system).__name__}{sizes}"
        object.__setattr__(system, name, array(label, getattr(system, name), shape))


def check_logarithms(system: Map, *names: str) -> None:
    """Refuse arrays of logarithms, named, whose exponential overflows or underflows."""
    for name in names:
        if (np.abs(getattr(system, name)) > MAX_ABS_LOGARITHM).any():
            raise NotFiniteError(
                f"{name} of {type(system).__name__} exceeds +-{MAX_ABS_LOGARITHM}, where its "
                "exponential overflows or vanishes: lower learning_rate"
            )


def matrix_shape(system: Map, name: str, axes: str) -> tuple[int, int]:
    """Shape of an array of a system that must have two axes, named in ``axes``."""
    shape = np.shape(getattr(system, name))
    if len(shape) != 2 or 0 in shape:
        raise ShapeError(
            f"{name} of {type(system).__name__} must be a matrix ({axes}), got shape {shape}"
        )
    return shape


def log_uniform(rng: Rng, least: float, most: float, size: int) -> np.ndarray:
    """Numbers from least to most, uniform in their logarithm: the steps of state-space models."""
    least, most = number("step_min", least, above=0), number("step_max", most, above=0)
    if least > most:
        raise ValueError(f"step_min = {least} is above step_max = {most}: swap them")
    return np.exp(generator(rng).uniform(np.log(least), np.log(most), size))


def expm1(x: Array) -> Array:
    """exp(x) - 1 with all its digits at small x and without overflow below zero.

    >>> float(expm1(1e-20)), float(expm1(-1e4))
    (1e-20, -1.0)
    """
    return tanh(0.5 * x) * (1.0 + exp(x))


def one_batch(x: Array, u: Array) -> tuple[Array, Array]:
    """State and input broadcast to one batch shape, as arithmetic would broadcast them."""
    return (x, u) if x.shape[:-1] == u.shape[:-1] else (x + 0.0 * u[..., :1], u + 0.0 * x[..., :1])


def one_batch_of_steps(x: Array, u: Array) -> tuple[Array, Array]:
    """State (..., n) and inputs (..., T, inputs) broadcast to one batch shape."""
    return (
        (x, u)
        if x.shape[:-1] == u.shape[:-2]
        else (x + 0.0 * u[..., 0, :1], u + 0.0 * x[..., None, :1])
    )


def weights(cell: Map) -> dict[str, np.ndarray]:
    """The arrays of a cell by name."""
    return {
        f.name: getattr(cell, f.name)
        for f in fields(cell)
        if isinstance(getattr(cell, f.name), np.ndarray)
    }
