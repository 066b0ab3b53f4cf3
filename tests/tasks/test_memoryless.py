"""The least loss without a memory, against laws whose least loss is known."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.tasks.memoryless import as_symbols, best_without_memory, rows_of

COUNT, STEPS = 300, 30


def drawn(name):
    """Inputs, targets, loss and the least loss that a memory is not needed for."""
    rng = np.random.default_rng(0)
    u = rng.standard_normal((COUNT, STEPS, 2))
    bits = rng.integers(2, size=(COUNT, STEPS, 3)).astype(float)
    symbols = rng.integers(3, size=(COUNT, STEPS))
    step = np.arange(STEPS)[None, :, None]
    values, classes, of_bits = "mean_squared_error", "cross_entropy", "binary_cross_entropy"
    walk = np.cumsum(rng.standard_normal((COUNT, STEPS + 1, 1)), axis=1)
    logistic = np.sin(np.pi / 2 * rng.random((COUNT, STEPS, 1))) ** 2
    leak = np.zeros((COUNT, STEPS, 1))
    for t in range(STEPS):
        leak[:, t] = 0.5 * leak[:, t - 1] + u[:, t, :1] if t else u[:, t, :1]
    ring = (np.square(u).sum(-1) > 1.4).astype(int)
    cued = rng.integers(3, size=COUNT)
    # the class is that of the mean of the inputs, 1 apart from the others
    told = rng.standard_normal((COUNT, STEPS, 3)) + np.eye(3)[cued][:, None]
    of_cue = np.repeat(cued[:, None], STEPS, axis=1)
    return {
        "random walk": (walk[:, :-1], walk[:, 1:], values, 1.0),
        "the present input": (u, u, values, 0.0),
        "a function of it": (u, u[..., :1] * u[..., 1:] + np.sin(u[..., :1]), values, 0.0),
        "its sign": (u, np.sign(u), values, 0.0),
        "a chaotic map": (logistic, 4 * logistic * (1 - logistic), values, 0.0),
        "what is left of a leak": (u, leak, values, np.mean(np.square(leak - u[..., :1]))),
        "the input of a step before": (u, np.roll(u, 1, axis=1), values, 1.0),
        "noise": (u, rng.standard_normal(u.shape), values, 1.0),
        "the step": (u, np.sin(step) + 0 * u, values, 0.0),
        "input times step": (u, step / STEPS * u, values, 0.0),
        "the present symbol": (symbols, symbols, classes, 0.0),
        "the symbol before": (symbols, np.roll(symbols, 1, axis=1), classes, np.log(3)),
        "classes of a ring": (u, ring, classes, 0.0),
        "the present bits": (bits, bits, of_bits, 0.0),
        "parity of the present bits": (bits, bits.sum(-1, keepdims=True) % 2, of_bits, 0.0),
        "bits of a step before": (bits, np.roll(bits, 1, axis=1), of_bits, np.log(2)),
        "bits of values": (u, (u > 0).astype(float), of_bits, 0.0),
        "a class that each input tells a little of": (told, of_cue, classes, posterior(told, cued)),
    }[name]


def posterior(told, cued):
    """Mean surprise at the class, of the one who knows the law and sees the present input."""
    logits = told - np.log(np.exp(told).sum(-1, keepdims=True))
    return -np.mean(np.take_along_axis(logits, cued[:, None, None], axis=-1))


LAWS = """random walk|the present input|a function of it|its sign|a chaotic map
what is left of a leak|the input of a step before|noise|the step|input times step
the present symbol|the symbol before|classes of a ring|the present bits
parity of the present bits|bits of a step before|bits of values
a class that each input tells a little of""".replace("\n", "|").split("|")


def least_loss(inputs, targets, loss, scored=None):
    scored = np.ones(targets.shape[1]) if scored is None else scored
    outputs = int(targets.max()) + 1 if targets.ndim == 2 else targets.shape[2]
    kept = len(inputs) * 4 // 5
    fold = [
        rows_of(inputs[part], targets[part], scored) for part in (slice(kept), slice(kept, None))
    ]
    return best_without_memory([tuple(fold)], loss, outputs)


@pytest.mark.parametrize("name", LAWS)
def test_laws_whose_least_loss_is_known(name):
    inputs, targets, loss, least = drawn(name)
    found = least_loss(inputs, targets, loss).loss
    # 1800 rows judge: a standard error of 2 to 3 %; what is known exactly is found within 3 % of
    # the best constant, 0.7 nats
    assert found == pytest.approx(least, rel=0.08, abs=0.02)


@pytest.mark.parametrize(
    ("name", "options"),
    [("copy", {"delay": 3}), ("parity", {"steps": 8}), ("flip_flop", {}), ("copy", {"delay": 1})],
)
def test_exact_floors_of_tasks_are_found_by_regression(name, options):
    task = dm.tasks.get(name, **options)
    inputs, targets = task.arrays(2000)
    found = least_loss(inputs, targets, task.loss, task.weights > 0)
    assert found.loss == pytest.approx(task.floor, rel=0.06)


def test_few_different_vectors_are_symbols():
    rng = np.random.default_rng(0)
    bits, values = rng.integers(2, size=(500, 1, 4)).astype(float), rng.standard_normal((500, 1, 4))
    targets = np.zeros((500, 1), int)
    for inputs, ndim in ((bits, 1), (values, 2)):
        rows = rows_of(inputs, targets, [1])
        first, second = as_symbols(rows, rows)
        assert first.inputs.ndim == ndim
        np.testing.assert_array_equal(first.inputs, second.inputs)


def test_scored_steps_can_differ_from_sequence_to_sequence():
    scored = np.array([[True, False, True], [False, True, False]])
    rows = rows_of(np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3), scored)
    assert rows.inputs.tolist() == [0, 2, 4] and rows.steps.tolist() == [0, 2, 1]
