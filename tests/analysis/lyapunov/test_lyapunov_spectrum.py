"""Lyapunov spectra: analytic systems first, then what a run promises whatever the system; those of
networks are in test_lyapunov_networks."""

import time

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import kaplan_yorke, lyapunov_spectrum
from dynmem.errors import ConvergenceError, NotFiniteError, ShapeError
from dynmem.models import LSTM, Linear, Network, Relu, Tanh
from tests.reference import Cat, ForcedDuffing, Henon, Logistic, Lorenz, Pendulum, exponents


class Rates(dm.Flow):
    """dx_i/dt = r_i x_i."""

    r: np.ndarray = None

    def rule(self, x, u):
        return self.r * x


class Factors(dm.Map):
    """x_i -> m_i x_i."""

    m: np.ndarray = None

    def rule(self, x, u):
        return self.m * x


class Baker(dm.Map):
    states = ("x", "y")

    def rule(self, x, u):
        doubled = 2.0 * x[..., 0]
        return dm.stack((doubled % 1.0, (x[..., 1] + doubled - doubled % 1.0) / 2))


class KaplanYorke(dm.Map):
    """x -> 2 x mod 1, y -> alpha y + cos(4 pi x). In binary digits the doubling ends in x = 0, with
    the same exponents."""

    alpha: float = 0.2
    states = ("x", "y")

    def rule(self, x, u):
        p, y = x[..., 0], x[..., 1]
        return dm.stack(((2.0 * p) % 1.0, self.alpha * y + dm.cos(4 * np.pi * p)))


class Broken(dm.Map):
    """x -> f(x), two components, with a parameter to be named in an error."""

    f: object = None
    gain: float = 4.2
    states = ("x", "y")

    def rule(self, x, u):
        return self.f(x)


# Analytic systems


@pytest.mark.parametrize("k", [1, 2, 3])
def test_diagonal_maps_and_flows(k):
    """k below n gives the first k, in falling order whatever the order of the components."""
    factors = np.array([0.8, -1.1, 0.3])
    found = exponents(Factors(factors), np.zeros(3), duration=200, transient=300, exponents=k)
    np.testing.assert_allclose(found, np.sort(np.log(np.abs(factors)))[::-1][:k], atol=1e-10)
    rates = np.array([-0.4, 0.1, -0.9])
    found = exponents(Rates(rates), np.zeros(3), duration=10, transient=60, exponents=k)
    np.testing.assert_allclose(found, np.sort(rates)[::-1][:k], atol=1e-9)


@pytest.mark.parametrize("dt", [None, 0.05])
def test_a_stable_fixed_point_is_not_neutral(dt):
    """One published tool gave 0 here for seven years."""
    result = lyapunov_spectrum(Rates(np.array([-0.9])), np.ones(1), duration=10, dt=dt)
    assert result.lyapunov.item() == pytest.approx(-0.9, abs=1e-6 if dt else 1e-8)
    assert result.kaplan_yorke_dimension == 0 and result.entropy_rate == 0 and result.converged
    damped = lyapunov_spectrum(Pendulum(damping=0.4), [1.0, 0.0], duration=60, transient=40, dt=dt)
    np.testing.assert_allclose(damped.lyapunov, [-0.2, -0.2], atol=2e-2)
    assert damped.lyapunov.sum() == pytest.approx(-0.4, abs=1e-5)


def test_lorenz_at_rest_has_the_eigenvalues_of_the_fixed_point():
    """Lorenz (10, 20, 8/3) on C+: the largest real part is -0.1547918."""
    lorenz = Lorenz(rho=20.0)
    c = np.sqrt(lorenz.beta * 19)
    found = exponents(lorenz, [c, c, 19.0], duration=20, transient=5, dt=0.01)
    assert found[:2] == pytest.approx(-0.1547918, abs=0.1) and found[:2].mean() == pytest.approx(
        -0.1547918, abs=1e-4
    )


def test_logistic_map():
    assert exponents(Logistic(4.0), [0.3], duration=20_000).item() == pytest.approx(
        np.log(2), abs=1e-3
    )
    assert exponents(Logistic(2.5), [0.3], duration=200, transient=200).item() == pytest.approx(
        -np.log(2), abs=1e-9
    )
    assert exponents(Logistic(3.2), [0.3], duration=200, transient=400).item() == pytest.approx(
        0.5 * np.log(0.16), abs=1e-9
    )


