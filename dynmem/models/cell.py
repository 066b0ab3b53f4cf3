"""What recurrent cells share: checked weights, sizes read off their shapes, and Gaussian or uniform
initialisation."""

from dataclasses import dataclass, fields

import numpy as np

from ..arrays import exp, tanh, tensors
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import integer, number
from ..system import Map

LARGEST = 300  # logarithm of what is computed from weights


@dataclass(frozen=True, eq=False)
class Cell(Map):
    """A recurrent cell: weights as fields, their shapes in ``shapes`` as multiples of N (units) and
    D (inputs).

    ``gates`` is the number of blocks of N rows in W, V and b; a subclass sets ``shapes``, e.g.
    ``{"W": "gN,N", "V": "gN,D", "b": "gN"}``, the first of which must be a matrix of N columns,
    where N is read off. A mixer without one derives from Map.
    """

    gates = 1
    shapes = {}
    letters = ("h",)  # the parts of the state, each of N units
    square = False  # whether it works channel by channel, with as many outputs as inputs
    plain = True  # whether its options are those that the kernel takes for granted
    # name of torch's own kernel for this very class; one derived from it may have another rule
    kernel = None

    def __post_init__(self):
        first = next(iter(self.shapes))
        values = {
            name: tensors(getattr(self, name))
            for name in self.shapes
            if name == first or getattr(self, name) is not None
        }
        for name, value in values.items():
            if value.dtype != np.float64:
                raise TypeError(
                    f"{name} of {type(self).__name__} must hold real numbers, got "
                    f"{getattr(self, name)!r:.60}"
                )
        recurrent = values[first]
        if recurrent.ndim != 2:
            raise ShapeError(f"{first} must be a matrix, got shape {recurrent.shape}")
        units = integer("units", recurrent.shape[1], 1)
        inputs = values["V"].shape[1] if "V" in values and values["V"].ndim == 2 else 0
        sizes = {"N": units, "gN": self.gates * units, "D": inputs}
        for name, formula in self.shapes.items():
            shape = tuple(sizes[letter] for letter in formula.split(","))
            value = values.get(name, np.zeros(shape))
            if value.shape != shape:
                raise ShapeError(
                    f"{name} has shape {value.shape}, {type(self).__name__} with "
                    f"{units} units and {inputs} inputs "
                    f"needs {shape}"
                )
            if not np.isfinite(value).all():
                raise NotFiniteError(
                    f"{name} of {type(self).__name__} holds NaN or infinity: "
                    "check the training that made it"
                )
            object.__setattr__(self, name, value)

    @property
    def units(self):
        """Number N of hidden units."""
        return self._first().shape[1]

    @property
    def inputs(self):
        return self.V.shape[1]

    @property
    def size(self):
        return len(self.letters) * self.units

    @property
    def states(self):
        n = self.units
        return (
            self.letters
            if n == 1
            else tuple(f"{letter}{i}" for letter in self.letters for i in range(n))
        )

    @property
    def outputs(self):
        """Number of outputs: the hidden units, until a Network reads them out."""
        return self.units

    def initial(self, rng=0):
        """A small random state: near the zero from which torch starts, yet off the fixed point that
        zero often is."""
        return 1e-3 * np.random.default_rng(rng).standard_normal(self.size)

    def _first(self):
        return getattr(self, next(iter(self.shapes)))

    def drive(self, u, z):
        """z + V u, or z alone where the cell runs free."""
        return z if u is None else z + u @ self.V.T

    def run(self, x, u):
        """Outputs (..., T, N) and last state (..., n), on torch by its own kernel where it has
        one."""
        kernel = vars(type(self)).get("kernel")
        if kernel and self.plain and hasattr(u, "unbind"):
            x, u = one_batch_of_steps(x, u)
            if u.ndim == 3:
                from . import fused

                return getattr(fused, kernel)(self, u, x)
        return self.unroll(x, u)

    @classmethod
    def zeros(cls, units, inputs=0, **options):
        """A cell of zero weights."""
        units, inputs = integer("units", units, 1), integer("inputs", inputs, 0)
        sizes = {"N": units, "gN": cls.gates * units, "D": inputs}
        return cls(
            **{
                name: np.zeros(tuple(sizes[k] for k in formula.split(",")))
                for name, formula in cls.shapes.items()
            },
            **options,
        )

    @classmethod
    def gaussian(cls, units, inputs, rng, gain, input_gain, bias_sd=0.0):
        """Weights W ~ N(0, gain^2/N), V ~ N(0, input_gain^2/D), b ~ N(0, bias_sd^2), as a dict of
        arrays."""
        units, inputs = integer("units", units, 1), integer("inputs", inputs, 0)
        for name, value in (("gain", gain), ("input_gain", input_gain), ("bias_sd", bias_sd)):
            if not (np.isfinite(number(name, value)) and value >= 0):
                raise ValueError(f"{name} = {value}: must be a finite number of at least 0")
        rng, rows = np.random.default_rng(rng), cls.gates * units
        return {
            "W": gain / np.sqrt(units) * rng.standard_normal((rows, units)),
            "V": input_gain / np.sqrt(max(inputs, 1)) * rng.standard_normal((rows, inputs)),
            "b": bias_sd * rng.standard_normal(rows) + 0.0,  # no -0.0
        }

    @classmethod
    def uniform(cls, units, inputs, rng):
        """Every weight uniform in +-1/sqrt(N), torch's default, as a dict of arrays."""
        units, inputs = integer("units", units, 1), integer("inputs", inputs, 0)
        rng, sizes, bound = (
            np.random.default_rng(rng),
            {"N": units, "gN": cls.gates * units, "D": inputs},
            1 / np.sqrt(units),
        )
        return {
            name: rng.uniform(-bound, bound, tuple(sizes[k] for k in formula.split(",")))
            for name, formula in cls.shapes.items()
        }


