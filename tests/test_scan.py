"""The compiled scans against plain loops: values, gradients, precision, cut and continued, threads, memory, what is kept on disk."""

import numpy as np
import pytest
import torch

from dynmem.scan import channel_scan, linear_scan, selective_scan

RNG = np.random.default_rng(0)


# ---- the equations once more, as plain loops -------------------------------------------------------------------------------------------


def linear_loop(a, b, x0=None):
    a = a if a.ndim > 1 else a.expand(b.shape)
    x, states = torch.zeros_like(b[..., 0, :]) if x0 is None else x0, []
    for at, bt in zip(a.unbind(-2), b.unbind(-2), strict=True):
        x = at * x + bt
        states.append(x)
    return torch.stack(states, -2)


def channel_loop(a, b, c, u, x0=None):
    x, y = a.new_zeros((*u.shape[:-2], *a.shape)) if x0 is None else x0, []
    for ut in u.unbind(-2):
        x = a * x + b * ut[..., None]
        y.append((c * x).sum(-1).real)
    return torch.stack(y, -2), x


def selective_loop(delta, A, B, C, u, x0=None, exact=False):
    x, y = u.new_zeros((*u.shape[:-2], *A.shape)) if x0 is None else x0, []
    for d, b, c, ut in zip(*(z.unbind(-2) for z in (delta, B, C, u)), strict=True):
        gain = torch.expm1(d[..., None] * A) / A if exact else d[..., None]
        x = torch.exp(d[..., None] * A) * x + gain * b[..., None, :] * ut[..., None]
        y.append((c[..., None, :] * x).sum(-1))
    return torch.stack(y, -2), x


# ---- cases -----------------------------------------------------------------------------------------------------------------------------


def normal(*shape, kind="real"):
    z = RNG.standard_normal(shape)
    return z + 1j * RNG.standard_normal(shape) if kind == "complex" else z


def decay(*shape, kind="real"):
    r = 0.5 + 0.5 * RNG.random(shape)
    return r * np.exp(2j * np.pi * RNG.random(shape)) if kind == "complex" else r * RNG.choice([-1, 1], shape)


def linear_case(lead, T, n, kind="real", fixed=True, start=True):
    a = decay(n, kind=kind) if fixed else decay(*lead, T, n, kind=kind)
    return linear_scan, linear_loop, [a, normal(*lead, T, n, kind=kind)] + [normal(*lead, n, kind=kind)] * start, {}


def channel_case(lead, T, H, N, start=True):
    a, (b, c), u = decay(H, N, kind="complex"), normal(2, H, N, kind="complex"), normal(*lead, T, H)
    return channel_scan, channel_loop, [a, b, c, u] + [normal(*lead, H, N, kind="complex")] * start, {}


def selective_case(lead, T, H, N, exact=False, start=True):
    arrays = [RNG.gamma(1, 0.3, (*lead, T, H)), -RNG.gamma(1, 1, (H, N)), normal(*lead, T, N), normal(*lead, T, N), normal(*lead, T, H)]
    return selective_scan, selective_loop, arrays + [normal(*lead, H, N)] * start, {"exact": exact}


CASES = {
    "real fixed": linear_case((2,), 70, 5),
    "real varying": linear_case((2,), 70, 5, fixed=False),
    "complex fixed": linear_case((3,), 130, 70, "complex"),
    "complex varying": linear_case((3,), 66, 3, "complex", fixed=False),
    "no batch": linear_case((), 9, 4, "complex"),
    "two batch axes, at rest": linear_case((2, 3), 9, 4, fixed=False, start=False),
    "one step, one component": linear_case((1,), 1, 1),
    "one step, one component, varying": linear_case((1,), 1, 1, fixed=False),
    "channels": channel_case((2,), 130, 19, 3),
    "channels, no batch, at rest": channel_case((), 64, 16, 2, start=False),
    "one channel, one mode, one step": channel_case((1,), 1, 1, 1),
    "channels, two batch axes": channel_case((2, 2), 65, 33, 1),
    "selective": selective_case((2,), 130, 19, 3),
    "selective, exact": selective_case((2,), 130, 19, 3, exact=True),
    "selective, no batch, at rest": selective_case((), 64, 16, 2, start=False),
    "one selective channel, one step": selective_case((1,), 1, 1, 1, exact=True),
    "selective, two batch axes": selective_case((2, 2), 65, 33, 1),
}  # fmt: skip
each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def listed(outputs):
    return [outputs] if isinstance(outputs, (torch.Tensor, np.ndarray)) else list(outputs)


