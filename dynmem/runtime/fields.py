"""Check the fields of a class when it is built: lists become arrays, and what cannot be a number,
a whole number or an array is refused by its name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..errors import ShapeError, suggestion
from .validation import is_real

ARRAYS = ("ndarray", "Array", "ArrayLike", "NDArray")
SEQUENCES = ("list", "tuple", "Sequence", "Iterable")
# words of numpy's errors on shapes: a rule may raise a ValueError of its own
SHAPE_WORDS = ("shape", "dimension", "operand", "out of bounds")


def read_fields(owner: str, kinds: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of fields, checked against their annotations.

    A list of numbers is an array, unless its field is annotated as a sequence. Fields of other
    types are not looked at.

    Parameters
    ----------
    owner : str
        Name of the class, for messages.
    kinds : mapping
        Annotation of each field, a type or a string.
    given : mapping
        Value of each field that was passed.

    Returns
    -------
    dict
        The values.

    Raises
    ------
    TypeError
        For a field annotated float or int that is no number, and a list that holds none.
    ValueError
        For a field annotated int that is no whole number.
    ShapeError
        For a list whose rows have unequal lengths.

    Examples
    --------
    >>> read_fields("Net", {"W": np.ndarray, "gain": float}, {"W": [[1, 2]], "gain": 2})
    {'W': array([[1., 2.]]), 'gain': 2}
    >>> read_fields("Net", {"gain": float}, {"gain": "2"})
    Traceback (most recent call last):
    ...
    TypeError: gain = '2': must be a finite number, without quotes (a parameter of Net)
    """
    return {
        name: _read(f"{name} of {owner}", _words(kinds.get(name)), given[name]) for name in given
    }


def _words(kind: Any) -> set[str]:
    """Names of types in an annotation, such as {"float", "None"} of ``float | None``."""
    text = getattr(kind, "__name__", None) if isinstance(kind, type) else None
    text = str(kind) if text is None else text
    for sign in "|[],()'\"":
        text = text.replace(sign, " ")
    return {word.rpartition(".")[2] for word in text.split()}


def _read(name: str, kind: set[str], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return _sequence(name, kind, value)
    if kind and kind <= {"float", "int"}:
        _check_number(name, kind, value)
    never: tuple[type, ...] = (str, bytes, dict, set)
    if kind and kind <= {"ndarray", "NDArray"}:
        never = (*never, type(None), int, float, np.number)
    if kind & set(ARRAYS) and isinstance(value, never):
        raise TypeError(f"{name} must hold real numbers, in an array, got {value!r:.60}")
    return value


def _check_number(name: str, kind: set[str], value: Any) -> None:
    name, _, owner = name.partition(" of ")
    wanted = "a whole number" if kind == {"int"} else "a finite number"
    if value is None or isinstance(value, (str, bytes, dict, set, type)):
        quoted = ", without quotes" if isinstance(value, str) else ""
        raise TypeError(
            f"{name} = {value!r:.60}: must be {wanted}{quoted} (a parameter of {owner})"
        )
    if kind == {"int"} and is_real(value) and value != np.floor(value):
        raise ValueError(f"{name} = {value!r:.60}: must be {wanted} (a parameter of {owner})")


def _sequence(name: str, kind: set[str], value: list | tuple) -> Any:
    """A list of numbers as an array; a tuple, where the annotation asks for an array."""
    asked = bool(kind & set(ARRAYS))
    if kind & set(SEQUENCES) or (not asked and (isinstance(value, tuple) or not value)):
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        if asked:
            raise ShapeError(f"{name} has rows of unequal length: must be an array") from None
        return value
    if array.dtype.kind in "biuf":
        return array.astype(float)
    if array.dtype.kind in "USO" and asked and not _objects(value):
        raise TypeError(f"{name} must hold real numbers, in an array, got {value!r:.60}")
    return array if array.dtype.kind == "c" else value


def _objects(value: Any) -> bool:
    """Whether a nested list holds what may stand for numbers: symbols, tensors, systems."""
    if isinstance(value, (list, tuple)):
        return any(map(_objects, value))
    return not isinstance(value, (str, bytes, int, float, type(None)))


def check_construction(cls: type) -> None:
    """Let the constructor of a class check what it is given, and bring the parameter that was
    probably meant."""
    build = vars(cls).get("__init__")
    if build is None:
        return
    signature = inspect.signature(build)
    taken = list(signature.parameters)[1:]
    open_ended = any(
        p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in signature.parameters.values()
    )
    kinds = {f.name: f.type for f in fields(cls) if f.init}

    @functools.wraps(build)
    def __init__(self, *arguments, **options):
        for name in options:
            if not open_ended and name not in taken:
                raise TypeError(
                    f"{cls.__name__} takes no parameter {name!r}{suggestion(name, taken)}: it "
                    f"takes {', '.join(taken) or 'none'}"
                )
        if len(arguments) > len(taken) and not open_ended:
            raise TypeError(
                f"{cls.__name__} takes {len(taken)} parameters ({', '.join(taken) or 'none'}), "
                f"got {len(arguments)}"
            )
        if open_ended:
            build(self, *arguments, **options)
            return
        given = dict(zip(taken, arguments, strict=False))
        if twice := [name for name in options if name in given]:
            raise TypeError(f"{cls.__name__} got {twice[0]} twice: by its place and by its name")
        given |= options
        needed = [n for n in taken if signature.parameters[n].default is inspect.Parameter.empty]
        if missing := [name for name in needed if name not in given]:
            raise TypeError(f"{cls.__name__} needs {missing[0]}: it takes {', '.join(taken)}")
        build(self, **read_fields(cls.__name__, kinds, given))
        if type(self) is cls and not hasattr(cls, "__post_init__"):
            _check_fit(self)

    setattr(cls, "__init__", __init__)  # noqa: B010


def _check_fit(system: Any) -> None:
    """Refuse arrays that do not fit the states or each other, where the class does not check them
    itself in ``__post_init__``: the rule is called once."""
    arrays = {
        f.name: value
        for f in fields(system)
        if isinstance(value := getattr(system, f.name), np.ndarray)
    }
    if not arrays or not system.size:
        return
    x = np.full(system.size, 0.5)
    u = np.full(system.inputs, 0.5) if system.inputs else None
    fits_together(type(system).__name__, arrays, lambda: system.rule(x, u), x.shape)


def fits_together(
    owner: str, arrays: Mapping[str, np.ndarray], rule: Callable[[], Any], shape: tuple[int, ...]
) -> None:
    """Refuse arrays with which a rule does not return a state of its shape.

    What else a rule raises or returns at a state that nobody has chosen says nothing.
    """
    with np.errstate(all="ignore"):
        try:
            found = np.shape(rule())
        except (ValueError, IndexError) as error:
            if any(word in str(error) for word in SHAPE_WORDS):
                raise ShapeError(
                    f"{_listed(arrays)} of {owner} {_do(arrays)} not fit a state of shape {shape}"
                    f"{' or each other' if len(arrays) > 1 else ''}: {error}"
                ) from None
            return
        except Exception:  # the first run shows it where it matters
            return
    if found != shape and found[-1:] != shape[-1:]:
        raise ShapeError(
            f"{_listed(arrays)} of {owner} {_do(arrays)} not fit a state of shape {shape}: the "
            f"rule returned shape {found}"
        )


def _listed(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {value.shape}" for name, value in arrays.items())


def _do(arrays: Mapping[str, np.ndarray]) -> str:
    return "does" if len(arrays) == 1 else "do"
