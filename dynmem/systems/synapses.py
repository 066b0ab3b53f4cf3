"""Memories held by synapses: what later memories leave of an earlier one, under exponential,
cascade and power-law forgetting."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from ..arrays import concat
from ..runtime.validation import all_errors, generator, integer, number
from ..system import Flow, Map
from ..typing import Array, ArrayLike, Rng
from .components import component_names

__all__ = ["BennaFusi", "CascadeSynapse", "LeakySynapse"]


class LeakySynapse(Map):
    """Leaky synapse: each memory moves the weight a share of the way to its own value.

    w' = (1 - q) w + q u, u = +-1

    Parameters
    ----------
    rate : float
        Share q, in (0, 1); dimensionless.

    Notes
    -----
    State: the weight w; input: the memory u. It is the mean weight of binary synapses that switch
    with probability q. A memory of age t has left q (1 - q)^t: exponential forgetting, so that N
    synapses remember for ln(N)/(2 |ln(1 - q)|) steps only (``dm.theory.memory_trace``). Exponent:
    ln(1 - q).

    References
    ----------
    Amit and Fusi (1994), Neural Comput. 6, 957.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.LeakySynapse(0.1).rule(np.array([0.0]), np.array([1.0])).tolist()
    [0.1]
    """

    rate: float = 0.1
    states = ("w",)
    inputs = 1
    source = "Amit and Fusi (1994), Neural Comput. 6, 957"

    def __post_init__(self) -> None:
        number("rate", self.rate, above=0, below=1)

    def rule(self, x: Array, u: Array | None) -> Array:
        return x - self.rate * x if u is None else x + self.rate * (u - x)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return 0.1 * generator(rng).standard_normal(1)

    def jump(self, states: ArrayLike, events: ArrayLike, rng: Rng) -> np.ndarray:
        """Binary synapses, 1 strong and 0 weak, after events +1 or -1: each follows its event with
        probability q; both of one shape."""
        follows = generator(rng).uniform(size=np.shape(states)) < self.rate
        return np.where(follows, np.asarray(events) > 0, states).astype(int)

    def weight(self, states: ArrayLike) -> np.ndarray:
        """Weights of single synapses: +1 for strong and -1 for weak ones, shape of ``states``."""
        return 2.0 * np.asarray(states) - 1.0


class CascadeSynapse(Map):
    """Cascade synapse: a binary weight whose states have levels that are ever harder to leave.

    x' = x M(u), M(u) = (1+u)/2 M(1) + (1-u)/2 M(-1)

    Parameters
    ----------
    levels : int
        Number n of levels of either weight, at least 2.
    base : float
        Ratio b of the probabilities of two levels, in (0, 1/2]; dimensionless.

    Notes
    -----
    States: occupancies of strong0 ... strong(n-1), weak0 ... weak(n-1); input: the share of
    potentiating events, as u in [-1, 1]; output: the mean weight, strong less weak. A potentiating
    event takes a weak synapse of level i to the first strong level with probability q_i = b^(i-1),
    q_n = b^(n-1)/(1-b), and a strong one from level i to i + 1 with p_i = b^i/(1-b); a depressing
    event mirrors this. All 2n states are equally occupied under random events (u = 0). A memory
    decays by a power law over b^-n events, then exponentially (``dm.theory.memory_trace``).
    Exponents at u = 0: ln of the eigenvalues of M(0).

    References
    ----------
    Fusi, Drew and Abbott (2005), Neuron 45, 599.

    Examples
    --------
    >>> import dynmem as dm
    >>> synapse = dm.systems.CascadeSynapse(levels=3)
    >>> synapse.output(synapse.rule(synapse.balanced(), np.array([1.0])), None).round(6).tolist()
    [0.666667]
    """

    levels: int = 10
    base: float = 0.5
    switch: Array = field(init=False, default=None, repr=False)
    deepen: Array = field(init=False, default=None, repr=False)
    inputs = 1
    equation = r"x' = x\, M(u), \quad M(u) = \tfrac{1+u}{2} M(1) + \tfrac{1-u}{2} M(-1)"
    source = "Fusi, Drew and Abbott (2005), Neuron 45, 599"

    def __post_init__(self) -> None:
        with all_errors() as check:
            levels = check(integer, "levels", self.levels, 2)
            check(number, "base", self.base, above=0, most=0.5)  # else probabilities exceed 1
        object.__setattr__(self, "levels", levels)
        n, b = self.levels, self.base
        switch = b ** np.arange(n)
        switch[-1] /= 1.0 - b
        object.__setattr__(self, "switch", switch)
        object.__setattr__(
            self, "deepen", b ** np.arange(1, n + 1) / (1.0 - b) * (np.arange(n) < n - 1)
        )

    size = property(lambda self: 2 * self.levels, doc="Number of occupancies.")
    outputs = 1

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the occupancies: strong0 ..., weak0 ..."""
        return component_names("strong", self.levels) + component_names("weak", self.levels)

    def transitions(self) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of a potentiating and of a depressing event, each (2n, 2n), from the row's
        state to the column's."""
        eye = np.eye(self.size)
        return self.rule(eye, np.array([1.0])), self.rule(eye, np.array([-1.0]))

    def rule(self, x: Array, u: Array | None) -> Array:
        strong, weak = x[..., : self.levels], x[..., self.levels :]
        up = 0.5 if u is None else 0.5 + 0.5 * u
        down = 1.0 - up
        return concat((self._after(strong, weak, up, down), self._after(weak, strong, down, up)))

    def _after(self, own, other, stays, leaves):
        """Occupancies of one side, when events that confirm it and events that end it have these
        shares."""
        deepened, arrived = (
            stays * self.deepen * own,
            (stays * self.switch * other).sum(axis=-1, keepdims=True),
        )
        return own - deepened - leaves * self.switch * own + concat((arrived, deepened[..., :-1]))

    def output(self, x: Array, u: Array | None) -> Array:
        strong, weak = x[..., : self.levels], x[..., self.levels :]
        return (strong - weak).sum(axis=-1, keepdims=True)

    def balanced(self) -> np.ndarray:
        """Occupancies under random events, all the same, shape (2n,)."""
        return np.full(self.size, 1.0 / self.size)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).dirichlet(np.full(self.size, 10.0))

    def jump(self, states: ArrayLike, events: ArrayLike, rng: Rng) -> np.ndarray:
        """Single synapses: states (whole numbers below 2n) after events +1 or -1, drawn one by one;
        both of one shape."""
        cumulative = np.cumsum(self.transitions(), axis=-1)
        rows = cumulative[(np.asarray(events) < 0).astype(int), np.asarray(states)]
        return (generator(rng).uniform(size=rows.shape[:-1])[..., None] >= rows[..., :-1]).sum(-1)

    def weight(self, states: ArrayLike) -> np.ndarray:
        """Weights of single synapses: +1 for strong and -1 for weak ones, shape of ``states``."""
        return np.where(np.asarray(states) < self.levels, 1.0, -1.0)