def gradients(function, tensors, options, seed=1):
    """Outputs, and the gradients of one random combination of them (real and imaginary parts)."""
    tensors = [t.clone().requires_grad_() for t in tensors]
    outputs = listed(function(*tensors, **options))
    rng = np.random.default_rng(seed)
    loss = 0
    for y in outputs:
        for part in (y.real, y.imag) if y.is_complex() else (y,):
            loss = loss + (part * torch.tensor(rng.standard_normal(part.shape), dtype=part.dtype)).sum()
    return [y.detach() for y in outputs], torch.autograd.grad(loss, tensors)


def far(ours, theirs):
    """Largest difference, relative to the largest entry."""
    return max(float((p - q).abs().max() / q.abs().max()) for p, q in zip(ours, theirs, strict=True))


@each
def test_numpy_is_the_loop(case):
    scan, loop, arrays, options = case
    expected = listed(loop(*map(torch.tensor, arrays), **options))
    found = listed(scan(*arrays, **options))
    assert all(isinstance(y, np.ndarray) and y.shape == tuple(z.shape) for y, z in zip(found, expected, strict=True))
    assert far(map(torch.tensor, found), expected) < 1e-12


@each
def test_torch_and_its_gradients_are_the_loop(case):
    scan, loop, arrays, options = case
    tensors = [torch.tensor(a) for a in arrays]
    (y, dy), (z, dz) = gradients(scan, tensors, options), gradients(loop, tensors, options)
    assert far(y, z) < 1e-12
    assert far(dy, dz) < 1e-10


@each
def test_gradcheck(case):
    scan, _, arrays, options = case
    small = [torch.tensor(a) for a in arrays]
    if sum(t.numel() for t in small) > 80:
        scan, _, arrays, options = small_case(scan, options)
        small = [torch.tensor(a) for a in arrays]
    tensors = [t.requires_grad_() for t in small]
    assert torch.autograd.gradcheck(lambda *z: scan(*z, **options), tensors, eps=1e-6, atol=1e-7, rtol=1e-6)


def small_case(scan, options):
    if scan is linear_scan:
        return linear_case((1,), 3, 2, "complex", fixed=False)
    return channel_case((1,), 3, 2, 2) if scan is channel_scan else selective_case((1,), 3, 2, 2, **options)


@each
def test_single_precision(case):
    scan, loop, arrays, options = case
    tensors = [torch.tensor(a) for a in arrays]
    single = [t.to(torch.complex64 if t.is_complex() else torch.float32) for t in tensors]
    (y, dy), (z, dz) = gradients(scan, single, options), gradients(loop, tensors, options)
    assert all(p.dtype in (torch.float32, torch.complex64) for p in (*y, *dy))
    assert far(y, z) < 5e-6 and far(dy, dz) < 2e-5


@each
def test_cut_and_continued_is_whole(case):
    scan, _, arrays, options = case
    along = [a.ndim > 1 and i != (4 if scan is channel_scan else 5) for i, a in enumerate(arrays)]
    if scan is linear_scan:
        *ab, x0 = arrays if len(arrays) == 3 else (*arrays, None)
        along, cut = [a.ndim > 1 for a in ab], ab[1].shape[-2] // 2 + 1
        first = linear_scan(*(a[..., :cut, :] if w else a for a, w in zip(ab, along, strict=True)), x0)
        whole = linear_scan(*ab, x0)
        if cut < ab[1].shape[-2]:
            rest = linear_scan(*(a[..., cut:, :] if w else a for a, w in zip(ab, along, strict=True)), first[..., -1, :])
            first = np.concatenate((first, rest), -2)
        np.testing.assert_array_equal(first, whole)
        return
    timed = (3,) if scan is channel_scan else (0, 2, 3, 4)
    count = 4 if scan is channel_scan else 5
    x0 = arrays[count] if len(arrays) > count else None
    y, last = scan(*arrays[:count], x0, **options)
    T = y.shape[-2]
    cut, pieces = T // 2 + 1, []
    for part in (slice(0, cut), slice(cut, T)):
        if part.start < T:
            piece, x0 = scan(*(a[..., part, :] if i in timed else a for i, a in enumerate(arrays[:count])), x0, **options)
            pieces.append(piece)
    np.testing.assert_array_equal(np.concatenate(pieces, -2), y)
    np.testing.assert_array_equal(x0, last)
