"""Equations and exact Jacobians as sympy matrices and LaTeX, derived from the rule itself.

Symbols are for small systems, up to ``MAX_STATES``: the formula of a 32-unit network takes minutes
and nobody reads it. Every symbol is created here, from names checked to be plain identifiers; no
text of a user is ever parsed.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from .arrays import NUMPY_FUNCTIONS
from .errors import ShapeError
from .runtime.validation import public
from .system import System, as_system, map_arrays

if TYPE_CHECKING:
    import sympy

MAX_STATES = 8


@public
def symbols(system: System, size: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """State and input symbols of a system.

    Parameters
    ----------
    system : Map or Flow
    size : int, optional
        Number of states, where the system names none.

    Returns
    -------
    x : numpy.ndarray of object (n,)
    u : numpy.ndarray of object (inputs,) or None

    Raises
    ------
    ShapeError
        If there are no named states and no size, or more than 8 states.
    ValueError
        If two names are equal.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.symbolic.symbols(dm.systems.get("henon"))[0].tolist()
    [x, y]
    """
    size = system.size or size
    if size is None:
        raise ShapeError(
            f"{type(system).__name__} names no states: pass size=n, or set states = (...)"
        )
    if size > MAX_STATES:
        raise ShapeError(
            f"{type(system).__name__} has {size} states, symbols are made for up to "
            f"{MAX_STATES}: look at one unit, or use "
            "engine='dual'"
        )
    names = system.states if len(system.states) == size else [f"x{i}" for i in range(size)]
    letter = "u" if not any(name.startswith("u") for name in map(str, names)) else "input"
    both = _array([*names, *(f"{letter}{i}" for i in range(system.inputs))])
    if len(set(both)) < len(both):
        raise ValueError(
            f"the states {', '.join(map(str, names))} do not all have different "
            "names: formulas would mix them up"
        )
    return both[:size], both[size:] if system.inputs else None


@public
def equations(
    system: System, *, parameters: str = "numbers", size: int | None = None
) -> sympy.Matrix:
    """Right-hand side of a system as a column matrix of formulas.

    Parameters
    ----------
    system : Map or Flow
    parameters : {"numbers", "symbols"}
        Whether parameters appear as their values or as symbols of their names.
    size : int, optional
        Number of states, where the system names none.

    Returns
    -------
    sympy.Matrix

    Raises
    ------
    ShapeError
        If the system has more than 8 states.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.symbolic.equations(dm.models.Tanh.zeros(1), parameters="symbols")
    Matrix([[tanh(W*h + b)]])
    """
    import sympy

    x, u = symbols(as_system(system), size)
    twin = _with_parameters(system, parameters, [*x, *(() if u is None else u)])
    return sympy.Matrix(np.atleast_1d(twin.rule(x, u)))


@public
def jacobian(
    system: System, *, wrt: str = "state", parameters: str = "numbers", size: int | None = None
) -> sympy.Matrix:
    """Jacobian of the rule as a matrix of formulas, d f_i / d x_j.

    Parameters
    ----------
    system : Map or Flow
    wrt : {"state", "input"}
        What to differentiate with respect to.
    parameters : {"numbers", "symbols"}
        Whether parameters appear as their values or as symbols of their names.
    size : int, optional
        Number of states, where the system names none.

    Returns
    -------
    sympy.Matrix

    Raises
    ------
    ShapeError
        If the system has more than 8 states, or no input for ``wrt="input"``.

    Examples
    --------
    >>> import dynmem as dm
    >>> dm.symbolic.jacobian(dm.models.Tanh.zeros(1), parameters="symbols")
    Matrix([[W*(1 - tanh(W*h + b)**2)]])
    """
    import sympy

    x, u = symbols(as_system(system), size)
    if wrt == "input" and u is None:
        raise ShapeError(
            f"{type(system).__name__} takes no input: wrt='input' has nothing to differentiate by"
        )
    matrix = equations(system, parameters=parameters, size=size).jacobian(
        sympy.Matrix(x if wrt == "state" else u)
    )
    # sympy leaves the derivative of a remainder undone: it is that of the dividend
    folded = matrix.atoms(sympy.Derivative)
    if not folded:
        return matrix
    return matrix.xreplace(
        {d: d.expr.args[0].diff(*d.variables) for d in folded if isinstance(d.expr, sympy.Mod)}
    ).doit()


@public
def latex(system: System, *, parameters: str = "symbols", size: int | None = None) -> str:
    r"""Jacobian of the rule as LaTeX.

    Parameters
    ----------
    system : Map or Flow
    parameters : {"symbols", "numbers"}
        Whether parameters appear as symbols of their names or as their values.
    size : int, optional
        Number of states, where the system names none.

    Returns
    -------
    str

    Examples
    --------
    >>> import dynmem as dm
    >>> print(dm.symbolic.latex(dm.models.Linear.zeros(1)))
    \left[\begin{matrix}W\end{matrix}\right]
    """
    import sympy

    return sympy.latex(jacobian(system, parameters=parameters, size=size))


@public
def fixed_points(system: System, *, size: int | None = None) -> list[tuple]:
    """Fixed points in closed form: f(x) = x for a Map, f(x) = 0 for a Flow, at zero input.

    Parameters
    ----------
    system : Map or Flow
    size : int, optional
        Number of states, where the system names none.

    Returns
    -------
    list of tuple
        Points as sympy expressions.

    Raises
    ------
    NotImplementedError
        If sympy knows no closed solution; at once where functions are nested, as in gated networks,
        since sympy would search without end.

    See Also
    --------
    dynmem.fixed_points : by Newton's method, for any system.

    Examples
    --------
    >>> import dynmem as dm
    >>> sorted(float(p[0]) for p in dm.symbolic.fixed_points(dm.systems.get("logistic", r=4.0)))
    [0.0, 0.75]
    """
    import sympy

    from .system import Map

    x, u = symbols(as_system(system), size)
    right = sympy.Matrix(
        np.atleast_1d(_with_parameters(system, "numbers").rule(x, None if u is None else 0 * u))
    )
    functions = {f for f in right.atoms(sympy.Function) if not isinstance(f, sympy.Piecewise)}
    if any(f.args[0].atoms(sympy.Function) for f in functions):
        raise NotImplementedError(
            f"the equations of {type(system).__name__} have no closed "
            "solution: find it by iteration"
        )
    try:  # rational numbers in place of floats would make powers of thousands of tanh(0.1257 h)
        found = sympy.solve(
            right - sympy.Matrix(x) if isinstance(system, Map) else right,
            list(x),
            dict=True,
            rational=False,
        )
    except TypeError as error:
        raise NotImplementedError(
            f"sympy does not solve the equations of {type(system).__name__}: find it by iteration"
        ) from error
    return [tuple(point.get(s, s) for s in x) for point in found]


@public
def evaluate(
    matrix: sympy.Matrix, system: System, x: np.ndarray, u: np.ndarray | None = None
) -> np.ndarray:
    """Numbers of a matrix of formulas at states and inputs.

    Parameters
    ----------
    matrix : sympy.Matrix (rows, columns)
    system : Map or Flow
    x : numpy.ndarray (..., n)
    u : numpy.ndarray (..., inputs), optional
        Zero by default.

    Returns
    -------
    numpy.ndarray (..., rows, columns)

    Examples
    --------
    >>> import dynmem as dm
    >>> henon = dm.systems.get("henon")
    >>> matrix = dm.symbolic.jacobian(henon)
    >>> dm.symbolic.evaluate(matrix, henon, np.array([0.5, 0.0])).round(3).tolist()
    [[-1.4, 1.0], [0.3, 0.0]]
    """
    import sympy

    states, inputs = symbols(system, x.shape[-1])
    given = () if inputs is None else inputs
    driven = inputs is not None
    arguments = [*states, *given]
    # names never reach generated code
    plain = dict(zip(arguments, sympy.symbols(f"_:{len(arguments)}", cls=sympy.Dummy), strict=True))
    pairs, (reduced,) = sympy.cse(matrix, symbols=sympy.numbered_symbols("_", cls=sympy.Dummy))
    pairs, reduced = [(name, part.xreplace(plain)) for name, part in pairs], reduced.xreplace(plain)
    function = sympy.lambdify(
        list(plain.values()), reduced, "numpy", cse=lambda formula: (pairs, formula)
    )
    points = x
    if driven:
        at = np.zeros(len(given)) if u is None else u
        points = np.concatenate([x, np.broadcast_to(at, (*x.shape[:-1], len(given)))], axis=-1)
    flat = points.reshape(-1, points.shape[-1])
    return np.stack([np.asarray(function(*p), dtype=float) for p in flat]).reshape(
        *x.shape[:-1], *matrix.shape
    )


def _with_parameters(system, parameters, taken=()):
    if parameters == "numbers":
        return map_arrays(system, _exactly)
    if parameters != "symbols":
        raise ValueError(f"parameters is 'numbers' or 'symbols', got {parameters!r}")
    changed = {
        f.name: _named(f, getattr(system, f.name))
        for f in fields(system)
        if not _neutral(system, f.name)
    }
    twin = map_arrays(system, lambda a: a)
    for name, value in changed.items():
        clash = {str(s) for s in taken} & {str(s) for s in np.ravel(value)}
        if clash:
            raise ValueError(
                f"{', '.join(sorted(clash))} names a state and a parameter of "
                f"{type(system).__name__}: rename one"
            )
        object.__setattr__(twin, name, value)
    return twin


def _exactly(array):
    """Exact numbers in an object array; arrays of integers, which may be indices, stay."""
    return (
        np.array([_exact(v) for v in array.flat], dtype=object).reshape(array.shape)
        if array.dtype.kind == "f"
        else array
    )


def _neutral(system, name):
    """A parameter at the value that takes it out of the equation, such as a leak of 1, stays a
    number."""
    return name in system.neutral and getattr(system, name) == system.neutral[name]


def _exact(value):
    """An integer where a float is one, so that 0 and 1 vanish from the formulas."""
    import sympy

    return sympy.Integer(int(value)) if float(value).is_integer() else sympy.Float(float(value), 17)


def _named(field, value):
    """A parameter as a symbol: W for one entry, W_ij for a matrix; counts and options that are no
    numbers stay."""
    name = field.name
    if isinstance(value, np.ndarray):
        if value.size == 1:
            return _array([name]).reshape(value.shape)
        comma = "_" if max(value.shape) > 10 and value.ndim > 1 else ""
        return _array(
            [name + "_" + comma.join(map(str, index)) for index in np.ndindex(value.shape)]
        ).reshape(value.shape)
    if isinstance(value, (float, np.floating)) or (
        type(value) is int and field.type in (float, "float")
    ):
        return _array([name])[0]
    if isinstance(value, System) or (
        isinstance(value, tuple) and any(isinstance(v, System) for v in value)
    ):
        raise ValueError("symbolic parameters are made for a single system: take one of its layers")
    return value


class Formulas(np.ndarray):
    """Array of formulas whose comparisons are formulas, since numpy would request the truth of
    each, and on which numpy's functions are those of a rule. A sum stays an array, of no axes."""

    __array_priority__ = 1.0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        function = NUMPY_FUNCTIONS.get(ufunc.__name__)
        if function is not None and method == "__call__" and not options:
            return function(*inputs)
        plain = [a.view(np.ndarray) if isinstance(a, Formulas) else a for a in inputs]
        if "out" in options:
            options["out"] = tuple(a.view(np.ndarray) for a in options["out"])
        found = getattr(ufunc, method)(*plain, **options)
        return np.asarray(found, dtype=object).view(type(self))

    def __gt__(self, other):
        return np.greater(self, other, dtype=object)

    def __ge__(self, other):
        return np.greater_equal(self, other, dtype=object)

    def __lt__(self, other):
        return np.less(self, other, dtype=object)

    def __le__(self, other):
        return np.less_equal(self, other, dtype=object)


def _array(names):
    import sympy

    for name in names:
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(
                f"{name!r} is not a name: state names are letters, digits and _, and "
                "start with a letter"
            )
    out = np.empty(len(names), dtype=object).view(Formulas)
    out[:] = [sympy.Symbol(name, real=True) for name in names]
    return out
