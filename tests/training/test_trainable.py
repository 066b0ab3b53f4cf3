"""Trainable: fused kernels against the rule, weights and constants, and the way back."""

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem import models, tasks
from dynmem.errors import NotFiniteError, ShapeError, UnknownNameError
from dynmem.models.registry import MODELS
from dynmem.scan import torch_form
from dynmem.training import Trainable, fit
from tests.training.examples import CELLS, Pair, copy_model, pair, small


def everything(trainable, u, x0):
    """Outputs, final state and all gradients of one pass."""
    outputs, final = trainable.run(x0, u)
    mixed = torch.randn(
        outputs.shape, generator=torch.Generator().manual_seed(0), dtype=outputs.dtype
    )
    loss = (mixed * outputs).sum() + final.square().sum()
    return [outputs, final, *torch.autograd.grad(loss, [u, x0, *trainable.weights().values()])]


@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS)
def test_fused_path_is_the_rule_forward_and_backward(name, layers, outputs):
    model = small(name, layers, outputs)
    u = torch.randn(3, 9, 4, dtype=torch.float64, requires_grad=True)
    x0 = torch.randn(3, model.size, dtype=torch.float64, requires_grad=True)
    pairs = zip(
        *(
            everything(Trainable(model, torch.float64, fused=fused), u, x0)
            for fused in (True, False)
        ),
        strict=True,
    )
    for fused, plain in pairs:
        assert fused.shape == plain.shape
        assert (fused - plain).abs().max() <= 1e-12 * max(1.0, plain.abs().max())


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
# another kernel than in double precision
def test_fused_path_is_the_rule_in_single_precision(name):
    model, u = small(name, outputs=3), torch.randn(3, 50, 4)
    torch.testing.assert_close(
        Trainable(model)(u), Trainable(model, fused=False)(u), rtol=1e-4, atol=1e-5
    )


def test_mixed_layers_leaks_and_own_cells_take_the_rule_where_torch_has_no_kernel():
    class Mine(models.Tanh):
        def rule(self, x, u):
            return 0.5 * super().rule(x, u)

    layers = (
        models.LSTM.random(5, 4),
        models.Orthogonal.random(6, 5, nonlinearity="modrelu"),
        models.GRU.random(3, 6),
        models.Tanh.random(4, 3, leak=1.0),
        Mine.random(4, 4),
    )
    model = models.Network(layers, np.ones((2, 4)))
    u, x0 = (
        torch.randn(2, 7, 4, dtype=torch.float64),
        torch.randn(2, model.size, dtype=torch.float64),
    )
    for fused, plain in zip(
        *(Trainable(model, torch.float64, fused=f).run(x0, u) for f in (True, False)), strict=True
    ):
        torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)
    leaky = models.Tanh.random(3, 4, leak=0.3)
    torch.testing.assert_close(
        Trainable(leaky, torch.float64)(u), Trainable(leaky, torch.float64, fused=False)(u)
    )


@pytest.mark.parametrize("name", CELLS)
def test_cells_that_run_free(name):
    model = small(name, 2, inputs=0)
    u, x0 = torch.zeros(2, 6, 0, dtype=torch.float64), torch.randn(model.size, dtype=torch.float64)
    for fused, plain in zip(
        *(Trainable(model, torch.float64, fused=f).run(x0, u) for f in (True, False)), strict=True
    ):
        torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_torch_and_numpy_walk_the_same_orbit(name):
    model = small(name, outputs=2)
    u, x = np.random.default_rng(0).standard_normal((6, 4)), np.linspace(-1, 1, model.size)
    outputs, final = Trainable(model, torch.float64).run(x, u[None])
    for t in range(6):
        x = model.rule(x, u[t])
        np.testing.assert_allclose(
            outputs[0, t].detach().numpy(), model.output(x, u[t]), rtol=1e-12, atol=1e-12
        )
    np.testing.assert_allclose(final[0].detach().numpy(), x, rtol=1e-12, atol=1e-12)


def test_parameters_are_the_float_arrays_and_frozen_gives_them_back():
    net = Trainable(pair(), "float64", train=("damping",))
    assert (
        set(net.weights())
        == {"K", "shifts.0", "shifts.1", "damping"}
        == {n.replace("/", ".") for n, _ in net.named_parameters()}
    )
    loss = net(torch.ones(1, 5, 1)).square().sum()
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
    with torch.no_grad():
        net.weights()["damping"].add_(0.25)
        net.weights()["shifts.1"].mul_(3.0)
    back = net.frozen()
    assert (
        type(back) is Pair
        and back.damping == pytest.approx(0.35)
        and isinstance(back.damping, float)
        and back.label == "mine"
    )
    assert back.shifts[1].tolist() == [3.0, 6.0] and back.mask.dtype == pair().mask.dtype
    # the original is left alone
    assert pair().damping == 0.1 and net.system.shifts[1].tolist() == [1.0, 2.0]


def test_fixed_arrays_stay_and_names_are_checked():
    model = small("lstm", 2, 3)
    assert "layers.0.W" in Trainable(model).weights()
    assert not any(path.endswith("W") for path in Trainable(model, fixed="W").weights())
    assert {"layers.1.W", "R", "a"} < set(Trainable(model, fixed=("layers.0",)).weights())
    assert not any(
        path.startswith("layers.0") for path in Trainable(model, fixed=("layers.0",)).weights()
    )
    with pytest.raises(
        UnknownNameError,
        match=r"no array is called 'w': choose one of R, a, "
        r"layers\.0\.V",
    ):
        Trainable(model, fixed="w")
    with pytest.raises(
        UnknownNameError, match="no plain number of Pair is called 'gain': choose one of damping"
    ):
        Trainable(pair(), train=("gain",))


