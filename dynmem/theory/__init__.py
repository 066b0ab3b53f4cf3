"""Answers on paper: each function returns the variables, dims and coordinates of the analysis it predicts."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "linear": ["power_gradient", "linear_gradient", "linear_spectrum", "gradient_bounds", "isometry", "gaussian_product_spectrum",
                   "circular_law_radius"],
        "tanh_moments": ["tanh_variance", "tanh_susceptibility"],
        "mean_field": ["tanh_spectrum", "tanh_gradient", "critical_gain", "critical_line",
                       "orthogonal_tanh_spectrum", "orthogonal_tanh_gradient", "unit_tanh_gradient", "memory_horizon"],
        "gates": ["gate_time_scale", "chrono_bias", "zero_weight_lstm_spectrum", "zero_weight_gru_spectrum", "lstm_origin", "gru_origin",
                  "lstm_origin_spectrum", "gru_origin_spectrum"],
        "gated_mean_field": ["lstm_spectrum", "gru_spectrum"],
        "chaos": ["standard_map_spectrum", "kaplan_yorke_map_spectrum", "toral_spectrum", "lorenz_onset", "lorenz_rest_spectrum"],
        "planets": ["kepler_orbit", "lagrange_points", "lagrange_spectrum", "routh_mass_ratio", "sitnikov_period"],
        "depth": ["depth_spectrum", "layer_gradients", "residual_growth", "stream_variance", "update_bound"],
        "receptive": ["receptive_field"],
        "attention": ["attention_dilution", "attention_paths", "diluted_gradient", "gaussian_dilution", "hybrid_gradient",
                      "path_length", "softmax_jacobian", "stochastic_spectrum"],
        "predict": ["gradient_norms", "lyapunov_spectrum"],
        "brain": ["line_attractor", "ring_flat", "ring_bump", "ring_diffusion", "flip_flop", "wong_wang", "ctrnn_bistability"],
        "state_space.spectra": ["ring_spectrum", "ring_density", "curse_of_memory", "selective_spectrum",
                        "selective_gradient", "cornn_bounds"],
        "state_space.kernels": ["sampled_spectrum", "state_space_spectrum", "state_space_gradient", "state_space_kernel", "precision_budget",
                    "pade_delay", "hippo_memory"],
        "associative": ["hopfield", "hopfield_capacity", "hopfield_first_step"],
        "cost": ["cost_crossover", "layer_cost"],
        "capacity": ["linear_reservoir_capacity", "ring_capacity"],
        "synaptic": ["leaky_synapse", "cascade_synapse", "benna_fusi"],
        "tokens": ["token_paths"],
    },
)
