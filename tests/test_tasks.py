"""Tasks: floors by an explicit predictor without memory, solvers that reach zero, lags by perturbing the cue, bad options."""

import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dynmem import tasks
from dynmem.errors import ShapeError, UnknownNameError

SURE = 1000.0  # a logit that leaves no doubt: exp(-SURE) is 0
COPIES = [("arjovsky", "all"), ("arjovsky", "recalled"), ("bai", "all"), ("bai", "recalled"), ("graves", "recalled")]
EXAMPLES = [*(tasks.Copy(delay=7, layout=a, scored=b) for a, b in COPIES), tasks.Adding(steps=9), tasks.Adding(steps=30)]
every_task = pytest.mark.parametrize("task", EXAMPLES, ids=str)


def learn_without_memory(task, targets):
    """The best outputs that depend on the step alone, shape (steps, outputs), estimated from targets."""
    if task.loss == "mean_squared_error":
        return targets.mean(0)
    if task.loss == "binary_cross_entropy":
        rate = np.clip(targets.mean(0), 1e-300, 1 - 1e-16)
        return np.log(rate) - np.log1p(-rate)
    rates = (targets[..., None] == np.arange(task.outputs)).mean(0)
    return np.log(np.maximum(rates, np.exp(-600.0)))


def solve(task, inputs):
    """The right outputs, from the inputs of the dataset alone, each cue found ``dependency`` steps before it is needed."""
    if task.name == "adding":
        total = (inputs[..., 0] * inputs[..., 1]).sum(1)
        return np.where(np.arange(task.steps) == task.steps - 1, total[:, None], 0.0)[..., None]
    outputs = np.full((len(inputs), task.steps, task.outputs), -SURE)
    if task.layout != "graves":
        outputs[:, : -task.length, task.symbols] = SURE
    cue = inputs[:, : task.steps - task.dependency, : task.symbols if task.layout != "graves" else task.bits]
    outputs[:, task.dependency :, : cue.shape[-1]] = SURE * (2 * cue - 1)
    return outputs


@pytest.mark.parametrize(("delay", "floor"), [(30, 0.415888), (100, 0.173287), (1000, 0.020387)])
@pytest.mark.parametrize("layout", ["arjovsky", "bai"])
def test_published_floors(delay, floor, layout):
    task = tasks.get("copy", delay=delay, layout=layout)
    assert task.steps == delay + 20
    assert task.floor == 10 * math.log(8) / (delay + 20) == pytest.approx(floor, abs=5e-7)
    assert tasks.Copy(delay=delay, layout=layout, scored="recalled").floor == math.log(8) == pytest.approx(2.079442, abs=5e-7)


def test_floors_of_graves_and_adding():
    assert tasks.Copy(delay=5, layout="graves").floor == math.log(2)
    assert tasks.Adding().floor == 1 / 6


@every_task
def test_floor_is_what_the_best_predictor_without_memory_pays(task):
    _, seen = task.arrays(20_000, rng=1)
    _, unseen = task.arrays(4_000, rng=2)
    loss = task.mean_loss(learn_without_memory(task, seen), unseen)
    assert loss == pytest.approx(task.floor, rel=0.08 if task.name == "adding" else 0.003)  # four standard errors
    assert not task.learned(loss)


def test_floor_of_adding_is_a_sixth_and_not_the_published_number():
    task = tasks.Adding(steps=2)
    _, targets = task.arrays(200_000, rng=3)
    assert task.mean_loss(np.ones((2, 1)), targets) == pytest.approx(1 / 6, abs=0.002)  # four standard errors; 0.1767 is 22 away


@every_task
def test_chance_is_the_accuracy_of_that_predictor(task):
    _, seen = task.arrays(4_000, rng=1)
    _, unseen = task.arrays(20_000, rng=2)
    assert task.accuracy(learn_without_memory(task, seen), unseen) == pytest.approx(task.chance, abs=0.015)


@every_task
def test_a_solver_reaches_zero_and_is_learned(task):
    data = task.sample(50, rng=3)
    outputs = solve(task, data.inputs.values)
    loss = task.mean_loss(outputs, data.targets.values)
    assert loss == pytest.approx(0.0, abs=1e-15)
    assert task.learned(loss)
    assert task.accuracy(outputs, data.targets.values) == 1.0


@pytest.mark.parametrize(("layout", "scored"), COPIES)
def test_dependency_is_the_lag_from_each_cue_to_its_target(layout, scored):
    task = tasks.Copy(delay=6, layout=layout, scored=scored, length=4, bits=3 if layout == "graves" else 8)
    inputs, targets = task.arrays(300, rng=5)
    for step in range(task.length):
        a, b = next(pair for pair in itertools.combinations(range(300), 2) if differ_at(inputs, *pair) == [step])
        assert differ_at(targets, a, b) == [step + task.dependency]


def differ_at(arrays, a, b):
    """Steps at which two sequences differ."""
    return sorted(set(np.nonzero(arrays[a] != arrays[b])[0].tolist()))


