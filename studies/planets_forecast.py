"""How far ahead can the real planets be forecast from their positions alone?

Each planet is one series, its heliocentric positions from JPL's ephemeris (extra ``planets``):
trained on 1900 to 1982, options chosen on the next 15 years, tested after that. The forecasts: a
linear model of delays and an echo-state network, both by ridge regression, an LSTM and a stack of
linear recurrent units, by gradient descent; next to them the law itself from position and velocity
of the day (Newton's, and with the relativity of the Sun), Kepler's ellipse fitted to the same
years, and three floors without any dynamics.

Theory: a planet moves quasi-periodically, a point spectrum on the unit circle, and all exponents
are 0 within a Lyapunov time of five million years (Laskar 1989). Errors then grow in proportion to
time, not exponentially. A linear model with enough modes of modulus 1 has this dynamics. A network
that saturates keeps an orbit, if at all, as an attractor: one exponent 0 and the others below, so
that it forgets what the planet keeps.
"""

import warnings
from functools import cache

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.arrays import concat, sqrt
from dynmem.datasets.ephemeris import solar_system
from dynmem.datasets.splits import in_time, part
from dynmem.errors import NotFiniteError, ShortRunWarning
from dynmem.orbits import trajectory
from dynmem.study import Study
from dynmem.systems import NBody, OuterSolarSystem, ephemeris
from dynmem.systems.symplectic import halves
from dynmem.training import echo_state_forecaster, fit_forecaster

STEP_YEARS = 20.0 / ephemeris.YEAR  # years between samples of the ephemeris
# samples of the ephemeris for one sample of a planet
SAMPLES_PER_STEP = {
    "Mercury": 1,
    "Venus": 1,
    "Earth": 1,
    "Mars": 1,
    "Jupiter": 4,
    "Saturn": 4,
    "Uranus": 4,
    "Neptune": 4,
}
# delays of the linear model: 5.5 years, and 6.6 for the outer planets, which have fewer samples
DELAYS = {1: 100, 4: 30}
MODELS = {
    "delays": {},
    "esn": {"units": 300, "spectral_radius": 0.9, "input_gain": 0.1},
    "lstm": {"units": 32},
    # a memory longer than in training loses the planet
    "lru": {"units": 24, "placement": "pre", "feedforward": 48, "r_max": 0.9},
}
RIDGES = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
REFERENCES = ("newton", "relativity", "kepler", "mean", "still", "straight")
FLOORS = ("mean", "still", "straight")
GRAVITY = ephemeris.SUN * (86400 * ephemeris.YEAR) ** 2 / ephemeris.AU**3
LIGHT_SPEED = 299792.458 * 86400 * ephemeris.YEAR / ephemeris.AU  # AU/year
EXPONENT_COUNT = 4
ESCAPE_DISTANCE = 1e5  # AU
THRESHOLDS = {"1 degree": 1.0, "1 arcminute": 1 / 60}  # the second was Tycho Brahe's


class PostNewtonian(NBody):
    """Newton's law with the relativity of the first body, in space: to the acceleration of each
    other, at r with velocity w from the first,

        G M/(c^2 r^3) [(4 G M/r - w^2) r + 4 (r . w) w]

    is added. It depends on velocities and goes with the drift of ``Symplectic``, to second order of
    the step, which is enough for so little. Source: Petit and Luzum (2010), IERS Conventions, IERS
    Technical Note 36, eq. 10.12, first line.
    """

    def relativity(self, q, v):
        """Relativistic part of the acceleration of all bodies."""
        q, v = (half.reshape(*half.shape[:-1], -1, 3) for half in (q, v))
        r, w, mu = (
            q[..., 1:, :] - q[..., :1, :],
            v[..., 1:, :] - v[..., :1, :],
            self.G * self.masses[0],
        )
        square = (r * r).sum(axis=-1, keepdims=True)
        distance = sqrt(square)
        bent = (4.0 * mu / distance - (w * w).sum(axis=-1, keepdims=True)) * r + 4.0 * (r * w).sum(
            axis=-1, keepdims=True
        ) * w
        added = mu / (LIGHT_SPEED**2 * square * distance) * bent
        return concat((0.0 * q[..., 0, :], added.reshape(*added.shape[:-2], -1)))

    def rule(self, x, u):
        q, v = halves(x)
        return concat((v, self.force(q) + self.relativity(q, v)))

    def drift(self, q, v, h):
        q = q + 0.5 * h * v
        v = v + h * self.relativity(q, v)
        return q + 0.5 * h * v, v


