from . import (
    analysis as analysis,
    arrays as arrays,
    datasets as datasets,
    errors as errors,
    models as models,
    outcomes as outcomes,
    plotting as plotting,
    scan as scan,
    symbolic as symbolic,
    systems as systems,
    tasks as tasks,
    theory as theory,
    training as training,
    typing as typing,
)
from .analysis import (
    bifurcation as bifurcation,
    covariant_vectors as covariant_vectors,
    cycles as cycles,
    fixed_points as fixed_points,
    gali as gali,
    gradient_norms as gradient_norms,
    gradient_profile as gradient_profile,
    lyapunov_spectrum as lyapunov_spectrum,
    megno as megno,
    memory_horizon as memory_horizon,
    slow_points as slow_points,
    spectral_abscissa as spectral_abscissa,
    spectral_radius as spectral_radius,
    spectrum as spectrum,
)
from .arrays import (
    abs as abs,
    arctan as arctan,
    arctan2 as arctan2,
    cayley as cayley,
    clip as clip,
    concat as concat,
    cos as cos,
    cosh as cosh,
    erf as erf,
    exp as exp,
    floor as floor,
    hypot as hypot,
    log as log,
    log1p as log1p,
    maximum as maximum,
    minimum as minimum,
    relu as relu,
    roll as roll,
    sigmoid as sigmoid,
    sign as sign,
    sin as sin,
    sinh as sinh,
    softmax as softmax,
    softplus as softplus,
    solve as solve,
    split as split,
    sqrt as sqrt,
    stack as stack,
    sum as sum,
    tan as tan,
    tanh as tanh,
    transpose as transpose,
    where as where,
)
from .autodiff.jacobian import (
    cotangent_product as cotangent_product,
    jacobian as jacobian,
    jvp as jvp,
    tangent_product as tangent_product,
    vjp as vjp,
)
from .clock import at_time as at_time, signal as signal
from .comparison import compare as compare
from .contract import check_system as check_system
from .errors import (
    BusyError as BusyError,
    ContractError as ContractError,
    ConvergenceError as ConvergenceError,
    DamageError as DamageError,
    DriftWarning as DriftWarning,
    JumpError as JumpError,
    NotFiniteError as NotFiniteError,
    ShapeError as ShapeError,
    ShortRunWarning as ShortRunWarning,
    SlowWarning as SlowWarning,
    UnknownNameError as UnknownNameError,
)
from .events import event as event
from .linear import LinearSystem as LinearSystem, linearize as linearize
from .orbits import FlowMap as FlowMap, orbit as orbit
from .outcomes import race as race
from .sections.poincare import PoincareMap as PoincareMap
from .sections.stroboscopic import StroboscopicMap as StroboscopicMap
from .study import Study as Study
from .system import Flow as Flow, Map as Map, System as System
from .tables import table as table
from .training import (
    Trainable as Trainable,
    fit as fit,
    learnable_delay as learnable_delay,
    memory_signal as memory_signal,
    predicted_delay as predicted_delay,
)

__version__: str
