"""Datasets: orbits against exact recurrences and adaptive integration, memories against theory, the
Solar System against Kepler."""

import json
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

import dynmem as dm
from dynmem.datasets import orbits as module, splits
from dynmem.errors import ConvergenceError, UnknownNameError
from dynmem.systems import ephemeris


def test_names_and_options():
    assert {
        "lorenz63",
        "henon",
        "solar_system",
        "wong_wang_delay",
        "ring_attractor_delay",
        "hopfield_recall",
        "synapse_traces",
    } <= set(dm.datasets.names())
    assert set(dm.systems.names()) <= set(dm.datasets.names())
    assert dm.datasets.options("lorenz63")["rho"] == 28.0
    with pytest.raises(UnknownNameError, match="lorenz63"):
        dm.datasets.load("lorens63")
    with pytest.raises(TypeError, match="it takes samples, fraction"):
        dm.datasets.load("lorenz63", sample=10)
    with pytest.raises(UnknownNameError, match=r"a file is opened by dm.datasets.open$"):
        dm.datasets.load("orbit.nc")
    with pytest.raises(
        UnknownNameError,
        match=r"copy is a task: "
        r"dm.tasks.get\('copy'\).sample\(count\) is its "
        r"Dataset$",
    ):
        dm.datasets.load("copy")


def test_map_follows_its_own_rule():
    x = dm.datasets.load("henon", samples=200).x.values
    np.testing.assert_allclose(x[1:, 0], 1.0 - 1.4 * x[:-1, 0] ** 2 + x[:-1, 1], atol=1e-14)
    np.testing.assert_allclose(x[1:, 1], 0.3 * x[:-1, 0], atol=1e-14)


def test_flow_against_adaptive_integration():
    d = dm.datasets.load("lorenz63", samples=200, gap=0.1)
    own = dm.orbit(
        dm.systems.get("lorenz63"),
        d.x.values[0],
        duration=199 * d.attrs["sampling_step"],
        dt=d.attrs["sampling_step"],
        rtol=1e-12,
    )
    # 4 Lyapunov times: errors have grown 55 times
    assert abs(own.x.values[:200] - d.x.values[: own.sizes["time"]]).max() < 1e-5


def test_sampling_is_a_share_of_the_lyapunov_time():
    d = dm.datasets.load("lorenz63", samples=100, fraction=0.05, gap=0.1)
    assert d.attrs["lyapunov_time"] == pytest.approx(1 / 0.9056)  # Sprott (2003)
    assert d.attrs["sampling_step"] == pytest.approx(0.05 / 0.9056)
    np.testing.assert_allclose(d.time.values, np.arange(100) * 0.05 / 0.9056)
    assert d.attrs["exponents_source"].startswith("Sprott")
    assert "sigma*(-x + y)" in d.attrs["law"]


def test_other_parameters_are_measured():
    d = dm.datasets.load("lorenz63", samples=100, rho=[28.0, 35.0], gap=0.1)
    assert d.x.dims == ("parameter", "time", "state") and d.rho.values.tolist() == [28.0, 35.0]
    first, error = float(d.lyapunov[0, 0]), float(d.lyapunov_error[0, 0])
    assert abs(first - 0.9056) < 3 * error + 1e-3 and error < 0.02
    assert json.loads(d.attrs["parameters"])["rho"] == [28.0, 35.0]
    assert d.attrs["exponents_source"].startswith("measured")
    assert d.attrs["sampling_step"] == pytest.approx(0.02 / float(d.lyapunov[:, 0].max()))


def test_regular_systems_have_their_own_turn():
    d = dm.datasets.load("kepler", samples=60, gap=0.0)
    assert "lyapunov_time" not in d.attrs
    # an ellipse of e = 0.3 turns once in 2 pi; root mean square velocity over deviation is a little
    # more than 1
    assert 5.0 < d.attrs["characteristic_time"] < 2 * np.pi
    energy = dm.systems.get("kepler").energy(d.x.values)
    assert np.ptp(energy) < 1e-10