def test_dependency_of_adding_is_the_longest_lag_that_occurs():
    task = tasks.Adding(steps=7)
    inputs, targets = task.arrays(500, rng=0)
    first, second = np.argmax(inputs[..., 1], axis=1), 6 - np.argmax(inputs[:, ::-1, 1], axis=1)
    assert (inputs[..., 1].sum(1) == 2).all()
    assert (set(first), set(second)) == ({0, 1, 2}, {3, 4, 5, 6})
    assert task.steps - 1 - first.min() == task.dependency
    rows = np.arange(500)
    np.testing.assert_array_equal(targets[:, -1, 0], inputs[rows, first, 0] + inputs[rows, second, 0])
    assert not targets[:, :-1].any()
    assert (inputs[..., 0] >= 0).all()
    assert (inputs[..., 0] < 1).all()


@pytest.mark.parametrize("layout", ["arjovsky", "bai"])
def test_symbol_layouts_step_by_step(layout):
    task = tasks.Copy(delay=3, layout=layout, length=2, symbols=4)
    inputs, targets = task.arrays(40, rng=0)
    blank, delimiter = 4, 5
    rest = [blank] * 2 if layout == "arjovsky" else [delimiter] * 2
    assert {tuple(row) for row in inputs[:, 2:].tolist()} == {(blank, blank, delimiter, *rest)}
    assert {tuple(row) for row in targets[:, :5].tolist()} == {(blank,) * 5}
    np.testing.assert_array_equal(targets[:, 5:], inputs[:, :2])
    assert set(inputs[:, :2].ravel().tolist()) == {0, 1, 2, 3}


def test_shortest_delays_leave_no_blank():
    inputs, _ = tasks.Copy(delay=1, length=2).arrays(1)
    assert inputs[0, 2:].tolist() == [9, 8, 8]
    inputs, targets = tasks.Copy(delay=0, layout="graves", length=2, bits=3).arrays(1)
    assert inputs[0, 2:].tolist() == [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert targets[0, :3].any() == np.False_
    np.testing.assert_array_equal(targets[0, 3:], inputs[0, :2, :3])


def test_weights_choose_the_scored_steps():
    assert tasks.Copy(delay=4).weights.tolist() == [1.0] * 24
    assert tasks.Copy(delay=4, scored="recalled").weights.tolist() == [0.0] * 14 + [1.0] * 10
    assert tasks.Copy(delay=4, layout="graves").weights.tolist() == [0.0] * 15 + [1.0] * 10
    assert tasks.Adding(steps=3).weights.tolist() == [0.0, 0.0, 1.0]


def test_steps_that_are_not_scored_do_not_count():
    task = tasks.Copy(delay=4, scored="recalled")
    data = task.sample(20)
    outputs = solve(task, data.inputs.values)
    outputs[:, : task.dependency] *= -1.0
    assert task.mean_loss(outputs, data.targets.values) == 0.0


@every_task
def test_losses_agree_with_torch(task):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    _, targets = task.arrays(5, rng=0)
    outputs = 3.0 * np.random.default_rng(0).standard_normal((5, task.steps, task.outputs))
    chosen, y = torch.tensor(outputs)[:, task.weights > 0], torch.tensor(targets)[:, task.weights > 0]
    if task.loss == "cross_entropy":
        expected = functional.cross_entropy(chosen.flatten(0, 1), y.flatten().long())
    elif task.loss == "binary_cross_entropy":
        expected = functional.binary_cross_entropy_with_logits(chosen, y.double())
    else:
        expected = functional.mse_loss(chosen, y)
    assert task.mean_loss(outputs, targets) == pytest.approx(expected.item(), rel=1e-13)


@every_task
def test_sample_is_labelled(task):
    data = task.sample(3, rng=7)
    assert data.inputs.dims == ("sample", "step", "input")
    assert data.inputs.shape == (3, task.steps, task.inputs)
    assert data.targets.dims == ("sample", "step", "output")[: data.targets.ndim]
    assert data.weights.dims == ("step",)
    assert all({"units", "long_name"} <= set(data[name].attrs) for name in data.variables)
    facts = {"floor": task.floor, "chance": task.chance, "dependency": task.dependency, "loss": task.loss, "seed": 7}
    assert facts.items() <= data.attrs.items()
    options = json.loads(data.attrs["parameters"])
    assert tasks.get(options.pop("task"), **options) == task


def test_encode_is_one_hot():
    task = tasks.Copy(delay=2)
    symbols, _ = task.arrays(4, rng=0)
    encoded = task.encode(symbols, dtype=np.float32)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded.argmax(-1), symbols)
    np.testing.assert_array_equal(encoded.sum(-1), 1.0)


