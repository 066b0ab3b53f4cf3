"""The same seed gives the same bits (R10): in any order, whatever ran before."""

import random

import numpy as np
import pytest

import dynmem as dm
from dynmem.study import Store
from dynmem.training.trainable import leaves
from tests.tiny import contents, key_of


def disturb(seed):
    """Move the generators of the process."""
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def bits(found):
    if hasattr(found, "data_vars"):
        return {name: found[name].values.tobytes() for name in found.variables}
    return [np.asarray(one).tobytes() for one in found]


def trained(name):
    task = dm.tasks.get("copy", delay=2, symbols=2, length=1)
    model = dm.models.get(name, units=4, inputs=task.inputs, outputs=task.outputs, rng=0)
    made, history = dm.fit(model, task, steps=3, rng=5, progress=False)
    weights = (value for _, value in leaves(made) if isinstance(value, np.ndarray))
    return [history.test_loss, *weights]


def network(name):
    return dm.models.get(name, units=4, inputs=2, rng=3)


CONFIGURATIONS = {
    **{
        f"orbit of {name}": lambda name=name: dm.orbit(network(name), duration=20, drive=0.5, rng=7)
        for name in dm.models.names()
    },
    **{
        f"exponents of {name}": lambda name=name: dm.lyapunov_spectrum(
            dm.systems.get(name), duration=50, rng=1
        )
        for name in ("henon", "lorenz63", "standard", "roessler", "logistic")
    },
    "gradients": lambda: dm.gradient_norms(network("gru"), lags=20, drive=1.0, rng=2),
    "fixed points": lambda: dm.fixed_points(dm.systems.get("wong_wang"), box=(0, 1), rng=2),
    "vectors": lambda: dm.covariant_vectors(dm.systems.get("henon"), duration=50, rng=2),
    "batch of copy": lambda: dm.tasks.get("copy", delay=5).draw(4, np.random.default_rng(3)),
    "training of gru": lambda: trained("gru"),
    "training of lru": lambda: trained("lru"),
}


@pytest.mark.promise("R10")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_seed_gives_the_same_bits(name):
    disturb(1)
    first = bits(CONFIGURATIONS[name]())
    disturb(2)
    assert bits(CONFIGURATIONS[name]()) == first


@pytest.mark.promise("R10")
def test_any_order_of_the_points_gives_the_same_bytes(study, tmp_path, case):
    study.run(output=tmp_path)
    file, rng = tmp_path / "tiny.nc", np.random.default_rng(0)
    expected = file.read_bytes()
    for number in range(20):
        file.unlink()
        # some are there, the others are measured in the order of the grid
        for index in rng.choice(12, rng.integers(1, 13), replace=False):
            Store("tiny", tmp_path).forget(key_of(study, int(index)))
        with case(number):
            study.run(output=tmp_path)
            assert file.read_bytes() == expected


@pytest.mark.promise("R10")
def test_any_order_of_an_axis_gives_the_same_numbers(study, tmp_path, case):
    whole, rng = study.run(output=tmp_path / "whole"), np.random.default_rng(1)
    for number in range(20):
        gains, seeds = rng.permutation([0.5, 1.0, 2.0]), rng.permutation(4)
        order = {"gain": gains.tolist(), "seed": seeds.tolist()}
        found = study.run(output=tmp_path / str(number), overrides=order)
        with case(order):
            for name in ("norm", "eigenvalue", "rank"):
                expected = whole[name].sel(gain=gains, seed=seeds)
                assert found[name].values.tobytes() == expected.values.tobytes()


@pytest.mark.promise("R10")
def test_workers_give_the_bytes_of_one_process(study, tmp_path):
    for workers in (1, 2):
        study.run(output=tmp_path / str(workers), workers=workers)
    assert contents(tmp_path / "2") == contents(tmp_path / "1")
