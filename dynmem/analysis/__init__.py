"""Questions to a system, each answered with a Dataset."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "lyapunov.lyapunov_spectrum": ["kaplan_yorke", "lyapunov_spectrum"],
        "stability.spectrum": ["spectral_radius", "spectrum"],
        "gradients.token_paths": ["token_paths"],
        "gradients.gradient_norms": ["gradient_norms"],
        "gradients.attention_paths": ["attention_dilution", "attention_paths", "path_length"],
        "gradients.receptive_field": ["receptive_field"],
        "gradients.gradient_profile": ["gradient_profile"],
        "memory.memory_capacity": ["linear_capacity", "memory_capacity"],
        "gradients.kernel_tail": ["kernel_tail"],
        "cost.counted_cost": ["counted_cost", "match"],
        "cost.measured_cost": ["measured_cost"],
        "gradients.depth": ["depth_spectrum", "layer_gradients", "stream_variance"],
        "lyapunov.gali_megno": ["gali", "megno"],
        "gradients.memory_horizon": ["forgetting", "memory_horizon"],
        "lyapunov.covariant_vectors": ["covariant_vectors"],
        "lyapunov.finite_time_exponents": ["finite_time_exponents"],
        "stability.fixed_points": ["fixed_points"],
        "bifurcations.bifurcation": ["bifurcation", "parameter_map"],
        "bifurcations.period_doublings": ["period_doublings"],
        "lyapunov.conditional_exponents": ["conditional_exponents", "echo_state"],
        "series.zero_one_test": ["zero_one_test"],
        "series.series_exponent": ["series_exponent"],
        "memory.recall": ["memory_lifetime", "memory_trace", "noisy_recall", "retrieved_overlap"],
    },
)
