"""Gradient norms over the lag: d state_T / d state_(T-lag) and d y_T / d u_(T-lag)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...autodiff.jacobian import jacobian, linearise_rule, push
from ...drive import drive_name, example_input
from ...errors import NotFiniteError
from ...labels import dataset, describe_system
from ...orbits import as_map, trajectory
from ...runtime.threads import one_thread
from ...runtime.validation import choice, generator, integer, public
from ...system import Map, System, as_system
from ...typing import ArrayLike, Drive, Rng
from .window import lag_axis, read_transient, read_window, require_samples

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "Bengio, Simard and Frasconi (1994), IEEE Trans. Neural Netw. 5, 157; Pascanu, Mikolov "
    "and Bengio (2013), ICML"
)


@public
def gradient_norms(
    system: System,
    x0: ArrayLike | None = None,
    *,
    drive: Drive = None,
    lags: ArrayLike,
    transient: int | None = None,
    samples: int = 1,
    norm: str = "rms",
    anchor: str = "end",
    dt: float | None = None,
    rng: Rng = 0,
) -> Dataset:
    """Measure gradient norms over the lag, as natural logarithms that neither under- nor overflow.

    One sweep backwards from the end of an orbit multiplies the Jacobians J_T J_(T-1) ...
    J_(T-lag+1) by reverse mode: one matrix product a step, no Jacobian formed. Norms are root mean
    squares over unit directions,

        |d state_T / d state_(T-lag)|_F / sqrt(n)    and    |d y_T / d u_(T-lag)|_F / sqrt(inputs),

    so that an isometry has 1 at every lag. The slope over large lags is the first Lyapunov exponent
    per step. Theory: ``dm.theory.gradient_norms``.

    Parameters
    ----------
    system : Map or Flow
        A Flow with the ``dt`` of a step.
    x0 : array_like (n,), optional
        Start; by default ``system.initial``.
    drive : float, array_like (steps, inputs) or (inputs,), or callable, optional
        Input: None (zero), a number (standard deviation of white noise), an array of one row a
        step, transient + max(lags) + 1 in all, one input (inputs,) that is held, or a function
        (rng, steps) -> array.
    lags : int or array_like of int
        Largest lag, or the lags wanted, in steps.
    transient : int, optional
        Steps before the window; by default a tenth of the largest lag, at least 100, or all rows of
        an array before the last max(lags) + 1.
    samples : int
        Runs with other starts and noise, whose logarithms are averaged.
    norm : {"rms", "spectral"}
        "spectral": the largest singular value.
    anchor : {"end", "start"}
        "end": the last state with respect to the states before it, as in backpropagation. "start":
        d x_lag / d x_0 and d y_(1+lag) / d u_1, from the first state of the window. On an attractor
        both have one law; on the way to a fixed point they differ.
    dt : float, optional
        Step of a Flow.
    rng : int, Generator or None
        Of starts and noise.

    Returns
    -------
    xarray.Dataset
        log_state_gradient : (lag,), 1
            Natural logarithm of the norm of d state_T / d state_(T-lag).
        state_gradient : (lag,), 1
            Its exponential.
        log_state_gradient_error : (lag,), 1 [optional]
            Standard error of the logarithm, with several samples; 0 for one along whose orbit the
            Jacobian does not change (a linear system), where every end is alike.
        log_input_gradient : (lag,), 1 [optional]
            Natural logarithm of the norm of d y_T / d u_(T-lag), of systems with inputs.
        input_gradient : (lag,), 1 [optional]
            Its exponential.
        log_input_gradient_error : (lag,), 1 [optional]
            The same of that logarithm.

    Raises
    ------
    ValueError
        If lags are no whole numbers of at least 0, or another argument is out of range.
    ShapeError
        If an array has fewer steps than the largest lag, or more or fewer than transient and lags.
    NotFiniteError
        If the orbit or a gradient becomes infinite or NaN.

    References
    ----------
    Bengio, Simard and Frasconi (1994), IEEE Trans. Neural Netw. 5, 157. Pascanu, Mikolov and Bengio
    (2013), ICML.

    Examples
    --------
    >>> import dynmem as dm
    >>> gradients = dm.gradient_norms(dm.models.Linear(0.9 * np.eye(3)), lags=[0, 100])
    >>> gradients.state_gradient.values.round(9).tolist()
    [1.0, 2.6561e-05]
    """
    choice("norm", norm, ("rms", "spectral"))
    choice("anchor", anchor, _SWEEPS)
    # lags count steps: a Flow needs the length of one
    system = as_system(system, Map if dt is None else System)
    stepper = as_map(system, dt, x0, example_input(system, drive))
    wanted = lag_axis(lags)
    longest = int(wanted[-1])
    transient = read_transient(transient, longest, stepper, drive)
    samples = integer("samples", samples)
    require_samples(samples, transient + longest + 1, len(wanted))
    sweep = _SWEEPS[anchor]
    # _rescaled raises where a gradient is not finite
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        runs = []
        for seed in generator(rng).spawn(samples):
            states, inputs = _orbit(stepper, x0, drive, transient, longest, seed)
            runs.append(sweep(stepper, states, inputs, wanted, norm))
        alike = _ends_are_alike(stepper, states, inputs)
    options = {
        "norm": norm,
        "anchor": anchor,
        "samples": samples,
        "transient": transient,
        "drive": drive_name(drive),
    }
    return dataset(
        _gradient_variables(runs, alike),
        {"lag": ("lag", wanted, "step", "lag")},
        title=f"gradient norms of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system) | options,
        seed=rng,
    )


def _gradient_variables(runs, alike):
    """Means over runs of the logarithms, their exponentials and errors: 0 where every end of an
    orbit is ``alike``, not known where all runs are one."""
    variables = {}
    for name, kind in (("state", "d state_T / d state_(T-lag)"), ("input", "d y_T / d u_(T-lag)")):
        if name not in runs[0]:
            continue
        logs = np.array([run[name] for run in runs])
        mean = logs.mean(axis=0)
        variables[f"log_{name}_gradient"] = ("lag", mean, "1", f"ln |{kind}|")
        with np.errstate(over="ignore"):  # the logarithm holds what overflows
            variables[f"{name}_gradient"] = ("lag", np.exp(mean), "1", f"|{kind}|")
        if alike or (logs != logs[0]).any():
            with np.errstate(invalid="ignore"):
                spread = logs.std(axis=0, ddof=1) if len(runs) > 1 else 0.0
                error = np.zeros(len(mean)) if alike else spread / np.sqrt(len(runs))
            long_name = f"standard error of ln |{kind}|"
            variables[f"log_{name}_gradient_error"] = ("lag", error, "1", long_name)
    return variables


def _orbit(system, x0, drive, transient, longest, rng):
    """States x_0 .. x_T and inputs u_1 .. u_T (or None) of the last ``longest`` + 1 steps."""
    x, inputs = read_window(system, x0, drive, transient, longest, rng)
    steps = transient + longest + 1 if inputs is None else len(inputs)
    states = trajectory(system, x, steps, inputs)
    keep = longest + 2
    return states[-keep:], None if inputs is None else inputs[-(keep - 1) :]


def _ends_are_alike(system, states, inputs):
    """Whether the Jacobian moves a probe, and the readout shows it, the same at up to 32 states of
    the window: then every end of the orbit has one gradient."""
    n = states.shape[-1]
    chosen = np.unique(np.linspace(0, len(states) - 2, 32).astype(int))
    width = n if inputs is None else n + system.inputs
    probe = np.random.default_rng(0).standard_normal((1, n))
    seen = []
    for i in chosen:
        u = None if inputs is None else inputs[i]
        moved = _pull_back(system, states[i], u)(probe)[0, :width]
        read = [] if u is None else (jacobian(system, states[i], u, of="output") @ probe[0]).ravel()
        seen.append(np.concatenate((moved, read)))
        if not np.allclose(seen[-1], seen[0], rtol=1e-12, atol=0.0):
            return False
    return True


def _from_end(system, states, inputs, lags, norm):
    """Logs of the gradient norms at the lags, from one sweep backwards over states x_(T-L-1) .. x_T
    and inputs u_(T-L) .. u_T."""
    n, end, driven = states.shape[-1], len(states) - 1, inputs is not None
    observe = _observer(system, states[-1], inputs[-1]) if driven else None
    product, log_scale, found, chosen = np.eye(n), 0.0, _empty(driven), set(lags.tolist())
    for lag in range(int(lags[-1]) + 1):
        product, log_scale = _rescaled(product, log_scale, lag, system)
        wanted = lag in chosen
        if wanted:
            found["state"].append(log_scale + _log_norm(product, norm, n))
        if lag == lags[-1] and not driven:
            break
        pull_back = _pull_back(
            system, states[end - lag - 1], inputs[end - lag - 1] if driven else None
        )
        pulled = pull_back(product)
        if driven and wanted:
            found["input"].append(
                log_scale + _log_norm(observe(pulled[:, n:], lag), norm, system.inputs)
            )
        product = np.ascontiguousarray(pulled[:, :n])
    return found


def _from_start(system, states, inputs, lags, norm):
    """The same for gradients of later states with respect to the first, from one sweep forwards;
    the directions of u_1 are one step ahead of those of the state."""
    n, driven = states.shape[-1], inputs is not None
    found, product, log_scale = _empty(driven), np.eye(n), 0.0
    rows, log_rows = None, 0.0
    if driven:
        rows = jacobian(system, states[0], inputs[0], wrt="input").T
    for lag in range(int(lags[-1]) + 1):
        product, log_scale = _rescaled(product, log_scale, lag, system)
        if lag in lags:
            found["state"].append(log_scale + _log_norm(product, norm, n))
        if driven:
            rows, log_rows = _rescaled(rows, log_rows, lag, system)
            if lag in lags:
                observe = _observer(system, states[lag + 1], inputs[lag])
                by_input = observe(rows.T, lag)
                found["input"].append(log_rows + _log_norm(by_input, norm, system.inputs))
            if lag < lags[-1]:
                rows = push(system, states[lag + 1], rows, inputs[lag + 1])[1]
        product = push(system, states[lag], product, inputs[lag] if driven else None)[1]
    return found


_SWEEPS: dict[str, Callable] = {"end": _from_end, "start": _from_start}


def _empty(driven):
    return {"state": [], "input": []} if driven else {"state": []}


def _rescaled(product, log_scale, lag, system):
    """The product rescaled to size one where its square would under- or overflow, and its
    logarithmic scale."""
    size = np.sqrt(np.vdot(product, product))
    if not np.isfinite(size) and np.isfinite(product).all():  # only the squares overflow
        largest = np.abs(product).max()
        return product / largest, log_scale + np.log(largest)
    if not np.isfinite(size):
        raise NotFiniteError(
            f"gradient not finite at lag {lag} ({system}): the rule has no derivative there"
        )
    if size > 0.0 and not 1e-50 < size < 1e50:
        return product / size, log_scale + np.log(size)
    return product, log_scale


def _pull_back(system, x, u):
    """Reverse mode of one step: cotangents of the next state to those of the state, or of state and
    input concatenated."""
    if u is None:
        return linearise_rule(lambda p: system.rule(p, None), x)[1]
    n = len(x)
    return linearise_rule(lambda p: system.rule(p[:n], p[n:]), np.concatenate([x, u]))[1]


def _observer(system, x, u):
    """From d x_T / d u to d y_T / d u: a product with dy/dx, left out where the output is the
    state, plus dy/du at lag 0."""
    C = jacobian(system, x, u, of="output")
    D = jacobian(system, x, u, wrt="input", of="output")
    is_state = C.shape[0] == C.shape[1] and (np.eye(len(C)) == C).all()

    def observe(by_input, lag):
        of_output = by_input if is_state else C @ by_input
        return of_output + D if lag == 0 else of_output

    return observe


def _log_norm(matrix, norm, directions):
    if norm == "spectral":
        size = np.linalg.norm(matrix, 2)
    else:
        size = np.sqrt(np.vdot(matrix, matrix) / directions)
    with np.errstate(divide="ignore"):
        return np.log(size)
