"""What tasks say of the memory that they need: few sequences, modes, cues, plateaus, delays."""

import numpy as np
import pytest

from dynmem import tasks
from dynmem.tasks.task import FEW_SEQUENCES

LISTED = [
    tasks.Copy(delay=3, symbols=4, length=2, scored="recalled"),
    tasks.Copy(delay=3, symbols=2, length=8, layout="bai"),
    tasks.Copy(delay=0, layout="graves", bits=3, length=2),
    tasks.DelayedMatch(delay=4, symbols=5, distractors=0),
    tasks.Parity(steps=6),
]
SAMPLED = [
    tasks.Copy(delay=3, symbols=8, length=10),
    tasks.Copy(delay=2, layout="graves", bits=9, length=1),
    tasks.DelayedMatch(delay=4),
    tasks.Parity(steps=9),
    tasks.Adding(steps=9),
    tasks.SelectiveCopy(delay=6, symbols=3, length=2),
    tasks.NBack(back=2, steps=7, symbols=3),
    tasks.FlipFlop(steps=9, hold=3),
    tasks.Induction(steps=6, symbols=4),
    tasks.AssociativeRecall(pairs=2, keys=3, values=3, delay=1, queries=1),
]


@pytest.mark.parametrize("task", LISTED, ids=str)
def test_the_listed_sequences_are_the_law(task):
    inputs, targets, p = task.sequences()
    assert len(p) == len(inputs) == len(targets) <= FEW_SEQUENCES and p.sum() == pytest.approx(1)
    index = {row.tobytes(): i for i, row in enumerate(inputs)}
    assert len(index) == len(inputs)
    drawn, answers = task.arrays(20_000, 3)
    assert drawn.dtype == inputs.dtype and answers.dtype == targets.dtype
    found = np.array([index[row.tobytes()] for row in drawn])
    np.testing.assert_array_equal(targets[found], answers)
    shares = np.bincount(found, minlength=len(p)) / len(drawn)
    assert np.all(np.abs(shares - p) < 5 * np.sqrt(p / len(drawn)))


@pytest.mark.parametrize("task", SAMPLED, ids=str)
def test_others_are_not_listed(task):
    assert task.sequences() is None


@pytest.mark.parametrize("task", LISTED + SAMPLED, ids=str)
def test_modes_know_nothing_of_what_comes_after_their_cue(task):
    """The mean of a mode is the same for every suffix of inputs that holds no cue."""
    inputs, targets = task.arrays(40_000, 1)
    encoded = task.encode(inputs)
    for name, part in task.modes(inputs, targets).items():
        assert part.shape == (*inputs.shape[:2], task.outputs)
        part = part - part.mean(0)
        for step in range(task.steps)[task.recalled][-2:]:
            last = task.last_cue(name, step)
            assert last < task.steps
            late = encoded[:, last + 1 : step + 1].reshape(len(encoded), -1)
            if not late.shape[1]:
                continue
            covariance = (late - late.mean(0)).T @ part[:, step] / len(part)
            scale = late.std(0)[:, None] * part[:, step].std(0)
            assert np.all(np.abs(covariance) <= 5 * scale / np.sqrt(len(part)) + 1e-12), name
            assert part[:, step].std() > 0, name


@pytest.mark.parametrize("task", LISTED + SAMPLED, ids=str)
def test_a_delay_can_be_set(task):
    longer = task.with_delay(12)
    assert type(longer) is type(task) and longer.dependency > task.dependency
    assert getattr(longer, task.delay_option) == 12
    if task.name in ("copy", "delayed_match", "associative_recall"):
        assert longer.dependency - task.dependency == 12 - task.delay


@pytest.mark.parametrize(
    "task",
    [
        tasks.Copy(symbols=4, length=2, scored="recalled"),
        tasks.Copy(symbols=3, length=4),
        tasks.Copy(layout="graves", bits=1, length=3),
        tasks.SelectiveCopy(delay=5, symbols=3, length=3),
    ],
    ids=str,
)
def test_the_plateau_is_the_loss_of_knowing_which_and_not_the_order(task):
    inputs, targets = task.arrays(20_000, 0)
    which = task.modes(inputs, targets)["which"]
    if task.loss == "binary_cross_entropy":
        share = np.clip(which, 1e-12, 1 - 1e-12)
        logits = np.log(share / (1 - share))
    else:
        logits = np.log(np.maximum(which, 1e-30))
        quiet = np.ones(task.steps, bool)
        quiet[task.recalled] = False
        logits[:, quiet] = 50.0 * task.answers(targets)[:, quiet]  # the blank is known
    plateau = task.plateaus()["which"]
    assert 0 < plateau < task.floor
    assert task.mean_loss(logits, targets) == pytest.approx(plateau, rel=0.02)


def test_three_eighths():
    task = tasks.Copy(delay=30, symbols=4, length=2, scored="recalled")
    assert task.plateaus()["which"] / task.floor == pytest.approx(3 / 8, rel=1e-14)
    assert tasks.Copy(symbols=4, length=1).plateaus() == {} == tasks.Adding().plateaus()


def test_a_task_without_a_delay_says_what_to_do():
    with pytest.raises(TypeError, match="function of the delay"):
        tasks.Questions().with_delay(4)
