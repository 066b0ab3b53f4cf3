"""A traced rule, its tangent and the scheme around them as a program for LLVM, the compiler behind numba.

The program is one function, ``carry``: a number of steps of a state and of its tangent vectors, each operation of the rule once a stage.
Tangent vectors lie in tiles of ``width`` directions, (n, width) each, so that an operation of the tangent is one on neighbouring numbers.
Parameters, inputs and the step are its arguments.
"""

import struct

from .trace import LEAVES, Node, partials

CONDITIONS = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not")
ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
COMPARED = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
INTRINSICS = {"sin": "sin", "cos": "cos", "exp": "exp", "log": "log", "sqrt": "sqrt", "abs": "fabs", "floor": "floor", "pow": "pow"}
LIBRARY = {"tanh": "tanh", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "arctan": "atan", "log1p": "log1p", "erf": "erf"}
UNROLLED = 8  # states up to which a sum over the stages is written out, component by component
INLINED = 20  # operations up to which the rule is written into each stage


class Lines:
    """Text of a function with a new name for each value."""

    def __init__(self):
        self.text, self.count, self.block = [], 0, "entry"

    def put(self, line):
        self.text.append(f"  {line}")

    def new(self, operation):
        """Name of the value of an operation."""
        self.count += 1
        self.text.append(f"  %t{self.count} = {operation}")
        return f"%t{self.count}"

    def label(self, name):
        """Begin a block."""
        self.block = name
        self.text.append(f"{name}:")

    def add(self, *lines):
        """Lines as they stand, blocks among them."""
        for line in lines:
            self.label(line[:-1]) if line.endswith(":") else self.put(line)

    def at(self, array, index, kind="double"):
        """Pointer to an entry of an array; the index is a number or the name of one."""
        return array if index == 0 else self.new(f"getelementptr {kind}, ptr {array}, i64 {index}")

    def load(self, array, index, kind="double"):
        return self.new(f"load {kind}, ptr {self.at(array, index, kind)}, align 8")

    def store(self, value, array, index, kind="double"):
        self.put(f"store {kind} {value}, ptr {self.at(array, index, kind)}, align 8")

    def each(self, count, body, unrolled):
        """body(i) for i from 0 to count - 1: written out, or as a loop."""
        if unrolled:
            for i in range(count):
                body(i)
            return
        self.count += 1
        mark, i = self.count, f"%i{self.count}"
        before, inside, after = f"before{mark}", f"inside{mark}", f"after{mark}"
        self.put(f"br label %{before}")
        self.label(before)
        self.put(f"br label %{inside}")
        self.label(inside)
        self.put(f"{i} = phi i64 [ 0, %{before} ], [ {i}.next, %{inside}.end ]")
        body(i)
        self.put(f"br label %{inside}.end")
        self.label(f"{inside}.end")
        self.put(f"{i}.next = add nuw nsw i64 {i}, 1")
        more = self.new(f"icmp ult i64 {i}.next, {count}")
        self.put(f"br i1 {more}, label %{inside}, label %{after}")
        self.label(after)


def number(value):
    """A number as LLVM writes it, to the last bit."""
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"


