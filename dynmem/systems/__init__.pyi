from .attractors import (
    FlipFlop as FlipFlop,
    GradedHopfield as GradedHopfield,
    Hopfield as Hopfield,
    LineAttractor as LineAttractor,
    RingAttractor as RingAttractor,
)
from .extended import (
    KuramotoSivashinsky as KuramotoSivashinsky,
    Lorenz96 as Lorenz96,
    MackeyGlass as MackeyGlass,
    RandomRate as RandomRate,
    RandomTanh as RandomTanh,
)
from .flows import (
    Chen as Chen,
    Chua as Chua,
    Duffing as Duffing,
    HyperRoessler as HyperRoessler,
    Lorenz63 as Lorenz63,
    Roessler as Roessler,
    SprottJerk as SprottJerk,
    Thomas as Thomas,
    VanDerPol as VanDerPol,
)
from .hamiltonian import DoublePendulum as DoublePendulum, HenonHeiles as HenonHeiles
from .known import Known as Known
from .maps import (
    Baker as Baker,
    Cat as Cat,
    CoupledLogistic as CoupledLogistic,
    Henon as Henon,
    Ikeda as Ikeda,
    KaplanYorke as KaplanYorke,
    Logistic as Logistic,
    Lozi as Lozi,
    Standard as Standard,
    Tent as Tent,
)
from .nbody import (
    FigureEight as FigureEight,
    HierarchicalTriple as HierarchicalTriple,
    NBody as NBody,
    OuterSolarSystem as OuterSolarSystem,
    Pythagorean as Pythagorean,
    TwoPlanets as TwoPlanets,
    barycentric as barycentric,
    orbit_state as orbit_state,
)
from .neural import (
    CTRNN as CTRNN,
    DoubleFitzHughNagumo as DoubleFitzHughNagumo,
    WongWang as WongWang,
)
from .noise import Impulses as Impulses, Noisy as Noisy
from .planets import (
    Kepler as Kepler,
    RestrictedThreeBody as RestrictedThreeBody,
    Sitnikov as Sitnikov,
)
from .registry import (
    about as about,
    describe as describe,
    get as get,
    known_exponents as known_exponents,
    names as names,
)
from .symplectic import Separable as Separable, Symplectic as Symplectic
from .synapses import (
    BennaFusi as BennaFusi,
    CascadeSynapse as CascadeSynapse,
    LeakySynapse as LeakySynapse,
)