def test_maps_of_the_torus():
    cat = lyapunov_spectrum(
        Cat(np.array([[2, 1], [1, 1]])), [0.31, 0.22], duration=500, transient=100
    )
    np.testing.assert_allclose(cat.lyapunov, [0.9624236501192069, -0.9624236501192069], atol=1e-9)
    assert cat.entropy_rate == pytest.approx(
        0.9624236501192069
    ) and cat.kaplan_yorke_dimension == pytest.approx(2.0, abs=1e-9)
    np.testing.assert_allclose(
        exponents(Baker(), [0.31, 0.22], duration=500, transient=100),
        [np.log(2), -np.log(2)],
        atol=1e-9,
    )
    result = lyapunov_spectrum(KaplanYorke(), [0.31, 0.22], duration=1000, transient=200)
    np.testing.assert_allclose(result.lyapunov, np.log([2, 0.2]), atol=1e-6)
    assert result.kaplan_yorke_dimension == pytest.approx(1.4306766, abs=1e-6)


def test_henon_map():
    """Sprott (2003): 0.41922, -1.62319, dimension 1.258; the sum is ln 0.3 at every step."""
    result = lyapunov_spectrum(Henon(), [0.1, 0.1], duration=10_000)
    first, error = result.lyapunov[0].item(), result.lyapunov_error[0].item()
    assert abs(first - 0.41922) < max(4 * error, 2e-3) and error < 5e-3
    assert (
        result.lyapunov.sum() == pytest.approx(np.log(0.3), abs=1e-10)
        and abs(result.sum_residual) < 1e-10
    )
    assert result.kaplan_yorke_dimension == pytest.approx(1.258, abs=5e-3)


def test_lorenz_flow():
    """Sprott: 0.9056, 0, -14.5723, at T=4000; a short run is held to its own standard error, and to
    the sum -41/3 closely."""
    result = lyapunov_spectrum(Lorenz(), [1.0, 1.0, 20.0], duration=30, transient=10)
    assert (
        result.lyapunov.sum() == pytest.approx(-41 / 3, abs=1e-4)
        and abs(result.sum_residual) < 1e-4
    )
    error = result.lyapunov_error.values
    assert (
        np.abs(result.lyapunov.values - [0.9056, 0.0, -14.5723]) < 4 * error + 0.02
    ).all() and error.max() < 0.4


@pytest.mark.slow
def test_lorenz_flow_at_the_published_length():
    result = lyapunov_spectrum(Lorenz(), [1.0, 1.0, 20.0], duration=4000, transient=100, dt=0.01)
    for found, expected, within in zip(
        result.lyapunov.values, [0.9056, 0.0, -14.5723], [0.01, 2e-3, 0.01], strict=True
    ):
        assert found == pytest.approx(expected, abs=within)
    assert result.kaplan_yorke_dimension == pytest.approx(2.062, abs=2e-3)


def test_the_frame_goes_through_the_transient():
    """From a frame that starts afresh the middle exponents are biased."""
    system = Factors(np.array([1.3, 1.2, 1.1]))
    fresh, settled = (exponents(system, np.zeros(3), duration=20, transient=t) for t in (0, 500))
    np.testing.assert_allclose(settled, np.log([1.3, 1.2, 1.1]), atol=1e-12)
    assert np.abs(fresh - settled).max() > 1e-3


def test_strong_contraction_loses_no_digits():
    """Rates at which 64 steps leave the range of floating-point numbers, or its last digits, one of
    them alone and many at once."""
    for rate in (-11.4, -50.0, -300.0, 11.4, 300.0):
        factors = np.exp(rate + np.array([0.0, -0.5]))
        for k in (1, 2):
            found = exponents(
                Factors(factors),
                np.zeros(2),
                duration=13_000 if k == 1 else 1000,
                transient=100,
                exponents=k,
            )
            np.testing.assert_allclose(found, np.array([rate, rate - 0.5])[:k], atol=1e-10)
    spread = np.exp(-np.linspace(0.0, 20.0, 64))
    np.testing.assert_allclose(
        exponents(Factors(spread), np.zeros(64), duration=200, transient=100),
        np.log(spread),
        atol=1e-9,
    )