@every_task
def test_the_same_seed_gives_the_same_bits(task):
    again, other = task.arrays(6, rng=np.random.default_rng(4)), task.arrays(6, rng=5)
    for one, two, three in zip(task.arrays(6, rng=4), again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert (one != three).any()


def test_learned_asks_for_less_than_a_tenth_of_the_floor_and_two_errors():
    task = tasks.Copy(delay=30)
    assert not task.learned(task.floor)
    assert not task.learned(0.1 * task.floor)
    assert task.learned(0.09 * task.floor)
    assert not task.learned(0.09 * task.floor, error=0.01 * task.floor)
    assert not task.learned(math.nan)
    assert not task.learned(0.0, error=math.inf)
    with pytest.raises(ValueError, match="neither can be negative"):
        task.learned(-0.1)


@pytest.mark.parametrize(
    ("name", "options", "sentences"),
    [
        ("copy", {"delay": -1}, ["delay = -1: must be at least 1"]),
        ("copy", {"delay": 0}, ["delay = 0: must be at least 1"]),
        ("copy", {"delay": 2.5}, ["delay = 2.5: must be a whole number"]),
        ("copy", {"delay": True}, ["delay = True: must be a whole number"]),
        ("copy", {"delay": "30"}, ["delay = '30': must be a whole number"]),
        ("copy", {"delay": math.nan}, ["delay = nan: must be a whole number"]),
        ("copy", {"symbols": 0}, ["symbols = 0: must be at least 2"]),
        ("copy", {"symbols": 1}, ["symbols = 1: must be at least 2"]),
        ("copy", {"layout": "urnn"}, ["layout = 'urnn': choose one of arjovsky, bai, graves"]),
        ("copy", {"layout": ["bai"]}, ["layout = ['bai']: choose one of"]),
        ("copy", {"scored": "some"}, ["scored = 'some': choose one of all, recalled"]),
        ("copy", {"layout": "graves", "delay": -1}, ["delay = -1: must be at least 0"]),
        ("copy", {"layout": "graves", "scored": "all"}, ["scores the recalled vectors only"]),
        ("copy", {"layout": "graves", "symbols": 4}, ["set bits"]),
        ("copy", {"bits": 4}, ["only layout 'graves' has bits"]),
        ("copy", {"delay": -3, "symbols": 0, "length": 0.0, "layout": "x", "dely": 3},
         ["dely = 3: no option of copy, which has delay, layout", "layout = 'x'", "delay = -3", "symbols = 0", "length = 0.0"]),
        ("adding", {"steps": 1}, ["steps = 1: must be at least 2"]),
        ("adding", {"delay": 30}, ["delay = 30: no option of adding, which has steps"]),
    ],
)  # fmt: skip
def test_every_bad_option_is_named_at_once(name, options, sentences):
    with pytest.raises(ValueError) as caught:
        tasks.get(name, **options)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(sentences)
    assert all(line.count(sentence) == 1 for line, sentence in zip(lines, sentences, strict=True))


@pytest.mark.parametrize("name", ["cpoy", "", None, ["copy"], "../copy"])
def test_an_unknown_task_is_told_the_names(name):
    with pytest.raises(UnknownNameError, match="choose one of adding, copy"):
        tasks.get(name)


@pytest.mark.parametrize("count", [0, -1, 2.0, True, "3"])
def test_a_count_that_cannot_be(count):
    with pytest.raises(ValueError, match="count"):
        tasks.Adding().arrays(count)


def test_outputs_of_another_shape_are_refused():
    task = tasks.Copy(delay=2)
    _, targets = task.arrays(3)
    with pytest.raises(ShapeError, match=r"needs \(..., 22, 9\)"):
        task.mean_loss(np.zeros((3, 22, 10)), targets)


@given(st.integers(1, 40), st.sampled_from(COPIES), st.integers(2, 300), st.integers(1, 12), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_copies_of_any_size(delay, kind, size, length, seed):
    layout, scored = kind
    size = {"bits": min(size, 16)} if layout == "graves" else {"symbols": size}
    task = tasks.get("copy", delay=np.int64(delay), layout=layout, scored=scored, length=length, **size)
    inputs, targets = task.arrays(3, rng=seed)
    assert inputs.shape[:2] == targets.shape[:2] == (3, task.steps)
    width = task.outputs if layout == "graves" else None
    np.testing.assert_array_equal(inputs[:, :length, ...][..., :width] if width else inputs[:, :length], targets[:, task.dependency :])
    outputs = solve(task, task.encode(inputs))
    assert task.mean_loss(outputs, targets) == pytest.approx(0.0, abs=1e-15)
    uniform = np.zeros((task.steps, task.outputs))
    if layout != "graves":
        uniform[:, task.symbols] = -SURE
        uniform[: task.dependency] = SURE * (np.arange(task.outputs) == task.symbols)
    assert task.mean_loss(uniform, targets) == pytest.approx(task.floor, rel=1e-12)


@given(st.integers(2, 60), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_adding_of_any_length(steps, seed):
    task = tasks.get("adding", steps=steps)
    inputs, targets = task.arrays(4, rng=seed)
    assert (inputs[:, : steps // 2, 1].sum(1) == 1).all()
    assert (inputs[:, steps // 2 :, 1].sum(1) == 1).all()
    assert task.mean_loss(solve(task, inputs), targets) == pytest.approx(0.0, abs=1e-15)


def test_names_and_defaults():
    assert tasks.names() == ["adding", "copy"]
    assert all(tasks.get(name).name == name for name in tasks.names())
    assert all(task.floor > 0 and 0 < task.chance < 1 and task.source for task in EXAMPLES)


def test_tasks_do_not_load_torch():
    code = "import sys, dynmem.tasks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
