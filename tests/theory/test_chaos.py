"""Exponents in closed form against measurements: maps at strong kicks, exact spectra, Lorenz at
rest and at its onset."""

import numpy as np
import pytest

import dynmem as dm


def test_standard_map_at_strong_kicks():
    """ln(K/2): Chirikov (1979)."""
    found = dm.lyapunov_spectrum(dm.systems.get("standard", kick=20.0), duration=200_000)
    np.testing.assert_allclose(
        found.lyapunov, dm.theory.standard_map_spectrum(20.0).lyapunov, atol=0.02
    )


def test_exact_maps():
    """Kaplan and Yorke (1979); Arnold and Avez (1968)."""
    theory = dm.theory.kaplan_yorke_map_spectrum(0.3)
    found = dm.lyapunov_spectrum(
        dm.systems.get("kaplan_yorke", contraction=0.3), duration=1_000_000
    )
    np.testing.assert_allclose(found.lyapunov, theory.lyapunov, atol=1e-6)
    assert float(found.kaplan_yorke_dimension) == pytest.approx(
        float(theory.kaplan_yorke_dimension), abs=1e-5
    )
    cat = dm.lyapunov_spectrum(dm.systems.get("cat"), duration=1000)
    np.testing.assert_allclose(
        cat.lyapunov, dm.theory.toral_spectrum([[2, 1], [1, 1]]).lyapunov, atol=1e-9
    )


@pytest.mark.parametrize("rho", [0.5, 10.0, 20.0])
def test_lorenz_at_rest(rho):
    """Eigenvalues at the stable fixed point: Lorenz (1963); rho = 20: -0.1547918."""
    found = dm.lyapunov_spectrum(dm.systems.get("lorenz63", rho=rho), duration=600, transient=200)
    np.testing.assert_allclose(
        found.lyapunov[0], dm.theory.lorenz_rest_spectrum(rho=rho).lyapunov[0], atol=1e-4
    )
    # 5e-6 an exponent
    np.testing.assert_allclose(
        found.lyapunov.sum(), dm.theory.lorenz_rest_spectrum(rho=rho).lyapunov.sum(), atol=1.5e-5
    )


def test_lorenz_onset():
    assert dm.theory.lorenz_onset() == pytest.approx(470 / 19, abs=1e-12)
    below, above = (
        dm.jacobian(lorenz, rest(lorenz))
        for lorenz in (dm.systems.get("lorenz63", rho=24.7), dm.systems.get("lorenz63", rho=24.8))
    )
    assert np.linalg.eigvals(below).real.max() < 0 < np.linalg.eigvals(above).real.max()
    with pytest.raises(ValueError, match="rho = 28.0"):
        dm.theory.lorenz_rest_spectrum(rho=28.0)
    assert dm.theory.lorenz_onset(2.0, 2.0) == np.inf


def rest(lorenz):
    q = np.sqrt(lorenz.beta * (lorenz.rho - 1))
    return np.array([q, q, lorenz.rho - 1])


def test_bad_parameters():
    with pytest.raises(ValueError, match="kick = -1.0"):
        dm.theory.standard_map_spectrum(-1.0)
    with pytest.raises(ValueError, match="contraction = 2.0"):
        dm.theory.kaplan_yorke_map_spectrum(2.0)
