"""Forward and backward passes of the compiled scans on two cores, against torch's LSTM, causal
attention, FFT, and scans in plain torch.

Run: python -m tests.benchmarks.scan [--length 16384] [--batch 4] [--width 64] [--rounds 5]
     [--threads 2] [--parts ratios,growth,crossover] [--clock wall|processor]
Float32, all of a row in turn; the median of the rounds, and the least in brackets. Where other
processes hold the cores, ``--clock processor --threads 1`` still compares like with like: threads
that wait for each other suffer most from a busy machine. The claims, as ratios in one run on two
cores at 16,384 steps, batch 4, width 64: a linear recurrent unit by scan 4 times faster than
nn.LSTM and 5 times faster than by FFT; S4D with 64 modes no slower than 1.5 times nn.LSTM and 20
times faster than causal attention; the selective scan 8 times faster than one in plain torch and,
at 1,024 steps, 200 times faster than the public reference loop; time and memory linear in length to
65,536.
"""

import argparse
import math
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch.nn.functional import scaled_dot_product_attention

from dynmem.scan import channel_scan, linear_scan, selective_scan

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
MODES, STATES = 64, 16  # of S4D, 32 conjugate pairs; of the selective scan


def parameter(*shape, scale=1.0, complex=False):
    """Normal numbers that want a gradient."""
    return (
        scale * torch.randn(*shape, dtype=torch.complex64 if complex else torch.float32)
    ).requires_grad_()


def training(function, parameters, u):
    """A function that runs one forward and one backward pass, gradients of the input included, as
    inside a stack."""
    u = u.clone().requires_grad_()

    def run():
        for p in (*parameters, u):
            p.grad = None
        function(u).square().mean().backward()

    return run


# ---- the models ----------------------------------------------------------------------------------


def lstm(width):
    module = torch.nn.LSTM(width, width, batch_first=True)
    return lambda u: module(u)[0], list(module.parameters())


def attention(width):
    """One head, the cheapest choice, between the usual four matrices."""
    V, W = (
        parameter(3 * width, width, scale=width**-0.5),
        parameter(width, width, scale=width**-0.5),
    )
    return lambda u: scaled_dot_product_attention(*(u @ V.T).chunk(3, -1), is_causal=True) @ W.T, [
        V,
        W,
    ]


def lru(width, by_fft=False):
    """A linear recurrent unit of as many complex modes as the width: real matrices hold real and
    imaginary parts in pairs."""
    V, W = (
        parameter(2 * width, width, scale=width**-0.5),
        parameter(width, 2 * width, scale=width**-0.5),
    )
    decay = torch.log(-torch.log(0.9 + 0.099 * torch.rand(width))).requires_grad_()
    angle = (2 * math.pi * torch.rand(width)).requires_grad_()

    def states(log_a, b):
        if not by_fft:
            return linear_scan(log_a.exp(), b)
        T = b.shape[-2]
        kernel = torch.fft.fft((log_a[:, None] * torch.arange(T)).exp(), n=2 * T)
        return torch.fft.ifft(torch.fft.fft(b.mT.contiguous(), n=2 * T) * kernel)[..., :T].mT

    def run(u):
        b = torch.view_as_complex((u @ V.T).unflatten(-1, (-1, 2)))
        return torch.view_as_real(states(torch.complex(-decay.exp(), angle), b)).flatten(-2) @ W.T

    return run, [V, W, decay, angle]


def s4d(width, modes=MODES):
    """S4D-Lin by zero-order hold, half of the modes standing for their conjugates."""
    n = modes // 2
    decay, rate = (
        torch.full((width, n), math.log(0.5)).requires_grad_(),
        (math.pi * torch.arange(n).repeat(width, 1)).requires_grad_(),
    )
    step, c = (
        torch.linspace(math.log(1e-3), math.log(1e-1), width)[:, None].requires_grad_(),
        parameter(width, n, complex=True),
    )

    def run(u):
        rates = torch.complex(-decay.exp(), rate)
        a = (step.exp() * rates).exp()
        return channel_scan(a, (a - 1) / rates, 2 * c, u)[0]

    return run, [decay, rate, step, c]


