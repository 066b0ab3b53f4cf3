from .attention import (
    attention_dilution as attention_dilution,
    attention_paths as attention_paths,
    diluted_gradient as diluted_gradient,
    gaussian_dilution as gaussian_dilution,
    hybrid_gradient as hybrid_gradient,
    path_length as path_length,
    softmax_jacobian as softmax_jacobian,
    stochastic_spectrum as stochastic_spectrum,
)
from .brain.bistability import ctrnn_bistability as ctrnn_bistability, wong_wang as wong_wang
from .brain.flip_flop import flip_flop as flip_flop
from .brain.hopfield_network import (
    hopfield as hopfield,
    hopfield_capacity as hopfield_capacity,
    hopfield_first_step as hopfield_first_step,
)
from .brain.line_attractor import line_attractor as line_attractor
from .brain.ring_attractor import (
    ring_bump as ring_bump,
    ring_diffusion as ring_diffusion,
    ring_flat as ring_flat,
)
from .brain.synapses import memory_trace as memory_trace
from .capacity import memory_capacity as memory_capacity, ring_capacity as ring_capacity
from .chaos import (
    kaplan_yorke_map_spectrum as kaplan_yorke_map_spectrum,
    lorenz_onset as lorenz_onset,
    lorenz_rest_spectrum as lorenz_rest_spectrum,
    standard_map_spectrum as standard_map_spectrum,
    toral_spectrum as toral_spectrum,
)
from .conversions import memory_units as memory_units
from .cost import cost_crossover as cost_crossover, layer_cost as layer_cost
from .depth import (
    depth_spectrum as depth_spectrum,
    layer_gradients as layer_gradients,
    residual_growth as residual_growth,
    stream_variance as stream_variance,
    update_bound as update_bound,
)
from .gated_mean_field import gru_spectrum as gru_spectrum, lstm_spectrum as lstm_spectrum
from .gates import (
    chrono_bias as chrono_bias,
    gate_time_scale as gate_time_scale,
    gru_origin as gru_origin,
    gru_origin_spectrum as gru_origin_spectrum,
    lstm_origin as lstm_origin,
    lstm_origin_spectrum as lstm_origin_spectrum,
    zero_weight_gru_spectrum as zero_weight_gru_spectrum,
    zero_weight_lstm_spectrum as zero_weight_lstm_spectrum,
)
from .linear import (
    circular_law_radius as circular_law_radius,
    gaussian_product_spectrum as gaussian_product_spectrum,
    gradient_bounds as gradient_bounds,
    isometry as isometry,
    linear_gradient as linear_gradient,
    linear_spectrum as linear_spectrum,
    power_gradient as power_gradient,
)
from .linear_signal import memory_signal as memory_signal
from .mean_field import (
    critical_gain as critical_gain,
    critical_line as critical_line,
    orthogonal_tanh_gradient as orthogonal_tanh_gradient,
    orthogonal_tanh_spectrum as orthogonal_tanh_spectrum,
    tanh_gradient as tanh_gradient,
    tanh_spectrum as tanh_spectrum,
    time_scale as time_scale,
    unit_tanh_gradient as unit_tanh_gradient,
)
from .planets import (
    kepler_orbit as kepler_orbit,
    lagrange_points as lagrange_points,
    lagrange_spectrum as lagrange_spectrum,
    routh_mass_ratio as routh_mass_ratio,
    sitnikov_period as sitnikov_period,
)
from .predict import gradient_norms as gradient_norms, lyapunov_spectrum as lyapunov_spectrum
from .receptive import receptive_field as receptive_field
from .state_space.delays import hippo_memory as hippo_memory, pade_delay as pade_delay
from .state_space.kernels import (
    precision_budget as precision_budget,
    sampled_spectrum as sampled_spectrum,
    state_space_gradient as state_space_gradient,
    state_space_kernel as state_space_kernel,
    state_space_spectrum as state_space_spectrum,
)
from .state_space.spectra import (
    cornn_bounds as cornn_bounds,
    curse_of_memory as curse_of_memory,
    ring_density as ring_density,
    ring_spectrum as ring_spectrum,
    selective_gradient as selective_gradient,
    selective_spectrum as selective_spectrum,
)
from .tanh_moments import tanh_susceptibility as tanh_susceptibility, tanh_variance as tanh_variance
from .tokens import token_paths as token_paths
