"""Spectra against scipy, closed forms of small matrices, and the inequalities that every matrix
obeys."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings, strategies as st

import dynmem as dm
from dynmem.analysis.stability.spectrum import kreiss_constant
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import LSTM, Linear, Orthogonal, Tanh
from tests.reference import Lorenz, Lorenz96, Pendulum


def matrix(n, seed, *, radius=0.9, shear=2.0):
    """A random matrix far from normal, of the given spectral radius."""
    A = (
        np.random.default_rng(seed).standard_normal((n, n)) / np.sqrt(n)
        + shear * np.triu(np.ones((n, n)), 1) / n
    )
    return A * radius / np.abs(np.linalg.eigvals(A)).max()


def eigenvalues(result):
    return result.eigenvalue_real.values + 1j * result.eigenvalue_imag.values


def test_known_spectra():
    assert dm.spectral_radius(np.diag([0.5, -0.9])) == 0.9 and dm.spectral_radius(
        np.array([[0.0, 2.0], [-2.0, 0.0]])
    ) == pytest.approx(2.0)
    assert dm.spectral_radius(Orthogonal.random(5, rng=0)) == pytest.approx(1.0, abs=1e-12)
    assert dm.spectral_radius(Linear(np.eye(3) * 0.7)) == pytest.approx(0.7)
    assert dm.spectral_radius(dm.LinearSystem(np.diag([-3.0, 1.0]), dt=1.0)) == 3.0
    assert dm.spectral_abscissa(dm.LinearSystem(np.diag([-3.0, 1.0]))) == 1.0
    assert dm.spectral_abscissa(np.array([[-1.0, 2.0], [-2.0, -1.0]])) == pytest.approx(-1.0)
    jordan = dm.spectrum(np.array([[0.5, 10.0], [0.0, 0.5]]))
    assert jordan.departure_from_normality == pytest.approx(10.0) and jordan.power_norm[0] == 1
    np.testing.assert_allclose(
        jordan.singular_value, scipy.linalg.svdvals([[0.5, 10.0], [0.0, 0.5]])
    )


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_against_scipy(n):
    A = matrix(n, 3)
    result = dm.spectrum(A, lags=12)
    np.testing.assert_allclose(
        np.sort_complex(eigenvalues(result)),
        np.sort_complex(scipy.linalg.eigvals(A)),
        atol=1e-8,
    )
    assert (np.diff(np.abs(eigenvalues(result))) < 1e-12).all()
    np.testing.assert_allclose(result.singular_value, scipy.linalg.svdvals(A), atol=1e-12)
    powers = [np.linalg.norm(np.linalg.matrix_power(A, j), 2) for j in range(13)]
    np.testing.assert_allclose(result.power_norm, powers, rtol=1e-10)
    assert result.transient_growth == pytest.approx(
        max(powers)
    ) and result.spectral_norm == pytest.approx(powers[1])
    T = scipy.linalg.schur(A, output="complex")[0]
    assert result.departure_from_normality == pytest.approx(np.linalg.norm(np.triu(T, 1)), abs=1e-6)


def test_spectrum_at_a_point():
    cell, x = Tanh.random(5, rng=0, gain=1.5), np.linspace(-1, 1, 5)
    np.testing.assert_allclose(
        dm.spectrum(cell, x).singular_value, scipy.linalg.svdvals(dm.jacobian(cell, x))
    )
    lorenz = Lorenz(rho=20.0)
    c = np.sqrt(lorenz.beta * 19)
    for slowest in (
        dm.spectral_abscissa(lorenz, [c, c, 19.0]),
        dm.spectrum(lorenz, [c, c, 19.0], lags=5).spectral_abscissa,
    ):
        assert slowest == pytest.approx(-0.1547918, abs=1e-6)
    assert dm.spectral_radius(LSTM.zeros(2), np.zeros(4)) == 0.5
    decay = dm.spectrum(dm.LinearSystem(np.diag([-0.5, -2.0])), lags=4)
    np.testing.assert_allclose(decay.power_norm, np.exp(-0.5 * np.arange(5)))
    assert decay.eigenvalue_real.attrs["units"] == "1/time unit"
    assert decay.kreiss_constant == pytest.approx(1.0)
    assert dm.spectrum(Pendulum(), [0.0, 0.0], lags=3).kreiss_constant > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_normal_matrices(seed):
    """Symmetric, orthogonal, circulant: no departure, Kreiss constant 1, no transient growth."""
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((8, 8))
    symmetric = 0.9 * (S + S.T) / np.abs(np.linalg.eigvalsh(S + S.T)).max()
    circulant = scipy.linalg.circulant(rng.standard_normal(8))
    circulant *= 0.8 / np.abs(np.linalg.eigvals(circulant)).max()
    for A in (symmetric, circulant, 0.99 * Orthogonal.random(8, rng=seed).W):
        result = dm.spectrum(A)
        assert result.departure_from_normality == pytest.approx(0.0, abs=1e-6)
        assert result.kreiss_constant == pytest.approx(
            1.0, abs=1e-6
        ) and result.transient_growth == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.floats(0.0, 20.0), st.floats(0.1, 0.99), st.integers(0, 10_000))
def test_kreiss_matrix_theorem(n, shear, radius, seed):
    """K <= max |A^k| <= e n K (Kreiss 1962; Spijker 1991), and the same for exp(A t)."""
    A = matrix(n, seed, radius=radius, shear=shear)
    K = kreiss_constant(A)
    powers = dm.spectrum(A, lags=400).transient_growth.item()
    assert powers * (1 + 1e-6) >= K and powers <= np.e * n * K * (1 + 1e-6)
    continuous, times = A - 1.2 * radius * np.eye(n), np.linspace(0, 20 / radius, 200)
    step, power, largest = scipy.linalg.expm(continuous * times[1]), np.eye(n), 1.0
    for _ in times:
        power = step @ power
        largest = max(largest, np.linalg.norm(power, 2))
    K = kreiss_constant(continuous, continuous=True)
    assert largest * (1 + 1e-2) >= K and largest <= np.e * n * K * (1 + 1e-6)


def test_kreiss_constant_of_a_jordan_block():
    """Against a search by brute force, real and complex, and turned by a phase: the supremum lies
    in that direction."""
    A = np.array([[0.6, 5.0], [0.0, 0.6]])
    r = 1.0 + np.geomspace(1e-3, 30, 4000)
    expected = max((z - 1) * np.linalg.norm(np.linalg.inv(z * np.eye(2) - A), 2) for z in r)
    assert kreiss_constant(A) == pytest.approx(expected, rel=1e-4)
    for phase in (-2.0, 1.0, 3.1):
        assert kreiss_constant(np.exp(1j * phase) * A) == pytest.approx(expected, rel=1e-4)
    rotation = np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]])
    pair = np.kron(np.array([[0.6, 5.0], [0.0, 0.6]]), rotation)  # a turned block and its conjugate
    pair[:2, :2], pair[2:, 2:], pair[:2, 2:] = 0.6 * rotation, 0.6 * rotation, 5.0 * rotation
    assert kreiss_constant(pair) == pytest.approx(expected, rel=1e-4)
    assert (
        kreiss_constant(np.diag([1.1, 0.2])) == np.inf
        and kreiss_constant(np.eye(1), continuous=True) == np.inf
    )


def test_kreiss_constant_of_many_modes():
    """More modes than directions searched: the slowest lead, wherever they lie."""
    blocks = [0.3 * np.exp(1j * angle) for angle in np.linspace(-3, 3, 100)]
    A = np.diag(np.array([*blocks, 0.8 * np.exp(2.5j), 0.8 * np.exp(2.5j)]))
    A[-2, -1] = 5.0
    expected = kreiss_constant(A[-2:, -2:])
    assert kreiss_constant(A) == pytest.approx(expected, rel=1e-6)


def test_what_has_no_spectrum():
    for wrong in (np.ones((2, 3)), np.ones(3), np.ones((2, 2, 2))):
        with pytest.raises(ShapeError, match=r"must be square|must be a matrix"):
            dm.spectral_radius(wrong)
        with pytest.raises(ShapeError, match=r"must be square|must be a matrix"):
            dm.spectrum(wrong)
    with pytest.raises(NotFiniteError, match="NaN"):
        dm.spectrum(np.full((2, 2), np.nan))
    with pytest.raises(ShapeError, match="names no states: pass x"):
        dm.spectrum(Lorenz96())
    with pytest.raises(ShapeError, match="Lorenz has 3 states"):
        dm.spectral_abscissa(Lorenz(), np.zeros(4))
    for wrong, call, advice in (
        (Lorenz(), dm.spectral_radius, "use dm.spectral_abscissa"),
        (dm.LinearSystem(np.eye(2)), dm.spectral_radius, "use dm.spectral_abscissa"),
        (Linear(np.eye(2)), dm.spectral_abscissa, "use dm.spectral_radius"),
    ):
        with pytest.raises(TypeError, match=f"{type(wrong).__name__} is .*{advice}"):
            call(wrong)
    with pytest.raises(TypeError, match="a matrix was given: leave them out"):
        dm.spectral_radius(np.eye(2), np.zeros(2))
    for lags in (-1, 2.5):
        with pytest.raises(ValueError, match="lags"):
            dm.spectrum(np.eye(2), lags=lags)
    growing = dm.spectrum(np.diag([1e200, 1.0]), lags=5)
    assert growing.transient_growth == np.inf and growing.kreiss_constant == np.inf


def test_eigenvalues_fit_into_netcdf(tmp_path):
    """Plain numbers: any reader of netCDF-4 opens them."""
    import xarray as xr

    result = dm.spectrum(np.array([[0.0, 0.9], [-0.9, 0.0]]), lags=3)
    result.to_netcdf(tmp_path / "spectrum.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "spectrum.nc", engine="h5netcdf") as stored:
        assert stored.load().identical(result)
    np.testing.assert_allclose(np.abs(result.eigenvalue_imag), 0.9)


@pytest.mark.parametrize("rate", [1.0, 30.0, 3e3])
@pytest.mark.parametrize("coupling", [2.0, 40.0, 1e3])
def test_a_fast_flow_grows_between_whole_units_of_time(rate, coupling):
    """|exp(A t)| over all t, by a fine grid; at least the Kreiss constant, at most e n times it."""
    A = rate * np.array([[-1.0, coupling], [0.0, -2.0]])
    found = dm.spectrum(dm.linear.LinearSystem(A), lags=20)
    t = np.linspace(0.0, 5.0 / rate, 4001)
    decay = np.exp(-rate * np.outer(t, [1.0, 2.0]))
    steps = np.zeros((t.size, 2, 2))  # the exponential of a triangle, in closed form
    steps[:, 0, 0], steps[:, 1, 1] = decay.T
    steps[:, 0, 1] = coupling * (decay[:, 0] - decay[:, 1])
    expected = np.linalg.norm(steps, 2, axis=(1, 2)).max()
    assert found.transient_growth == pytest.approx(expected, rel=1e-5)
    assert found.kreiss_constant * (1 - 1e-6) <= found.transient_growth
    assert found.transient_growth <= np.e * 2 * found.kreiss_constant


def test_the_growth_of_an_unstable_and_of_a_still_flow():
    unstable = dm.spectrum(dm.linear.LinearSystem(np.diag([0.1, -1.0])), lags=20)
    assert unstable.transient_growth == pytest.approx(np.exp(2.0))
    assert dm.spectrum(dm.linear.LinearSystem(np.zeros((2, 2))), lags=3).transient_growth == 1.0
    huge = dm.spectrum(dm.linear.LinearSystem(np.diag([50.0, -1.0])), lags=20)
    assert huge.transient_growth == np.inf
