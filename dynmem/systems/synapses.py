"""Memories held by synapses: what later memories leave of an earlier one, under exponential,
cascade and power-law forgetting."""

from dataclasses import dataclass, field

import numpy as np

from ..arrays import concat
from ..system import Flow, Map
from .attractors import above_zero, at_least, numbered


@dataclass(frozen=True, eq=False)
class LeakySynapse(Map):
    """A synapse that each memory moves a share q of the way to its own value: w' = (1 - q) w + q u,
    u = +-1.

    It is the mean weight of binary synapses that switch with probability q. A memory of age t has
    left q (1 - q)^t: exponential forgetting, so that N synapses remember for ln(N)/(2 |ln(1 - q)|)
    steps only (``dm.theory.memory_trace``). Exponent: ln(1 - q).

    rate q in (0, 1); state w; input u. Source: Amit and Fusi (1994), Neural Comput. 6, 957.

    >>> LeakySynapse(0.1).rule(np.array([0.0]), np.array([1.0])).tolist()
    [0.1]
    """

    rate: float = 0.1
    states = ("w",)
    inputs = 1
    source = "Amit and Fusi (1994), Neural Comput. 6, 957"

    def __post_init__(self):
        if not 0 < self.rate < 1:
            raise ValueError(f"rate = {self.rate}: a share lies strictly between 0 and 1")

    def rule(self, x, u):
        return x - self.rate * x if u is None else x + self.rate * (u - x)

    def initial(self, rng=0):
        return 0.1 * np.random.default_rng(rng).standard_normal(1)

    def jump(self, states, events, rng):
        """Binary synapses, 1 strong and 0 weak, after events +1 or -1: each follows its event with
        probability q."""
        obeys = np.random.default_rng(rng).uniform(size=np.shape(states)) < self.rate
        return np.where(obeys, np.asarray(events) > 0, states).astype(int)

    def weight(self, states):
        """+1 for strong and -1 for weak synapses."""
        return 2.0 * np.asarray(states) - 1.0


@dataclass(frozen=True, eq=False)
class CascadeSynapse(Map):
    """The cascade: a binary synapse whose states, weak and strong, each have n levels, ever harder
    to leave; x holds their occupancies.

    A potentiating event takes a weak synapse of level i to the first strong level with probability
    q_i = b^(i-1), q_n = b^(n-1)/(1-b), and a strong one from level i to i + 1 with p_i = b^i/(1-b);
    a depressing event mirrors this. x' = x M(u), M(u) = (1+u)/2 M(1) + (1-u)/2 M(-1), linear in the
    share of potentiating events; all 2n states are equally occupied under random events (u = 0).
    The output is the mean weight, strong less weak. A memory fades by a power law over b^-n events,
    then exponentially (``dm.theory.memory_trace``).

    levels n >= 2; base b in (0, 1/2]; input u in [-1, 1]. State: strong 1..n, weak 1..n. Exponents
    at u = 0: ln of the eigenvalues of M(0). Source: Fusi, Drew and Abbott (2005), Neuron 45, 599.

    >>> synapse = CascadeSynapse(levels=3)
    >>> synapse.output(synapse.rule(synapse.balanced(), np.array([1.0])), None).round(6).tolist()
    [0.666667]
    """

    levels: int = 10
    base: float = 0.5
    switch: np.ndarray = field(init=False, default=None, repr=False)
    deepen: np.ndarray = field(init=False, default=None, repr=False)
    inputs = 1
    source = "Fusi, Drew and Abbott (2005), Neuron 45, 599"

    def __post_init__(self):
        at_least("levels", self.levels, 2)
        if not 0 < self.base <= 0.5:
            raise ValueError(
                f"base = {self.base}: pass a number in (0, 1/2], or probabilities would exceed 1"
            )
        n, b = self.levels, self.base
        switch = b ** np.arange(n)
        switch[-1] /= 1.0 - b
        object.__setattr__(self, "switch", switch)
        object.__setattr__(
            self, "deepen", b ** np.arange(1, n + 1) / (1.0 - b) * (np.arange(n) < n - 1)
        )

    size = property(lambda self: 2 * self.levels)
    states = property(lambda self: numbered("strong", self.levels) + numbered("weak", self.levels))
    outputs = 1

    def transitions(self):
        """Probabilities of a potentiating and of a depressing event, each (2n, 2n), from the row's
        state to the column's."""
        eye = np.eye(self.size)
        return self.rule(eye, np.array([1.0])), self.rule(eye, np.array([-1.0]))

    def rule(self, x, u):
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

    def output(self, x, u):
        strong, weak = x[..., : self.levels], x[..., self.levels :]
        return (strong - weak).sum(axis=-1, keepdims=True)

    def balanced(self):
        """Occupancies under random events: all the same."""
        return np.full(self.size, 1.0 / self.size)

    def initial(self, rng=0):
        return np.random.default_rng(rng).dirichlet(np.full(self.size, 10.0))

    def jump(self, states, events, rng):
        """Single synapses: states (whole numbers below 2n) after events +1 or -1, drawn one by one;
        both of one shape."""
        cumulative = np.cumsum(self.transitions(), axis=-1)
        rows = cumulative[(np.asarray(events) < 0).astype(int), states]
        return (
            np.random.default_rng(rng).uniform(size=rows.shape[:-1])[..., None] >= rows[..., :-1]
        ).sum(-1)

    def weight(self, states):
        """+1 for strong and -1 for weak synapses."""
        return np.where(np.asarray(states) < self.levels, 1.0, -1.0)


