"""Covariant vectors: analytic first, then Lorenz and Henon."""

import numpy as np
import pytest

import dynmem as dm
from tests.reference import Henon, Lorenz

START = [1.0, 1.0, 20.0]


def linear(rng=0, n=4):
    """A map whose covariant vectors are its eigenvectors."""
    rng = np.random.default_rng(rng)
    V, values = rng.standard_normal((n, n)), np.array([1.5, 1.1, -0.8, 0.4][:n])
    return (
        dm.models.Linear(V @ np.diag(values) @ np.linalg.inv(V)),
        (V / np.linalg.norm(V, axis=0)).T,
        np.log(np.abs(values)),
    )


def test_a_linear_map_has_its_eigenvectors():
    system, expected, exponents = linear()
    found = dm.covariant_vectors(system, np.zeros(4), duration=50, transient=200)
    np.testing.assert_allclose(np.abs(np.vecdot(found.vector.values, expected)), 1.0, atol=1e-12)
    np.testing.assert_allclose(found.lyapunov, exponents, atol=1e-12)
    np.testing.assert_allclose(found.local_growth, np.tile(exponents, (50, 1)), atol=1e-11)
    assert float(found.unsettled.max()) < 1e-7 and float(found.lyapunov_error.max()) < 1e-10
    np.testing.assert_allclose(
        found.angle[0], np.arccos(np.minimum(np.abs(expected @ expected.T), 1.0)), atol=1e-7
    )


def test_the_subspace_angle_of_a_linear_map():
    """Smallest principal angle between the spans of growing and shrinking eigenvectors."""
    from scipy.linalg import subspace_angles

    system, expected, _ = linear()
    found = dm.covariant_vectors(system, np.zeros(4), duration=50, transient=200)
    np.testing.assert_allclose(
        found.subspace_angle, subspace_angles(expected[:2].T, expected[2:].T).min(), atol=1e-7
    )


def test_fewer_vectors_are_the_first_of_all():
    system, expected, exponents = linear()
    found = dm.covariant_vectors(system, np.zeros(4), duration=30, transient=200, exponents=2)
    assert found.vector.shape == (30, 2, 4)
    np.testing.assert_allclose(
        np.abs(np.vecdot(found.vector.values, expected[:2])), 1.0, atol=1e-12
    )
    np.testing.assert_allclose(found.lyapunov, exponents[:2], atol=1e-12)


def test_the_tangent_map_carries_vectors_into_vectors():
    """J v_i(t) is parallel to v_i(t + 1): what covariant means, on an orbit of Henon."""
    henon = Henon()
    found = dm.covariant_vectors(henon, [0.1, 0.1], duration=400, transient=100)
    moved = dm.tangent_product(henon, found.x.values[:-1], found.vector.values[:-1])
    growth = np.linalg.norm(moved, axis=-1)
    np.testing.assert_allclose(
        np.abs(np.vecdot(moved / growth[..., None], found.vector.values[1:])), 1.0, atol=1e-10
    )
    np.testing.assert_allclose(np.log(growth), found.local_growth[:-1], atol=1e-8)
    # the sum holds for volumes, up to the angle at both ends
    np.testing.assert_allclose(found.lyapunov.sum(), np.log(0.3), atol=0.02)


def test_mean_growth_is_the_spectrum_of_henon():
    found = dm.covariant_vectors(Henon(), [0.1, 0.1], duration=20_000, transient=200)
    np.testing.assert_allclose(found.lyapunov, [0.41922, -1.62319], atol=5e-3)  # Sprott (2003)
    # near-tangencies: Henon is not hyperbolic
    assert found.sizes["time"] == 1000 and 0 < float(found.subspace_angle.min()) < 0.1


def test_the_neutral_vector_of_lorenz_is_its_velocity():
    """Growth equals the exponents; angle below 1e-2 at 99.6 % of points (Ginelli et al. 2007, and
    their numbers for Lorenz)."""
    options = {"duration": 300, "transient": 20, "dt": 0.01}  # of one size: one orbit for both
    found = dm.covariant_vectors(Lorenz(), START, **options)
    assert float((found.neutral_angle < 1e-2).mean()) >= 0.996
    np.testing.assert_allclose(found.lyapunov, [0.9056, 0.0, -14.5723], atol=0.04)
    spectrum = dm.lyapunov_spectrum(Lorenz(), START, **options)
    np.testing.assert_allclose(found.lyapunov, spectrum.lyapunov, atol=0.02)
    assert float(found.subspace_angle.min()) > 0.0 and float(found.unsettled.max()) < 1e-4


def test_stride_and_compilation_change_nothing():
    """Vectors do not depend on how often the frame was made orthonormal, nor on the engine."""
    from dynmem.analysis.lyapunov.tangent_orbit import record_blocks, start_orbit

    every = dm.covariant_vectors(Henon(), [0.1, 0.1], duration=60, transient=60)
    third = dm.covariant_vectors(Henon(), [0.1, 0.1], duration=60, transient=60, stride=3)
    np.testing.assert_allclose(
        np.abs(np.vecdot(every.vector.values[::3], third.vector.values)), 1.0, atol=1e-9
    )
    run, *_ = start_orbit(
        Henon(), [0.1, 0.1], None, 0, exponents=None, dt=None, times={"duration": 1e7}
    )
    states, frames, factors = record_blocks(run.stepper, run.x, run.frame, run.drive, 0, 20, 2)
    compiled = next(run.advance_blocks(20, 2))
    for slow, fast in zip((states[:-1], frames[:-1], factors), compiled, strict=True):
        np.testing.assert_allclose(slow, fast, atol=1e-10)


def test_a_driven_network():
    network = dm.models.Tanh.random(5, 1, gain=1.2, rng=0)
    found = dm.covariant_vectors(network, duration=400, transient=200, drive=0.5, rng=3)
    spectrum = dm.lyapunov_spectrum(network, duration=400, transient=200, drive=0.5, rng=3)
    np.testing.assert_allclose(found.lyapunov, spectrum.lyapunov, atol=0.02)
    assert "neutral_angle" not in found


def test_notes_where_no_direction_grows_or_shrinks():
    found = dm.covariant_vectors(dm.models.Linear(np.diag([0.5, 0.2])), duration=20, transient=20)
    assert np.isnan(found.subspace_angle).all() and "growing" in found.attrs["note"]


def test_errors():
    singular = dm.models.Linear(np.diag([0.5, 0.0]))
    with pytest.raises(dm.errors.ConvergenceError, match="pass exponents=k"):
        dm.covariant_vectors(singular, duration=10, transient=5)
    assert dm.covariant_vectors(
        singular, duration=10, transient=5, exponents=1
    ).lyapunov.item() == pytest.approx(np.log(0.5))
    with pytest.raises(MemoryError, match="needs? about .* GB"):
        dm.covariant_vectors(Henon(), [0.0, 0.0], duration=1e9, memory=1.0)
    with pytest.raises(ValueError, match="samples"):
        dm.covariant_vectors(Henon(), [0.0, 0.0], duration=10, samples=0)
    with pytest.raises(ValueError, match="less than one block"):
        dm.covariant_vectors(Henon(), [0.0, 0.0], duration=5, stride=10)
    with pytest.raises(dm.errors.NotFiniteError, match="step"):
        dm.covariant_vectors(Henon(a=3.0), [0.0, 0.0], duration=100)
    with pytest.raises(dm.errors.ShapeError):
        dm.covariant_vectors(Henon(), [[0.0, 0.0]], duration=100)
