"""Look up systems, models, tasks and datasets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """Entries by name, with aliases that are accepted but not listed.

    Parameters
    ----------
    kind : str
        What the entries are, for messages: "model", "task" ...
    entries : mapping, or function that returns one
        The entry of each name. A function is called at each look-up: cache what it computes.
    aliases : mapping, optional
        The listed name of each alias.

    Examples
    --------
    >>> nets = Registry("net", {"tanh": 1, "lstm": 2}, {"rnn": "tanh"})
    >>> nets.names(), nets.find("rnn"), nets.resolve("rnn")
    (['lstm', 'tanh'], 1, 'tanh')
    """

    kind: str
    entries: Mapping[str, T] | Callable[[], Mapping[str, T]]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def table(self) -> Mapping[str, T]:
        """The entry of each listed name."""
        return self.entries() if callable(self.entries) else self.entries

    def names(self) -> list[str]:
        """Listed names, sorted."""
        return sorted(self.table())

    def resolve(self, name: str) -> str:
        """The listed name of a name or alias. Raises UnknownNameError."""
        table = self.table()
        if isinstance(name, str):
            name = self.aliases.get(name, name)
            if name in table:
                return name
        raise UnknownNameError(self.kind, name, table, self.aliases)

    def find(self, name: str) -> T:
        """The entry of a name or alias. Raises UnknownNameError."""
        return self.table()[self.resolve(name)]
