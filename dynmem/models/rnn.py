"""Plain recurrent networks: linear, tanh, rectified, orthogonal."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import cayley, relu, sign, tanh, transpose
from ..runtime.validation import integer, number
from .cell import Cell

PLAIN = {"W": "N,N", "V": "N,D", "b": "N"}


@dataclass(frozen=True, eq=False)
class Linear(Cell):
    """Linear recurrent network: x_t = (1 - d) x_(t-1) + d (W x_(t-1) + V u_t + b), with leak d.

    Fields: W (N, N), V (N, D) and b (N,) or None, leak in (0, 1]. One step lasts d units of time,
    so that exponents come out as ln|1 - d + d mu| / d for the eigenvalues mu of W.

    >>> Linear(np.diag([0.9, 0.5])).rule(np.ones(2), None).tolist()
    [0.9, 0.5]
    """

    W: np.ndarray
    V: np.ndarray | None = None
    b: np.ndarray | None = None
    leak: float = 1.0
    shapes = PLAIN
    neutral = {"leak": 1.0}

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.leak <= 1:
            raise ValueError(
                f"leak = {self.leak}: must lie in (0, 1]; 1 is the network without leak"
            )

    @property
    def dt(self):
        return self.leak

    @property
    def plain(self):
        return isinstance(self.leak, float) and self.leak == 1.0

    def activation(self, z):
        return z

    def initial(self, rng=0):
        """Rest: what a linear network forgets does not depend on where it is, and an unstable one
        would leave any other start."""
        return np.zeros(self.size)

    def rule(self, x, u):
        new = self.activation(self.drive(u, x @ self.W.T + self.b))
        return new if self.plain else (1 - self.leak) * x + self.leak * new

    @classmethod
    def random(
        cls,
        units,
        inputs=0,
        *,
        rng=0,
        gain=1.0,
        input_gain=1.0,
        bias_sd=0.0,
        leak=1.0,
        init="gaussian",
    ):
        """Random network: init "gaussian" W ~ N(0, gain^2/N), "orthogonal" gain times a Haar
        orthogonal matrix, "identity" gain times I, "uniform" torch's U(+-1/sqrt N); V ~ N(0,
        input_gain^2/D), b ~ N(0, bias_sd^2)."""
        rng = np.random.default_rng(rng)
        made = cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd)
        if init == "orthogonal":
            made["W"] = gain * haar(units, rng)
        elif init == "identity":
            made["W"] = gain * np.eye(units)
        elif init == "uniform":
            made = cls.uniform(units, inputs, rng)
        elif init != "gaussian":
            raise ValueError(
                f"init must be gaussian, orthogonal, identity or uniform, got {init!r}"
            )
        return cls(**made, leak=number("leak", leak))


@dataclass(frozen=True, eq=False)
class Tanh(Linear):
    """Tanh network (Elman): h_t = (1 - d) h_(t-1) + d tanh(W h_(t-1) + V u_t + b), with leak d;
    fields as for Linear.

    With d = 1 it is ``torch.nn.RNN``. Its exponents are those of x <- (1 - d) x + d W tanh(x), the
    form of Sompolinsky, Crisanti and Sommers (1988), since x = W h carries one into the other.

    >>> Tanh.zeros(2).rule(np.ones(2), None).tolist()
    [0.0, 0.0]
    """

    initial = Cell.initial
    kernel = "rnn_tanh"

    def activation(self, z):
        return tanh(z)


@dataclass(frozen=True, eq=False)
class Relu(Linear):
    """Rectified network: h_t = (1 - d) h_(t-1) + d max(0, W h_(t-1) + V u_t + b);
    ``random(init="identity")`` is the IRNN (Le et al. 2015).

    >>> Relu(-np.eye(1)).rule(np.ones(1), None).tolist()
    [0.0]
    """

    initial = Cell.initial
    kernel = "rnn_relu"

    def activation(self, z):
        return relu(z)


@dataclass(frozen=True, eq=False)
class Orthogonal(Cell):
    """Network whose recurrent matrix is orthogonal by construction: h_t = phi(W h_(t-1) + V u_t [+
    b]), W = cayley(A - A^T).

    Fields: A (N, N), of which only the skew part counts, V (N, D), b (N,), nonlinearity: "identity"
    and "tanh" add b inside, "modrelu" is sign(z) max(0, |z| + b) (Arjovsky, Shah and Bengio 2016,
    real form; Helfrich, Willmott and Ye 2018).

    >>> cell = Orthogonal.random(4)
    >>> bool(np.allclose(cell.W @ cell.W.T, np.eye(4), atol=1e-14))
    True
    """

    A: np.ndarray
    V: np.ndarray | None = None
    b: np.ndarray | None = None
    nonlinearity: str = "identity"
    shapes = {"A": "N,N", "V": "N,D", "b": "N"}

    def __post_init__(self):
        super().__post_init__()
        if self.nonlinearity not in ("identity", "tanh", "modrelu"):
            raise ValueError(
                f"nonlinearity must be identity, tanh or modrelu, got {self.nonlinearity!r}"
            )

    @cached_property
    def W(self):
        """The orthogonal matrix, shape (N, N), to rounding: an angle near pi costs the transform
        digits, which one Newton step restores."""
        W = cayley(self.A - transpose(self.A))
        return (
            1.5 * W - 0.5 * W @ (W.T @ W) if isinstance(W, np.ndarray) and W.dtype != object else W
        )

    def rule(self, x, u):
        z = self.drive(u, x @ self.W.T)
        if self.nonlinearity == "modrelu":
            return sign(z) * relu(abs(z) + self.b)
        return tanh(z + self.b) if self.nonlinearity == "tanh" else z + self.b

    @classmethod
    def random(
        cls,
        units,
        inputs=0,
        *,
        rng=0,
        input_gain=1.0,
        bias_sd=0.0,
        nonlinearity="identity",
        angle=np.pi,
    ):
        """Random rotation with eigenvalues exp(+-i theta), theta uniform in (0, angle), in a Haar
        random basis; V and b Gaussian."""
        rng = np.random.default_rng(rng)
        made = cls.gaussian(units, inputs, rng, 1.0, input_gain, bias_sd)
        del made["W"]
        return cls(A=skew(units, rng, angle), nonlinearity=nonlinearity, **made)


def haar(n, rng):
    """Orthogonal matrix (n, n), uniform in the Haar measure (Stewart 1980: QR of a Gaussian matrix
    with the signs of R)."""
    q, r = np.linalg.qr(np.random.default_rng(rng).standard_normal((n, n)))
    return q * np.sign(np.diagonal(r))


def skew(units, rng, angle):
    """A with cayley(A - A^T) a random rotation by angles theta uniform in (0, angle): A - A^T has
    blocks -+tan(theta/2)."""
    integer("units", units, 1)
    if not 0 < number("angle", angle) <= np.pi:
        raise ValueError(f"angle = {angle}: must lie in (0, pi]")
    rng = np.random.default_rng(rng)
    blocks, theta = np.zeros((units, units)), rng.uniform(0, angle, units // 2)
    even = 2 * np.arange(units // 2)
    blocks[even, even + 1] = np.tan(theta / 2) / 2
    blocks[even + 1, even] = -np.tan(theta / 2) / 2
    basis = haar(units, rng)
    return basis @ blocks @ basis.T
