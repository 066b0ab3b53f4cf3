"""What every task is: a law that draws sequences, its losses, its verdict, and the parts that share
no sequence."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ..arrays import softplus
from ..errors import ShapeError
from ..labels import as_seed, dataset, not_a_seed
from ..runtime.memory import require_memory

MANY = 100_000  # sequences that are drawn at once for a part
MOST = 2**31 - 1  # larger options are slips of the pen, and would not fit into whole numbers


@dataclass(frozen=True)
class Task(ABC):
    """A law that draws sequences of inputs and targets; the fields of the dataclass are its
    options.

    What a subclass says, as class attributes or properties: ``name``, ``title``, ``source``;
    ``inputs`` and ``outputs``, the widths; ``steps``, the length of a sequence; ``loss``, a key of
    LOSSES; ``dependency``, the longest lag in steps between a cue and the moment it is needed;
    ``recalled``, a slice of the steps at which the cue is needed; ``scored``, "recalled" or "all"
    steps; ``floor``, the least mean loss, in nats or squared units, of a predictor that knows the
    step and the law and sees the current input but remembers none (where ``sighted`` is False it
    does not see that one either); ``chance``, the accuracy of that predictor; ``apart``, whether
    ``fit`` trains on the part "train" and evaluates on "validation", rather than on fresh draws of
    the same law.
    """

    scored, sighted, apart = "recalled", True, False
    licence, words = "none needed: drawn", {}  # what the numbers stand for, as attributes

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

    def arrays(self, count, rng=0, part=None):
        """``count`` sequences as plain arrays (inputs, targets): the fast form, for training.

        Symbols are whole numbers of shape (count, steps), which ``encode`` makes one-hot; vectors
        have shape (count, steps, width). The same seed gives the same bits. ``part`` is None, for
        the whole law, or "train", "validation" or "test": eight, one and one tenths of all the
        sequences there are, told apart by a hash of the inputs, so that no two parts share a
        sequence, whatever their seeds. Raises ValueError where count is not a whole number of at
        least 1, where there is no such part, and where a task has so few sequences that a part
        would follow a law of its own; MemoryError, before anything is drawn, for what does not fit.

        >>> from dynmem.tasks import Copy
        >>> train, test = (Copy(delay=3).arrays(500, part=part)[0] for part in ("train", "test"))
        >>> {row.tobytes() for row in train} & {row.tobytes() for row in test}
        set()
        """
        problems = list(whole({"count": count}, count=1))
        if part is not None and not chosen(part, PARTS):
            problems.append(
                f"part = {part!r}: choose one of {', '.join(PARTS)}, or None for the whole law"
            )
        problems += not_a_seed(rng)
        if problems:
            raise ValueError("\n".join(problems))
        self._refuse_large(count, 2 if self.loss == "cross_entropy" else self.inputs + self.outputs)
        rng = np.random.default_rng(rng)
        return (
            self.draw(int(count), rng)
            if part is None
            else self._draw_part(int(count), rng, PARTS[part])
        )

    def _refuse_large(self, count, size):
        """Refuse sequences of which each step takes at least ``size`` bytes, where they do not fit
        into memory."""
        require_memory(
            int(count) * self.steps * size,
            f"{count} sequences of {self.steps} steps",
            "draw fewer at a time, or shorter ones",
        )

    def _draw_part(self, count, rng, tenths):
        if not self._varied:
            raise ValueError(
                f"{self} has few different sequences, so its parts would not follow "
                "its law: make sequences longer or symbols more"
            )
        kept, missing = [], count
        while missing > 0:
            drawn = self.draw(min(int(10 / len(tenths) * missing) + 50, MANY), rng)
            mine = np.isin(fingerprints(drawn[0]) % np.uint64(10), tenths)
            kept.append([array[mine][:missing] for array in drawn])
            missing -= len(kept[-1][0])
        return tuple(np.concatenate(arrays) for arrays in zip(*kept, strict=True))

    @cached_property
    def _varied(self):
        """Whether 2048 draws hardly ever meet, as they do for more than about 10,000 sequences."""
        rng = np.random.default_rng(0)
        # few at a time: they may be long
        return len(np.unique([fingerprints(self.draw(64, rng)[0]) for _ in range(32)])) > 0.9 * 2048

    def encode(self, inputs, dtype=np.float64):
        """Inputs as a network takes them, shape (count, steps, inputs): symbols become one-hot,
        vectors change their dtype.

        Raises ShapeError for symbols that the task does not have.
        """
        inputs = np.asarray(inputs)
        if inputs.ndim != 2:
            return inputs.astype(dtype)
        width = self.inputs
        if inputs.dtype.kind not in "iu" or (
            inputs.size and not 0 <= inputs.min() <= inputs.max() < width
        ):
            raise ShapeError(
                f"inputs are no symbols of {self}: pass whole numbers from 0 to "
                f"{width - 1}, as arrays() returns them"
            )
        if width <= 256:
            return np.eye(width, dtype=dtype)[inputs]
        encoded = np.zeros((*inputs.shape, width), dtype)  # a table of every symbol would be larger
        np.put_along_axis(encoded, inputs[..., None].astype(np.intp), 1, axis=-1)
        return encoded

    def sample(self, count, rng=0, part=None):
        """Dataset of ``count`` sequences: inputs(sample, step, input), targets(sample, step[,
        output]) and weights(step).

        The attributes hold floor, chance, dependency, the kind of loss and the part, besides title,
        source, options and seed.
        """
        if not list(whole({"count": count}, count=1)):
            self._refuse_large(count, 8 * (self.inputs + 1))
        inputs, targets = self.arrays(count, rng, part)
        classes = self.loss == "cross_entropy"
        dims = ("sample", "step", "output")[: targets.ndim]
        variables = {
            "inputs": (
                ("sample", "step", "input"),
                self.encode(inputs),
                "1",
                "input, one-hot where it is a symbol",
            ),
            "targets": (
                dims,
                targets.astype(np.int64 if classes else np.float64),
                "1",
                "class to predict" if classes else "target",
            ),
            "weights": (("step",), self.weights, "1", "1 where the step is scored, 0 elsewhere"),
        }
        sizes = {
            "sample": count,
            "step": self.steps,
            "input": self.inputs,
            **({} if classes else {"output": self.outputs}),
        }
        coords = {
            k: ((k,), np.arange(n), "steps" if k == "step" else "1", f"{k}, counted from 0")
            for k, n in sizes.items()
        }
        facts = {
            "law": self.law,
            "loss": self.loss,
            "floor": self.floor,
            "chance": self.chance,
            "dependency": self.dependency,
            "part": part or "all",
            "floor_meaning": f"least mean {LOSS_NAMES[self.loss]} over the scored steps "
            "without a memory",
            "licence": self.licence,
            "chance_meaning": None
            if self.chance is None
            else "share of right answers of that predictor",
            **self.words,
        }
        facts = {name: value for name, value in facts.items() if value is not None}
        return dataset(
            variables,
            coords,
            title=self.title,
            source=self.source,
            parameters=self.parameters,
            seed=as_seed(rng),
            **facts,
        )

    @property
    def law(self) -> str:
        """How sequences are drawn, in the words of the class."""
        words = (
            (type(self).__doc__ or "")
            .partition("Source:")[0]
            .partition(">>>")[0]
            .partition("Data:")[0]
        )
        return " ".join(words.replace("``", "").split())

    @property
    def parameters(self) -> dict:
        """Name and options, as a store records them."""
        return {"task": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}

    @property
    def weights(self):
        """Array of shape (steps,): 1 where the step is scored, 0 elsewhere; the loss is the mean
        over the scored steps."""
        weights = np.zeros(self.steps)
        weights[slice(None) if self.scored == "all" else self.recalled] = 1.0
        return weights

    def mean_loss(self, outputs, targets) -> float:
        """Mean loss over the scored steps of outputs (logits, or values for a squared error), shape
        (..., steps, outputs).

        NaN where an output is NaN. Raises ShapeError where shapes do not fit, and for classes that
        the task does not have.

        >>> from dynmem.tasks import Adding
        >>> task = Adding(steps=20)
        >>> _, targets = task.arrays(20_000)
        >>> round(task.mean_loss(np.ones((20, 1)), targets), 2)
        0.17
        """
        outputs, targets = self._answers(outputs, targets)
        with np.errstate(invalid="ignore"):  # a lost network has a loss of NaN
            each = LOSSES[self.loss](outputs, targets)
        return float(np.mean(each @ self.weights) / self.weights.sum())

    def accuracy(self, outputs, targets) -> float:
        """Fraction of right answers among the recalled ones; guessing gives ``chance``.

        Right means: the largest logit is the target's class, a bit's logit has its sign, a value is
        within TOLERANCE of the target. NaN is never right. Raises ShapeError as ``mean_loss`` does.
        """
        outputs, targets = self._answers(outputs, targets)
        right = RIGHT[self.loss](outputs, targets)
        if self.loss == "cross_entropy":
            return float(np.mean((right & ~np.isnan(outputs).any(-1))[..., self.recalled]))
        return float(np.mean((right & ~np.isnan(outputs))[..., self.recalled, :]))

    # shares of the floor: what a loss must be below to be called learned, and below which ``fit``
    # may end
    asked, enough = 0.1, 0.02

    def learned(self, loss, error=0.0) -> bool:
        """Whether a mean loss with this standard error shows that the cue was remembered: loss + 2
        error < ``asked`` floor, a tenth of it.

        At or above the floor the answer is always no. The floor less the loss is the information
        about the cue that reached the answer (for a squared error, the variance explained), and
        nine tenths of it are asked: a network that knows which two symbols were shown, not in which
        order, is at 3/8 of the floor of 4 symbols and has not learned to copy. Two standard errors
        leave 2 % to luck. NaN is never learned.

        >>> from dynmem.tasks import Copy
        >>> Copy(delay=30).learned(0.30), Copy(delay=30).learned(0.01), Copy(delay=30).learned(0.20, error=0.01)
        (False, True, False)
        """
        if loss < 0 or error < 0:
            raise ValueError(f"loss = {loss}, error = {error}: neither can be negative")
        return bool(loss + 2.0 * error < self.asked * self.floor)

    def trained(self, model):
        """What ``fit`` gives back for a trained model: itself, unless what was learned is more than
        a model (a forecast runs on its own output)."""
        return model

    def _answers(self, outputs, targets):
        """Outputs and targets as arrays that fit this task and each other."""
        outputs, targets = np.asarray(outputs, dtype=np.float64), np.asarray(targets)
        if outputs.shape[-2:] != (self.steps, self.outputs):
            raise ShapeError(
                f"outputs have shape {outputs.shape}, {self} needs (..., "
                f"{self.steps}, {self.outputs}): steps, outputs"
            )
        classes = self.loss == "cross_entropy"
        own = (self.steps,) if classes else (self.steps, self.outputs)
        lead, given = targets.shape[: targets.ndim - len(own)], outputs.shape[:-2]
        if targets.shape[len(lead) :] != own or (lead != given and given != ()):
            raise ShapeError(
                f"targets have shape {targets.shape}, expected {(*given, *own)}: as "
                "arrays() returns them, one for each of the outputs"
            )
        if classes and (
            targets.dtype.kind not in "biu"
            or not 0 <= targets.min(initial=0) <= targets.max(initial=0) < self.outputs
        ):
            raise ShapeError(
                f"targets are no classes of {self}: pass whole numbers from 0 to "
                f"{self.outputs - 1}, as arrays() returns them"
            )
        return outputs, targets


def whole(options, **least):
    """Sentences on the options that are not whole numbers, or less than they must be."""
    for name, minimum in least.items():
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            yield f"{name} = {value!r}: must be a whole number, at least {minimum}"
        elif value < minimum:
            yield f"{name} = {value}: must be at least {minimum}"
        elif value > MOST:
            yield f"{name} = {value}: must be at most {MOST}"


def chosen(value, known):
    """Whether a value, of any kind, is one of these names."""
    return isinstance(value, str) and value in known


def fingerprints(inputs):
    """A hash of each sequence, (count,): its bytes as a polynomial modulo 2^64, mixed by the last
    steps of splitmix64 (Steele et al. 2014)."""
    rows = np.ascontiguousarray(inputs).reshape(len(inputs), -1).view(np.uint8)
    words = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view(np.uint64)
    powers = np.cumprod(np.full(words.shape[1], 0x9E3779B97F4A7C15, np.uint64))
    mixed = (words * powers).sum(axis=1, dtype=np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _cross_entropy(outputs, targets):
    logits = np.broadcast_to(outputs, (*targets.shape, outputs.shape[-1]))
    picked = np.take_along_axis(logits, targets[..., None].astype(np.intp), axis=-1)[..., 0]
    return np.logaddexp.reduce(outputs, axis=-1) - picked


LOSS_NAMES = {
    "cross_entropy": "cross entropy in nats",
    "binary_cross_entropy": "binary cross entropy in nats a bit",
    "mean_squared_error": "squared error",
}
LOSSES = {  # of outputs and targets, each step
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": lambda outputs, targets: np.mean(
        softplus(outputs) - targets * outputs, axis=-1
    ),
    "mean_squared_error": lambda outputs, targets: np.mean((outputs - targets) ** 2, axis=-1),
}
# Hochreiter and Schmidhuber (1997) count an error of 0.04 as right, for half the sum
TOLERANCE = 0.08
RIGHT = {
    "cross_entropy": lambda outputs, targets: outputs.argmax(-1) == targets,
    "binary_cross_entropy": lambda outputs, targets: (outputs > 0) == (targets > 0),
    "mean_squared_error": lambda outputs, targets: np.abs(outputs - targets) < TOLERANCE,
}
PARTS = {"train": tuple(range(8)), "validation": (8,), "test": (9,)}  # tenths of all sequences
