"""Teaching a forecast by gradient descent: the model runs on its own output, and is corrected once
in a doubling time of errors."""

from dataclasses import replace

import numpy as np
import torch

from ..errors import ShapeError
from ..labels import as_seed, dataset
from ..tasks import whole
from .fitting import descend, torch_threads
from .forecast import SOURCE, WARMUP, Forecaster, fits, forcing_interval, forecaster, values
from .options import as_model, generator, positive, refuse
from .trainable import Trainable, as_dtype

# loss of a forecast that never moves, and the share of it that a loss must be below to be called
# learned
FLOOR, ASKED = 1.0, 0.1
TESTED = 64  # windows of the test part, where it has room for them


class Forced(Trainable):
    """A model that hears the truth every ``forcing`` steps, and in between its own output, as a
    torch module.

    Takes z (batch, steps, k) and returns what the model says z to be a step later.
    """

    def __init__(self, model, gain, forcing, dtype="float32"):
        super().__init__(model, dtype)
        self.gain, self.forcing = torch.as_tensor(gain, dtype=self.dtype), forcing

    def forward(self, u, x0=None):
        """Outputs (batch, steps, k), all steps at once where the truth is heard at each."""
        if self.forcing == 1:
            return u + self.gain * super().forward(u)
        twin, said = self.twin(), []
        h = u.new_zeros(len(u), self.system.size)
        for t, true in enumerate(u.unbind(1)):
            # listening first, so that the states belong to the orbit before the model is left alone
            z = true if t < WARMUP or (t - WARMUP) % self.forcing == 0 else said[-1]
            h = twin.rule(h, z)
            said.append(z + self.gain * twin.output(h, z))
        return torch.stack(said, dim=1)


