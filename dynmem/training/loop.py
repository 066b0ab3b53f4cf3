"""The training loop: clipped gradient descent, warm-up, validation, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from ..errors import NotFiniteError
from ..runtime.progress import progress_bar
from ..runtime.validation import all_errors, choice, integer, number

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


def train(
    module: torch.nn.Module,
    batches: Iterable[Batch],
    validation: Callable[[], Score] | None,
    schedule: Schedule,
    stop: Stop | None = None,
    *,
    loss: Loss,
    callback: Callback | None = None,
    save: Callable[[Row], object] | None = None,
    progress: bool | None = False,
    label: str = "",
) -> tuple[list[Row], Row]:
    """Train a module in place.

    Parameters
    ----------
    module : torch.nn.Module
        Ends with the weights of its best evaluation, or without a validation with the last.
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
        Called as ``callback(step, row)`` after each evaluation.
    save : callable, optional
        Called with the row of each new best evaluation.
    progress : bool or None
        A bar on stderr; None: where that is a terminal.
    label : str
        What is trained, for error messages.

    Returns
    -------
    rows : list of Row
    best : Row
        The row whose weights were kept.

    Raises
    ------
    NotFiniteError
        With the step, before weights that are not finite are stored.
    """
    rows: list[Row] = []
    best: Any = None
    best_loss, weights, since = math.inf, None, []
    descending = progress_bar(
        descend(module, batches, loss, schedule, label), total=schedule.steps, progress=progress
    )
    for step, pair in enumerate(descending, 1):
        since.append(pair)
        if step % schedule.evaluate_every and step != schedule.steps:
            continue
        score = None if validation is None else validation()
        if score is not None:
            _require_finite(score.loss, "validation loss", step, label)
        training_loss, norm = np.mean(since, axis=0).tolist()
        row = Row(step, training_loss, norm, score)
        rows.append(row)
        since = []
        if score is None:
            best = row
        elif score.loss < best_loss:
            best, best_loss = row, score.loss
            weights = {name: value.clone() for name, value in module.state_dict().items()}
            if save is not None:
                save(row)
        if callback is not None:
            callback(step, row.variables())
        if stop is not None and stop.reached(rows):
            break
    if weights is not None:
        module.load_state_dict(weights)
    return rows, best


def descend(
    module: torch.nn.Module,
    batches: Iterable[Batch],
    loss: Loss,
    schedule: Schedule,
    label: str = "",
) -> Iterator[tuple[float, float]]:
    """Descend one step for each batch: yields the mean loss, and the norm of the gradient before
    clipping.

    Raises NotFiniteError, with the step, before weights that are not finite are stored.
    """
    parameters = list(module.parameters())
    optimizer = OPTIMIZERS[schedule.optimizer](parameters, lr=schedule.learning_rate)
    decay = (
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)
        if schedule.decay == "cosine"
        else None
    )
    clip = math.inf if schedule.clip is None else schedule.clip
    for step, (inputs, targets) in enumerate(batches, 1):
        optimizer.zero_grad()
        mean = loss(module(inputs), targets).mean()
        _require_finite(mean.item(), "loss", step, label)
        mean.backward()
        # after the backward pass: before it there is nothing to clip
        norm = torch.nn.utils.clip_grad_norm_(parameters, clip).item()
        _require_finite(norm, "gradient", step, label)
        if step <= schedule.warmup:
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * step / schedule.warmup
        optimizer.step()
        if decay is not None:
            decay.step()
        yield mean.item(), norm


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
