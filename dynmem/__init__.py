"""dynmem: sequence models as dynamical systems, and how long their memory lasts."""

import lazy_loader as lazy

__version__ = "0.1.0"

_ARRAYS = ["tanh", "sigmoid", "exp", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "arctan", "erf", "abs", "sign", "relu", "where",
           "maximum", "minimum", "stack", "concat", "sum", "split", "roll", "softmax", "softplus", "transpose", "solve", "cayley"]

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["analysis", "arrays", "datasets", "errors", "models", "plotting", "scan", "symbolic", "systems", "tasks", "theory", "training"],
    submod_attrs={
        "arrays": _ARRAYS,
        "system": ["System", "Map", "Flow"],
        "errors": ["ShapeError", "UnknownNameError", "NotFiniteError", "ConvergenceError", "DamageError", "BusyError", "ContractError",
                   "ShortRunWarning"],
        "autodiff.jacobian": ["jacobian", "tangent_product", "cotangent_product"],
        "orbits": ["FlowMap", "orbit"],
        "linear": ["LinearSystem", "linearize"],
        "contract": ["check_system"],
        "analysis": ["spectral_radius", "spectrum", "lyapunov_spectrum", "covariant_vectors", "fixed_points", "bifurcation", "gradient_norms",
                     "gradient_profile", "memory_horizon", "gali", "megno"],
        "training": ["Trainable", "fit"],
        "study": ["Study"],
        "comparison": ["compare"],
    },
)
__all__ += ["__version__"]