class Code:
    """What the functions of a program share: the trace of the rule, its results, and the width of a tile (0: without tangents)."""

    def __init__(self, trace, results, width):
        self.trace, self.results, self.width, self.size = trace, results, width, len(results)
        self.lanes = f"<{width} x double>"
        self.slots, self.moving = {}, {}
        if width:
            self._follow()

    def _follow(self):
        """Which nodes change with the state, how (``moving``), and which coefficients the rule hands to its tangent (``slots``)."""
        for i in sorted(needed(self.trace, [r.index for r in self.results])):
            operation, *operands = self.trace.entries[i]
            if operation == "x":
                self.moving[i] = ("x", operands[0])
            elif operation == "select":
                if any(j in self.moving for j in operands[1:]):
                    self.moving[i] = ("select", *operands)
                    self._slot(operands[0])
            else:
                terms = [(c, o.index) for c, o in partials(self.trace, Node(self.trace, i)) if o.index in self.moving and c.constant != 0.0]
                if terms:
                    self.moving[i] = ("sum", terms)
                    for coefficient, _ in terms:
                        if coefficient.constant is None:
                            self._slot(coefficient.index)

    def _slot(self, i):
        self.slots.setdefault(i, len(self.slots))

    @property
    def attributes(self):
        return "alwaysinline" if self.trace.work <= INLINED else "noinline"

    def slope(self):
        """The rule: k = f(x, u), with the coefficients c of its tangent."""
        lines = Lines()
        values = {}
        for i in sorted(needed(self.trace, [r.index for r in self.results] + list(self.slots))):
            values[i] = self._value(lines, i, values)
        for j, result in enumerate(self.results):
            lines.store(self._real(lines, result.index, values), "%k", j)
        for i, place in self.slots.items():
            lines.store(self._real(lines, i, values), "%c", place)
        head = "define internal void @slope(ptr noalias %x, ptr noalias %p, ptr noalias %u, ptr noalias %k, ptr noalias %c)"
        return "\n".join((f"{head} {self.attributes} {{", *lines.text, "  ret void", "}"))

    def _real(self, lines, i, values):
        """A value as a number: conditions are 0 and 1."""
        return lines.new(f"uitofp i1 {values[i]} to double") if self.trace.entries[i][0] in CONDITIONS else values[i]

    def _truth(self, lines, i, values):
        return values[i] if self.trace.entries[i][0] in CONDITIONS else lines.new(f"fcmp une double {values[i]}, 0.0")

    def _value(self, lines, i, values):
        operation, *operands = self.trace.entries[i]
        if operation == "const":
            return number(operands[0])
        if operation in LEAVES:
            return lines.load(f"%{operation}", operands[0])
        if operation in ("and", "or", "not"):
            truths = [self._truth(lines, j, values) for j in operands]
            return lines.new(f"xor i1 {truths[0]}, true" if operation == "not" else f"{operation} i1 {truths[0]}, {truths[1]}")
        if operation == "select":
            chosen = [self._real(lines, j, values) for j in operands[1:]]
            return lines.new(f"select i1 {self._truth(lines, operands[0], values)}, double {chosen[0]}, double {chosen[1]}")
        return elementary(lines, operation, [self._real(lines, j, values) for j in operands])

    def tangent(self):
        """The tangent of the rule on one tile: q = J v, by the coefficients c."""
        lines, values, splats = Lines(), {}, {}
        kind, plain = self.lanes, splat_of(0.0, self.width)

        def spread(i):
            if i not in splats:
                splats[i] = splat(lines, lines.load("%c", self.slots[i]), self.width)
            return splats[i]

        for i, (form, *rest) in self.moving.items():
            if form == "x":
                values[i] = lines.load("%v", rest[0], kind)
            elif form == "select":
                condition = lines.new(f"fcmp ogt double {lines.load('%c', self.slots[rest[0]])}, 0.5")
                a, b = (values.get(j, plain) for j in rest[1:])
                values[i] = lines.new(f"select i1 {condition}, {kind} {a}, {kind} {b}")
            else:
                total = None
                for coefficient, j in rest[0]:
                    constant = coefficient.constant
                    if constant == 1.0 or constant == -1.0:
                        part = values[j] if constant == 1.0 else lines.new(f"fneg {kind} {values[j]}")
                    else:
                        factor = spread(coefficient.index) if constant is None else splat_of(constant, self.width)
                        part = lines.new(f"fmul contract {kind} {values[j]}, {factor}")
                    total = part if total is None else lines.new(f"fadd contract {kind} {total}, {part}")
                values[i] = total
        for j, result in enumerate(self.results):
            lines.store(values.get(result.index, plain), "%q", j, kind)
        head = "define internal void @tangent(ptr noalias %c, ptr noalias %v, ptr noalias %q)"
        return "\n".join((f"{head} {self.attributes} {{", *lines.text, "  ret void", "}"))


