"""How far back gradients reach: the norm of d state_T / d state_(T-lag) and of d y_T / d u_(T-lag)
over the lag, in logarithms."""

import numpy as np

from ...autodiff.jacobian import jacobian, linearise_rule, push
from ...errors import NotFiniteError, ShapeError
from ...labels import dataset, describe_system
from ...orbits import as_map, trajectory
from ...runtime.threads import one_thread
from ...system import Map, System, as_state, as_system
from ..drive import example_input, read_drive

SOURCE = (
    "Bengio, Simard and Frasconi (1994), IEEE Trans. Neural Netw. 5, 157; Pascanu, Mikolov "
    "and Bengio (2013), ICML"
)


def gradient_norms(
    system,
    u=None,
    *,
    lags,
    x0=None,
    transient=100,
    samples=1,
    norm="rms",
    anchor="end",
    dt=None,
    rng=0,
):
    """Gradient norms over the lag, as natural logarithms that neither under- nor overflow.

    One sweep backwards from the end of an orbit pulls the products J_T J_(T-1) ... J_(T-lag+1)
    through the rule, one matrix product a step and no Jacobian formed. Norms are root mean squares
    over unit directions: |d x_T / d x_(T-lag)|_F / sqrt(n), so that an isometry has 1 at every lag,
    and |d y_T / d u_(T-lag)|_F / sqrt(inputs). The slope over large lags is the first Lyapunov
    exponent (per step).

    Parameters
    ----------
    lags : the largest lag, or the lags wanted (whole numbers of steps).
    u : input: None (zero), a number (standard deviation of white noise), an array (steps, inputs)
        of which the last max(lags) steps and the ``transient`` before them are used, or a function
        (rng, steps) -> array.
    samples : runs with other starts and noise, whose logarithms are averaged.
    norm : "rms", or "spectral" for the largest singular value.
    anchor : "end", the last state against the states before it, as backpropagation sees them; or
        "start", d x_lag / d x_0 and d y_(1+lag) / d u_1, the states after the first one of the
        window. On an attractor both have one law; on the way to rest they differ.

    Returns a Dataset over ``lag``: ``log_state_gradient``, ``state_gradient``, and for driven
    systems ``log_input_gradient``, ``input_gradient``; with several samples also ``..._error``, the
    standard errors of the logarithms.

    >>> import dynmem as dm
    >>> gradients = gradient_norms(dm.models.Linear(0.9 * np.eye(3)), lags=[0, 100])
    >>> gradients.state_gradient.values.round(9).tolist()
    [1.0, 2.6561e-05]
    """
    if norm not in ("rms", "spectral") or anchor not in _PROFILES:
        raise ValueError(
            f"norm is rms or spectral and anchor is end or start, got norm={norm!r}, "
            f"anchor={anchor!r}"
        )
    # a lag is a number of steps: of which?
    stepper = as_map(
        as_system(system, Map if dt is None else System), dt, x0, example_input(system, u)
    )
    wanted = lag_axis(lags)
    if samples < 1 or samples != int(samples):
        raise ValueError(f"samples = {samples}: must be a whole number of at least 1")
    seeds = np.random.default_rng(rng).spawn(samples)
    # _rescaled refuses what is not finite
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        runs = [
            _PROFILES[anchor](
                stepper, *_orbit(stepper, u, x0, transient, int(wanted[-1]), seed), wanted, norm
            )
            for seed in seeds
        ]
    label = {}
    for name, kind in (("state", "d state_T / d state_(T-lag)"), ("input", "d y_T / d u_(T-lag)")):
        logs = np.array([run[name] for run in runs]) if name in runs[0] else None
        if logs is None:
            continue
        mean = logs.mean(axis=0)
        label[f"log_{name}_gradient"] = ("lag", mean, "1", f"ln |{kind}|")
        with np.errstate(over="ignore"):  # the logarithm is there for what overflows
            label[f"{name}_gradient"] = ("lag", np.exp(mean), "1", f"|{kind}|")
        if samples > 1:
            with np.errstate(invalid="ignore"):
                error = logs.std(axis=0, ddof=1) / np.sqrt(samples)
            label[f"log_{name}_gradient_error"] = (
                "lag",
                error,
                "1",
                f"standard error of ln |{kind}|",
            )
    return dataset(
        label,
        {"lag": ("lag", wanted, "step", "lag")},
        title=f"gradient norms of {type(system).__name__}",
        source=SOURCE,
        parameters=describe_system(system)
        | {
            "norm": norm,
            "anchor": anchor,
            "samples": samples,
            "transient": transient,
            "u": u if u is None or np.isscalar(u) else type(u).__name__,
        },
        seed=rng,
    )


