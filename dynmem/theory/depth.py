"""Depth on paper: how the residual stream and its gradients grow from block to block, by where the
norm stands.

Mean field over wide random weights. The positions t, s of a sequence have the covariance K_ts of
the stream, per component, and the covariance G_ts of the gradient; a block of attention with scores
of zero (weights A_ts = 1/t on the past, as in Xiong et al. 2020) and a ReLU layer of H hidden units
makes of them, with rho = K_ts / sqrt(K_tt K_ss) and K^ the covariance that a branch sees (rho after
a norm, else K),

    attention     K -> alpha^2 K + a A K^ A^T                         G -> alpha^2 G + a A^T G A / n
    feed-forward  K -> alpha^2 K + f sqrt(K^_tt K^_ss) k1(rho)          G -> alpha^2 G + f k0(rho) G
    / n

with a = gain^4, f = 2 gain^4 H d / (H + d)^2 (1/2 at H = d), k0 = 1 - arccos(rho)/pi, k1 = rho k0 +
sqrt(1 - rho^2)/pi (Cho and Saul 2009), and n = sqrt(K_tt K_ss) where a norm stands before the
branch, else 1. A norm after the sum divides K and G by their n (the stream has size one).
Corrections are of the order of layers/d.
"""

from dataclasses import dataclass

import numpy as np

from ..analysis.gradients.depth import layer_report, spectrum_report, stream_report
from ..labels import dataset
from ..models.residual import deepnorm
from .checks import count, positive

PLACED = ("pre", "post", "deepnorm", "none")
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

    @classmethod
    def checked(cls, layers, placement, steps, width, hidden):
        """The same, refused where a number cannot be."""
        if placement not in PLACED:
            raise ValueError(f"placement must be one of {', '.join(PLACED)}, got {placement!r}")
        width = count("width", width)
        return cls(
            count("layers", layers),
            placement,
            count("steps", steps),
            width,
            width if hidden is None else count("hidden", hidden),
        )

    alpha = property(lambda self: deepnorm(self.layers)[0] if self.placement == "deepnorm" else 1.0)
    gain = property(lambda self: deepnorm(self.layers)[1] if self.placement == "deepnorm" else 1.0)
    normed_sum = property(lambda self: self.placement in ("post", "deepnorm"))
    mixing = property(
        lambda self: (
            np.tril(np.ones((self.steps, self.steps))) / np.arange(1, self.steps + 1)[:, None]
        )
    )
    # variance of the feed-forward weights
    weight = property(lambda self: 2 * self.gain**2 / (self.hidden + self.width))

    @property
    def branches(self):
        """Variance that each branch adds to a stream of variance one, and what is lost of a
        direction inside it: attention, feed-forward."""
        return (self.gain**4, 1.0), (
            self.weight**2 * self.hidden * self.width / 2,
            2 * self.width / self.hidden,
        )

    def parts(self, K):
        """Covariances (seen by the branch, before and after the sum) of the parts of a block, and
        the covariance it hands on."""
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

    def back(self, G, parts):
        """Covariance of the gradient at the block's input, and at the output of its feed-forward
        branch."""
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

    def told(self):
        """Parameters for the attributes of a Dataset."""
        return {
            "layers": self.layers,
            "placement": self.placement,
            "steps": self.steps,
            "width": self.width,
            "hidden": self.hidden,
        }


def sizes(K):
    """sqrt(K_tt K_ss)."""
    root = np.sqrt(K.diagonal())
    return root[:, None] * root


