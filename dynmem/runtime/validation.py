"""Check arguments: each function returns the value in the type asked for, or raises an error that
names the argument, says what was expected and what came.

>>> integer("lags", 2.5)
Traceback (most recent call last):
...
ValueError: lags = 2.5: must be a whole number of at least 1
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numpy as np

from ..errors import NotFiniteError, ShapeError, suggestion
from .torch_modules import as_numpy

F = TypeVar("F", bound=Callable[..., Any])
# words of other packages for the arguments of ours, tried in this order
SYNONYMS = {
    "drive": ("u", "input", "inputs", "forcing", "noise"),
    "duration": ("T", "t", "time", "steps", "length", "tmax", "t_end", "n_steps", "iterations"),
    "lags": ("T", "steps", "duration", "length", "horizon", "delays"),
    "transient": ("burn_in", "burnin", "washout", "discard", "t_transient", "warmup"),
    "rng": ("seed", "random_state", "key", "generator"),
    "x0": ("x", "y0", "u0", "state", "initial", "start", "h0"),
    "starts": ("x0", "guess", "guesses"),
    "dt": ("h", "step", "timestep", "time_step", "step_size"),
    "exponents": ("k", "n_exponents", "num_exponents"),
    "workers": ("n_jobs", "num_workers", "processes", "threads"),
    "units": ("hidden_size", "hidden", "size", "n", "N", "width"),
    "inputs": ("input_size", "in_features", "n_inputs"),
    "outputs": ("output_size", "out_features", "n_outputs"),
    "layers": ("num_layers", "depth", "n_layers"),
    "steps": ("epochs", "iterations", "n_steps"),
    "learning_rate": ("lr", "alpha"),
    "batch": ("batch_size",),
}
R = TypeVar("R")


def integer(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number from ``least`` to ``most``; floats such as 3.0 pass, truth values do not."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    if (
        not is_real(value)
        or not (isinstance(value, int) or np.isfinite(value))  # numpy refuses 10**30
        or int(value) != value
        or value < least
        or (most is not None and value > most)
    ):
        raise ValueError(f"{name} = {value!r:.60}: must be a whole number {bounds}")
    return int(value)


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """A finite real number within bounds: ``above`` and ``below`` exclude the bound itself."""
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (
            ("above", above),
            ("of at least", least),
            ("below", below),
            ("of at most", most),
        )
        if bound is not None
    ]
    if (
        not is_real(value)
        or not np.isfinite(value)
        or (above is not None and value <= above)
        or (least is not None and value < least)
        or (below is not None and value >= below)
        or (most is not None and value > most)
    ):
        wanted = f"a finite number {' and '.join(bounds)}".rstrip()
        raise ValueError(f"{name} = {value!r:.60}: must be {wanted}")
    return float(value)


def choice(name: str, value: Any, allowed: Iterable) -> Any:
    """One of the values allowed; a misspelt name brings the one that was probably meant."""
    allowed = list(allowed)
    if not any(type(value) is type(one) and value == one for one in allowed):
        listed = ", ".join(map(repr, allowed))
        guess = suggestion(value, allowed) if isinstance(value, str) else ""
        raise ValueError(f"{name} = {value!r:.60}: must be one of {listed}{guess}")
    return value


def array(name: str, value: Any, shape: tuple | None = None) -> np.ndarray:
    """Finite real numbers, or a torch tensor of them, in float64. ``shape`` may hold None for an
    axis of any length."""
    value = as_numpy(value)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: fill it first, {name}.filled(...)")
    try:
        values = np.asarray(value)
    except ValueError:  # rows of unequal length
        values = np.asarray(None)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {value!r:.60}")
    if shape is not None and (
        values.ndim != len(shape)
        or any(want not in (None, have) for want, have in zip(shape, values.shape, strict=True))
    ):
        axes = ["n" if n is None else str(n) for n in shape]
        wanted = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
        raise ShapeError(f"{name} has shape {values.shape}, expected {wanted}")
    values = values.astype(float)
    if not np.isfinite(values).all():
        raise NotFiniteError(f"{name} holds NaN or infinity")
    return values


def generator(rng: Any, name: str = "rng") -> np.random.Generator:
    """A numpy Generator from a seed, a Generator (itself), or None (another one each time)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} = {rng!r:.60}: pass a whole number of at least 0, or a numpy Generator"
        ) from None


