"""Tasks: floors by an explicit predictor without memory, solvers that reach zero, lags by
perturbing the cue, bad options."""

import itertools
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dynmem import tasks
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.tasks.parts import PARTS, fingerprints
from dynmem.tasks.registry import ALIASES
from tests.solvers import SURE, solve

COPIES = [
    ("arjovsky", "all"),
    ("arjovsky", "recalled"),
    ("bai", "all"),
    ("bai", "recalled"),
    ("graves", "recalled"),
]
EXAMPLES = [
    *(tasks.Copy(delay=7, layout=a, scored=b) for a, b in COPIES),
    tasks.Adding(steps=9),
    tasks.Adding(steps=30),
    tasks.SelectiveCopy(delay=12, length=5),
    tasks.DelayedMatch(delay=12),
    tasks.NBack(back=3, steps=12),
    tasks.FlipFlop(steps=12, hold=4),
    tasks.Parity(steps=20),
    tasks.Parity(steps=20, scored="recalled"),
    tasks.Induction(steps=9, symbols=8),
    tasks.AssociativeRecall(pairs=4, keys=8, delay=2),
    tasks.AssociativeRecall(pairs=5, keys=8, queries=2),
    tasks.Questions(facts=1, sentences=6, distance=4),
    tasks.Questions(facts=2, sentences=6),
    tasks.Questions(facts=3, sentences=7),
]
every_task = pytest.mark.parametrize("task", EXAMPLES, ids=str)


def learn_without_memory(task, inputs, targets):
    """The best outputs that depend on the step and, where the task is sighted, on what is seen in
    it: a function of inputs, from counts."""
    if not task.sighted:
        return lambda inputs: targets.mean(0)
    step, seen = np.arange(task.steps)[:, None], current(task, inputs)
    classes = 2 if task.loss == "binary_cross_entropy" else task.outputs
    counts = np.zeros((task.steps, seen.shape[-1], seen.max() + 1, classes))
    channel = np.arange(seen.shape[-1])
    np.add.at(counts, (step, channel, seen, targets.reshape(seen.shape)), 1)
    logs = np.log(np.maximum(counts / np.maximum(counts.sum(-1, keepdims=True), 1), np.exp(-600.0)))
    if task.loss == "binary_cross_entropy":
        logs = logs[..., 1:] - logs[..., :1]
    return lambda inputs: logs[step, channel, current(task, inputs)].reshape(
        *inputs.shape[:2], task.outputs
    )


def current(task, inputs):
    """What is seen in each step, as whole numbers (count, steps, 1), or one for each bit that is to
    be said; of a question, its last word too."""
    if inputs.ndim == 3:
        return inputs[..., : task.outputs].astype(int) + 1
    if task.name == "questions":
        inputs = inputs.copy()
        inputs[:, -1] = inputs[:, -2]
    return inputs[..., None].astype(int)


@pytest.mark.parametrize(("delay", "floor"), [(30, 0.415888), (100, 0.173287), (1000, 0.020387)])
@pytest.mark.parametrize("layout", ["arjovsky", "bai"])
def test_published_floors(delay, floor, layout):
    task = tasks.get("copy", delay=delay, layout=layout)
    assert task.steps == delay + 20
    assert task.floor == 10 * math.log(8) / (delay + 20) == pytest.approx(floor, abs=5e-7)
    assert (
        tasks.Copy(delay=delay, layout=layout, scored="recalled").floor
        == math.log(8)
        == pytest.approx(2.079442, abs=5e-7)
    )


def test_floors_of_graves_and_adding():
    assert tasks.Copy(delay=5, layout="graves").floor == math.log(2)
    assert tasks.Adding().floor == 1 / 6


@every_task
def test_floor_is_what_the_best_predictor_without_memory_pays(task):
    predict = learn_without_memory(task, *task.arrays(20_000, rng=1))
    inputs, targets = task.arrays(4_000, rng=2)
    loss = task.mean_loss(predict(inputs), targets)
    # four standard errors
    assert loss == pytest.approx(
        task.floor, rel={"adding": 0.08, "flip_flop": 0.008}.get(task.name, 0.003)
    )
    assert not task.learned(loss)


