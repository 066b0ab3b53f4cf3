"""Datasets by name: names, aliases, options, facts, unknown names."""

import pytest

import dynmem as dm
from dynmem.datasets.registry import ALIASES
from dynmem.errors import UnknownNameError


def test_every_system_is_a_dataset_by_its_name():
    others = {"solar_system", "wong_wang_delay", "ring_attractor_delay", "hopfield_recall"}
    assert others | set(dm.systems.names()) <= set(dm.datasets.names())
    assert not set(ALIASES) & set(dm.datasets.names())
    assert dm.datasets.load("lorenz", samples=50, gap=0.0).attrs["dataset"] == "lorenz63"


def test_unknown_names_and_options_bring_what_there_is():
    assert dm.datasets.options("lorenz63")["rho"] == 28.0
    for call in (dm.datasets.load, dm.datasets.options, dm.datasets.about, dm.datasets.describe):
        with pytest.raises(UnknownNameError, match="lorenz63"):
            call("lorens63")
    with pytest.raises(TypeError, match=r"sample \(did you mean samples\?\): it takes samples, f"):
        dm.datasets.load("lorenz63", sample=10)
    with pytest.raises(UnknownNameError, match=r"a file is opened by dm.datasets.open$"):
        dm.datasets.load("orbit.nc")
    with pytest.raises(UnknownNameError, match=r"name of a task, dm.tasks.get\('copy'\), whose"):
        dm.datasets.load("copy")


def test_every_dataset_has_its_facts():
    for name in dm.datasets.names():
        facts = dm.datasets.describe(name)
        assert facts["name"] == name and facts["about"] == dm.datasets.about(name)
        assert (
            "\n" not in facts["about"]
            and facts["options"].keys() == dm.datasets.options(name).keys()
        )
        assert all(facts[key] for key in ("goal", "licence", "law", "floor")), name
    assert dm.datasets.about("lorenz63").startswith("Orbit of lorenz63: Lorenz's model")


@pytest.mark.parametrize(
    "name, options",
    [
        ("henon", {"samples": 50, "gap": 0.0}),
        ("hopfield_recall", {"trials": 10}),
        ("ring_attractor_delay", {"trials": 10, "delay": 1.0}),
        ("synapse_traces", {"lags": 5, "synapses": 50}),
        ("text", {"vocabulary": 256}),
        ("wong_wang_delay", {"trials": 10, "delay": 1.0}),
    ],
)
def test_facts_are_those_of_the_loaded_dataset(name, options):
    facts, attrs = dm.datasets.describe(name), dm.datasets.load(name, **options).attrs
    assert facts["goal"] == attrs["goal"] and attrs["licence"] in facts["licence"]
    assert facts["floor"] == attrs["floor_meaning"]
    assert facts["law"] == attrs.get("law", facts["law"])


BAD = [
    ("lorenz63", {"dt": 0.5}, "skips the dynamics of Lorenz63.*pass dt of at most 0.1"),
    ("lorenz63", {"fraction": 2.0}, "fraction of at most 0.1"),
    ("henon", {"fraction": 3.0}, "skips the dynamics"),
    ("lorenz63", {"samples": 3}, "samples = 3: must be a whole number of at least 10"),
    ("lorenz63", {"samples": 100.5}, "whole number"),
    ("lorenz63", {"noise": -1.0}, "noise = -1.0: must be a finite number of at least 0"),
    ("lorenz63", {"dt": float("nan")}, "dt = nan: must be a finite number above 0"),
    (
        "lorenz63",
        {"noise": "much", "gap": None},
        "noise = 'much': must be a finite number of at least 0\ngap = None: must be",
    ),
    (
        "lorenz63",
        {"fraction": [0.1, 0.2], "train": "most"},
        r"fraction = \[0.1, 0.2\]: must be .*\ntrain = 'most'",
    ),
    (
        "lorenz63",
        {"dt": True, "rng": -1},
        "dt = True: must be a finite number above 0\nrng = -1: ",
    ),
    (
        "henon",
        {"transient": 1e30},
        "transient = 1e.30 takes .* steps between samples.*pass a shorter one",
    ),
    ("lorenz63", {"rho": [[20.0, 28.0]]}, "lists of parameters must be flat"),
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
        {"trials": 10.5, "coherence": "0.1", "dt": None, "rng": -1},
        r"trials = 10.5: .*\ncoherence = '0.1': must be .*\ndt = None: must be .*\nrng = -1: ",
    ),
    (
        "ring_attractor_delay",
        {"strength": float("inf"), "units": True, "diffusion": -1.0, "train": 2},
        "units = True: must be .*\nstrength = inf: must be .*\ndiffusion = -1.0: .*\ntrain = 2",
    ),
    (
        "hopfield_recall",
        {"temperature": None, "steps": 0},
        "steps = 0: must be .*\n.*temperature = None",
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
        "start = None: must be .*\nyears = 'all': must be",
    ),
    ("solar_system", {"step": 40.0}, "Mercury turns by a right angle in 22.0"),
    ("solar_system", {"frame": "galactic"}, "frame = 'galactic': must be one of"),
]


@pytest.mark.parametrize(
    ("name", "options", "message"), BAD, ids=[f"{n}-{'-'.join(o)}" for n, o, _ in BAD]
)
def test_bad_options_are_named_with_their_bounds(name, options, message):
    with pytest.raises(ValueError, match=message):
        dm.datasets.load(name, **options)


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
    with pytest.raises(MemoryError, match="are free: pass"):
        dm.datasets.load(name, **options)
