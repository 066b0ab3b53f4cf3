"""Causal dilated convolutions as shift registers: temporal convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from ..arrays import concat, relu, sqrt
from ..errors import ShapeError
from ..runtime.validation import choice, generator, integer
from ..system import Map, as_system
from ..typing import Array, Rng
from .cell import keep_arrays, one_batch, one_batch_of_steps
from .residual import Dense

__all__ = ["Convolution", "ConvolutionBlock"]

INITS = ("he", "uniform")


class Convolution(Map):
    """Causal dilated convolution as a shift register.

        y_t = b + sum over i < k of V_i u_(t - (k-1-i) d)

    Parameters
    ----------
    V : array_like (outputs, k, inputs)
        Weights; the last tap is that of the newest input, as torch's weight (outputs, inputs, k)
        with the last two axes swapped.
    b : array_like (outputs,), optional
        Bias; None for zero.
    dilation : int, optional
        Steps d between the taps.
    g : array_like (outputs,), optional
        Gain of weight normalisation: the weights are g V / abs(V), the norm over each output's row;
        None for the weights V.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.
    ValueError
        For a kernel or a dilation below 1, and for a zero row of V with g.

    Notes
    -----
    The state holds the inputs u_(t - (k-1) d) .. u_t, oldest first: the (k-1) d of the past that
    the next steps need and the newest, since the output is read after the step. The rule shifts
    them, so its Jacobian is nilpotent: every exponent is -inf and d y_t / d u_(t-j) is exactly 0
    beyond j = (k-1) d. From the state zero it is torch's convolution padded by (k-1) d zeros on the
    left.

    References
    ----------
    Bai, Kolter and Koltun (2018), arXiv:1803.01271, section 3. Salimans and Kingma (2016), NeurIPS,
    eq. 2, for g.

    Examples
    --------
    >>> import dynmem as dm
    >>> layer = dm.models.Convolution(np.ones((1, 2, 1)), dilation=3)
    >>> layer.run(np.zeros(4), np.arange(1.0, 7.0)[:, None])[0].ravel().tolist()
    [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]
    """

    equation = r"y_t = b + \sum_{i=0}^{k-1} V_i\, u_{t - i d}"

    V: Array
    b: Array = None
    dilation: int = 1
    g: Array | None = None
    source = "Bai, Kolter and Koltun (2018), arXiv:1803.01271"

    def __post_init__(self) -> None:
        shape = np.shape(self.V)
        if len(shape) != 3:
            raise ShapeError(
                f"V of Convolution must have shape (outputs, kernel, inputs), got {shape}: swap "
                "the last two axes of torch's weight"
            )
        for name, size in zip(("outputs", "kernel", "inputs"), shape, strict=True):
            integer(name, size)
        object.__setattr__(self, "dilation", integer("dilation", self.dilation))
        rows = shape[:1]
        if self.b is None:
            object.__setattr__(self, "b", np.zeros(rows))
        keep_arrays(self, {"V": shape, "b": rows} | ({} if self.g is None else {"g": rows}))
        if self.g is not None and not self.V.any(axis=(1, 2)).all():
            raise ValueError(
                "a row of V is zero, so that V / |V| has no direction: leave g out, or start from "
                "random weights"
            )

    @property
    def inputs(self) -> int:
        return self.V.shape[2]

    @property
    def outputs(self) -> int:
        return self.V.shape[0]

    @property
    def kernel(self) -> int:
        """Number k of taps."""
        return self.V.shape[1]

    @property
    def slots(self) -> int:
        """Number of inputs that the state holds, (k-1) d + 1."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def size(self) -> int:
        return self.slots * self.inputs

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(
            f"u{age}" if self.inputs == 1 else f"u{age}_{i}"
            for age in reversed(range(self.slots))
            for i in range(self.inputs)
        )

    @cached_property
    def W(self) -> Array:
        """Weights of all taps side by side, oldest first, shape (outputs, k inputs)."""
        W = self.V.reshape(self.outputs, self.kernel * self.inputs)
        return W if self.g is None else W * (self.g / sqrt((W * W).sum(axis=-1)))[..., None]

    def rule(self, x: Array, u: Array | None) -> Array:
        x, u = one_batch(x, u)
        return concat((x[..., self.inputs :], u))

    def output(self, x: Array, u: Array | None) -> Array:
        step, n = self.dilation * self.inputs, self.inputs
        return (
            concat([x[..., i * step : i * step + n] for i in range(self.kernel)]) @ self.W.T
            + self.b
        )

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, outputs) and last state (..., n), by one matrix product."""
        (x, u), steps = one_batch_of_steps(x, u), u.shape[-2]
        seen = concat((x.reshape(*x.shape[:-1], self.slots, self.inputs), u), axis=-2)
        # of each tap's inputs; the slot before them is shifted out by the first step
        first = range(1, 1 + self.slots, self.dilation)
        taps = concat([seen[..., i : i + steps, :] for i in first])
        return taps @ self.W.T + self.b, seen[..., steps:, :].reshape(x.shape)

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int,
        *,
        rng: Rng = 0,
        kernel: int = 3,
        dilation: int = 1,
        init: str = "uniform",
        normed: bool = True,
    ) -> Convolution:
        """Random convolution.

        Parameters
        ----------
        units : int
            Number of outputs.
        inputs : int
            Number of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        kernel : int, optional
            Number k of taps.
        dilation : int, optional
            Steps d between the taps.
        init : {"uniform", "he"}, optional
            Weights and biases uniform in +-1/sqrt(k inputs), torch's default; or weights uniform in
            +-sqrt(6/(k inputs)), of variance 2/(k inputs), so that a relu after it keeps the mean
            square of the input, and biases zero.
        normed : bool, optional
            Whether there is a g, which starts at the norm of V.

        Returns
        -------
        Convolution

        Raises
        ------
        ValueError
            For an option out of its range.

        References
        ----------
        He et al. (2015), ICCV, eq. 10.
        """
        units, inputs, rng = integer("units", units), integer("inputs", inputs), generator(rng)
        kernel = integer("kernel", kernel)
        bound = uniform_bound(init, kernel * inputs)
        V = rng.uniform(-bound, bound, (units, kernel, inputs))
        b = rng.uniform(-bound, bound, units) if init == "uniform" else np.zeros(units)
        return cls(V, b, dilation, np.sqrt((V * V).sum((1, 2))) if normed else None)


def uniform_bound(init: str, reach: int) -> float:
    """Bound of uniform weights that read ``reach`` numbers."""
    return np.sqrt((6.0 if choice("init", init, INITS) == "he" else 1.0) / reach)


class ConvolutionBlock(Map):
    """Residual block of a temporal convolutional network, without its dropout.

        h = relu(conv_m(.. relu(conv_1(u)))),  y = relu(h + skip(u))

    Parameters
    ----------
    convolutions : sequence of Convolution
        One or more, each with as many inputs as the one before has outputs.
    skip : Dense, optional
        The skip connection, their 1x1 convolution, where the widths differ; None for the identity.

    Raises
    ------
    TypeError
        For convolutions that are none.
    ShapeError
        For widths that do not fit.

    Notes
    -----
    The state is the registers of the convolutions, one after another.

    References
    ----------
    Bai, Kolter and Koltun (2018), arXiv:1803.01271, figure 1b.

    Examples
    --------
    >>> import dynmem as dm
    >>> block = dm.models.ConvolutionBlock.random(4, 2, kernel=3, layer=2)
    >>> block.size, [layer.dilation for layer in block.convolutions]
    (54, [4, 4])
    """

    equation = (
        r"y = \mathrm{relu}(h + \mathrm{skip}(u)), \quad "
        r"h = \mathrm{relu}(\mathrm{conv}_m(\dots \mathrm{relu}(\mathrm{conv}_1(u))))"
    )

    convolutions: Sequence[Convolution]
    skip: Dense | None = None
    source = Convolution.source
    square = False  # its outputs may be more than its inputs

    def __post_init__(self) -> None:
        layers = (
            (self.convolutions,)
            if isinstance(self.convolutions, Map)
            else tuple(as_system(layer, Map) for layer in self.convolutions)
        )
        if not layers or not all(isinstance(layer, Convolution) for layer in layers):
            raise TypeError(
                "a ConvolutionBlock takes one or more Convolutions, got "
                f"{', '.join(type(layer).__name__ for layer in layers) or 'none'}"
            )
        for below, above in pairwise(layers):
            if above.inputs != below.outputs:
                raise ShapeError(
                    f"a convolution has {below.outputs} outputs and the next {above.inputs} "
                    "inputs: make them equal"
                )
        object.__setattr__(self, "convolutions", layers)
        ends, skip = (self.inputs, self.outputs), self.skip
        if ends[0] != ends[1] if skip is None else (skip.inputs, skip.outputs) != ends:
            raise ShapeError(
                f"the convolutions lead from {ends[0]} to {ends[1]} components and the skip "
                f"connection does not: pass skip, a Dense of V ({ends[1]}, {ends[0]}), or make "
                "the widths equal"
            )

    @property
    def inputs(self) -> int:
        return self.convolutions[0].inputs

    @property
    def outputs(self) -> int:
        return self.convolutions[-1].outputs

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.convolutions)

    @property
    def states(self) -> tuple[str, ...]:
        if len(self.convolutions) == 1:
            return self.convolutions[0].states
        return tuple(
            f"{name}_{i + 1}" for i, layer in enumerate(self.convolutions) for name in layer.states
        )

    def parts(self, x: Array) -> list[Array]:
        """The register of each convolution, cut from x (..., n)."""
        ends = np.cumsum([layer.size for layer in self.convolutions])
        return [
            x[..., end - layer.size : end]
            for layer, end in zip(self.convolutions, ends, strict=True)
        ]

    def rule(self, x: Array, u: Array | None) -> Array:
        after = []
        for layer, part in zip(self.convolutions, self.parts(x), strict=True):
            after.append(layer.rule(part, u))
            u = relu(layer.output(after[-1], u))
        return concat(after)

    def output(self, x: Array, u: Array | None) -> Array:
        parts = self.parts(x)
        newest = parts[0][..., parts[0].shape[-1] - self.inputs :]  # the register holds u itself
        return self._joined(self.convolutions[-1].output(parts[-1], u), newest)

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, outputs) and last state (..., n), all steps at once."""
        h, after = u, []
        for layer, part in zip(self.convolutions, self.parts(x), strict=True):
            z, last = layer.run(part, h)
            h = relu(z)
            after.append(last)
        return self._joined(z, u), concat(after)

    def _joined(self, z: Array, u: Array) -> Array:
        return relu(relu(z) + (u if self.skip is None else self.skip.output(None, u)))

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """A random state, shape (n,), standard normal."""
        return np.random.default_rng(rng).standard_normal(self.size)

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int,
        *,
        rng: Rng = 0,
        kernel: int = 3,
        base: int = 2,
        convolutions: int = 2,
        init: str = "uniform",
        normed: bool = True,
        layer: int = 0,
    ) -> ConvolutionBlock:
        """Random block, the ``layer``-th of a stack: its dilation is base^layer.

        The receptive field of a stack grows like base^layers.

        Parameters
        ----------
        units : int
            Number of outputs.
        inputs : int
            Number of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        kernel : int, optional
            Number of taps of each convolution.
        base : int, optional
            Base of the dilations.
        convolutions : {1, 2}, optional
            Number of convolutions.
        init : {"uniform", "he"}, optional
            As for ``Convolution.random``; of the skip connection too, but "he" gives it variance
            1/inputs, since no relu comes before the sum.
        normed : bool, optional
            Whether the weights are normalised.
        layer : int of at least 0, optional
            Place in the stack; ``models.get`` sets it.

        Returns
        -------
        ConvolutionBlock

        Raises
        ------
        ValueError
            For an option out of its range.

        Notes
        -----
        "uniform" is where the published code's convolutions start: it draws normal weights of
        standard deviation 0.01 after weight normalisation was set up, which overwrites them at the
        first pass; its 1x1 convolutions keep them.
        """
        units, inputs, rng = integer("units", units), integer("inputs", inputs), generator(rng)
        convolutions = integer("convolutions", convolutions, 1, 2)
        dilation = integer("base", base) ** integer("layer", layer, 0)
        options = {
            "rng": rng,
            "kernel": kernel,
            "dilation": dilation,
            "init": init,
            "normed": normed,
        }
        layers = tuple(
            Convolution.random(units, units if i else inputs, **options)
            for i in range(convolutions)
        )
        return cls(layers, None if units == inputs else _skip(units, inputs, rng, init))


def _skip(units: int, inputs: int, rng: np.random.Generator, init: str) -> Dense:
    if init == "he":
        # no relu before the sum: it keeps the mean square itself
        return Dense.random(units, inputs, rng=rng)
    bound = uniform_bound(init, inputs)
    return Dense(rng.uniform(-bound, bound, (units, inputs)), rng.uniform(-bound, bound, units))
