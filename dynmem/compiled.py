"""Small rules as machine code: the operations that a rule traces, written out as a program, compiled by numba and kept on disk.

The program of a system holds its rule and the tangent of its rule, each operation once, a Runge-Kutta scheme around them for a flow, and
the loops of ``kernels``. Parameters are its arguments: one program serves every value. It depends on the equation alone, so programs are
kept under the hash of their text in the user's cache folder, and the next process starts at once.
"""

import hashlib
import math
import re
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .errors import ShapeError, SlowWarning
from .machine import machine_code, over_threads
from .runge_kutta import FlowMap, tableau
from .system import Map
from .trace import LEAVES, Node, TooLargeError, UntraceableError, parameter_values, partials, record

LARGEST = 64  # states beyond which BLAS is as fast
ENOUGH = 1e6  # operations from which on machine code pays for its compilation: some seconds, more for long rules
TANGENT = 5  # what an operation costs at numpy's speed with its tangent, as a multiple of the operation itself
FORMS = {
    "const": "{0!r}", "x": "K[at, {0}]", "u": "U[t, {0}]", "p": "P[member, {0}]",
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "pow": "{0} ** {1}", "mod": "{0} % {1}", "neg": "-{0}",
    "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}", "ge": "{0} >= {1}", "eq": "{0} == {1}", "ne": "{0} != {1}",
    "and": "{0} and {1}", "or": "{0} or {1}", "not": "not {0}", "select": "{1} if {0} else {2}",
    "abs": "abs({0})", "sign": "1.0 if {0} > 0.0 else -1.0 if {0} < 0.0 else {0}", "relu": "0.0 if {0} <= 0.0 else {0}", "arctan": "math.atan({0})",
    "sigmoid": "(1.0 if {0} >= 0.0 else math.exp({0})) / (1.0 + math.exp(-abs({0})))",
}  # fmt: skip
STATE_LOST, TANGENT_LOST, COLLAPSED = 1, 2, 3  # as in kernels
CONDITIONS = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not")