def correlation(K):
    """K_ts / sqrt(K_tt K_ss), exactly one on the diagonal."""
    rho = np.clip(K / sizes(K), -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    return rho


def arc_cosine(rho):
    """Kernels k0 and k1 of a ReLU at correlation rho, both 1 at rho = 1: of its slope and of its
    value (Cho and Saul 2009, eq. 6)."""
    k0 = 1.0 - np.arccos(rho) / np.pi
    return k0, rho * k0 + np.sqrt(1.0 - rho * rho) / np.pi


def stream_variance(layers, *, placement="pre", steps=16, width=256, hidden=None, variance=1.0):
    """Variance of the residual stream over depth at initialisation, and how alike its positions
    have become.

    "pre": every branch adds its variance, so that it grows linearly, at one position from 1 to 1 +
    3 layers / 2 (H = d; Xiong et al. 2020, lemma 2, where attention's part lies between 0 and 1 a
    block); "none": by factors, (1 + a)(1 + f) = 3 a block, without end; "post" and "deepnorm": one.
    Positions become one another's likeness, similarity -> 1 (rank collapse: Dong et al. 2021; Noci
    et al. 2022).

    layers: number of blocks; placement "pre", "post", "deepnorm" or "none"; steps, positions,
    independent at the start; width d; hidden H, by default d; variance of the stream that enters.
    Returns variance(layer) and similarity(layer), means over positions and over all pairs of them;
    layer 0 is the stream that enters. Twin of ``dm.analysis.stream_variance``.

    >>> [stream_variance(10, placement=p, steps=1).variance.values[-1].round(6) for p in ("pre", "post", "none")]
    [np.float64(16.0), np.float64(1.0), np.float64(59049.0)]
    """
    stack, K = (
        Stack.checked(layers, placement, steps, width, hidden),
        positive("variance", variance) * np.eye(count("steps", steps)),
    )
    stream = [K]
    for _ in range(stack.layers):
        stream.append(stack.parts(stream[-1])[1])
    return stream_report(
        np.array([K.diagonal().mean() for K in stream]),
        np.array([correlation(K).mean() for K in stream]),
        title=f"residual stream over depth, placement {placement}",
        source=SOURCE,
        parameters=stack.told(),
    )


def layer_gradients(layers, *, placement="pre", steps=16, width=256, hidden=None, variance=1.0):
    """Gradient at each residual block at initialisation, of a loss v . y with a random unit vector
    v: the twin of ``dm.analysis.layer_gradients``.

    "post": that of the last block does not depend on depth, O(d sqrt(ln d)) in Xiong et al. (2020,
    theorem 1); "pre": the last norm divides it by the size of the stream, so that it falls as
    layers^(-1/2); "deepnorm": so it does, as beta/alpha, and is even over depth; "none": it grows
    with the stream.

    Parameters as for ``stream_variance``; the model has no readout, its outputs are those of the
    last block (of the last norm, after "pre"). Returns input_gradient(layer) and
    feedforward_gradient(layer), root mean squares over weights and v.

    >>> last = [[layer_gradients(n, placement=p, steps=1).feedforward_gradient.values[-1] for n in (8, 32)] for p in ("post", "pre")]
    >>> [round(float(np.log(deep / shallow) / np.log(4)), 2) for shallow, deep in last]
    [0.0, -0.48]
    """
    stack, K = (
        Stack.checked(layers, placement, steps, width, hidden),
        positive("variance", variance) * np.eye(count("steps", steps)),
    )
    passed = []
    for _ in range(stack.layers):
        found, K = stack.parts(K)
        passed.append(found)
    G = np.eye(stack.steps) / (stack.steps * stack.width)
    G = G / sizes(K) if placement == "pre" else G
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
        parameters=stack.told(),
        title=f"gradient over depth, placement {placement}",
    )


