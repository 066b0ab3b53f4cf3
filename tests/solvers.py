"""The right outputs of every task, each found from the inputs alone by the plainest code there
is."""

import numpy as np

from dynmem.tasks.questions import PLACES

SURE = 1000.0  # a logit that leaves no doubt: exp(-SURE) is 0


def solve(task, inputs):
    """Outputs (count, steps, outputs) that make no mistake, from inputs as a network takes them."""
    return SOLVERS[task.name](task, inputs)


def adding(task, inputs):
    total = (inputs[..., 0] * inputs[..., 1]).sum(1)
    return np.where(np.arange(task.steps) == task.steps - 1, total[:, None], 0.0)[..., None]


def copy(task, inputs):
    """Each cue is found ``dependency`` steps before it is needed."""
    outputs = np.full((len(inputs), task.steps, task.outputs), -SURE)
    if task.layout != "graves":
        outputs[:, : -task.length, task.symbols] = SURE
    cue = inputs[
        :, : task.steps - task.dependency, : task.symbols if task.layout != "graves" else task.bits
    ]
    outputs[:, task.dependency :, : cue.shape[-1]] = SURE * (2 * cue - 1)
    return outputs


def by_symbols(answers):
    """A solver from a function of the task and the symbols of one sequence, which returns the
    classes at the last steps."""

    def solver(task, inputs):
        outputs = np.full((len(inputs), task.steps, task.outputs), -SURE)
        for sequence, symbols in zip(outputs, inputs.argmax(-1).tolist(), strict=True):
            classes = answers(task, symbols)
            sequence[np.arange(task.steps - len(classes), task.steps), classes] = SURE
        return outputs

    return solver


def by_bits(bits):
    """A solver from a function of the inputs that returns the bits."""
    return lambda task, inputs: SURE * (2.0 * bits(inputs) - 1.0)


def held(inputs):
    state = inputs.copy()
    for step in range(1, inputs.shape[1]):
        state[:, step] = np.where(inputs[:, step] != 0, inputs[:, step], state[:, step - 1])
    return state > 0


def recall(task, symbols):
    pairs = dict(zip(symbols[0 : 2 * task.pairs : 2], symbols[1 : 2 * task.pairs : 2], strict=True))
    return [pairs.get(key, task.keys) - task.keys for key in symbols[-task.queries :]]


def story(task, symbols):
    try:
        return [PLACES.index(task.answer(symbols))]
    except (LookupError, ValueError):  # a story that was changed at random may have no answer
        return [0]


SOLVERS = {
    "adding": adding,
    "copy": copy,
    "selective_copy": by_symbols(
        lambda task, symbols: [s for s in symbols[: task.delay] if s < task.symbols]
    ),
    "delayed_match": by_symbols(lambda task, symbols: [int(symbols[0] == symbols[-1])]),
    "n_back": by_symbols(
        lambda task, symbols: [
            int(a == b) for a, b in zip(symbols, symbols[task.back :], strict=False)
        ]
    ),
    "flip_flop": by_bits(held),
    "parity": by_bits(lambda inputs: inputs.cumsum(axis=1) % 2),
    "induction": by_symbols(
        lambda task, symbols: [
            symbols[symbols.index(symbols[-1]) + 1] if symbols[-1] in symbols[:-1] else 0
        ]
    ),
    "associative_recall": by_symbols(recall),
    "questions": by_symbols(story),
}