@dataclass(frozen=True, eq=False)
class Program:
    """Machine code of one equation: ``advance`` of ``kernels`` with the sizes that its work space needs."""

    advance: object
    shape: tuple  # states, stages of the scheme, coefficients of the tangent, directions in a tile
    baked: bool  # whether the parameters are part of the code, because the rule does not run on symbols in their place

    def run(self, system, x, frames, steps, *, inputs=None, every=None, check_every=0, clock=None, keep=(), workers=1):
        """Carry states x (m, n) and frames (m, k, n) ``steps`` on, both in place; ``system`` is one Map, or a list of Maps with as many
        members each.

        Growth is recorded over blocks of ``every`` steps; ``keep`` names what else is kept at their ends: "states", "frames", "factors".
        Returns a ``Course``.
        """
        members, k, n = frames.shape
        if n != self.shape[0] or x.shape != (members, n) or not (x.flags.c_contiguous and frames.flags.c_contiguous):
            raise ShapeError(f"states {x.shape} and frames {frames.shape} do not fit a program of {self.shape[0]} states")  # it would not notice
        every = every or max(steps, 1)
        course = Course.empty(members, steps // every, k, self.shape[0], keep)
        systems = system if isinstance(system, list) else [system]
        P = np.array([[0.0] if self.baked else [*parameter_values(_rule_of(s)), 0.0] for s in systems]).repeat(members // len(systems), axis=0)
        U = np.zeros((1, 1)) if inputs is None else np.ascontiguousarray(np.atleast_2d(inputs), dtype=float)
        if U.shape[1] != max(1, systems[0].inputs) or not (len(U) == 1 or len(U) >= steps):
            raise ShapeError(f"inputs {U.shape} do not fit {steps} steps of {systems[0].inputs} inputs")
        h, substeps = _step_of(systems[0])
        clock = np.tile(np.array([1, 0]), (members, 1)) if clock is None else clock

        def part(a, b):
            self.advance(x[a:b], frames[a:b], P[a:b], U, h, substeps, clock[a:b], every, check_every,
                         *(array[a:b] for array in course.arrays), *self._space(k))

        over_threads(part, members, workers)
        return course

    def _space(self, k):
        n, stages, coefficients, width = self.shape
        rows = (stages + 2, n), (stages, coefficients), (-(-k // width), n * width), (stages + 2, n * width)
        return [np.zeros(shape) for shape in (*rows, (k, n), (n, n), (k, k), (k, k), (k,))]


@dataclass(frozen=True, eq=False)
class Course:
    """What a run has recorded: growth (m, blocks, k), states (m, blocks, n), frames (m, blocks, k, n), factors (m, blocks, k, k), the residual
    of the sum rule with the steps it was taken over (m, 2), and status with the step it belongs to (m, 2)."""

    growths: np.ndarray
    states: np.ndarray
    frames: np.ndarray
    factors: np.ndarray
    sums: np.ndarray
    status: np.ndarray

    @classmethod
    def empty(cls, members, blocks, k, n, keep):
        room = {name: (members, blocks if name in keep else 0) for name in ("states", "frames", "factors")}
        return cls(np.zeros((members, blocks, k)), np.zeros((*room["states"], n)), np.zeros((*room["frames"], k, n)),
                   np.zeros((*room["factors"], k, k)), np.zeros((members, 2)), np.zeros((members, 2), np.int64))

    @property
    def arrays(self):
        return self.growths, self.states, self.frames, self.factors, self.sums, self.status


def _step_of(system):
    return (system.dt / system.substeps, system.substeps) if _rule_of(system) is not system else (1.0, 1)


def program(system, size, work=np.inf):
    """The program of a Map (a FlowMap's flow is compiled, whatever its step), or None where numpy serves better: for a large state, a long
    rule, or little ``work``, in steps of plain orbit. A rule that cannot be compiled is said so once, in a ``SlowWarning``."""
    if size > LARGEST or work < 100 or not isinstance(system, Map):
        return None
    try:
        trace, results, baked = _recorded(_rule_of(system), size)
        cost = trace.work * _stages(system) * _step_of(system)[1]
        if cost * work < ENOUGH * (1 + trace.work / 100):
            return None
        text, shape = _text(trace, results, size, system)
        return Program(_compiled(text), shape, baked)
    except TooLargeError:
        return None
    except UntraceableError as reason:
        _warn(type(_rule_of(system)).__name__, str(reason))
        return None


def _rule_of(system):
    """The rule that is compiled: that of the flow, where the steps of its scheme are loops around it."""
    return system.flow if isinstance(system, FlowMap) or _splitting(system) else system


def _splitting(system):
    """Pairs (drift, kick) of a symplectic step of a flow q' = v, v' = force(q); None for any other map."""
    return getattr(system, "splitting", None)


def _stages(system):
    """Calls of the compiled rule in one step of its scheme."""
    if isinstance(system, FlowMap):
        return len(tableau(system.order)[1])
    return sum(kick != 0.0 for _, kick in _splitting(system) or ((0.0, 1.0),))


@cache
def _warn(name, reason):
    warnings.warn(f"{name} runs at numpy's speed, its rule cannot be made machine code: {reason}", SlowWarning, stacklevel=6)


def _recorded(system, size):
    """Trace, results, and whether the parameters had to be numbers in it."""
    try:
        return *record(system, size), False
    except TooLargeError:
        raise
    except UntraceableError:
        return *record(system, size, symbols=False), True


def _text(trace, results, size, system):
    """The program of a rule, and the shape that its work space needs."""
    order = system.order if isinstance(system, FlowMap) else None
    width = min(16, 1 << (size - 1).bit_length())
    rule, tangent, coefficients = _functions(trace, results, width)
    stages = _stages(system)
    sizes = f"SIZE, WIDTH, STAGES, STORAGE = {size}, {width}, {stages}, {size * width}"
    sizes += f"\nWEIGHTS = {tableau(order)[1]!r}" if order else ""
    head, _, loops = _loops()
    text = "\n\n\n".join((head, sizes, rule, tangent, *_around(system), loops))
    return text, (size, stages, max(1, coefficients), width)


@cache
def _loops():
    """The text of ``kernels``, cut at its rulers."""
    text = Path(__file__).with_name("kernels.py").read_text(encoding="utf-8")
    return tuple(re.split(r"\n# -{100,}\n", text))


_SINGLE = ("""@late(MOVE, **FAST)
def move(P, member, U, t, h, K, C):
    slope(K, STAGES + 1, P, member, U, t, 0, C)
    for i in range(SIZE):
        K[STAGES + 1, i] = K[0, i]""", """@late(PUSH, **FAST)
def push(C, h, V, tile, K):
    lanes(C, V, tile, 0, K)
    for i in range(STORAGE):
        V[tile, i] = K[0, i]""", """@late(VOLUME, **FAST)
def volume(C, h, J, K):
    for j in range(SIZE):
        for i in range(STORAGE):
            K[STAGES, i] = 1.0 if i == j * WIDTH else 0.0
        lanes(C, K, STAGES, 0, K)
        for i in range(SIZE):
            J[i, j] = K[0, i * WIDTH]
    total = 0.0
    for i in range(SIZE):
        pivot = i
        for j in range(i + 1, SIZE):
            if abs(J[j, i]) > abs(J[pivot, i]):
                pivot = j
        if J[pivot, i] == 0.0:
            return -math.inf
        for m in range(SIZE):
            J[i, m], J[pivot, m] = J[pivot, m], J[i, m]
        total += math.log(abs(J[i, i]))
        for j in range(i + 1, SIZE):
            r = J[j, i] / J[i, i]
            for m in range(i, SIZE):
                J[j, m] -= r * J[i, m]
    return total
""")  # fmt: skip


def _around(system):
    """``move``, ``push`` and ``volume`` of a step: a Runge-Kutta scheme, drifts and kicks, or the rule alone."""
    pairs = _splitting(system)
    return _scheme(system.order) if isinstance(system, FlowMap) else _drifts_and_kicks(pairs) if pairs else _SINGLE


def _drifts_and_kicks(pairs):
    """The same for a symplectic step, whose volume does not change."""
    move = ["@late(MOVE, **FAST)", "def move(P, member, U, t, h, K, C):", "    half = SIZE // 2"]
    push = ["@late(PUSH, **FAST)", "def push(C, h, V, tile, K):", "    half = SIZE // 2 * WIDTH"]
    stage = 0
    for drift, kick in pairs:
        if drift:
            move += ["    for i in range(half):", f"        K[STAGES + 1, i] += h * {drift!r} * K[STAGES + 1, half + i]"]
            push += ["    for i in range(half):", f"        V[tile, i] += h * {drift!r} * V[tile, half + i]"]
        if kick:
            move += [f"    slope(K, STAGES + 1, P, member, U, t, {stage}, C)", "    for i in range(half):",
                     f"        K[STAGES + 1, half + i] += h * {kick!r} * K[{stage}, half + i]"]
            push += [f"    lanes(C, V, tile, {stage}, K)", "    for i in range(half):",
                     f"        V[tile, half + i] += h * {kick!r} * K[{stage}, half + i]"]
            stage += 1
    return "\n".join(move), "\n".join(push), "@late(VOLUME, **FAST)\ndef volume(C, h, J, K):\n    return 0.0"


def _scheme(order):
    """``move``, ``push`` and ``volume`` for a Runge-Kutta step, each stage written out with its weights."""
    A, B = tableau(order)
    move = ["@late(MOVE, **FAST)", "def move(P, member, U, t, h, K, C):"]
    push = ["@late(PUSH, **FAST)", "def push(C, h, V, tile, K):"]
    for s, row in enumerate(A):
        if any(row):
            move += ["    for i in range(SIZE):", f"        K[STAGES, i] = K[STAGES + 1, i] + h * ({_sum(row)})"]
            push += ["    for i in range(STORAGE):", f"        K[STAGES, i] = V[tile, i] + h * ({_sum(row)})"]
        move.append(f"    slope(K, STAGES{'' if any(row) else ' + 1'}, P, member, U, t, {s}, C)")
        push.append(f"    lanes(C, {'K, STAGES' if any(row) else 'V, tile'}, {s}, K)")
    move += ["    for i in range(SIZE):", f"        K[STAGES + 1, i] += h * ({_sum(B)})"]
    push += ["    for i in range(STORAGE):", f"        V[tile, i] += h * ({_sum(B)})"]
    volume = ["@late(VOLUME, **FAST)", "def volume(C, h, J, K):", "    total = 0.0", "    for s in range(STAGES):", "        for j in range(SIZE):",
              "            for i in range(STORAGE):", "                K[STAGES, i] = 1.0 if i == j * WIDTH else 0.0",
              "            lanes(C, K, STAGES, s, K)", "            total += h * WEIGHTS[s] * K[s, j * WIDTH]", "    return total"]
    return "\n".join(move), "\n".join(push), "\n".join(volume)


def _sum(weights):
    return " + ".join(f"{w!r} * K[{j}, i]" for j, w in enumerate(weights) if w)


def _functions(trace, results, width):
    """Text of the rule and of its tangent, and the number of coefficients that the one hands to the other."""
    moving, lines, slots = {}, [], {}

    def slot(node):
        return f"C[s, {slots.setdefault(node.index, len(slots))}]"

    def term(coefficient, i):
        value = coefficient.constant
        return f"d{i}" if value == 1.0 else f"-d{i}" if value == -1.0 else f"{slot(coefficient) if value is None else repr(value)} * d{i}"

    for i in sorted(_needed(trace, [r.index for r in results])):
        operation, *operands = trace.entries[i]
        if operation == "x":
            moving[i] = f"V[at, {operands[0] * width} + l]"
        elif operation == "select":
            a, b = operands[1:]
            if a in moving or b in moving:
                chosen = [f"d{j}" if j in moving else "0.0" for j in (a, b)]
                moving[i] = f"{chosen[0]} if {slot(Node(trace, operands[0]))} > 0.5 else {chosen[1]}"
        elif terms := [term(c, o.index) for c, o in partials(trace, Node(trace, i)) if o.index in moving and c.constant != 0.0]:
            moving[i] = " + ".join(terms).replace("+ -", "- ")
    lines = [f"        d{i} = {text}" for i, text in moving.items()]
    outputs = [f"        K[s, {j * width} + l] = {f'd{r.index}' if r.index in moving else '0.0'}" for j, r in enumerate(results)]
    lanes = ["@late(LANES, **FAST)", "def lanes(C, V, at, s, K):", "    for l in range(WIDTH):", *lines, *outputs]
    return _slope(trace, results, slots), "\n".join(lanes), len(slots)


def _slope(trace, results, slots):
    """Text of the rule with the coefficients of its tangent."""
    lines = ["@late(SLOPE, **FAST)", "def slope(K, at, P, member, U, t, s, C):"]
    for i in sorted(_needed(trace, [r.index for r in results] + list(slots))):
        operation, *operands = trace.entries[i]
        lines.append(f"    v{i} = {_operation(operation, operands)}")
    lines += [f"    K[s, {j}] = v{r.index}" for j, r in enumerate(results)]
    for i, place in slots.items():
        lines.append(f"    C[s, {place}] = {f'1.0 if v{i} else 0.0' if trace.entries[i][0] in CONDITIONS else f'v{i}'}")
    return "\n".join(lines)


def _operation(operation, operands):
    """An operation as text."""
    if operation == "const" and not np.isfinite(operands[0]):
        return f"math.{'nan' if np.isnan(operands[0]) else 'inf'} * {math.copysign(1.0, operands[0])!r}"
    names = operands if operation in LEAVES else [f"v{j}" for j in operands]
    return FORMS.get(operation, f"math.{operation}({{0}})").format(*names)


def _needed(trace, roots):
    """Indices of all nodes that the roots are made of."""
    needed, waiting = set(), list(roots)
    while waiting:
        i = waiting.pop()
        if i not in needed:
            needed.add(i)
            if trace.entries[i][0] not in LEAVES:
                waiting += trace.entries[i][1:]
    return needed


_LOCK, _PROGRAMS = threading.Lock(), {}


def _compiled(text):
    """``advance`` of a program's text: from this process, from the cache on disk, or compiled now."""
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    with _LOCK:
        if name not in _PROGRAMS:
            _PROGRAMS[name] = _built(f"dynmem_program_{name}", text)
        return _PROGRAMS[name]


def _built(name, text):
    """``advance`` of a program."""
    import numba

    f1, f2, f3, f4 = (numba.types.Array(numba.float64, dims, "C") for dims in (1, 2, 3, 4))
    integers, i2 = (numba.int64,) * 3, numba.types.Array(numba.int64, 2, "C")
    signature = numba.void(f2, f3, f2, f2, numba.float64, integers[0], i2, *integers[1:], f3, f3, f4, f4, f2, i2, *(f2,) * 8, f1)
    return machine_code(name, text, "advance", signature)
