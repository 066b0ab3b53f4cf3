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
    """No system, model, task, dataset, study or figure has this name; the message brings the one
    probably meant, and the command that lists all."""

    def __init__(self, kind: str, name: str, known, aliases=(), hint: str = ""):
        known = sorted(known)
        meant = suggestion(name, [*known, *aliases]) if isinstance(name, str) else ""
        if not known:
            choices = "there is none"
        elif len(known) <= MAX_NAMES_LISTED:
            choices = f"choose one of {', '.join(known)}"
        else:
            some = known[:: len(known) // 4][:4]
            choices = f"such as {', '.join(some)}"
            if commands := [LISTS[one] for one in kind.split(" or ") if one in LISTS]:
                choices = "" if meant else choices + "; "
                choices += f"{' and '.join(commands)} list{'s' * (len(commands) == 1)} all"
        super().__init__(f"no {kind} is called {name!r:.60}{meant}: {hint or choices}")


MAX_NAMES_LISTED = 8
LISTS = {
    "system": "`dynmem list systems`",
    "model": "`dynmem list models`",
    "task": "`dynmem list tasks`",
    "dataset": "`dynmem list datasets`",
    "study": "`dynmem list studies`",
    "figure": "`dynmem list figures`",
}


class UnknownAttributeError(AttributeError):
    """An object has no attribute of this name; the message brings the one probably meant."""

    def __init__(self, thing: object, name: str):
        # obj: Python would add its own guess to ours
        super().__init__(name, name=name, obj=None)
        self.thing = thing

    def __str__(self) -> str:  # on demand: hasattr(...) asks for many names that are not there
        kind, name = type(self.thing), str(self.args[0])
        known = [one for one in dir(self.thing) if not one.startswith("_")]
        return f"{kind.__name__} has no attribute {name!r}{suggestion(name, known)}" + (
            "" if suggestion(name, known) else f": it has {', '.join(_parameters(self.thing))}"
        )


def _parameters(thing: object) -> list[str]:
    """Parameters of a system, and what everybody asks of it."""
    return [*getattr(thing, "__dataclass_fields__", ()), "rule", "states", "inputs"]


class NotFiniteError(ArithmeticError):
    """A state, a weight or a gradient became NaN or infinite.

    Where a training was lost, ``trained`` and ``history`` are what it had reached before."""

    trained: object = None
    history: object = None


class ContractError(AssertionError):
    """A system breaks the contract that every system passes."""


class ConvergenceError(RuntimeError):
    """An iteration stopped before it reached what was asked."""


class JumpError(ConvergenceError):
    """An orbit reaches a surface at which its velocity or its state jumps, and no tangent passes:
    it slides along the surface, grazes it, or crosses it ever faster."""


class MissingExtraError(ImportError):
    """A package that is not always installed is needed; the message has the command."""


class DamageError(OSError):
    """A file does not match its checksum, or is not one of ours."""


class BusyError(OSError):
    """Another process holds the store."""


class SlowWarning(UserWarning):
    """Something works, but far below the speed it could have."""


class ShortRunWarning(UserWarning):
    """A run ended before what it measures had settled."""


class DriftWarning(UserWarning):
    """A quantity that the system conserves has changed along its orbit: the steps are too long."""
