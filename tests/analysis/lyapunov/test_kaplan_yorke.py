"""The Kaplan-Yorke dimension: attractors of a known dimension, then its error."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import kaplan_yorke
from dynmem.errors import ShapeError

pytestmark = pytest.mark.filterwarnings("ignore::dynmem.errors.ShortRunWarning")


class Cycles(dm.Flow):
    """``count`` uncoupled cycles: Hopf's normal form, or van der Pol's equation."""

    count: int = 1
    kind: str = "hopf"

    @property
    def states(self):
        return tuple(f"x{i}" for i in range(2 * self.count))

    def rule(self, x, u):
        rates = []
        for i in range(self.count):
            a, b = x[..., 2 * i], x[..., 2 * i + 1]
            turn = 1.0 + 0.618 * i
            if self.kind == "hopf":
                grow = 1.0 - a * a - b * b
                rates += [grow * a - turn * b, grow * b + turn * a]
            else:
                rates += [b, turn * (1.0 - a * a) * b - a]
        return dm.stack(rates)


@pytest.mark.parametrize("duration", [20, 50, 137, 400])
@pytest.mark.parametrize("kind", ["hopf", "vanderpol"])
@pytest.mark.parametrize("count", [1, 2])
def test_cycles_and_tori_have_the_dimension_of_their_zeros(count, kind, duration):
    found = dm.lyapunov_spectrum(Cycles(count, kind), np.full(2 * count, 0.5), duration=duration)
    assert found.kaplan_yorke_dimension == count
    assert 0 <= found.kaplan_yorke_dimension_error < 0.3


def test_zeros_to_rounding_count_as_zeros():
    assert kaplan_yorke([-2e-16, -1.0]) == 1 and kaplan_yorke([1e-17, -3e-16, -2.0]) == 2
    assert kaplan_yorke([-2e-3, -1.0]) == 0  # without an error it is what it says
    assert kaplan_yorke([-2e-3, -1.0], error=[2e-3, 0.0]) == 1
    assert kaplan_yorke([-2e-3, -1.0], error=[np.inf, 0.0]) == 0
    # behind a positive exponent nothing jumps at 0, and nothing is replaced
    assert kaplan_yorke([1.0, -0.3, -1.0], error=[0.1, 0.2, 0.1]) == pytest.approx(2.7)
    with pytest.raises(ShapeError, match=r"error \(1,\)"):
        kaplan_yorke([0.1, -1.0], error=[0.1])


def test_a_fixed_point_has_dimension_0_without_error():
    found = dm.lyapunov_spectrum(dm.models.Linear(np.diag([0.9, 0.5])), duration=100)
    assert found.kaplan_yorke_dimension == 0 and found.kaplan_yorke_dimension_error == 0


@pytest.mark.slow  # 40 runs and a long one of each system: half a minute
@pytest.mark.parametrize("name", ["lorenz63", "henon", "rossler"])
def test_the_error_of_the_dimension_covers(name):
    system = dm.systems.get(name)
    duration = {"henon": 3000}.get(name, 300)
    truth = dm.lyapunov_spectrum(system, duration=100 * duration, rng=99)
    runs = [dm.lyapunov_spectrum(system, duration=duration, rng=rng) for rng in range(40)]
    off = [
        abs(float(run.kaplan_yorke_dimension - truth.kaplan_yorke_dimension))
        / float(run.kaplan_yorke_dimension_error)
        for run in runs
    ]
    assert 0.5 < np.mean(np.array(off) < 1) <= 0.9 and np.mean(np.array(off) < 2) > 0.85


def test_an_ensemble_has_the_dimensions_of_its_members():
    systems = [dm.systems.get("henon", a=a) for a in (1.2, 1.4)]
    together = dm.lyapunov_spectrum(systems, duration=500)
    for i, system in enumerate(systems):
        alone = dm.lyapunov_spectrum(system, duration=500)
        for name in ("kaplan_yorke_dimension", "kaplan_yorke_dimension_error"):
            assert together[name][i] == pytest.approx(float(alone[name]), rel=1e-6)
