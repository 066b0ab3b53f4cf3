"""Training: a system with trainable arrays, the loop that fits it to a task, forecasts, and
checkpoints that cannot run code."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "trainable": ["Trainable"],
        "fitting": ["fit"],
        "checkpoint": ["save", "load"],
        "array_task": ["Samples"],
        "readout": ["ridge_readout"],
        "forecast": ["Forecaster", "echo", "forcing_interval", "learned_dynamics", "valid_time"],
        "teacher_forcing": ["teach"],
        "dataset_tasks": ["task_of"],
        "corpus_tasks": ["Divided", "next_token", "speech_task", "text_task", "who_spoke"],
    },
)
