"""A gradient profile of input to output over the lag, against ordinary backward passes over the
same sequences.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.profile [--lags 1000] [--units 64] [--probes 16]
[--rounds 3] The claim: every one of 1,000 lags in at most 3 ordinary backward passes, the batch
being as large as the probes; no zeros in float32, where plain autograd rounds to 0. An ordinary
pass is forward and backward of the sum of squares of the outputs, over lags + 1 steps.
"""

import argparse

import numpy as np
import torch
from torch import nn

import dynmem as dm
from dynmem.models import Tanh
from tests.benchmarks.harness import medians


def ordinary(model, u):
    """Seconds do not depend on the loss: forward, and backward to inputs and weights, as training
    goes."""
    loss = model(u).square().sum()
    loss.backward()


def models(units):
    """Recurrent networks of our own, and torch modules from outside."""
    layer = nn.TransformerEncoderLayer(units, 1, 2 * units, batch_first=True)
    return {
        "tanh": dm.models.get("tanh", units=units, inputs=4, gain=0.8),
        "lstm, 2 layers, readout": dm.models.get(
            "lstm", units=units, inputs=4, layers=2, outputs=32
        ),
        "gru, 3 blocks, pre": dm.models.get(
            "gru",
            units=units,
            inputs=4,
            layers=3,
            outputs=32,
            placement="pre",
            feedforward=2 * units,
        ),
        "nn.TransformerEncoder": nn.Sequential(
            nn.Linear(4, units), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        ),
    }


def main():
    """Print seconds of the profile over those of a backward pass, and what float32 autograd
    loses."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("lags", 1000), ("units", 64), ("probes", 16), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(1)
    u = np.random.default_rng(0).standard_normal((options.lags + 1, 4))
    batch = torch.tensor(u, dtype=torch.float64).expand(options.probes, -1, -1).clone()
    for name, model in models(options.units).items():
        trained = model.double() if isinstance(model, nn.Module) else dm.Trainable(model, "float64")
        forward, both, profile = medians(
            [
                lambda m=trained: m(batch).sum().item(),
                lambda m=trained: ordinary(m, batch),
                lambda m=model: dm.gradient_profile(
                    m, drive=u, lags=options.lags, probes=options.probes, transient=0
                ),
            ],
            options.rounds,
        )
        print(
            f"{name}: {profile:.2f} s, {profile / (both - forward):.2f} backward passes, "
            f"{profile / both:.2f} passes forward and backward"
        )
    cell = Tanh.random(options.units, 4, gain=0.8)
    trained, inputs = dm.Trainable(cell, "float32"), batch[:1].float().requires_grad_()
    trained(0.3 * inputs)[0, -1].sum().backward()
    logs = dm.gradient_profile(
        cell, drive=0.3 * u, lags=options.lags, probes=options.probes, transient=0, dtype="float32"
    ).log_input_gradient
    print(
        "tanh, gain 0.8, float32: plain autograd is exactly 0 at "
        f"{int((inputs.grad[0] == 0).all(dim=1).sum())} of {options.lags + 1} lags, "
        f"the profile at {int(np.isneginf(logs).sum())}, where ln g ends at "
        f"{float(logs[-1]):.1f}"
    )


if __name__ == "__main__":
    main()