def test_a_flow_trains_through_its_map_and_says_so_where_it_stands_alone():
    class Decay(dm.Flow):
        rate: np.ndarray
        states = ("x", "y")

        def rule(self, x, u):
            return -self.rate * x

    flow = Decay(np.array([1.0, 2.0]))
    assert set(Trainable(dm.FlowMap(flow, 0.1)).weights()) == {"flow.rate"}
    outputs = Trainable(dm.FlowMap(flow, 0.1), "float64")(torch.zeros(1, 10, 0), np.ones(2))
    np.testing.assert_allclose(outputs[0, -1].detach(), np.exp([-1.0, -2.0]), rtol=1e-4)
    with pytest.raises(TypeError, match="FlowMap"):
        Trainable(flow)


def test_orthogonal_stays_orthogonal():
    task = tasks.Copy(delay=3, symbols=2, length=1)
    trained, _ = fit(
        copy_model("orthogonal", task, nonlinearity="modrelu"), task, steps=30, learning_rate=0.1
    )
    W = trained.layers[0].W
    np.testing.assert_allclose(W @ W.T, np.eye(8), atol=1e-13)
    assert abs(W - copy_model("orthogonal", task, nonlinearity="modrelu").layers[0].W).max() > 0.01


def test_lost_weights_are_refused():
    net = Trainable(pair())
    with torch.no_grad():
        net.weights()["K"][0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="K of Pair holds NaN or infinity after training"):
        net.frozen()


@pytest.mark.parametrize(
    ("u", "x0", "message"),
    [
        (torch.zeros(2, 3), None, r"u has shape \(2, 3\), LSTM takes \(batch, steps, 4\)"),
        (torch.zeros(2, 3, 5), None, r"u has shape \(2, 3, 5\)"),
        (torch.zeros(2, 0, 4), None, "at least one step"),
        (torch.zeros(0, 2, 4), None, "at least one sequence"),
        (
            torch.zeros(2, 3, 4),
            torch.zeros(5),
            r"x0 has shape \(5,\), expected \(10,\) or \(2, 10\)",
        ),
        (torch.zeros(2, 3, 4), torch.zeros(3, 10), r"x0 has shape \(3, 10\)"),
    ],
)
def test_wrong_shapes_say_what_fits(u, x0, message):
    with pytest.raises(ShapeError, match=message):
        Trainable(small("lstm"))(u, x0)


def test_a_map_without_named_states_needs_a_start():
    class Free(dm.Map):
        def rule(self, x, u):
            return 0.5 * x

    assert Trainable(Free())(torch.zeros(1, 2, 0), [1.0]).flatten().tolist() == [0.5, 0.25]
    with pytest.raises(ShapeError, match="pass x0"):
        Trainable(Free())(torch.zeros(1, 2, 0))
    with pytest.raises(ValueError, match="dtype = 'float16': must be float32 or float64"):
        Trainable(Free(), "float16")


def test_a_system_without_plain_numbers_says_so():
    with pytest.raises(
        UnknownNameError, match="no plain number of GRU is called 'foo': there is none"
    ):
        Trainable(small("gru"), train=("foo",))


def test_precision_and_device_of_constants_and_inputs_follow_the_weights():
    net = Trainable(pair(), train="damping").to("cpu", torch.float64)
    assert net.dtype == torch.float64 and net.device == torch.device("cpu")
    assert net(np.ones((1, 5, 1))).dtype == torch.float64
    reference = Trainable(pair(), "float64", train="damping")(np.ones((1, 5, 1)))
    torch.testing.assert_close(net(np.ones((1, 5, 1))), reference, rtol=1e-6, atol=1e-6)


def test_repr_is_one_short_line():
    shown = repr(Trainable(small("gru", outputs=3)))
    assert shown.startswith("Trainable(Network, inputs=4, states=5, weights=")
    assert "\n" not in shown and len(shown) < 120


# attention counts the slots of its cache on the processor, by an explicit copy
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"attention"}))
def test_a_pass_stays_on_its_device(name):
    """On the device "meta" a tensor has a shape and no numbers: a tensor that was made on the
    processor, or read back there, ends the pass, as it would on a GPU."""
    net = Trainable(models.get(name, units=4, inputs=4, outputs=2)).to("meta")
    outputs = net(torch.zeros(2, 9, 4, device="meta"))
    outputs.sum().backward()
    assert (outputs.shape, outputs.device.type) == ((2, 9, 2), "meta")


@pytest.mark.parametrize("name", ["lru", "s4d", "selective", "mamba", "linear_attention"])
def test_scans_in_the_form_of_torch_train_the_same(name, monkeypatch):
    """What a GPU computes, on the processor: outputs and gradients."""
    model = models.get(name, units=4, inputs=3, outputs=2, rng=0)
    u = np.random.default_rng(0).standard_normal((2, 70, 3))

    def found():
        net = Trainable(model, "float64")
        outputs = net(u)
        outputs.square().sum().backward()
        return outputs.detach(), [weight.grad for weight in net.parameters()]

    (here, gradients), _ = found(), monkeypatch.setattr(torch_form, "takes_torch", lambda _: True)
    there, others = found()
    torch.testing.assert_close(there, here, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(others, gradients, rtol=1e-9, atol=1e-10)