def test_floor_of_adding_is_a_sixth_and_not_the_published_number():
    task = tasks.Adding(steps=2)
    _, targets = task.arrays(200_000, rng=3)
    # four standard errors; 0.1767 is 22 away
    assert task.mean_loss(np.ones((2, 1)), targets) == pytest.approx(1 / 6, abs=0.002)


@every_task
def test_chance_is_the_accuracy_of_that_predictor(task):
    predict = learn_without_memory(task, *task.arrays(20_000, rng=1))
    inputs, targets = task.arrays(20_000, rng=2)
    assert task.accuracy(predict(inputs), targets) == pytest.approx(task.chance, abs=0.015)


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
    task = tasks.Copy(
        delay=6, layout=layout, scored=scored, length=4, bits=3 if layout == "graves" else 8
    )
    inputs, targets = task.arrays(300, rng=5)
    for step in range(task.length):
        a, b = next(
            pair
            for pair in itertools.combinations(range(300), 2)
            if differ_at(inputs, *pair) == [step]
        )
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
    np.testing.assert_array_equal(
        targets[:, -1, 0], inputs[rows, first, 0] + inputs[rows, second, 0]
    )
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
    chosen, y = (
        torch.tensor(outputs)[:, task.weights > 0],
        torch.tensor(targets)[:, task.weights > 0],
    )
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
    facts = {
        "floor": task.floor,
        "chance": task.chance,
        "dependency": task.dependency,
        "loss": task.loss,
        "seed": 7,
    }
    assert facts.items() <= data.attrs.items()
    options = json.loads(data.attrs["parameters"])
    assert tasks.get(options.pop("task"), **options) == task


def test_what_a_caller_gave_is_labelled_too():
    from dynmem.training.array_task import Samples

    data = Samples(np.zeros((4, 5, 2)), np.array([[0, 1, 0, 1, 1]] * 4)).sample(2)
    # netCDF holds no None
    assert data.attrs["law"] == "not known" and None not in data.attrs.values()


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