def elementary(lines, operation, operands):
    """Value of one operation on numbers."""
    a, b = (*operands, None)[:2]
    if operation in ARITHMETIC:
        return lines.new(f"{ARITHMETIC[operation]} contract double {a}, {b}")
    if operation in COMPARED:
        return lines.new(f"fcmp {COMPARED[operation]} double {a}, {b}")
    if operation in INTRINSICS or operation in LIBRARY:
        name = f"llvm.{INTRINSICS[operation]}.f64" if operation in INTRINSICS else LIBRARY[operation]
        return lines.new(f"call double @{name}({', '.join(f'double {o}' for o in operands)})")
    if operation == "neg":
        return lines.new(f"fneg double {a}")
    if operation == "relu":
        return lines.new(f"select i1 {lines.new(f'fcmp ole double {a}, 0.0')}, double 0.0, double {a}")
    if operation == "sign":
        below = lines.new(f"select i1 {lines.new(f'fcmp olt double {a}, 0.0')}, double -1.0, double {a}")
        return lines.new(f"select i1 {lines.new(f'fcmp ogt double {a}, 0.0')}, double 1.0, double {below}")
    if operation == "sigmoid":
        size = lines.new(f"call double @llvm.fabs.f64(double {a})")
        small = lines.new(f"call double @llvm.exp.f64(double {lines.new(f'fneg double {size}')})")
        top = lines.new(f"select i1 {lines.new(f'fcmp olt double {a}, 0.0')}, double {small}, double 1.0")
        return lines.new(f"fdiv double {top}, {lines.new(f'fadd double {small}, 1.0')}")
    if operation == "mod":  # with the sign of the period, as numpy has it
        rest = lines.new(f"frem double {a}, {b}")
        other = lines.new(f"xor i1 {lines.new(f'fcmp olt double {rest}, 0.0')}, {lines.new(f'fcmp olt double {b}, 0.0')}")
        apart = lines.new(f"and i1 {other}, {lines.new(f'fcmp une double {rest}, 0.0')}")
        return lines.new(f"select i1 {apart}, double {lines.new(f'fadd double {rest}, {b}')}, double {rest}")
    raise KeyError(operation)


def splat(lines, value, width):
    """A number in every lane."""
    first = lines.new(f"insertelement <{width} x double> poison, double {value}, i64 0")
    return lines.new(f"shufflevector <{width} x double> {first}, <{width} x double> poison, <{width} x i32> zeroinitializer")


def splat_of(value, width):
    return f"<{', '.join([f'double {number(value)}'] * width)}>"


def needed(trace, roots):
    """Indices of all nodes that the roots are made of."""
    found, waiting = set(), list(roots)
    while waiting:
        i = waiting.pop()
        if i not in found:
            found.add(i)
            if trace.entries[i][0] not in LEAVES:
                waiting += trace.entries[i][1:]
    return found


class Step:
    """The scheme around the rule, within ``carry``: Runge-Kutta stages, drifts and kicks, or the rule alone."""

    def __init__(self, lines, code, stages, weights):
        self.lines, self.code, self.stages, self.unrolled = lines, code, stages, code.size <= UNROLLED
        self.scaled = {w: lines.new(f"fmul double %h, {number(w)}") for w in sorted(weights)}
        self.spread = {w: splat(lines, v, code.width) for w, v in self.scaled.items()} if code.width else {}

    def rule(self, x, stage):
        """Slope of the state x, and its coefficients, at their place for the stage."""
        k = self.lines.at("%k", stage * self.code.size)
        self.lines.put(f"call void @slope(ptr {x}, ptr %p, ptr %row, ptr {k}, ptr {self._coefficients(stage)})")

    def tangent(self, v, stage, q=None):
        """The same for one tile of directions."""
        q = self.lines.at("%q", stage * self.code.size, self.code.lanes) if q is None else q
        self.lines.put(f"call void @tangent(ptr {self._coefficients(stage)}, ptr {v}, ptr {q})")

    def _coefficients(self, stage):
        return self.lines.at("%c", stage * len(self.code.slots))

    def combine(self, out, start, slopes, weights, lanes, first=0, offset=0, count=None):
        """out_i = start_i + h sum_s w_s slopes_(s, i + offset), for ``count`` components from ``first``, of a state or of a tile."""
        kind, scaled, n = (self.code.lanes, self.spread, self.code.size) if lanes else ("double", self.scaled, self.code.size)

        def body(i):
            here = first + i if isinstance(i, int) else self.lines.new(f"add i64 {i}, {first}")
            total = self.lines.load(start, here, kind)
            for s, w in enumerate(weights):
                if w:
                    at = s * n + offset + i if isinstance(i, int) else self.lines.new(f"add i64 {i}, {s * n + offset}")
                    part = self.lines.new(f"fmul contract {kind} {self.lines.load(slopes, at, kind)}, {scaled[w]}")
                    total = self.lines.new(f"fadd contract {kind} {total}, {part}")
            self.lines.store(total, out, here, kind)

        self.lines.each(n if count is None else count, body, self.unrolled)

    def copy(self, out, source, kind="double"):
        self.lines.each(self.code.size, lambda i: self.lines.store(self.lines.load(source, i, kind), out, i, kind), self.unrolled)


