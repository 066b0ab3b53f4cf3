"""Hamiltonian flows that split into drift and kick, and the symplectic maps composed of the two."""

from __future__ import annotations

from dataclasses import field
from functools import cache
from itertools import pairwise

import numpy as np

from ..arrays import concat
from ..errors import ShapeError
from ..runtime.validation import all_errors, choice, integer, number
from ..system import Flow, Map
from ..typing import Array, Rng

__all__ = ["Separable", "Symplectic"]


class Separable(Flow):
    """Second-order flow with the state x = (q, v): all positions, then all velocities.

    q'' = force(q)

    Notes
    -----
    A subclass defines ``force(q)``, per unit of mass, shapes (..., n/2) to (..., n/2);
    ``Symplectic`` composes it.

    References
    ----------
    Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.1.4.

    Examples
    --------
    >>> class Spring(Separable):
    ...     states = ("q", "v")
    ...     def force(self, q):
    ...         return -q
    >>> Spring().rule(np.array([1.0, 0.5]), None).tolist()
    [0.5, -1.0]
    """

    def force(self, q: Array) -> Array:
        """Force per unit of mass at the positions q, both (..., n/2)."""
        raise TypeError(
            f"{type(self).__name__} has no force: define force(self, q), the "
            "acceleration at the positions q"
        )

    def rule(self, x: Array, u: Array | None) -> Array:
        q, v = halves(x)
        return concat((v, self.force(q)))

    def drift(self, q: Array, v: Array, h: float) -> tuple[Array, Array]:
        """Positions and velocities after the exact motion over the time h without the force."""
        return q + h * v, v

    def weights(self) -> np.ndarray:
        """Mass of each coordinate, shape (n/2,): the symplectic form is sum_i weights_i dq_i ^
        dv_i."""
        return np.ones((self.size or 0) // 2)


def halves(x: Array) -> tuple[Array, Array]:
    """Positions and velocities of a state, each of shape (..., n/2)."""
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


class Symplectic(Map):
    """Symplectic map x(t) -> x(t + dt) of a flow that splits into drift and kick.

    x' = ... exp(b_2 h B) exp(a_2 h A) exp(b_1 h B) exp(a_1 h A) x, A the free motion, B the kick
    v + h force(q)

    Parameters
    ----------
    flow : Flow
        A flow with ``force`` and ``drift``, such as those derived from ``Separable``.
    dt : float
        Step, in units of time, not 0; below 0 it goes back in time.
    order : int
        2 (leapfrog: drift h/2, kick h, drift h/2), 4 or 6 (Blanes and Moan 2002, SRKN 6b and 11b, 7
        and 12 forces a step) or 8 (Kahan and Li 1997, 17 forces).
    substeps : int
        Number of equal parts of a step; neighbouring kicks or drifts become one.

    Raises
    ------
    TypeError
        For a flow without ``force`` and ``drift``.
    ValueError
        For another order, or a step that is not finite or 0.

    Notes
    -----
    Each factor is exact, hence their product is symplectic and reversible, its energy error stays
    bounded, and its tangent map, symplectic too, follows from the rule by dual numbers. The step is
    fixed: where bodies meet closely (``Pythagorean``) integrate adaptively,
    ``dm.orbit(flow, rtol=1e-12)``.

    References
    ----------
    Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, II.5 and V.3; Blanes and Moan
    (2002), J. Comput. Appl. Math. 142, 313; Kahan and Li (1997), Math. Comput. 66, 1089.

    Examples
    --------
    >>> import dynmem as dm
    >>> kepler = dm.systems.Kepler()
    >>> step, x = dm.systems.Symplectic(kepler, dt=0.1, order=6), kepler.initial()
    >>> bool(abs(kepler.energy(step.rule(x, None)) - kepler.energy(x)) < 1e-6)
    True
    """

    flow: Flow = None  # type: ignore[assignment]
    dt: float = field(default=0.01)
    order: int = 4
    substeps: int = 1

    def __post_init__(self) -> None:
        if not _splits(self.flow):
            raise TypeError(
                f"{type(self.flow).__name__} does not split into drift and kick: "
                "derive it from dm.systems.Separable and define "
                "force(self, q), or integrate it by dm.FlowMap(flow, dt)"
            )
        with all_errors() as check:
            check(choice, "order", self.order, SCHEMES)
            substeps = check(integer, "substeps", self.substeps)
            check(number, "dt", self.dt)
        if self.dt == 0:
            raise ValueError(f"dt = {self.dt}: a step must not be 0")
        object.__setattr__(self, "substeps", substeps)

    states = property(lambda self: self.flow.states, doc="Names of the states of the flow.")
    size = property(lambda self: self.flow.size, doc="Number of states of the flow.")
    source = property(lambda self: self.flow.source, doc="Reference of the flow.")

    @property
    def splitting(self) -> tuple[tuple[float, float], ...] | None:
        """Pairs (drift, kick) of a substep where the drift is q + h v, so that only the force need
        be compiled; None for other drifts."""
        kind = type(self.flow)
        plain = (
            isinstance(self.flow, Separable)
            and kind.drift is Separable.drift
            and kind.rule is Separable.rule
        )
        return composition(self.order) if plain else None

    def rule(self, x: Array, u: Array | None) -> Array:
        q, v = halves(x)
        h = self.dt / self.substeps
        for drift, kick in composition(self.order, self.substeps):
            if drift:
                q, v = self.flow.drift(q, v, drift * h)
            if kick:
                v = v + kick * h * self.flow.force(q)
        return concat((q, v))

    def output(self, x: Array, u: Array | None) -> Array:
        return self.flow.output(x, u)

    def initial(self, rng: Rng = 0) -> np.ndarray:
        return self.flow.initial(rng)


@cache
def composition(order: int, substeps: int = 1) -> tuple[tuple[float, float], ...]:
    """Pairs (drift, kick) of a step in units of dt/substeps, from left to right, neighbours of one
    kind merged.

    >>> composition(2), composition(2, 2)
    (((0.5, 1.0), (0.5, 0.0)), ((0.5, 1.0), (1.0, 1.0), (0.5, 0.0)))
    """
    once = SCHEMES[order]()
    pairs: list[tuple[float, float]] = []
    for drift, kick in once * substeps:
        # a drift at the end of one substep and at the start of the next
        if pairs and pairs[-1][1] == 0.0:
            drift += pairs.pop()[0]
        if pairs and drift == 0.0:  # or a kick
            drift, kick = pairs[-1][0], pairs.pop()[1] + kick
        pairs.append((drift, kick))
    return tuple(pairs)


def _splits(flow: object) -> bool:
    """Whether a flow has a force and a drift."""
    return callable(getattr(flow, "force", None)) and callable(getattr(flow, "drift", None))


def _leapfrogs(weights):
    """Leapfrogs of the relative lengths given, each drift w/2, kick w, drift w/2."""
    drifts = [w / 2 for w in weights]
    between = [a + b for a, b in pairwise(drifts)]
    return tuple(zip([drifts[0], *between, drifts[-1]], [*weights, 0.0], strict=True))


def _mirrored(half, total):
    """Symmetric weights from the first half; what is missing to the total is the middle one."""
    return [*half, total - 2 * sum(half), *reversed(half)]


def _kahan_li():
    """Order 8 of 17 leapfrogs: Kahan and Li (1997), Math. Comput. 66, 1089; Hairer, Lubich and
    Wanner (2006), V.(3.13)."""
    half = (
        0.13020248308889008,
        0.5611629817751084,
        -0.3894749626448473,
        0.1588419065551556,
        -0.39590389413323757,
        0.18453964097831571,
        0.25837438768632205,
        0.2950117236093103,
    )
    return _leapfrogs(_mirrored(half, 1.0))


def _blanes_moan(kicks, drifts, middle_kick):
    """Kick, drift, ..., kick from the first halves: Blanes and Moan (2002), J. Comput. Appl. Math.
    142, 313, table 3."""
    if middle_kick:  # the sums fix what stands in the middle
        b, a = _mirrored(kicks, 1.0), [*drifts, 0.5 - sum(drifts)]
        a = [*a, *reversed(a)]
    else:
        b, a = [*kicks, 0.5 - sum(kicks)], _mirrored(drifts, 1.0)
        b = [*b, *reversed(b)]
    return tuple(zip([0.0, *a], b, strict=True))


SCHEMES = {
    2: lambda: _leapfrogs((1.0,)),
    4: lambda: _blanes_moan(
        (0.0829844064174052, 0.396309801498368, -0.0390563049223486),
        (0.245298957184271, 0.604872665711080),
        True,
    ),
    6: lambda: _blanes_moan(
        (
            0.0414649985182624,
            0.198128671918067,
            -0.0400061921041533,
            0.0752539843015807,
            -0.0115113874206879,
        ),
        (
            0.123229775946271,
            0.290553797799558,
            -0.127049212625417,
            -0.246331761062075,
            0.357208872795928,
        ),
        False,
    ),
    8: _kahan_li,
}


def angular_momentum(q: Array, v: Array, masses: np.ndarray, dimension: int) -> Array:
    """Total angular momentum sum_i m_i q_i x v_i, shape (...,) in the plane and (..., 3) in
    space."""
    shape = (*q.shape[:-1], len(masses), dimension)
    if dimension not in (2, 3):
        raise ShapeError(
            f"dimension = {dimension}: angular momentum is known in the plane and in space"
        )
    q, v = q.reshape(shape), v.reshape(shape)
    axes = ((0, 1),) if dimension == 2 else ((1, 2), (2, 0), (0, 1))
    parts = [
        (masses * (q[..., a] * v[..., b] - q[..., b] * v[..., a])).sum(axis=-1) for a, b in axes
    ]
    return parts[0] if dimension == 2 else np.stack(parts, axis=-1)
