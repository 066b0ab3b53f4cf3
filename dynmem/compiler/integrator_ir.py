"""The scheme around a rule as text for LLVM: Runge-Kutta stages, drifts and kicks, or the rule
alone, and the loops over steps and tiles.

A program is one function, ``advance_steps``: a number of steps of a state and of its tangent
vectors, each operation of the rule once a stage. Parameters, inputs and the step are its arguments.
"""

from ..integrate.runge_kutta import SMALLEST_SCALE
from .llvm_ir import INTRINSICS, LIBRARY, Code, Lines, number, splat

# states up to which a sum over the stages is written out, component by component
MAX_UNROLLED_STATES = 8


class Step:
    """The scheme around the rule, within ``advance_steps``: Runge-Kutta stages, drifts and kicks,
    or the rule alone."""

    def __init__(self, lines, code, stages, weights):
        self.lines, self.code, self.stages, self.unrolled = (
            lines,
            code,
            stages,
            code.size <= MAX_UNROLLED_STATES,
        )
        # where the rule leaves its coefficients, and where the tangent finds them
        self.written, self.read = "%c", "%c"
        self.scaled = {w: lines.new(f"fmul double %h, {number(w)}") for w in sorted(weights)}
        self.spread = {w: splat(lines, v, code.width) for w, v in self.scaled.items()}
        self.wide = (
            {w: splat(lines, v, code.size) for w, v in self.scaled.items()} if self.unrolled else {}
        )

    def rule(self, x, stage):
        """Slope of the state x, and its coefficients, at their place for the stage."""
        k = self.lines.at("%k", stage * self.code.size)
        self.lines.put(
            f"call void @slope(ptr {x}, ptr %p, ptr %row, ptr {k}, ptr "
            f"{self._coefficients(self.written, stage)})"
        )

    def tangent(self, v, stage, q=None):
        """The same for one tile of directions."""
        q = self.lines.at("%q", stage * self.code.size, self.code.lanes) if q is None else q
        self.lines.put(
            f"call void @tangent(ptr {self._coefficients(self.read, stage)}, ptr {v}, ptr {q})"
        )

    def _coefficients(self, array, stage):
        return self.lines.at(array, stage * len(self.code.slots))

    def combine(self, out, start, slopes, weights, lanes, first=0, offset=0, count=None):
        """out_i = start_i + h sum_s w_s slopes_(s, i + offset), for ``count`` components from
        ``first``, of a state or of a tile."""
        n = self.code.size
        kind, scaled = (self.code.lanes, self.spread) if lanes else ("double", self.scaled)

        def body(i):
            here = first + i if isinstance(i, int) else self.lines.new(f"add i64 {i}, {first}")
            total = self.lines.load(start, here, kind)
            for s, w in enumerate(weights):
                if w:
                    at = (
                        s * n + offset + i
                        if isinstance(i, int)
                        else self.lines.new(f"add i64 {i}, {s * n + offset}")
                    )
                    part = self.lines.new(
                        f"fmul contract {kind} {self.lines.load(slopes, at, kind)}, {scaled[w]}"
                    )
                    total = self.lines.new(f"fadd contract {kind} {total}, {part}")
            self.lines.store(total, out, here, kind)

        self.lines.each(n if count is None else count, body, self.unrolled)

    def combine_at_once(self, out, start, slopes, weights):
        """The same for all components of a state as one vector: fewer operations, each of them a
        little later."""
        n = self.code.size
        kind = f"<{n} x double>"
        total = self.lines.new(f"load {kind}, ptr {start}, align 8")
        for s, w in enumerate(weights):
            if w:
                slope = self.lines.new(f"load {kind}, ptr {self.lines.at(slopes, s * n)}, align 8")
                part = self.lines.new(f"fmul contract {kind} {slope}, {self.wide[w]}")
                total = self.lines.new(f"fadd contract {kind} {total}, {part}")
        self.lines.put(f"store {kind} {total}, ptr {out}, align 8")

    def error(self, weights):
        """Add to %e[0] the larger of it and the squared error of the step just taken, its slopes
        still at %k: ``step_error`` of ``integrate.runge_kutta``."""
        lines, n = self.lines, self.code.size
        lines.store("0.0", "%z", 0)
        lines.store("0.0", "%z", 1)

        def body(i):
            slope = lines.new(f"fmul double {lines.load('%k', i)}, %h")
            sizes = [lines.load("%x", i), slope]
            sizes = [lines.new(f"call double @llvm.fabs.f64(double {v})") for v in sizes]
            scale = lines.new(f"fadd double {sizes[0]}, {sizes[1]}")
            scale = lines.new(f"fadd double {scale}, {number(SMALLEST_SCALE)}")
            for place, row in enumerate(weights):
                total = None
                for s, w in enumerate(row):
                    if w:
                        at = s * n + i if isinstance(i, int) else lines.new(f"add i64 {i}, {s * n}")
                        part = lines.new(
                            f"fmul contract double {lines.load('%k', at)}, {self.scaled[w]}"
                        )
                        total = (
                            part
                            if total is None
                            else lines.new(f"fadd contract double {total}, {part}")
                        )
                share = lines.new(f"fdiv double {total}, {scale}")
                square = lines.new(f"fmul double {share}, {share}")
                lines.store(
                    lines.new(f"fadd double {lines.load('%z', place)}, {square}"), "%z", place
                )

        lines.each(n, body, self.unrolled)
        fifth, third = lines.load("%z", 0), lines.load("%z", 1)
        joined = lines.new(
            f"fadd double {fifth}, {lines.new(f'fmul double {third}, {number(0.01)}')}"
        )
        joined = lines.new(f"fmul double {joined}, {number(float(n))}")
        square = lines.new(f"fdiv double {lines.new(f'fmul double {fifth}, {fifth}')}, {joined}")
        larger = lines.new(f"fcmp ogt double {square}, {lines.load('%e', 0)}")
        lines.store(
            lines.new(f"select i1 {larger}, double {square}, double {lines.load('%e', 0)}"), "%e", 0
        )

    def copy(self, out, source, kind="double"):
        self.lines.each(
            self.code.size,
            lambda i: self.lines.store(self.lines.load(source, i, kind), out, i, kind),
            self.unrolled,
        )


