"""The scans in torch's operations, which other devices take, against the compiled ones."""

import numpy as np
import pytest
import torch

from dynmem.scan import channel_scan, linear_scan, selective_scan, torch_form
from tests.scan.test_scan import decay, normal

LEAD, T, H, N = (2, 3), 37, 5, 4
CASES = {
    "linear, one factor": (linear_scan, lambda: (decay(H), normal(*LEAD, T, H))),
    "linear, factors of each step": (
        linear_scan,
        lambda: (decay(*LEAD, T, H), normal(*LEAD, T, H), normal(*LEAD, H)),
    ),
    "linear, complex": (
        linear_scan,
        lambda: (decay(H, kind="complex"), normal(T, H, kind="complex")),
    ),
    "linear, one step": (linear_scan, lambda: (decay(H), normal(1, H), normal(H))),
    "channel": (
        channel_scan,
        lambda: (
            decay(H, N, kind="complex"),
            *(normal(H, N, kind="complex") for _ in range(2)),
            normal(*LEAD, T, H),
            normal(*LEAD, H, N, kind="complex"),
        ),
    ),
    "channel at rest": (
        channel_scan,
        lambda: (
            decay(H, N, kind="complex"),
            *(normal(H, N, kind="complex") for _ in range(2)),
            normal(T, H),
        ),
    ),
    "selective": (
        selective_scan,
        lambda: (
            np.abs(normal(*LEAD, T, H)),
            -np.abs(normal(H, N)),
            *(normal(*LEAD, T, N) for _ in range(2)),
            normal(*LEAD, T, H),
            normal(*LEAD, H, N),
        ),
    ),
    "selective, held": (
        lambda *arguments: selective_scan(*arguments, exact=True),
        lambda: (
            np.abs(normal(T, H)),
            # a rate of 0, at which the held input has the step as its limit
            np.where(np.arange(N) == 1, 0.0, -np.abs(normal(H, N))),
            *(normal(T, N) for _ in range(2)),
            normal(T, H),
            None,
        ),
    ),
}


def outputs_and_gradients(scan, arrays):
    given = [None if a is None else torch.tensor(np.asarray(a)).requires_grad_() for a in arrays]
    found = scan(*given)
    found = found if isinstance(found, tuple) else (found,)
    weighted = sum((y * (0.3 + y.detach().conj())).sum().real for y in found)
    weighted.backward()
    return [*(y.detach().numpy() for y in found), *(g.grad.numpy() for g in given if g is not None)]


@pytest.mark.parametrize("name", CASES)
def test_both_forms_agree(name, monkeypatch):
    scan, draw = CASES[name]
    arrays = draw()
    compiled = outputs_and_gradients(scan, arrays)
    monkeypatch.setattr(torch_form, "takes_torch", lambda tensor: True)
    for one, other in zip(compiled, outputs_and_gradients(scan, arrays), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-11, atol=1e-11 * np.abs(one).max())


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_scans_to_the_same_numbers(name):
    scan, draw = CASES[name]
    arrays = draw()
    here = scan(*(None if a is None else torch.as_tensor(a) for a in arrays))
    there = scan(*(None if a is None else torch.as_tensor(a, device="cuda") for a in arrays))
    for one, other in zip(np.atleast_1d(here), np.atleast_1d(there), strict=True):
        np.testing.assert_allclose(other.cpu().numpy(), one.numpy(), rtol=1e-10, atol=1e-10)


def test_other_devices_take_the_form_of_torch():
    """The device "meta" holds shapes and no numbers: whatever reads numbers fails on it."""
    u = torch.ones(2, 7, H, device="meta")
    assert linear_scan(np.ones(H), u).device.type == "meta"
    y, last = channel_scan(*(np.ones((H, N)) for _ in range(3)), u)
    assert (y.shape, last.shape) == ((2, 7, H), (2, H, N))
