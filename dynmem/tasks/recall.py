"""Recall by content: what stood next to this symbol when it was seen before?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..runtime.validation import public
from .matching import another
from .task import Task

__all__ = ["AssociativeRecall", "Induction"]


@public
@dataclass(frozen=True)
class Induction(Task):
    """Induction, [A][B] ... [A] -> [B]: recall the symbol that followed this one before.

    All symbols but the last are uniform; A, the last, stands at a place drawn uniformly and nowhere
    else before the end, so the answer is any symbol but A with the same probability: floor
    ln(symbols - 1) given A. The lag is not fixed, so a delay line fails; the longest is that from
    the A of the first step to the last.

    Parameters
    ----------
    steps : int
        Length of a sequence.
    symbols : int
        Number of symbols.

    References
    ----------
    Olsson et al. (2022), arXiv:2209.11895 (induction heads); as a test of one recall, Gu and Dao
    (2023), arXiv:2312.00752, sec. 4.1.2.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.Induction(steps=32, symbols=16)
    >>> task.dependency, round(task.floor, 6)
    (31, 2.70805)
    """

    steps: int = 32
    symbols: int = 16

    name = "induction"
    title = "induction"
    source = "Olsson et al. (2022), arXiv:2209.11895; Gu and Dao (2023), arXiv:2312.00752"
    loss = "cross_entropy"
    recalled = slice(-1, None)
    limits = {"steps": (3, None), "symbols": (3, None)}
    delay_option = "steps"

    @property
    def inputs(self) -> int:
        """Input width."""
        return self.symbols

    @property
    def outputs(self) -> int:
        """Output width."""
        return self.symbols

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.steps - 1

    @property
    def floor(self) -> float:
        """Least mean loss without a memory."""
        return math.log(self.symbols - 1)

    @property
    def chance(self) -> float:
        """Accuracy without a memory."""
        return 1.0 / (self.symbols - 1)

    def modes(self, inputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
        """The answer, less what the question says of it: that it is another symbol."""
        part = np.zeros((*inputs.shape, self.symbols))
        known = (1.0 - np.eye(self.symbols)[inputs[:, -1]]) / (self.symbols - 1)
        part[:, -1] = np.eye(self.symbols)[targets[:, -1]] - known
        return {"answer": part}

    def last_cue(self, mode: str, step: int) -> int:
        """The last step at which the answer may stand."""
        return self.steps - 2

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Symbols (count, steps), and the answer at the last step."""
        rows, dtype = np.arange(count), np.min_scalar_type(self.symbols)
        query = rng.integers(self.symbols, size=count, dtype=dtype)
        inputs = another(np.broadcast_to(query[:, None], (count, self.steps)), self.symbols, rng)
        place = rng.integers(self.steps - 2, size=count)
        inputs[rows, place] = inputs[:, -1] = query
        targets = np.zeros_like(inputs)
        targets[:, -1] = inputs[rows, place + 1]
        return inputs, targets


@public
@dataclass(frozen=True)
class AssociativeRecall(Task):
    """Associative recall with many pairs (MQAR): pairs of a key and a value, then keys again.

    Keys are ``keys`` symbols, of which a sequence shows ``pairs`` different ones; values are
    ``values`` symbols of their own, drawn anew for each pair, so that neither the key of a query
    nor the values of the others say anything: floor ln values. ``delay`` blanks lie between the
    last pair and the first of ``queries`` keys, in random order, scored alone; the answer is the
    value of each. The state must hold pairs x ln values nats at once. The longest lag is from the
    first key to the last query.

    Parameters
    ----------
    pairs : int
        Pairs of a key and a value in a sequence.
    keys, values : int
        Number of symbols for each.
    delay : int
        Blanks between the pairs and the queries.
    queries : int or None
        Keys that are recalled, at most ``pairs``; None: all of them.

    References
    ----------
    Arora et al. (2023), arXiv:2312.04927 (there values are all different, and gaps between queries
    follow a power law).

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.AssociativeRecall(pairs=8, keys=16, values=16, delay=10)
    >>> task.steps, task.dependency, round(task.floor, 6)
    (34, 33, 2.772589)
    """

    pairs: int = 4
    keys: int = 16
    values: int = 8
    delay: int = 0
    queries: int | None = None

    name = "associative_recall"
    title = "associative recall with many pairs"
    source = "Arora et al. (2023), arXiv:2312.04927"
    loss = "cross_entropy"

    limits = {
        "pairs": (1, None),
        "keys": (2, None),
        "values": (2, None),
        "delay": (0, None),
        "queries": (1, None),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queries is None:
            object.__setattr__(self, "queries", self.pairs)

    def check_options(self) -> None:
        """Refuse more pairs than keys, and more queries than pairs."""
        if self.pairs > self.keys:
            raise ValueError(
                f"pairs = {self.pairs}: each needs a key of its own and there are "
                f"{self.keys}, set keys to {self.pairs} or more"
            )
        if self.queries is not None and self.queries > self.pairs:
            raise ValueError(
                f"queries = {self.queries}: each key is queried once at most, set pairs to "
                f"{self.queries} or more"
            )

    @property
    def inputs(self) -> int:
        """Input width."""
        return self.keys + self.values + 1

    @property
    def outputs(self) -> int:
        """Output width."""
        return self.values

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return 2 * self.pairs + self.delay + (self.queries or self.pairs)

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.steps - 1

    @property
    def recalled(self) -> slice:
        """Steps at which the cue is needed."""
        return slice(self.steps - (self.queries or self.pairs), None)

    @property
    def floor(self) -> float:
        """Least mean loss without a memory."""
        return math.log(self.values)

    @property
    def chance(self) -> float:
        """Accuracy without a memory."""
        return 1.0 / self.values

    def last_cue(self, mode: str, step: int) -> int:
        """The last value."""
        return 2 * self.pairs - 1

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Symbols (count, steps): keys from 0, values from ``keys``, the blank last; targets: the
        value, from 0, at each query."""
        dtype = np.min_scalar_type(self.inputs)
        inputs = np.full((count, self.steps), self.keys + self.values, dtype)
        targets = np.zeros((count, self.steps), dtype)
        # the least of as many random numbers as there are keys: every choice and order of keys
        # equally likely
        keys = np.argsort(rng.random((count, self.keys), dtype=np.float32), axis=1)[:, : self.pairs]
        values = rng.integers(self.values, size=(count, self.pairs), dtype=dtype)
        query = np.argsort(rng.random((count, self.pairs), dtype=np.float32), axis=1)[
            :, : self.queries
        ]
        inputs[:, : 2 * self.pairs : 2], inputs[:, 1 : 2 * self.pairs : 2] = (
            keys,
            self.keys + values,
        )
        inputs[:, self.recalled] = np.take_along_axis(keys, query, axis=1)
        targets[:, self.recalled] = np.take_along_axis(values, query, axis=1)
        return inputs, targets
