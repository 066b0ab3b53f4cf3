"""Teaching a forecast by gradient descent: the model runs on its own output, and is corrected once in a doubling time of errors."""

from dataclasses import replace

import numpy as np
import torch

from ..errors import ShapeError
from ..labels import as_seed, dataset
from ..tasks import whole
from .fitting import descend, torch_threads
from .forecast import SOURCE, Forecaster, forcing_interval, forecaster, values
from .trainable import Trainable

LISTENING = 20  # first steps of a window, in which the model hears the truth and is not scored


class Forced(Trainable):
    """A model that hears the truth every ``forcing`` steps, and in between its own output, as a torch module.

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
            z = true if t < LISTENING or (t - LISTENING) % self.forcing == 0 else said[-1]
            h = twin.rule(h, z)
            said.append(z + self.gain * twin.output(h, z))
        return torch.stack(said, dim=1)


def teach(model, data, *, steps=2000, forcing=None, window=None, batch=64, learning_rate=3e-3, clip=1.0, noise=0.0, rng=0, dtype="float32",
          threads=1):
    """Teach a model to forecast a dataset x(time, state), by Adam with a learning rate that falls to 0 as a cosine.

    Windows of the training part are drawn at random; the model hears the truth for 20 steps, and then every ``forcing`` steps only (by default
    ln 2/lambda_1, ``forcing_interval``; 1: at every step, all steps at once). In between it hears itself, so that its errors grow as in use and
    gradients pass through its own dynamics, yet no longer than errors take to double. Loss: mean squared error over the scored
    steps, in units of the standard increment, so that 1 is a forecast that never moves.

    model: a Map with as many inputs as outputs, or a ``Forecaster`` that is taught on; window: steps (default the listening and
    two intervals, at least 100); noise: standard deviation of white noise on what is heard of the truth, in standard deviations of the data.
    Returns the ``Forecaster``, and a Dataset over ``step``: training_loss and gradient_norm.

    Measured on Lorenz-63 without noise: a GRU of 48 units, taught at every step (2500 steps, 8e-3), forecasts 3.9 Lyapunov times; 100 steps
    more at the doubling time, with 3e-5, bring its attractor nearer to the true one and the forecast no further (3.6), with 5e-4 or
    more they lose it (2.2). Begin with ``forcing=1`` and go on with a small learning rate. 64 units taught longer (5000 steps of windows of 50,
    5e-3: 86 s of one processor) reach 5.1, and a first exponent of 0.905; an echo-state network of 300 units, in two seconds, 8.2.

    Raises NotFiniteError with the step where the loss is lost, ShapeError where the data is too short, ValueError for options that cannot be.
    Source: Mikhaeil, Monfared and Durstewitz (2022), NeurIPS 35; Brenner et al. (2022), ICML.
    """
    forcing = forcing_interval(data) if forcing is None else forcing
    window = max(100, LISTENING + 2 * forcing) if window is None else window
    if problems := list(whole({"steps": steps, "batch": batch, "forcing": forcing, "window": window}, steps=1, batch=1, forcing=1,
                              window=LISTENING + 1)):
        raise ValueError("\n".join(problems))
    untaught = model if isinstance(model, Forecaster) else forecaster(model, data)
    z = untaught.standard(values(data, "train"))
    if len(z) < window + 2:
        raise ShapeError(f"the training part has {len(z)} samples, too few for windows of {window} steps: load more, or pass a shorter window")
    module = Forced(untaught.model, untaught.gain, forcing, dtype)
    gain, scored = module.gain, slice(LISTENING, None)
    descent = torch.optim.Adam(module.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
    generator, rows = np.random.default_rng(rng), []
    whole_orbit = torch.as_tensor(z, dtype=module.dtype)

    def batches():
        for _ in range(steps):
            at = torch.as_tensor(generator.integers(len(z) - window, size=batch))[:, None] + torch.arange(window + 1)
            drawn = whole_orbit[at]
            heard = drawn[:, :-1]
            yield heard + noise * torch.as_tensor(generator.standard_normal(heard.shape), dtype=module.dtype) if noise else heard, drawn[:, 1:]

    def measure(said, true):
        return ((said - true) / gain)[:, scored].square().mean((1, 2))

    where = f"of {steps} ({type(untaught.model).__name__}, learning_rate={learning_rate}, forcing={forcing})"
    with torch_threads(threads):
        for row in descend(module, descent, batches(), measure, clip, where):
            rows.append(row)
            schedule.step()
    return replace(untaught, model=module.frozen()), _history(rows, untaught, rng, {
        "steps": steps, "forcing": forcing, "window": window, "batch": batch, "learning_rate": learning_rate, "clip": clip, "noise": noise})


def _history(rows, untaught, rng, settings):
    losses, norms = np.array(rows).T
    made = {"training_loss": ("step", losses, "1", "mean squared error in squared units of the standard increment"),
            "gradient_norm": ("step", norms, "1", "norm of the gradient before clipping")}
    return dataset(made, {"step": ("step", np.arange(1, len(rows) + 1), "step", "training step")}, source=SOURCE, seed=as_seed(rng),
                   title=f"teaching {type(untaught.model).__name__} to forecast", parameters=settings | {"model": untaught.model})
