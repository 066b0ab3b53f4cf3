"""Every Python block of README.md runs, and gives the values that it states."""

import ast

import pytest

from tests.readme import blocks

# The same calls on sizes that take seconds. What stands after "# ->" is compared in the slow test.
REDUCED = {
    "units=256, inputs=256": "units=16, inputs=16",
    "duration=1000": "duration=100",
    "lags=1000": "lags=60",
    "samples=40_000": "samples=3000",
    "steps=500": "steps=2",
    "steps=2000": "steps=2",
    "steps=200": "steps=2",
    "units=64, steps": "units=8, steps",
    "delays=[4, 64, 1024]": "delays=[2, 4]",
    "Mine(), task, learning_rate=1e-2)": "Mine(), task, budget=10, ladder=[2], longest=4)",
    "seeds=1, delays=[4, 8, 16, 32]": "seeds=1, delays=[1, 2], budget=10, units=4",
    "learned_dynamics(forecaster, data)": "learned_dynamics(forecaster, data, times=5)",
    "valid_time(forecaster, data)": "valid_time(forecaster, data, starts=2, longest=1.0)",
}


def run(source: str, names: dict, compared: bool) -> int:
    """Run a block statement by statement; the number of values that were compared."""
    count, lines = 0, source.splitlines()
    for node in ast.parse(source).body:
        code = ast.unparse(node)
        _, arrow, stated = lines[node.end_lineno - 1].partition("# -> ")
        if isinstance(node, ast.Expr):
            value = eval(code, names)
            if arrow and compared:
                assert str(value) == stated, code
                count += 1
        else:
            exec(code, names)
    return count


@pytest.mark.filterwarnings("ignore")  # runs this short say that they are
def test_every_block_runs_on_small_sizes():
    names: dict = {"__name__": "readme"}
    for block in blocks():
        for usual, small in REDUCED.items():
            block = block.replace(usual, small)
        run(block, names, compared=False)


@pytest.mark.slow  # as a reader runs it: trains three networks
def test_every_block_gives_the_values_that_it_states():
    names: dict = {"__name__": "readme"}
    assert sum(run(block, names, compared=True) for block in blocks()) >= 3


def test_every_reduction_is_used():
    whole = "\n".join(blocks())
    assert not [usual for usual in REDUCED if usual not in whole]
