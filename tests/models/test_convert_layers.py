"""Torch's convolutions, linear layers, norms, activations and stacks of them, converted and held to
torch in float64."""

import numpy as np
import pytest

from dynmem.analysis import receptive_field
from dynmem.errors import ShapeError
from dynmem.models import Convolution, Dense, Norm, from_torch


def torch_sequence(module, u):
    """Outputs (batch, T, outputs) of a module of channels (batch, channels, T)."""
    import torch

    with torch.no_grad():
        return module.double()(torch.tensor(u).mT).mT.numpy()


def ours(system, u):
    return system.run(np.zeros((len(u), system.size)), u)[0]


def test_convolutions_of_torch():
    """Padded on the left, or not at all, where torch leaves out the first (k-1) d outputs; groups;
    weight normalisation."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    u = np.random.default_rng(0).standard_normal((3, 25, 4))
    for kernel, dilation, groups, bias in (
        (1, 1, 1, True),
        (3, 1, 1, False),
        (2, 4, 2, True),
        (3, 2, 4, True),
    ):
        conv, reach = (
            nn.Conv1d(4, 8, kernel, dilation=dilation, groups=groups, bias=bias),
            (kernel - 1) * dilation,
        )
        system = from_torch(conv)
        assert isinstance(system, Convolution) and system.size == 4 * (reach + 1)
        np.testing.assert_allclose(ours(system, u)[:, reach:], torch_sequence(conv, u), atol=1e-12)
        padded = nn.Sequential(nn.ZeroPad1d((reach, 0)), conv)
        np.testing.assert_allclose(
            ours(from_torch(padded), u), torch_sequence(padded, u), atol=1e-12
        )
    normed = torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 2, 2))
    np.testing.assert_allclose(
        ours(from_torch(normed), u)[:, 1:], torch_sequence(normed, u), atol=1e-12
    )


def test_stacks_of_torch():
    import torch
    from torch import nn

    torch.manual_seed(1)
    u = np.random.default_rng(1).standard_normal((2, 30, 3))
    stack = nn.Sequential(
        nn.ZeroPad1d((2, 0)),
        nn.Conv1d(3, 5, 3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Sequential(nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(5, 5, 3, dilation=2), nn.GELU()),
        nn.Tanh(),
        nn.Conv1d(5, 2, 1),
    )
    system = from_torch(stack)
    np.testing.assert_allclose(ours(system, u), torch_sequence(stack.eval(), u), atol=1e-12)
    assert receptive_field(system).receptive_field == 7
    bare = nn.Sequential(nn.Conv1d(3, 5, 3), nn.ReLU(), nn.Conv1d(5, 2, 2, dilation=4))
    np.testing.assert_allclose(
        ours(from_torch(bare), u)[:, 6:], torch_sequence(bare, u), atol=1e-12
    )
    features = nn.Sequential(
        nn.ReLU(),
        nn.Linear(3, 4),
        nn.LayerNorm(4),
        nn.Identity(),
        nn.GELU(),
        nn.RMSNorm(4, eps=1e-5),
        nn.Linear(4, 2, bias=False),
    ).double()
    with torch.no_grad():
        features[2].weight.uniform_()
        features[2].bias.uniform_()
        features[5].weight.uniform_()
        np.testing.assert_allclose(
            ours(from_torch(features), u), features(torch.tensor(u)).numpy(), atol=1e-12
        )
    recurrent = nn.Sequential(
        nn.Linear(3, 4), nn.Tanh(), nn.LSTM(4, 2, num_layers=2, batch_first=True)
    ).double()
    with torch.no_grad():
        np.testing.assert_allclose(
            ours(from_torch(recurrent), u), recurrent(torch.tensor(u))[0].numpy(), atol=1e-12
        )
    for module, kind in (
        (nn.Linear(2, 3), Dense),
        (nn.LayerNorm(3), Norm),
        (nn.Sequential(nn.Linear(2, 3)), Dense),
    ):
        assert type(from_torch(module)) is kind


def complex64():
    import torch

    return torch.complex64


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda nn: nn.Conv1d(2, 2, 3, padding=1),
            ValueError,
            r"reads the future: set padding=0 and put nn.ZeroPad1d\(\(2, 0\)\) before",
        ),
        (
            lambda nn: nn.Conv1d(2, 2, 3, padding="same"),
            ValueError,
            "padding = 'same' at the end of a sequence reads the future",
        ),
        (lambda nn: nn.Conv1d(2, 2, 3, stride=2), ValueError, "use stride=1"),
        (
            lambda nn: nn.Sequential(nn.ZeroPad1d((1, 0)), nn.Conv1d(2, 2, 3)),
            ValueError,
            r"the causal one is \(2, 0\)",
        ),
        (
            lambda nn: nn.Sequential(nn.ZeroPad1d((1, 1)), nn.Conv1d(2, 2, 3)),
            ValueError,
            r"must be zeros on the left",
        ),
        (
            lambda nn: nn.Sequential(nn.ZeroPad1d((2, 0)), nn.ReLU(), nn.Conv1d(2, 2, 3)),
            ValueError,
            "directly before an nn.Conv1d",
        ),
        (
            lambda nn: nn.Sequential(nn.Conv1d(2, 2, 3), nn.ZeroPad1d((2, 0))),
            ValueError,
            "padding after the last layer",
        ),
        (
            lambda nn: nn.Sequential(nn.Conv1d(2, 4, 3), nn.Linear(4, 4)),
            ValueError,
            "mixes them: use nn.Conv1d of kernel_size 1",
        ),
        (lambda nn: nn.Sequential(nn.LSTM(2, 4), nn.Linear(4, 4)), ValueError, "returns a pair"),
        (lambda nn: nn.Sequential(nn.ReLU()), ValueError, "its width is unknown"),
        (lambda nn: nn.Sequential(), ValueError, "its width is unknown"),
        (
            lambda nn: nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)),
            ShapeError,
            "has 3 outputs and the next 2 inputs",
        ),
        (lambda nn: nn.LayerNorm((2, 3)), ValueError, "over the last axis alone"),
        (
            lambda nn: nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.3)),
            ValueError,
            "negative_slope=0.3",
        ),
        (lambda nn: nn.Embedding(3, 2, max_norm=1.0), ValueError, "max_norm = 1.0 changes"),
        (lambda nn: nn.Sequential(nn.Linear(2, 2), nn.Softmax(-1)), TypeError, "from_torch takes"),
        (lambda nn: nn.Linear(2, 2, dtype=complex64()), TypeError, "complex weights"),
        (lambda nn: nn.LSTM(2, 2, dtype=complex64()), TypeError, "complex weights"),
    ],
)
def test_what_cannot_be_converted(make, error, text):
    from torch import nn

    with pytest.raises(error, match=text):
        from_torch(make(nn))


def test_stale_weights_are_refused():
    from torch.nn import Conv1d
    from torch.nn.utils import prune

    pruned = prune.l1_unstructured(Conv1d(2, 2, 2), "weight", amount=1)
    with pytest.raises(TypeError, match="a hook before its forward"):
        from_torch(pruned)
