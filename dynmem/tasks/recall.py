"""Recall by content: what stood beside this symbol when it was seen before?"""

import math
from dataclasses import dataclass

import numpy as np

from .matching import another
from .task import Task, whole


@dataclass(frozen=True)
class Induction(Task):
    """Induction, [A][B] ... [A] -> [B]: the last symbol stood somewhere before, once; say the
    symbol that followed it there.

    All symbols but the last are uniform, A stands at a place drawn uniformly and nowhere else
    before the end, so the answer is any symbol but A with the same probability: floor ln(symbols -
    1) for who sees A. The lag is not fixed, so a delay line fails; the longest is that from the A
    of the first step to the last. Source: Olsson et al. (2022), arXiv:2209.11895 (induction heads);
    as a test of one recall, Gu and Dao (2023), arXiv:2312.00752, sec. 4.1.2.

    >>> task = Induction(steps=32, symbols=16)
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

    def problems(self):
        """Sentences, one for each option that cannot be."""
        return whole(vars(self), steps=3, symbols=3)

    inputs = outputs = property(lambda self: self.symbols)
    dependency = property(lambda self: self.steps - 1)
    floor = property(lambda self: math.log(self.symbols - 1))
    chance = property(lambda self: 1.0 / (self.symbols - 1))

    def draw(self, count, rng):
        """Symbols (count, steps), and the answer at the last step."""
        rows, dtype = np.arange(count), np.min_scalar_type(self.symbols)
        asked = rng.integers(self.symbols, size=count, dtype=dtype)
        inputs = another(np.broadcast_to(asked[:, None], (count, self.steps)), self.symbols, rng)
        place = rng.integers(self.steps - 2, size=count)
        inputs[rows, place] = inputs[:, -1] = asked
        targets = np.zeros_like(inputs)
        targets[:, -1] = inputs[rows, place + 1]
        return inputs, targets


@dataclass(frozen=True)
class AssociativeRecall(Task):
    """Associative recall with many pairs (MQAR): ``pairs`` of a key and a value, a delay, then keys
    again; say the value of each.

    Keys are ``keys`` symbols, of which a sequence shows ``pairs`` different ones; values are
    ``values`` symbols of their own, drawn anew for each pair, so that neither the key which is
    asked nor the values of the others say anything: floor ln values. ``delay`` blanks lie between
    the last pair and the first of ``queries`` keys (None: all of them), in random order, scored
    alone. The state must hold pairs x ln values nats at once. The longest lag is from the first key
    to the last query. Source: Arora et al. (2023), arXiv:2312.04927 (there values are all
    different, and gaps between queries follow a power law).

    >>> task = AssociativeRecall(pairs=8, keys=16, values=16, delay=10)
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

    def __post_init__(self):
        if self.queries is None:
            object.__setattr__(self, "queries", self.pairs)
        super().__post_init__()

    def problems(self):
        """Sentences, one for each option that cannot be."""
        same = self.queries is self.pairs  # then one sentence will do
        found = list(
            whole(
                vars(self), pairs=1, keys=2, values=2, delay=0, **({} if same else {"queries": 1})
            )
        )
        if not found and self.pairs > self.keys:
            found.append(
                f"pairs = {self.pairs}: each needs a key of its own and there are "
                f"{self.keys}, set keys to {self.pairs} or more"
            )
        if not found and self.queries > self.pairs:
            found.append(
                f"queries = {self.queries}: each key is asked once at most, set pairs to "
                f"{self.queries} or more"
            )
        return found

    inputs = property(lambda self: self.keys + self.values + 1)
    outputs = property(lambda self: self.values)
    steps = property(lambda self: 2 * self.pairs + self.delay + self.queries)
    dependency = property(lambda self: self.steps - 1)
    recalled = property(lambda self: slice(self.steps - self.queries, None))
    floor = property(lambda self: math.log(self.values))
    chance = property(lambda self: 1.0 / self.values)

    def draw(self, count, rng):
        """Symbols (count, steps): keys from 0, values from ``keys``, the blank last; targets: the
        value, from 0, at each query."""
        dtype = np.min_scalar_type(self.inputs)
        inputs = np.full((count, self.steps), self.keys + self.values, dtype)
        targets = np.zeros((count, self.steps), dtype)
        # the least of as many random numbers as there are keys: every choice and order of keys
        # equally likely
        keys = np.argsort(rng.random((count, self.keys), dtype=np.float32), axis=1)[:, : self.pairs]
        values = rng.integers(self.values, size=(count, self.pairs), dtype=dtype)
        asked = np.argsort(rng.random((count, self.pairs), dtype=np.float32), axis=1)[
            :, : self.queries
        ]
        inputs[:, : 2 * self.pairs : 2], inputs[:, 1 : 2 * self.pairs : 2] = (
            keys,
            self.keys + values,
        )
        inputs[:, self.recalled] = np.take_along_axis(keys, asked, axis=1)
        targets[:, self.recalled] = np.take_along_axis(values, asked, axis=1)
        return inputs, targets
