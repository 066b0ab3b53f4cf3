"""Options of the random initialisations, read from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from ..errors import suggestion

INTERNAL_OPTIONS = ("rng", "layer")  # set by ``models.get``, not by its caller


def random_options(kind: Any) -> dict[str, object]:
    """Options of a model's ``random`` with their defaults, in the order of its signature.

    >>> from dynmem.models import Linear
    >>> random_options(Linear)["leak"]
    1.0
    """
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(kind.random).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in INTERNAL_OPTIONS
    }


def takes(kind: Any, option: str) -> bool:
    """Whether a model's ``random`` has this option; "**" for whether it takes any.

    >>> from dynmem.models import Linear, Mamba
    >>> takes(Linear, "leak"), takes(Linear, "**"), takes(Mamba, "**")
    (True, False, True)
    """
    parameters = inspect.signature(kind.random).parameters
    if option == "**":
        return any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return option in parameters


def check_options(
    name: str, options: Iterable[str], known: Iterable[str], others: Iterable[str] = ()
) -> None:
    """Refuse options that are not known, with the one of them or of ``others`` probably meant."""
    known = list(known)
    for option in options:
        if option not in known:
            raise TypeError(
                f"{name} takes no option {option!r}{suggestion(option, [*known, *others])}: it "
                f"takes {', '.join(sorted(known))}"
            )
