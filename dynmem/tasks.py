"""Tasks: sequences whose answer needs a memory, each with the exact loss of a predictor that has none.

A new task is one class derived from ``Task`` and one entry in ``TASKS``.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import numpy as np

from .arrays import softplus
from .errors import ShapeError, UnknownNameError
from .labels import dataset


@dataclass(frozen=True)
class Task(ABC):
    """A law that draws sequences of inputs and targets; the fields of the dataclass are its options.

    What a subclass says, as class attributes or properties: ``name``, ``title``, ``source``; ``inputs`` and ``outputs``, the widths;
    ``steps``, the length of a sequence; ``loss``, a key of LOSSES; ``dependency``, the longest lag in steps between a cue and the
    moment it is needed; ``recalled``, a slice of the steps at which the cue is needed; ``scored``, "recalled" or "all" steps;
    ``floor``, the least mean loss, in nats or squared units, of a predictor that knows the step and the law but sees no input;
    ``chance``, the accuracy of that predictor.
    """

    scored = "recalled"

    def __post_init__(self):
        for field in fields(self):
            if isinstance(getattr(self, field.name), np.integer):
                object.__setattr__(self, field.name, int(getattr(self, field.name)))
        if problems := list(self.problems()):
            raise ValueError("\n".join(problems))

    @abstractmethod
    def problems(self):
        """Sentences, one for each option that cannot be."""

    @abstractmethod
    def draw(self, count, rng):
        """What ``arrays`` returns, for a count that has been checked and a Generator."""

    def arrays(self, count, rng=0):
        """``count`` sequences as plain arrays (inputs, targets): the fast form, for training.

        Symbols are whole numbers of shape (count, steps), which ``encode`` makes one-hot; vectors have shape (count, steps, width).
        The same seed gives the same bits. Raises ValueError where count is not a whole number of at least 1.
        """
        if problems := list(whole({"count": count}, count=1)):
            raise ValueError(problems[0])
        return self.draw(int(count), np.random.default_rng(rng))

    def encode(self, inputs, dtype=np.float64):
        """Inputs as a network takes them, shape (count, steps, inputs): symbols become one-hot, vectors change their dtype."""
        return np.eye(self.inputs, dtype=dtype)[inputs] if inputs.ndim == 2 else inputs.astype(dtype)

    def sample(self, count, rng=0):
        """Dataset of ``count`` sequences: inputs(sample, step, input), targets(sample, step[, output]) and weights(step).

        The attributes hold floor, chance, dependency and the kind of loss, besides title, source, options and seed.
        """
        inputs, targets = self.arrays(count, rng)
        classes = self.loss == "cross_entropy"
        dims = ("sample", "step", "output")[: targets.ndim]
        variables = {
            "inputs": (("sample", "step", "input"), self.encode(inputs), "1", "input, one-hot where it is a symbol"),
            "targets": (dims, targets.astype(np.int64 if classes else np.float64), "1", "class to predict" if classes else "target"),
            "weights": (("step",), self.weights, "1", "1 where the step is scored, 0 elsewhere"),
        }
        sizes = {"sample": count, "step": self.steps, "input": self.inputs, **({} if classes else {"output": self.outputs})}
        coords = {k: ((k,), np.arange(n), "steps" if k == "step" else "1", f"{k}, counted from 0") for k, n in sizes.items()}
        facts = {"loss": self.loss, "floor": self.floor, "chance": self.chance, "dependency": self.dependency}
        return dataset(variables, coords, title=self.title, source=self.source, parameters=self.parameters, seed=rng, **facts)

    @property
    def parameters(self) -> dict:
        """Name and options, as a store records them."""
        return {"task": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}

    @property
    def weights(self):
        """Array of shape (steps,): 1 where the step is scored, 0 elsewhere; the loss is the mean over the scored steps."""
        weights = np.zeros(self.steps)
        weights[slice(None) if self.scored == "all" else self.recalled] = 1.0
        return weights

    def mean_loss(self, outputs, targets) -> float:
        """Mean loss over the scored steps of outputs (logits, or values for a squared error), shape (..., steps, outputs).

        >>> task = Adding(steps=20)
        >>> _, targets = task.arrays(20_000)
        >>> round(task.mean_loss(np.ones((20, 1)), targets), 2)
        0.17
        """
        each = LOSSES[self.loss](self._outputs(outputs), targets)
        return float(np.mean(each @ self.weights) / self.weights.sum())

    def accuracy(self, outputs, targets) -> float:
        """Fraction of right answers among the recalled ones; guessing gives ``chance``.

        Right means: the largest logit is the target's class, a bit's logit has its sign, a value is within TOLERANCE of the target.
        """
        return float(np.mean(RIGHT[self.loss](self._outputs(outputs), targets)[:, self.recalled]))

    def learned(self, loss, error=0.0) -> bool:
        """Whether a mean loss with this standard error shows that the cue was remembered: loss + 2 error < floor / 10.

        At or above the floor the answer is always no. The floor less the loss is the information about the cue that reached the answer
        (for a squared error, the variance explained), and nine tenths of it are asked: a network that knows which two symbols were
        shown, not in which order, is at 3/8 of the floor of 4 symbols and has not learned to copy. Two standard errors leave 2 %
        to luck. NaN is never learned.

        >>> Copy(delay=30).learned(0.30), Copy(delay=30).learned(0.01), Copy(delay=30).learned(0.20, error=0.01)
        (False, True, False)
        """
        if loss < 0 or error < 0:
            raise ValueError(f"loss = {loss}, error = {error}: neither can be negative")
        return bool(loss + 2.0 * error < 0.1 * self.floor)

    def _outputs(self, outputs):
        outputs = np.asarray(outputs, dtype=np.float64)
        if outputs.shape[-2:] != (self.steps, self.outputs):
            raise ShapeError(f"outputs have shape {outputs.shape}, {self} needs (..., {self.steps}, {self.outputs}): steps, outputs")
        return outputs


@dataclass(frozen=True)
class Copy(Task):
    """Remember ``length`` symbols over a delay of T steps, then say them in order, in one of three published layouts.

    "arjovsky": Arjovsky, Shah and Bengio (2016), sec. 5.1, after Hochreiter and Schmidhuber (1997): 10 symbols, T-1 blanks, one
    delimiter, 10 blanks; the target is blank for T+10 steps and then the 10 symbols; every step is scored.
    "bai": Bai, Kolter and Koltun (2018), and their code: 10 symbols, T-1 blanks, the delimiter 11 times, through the recall; the target
    and the scored steps are the same.
    Both: T+20 steps, floor 10 ln 8 / (T+20) for 8 symbols; scored="recalled" scores the last 10 steps alone: floor ln 8. Symbols are
    0 to symbols-1 at the input and at the target, the blank is ``symbols``, the delimiter ``symbols + 1`` (published code shifts them).
    "graves": Graves, Wayne and Danihelka (2014), sec. 4.1: random vectors of ``bits`` bits, a flag on a channel of its own, T steps of
    silence (0 in the paper, which also draws the length from 1 to 20), then recall in silence, scored alone, each bit by its
    binary cross entropy: floor ln 2.

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
            object.__setattr__(self, "scored", "recalled" if self.layout == "graves" else "all")
        super().__post_init__()

    def problems(self):
        """Sentences, one for each option that cannot be."""
        binary = self.layout == "graves"
        if self.layout not in tuple(LAYOUTS):
            yield f"layout = {self.layout!r}: choose one of {', '.join(LAYOUTS)}"
        if self.scored not in ("all", "recalled"):
            yield f"scored = {self.scored!r}: choose one of all, recalled"
        if binary and self.scored == "all":
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
        """Input width: one channel a symbol, one for the blank, one for the delimiter; or the bits and the flag."""
        return self.bits + 1 if self.layout == "graves" else self.symbols + 2

    @property
    def outputs(self):
        """Output width: one logit a symbol and one for the blank; or one a bit."""
        return self.bits if self.layout == "graves" else self.symbols + 1

    @property
    def dependency(self):
        """Lag in steps from each symbol to its recall, the same for all: T + length, and one more for the flag of "graves"."""
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
        """Entropy of the targets given the step, in nats a scored step (or bit): only the recalled ones are uncertain."""
        if self.layout == "graves":
            return math.log(2.0)
        return self.length * math.log(self.symbols) / (self.steps if self.scored == "all" else self.length)

    @property
    def chance(self):
        """Fraction of the recalled symbols (or bits) that a guess gets right."""
        return 0.5 if self.layout == "graves" else 1.0 / self.symbols

    def draw(self, count, rng):
        """Symbols or bits, and the same ``dependency`` steps later."""
        return self._draw_bits(count, rng) if self.layout == "graves" else self._draw_symbols(count, rng)

    def _draw_symbols(self, count, rng):
        blank, delimiter, end = self.symbols, self.symbols + 1, self.dependency
        dtype = np.min_scalar_type(delimiter)
        inputs = np.full((count, self.steps), blank, dtype)
        targets = np.full((count, self.steps), blank, dtype)
        inputs[:, : self.length] = targets[:, end:] = rng.integers(self.symbols, size=(count, self.length), dtype=dtype)
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
class Adding(Task):
    """Add two marked numbers of a sequence: inputs are a value, uniform in [0, 1), and a marker, 1 at one step of each half.

    The target at the last step is the sum of the two marked values (0 elsewhere, not scored). Its mean is 1 and its variance
    2/12, so predicting 1 costs a mean squared error of exactly 1/6; the 0.1767 in Le et al. (2015), often repeated, is wrong. A network
    that sees the last input but remembers nothing gains by the marker that falls there: 1/6 - 1/12 / (steps - steps // 2).
    Source: Hochreiter and Schmidhuber (1997), sec. 5.4, in the form of Le, Jaitly and Hinton (2015), sec. 4.1, with the markers'
    halves as in Arjovsky, Shah and Bengio (2016), sec. 5.2.

    >>> task = Adding(steps=100)
    >>> task.dependency, round(task.floor, 6)
    (99, 0.166667)
    """

    steps: int = 100

    name = "adding"
    title = "adding problem"
    source = ("Hochreiter and Schmidhuber (1997), Neural Computation 9, 1735; Le, Jaitly and Hinton (2015), arXiv:1504.00941; "
              "Arjovsky, Shah and Bengio (2016), arXiv:1511.06464")
    loss = "mean_squared_error"
    inputs, outputs = 2, 1
    floor = 1.0 / 6.0
    recalled = slice(-1, None)

    def problems(self):
        """Sentences, one for each option that cannot be."""
        return whole(vars(self), steps=2)

    @property
    def dependency(self):
        """Longest lag in steps: a value marked at the first step is needed at the last; the shortest of the first half is steps/2."""
        return self.steps - 1

    @property
    def chance(self):
        """Probability that the sum of two uniform numbers lies within TOLERANCE of 1."""
        return 1.0 - (1.0 - TOLERANCE) ** 2

    def draw(self, count, rng):
        """Values and markers of shape (count, steps, 2), targets of shape (count, steps, 1)."""
        inputs, targets = np.zeros((count, self.steps, 2)), np.zeros((count, self.steps, 1))
        inputs[..., 0] = rng.random((count, self.steps))
        half, rows = self.steps // 2, np.arange(count)
        for marked in (rng.integers(half, size=count), rng.integers(half, self.steps, size=count)):
            inputs[rows, marked, 1] = 1.0
            targets[:, -1, 0] += inputs[rows, marked, 0]
        return inputs, targets


