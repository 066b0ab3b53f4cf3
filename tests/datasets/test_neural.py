"""Neural memories against theory."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.systems import Noisy, RingAttractor


def test_numpy_numbers_are_numbers():
    given = {
        "trials": np.int64(12),
        "units": np.int32(16),
        "cue": np.float32(1.0),
        "delay": np.int64(1),
    }
    assert dm.datasets.load("ring_attractor_delay", **given).sizes["trial"] == 12


def test_delayed_decision_depends_on_the_cue():
    clear, silent = (
        dm.datasets.load("wong_wang_delay", trials=120, coherence=c, delay=1.0) for c in (0.5, 0.0)
    )
    assert clear.correct.mean() == 1.0 and clear.attrs["floor"] == 0.0
    # a cue without evidence: chance
    assert abs(float(silent.correct.mean()) - 0.5) < 3 * 0.5 / np.sqrt(120)
    theory = dm.theory.wong_wang(dm.systems.get("wong_wang"))
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
    noisy = Noisy(RingAttractor(units=64), diffusion=1e-3)
    expected = float(dm.theory.ring_diffusion(noisy, time=[span]).variance[0])
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
    assert float(history.validation_accuracy[-1]) > 0.95 and history.learned == 1
