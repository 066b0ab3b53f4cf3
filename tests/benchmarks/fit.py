"""``dm.fit`` against a plain torch loop over ``nn.LSTM`` or ``nn.GRU`` with a linear readout.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.fit [--steps 100] [--units 64] [--length 200]
The claim: fit costs at most 1.1 times the loop, at 64 units, 200 steps of a sequence, batch 32.
Both draw the same batches, clip the gradient, take Adam's step, and read the loss of the same
validation and test sequences as often; fit measures its floor besides, once an array, printed
alone.
"""

import argparse
import time

import numpy as np
import torch
from torch.nn import functional

import dynmem as dm
from dynmem.training import Samples
from tests.benchmarks.harness import medians

FEATURES, COUNT, EVALUATE_EVERY, HELD_OUT = 8, 400, 50, 32


class Peer(torch.nn.Module):
    """Torch's own layer and readout, as a tutorial writes them."""

    def __init__(self, kind, units):
        super().__init__()
        self.layer = getattr(torch.nn, kind.upper())(FEATURES, units, batch_first=True)
        self.readout = torch.nn.Linear(units, FEATURES)

    def forward(self, u):
        return self.readout(self.layer(u)[0])


def plain_loop(net, inputs, targets, steps, batch):
    """The loop that fit is compared with."""
    u, y = (torch.as_tensor(array, dtype=torch.float32) for array in (inputs, targets))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rng, best, weights = np.random.default_rng(0), np.inf, None
    for step in range(steps + 1):
        if step % EVALUATE_EVERY == 0:
            with torch.no_grad():
                loss = functional.mse_loss(net(u[:HELD_OUT]), y[:HELD_OUT]).item()
            if loss < best:
                best, weights = loss, {k: v.clone() for k, v in net.state_dict().items()}
        if step < steps:
            index = rng.integers(COUNT, size=batch)
            optimizer.zero_grad()
            loss = functional.mse_loss(net(u[index]), y[index])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
    net.load_state_dict(weights)
    with torch.no_grad():
        return functional.mse_loss(net(u[: COUNT // 10]), y[: COUNT // 10]).item()


def measure(kind, steps, units, length, batch, rounds=5):
    """Processor seconds of fit, of the loop, and of the floor."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.standard_normal((2, COUNT, length, FEATURES))
    task = Samples(inputs, targets)
    start = time.process_time()
    _ = task.floor  # kept
    floor = time.process_time() - start
    net = Peer(kind, units)
    options = {"units": units, "batch": batch, "steps": steps, "stop": False, "progress": False}
    options |= {"validation_size": HELD_OUT, "evaluate_every": EVALUATE_EVERY}
    torch.set_num_threads(1)
    fitted, looped = medians(
        [
            lambda: dm.fit(kind, task, **options),
            lambda: plain_loop(net, inputs, targets, steps, batch),
        ],
        rounds,
    )
    return fitted, looped, floor


def main():
    """Print one row a kind of layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("steps", 100), ("units", 64), ("length", 200), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print(f"{options}\n{'layer':8}{'fit s':>9}{'torch s':>9}{'ratio':>8}{'floor s':>9}")
    for kind in ("lstm", "gru"):
        fitted, looped, floor = measure(kind, **vars(options))
        print(f"{kind:8}{fitted:9.2f}{looped:9.2f}{fitted / looped:8.2f}{floor:9.2f}")


if __name__ == "__main__":
    main()
