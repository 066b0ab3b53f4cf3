"""Plain recurrent networks: linear, tanh, rectified, orthogonal."""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np

from ..arrays import cayley, relu, sign, tanh, transpose
from ..runtime.validation import choice, generator, integer, number
from ..typing import Array, Rng
from .cell import Cell

__all__ = ["Linear", "Orthogonal", "Relu", "Tanh"]

RECURRENT_SHAPES = {"W": "N,N", "V": "N,D", "b": "N"}
INITS = ("gaussian", "orthogonal", "identity", "uniform")
NONLINEARITIES = ("identity", "tanh", "modrelu")


class Linear(Cell):
    """Linear recurrent network.

        x_t = (1 - d) x_(t-1) + d (W x_(t-1) + V u_t + b)

    Parameters
    ----------
    W : array_like (N, N)
        Recurrent weights.
    V : array_like (N, D), optional
        Input weights; None for a network without input.
    b : array_like (N,), optional
        Bias; None for zero.
    leak : float in (0, 1], optional
        The leak d, also the duration ``dt`` of one step.

    Raises
    ------
    ShapeError, TypeError, NotFiniteError
        For arrays that do not fit, are not real or hold NaN.
    ValueError
        For a leak outside (0, 1].

    Notes
    -----
    The state is x (N,), which is the output too. One step lasts d units of time, so that the
    exponents are ln|1 - d + d mu| / d for the eigenvalues mu of W.

    References
    ----------
    Jaeger, Lukosevicius, Popovici and Siewert (2007), Neural Networks 20, 335, eq. 2, for the leak.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Linear([[0.9, 0], [0, 0.5]]).rule(np.ones(2), None).tolist()
    [0.9, 0.5]
    """

    W: Array
    V: Array = None
    b: Array = None
    leak: float = 1.0
    shapes = RECURRENT_SHAPES
    neutral = {"leak": 1.0}
    source = "Jaeger, Lukosevicius, Popovici and Siewert (2007), Neural Networks 20, 335"

    def __post_init__(self) -> None:
        super().__post_init__()
        number("leak", self.leak, above=0, most=1)

    @property
    def dt(self) -> float:
        """Duration of one step, the leak."""
        return self.leak

    @property
    def plain(self) -> bool:  # type: ignore[override]
        """Whether there is no leak, as torch's kernels assume."""
        return isinstance(self.leak, float) and self.leak == 1.0

    def activation(self, z: Array) -> Array:
        """Activation function, here the identity."""
        return z

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """Rest, the state 0: what a linear network forgets does not depend on where it is, and an
        unstable one would leave any other start.
        """
        return np.zeros(self.size)

    def rule(self, x: Array, u: Array | None) -> Array:
        new = self.activation(self.driven(x @ self.W.T + self.b, u))
        return new if self.plain else (1 - self.leak) * x + self.leak * new

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        gain: float = 1.0,
        input_gain: float = 1.0,
        bias_sd: float = 0.0,
        leak: float = 1.0,
        init: str = "gaussian",
    ) -> Self:
        """Random network.

        Parameters
        ----------
        units : int
            Number N of units.
        inputs : int, optional
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        gain : float of at least 0, optional
            Scale of W.
        input_gain : float of at least 0, optional
            V ~ N(0, input_gain^2/D).
        bias_sd : float of at least 0, optional
            b ~ N(0, bias_sd^2).
        leak : float in (0, 1], optional
            The leak d.
        init : {"gaussian", "orthogonal", "identity", "uniform"}, optional
            W ~ N(0, gain^2/N); gain times a Haar orthogonal matrix; gain times the identity; or W,
            V and b uniform in +-1/sqrt(N), as torch draws them, without a gain.

        Returns
        -------
        Linear, or the class it is called on

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        rng, init = generator(rng), choice("init", init, INITS)
        arrays = cls.gaussian(units, inputs, rng, gain, input_gain, bias_sd)
        if init == "orthogonal":
            arrays["W"] = gain * haar(units, rng)
        elif init == "identity":
            arrays["W"] = gain * np.eye(units)
        elif init == "uniform":
            arrays = cls.uniform(units, inputs, rng)
        return cls(**arrays, leak=number("leak", leak, above=0, most=1))


class Tanh(Linear):
    """Tanh network (Elman).

        h_t = (1 - d) h_(t-1) + d tanh(W h_(t-1) + V u_t + b)

    Parameters
    ----------
    W : array_like (N, N)
        Recurrent weights.
    V : array_like (N, D), optional
        Input weights; None for a network without input.
    b : array_like (N,), optional
        Bias; None for zero.
    leak : float in (0, 1], optional
        The leak d, also the duration ``dt`` of one step.

    Notes
    -----
    The state is h (N,), which is the output too. With d = 1 it is ``torch.nn.RNN``. Its exponents
    are those of x <- (1 - d) x + d W tanh(x), the form of Sompolinsky, Crisanti and Sommers, since
    x = W h turns one into the other.

    References
    ----------
    Elman (1990), Cognitive Science 14, 179. Sompolinsky, Crisanti and Sommers (1988), Physical
    Review Letters 61, 259, eq. 1.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Tanh.zeros(2).rule(np.ones(2), None).tolist()
    [0.0, 0.0]
    """

    initial = Cell.initial
    kernel = "rnn_tanh"
    source = "Elman (1990), Cognitive Science 14, 179; Sompolinsky et al. (1988), PRL 61, 259"

    def activation(self, z: Array) -> Array:
        """Activation function, here tanh."""
        return tanh(z)


class Relu(Linear):
    """Rectified network; with ``random(init="identity")`` the IRNN.

        h_t = (1 - d) h_(t-1) + d max(0, W h_(t-1) + V u_t + b)

    Parameters
    ----------
    W : array_like (N, N)
        Recurrent weights.
    V : array_like (N, D), optional
        Input weights; None for a network without input.
    b : array_like (N,), optional
        Bias; None for zero.
    leak : float in (0, 1], optional
        The leak d, also the duration ``dt`` of one step.

    Notes
    -----
    The state is h (N,), which is the output too.

    References
    ----------
    Le, Jaitly and Hinton (2015), arXiv:1504.00941.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.models.Relu([[-1.0]]).rule(np.ones(1), None).tolist()
    [0.0]
    """

    initial = Cell.initial
    kernel = "rnn_relu"
    source = "Le, Jaitly and Hinton (2015), arXiv:1504.00941"

    def activation(self, z: Array) -> Array:
        """Activation function, here max(0, z)."""
        return relu(z)


class Orthogonal(Cell):
    """Network whose recurrent matrix is orthogonal by construction.

        h_t = phi(W h_(t-1) + V u_t),  W = cayley(A - A^T) = (1 - A + A^T)^-1 (1 + A - A^T)

    Parameters
    ----------
    A : array_like (N, N)
        Generator, of which only the skew part counts.
    V : array_like (N, D), optional
        Input weights; None for a network without input.
    b : array_like (N,), optional
        Bias; None for zero.
    nonlinearity : {"identity", "tanh", "modrelu"}, optional
        "identity" and "tanh" add b inside phi; "modrelu" is sign(z) max(0, abs(z) + b).

    Notes
    -----
    The state is h (N,), which is the output too. With "identity" every exponent is 0.

    References
    ----------
    Helfrich, Willmott and Ye (2018), ICML, eq. 4. Arjovsky, Shah and Bengio (2016), ICML, eq. 8,
    for modrelu, here in its real form.

    Examples
    --------
    >>> import dynmem as dm
    >>> cell = dm.models.Orthogonal.random(4)
    >>> bool(np.allclose(cell.W @ cell.W.T, np.eye(4), atol=1e-14))
    True
    """

    A: Array
    V: Array = None
    b: Array = None
    nonlinearity: str = "identity"
    shapes = {"A": "N,N", "V": "N,D", "b": "N"}
    source = "Helfrich, Willmott and Ye (2018), ICML; Arjovsky, Shah and Bengio (2016), ICML"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("nonlinearity", self.nonlinearity, NONLINEARITIES)

    @cached_property
    def W(self) -> Array:
        """The orthogonal matrix, shape (N, N), to rounding: an angle near pi costs the transform
        digits, which one Newton step restores.
        """
        W = cayley(self.A - transpose(self.A))
        return (
            1.5 * W - 0.5 * W @ (W.T @ W) if isinstance(W, np.ndarray) and W.dtype != object else W
        )

    def rule(self, x: Array, u: Array | None) -> Array:
        z = self.driven(x @ self.W.T, u)
        if self.nonlinearity == "modrelu":
            return sign(z) * relu(abs(z) + self.b)
        return tanh(z + self.b) if self.nonlinearity == "tanh" else z + self.b

    @classmethod
    def random(
        cls,
        units: int,
        inputs: int = 0,
        *,
        rng: Rng = 0,
        input_gain: float = 1.0,
        bias_sd: float = 0.0,
        nonlinearity: str = "identity",
        angle: float = np.pi,
    ) -> Orthogonal:
        """Random rotation with eigenvalues exp(+-i theta) in a Haar random basis.

        Parameters
        ----------
        units : int
            Number N of units.
        inputs : int, optional
            Number D of inputs.
        rng : int, numpy.random.Generator or None, optional
            Seed or generator of the weights.
        input_gain : float of at least 0, optional
            V ~ N(0, input_gain^2/D).
        bias_sd : float of at least 0, optional
            b ~ N(0, bias_sd^2).
        nonlinearity : {"identity", "tanh", "modrelu"}, optional
            The function phi.
        angle : float in (0, pi], optional
            The angles theta are uniform in (0, angle).

        Returns
        -------
        Orthogonal

        Raises
        ------
        ValueError
            For an option out of its range.
        """
        rng = generator(rng)
        arrays = cls.gaussian(units, inputs, rng, 1.0, input_gain, bias_sd)
        del arrays["W"]
        return cls(A=skew(units, rng, angle), nonlinearity=nonlinearity, **arrays)


def haar(n: int, rng: Rng) -> np.ndarray:
    """Orthogonal matrix (n, n), uniform in the Haar measure: QR of a Gaussian matrix with the signs
    of R (Stewart 1980).
    """
    q, r = np.linalg.qr(generator(rng).standard_normal((n, n)))
    return q * np.sign(np.diagonal(r))


def skew(units: int, rng: Rng, angle: float) -> np.ndarray:
    """A with cayley(A - A^T) a random rotation by angles theta uniform in (0, angle): A - A^T has
    blocks -+tan(theta/2).
    """
    units, angle = integer("units", units), number("angle", angle, above=0, most=np.pi)
    rng = generator(rng)
    blocks, theta = np.zeros((units, units)), rng.uniform(0, angle, units // 2)
    even = 2 * np.arange(units // 2)
    blocks[even, even + 1] = np.tan(theta / 2) / 2
    blocks[even + 1, even] = -np.tan(theta / 2) / 2
    basis = haar(units, rng)
    return basis @ blocks @ basis.T
