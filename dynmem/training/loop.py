"""The training loop: clipped gradient descent, warm-up, validation, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import torch

from ..errors import NotFiniteError
from ..runtime.progress import progress_bar
from ..runtime.validation import all_errors, choice, integer, is_real, number

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
DECAYS = (None, "cosine")
EVALUATIONS_TO_STOP = 3  # evaluations in a row below the loss that ends a training
SEQUENCES_PER_PASS = 256  # of an evaluation: outputs of many classes are large

Batch = tuple[torch.Tensor, torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Callback = Callable[[int, dict[str, float]], object]
Weights: TypeAlias = dict[str, torch.Tensor]


class Score(NamedTuple):
    """Mean loss of held-out sequences, its standard error, and the share of right answers."""

    loss: float
    error: float
    accuracy: float


class Row(NamedTuple):
    """One evaluation: means since the one before, and the score on the validation set."""

    step: int
    training_loss: float
    gradient_norm: float
    validation: Score | None

    def variables(self) -> dict[str, float]:
        """Values by the name that they have in the history."""
        found = {"training_loss": self.training_loss, "gradient_norm": self.gradient_norm}
        if self.validation is not None:
            names = ("validation_loss", "validation_loss_error", "validation_accuracy")
            found |= dict(zip(names, self.validation, strict=True))
        return found


@dataclass(frozen=True)
class Schedule:
    """How weights descend: optimizer, rate over the steps, clipping, steps between evaluations.

    The rate of step s is s/warmup of ``learning_rate`` during the first ``warmup`` steps (Vaswani
    et al. 2017, section 5.3); with decay="cosine" it falls to 0 at the last step as a cosine.
    """

    steps: int
    learning_rate: float
    optimizer: str = "adam"
    clip: float | None = 1.0
    warmup: int = 0
    decay: str | None = None
    evaluate_every: int = 1

    def __post_init__(self) -> None:
        with all_errors() as check:
            values = {
                "steps": check(integer, "steps", self.steps),
                "learning_rate": check(number, "learning_rate", self.learning_rate, above=0),
                "warmup": check(integer, "warmup", self.warmup, 0),
                "evaluate_every": check(integer, "evaluate_every", self.evaluate_every),
            }
            if self.clip is not None:
                values["clip"] = check(number, "clip", self.clip, above=0)
            check(choice, "optimizer", self.optimizer, OPTIMIZERS)
            check(choice, "decay", self.decay, DECAYS)
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Stop:
    """End a training once loss + 2 errors on the validation set has been below ``loss`` for
    ``evaluations`` evaluations in a row; a loss of NaN or 0 never ends it."""

    loss: float
    evaluations: int = EVALUATIONS_TO_STOP

    def reached(self, rows: Sequence[Row]) -> bool:
        """Whether the last rows end the training."""
        last = [row.validation for row in rows[-self.evaluations :] if row.validation]
        return len(last) == self.evaluations and all(
            score.loss + 2.0 * score.error < self.loss for score in last
        )


@dataclass
class Run:
    """What a training has come to: steps taken, rows, pairs (loss, norm) since the last row, the
    score of the start, the best row and its weights."""

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    since: list[tuple[float, float]] = field(default_factory=list)
    start: Score | None = None
    best: Row | None = None
    weights: Weights | None = None
    evaluated: int = 0  # step of the last evaluation

    def row(self, score: Score | None) -> Row:
        """Append the row of this step."""
        training_loss, norm = np.mean(self.since, axis=0).tolist()
        self.rows.append(Row(self.step, training_loss, norm, score))
        self.since = []
        return self.rows[-1]

    def propose(self, row: Row, module: torch.nn.Module) -> None:
        """Keep the weights of a module where its row is the best so far, or has no score."""
        loss = row.validation.loss if row.validation else -math.inf
        if self.best is None or not self.best.validation or loss < self.best.validation.loss:
            copied = {name: value.clone() for name, value in module.state_dict().items()}
            self.best, self.weights = row, copied


class Outcome(NamedTuple):
    """How a training ended: what it came to, why ("steps", "stop", "callback", "interrupted" or
    "lost"), and the error by which it was lost."""

    run: Run
    ended: str
    error: NotFiniteError | None = None


class Keeper(Protocol):
    """Where a training is kept, so that it can go on."""

    def restore(self, module: torch.nn.Module, descent: Descent) -> Run | None:
        """The run that was kept, its weights and optimizer in place; None for a new one."""

    def snapshot(self, run: Run, module: torch.nn.Module, descent: Descent) -> None:
        """Remember the present step as the one from which to go on."""

    def write(self, run: Run, last: bool = False) -> None:
        """Write the best weights and the snapshot, where that is due, or the training ends."""


def train(
    module: torch.nn.Module,
    batches: Iterable[Batch],
    validation: Callable[[], Score] | None,
    schedule: Schedule,
    stop: Stop | None = None,
    *,
    loss: Loss,
    callback: Callback | None = None,
    keeper: Keeper | None = None,
    report_every: int | None = None,
    progress: bool | None = False,
    label: str = "",
) -> Outcome:
    """Train a module in place.

    Parameters
    ----------
    module : torch.nn.Module
        Ends with the weights of its best evaluation, of which the start is one, or without a
        validation with the last.
    batches : iterable of (inputs, targets)
        One pair of tensors for each step.
    validation : callable or None
        Score of the module on the validation set, which chooses the best weights.
    schedule : Schedule
    stop : Stop or None
        When to end early.
    loss : callable
        Loss of each sequence, (batch,), from outputs and targets.
    callback : callable, optional
        Called as ``callback(step, row)`` after each row; ends the training where it returns
        something true.
    keeper : Keeper, optional
        Writes checkpoints, from which it goes on.
    report_every : int, optional
        Steps between two rows; None: between two evaluations.
    progress : bool or None
        A bar on stderr, as of ``progress_bar``.
    label : str
        What is trained, for error messages.

    Returns
    -------
    Outcome
        A loss that is lost and Ctrl-C end it with the best weights so far.
    """
    descent = Descent(module, loss, schedule, label)
    run = keeper.restore(module, descent) if keeper else None
    if run is None:
        run = Run()
        if validation is not None:
            run.start = validation()
            if math.isfinite(run.start.loss):
                run.propose(Row(0, math.nan, math.nan, run.start), module)
    ended, error = "steps", None
    try:
        ended = _descend(
            run, descent, iter(batches), validation, stop, callback, keeper, report_every, progress
        )
    except KeyboardInterrupt as interrupt:
        if type(interrupt) is not KeyboardInterrupt:
            raise  # a study is being stopped, which has no use for what is unfinished
        ended = "interrupted"
    except NotFiniteError as lost:
        ended, error = "lost", lost
    if run.weights is not None and validation is not None:
        module.load_state_dict(run.weights)
    if keeper is not None:
        keeper.write(run, last=True)
    return Outcome(run, ended, error)


def _descend(
    run, descent, batches, validation, stop, callback, keeper, report_every, progress
) -> str:
    """Take the steps that are left; returns why they ended."""
    schedule = descent.schedule
    report_every = report_every or schedule.evaluate_every
    if stop is not None and stop.reached(run.rows):
        return "stop"
    left = range(run.step + 1, schedule.steps + 1)
    for step in progress_bar(left, total=schedule.steps, initial=run.step, progress=progress):
        run.since.append(descent.step(*next(batches), step))
        run.step = step
        due, last = step % schedule.evaluate_every == 0, step == schedule.steps
        if not (due or last or step % report_every == 0):
            continue
        if keeper and last and not due:  # with more steps this one would not be evaluated
            keeper.snapshot(run, descent.module, descent)
        row = run.row(_score(run, validation, descent.label) if due or last else None)
        if row.validation or validation is None:
            run.propose(row, descent.module)
        ends = callback is not None and bool(callback(step, row.variables()))
        if keeper and due:
            keeper.snapshot(run, descent.module, descent)
            keeper.write(run)
        if ends:
            _end_here(run, validation, keeper, descent)
            return "callback"
        if stop is not None and stop.reached(run.rows):
            return "stop"
    return "steps"


def _end_here(run, validation, keeper, descent) -> None:
    """A callback ended the training: its last step goes on later, and its weights are judged."""
    if run.evaluated == run.step or validation is None:
        return
    if keeper:
        keeper.snapshot(run, descent.module, descent)
    score = _score(run, validation, descent.label)
    run.propose(run.rows[-1]._replace(validation=score), descent.module)


def _score(run, validation, label) -> Score | None:
    if validation is None:
        return None
    score = validation()
    _require_finite(score.loss, "validation loss", run.step, label)
    run.evaluated = run.step
    return score


class Descent:
    """Clipped gradient descent of a module, one step at a time."""

    def __init__(
        self, module: torch.nn.Module, loss: Loss, schedule: Schedule, label: str = ""
    ) -> None:
        self.module, self.loss, self.schedule, self.label = module, loss, schedule, label
        self.parameters = list(module.parameters())
        kind = OPTIMIZERS[schedule.optimizer]
        self.optimizer = kind(self.parameters, lr=schedule.learning_rate)
        self.decay = (
            torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, schedule.steps)
            if schedule.decay == "cosine"
            else None
        )
        self.clip = math.inf if schedule.clip is None else schedule.clip

    def step(self, inputs: torch.Tensor, targets: torch.Tensor, step: int) -> tuple[float, float]:
        """Descend: returns the mean loss, and the norm of the gradient before clipping.

        Raises NotFiniteError, with the step, before weights that are not finite are stored.
        """
        self.optimizer.zero_grad()
        mean = self.loss(self.module(inputs), targets).mean()
        _require_finite(mean.item(), "loss", step, self.label)
        mean.backward()
        # after the backward pass: before it there is nothing to clip
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip).item()
        _require_finite(norm, "gradient", step, self.label)
        if step <= self.schedule.warmup:
            for group in self.optimizer.param_groups:
                group["lr"] = self.schedule.learning_rate * step / self.schedule.warmup
        self.optimizer.step()
        if self.decay is not None:
            self.decay.step()
        return mean.item(), norm

    def state(self) -> tuple[Weights, dict[str, Any]]:
        """Tensors of the optimizer, by parameter and name, and its numbers, with those of the
        decay."""
        state = self.optimizer.state_dict()
        held = {
            f"{index}/{name}": value.clone()
            for index, values in state["state"].items()
            for name, value in values.items()
            if isinstance(value, torch.Tensor)
        }
        numbers = {
            "rates": [group["lr"] for group in state["param_groups"]],
            "decay": None
            if self.decay is None
            else {
                k: v for k, v in self.decay.state_dict().items() if is_real(v) or k == "_last_lr"
            },
        }
        return held, numbers

    def restore(self, held: Weights, numbers: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        state = self.optimizer.state_dict()
        for key, value in held.items():
            index, _, name = key.partition("/")
            state["state"].setdefault(int(index), {})[name] = value.clone()
        for group, rate in zip(state["param_groups"], numbers["rates"], strict=True):
            group["lr"] = rate
        self.optimizer.load_state_dict(state)
        if self.decay is not None:
            self.decay.load_state_dict(self.decay.state_dict() | numbers["decay"])


def descend(
    module: torch.nn.Module,
    batches: Iterable[Batch],
    loss: Loss,
    schedule: Schedule,
    label: str = "",
) -> Iterator[tuple[float, float]]:
    """Descend one step for each batch: yields what ``Descent.step`` returns."""
    descent = Descent(module, loss, schedule, label)
    for step, (inputs, targets) in enumerate(batches, 1):
        yield descent.step(inputs, targets, step)


def evaluate(
    module: torch.nn.Module,
    parts: Batch,
    loss: Loss,
    accuracy: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> Score:
    """Mean loss of sequences, its standard error, and the accuracy (NaN without a function)."""
    found, right = [], 0.0
    with torch.no_grad():
        pieces = (part.split(SEQUENCES_PER_PASS) for part in parts)
        for inputs, targets in zip(*pieces, strict=True):
            outputs = module(inputs)
            found.append(loss(outputs, targets))
            if accuracy is not None:
                share = accuracy(outputs.cpu().numpy(), targets.cpu().numpy())
                right += len(inputs) * share
    losses = torch.cat(found).double().cpu().numpy()
    error = losses.std(ddof=1) / math.sqrt(len(losses)) if len(losses) > 1 else 0.0
    return Score(float(losses.mean()), float(error), right / len(losses) if accuracy else math.nan)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Hold torch to ``count`` threads, then restore what was set; None leaves them."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _require_finite(value, name, step, label):
    if not math.isfinite(value):
        raise NotFiniteError(
            f"{name} not finite at step {step} {label}: lower learning_rate or clip"
        )
