"""Matching tasks: is what is seen now the same as what was seen then?"""

import math
from dataclasses import dataclass

import numpy as np

from .task import Task, whole


@dataclass(frozen=True)
class DelayedMatch(Task):
    """Delayed match to sample: a symbol, ``delay`` steps of distraction or silence, a second
    symbol; the answer says whether they are the same.

    The second symbol repeats the first with probability 1/2 and is any other with the same
    probability each, so that it alone says nothing: floor ln 2. The delay is filled with symbols of
    an alphabet of its own, of ``distractors`` (0: silence, a blank). The target, 1 for a match, is
    scored at the last step. Source: Fuster and Alexander (1971), Science 173, 652 (delay activity
    in prefrontal cortex); Miller, Erickson and Desimone (1996), J. Neurosci. 16, 5154 (with
    distraction during the delay).

    >>> task = DelayedMatch(delay=20)
    >>> task.steps, task.dependency, round(task.floor, 6)
    (22, 21, 0.693147)
    """

    delay: int = 20
    symbols: int = 8
    distractors: int = 4

    name = "delayed_match"
    title = "delayed match to sample"
    source = (
        "Fuster and Alexander (1971), Science 173, 652; Miller, Erickson and Desimone "
        "(1996), J. Neurosci. 16, 5154"
    )
    loss, outputs = "cross_entropy", 2
    floor, chance = math.log(2.0), 0.5
    recalled = slice(-1, None)

    def problems(self):
        """Sentences, one for each option that cannot be."""
        return whole(vars(self), delay=0, symbols=2, distractors=0)

    inputs = property(lambda self: self.symbols + max(self.distractors, 1))
    steps = property(lambda self: self.delay + 2)
    dependency = property(lambda self: self.delay + 1)

    def draw(self, count, rng):
        """Symbols (count, steps) and, at the last step, whether the last is the first."""
        dtype = np.min_scalar_type(self.inputs)
        inputs = rng.integers(self.symbols, self.inputs, size=(count, self.steps), dtype=dtype)
        targets = np.zeros((count, self.steps), np.uint8)
        inputs[:, 0] = rng.integers(self.symbols, size=count, dtype=dtype)
        targets[:, -1] = rng.integers(2, size=count, dtype=np.uint8)
        inputs[:, -1] = np.where(
            targets[:, -1], inputs[:, 0], another(inputs[:, 0], self.symbols, rng)
        )
        return inputs, targets


@dataclass(frozen=True)
class NBack(Task):
    """n-back: at every step, is this symbol the one of ``back`` steps ago?

    A symbol repeats that of ``back`` steps ago with probability 1/2 and is any other with the same
    probability each. Every symbol is as likely in a match as in none, so the current one says
    nothing: floor ln 2, over the steps from ``back`` on, which are scored. Source: Kirchner (1958),
    J. Exp. Psychol. 55, 352.

    >>> task = NBack(back=3, steps=40)
    >>> task.dependency, int(task.weights.sum()), round(task.floor, 6)
    (3, 37, 0.693147)
    """

    back: int = 3
    steps: int = 30
    symbols: int = 8

    name = "n_back"
    title = "n-back task"
    source = "Kirchner (1958), J. Exp. Psychol. 55, 352"
    loss, outputs = "cross_entropy", 2
    floor, chance = math.log(2.0), 0.5

    def problems(self):
        """Sentences, one for each option that cannot be."""
        found = list(whole(vars(self), back=1, steps=2, symbols=2))
        if not found and self.steps <= self.back:
            found.append(
                f"steps = {self.steps}: {self.back} back there is nothing to compare "
                f"with, set steps to {self.back + 1} or more"
            )
        return found

    inputs = property(lambda self: self.symbols)
    dependency = property(lambda self: self.back)
    recalled = property(lambda self: slice(self.back, None))

    def draw(self, count, rng):
        """Symbols (count, steps) and whether each is that of ``back`` steps ago, 0 at the first
        ``back`` steps."""
        dtype = np.min_scalar_type(self.symbols)
        inputs = np.empty((self.steps, count), dtype)
        targets = rng.integers(2, size=(self.steps, count), dtype=np.uint8)
        targets[: self.back] = 0
        inputs[: self.back] = rng.integers(self.symbols, size=(self.back, count), dtype=dtype)
        for step in range(self.back, self.steps):
            past = inputs[step - self.back]
            inputs[step] = np.where(targets[step], past, another(past, self.symbols, rng))
        return np.ascontiguousarray(inputs.T), np.ascontiguousarray(targets.T)


def another(symbol, symbols, rng):
    """A symbol of 0 to symbols - 1 that is not this one, each other with the same probability;
    arrays of any shape."""
    drawn = rng.integers(symbols - 1, size=symbol.shape, dtype=symbol.dtype)
    return drawn + (drawn >= symbol)
