"""Copy tasks: symbols that are said again after a delay, in order."""

import math
from dataclasses import dataclass

import numpy as np

from .task import Task, chosen, whole

LAYOUTS = {
    "arjovsky": "Arjovsky, Shah and Bengio (2016), arXiv:1511.06464, after Hochreiter and "
    "Schmidhuber (1997)",
    "bai": "Bai, Kolter and Koltun (2018), arXiv:1803.01271",
    "graves": "Graves, Wayne and Danihelka (2014), arXiv:1410.5401",
}


@dataclass(frozen=True)
class Copy(Task):
    """Remember ``length`` symbols over a delay of T steps, then say them in order, in one of three
    published layouts.

    "arjovsky": Arjovsky, Shah and Bengio (2016), sec. 5.1, after Hochreiter and Schmidhuber (1997):
    10 symbols, T-1 blanks, one delimiter, 10 blanks; the target is blank for T+10 steps and then
    the 10 symbols; every step is scored. "bai": Bai, Kolter and Koltun (2018), and their code: 10
    symbols, T-1 blanks, the delimiter 11 times, through the recall; the target and the scored steps
    are the same. Both: T+20 steps, floor 10 ln 8 / (T+20) for 8 symbols; scored="recalled" scores
    the last 10 steps alone: floor ln 8. Symbols are 0 to symbols-1 at the input and at the target,
    the blank is ``symbols``, the delimiter ``symbols + 1`` (published code shifts them). "graves":
    Graves, Wayne and Danihelka (2014), sec. 4.1: random vectors of ``bits`` bits, a flag on a
    channel of its own, T steps of silence (0 in the paper, which also draws the length from 1 to
    20), then recall in silence, scored alone, each bit by its binary cross entropy: floor ln 2.

    >>> task = Copy(delay=30)
    >>> task.steps, task.dependency, round(task.floor, 6), round(Copy(delay=30, scored="recalled").floor, 6)
    (50, 40, 0.415888, 2.079442)
    """

    delay: int = 30
    layout: str = "arjovsky"
    symbols: int = 8
    length: int = 10
    bits: int = 8
    scored: str | None = None  # None: as published

    name = "copy"
    title = "copy task"

    def __post_init__(self):
        if self.scored is None:
            object.__setattr__(
                self, "scored", "recalled" if chosen(self.layout, ("graves",)) else "all"
            )
        super().__post_init__()

    def problems(self):
        """Sentences, one for each option that cannot be."""
        binary = chosen(self.layout, ("graves",))
        if not chosen(self.layout, LAYOUTS):
            yield f"layout = {self.layout!r}: choose one of {', '.join(LAYOUTS)}"
        if not chosen(self.scored, ("all", "recalled")):
            yield f"scored = {self.scored!r}: choose one of all, recalled"
        if binary and chosen(self.scored, ("all",)):
            yield "scored = 'all': layout 'graves' scores the recalled vectors only: leave it out"
        yield from whole(vars(self), delay=0 if binary else 1, symbols=2, length=1, bits=1)
        if binary and self.symbols != Copy.symbols:
            yield f"symbols = {self.symbols!r}: layout 'graves' copies vectors of bits: set bits"
        if not binary and self.bits != Copy.bits:
            yield f"bits = {self.bits!r}: only layout 'graves' has bits: set symbols"

    @property
    def source(self):
        """Reference of the layout."""
        return LAYOUTS[self.layout]

    @property
    def loss(self):
        """Kind of loss."""
        return "binary_cross_entropy" if self.layout == "graves" else "cross_entropy"

    @property
    def inputs(self):
        """Input width: one channel a symbol, one for the blank, one for the delimiter; or the bits
        and the flag."""
        return self.bits + 1 if self.layout == "graves" else self.symbols + 2

    @property
    def outputs(self):
        """Output width: one logit a symbol and one for the blank; or one a bit."""
        return self.bits if self.layout == "graves" else self.symbols + 1

    @property
    def dependency(self):
        """Lag in steps from each symbol to its recall, the same for all: T + length, and one more
        for the flag of "graves"."""
        return self.delay + self.length + (self.layout == "graves")

    @property
    def steps(self):
        """Length of a sequence: T + 2 length, and one more for the flag of "graves"."""
        return self.dependency + self.length

    @property
    def recalled(self):
        """Steps at which the symbols are said again: the last ones."""
        return slice(self.dependency, None)

    @property
    def floor(self):
        """Entropy of the targets given the step, in nats a scored step (or bit): only the recalled
        ones are uncertain."""
        if self.layout == "graves":
            return math.log(2.0)
        return (
            self.length
            * math.log(self.symbols)
            / (self.steps if self.scored == "all" else self.length)
        )

    @property
    def chance(self):
        """Fraction of the recalled symbols (or bits) that a guess gets right."""
        return 0.5 if self.layout == "graves" else 1.0 / self.symbols

    def draw(self, count, rng):
        """Symbols or bits, and the same ``dependency`` steps later."""
        return (
            self._draw_bits(count, rng)
            if self.layout == "graves"
            else self._draw_symbols(count, rng)
        )

    def _draw_symbols(self, count, rng):
        blank, delimiter, end = self.symbols, self.symbols + 1, self.dependency
        dtype = np.min_scalar_type(delimiter)
        inputs = np.full((count, self.steps), blank, dtype)
        targets = np.full((count, self.steps), blank, dtype)
        inputs[:, : self.length] = targets[:, end:] = rng.integers(
            self.symbols, size=(count, self.length), dtype=dtype
        )
        inputs[:, end - 1 : end if self.layout == "arjovsky" else None] = delimiter
        return inputs, targets

    def _draw_bits(self, count, rng):
        inputs = np.zeros((count, self.steps, self.inputs), np.uint8)
        targets = np.zeros((count, self.steps, self.outputs), np.uint8)
        bits = rng.integers(2, size=(count, self.length, self.bits), dtype=np.uint8)
        inputs[:, : self.length, : self.bits] = targets[:, self.recalled] = bits
        inputs[:, self.length, self.bits] = 1
        return inputs, targets


