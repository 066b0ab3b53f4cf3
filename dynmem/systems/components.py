"""Names of the components of a state."""

from __future__ import annotations


def component_names(prefix: str, count: int) -> tuple[str, ...]:
    """Names of numbered components: prefix0, prefix1 ..."""
    return tuple(f"{prefix}{i}" for i in range(count))
