"""dynmem: sequence models as dynamical systems, and how long their memory lasts."""

import lazy_loader as lazy

from .runtime.checkout import install as _find_studies_of_checkout

__version__ = "0.1.0"

_find_studies_of_checkout()
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
__all__ += ["__version__"]
