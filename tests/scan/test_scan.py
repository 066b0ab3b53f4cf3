"""The compiled scans against plain loops: values, gradients, precision, cut and continued, threads,
memory, what is kept on disk."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dynmem.errors import ShapeError
from dynmem.scan import channel_scan, linear_scan, selective_scan
from dynmem.scan.launch import kernel, threads_to_use

RNG = np.random.default_rng(0)


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


def normal(*shape, kind="real"):
    z = RNG.standard_normal(shape)
    return z + 1j * RNG.standard_normal(shape) if kind == "complex" else z


def decay(*shape, kind="real"):
    r = 0.5 + 0.5 * RNG.random(shape)
    return (
        r * np.exp(2j * np.pi * RNG.random(shape))
        if kind == "complex"
        else r * RNG.choice([-1, 1], shape)
    )


def linear_case(lead, T, n, kind="real", fixed=True, start=True):
    a = decay(n, kind=kind) if fixed else decay(*lead, T, n, kind=kind)
    return (
        linear_scan,
        linear_loop,
        [a, normal(*lead, T, n, kind=kind)] + [normal(*lead, n, kind=kind)] * start,
        {},
    )


def channel_case(lead, T, H, N, start=True):
    a, (b, c), u = decay(H, N, kind="complex"), normal(2, H, N, kind="complex"), normal(*lead, T, H)
    return (
        channel_scan,
        channel_loop,
        [a, b, c, u] + [normal(*lead, H, N, kind="complex")] * start,
        {},
    )


def selective_case(lead, T, H, N, exact=False, start=True):
    arrays = [
        RNG.gamma(1, 0.3, (*lead, T, H)),
        -RNG.gamma(1, 1, (H, N)),
        normal(*lead, T, N),
        normal(*lead, T, N),
        normal(*lead, T, H),
    ]
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
}
each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
KINDS = (
    "real fixed",
    "real varying",
    "complex fixed",
    "complex varying",
    "channels",
    "selective",
    "selective, exact",
)
each_kind = pytest.mark.parametrize("case", [CASES[name] for name in KINDS], ids=KINDS)
SMALL = {
    "linear": linear_case((1,), 3, 2, "complex", fixed=False),
    "channels": channel_case((1,), 3, 2, 2),
    "selective": selective_case((1,), 3, 2, 2),
    "selective, exact": selective_case((1,), 3, 2, 2, exact=True),
}


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
            loss = (
                loss
                + (part * torch.tensor(rng.standard_normal(part.shape), dtype=part.dtype)).sum()
            )
    return [y.detach() for y in outputs], torch.autograd.grad(loss, tensors)


def far(ours, theirs):
    """Largest difference, relative to the largest entry."""
    return max(
        float((p - q).abs().max() / q.abs().max()) for p, q in zip(ours, theirs, strict=True)
    )


@each
def test_numpy_is_the_loop(case):
    scan, loop, arrays, options = case
    expected = listed(loop(*map(torch.tensor, arrays), **options))
    found = listed(scan(*arrays, **options))
    assert all(
        isinstance(y, np.ndarray) and y.shape == tuple(z.shape)
        for y, z in zip(found, expected, strict=True)
    )
    assert far(map(torch.tensor, found), expected) < 1e-12


@each
def test_torch_and_its_gradients_are_the_loop(case):
    scan, loop, arrays, options = case
    tensors = [torch.tensor(a) for a in arrays]
    (y, dy), (z, dz) = gradients(scan, tensors, options), gradients(loop, tensors, options)
    assert far(y, z) < 1e-12
    assert far(dy, dz) < 1e-10


@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_gradients_are_those_of_central_differences(case):
    scan, _, arrays, options = case
    tensors = [torch.tensor(a).requires_grad_() for a in arrays]
    assert torch.autograd.gradcheck(
        lambda *z: scan(*z, **options), tensors, eps=1e-6, atol=1e-7, rtol=1e-6
    )


@each_kind
def test_single_precision(case):
    scan, loop, arrays, options = case
    tensors = [torch.tensor(a) for a in arrays]
    single = [t.to(torch.complex64 if t.is_complex() else torch.float32) for t in tensors]
    (y, dy), (z, dz) = gradients(scan, single, options), gradients(loop, tensors, options)
    assert all(p.dtype in (torch.float32, torch.complex64) for p in (*y, *dy))
    assert far(y, z) < 5e-6 and far(dy, dz) < 2e-5


@each_kind
def test_cut_and_continued_is_whole(case):
    scan, _, arrays, options = case
    if scan is linear_scan:
        *ab, x0 = arrays if len(arrays) == 3 else (*arrays, None)
        along, cut = [a.ndim > 1 for a in ab], ab[1].shape[-2] // 2 + 1
        first = linear_scan(
            *(a[..., :cut, :] if w else a for a, w in zip(ab, along, strict=True)), x0
        )
        whole = linear_scan(*ab, x0)
        if cut < ab[1].shape[-2]:
            rest = linear_scan(
                *(a[..., cut:, :] if w else a for a, w in zip(ab, along, strict=True)),
                first[..., -1, :],
            )
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
            piece, x0 = scan(
                *(a[..., part, :] if i in timed else a for i, a in enumerate(arrays[:count])),
                x0,
                **options,
            )
            pieces.append(piece)
    np.testing.assert_array_equal(np.concatenate(pieces, -2), y)
    np.testing.assert_array_equal(x0, last)


@pytest.mark.parametrize(("real", "low", "high"), [("float32", -87, 88), ("float64", -708, 709)])
def test_exponential_to_an_ulp_and_a_half(real, low, high):
    z = np.concatenate(
        (np.linspace(-1, 1, 20001), np.linspace(low, high, 20001), [1e-30, -1e-9, 1e-7])
    ).astype(real)
    e, less = np.zeros((2, len(z)), real)
    _exponentials(real)(z, e, less)
    wide = z.astype(np.longdouble)  # 64 bits of mantissa
    assert np.abs(e / np.exp(wide) - 1).max() < 1.5 * np.finfo(real).eps
    expected = np.expm1(wide)
    assert np.abs(less - expected).max(where=expected == 0, initial=0) == 0
    assert (
        np.abs(less / np.where(expected == 0, 1, expected) - 1).max(where=expected != 0, initial=0)
        < 1.5 * np.finfo(real).eps
    )


def test_exponential_at_its_ends():
    e, less = np.zeros((2, 4))
    _exponentials("float64")(np.array([-1e5, 1e5, np.nan, 0.0]), e, less)
    np.testing.assert_array_equal(e, [0, np.inf, np.nan, 1])
    np.testing.assert_array_equal(less, [-1, np.inf, np.nan, 0])


def _exponentials(real):
    forward = kernel("selective_forward", real)
    return sys.modules[forward.py_func.__module__].exponentials


def test_exact_step_of_a_rate_of_zero_and_of_small_rates():
    """(exp(d A) - 1)/A is d at A = 0, with slope d^2/2; near it nothing is lost: the gradients
    change smoothly."""
    delta, B, C, u = (torch.rand(1, 5, 1, dtype=torch.float64) for _ in range(4))
    found = []
    for rate in (0.0, -1e-9, -1e-6):
        A = torch.tensor([[rate]], dtype=torch.float64, requires_grad=True)
        y, _ = selective_scan(delta, A, B, C, u, exact=True)
        found.append((y.sum().item(), torch.autograd.grad(y.sum(), A)[0].item()))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-8)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5)


@pytest.mark.parametrize(
    "case",
    [
        linear_case((5,), 300, 70, "complex"),
        linear_case((1,), 300, 200, fixed=False),
        channel_case((3,), 300, 70, 3),
        selective_case((3,), 300, 70, 3),
    ],
    ids=["fixed", "varying", "channels", "selective"],
)
def test_threads_change_no_bit(case):
    scan, _, arrays, options = case
    one, two = (
        gradients(scan, [torch.tensor(a) for a in arrays], options | {"threads": n}) for n in (1, 2)
    )
    for p, q in zip((*one[0], *one[1]), (*two[0], *two[1]), strict=True):
        assert torch.equal(p, q)


@each_kind
def test_inputs_in_any_memory_order_and_unchanged(case):
    scan, _, arrays, options = case
    expected = listed(scan(*arrays, **options))
    strided = [np.repeat(a, 2, axis=-1)[..., ::2] for a in arrays]
    kept = [a.copy() for a in strided]
    for a in strided:
        a.flags.writeable = False
    turned = [torch.tensor(a).mT.contiguous().mT if a.ndim > 1 else torch.tensor(a) for a in arrays]
    for y, z, w in zip(
        listed(scan(*strided, **options)), listed(scan(*turned, **options)), expected, strict=True
    ):
        np.testing.assert_array_equal(y, w)
        np.testing.assert_array_equal(z, w)
    assert all(np.array_equal(a, b) for a, b in zip(strided, kept, strict=True))


@each_kind
def test_any_subset_of_gradients(case):
    scan, _, arrays, options = case
    tensors = [torch.tensor(a) for a in arrays]
    _, full = gradients(scan, tensors, options)
    for i in range(len(arrays)):
        chosen = tensors[i].clone().requires_grad_()
        y = listed(scan(*(chosen if j == i else t for j, t in enumerate(tensors)), **options))
        rng, loss = np.random.default_rng(1), 0
        for out in y:
            for part in (out.real, out.imag) if out.is_complex() else (out,):
                loss = loss + (part * torch.tensor(rng.standard_normal(part.shape))).sum()
        assert torch.equal(torch.autograd.grad(loss, chosen)[0], full[i])


@each_kind
def test_without_gradients_and_twice_backward(case):
    scan, _, arrays, options = case
    tensors = [torch.tensor(a).requires_grad_() for a in arrays]
    with torch.no_grad():
        assert not any(y.requires_grad for y in listed(scan(*tensors, **options)))
    y = listed(scan(*tensors, **options))[0]
    # the first output alone: the last state gets no gradient
    loss = (y.real if y.is_complex() else y).square().sum()
    first, second = (torch.autograd.grad(loss, tensors, retain_graph=True) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(first, second, strict=True))
    with pytest.raises(
        NotImplementedError, match="no second derivative: take it through a plain loop"
    ):
        torch.autograd.grad(
            torch.autograd.grad(loss, tensors, create_graph=True)[0].abs().sum(), tensors
        )


@each_kind
def test_torch_func(case):
    """grad and vjp as plain gradients; vmap goes through the entries one by one."""
    scan, _, arrays, options = case
    tensors = [torch.tensor(a) for a in arrays]

    def total(*z):
        return sum(abs(y).square().sum() for y in listed(scan(*z, **options)))

    plain = [t.clone().requires_grad_() for t in tensors]
    expected = torch.autograd.grad(total(*plain), plain)
    for p, q in zip(
        torch.func.grad(total, argnums=tuple(range(len(tensors))))(*tensors), expected, strict=True
    ):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)
    y, back = torch.func.vjp(lambda z: listed(scan(z, *tensors[1:], **options))[0], tensors[0])
    cotangents = torch.tensor(
        np.random.default_rng(2).standard_normal((3, *y.shape)), dtype=y.dtype
    )
    for g, found in zip(cotangents, torch.func.vmap(back)(cotangents)[0], strict=True):
        torch.testing.assert_close(back(g)[0], found, rtol=1e-12, atol=1e-12)


def test_a_value_changed_before_the_backward_pass_is_reported():
    a, b = torch.rand(3, requires_grad=True), torch.rand(1, 4, 3, requires_grad=True)
    states = linear_scan(a, b)
    states.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()


def test_precisions_and_kinds_meet():
    half, one = torch.rand(2), torch.rand(1, 3, 2, dtype=torch.float64)
    assert linear_scan(half, one).dtype == torch.float64
    assert linear_scan(half.to(torch.complex64), one).dtype == torch.complex128
    assert linear_scan([0.5], [[1], [2]]).tolist() == [[1.0], [2.5]]
    assert (
        channel_scan(*np.full((3, 2, 1), 0.5, "f4"), np.ones((4, 2), "f4"))[1].dtype == np.complex64
    )
    assert linear_scan(np.array([0.5]), one[..., :1]).dtype == torch.float64


U, HN, TN = np.ones((4, 3)), np.ones((3, 2)), np.ones((4, 2))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: linear_scan(np.ones(2), U), ShapeError, "a has shape (2,), expected (n,)"),
        (lambda: linear_scan(np.ones((5, 3)), U), ShapeError, "a has shape (5, 3), expected"),
        (lambda: linear_scan(np.ones(3), np.ones(3)), ShapeError, "expected (..., T, n)"),
        (lambda: linear_scan(np.ones(3), np.ones((0, 3))), ShapeError, "at least one step"),
        (lambda: linear_scan(np.ones(3), U, np.ones(2)), ShapeError, "x0 has shape (2,)"),
        (
            lambda: linear_scan(np.ones(3, np.float16), U),
            TypeError,
            "a is float16: a scan runs in float32",
        ),
        (
            lambda: linear_scan(torch.ones(3), torch.ones(4, 3, dtype=torch.bfloat16)),
            TypeError,
            "convert with b.float()",
        ),
        (
            lambda: linear_scan(torch.ones(3), torch.ones(4, 3, device="meta")),
            TypeError,
            "a on cpu, b on meta: a scan runs on one device",
        ),
        (
            lambda: linear_scan(np.ones(3), U, threads=0),
            ValueError,
            "threads = 0: must be a whole number",
        ),
        (lambda: channel_scan(HN, HN, HN, np.ones((4, 2))), ShapeError, "expected (..., T, 3)"),
        (
            lambda: channel_scan(HN, HN[:2], HN, U),
            ShapeError,
            "b has shape (2, 2), expected (H, N) of a",
        ),
        (lambda: channel_scan(HN[0], HN, HN, U), ShapeError, "a has shape (2,), expected (H, N)"),
        (
            lambda: channel_scan(HN, HN, HN, U * 1j),
            TypeError,
            "u is complex, expected real numbers",
        ),
        (lambda: channel_scan(HN, HN, HN, U, np.ones((3, 3))), ShapeError, "x0 has shape (3, 3)"),
        (lambda: selective_scan(U[:3], -HN, TN, TN, U), ShapeError, "delta has shape (3, 3)"),
        (lambda: selective_scan(U, -HN, TN[:, :1], TN, U), ShapeError, "B has shape (4, 1)"),
        (lambda: selective_scan(U, -HN * 1j, TN, TN, U), TypeError, "A is complex"),
        (lambda: selective_scan(U, -HN, TN, TN, U[:0]), ShapeError, "at least one step"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_threads_where_the_cores_are_divided_already(monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    assert threads_to_use() == torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(threads_to_use).result() == 1
        assert pool.submit(threads_to_use, 2).result() == 2
    monkeypatch.setattr("multiprocessing.parent_process", lambda: "parent")
    assert threads_to_use() == 1


SCAN = (
    "import numpy as np; from dynmem.scan import linear_scan; print(linear_scan(np.array([0.5]), "
    "np.ones((4, 1)))[:, 0].tolist())"
)


def run(folder, **environment):
    done = subprocess.run(
        [sys.executable, "-c", SCAN],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": "."} | environment,
    )
    assert done.stdout.strip() == "[1.0, 1.5, 1.75, 1.875]", done.stderr


@pytest.mark.slow  # four processes that compile
def test_a_damaged_or_missing_cache_does_no_harm(tmp_path):
    run(tmp_path)
    kept = sorted((tmp_path / "dynmem" / "programs" / "__pycache__").glob("dynmem_scan_*"))
    assert {path.suffix for path in kept} == {".nbi", ".nbc"}
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    run(tmp_path)
    for path in kept:
        path.write_bytes(b"")
    run(tmp_path)
    (tmp_path / "file").write_text("no folder")
    run(tmp_path / "file")


@pytest.mark.slow  # needs a sequence long enough for memory to show
def test_memory_is_of_the_order_of_the_inputs():
    """At 32,768 steps of 64 channels of 32 modes, all states would take 512 MB; inputs, outputs and
    gradients take 8 MB each."""
    code = """
import re, torch
from dynmem.scan import channel_scan, selective_scan
def peak(T):
    k = [torch.full((64, 32), 0.5 + 0.1j, requires_grad=True) for _ in range(3)]
    channel_scan(*k, torch.ones(1, T, 64))[0].sum().backward()
    B, u = (torch.ones(1, T, n, requires_grad=True) for n in (16, 64))
    selective_scan(u, -torch.ones(64, 16, requires_grad=True), B, B, u)[0].sum().backward()
    # of this process alone: ru_maxrss begins at that of the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
start = peak(64)
print((peak(32768) - start) / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert float(done.stdout) < 100, done.stderr
