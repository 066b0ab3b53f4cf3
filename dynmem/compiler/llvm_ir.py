"""A traced rule and its tangent as text for LLVM, the compiler behind numba: two functions,
``slope`` and ``tangent``.

Tangent vectors lie in tiles of ``width`` directions, (n, width) each, so that an operation of the
tangent is one on neighbouring numbers.
"""

import struct

from .trace import LEAVES, Node, partials

CONDITIONS = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not")
ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
COMPARED = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
INTRINSICS = {
    "sin": "sin",
    "cos": "cos",
    "exp": "exp",
    "log": "log",
    "sqrt": "sqrt",
    "abs": "fabs",
    "floor": "floor",
    "pow": "pow",
}
LIBRARY = {
    "tanh": "tanh",
    "tan": "tan",
    "sinh": "sinh",
    "cosh": "cosh",
    "arctan": "atan",
    "log1p": "log1p",
    "erf": "erf",
}
MAX_INLINED_OPERATIONS = 20  # operations up to which the rule is written into each stage


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
    """What the functions of a program share: the trace of the rule, its results, and the width of a
    tile."""

    def __init__(self, trace, results, width):
        self.trace, self.results, self.width, self.size = trace, results, width, len(results)
        self.lanes = f"<{width} x double>"
        self.slots, self.moving = {}, {}
        self._follow()

    def _follow(self):
        """Which nodes change with the state, how (``moving``), and which coefficients the rule
        hands to its tangent (``slots``)."""
        for i in sorted(needed(self.trace, [r.index for r in self.results])):
            operation, *operands = self.trace.entries[i]
            if operation == "x":
                self.moving[i] = ("x", operands[0])
            elif operation == "select":
                if any(j in self.moving for j in operands[1:]):
                    self.moving[i] = ("select", *operands)
                    self._slot(operands[0])
            else:
                terms = [
                    (c, o.index)
                    for c, o in partials(self.trace, Node(self.trace, i))
                    if o.index in self.moving and c.constant != 0.0
                ]
                if terms:
                    self.moving[i] = ("sum", terms, operation in ("sqrt", "pow"))
                    for coefficient, _ in terms:
                        if coefficient.constant is None:
                            self._slot(coefficient.index)

    def _slot(self, i):
        self.slots.setdefault(i, len(self.slots))

    @property
    def attributes(self):
        return "alwaysinline" if self.trace.work <= MAX_INLINED_OPERATIONS else "noinline"

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
        head = (
            "define internal void @slope(ptr noalias %x, ptr noalias %p, ptr noalias %u, ptr "
            "noalias %k, ptr noalias %c)"
        )
        return "\n".join((f"{head} {self.attributes} {{", *lines.text, "  ret void", "}"))

    def _real(self, lines, i, values):
        """A value as a number: conditions are 0 and 1."""
        return (
            lines.new(f"uitofp i1 {values[i]} to double")
            if self.trace.entries[i][0] in CONDITIONS
            else values[i]
        )

    def _truth(self, lines, i, values):
        return (
            values[i]
            if self.trace.entries[i][0] in CONDITIONS
            else lines.new(f"fcmp une double {values[i]}, 0.0")
        )

    def _value(self, lines, i, values):
        operation, *operands = self.trace.entries[i]
        if operation == "const":
            return number(operands[0])
        if operation in LEAVES:
            return lines.load(f"%{operation}", operands[0])
        if operation in ("and", "or", "not"):
            truths = [self._truth(lines, j, values) for j in operands]
            return lines.new(
                f"xor i1 {truths[0]}, true"
                if operation == "not"
                else f"{operation} i1 {truths[0]}, {truths[1]}"
            )
        if operation == "select":
            chosen = [self._real(lines, j, values) for j in operands[1:]]
            return lines.new(
                f"select i1 {self._truth(lines, operands[0], values)}, double "
                f"{chosen[0]}, double {chosen[1]}"
            )
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
                condition = lines.new(
                    f"fcmp ogt double {lines.load('%c', self.slots[rest[0]])}, 0.5"
                )
                a, b = (values.get(j, plain) for j in rest[1:])
                values[i] = lines.new(f"select i1 {condition}, {kind} {a}, {kind} {b}")
            else:
                total = None
                for coefficient, j in rest[0]:
                    constant = coefficient.constant
                    if constant == 1.0 or constant == -1.0:
                        part = (
                            values[j] if constant == 1.0 else lines.new(f"fneg {kind} {values[j]}")
                        )
                    else:
                        factor = (
                            spread(coefficient.index)
                            if constant is None
                            else splat_of(constant, self.width)
                        )
                        part = lines.new(f"fmul contract {kind} {values[j]}, {factor}")
                        if rest[1]:  # the infinite slope of a root, where nothing moves
                            still = lines.new(f"fcmp oeq {kind} {values[j]}, {plain}")
                            part = lines.new(
                                f"select <{self.width} x i1> {still}, {kind} {plain}, {kind} {part}"
                            )
                    total = (
                        part
                        if total is None
                        else lines.new(f"fadd contract {kind} {total}, {part}")
                    )
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
        name = (
            f"llvm.{INTRINSICS[operation]}.f64" if operation in INTRINSICS else LIBRARY[operation]
        )
        return lines.new(f"call double @{name}({', '.join(f'double {o}' for o in operands)})")
    if operation == "neg":
        return lines.new(f"fneg double {a}")
    if operation == "relu":
        return lines.new(
            f"select i1 {lines.new(f'fcmp ole double {a}, 0.0')}, double 0.0, double {a}"
        )
    if operation == "sign":
        below = lines.new(
            f"select i1 {lines.new(f'fcmp olt double {a}, 0.0')}, double -1.0, double {a}"
        )
        return lines.new(
            f"select i1 {lines.new(f'fcmp ogt double {a}, 0.0')}, double 1.0, double {below}"
        )
    if operation in ("sigmoid", "tanh_slope", "sigmoid_slope"):
        rate = -2.0 if operation == "tanh_slope" else -1.0
        size = lines.new(f"call double @llvm.fabs.f64(double {a})")
        scaled = lines.new(f"fmul double {size}, {number(rate)}")
        small = lines.new(f"call double @llvm.exp.f64(double {scaled})")
    if operation in ("tanh_slope", "sigmoid_slope"):
        whole = lines.new(f"fadd double {small}, 1.0")
        top = lines.new(f"fmul double {small}, {number(rate * rate)}")
        return lines.new(f"fdiv double {top}, {lines.new(f'fmul double {whole}, {whole}')}")
    if operation == "sigmoid":
        top = lines.new(
            f"select i1 {lines.new(f'fcmp olt double {a}, 0.0')}, double {small}, double 1.0"
        )
        return lines.new(f"fdiv double {top}, {lines.new(f'fadd double {small}, 1.0')}")
    if operation == "mod":  # with the sign of the period, as numpy has it
        rest = lines.new(f"frem double {a}, {b}")
        other = lines.new(
            f"xor i1 {lines.new(f'fcmp olt double {rest}, 0.0')}, "
            f"{lines.new(f'fcmp olt double {b}, 0.0')}"
        )
        apart = lines.new(f"and i1 {other}, {lines.new(f'fcmp une double {rest}, 0.0')}")
        return lines.new(
            f"select i1 {apart}, double {lines.new(f'fadd double {rest}, {b}')}, double {rest}"
        )
    raise KeyError(operation)


def splat(lines, value, width):
    """A number in every lane."""
    first = lines.new(f"insertelement <{width} x double> poison, double {value}, i64 0")
    return lines.new(
        f"shufflevector <{width} x double> {first}, <{width} x double> poison, "
        f"<{width} x i32> zeroinitializer"
    )


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
