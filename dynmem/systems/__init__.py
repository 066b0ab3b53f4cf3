"""What nature does: dynamical systems by name."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "registry": ["get", "names", "describe", "about", "known_exponents"],
        "known": ["Known"],
        "maps": [
            "Baker",
            "Cat",
            "CoupledLogistic",
            "Henon",
            "Ikeda",
            "KaplanYorke",
            "Logistic",
            "Lozi",
            "Standard",
            "Tent",
        ],
        "flows": [
            "Chen",
            "Chua",
            "DoublePendulum",
            "Duffing",
            "HenonHeiles",
            "HyperRoessler",
            "Lorenz63",
            "Lorenz96",
            "Roessler",
            "SprottJerk",
            "Thomas",
            "VanDerPol",
        ],
        "extended": ["KuramotoSivashinsky", "MackeyGlass", "RandomRate", "RandomTanh"],
        "planets": ["Kepler", "RestrictedThreeBody", "Sitnikov"],
        "nbody": [
            "FigureEight",
            "HierarchicalTriple",
            "NBody",
            "OuterSolarSystem",
            "Pythagorean",
            "TwoPlanets",
            "barycentric",
            "orbit_state",
        ],
        "symplectic": ["Separable", "Symplectic"],
        "neural": ["CTRNN", "DoubleFitzHughNagumo", "WongWang"],
        "attractors": ["FlipFlop", "GradedHopfield", "Hopfield", "LineAttractor", "RingAttractor"],
        "synapses": ["BennaFusi", "CascadeSynapse", "LeakySynapse"],
        "noise": ["Impulses", "Noisy"],
    },
)
