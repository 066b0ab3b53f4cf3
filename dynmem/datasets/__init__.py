"""Data as labelled arrays that explain themselves: chaotic orbits, planets, neural memories, by
name; kept without loss, read back unchanged."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "registry": ["load", "names", "options", "about"],
        "store": ["open", "save", "write"],
        "description": ["describe"],
        "splits": ["part"],
    },
)