def test_time_units():
    """A leaky network's exponents are per unit of time; a finer step of a flow changes nothing."""
    cell = Tanh(Tanh.random(30, rng=0, gain=2.0).W, leak=0.1)
    result = lyapunov_spectrum(cell, duration=20, transient=10, exponents=2)
    assert result.time[-1] == pytest.approx(20) and result.lyapunov.attrs["units"] == "1/time unit"
    steps = lyapunov_spectrum(Henon(), [0.1, 0.1], duration=100)
    assert steps.lyapunov.attrs["units"] == "1/step" and steps.running.sizes == {
        "time": 100,
        "exponent": 2,
    }
    np.testing.assert_allclose(steps.running[-1], steps.lyapunov)


def test_saturated_networks():
    """Derivatives that are exactly zero: -inf, said so, nothing breaks."""
    for cell in (
        Tanh.random(60, rng=0, gain=1e4),
        LSTM.random(40, rng=0, gain=1e4),
        Relu(-np.eye(3), b=-np.ones(3)),
    ):
        result = lyapunov_spectrum(cell, duration=100)
        assert (
            np.isneginf(result.lyapunov).any()
            and "-inf" in result.attrs["collapsed"]
            and not result.lyapunov.isnull().any()
        )
        assert not result.lyapunov_error.isnull().any()
    half = Factors(np.array([0.0, 0.5, 0.0, 2.0]))
    result = lyapunov_spectrum(half, np.zeros(4), duration=100, transient=100)
    np.testing.assert_allclose(result.lyapunov[:2], np.log([2, 0.5]), atol=1e-12)
    assert np.isneginf(
        result.lyapunov[2:]
    ).all() and result.kaplan_yorke_dimension == pytest.approx(2.0)
    nilpotent = Linear(np.diag(np.ones(4), 1))
    assert np.isneginf(exponents(nilpotent, duration=50)).all()
    assert exponents(nilpotent, duration=50, exponents=1).item() == -np.inf


def test_drives():
    """A number, an array and a function that stand for the same noise give the same spectrum; none
    is zero input."""
    cell = Tanh.random(5, 2, rng=0, gain=0.9)
    noise = []

    def draw(rng, steps):
        noise.append(0.5 * rng.standard_normal((steps, 2)))
        return noise[-1]

    options = {"duration": 2000, "transient": 500, "rng": 7}
    number, function = (lyapunov_spectrum(cell, drive=drive, **options) for drive in (0.5, draw))
    array = lyapunov_spectrum(cell, drive=np.concatenate(noise), **options)
    assert number.lyapunov.equals(function.lyapunov) and number.lyapunov.equals(array.lyapunov)
    assert exponents(cell, drive=2.0, **options)[0] < number.lyapunov[0]
    free = lyapunov_spectrum(cell, **options).lyapunov
    assert free.equals(lyapunov_spectrum(cell, drive=0.0, **options).lyapunov)
    assert exponents(ForcedDuffing(), duration=20, dt=0.05).sum() == pytest.approx(-0.3, abs=1e-6)
    rows = np.full((400, 1), 0.2)
    held = exponents(ForcedDuffing(), duration=3, transient=1, dt=0.01, drive=rows)
    assert held.sum() == pytest.approx(-0.3, abs=1e-6)


def test_several_layers():
    """The layers' states make one block triangular product: the spectra of the layers side by side,
    where the lower one drives."""
    lower, upper = Linear(np.diag([0.9, 0.5])), Linear(np.diag([0.8, 0.3]), V=np.ones((2, 2)))
    found = exponents(Network((lower, upper)), duration=300, transient=300)
    np.testing.assert_allclose(found, np.log([0.9, 0.8, 0.5, 0.3]), atol=1e-9)


def test_invariance_under_a_change_of_coordinates():
    cell, T = Tanh.random(6, rng=2, gain=2.0), np.random.default_rng(0).standard_normal((6, 6))

    class Changed(dm.Map):
        def rule(self, z, u):
            return cell.rule(z @ np.linalg.inv(T).T, None) @ T.T

    x = np.random.default_rng(1).standard_normal(6)
    a, b = (
        exponents(cell, x, duration=2000, transient=200),
        exponents(Changed(), T @ x, duration=2000, transient=200),
    )
    np.testing.assert_allclose(a, b, atol=2e-2)


