"""The block of Mamba: a short convolution before a mixer of time, and a gate after it."""

from dataclasses import dataclass

import numpy as np

from ..arrays import concat, sigmoid
from ..errors import ShapeError, UnknownNameError
from ..runtime.validation import integer
from ..system import Map, as_system
from .cell import keep, matrix_shape, one_batch, one_batch_of_steps
from .diagonal import LRU, S5
from .selective import Selective
from .ssm import S4D

CORES = {"selective": Selective, "s4d": S4D, "s5": S5, "lru": LRU}


def silu(z):
    """z sigmoid(z), the activation of the block (Hendrycks and Gimpel 2016, as SiLU).

    >>> silu(np.array([0.0, 100.0])).tolist()
    [0.0, 100.0]
    """
    return z * sigmoid(z)


@dataclass(frozen=True, eq=False)
class Mamba(Map):
    """Block of Mamba (Gu and Dao 2023, figure 3): E channels of a mixer that see the last k steps,
    and a gate that the input sets.

    v_t = W_in u_t;  s_t = silu(b + sum over i < k of V_i v_(t-(k-1-i)));  y_t = W_out (mixer(s)_t
    silu(W_gate u_t)), products by channel.

    The convolution is causal, each channel by itself, and lets neighbouring inputs meet before the
    mixer decides what to keep: a selective scan alone takes its step, B and C from one input.
    Around a selective model it is the published block; around a linear recurrence, the form of
    Griffin's (De et al. 2024, figure 2), whose convolution has no activation and whose gate a GELU.

    Fields: W_in, W_gate (E, H), the two halves of torch's in_proj; V (E, k), the newest step last,
    and b (E,), conv1d; mixer, a Map of E inputs and outputs; W_out (H, E), out_proj. The state: the
    last k of v, oldest first, as the published conv_state, and then that of the mixer. Source: Gu
    and Dao (2023), arXiv:2312.00752, section 3.4; reference code ``mamba_simple.Mamba``.

    >>> block = Mamba.random(4, modes=3)
    >>> block.mixer.inputs, block.size
    (8, 56)
    """

    W_in: np.ndarray
    W_gate: np.ndarray
    V: np.ndarray
    b: np.ndarray
    mixer: Map
    W_out: np.ndarray
    square = True
    source = Selective.source

    def __post_init__(self):
        channels, width = matrix_shape(self, "W_in", "channels, inputs")
        _, kernel = matrix_shape(self, "V", "channels, kernel")
        keep(
            self,
            W_in=(channels, width),
            W_gate=(channels, width),
            V=(channels, kernel),
            b=(channels,),
            W_out=(width, channels),
        )
        inner = as_system(self.mixer, Map)
        if (inner.inputs, inner.outputs) != (channels, channels):
            raise ShapeError(
                f"W_in of Mamba gives {channels} channels and {type(inner).__name__} "
                f"has {inner.inputs} inputs and {inner.outputs} "
                "outputs: make all the same"
            )

    inputs = outputs = property(lambda self: self.W_in.shape[1])
    channels = property(lambda self: len(self.W_in))
    kernel = property(lambda self: self.V.shape[1])
    held = property(
        lambda self: self.kernel * self.channels,
        doc="Components of the state that the convolution holds.",
    )
    size = property(lambda self: self.held + self.mixer.size)

    @property
    def states(self):
        return tuple(
            f"v{age}_{i}" for age in reversed(range(self.kernel)) for i in range(self.channels)
        ) + tuple(self.mixer.states)

    def rule(self, x, u):
        x, u = one_batch(x, self._input(x, u))
        register = concat((x[..., self.channels : self.held], u @ self.W_in.T))
        return concat(
            (register, self.mixer.rule(x[..., self.held :], self._convolved(self._taps(register))))
        )

    def output(self, x, u):
        mixed = self.mixer.output(x[..., self.held :], self._convolved(self._taps(x)))
        return self._gated(mixed, self._input(x, u))

    def run(self, x, u):
        """Outputs (..., T, H) and last state (..., n), the convolution and the mixer each over the
        whole sequence."""
        x, u = one_batch_of_steps(x, u)
        register = x[..., : self.held].reshape(*x.shape[:-1], self.kernel, self.channels)
        seen, steps = concat((register, u @ self.W_in.T), axis=-2), u.shape[-2]
        # the first slot is shifted out by the first step
        s = self._convolved([seen[..., i : i + steps, :] for i in range(1, 1 + self.kernel)])
        mixed, last = self.mixer.run(x[..., self.held :], s)
        return self._gated(mixed, u), concat(
            (seen[..., steps:, :].reshape(*x.shape[:-1], self.held), last)
        )

    def initial(self, rng=0):
        """Nothing read, and the mixer where it starts."""
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
    def random(cls, units, inputs=None, *, rng=0, kernel=4, expand=2, mixer="selective", **options):
        """As the published code draws it: E = expand H channels, every map uniform in +-1/sqrt of
        what it reads, torch's default, the convolution and its bias in +-1/sqrt(k). mixer:
        "selective", whose step has the rank H/16, rounded up, by default; "s4d", "s5" or "lru";
        other options are the mixer's own."""
        units, kernel = integer("units", units, 1), integer("kernel", kernel, 1)
        if inputs not in (None, units):
            raise ShapeError(
                f"Mamba adds to what it reads: {inputs} inputs and {units} units "
                "differ, make them equal or use models.get"
            )
        if not isinstance(mixer, str) or mixer not in CORES:
            raise UnknownNameError("mixer of Mamba", mixer, CORES)
        taken = set(CORES[mixer].random.__func__.__kwdefaults__) - {"rng"}
        if unknown := set(options) - taken:
            raise TypeError(
                f"mamba around {mixer} takes no option {', '.join(sorted(unknown))}: "
                "it takes expand, kernel, mixer, "
                f"{', '.join(sorted(taken))}"
            )
        if mixer == "selective":
            options = {"rank": -(-units // 16), **options}
        channels, rng = integer("expand", expand, 1) * units, np.random.default_rng(rng)
        W_in, W_gate = rng.uniform(-1, 1, (2, channels, units)) / np.sqrt(units)
        V, b = (
            rng.uniform(-1, 1, (channels, kernel)) / np.sqrt(kernel),
            rng.uniform(-1, 1, channels) / np.sqrt(kernel),
        )
        core = CORES[mixer].random(channels, channels, rng=rng, **options)
        return cls(
            W_in, W_gate, V, b, core, rng.uniform(-1, 1, (units, channels)) / np.sqrt(channels)
        )