class BennaFusi(Flow):
    """Benna and Fusi's synapse: a chain of variables, each slower than the one before.

    C_k du_k/dt = g_(k-1) (u_(k-1) - u_k) + g_k (u_(k+1) - u_k), C_k = b^(k-1), g_k = c b^(-k),
    with the input I for the first variable

    Parameters
    ----------
    variables : int
        Number m of variables.
    base : float
        Ratio b of the capacities of two neighbours, above 1; dimensionless.
    coupling : float
        Coupling c of the first two variables, above 0, per unit of time.

    Notes
    -----
    States: u0, u1, ..., the first of which is the synaptic weight and the output; input: I. The
    last variable leaks through g_m to 0. What an impulse wrote decays as t^(-1/2), up to about
    C_m/g_m: N synapses remember for a time in proportion to N, the most that is known
    (``dm.theory.memory_trace``). As a train of memories: ``Impulses(BennaFusi(), dt=1.0)``.
    Exponents: the eigenvalues of the chain, all real and negative.

    References
    ----------
    Benna and Fusi (2016), Nature Neurosci. 19, 1697.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.systems.BennaFusi().rule(np.eye(12)[0], None)[:2].tolist()
    [-0.125, 0.0625]
    """

    variables: int = 12
    base: float = 2.0
    coupling: float = 0.25
    capacity: Array = field(init=False, default=None, repr=False)
    conductance: Array = field(init=False, default=None, repr=False)
    inputs = 1
    outputs = 1
    equation = (
        r"C_k \dot u_k = g_{k-1} (u_{k-1} - u_k) + g_k (u_{k+1} - u_k), \quad C_k = "
        r"b^{k-1}, \quad g_k = c\, b^{-k}"
    )
    source = "Benna and Fusi (2016), Nature Neurosci. 19, 1697"

    def __post_init__(self) -> None:
        with all_errors() as check:
            variables = check(integer, "variables", self.variables)
            check(number, "base", self.base, above=1)
            check(number, "coupling", self.coupling, above=0)
        object.__setattr__(self, "variables", variables)
        k = np.arange(self.variables)
        object.__setattr__(self, "capacity", float(self.base) ** k)
        object.__setattr__(self, "conductance", self.coupling * float(self.base) ** -(k + 1.0))

    size = property(lambda self: self.variables, doc="Number of variables.")
    states = property(
        lambda self: component_names("u", self.variables), doc="Names of the variables."
    )

    def rule(self, x: Array, u: Array | None) -> Array:
        flow = self.conductance * concat((x[..., :-1] - x[..., 1:], x[..., -1:]))
        into = flow[..., :1] * 0.0 if u is None else u + flow[..., :1] * 0.0
        return (concat((into, flow[..., :-1])) - flow) / self.capacity

    def output(self, x: Array, u: Array | None) -> Array:
        return x[..., :1]

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return generator(rng).standard_normal(self.variables) / (1.0 + np.arange(self.variables))


SYSTEMS = {
    "benna_fusi": BennaFusi,
    "cascade_synapse": CascadeSynapse,
    "leaky_synapse": LeakySynapse,
}