@dataclass(frozen=True)
class SelectiveCopy(Task):
    """Remember ``length`` symbols that stand at random places among noise, then say them in order:
    memory that must choose by content.

    The symbols lie at ``length`` of the first ``delay`` steps, every choice of places equally
    likely, the noise token ``symbols`` at the others; ``length`` markers, the token ``symbols +
    1``, ask for them. The lag of a symbol varies with its place, up to ``delay``, so that a fixed
    delay line fails. Scored where they are recalled, floor ln symbols: there the input is always
    the marker. Source: Gu and Dao (2023), arXiv:2312.00752, sec. 4.1.1 (16 symbols, 16 of them in
    4096 steps), after Jing et al. (2019).

    >>> task = SelectiveCopy(delay=100, symbols=16, length=16)
    >>> task.steps, task.dependency, round(task.floor, 6)
    (116, 100, 2.772589)
    """

    delay: int = 30
    symbols: int = 8
    length: int = 4

    name = "selective_copy"
    title = "selective copy task"
    source = "Gu and Dao (2023), arXiv:2312.00752; Jing et al. (2019), Neural Computation 31, 765"
    loss = "cross_entropy"

    def problems(self):
        """Sentences, one for each option that cannot be."""
        found = list(whole(vars(self), delay=1, symbols=2, length=1))
        if not found and self.length > self.delay:
            found.append(
                f"length = {self.length}: {self.delay} steps have no place for them, set "
                f"delay to {self.length} or more"
            )
        return found

    inputs = property(lambda self: self.symbols + 2)
    outputs = property(lambda self: self.symbols)
    steps = property(lambda self: self.delay + self.length)
    dependency = property(lambda self: self.delay)
    recalled = property(lambda self: slice(self.delay, None))
    floor = property(lambda self: math.log(self.symbols))
    chance = property(lambda self: 1.0 / self.symbols)

    def draw(self, count, rng):
        """Symbols among noise, and the same symbols at the markers."""
        dtype = np.min_scalar_type(self.symbols + 1)
        inputs = np.full((count, self.steps), self.symbols, dtype)
        targets = np.zeros((count, self.steps), dtype)
        symbols = rng.integers(self.symbols, size=(count, self.length), dtype=dtype)
        inputs[:, : self.delay][places(count, self.delay, self.length, rng)] = symbols.ravel()
        targets[:, self.delay :] = symbols
        inputs[:, self.delay :] = self.symbols + 1
        return inputs, targets


def places(count, steps, chosen, rng):
    """Truth table (count, steps) with ``chosen`` places true in each row, every choice equally
    likely.

    Selection sampling (Knuth, The Art of Computer Programming 2, sec. 3.4.2, algorithm S): a step
    is taken with probability wanted / left.
    """
    taken, wanted = np.empty((steps, count), bool), np.full(count, chosen, np.int32)
    for step in range(steps):
        np.less(rng.random(count, dtype=np.float32) * (steps - step), wanted, out=taken[step])
        wanted -= taken[step]
    return taken.T
