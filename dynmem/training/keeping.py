"""The checkpoint of a training: its best weights, and all it takes to go on with the same bits."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import DamageError
from ..system import Map, System
from .checkpoint import digest, load, read, read_training, write
from .loop import Batch, Descent, Row, Run, Score, Weights
from .trainable import Trainable

SECONDS_BETWEEN = 30.0  # two files of a training that finds nothing better


class Checkpoint:
    """The file of one training, which a worse model never replaces.

    Parameters
    ----------
    path : path
        File to write.
    module : Trainable
        What is trained.
    system : callable
        What is stored, made of the trained model.
    facts : dict
        What is stored beside the best weights, besides their step and loss.
    identity : dict
        All on which the bits of the training depend, as JSON holds it.
    generators : dict of numpy.random.Generator
        Those that draw while it trains.
    standing : callable
        Loss of a system that a file holds, on the validation set.
    resume : bool
        Whether to go on from the file, where there is one.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        module: Trainable,
        *,
        system: Callable[[Map], System],
        facts: dict[str, Any],
        identity: dict[str, Any],
        generators: dict[str, np.random.Generator],
        standing: Callable[[System], float],
        resume: bool,
    ) -> None:
        self.path, self.module, self.system = Path(path), module, system
        self.facts, self.identity, self.generators = facts, identity, generators
        self.error: str | None = None  # of the last attempt to write
        self.going_on = self._matching() if resume and self.path.exists() else None
        self.standing = math.inf
        self._stored: Any = None  # system and facts of the file
        if self.path.exists():
            self.standing = self._stored_loss(standing)
        self._kept: tuple[Weights, dict[str, Any]] | None = None
        self._written, self._saved = self.standing, 0.0

    def _matching(self) -> tuple[Weights, dict[str, Any]]:
        """What the file holds of this training; refuses that of another."""
        found = read_training(self.path)
        if found is None:
            raise ValueError(
                f"checkpoint = {str(self.path)!r} holds a model alone, no training that could go "
                "on: pass dm.training.load(checkpoint) as the model, without resume"
            )
        theirs = found[1]["identity"]
        mine = json.loads(json.dumps(self.identity))
        if others := [name for name in mine if mine[name] != theirs.get(name)]:
            lines = "; ".join(
                f"{name} {theirs.get(name)!s:.60}, now {mine[name]!s:.60}" for name in others
            )
            raise ValueError(
                f"checkpoint = {str(self.path)!r} is of another training ({lines}): pass the same "
                "to go on, or resume=False to begin anew"
            )
        return found

    def _stored_loss(self, standing):
        """Validation loss of the system in the file, which only a better one replaces."""
        _, record = read(self.path)
        try:
            self._stored = self._loaded(), record["facts"]
            if self.going_on is not None:
                return float(record["facts"]["validation_loss"])
            return standing(self._stored[0])
        except DamageError:
            raise
        except (ValueError, TypeError, ArithmeticError) as error:
            raise ValueError(
                f"checkpoint = {str(self.path)!r} holds a {record['system']['kind']} that cannot "
                f"be compared with what is trained here ({error!s:.200}): pass another path, or "
                "remove the file"
            ) from error

    def _loaded(self) -> System:
        try:
            return load(self.path)
        except TypeError:  # a class of the user's own
            return load(self.path, like=self.system(self.module.system))

    def restore(self, module: torch.nn.Module, descent: Descent) -> Run | None:
        """The run of the file, its weights, optimizer and generators in place; None for a new
        one."""
        if self.going_on is None:
            return None
        held, record = self.going_on
        groups: dict[str, Weights] = {"last": {}, "best": {}, "optimizer": {}}
        for key, value in held.items():
            group, _, name = key.partition("/")
            groups[group][name] = value
        module.load_state_dict(groups["last"])
        descent.restore(groups["optimizer"], record["numbers"])
        for name, state in record["generators"].items():
            self.generators[name].bit_generator.state = _with_arrays(state)
        best = record["best"] and _row(record["best"])
        return Run(
            step=record["step"],
            rows=[_row(row) for row in record["rows"]],
            since=[(loss, norm) for loss, norm in record["since"]],
            start=None if record["start"] is None else Score(*record["start"]),
            best=best,
            weights={
                name: value.to(module.state_dict()[name].device)
                for name, value in groups["best"].items()
            }
            or None,
            evaluated=record["evaluated"],
        )

    def snapshot(self, run: Run, module: torch.nn.Module, descent: Descent) -> None:
        """Remember the present step as the one from which to go on."""
        optimizer, numbers = descent.state()
        groups = {"last": module.state_dict(), "best": run.weights or {}, "optimizer": optimizer}
        held = {
            f"{group}/{name}": value.detach().clone()
            for group, values in groups.items()
            for name, value in values.items()
        }
        self._kept = (
            held,
            {
                "identity": self.identity,
                "step": run.step,
                "rows": list(run.rows),
                "since": list(run.since),
                "start": run.start,
                "best": run.best,
                "evaluated": run.evaluated,
                "numbers": numbers,
                "generators": {
                    name: _without_arrays(drawing.bit_generator.state)
                    for name, drawing in self.generators.items()
                },
            },
        )

    def write(self, run: Run, last: bool = False) -> None:
        """Write the best weights and the snapshot: where they are better than the file's, where the
        training ends, and twice a minute."""
        loss = run.best.validation.loss if run.best and run.best.validation else math.inf
        better = loss >= self.standing  # what the file holds
        if run.best is None or run.weights is None or (better and self.going_on is None):
            return
        due = time.monotonic() - self._saved > SECONDS_BETWEEN
        if not (last or due or loss < self._written):
            return
        system, facts = self._stored if better else (self.system(self._frozen(run.weights)), {})
        training = None
        if self._kept is not None:
            held, record = self._kept
            training = {name: value.cpu() for name, value in held.items()}, json.dumps(record)
        facts = facts or self.facts | {"step": run.best.step, "validation_loss": loss}
        try:
            write(system, self.path, facts, training)
        except OSError as error:
            if self.error is None:
                warnings.warn(
                    f"the checkpoint {self.path} cannot be written ({error}): the training goes "
                    "on, and its best weights are in what it returns",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self.error = str(error)
        else:
            self._written, self._saved, self.error = (
                min(loss, self._written),
                time.monotonic(),
                None,
            )

    def _frozen(self, weights: Weights) -> Map:
        """The system with these weights; the module keeps its own."""
        own = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.module.load_state_dict(weights)
        try:
            return self.module.frozen()
        finally:
            self.module.load_state_dict(own)

    def notes(self, run: Run) -> dict[str, Any]:
        """Attributes of a history: what is not as one would expect."""
        loss = run.best.validation.loss if run.best and run.best.validation else math.inf
        if self.error is not None:
            return {"checkpoint": f"{self.path} could not be written: {self.error}"}
        if loss > self.standing:
            words = (
                f"{self.path} was left as it is: its validation loss on the same sequences, "
                f"{self.standing:.6g}, is below the best of this training, {loss:.6g}"
            )
            warnings.warn(f"the checkpoint {words}", UserWarning, stacklevel=3)
            return {"checkpoint": words}
        return {"checkpoint": str(self.path)}


def check_writable(checkpoint):
    """Refuse a checkpoint that cannot be written before the training that would be lost."""
    if checkpoint is None:
        return
    if not isinstance(checkpoint, (str, os.PathLike)) or not str(checkpoint):
        raise ValueError(
            f"checkpoint = {checkpoint!r:.60}: must be the path of a file, or None for no "
            "checkpoint"
        )
    path = Path(checkpoint)
    name = f"checkpoint = {str(path)!r}"
    if path.is_dir():
        raise ValueError(f"{name}: is a folder, pass a file inside it")
    if not path.parent.is_dir():
        raise ValueError(f"{name}: there is no folder {path.parent}, make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{name}: the folder {path.parent} is not writable, choose another")


def check_resume(resume: Any, checkpoint: Any) -> None:
    """Refuse to go on from nothing."""
    if not isinstance(resume, bool):
        raise ValueError(f"resume = {resume!r:.60}: must be True or False")
    if resume and checkpoint is None:
        raise ValueError("resume = True: pass checkpoint, the file to go on from")


def module_identity(module: Trainable) -> dict[str, Any]:
    """Shapes of the weights, precision, and a digest of the arrays that are not trained."""
    fixed = {name: tensor.cpu() for name, tensor in module.constants().items()}
    return {
        "model": type(module.system).__name__,
        "weights": {name: list(value.shape) for name, value in module.state_dict().items()},
        "fixed arrays": digest(fixed, "")[:16],
        "dtype": str(module.dtype),
    }


def batch_digest(batch: Batch) -> str:
    """SHA-256 of inputs and targets."""
    found = hashlib.sha256()
    for part in batch:
        array = part.detach().cpu().numpy()
        found.update(f"{array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _row(values: list) -> Row:
    step, loss, norm, score = values
    return Row(step, loss, norm, None if score is None else Score(*score))


def _without_arrays(state: Any) -> Any:
    """The state of a generator as JSON holds it."""
    if isinstance(state, dict):
        return {key: _without_arrays(value) for key, value in state.items()}
    if isinstance(state, np.ndarray):
        return {"array": state.tolist(), "dtype": str(state.dtype)}
    return state.item() if isinstance(state, np.generic) else state


def _with_arrays(state: Any) -> Any:
    if isinstance(state, dict) and state.keys() == {"array", "dtype"}:
        return np.array(state["array"], state["dtype"])
    if isinstance(state, dict):
        return {key: _with_arrays(value) for key, value in state.items()}
    return state
