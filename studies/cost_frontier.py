"""Which architecture remembers longest for what it costs, and where does each win?

Theory: a cue over T steps costs attention O(T^2) operations and one step of path, convolutions O(T
log T) with the depth that reaches so far, and a recurrence O(T) with a path of T steps, in which an
LSTM must wait for each step while a diagonal recurrence need not. On operations alone an LSTM
undercuts attention of its width d, projections counted, from 2 d steps on
(``theory.cost_crossover``). Measurement: the copy task over rising delays, on one shape of stack
(encoder, residual blocks with Pre-Norm, readout) of as many parameters for every mixer, the same
sequences and steps of training; seconds of a pass forward and backward on one core, taken when no
training runs beside it; and both together: what is remembered after so many seconds. The memory is
told as 1 - loss/floor, the share of the cue's information that reaches the answer: exactly 0 for
the best guess and 1 for a perfect answer.

What each mixer is given, told the delay beforehand: LSTM, forget biases for memories up to the
sequence's length (chrono); attention, 2 heads, rotary positions, a window of the whole sequence;
TCN, 8 taps and as many layers as reach the first step, weights of He et al.; S4D, 16 modes, steps
from 0.001; LRU, moduli from 0.99 to 0.9999, all phases; the selective model, 16 modes, steps from
0.001. All but the TCN have two layers with a feed-forward part of 64 units. Adam at 3e-3 for all:
tried once each, 1e-2 was worse for LSTM and LRU and no better for the TCN at delay 256, 1e-3 slower
for the TCN at 128. Torch's own start of the TCN's weights did not learn delay 256 in 300 steps,
rings of LRU at 0.9 to 0.999 with phases below pi/10 learned it slower. The LSTM and the selective
model are still between two symbols and their order when the budget ends; they need more.
"""

import numpy as np
import torch
import xarray as xr

import dynmem as dm
from dynmem.study import Study
from dynmem.training.fitting import torch_threads
from studies._recurrent import copy_task

RATE, KERNEL, HIDDEN, HEADS = 3e-3, 8, 64, 2
MODELS = {  # options of each mixer for sequences of so many steps
    "lstm": lambda steps: {"init": "uniform", "chrono": float(steps)},
    "attention": lambda steps: {"heads": HEADS, "window": steps, "positions": "rotary"},
    "tcn": lambda steps: {"kernel": KERNEL, "init": "he"},
    "s4d": lambda steps: {"modes": 16, "step_min": 1e-3, "step_max": 0.1},
    "lru": lambda steps: {"r_min": 0.99, "r_max": 0.9999},
    "selective": lambda steps: {"modes": 16, "step_min": 1e-3, "step_max": 0.1},
}
MIXERS = ("attention", "lstm", "s4d", "lru")  # whose crossovers over the width are measured


def shape(name, steps):
    """Layers, feed-forward units and options of a stack for sequences of so many steps."""
    if name != "tcn":
        return {"layers": 2, "feedforward": HIDDEN, "placement": "pre", **MODELS[name](steps)}
    # a stack of n blocks sees 1 + 2 (kernel - 1)(2^n - 1) steps
    reach = (steps - 1) / (2 * (KERNEL - 1)) + 1
    return {
        "layers": max(1, int(np.ceil(np.log2(reach)))),
        "placement": "pre",
        **MODELS[name](steps),
    }


def matched(name, steps, budget):
    """Units with which a stack has the parameters of the budget, and how many it has."""
    multiple = 2 * HEADS if name == "attention" else 1
    found = dm.analysis.match(
        [name], budget=budget, multiple=multiple, **_ends(), **shape(name, steps)
    )
    return int(found.units[0]), int(found.parameters[0])


def units_of(name, steps, budget):
    """The units alone."""
    return matched(name, steps, budget)[0]


def build(name, steps, units, rng=0):
    """A stack of the study."""
    return dm.models.get(name, units=units, rng=rng, **_ends(), **shape(name, steps))


def _ends():
    task = copy_task(1)
    return {"inputs": task.inputs, "outputs": task.outputs}


