"""Does a trained network hold its memory in the attractor that theory names?

Two tasks need 2^bits memories. Flip-flop (Sussillo and Barak 2013): each bit is the sign of its
last pulse; theory is one bistable unit for each bit (``dm.theory.flip_flop``), whose product has
3^bits fixed points, of which 2^bits are stable and C(bits, k) 2^(bits - k) have k unstable
directions. Delayed match (Fuster and Alexander 1971): one of 2^bits symbols, held over a silence;
theory of persistent activity is a stable point for each (Amit 1989). After training, all fixed
points of the network under the silent input are found by Newton's method from states that it
visited and between them; and its states are left in silence for ten and for a hundred times as long
as in training: a memory that is an attractor stays, one that is a slow passage (Orhan and Ma 2019)
does not. A task is learned where the test loss lies, with two standard errors, below a tenth of
that of the best guess without memory.
"""

from math import comb

import numpy as np
import xarray as xr

import dynmem as dm
from dynmem.study import Study

TASKS = ("flip_flop", "delayed_match")
MODELS = {  # initialisation that carries gradients over the silence, and learning rate
    "tanh": ({"init": "orthogonal"}, 3e-3),
    "gru": ({"init": "uniform", "chrono": 22.0}, 1e-2),
}
DIRECTION_COUNTS = 4  # points are counted by unstable directions: 0, 1, 2, 3 or more
# components, states and fixed points that are kept for the figure
PLANE, VISITS, DRAWN = 3, 400, 64
SAME_END_DISTANCE = 0.05  # distance, over the spread of the states, below which two ends are one
TRAINED_SILENCE = 20  # steps of silence in training


def measure(task, model, bits, seed, units, steps, starts):
    """One network: what it learned, the fixed points in silence, and its answers after long
    silences."""
    setting = build_task(task, bits)
    options, rate = MODELS[model]
    untrained = dm.models.get(
        model, units=units, inputs=setting.inputs, outputs=setting.outputs, rng=seed, **options
    )
    trained, history = dm.fit(
        untrained,
        setting,
        steps=steps,
        rng=seed,
        learning_rate=rate,
        batch=64,
        validation_size=256,
        evaluate_every=100,
        stop=0.005,
        progress=False,
    )
    visited = states(trained, setting, seed)
    points = dm.fixed_points(
        trained, between(visited, starts, seed), drive=silent(setting), rng=seed
    )
    grow = (
        np.sum(points.exponent.values > 1e-6, axis=1) if points.sizes["point"] else np.zeros(0, int)
    )
    held, ends = kept(trained, setting, visited, seed)
    theory = predicted(task, bits)
    stable = points.x.values[grow == 0]
    size = np.hypot(points.eigenvalue_real.values, points.eigenvalue_imag.values)[grow == 0]
    slowest = size.max(1) if len(stable) else np.array([np.nan])
    count = np.bincount(np.minimum(grow, DIRECTION_COUNTS - 1), minlength=DIRECTION_COUNTS)
    return xr.Dataset(
        {
            "points": labelled("growing", count, "1", "fixed points found"),
            "predicted_points": labelled(
                "growing", theory, "1", "fixed points of the attractor that theory names"
            ),
            "memories": labelled(
                (), distinct(stable, visited), "1", "stable fixed points, apart from each other"
            ),
            "ends": labelled((), ends, "1", "places where the memories end after a long silence"),
            "slowest": labelled(
                (),
                np.median(slowest),
                "1",
                "largest |eigenvalue| of a stable point, median over points",
            ),
            "unseen": labelled(
                (), float(points.unseen), "1", "chance that one more start finds a new point"
            ),
            "recall": labelled("silence", held, "1", "share of right answers after a silence"),
            "loss": labelled(
                (), history.test_loss / setting.floor, "1", "test loss over that without memory"
            ),
            "loss_error": labelled(
                (), history.test_loss_error / setting.floor, "1", "its standard error"
            ),
            **plane(points, grow, visited),
            "learned": labelled((), int(history.learned), "1", "whether the task was learned"),
        },
        {
            "component": labelled(
                "component", np.arange(1, PLANE + 1), "1", "principal component of the states"
            ),
            "growing": labelled(
                "growing", np.arange(DIRECTION_COUNTS), "1", "directions that grow"
            ),
            "silence": labelled(
                "silence",
                TRAINED_SILENCE * np.array([1, 10, 100]),
                "step",
                "silence before the answer",
            ),
        },
    )


