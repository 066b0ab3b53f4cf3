"""Errors that report what was expected, what came and what to do; each refines a built-in error."""


def suggestion(name, known) -> str:
    """The known name that was probably meant, or several as alike, as a question; empty for none.

    >>> suggestion("LSTM", ["lstm", "gru"]), suggestion("rnn", ["lstm", "gru"])
    (' (did you mean lstm?)', '')
    >>> suggestion("lorenz", ["henon", "lorenz63", "lorenz96"])
    ' (did you mean lorenz63 or lorenz96?)'
    """
    import difflib  # only where something went wrong

    likeness = {
        str(one): difflib.SequenceMatcher(None, str(one).lower(), str(name).lower()).ratio()
        for one in known
    }
    best = max(likeness.values(), default=0.0)
    close = sorted(one for one, value in likeness.items() if value == best)
    return f" (did you mean {' or '.join(close)}?)" if best >= 0.6 else ""


class ShapeError(ValueError):
    """An array does not have the shape that the equation needs."""


class UnknownNameError(LookupError):
    """No system, model, task, dataset, study or figure has this name; the message lists those there
    are, and the one probably meant."""

    def __init__(self, kind: str, name: str, known, aliases=()):
        choice = (
            f"choose one of {', '.join(sorted(known))}{suggestion(name, [*known, *aliases])}"
            if known
            else "there is none"
        )
        super().__init__(f"no {kind} is called {name!r}: {choice}")


class NotFiniteError(ArithmeticError):
    """A state, a weight or a gradient became NaN or infinite.

    Where a training was lost, ``trained`` and ``history`` are what it had reached before."""

    trained: object = None
    history: object = None


class ContractError(AssertionError):
    """A system breaks the contract that every system passes."""


class ConvergenceError(RuntimeError):
    """An iteration stopped before it reached what was asked."""


class DamageError(OSError):
    """A file does not match its checksum, or is not one of ours."""


class BusyError(OSError):
    """Another process holds the store."""


class SlowWarning(UserWarning):
    """Something works, but far below the speed it could have."""


class ShortRunWarning(UserWarning):
    """A run ended before what it measures had settled."""