def test_noise_has_the_strength_that_is_stated():
    d = dm.datasets.load("lorenz63", samples=4000, noise=0.2)
    measured = (d.x - d.clean).std("time") / d.clean.std("time")
    np.testing.assert_allclose(measured, 0.2, rtol=0.1)
    assert d.attrs["signal_to_noise"] == "5 (14.0 dB)" and d.attrs["floor"] == 0.2
    np.testing.assert_array_equal(d.clean, dm.datasets.load("lorenz63", samples=4000).x)


# slow beside their steps: a short run knows little of their spread
@pytest.mark.parametrize("name", ["hyper_roessler", "chua", "duffing"])
def test_noise_is_a_share_of_the_samples_own_deviation(name):
    d = dm.datasets.load(name, samples=4000, noise=0.1)
    np.testing.assert_allclose(d.noise, 0.1 * d.clean.std("time"), rtol=1e-12)
    # five standard errors of 4000 normal numbers
    np.testing.assert_allclose((d.x - d.clean).std("time"), d.noise, rtol=0.06)
    several = dm.datasets.load("henon", samples=300, noise=0.1, a=[1.2, 1.4], gap=1.0)
    assert several.noise.dims == ("parameter", "state")
    np.testing.assert_allclose(several.noise, 0.1 * several.clean.std("time"), rtol=1e-12)


def test_no_parameter_of_a_run_that_nobody_chose_is_complained_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = dm.datasets.load("figure_eight", samples=100, gap=0.0)
    assert d.attrs["exponents_source"].endswith("not settled")


@pytest.mark.parametrize("rng", [np.random.default_rng(3), None])
def test_the_seed_is_told_as_it_was_passed(rng):
    seed = dm.datasets.load("henon", samples=100, rng=rng).attrs["seed"]
    assert seed == (
        "none: drawn anew each time" if rng is None else "a Generator passed by the caller"
    )


def test_an_orbit_that_does_not_fit_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(module, "trajectory", None)
    for samples in (10**10, 10**30):
        with pytest.raises(
            MemoryError,
            match="take .* GB of memory, more than this machine has: "
            "pass fewer, or write them to a file",
        ):
            dm.datasets.load("henon", samples=samples)


def test_a_long_transient_needs_no_memory(monkeypatch):
    whole = dm.datasets.load("henon", samples=50, transient=400.0)
    monkeypatch.setattr(module, "BLOCK", 100)
    assert dm.datasets.load("henon", samples=50, transient=400.0).identical(whole)


def test_same_seed_same_bits_and_blocks_do_not_matter(monkeypatch):
    one, other = (
        dm.datasets.load("roessler", samples=20_000, noise=0.1, rng=seed) for seed in (1, 2)
    )
    assert not np.allclose(one.x, other.x)
    monkeypatch.setattr(module, "BLOCK", 10_000)
    again = dm.datasets.load("roessler", samples=20_000, noise=0.1, rng=1)
    assert again.identical(one)


def test_parts_follow_each_other_with_gaps():
    d = dm.datasets.load("lorenz63", samples=3000, gap=5.0)
    parts = [dm.datasets.part(d, name).time.values for name in ("train", "validation", "test")]
    for before, after in pairwise(parts):
        assert after[0] - before[-1] > 5.0 * d.attrs["lyapunov_time"]
    assert len(parts[0]) > 4 * len(parts[1]) and sum(map(len, parts)) == 3000 - 2 * round(
        5.0 / 0.02
    )
    with pytest.raises(UnknownNameError, match="validation"):
        dm.datasets.part(d, "tests")
    with pytest.raises(UnknownNameError, match="validation"):
        dm.datasets.part(d, ["test"])
    with pytest.raises(ValueError, match="no coordinate split"):
        dm.datasets.part(d.drop_vars("split"), "test")