def labelled(dims, values, units, text):
    """A variable with its units and long name."""
    return dims, np.asarray(values), {"units": units, "long_name": text}


def plane(points, grow, visited):
    """States and fixed points for the figure, the stable ones first, in the principal components of
    the states; NaN beyond."""
    mean, axes = (
        visited.mean(0),
        np.linalg.svd(visited - visited.mean(0), full_matrices=False)[2][:PLANE],
    )
    order = np.argsort(grow, kind="stable")[:DRAWN]
    shown, kinds = np.full((DRAWN, PLANE), np.nan), np.full(DRAWN, np.nan)
    shown[: len(order)], kinds[: len(order)] = (points.x.values[order] - mean) @ axes.T, grow[order]
    seen = (visited[np.linspace(0, len(visited) - 1, VISITS).astype(int)] - mean) @ axes.T
    return {
        "visited": labelled(
            ("visit", "component"), seen, "1", "states visited, in principal components"
        ),
        "point_at": labelled(
            ("fixed_point", "component"), shown, "1", "fixed points, in principal components"
        ),
        "point_growing": labelled(
            "fixed_point", kinds, "1", "directions that grow at a fixed point"
        ),
    }


def build_task(name, bits):
    """The task of 2^bits memories."""
    if name == "flip_flop":
        return dm.tasks.get("flip_flop", steps=60, hold=10, bits=bits)
    return dm.tasks.get("delayed_match", delay=TRAINED_SILENCE, symbols=2**bits, distractors=0)


def predicted(name, bits):
    """Fixed points by the number of unstable directions: the product of one bistable unit for each
    bit, or a stable point for each symbol."""
    if name == "delayed_match":
        return np.array([2.0**bits] + [np.nan] * (DIRECTION_COUNTS - 1))
    unit = dm.theory.flip_flop(dm.systems.FlipFlop(), time=[0.0])
    ridges = int((unit.eigenvalue > 0).sum())
    rests = unit.sizes["point"] - ridges
    return np.array(
        [float(comb(bits, k) * ridges**k * rests ** (bits - k)) for k in range(DIRECTION_COUNTS)]
    )


def silent(task):
    """The input between events: no pulse, or the blank symbol."""
    silence = np.zeros(task.inputs)
    silence[task.inputs if task.name == "flip_flop" else task.symbols :] = 1.0
    return silence


def states(system, task, rng):
    """States visited in the task, after the first step, and in a silence after it: (states, n)."""
    inputs = task.encode(task.arrays(64, np.random.default_rng(rng))[0])
    quiet = np.broadcast_to(silent(task), (64, 2 * TRAINED_SILENCE, task.inputs))
    x, seen = np.zeros((64, system.size)), []
    for u in np.concatenate((inputs[:, : task.steps - 1], quiet), axis=1).swapaxes(0, 1):
        x = system.rule(x, u)
        seen.append(x)
    return np.concatenate(seen)


