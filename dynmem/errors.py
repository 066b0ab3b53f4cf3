"""Errors that say what was expected, what came, and what to do. Each derives from the built-in error it refines."""


class ShapeError(ValueError):
    """An array does not have the shape that the equation needs."""


class UnknownNameError(LookupError):
    """No system, model, task, study or figure has this name."""

    def __init__(self, kind: str, name: str, known):
        choice = f"choose one of {', '.join(sorted(known))}" if known else "there is none"
        super().__init__(f"no {kind} is called {name!r}: {choice}")


class NotFiniteError(ArithmeticError):
    """A state, a weight or a gradient became NaN or infinite."""


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
