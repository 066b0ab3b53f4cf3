"""Forward and backward pass of training on fused torch kernels, against the plain rule and against
torch's own modules.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.training [--steps 200] [--batch 32] [--units 64]
The claim: an LSTM at 200 steps, batch 32, 64 units trains at least 5 times faster than by the plain
rule.
"""

import argparse
import statistics
import time

import torch

from dynmem import models
from dynmem.training import Trainable

INPUTS = 10
PEERS = {"tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
CASES = {"tanh": {}, "relu": {}, "lstm": {}, "gru": {}, "orthogonal": {"nonlinearity": "modrelu"}}


def training_pass(module, u):
    """A function that runs one forward and one backward pass."""

    def run():
        module.zero_grad()
        outputs = module(u)
        (outputs[0] if isinstance(outputs, tuple) else outputs).square().mean().backward()

    return run


def medians(functions, rounds):
    """Median seconds of each function, taken in turn so that a busy machine slows all of them
    alike."""
    for function in functions:
        function()
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def measure(name, steps, batch, units, rounds=15):
    """Seconds of one pass: fused, by the plain rule, and by torch's own module (None where it has
    none)."""
    cell = models.get(name, units=units, inputs=INPUTS, **CASES[name])
    u = torch.randn(batch, steps, INPUTS, generator=torch.Generator().manual_seed(0))
    modules = [Trainable(cell), Trainable(cell, fused=False)]
    if name in PEERS:
        modules.append(PEERS[name](INPUTS, units, batch_first=True))
    return (*medians([training_pass(module, u) for module in modules], rounds), None)[:3]


def main():
    """Print one row a cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("steps", 200), ("batch", 32), ("units", 64)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print(
        f"{options}, {torch.get_num_threads()} "
        f"thread(s)\n{'cell':12}{'fused ms':>10}{'rule ms':>10}{'rule/fused':>12}{'torch ms':>10}"
    )
    for name in CASES:
        fused, plain, peer = measure(name, **vars(options))
        print(
            f"{name:12}{1e3 * fused:10.1f}{1e3 * plain:10.1f}{plain / fused:12.2f}"
            f"{'' if peer is None else f'{1e3 * peer:10.1f}'}"
        )


if __name__ == "__main__":
    main()
