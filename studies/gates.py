"""Which networks learn to remember, and does theory say so beforehand?

Six recurrent networks of one size are trained alike to copy two symbols after increasing delays,
with several seeds. Theory gives each its time scale -1/lambda_1 before training; the
measurement is the largest delay that training reaches. A gradient that has faded below the noise of
the minibatch carries no signal, so a time scale far shorter than the delay should mean failure
(Pascanu et al. 2013; Tallec and Ollivier 2018).
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
    waiting_spectrum,
)


def measure(model, delay, seed, units, steps):
    """One model, delay and seed: exponents at the start and after training, and the loss."""
    task = copy_task(delay)
    start = build(model, task, units, seed)
    theory = predicted_spectrum(start, task, rng=seed)
    before = waiting_spectrum(start, task, rng=seed, exponents=1)
    trained, history = train(start, task, steps=steps, rng=seed)
    after = waiting_spectrum(trained, task, rng=seed, exponents=1)
    return single(
        predicted_time_scale=(
            dm.theory.time_scale(theory).time_scale.item(),
            "step",
            "time scale -1/lambda_1 by theory, untrained",
        ),
        measured_time_scale=(
            dm.theory.time_scale(before).time_scale.item(),
            "step",
            "time scale -1/lambda_1 measured, untrained",
        ),
        exponent_before=(
            before.lyapunov.values[0],
            "1/step",
            "first exponent while waiting, untrained",
        ),
        exponent_after=(
            after.lyapunov.values[0],
            "1/step",
            "first exponent while waiting, trained",
        ),
        loss_over_floor=(
            history.test_loss.item() / task.floor,
            "1",
            "test loss over the memoryless floor",
        ),
        loss_error=(
            history.test_loss_error.item() / task.floor,
            "1",
            "standard error of the loss over the floor",
        ),
        learned=(int(history.learned), "1", "whether the delay was learned"),
    )


def finish(results):
    """The longest delay that each model learned, by seed."""
    results["learnable_delay"] = learnable_delay(results.learned)
    return results


def summary(results):
    """Table: share of seeds that learned each delay, with the predicted time scale."""
    delays = results.delay.values
    rows = [
        f"{'model':18}{'time scale: theory':>19}{'measured':>10}   seeds that learned, at delay "
        + "".join(f"{d:>7}" for d in delays)
        + "   learnable delay"
    ]
    for model in results.model.values:
        at = results.sel(model=model)
        longest = at.isel(delay=-1)
        shares = "".join(
            f"{int(at.learned.sel(delay=d).sum()):>3} of {at.sizes['seed']}"
            if at.sizes["seed"] < 10
            else ""
            for d in delays
        )
        rows.append(
            f"{model:18}{float(longest.predicted_time_scale.median()):19.3g}"
            f"{float(longest.measured_time_scale.median()):10.3g}{'':31}{shares}   "
            + ", ".join(str(int(v)) for v in at.learnable_delay.values)
        )
    together = np.isfinite(results.predicted_time_scale).all(("delay", "seed"))
    if int(together.sum()) > 2:
        some = results.sel(model=results.model[together])
        order = _rank_correlation(
            some.measured_time_scale.isel(delay=-1).median("seed").values,
            some.learnable_delay.mean("seed").values,
        )
        rows.append(
            "rank correlation of the measured time scale with the learnable delay, over the "
            f"{int(together.sum())} models with a finite one: {order:.2f}"
        )
    return "\n".join(rows)


def _rank_correlation(x, y):
    from scipy.stats import spearmanr

    return float(spearmanr(x, y).statistic) if np.ptp(x) and np.ptp(y) else float("nan")


STUDY = Study(
    name="gates",
    question="Which networks learn to remember, and does theory say so beforehand?",
    grid={"model": list(MODELS), "delay": [5, 10, 20, 40, 80, 160], "seed": [0, 1, 2]},
    settings={"units": 64, "steps": 1500},
    quick={
        "model": ["tanh", "orthogonal", "gru"],
        "delay": [2, 5],
        "seed": [0],
        "units": 16,
        "steps": 60,
    },
    units=COPY_UNITS,
    limits=COPY_LIMITS,
    source=MODELS_SOURCE,
    measure=measure,
    finish=finish,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
