"""Questions to a system, each answered with a Dataset."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "lyapunov": ["kaplan_yorke", "lyapunov_spectrum"],
        "spectra": ["spectral_radius", "spectrum"],
        "tokens": ["token_paths"],
        "gradients": ["gradient_norms"],
        "attention": ["attention_dilution", "attention_paths", "path_length"],
        "receptive": ["receptive_field"],
        "profile": ["gradient_profile"],
        "capacity": ["linear_capacity", "memory_capacity"],
        "tail": ["kernel_tail"],
        "cost": ["counted_cost", "match"],
        "timing": ["measured_cost"],
        "depth": ["depth_spectrum", "layer_gradients", "stream_variance"],
        "indicators": ["gali", "megno"],
        "memory": ["forgetting", "memory_horizon"],
        "covariant": ["covariant_vectors"],
        "finite_time": ["finite_time_exponents"],
        "cycles": ["fixed_points"],
        "diagram": ["bifurcation", "parameter_map"],
        "doubling": ["period_doublings"],
        "conditional": ["conditional_exponents", "echo_state"],
        "zero_one": ["zero_one_test"],
        "series": ["series_exponent"],
        "recall": ["memory_lifetime", "memory_trace", "noisy_recall", "retrieved_overlap"],
    },
)
