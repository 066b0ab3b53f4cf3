"""Copy tasks: symbols that are recalled after a delay, in order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..runtime.validation import public
from .task import Task, every_word, uniform

__all__ = ["Copy", "LAYOUTS", "SelectiveCopy"]

LAYOUTS = {
    "arjovsky": "Arjovsky, Shah and Bengio (2016), arXiv:1511.06464, after Hochreiter and "
    "Schmidhuber (1997)",
    "bai": "Bai, Kolter and Koltun (2018), arXiv:1803.01271",
    "graves": "Graves, Wayne and Danihelka (2014), arXiv:1410.5401",
}


@public
@dataclass(frozen=True)
class Copy(Task):
    """Remember symbols over a delay, then recall them in order, in one of three published layouts.

    "arjovsky": 10 symbols, T-1 blanks, one delimiter, 10 blanks; the target is blank for T+10 steps
    and then the 10 symbols; every step is scored. "bai", as in the code of Bai et al.: 10 symbols,
    T-1 blanks, the delimiter 11 times, through the recall; the target and the scored steps are the
    same. Both: T+20 steps, floor 10 ln 8 / (T+20) for 8 symbols; scored="recalled" scores the last
    10 steps alone: floor ln 8. Symbols are 0 to symbols-1 at the input and at the target, the blank
    is ``symbols``, the delimiter ``symbols + 1`` (published code shifts them). "graves": random
    vectors of ``bits`` bits, a flag on a channel of its own, T steps of silence (0 in the paper,
    which also draws the length from 1 to 20), then recall in silence, scored alone, each bit by its
    binary cross entropy: floor ln 2.

    Parameters
    ----------
    delay : int
        Delay T in steps.
    layout : {"arjovsky", "bai", "graves"}
        Published layout.
    symbols : int
        Number of symbols; not of "graves".
    length : int
        Number of symbols (or vectors of bits) in a sequence.
    bits : int
        Bits of a vector; of "graves" alone.
    scored : {None, "all", "recalled"}
        Steps that are scored; None: as published.

    References
    ----------
    Arjovsky, Shah and Bengio (2016), arXiv:1511.06464, sec. 5.1, after Hochreiter and Schmidhuber
    (1997); Bai, Kolter and Koltun (2018), arXiv:1803.01271; Graves, Wayne and Danihelka (2014),
    arXiv:1410.5401, sec. 4.1.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.Copy(delay=30)
    >>> task.steps, task.dependency, round(task.floor, 6)
    (50, 40, 0.415888)
    >>> round(dm.tasks.Copy(delay=30, scored="recalled").floor, 6)
    2.079442
    """

    delay: int = 30
    layout: str = "arjovsky"
    symbols: int = 8
    length: int = 10
    bits: int = 8
    scored: str | None = None  # type: ignore[assignment]  # None: as published

    name = "copy"
    title = "copy task"

    choices = {"layout": tuple(LAYOUTS), "scored": ("all", "recalled")}

    @property
    def limits(self) -> dict[str, tuple[int, int | None]]:  # type: ignore[override]
        """Least value of each whole number: "graves" has a delay of 0."""
        graves = isinstance(self.layout, str) and self.layout == "graves"
        return {
            "delay": (0 if graves else 1, None),
            "symbols": (2, None),
            "length": (1, None),
            "bits": (1, None),
        }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scored is None:
            object.__setattr__(self, "scored", "recalled" if self.layout == "graves" else "all")

    def check_options(self) -> None:
        """Refuse options of another layout."""
        if self.layout != "graves" and self.bits != Copy.bits:
            raise ValueError(f"bits = {self.bits}: only layout 'graves' has bits: set symbols")
        if self.layout == "graves" and self.symbols != Copy.symbols:
            raise ValueError(
                f"symbols = {self.symbols}: layout 'graves' copies vectors of bits: set bits"
            )
        if self.layout == "graves" and self.scored == "all":
            raise ValueError(
                "scored = 'all': layout 'graves' scores the recalled vectors only: leave it out"
            )

    @property
    def source(self) -> str:
        """Reference of the layout."""
        return LAYOUTS[self.layout]

    @property
    def loss(self) -> str:
        """Kind of loss."""
        return "binary_cross_entropy" if self.layout == "graves" else "cross_entropy"

    @property
    def inputs(self) -> int:
        """Input width: one channel a symbol, one for the blank, one for the delimiter; or the bits
        and the flag."""
        return self.bits + 1 if self.layout == "graves" else self.symbols + 2

    @property
    def outputs(self) -> int:
        """Output width: one logit a symbol and one for the blank; or one a bit."""
        return self.bits if self.layout == "graves" else self.symbols + 1

    @property
    def dependency(self) -> int:
        """Lag in steps from each symbol to its recall, the same for all: T + length, and one more
        for the flag of "graves"."""
        return self.delay + self.length + (self.layout == "graves")

    @property
    def steps(self) -> int:
        """Length of a sequence: T + 2 length, and one more for the flag of "graves"."""
        return self.dependency + self.length

    @property
    def recalled(self) -> slice:
        """Steps at which the symbols are recalled: the last ones."""
        return slice(self.dependency, None)

    @property
    def floor(self) -> float:
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
    def chance(self) -> float:
        """Fraction of the recalled symbols (or bits) that a guess gets right."""
        return 0.5 if self.layout == "graves" else 1.0 / self.symbols

    def modes(self, inputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
        """Which symbols were shown, and in which order."""
        return which_and_order(self.answers(targets), self.recalled)

    def last_cue(self, mode: str, step: int) -> int:
        """The step of the last symbol."""
        return self.length - 1

    def sequences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Every word, equally likely."""
        graves = self.layout == "graves"
        alphabet, letters = (2, self.bits) if graves else (self.symbols, 1)
        words = every_word(alphabet, self.length * letters, np.min_scalar_type(self.symbols + 1))
        if words is None:
            return None
        if graves:
            words = words.reshape(-1, self.length, self.bits)
        return *self._spread(words), uniform(len(words))

    def plateaus(self) -> dict[str, float]:
        """Which symbols were shown is known, their order is not: 3/8 of the floor for two symbols
        out of four."""
        alphabet = 2 if self.layout == "graves" else self.symbols
        return known_but_for_order(alphabet, self.length, self.floor)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Symbols or bits, and the same ``dependency`` steps later."""
        if self.layout == "graves":
            return self._spread(rng.integers(2, size=(count, self.length, self.bits), dtype="u1"))
        dtype = np.min_scalar_type(self.symbols + 1)
        return self._spread(rng.integers(self.symbols, size=(count, self.length), dtype=dtype))

    def _spread(self, words):
        """Inputs and targets of words of symbols (count, length), or of bits (..., bits)."""
        if words.ndim == 3:
            return self._spread_bits(words)
        count, blank, delimiter, end = len(words), self.symbols, self.symbols + 1, self.dependency
        inputs = np.full((count, self.steps), blank, words.dtype)
        targets = np.full((count, self.steps), blank, words.dtype)
        inputs[:, : self.length] = targets[:, end:] = words
        inputs[:, end - 1 : end if self.layout == "arjovsky" else None] = delimiter
        return inputs, targets

    def _spread_bits(self, bits):
        inputs = np.zeros((len(bits), self.steps, self.inputs), np.uint8)
        targets = np.zeros((len(bits), self.steps, self.outputs), np.uint8)
        inputs[:, : self.length, : self.bits] = targets[:, self.recalled] = bits
        inputs[:, self.length, self.bits] = 1
        return inputs, targets


@public
@dataclass(frozen=True)
class SelectiveCopy(Task):
    """Remember symbols among noise, then recall them in order: memory that must select by content.

    The symbols lie at ``length`` of the first ``delay`` steps, every choice of places equally
    likely, the noise token ``symbols`` at the others; ``length`` markers, the token
    ``symbols + 1``, mark the recall. The lag of a symbol varies with its place, up to ``delay``, so
    that a fixed delay line fails. Scored where they are recalled, floor ln symbols: there the input
    is always the marker.

    Parameters
    ----------
    delay : int
        Steps among which the symbols lie.
    symbols : int
        Number of symbols.
    length : int
        Symbols in a sequence, at most ``delay``.

    References
    ----------
    Gu and Dao (2023), arXiv:2312.00752, sec. 4.1.1 (16 symbols, 16 of them in 4096 steps), after
    Jing et al. (2019), Neural Computation 31, 765.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.SelectiveCopy(delay=100, symbols=16, length=16)
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

    limits = {"delay": (1, None), "symbols": (2, None), "length": (1, None)}

    def check_options(self) -> None:
        """Refuse more symbols than there are places."""
        if self.length > self.delay:
            raise ValueError(
                f"length = {self.length}: {self.delay} steps have no place for them, set "
                f"delay to {self.length} or more"
            )

    @property
    def inputs(self) -> int:
        """Input width."""
        return self.symbols + 2

    @property
    def outputs(self) -> int:
        """Output width."""
        return self.symbols

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return self.delay + self.length

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.delay

    @property
    def recalled(self) -> slice:
        """Steps at which the cue is needed."""
        return slice(self.delay, None)

    @property
    def floor(self) -> float:
        """Least mean loss without a memory."""
        return math.log(self.symbols)

    @property
    def chance(self) -> float:
        """Accuracy without a memory."""
        return 1.0 / self.symbols

    def modes(self, inputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
        """Which symbols were shown, and in which order."""
        return which_and_order(self.answers(targets), self.recalled)

    def last_cue(self, mode: str, step: int) -> int:
        """The last step at which a symbol may lie."""
        return self.delay - 1

    def plateaus(self) -> dict[str, float]:
        """Which symbols were shown is known, their order is not."""
        return known_but_for_order(self.symbols, self.length, self.floor)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Symbols among noise, and the same symbols at the markers."""
        dtype = np.min_scalar_type(self.symbols + 1)
        inputs = np.full((count, self.steps), self.symbols, dtype)
        targets = np.zeros((count, self.steps), dtype)
        symbols = rng.integers(self.symbols, size=(count, self.length), dtype=dtype)
        inputs[:, : self.delay][places(count, self.delay, self.length, rng)] = symbols.ravel()
        targets[:, self.delay :] = symbols
        inputs[:, self.delay :] = self.symbols + 1
        return inputs, targets


def places(count: int, steps: int, chosen: int, rng: np.random.Generator) -> np.ndarray:
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


def which_and_order(answer: np.ndarray, recalled: slice) -> dict[str, np.ndarray]:
    """The parts of answers (count, steps, outputs) that permutations of the recalled steps leave,
    and that they change."""
    which = np.zeros_like(answer)
    which[:, recalled] = answer[:, recalled].mean(1, keepdims=True)
    if answer[:, recalled].shape[1] == 1:
        return {"which": which}
    order = np.zeros_like(answer)
    order[:, recalled] = answer[:, recalled] - which[:, recalled]
    return {"which": which, "order": order}


def known_but_for_order(symbols: int, length: int, floor: float) -> dict[str, float]:
    """Loss of a predictor that knows which symbols were shown, not their order: the mean entropy of
    k / length, k the binomial number of times that a symbol occurs.

    >>> known_but_for_order(4, 2, 8.0)["which"]
    3.0
    """
    if length == 1:
        return {}
    share, loss = 1.0 / symbols, 0.0
    for k in range(1, length):
        weight = math.comb(length, k) * share**k * (1.0 - share) ** (length - k)
        loss -= symbols * weight * k / length * math.log(k / length)
    return {"which": floor * loss / math.log(symbols)}
