"""dynmem: sequence models as dynamical systems, and how long their memory lasts."""

from .runtime.checkout import install as _find_studies_of_checkout
from .runtime.lazy import attach as _attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _attach(__name__, __file__)
_find_studies_of_checkout()
__all__ += ["__version__"]
