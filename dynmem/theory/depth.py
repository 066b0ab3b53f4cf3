"""Depth: how the residual stream and its gradients grow from block to block, by the
place of the norm.

Mean field over wide random weights. The positions t, s of a sequence have the covariance K_ts of
the stream, per component, and the covariance G_ts of the gradient; a block of attention with scores
of zero (weights A_ts = 1/t on the past, as in Xiong et al. 2020) and a ReLU layer of H hidden units
makes of them, with rho = K_ts / sqrt(K_tt K_ss) and K^ the covariance that a branch sees (rho after
a norm, else K),

    attention     K -> alpha^2 K + a A K^ A^T
                  G -> alpha^2 G + a A^T G A / n
    feed-forward  K -> alpha^2 K + f sqrt(K^_tt K^_ss) k1(rho)
                  G -> alpha^2 G + f k0(rho) G / n

with a = gain^4, f = 2 gain^4 H d / (H + d)^2 (1/2 at H = d), k0 = 1 - arccos(rho)/pi, k1 = rho k0 +
sqrt(1 - rho^2)/pi (Cho and Saul 2009), and n = sqrt(K_tt K_ss) where a norm is placed before the
branch, else 1. A norm after the sum divides K and G by their n (the stream has size one).
Corrections are of the order of layers/d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.gradients.depth import (
    layer_report,
    parts as stack_parts,
    spectrum_report,
    stream_report,
)
from ..labels import dataset
from ..models import Attention, Dense
from ..models.residual import deepnorm
from ..runtime.validation import choice, integer, number, public
from ..system import System
from ..typing import ArrayLike, Drive, Rng
from .drive import drive_rms

if TYPE_CHECKING:
    from xarray import Dataset

PLACEMENTS = ("pre", "post", "deepnorm", "none")
SOURCE = (
    "Xiong et al. (2020), On layer normalization in the Transformer architecture; Wang et "
    "al. (2022), DeepNet"
)
DERIVED = (
    "derived in residual_growth; Haagerup and Schultz (2007); Kargin (2008); Xiong et al. "
    "(2020), lemma 2, for the stream"
)


@dataclass(frozen=True)
class Stack:
    """Residual blocks of causal attention with scores of zero and a ReLU layer, as
    ``models.get("attention", sharpness=0, ...)`` draws them."""

    layers: int
    placement: str
    steps: int
    width: int
    hidden: int
    alpha: float = 1.0
    gain: float = 1.0

    @classmethod
    def of_numbers(
        cls, layers: int, placement: str | None, steps: int, width: int | None, hidden: int | None
    ) -> Stack:
        """So many blocks as ``models.get`` draws them."""
        layers, steps = integer("number of blocks", layers), integer("steps", steps)
        placement = choice("placement", "pre" if placement is None else placement, PLACEMENTS)
        width = integer("width", 256 if width is None else width)
        hidden = width if hidden is None else integer("hidden", hidden)
        alpha, gain = deepnorm(layers) if placement == "deepnorm" else (1.0, 1.0)
        return cls(layers, placement, steps, width, hidden, alpha, gain)

    @classmethod
    def of_model(cls, model: Any, steps: int) -> tuple[Stack, tuple]:
        """The residual blocks of a model, and the layers before them."""
        before, blocks, _ = stack_parts(model)
        first: Any = blocks[0]
        for block in blocks:
            if not isinstance(block.mixer, Attention) or block.feedforward is None:
                raise TypeError(
                    "theory is known for blocks of attention and a feed-forward layer, got a block "
                    f"of {type(block.mixer).__name__}: measure it with dm.analysis"
                )
            if block.feedforward.activation != "relu":
                raise TypeError(
                    f"activation = {block.feedforward.activation!r}: theory is known for relu"
                )
        if len({(b.placement, b.alpha, len(b.feedforward.W1)) for b in blocks}) > 1:
            raise TypeError(
                "the blocks differ in placement, alpha or hidden units: theory is known "
                "for blocks of one shape"
            )
        # (8 layers)^(-1/4), DeepNorm's gain, from (2 layers)^(1/4), its alpha
        deep = first.alpha != 1.0
        gain = np.sqrt(0.5) / first.alpha if deep else 1.0
        hidden = len(first.feedforward.W1)
        placement = "deepnorm" if deep and first.placement == "post" else first.placement
        steps = integer("steps", steps)
        stack = cls(len(blocks), placement, steps, first.inputs, hidden, first.alpha, gain)
        return stack, before

    normed_sum = property(lambda self: self.placement in ("post", "deepnorm"))
    mixing = property(
        lambda self: (
            np.tril(np.ones((self.steps, self.steps))) / np.arange(1, self.steps + 1)[:, None]
        )
    )
    # variance of the feed-forward weights
    weight = property(lambda self: 2 * self.gain**2 / (self.hidden + self.width))

    @property
    def branches(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Variance that each branch adds to a stream of variance one, and what is lost of a
        direction inside it: attention, feed-forward."""
        return (self.gain**4, 1.0), (
            self.weight**2 * self.hidden * self.width / 2,
            2 * self.width / self.hidden,
        )

    def parts(self, K: np.ndarray) -> tuple[list, np.ndarray]:
        """Covariances seen by each branch, before and after the sum, and that of the output."""
        found = []
        for branch in (self._mixed, self._fed):
            seen = correlation(K) if self.placement == "pre" else K
            total = self.alpha**2 * K + branch(seen)
            found.append((seen, K, total))
            K = correlation(total) if self.normed_sum else total
        return found, K

    def _mixed(self, K):
        return self.branches[0][0] * self.mixing @ K @ self.mixing.T

    def _fed(self, K):
        return self.branches[1][0] * sizes(K) * arc_cosine(correlation(K))[1]

    def back(self, G: np.ndarray, parts: list) -> tuple[np.ndarray, Any]:
        """Covariance of the gradient at the block's input, and behind its feed-forward branch."""
        at_branch = None
        for i, (seen, K, total) in reversed(list(enumerate(parts))):
            if self.normed_sum:
                G = G / sizes(total)
            at_branch = G if i else at_branch
            through = (
                self.branches[1][0] * arc_cosine(correlation(seen))[0] * G
                if i
                else self.branches[0][0] * self.mixing.T @ G @ self.mixing
            )
            G = self.alpha**2 * G + (through / sizes(K) if self.placement == "pre" else through)
        return G, at_branch

    def described(self) -> dict:
        """Parameters for the attributes of a Dataset."""
        return {
            "layers": self.layers,
            "placement": self.placement,
            "steps": self.steps,
            "width": self.width,
            "hidden": self.hidden,
        }


