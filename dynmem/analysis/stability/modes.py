"""Eigenvalues at points of a search, their errors, and the class that they give a point."""

from __future__ import annotations

import numpy as np

from ...labels import complex_parts
from ...system import Flow
from .newton import Equation, newton_step

MAX_CONDITION = 1e10  # of an eigenvalue; rounding hides larger ones
ROUNDING = 100 * np.finfo(float).eps
STEPS_OF_DOUBT = 4.0  # Newton steps from a point within which its exact place lies
SIZE_OF_DOUBT = 1e-4  # relative to 1 + |x|, at most


def eigenvalues(equation, points, periods):
    """Multipliers over the least period (m, n), or rates of a flow, fastest growing first, and
    bounds of their errors.

    To first order an eigenvalue moves by no more than its condition number times the change of the
    Jacobian: that between the point and where Newton's next steps would lead, and rounding.
    """
    values, errors = np.empty(points.shape, complex), np.empty(points.shape)
    for p in np.unique(periods):
        at = periods == p
        same = Equation(equation.system, int(p), equation.u, equation.modulus)
        values[at], errors[at] = _with_errors(same, points[at])
    size = values.real if isinstance(equation.system, Flow) else np.abs(values)
    order = np.argsort(-size, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(errors, order, axis=1)


def _with_errors(equation, x):
    J = equation.derivative(x)
    values, vectors = np.linalg.eig(J)
    condition = np.array([_condition(V) for V in vectors])
    with np.errstate(all="ignore"):
        g, G = equation.linear(x)
        step = STEPS_OF_DOUBT * newton_step(G, g, x)
        size = np.linalg.norm(step, axis=1, keepdims=True)
        most = SIZE_OF_DOUBT * (1.0 + np.linalg.norm(x, axis=1, keepdims=True))
        step *= np.minimum(1.0, most / np.where(size > 0.0, size, 1.0))
        change = np.linalg.norm(equation.derivative(x + step) - J, axis=(1, 2))
    change = np.where(np.isfinite(change), change, 0.0)
    rounding = ROUNDING * np.linalg.norm(J, axis=(1, 2))
    return values, condition * (change + rounding)[:, None]


def _condition(V):
    """Condition numbers of the eigenvalues whose unit eigenvectors are the columns of V."""
    try:
        with np.errstate(all="ignore"):  # nearly defective
            left = np.linalg.norm(np.linalg.inv(V), axis=1)
    except np.linalg.LinAlgError:
        return np.full(len(V), MAX_CONDITION)
    return np.clip(np.where(np.isfinite(left), left, MAX_CONDITION), 1.0, MAX_CONDITION)


def mode_rows(equation, values, errors, periods):
    """Variables of the eigenvalues, and of the class that they give a point."""
    system = equation.system
    flow = isinstance(system, Flow)
    with np.errstate(divide="ignore"):
        time = 1.0 if flow else (periods[:, None] * abs(system.dt))
        exponents = values.real if flow else np.log(np.abs(values)) / time
    # near |multiplier| = 1 the error of its logarithm is its own
    error = errors / time
    grow, none = exponents > error, np.abs(exponents) <= error
    kind = np.where(
        grow.all(axis=1),
        "repeller",
        np.where(grow.any(axis=1), "saddle", np.where(none.any(axis=1), "marginal", "stable")),
    )
    per = "1/time unit" if flow or system.dt != 1 else "1/step"
    return {
        **complex_parts(
            "eigenvalue",
            ("point", "mode"),
            values,
            "1/time unit" if flow else "1",
            "rate" if flow else "multiplier of the cycle",
        ),
        "exponent": (("point", "mode"), exponents, per, "growth of the mode"),
        "kind": ("point", kind.astype("<U8"), "1", "stability"),
        "stable": ("point", kind == "stable", "1", "whether every mode shrinks"),
        "marginal": ("point", none.any(axis=1), "1", "whether a mode neither grows nor shrinks"),
    }