def get(name, **options):
    """Task of this name with these options; ValueError lists every option that cannot be, UnknownNameError the names there are.

    >>> get("copy", delay=100).steps
    120
    """
    kind = TASKS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownNameError("task", name, TASKS)
    known = [f.name for f in fields(kind)]
    problems = [f"{k} = {v!r}: no option of {name}, which has {', '.join(known)}" for k, v in options.items() if k not in known]
    try:
        task = kind(**{k: v for k, v in options.items() if k in known})
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return task


def names():
    """Names that ``get`` knows.

    >>> names()
    ['adding', 'copy']
    """
    return sorted(TASKS)


def whole(options, **least):
    """Sentences on the options that are not whole numbers, or less than they must be."""
    for name, minimum in least.items():
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            yield f"{name} = {value!r}: must be a whole number, at least {minimum}"
        elif value < minimum:
            yield f"{name} = {value}: must be at least {minimum}"


def _cross_entropy(outputs, targets):
    logits = np.broadcast_to(outputs, (*targets.shape, outputs.shape[-1]))
    picked = np.take_along_axis(logits, targets[..., None].astype(np.intp), axis=-1)[..., 0]
    return np.logaddexp.reduce(outputs, axis=-1) - picked


LOSSES = {  # of outputs and targets, each step
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": lambda outputs, targets: np.mean(softplus(outputs) - targets * outputs, axis=-1),
    "mean_squared_error": lambda outputs, targets: np.mean((outputs - targets) ** 2, axis=-1),
}
TOLERANCE = 0.08  # Hochreiter and Schmidhuber (1997) count an error of 0.04 as right, for half the sum
RIGHT = {
    "cross_entropy": lambda outputs, targets: outputs.argmax(-1) == targets,
    "binary_cross_entropy": lambda outputs, targets: (outputs > 0) == (targets > 0),
    "mean_squared_error": lambda outputs, targets: np.abs(outputs - targets) < TOLERANCE,
}
LAYOUTS = {
    "arjovsky": "Arjovsky, Shah and Bengio (2016), arXiv:1511.06464, after Hochreiter and Schmidhuber (1997)",
    "bai": "Bai, Kolter and Koltun (2018), arXiv:1803.01271",
    "graves": "Graves, Wayne and Danihelka (2014), arXiv:1410.5401",
}
TASKS = {task.name: task for task in (Adding, Copy)}
