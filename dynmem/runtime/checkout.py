"""Find ``dynmem.studies`` and ``dynmem.figures`` in a checkout, where they are next to dynmem;
an installation holds them inside it."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location

# os.path: pathlib would double the time of `import dynmem`
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = {f"dynmem.{name}": os.path.join(ROOT, name) for name in ("studies", "figures")}


class CheckoutFinder:
    """Finder of the two packages, for ``sys.meta_path``."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Specification of one of the two packages; None for any other module."""
        if name not in PACKAGES:
            return None
        file = os.path.join(PACKAGES[name], "__init__.py")
        return spec_from_file_location(
            name, file, submodule_search_locations=[os.path.dirname(file)]
        )


def is_checkout() -> bool:
    """Whether this dynmem is imported from a checkout of its repository."""
    files = ["pyproject.toml", *(os.path.join(path, "__init__.py") for path in PACKAGES.values())]
    return all(os.path.isfile(os.path.join(ROOT, file)) for file in files)


def install() -> None:
    """Put the finder first, in a checkout: another dynmem that is installed has studies, too."""
    if is_checkout() and CheckoutFinder not in sys.meta_path:
        sys.meta_path.insert(0, CheckoutFinder)