def measure(model, delay, seed, budget, steps, every, batch, lengths, widths):
    """One model, delay and seed: its memory over the steps of training; and what its operations are
    on paper, for ``finish`` to measure."""
    task = copy_task(delay)
    units, parameters = matched(model, task.steps, budget)
    system = build(model, task.steps, units, seed)
    _, history = dm.fit(
        system,
        task,
        steps=steps,
        rng=seed,
        batch=batch,
        learning_rate=RATE,
        evaluate_every=every,
        held_out=128,
        stop=0.05,
        progress=False,
    )
    grid = np.arange(0, steps + 1, every)
    best = np.minimum.accumulate(history.held_out_loss.values)  # the best weights are kept
    places = np.searchsorted(history.step.values, grid, side="right") - 1
    recalled = np.where(places < 0, 0.0, 1 - best[np.maximum(places, 0)] / task.floor)
    accurate = np.where(
        places < 0,
        task.chance,
        np.maximum.accumulate(history.accuracy.values)[np.maximum(places, 0)],
    )
    crossover = [
        float(dm.theory.cost_crossover("lstm", width, projections=True).crossover)
        for width in widths
    ]
    return xr.Dataset(
        {
            "recalled": (
                "step",
                recalled,
                {"units": "1", "long_name": "share of the cue recalled, 1 - loss/floor"},
            ),
            "accuracy": (
                "step",
                accurate,
                {"units": "1", "long_name": "fraction of symbols said right"},
            ),
            "learned": (
                (),
                history.attrs["learned"],
                {"units": "1", "long_name": "whether the delay was learned"},
            ),
            "width": (
                (),
                units,
                {"units": "1", "long_name": "units of a layer, matched in parameters"},
            ),
            "parameters": ((), parameters, {"units": "1", "long_name": "numbers that are trained"}),
            "batch": ((), batch, {"units": "1", "long_name": "sequences of a step of training"}),
            "budget": ((), budget, {"units": "1", "long_name": "parameters asked for"}),
            "operations": (
                "length",
                operations(model, lengths, budget),
                {"units": "1", "long_name": "operations of a pass forward, on paper"},
            ),
            "operations_crossover": (
                "units",
                crossover,
                {
                    "units": "step",
                    "long_name": "length where an LSTM's operations fall below attention's",
                },
            ),
        },
        {
            "step": ("step", grid, {"units": "step", "long_name": "step of training"}),
            "length": ("length", lengths, {"units": "step", "long_name": "length of the sequence"}),
            "units": ("units", widths, {"units": "1", "long_name": "units of one layer"}),
        },
    )


def operations(name, lengths, budget):
    """Operations of the mixers of a stack for each length: of matrix products by theory, of the
    state-space models counted in their rule."""
    found = []
    for length in lengths:
        units = units_of(name, length, budget)
        if name in ("lstm", "attention"):
            found.append(
                2
                * int(dm.theory.layer_cost(name, width=units, lengths=length).product_operations[0])
            )
        elif name == "tcn":
            each = int(
                dm.theory.layer_cost(
                    "convolution", width=units, lengths=length, kernel=KERNEL
                ).product_operations[0]
            )
            found.append(2 * shape(name, length)["layers"] * each)
        else:
            mixer = build(name, length, units).layers[1].mixer
            found.append(
                2 * length * int(dm.analysis.counted_cost(mixer, lengths=2).step_operations)
            )
    return found


class ByLength(torch.nn.Module):
    """A stack for each length, made for it: as deep, or with as long a window, as it needs."""

    def __init__(self, systems):
        super().__init__()
        self.stacks = torch.nn.ModuleDict(
            {str(length): dm.Trainable(system) for length, system in systems.items()}
        )
        self.input_size = next(iter(systems.values())).inputs

    def forward(self, u):
        return self.stacks[str(u.shape[1])](u)


def seconds(names, lengths, budget, *, batch, limit=None, rounds=3):
    """Measured cost of the stacks, each as it is built for the length, on one core."""
    made = {
        str(name): ByLength(
            {int(n): build(name, int(n), units_of(name, int(n), budget)) for n in lengths}
        )
        for name in names
    }
    with torch_threads(1):
        return dm.analysis.measured_cost(
            made,
            lengths=[int(n) for n in lengths],
            batch=batch,
            rounds=rounds,
            clock="processor",
            limit=limit,
        )


def mixer_seconds(
    width, lengths, *, names=MIXERS, batch=1, limit=0.3, rounds=3, threads=1, clock="processor"
):
    """Measured cost of bare mixers of one width."""
    given = {name: {} if name == "lstm" else MODELS[name] for name in names}
    made = {
        name: ByLength(
            {
                int(n): dm.models.get(
                    name, units=width, inputs=width, **(options(int(n)) if options else {})
                )
                for n in lengths
            }
        )
        for name, options in given.items()
    }
    with torch_threads(threads):
        return dm.analysis.measured_cost(
            made,
            lengths=[int(n) for n in lengths],
            batch=batch,
            rounds=rounds,
            clock=clock,
            limit=limit,
        )


