"""Known exponents: every value of the registry is measured, summed, and held to its source."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import kaplan_yorke
from dynmem.systems import Known
from dynmem.systems.registry import table

KNOWN = {name: kind.known for name, kind in table().items() if getattr(kind, "known", None)}
EXACT_SUM = [
    name for name, kind in table().items() if getattr(kind, "exponent_sum", None) is not None
]

# Quick runs: duration, transient, options. Standard errors of a few per cent, mostly compilation.
QUICK = {
    "baker": (2000, 100, {}),
    "cat": (2000, 100, {}),
    "chen": (500, 50, {}),
    "chua": (1000, 100, {"dt": 0.01}),
    "coupled_logistic": (5000, 300, {"exponents": 1}),
    "double_pendulum": (400, 50, {}),
    "duffing": (4000, 200, {}),
    "henon": (20_000, 300, {}),
    "henon_heiles": (6000, 1000, {}),
    "hyper_roessler": (2000, 200, {}),
    "ikeda": (20_000, 300, {}),
    "kaplan_yorke": (3000, 100, {}),
    "kepler": (500, 50, {}),
    "kuramoto_sivashinsky": (400, 100, {"exponents": 6}),
    "line_attractor": (10, 1, {"dt": 0.1}),
    "logistic": (12_000, 300, {}),
    "lorenz63": (1000, 100, {}),
    "lorenz96": (100, 20, {"dt": 0.05, "exponents": 1}),
    "lozi": (20_000, 300, {}),
    "mackey_glass": (2e4, 2e3, {"exponents": 3}),
    "random_tanh": (200, 100, {"exponents": 1}),
    "ring_attractor": (10, 90, {"dt": 0.2, "exponents": 2}),
    "roessler": (2000, 100, {}),
    "sprott_jerk": (2000, 200, {}),
    "standard": (1_000_000, 10_000, {}),
    "tent": (2000, 100, {}),
    "thomas": (4000, 500, {}),
    "van_der_pol": (2000, 200, {}),
}
# Long runs, where the quick one is less exact than the tolerance.
LONG = {
    "chen": (8000, 50, {}),
    "chua": (16_000, 200, {"dt": 0.005}),  # |x| = 1: the error falls as the step squared
    "coupled_logistic": (40_000, 1000, {}),
    "double_pendulum": (20_000, 100, {}),
    "duffing": (80_000, 1000, {}),
    "henon": (400_000, 1000, {}),
    "henon_heiles": (4_000_000, 1000, {}),
    "hyper_roessler": (20_000, 500, {}),
    "ikeda": (400_000, 1000, {}),
    "kuramoto_sivashinsky": (20_000, 500, {"exponents": 12}),
    "lorenz63": (16_000, 100, {}),
    "lorenz96": (2000, 50, {}),
    "lozi": (400_000, 1000, {}),
    "mackey_glass": (4e5, 5e3, {"exponents": 4}),
    "roessler": (20_000, 500, {}),
    "sprott_jerk": (80_000, 500, {}),
    "standard": (20_000_000, 10_000, {}),
    "thomas": (80_000, 1000, {}),
    "van_der_pol": (40_000, 500, {}),
}


def measured(name, duration, transient, options):
    return dm.lyapunov_spectrum(
        dm.systems.get(name), duration=duration, transient=transient, **options
    )


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_known_exponent_is_measured(name):
    """Within the tolerance and three standard errors, which must resolve the leading exponent."""
    known, found = KNOWN[name], measured(name, *QUICK[name])
    values = found.lyapunov.values[: len(known.exponents)]
    errors = found.lyapunov_error.values[: len(known.exponents)]
    assert known.agrees(values, errors), (values, errors)
    resolved = np.maximum(0.3 * np.abs(known.exponents).max(), known.tolerances)
    assert (3.0 * errors <= resolved).all(), errors
    if name in EXACT_SUM and found.sizes["exponent"] == dm.systems.get(name).size:
        exact = dm.systems.get(name).exponent_sum
        assert float(found.lyapunov.sum()) == pytest.approx(exact, abs=1e-3)
        if isinstance(dm.systems.get(name), dm.Map):
            assert abs(float(found.sum_residual)) < 1e-10


@pytest.mark.slow  # seconds to a minute each, for standard errors below the tolerance
@pytest.mark.parametrize("name", sorted(LONG))
def test_known_exponents_to_their_tolerance(name):
    known, found = KNOWN[name], measured(name, *LONG[name])
    values, errors = found.lyapunov.values, found.lyapunov_error.values
    assert known.agrees(values, errors), (values, errors)
    leading = slice(len(known.exponents))
    assert (errors[leading] <= np.maximum(known.tolerances, 0.02)).all(), errors
    neutral = np.abs(values).argmin()
    if isinstance(dm.systems.get(name), dm.Flow):
        assert abs(values[neutral]) < 2e-3 + 3 * errors[neutral]
    if known.dimension and np.isfinite(found.kaplan_yorke_dimension):
        assert float(found.kaplan_yorke_dimension) == pytest.approx(known.dimension, rel=0.03)
    if known.entropy:
        assert float(found.entropy_rate) == pytest.approx(known.entropy, rel=0.03)
    if known.positive:
        assert int((values > 0.01).sum()) == known.positive


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_spectra_are_consistent(name):
    """Attractor data bases break the sum rule in most entries: a whole spectrum must have the exact
    sum, and the Kaplan-Yorke dimension that is published."""
    system, known = dm.systems.get(name), KNOWN[name]
    assert known.source and len(known.exponents) <= system.size
    if len(known.exponents) == system.size:
        if name in EXACT_SUM:
            within = max(1e-9, min(max(known.tolerances), 2e-4))
            assert sum(known.exponents) == pytest.approx(system.exponent_sum, abs=within)
        if known.dimension:
            dimension = kaplan_yorke(np.array(known.exponents))
            assert dimension == pytest.approx(known.dimension, abs=2e-3)


def test_measurements_agree_within_tolerance_and_error():
    known = Known((0.9, 0.0, -14.5), (0.01, 1e-3, 0.1), "a book")
    assert known.agrees([0.905, 5e-4, -14.55]) and not known.agrees([0.905, 5e-3, -14.5])
    assert known.agrees([0.905, 5e-3, -14.5], errors=[0.0, 2e-3, 0.0])
    assert not known.agrees([np.nan, 0.0, -14.5])
    with pytest.raises(ValueError, match="1 exponents were measured, 3"):
        known.agrees([0.9])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((0.1,), 0.01, ""), "source"),
        (((0.0, 0.1), 0.01, "x"), "largest"),
        (((0.1,), (1.0, 2.0), "x"), "2 tolerances for 1"),
    ],
)
def test_bad_entries_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Known(*arguments)