def between(visited, count, rng):
    """Starts for Newton's method: a third of them visited states, the others weighted means of two
    to eight such states, where the ridges between memories lie."""
    rng = np.random.default_rng(rng)
    found = visited[rng.choice(len(visited), count)]
    for i in range(count // 3, count):
        several = rng.choice(len(visited), rng.integers(2, 9))
        found[i] = rng.dirichlet(np.ones(len(several))) @ visited[several]
    return found


def kept(system, task, visited, rng):
    """Share of right answers after silences of 1, 10 and 100 times that of training, and the number
    of distinct states then."""
    inputs, targets = task.arrays(256, np.random.default_rng(rng))
    u, quiet, x = task.encode(inputs), silent(task), np.zeros((256, system.size))
    cue = u.shape[1] if task.name == "flip_flop" else 1
    for step in range(cue):
        x = system.rule(x, u[:, step])
    scores = []
    for silence in range(1, 100 * TRAINED_SILENCE + 1):
        x = system.rule(x, quiet)
        if silence in (TRAINED_SILENCE, 10 * TRAINED_SILENCE, 100 * TRAINED_SILENCE):
            last = quiet if task.name == "flip_flop" else u[:, -1]
            answers = system.output(x if task.name == "flip_flop" else system.rule(x, last), last)
            answer = targets[:, -1]
            scores.append(
                np.mean((answers > 0) == answer)
                if task.name == "flip_flop"
                else np.mean(answers.argmax(-1) == answer)
            )
    return np.array(scores), distinct(x, visited)


def distinct(points, among):
    """Number of distinct points: further apart than a share of the spread of other states."""
    found = []
    for point in points:
        if all(
            np.linalg.norm(point - other) > SAME_END_DISTANCE * np.linalg.norm(among.std(0))
            for other in found
        ):
            found.append(point)
    return len(found)


def summary(results):
    """Table by task, model and number of memories: mean over seeds, with theory."""
    heads = "".join(
        f"{head:>9}"
        for head in ("learned", "loss", "stable", "theory", "saddles", "theory", "ends", "slowest")
    )
    rows = [
        f"{'task':>14} {'model':>6} {'bits':>6}{heads}"
        + "".join(f"{f'recall {int(s)}':>13}" for s in results.silence.values)
    ]
    for task in results.task.values:
        for model in results.model.values:
            for bits in results.bits.values:
                found = results.sel(task=task, model=model, bits=bits)
                at, count = (
                    found.mean("seed"),
                    f"{int(found.learned.sum())} of {results.sizes['seed']}",
                )
                saddles, theory = (
                    float(at.points[1:].sum()),
                    float(at.predicted_points[1:].sum(skipna=False)),
                )
                rows.append(
                    f"{task:>14} {model:>6} "
                    f"{int(bits):6d}{count:>9}{float(at.loss):9.4f}{float(at.memories):9.2f}"
                    f"{float(at.predicted_points[0]):9.0f}{saddles:9.2f}{theory:9.0f}{float(at.ends):9.2f}{float(at.slowest):9.4f}"
                    + "".join(f"{value:13.3f}" for value in at.recall.values)
                )
    return "\n".join(
        [
            *rows,
            "learned: seeds whose test loss lies, with two standard errors, "
            "below a tenth of that without memory; loss: over that "
            "without memory, mean over seeds",
            "stable, saddles: fixed points in "
            "silence; ends: places where the states "
            "are after 2000 "
            "silent steps; recall: share of right answers after them; slowest: "
            "largest |eigenvalue| of a stable point",
        ]
    )


STUDY = Study(
    name="working_memory",
    question="Does a trained network hold its memory in the attractor that theory names?",
    grid={"task": list(TASKS), "model": list(MODELS), "bits": [1, 2, 3], "seed": [0, 1]},
    settings={"units": 48, "steps": 1000, "starts": 600},
    quick={
        "task": list(TASKS),
        "model": ["gru"],
        "bits": [1],
        "seed": [0],
        "units": 8,
        "steps": 150,
        "starts": 60,
    },
    units={
        "task": ("1", "task"),
        "model": ("1", "model"),
        "bits": ("bit", "what is to be held"),
        "seed": ("1", "seed"),
    },
    limits={
        "bits": (1, 4),
        "seed": (0, None),
        "units": (2, 512),
        "steps": (1, 1_000_000),
        "starts": (10, 2000),
    },
    source="Sussillo and Barak (2013), Neural Computation 25, 626; Orhan and Ma (2019), Nat. "
    "Neurosci. 22, 275; Amit (1989), Modeling Brain Function",
    measure=measure,
    summary=summary,
)

if __name__ == "__main__":
    raise SystemExit(STUDY.main())