def runge_kutta(step, A, B, E):
    """Parts of a Runge-Kutta step: of the state, of a tile, and of both stage by stage, the state
    being a step ahead."""

    def move():
        for s in range(len(A)):
            move_stage(s)
        step.combine("%x", "%x", "%k", B, lanes=False)
        if E:
            step.error(E)

    def push(v):
        for s in range(len(A)):
            push_stage(v, s)
        step.combine(v, v, "%q", B, lanes=True)

    def both(v):
        """A step of the state and the one before of a tile, their stages in turn."""
        for s in range(len(A)):
            move_stage(s, at_once=True)
            push_stage(v, s)
        step.combine_at_once("%x", "%x", "%k", B)
        if E:
            step.error(E)
        step.combine(v, v, "%q", B, lanes=True)

    def move_stage(s, at_once=False):
        if any(A[s]) and at_once:
            step.combine_at_once("%y", "%x", "%k", A[s])
        elif any(A[s]):
            step.combine("%y", "%x", "%k", A[s], lanes=False)
        step.rule("%y" if any(A[s]) else "%x", s)

    def push_stage(v, s):
        if any(A[s]):
            step.combine("%w", v, "%q", A[s], lanes=True)
        step.tangent("%w" if any(A[s]) else v, s)

    return move, push, both


def drifts_and_kicks(step, pairs):
    """The same, but for both at once, for a symplectic step of q' = v, v' = force(q)."""
    half = step.code.size // 2

    def apply(v, slopes, rule, lanes):
        stage = 0
        for drift, kick in pairs:
            if drift:  # the slopes of q are the second half of the state itself
                step.combine(v, v, v, [drift], lanes, count=half, offset=half)
            if kick:
                rule(v, stage)
                step.combine(
                    v, v, slopes, [0.0] * stage + [kick], lanes, first=half, count=half, offset=half
                )
                stage += 1

    return (
        lambda: apply("%x", "%k", step.rule, False),
        lambda v: apply(v, "%q", step.tangent, True),
        None,
    )


def single(step):
    """The same, but for both at once, for a map."""

    def move():
        step.rule("%x", 0)
        step.copy("%x", "%k")

    def push(v):
        step.tangent(v, 0)
        step.copy(v, "%q", step.code.lanes)

    return move, push, None