def depth_spectrum(
    layers, *, placement="pre", width=256, hidden=None, variance=1.0, exponents=None
):
    """Lyapunov spectrum over depth of a single position at initialisation: the twin of
    ``dm.analysis.depth_spectrum``.

    A branch of independent random weights adds to the identity a Jacobian R, of relative variance
    chi: f/alpha^2 for a stream of size one, f/(alpha^2 q) under Pre-Norm, where q is the variance
    of the stream. Directions then grow by 1/2 ln D, kappa = i/d being the share of those that grow
    faster (``residual_growth``): the first by 1/2 ln(1 + chi). A norm after the sum divides by
    sqrt(1 + chi). So
        none  first exponent 1/2 ln (1 + a)(1 + f) a block, 1/2 ln 3 at H = d: exponential in depth;
        post  0: a norm takes back exactly what the branch gave, the others are negative; pre   1/2
        ln(q_l / q_(l-1)), about 1/(2 l): the sum over depth is 1/2 ln(q_L / q_0), a power law, the
        i-th direction growing as
              q_L^((1 - 2 kappa)/2) once q is large, and no exponential: every exponent goes to 0 as
              ln(layers)/layers.

    layers, placement, width d, hidden H, variance as for ``stream_variance``; exponents: how many
    of the d, by default all. Returns lyapunov(exponent), lyapunov_error (0), growth(layer,
    exponent). Holds to O(1/d), save for the one or two directions that a norm takes out.

    >>> [depth_spectrum(16, placement=p, exponents=1).lyapunov.values.round(3).tolist() for p in ("none", "post", "pre")]
    [[0.548], [-0.002], [0.1]]
    """
    stack, q = Stack.checked(layers, placement, 1, width, hidden), positive("variance", variance)
    kept = stack.width if exponents is None else min(count("exponents", exponents), stack.width)
    kappa, growth = (np.arange(kept) + 0.5) / stack.width, np.zeros((stack.layers, kept))
    for layer in range(stack.layers):
        for added, loss in stack.branches:
            chi = added / stack.alpha**2 / (q if placement == "pre" else 1.0)
            growth[layer] += np.log(stack.alpha) + 0.5 * np.log(residual_growth(kappa, chi, loss))
            total = stack.alpha**2 * q + added * (1.0 if placement == "pre" else q)
            if stack.normed_sum:
                growth[layer] -= 0.5 * np.log(total)
            q = 1.0 if stack.normed_sum else total
    return spectrum_report(
        growth.mean(axis=0),
        growth,
        np.zeros(kept),
        title=f"spectrum over depth, placement {placement}",
        source=DERIVED,
        parameters=stack.told(),
    )


def residual_growth(kappa, chi, loss=0.0):
    """Squared growth D of the direction at the share kappa under 1 + R, with R a product of
    independent Gaussian matrices of variance chi.

    R alone makes a direction at the share p grow by D_R = chi (1 - p)(1 - loss p): one square
    Gaussian matrix has loss 0, two have 1, a ReLU layer of H hidden units, half of them active, 2
    d/H. R is free of 1 and its phases are uniform (R-diagonal), so the symmetrised laws of the
    singular values add freely (Haagerup and Schultz 2007); with Lyapunov exponents -1/2 ln
    S(-kappa) (Kargin 2008) that is, in a parameter p1,
        p/(1 - loss p) = chi p1 (1 - p1),   kappa = p1 + p,   D = kappa (1 - kappa)/(p1 (1 - p1)).
    At loss 0: D = 1/2 [1 + chi - 2 chi kappa + sqrt((1 + chi)^2 - 4 chi kappa)], from 1 + chi down
    to 1 - chi (or 0); for small chi at any loss 1 + chi (1 - 2 kappa), the exponents of isotropic
    Brownian flows (Le Jan 1985).

    kappa: shares in (0, 1). Returns D, of their shape.

    >>> residual_growth(np.array([1e-9, 0.5]), 0.5).round(6).tolist()
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


def update_bound(layers, *, placement="deepnorm"):
    """Bound on how far one step of gradient descent moves the output of a stack with norms after
    the sum, in units of the rate.

    |dF| <= sum over the 2 layers branches of (v^2 + w^2)/alpha^2 (Wang et al. 2022, theorem 4.2 and section 4.3), v and w the scales of a
    branch's two matrices: 4 layers for plain Post-Norm (v = w = alpha = 1), 1 for DeepNorm at every
    depth (v = w = beta).

    Returns update_bound(). Raises ValueError for other placements, of which the theorem does not
    speak.

    >>> [round(float(update_bound(100, placement=p).update_bound), 9) for p in ("post", "deepnorm")]
    [400.0, 1.0]
    """
    if placement not in ("post", "deepnorm"):
        raise ValueError(
            f"placement must be post or deepnorm, got {placement!r}: the bound is "
            "for norms after the sum"
        )
    stack = Stack.checked(layers, placement, 1, 1, None)
    bound = 4 * stack.layers * stack.gain**2 / stack.alpha**2
    return dataset(
        {"update_bound": ((), bound, "1", "bound on the change of the output, over the rate")},
        title="bound on one update",
        source="Wang et al. (2022), DeepNet, theorem 4.2",
        parameters={"layers": layers, "placement": placement},
    )