def test_learned_needs_a_loss_and_two_errors_below_a_tenth_of_the_floor():
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
        ("copy", {"delay": -1}, ["delay = -1: must be a whole number of at least 1"]),
        ("copy", {"delay": 2.5}, ["delay = 2.5"]),
        ("copy", {"delay": True}, ["delay = True"]),
        ("copy", {"delay": "30"}, ["delay = '30'"]),
        ("copy", {"delay": math.nan}, ["delay = nan"]),
        ("copy", {"symbols": 1}, ["symbols = 1: must be a whole number of at least 2"]),
        (
            "copy",
            {"layout": "urnn"},
            ["layout = 'urnn': must be one of 'arjovsky', 'bai', 'graves'"],
        ),
        ("copy", {"layout": ["bai"]}, ["layout = ['bai']"]),
        ("copy", {"scored": "some"}, ["scored = 'some': must be one of 'all', 'recalled'"]),
        (
            "copy",
            {"layout": "graves", "delay": -1},
            ["delay = -1: must be a whole number of at least 0"],
        ),
        ("copy", {"layout": "graves", "scored": "all"}, ["scored = 'all'"]),
        ("copy", {"layout": "graves", "symbols": 4}, ["set bits"]),
        ("copy", {"bits": 4}, ["only layout 'graves' has bits"]),
        (
            "copy",
            {"delay": -3, "symbols": 0, "length": 0.5, "layout": "x"},
            ["delay = -3", "layout = 'x'", "symbols = 0", "length = 0.5"],
        ),
        (
            "copy",
            {"scored": np.array(["all"]), "layout": np.array(["bai", "bai"])},
            ["layout = array(", "scored = array("],
        ),
        (
            "copy",
            {"symbols": 2**64, "delay": 10**30},
            ["delay = 1000000000000000000000000000000", "symbols = 18446744073709551616"],
        ),
        (
            "copy",
            {"symbols": 2**31},
            ["symbols = 2147483648: must be a whole number from 2 to 2147483647"],
        ),
        ("adding", {"steps": 1}, ["steps = 1"]),
        (
            "selective_copy",
            {"delay": 3, "length": 4},
            ["length = 4: 3 steps have no place for them, set delay to 4"],
        ),
        ("selective_copy", {"delay": 0, "length": 0}, ["delay = 0", "length = 0"]),
        ("delayed_match", {"delay": -1, "symbols": 1}, ["delay = -1", "symbols = 1"]),
        (
            "n_back",
            {"back": 30},
            ["steps = 30: 30 back there is nothing to compare with, set steps to 31"],
        ),
        ("n_back", {"back": 0, "symbols": 1.0}, ["back = 0", "symbols = 1.0"]),
        ("flip_flop", {"hold": 1, "bits": 0}, ["hold = 1", "bits = 0"]),
        ("parity", {"scored": "last", "steps": 1}, ["steps = 1", "scored = 'last'"]),
        ("induction", {"symbols": 2, "steps": 2}, ["steps = 2", "symbols = 2"]),
        (
            "associative_recall",
            {"pairs": 17},
            ["pairs = 17: each needs a key of its own and there are 16"],
        ),
        ("associative_recall", {"queries": 5}, ["queries = 5: each key is queried once at most"]),
        ("associative_recall", {"pairs": -1, "delay": -1}, ["pairs = -1", "delay = -1"]),
        ("associative_recall", {"pairs": 4, "queries": 3.5}, ["queries = 3.5"]),
        ("associative_recall", {"pairs": 1, "queries": True}, ["queries = True"]),
        ("questions", {"facts": 4}, ["facts = 4: must be one of 1, 2, 3"]),
        ("questions", {"facts": 2.0}, ["facts = 2.0"]),
        ("questions", {"facts": np.array([1, 2])}, ["facts = array([1, 2])"]),
        (
            "questions",
            {"distance": 11},
            ["distance = 11: the story has 10 sentences, set sentences to 11"],
        ),
        (
            "questions",
            {"facts": 3, "distance": 1},
            ["distance = 1: must be a whole number of at least 2"],
        ),
        (
            "questions",
            {"persons": 9, "sentences": 0},
            ["sentences = 0", "persons = 9: must be a whole number from 2 to 8"],
        ),
        ("digits", {"delay": -1}, ["delay = -1"]),
    ],
)
def test_every_bad_option_is_named_at_once(name, options, sentences):
    with pytest.raises(ValueError) as caught:
        tasks.get(name, **options)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(sentences)
    assert all(line.count(sentence) == 1 for line, sentence in zip(lines, sentences, strict=True))


@pytest.mark.parametrize(
    ("name", "options", "lines"),
    [
        ("adding", {"delay": 30}, ["adding takes no option delay: it takes steps"]),
        (
            "copy",
            {"dely": 3, "name": 1},
            ["copy takes no option dely, name: it takes delay, layout.*did you mean delay"],
        ),
        (
            "copy",
            {"dely": 3, "symbols": 0, "layout": "x"},
            ["copy takes no option dely", "layout = 'x'", "symbols = 0"],
        ),
    ],
)
def test_an_unknown_option_is_a_type_error_as_for_models_and_systems(name, options, lines):
    with pytest.raises(TypeError) as caught:
        tasks.get(name, **options)
    assert all(
        re.match(line, found)
        for line, found in zip(lines, str(caught.value).splitlines(), strict=True)
    )


@pytest.mark.parametrize("name", ["cpoy", "", None, ["copy"], "../copy"])
def test_an_unknown_task_is_told_the_names(name):
    with pytest.raises(UnknownNameError, match="`dynmem list tasks` lists all"):
        tasks.get(name)


@every_task
def test_parts_share_no_sequence(task):
    drawn = {
        part: {row.tobytes() for row in task.arrays(1000, rng=0, part=part)[0]} for part in PARTS
    }
    again = {row.tobytes() for row in task.arrays(1000, rng=1, part="train")[0]}
    # sequences of questions and delayed_match may recur within a part
    assert min(map(len, drawn.values())) > 700
    assert not (drawn["train"] | again) & drawn["test"]
    assert not (drawn["train"] | again) & drawn["validation"]
    assert not drawn["validation"] & drawn["test"]