def test_parts_need_not_follow_each_other(monkeypatch):
    marks = [0, 2, 2, -1, 0, 1, 2, 0]
    made = xr.Dataset({"x": ("time", np.arange(8))}, {"split": ("time", np.array(marks, np.int8))})
    for piece in (1, 3, 100):
        monkeypatch.setattr(splits, "PIECE", piece)
        for name, code in splits.PARTS.items():
            np.testing.assert_array_equal(
                dm.datasets.part(made, name).x, np.flatnonzero(np.array(marks) == code)
            )
            assert dm.datasets.part(made.isel(time=slice(0, 1)), name).sizes["time"] == (
                name == "train"
            )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("wong_wang_delay", {"delay": 1e12}),
        ("hopfield_recall", {"units": 10**6}),
        ("synapse_traces", {"synapses": 10**9, "lags": 10**6}),
        ("japanese_vowels", {"silence": 10**9}),
    ],
)
def test_memories_and_speech_that_do_not_fit_are_refused(name, options):
    if name == "japanese_vowels":
        pytest.importorskip("aeon")
    with pytest.raises(MemoryError, match="more than this machine has: pass"):
        dm.datasets.load(name, **options)


def test_numpy_numbers_are_numbers():
    given = {
        "trials": np.int64(12),
        "units": np.int32(16),
        "cue": np.float32(1.0),
        "delay": np.int64(1),
    }
    assert dm.datasets.load("ring_attractor_delay", **given).sizes["trial"] == 12


def test_describe_answers_what_a_reader_asks():
    told = dm.datasets.describe(
        dm.datasets.load("lorenz63", samples=2000, rho=[20.0, 28.0], noise=0.1)
    )
    rows = {line[:18].strip(): line[19:] for line in told.splitlines()[1:] if line[0] != " "}
    # at rho = 20 Lorenz's flow comes to rest
    assert rows["Lyapunov time"].startswith("inf, 1.0") and rows["Lyapunov time"].endswith(
        "time unit"
    )
    assert rows["sampling step"].endswith("time unit") and rows["transient"].startswith("0, 21.")
    assert (
        rows["exponents from"].startswith("eigenvalues")
        and "measured over" in rows["exponents from"]
    )
    assert rows["made by"] == (
        "integrated by dynmem: Runge-Kutta of order 8 (Dormand and Prince), "
        "error below 1e-07 a unit of time"
    )
    assert '"fraction": 0.02' in told and "0 train, 1 validation, 2 test" in told
    told = dm.datasets.describe(dm.datasets.load("henon", samples=100))
    assert (
        "exponents          0.41922, -1.62319 1/step" in told
        and "made by            iterated by dynmem" in told
    )
    told = dm.datasets.describe(dm.datasets.load("figure_eight", samples=100, gap=0.0))
    assert "N bodies under their gravity: q_i'' = G sum" in " ".join(told.split())
    told = dm.datasets.describe(dm.tasks.get("questions").sample(3, part="test"))
    asked = (
        "law Read a story",
        "floor 1.79176: least mean cross entropy in nats",
        "chance 0.166667: share of right",
        "lag in steps 33",
        "vocabulary Mary John",
        "answers kitchen garden",
        "part test",
        "licence none needed",
        "loss cross_entropy",
    )
    assert all(words in " ".join(told.split()) for words in asked)


def test_every_dataset_is_described_in_a_line():
    lines = {name: dm.datasets.about(name) for name in dm.datasets.names()}
    assert all(line and "\n\n" not in line for line in lines.values())
    assert lines["lorenz63"].startswith("orbit: Lorenz's convection")