def is_real(value: Any) -> bool:
    """Whether a value is one real number, of Python or of numpy, and no truth value."""
    if isinstance(value, (bool, np.bool_, list, tuple, str, bytes)):
        return False
    if isinstance(value, int):  # of any size, also those that numpy holds as objects
        return True
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"


@contextmanager
def all_errors(kind: type[Exception] = ValueError) -> Iterator[Callable]:
    """Collect errors, and raise one of this kind with a line for each.

    >>> with all_errors() as check:
    ...     check(integer, "delay", 0)
    ...     check(number, "dt", -1.0, above=0)
    Traceback (most recent call last):
    ...
    ValueError: delay = 0: must be a whole number of at least 1
    dt = -1.0: must be a finite number above 0
    """
    wrong: list[str] = []

    def check(validate: Callable[..., R], *arguments: Any, **options: Any) -> R | None:
        try:
            return validate(*arguments, **options)
        except (ValueError, TypeError, ArithmeticError) as error:
            wrong.append(str(error))
            return None

    yield check
    if wrong:
        raise kind("\n".join(wrong))


def meant(name: str, known: Iterable[str]) -> str:
    """The known argument that was probably meant, as a question: by its meaning, or its letters.

    >>> meant("seed", ["drive", "rng"]), meant("lag", ["lags"]), meant("a", ["lags"])
    (' (did you mean rng?)', ' (did you mean lags?)', '')
    """
    known = list(known)
    same = [one for one, words in SYNONYMS.items() if one in known and name in words]
    return f" (did you mean {same[0]}?)" if same else suggestion(name, known)


def public(function: F) -> F:
    """A function, or a class, whose TypeError names the keyword argument that was probably meant;
    results of analyses and of theory name the function that made them, in ``attrs["function"]``.

    >>> @public
    ... def horizon(lags, *, drive=None): ...
    >>> horizon(3, driven=1.0)
    Traceback (most recent call last):
    ...
    TypeError: horizon takes no argument 'driven' (did you mean drive?): it takes lags, drive
    """
    if isinstance(function, type):
        setattr(function, "__init__", public(vars(function)["__init__"]))  # noqa: B010
        return function
    constructor = function.__name__ == "__init__"
    every = list(inspect.signature(function).parameters.values())
    bound = int(bool(every) and every[0].name in ("self", "cls"))  # a method
    every = every[bound:]
    home = ".".join(function.__module__.split(".")[:2])
    open_ended = any(p.kind is p.VAR_KEYWORD for p in every)
    spread = any(p.kind is p.VAR_POSITIONAL for p in every)
    positional = [p.name for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = [p.name for p in every if p.kind is p.KEYWORD_ONLY]
    known = [*positional, *by_name]
    nameless = [p.name for p in every if p.kind is p.POSITIONAL_ONLY]
    needed = [p.name for p in every if p.default is p.empty and p.name in known]

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        name = type(arguments[0]).__name__ if constructor else function.__name__
        unknown = [one for one in options if one not in known]
        count = len(arguments) - bound
        if count > len(positional) and not spread:
            rest = ", ".join(by_name) or ("name=value" if open_ended else "")
            rest = f": pass the rest by name, {rest}" if rest else ""
            raise TypeError(
                f"{name} takes {', '.join(positional)} by position, got {count} arguments{rest}"
            )
        if unknown and not open_ended:
            raise TypeError(
                f"{name} takes no argument {unknown[0]!r}{meant(unknown[0], known)}: it takes "
                f"{', '.join(known)}"
            )
        given = {*positional[: max(count, 0)], *(set(options) - set(nameless))}
        if not spread and (missing := [one for one in needed if one not in given]):
            slip = next((one for one in unknown if meant(one, missing)), None)
            guess = f", got {slip!r}{meant(slip, missing)}" if slip else ""
            raise TypeError(f"{name} needs {missing[0]}{guess}: it takes {', '.join(known)}")
        result = function(*arguments, **options)
        if home in ("dynmem.analysis", "dynmem.theory") and hasattr(result, "data_vars"):
            result.attrs["function"] = f"{home}.{name}"
        return result

    return cast(F, call)
