"""The adding problem: two marked numbers among many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..runtime.validation import public
from .losses import TOLERANCE
from .task import Task

__all__ = ["Adding"]


@public
@dataclass(frozen=True)
class Adding(Task):
    """Add two marked numbers of a sequence: the adding problem.

    Inputs are a value, uniform in [0, 1), and a marker, 1 at one step of each half. The target at
    the last step is the sum of the two marked values (0 elsewhere, not scored). Its mean is 1 and
    its variance 2/12, so predicting 1 costs a mean squared error of exactly 1/6; the 0.1767 in Le
    et al. (2015), often repeated, is wrong. A network that sees the last input but remembers
    nothing gains by the marker that falls there: 1/6 - 1/12 / (steps - steps // 2).

    Parameters
    ----------
    steps : int
        Length of a sequence.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Neural Computation 9, 1735, sec. 5.4, in the form of Le,
    Jaitly and Hinton (2015), arXiv:1504.00941, sec. 4.1, with the markers' halves as in Arjovsky,
    Shah and Bengio (2016), arXiv:1511.06464, sec. 5.2.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.Adding(steps=100)
    >>> task.dependency, round(task.floor, 6)
    (99, 0.166667)
    """

    steps: int = 100

    name = "adding"
    title = "adding problem"
    source = (
        "Hochreiter and Schmidhuber (1997), Neural Computation 9, 1735; Le, Jaitly and "
        "Hinton (2015), arXiv:1504.00941; "
        "Arjovsky, Shah and Bengio (2016), arXiv:1511.06464"
    )
    loss = "mean_squared_error"
    inputs, outputs = 2, 1
    floor, sighted = 1.0 / 6.0, False
    recalled = slice(-1, None)
    limits = {"steps": (2, None)}
    delay_option = "steps"

    @property
    def dependency(self) -> int:
        """Longest lag in steps: a value marked at the first step is needed at the last; the
        shortest of the first half is steps/2."""
        return self.steps - 1

    @property
    def chance(self) -> float:
        """Probability that the sum of two uniform numbers lies within TOLERANCE of 1."""
        return 1.0 - (1.0 - TOLERANCE) ** 2

    def modes(self, inputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
        """The marked value of each half."""
        marked, half = inputs[..., :1] * inputs[..., 1:], self.steps // 2
        parts = {"first": np.zeros(targets.shape), "second": np.zeros(targets.shape)}
        parts["first"][:, -1] = marked[:, :half].sum(1)
        parts["second"][:, -1] = marked[:, half:].sum(1)
        return parts

    def last_cue(self, mode: str, step: int) -> int:
        """The last step at which the value may be marked."""
        return self.steps // 2 - 1 if mode == "first" else step

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Values and markers of shape (count, steps, 2), targets of shape (count, steps, 1)."""
        inputs, targets = np.zeros((count, self.steps, 2)), np.zeros((count, self.steps, 1))
        inputs[..., 0] = rng.random((count, self.steps))
        half, rows = self.steps // 2, np.arange(count)
        for marked in (rng.integers(half, size=count), rng.integers(half, self.steps, size=count)):
            inputs[rows, marked, 1] = 1.0
            targets[:, -1, 0] += inputs[rows, marked, 0]
        return inputs, targets