def test_ensembles_equal_their_members_bit_for_bit():
    cells = [Tanh.random(50, 1, rng=seed, gain=1.5) for seed in range(5)]
    options = {"duration": 100, "drive": 0.1, "rng": 3}
    together = lyapunov_spectrum(cells, workers=2, **options)
    assert together.sizes["model"] == 5
    for i, cell in enumerate(cells):
        assert together.lyapunov.isel(model=i).equals(lyapunov_spectrum(cell, **options).lyapunov)
    assert together.lyapunov.equals(lyapunov_spectrum(cells, workers=1, **options).lyapunov)
    again = [
        lyapunov_spectrum(
            cells, workers=2, duration=50, drive=0.1, rng=np.random.default_rng(8)
        ).lyapunov
        for _ in range(2)
    ]
    assert again[0].equals(again[1])


def test_same_seed_same_bits():
    cell = LSTM.random(8, 1, rng=0)
    runs = [lyapunov_spectrum(cell, duration=50, drive=1.0, rng=seed) for seed in (5, 5, 6)]
    assert runs[0].identical(runs[1]) and not runs[0].lyapunov.equals(runs[2].lyapunov)
    assert runs[0].attrs["seed"] == 5
    generator = [
        exponents(cell, duration=50, drive=1.0, rng=np.random.default_rng(5)) for _ in range(2)
    ]
    assert (generator[0] == generator[1]).all() and (generator[0] == runs[0].lyapunov.values).all()


def test_tolerance_stops_a_run():
    result = lyapunov_spectrum(Logistic(3.9), [0.3], duration=40_000, tolerance=0.02)
    assert result.time[-1] < 10_000 and result.converged and result.lyapunov_error.max() < 0.02
    assert (
        not lyapunov_spectrum(
            Logistic(3.9), [0.3], duration=300, tolerance=1e-9
        ).lyapunov_error.max()
        < 1e-9
    )


def test_standard_error_is_the_scatter_over_starts():
    rng = np.random.default_rng(0)
    runs = [
        lyapunov_spectrum(
            Henon(), 0.1 * rng.standard_normal(2), duration=600, transient=30, exponents=1
        )
        for _ in range(24)
    ]
    scatter = np.std([run.lyapunov.item() for run in runs], ddof=1)
    claimed = np.sqrt(np.mean([run.lyapunov_error.item() ** 2 for run in runs]))
    assert 0.5 < claimed / scatter < 2.0


