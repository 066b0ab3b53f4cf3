"""Lyapunov spectra a step, against the floating-point limit, Householder QR at every step, torch,
and one model after another.

Run: OMP_NUM_THREADS=1 python -m tests.benchmarks.lyapunov [--rounds 5] [--quick] The limit is one
tangent product and one Cholesky QR, 7/3 k^2 n operations, for every step at the machine's own rate
of a matrix product, measured in the same run. The goals: whole spectrum within 1.2 times the limit
for a tanh network of 256 units and more, 2.0 for an LSTM; ten exponents within 1.4 times a product
of their shape; 16 models on two cores 1.8 times faster than one after another; torch.func tangent
products 2.5 times slower, torch.autograd.functional.jacobian 14 times, the public loop over an
nn.LSTMCell 25 times. Exponents equal those of Householder QR at every step to 1e-8, wherever two
Householder QRs agree that well.
"""

import argparse
import os
import time

import numpy as np
import torch

from dynmem import lyapunov_spectrum
from dynmem.analysis.lyapunov.qr import random_frame
from dynmem.autodiff.jacobian import as_tensor, push
from dynmem.models import LSTM, Tanh
from dynmem.runtime.threads import one_thread
from dynmem.system import map_arrays
from tests.benchmarks.harness import medians, product

STEPS = {64: 2000, 128: 1000, 256: 400, 512: 120}  # by the size of the state
MODELS = {
    "tanh 64": lambda: Tanh.random(64, rng=0, gain=2.0),
    "tanh 256": lambda: Tanh.random(256, rng=0, gain=2.0),
    "tanh 512": lambda: Tanh.random(512, rng=0, gain=2.0),
    "lstm 64": lambda: LSTM.random(64, rng=0, gain=4.0),
    "lstm 256": lambda: LSTM.random(256, rng=0, gain=4.0),
}


def start(cell):
    return 0.3 * np.random.default_rng(0).standard_normal(cell.size)


def settled(cell):
    """A state on the attractor and the frame that has come there with it."""
    x, frame = start(cell), random_frame(cell.size, cell.size, np.random.default_rng(0))
    for _ in range(100):
        x, frame = push(cell, x, frame)
        frame = np.ascontiguousarray(np.linalg.qr(frame.T)[0].T)
    return x, frame


def spectrum(cell, steps, k=None, transient=0):
    return lyapunov_spectrum(cell, start(cell), duration=steps, transient=transient, exponents=k)


def householder(cell, steps, k=None, transient=0, flip=False):
    """The same by numpy's QR after every step; ``flip`` turns the coordinates round, as another
    implementation would."""
    k, order = k or cell.size, slice(None, None, -1 if flip else 1)
    x, frame, total = (
        start(cell),
        random_frame(k, cell.size, np.random.default_rng(0).spawn(3)[2]),
        0.0,
    )
    with one_thread():
        for t in range(transient + steps):
            x, frame = push(cell, x, frame)
            q, r = np.linalg.qr(frame.T[order])
            frame = np.ascontiguousarray(q[order].T)
            total = total + (np.log(np.abs(r.diagonal())) if t >= transient else 0.0)
    return np.sort(total / steps)[::-1]


def flops(cell, k):
    """Operations of one step: the products with the recurrent weights, and a Cholesky QR of the
    frame."""
    return 2 * k * cell.W.size, 7 / 3 * k * k * cell.size


def limits(cell, k, rounds, steps, functions):
    """Seconds a step of the functions, and of the limit, each a product at the rate of square
    matrices and of its own shape."""
    square, skinny = (
        product(cell.size, cell.size, cell.size),
        product(k, cell.W.shape[1], len(cell.W)),
    )
    with one_thread():
        *taken, peak, own = medians([*functions, square[0], skinny[0]], rounds)
    rate, own_rate = square[1] / peak, skinny[1] / own
    tangent, qr = flops(cell, k)
    return (
        [t / steps for t in taken],
        (tangent + qr) / rate,
        tangent / own_rate,
        (tangent + qr) / own_rate,
    )


def whole_spectra(rounds, names):
    print(
        "\nwhole spectrum, milliseconds a step and ratios\n"
        f"{'model':10}{'ms':>9}{'/limit':>9}{'/product':>10}{'Householder/this':>18}"
        f"{'difference':>12}{'of Householders':>17}"
    )
    for name in names:
        cell = MODELS[name]()
        steps = STEPS[cell.size]
        (ours, theirs), limit, tangent, _ = limits(
            cell,
            cell.size,
            rounds,
            steps,
            [
                lambda c=cell, s=steps: spectrum(c, s),
                lambda c=cell, s=steps // 4: householder(c, s),
            ],
        )
        expected, other = (
            householder(cell, 100, transient=50, flip=flip) for flip in (False, True)
        )
        found = spectrum(cell, 100, transient=50).lyapunov.values
        print(
            f"{name:10}{1e3 * ours:9.3f}{ours / limit:9.2f}{ours / tangent:10.2f}"
            f"{4 * theirs / ours:18.2f}"
            f"{np.abs(found - expected).max():12.1e}{np.abs(other - expected).max():17.1e}"
        )


