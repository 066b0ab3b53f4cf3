"""The block of Mamba: a short convolution before a mixer of time, and a gate after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import concat, sigmoid
from ..errors import ShapeError
from ..runtime.registry import Registry
from ..runtime.validation import generator, integer
from ..system import Map, as_system
from ..typing import Array, Rng
from .cell import keep_arrays, matrix_shape, one_batch, one_batch_of_steps
from .diagonal import LRU, S5
from .options import check_options, random_options
from .selective import Selective
from .ssm import S4D

__all__ = ["Mamba"]

MIXERS = Registry("mixer of Mamba", {"selective": Selective, "s4d": S4D, "s5": S5, "lru": LRU})


def silu(z: Array) -> Array:
    """z sigmoid(z), the activation of the block (Hendrycks and Gimpel 2016, as SiLU).

    >>> silu(np.array([0.0, 100.0])).tolist()
    [0.0, 100.0]
    """
    return z * sigmoid(z)


class Mamba(Map):
    """Block of Mamba: E channels of a mixer behind a short causal convolution, gated by the input.

        v_t = W_in u_t,  s_t = silu(b + sum over i < k of V_i v_(t-(k-1-i))),
        y_t = W_out (mixer(s)_t silu(W_gate u_t))

    Parameters
    ----------
    W_in, W_gate : array_like (E, H)
        The two halves of torch's in_proj.
    V : array_like (E, k)
        Convolution of each channel, conv1d, the newest step last.
    b : array_like (E,)
        Bias of the convolution.
    mixer : Map
        A model of E inputs and E outputs.
    W_out : array_like (H, E)
        out_proj.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.

    Notes
    -----
    The convolution lets neighbouring inputs meet before the mixer selects what to keep: a selective
    scan alone takes its step, B and C from one input. Around a selective model it is the published
    block; around a linear recurrence, the form of Griffin's (De et al. 2024, figure 2), whose
    convolution has no activation and whose gate is a GELU.

    The state is the last k of v, oldest first, as the published conv_state, then that of the mixer.

    References
    ----------
    Gu and Dao (2023), Mamba, arXiv:2312.00752, section 3.4 and figure 3; reference code
    ``mamba_simple.Mamba``.

    Examples
    --------
    >>> import dynmem as dm
    >>> block = dm.models.Mamba.random(4, modes=3)
    >>> block.mixer.inputs, block.size
    (8, 56)
    """

    equation = (
        r"y_t = W_{out} \left( \mathrm{mixer}(s)_t\; \mathrm{silu}(W_{gate} u_t) \right), \quad "
        r"s = \mathrm{silu}(\mathrm{conv}(W_{in} u))"
    )

    W_in: Array
    W_gate: Array
    V: Array
    b: Array
    mixer: Map
    W_out: Array
    square = True
    source = Selective.source

    def __post_init__(self) -> None:
        channels, width = matrix_shape(self, "W_in", "channels, inputs")
        _, kernel = matrix_shape(self, "V", "channels, kernel")
        keep_arrays(
            self,
            {
                "W_in": (channels, width),
                "W_gate": (channels, width),
                "V": (channels, kernel),
                "b": (channels,),
                "W_out": (width, channels),
            },
        )
        inner = as_system(self.mixer, Map)
        if (inner.inputs, inner.outputs) != (channels, channels):
            raise ShapeError(
                f"W_in of Mamba has {channels} channels and {type(inner).__name__} has "
                f"{inner.inputs} inputs and {inner.outputs} outputs: make all the same"
            )

    @property
    def inputs(self) -> int:
        return self.W_in.shape[1]

    @property
    def outputs(self) -> int:
        return self.W_in.shape[1]

    @property
    def channels(self) -> int:
        """Number E of channels."""
        return len(self.W_in)

    @property
    def kernel(self) -> int:
        """Number k of steps that the convolution reads."""
        return self.V.shape[1]

    @property
    def held(self) -> int:
        """Components of the state that the convolution holds."""
        return self.kernel * self.channels

    @property
    def size(self) -> int:
        return self.held + self.mixer.size

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(
            f"v{age}_{i}" for age in reversed(range(self.kernel)) for i in range(self.channels)
        ) + tuple(self.mixer.states)

    def rule(self, x: Array, u: Array | None) -> Array:
        x, u = one_batch(x, self._input(x, u))
        register = concat((x[..., self.channels : self.held], u @ self.W_in.T))
        return concat(
            (register, self.mixer.rule(x[..., self.held :], self._convolved(self._taps(register))))
        )

    def output(self, x: Array, u: Array | None) -> Array:
        mixed = self.mixer.output(x[..., self.held :], self._convolved(self._taps(x)))
        return self._gated(mixed, self._input(x, u))

    def run(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Outputs (..., T, H) and last state (..., n), all steps at once."""
        x, u = one_batch_of_steps(x, u)
        register = x[..., : self.held].reshape(*x.shape[:-1], self.kernel, self.channels)
        seen, steps = concat((register, u @ self.W_in.T), axis=-2), u.shape[-2]
        # the first slot is shifted out by the first step
        s = self._convolved([seen[..., i : i + steps, :] for i in range(1, 1 + self.kernel)])
        mixed, last = self.mixer.run(x[..., self.held :], s)
        return self._gated(mixed, u), concat(
            (seen[..., steps:, :].reshape(*x.shape[:-1], self.held), last)
        )

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """No inputs so far, and the mixer where it starts."""
        return np.concatenate((np.zeros(self.held), self.mixer.initial(rng)))

    def _taps(self, register):
        """The k steps of a register, oldest first, each (..., E)."""
        return [
            register[..., i * self.channels : (i + 1) * self.channels] for i in range(self.kernel)
        ]

    def _convolved(self, taps):
        z = self.b
        for i, tap in enumerate(taps):
            z = z + self.V[:, i] * tap
        return silu(z)

    def _gated(self, mixed, u):
        return (mixed * silu(u @ self.W_gate.T)) @ self.W_out.T

    def _input(self, x, u):
        """u, or zero input in its place."""
        return 0.0 * x[..., : self.inputs] if u is None else u

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int | None = None,
        *,
        rng: Rng = 0,
        kernel: int = 4,
        expand: int = 2,
        mixer: str = "selective",
        **options: Any,
    ) -> Mamba:
        """Random block, initialised as in the published code.

        Every map is uniform in +-1/sqrt of the number of what it reads, torch's default, the
        convolution and its bias in +-1/sqrt(k).

        Parameters
        ----------
        units : int
            Number H of inputs and outputs.
        inputs : int, optional
            Equal to units.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        kernel : int, optional
            Number k of steps that the convolution reads.
        expand : int, optional
            Channels E = expand H.
        mixer : {"selective", "s4d", "s5", "lru"}, optional
            Model of the E channels.
        **options
            Options of the mixer's ``random``; the step of "selective" has the rank H/16, rounded
            up, by default.

        Returns
        -------
        Mamba

        Raises
        ------
        ShapeError
            Where inputs and units differ.
        UnknownNameError
            For another mixer.
        TypeError
            For an option that neither the block nor the mixer takes.
        ValueError
            For an option out of its range.
        """
        units, kernel, rng = integer("units", units), integer("kernel", kernel), generator(rng)
        if inputs not in (None, units):
            raise ShapeError(
                f"inputs = {inputs}: Mamba has as many inputs as units, {units}: make them equal "
                "or use dm.models.get"
            )
        kind: Any = MIXERS.find(mixer)
        own = ("expand", "kernel", "mixer")
        check_options(f"mamba around {mixer}", options, [*random_options(kind), *own])
        if mixer == "selective":
            options = {"rank": -(-units // 16), **options}
        channels = integer("expand", expand) * units
        W_in, W_gate = rng.uniform(-1, 1, (2, channels, units)) / np.sqrt(units)
        V = rng.uniform(-1, 1, (channels, kernel)) / np.sqrt(kernel)
        b = rng.uniform(-1, 1, channels) / np.sqrt(kernel)
        inner = kind.random(channels, channels, rng=rng, **options)
        W_out = rng.uniform(-1, 1, (units, channels)) / np.sqrt(channels)
        return cls(W_in, W_gate, V, b, inner, W_out)
