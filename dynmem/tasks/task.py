"""Base class of tasks: a law that draws sequences, its loss, its verdict, and parts that share no
sequence."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import ShapeError
from ..labels import as_seed, dataset
from ..runtime.docstrings import summary
from ..runtime.html import card, listed
from ..runtime.memory import require_memory
from ..runtime.validation import all_errors, choice, generator, integer
from ..typing import ArrayLike, Rng
from .losses import LOSS_NAMES, LOSSES, RIGHT
from .parts import PARTS, fingerprints, in_part

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["Task"]

SEQUENCES_PER_DRAW = 100_000  # sequences that are drawn at once for a part
FEW_SEQUENCES = 256  # a law of so many sequences is averaged over exactly
MAX_OPTION = 2**31 - 1  # larger options are typing errors, and would not fit into int32


@dataclass(frozen=True)
class Task(ABC):
    """A law that draws sequences of inputs and targets.

    A subclass is a frozen dataclass, whose fields are its options, with the attributes below, as
    class attributes or properties, and the method ``draw``.

    Attributes
    ----------
    name, title, source : str
        Name in ``dm.tasks.get``, a phrase for titles, reference.
    inputs, outputs : int
        Input and output width of a network.
    steps : int
        Length of a sequence.
    loss : {"cross_entropy", "binary_cross_entropy", "mean_squared_error"}
        Kind of loss.
    dependency : int or None
        Longest lag in steps from a cue to the step at which it is needed.
    recalled : slice
        Steps at which the cue is needed.
    scored : {"recalled", "all"}
        Steps over which the loss is averaged.
    floor : float
        Least mean loss, in nats or squared units, of a predictor that knows the step and the law
        and sees the current input but remembers none; where ``sighted`` is False it does not see
        that one either.
    chance : float or None
        Accuracy of that predictor.
    apart : bool
        Whether ``fit`` trains on the part "train" and evaluates on "validation", rather than on
        fresh draws of the same law.
    pass_ratio : float
        Share of the floor that a loss must be below to be called learned.
    stop_ratio : float
        Share of the floor below which ``fit`` may end early.
    limits : dict
        Least and largest value (None: no bound) of each option that is a whole number. An option
        whose default is None may be None.
    choices : dict
        Values of each option that is one of a few.
    delay_option : str
        Option that says how long the cue must be kept, which ``with_delay`` sets.
    licence : str
        Licence of the data.
    words : dict
        What the numbers stand for, as attributes of a Dataset.

    Examples
    --------
    >>> import dynmem as dm
    >>> isinstance(dm.tasks.get("copy", delay=10), dm.tasks.Task)
    True
    """

    if TYPE_CHECKING:
        limits: ClassVar[Mapping[str, tuple[int, int | None]]]
        choices: ClassVar[Mapping[str, tuple]]
        words: ClassVar[Mapping[str, str]]

        @property
        def name(self) -> str: ...

        @property
        def title(self) -> str: ...

        @property
        def source(self) -> str: ...

        @property
        def loss(self) -> str: ...

        @property
        def inputs(self) -> int: ...

        @property
        def outputs(self) -> int: ...

        @property
        def steps(self) -> int: ...

        @property
        def dependency(self) -> int | None: ...

        @property
        def recalled(self) -> slice: ...

        @property
        def floor(self) -> float: ...

        @property
        def chance(self) -> float | None: ...

    else:  # a property would be the default of a field of its name, and dataclasses would put what
        # is annotated before the fields of a subclass
        limits, choices, words = {}, {}, {}

    sighted = True
    apart = False
    licence = "none needed: drawn"
    scored = "recalled"
    pass_ratio = 0.1
    stop_ratio = 0.02
    delay_option = "delay"

    def __post_init__(self) -> None:
        optional = {field.name for field in fields(self) if field.default is None}
        given = {k: v for k, v in vars(self).items() if not (v is None and k in optional)}
        limits, choices = self.limits, self.choices
        with all_errors() as check:
            for name, value in given.items():
                if name in limits:
                    object.__setattr__(self, name, check(_option, name, value, limits[name]))
                elif name in choices:
                    value = value.item() if isinstance(value, np.integer) else value
                    object.__setattr__(self, name, check(choice, name, value, choices[name]))
        self.check_options()

    def check_options(self) -> None:  # noqa: B027 (most tasks have nothing to check)
        """Raise ValueError where options exclude each other; each has been checked by itself."""

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in self.parameters.items() if name != "task"]
        rows += [
            ("steps", self.steps),
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("loss", self.loss),
            ("floor without memory", listed(float(self.floor))),
            ("longest lag", self.dependency),
            ("source", self.source),
        ]
        return card(f"{type(self).__name__}: {self.title}", summary(type(self)), rows)

    @abstractmethod
    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What ``arrays`` returns, for a count that has been checked and a Generator."""

    def arrays(
        self, count: int, rng: Rng = 0, part: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw sequences as plain arrays (inputs, targets).

        Parameters
        ----------
        count : int
            Number of sequences.
        rng : int or numpy.random.Generator, optional
            The same seed gives the same bits.
        part : {None, "train", "validation", "test"}, optional
            None for the whole law; otherwise eight, one and one tenths of all the sequences there
            are, divided by a hash of the inputs, so that no two parts share a sequence,
            whatever their seeds.

        Returns
        -------
        inputs : numpy.ndarray
            Symbols as whole numbers (count, steps), which ``encode`` makes one-hot, or vectors
            (count, steps, inputs).
        targets : numpy.ndarray
            Classes (count, steps), or values (count, steps, outputs).

        Raises
        ------
        ValueError
            For a count or a part that cannot be, and where a task has so few sequences that a part
            would follow a law of its own.
        MemoryError
            Before anything is drawn, for what does not fit.

        Examples
        --------
        >>> import dynmem as dm
        >>> task = dm.tasks.get("copy", delay=3)
        >>> train, test = (task.arrays(500, part=part)[0] for part in ("train", "test"))
        >>> {row.tobytes() for row in train} & {row.tobytes() for row in test}
        set()
        """
        with all_errors() as check:
            count = check(integer, "count", count)
            if part is not None:
                check(choice, "part", part, PARTS)
            drawing = check(generator, rng)
        self._require_memory(
            count, 2 if self.loss == "cross_entropy" else self.inputs + self.outputs
        )
        return self._draw_part(count, drawing, part) if part else self.draw(count, drawing)

    def _require_memory(self, count, bytes_per_step):
        require_memory(
            count * self.steps * bytes_per_step,
            f"{count} sequences of {self.steps} steps",
            "draw fewer at a time, or shorter ones",
        )

    def _draw_part(self, count, rng, part):
        if not self._varied:
            raise ValueError(
                f"{self} has few different sequences, so its parts would not follow "
                "its law: make sequences longer or symbols more"
            )
        kept, missing = [], count
        while missing > 0:
            expected = int(10 / len(PARTS[part]) * missing) + 50
            drawn = self.draw(min(expected, SEQUENCES_PER_DRAW), rng)
            mine = in_part(drawn[0], part)
            kept.append([array[mine][:missing] for array in drawn])
            missing -= len(kept[-1][0])
        return tuple(np.concatenate(arrays) for arrays in zip(*kept, strict=True))

    @cached_property
    def _varied(self) -> bool:
        """Whether 2048 draws hardly ever coincide, as for more than about 10,000 sequences."""
        rng = np.random.default_rng(0)
        # few at a time: they may be long
        hashes = [fingerprints(self.draw(64, rng)[0]) for _ in range(32)]
        return len(np.unique(hashes)) > 0.9 * 2048

    def encode(self, inputs: ArrayLike, dtype: Any = np.float64) -> np.ndarray:
        """Inputs as a network takes them, (count, steps, inputs): symbols become one-hot, vectors
        change their dtype. Raises ShapeError for symbols that the task does not have."""
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

    def sample(self, count: int, rng: Rng = 0, part: str | None = None) -> Dataset:
        """Draw sequences as a Dataset.

        Parameters
        ----------
        count : int
            Number of sequences.
        rng : int or numpy.random.Generator, optional
        part : {None, "train", "validation", "test"}, optional
            As of ``arrays``.

        Returns
        -------
        xarray.Dataset
            inputs : (sample, step, input), 1
                Inputs of a network, one-hot where they are symbols.
            targets : (sample, step) or (sample, step, output), 1
                Class, or values, to predict.
            weights : (step,), 1
                1 where the step is scored, 0 elsewhere.

            The attributes hold floor, chance, dependency, the kind of loss and the part, besides
            title, source, options and seed.

        Examples
        --------
        >>> import dynmem as dm
        >>> dict(dm.tasks.get("parity", steps=8).sample(3).sizes)
        {'sample': 3, 'step': 8, 'input': 1, 'output': 1}
        """
        count = integer("count", count)
        self._require_memory(count, 8 * (self.inputs + 1))
        inputs, targets = self.arrays(count, rng, part)
        classes = self.loss == "cross_entropy"
        target_dims = ("sample", "step", "output")[: targets.ndim]
        one_hot = "input, one-hot where it is a symbol"
        variables = {
            "inputs": (("sample", "step", "input"), self.encode(inputs), "1", one_hot),
            "targets": (
                target_dims,
                targets.astype(np.int64 if classes else np.float64),
                "1",
                "class to predict" if classes else "target",
            ),
            "weights": (("step",), self.weights, "1", "1 where the step is scored, 0 elsewhere"),
        }
        sizes = {"sample": count, "step": self.steps, "input": self.inputs}
        if not classes:
            sizes["output"] = self.outputs
        coords = {
            k: ((k,), np.arange(n), "steps" if k == "step" else "1", f"{k}, counted from 0")
            for k, n in sizes.items()
        }
        return dataset(
            variables,
            coords,
            title=self.title,
            source=self.source,
            parameters=self.parameters,
            seed=as_seed(rng),
            part=part or "all",
            **self._facts(),
        )

    def _facts(self) -> dict:
        """Attributes of a Dataset; netCDF cannot hold None."""
        facts = {
            "law": self.law,
            "loss": self.loss,
            "floor": self.floor,
            "floor_meaning": self.floor_meaning,
            "chance": self.chance,
            "chance_meaning": "share of right answers of that predictor",
            "dependency": self.dependency,
            "licence": self.licence,
            **self.words,
        }
        if self.chance is None:
            facts["chance_meaning"] = None
        return {name: value for name, value in facts.items() if value is not None}

    @property
    def floor_meaning(self) -> str:
        """What the floor is the loss of."""
        return f"least mean {LOSS_NAMES[self.loss]} over the scored steps without a memory"

    @property
    def law(self) -> str:
        """How sequences are drawn: the docstring up to its first section."""
        text = re.split(r"\n\s*\w+\n\s*-{3,}", type(self).__doc__ or "")[0]
        return " ".join(text.replace("``", "").split())

    @property
    def parameters(self) -> dict:
        """Name and options, as a store records them."""
        return {"task": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}

    @property
    def weights(self) -> np.ndarray:
        """Weights (steps,), 1 where the step is scored, 0 elsewhere: the loss is the mean over the
        scored steps."""
        weights = np.zeros(self.steps)
        weights[slice(None) if self.scored == "all" else self.recalled] = 1.0
        return weights

    def mean_loss(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Mean loss over the scored steps.

        Parameters
        ----------
        outputs : array_like (..., steps, outputs)
            Logits, or values for a squared error.
        targets : array_like
            As ``arrays`` returns them.

        Returns
        -------
        float
            In nats or squared units; NaN where an output is NaN.

        Raises
        ------
        ShapeError
            Where shapes do not fit, and for classes that the task does not have.

        Examples
        --------
        >>> import dynmem as dm
        >>> task = dm.tasks.get("adding", steps=20)
        >>> _, targets = task.arrays(20_000)
        >>> round(task.mean_loss(np.ones((20, 1)), targets), 2)
        0.17
        """
        outputs, targets = self._checked_answers(outputs, targets)
        with np.errstate(invalid="ignore"):  # a diverged network has a loss of NaN
            each = LOSSES[self.loss](outputs, targets)
        return float(np.mean(each @ self.weights) / self.weights.sum())

    def accuracy(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Fraction of right answers among the recalled ones; guessing gives ``chance``.

        Right means: the largest logit is the target's class, a bit's logit has its sign, a value is
        within 0.08 of the target. NaN is never right.

        Parameters
        ----------
        outputs : array_like (..., steps, outputs)
            Logits, or values for a squared error.
        targets : array_like
            As ``arrays`` returns them.

        Returns
        -------
        float

        Raises
        ------
        ShapeError
            As ``mean_loss``.
        """
        outputs, targets = self._checked_answers(outputs, targets)
        right = RIGHT[self.loss](outputs, targets)
        if self.loss == "cross_entropy":
            return float(np.mean((right & ~np.isnan(outputs).any(-1))[..., self.recalled]))
        return float(np.mean((right & ~np.isnan(outputs))[..., self.recalled, :]))

    def learned(self, loss: float, error: float = 0.0) -> bool:
        """Whether a mean loss shows that the cue was remembered: loss + 2 error < ``pass_ratio``
        floor, a tenth of it.

        At or above the floor the answer is always no. The floor less the loss is the information
        about the cue that reached the answer (for a squared error, the variance explained), and
        nine tenths of it are required: a network that knows which two symbols were shown, not in
        which order, is at 3/8 of the floor of 4 symbols and has not learned to copy. Two standard
        errors leave 2 % to luck. NaN is never learned.

        Parameters
        ----------
        loss : float
            Mean loss over the scored steps.
        error : float, optional
            Its standard error.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            Where either is negative.

        Examples
        --------
        >>> import dynmem as dm
        >>> task = dm.tasks.get("copy", delay=30)
        >>> task.learned(0.30), task.learned(0.01), task.learned(0.20, error=0.01)
        (False, True, False)
        """
        if loss < 0 or error < 0:
            raise ValueError(f"loss = {loss}, error = {error}: neither can be negative")
        return bool(loss + 2.0 * error < self.pass_ratio * self.floor)

    def with_delay(self, delay: int) -> Task:
        """The same task whose cue must be kept for another number of steps: ``delay_option`` is
        set. Raises TypeError where a task has no such option."""
        if self.delay_option not in (field.name for field in fields(self)):
            raise TypeError(
                f"{type(self).__name__} has no option {self.delay_option!r}: pass a function of "
                "the delay that returns a task, or set delay_option to the option that it has"
            )
        return replace(self, **{self.delay_option: delay})

    def answers(self, targets: np.ndarray) -> np.ndarray:
        """Targets as numbers (count, steps, outputs): classes become one-hot."""
        if self.loss != "cross_entropy":
            return np.asarray(targets, float)
        return np.eye(self.outputs)[targets]

    def modes(self, inputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
        """Parts of the answer that must be remembered, each (count, steps, outputs), by name.

        ``dm.memory_signal`` takes the covariance of each with the gradient of the outputs, so that
        means do not matter; what the present input says of the answer has to be left out. By
        default the answer is one part.
        """
        return {"answer": self.answers(targets)}

    def last_cue(self, mode: str, step: int) -> int:
        """The last step whose input is needed for a mode at ``step``: later inputs, without the
        earlier ones, say nothing about it. By default ``step`` itself."""
        return step

    def sequences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Every sequence there is, as ``arrays`` returns them, with its probability (count,), where
        there are at most FEW_SEQUENCES; otherwise None, as by default."""
        return None

    def plateaus(self) -> dict[str, float]:
        """Loss of the best predictor that knows one of the modes alone, by its name, where it lies
        between 0 and the floor: training often stays there for long. By default none."""
        return {}

    def trained(self, model: Any) -> Any:
        """What ``fit`` returns for a trained model: itself, unless what was learned is more than a
        model (a forecast runs on its own output)."""
        return model

    def _checked_answers(self, outputs, targets):
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


def every_word(symbols: int, length: int, dtype: Any) -> np.ndarray | None:
    """All words (symbols^length, length) of an alphabet, or None where there are too many.

    >>> every_word(2, 2, np.uint8).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if length * np.log(symbols) > np.log(FEW_SEQUENCES) + 1e-9:
        return None
    return np.indices((symbols,) * length, dtype).reshape(length, -1).T.copy()


def uniform(count: int) -> np.ndarray:
    """Equal probabilities (count,)."""
    return np.full(count, 1.0 / count)


def _option(name, value, limits):
    """A whole number within limits, and below MAX_OPTION where there is no upper one."""
    least, most = limits
    if isinstance(value, (int, float, np.number)) and value > MAX_OPTION:
        most = most or MAX_OPTION
    return integer(name, value, least, most)
