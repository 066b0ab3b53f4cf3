"""What the functions of training are given: a model or its name, a seed, numbers; and one error for
all that cannot be."""

import numpy as np

from .. import models


def as_model(model, inputs, outputs, units, rng):
    """The model itself, or the one of this name with the widths that are asked."""
    return (
        models.get(model, units=units, inputs=inputs, outputs=outputs, rng=rng)
        if isinstance(model, str)
        else model
    )


def generator(rng):
    """A Generator from itself or from a seed; ValueError says what a seed is."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ValueError(
            f"rng = {rng!r:.60}: pass a seed, a whole number of at least 0, or a numpy Generator"
        ) from None


def positive(options, *names, least=None):
    """Sentences on the options that are not finite numbers above 0, or below ``least``."""
    for name in names:
        value = options[name]
        known = (
            isinstance(value, (int, float, np.integer, np.floating))
            and not isinstance(value, bool)
            and np.isfinite(value)
        )
        if not known or not (value > 0 if least is None else value >= least):
            yield (
                f"{name} = {value!r:.60}: must be a "
                f"{'positive number' if least is None else f'number of at least {least}'}"
            )


def refuse(problems):
    """One error for all that is wrong."""
    if problems := list(problems):
        raise ValueError("\n".join(problems))
