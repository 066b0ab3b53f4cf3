"""A gradient profile over the lag, against the floating-point limit and against one call of
autograd a lag.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.gradients [--steps 1000] [--units 128] [--rounds
5] The limit is one product of n by n matrices a step at the machine's own rate. The claims: at most
2 times the limit, 200 times faster than one autograd call for every lag, and no underflow where
float32 autograd gives zeros.
"""

import argparse

import numpy as np
import torch

from dynmem import gradient_norms
from dynmem.models import Tanh
from dynmem.runtime.threads import one_thread
from tests.benchmarks.harness import medians, product


def autograd_norms(cell, x, steps, lags, dtype):
    """|d x_T / d x_(T-lag)|_F / sqrt(n) by torch: one backward pass with a batch of n cotangents
    for every lag."""
    W, states = (
        torch.tensor(cell.W, dtype=dtype),
        [torch.tensor(x, dtype=dtype, requires_grad=True)],
    )
    for _ in range(steps):
        states.append(torch.tanh(states[-1] @ W.T))
    eye, n = torch.eye(len(x), dtype=dtype), len(x)
    return np.array(
        [
            torch.autograd.grad(
                states[-1], states[-1 - lag], eye, retain_graph=True, is_grads_batched=True
            )[0]
            .norm()
            .item()
            / n**0.5
            if lag
            else 1.0
            for lag in lags
        ]
    )


def main():
    """Print the profile's cost and what float32 autograd loses."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("steps", 1000), ("units", 128), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(1)
    n, steps = options.units, options.steps
    cell, x = Tanh.random(n, rng=0, gain=0.9), 0.3 * np.random.default_rng(0).standard_normal(n)
    # their mean cost is that of all lags, which is linear in the lag
    some = np.unique(np.linspace(1, steps, 7).astype(int))
    times, flops = product(n, n, n)
    with one_thread():
        ours, each, limit = medians(
            [
                lambda: gradient_norms(cell, x0=x, lags=steps, transient=0),
                lambda: autograd_norms(cell, x, steps, some, torch.float64),
                times,
            ],
            options.rounds,
        )
    limit *= 2 * n**3 * steps / flops
    found = gradient_norms(cell, x0=x, lags=steps, transient=0).log_state_gradient.values
    close = np.abs(
        np.log(autograd_norms(cell, x, steps, some[some < steps / 2], torch.float64))
        - found[some[some < steps / 2]]
    ).max()
    print(
        f"{steps} steps, {n} units: {1e3 * ours:.1f} ms, {ours / limit:.2f} times the limit; "
        "autograd, one call a lag: "
        f"{each / len(some) * steps / ours:.0f} times slower; logarithms differ by {close:.1e}"
    )
    lags = np.arange(0, steps + 1, max(1, steps // 100))
    fast = Tanh(cell.W * 0.8 / 0.9)
    zeros = (autograd_norms(fast, x, steps, lags, torch.float32) == 0).mean()
    logs = gradient_norms(fast, x0=x, lags=steps, transient=0).log_state_gradient.values
    print(
        f"gain 0.8: float32 autograd is exactly 0 at {100 * zeros:.0f} % of the lags, this at "
        f"{int(np.isneginf(logs).sum())}, "
        f"where ln g ends at {logs[-1]:.1f}"
    )


if __name__ == "__main__":
    main()
