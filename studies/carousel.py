"""What does the forget bias do, and what does a Jacobian without the cell state hide?

Theory: without recurrence the cell state fades as f^lag with f = sigma(forget bias), a time scale
of -1/ln f (Gers et al. 2000; Tallec and Ollivier 2018); with random recurrence the mean field of
the whole state (h, c) gives lambda_1 (Can, Krishnamurthy and Schwab 2020). Measurement: the
spectrum of the whole state under scalar noise, and of the h-only block d h_t / d h_(t-1), which
leaves out the constant error carousel and hardly depends on the forget bias: a published mistake.
Training: the copy task from each bias.
"""

import numpy as np

import dynmem as dm
from dynmem.study import Study

from ._recurrent import copy_task, single, train, waiting_spectrum

COLUMN_WIDTHS = {
    "gate_law": 10,
    "mean_field": 12,
    "whole": 13,
    "hidden_only": 10,
    "waiting_before": 10,
    "waiting_after": 10,
    "loss_over_floor": 12,
}


class HiddenOnly(dm.Map):
    """The wrong reduction: the LSTM's h-only map, with its cell states given as input, as if they
    did not depend on h."""

    lstm: dm.models.LSTM

    @property
    def size(self):
        return self.lstm.units

    @property
    def inputs(self):
        return self.lstm.inputs + self.lstm.units

    def rule(self, x, u):
        return self.lstm.output(
            self.lstm.rule(dm.concat((x, u[..., self.lstm.inputs :])), u[..., : self.lstm.inputs]),
            None,
        )


def hidden_only_exponents(lstm, noise, *, transient, duration, rng):
    """Spectrum of the products of d h_t / d h_(t-1) along the orbit driven by the noise, an array
    (steps, inputs)."""
    from dynmem.orbits import trajectory

    states = trajectory(lstm, np.zeros(lstm.size), len(noise), noise)
    cells = states[:-1, lstm.units :]
    return dm.lyapunov_spectrum(
        HiddenOnly(lstm),
        np.zeros(lstm.units),
        duration=duration,
        transient=transient,
        exponents=2,
        drive=np.concatenate([noise, cells], axis=1),
        rng=rng,
    )


def measure(forget_bias, seed, units, duration, delay, hidden, steps):
    """One forget bias: theory, whole-state and h-only exponents, and the copy task before and after
    training."""
    lstm = dm.models.get(
        "lstm", units=units, inputs=1, rng=seed, init="uniform", forget_bias=forget_bias
    )
    transient = duration // 5
    noise = np.random.default_rng(seed).standard_normal((duration + transient, 1))
    whole = dm.lyapunov_spectrum(
        lstm,
        np.zeros(lstm.size),
        duration=duration,
        transient=transient,
        exponents=2,
        drive=noise,
        rng=seed,
    )
    hidden_only = hidden_only_exponents(
        lstm, noise, transient=transient, duration=duration, rng=seed
    )
    task = copy_task(delay)
    start = dm.models.get(
        "lstm",
        units=hidden,
        inputs=task.inputs,
        outputs=task.outputs,
        rng=seed,
        init="uniform",
        forget_bias=forget_bias,
    )
    before = waiting_spectrum(start, task, rng=seed, exponents=1)
    trained, history = train(start, task, steps=steps, rng=seed)
    after = waiting_spectrum(trained, task, rng=seed, exponents=1)
    return single(
        gate_law=(
            dm.theory.zero_weight_lstm_spectrum(1, forget_bias).lyapunov.values[0],
            "1/step",
            "ln f, the gate alone",
        ),
        mean_field=(
            dm.theory.lyapunov_spectrum(lstm, drive=1.0, rng=seed).lyapunov.values[0],
            "1/step",
            "first exponent, mean field",
        ),
        whole=(whole.lyapunov.values[0], "1/step", "first exponent of the whole state (h, c)"),
        whole_error=(whole.lyapunov_error.values[0], "1/step", "standard error"),
        hidden_only=(
            hidden_only.lyapunov.values[0],
            "1/step",
            "first exponent of the h-only block",
        ),
        hidden_only_error=(hidden_only.lyapunov_error.values[0], "1/step", "standard error"),
        waiting_before=(
            before.lyapunov.values[0],
            "1/step",
            "first exponent while waiting, untrained",
        ),
        waiting_after=(after.lyapunov.values[0], "1/step", "first exponent while waiting, trained"),
        loss_over_floor=(
            history.test_loss.item() / task.floor,
            "1",
            "test loss over the memoryless floor",
        ),
        learned=(int(history.learned), "1", "whether the delay was learned"),
    )


def summary(results):
    """Table by forget bias, mean over seeds."""
    rows = [
        f"{'bias':>6}{'ln f':>10}{'mean field':>12}{'whole (h,c)':>13}{'h only':>10}"
        f"{'waiting':>10}{'trained':>10}{'loss/floor':>12}  learned"
    ]
    for bias in results.forget_bias.values:
        at = results.sel(forget_bias=bias)
        numbers = "".join(
            f"{float(at[name].mean()):{width}.4f}" for name, width in COLUMN_WIDTHS.items()
        )
        rows.append(f"{bias:6.1f}{numbers}  {int(at.learned.sum())} of {at.sizes['seed']}")
    return "\n".join(rows)


STUDY = Study(
    name="carousel",
    question="What does the forget bias do, and what does a Jacobian without the cell state hide?",
    grid={"forget_bias": [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "seed": [0, 1, 2]},
    settings={"units": 32, "duration": 4000, "delay": 40, "hidden": 64, "steps": 1000},
    quick={
        "forget_bias": [0.0, 1.0, 5.0],
        "seed": [0],
        "duration": 300,
        "delay": 3,
        "hidden": 16,
        "steps": 40,
    },
    units={"forget_bias": ("1", "forget bias b"), "seed": ("1", "seed")},
    limits={
        "forget_bias": (-20.0, 20.0),
        "seed": (0, None),
        "units": (1, 1024),
        "duration": (10, 1_000_000),
        "delay": (1, 1000),
        "hidden": (2, 1024),
        "steps": (1, 1_000_000),
    },
    source="Gers et al. (2000); Can, Krishnamurthy and Schwab (2020); Tallec and Ollivier (2018)",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