def advance_steps(code, stages, scheme):
    """Text of ``advance_steps(x, v, p, u, last, t, h, count, substeps, tiles, check, g, e)``:
    ``count`` steps of the state x (n,) and of ``tiles`` tiles v, in place, from step t, the input
    being row min(t, last) of u. Returns the number of steps after which the state is finite.

    With ``check`` it adds to g (n, n) the growth of volume, for a flow its logarithm in g[0], for a
    map its Jacobian; of a symplectic step nothing. To e[0] goes the largest squared error of a step
    of order 8.
    """
    lines, n = Lines(), code.size
    room = max(1, stages * len(code.slots))
    sizes = {
        "k": stages * n,
        "y": n,
        "c": room,
        "d": room,
        "q": stages * n * code.width,
        "w": n * code.width,
        "o": n * code.width,
        "z": 2,
    }
    for name, size in sizes.items():
        lines.put(f"%{name} = alloca [{max(1, size)} x double], align 64")
    weights = {float(w) for row in scheme.get("A", ()) for w in row if w} | {
        float(w) for w in scheme.get("B", ()) if w
    }
    weights |= {float(w) for row in scheme.get("E", ()) for w in row if w}
    weights |= {float(w) for pair in scheme.get("pairs", ()) for w in pair if w}
    step = Step(lines, code, stages, weights)
    move, push, both = (
        runge_kutta(step, scheme["A"], scheme["B"], scheme["E"])
        if "A" in scheme
        else (drifts_and_kicks(step, scheme["pairs"]) if "pairs" in scheme else single(step))
    )
    lines.add(
        "br label %steps",
        "steps:",
        "%s = phi i64 [ 0, %entry ], [ %s1, %sound ]",
        "%now = add i64 %t, %s",
        "%late = icmp sgt i64 %now, %last",
        "%line = select i1 %late, i64 %last, i64 %now",
        f"%far = mul i64 %line, {scheme['inputs']}",
        "%row = getelementptr double, ptr %u, i64 %far",
        "br label %fine",
        "fine:",
        "%f = phi i64 [ 0, %steps ], [ %f1, %moved ]",
    )
    move()
    together = both is not None and step.unrolled and not scheme["inputs"]
    if together:
        _side_by_side(lines, step, both)
    _tiles(lines, code, push)
    if together:
        lines.add(
            "br i1 %pair, label %through, label %alone", "through:", "ret i64 %count", "alone:"
        )
    _volume(lines, code, step, scheme)
    lines.add(
        "br label %moved",
        "moved:",
        "%f1 = add i64 %f, 1",
        "%again = icmp slt i64 %f1, %substeps",
        "br i1 %again, label %fine, label %whole",
        "whole:",
    )
    _finite(lines, n)
    head = (
        "define i64 @advance_steps(ptr noalias %x, ptr noalias %v, ptr noalias %p, ptr noalias %u, "
        "i64 %last, i64 %t, double %h, i64 %count, "
        "i64 %substeps, i64 %tiles, i64 %check, ptr noalias %g, ptr noalias %e) {"
    )
    return "\n".join((head, "entry:", *lines.text, "}"))


def _side_by_side(lines, step, both):
    """All steps at once of a single tile: the state goes a step ahead, so that the processor has
    two chains of stages to work on."""
    lines.add(
        "%narrow = icmp eq i64 %tiles, 1",
        "%quiet = icmp eq i64 %check, 0",
        "%pair = and i1 %narrow, %quiet",
        "%fines = mul i64 %count, %substeps",
        "br i1 %pair, label %beside, label %joined",
    )
    start = lines.block
    lines.add(
        "beside:",
        f"%i = phi i64 [ 1, %{start} ], [ %i1, %along ]",
        f"%new = phi ptr [ %d, %{start} ], [ %old, %along ]",
        f"%old = phi ptr [ %c, %{start} ], [ %new, %along ]",
    )
    nothing = None
    for m in range(step.code.size):  # 0 times a state that is not finite is not 0
        part = lines.new(f"fmul double {lines.load('%x', m)}, 0.0")
        nothing = part if nothing is None else lines.new(f"fadd double {nothing}, {part}")
    lines.add(
        f"%astray = fcmp une double {nothing}, 0.0",
        "br i1 %astray, label %gone, label %on",
        "on:",
        "%further = icmp slt i64 %i, %fines",
        "br i1 %further, label %along, label %joined",
        "along:",
    )
    step.written, step.read = "%new", "%old"
    both("%v")
    lines.add(
        "%i1 = add i64 %i, 1",
        "br label %beside",
        "gone:",
        "%sane = sub i64 %i, 1",
        "%kept = sdiv i64 %sane, %substeps",
        "ret i64 %kept",
        "joined:",
        f"%filled = phi ptr [ %c, %{start} ], [ %old, %on ]",
    )
    step.written, step.read = "%c", "%filled"