BAD = [
    ("lorenz63", {"dt": 0.5}, "skips the dynamics of Lorenz63.*pass dt of at most 0.1"),
    ("lorenz63", {"fraction": 2.0}, "fraction of at most 0.1"),
    ("henon", {"fraction": 3.0}, "skips the dynamics"),
    ("lorenz63", {"samples": 3}, "samples = 3: pass a whole number of at least 10"),
    ("lorenz63", {"samples": 100.5}, "whole number"),
    ("lorenz63", {"noise": -1.0}, "noise = -1.0: pass a finite number of at least 0"),
    ("lorenz63", {"dt": float("nan")}, "dt = nan: pass a finite number above 0"),
    (
        "lorenz63",
        {"noise": "much", "gap": None},
        "gap = None: pass a finite number of at least 0\nnoise = 'much': pass",
    ),
    (
        "lorenz63",
        {"fraction": [0.1, 0.2], "train": "most"},
        r"fraction = \[0.1, 0.2\]: pass a "
        r"finite number above 0\ntrain = "
        r"'most'",
    ),
    (
        "lorenz63",
        {"dt": True, "rng": -1},
        "dt = True: pass a finite number above 0\nrng = -1: pass a whole number of at least 0",
    ),
    (
        "henon",
        {"transient": 1e30},
        "transient = 1e.30 takes .* steps between samples.*pass a shorter one",
    ),
    ("lorenz63", {"rho": [[20.0, 28.0]]}, "lists of parameters are flat"),
    ("lorenz63", {"gap": 1e6}, "pass more samples, or a smaller gap"),
    ("lorenz63", {"train": 0.9, "validation": 0.2}, "a sum below 1"),
    ("lorenz63", {"rho": [20.0, 28.0], "sigma": [10.0]}, "rho has 2 values, sigma has 1 values"),
    ("flip_flop", {}, "comes to rest.*pass dt"),
    ("logistic", {"r": 3.2}, "logistic is not chaotic here.*pass dt"),  # a cycle of two
    ("henon", {"dt": 0.3}, "dt = 0.3: henon moves in steps of 1, pass a multiple"),
    ("henon", {"dt": 2.3}, "dt = 2.3: henon moves in steps of 1"),
    ("wong_wang_delay", {"delay": -1.0}, "delay = -1.0"),
    ("wong_wang_delay", {"coherence": 2.0}, "coherence = 2.0"),
    ("wong_wang_delay", {"trials": 2}, "trials = 2"),
    ("ring_attractor_delay", {"cue": 0.0}, "cue = 0.0: shorter than one step"),
    ("ring_attractor_delay", {"dt": 0.0}, "dt = 0.0"),
    ("hopfield_recall", {"cue_overlap": 1.5}, "cue_overlap = 1.5"),
    ("synapse_traces", {"lags": 0}, "lags = 0"),
    (
        "wong_wang_delay",
        {"trials": 10.0, "coherence": "0.1", "dt": None, "rng": -1},
        r"trials = 10.0: pass a whole number.*\ncoherence = '0.1': pass a finite number in \[0, "
        r"1\]\ndt = None: pass .*\nrng = -1: pass",
    ),
    (
        "ring_attractor_delay",
        {"strength": float("inf"), "units": True, "diffusion": -1.0, "train": 2},
        "units = True: pass a whole number.*\nstrength = inf: pass a finite number\ndiffusion = "
        "-1.0: pass .* of at least 0\ntrain = 2",
    ),
    (
        "hopfield_recall",
        {"temperature": None, "steps": 0},
        "steps = 0: pass .* of at least 1\ntemperature = None",
    ),
    (
        "synapse_traces",
        {"synapses": 0, "repeats": 1.5, "rate": "fast"},
        "synapses = 0.*\nrepeats = 1.5.*\nrate = 'fast'",
    ),
    ("text", {"held_out": True}, "held_out = True: pass names of documents"),
    (
        "solar_system",
        {"start": None, "years": "all"},
        "start = None: pass a finite number\nyears = 'all': pass a finite number above 0",
    ),
    ("solar_system", {"step": 40.0}, "Mercury turns by a right angle in 22.0"),
    ("solar_system", {"frame": "galactic"}, "choose barycentric or heliocentric"),
]