def measure(model, body, seed, years, reach, starts, steps, orbits):
    """One model, planet and seed: errors over the lead time, when they pass a threshold, and the
    exponents of the model running freely."""
    sky = the_sky(years, orbits)
    data, at = planet(sky, body), beginnings(sky, reach, starts)
    ahead, every = round(reach / STEP_YEARS) // 4 * 4, SAMPLES_PER_STEP[body]
    truth = np.stack([seen(sky, body)[i + every : i + ahead + 1 : every] for i in at], axis=1)
    forecaster = made(model, data, every, steps, seed)
    forecasts = {
        "learned": free_run(forecaster, data, at // every, ahead // every),
        **references(data, body, at, ahead, years, orbits),
    }
    angle = {name: growing(separation(y, truth)) for name, y in forecasts.items()}
    away = {name: growing(np.linalg.norm(y - truth, axis=-1)) for name, y in forecasts.items()}
    leads = np.unique(np.geomspace(4, ahead, 60).round().astype(int) // 4 * 4)
    kept = leads // every - 1
    entries = {
        "error": (
            "lead",
            angle["learned"][kept],
            "degree",
            "angle between forecast and truth, as seen from the Sun, at most until the lead time",
        ),
        "distance": (
            "lead",
            away["learned"][kept],
            "AU",
            "distance between forecast and truth, at most until the lead time",
        ),
        "reference_error": (
            ("reference", "lead"),
            [angle[name][kept] for name in REFERENCES],
            "degree",
            "error of what is not learned",
        ),
        "reference_distance": (
            ("reference", "lead"),
            [away[name][kept] for name in REFERENCES],
            "AU",
            "distance of what is not learned",
        ),
        "horizon": (
            "threshold",
            [until(angle["learned"], limit) * data.sampling_step for limit in THRESHOLDS.values()],
            "year",
            "lead time at which the error passes the threshold; the longest of the study "
            "where it does not",
        ),
        "lyapunov": (
            "exponent",
            exponents(forecaster, data, seed),
            "1/year",
            "exponent of the model running freely, -inf where a direction is lost",
        ),
        "observed": (
            (),
            sky.observed,
            "1",
            "whether the planets are those of the ephemeris, not an integrated orbit",
        ),
    }
    coords = {
        "lead": ("lead", leads * STEP_YEARS, "year", "time since the forecast began"),
        "reference": ("reference", list(REFERENCES), "1", "method"),
        "threshold": ("threshold", list(THRESHOLDS), "1", "threshold"),
        "exponent": (
            "exponent",
            np.arange(1, EXPONENT_COUNT + 1),
            "1",
            "index of the exponent, largest first",
        ),
    }
    return dm.labels.dataset(
        entries, coords, title=f"{body} forecast", source=sky.source, licence=sky.licence
    )


# ---- the planets


@cache
def the_sky(years, orbits):
    """Barycentric position and velocity (time, body, axis) of Sun and planets every 20 days from
    1900, with mass(body) and split(time).

    Of the ephemeris (the extra ``planets``), or where ``orbits`` is "integrated" by Newton's law
    from a published table.
    """
    if orbits == "integrated":
        sky = integrated(years)
    else:
        sky = solar_system(years=years, step=STEP_YEARS * ephemeris.YEAR)
        sky.attrs["observed"] = True
    return sky.assign_coords(split=("time", in_time(sky.sizes["time"], train=0.55, validation=0.1)))


def integrated(years):
    """The Sun and the four giant planets by Newton's law from their positions of 5 September 1994:
    no observation."""
    law = OuterSolarSystem()
    q, v = halves(
        trajectory(
            dm.systems.Symplectic(law, STEP_YEARS, order=6),
            law.initial(),
            round(years / STEP_YEARS),
        )
    )
    shape, dims = (len(q), len(law.masses), 3), ("time", "body", "axis")
    return xr.Dataset(
        {
            "position": (dims, q.reshape(shape)),
            "velocity": (dims, v.reshape(shape)),
            "mass": ("body", law.masses),
        },
        {
            "time": np.arange(len(q)) * STEP_YEARS,
            "body": ["Sun", "Jupiter", "Saturn", "Uranus", "Neptune"],
        },
        {
            "observed": False,
            "source": f"integrated, not observed: {law.source}",
            "licence": "none needed",
        },
    )


def seen(sky, body):
    """Heliocentric positions (T, 3) of a body."""
    if body not in sky.body:
        raise ValueError(
            f"{body}: the integrated orbit that stands in for the ephemeris has no "
            "such body; pip install 'dynmem[planets]'"
        )
    return (sky.position.sel(body=body) - sky.position.sel(body="Sun")).values


def planet(sky, body):
    """One planet as a dataset x(time, state) to forecast, at its own sampling step."""
    data = xr.Dataset(
        {"x": (("time", "state"), seen(sky, body))}, {"split": sky.split, "state": list("xyz")}
    )
    return data.isel(time=slice(None, None, SAMPLES_PER_STEP[body])).assign_attrs(
        sampling_step=STEP_YEARS * SAMPLES_PER_STEP[body]
    )


def beginnings(sky, reach, starts, name=2):
    """Samples of the sky at which forecasts of the length ``reach`` begin, spread over a part."""
    own = np.flatnonzero(sky.split == name)
    last = own[-1] - round(reach / STEP_YEARS)
    if last <= own[0]:
        raise ValueError(
            f"reach = {reach} years does not fit into the {len(own) * STEP_YEARS:.0f} "
            "years of the test: pass fewer, or more years"
        )
    return np.linspace(own[0], last, starts).astype(int) // 4 * 4


# ---- forecasters


def made(name, data, every, steps, seed):
    """The fitted forecaster of this name."""
    if name in ("delays", "esn"):
        model = (
            delay_line(3, DELAYS[every])
            if name == "delays"
            else dm.models.get("esn", inputs=3, outputs=3, rng=seed, **MODELS[name])
        )
        return solved(model, data, DELAYS[every] + 1)
    model = dm.models.get(name, inputs=3, outputs=3, rng=seed, **MODELS[name])
    return fit_forecaster(
        model,
        data,
        steps=steps,
        forcing=1,
        window=40,
        batch=32,
        learning_rate=1e-2,
        noise=1e-3,
        rng=seed,
    )[0]


def delay_line(inputs, delays):
    """A shift register of the last inputs under a linear readout: linear regression on delays."""
    n = inputs * delays
    V = np.eye(n, inputs)
    return dm.models.Network(
        dm.models.Linear(np.eye(n, k=-inputs), V, np.zeros(n)), np.zeros((inputs, n))
    )


def solved(model, data, washout):
    """The forecaster with the ridge, of ``RIDGES``, that forecasts the validation part best."""
    found = [
        echo_state_forecaster(model, data, washout=washout, ridge=ridge, noise=0.0)
        for ridge in RIDGES
    ]
    own = np.flatnonzero(data.split == 1)
    ahead = int(0.65 * len(own))
    at = np.linspace(own[0], own[-1] - ahead, 6).astype(int)
    truth = np.stack([data.x.values[i + 1 : i + 1 + ahead] for i in at], axis=1)
    errors = [growing(separation(free_run(f, data, at, ahead), truth))[-1] for f in found]
    return found[int(np.argmin(np.nan_to_num(errors, nan=np.inf)))]


def free_run(forecaster, data, at, ahead):
    """Forecasts (ahead, starts, 3) from many samples, each after a warm-up on the samples before;
    NaN where they leave the Solar System."""
    warmup = min(at.min() + 1, 400)
    x = forecaster.warmed_up(np.stack([data.x.values[i + 1 - warmup : i + 1] for i in at]))
    try:
        y = forecaster.output(trajectory(forecaster, x, ahead)[1:], None)
        return np.where(np.abs(y) < ESCAPE_DISTANCE, y, np.nan)
    except NotFiniteError:
        return np.full((ahead, len(at), 3), np.nan)


def exponents(forecaster, data, seed):
    """The first exponents of the free-running model, 1/year: of a linear one the logarithms of its
    eigenvalues' moduli."""
    start = forecaster.warmed_up(part(data, "train").x.values[-400:])
    if type(forecaster.model.layers[0]) is dm.models.Linear:
        moduli = np.abs(np.linalg.eigvals(dm.jacobian(forecaster, start)))
        return np.log(np.sort(moduli)[::-1][:EXPONENT_COUNT]) / forecaster.dt
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShortRunWarning)
            return dm.lyapunov_spectrum(
                forecaster,
                start,
                duration=2000 * forecaster.dt,
                transient=1000 * forecaster.dt,
                exponents=EXPONENT_COUNT,
                rng=seed,
            ).lyapunov
    except NotFiniteError:
        return np.full(EXPONENT_COUNT, np.nan)


# ---- references


def references(data, body, at, ahead, years, orbits):
    """Forecasts (T, starts, 3) by the law, by Kepler's ellipse, and by the floors: the mean
    position, no motion, and constant velocity."""
    every, y = SAMPLES_PER_STEP[body], data.x.values
    first, dt = at // every, data.sampling_step
    lead = np.arange(1, ahead // every + 1)[:, None, None]
    ellipse = kepler(data)
    place = list(the_sky(years, orbits).body.values).index(body)
    by_law = {
        name: law(name, tuple(at), ahead, years, orbits)[every::every, :, place]
        for name in ("newton", "relativity")
    }
    return {
        **by_law,
        "kepler": ellipse(((first + lead[..., 0]) * dt).ravel()).reshape(len(lead), len(at), 3),
        "mean": np.broadcast_to(part(data, "train").x.values.mean(0), (len(lead), len(at), 3)),
        "still": np.broadcast_to(y[first], (len(lead), len(at), 3)),
        "straight": y[first] + lead * (y[first] - y[first - 1]),
    }


@cache  # once in a process, for all planets
def law(name, at, ahead, years, orbits):
    """Heliocentric positions (ahead + 1, starts, body, 3), by the law from positions and velocities
    of the sky's samples ``at``."""
    sky, at = the_sky(years, orbits), list(at)
    start = np.concatenate(
        (
            sky.position.values[at].reshape(len(at), -1),
            sky.velocity.values[at].reshape(len(at), -1),
        ),
        axis=1,
    )
    system = {"newton": NBody, "relativity": PostNewtonian}[name](
        masses=sky.mass.values, G=GRAVITY, dimension=3
    )
    q = halves(
        trajectory(dm.systems.Symplectic(system, STEP_YEARS, order=6, substeps=16), start, ahead)
    )[0].reshape(ahead + 1, len(at), -1, 3)
    return q - q[:, :, :1]


def kepler(data):
    """The ellipse with the Sun in its focus that fits the training part best: a function of times
    (T,) to positions (T, 3).

    Seven numbers by least squares: axis, eccentricity, mean motion, time of a pericentre, and the
    orientation.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    y = part(data, "train").x.values
    t = np.arange(len(y)) * data.sampling_step
    r = np.linalg.norm(y, axis=1)
    normal = np.cross(y[:-1], y[1:]).mean(0)
    normal /= np.linalg.norm(normal)
    first = int(r.argmin())
    towards = np.cross(np.cross(normal, y[first]), normal)
    towards /= np.linalg.norm(towards)
    frame = np.stack((towards, np.cross(normal, towards), normal))
    turned = np.unwrap(np.arctan2(*(y @ frame[:2].T).T[::-1]))
    guess = [
        (r.max() + r.min()) / 2,
        (r.max() - r.min()) / (r.max() + r.min()),
        (turned[-1] - turned[0]) / t[-1],
        t[first],
        0.0,
        0.0,
        0.0,
    ]

    def ellipse(numbers, times):
        axis, eccentricity, rate, pericentre, *small = numbers
        plane = dm.theory.kepler_orbit(
            times - pericentre, axis, eccentricity, mu=rate**2 * axis**3
        ).x.values[:, :2]
        return plane @ frame[:2] @ Rotation.from_rotvec(small).as_matrix().T

    low, high = (
        [0.0, 0.0, 0.0, -np.inf] + [-np.inf] * 3,
        [np.inf, 0.9, np.inf, np.inf] + [np.inf] * 3,
    )
    period = 2 * np.pi / guess[2]
    fit = least_squares(
        lambda p: (ellipse(p, t) - y).ravel(),
        guess,
        bounds=(low, high),
        xtol=1e-14,
        ftol=1e-14,
        x_scale=[guess[0], 1.0, guess[2] * period / t[-1], period, 1.0, 1.0, 1.0],
    )
    return lambda times: ellipse(fit.x, times)


# ---- errors


def separation(first, second):
    """Angle in degrees between directions (..., 3), accurate also for small angles."""
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.degrees(np.arctan2(across, (first * second).sum(-1)))


def growing(errors):
    """Running maximum over time of the root mean square over starts of errors (T, starts)."""
    return np.maximum.accumulate(np.sqrt(np.mean(np.square(errors), axis=1)))


def until(errors, limit):
    """Number of steps before errors (T,) pass a limit."""
    return int(np.argmax(~(errors <= limit))) if not (errors <= limit).all() else len(errors)


def summary(results):
    """Table by planet and method: the error after a year and at the end, the time to an arcminute,
    the first exponents."""
    end = float(results.lead[-1])
    rows = [
        ""
        if bool((results.observed == 1).all())
        else "NOT the real planets: an integrated "
        "orbit stands in for the ephemeris, "
        "which is not "
        "installed (pip install 'dynmem[planets]')",
        f"{'planet':>8} "
        f"{'method':<12}{'error, 1 year':>15}{f'{end:.0f} years':>12}{'to an arcminute':>17}"
        f"{'lambda_1':>11}{'lambda_3':>10}{'floor/error, 1':>16}{f'{end:.0f} years':>10}",
    ]
    for body in results.body.values:
        at = results.sel(body=body)
        known = at.reference_error.isel(model=0, seed=0)
        floor = known.sel(reference=list(FLOORS)).min("reference").interp(lead=[1.0, end])
        for name in REFERENCES:
            first, last = known.sel(reference=name).interp(lead=[1.0, end]).values
            rows.append(f"{body:>8} {name:<12}{first:15.5f}{last:12.5f}")
        for model in results.model.values:
            mine = at.sel(model=model)
            error = mine.error.interp(lead=[1.0, end])
            (first, last), margins = error.median("seed").values, (floor / error).min("seed").values
            minute, own = (
                float(mine.horizon.sel(threshold="1 arcminute").median()),
                mine.lyapunov.median("seed").values,
            )
            rows.append(
                f"{body:>8} "
                f"{model:<12}{first:15.5f}{last:12.5f}{minute:17.2f}{own[0]:11.1e}{own[2]:10.1e}"
                f"{margins[0]:16.1f}{margins[1]:10.1f}"
            )
    rows.append(
        "errors in degrees as seen from the Sun, rms over starts, medians of seeds; "
        f"times in years ({end:.1f}: never passed); exponents in "
        "1/year (truth: 2e-7); floor/error: the best floor over the error of the worst "
        "seed"
    )
    return "\n".join(row for row in rows if row)


STUDY = Study(
    name="planets_forecast",
    question="How far ahead can the real planets be forecast from their positions alone?",
    grid={"model": list(MODELS), "body": list(SAMPLES_PER_STEP), "seed": [0, 1, 2]},
    settings={"years": 150.0, "reach": 30.0, "starts": 8, "steps": 1000, "orbits": "observed"},
    quick={
        "model": ["delays", "lstm"],
        "body": ["Jupiter", "Saturn"],
        "seed": [0],
        "reach": 5.0,
        "starts": 4,
        "steps": 30,
        "orbits": "integrated",
    },
    units={
        "model": ("1", "model"),
        "body": ("1", "planet"),
        "seed": ("1", "seed of weights and windows"),
    },
    limits={
        "seed": (0, None),
        "years": (100.0, 150.0),
        "reach": (2.0, 50.0),
        "starts": (2, 1000),
        "steps": (1, 1_000_000),
        "orbits": ["observed", "integrated"],
    },
    source="JPL DE421: Folkner, Williams and Boggs (2009), IPN Progress Report 42-178; Laskar "
    "(1989), Nature 338, 237, for the Lyapunov time",
    extras={"planets": {"orbits": "observed"}},
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