def test_parts_are_eight_and_one_and_one_tenths_of_the_law():
    task = tasks.Induction(steps=20)
    whole, test = task.arrays(20_000)[0], task.arrays(4000, rng=7, part="test")
    share = np.mean(np.isin(fingerprints(whole) % 10, PARTS["train"]))
    assert share == pytest.approx(0.8, abs=0.0115)  # four standard errors
    np.testing.assert_array_equal(test[0], task.arrays(4000, rng=7, part="test")[0])
    predict = learn_without_memory(task, *task.arrays(20_000, rng=1, part="train"))
    assert task.mean_loss(predict(test[0]), test[1]) == pytest.approx(task.floor, rel=0.005)
    assert task.sample(2, part="test").attrs["part"] == "test"


def test_parts_that_cannot_be():
    with pytest.raises(ValueError, match="part = 'dev': must be one of 'train'"):
        tasks.Parity().arrays(3, part="dev")
    with pytest.raises(ValueError, match="few different sequences"):
        tasks.Parity(steps=5).arrays(3, part="train")


LAGGED = [task for task in EXAMPLES if task.name not in ("copy", "adding", "selective_copy")]


@pytest.mark.parametrize("task", LAGGED, ids=str)
def test_dependency_is_the_longest_lag_at_which_an_input_changes_an_answer(task):
    inputs, _ = task.arrays(300, rng=5)
    before, longest = solve(task, task.encode(inputs)), 0
    for step in range(task.steps):
        changed = inputs.copy()
        changed[:, step] = np.roll(inputs[:, step], 1, axis=0)
        differ = ((solve(task, task.encode(changed)) != before).any(-1) & (task.weights > 0)).any(0)
        longest = max(longest, np.flatnonzero(differ).max(initial=0) - step)
    assert longest == task.dependency


def test_symbols_of_a_selective_copy_lie_anywhere():
    task = tasks.SelectiveCopy(delay=6, length=2, symbols=4)
    inputs, targets = task.arrays(6000, rng=0)
    first, second = np.nonzero(inputs[:, :6] < 4)[1].reshape(-1, 2).T
    pairs, counts = np.unique(6 * first + second, return_counts=True)
    assert len(pairs) == 15
    assert abs(counts - 400).max() < 4 * math.sqrt(400)
    np.testing.assert_array_equal(targets[:, 6:], inputs[:, :6][inputs[:, :6] < 4].reshape(-1, 2))
    assert task.steps - task.length - first.min() == task.dependency


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "3"])
def test_a_count_that_cannot_be(count):
    with pytest.raises(ValueError, match="count"):
        tasks.Adding().arrays(count)


def test_what_does_not_fit_is_refused_before_it_is_drawn(monkeypatch):
    monkeypatch.setattr(tasks.Copy, "draw", None)
    monkeypatch.setattr("dynmem.runtime.memory.free_memory", lambda: 10**9)
    with pytest.raises(MemoryError, match="10 GB of memory, .* are free: draw fewer"):
        tasks.Copy(delay=80).arrays(50_000_000)
    with pytest.raises(MemoryError, match="8.8 GB of memory"):  # one-hot, in float64
        tasks.Copy(delay=80).sample(1_000_000)


@pytest.mark.parametrize("rng", [-1, 1.5, "seed", None])
def test_seeds(rng):
    if rng is None:
        assert tasks.Adding(steps=3).sample(1, rng=None).attrs["seed"] == (
            "none: drawn anew each time"
        )
        return
    with pytest.raises(
        ValueError,
        match=r"rng = .*: pass a whole number of at least 0, or a "
        r"numpy Generator",
    ):
        tasks.Adding(steps=3).arrays(1, rng=rng)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        ((3, 22, 10), (3, 22), r"needs \(..., 22, 9\)"),
        (
            (3, 22, 9),
            (3, 21),
            r"targets have "
            r"shape \(3, 21\), "
            r"expected \(3, "
            r"22\)",
        ),
        ((3, 22, 9), (4, 22), r"targets have shape \(4, 22\)"),
        ((3, 22, 9), -1, "from 0 to 8"),
        ((3, 22, 9), 9, "from 0 to 8"),
    ],
)
def test_outputs_and_targets_that_do_not_fit_are_refused(outputs, targets, message):
    task = tasks.Copy(delay=2)
    targets = np.zeros(targets, int) if isinstance(targets, tuple) else np.full((3, 22), targets)
    for verdict in (task.mean_loss, task.accuracy):
        with pytest.raises(ShapeError, match=message):
            verdict(np.zeros(outputs), targets)


