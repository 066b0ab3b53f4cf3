"""Shared by the studies of recurrent networks: models by name, copy task, training, waiting.

Every model is trained alike (Adam, gradients clipped at 1, the same steps and sequences), so that
only architecture and initialisation differ. The learning rate differs too: 1e-2 for gated networks,
3e-3 for plain ones, whose one matrix acts at every step (the orthogonal network reaches 0.09 of the
floor at delay 80 with the larger rate and 0.001 with the smaller).
"""

from dataclasses import replace

import numpy as np
import xarray as xr

import dynmem as dm

MODELS = {
    "tanh": ("tanh", {"init": "uniform"}),
    "tanh_orthogonal": ("tanh", {"init": "orthogonal"}),
    "orthogonal": ("orthogonal", {"nonlinearity": "modrelu"}),
    "lstm": ("lstm", {"init": "uniform", "forget_bias": 1.0}),
    "lstm_chrono": ("lstm", {"init": "uniform", "chrono": None}),
    "gru": ("gru", {"init": "uniform"}),
}
DESCRIPTIONS = {
    "tanh": "tanh, torch's initialisation",
    "tanh_orthogonal": "tanh, orthogonal start",
    "orthogonal": "orthogonal by constraint, modReLU",
    "lstm": "LSTM, forget bias 1",
    "lstm_chrono": "LSTM, chrono bias up to the task's length",
    "gru": "GRU, torch's initialisation",
}
# units, limits and source of a study of these models on the copy task
COPY_UNITS: dict[str, str | tuple[str, str]] = {
    "model": ("1", "model"),
    "delay": ("step", "delay of the copy task"),
    "seed": ("1", "seed"),
}
COPY_LIMITS = {
    "delay": (1, 10_000),
    "seed": (0, None),
    "units": (2, 1024),
    "steps": (1, 1_000_000),
}
MODELS_SOURCE = "models: " + "; ".join(f"{name}: {text}" for name, text in DESCRIPTIONS.items())
TRAINING = {"batch": 64, "clip": 1.0, "validation_size": 256, "evaluate_every": 100, "stop": 0.05}
GATED_RATES = {dm.models.LSTM: 1e-2, dm.models.GRU: 1e-2}
PLAIN_RATE = 3e-3


def copy_task(delay):
    """Copy of two symbols out of four after ``delay`` steps, scored where they are recalled: floor
    ln 4."""
    return dm.tasks.get("copy", delay=delay, symbols=4, length=2, scored="recalled")


def build(name, task, units, rng):
    """A model of the studies at initialisation."""
    kind, options = MODELS[name]
    if "chrono" in options:
        options = options | {"chrono": max(3.0, float(task.steps))}
    return dm.models.get(
        kind, units=units, inputs=task.inputs, outputs=task.outputs, rng=rng, **options
    )


def train(system, task, *, steps, rng):
    """Trained system and history, with the settings that all studies share."""
    rate = GATED_RATES.get(type(system.layers[0]), PLAIN_RATE)
    return dm.fit(
        system, task, steps=steps, rng=rng, learning_rate=rate, progress=False, **TRAINING
    )


def waiting(task):
    """The input of a task between cue and recall: the blank symbol at every step, as a drive."""
    blank = np.zeros(task.inputs)
    blank[task.symbols] = 1.0
    return lambda rng, steps: np.broadcast_to(blank, (steps, task.inputs))


def waiting_spectrum(system, task, *, rng, duration=1000, exponents=4):
    """Lyapunov spectrum while the network waits, from the state after a sequence has been read."""
    return dm.lyapunov_spectrum(
        system,
        read_state(system, task, rng),
        duration=duration,
        transient=round(0.2 * duration),
        exponents=exponents,
        drive=waiting(task),
        rng=rng,
    )


def waiting_exponent(system, task, *, rng):
    """The first exponent while the network waits."""
    return float(waiting_spectrum(system, task, rng=rng, exponents=1).lyapunov.values[0])


def waiting_gradients(system, task, *, rng, lags):
    """Spectral norm of d x_lag / d x_0 over the steps after the symbols were read: the gradient in
    the best remembered direction."""
    start = read_state(system, task, rng)
    return dm.gradient_norms(
        system,
        drive=waiting(task),
        x0=start,
        lags=lags,
        transient=0,
        anchor="start",
        norm="spectral",
        rng=rng,
    )


def predicted_spectrum(system, task, *, rng):
    """Theory for the network while it waits: the input of the blank symbol is added to the bias."""
    cell, blank = system.layers[0], waiting(task)(None, 1)[0]
    # the b of modReLU is a threshold, not a field; under a field an isometry remains one
    if not isinstance(cell, dm.models.Orthogonal):
        cell = replace(cell, b=cell.b + cell.V @ blank)
    return dm.theory.lyapunov_spectrum(cell, rng=rng)


def read_state(system, task, rng):
    """State after the symbols of one sequence, from rest."""
    inputs = task.encode(task.arrays(1, np.random.default_rng(rng))[0])[0, : task.length]
    state = np.zeros(system.size)
    for u in inputs:
        state = system.rule(state, u)
    return state


def single(**entries):
    """Dataset of numbers: name -> (value, units, long name)."""
    return xr.Dataset(
        {
            name: ((), value, {"units": units, "long_name": text})
            for name, (value, units, text) in entries.items()
        }
    )


def learnable_delay(learned):
    """Longest delay up to which every shorter one was learned too, over the dim ``delay``; 0 where
    the shortest was not."""
    solved = learned.sortby("delay").cumprod("delay").astype(bool)
    found = (solved * solved.delay).max("delay")
    return found.assign_attrs(units="step", long_name="longest learnable delay")