def keep(system, **shapes):
    """Check the arrays of a system named, each against its shape, and keep them as float64."""
    for name, shape in shapes.items():
        value = tensors(getattr(system, name))
        if value.dtype != np.float64:
            raise TypeError(
                f"{name} of {type(system).__name__} must hold real numbers, got "
                f"{getattr(system, name)!r:.60}"
            )
        if value.shape != shape:
            raise ShapeError(
                f"{name} of {type(system).__name__} has shape {value.shape}, expected {shape}"
            )
        if not np.isfinite(value).all():
            raise NotFiniteError(f"{name} of {type(system).__name__} holds NaN or infinity")
        object.__setattr__(system, name, value)


def logarithms(system, *names):
    """Refuse logarithms among the arrays of a system, named, whose exponential is no number or
    0."""
    for name in names:
        if (np.abs(getattr(system, name)) > LARGEST).any():
            raise NotFiniteError(
                f"{name} of {type(system).__name__} lies beyond +-{LARGEST}, "
                "where its exponential is no number: lower "
                "learning_rate"
            )


def matrix_shape(system, name, axes):
    """Shape of an array of a system that must have two axes, whose meaning ``axes`` tells."""
    shape = np.shape(getattr(system, name))
    if len(shape) != 2 or 0 in shape:
        raise ShapeError(
            f"{name} of {type(system).__name__} must be a matrix ({axes}), got shape {shape}"
        )
    return shape


def above_zero(**values):
    """Each value as a float, if it is a finite number above 0; in the order given."""
    for name, value in values.items():
        if not (np.isfinite(number(name, value)) and value > 0):
            raise ValueError(f"{name} = {value}: must be a finite number above 0")
    return tuple(map(float, values.values()))


def log_uniform(rng, least, most, size):
    """Numbers between least and most, uniform in their logarithm; (step_min, step_max) of
    state-space models."""
    least, most = above_zero(step_min=least, step_max=most)
    if least > most:
        raise ValueError(f"step_min = {least} lies above step_max = {most}: exchange them")
    return np.exp(np.random.default_rng(rng).uniform(np.log(least), np.log(most), size))


def expm1(x):
    """exp(x) - 1 with all its digits at small x and without overflow below zero, in words that
    every engine has.

    >>> float(expm1(1e-20)), float(expm1(-1e4))
    (1e-20, -1.0)
    """
    return tanh(0.5 * x) * (1.0 + exp(x))


def one_batch(x, u):
    """State and input with their leading axes spread over one batch, as arithmetic would: parts of
    both stand side by side in the next state."""
    return (x, u) if x.shape[:-1] == u.shape[:-1] else (x + 0.0 * u[..., :1], u + 0.0 * x[..., :1])


def one_batch_of_steps(x, u):
    """The same of a state (..., n) and a sequence of inputs (..., T, inputs)."""
    return (
        (x, u)
        if x.shape[:-1] == u.shape[:-2]
        else (x + 0.0 * u[..., 0, :1], u + 0.0 * x[..., None, :1])
    )


def weights(cell) -> dict:
    """The arrays of a cell by name."""
    return {
        f.name: getattr(cell, f.name)
        for f in fields(cell)
        if isinstance(getattr(cell, f.name), np.ndarray)
    }
