"""Causal dilated convolutions as shift registers: the temporal convolutional network of Bai, Kolter
and Koltun (2018)."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ..arrays import concat, relu, sqrt, tensors
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import integer
from ..system import Map, as_system
from .cell import one_batch, one_batch_of_steps
from .residual import Dense

INITS = ("he", "uniform")


@dataclass(frozen=True, eq=False)
class Convolution(Map):
    """Causal convolution with holes, y_t = b + sum over i < k of V_i u_(t - (k-1-i) d), as a shift
    register.

    The state holds the inputs u_(t - (k-1) d) .. u_t, oldest first: the (k-1) d of the past that
    the next steps need and the newest, since the output is read after the step. The rule shifts
    them, so its Jacobian is nilpotent: every exponent is -inf and d y_t / d u_(t-j) is exactly 0
    beyond j = (k-1) d. From the state zero it is torch's convolution padded by (k-1) d zeros on the
    left.

    Fields: V (outputs, k, inputs), its last tap that of the newest input, as torch's weight
    (outputs, inputs, k) with the last two axes swapped; b (outputs,); dilation d; g (outputs,) or
    None: with it the weights are g V / |V|, |V| over each output's row (Salimans and Kingma 2016,
    eq. 2). Raises ShapeError, NotFiniteError, and ValueError for a kernel or a dilation below 1.

    >>> layer = Convolution(np.ones((1, 2, 1)), dilation=3)
    >>> layer.run(np.zeros(4), np.arange(1.0, 7.0)[:, None])[0].ravel().tolist()
    [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]
    """

    V: np.ndarray
    b: np.ndarray | None = None
    dilation: int = 1
    g: np.ndarray | None = None
    source = "Bai, Kolter and Koltun (2018), arXiv:1803.01271"

    def __post_init__(self):
        V = tensors(self.V)
        if V.ndim != 3:
            raise ShapeError(
                f"V must have shape (outputs, kernel, inputs), got {V.shape}: swap "
                "the last two axes of torch's weight"
            )
        for name, size in zip(("outputs", "kernel", "inputs"), V.shape, strict=True):
            integer(name, size, 1)
        object.__setattr__(self, "dilation", integer("dilation", self.dilation, 1))
        rows = len(V)
        found = {"V": V, "b": np.zeros(rows) if self.b is None else tensors(self.b)} | (
            {} if self.g is None else {"g": tensors(self.g)}
        )
        for name, value in found.items():
            if name != "V" and value.shape != (rows,):
                raise ShapeError(
                    f"{name} has shape {value.shape}, a Convolution of {rows} "
                    f"outputs needs ({rows},)"
                )
            if value.dtype != np.float64:
                raise TypeError(
                    f"{name} of Convolution must hold real numbers, got {getattr(self, name)!r:.60}"
                )
            if not np.isfinite(value).all():
                raise NotFiniteError(
                    f"{name} of Convolution holds NaN or infinity: check the training that made it"
                )
            object.__setattr__(self, name, value)
        if self.g is not None and not V.any(axis=(1, 2)).all():
            raise ValueError(
                "a row of V is zero, so that V / |V| has no direction: leave g out, "
                "or start from random weights"
            )

    inputs = property(lambda self: self.V.shape[2])
    outputs = property(lambda self: self.V.shape[0])
    kernel = property(lambda self: self.V.shape[1])
    slots = property(lambda self: (self.kernel - 1) * self.dilation + 1)
    size = property(lambda self: self.slots * self.inputs)

    @property
    def states(self):
        return tuple(
            f"u{age}" if self.inputs == 1 else f"u{age}_{i}"
            for age in reversed(range(self.slots))
            for i in range(self.inputs)
        )

    @cached_property
    def W(self):
        """Weights of all taps side by side, oldest first, shape (outputs, k inputs)."""
        W = self.V.reshape(self.outputs, self.kernel * self.inputs)
        return W if self.g is None else W * (self.g / sqrt((W * W).sum(axis=-1)))[..., None]

    def rule(self, x, u):
        x, u = one_batch(x, u)
        return concat((x[..., self.inputs :], u))

    def output(self, x, u):
        step, n = self.dilation * self.inputs, self.inputs
        return (
            concat([x[..., i * step : i * step + n] for i in range(self.kernel)]) @ self.W.T
            + self.b
        )

    def run(self, x, u):
        """Outputs (..., T, outputs) and last state (..., n): one product of the taps of all steps
        with the weights."""
        (x, u), steps = one_batch_of_steps(x, u), u.shape[-2]
        seen = concat((x.reshape(*x.shape[:-1], self.slots, self.inputs), u), axis=-2)
        # of each tap's inputs; the slot before them is shifted out by the first step
        first = range(1, 1 + self.slots, self.dilation)
        taps = concat([seen[..., i : i + steps, :] for i in first])
        return taps @ self.W.T + self.b, seen[..., steps:, :].reshape(x.shape)

    @classmethod
    def random(cls, units, inputs, *, rng=0, kernel=3, dilation=1, init="uniform", normed=True):
        """Weights uniform: "uniform" in +-1/sqrt(k inputs), biases too, torch's default; "he" in
        +-sqrt(6/(k inputs)), of variance 2/(k inputs), so that a relu behind it keeps the mean
        square of what comes in (He et al. 2015, eq. 10), biases zero.

        normed: whether there is a g, which starts at |V|.
        """
        units, inputs, kernel = (
            integer("units", units, 1),
            integer("inputs", inputs, 1),
            integer("kernel", kernel, 1),
        )
        rng, bound = np.random.default_rng(rng), uniform_bound(init, kernel * inputs)
        V = rng.uniform(-bound, bound, (units, kernel, inputs))
        b = rng.uniform(-bound, bound, units) if init == "uniform" else np.zeros(units)
        return cls(V, b, dilation, np.sqrt((V * V).sum((1, 2))) if normed else None)


def uniform_bound(init, reach):
    """Bound of uniform weights that see ``reach`` numbers."""
    if init not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")
    return np.sqrt((6.0 if init == "he" else 1.0) / reach)


@dataclass(frozen=True, eq=False)
class ConvolutionBlock(Map):
    """Residual block of a temporal convolutional network (Bai, Kolter and Koltun 2018, fig. 1b),
    without its dropout.

    h = relu(conv_m(.. relu(conv_1(u)))),  y = relu(h + skip(u)), skip the identity, or a Dense map
    (their 1x1 convolution) where the widths differ. Fields: convolutions, one or more of
    Convolution; skip, Dense or None. The state is the registers of the convolutions, one after
    another.

    >>> block = ConvolutionBlock.random(4, 2, kernel=3, layer=2)
    >>> block.size, [layer.dilation for layer in block.convolutions]
    (54, [4, 4])
    """

    convolutions: tuple
    skip: Dense | None = None
    source = Convolution.source
    square = False  # its outputs may be more than its inputs

    def __post_init__(self):
        made = (
            (self.convolutions,)
            if isinstance(self.convolutions, Map)
            else tuple(as_system(layer, Map) for layer in self.convolutions)
        )
        if not made or not all(isinstance(layer, Convolution) for layer in made):
            raise TypeError(
                "a ConvolutionBlock takes one or more Convolutions, got "
                f"{', '.join(type(layer).__name__ for layer in made) or 'none'}"
            )
        for below, above in pairwise(made):
            if above.inputs != below.outputs:
                raise ShapeError(
                    f"a convolution gives {below.outputs} outputs and the next takes "
                    f"{above.inputs} inputs: make them equal"
                )
        object.__setattr__(self, "convolutions", made)
        ends, skip = (self.inputs, self.outputs), self.skip
        if ends[0] != ends[1] if skip is None else (skip.inputs, skip.outputs) != ends:
            raise ShapeError(
                f"the convolutions lead from {ends[0]} to {ends[1]} components and "
                "the skip connection does not: pass skip, a Dense of "
                f"V ({ends[1]}, {ends[0]}), or make the widths equal"
            )

    inputs = property(lambda self: self.convolutions[0].inputs)
    outputs = property(lambda self: self.convolutions[-1].outputs)
    size = property(lambda self: sum(layer.size for layer in self.convolutions))

    @property
    def states(self):
        if len(self.convolutions) == 1:
            return self.convolutions[0].states
        return tuple(
            f"{name}_{i + 1}" for i, layer in enumerate(self.convolutions) for name in layer.states
        )

    def parts(self, x):
        """The register of each convolution, cut from x (..., n)."""
        ends = np.cumsum([layer.size for layer in self.convolutions])
        return [
            x[..., end - layer.size : end]
            for layer, end in zip(self.convolutions, ends, strict=True)
        ]

    def rule(self, x, u):
        after = []
        for layer, part in zip(self.convolutions, self.parts(x), strict=True):
            after.append(layer.rule(part, u))
            u = relu(layer.output(after[-1], u))
        return concat(after)

    def output(self, x, u):
        parts = self.parts(x)
        newest = parts[0][..., parts[0].shape[-1] - self.inputs :]  # the register holds u itself
        return self._joined(self.convolutions[-1].output(parts[-1], u), newest)

    def run(self, x, u):
        """Outputs (..., T, outputs) and last state (..., n), convolution after convolution, each
        over the whole sequence."""
        h, after = u, []
        for layer, part in zip(self.convolutions, self.parts(x), strict=True):
            z, last = layer.run(part, h)
            h = relu(z)
            after.append(last)
        return self._joined(z, u), concat(after)

    def _joined(self, z, u):
        return relu(relu(z) + (u if self.skip is None else self.skip.output(None, u)))

    def initial(self, rng=0):
        return np.random.default_rng(rng).standard_normal(self.size)

    @classmethod
    def random(
        cls,
        units,
        inputs,
        *,
        rng=0,
        kernel=3,
        base=2,
        convolutions=2,
        init="uniform",
        normed=True,
        layer=0,
    ):
        """Random block, the ``layer``-th of a stack: its dilation is base**layer, so that the
        receptive field grows like base**layers.

        kernel: taps; convolutions: how many, 1 or 2; init, normed: as for ``Convolution.random``;
        of the skip connection too, but "he" gives it variance 1/inputs, no relu being before the
        sum. "uniform" is where the published code's convolutions start: it draws normal weights of
        standard deviation 0.01 after weight normalisation was set up, which overwrites them at the
        first pass; its 1x1 ones keep them.
        """
        rng, units, inputs = (
            np.random.default_rng(rng),
            integer("units", units, 1),
            integer("inputs", inputs, 1),
        )
        if convolutions not in (1, 2):
            raise ValueError(
                f"convolutions = {convolutions!r}: a block has 1 or 2; for more pass "
                "Convolutions to ConvolutionBlock"
            )
        dilation = integer("base", base, 1) ** integer("layer", layer, 0)
        options = {
            "rng": rng,
            "kernel": kernel,
            "dilation": dilation,
            "init": init,
            "normed": normed,
        }
        made = tuple(
            Convolution.random(units, units if i else inputs, **options)
            for i in range(convolutions)
        )
        return cls(made, None if units == inputs else _skip(units, inputs, rng, init))


def _skip(units, inputs, rng, init):
    if init == "he":
        # no relu before the sum: it keeps the mean square itself
        return Dense.random(units, inputs, rng=rng)
    bound = uniform_bound(init, inputs)
    return Dense(rng.uniform(-bound, bound, (units, inputs)), rng.uniform(-bound, bound, units))