@pytest.mark.parametrize(
    ("name", "options", "message"), BAD, ids=[f"{n}-{'-'.join(o)}" for n, o, _ in BAD]
)
def test_bad_options_say_what_to_do(name, options, message):
    with pytest.raises(ValueError, match=message):
        dm.datasets.load(name, **options)


def test_a_close_encounter_is_followed_in_shorter_steps():
    system, d = (
        dm.systems.get("two_planets"),
        dm.datasets.load("two_planets", samples=2000, gap=0.1),
    )
    true = dm.orbit(system, d.x.values[0], duration=300 * d.attrs["sampling_step"], rtol=1e-12)
    apart = np.linalg.norm(true.x.values[:, 2:4] - true.x.values[:, 4:6], axis=1)
    assert apart.min() < 0.02
    np.testing.assert_allclose(d.x.values[300], true.x.values[-1], atol=1e-7)


def test_a_close_encounter_is_refused():
    with pytest.raises(ConvergenceError, match="rtol=1e-12"):
        dm.datasets.load("pythagorean", samples=14_000, dt=0.005)


# 47 systems, each compiled, and measured where nothing is published: half a minute
@pytest.mark.slow
@pytest.mark.parametrize("name", dm.systems.names())
def test_every_system_is_a_dataset(name):
    options = {"samples": 400, "gap": 0.1}
    try:
        d = dm.datasets.load(name, **options)
    except ValueError as error:
        assert "pass dt, the time" in str(error)
        d = dm.datasets.load(name, **options, dt=1.0)
    assert (
        np.isfinite(d.x).all() and d.sizes["time"] == 400 and d.attrs["law"] and d.attrs["source"]
    )


# ---- the Solar System ----------------------------------------------------------------------------


def test_solar_system_obeys_kepler():
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    d = dm.datasets.load("solar_system", frame="heliocentric")
    assert d.sizes["time"] == 5479 and d.time.values[-1] > 149.9
    distance = np.sqrt((d.position**2).sum("axis"))
    earth = distance.sel(body="Earth")
    # the Earth-Moon barycentre: e = 0.0167
    assert abs(float(earth.min()) - 0.9832) < 2e-4 and abs(float(earth.max()) - 1.0168) < 2e-4
    speed = (d.velocity**2).sum("axis")
    axis = 1.0 / (2.0 / distance - speed / (ephemeris.GRAVITY * (1.0 + d.mass)))  # vis viva
    # Standish (1992), Explanatory Supplement table 5.8.1: semi-major axes in AU
    for body, known in {
        "Mercury": 0.38710,
        "Venus": 0.72333,
        "Earth": 1.00000,
        "Mars": 1.52366,
        "Jupiter": 5.20336,
    }.items():
        assert abs(float(axis.sel(body=body).mean()) / known - 1) < 2e-3, body
    h = d.attrs["sampling_step"]
    slope = (d.position.values[2:] - d.position.values[:-2]) / (2 * h)
    # outer planets turn slowly enough for a difference
    assert abs(slope - d.velocity.values[1:-1])[:, 5:].max() < 1e-3
    assert d.attrs["licence"] and "DE421" in d.attrs["source"]
    with pytest.raises(ValueError, match="covers the Julian days"):
        dm.datasets.load("solar_system", start=2000.0)


def test_solar_system_agrees_with_the_single_day():
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    masses, bodies = ephemeris.read(ephemeris.TABLE_DATE, pluto=True)
    names, weights, states = ephemeris.positions([ephemeris.TABLE_DATE])
    np.testing.assert_allclose(
        states[0, 5:, 3:] - states[0, 5, 3:], bodies[1:, 3:] - bodies[1, 3:], atol=1e-14
    )
    np.testing.assert_allclose(weights[5:], masses[1:], rtol=1e-15)
    assert names[5] == "Jupiter"


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jplephem", None)
    monkeypatch.setitem(sys.modules, "jplephem.spk", None)
    monkeypatch.setitem(sys.modules, "skyfield_data", None)
    with pytest.raises(ImportError, match=r"dynmem\[planets\]"):
        dm.datasets.load("solar_system")


