"""Everything that is wrong with the options of a dataset, told at once."""

import numpy as np

from ..labels import not_a_seed


def refuse(options, *, wholes=None, reals=None, positive=()):
    """Raise ValueError with a line for each option that cannot be.

    options: all of them by name, rng and the shares train and validation among them where there are
    such; wholes: the least whole number of each; reals: the bounds (least, most) of each number,
    which are finite; those that are ``positive`` are more than 0 besides.

    >>> refuse({"trials": 2, "dt": "soon"}, wholes={"trials": 10}, positive=["dt"])
    Traceback (most recent call last):
    ...
    ValueError: trials = 2: pass a whole number of at least 10
    dt = 'soon': pass a finite number above 0
    """
    wrong = [
        f"{name} = {options[name]!r:.60}: pass a whole number of at least {least}"
        for name, least in (wholes or {}).items()
        if isinstance(options[name], bool)
        or not isinstance(options[name], (int, np.integer))
        or options[name] < least
    ]
    for name, (least, most) in (reals or {}).items():
        if not (
            is_real(options[name]) and np.isfinite(options[name]) and least <= options[name] <= most
        ):
            bounds = (
                f"in [{least}, {most}]"
                if np.isfinite(most)
                else f"of at least {least}"
                if np.isfinite(least)
                else ""
            )
            wrong.append(f"{name} = {options[name]!r:.60}: pass a finite number {bounds}".rstrip())
    wrong += [
        f"{name} = {options[name]!r:.60}: pass a finite number above 0"
        for name in positive
        if not (is_real(options[name]) and np.isfinite(options[name]) and options[name] > 0)
    ]
    wrong += not_shares(options["train"], options["validation"]) if "train" in options else []
    wrong += not_a_seed(options.get("rng", 0))
    if wrong:
        raise ValueError("\n".join(wrong))


def is_real(value):
    """Whether a value is one real number, of Python or of numpy."""
    return (
        np.ndim(value) == 0
        and not isinstance(value, (bool, np.bool_))
        and np.asarray(value).dtype.kind in "iuf"
    )


def not_shares(train, validation):
    """A sentence on shares that leave no test part, a list of one; empty where they do."""
    if (
        is_real(train)
        and is_real(validation)
        and 0 < train < 1
        and 0 < validation < 1
        and train + validation < 1
    ):
        return []
    return [
        f"train = {train!r:.60}, validation = {validation!r:.60}: pass shares above 0 with a "
        "sum below 1, the rest is the test"
    ]