def _tiles(lines, code, push):
    """The loop over the tiles."""
    lines.add(
        "br label %first",
        "first:",
        "%none = icmp sle i64 %tiles, 0",
        "br i1 %none, label %pushed, label %tile",
        "tile:",
        "%a = phi i64 [ 0, %first ], [ %a1, %tiled ]",
        f"%place = mul i64 %a, {code.size}",
        f"%at = getelementptr {code.lanes}, ptr %v, i64 %place",
    )
    push("%at")
    lines.add(
        "br label %tiled",
        "tiled:",
        "%a1 = add i64 %a, 1",
        "%left = icmp slt i64 %a1, %tiles",
        "br i1 %left, label %tile, label %pushed",
        "pushed:",
    )


def _volume(lines, code, step, scheme):
    """What ``check`` asks for."""
    if "pairs" in scheme:
        return
    n, width = code.size, code.width
    lines.add(
        "%checked = icmp ne i64 %check, 0",
        "br i1 %checked, label %checking, label %written",
        "checking:",
    )
    for s, weight in enumerate(scheme.get("B", (1.0,))):
        if not weight:
            continue
        for start in range(0, n, width):
            count = min(width, n - start)
            lines.put(
                f"call void @llvm.memset.p0.i64(ptr align 64 %o, i8 0, i64 {8 * n * width}, "
                "i1 false)"
            )
            for lane in range(count):
                lines.store("1.0", "%o", (start + lane) * width + lane)
            step.tangent("%o", s, "%w")
            if "B" in scheme:
                for lane in range(count):
                    grown = lines.new(
                        "fmul double "
                        f"{lines.load('%w', (start + lane) * width + lane)}, "
                        f"{step.scaled[float(weight)]}"
                    )
                    lines.store(lines.new(f"fadd double {grown}, {lines.load('%g', 0)}"), "%g", 0)
            else:
                lines.each(
                    n,
                    lambda i, start=start, count=count: _row(lines, i, start, count, n, width),
                    False,
                )
    lines.add("br label %written", "written:")


def _row(lines, i, start, count, n, width):
    """Row i of the Jacobian, the columns of one tile."""
    to, source = lines.new(f"mul i64 {i}, {n}"), lines.new(f"mul i64 {i}, {width}")
    for lane in range(count):
        value = lines.load("%w", lines.new(f"add i64 {source}, {lane}"))
        lines.store(value, "%g", lines.new(f"add i64 {to}, {start + lane}"))


def _finite(lines, n):
    """Leave where the state is not finite: 0 times it is then not 0."""
    lines.store("0.0", "%y", 0)

    def add(i):
        nothing = lines.new(f"fmul double {lines.load('%x', i)}, 0.0")
        lines.store(lines.new(f"fadd double {lines.load('%y', 0)}, {nothing}"), "%y", 0)

    lines.each(n, add, n <= MAX_UNROLLED_STATES)
    sum_of_nothing, block = lines.load("%y", 0), lines.block
    lines.add(
        f"%lost = fcmp une double {sum_of_nothing}, 0.0",
        "br i1 %lost, label %end, label %sound",
        "sound:",
        "%s1 = add i64 %s, 1",
        "%more = icmp slt i64 %s1, %count",
        "br i1 %more, label %steps, label %end",
        "end:",
        f"%done = phi i64 [ %s, %{block} ], [ %s1, %sound ]",
        "ret i64 %done",
    )


def program(trace, results, width, scheme):
    """Text of a whole program; ``scheme`` has "A" and "B" of a Runge-Kutta step, or "pairs" of
    drifts and kicks, or neither; and "inputs"."""
    code = Code(trace, results, width)
    stages = (
        len(scheme["B"])
        if "B" in scheme
        else sum(kick != 0.0 for _, kick in scheme.get("pairs", ())) or 1
    )
    declared = [
        f"declare double @llvm.{name}.f64(double{', double' if name == 'pow' else ''})"
        for name in sorted(INTRINSICS.values())
    ]
    declared += [f"declare double @{name}(double)" for name in LIBRARY.values()]
    declared.append("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    parts = (*declared, code.slope(), code.tangent(), advance_steps(code, stages, scheme))
    return "\n".join(parts)