# ---- memories ------------------------------------------------------------------------------------


def test_delayed_decision_depends_on_the_cue():
    clear, silent = (
        dm.datasets.load("wong_wang_delay", trials=120, coherence=c, delay=1.0) for c in (0.5, 0.0)
    )
    assert clear.correct.mean() == 1.0 and clear.attrs["floor"] == 0.0
    # a cue without evidence: chance
    assert abs(float(silent.correct.mean()) - 0.5) < 3 * 0.5 / np.sqrt(120)
    theory = dm.theory.wong_wang(dm.systems.WongWang())
    memory = theory.x.values[theory.stable.values].max()
    held = clear.activity.where(clear.epoch == 2, drop=True)[:, -20:].max("population")
    # theory's memory, about which the noise moves it
    assert abs(float(held.mean()) - memory) < 0.05
    assert clear.epoch.attrs["flag_meanings"].split() == ["fixation", "cue", "delay", "choice"]
    assert float(abs(clear.inputs.where(clear.epoch != 1, 0.0)).max()) == 0.0


def test_ring_forgets_as_theory_says():
    d = dm.datasets.load("ring_attractor_delay", trials=300, delay=10.0, diffusion=1e-3)
    ends = [
        int(np.flatnonzero(d.epoch.values == epoch)[0 if epoch == 2 else -1]) for epoch in (2, 3)
    ]
    moved = np.angle(np.exp(1j * (d.decoded[:, ends[1]] - d.decoded[:, ends[0]]).values))
    span = float(d.time[ends[1]] - d.time[ends[0]])
    ring = dm.systems.Noisy(dm.systems.RingAttractor(units=64), diffusion=1e-3)
    expected = float(dm.theory.ring_diffusion(ring, time=span).variance[0])
    # the readout itself jitters by what the silent modes carry: a few per cent; the variance of 300
    # trials errs by 8 %
    assert abs(moved.var() / expected - 1) < 0.35
    assert d.attrs["chance"] == pytest.approx(np.pi / np.sqrt(3))


def test_recall_follows_the_first_step_of_theory():
    d = dm.datasets.load("hopfield_recall", units=500, stored=40, trials=200, cue_overlap=0.4)
    expected = float(dm.theory.hopfield_first_step([0.4], 40 / 500).next_overlap[0])
    assert abs(float(d.overlap[:, 1].mean()) - expected) < 0.02
    np.testing.assert_allclose(d.overlap[:, 0], 0.4, atol=1e-12)
    assert set(np.unique(d.activity)) == {-1, 1}


def test_traces_agree_with_theory():
    d = dm.datasets.load("synapse_traces", lags=40, synapses=1000)
    # 123 numbers: the largest of as many normal ones is below that
    assert float((abs(d.trace - d.theory) / d.trace_error).max()) < 4.5
    assert d.synapse.values.tolist() == ["exponential", "cascade", "benna_fusi"]


def test_in_time_refuses_what_cannot_be():
    assert splits.in_time(10, train=0.5, validation=0.2).tolist() == [0] * 5 + [1] * 2 + [2] * 3
    with pytest.raises(ValueError, match="a sum below 1"):
        splits.in_time(10, train=0.0)


def test_a_memory_trains_a_model():
    d = dm.datasets.load("wong_wang_delay", trials=120, coherence=0.4, dt=0.1, fixation=0.0)
    # what the cue adds to one population, and -1 in the delay
    inputs = d.inputs.values / 0.0156 - 1.0
    targets = np.repeat(d.cued.values[:, None], d.sizes["time"], axis=1)
    model = dm.models.get("gru", units=12, inputs=2, outputs=2)
    _, history = dm.fit(
        model, (inputs, targets), steps=60, learning_rate=2e-2, evaluate_every=20, progress=False
    )
    # held through a delay of two seconds, in silence
    assert float(history.accuracy[-1]) > 0.95 and history.learned == 1