def selective(width, scan, states=STATES):
    """The core of Mamba: steps, input and output vectors by linear maps of the input."""
    V, W = (
        parameter(2 * states, width, scale=width**-0.5),
        parameter(width, width, scale=width**-0.5),
    )
    A = torch.arange(1.0, states + 1).log().repeat(width, 1).requires_grad_()

    def run(u):
        return scan(torch.nn.functional.softplus(u @ W.T - 4), -A.exp(), *(u @ V.T).chunk(2, -1), u)

    return run, [V, W, A]


def scanning(scan, batch, length, width, states=STATES):
    """The selective scan alone, forward and backward, gradients of all its arguments."""
    delta, u, g = 0.1 * torch.rand(batch, length, width), *torch.randn(2, batch, length, width)
    leaves = [
        delta,
        -torch.arange(1.0, states + 1).repeat(width, 1),
        *torch.randn(2, batch, length, states),
        u,
    ]
    leaves = [z.requires_grad_() for z in leaves]

    def run():
        for z in leaves:
            z.grad = None
        scan(*leaves).backward(g)

    return run


# ---- selective scans in plain torch --------------------------------------------------------------


def compiled(delta, A, B, C, u):
    return selective_scan(delta, A, B, C, u)[0]


def by_pieces(delta, A, B, C, u, steps=64):
    """The fastest found in plain torch: all pieces of the sequence step side by side from rest,
    then the state passes from piece to piece."""
    cut = lambda z: z.unflatten(1, (-1, steps)).unbind(2)  # noqa: E731
    local, product, h, p = [], [], 0, 1
    for d, b, ut in zip(cut(delta), cut(B), cut(u), strict=True):
        e = (d[..., None] * A).exp()
        h, p = e * h + (d * ut)[..., None] * b[..., None, :], e * p
        local.append(h)
        product.append(p)
    carry, carries = u.new_zeros(len(u), *A.shape), []
    for pj, hj in zip(p.unbind(1), h.unbind(1), strict=True):
        carries.append(carry)
        carry = pj * carry + hj
    carry = torch.stack(carries, 1)
    outputs = [
        torch.einsum("bjhn,bjn->bjh", h + p * carry, c)
        for h, p, c in zip(local, product, cut(C), strict=True)
    ]
    return torch.stack(outputs, 2).flatten(1, 2)


def by_doubling(delta, A, B, C, u):
    """An associative scan of logarithmic depth (Hillis and Steele)."""
    e = (delta[..., None] * A).exp()
    x, reach = (delta * u)[..., None] * B[..., None, :], 1
    while reach < u.shape[1]:
        x = torch.cat((x[:, :reach], x[:, reach:] + e[:, reach:] * x[:, :-reach]), 1)
        e = torch.cat((e[:, :reach], e[:, reach:] * e[:, :-reach]), 1)
        reach *= 2
    return torch.einsum("bthn,btn->bth", x, C)


def reference(delta, A, B, C, u):
    """The operations of the public reference loop, selective_scan_ref of the Mamba repository (Gu
    and Dao 2023): channels first, coefficients of all steps at once, the steps cut out one by
    one."""
    delta, u, B, C = (z.mT for z in (delta, u, B, C))
    decays = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    pushes = torch.einsum("bdl,bnl,bdl->bdln", delta, B, u)
    x, outputs = A.new_zeros((u.shape[0], *A.shape)), []
    for i in range(u.shape[2]):
        x = decays[:, :, i] * x + pushes[:, :, i]
        outputs.append(torch.einsum("bdn,bn->bd", x, C[:, :, i]))
    return torch.stack(outputs, dim=2).mT


# ---- measuring -----------------------------------------------------------------------------------


def seconds(functions, options, rounds=None):
    """(median, least) seconds of each function, taken in turn after one call to warm up."""
    times = [[] for _ in functions]
    for turn in range((rounds or options.rounds) + 1):
        for function, taken in zip(functions, times, strict=True):
            start = CLOCKS[options.clock]()
            function()
            if turn:
                taken.append(CLOCKS[options.clock]() - start)
    return [(statistics.median(taken), min(taken)) for taken in times]


