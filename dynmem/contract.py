"""The contract that every system keeps, public, so that users can hold their own systems to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import symbolic
from .arrays import tensors
from .autodiff.dual import Dual
from .autodiff.jacobian import as_tensor, divergence, jacobian, linearise_rule
from .autodiff.tangents import Forward
from .errors import ContractError
from .labels import dataset, describe_system
from .orbits import FlowMap
from .runtime.validation import public
from .system import Flow, Map, System, as_input, as_state, as_system, inner, map_arrays
from .typing import ArrayLike, Rng

if TYPE_CHECKING:
    from xarray import Dataset

# enough to span small systems; large ones are probed at random, without their Jacobian
MAX_DIRECTIONS = 8
MAX_FORMULA_PARAMETERS = 64  # parameters above which a formula is long and slow and is not compared


@public
def check_system(
    system: System, x: ArrayLike | None = None, u: ArrayLike | None = None, rng: Rng = 0
) -> Dataset:
    """Check that a system keeps the contract that every function of dynmem relies on.

    The rule returns a finite state of the same shape, the same each time, and changes nothing in
    place; a batch is a loop; numpy, dual numbers and torch give the same values; the tangents of
    rule and output, with respect to state and input, agree with central differences, torch and (up
    to 8 states) symbols; tangent and cotangent products are adjoint; what the class declares
    (energy, sum of exponents, force and drift) holds.

    Parameters
    ----------
    system : Map or Flow
    x : array_like (n,), optional
        State at which to check, by default ``system.initial(rng)``.
    u : array_like (inputs,), optional
        Input at which to check, by default standard normal.
    rng : int or numpy.random.Generator

    Returns
    -------
    xarray.Dataset
        error : (check,), 1 Error relative to the larger of 1 and the value; NaN where an engine
            does not run this rule.
        tolerance : (check,), 1
            Largest error allowed.
        note : (check,), 1
            Why a check does not apply.

    Raises
    ------
    ContractError
        With the check that failed, its number and what it means.

    References
    ----------
    scikit-learn's ``check_estimator``, for the idea.

    Examples
    --------
    >>> import dynmem as dm
    >>> checks = dm.check_system(dm.models.Tanh.random(3, 2))
    >>> bool((checks.error.fillna(0) <= checks.tolerance).all())
    True
    """
    system = as_system(system)
    generator = np.random.default_rng(rng)
    x = as_state(system, system.initial(generator) if x is None else x)
    u = as_input(
        system, generator.standard_normal(system.inputs) if u is None and system.inputs else u
    )
    found = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for name, (measure, tolerance, meaning) in CHECKS.items():
            try:
                error, note = measure(
                    system, x, u, np.random.default_rng(generator.integers(2**32))
                )
            except Exception as problem:  # whatever a user's rule raises
                raise ContractError(
                    f"{system} fails the check {name!r}: {meaning} "
                    f"({type(problem).__name__}: {problem})"
                ) from problem
            if not (error <= tolerance or (np.isnan(error) and note)):
                raise ContractError(
                    f"{system} fails the check {name!r} with error {error:.3g}, "
                    f"allowed {tolerance:.3g}: {meaning}" + (f" ({note})" if note else "")
                )
            found.append((error, tolerance, note))
    errors, tolerances, notes = zip(*found, strict=True)
    check = {"check": ("check", list(CHECKS), "1", "check")}
    return dataset(
        {
            "error": ("check", list(errors), "1", "relative error"),
            "tolerance": ("check", list(tolerances), "1", "largest error allowed"),
            "note": ("check", list(notes), "1", "why a check does not apply"),
        },
        check,
        title=f"contract of {type(system).__name__}",
        source="dynmem",
        parameters=describe_system(system),
        seed=rng,
    )


def _error(found, expected):
    """Largest difference over the larger of 1 and the largest value; infinite where shapes differ
    or a number is not finite."""
    if np.shape(found) != np.shape(expected):
        return np.inf
    if not np.size(expected):
        return 0.0
    error = np.max(np.abs(np.subtract(found, expected))) / max(1.0, np.max(np.abs(expected)))
    return float(error) if np.isfinite(error) else np.inf


def _sides(system, x, u):
    """Rule and output, each as a function of the state and, where driven, of the input: (function,
    point)."""
    for call in (system.rule, system.output):
        yield (lambda p, call=call: call(p, u)), x
        if u is not None:
            yield (lambda p, call=call: call(x, p)), u


def _directions(point, rng):
    """Orthonormal directions (k, n): a basis for small n, a sample for large."""
    n = point.shape[-1]
    return np.linalg.qr(rng.standard_normal((n, min(n, MAX_DIRECTIONS))))[0].T


def _forward(function, point, rows):
    out = function(Dual(point, Forward(rows)))
    if isinstance(out, Dual):
        return out.value, np.broadcast_to(out.tangent.array(), (len(rows), *out.shape))
    return np.asarray(out), np.zeros((len(rows), *np.asarray(out).shape))


def _shape(system, x, u, rng):
    after, seen = np.asarray(system.rule(x, u)), np.asarray(system.output(x, u))
    if after.shape != x.shape:
        return (
            np.inf,
            f"state {x.shape}, result {after.shape}: stack the components with dm.stack((...))",
        )
    if seen.shape != (system.outputs or x.shape[-1],):
        return np.inf, f"output {seen.shape}, but outputs = {system.outputs}"
    return 0.0, ""


def _finite(system, x, u, rng):
    lost = [
        name
        for name, call in (("rule", system.rule), ("output", system.output))
        if not np.isfinite(call(x, u)).all()
    ]
    return (
        (
            np.inf,
            f"{' and '.join(lost)} not finite at x = "
            f"{np.array2string(x, precision=4, threshold=8)}",
        )
        if lost
        else (0.0, "")
    )


def _unchanged(system, x, u, rng):
    before = x.copy(), None if u is None else u.copy()
    system.rule(x, u), system.output(x, u)
    return float(
        not (np.array_equal(x, before[0]) and (u is None or np.array_equal(u, before[1])))
    ), ""


def _deterministic(system, x, u, rng):
    return float(not np.array_equal(system.rule(x, u), system.rule(x, u))), ""


def _batch(system, x, u, rng):
    states = x + 1e-3 * rng.standard_normal((2, 3, *x.shape))
    inputs = None if u is None else u + 1e-3 * rng.standard_normal((2, 3, *u.shape))
    worst = 0.0
    for call in (system.rule, system.output):
        one = [
            [call(states[i, j], None if u is None else inputs[i, j]) for j in range(3)]
            for i in range(2)
        ]
        worst = max(worst, _error(call(states, inputs), np.array(one)))
    return worst, ""


def _values(system, x, u, rng):
    return max(
        _error(_forward(f, p, _directions(p, rng))[0], f(p)) for f, p in _sides(system, x, u)
    ), ""


def _differences(system, x, u, rng):
    worst = 0.0
    for function, point in _sides(system, x, u):
        rows, step = _directions(point, rng), 1e-5 * max(1.0, np.max(np.abs(point), initial=0.0))
        central = [
            (np.asarray(function(point + step * v)) - function(point - step * v)) / (2 * step)
            for v in rows
        ]
        worst = max(
            [
                worst,
                *(
                    _error(t, c)
                    for t, c in zip(_forward(function, point, rows)[1], central, strict=True)
                ),
            ]
        )
    return worst, ""


def _adjoint(system, x, u, rng):
    worst = 0.0
    for function, point in _sides(system, x, u):
        rows = _directions(point, rng)
        value, pushed = _forward(function, point, rows)
        back = linearise_rule(function, point)[1]
        gradients = rng.standard_normal((3, *value.shape))
        worst = max(worst, _error(back(gradients) @ rows.T, gradients @ pushed.T))
    return worst, ""


def _torch(system, x, u, rng):
    import torch

    twin, worst = map_arrays(system, as_tensor), 0.0
    pairs = zip(
        _sides(system, x, u),
        _sides(twin, as_tensor(x), None if u is None else as_tensor(u)),
        strict=True,
    )
    try:
        for (function, point), (mirrored, at) in pairs:
            value, back = linearise_rule(function, point)
            out, torch_back = torch.func.vjp(mirrored, at)
            worst = max(worst, _error(tensors(out), value))
            for gradient in rng.standard_normal((3, *value.shape)):
                worst = max(
                    worst,
                    _error(tensors(torch_back(as_tensor(gradient))[0]), back(gradient[None])[0]),
                )
    except (TypeError, RuntimeError, AttributeError) as error:
        return np.nan, f"the rule does not run on torch: {str(error).splitlines()[0]}"
    return worst, ""


def _symbols(system, x, u, rng):
    sizes = [0]
    map_arrays(system, lambda array: sizes.append(array.size))
    composed = system.flow is not None or any(
        isinstance(value, FlowMap) for value in vars(system).values()
    )
    if x.shape[-1] > symbolic.MAX_STATES or sum(sizes) > MAX_FORMULA_PARAMETERS or composed:
        return np.nan, "the formula would be long"
    rows = np.eye(x.shape[-1])
    try:
        formula = symbolic.evaluate(symbolic.jacobian(system, size=x.shape[-1]), system, x, u)
    except (TypeError, AttributeError, NotImplementedError, NameError) as error:
        return np.nan, f"the rule does not run on symbols: {str(error).splitlines()[0]}"
    return _error(_forward(lambda p: system.rule(p, u), x, rows)[1].T, formula), ""


def _declared(system, x, u, rng):
    """What a class declares of itself: energy, sum of exponents, splitting, start of a synapse."""
    flow = inner(system)
    worst = [0.0]
    if flow.energy is not None:
        if np.shape(flow.energy(np.stack([x, x]))) != (2,):
            return np.inf, "energy(x) must return shape (...) for states (..., n)"
        if flow.conserves_energy and isinstance(flow, Flow) and u is None:
            _, back = linearise_rule(lambda p: flow.energy(p[None]), x)
            slope, velocity = back(np.ones((1, 1)))[0], np.asarray(flow.rule(x, None))
            worst.append(_error(slope @ velocity, 0.0) / max(1.0, np.abs(slope) @ np.abs(velocity)))
    if flow.exponent_sum is not None:
        volume = divergence(flow, x, u)
        if isinstance(flow, Map):
            volume = np.linalg.slogdet(jacobian(flow, x, u))[1]
        worst.append(_error(volume, flow.exponent_sum))
    if flow.force is not None and isinstance(flow, Flow):
        (q, v), h = np.split(x, 2), 1e-5
        pairs = zip(flow.drift(q, v, h), flow.drift(q, v, -h), strict=True)
        drift = np.concatenate([(after - before) / (2 * h) for after, before in pairs])
        kick = np.concatenate([np.zeros_like(q), flow.force(q)])
        worst.append(_error(drift + kick, flow.rule(x, u)))
    if flow.balanced is not None:
        worst.append(float(np.shape(flow.balanced()) != x.shape))
    return max(worst), ""


CHECKS = {
    "unchanged": (
        _unchanged,
        0.0,
        "rule and output change neither x nor u: no assignment in place",
    ),
    "shape": (
        _shape,
        0.0,
        "rule returns a state of the shape it was given, output has `outputs` components",
    ),
    "finite": (
        _finite,
        0.0,
        "rule and output are finite at the sample point: pass x and u where they are defined",
    ),
    "deterministic": (
        _deterministic,
        0.0,
        "the same state gives the same result, bit for bit: randomness enters as input",
    ),
    "batch": (_batch, 1e-12, "leading axes are batch: index with x[..., i], multiply with x @ W.T"),
    "declared": (
        _declared,
        1e-8,
        "a declared energy is conserved, the declared sum of exponents is the growth of volume, "
        "force and drift make up the rule",
    ),
    "duals": (_values, 1e-12, "dual numbers have the values of numpy"),
    "differences": (
        _differences,
        1e-6,
        "tangents agree with central differences: the rule is smooth at the sample point",
    ),
    "adjoint": (_adjoint, 1e-11, "tangent and cotangent products are adjoint"),
    "torch": (_torch, 1e-11, "torch gives the values and gradients of the duals"),
    "symbols": (_symbols, 1e-10, "the Jacobian of the symbols is that of the duals"),
}