def read_stack(
    system: System | int,
    drive: Drive,
    rng: Rng,
    *,
    placement: str | None,
    steps: int,
    width: int | None,
    hidden: int | None,
) -> tuple[Stack, float]:
    """The stack of a model or of a number of blocks, and the variance of the stream that enters."""
    if not isinstance(system, System):
        stack = Stack.of_numbers(system, placement, steps, width, hidden)
        return stack, number("drive", drive, above=0) ** 2
    if (placement, width, hidden) != (None, None, None):
        raise TypeError("placement, width and hidden are read from the system: leave them out")
    stack, before = Stack.of_model(system, steps)
    variance = number("rms of drive", drive_rms(system, drive, rng), above=0) ** 2
    for layer in before:
        if not isinstance(layer, Dense):
            raise TypeError(
                f"theory is known behind an encoder, got a {type(layer).__name__} before the blocks"
            )
        variance = float(np.mean((layer.V**2).sum(axis=1)) * variance + np.mean(layer.b**2))
    return stack, variance


def sizes(K: np.ndarray) -> np.ndarray:
    """sqrt(K_tt K_ss)."""
    root = np.sqrt(K.diagonal())
    return root[:, None] * root


def correlation(K: np.ndarray) -> np.ndarray:
    """K_ts / sqrt(K_tt K_ss), exactly one on the diagonal."""
    rho = np.clip(K / sizes(K), -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    return rho


def arc_cosine(rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernels k0 and k1 of a ReLU at correlation rho, both 1 at rho = 1: of its slope and of its
    value (Cho and Saul 2009, eq. 6)."""
    k0 = 1.0 - np.arccos(rho) / np.pi
    return k0, rho * k0 + np.sqrt(1.0 - rho * rho) / np.pi


@public
def stream_variance(
    system: System | int,
    *,
    drive: Drive = 1.0,
    placement: str | None = None,
    steps: int = 16,
    width: int | None = None,
    hidden: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Variance of the residual stream over depth at initialisation, and likeness of positions.

    The twin of ``dm.analysis.stream_variance``. "pre": every branch adds its variance, so that it
    grows linearly, at one position from 1 to 1 + 3 layers / 2 (H = d; attention's part lies between
    0 and 1 a block); "none": by factors, (1 + a)(1 + f) = 3 a block, without end; "post" and
    "deepnorm": one. Positions become alike, similarity -> 1 (rank collapse).

    Parameters
    ----------
    system : Network, Block or int
        The model, or a number of blocks, as for ``depth_spectrum``.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, default 1.0
        Input, as for ``depth_spectrum``.
    placement : str, optional
        Of a number of blocks: "pre" (default), "post", "deepnorm" or "none".
    steps : int, default 16
        Number of positions, independent at the start.
    width : int, optional
        Of a number of blocks: width d, by default 256.
    hidden : int, optional
        Of a number of blocks: hidden units H of the ReLU layer, by default the width.
    rng : int, Generator or None, default 0
        Seed of a drive that is a function.

    Returns
    -------
    xarray.Dataset
        variance : (layer,), 1
            Mean square of the residual stream, a component; layer 0 is the stream that enters.
        similarity : (layer,), 1
            Mean cosine between positions.

    Raises
    ------
    TypeError
        For a model without such blocks, and where sizes are given beside a model.
    ValueError
        For an unknown placement, and numbers that are out of range.

    References
    ----------
    Xiong et al. (2020), ICML, lemma 2; Dong, Cordonnier and Loukas (2021), ICML; Noci et al.
    (2022), NeurIPS 35, for rank collapse.

    Examples
    --------
    >>> import dynmem as dm
    >>> for placement in ("pre", "post", "none"):
    ...     found = dm.theory.stream_variance(10, placement=placement, steps=1)
    ...     print(float(found.variance[-1].round(6)))
    16.0
    1.0
    59049.0
    """
    given: dict = {"placement": placement, "steps": steps, "width": width, "hidden": hidden}
    stack, variance = read_stack(system, drive, rng, **given)
    K = variance * np.eye(stack.steps)
    stream = [K]
    for _ in range(stack.layers):
        stream.append(stack.parts(stream[-1])[1])
    return stream_report(
        np.array([K.diagonal().mean() for K in stream]),
        np.array([correlation(K).mean() for K in stream]),
        title=f"residual stream over depth, placement {stack.placement}",
        source=SOURCE,
        parameters=stack.described(),
    )


@public
def layer_gradients(
    system: System | int,
    *,
    drive: Drive = 1.0,
    placement: str | None = None,
    steps: int = 16,
    width: int | None = None,
    hidden: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Gradient at each residual block at initialisation, of a random linear loss.

    The loss is v . y with a random unit vector v. The twin of ``dm.analysis.layer_gradients``.
    "post": the gradient of the last block does not depend on depth, O(d sqrt(ln d)); "pre": the
    last norm divides it by the size of the stream, so that it falls as layers^(-1/2); "deepnorm":
    so it does, as beta/alpha, and is even over depth; "none": it grows with the stream. The
    model has no readout: its outputs are those of the last block (of the last norm, after "pre").

    Parameters
    ----------
    system : Network, Block or int
        The model, or a number of blocks, as for ``depth_spectrum``.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, default 1.0
        Input, as for ``depth_spectrum``.
    placement : str, optional
        Of a number of blocks: "pre" (default), "post", "deepnorm" or "none".
    steps : int, default 16
        Number of positions.
    width : int, optional
        Of a number of blocks: width d, by default 256.
    hidden : int, optional
        Of a number of blocks: hidden units H of the ReLU layer, by default the width.
    rng : int, Generator or None, default 0
        Seed of a drive that is a function.

    Returns
    -------
    xarray.Dataset
        input_gradient : (layer,), 1
            Norm of the gradient with respect to the stream that enters the block, root mean square
            over weights and v.
        feedforward_gradient : (layer,), 1
            Norm of the gradient with respect to W2 of the feed-forward layer.

    Raises
    ------
    TypeError
        For a model without such blocks, and where sizes are given beside a model.
    ValueError
        For an unknown placement, and numbers that are out of range.

    References
    ----------
    Xiong et al. (2020), ICML, theorem 1; Wang et al. (2022), arXiv:2203.00555 (DeepNet).

    Examples
    --------
    >>> import dynmem as dm
    >>> shallow, deep = (
    ...     dm.theory.layer_gradients(layers, placement="pre", steps=1) for layers in (8, 32)
    ... )
    >>> ratio = float(deep.feedforward_gradient[-1] / shallow.feedforward_gradient[-1])
    >>> round(float(np.log(ratio) / np.log(4)), 2)
    -0.48
    """
    given: dict = {"placement": placement, "steps": steps, "width": width, "hidden": hidden}
    stack, variance = read_stack(system, drive, rng, **given)
    K = variance * np.eye(stack.steps)
    passed = []
    for _ in range(stack.layers):
        found, K = stack.parts(K)
        passed.append(found)
    G = np.eye(stack.steps) / (stack.steps * stack.width)
    G = G / sizes(K) if stack.placement == "pre" else G
    by_input, by_weight = [], []
    for found in reversed(passed):
        G, at_branch = stack.back(G, found)
        seen = found[1][0]
        activity = (
            stack.hidden
            * stack.width
            * stack.weight
            / 2
            * sizes(seen)
            * arc_cosine(correlation(seen))[1]
        )
        by_input.append(stack.width * np.trace(G))
        by_weight.append(stack.width * (at_branch * activity).sum())
    return layer_report(
        {"input_gradient": by_input[::-1], "feedforward_gradient": by_weight[::-1]},
        source=SOURCE,
        parameters=stack.described(),
        title=f"gradient over depth, placement {stack.placement}",
    )


@public
def depth_spectrum(
    system: System | int,
    *,
    drive: Drive = 1.0,
    placement: str | None = None,
    width: int | None = None,
    hidden: int | None = None,
    exponents: int | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Lyapunov spectrum over depth of a single position at initialisation.

    The twin of ``dm.analysis.depth_spectrum``. A branch of independent random weights adds to the
    identity a Jacobian R, of relative variance chi: f/alpha^2 for a stream of size one,
    f/(alpha^2 q) under Pre-Norm, where q is the variance of the stream. Directions then grow by
    1/2 ln D, kappa = i/d being the share of those that grow faster (``residual_growth``): the first
    by 1/2 ln(1 + chi). A norm after the sum divides by sqrt(1 + chi). So

        none  first exponent 1/2 ln (1 + a)(1 + f) a block, 1/2 ln 3 at H = d: exponential in depth;
        post  0: a norm takes back exactly what the branch gave, the others are negative;
        pre   1/2 ln(q_l / q_(l-1)), about 1/(2 l): the sum over depth is 1/2 ln(q_L / q_0), a power
              law, the i-th direction growing as q_L^((1 - 2 kappa)/2) once q is large, and no
              exponential: every exponent goes to 0 as ln(layers)/layers.

    Parameters
    ----------
    system : Network, Block or int
        A Network of residual blocks of attention and a ReLU layer (``models.get("attention",
        placement=..., feedforward=...)``) or one Block, whose number of blocks, placement, width,
        hidden units and alpha are read; or a number of blocks, with the arguments below.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, default 1.0
        Input of the model, as its root mean square: the standard deviation of white noise, or that
        of an array or a function (rng, steps). Of a number of blocks it is a number, the root mean
        square of the stream that enters.
    placement : str, optional
        Of a number of blocks: "pre" (default), "post", "deepnorm" or "none".
    width : int, optional
        Of a number of blocks: width d, by default 256.
    hidden : int, optional
        Of a number of blocks: hidden units H of the ReLU layer, by default the width.
    exponents : int, optional
        Number of exponents, by default all d.
    rng : int, Generator or None, default 0
        Seed of a drive that is a function.

    Returns
    -------
    xarray.Dataset
        lyapunov : (exponent,), 1/block
            Mean growth of a direction over depth.
        lyapunov_error : (exponent,), 1/block
            0: the formula is exact for infinite width.
        growth : (layer, exponent), nat
            Growth of a direction at one block.

    Raises
    ------
    TypeError
        For a model without such blocks, and where sizes are given beside a model.
    ValueError
        For an unknown placement, and numbers that are out of range.

    Notes
    -----
    It holds to O(1/d), save for the one or two directions that a norm takes out.

    References
    ----------
    Derived in ``residual_growth``; Haagerup and Schultz (2007), J. Funct. Anal. 252, 1; Kargin
    (2008); Xiong et al. (2020), ICML, lemma 2, for the stream.

    Examples
    --------
    >>> import dynmem as dm
    >>> for placement in ("none", "post", "pre"):
    ...     found = dm.theory.depth_spectrum(16, placement=placement, exponents=1)
    ...     print(found.lyapunov.values.round(3).tolist())
    [0.548]
    [-0.002]
    [0.1]
    """
    given: dict = {"placement": placement, "steps": 1, "width": width, "hidden": hidden}
    stack, q = read_stack(system, drive, rng, **given)
    kept = stack.width if exponents is None else min(integer("exponents", exponents), stack.width)
    kappa, growth = (np.arange(kept) + 0.5) / stack.width, np.zeros((stack.layers, kept))
    for layer in range(stack.layers):
        for added, loss in stack.branches:
            chi = added / stack.alpha**2 / (q if stack.placement == "pre" else 1.0)
            growth[layer] += np.log(stack.alpha) + 0.5 * np.log(residual_growth(kappa, chi, loss))
            total = stack.alpha**2 * q + added * (1.0 if stack.placement == "pre" else q)
            if stack.normed_sum:
                growth[layer] -= 0.5 * np.log(total)
            q = 1.0 if stack.normed_sum else total
    return spectrum_report(
        growth.mean(axis=0),
        growth,
        np.zeros(kept),
        title=f"spectrum over depth, placement {stack.placement}",
        source=DERIVED,
        parameters=stack.described(),
    )


@public
def residual_growth(kappa: ArrayLike, chi: ArrayLike, loss: float = 0.0) -> np.ndarray:
    """Squared growth D of the direction at the share kappa under 1 + R, R a random branch.

    R is a product of independent Gaussian matrices of variance chi. R alone makes a direction at
    the share p grow by D_R = chi (1 - p)(1 - loss p): one square Gaussian matrix has loss 0, two
    have 1, a ReLU layer of H hidden units, half of them active, 2 d/H. R is free of 1 and its
    phases are uniform (R-diagonal), so the symmetrised laws of the singular values add freely; with
    Lyapunov exponents -1/2 ln S(-kappa) that is, in a parameter p1,

        p/(1 - loss p) = chi p1 (1 - p1),   kappa = p1 + p,   D = kappa (1 - kappa)/(p1 (1 - p1)).

    At loss 0: D = 1/2 [1 + chi - 2 chi kappa + sqrt((1 + chi)^2 - 4 chi kappa)], from 1 + chi down
    to 1 - chi (or 0); for small chi at any loss 1 + chi (1 - 2 kappa), the exponents of isotropic
    Brownian flows.

    Parameters
    ----------
    kappa : float or array_like
        Shares in (0, 1).
    chi : float or array_like
        Variance of the branch.
    loss : float, default 0.0
        Loss of a direction inside the branch.

    Returns
    -------
    numpy.ndarray
        D, of the shape of kappa and chi together.

    References
    ----------
    Haagerup and Schultz (2007), J. Funct. Anal. 252, 1; Kargin (2008), Probab. Theory Relat.
    Fields 140, 297; Le Jan (1985), for the Brownian flows.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.theory.residual_growth(np.array([1e-9, 0.5]), 0.5).round(6).tolist()
    [1.5, 1.059017]
    """

    def inner(p1):
        return chi * p1 * (1 - p1) / (1 + loss * chi * p1 * (1 - p1))

    kappa = np.asarray(kappa, float)
    low, high = np.zeros_like(kappa), np.ones_like(kappa)
    grid = np.linspace(0, 1, 4097)
    # kappa(p1) is concave: the root sought lies before its top
    high = high * grid[np.argmax(grid + inner(grid))]
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = middle + inner(middle) < kappa
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return kappa * (1 - kappa) / (high * (1 - high))


@public
def update_bound(layers: int, *, placement: str = "deepnorm") -> Dataset:
    """Bound on how far one step of gradient descent moves the output of a stack, over the rate.

    For norms after the sum abs(dF) <= sum over the 2 layers branches of (v^2 + w^2)/alpha^2, v and
    w the scales of a branch's two matrices: 4 layers for plain Post-Norm (v = w = alpha = 1), 1 for
    DeepNorm at every depth (v = w = beta).

    Parameters
    ----------
    layers : int
        Number of blocks.
    placement : str, default "deepnorm"
        "deepnorm" or "post"; the theorem covers no others.

    Returns
    -------
    xarray.Dataset
        update_bound : (), 1
            Bound on the change of the output, over the rate.

    Raises
    ------
    ValueError
        For other placements.

    References
    ----------
    Wang et al. (2022), arXiv:2203.00555 (DeepNet), theorem 4.2 and section 4.3.

    Examples
    --------
    >>> import dynmem as dm
    >>> float(dm.theory.update_bound(100, placement="post").update_bound)
    400.0
    >>> round(float(dm.theory.update_bound(100, placement="deepnorm").update_bound), 9)
    1.0
    """
    placement = choice("placement", placement, ("post", "deepnorm"))  # norms after the sum
    stack = Stack.of_numbers(layers, placement, 1, 1, None)
    bound = 4 * stack.layers * stack.gain**2 / stack.alpha**2
    return dataset(
        {"update_bound": ((), bound, "1", "bound on the change of the output, over the rate")},
        title="bound on one update",
        source="Wang et al. (2022), DeepNet, theorem 4.2",
        parameters={"layers": layers, "placement": placement},
    )
