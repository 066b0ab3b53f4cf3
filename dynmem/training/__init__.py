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
        "forecast": [
            "Forecaster",
            "echo_state_forecaster",
            "forcing_interval",
            "learned_dynamics",
            "valid_time",
        ],
        "teacher_forcing": ["fit_forecaster"],
        "dataset_tasks": ["task_of"],
        "corpus_tasks": ["SplitSamples", "next_token", "speech_task", "text_task", "speaker_task"],
    },
)