def finish(results):
    """Seconds, measured in this one process once all training is done: of a step of training, of a
    pass over the length, and over the width."""
    budget, batch = int(results.budget.max()), int(results.batch.max())
    names, tasks = (
        results.model.values,
        {int(d): copy_task(int(d)).steps for d in results.delay.values},
    )
    step = seconds(names, list(tasks.values()), budget, batch=batch).training_seconds.sel(
        length=list(tasks.values())
    )
    results["step_seconds"] = (
        ("model", "delay"),
        step.values,
        {"units": "s", "long_name": "processor time of a step of training"},
    )
    long = seconds(names, results.length.values, budget, batch=1, limit=1.5)
    for name in ("training_seconds", "training_seconds_error"):
        results[name] = (
            ("model", "length"),
            np.where(long.measured, long[name], np.nan),
            long[name].attrs,
        )
    for name in ("slope", "slope_error"):
        results[name] = ("model", long[name].values, long[name].attrs)
    results["crossover"] = (("model", "versus"), long.crossover.values, long.crossover.attrs)
    results = results.assign_coords(
        versus=("versus", list(names), {"units": "1", "long_name": "the other model"})
    )
    found = [
        mixer_seconds(int(width), results.length.values)
        .crossover.sel(model="attention", versus=list(MIXERS[1:]))
        .values
        for width in results.units.values
    ]
    results["attention_crossover"] = (
        ("units", "mixer"),
        np.array(found),
        {"units": "step", "long_name": "length from which the layer trains faster than attention"},
    )
    results = results.assign_coords(
        mixer=("mixer", list(MIXERS[1:]), {"units": "1", "long_name": "layer"})
    )
    for name in ("operations", "operations_crossover"):  # the same at every point
        keep = {
            dim: 0
            for dim in results[name].dims
            if dim in ("delay", "seed") or (dim == "model" and name != "operations")
        }
        results[name] = results[name].isel(keep, drop=True)
    return results.drop_vars(["budget", "batch"])


def summary(results):
    """Tables: what each model recalls at each delay, what a step costs, and the lengths at which
    they cross."""
    delays, last = results.delay.values, results.isel(step=-1)
    rows = [
        f"recalled 1 - loss/floor after {int(results.step[-1])} steps, mean over seeds (seeds "
        "that learned); milliseconds of a step",
        f"{'model':>10}{'parameters':>12}"
        + "".join(f"{f'delay {d}':>24}" for d in delays)
        + f"{'slope of s over length':>26}",
    ]
    for name in results.model.values:
        at = last.sel(model=name)
        cells = "".join(
            f"{float(at.recalled.sel(delay=d).mean()):10.3f} "
            f"({int(at.learned.sel(delay=d).sum())}) "
            f"{1e3 * float(at.step_seconds.sel(delay=d)):7.1f} ms"
            for d in delays
        )
        spread = f"{int(at.parameters.min())}-{int(at.parameters.max())}"
        rows.append(
            f"{name:>10}{spread:>13}{cells}{float(at.slope):18.2f} +- {float(at.slope_error):.2f}"
        )
    rows.append(
        "length from which a layer trains faster than attention (0: everywhere measured, "
        "inf: nowhere), by units"
    )
    for width in results.units.values:
        at = results.sel(units=width)
        rows.append(
            f"{int(width):>10}"
            + "".join(
                f"   {name} {float(at.attention_crossover.sel(mixer=name)):.0f}"
                for name in at.mixer.values
            )
            + f"   (LSTM by operations {float(at.operations_crossover):.0f})"
        )
    return "\n".join(rows)


STUDY = Study(
    name="cost_frontier",
    question="Which architecture remembers longest for what it costs, and where does each win?",
    grid={"delay": [512, 128, 32, 8], "model": list(MODELS), "seed": [0, 1]},
    settings={
        "budget": 20_000,
        "steps": 400,
        "every": 25,
        "batch": 16,
        "lengths": [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384],
        "widths": [16, 32, 64, 128, 256],
    },
    quick={
        "delay": [6, 2],
        "seed": [0],
        "budget": 3000,
        "steps": 20,
        "every": 10,
        "batch": 8,
        "lengths": [16, 32],
        "widths": [4, 8],
    },
    units={
        "model": ("1", "model"),
        "delay": ("step", "delay of the copy task"),
        "seed": ("1", "seed of weights and sequences"),
    },
    limits={
        "model": list(MODELS),
        "delay": (1, 10_000),
        "seed": (0, None),
        "budget": (500, 10_000_000),
        "steps": (1, 1_000_000),
        "every": (1, 1_000_000),
        "batch": (1, 4096),
    },
    source="Arjovsky, Shah and Bengio (2016), the task; Bai et al. (2018); Orvieto et al. (2023); "
    "Gu et al. (2022); Gu and Dao (2023)",
    measure=measure,
    finish=finish,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
