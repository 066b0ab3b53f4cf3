"""Questions to a system, each answered with a Dataset."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "lyapunov": ["kaplan_yorke", "lyapunov_spectrum"],
        "spectra": ["spectral_radius", "spectrum"],
        "gradients": ["gradient_norms"],
        "memory": ["forgetting", "memory_horizon"],
    },
)
