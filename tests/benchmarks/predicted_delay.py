"""Seconds of a predicted delay at 32 units, beside one training at the longest delay looked at.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.predicted_delay [--longest 256] [--budget 600]
"""

import argparse
import time

import torch
from torch import nn

import dynmem as dm

TASK = dm.tasks.get("copy", symbols=4, length=2, scored="recalled")


class Net(nn.Module):
    """A user's own module: a recurrent layer of torch and a readout."""

    def __init__(self, kind, units=32):
        super().__init__()
        torch.manual_seed(0)
        self.cell = getattr(nn, kind)(TASK.inputs, units, batch_first=True)
        self.readout = nn.Linear(units, TASK.outputs)

    def forward(self, u):
        """Outputs (batch, steps, outputs)."""
        return self.readout(self.cell(u)[0])


def main():
    """Print one row a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--longest", type=int, default=256)
    parser.add_argument("--budget", type=int, default=600)
    options = parser.parse_args()
    recipe = {"batch": 32, "learning_rate": 1e-2, "budget": options.budget}
    dm.predicted_delay(Net("RNN", 4), TASK, budget=10)  # imports
    print(f"{'model':8}{'prediction':>12}{'training':>12}{'ratio':>8}   processor seconds")
    for kind in ("RNN", "LSTM", "GRU"):
        start = time.process_time()
        dm.predicted_delay(Net(kind), TASK, longest=options.longest, **recipe)
        middle = time.process_time()
        far = TASK.with_delay(options.longest)
        dm.training.null_fit(Net(kind), far, steps=options.budget, batch=32)
        predicted, trained = middle - start, time.process_time() - middle
        print(f"{kind:8}{predicted:12.1f}{trained:12.1f}{predicted / trained:8.2f}")


if __name__ == "__main__":
    main()
