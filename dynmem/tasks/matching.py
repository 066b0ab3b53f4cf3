"""Matching tasks: is the current symbol the same as an earlier one?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..runtime.validation import public
from .task import Task, every_word

__all__ = ["DelayedMatch", "NBack"]


@public
@dataclass(frozen=True)
class DelayedMatch(Task):
    """Delayed match to sample: is the symbol after the delay the one before it?

    A symbol, ``delay`` steps of distraction or silence, a second symbol; the target is whether
    they are the same. The second symbol repeats the first with probability 1/2 and is any other
    with the same probability each, so that it alone says nothing: floor ln 2. The delay is filled
    with symbols of an alphabet of its own, of ``distractors`` (0: silence, a blank). The target, 1
    for a match, is scored at the last step.

    Parameters
    ----------
    delay : int
        Steps between the two symbols.
    symbols : int
        Number of symbols.
    distractors : int
        Number of symbols that fill the delay; 0: silence.

    References
    ----------
    Fuster and Alexander (1971), Science 173, 652 (delay activity in prefrontal cortex); Miller,
    Erickson and Desimone (1996), J. Neurosci. 16, 5154 (with distraction during the delay).

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.DelayedMatch(delay=20)
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
    limits = {"delay": (0, None), "symbols": (2, None), "distractors": (0, None)}

    @property
    def inputs(self) -> int:
        """Input width."""
        return self.symbols + max(self.distractors, 1)

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return self.delay + 2

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.delay + 1

    def last_cue(self, mode: str, step: int) -> int:
        """The first step: what comes later is as likely in a match as in none."""
        return 0

    def sequences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Every pair of symbols, where the delay is silent."""
        pairs = every_word(self.symbols, 2, np.min_scalar_type(self.inputs))
        if self.distractors or pairs is None:
            return None
        inputs = np.full((len(pairs), self.steps), self.symbols, pairs.dtype)
        targets = np.zeros((len(pairs), self.steps), np.uint8)
        inputs[:, 0], inputs[:, -1] = pairs.T
        targets[:, -1] = match = pairs[:, 0] == pairs[:, 1]
        return inputs, targets, np.where(match, 1.0, 1.0 / (self.symbols - 1)) / (2 * self.symbols)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
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


@public
@dataclass(frozen=True)
class NBack(Task):
    """n-back: at every step, is this symbol the one of ``back`` steps ago?

    A symbol repeats that of ``back`` steps ago with probability 1/2 and is any other with the same
    probability each. Every symbol is as likely in a match as in none, so the current one says
    nothing: floor ln 2, over the steps from ``back`` on, which are scored.

    Parameters
    ----------
    back : int
        Lag in steps.
    steps : int
        Length of a sequence, above ``back``.
    symbols : int
        Number of symbols.

    References
    ----------
    Kirchner (1958), J. Exp. Psychol. 55, 352.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.NBack(back=3, steps=40)
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

    limits = {"back": (1, None), "steps": (2, None), "symbols": (2, None)}
    delay_option = "back"

    def check_options(self) -> None:
        """Refuse a sequence that ends before the first comparison."""
        if self.steps <= self.back:
            raise ValueError(
                f"steps = {self.steps}: {self.back} back there is nothing to compare "
                f"with, set steps to {self.back + 1} or more"
            )

    @property
    def inputs(self) -> int:
        """Input width."""
        return self.symbols

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.back

    @property
    def recalled(self) -> slice:
        """Steps at which the cue is needed."""
        return slice(self.back, None)

    def with_delay(self, delay: int) -> NBack:
        """Another lag, and as many comparisons."""
        return replace(self, back=delay, steps=self.steps - self.back + delay)

    def last_cue(self, mode: str, step: int) -> int:
        """The symbol that is compared."""
        return step - self.back

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
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


def another(symbol: np.ndarray, symbols: int, rng: np.random.Generator) -> np.ndarray:
    """A symbol of 0 to symbols - 1 that is not this one, each other with the same probability;
    arrays of any shape."""
    drawn = rng.integers(symbols - 1, size=symbol.shape, dtype=symbol.dtype)
    return drawn + (drawn >= symbol)
