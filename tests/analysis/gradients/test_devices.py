"""Devices of gradient_profile: one code path, held on the processor, and to it on a GPU."""

import numpy as np
import pytest
import torch
from torch import nn

import dynmem as dm
from dynmem.analysis import gradient_profile
from dynmem.system import map_arrays

MODELS = list(dm.models.names())
OPTIONS = {"lags": 12, "transient": 3, "rng": 1}


class Smoothed(nn.Module):
    """A running mean of the hidden states of an RNN: no chain of layers, so analysed from
    outside."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.RNN(3, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, u):
        h = self.rnn(u)[0]
        return self.head(h.cumsum(1) / torch.arange(1, u.shape[1] + 1, device=u.device)[:, None])


class Tagger(nn.Module):
    """Symbols to a class at each step, with a product that ``from_torch`` does not take."""

    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(6, 4), nn.GRU(4, 4, batch_first=True)

    def forward(self, tokens):
        u = self.embedding(tokens)
        return self.rnn(u)[0] * u


def given(seed=0):
    """A system or module of each kind, and its input."""
    torch.manual_seed(seed)
    u = np.random.default_rng(seed).standard_normal((2, 20, 3))
    tokens = np.random.default_rng(seed).integers(6, size=(2, 20))
    return {
        "map": (dm.models.get("gru", units=4, inputs=3), 1.0),
        "converted": (nn.LSTM(3, 4, batch_first=True), u[:, 4:]),
        "outside": (Smoothed(), u),
        "symbols": (Tagger(), tokens),
    }


@pytest.mark.parametrize("kind", given())
def test_the_processor_by_name_leaves_the_bits(kind):
    model, drive = given()[kind]
    plain, named, object_ = (
        gradient_profile(model, drive=drive, device=device, **OPTIONS)
        for device in (None, "cpu", torch.device("cpu"))
    )
    assert plain.identical(named) and plain.identical(object_)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", 3.5, "meta"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"device = {device!r}: must be a device"):
        gradient_profile(dm.models.get("tanh", units=3, inputs=1), lags=3, device=device)


# Attention reads from its state how many of its slots are filled, one number a run.
@pytest.mark.parametrize("name", [name for name in MODELS if name != "attention"])
def test_models_run_wherever_their_arrays_are(name):
    """The device "meta" holds shapes and no numbers: a run that reads numbers, or makes a tensor on
    the processor, fails on it."""
    model = dm.models.get(name, units=8, inputs=2)
    run = map_arrays(model, lambda a: torch.as_tensor(a, device="meta")).run
    kind = {"dtype": torch.float64, "device": "meta", "requires_grad": True}
    u, x = torch.empty(3, 7, 2, **kind), torch.empty(3, model.size, **kind)
    y, after = run(x, u)
    ends = [t.sum() for t in (y, after) if t.requires_grad]
    found = torch.autograd.grad(ends, (u, x), allow_unused=True)
    assert y.device.type == after.device.type == "meta" and y.shape == (3, 7, model.outputs)
    assert all(g is None or g.device.type == "meta" for g in found)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.complex64])
def test_tensors_of_every_precision_are_read(kind):
    """numpy has no bfloat16: its 8 bits fit into float32."""
    from dynmem.runtime.torch_modules import as_numpy

    values = torch.tensor([1.0, -0.25, 3.0], dtype=kind, requires_grad=True)
    found = as_numpy(values.conj())
    assert found.tolist() == [1.0, -0.25, 3.0]
    assert found.dtype.itemsize == (4 if kind is torch.bfloat16 else values.element_size())


def test_a_batch_in_bfloat16():
    torch.manual_seed(0)
    net, u = nn.GRU(3, 4, batch_first=True), torch.randn(2, 20, 3).to(torch.bfloat16)
    found, same = (gradient_profile(net, drive=each, lags=5) for each in (u, u.float()))
    np.testing.assert_array_equal(found.log_input_gradient, same.log_input_gradient)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_gives_the_same_gradients(name):
    model = dm.models.get(name, units=8, inputs=2)
    here, there = (
        gradient_profile(model, drive=1.0, device=device, **OPTIONS) for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(there.log_input_gradient, here.log_input_gradient, atol=1e-8)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", given())
def test_a_module_on_a_gpu_stays_there(kind):
    model, drive = given()[kind]
    here = gradient_profile(model, drive=drive, device="cpu", **OPTIONS)
    there = gradient_profile(model, drive=drive, device="cuda", **OPTIONS)
    np.testing.assert_allclose(there.log_input_gradient, here.log_input_gradient, atol=1e-8)
    if isinstance(model, nn.Module):
        moved = gradient_profile(model.cuda(), drive=torch.as_tensor(drive).cuda(), **OPTIONS)
        np.testing.assert_allclose(moved.log_input_gradient, here.log_input_gradient, atol=1e-8)
        assert next(model.parameters()).device.type == "cuda"
        dm.models.from_torch(nn.LSTM(3, 4).cuda())