def lag_axis(lags):
    values = np.atleast_1d(np.asarray(lags))
    if (
        values.dtype.kind not in "iuf"
        or values.ndim != 1
        or not values.size
        or not (values >= 0).all()
        or (values % 1 != 0).any()
    ):
        raise ValueError(f"lags = {lags!r}: must be whole numbers of steps of at least 0")
    return np.arange(int(values[0]) + 1) if np.ndim(lags) == 0 else np.unique(values.astype(int))


def window(system, u, x0, transient, longest, rng):
    """A start (n,) and the inputs u_1 .. u_T (or None) of the last ``transient`` + ``longest`` + 1
    steps."""
    if transient != int(transient) or transient < 0:
        raise ValueError(f"transient = {transient}: must be a whole number of steps of at least 0")
    steps = int(transient) + longest
    inputs = read_drive(system, u, steps + 1, rng, least=longest + 1).array()
    x = system.initial(rng) if x0 is None else as_state(system, x0, "x0")
    if x.ndim != 1:
        raise ShapeError(f"x0 has shape {x.shape}: pass one start of shape (n,)")
    return x, inputs


def _orbit(system, u, x0, transient, longest, rng):
    """States x_0 .. x_T and inputs u_1 .. u_T (or None) of the last ``longest`` + 1 steps."""
    x, inputs = window(system, u, x0, transient, longest, rng)
    states = trajectory(
        system, x, int(transient) + longest + 1 if inputs is None else len(inputs), inputs
    )
    keep = longest + 2
    return states[-keep:], None if inputs is None else inputs[-(keep - 1) :]


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
        pulled = _back(system, states[end - lag - 1], inputs[end - lag - 1] if driven else None)(
            product
        )
        if driven and wanted:
            found["input"].append(
                log_scale + _log_norm(observe(pulled[:, n:], lag), norm, system.inputs)
            )
        product = np.ascontiguousarray(pulled[:, :n])
    return found


def _from_start(system, states, inputs, lags, norm):
    """The same for gradients of later states with respect to the first, from one sweep forwards;
    the directions of u_1, one step ahead of those of the state, go through the same steps."""
    n, driven = states.shape[-1], inputs is not None
    found, product, log_scale = _empty(driven), np.eye(n), 0.0
    rows, log_rows = (
        (jacobian(system, states[0], inputs[0], wrt="input").T, 0.0) if driven else (None, 0.0)
    )
    for lag in range(int(lags[-1]) + 1):
        product, log_scale = _rescaled(product, log_scale, lag, system)
        if lag in lags:
            found["state"].append(log_scale + _log_norm(product, norm, n))
        if driven:
            rows, log_rows = _rescaled(rows, log_rows, lag, system)
            if lag in lags:
                seen = _observer(system, states[lag + 1], inputs[lag])(rows.T, lag)
                found["input"].append(log_rows + _log_norm(seen, norm, system.inputs))
            rows = (
                push(system, states[lag + 1], rows, inputs[lag + 1])[1] if lag < lags[-1] else rows
            )
        product = push(system, states[lag], product, inputs[lag] if driven else None)[1]
    return found


_PROFILES = {"end": _from_end, "start": _from_start}


def _empty(driven):
    return {"state": [], "input": []} if driven else {"state": []}


def _rescaled(product, log_scale, lag, system):
    """The product brought back to size one where its square would under- or overflow, its logarithm
    kept."""
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


def _back(system, x, u):
    """Pull-back of one step: cotangents of the next state to those of the state, or of state and
    input side by side."""
    if u is None:
        return linearise_rule(lambda p: system.rule(p, None), x)[1]
    n = len(x)
    return linearise_rule(lambda p: system.rule(p[:n], p[n:]), np.concatenate([x, u]))[1]


def _observer(system, x, u):
    """From d x_T / d u to d y_T / d u: a product with dy/dx, left out where the output is the
    state, plus dy/du at lag 0."""
    C = jacobian(system, x, u, of="output")
    D = jacobian(system, x, u, wrt="input", of="output")
    plain = C.shape[0] == C.shape[1] and (np.eye(len(C)) == C).all()

    def observe(by_input, lag):
        seen = by_input if plain else C @ by_input
        return seen + D if lag == 0 else seen

    return observe


def _log_norm(matrix, norm, directions):
    size = (
        np.linalg.norm(matrix, 2)
        if norm == "spectral"
        else np.sqrt(np.vdot(matrix, matrix) / directions)
    )
    with np.errstate(divide="ignore"):
        return np.log(size)
