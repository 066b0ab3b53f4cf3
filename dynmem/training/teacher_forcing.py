"""Train a forecaster by gradient descent: it runs on its own output, and is corrected once in a
doubling time of errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import ShapeError
from ..labels import as_seed
from ..runtime.devices import as_device
from ..runtime.validation import all_errors, generator, integer, number, public
from ..system import Map
from ..typing import Array, Rng
from .forecaster import (
    WARMUP_STEPS,
    Forecaster,
    as_model,
    check_forecaster,
    untrained_forecaster,
)
from .history import history_dataset, report
from .keeping import Checkpoint, batch_digest, check_resume, check_writable, module_identity
from .loop import Callback, Schedule, evaluate, torch_threads, train
from .orbit_data import forcing_interval, stretches
from .trainable import Trainable, as_dtype

if TYPE_CHECKING:
    from xarray import Dataset

# loss of a forecast that never moves, and the share of it that a loss must be below to be called
# learned
FLOOR, PASS_RATIO = 1.0, 0.1
TEST_WINDOWS = 64  # of the test part, where it has room for them
EVALUATE_EVERY = 100  # steps from one evaluation to the next
SETTINGS = ("steps", "forcing", "window", "batch", "learning_rate", "clip", "noise")
SOURCE = "Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35, for the forcing interval"


class Forced(Trainable):
    """A model that reads the truth every ``forcing`` steps, and in between its own output, as a
    torch module: from z (batch, steps, k) to the forecast of z a step later."""

    gain: torch.Tensor

    def __init__(self, model: Map, gain: np.ndarray, forcing: int, dtype: Any = "float32") -> None:
        super().__init__(model, dtype)
        self.register_buffer("gain", torch.as_tensor(gain, dtype=self.dtype), persistent=False)
        self.forcing = forcing

    def forward(self, u: Array, x0: Array | None = None) -> torch.Tensor:
        """Outputs (batch, steps, k), all steps at once where the truth is read at each."""
        if self.forcing == 1:
            return u + self.gain * super().forward(u)
        twin = self.twin()
        forecast: list[torch.Tensor] = []
        h = u.new_zeros(len(u), self.system.size)
        for t, true in enumerate(u.unbind(1)):
            # warm-up first, so that the states belong to the orbit before the model is left alone
            forced = t < WARMUP_STEPS or (t - WARMUP_STEPS) % self.forcing == 0
            z = true if forced else forecast[-1]
            h = twin.rule(h, z)
            forecast.append(z + self.gain * twin.output(h, z))
        return torch.stack(forecast, dim=1)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean squared error (batch,) over the scored steps, in units of the gain."""
        error = (outputs - targets) / self.gain
        return error[:, WARMUP_STEPS:].square().mean((1, 2))


