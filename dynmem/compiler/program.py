"""Small rules as compiled code: the operations that a rule traces, compiled by LLVM, inside the
loops of ``driver``, compiled by numba.

The program of a system holds its rule and the tangent of its rule, each operation once a stage, and
a Runge-Kutta scheme, or drifts and kicks, around them. Parameters are its arguments: one program
serves every value. Compilation takes a tenth of a second, and the object code is cached on disk
with its checksum; the loops around it, the same for all systems, take numba a second or two, once
on a machine.
"""

import hashlib
import inspect
import threading
import warnings
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ..errors import ShapeError, SlowWarning
from ..integrate.discontinuity import jumps
from ..integrate.runge_kutta import FlowMap, error_weights, tableau
from ..runtime.files import checksum
from ..runtime.jit import keep, kept, machine_code
from ..runtime.threads import over_threads
from ..system import Map
from . import integrator_ir, llvm_ir
from .trace import TooLargeError, UntraceableError, parameter_values, trace_rule

MAX_TILE_WIDTH = 8  # directions in a tile
# more takes LLVM longer and gains nothing
LLVM_TUNING = {"speed_level": 2, "loop_unrolling": False}
# states up to which it takes LLVM more time to put numbers side by side than they save
MAX_SCALAR_STATES = 4
MAX_COMPILED_STATES = 64  # states beyond which BLAS is as fast
# operations, at numpy's speed a tenth of a second, from which on machine code pays for its
# compilation, more for long rules
MIN_COMPILED_OPERATIONS = 1e5
# what an operation costs at numpy's speed with its tangent, as a multiple of the operation itself
TANGENT_COST = 5
STATE_LOST, TANGENT_LOST, COLLAPSED, TOO_MANY_PARTS = 1, 2, 3, 4  # as in driver


