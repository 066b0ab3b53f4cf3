"""Tasks of switches: a state of a few bits that the input sets or flips."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..runtime.validation import public
from .task import Task, every_word, uniform

__all__ = ["FlipFlop", "Parity"]


@public
@dataclass(frozen=True)
class FlipFlop(Task):
    """The flip-flop: each channel holds the sign of the last pulse that it received.

    Each of ``bits`` channels receives a pulse, +1 or -1, at each step with probability 1 /
    ``hold``, and for certain at the first, so that the state is set; 0 otherwise. The target is 1
    after +1 and 0 after -1, at every step. A predictor of the current pulses alone knows a bit when
    it is set, and nothing of it otherwise: floor (1 - 1/hold) ln 2 a bit over the scored steps,
    those after the first. A bit is held for ``hold`` steps in the mean; the longest lag is that
    from the first to the last step.

    Parameters
    ----------
    steps : int
        Length of a sequence.
    hold : int
        Mean steps between pulses of a channel.
    bits : int
        Number of channels.

    Notes
    -----
    Trained networks hold the 2^bits states in as many stable fixed points.

    References
    ----------
    Sussillo and Barak (2013), Neural Computation 25, 626 (three bits, targets of +-1 with a squared
    error; here bits with their cross entropy, so that the loss is the information which is
    missing).

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.FlipFlop(steps=50, hold=10)
    >>> task.inputs, task.outputs, task.dependency, round(task.floor, 6)
    (3, 3, 49, 0.623832)
    """

    steps: int = 50
    hold: int = 10
    bits: int = 3

    name = "flip_flop"
    title = "flip-flop"
    source = "Sussillo and Barak (2013), Neural Computation 25, 626"
    loss = "binary_cross_entropy"
    recalled = slice(1, None)
    limits = {"steps": (2, None), "hold": (2, None), "bits": (1, None)}
    delay_option = "hold"

    @property
    def inputs(self) -> int:
        """Input width."""
        return self.bits

    @property
    def outputs(self) -> int:
        """Output width."""
        return self.bits

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.steps - 1

    @property
    def floor(self) -> float:
        """Least mean loss without a memory."""
        return (1.0 - 1.0 / self.hold) * math.log(2.0)

    @property
    def chance(self) -> float:
        """Accuracy without a memory."""
        return 0.5 + 0.5 / self.hold

    def with_delay(self, delay: int) -> FlipFlop:
        """Another mean time between pulses, and sequences that are longer in proportion."""
        return replace(self, hold=delay, steps=max(2, round(self.steps * delay / self.hold)))

    def modes(self, inputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
        """The bits at the steps without a pulse, where they are held."""
        return {"held": np.where(inputs == 0, targets - 0.5, 0.0)}

    def last_cue(self, mode: str, step: int) -> int:
        """The step before: a bit that is held was set earlier."""
        return step - 1

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Pulses and states, both of shape (count, steps, bits)."""
        shape = (self.steps, count, self.bits)
        state = rng.integers(2, size=shape, dtype=np.uint8)
        pulse = rng.integers(self.hold, size=shape, dtype=np.min_scalar_type(self.hold)) == 0
        pulse[0] = True
        inputs = np.where(pulse, 2 * state.astype(np.int8) - 1, np.int8(0))
        for step in range(1, self.steps):
            state[step] = np.where(pulse[step], state[step], state[step - 1])
        inputs, state = (np.ascontiguousarray(array.swapaxes(0, 1)) for array in (inputs, state))
        return inputs, state


@public
@dataclass(frozen=True)
class Parity(Task):
    """Parity: is the number of ones so far odd?

    The input is a fair bit at each step, the target the parity of all bits up to it. One bit that
    is forgotten leaves nothing: without the parity before, the loss is ln 2. scored="all" scores
    every step (the first needs no memory: floor (1 - 1/steps) ln 2), "recalled" the last alone
    (floor ln 2), which is hard to learn.

    Parameters
    ----------
    steps : int
        Length of a sequence.
    scored : {"all", "recalled"}
        Steps that are scored.

    References
    ----------
    Minsky and Papert (1969), Perceptrons, ch. 3; Hochreiter and Schmidhuber (1997), Neural
    Computation 9, 1735.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.Parity(steps=50)
    >>> task.dependency, round(task.floor, 6)
    (49, 0.679284)
    >>> round(dm.tasks.Parity(steps=50, scored="recalled").floor, 6)
    0.693147
    """

    steps: int = 50
    scored: str = "all"

    name = "parity"
    title = "parity"
    source = (
        "Minsky and Papert (1969), Perceptrons; Hochreiter and Schmidhuber (1997), Neural "
        "Computation 9, 1735"
    )
    loss = "binary_cross_entropy"
    inputs = outputs = 1
    chance = 0.5
    recalled = slice(-1, None)
    limits, choices = {"steps": (2, None)}, {"scored": ("all", "recalled")}
    delay_option = "steps"

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.steps - 1

    @property
    def floor(self) -> float:
        """Least mean loss without a memory."""
        return math.log(2.0) * (1.0 - (self.scored == "all") / self.steps)

    def last_cue(self, mode: str, step: int) -> int:
        """The first step: without it all others say nothing."""
        return 0

    def sequences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Every word of bits, equally likely."""
        words = every_word(2, self.steps, np.uint8)
        if words is None:
            return None
        bits = words[..., None]
        return bits, np.bitwise_xor.accumulate(bits, axis=1), uniform(len(bits))

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Bits and parities, both of shape (count, steps, 1)."""
        inputs = rng.integers(2, size=(count, self.steps, 1), dtype=np.uint8)
        return inputs, np.bitwise_xor.accumulate(inputs, axis=1)