@public
@torch.inference_mode(False)  # whatever the caller has switched off: a training needs gradients
@torch.enable_grad()
def fit_forecaster(
    model: Map | str,
    data: Dataset,
    *,
    steps: int = 2000,
    units: int = 32,
    rng: Rng = 0,
    device: Any = None,
    callback: Callback | None = None,
    forcing: int | None = None,
    window: int | None = None,
    batch: int = 64,
    learning_rate: float = 3e-3,
    clip: float | None = 1.0,
    noise: float = 0.0,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    progress: bool | None = None,
    dtype: Any = "float32",
    threads: int | None = 1,
) -> tuple[Forecaster, Dataset]:
    """Train a model to forecast an orbit, by Adam with a rate that falls to 0 as a cosine.

    Windows of the training part are drawn at random; the model reads the truth for 20 steps, and
    then every ``forcing`` steps only. In between it reads its own output, so that its errors grow
    as in use and gradients pass through its own dynamics, yet no longer than errors take to double.
    The loss is the mean squared error over the scored steps, in units of the standard increment, so
    that 1 is a forecast that never moves. It is measured on windows of the validation part at the
    start, every 100 steps and at the end, and the weights with the lowest one are returned. Ctrl-C
    ends the training with the best weights so far.

    Parameters
    ----------
    model : Map or str
        A map with as many inputs as outputs, a name of ``dm.models``, or a ``Forecaster`` whose
        training goes on.
    data : xarray.Dataset
        An orbit x(time, state).
    steps : int
        Training steps.
    units : int
        Units of a model that is named.
    rng : int or numpy.random.Generator, optional
        Draws a model that is named, windows and noise.
    device : str or torch.device, optional
        Device to train on; None: the CPU.
    callback : callable, optional
        Called as ``callback(step, row)`` after each step; ``row`` is a dict of training_loss and
        gradient_norm, and of validation_loss where it was measured. The training ends where it
        returns something true.
    forcing : int, optional
        Steps between two corrections; None: ln 2/lambda_1, ``forcing_interval``; 1: at every step,
        all steps at once.
    window : int, optional
        Steps of a window; None: the warm-up and two intervals, at least 100, or as many as a
        shorter series has.
    batch : int
        Windows of a step.
    learning_rate : float
        At the first step.
    clip : float or None
        Largest norm of the gradient; None: no clipping.
    noise : float
        Standard deviation of white noise on what is read of the truth, in standard deviations of
        the data.
    checkpoint : path, optional
        File for the best weights and for what it takes to go on, as of ``dm.fit``.
    resume : bool
        Whether to go on from the checkpoint, where there is one, with the bits of a training that
        was never interrupted; the rate falls with ``steps``, which has to be the same, as all else.
    progress : bool or None
        A bar on stderr; None: after two seconds, in a terminal or a notebook.
    dtype : torch.dtype or {"float32", "float64"}
        Precision.
    threads : int or None
        Threads of torch, on which the bits depend; None: as set.

    Returns
    -------
    forecaster : Forecaster
        With the weights of the best evaluation, which is mostly that of the last step.
    history : xarray.Dataset
        training_loss : (step,), 1
            Mean loss of each step.
        gradient_norm : (step,), 1
            Norm of the gradient before clipping.
        test_loss : (), 1
            The same loss on 64 windows of the test part (fewer where they would overlap).
        test_loss_error : (), 1
            Standard error of the test loss, of independent windows.
        learned : (), 1
            1 where test_loss + 2 test_loss_error < pass_ratio * floor, else 0.

        The attributes hold floor (1) and pass_ratio (0.1), best_step (0: the start), start_loss and
        ended, as of ``dm.fit``.

    Raises
    ------
    NotFiniteError
        With the step where the loss is lost; ``error.trained`` and ``error.history`` as of
        ``dm.fit``.
    ShapeError
        Where the data is too short, or not an orbit.
    ValueError
        For options that cannot be.

    Notes
    -----
    Measured on Lorenz-63 without noise: a GRU of 48 units, trained with forcing at every step (2500
    steps, 8e-3), forecasts 3.9 Lyapunov times; 100 steps more at the doubling time, with 3e-5,
    bring its attractor nearer to the true one and the forecast no further (3.6), with 5e-4 or more
    they lose it (2.2). Begin with ``forcing=1`` and go on with a small learning rate. 64 units
    trained longer (5000 steps of windows of 50, 5e-3: 86 s of one processor) reach 4.1 to 5.2
    (seeds 0 to 2), and a first exponent of 0.905; an echo-state network of 300 units, in two
    seconds, 8.2.

    References
    ----------
    Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35; Brenner et al. (2022), ICML.

    Examples
    --------
    >>> import dynmem as dm
    >>> data = dm.datasets.load("henon", samples=2000)
    >>> forecaster, history = dm.training.fit_forecaster(
    ...     "gru", data, steps=60, units=16, batch=16, forcing=1, window=30, learning_rate=3e-2
    ... )
    >>> forecaster.outputs, int(history.learned)
    (2, 1)
    """
    parts = [stretches(data, name) for name in ("train", "validation", "test")]
    y = np.concatenate(parts[0])
    given = _checked(dict(locals()))
    drawing, forcing, window = given["drawing"], given["forcing"], given["window"]
    forecaster = _as_forecaster(model, data, y, given["units"], drawing)
    _check_lengths(parts, window)
    module = Forced(forecaster.model, forecaster.gain, forcing, given["dtype"])
    module.to(given["device"])
    tensor = partial(torch.as_tensor, dtype=module.dtype, device=module.device)
    kind = type(forecaster.model).__name__
    settings = {name: given[name] for name in SETTINGS} | {"dtype": str(module.dtype)}
    held_out, test = (
        [tensor(forecaster.standard(stretch)) for stretch in part] for part in parts[1:]
    )
    validation = judging_windows(held_out, window)
    with torch_threads(given["threads"]):
        keeper = _keeper(module, forecaster, given, settings, validation)
        outcome = train(
            module,
            _batches(tensor(forecaster.standard(y)), _begins(parts[0], window), given),
            lambda: evaluate(module, validation, module.loss),
            given["schedule"],
            loss=module.loss,
            callback=callback,
            keeper=keeper,
            report_every=1,
            progress=progress,
            label=f"of {steps} ({kind}, learning_rate={learning_rate}, forcing={forcing})",
        )
        if outcome.error is not None and outcome.run.best is None:
            raise outcome.error
        score = evaluate(module, judging_windows(test, window), module.loss)
    trained = replace(forecaster, model=module.frozen())
    history = history_dataset(
        outcome,
        score,
        validated=False,
        learned=score.loss + 2.0 * score.error < PASS_RATIO * FLOOR,
        unit="1",
        graded=False,
        title=f"training of {kind} to forecast",
        source=SOURCE,
        parameters=settings | {"model": forecaster.model},
        seed=as_seed(rng),
        threads=given["threads"] or torch.get_num_threads(),
        floor=FLOOR,
        pass_ratio=PASS_RATIO,
        **(keeper.notes(outcome.run) if keeper else {}),
    )
    report(outcome, trained, history, given["steps"])
    return trained, history