@dataclass(frozen=True, eq=False)
class Program:
    """Compiled code of one equation and one scheme, for tiles of up to eight tangent vectors."""

    trace: object
    results: list
    scheme: dict  # "A" and "B" of a Runge-Kutta step, or "pairs" of drifts and kicks; "inputs"
    # whether the parameters are part of the code, because the rule does not run on symbols in their
    # place
    baked: bool
    made: dict = field(default_factory=dict)

    @property
    def size(self):
        return len(self.results)

    def address(self, k):
        """Address of ``advance_steps`` for k tangent vectors, and the width of its tiles; an orbit
        without tangents runs by the program for all of them.
        """
        width = min(MAX_TILE_WIDTH, 1 << ((k or self.size) - 1).bit_length())
        with _LOCK:
            if width not in self.made:
                self.made[width] = _machine_code(
                    integrator_ir.program(self.trace, self.results, width, self.scheme),
                    self.size > MAX_SCALAR_STATES,
                    not self.baked,
                )
        return self.made[width][0], width

    def parameters(self, systems):
        """Parameters of each system, shape (systems, p), in the order that ``advance_steps``
        reads."""
        return np.array(
            [
                [0.0] if self.baked else [*parameter_values(_rule_of(system)), 0.0]
                for system in systems
            ]
        )

    def run(
        self,
        system,
        x,
        frames,
        steps,
        *,
        inputs=None,
        every=None,
        check_every=0,
        clock=None,
        keep=(),
        parameters=None,
        workers=1,
    ):
        """Advance states x (m, n) and frames (m, k, n) by ``steps`` steps, both in place.

        ``system`` is one Map, or a list of Maps with as many members each; ``parameters`` of each
        member are computed where they are not given. Growth is recorded over blocks of ``every``
        steps; ``keep`` names what else is recorded at their ends: "states", "frames", "factors".
        Returns a ``Trajectory``.
        """
        members, k, n = frames.shape
        if (
            n != self.size
            or x.shape != (members, n)
            or not (x.flags.c_contiguous and frames.flags.c_contiguous)
        ):
            # it would not notice
            raise ShapeError(
                f"states {x.shape} and frames {frames.shape} do not fit a program of "
                f"{self.size} states"
            )
        every = every or max(steps, 1)
        result = Trajectory.empty(members, steps // every, k, n, keep)
        systems = system if isinstance(system, list) else [system]
        if parameters is None:
            parameters = self.parameters(systems).repeat(members // len(systems), axis=0)
        P, U = np.ascontiguousarray(parameters), _inputs_of(systems[0], inputs, steps)
        h, substeps = _step_of(systems[0])
        clock = np.tile(np.array([1, 0, 0]), (members, 1)) if clock is None else clock
        tolerance = getattr(systems[0], "rtol", 0.0) ** 2
        code, width = self.address(k)
        volume = 0 if "pairs" in self.scheme else 1 if "B" in self.scheme else 2
        advance = _advance()

        def part(a, b):
            advance(
                code,
                volume,
                x[a:b],
                frames[a:b],
                P[a:b],
                U,
                h,
                substeps,
                tolerance,
                clock[a:b],
                every,
                check_every,
                *(array[a:b] for array in result.arrays),
                *_work_space(n, k, width),
            )

        over_threads(part, members, workers)
        return result


def _inputs_of(system, inputs, steps):
    """Inputs as the compiled loop reads them: one row that is held, or a row a step."""
    if inputs is None:
        return np.zeros((1, 1))
    U = np.ascontiguousarray(np.atleast_2d(inputs), dtype=float)
    if U.shape[1] != max(1, system.inputs) or not (len(U) == 1 or len(U) >= steps):
        raise ShapeError(f"inputs {U.shape} do not fit {steps} steps of {system.inputs} inputs")
    return U


def _work_space(n, k, width):
    """Arrays that one thread of the compiled loop writes to."""
    tiles = (-(-k // width), n * width)
    shapes = (1, n), tiles, (k, n), (n, n), (k, k), (k, k), (k,), (1,), (1, n), tiles
    space = [np.empty(shape) for shape in shapes]
    space[1][:] = 0.0  # lanes beyond the last direction go along
    return space


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a run has recorded: growth (m, blocks, k), states (m, blocks, n), frames (m, blocks, k,
    n), factors (m, blocks, k, k), the residual of the sum rule with the steps it was taken over (m,
    2), and status with the step it belongs to (m, 2)."""

    growths: np.ndarray
    states: np.ndarray
    frames: np.ndarray
    factors: np.ndarray
    sums: np.ndarray
    status: np.ndarray

    @classmethod
    def empty(cls, members, blocks, k, n, keep):
        room = {
            name: (members, blocks if name in keep else 0)
            for name in ("states", "frames", "factors")
        }
        return cls(
            np.zeros((members, blocks, k)),
            np.zeros((*room["states"], n)),
            np.zeros((*room["frames"], k, n)),
            np.zeros((*room["factors"], k, k)),
            np.zeros((members, 2)),
            np.zeros((members, 2), np.int64),
        )

    @property
    def arrays(self):
        return self.growths, self.states, self.frames, self.factors, self.sums, self.status


@cache
def _advance():
    """``advance`` of ``driver``, compiled."""
    from . import driver

    text = inspect.getsource(driver)
    return machine_code(
        f"dynmem_driver_{hashlib.sha256(text.encode()).hexdigest()[:32]}", text, "advance"
    )


def _step_of(system):
    return (
        (system.dt / system.substeps, system.substeps)
        if _rule_of(system) is not system
        else (1.0, 1)
    )


def program(system, size, work=np.inf):
    """Program of a Map (for a FlowMap that of its flow, whatever the step), or None where numpy is
    faster: for a large state, a long rule, or little ``work``, in steps of a plain orbit. A rule
    that cannot be compiled is reported once, by a ``SlowWarning``.
    """
    if size > MAX_COMPILED_STATES or work < 100 or not (isinstance(system, Map) and system.formula):
        return None
    if isinstance(system, FlowMap) and jumps(system.flow, size):
        return None  # cut at its jumps, which have code of their own
    try:
        made = _program(_rule_of(system), size, _scheme(system))
        if made.trace.work * _stages(system) * _step_of(system)[
            1
        ] * work < MIN_COMPILED_OPERATIONS * (1 + made.trace.work / 100):
            return None
        return made
    except TooLargeError:
        return None
    except UntraceableError as reason:
        if isinstance(reason.__cause__, NotImplementedError):  # a map of a flow that jumps
            return None
        _warn(type(_rule_of(system)).__name__, str(reason))
        return None


def _rule_of(system):
    """The rule that is compiled: that of the flow, where the steps of its scheme are loops around
    it."""
    return system.flow if isinstance(system, FlowMap) or system.splitting else system


def _stages(system):
    """Calls of the compiled rule in one step of its scheme."""
    if isinstance(system, FlowMap):
        return len(tableau(system.order)[1])
    return sum(kick != 0.0 for _, kick in system.splitting or ((0.0, 1.0),))


@cache
def _warn(name, reason):
    warnings.warn(
        f"{name} runs at numpy's speed, its rule cannot be made machine code: {reason}",
        SlowWarning,
        stacklevel=6,
    )


def _recorded(system, size):
    """Trace, results, and whether the parameters had to be numbers in it."""
    try:
        return *trace_rule(system, size), False
    except TooLargeError:
        raise
    except UntraceableError:
        return *trace_rule(system, size, symbols=False), True


def _scheme(system):
    """What stands around the rule in a step, as ``stepping`` takes it."""
    if isinstance(system, FlowMap):
        A, B = tableau(system.order)
        E = error_weights() if system.rtol else ()
        return {"A": A, "B": B, "E": E, "inputs": system.inputs}
    pairs = system.splitting
    return {"pairs": pairs, "inputs": system.inputs} if pairs else {"inputs": system.inputs}


_LOCK = threading.RLock()
_PROGRAMS: dict[str, Program] = {}


def _program(rule, size, scheme):
    """The program of a rule, the same for every system of one equation."""
    trace, results, baked = _recorded(rule, size)
    key = repr((trace.entries, [r.index for r in results], sorted(scheme.items())))
    with _LOCK:
        if key not in _PROGRAMS:
            # a rule may be too long with its derivatives alone: found out now
            llvm_ir.Code(trace, results, 1)
            _PROGRAMS[key] = Program(trace, results, scheme, baked)
        return _PROGRAMS[key]


@cache
def _llvm():
    """LLVM, ready for this processor; and its name and features."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm, {
        "cpu": llvm.get_host_cpu_name(),
        "features": llvm.get_host_cpu_features().flatten(),
    }


def _machine_code(text, vectors, keeping):
    """Address of ``advance_steps`` of a program, and what keeps it alive. vectors: whether plain
    numbers are put side by side where that can be; keeping: whether the code is kept for later
    processes."""
    llvm, processor = _llvm()
    # the engine will own it
    machine = llvm.Target.from_default_triple().create_target_machine(
        opt=3, codemodel="jitdefault", **processor
    )
    name = (
        "steps_"
        + checksum(repr((text, vectors, processor, llvm.llvm_version_info, LLVM_TUNING)).encode())[
            :32
        ]
    )
    code = kept(name) if keeping else None
    if code is None:
        code = _compiled(llvm, machine, text, vectors)
        if keeping:
            keep(name, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine.get_function_address("advance_steps"), engine


def _compiled(llvm, machine, text, vectors):
    """Machine code of a text, for the processor of ``machine``."""
    module = llvm.parse_assembly(text)
    tuning = llvm.create_pipeline_tuning_options(speed_level=LLVM_TUNING["speed_level"])
    tuning.loop_vectorization = tuning.slp_vectorization = vectors
    tuning.loop_unrolling = LLVM_TUNING["loop_unrolling"]
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)