def fit_forecaster(
    model,
    data,
    *,
    steps=2000,
    units=32,
    forcing=None,
    window=None,
    batch=64,
    learning_rate=3e-3,
    clip=1.0,
    noise=0.0,
    rng=0,
    dtype="float32",
    threads=1,
):
    """Teach a model to forecast a dataset x(time, state), by Adam with a learning rate that falls
    to 0 as a cosine.

    Windows of the training part are drawn at random; the model hears the truth for 20 steps, and
    then every ``forcing`` steps only (by default ln 2/lambda_1, ``forcing_interval``; 1: at every
    step, all steps at once). In between it hears itself, so that its errors grow as in use and
    gradients pass through its own dynamics, yet no longer than errors take to double. Loss: mean
    squared error over the scored steps, in units of the standard increment, so that 1 is a forecast
    that never moves.

    model: a Map with as many inputs as outputs, a name of ``dm.models``, of so many ``units``, or a
    ``Forecaster`` that is taught on; window: steps (default the listening and two intervals, at
    least 100); noise: standard deviation of white noise on what is heard of the truth, in standard
    deviations of the data. Returns the ``Forecaster``, and a Dataset over ``step``: training_loss
    and gradient_norm; test_loss and test_error on 64 windows of the test part (fewer where they
    would overlap), heard in the same way; attributes floor (1), asked, and learned, 1 where
    test_loss + 2 test_error < asked floor, else 0.

    Measured on Lorenz-63 without noise: a GRU of 48 units, taught at every step (2500 steps, 8e-3),
    forecasts 3.9 Lyapunov times; 100 steps more at the doubling time, with 3e-5, bring its
    attractor nearer to the true one and the forecast no further (3.6), with 5e-4 or more they lose
    it (2.2). Begin with ``forcing=1`` and go on with a small learning rate. 64 units taught longer
    (5000 steps of windows of 50, 5e-3: 86 s of one processor) reach 4.1 to 5.2 (seeds 0 to 2), and
    a first exponent of 0.905; an echo-state network of 300 units, in two seconds, 8.2.

    Raises NotFiniteError with the step where the loss is lost, ShapeError where the data is too
    short, ValueError for options that cannot be. Source: Mikhaeil, Monfared and Durstewitz (2022),
    NeurIPS 35; Brenner et al. (2022), ICML.

    >>> import dynmem as dm
    >>> forecaster, history = fit_forecaster("gru", dm.datasets.load("henon", samples=2000), steps=200, forcing=1, learning_rate=1e-2)
    >>> forecaster.outputs, history.learned
    (2, 1)
    """
    y = values(data, "train")
    forcing = forcing_interval(data) if forcing is None else forcing
    window = max(100, WARMUP + 2 * forcing) if window is None else window
    _check(locals())
    drawing = generator(rng)
    if not isinstance(model, Forecaster):
        model = forecaster(
            as_model(model, y.shape[1], y.shape[1], units, drawing.spawn(1)[0]), data
        )
    fits(model, y)
    untaught, z, test = model, model.standard(y), model.standard(values(data, "test"))
    _check_lengths(z, test, window)
    module = Forced(untaught.model, untaught.gain, forcing, dtype)
    gain, scored = module.gain, slice(WARMUP, None)
    descent = torch.optim.Adam(module.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
    rows = []
    whole_orbit = torch.as_tensor(z, dtype=module.dtype)

    def batches():
        for _ in range(steps):
            drawn = windows(whole_orbit, drawing.integers(len(z) - window, size=batch), window)
            heard = drawn[:, :-1]
            yield (
                heard
                + noise * torch.as_tensor(drawing.standard_normal(heard.shape), dtype=module.dtype)
                if noise
                else heard,
                drawn[:, 1:],
            )

    def measure(said, true):
        return ((said - true) / gain)[:, scored].square().mean((1, 2))

    where = (
        f"of {steps} ({type(untaught.model).__name__}, learning_rate={learning_rate}, "
        f"forcing={forcing})"
    )
    with torch_threads(threads):
        for row in descend(module, descent, batches(), measure, clip, where):
            rows.append(row)
            schedule.step()
        tested = _tested(
            module, torch.as_tensor(test, dtype=module.dtype), min(window, len(test) - 2), measure
        )
    return replace(untaught, model=module.frozen()), _history(
        rows,
        tested,
        untaught,
        rng,
        {
            "steps": steps,
            "forcing": forcing,
            "window": window,
            "batch": batch,
            "learning_rate": learning_rate,
            "clip": clip,
            "noise": noise,
        },
    )


def windows(orbit, begin, steps):
    """Stretches (count, steps + 1, k) of an orbit (T, k), from the samples at which they begin."""
    return orbit[torch.as_tensor(begin)[:, None] + torch.arange(steps + 1)]


def _tested(module, orbit, steps, measure):
    """Mean loss and its standard error, over windows evenly spread in the test part, so few that no
    step is scored twice."""
    last = len(orbit) - steps - 1
    count = min(TESTED, max(2, 1 + last // (steps - WARMUP)))
    drawn = windows(orbit, np.linspace(0, last, count).astype(int), steps)
    with torch.no_grad():
        losses = measure(module(drawn[:, :-1]), drawn[:, 1:]).double().numpy()
    return float(losses.mean()), float(losses.std(ddof=1) / np.sqrt(count))


def _check_lengths(z, test, window):
    """Refuse parts that are shorter than a window."""
    for name, part, least in (("training", z, window + 2), ("test", test, WARMUP + 3)):
        if len(part) < least:
            raise ShapeError(
                f"the {name} part has {len(part)} samples, too few for windows of "
                f"{least - 2} steps: load more, or pass a shorter "
                "window"
            )


def _check(options):
    """Every option that cannot be, in one error."""
    as_dtype(options["dtype"])
    counts = {
        "steps": 1,
        "units": 1,
        "batch": 1,
        "forcing": 1,
        "window": WARMUP + 1,
        **({} if options["threads"] is None else {"threads": 1}),
    }
    above = ("learning_rate",) if options["clip"] is None else ("learning_rate", "clip")
    refuse(
        [
            *whole(options, **counts),
            *positive(options, *above),
            *positive(options, "noise", least=0),
        ]
    )


def _history(rows, tested, untaught, rng, settings):
    losses, norms = np.array(rows).T
    made = {
        "training_loss": (
            "step",
            losses,
            "1",
            "mean squared error in squared units of the standard increment",
        ),
        "gradient_norm": ("step", norms, "1", "norm of the gradient before clipping"),
        "test_loss": (
            (),
            tested[0],
            "1",
            "the same loss on windows of the test part, after the last step",
        ),
        "test_error": (
            (),
            tested[1],
            "1",
            "standard error of the test loss, of independent windows",
        ),
    }
    verdict = {
        "floor": FLOOR,
        "asked": ASKED,
        "learned": int(tested[0] + 2.0 * tested[1] < ASKED * FLOOR),
    }
    return dataset(
        made,
        {"step": ("step", np.arange(1, len(rows) + 1), "step", "training step")},
        source=SOURCE,
        seed=as_seed(rng),
        title=f"teaching {type(untaught.model).__name__} to forecast",
        parameters=settings | {"model": untaught.model},
        **verdict,
    )