def ratios(options):
    """One row a claim: seconds of the scan and of its peer, and their ratio."""

    def at(length, *models, rounds=None):
        u = torch.randn(options.batch, length, options.width)
        return seconds([training(*model, u) for model in models], options, rounds)

    w, L, short = options.width, options.length, min(options.length, 4096)
    fast, cell, fft, channels = at(L, lru(w), lstm(w), lru(w, by_fft=True), s4d(w))
    row("LRU", fast, "nn.LSTM", cell, 4)
    row("LRU", fast, "by FFT", fft, 5)
    row("S4D", channels, "nn.LSTM", cell, 1 / 1.5)
    (attended,) = at(short, attention(w), rounds=max(2, options.rounds // 2))
    row(
        "S4D",
        channels,
        f"attention, {short} x {(L / short) ** 2:.0f}",
        [t * (L / short) ** 2 for t in attended],
        20,
    )
    scans = [scanning(scan, options.batch, L, w) for scan in (compiled, by_pieces)]
    ours, pieces = seconds(scans, options)
    row("selective scan", ours, "plain torch, pieces", pieces, 8)
    (doubled,) = seconds([scanning(by_doubling, options.batch, short, w)], options, 2)
    row(
        "selective scan",
        ours,
        f"doubling, {short} x {L / short:.0f}",
        [t * L / short for t in doubled],
        8,
    )
    ours, loop = seconds(
        [scanning(scan, options.batch, min(L, 1024), w) for scan in (compiled, reference)],
        options,
        max(2, options.rounds // 2),
    )
    row(f"same, {min(L, 1024)} steps", ours, "reference loop", loop, 200)
    ours, pieces = at(L, selective(w, compiled), selective(w, by_pieces))
    row("selective model", ours, "plain torch, pieces", pieces, None)
    row("selective model", ours, "nn.LSTM", cell, None)


def row(name, ours, peer, theirs, goal):
    """Print a comparison; the ratio is that of the medians, and of the least times in brackets."""
    print(
        f"{name:16}{1e3 * ours[0]:9.1f} ms ({1e3 * ours[1]:.1f})   "
        f"{peer:24}{1e3 * theirs[0]:10.1f} ms ({1e3 * theirs[1]:.1f})   "
        f"{theirs[0] / ours[0]:8.2f} ({theirs[1] / ours[1]:.2f})"
        + (f"   goal {goal:.2f}" if goal else ""),
        flush=True,
    )


SCANS = {"LRU": lru, "S4D": s4d, "selective": lambda width: selective(width, compiled)}


def growth(options):
    """Time and memory against length, each in a process of its own: a memory's high-water mark does
    not fall."""
    lengths = [4096, 8192, 16384, 32768, 65536]
    print(f"\n{'length':12}" + "".join(f"{L:>18}" for L in lengths))
    for name in SCANS:
        each = [
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "tests.benchmarks.scan",
                    "--parts",
                    f"one:{name}",
                    "--length",
                    str(L),
                    *common(options),
                ],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            for L in lengths
        ]
        print(
            f"{name:12}" + "".join(f"{float(ms):10.1f} ms{float(mb):4.0f} MB" for ms, mb in each),
            flush=True,
        )


def common(options):
    """The arguments that a process of its own is given."""
    return [
        word
        for name in ("batch", "width", "rounds", "threads", "clock")
        for word in (f"--{name}", str(getattr(options, name)))
    ]


def one(name, options):
    """Milliseconds of one pass, and what it adds to the memory's high-water mark of a short pass,
    in MB."""
    model = SCANS[name](options.width)
    training(*model, torch.randn(options.batch, 64, options.width))()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = training(*model, torch.randn(options.batch, options.length, options.width))
    [(_, least)] = seconds([run], options)
    print(1e3 * least, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def crossover(options):
    """Milliseconds against length and width: where attention and the LSTM are overtaken."""
    models = {"nn.LSTM": lstm, "attention": attention, **SCANS}
    for width in (options.width, 4 * options.width):
        print(f"\nwidth {width:6}" + "".join(f"{name:>12}" for name in models))
        for length in (64, 256, 1024, 4096):
            u = torch.randn(options.batch, length, width)
            taken = seconds([training(*make(width), u) for make in models.values()], options)
            print(
                f"{length:12}" + "".join(f"{1e3 * least:12.2f}" for _, least in taken), flush=True
            )


def main():
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (
        ("length", 16384),
        ("batch", 4),
        ("width", 64),
        ("rounds", 5),
        ("threads", 2),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--parts", default="ratios,growth,crossover")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.parts.startswith("one:"):
        return one(options.parts[4:], options)
    print(f"{options}, torch {torch.__version__}")
    for part in options.parts.split(","):
        {"ratios": ratios, "growth": growth, "crossover": crossover}[part](options)


if __name__ == "__main__":
    main()
