"""What nature does: dynamical systems by name."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, submod_attrs={"registry": ["get", "names"], "chaos": ["Henon", "Logistic", "Lorenz63"]}
)
