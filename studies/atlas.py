"""How long does a recurrent network remember?

The memory atlas: theory, measurement and training, next to each other.

For each model: (a) theory of its memory at initialisation, the first exponent while it waits and
the time scale -1/lambda_1; (b) measurement of its Jacobians, the exponents and the lag at which the
largest gradient has fallen to 1/e; (c) training, whether it learns to copy two symbols at
increasing delays, and its exponent once trained.
"""

import numpy as np

import dynmem as dm
from dynmem.study import Study

from ._recurrent import (
    COPY_LIMITS,
    COPY_UNITS,
    MODELS,
    MODELS_SOURCE,
    build,
    copy_task,
    learnable_delay,
    predicted_spectrum,
    single,
    train,
    waiting_gradients,
    waiting_spectrum,
)

LAGS = np.concatenate([[0], np.unique(np.round(np.geomspace(1, 1000, 40)).astype(int))])


def measure(model, delay, seed, units, steps):
    """One model at one delay: predicted, measured, trained."""
    task = copy_task(delay)
    start = build(model, task, units, seed)
    theory = predicted_spectrum(start, task, rng=seed)
    spectrum = waiting_spectrum(start, task, rng=seed)
    gradients = waiting_gradients(start, task, rng=seed, lags=LAGS)
    trained, history = train(start, task, steps=steps, rng=seed)
    after = waiting_spectrum(trained, task, rng=seed)
    trained_gradients = waiting_gradients(trained, task, rng=seed, lags=LAGS)
    found = single(
        predicted=(theory.lyapunov.values[0], "1/step", "first exponent, predicted at the start"),
        measured=(spectrum.lyapunov.values[0], "1/step", "first exponent, measured at the start"),
        measured_error=(
            spectrum.lyapunov_error.values[0],
            "1/step",
            "standard error of the first exponent",
        ),
        trained=(after.lyapunov.values[0], "1/step", "first exponent, trained"),
        predicted_time_scale=(
            dm.theory.time_scale(theory).time_scale.item(),
            "step",
            "time scale -1/lambda_1, predicted at the start",
        ),
        measured_horizon=(
            dm.memory_horizon(gradients).horizon.item(),
            "step",
            "memory horizon, measured at the start",
        ),
        trained_horizon=(
            dm.memory_horizon(trained_gradients).horizon.item(),
            "step",
            "memory horizon, trained",
        ),
        loss_over_floor=(
            history.test_loss.item() / task.floor,
            "1",
            "test loss over the memoryless floor",
        ),
        accuracy=(history.test_accuracy.item(), "1", "share of symbols recalled"),
        learned=(int(history.learned), "1", "whether the delay was learned"),
        training_steps=(history.attrs["steps"], "1", "training steps until it stopped"),
        parameters=(
            sum(a.numel() for a in dm.training.Trainable(start).weights().values()),
            "1",
            "trained numbers",
        ),
    )
    for name, profile in (("gradient", gradients), ("trained_gradient", trained_gradients)):
        found[name] = profile.log_state_gradient
    return found


def finish(results):
    """The longest delay that each model learned."""
    results["learnable_delay"] = learnable_delay(results.learned)
    return results


def summary(results):
    """Table: one row for each model."""
    delays = results.delay.values
    head = (
        f"{'':24}{'first exponent while waiting':>34}{'scale, horizon (steps)':>24}   copy task, "
        "loss over floor at delay"
    )
    names = (
        f"{'model':24}{'theory':>10}{'measured':>12}{'trained':>12}{'theory':>12}{'measured':>12} "
        "  " + "".join(f"{d:>8}" for d in delays) + f"{'learns up to':>15}"
    )
    rows = [head, names]
    for model in results.model.values:
        at = results.sel(model=model, seed=results.seed.values[0])
        longest = at.isel(delay=-1)
        losses = "".join(
            f"{v:>7.2f}{'*' if ok else ' '}"
            for v, ok in zip(at.loss_over_floor.values, at.learned.values, strict=True)
        )
        rows.append(
            f"{model:24}{float(longest.predicted):10.4f}{float(longest.measured):12.4f}{float(longest.trained):12.4f}"
            f"{float(longest.predicted_time_scale):12.4g}{float(longest.measured_horizon):12.4g}   "
            f"{losses}{int(at.learnable_delay):>15}"
        )
    rows.append(
        f"exponents per step, at delay {delays[-1]}; * learned: test loss below a "
        "tenth of the floor ln 4 (memoryless guess); "
        "inf: never to 1/e within 1000 steps"
    )
    return "\n".join(rows)


STUDY = Study(
    name="atlas",
    question="How long does a recurrent network remember?",
    grid={"model": list(MODELS), "delay": [5, 20, 40, 80, 160], "seed": [0]},
    settings={"units": 64, "steps": 1500},
    quick={"model": ["tanh", "orthogonal", "lstm"], "delay": [2, 5], "units": 16, "steps": 100},
    units=COPY_UNITS,
    limits=COPY_LIMITS,
    source=MODELS_SOURCE,
    measure=measure,
    finish=finish,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