def _keeper(module, forecaster, given, settings, validation) -> Checkpoint | None:
    """The checkpoint of a training, if it has one."""
    if given["checkpoint"] is None:
        return None

    def standing(found: Any) -> float:
        check_forecaster(found, forecaster.mean[None])
        forced = Forced(found.model, found.gain, module.forcing, module.dtype)
        return evaluate(forced.to(module.device), validation, forced.loss).loss

    return Checkpoint(
        given["checkpoint"],
        module,
        system=lambda model: replace(forecaster, model=model),
        facts={"seed": as_seed(given["rng"])},
        identity=settings | module_identity(module) | {"validation set": batch_digest(validation)},
        generators={"windows": given["drawing"]},
        standing=standing,
        resume=given["resume"],
    )


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Options of ``fit_forecaster``, checked, with the schedule and the Generator; one error for
    all that cannot be."""
    given = dict(options)
    least = {"forcing": 1, "window": WARMUP_STEPS + 1, "threads": 1}
    with all_errors() as check:
        names = ("steps", "learning_rate", "clip")
        schedule = {name: options[name] for name in names}
        given["schedule"] = check(
            Schedule, **schedule, decay="cosine", evaluate_every=EVALUATE_EVERY
        )
        for name in ("units", "batch"):
            given[name] = check(integer, name, options[name])
        for name in (name for name in least if options[name] is not None):
            given[name] = check(integer, name, options[name], least[name])
        given["noise"] = check(number, "noise", options["noise"], least=0)
        given["drawing"] = check(generator, options["rng"])
        given["dtype"] = check(as_dtype, options["dtype"])
        given["device"] = check(as_device, options["device"])
        check(check_writable, options["checkpoint"])
        check(check_resume, options["resume"], options["checkpoint"])
    if given["forcing"] is None:
        given["forcing"] = forcing_interval(given["data"])
    if given["window"] is None:
        longest = min(map(len, given["parts"][0])) - 2
        usual = max(100, WARMUP_STEPS + 2 * given["forcing"])
        given["window"] = max(WARMUP_STEPS + 1, min(usual, longest))
    return given | {"steps": given["schedule"].steps}


def _as_forecaster(model, data, y, units, drawing) -> Forecaster:
    """The forecaster itself, or that of a model or a name, for the values y (T, k)."""
    if not isinstance(model, Forecaster):
        model = as_model(model, y.shape[1], y.shape[1], units, drawing.spawn(1)[0])
        model = untrained_forecaster(model, data)
    check_forecaster(model, y)
    return model


def windows(orbit: torch.Tensor, begin: np.ndarray, steps: int) -> torch.Tensor:
    """Stretches (count, steps + 1, k) of an orbit (T, k), from the samples at which they begin."""
    offsets = torch.arange(steps + 1, device=orbit.device)
    return orbit[torch.as_tensor(begin, device=orbit.device)[:, None] + offsets]


def _begins(orbits: list[np.ndarray], window: int) -> np.ndarray:
    """Samples at which a window can begin, in orbits one after another."""
    lengths = np.array([len(orbit) for orbit in orbits])
    first = np.cumsum(lengths) - lengths
    return np.concatenate(
        [start + np.arange(length - window) for start, length in zip(first, lengths, strict=True)]
    )


def _batches(orbit, begins, given) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Random windows of an orbit: inputs, disturbed by noise, and targets."""
    drawing, window = given["drawing"], given["window"]
    for _ in range(given["steps"]):
        begin = begins[drawing.integers(len(begins), size=given["batch"])]
        drawn = windows(orbit, begin, window)
        inputs = drawn[:, :-1]
        if given["noise"]:
            disturbance = torch.as_tensor(drawing.standard_normal(inputs.shape))
            inputs = inputs + given["noise"] * disturbance.to(inputs)
        yield inputs, drawn[:, 1:]


def judging_windows(orbits: list[torch.Tensor], window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of windows evenly spread over orbits (T, k), so few that no step is
    scored twice."""
    steps = min(window, *(len(orbit) - 2 for orbit in orbits))
    share, found = max(1, TEST_WINDOWS // len(orbits)), []
    for orbit in orbits:
        last = len(orbit) - steps - 1
        count = min(share, max(min(2, share), 1 + last // (steps - WARMUP_STEPS)))
        found.append(windows(orbit, np.linspace(0, last, count).astype(int), steps))
    drawn = torch.cat(found)
    return drawn[:, :-1], drawn[:, 1:]


def _check_lengths(parts, window):
    """Refuse parts that are shorter than a window."""
    short = WARMUP_STEPS + 3
    for name, part, least in zip(
        ("training", "validation", "test"), parts, (window + 2, short, short), strict=True
    ):
        if (shortest := min(map(len, part))) < least:
            raise ShapeError(
                f"the {name} part has {shortest} samples, too few for windows of "
                f"{least - 2} steps: load more, or pass a shorter "
                "window"
            )