@every_task
def test_one_sequence_is_judged_as_a_batch_of_one_and_nan_is_never_right(task):
    inputs, targets = task.arrays(1, rng=2)
    outputs = solve(task, task.encode(inputs))
    assert task.mean_loss(outputs[0], targets[0]) == task.mean_loss(outputs, targets)
    assert task.accuracy(outputs[0], targets[0]) == task.accuracy(outputs, targets) == 1.0
    lost = np.full_like(outputs, np.nan)
    assert task.accuracy(lost, targets) == 0.0
    assert math.isnan(task.mean_loss(lost, targets))


@pytest.mark.parametrize("symbols", [[[0, 10]], [[-1, 0]], [[0.0, 1.0]]])
def test_symbols_that_the_task_does_not_have_are_not_encoded(symbols):
    with pytest.raises(ShapeError, match="whole numbers from 0 to 9"):
        tasks.Copy(delay=2).encode(symbols)


def test_a_large_alphabet_needs_no_table():
    task = tasks.Copy(delay=2, symbols=200_000)  # a table of it would take 320 GB
    symbols, _ = task.arrays(1)
    encoded = task.encode(symbols, np.float32)
    np.testing.assert_array_equal(encoded.argmax(-1), symbols)
    assert encoded.sum() == symbols.size


def test_a_story_of_another_length_is_refused():
    for story in ([0, 1, 2], [99] * 34):
        with pytest.raises(ShapeError, match="34 whole numbers from 0 to 13"):
            tasks.Questions().answer(story)


@given(
    st.integers(1, 40),
    st.sampled_from(COPIES),
    st.integers(2, 300),
    st.integers(1, 12),
    st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None)
def test_copies_of_any_size(delay, kind, size, length, seed):
    layout, scored = kind
    size = {"bits": min(size, 16)} if layout == "graves" else {"symbols": size}
    task = tasks.get(
        "copy", delay=np.int64(delay), layout=layout, scored=scored, length=length, **size
    )
    inputs, targets = task.arrays(3, rng=seed)
    assert inputs.shape[:2] == targets.shape[:2] == (3, task.steps)
    width = task.outputs if layout == "graves" else None
    np.testing.assert_array_equal(
        inputs[:, :length, ...][..., :width] if width else inputs[:, :length],
        targets[:, task.dependency :],
    )
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
    assert tasks.names() == sorted(tasks.TASKS)
    assert all(tasks.get(name).name == name for name in tasks.names())
    assert all(task.floor > 0 and 0 < task.chance < 1 and task.source for task in EXAMPLES)


def test_aliases_find_the_listed_task():
    assert all(tasks.get(alias).name == name for alias, name in ALIASES.items())
    assert not set(ALIASES) & set(tasks.names())


@pytest.mark.parametrize("name", tasks.names())
def test_description_holds_every_option_with_limits_that_the_task_enforces(name):
    told = tasks.describe(name)
    task = tasks.get(name)
    assert told["about"] == tasks.about(name) and told["question"].startswith(told["about"])
    assert {"task": name, **{k: v["default"] for k, v in told["options"].items()}}.keys() == (
        task.parameters.keys()
    )
    assert (told["steps"], told["source"]) == (task.steps, task.source)
    assert told["floor"] is None if name == "digits" else told["floor"] == task.floor
    json.dumps(told)
    for option, limits in told["options"].items():
        wrong = [limits[k] + d for k, d in (("least", -1), ("most", 1)) if k in limits]
        for value in [*wrong, *(["no such"] if "choices" in limits else [])]:
            with pytest.raises(ValueError, match=f"{option} = "):
                tasks.get(name, **{option: value})


def test_whole_numbers_are_stored_as_ints_whatever_their_type():
    for value in (np.int64(7), 7.0, np.float32(7)):
        task = tasks.get("copy", delay=value)
        assert type(task.delay) is int and task == tasks.get("copy", delay=7)


def test_tasks_do_not_load_torch():
    code = (
        "import sys, dynmem.tasks; dynmem.tasks.get('digits'); sys.exit('torch' in sys.modules "
        "or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