def test_kaplan_yorke_stays_within_the_space():
    assert kaplan_yorke(np.array([-0.1, -1.0])) == 0 and kaplan_yorke(np.array([0.2, 0.1])) == 2
    assert kaplan_yorke(np.array([0.5, -np.inf])) == 1 and kaplan_yorke(np.array([0.0, -1.0])) == 1
    assert kaplan_yorke(np.array([1.0, -0.5, -0.5])) == 3 and np.isnan(
        kaplan_yorke(np.array([0.2, 0.1]), complete=False)
    )


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exponents": 3}, "exponents = 3: must be a whole number from 1 to 2"),
        ({"exponents": 0}, "from 1 to 2"),
        ({"exponents": 1.5}, "from 1 to 2"),
        ({"duration": -1, "transient": 0}, "duration = -1: must be a finite time"),
        ({"duration": np.inf}, "finite time"),
        ({"duration": np.nan}, "finite time"),
        ({"duration": 0.2}, "less than one step"),
        ({"transient": -5}, "transient = -5"),
        ({"dt": 0.1}, "a Map whose step is 1.0: leave dt out"),
        ({"drive": 0.1}, "takes no input: leave drive out"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(Henon(), [0.1, 0.1], **({"duration": 100} | options))


def test_wrong_shapes():
    with pytest.raises(ShapeError, match="Henon has 2 states"):
        lyapunov_spectrum(Henon(), np.zeros(3), duration=10)
    with pytest.raises(ShapeError, match="one start"):
        lyapunov_spectrum(Henon(), np.zeros((4, 2)), duration=10)
    cell = Tanh.random(3, 2)
    with pytest.raises(ShapeError, match=r"needs \(200, 2\)"):
        lyapunov_spectrum(cell, duration=100, drive=np.zeros((100, 2)))
    with pytest.raises(ShapeError, match="Tanh takes 2"):
        lyapunov_spectrum(cell, duration=100, drive=np.zeros((200, 3)))
    for wrong in (
        lambda rng, steps: np.zeros(steps),
        lambda rng, steps: np.zeros((5, 2)),
        lambda rng, steps: np.zeros((steps, 3)),
    ):
        with pytest.raises(ShapeError, match="the drive returned shape"):
            lyapunov_spectrum(cell, duration=100, drive=wrong)
    with pytest.raises(ShapeError, match="stack its components"):
        lyapunov_spectrum(Broken(lambda x: x[..., :1]), duration=10)
    with pytest.raises(TypeError, match="complex"):
        lyapunov_spectrum(Broken(lambda x: 1j * x), duration=10)
    with pytest.raises(TypeError, match="is a class"):
        lyapunov_spectrum(Henon, duration=10)
    with pytest.raises(ValueError, match="empty list"):
        lyapunov_spectrum([], duration=10)


def test_nan_is_never_averaged_away():
    with pytest.raises(NotFiniteError, match="W of Tanh .*holds NaN"):
        Tanh(np.full((2, 2), np.nan))
    with pytest.raises(NotFiniteError, match="x0 holds NaN"):
        lyapunov_spectrum(Henon(), [np.nan, 0.0], duration=10)
    with pytest.raises(NotFiniteError, match="drive holds NaN"):
        lyapunov_spectrum(Tanh.random(2, 1), duration=10, drive=np.full((20, 1), np.nan))
    with pytest.raises(NotFiniteError, match=r"state not finite at step 1 of 110 \(.*gain=4.2\)"):
        lyapunov_spectrum(Broken(lambda x: x * np.nan), duration=10)
    with pytest.raises(NotFiniteError, match="Jacobian not finite at step 1 of 11"):
        lyapunov_spectrum(Broken(dm.sqrt), np.zeros(2), duration=10)


def test_blow_up_ends_at_once():
    start = time.process_time()
    with pytest.raises(
        NotFiniteError,
        match=r"state not finite at step \d+ of 1100000 \(.*a=1.4, "
        r"b=0.3\)",
    ):
        lyapunov_spectrum(Henon(), [10.0, 0.0], duration=1_000_000)
    with pytest.raises(NotFiniteError, match=r"state not finite at step \d+ of"):
        lyapunov_spectrum(Broken(lambda x: x * x + 1.0), duration=1_000_000)

    class Explosion(dm.Flow):
        states = ("x",)

        def rule(self, x, u):
            return x * x

    with pytest.raises(ConvergenceError, match="falls into a singularity"):
        lyapunov_spectrum(Explosion(), [1.0], duration=1000)
    with pytest.raises(NotFiniteError, match="state not finite at step"):
        lyapunov_spectrum(Explosion(), [1.0], duration=1000, dt=0.01)
    with pytest.raises(NotFiniteError, match="state not finite at step"):
        lyapunov_spectrum(Linear(2.0 * np.eye(2)), np.ones(2), duration=1_000_000)
    assert time.process_time() - start < 25  # five cases, each within 5 s


def test_a_run_that_is_too_short_warns():
    short = dm.lyapunov_spectrum(dm.systems.get("henon"), duration=8, transient=0)
    assert (
        not short.converged
        and np.isinf(short.lyapunov_error).all()
        and "too short" in short.attrs["warning"]
    )
    assert (
        "warning"
        not in dm.lyapunov_spectrum(
            dm.models.Linear(np.diag([1.1, 0.8])), np.zeros(2), duration=100, transient=100
        ).attrs
    )


def test_a_list_is_labelled_by_what_differs():
    def spectrum(systems, **options):
        return dm.lyapunov_spectrum(systems, duration=40, exponents=1, **options)

    found = spectrum([dm.systems.get("henon", a=a, b=b) for a, b in ((1.0, 0.3), (1.4, 0.3))])
    assert found.a.dims == ("model",) and found.a.values.tolist() == [1.0, 1.4]
    assert "b" not in found.coords and "system" not in found.coords
    mixed = spectrum([dm.systems.get("henon"), dm.systems.get("logistic")])
    assert mixed.system.values.tolist() == ["Henon", "Logistic"]
    flows = spectrum([dm.systems.get("lorenz63", rho=rho) for rho in (28.0, 35.0)], dt=0.02)
    assert flows.rho.values.tolist() == [28.0, 35.0]


def test_a_misspelt_argument_is_named():
    with pytest.raises(TypeError, match="'transients' .did you mean transient"):
        dm.lyapunov_spectrum(dm.systems.get("henon"), duration=10, transients=5)