@dataclass(frozen=True, eq=False)
class BennaFusi(Flow):
    """A chain of communicating variables, the first of which is the synaptic weight, each slower
    than the one before:

    C_k du_k/dt = g_(k-1) (u_(k-1) - u_k) + g_k (u_(k+1) - u_k),  C_k = b^(k-1),  g_k = c b^(-k),
    and for the first variable the input I.

    The last variable leaks through g_m to 0. What an impulse wrote fades as t^(-1/2), up to about
    C_m/g_m: N synapses remember for a time in proportion to N, the most that is known
    (``dm.theory.memory_trace``). As a train of memories: ``Impulses(BennaFusi(), dt=1.0)``.
    Exponents: the eigenvalues of the chain, all real and negative.

    variables m; base b > 1; coupling c > 0; input I. Output: the weight u_1.
    Source: Benna and Fusi (2016), Nature Neurosci. 19, 1697.

    >>> BennaFusi().rule(np.eye(12)[0], None)[:2].tolist()
    [-0.125, 0.0625]
    """

    variables: int = 12
    base: float = 2.0
    coupling: float = 0.25
    capacity: np.ndarray = field(init=False, default=None, repr=False)
    conductance: np.ndarray = field(init=False, default=None, repr=False)
    inputs = 1
    outputs = 1
    source = "Benna and Fusi (2016), Nature Neurosci. 19, 1697"

    def __post_init__(self):
        at_least("variables", self.variables)
        above_zero(coupling=self.coupling)
        if not (np.isfinite(self.base) and self.base > 1):
            raise ValueError(f"base = {self.base}: pass a finite number above 1")
        k = np.arange(self.variables)
        object.__setattr__(self, "capacity", float(self.base) ** k)
        object.__setattr__(self, "conductance", self.coupling * float(self.base) ** -(k + 1.0))

    size = property(lambda self: self.variables)
    states = property(lambda self: numbered("u", self.variables))

    def rule(self, x, u):
        flow = self.conductance * concat((x[..., :-1] - x[..., 1:], x[..., -1:]))
        into = flow[..., :1] * 0.0 if u is None else u + flow[..., :1] * 0.0
        return (concat((into, flow[..., :-1])) - flow) / self.capacity

    def output(self, x, u):
        return x[..., :1]

    def initial(self, rng=0):
        return np.random.default_rng(rng).standard_normal(self.variables) / (
            1.0 + np.arange(self.variables)
        )