def runge_kutta(step, A, B):
    """Parts of a Runge-Kutta step: of the state, and of a tile."""

    def move():
        for s, row in enumerate(A):
            if any(row):
                step.combine("%y", "%x", "%k", row, lanes=False)
            step.rule("%y" if any(row) else "%x", s)
        step.combine("%x", "%x", "%k", B, lanes=False)

    def push(v):
        for s, row in enumerate(A):
            if any(row):
                step.combine("%w", v, "%q", row, lanes=True)
            step.tangent("%w" if any(row) else v, s)
        step.combine(v, v, "%q", B, lanes=True)

    return move, push


def drifts_and_kicks(step, pairs):
    """The same for a symplectic step of q' = v, v' = force(q)."""
    half = step.code.size // 2

    def both(v, slopes, rule, lanes):
        stage = 0
        for drift, kick in pairs:
            if drift:  # the slopes of q are the second half of the state itself
                step.combine(v, v, v, [drift], lanes, count=half, offset=half)
            if kick:
                rule(v, stage)
                step.combine(v, v, slopes, [0.0] * stage + [kick], lanes, first=half, count=half, offset=half)
                stage += 1

    return lambda: both("%x", "%k", step.rule, False), lambda v: both(v, "%q", step.tangent, True)


def single(step):
    """The same for a map."""

    def move():
        step.rule("%x", 0)
        step.copy("%x", "%k")

    def push(v):
        step.tangent(v, 0)
        step.copy(v, "%q", step.code.lanes)

    return move, push


def carry(code, stages, scheme):
    """Text of ``carry(x, v, p, u, last, t, h, count, substeps, tiles, check, g)``: ``count`` steps of the state x (n,) and of ``tiles`` tiles v,
    in place, from step t, the input being row min(t, last) of u. Returns the number of steps after which the state is finite.

    With ``check`` it adds to g (n, n) the growth of volume, for a flow its logarithm in g[0], for a map its Jacobian; of a symplectic step nothing.
    """
    lines, n = Lines(), code.size
    sizes = {"k": stages * n, "y": n, "c": max(1, stages * len(code.slots)), "q": stages * n * code.width, "w": n * code.width, "o": n * code.width}
    for name, size in sizes.items():
        lines.put(f"%{name} = alloca [{max(1, size)} x double], align 64")
    weights = {float(w) for row in scheme.get("A", ()) for w in row if w} | {float(w) for w in scheme.get("B", ()) if w}
    weights |= {float(w) for pair in scheme.get("pairs", ()) for w in pair if w}
    step = Step(lines, code, stages, weights)
    move, push = runge_kutta(step, scheme["A"], scheme["B"]) if "A" in scheme else (
        drifts_and_kicks(step, scheme["pairs"]) if "pairs" in scheme else single(step))
    lines.add("br label %steps", "steps:", "%s = phi i64 [ 0, %entry ], [ %s1, %sound ]", "%now = add i64 %t, %s",
              "%late = icmp sgt i64 %now, %last", "%line = select i1 %late, i64 %last, i64 %now", f"%far = mul i64 %line, {scheme['inputs']}",
              "%row = getelementptr double, ptr %u, i64 %far", "br label %fine", "fine:", "%f = phi i64 [ 0, %steps ], [ %f1, %moved ]")
    move()
    if code.width:
        _tiles(lines, code, push)
        _volume(lines, code, step, scheme)
    lines.add("br label %moved", "moved:", "%f1 = add i64 %f, 1", "%again = icmp slt i64 %f1, %substeps",
              "br i1 %again, label %fine, label %whole", "whole:")
    _finite(lines, n)
    head = ("define i64 @carry(ptr noalias %x, ptr noalias %v, ptr noalias %p, ptr noalias %u, i64 %last, i64 %t, double %h, i64 %count, "
            "i64 %substeps, i64 %tiles, i64 %check, ptr noalias %g) {")
    return "\n".join((head, "entry:", *lines.text, "}"))


