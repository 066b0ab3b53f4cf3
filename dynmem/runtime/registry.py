"""Look up systems, models, tasks and datasets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Generic, TypeVar

from ..errors import UnknownNameError

T = TypeVar("T")
KINDS = {"systems": "system", "models": "model", "tasks": "task", "datasets": "dataset"}
EXAMPLES = {
    "system": "dm.systems.get({!r})",
    "model": "dm.models.get({!r}, units=...)",
    "task": "dm.tasks.get({!r}), whose sample(count) is a Dataset",
    "dataset": "dm.datasets.load({!r})",
}


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
        raise UnknownNameError(self.kind, name, table, self.aliases, self._elsewhere(name))

    def _elsewhere(self, name: Any) -> str:
        """What has the name, where something of another kind does."""
        for plural, kind in KINDS.items() if self.kind in KINDS.values() else ():
            # by name: these packages stand on higher floors
            if kind != self.kind and name in import_module(f"dynmem.{plural}").names():
                return f"it is the name of a {kind}, {EXAMPLES[kind].format(name)}"
        return ""

    def find(self, name: str) -> T:
        """The entry of a name or alias. Raises UnknownNameError."""
        return self.table()[self.resolve(name)]