def leading_ten(rounds, names):
    print(
        "\nten exponents: milliseconds a step, ratios to the limit at the rate of its own thin "
        "product, and of square ones\n"
        f"{'model':10}{'ms':>9}{'/limit':>9}{'/thin product':>15}{'/peak limit':>13}"
        f"{'Householder/this':>18}"
    )
    for name in names:
        cell = MODELS[name]()
        steps = 5 * STEPS[cell.size]
        (ours, theirs), peak, tangent, limit = limits(
            cell,
            10,
            rounds,
            steps,
            [
                lambda c=cell, s=steps: spectrum(c, s, 10),
                lambda c=cell, s=steps // 4: householder(c, s, 10),
            ],
        )
        print(
            f"{name:10}{1e3 * ours:9.4f}{ours / limit:9.2f}{ours / tangent:15.2f}"
            f"{ours / peak:13.2f}{4 * theirs / ours:18.2f}"
        )


def side_by_side(rounds):
    print(
        f"\n16 models on {os.cpu_count()} cores against one after "
        f"another\n{'model':10}{'one by one s':>14}{'at once s':>11}{'ratio':>8}"
    )
    for name, kind, units, gain, steps in (
        ("tanh 64", Tanh, 64, 2.0, 300),
        ("tanh 256", Tanh, 256, 2.0, 40),
        ("lstm 128", LSTM, 128, 4.0, 40),
    ):
        cells = [kind.random(units, rng=seed, gain=gain) for seed in range(16)]
        runs = [
            lambda c=cells, s=steps, w=w: lyapunov_spectrum(c, duration=s, transient=0, workers=w)
            for w in (1, None)
        ]
        one, many = medians(runs, rounds, time.perf_counter)
        print(f"{name:10}{one:14.2f}{many:11.2f}{one / many:8.2f}")


def torch_func(cell, steps):
    """Tangent products of torch.func, vmap over the frame, and torch's QR after every step."""
    twin, x, frame = (
        map_arrays(cell, as_tensor),
        torch.tensor(start(cell)),
        torch.eye(cell.size, dtype=torch.float64),
    )

    def product(direction):
        return torch.func.jvp(lambda p: twin.rule(p, None), (x,), (direction,))[1]

    for _ in range(steps):
        pushed = torch.func.vmap(product)(frame)
        x, frame = twin.rule(x, None), torch.linalg.qr(pushed.T)[0].T.contiguous()


def torch_jacobian(cell, steps):
    """torch.autograd.functional.jacobian and a QR at every step."""
    twin, x, frame = (
        map_arrays(cell, as_tensor),
        torch.tensor(start(cell)),
        torch.eye(cell.size, dtype=torch.float64),
    )
    for _ in range(steps):
        J = torch.autograd.functional.jacobian(lambda p: twin.rule(p, None), x)
        x, frame = twin.rule(x, None), torch.linalg.qr(J @ frame)[0]


def public_loop(cell, steps):
    """The loop that public code runs: an nn.LSTMCell, its Jacobian row by row with
    torch.autograd.grad, a QR."""
    n = cell.units
    module = torch.nn.LSTMCell(1, n, bias=True).double()
    with torch.no_grad():
        module.weight_hh.copy_(torch.tensor(cell.W))
    x, frame, u = (
        torch.tensor(start(cell))[None],
        torch.eye(2 * n, dtype=torch.float64),
        torch.zeros(1, 1, dtype=torch.float64),
    )
    for _ in range(steps):
        x = x.detach().requires_grad_(True)
        after = torch.cat(module(u, (x[:, :n], x[:, n:])), dim=1)
        J = torch.stack(
            [torch.autograd.grad(after[0, i], x, retain_graph=True)[0][0] for i in range(2 * n)]
        )
        x, frame = after, torch.linalg.qr(J @ frame)[0]


def peers(rounds, names):
    print(
        "\npeers, how many times slower a "
        f"step\n{'model':10}{'torch.func':>12}{'jacobian':>10}{'public LSTM loop':>18}"
    )
    torch.set_num_threads(1)
    for name in names:
        cell = MODELS[name]()
        steps = STEPS[cell.size] // 2
        each = {
            torch_func: steps // 8,
            torch_jacobian: max(2, steps // 40),
            public_loop: max(2, steps // 60),
        }
        each = {
            peer: count
            for peer, count in each.items()
            if isinstance(cell, LSTM) or peer is not public_loop
        }
        runs = [
            lambda c=cell, s=steps: spectrum(c, s),
            *(lambda p=peer, c=cell, n=count: p(c, n) for peer, count in each.items()),
        ]
        ours, *others = medians(runs, rounds)
        ratios = [
            taken / count * steps / ours for taken, count in zip(others, each.values(), strict=True)
        ]
        print(
            f"{name:10}{ratios[0]:12.1f}{ratios[1]:10.1f}"
            f"{'' if len(ratios) < 3 else f'{ratios[2]:18.1f}'}"
        )


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the smaller sizes only")
    options = parser.parse_args()
    names = [name for name in MODELS if not options.quick or MODELS[name]().size <= 256]
    whole_spectra(options.rounds, names)
    leading_ten(options.rounds, names)
    side_by_side(options.rounds)
    peers(options.rounds, names)


if __name__ == "__main__":
    main()