def _tiles(lines, code, push):
    """The loop over the tiles."""
    lines.add("br label %first", "first:", "%none = icmp sle i64 %tiles, 0", "br i1 %none, label %pushed, label %tile", "tile:",
              "%a = phi i64 [ 0, %first ], [ %a1, %tiled ]", f"%place = mul i64 %a, {code.size}",
              f"%at = getelementptr {code.lanes}, ptr %v, i64 %place")
    push("%at")
    lines.add("br label %tiled", "tiled:", "%a1 = add i64 %a, 1", "%left = icmp slt i64 %a1, %tiles",
              "br i1 %left, label %tile, label %pushed", "pushed:")


def _volume(lines, code, step, scheme):
    """What ``check`` asks for."""
    if "pairs" in scheme:
        return
    n, width = code.size, code.width
    lines.add("%asked = icmp ne i64 %check, 0", "br i1 %asked, label %asking, label %told", "asking:")
    for s, weight in enumerate(scheme.get("B", (1.0,))):
        if not weight:
            continue
        for start in range(0, n, width):
            count = min(width, n - start)
            lines.put(f"call void @llvm.memset.p0.i64(ptr align 64 %o, i8 0, i64 {8 * n * width}, i1 false)")
            for lane in range(count):
                lines.store("1.0", "%o", (start + lane) * width + lane)
            step.tangent("%o", s, "%w")
            if "B" in scheme:
                for lane in range(count):
                    grown = lines.new(f"fmul double {lines.load('%w', (start + lane) * width + lane)}, {step.scaled[float(weight)]}")
                    lines.store(lines.new(f"fadd double {grown}, {lines.load('%g', 0)}"), "%g", 0)
            else:
                lines.each(n, lambda i, start=start, count=count: _row(lines, i, start, count, n, width), False)
    lines.add("br label %told", "told:")


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

    lines.each(n, add, n <= UNROLLED)
    sum_of_nothing, block = lines.load("%y", 0), lines.block
    lines.add(f"%lost = fcmp une double {sum_of_nothing}, 0.0", "br i1 %lost, label %end, label %sound", "sound:", "%s1 = add i64 %s, 1",
              "%more = icmp slt i64 %s1, %count", "br i1 %more, label %steps, label %end", "end:",
              f"%done = phi i64 [ %s, %{block} ], [ %s1, %sound ]", "ret i64 %done")


def program(trace, results, width, scheme):
    """Text of a whole program; ``scheme`` has "A" and "B" of a Runge-Kutta step, or "pairs" of drifts and kicks, or neither; and "inputs"."""
    code = Code(trace, results, width)
    stages = len(scheme["B"]) if "B" in scheme else sum(kick != 0.0 for _, kick in scheme.get("pairs", ())) or 1
    declared = [f"declare double @llvm.{name}.f64(double{', double' if name == 'pow' else ''})" for name in sorted(INTRINSICS.values())]
    declared += [f"declare double @{name}(double)" for name in LIBRARY.values()]
    declared.append("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    parts = (*declared, code.slope(), *((code.tangent(),) if width else ()), carry(code, stages, scheme))
    return "\n".join(parts)
