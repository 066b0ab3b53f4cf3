from .bifurcations.bifurcation import bifurcation as bifurcation, parameter_map as parameter_map
from .bifurcations.period_doublings import period_doublings as period_doublings
from .cost.counted_cost import counted_cost as counted_cost, match as match
from .cost.measured_cost import measured_cost as measured_cost
from .gradients.attention_paths import (
    attention_dilution as attention_dilution,
    attention_paths as attention_paths,
)
from .gradients.depth import (
    depth_spectrum as depth_spectrum,
    layer_gradients as layer_gradients,
    stream_variance as stream_variance,
)
from .gradients.gradient_norms import gradient_norms as gradient_norms
from .gradients.gradient_profile import gradient_profile as gradient_profile
from .gradients.kernel_tail import kernel_tail as kernel_tail
from .gradients.memory_horizon import forgetting as forgetting, memory_horizon as memory_horizon
from .gradients.path_length import path_length as path_length
from .gradients.receptive_field import receptive_field as receptive_field
from .gradients.token_paths import token_paths as token_paths
from .lyapunov.conditional_exponents import (
    conditional_exponents as conditional_exponents,
    echo_state as echo_state,
)
from .lyapunov.covariant_vectors import covariant_vectors as covariant_vectors
from .lyapunov.finite_time_exponents import finite_time_exponents as finite_time_exponents
from .lyapunov.gali_megno import gali as gali, megno as megno
from .lyapunov.kaplan_yorke import kaplan_yorke as kaplan_yorke
from .lyapunov.lyapunov_spectrum import lyapunov_spectrum as lyapunov_spectrum
from .memory.memory_capacity import (
    linear_capacity as linear_capacity,
    memory_capacity as memory_capacity,
)
from .memory.recall import (
    memory_lifetime as memory_lifetime,
    memory_trace as memory_trace,
    noisy_recall as noisy_recall,
    retrieved_overlap as retrieved_overlap,
)
from .series.series_exponent import series_exponent as series_exponent
from .series.zero_one_test import zero_one_test as zero_one_test
from .stability.cycles import cycles as cycles
from .stability.fixed_points import fixed_points as fixed_points
from .stability.slow_points import slow_points as slow_points
from .stability.spectrum import (
    spectral_abscissa as spectral_abscissa,
    spectral_radius as spectral_radius,
    spectrum as spectrum,
)
