"""capture(): exact, every call, any output, nothing left behind."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from segdemo import InputError, capture
from segdemo.activations import run_until, trace

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: models.resnet18(weights=None),
    "alexnet": lambda: models.alexnet(weights=None),
    "fcn_resnet50": lambda: models.segmentation.fcn_resnet50(weights=None, weights_backbone=None),
    "vit": lambda: VisionTransformer(64, 16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64),
}


def build(name: str) -> nn.Module:
    torch.manual_seed(1)
    return NETWORKS[name]().eval()


def hooks_left(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


def recorded_independently(network: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    """Copy every tensor at the moment it leaves a module, by hooks of this test's own."""
    copies: dict[str, Tensor] = {}
    calls: Counter[str] = Counter()
    handles = []
    for name, module in network.named_modules():

        def hook(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
            calls[name] += 1
            if isinstance(output, Tensor):
                copies[f"{name}:{calls[name]}"] = output.clone()
            elif isinstance(output, dict):
                copies.update({f"{name}:{calls[name]}[{key}]": value.clone() for key, value in output.items()})
            else:  # attention puts out (values, weights or None)
                for index, value in enumerate(output):
                    if value is not None:
                        copies[f"{name}:{calls[name]}[{index}]"] = value.clone()

        handles.append(module.register_forward_hook(hook))
    network(batch)
    for handle in handles:
        handle.remove()
    return copies


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_every_layer_of_a_real_network_is_recorded_bit_for_bit(name: str) -> None:
    network, batch = build(name), torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    expected = recorded_independently(network, batch)
    with capture(network, [layer for layer, _ in network.named_modules()]) as seen:
        network(batch)
    assert set(seen) == set(expected)
    assert len(seen) > 20
    for key, tensor in expected.items():
        assert torch.equal(seen[key], tensor), key


@torch.no_grad()
def test_in_place_layer_does_not_change_what_was_recorded() -> None:
    network, batch = build("resnet18"), torch.rand(1, 3, 64, 64)
    with capture(network, ["layer1.0.bn1", "layer1.0.relu"]) as seen:
        network(batch)
    assert seen["layer1.0.bn1"].min() < 0  # the in-place ReLU right after it leaves no negative value
    assert torch.equal(seen["layer1.0.bn1"].relu(), seen["layer1.0.relu:1"])


@torch.no_grad()
def test_in_place_addition_does_not_change_what_was_recorded() -> None:
    network, batch = build("fcn_resnet50"), torch.rand(1, 3, 64, 64)
    block = "backbone.layer1.0"
    with capture(network, [f"{block}.bn3", f"{block}.downsample", f"{block}.relu"]) as seen:
        network(batch)
    assert torch.equal((seen[f"{block}.bn3"] + seen[f"{block}.downsample"]).relu(), seen[f"{block}.relu:3"])


@torch.no_grad()
def test_every_call_of_a_module_is_kept() -> None:
    network = build("resnet18")
    with capture(network, ["layer1.0.relu"]) as seen:
        network(torch.rand(1, 3, 64, 64))
    assert list(seen) == ["layer1.0.relu:1", "layer1.0.relu:2"]
    assert not torch.equal(seen["layer1.0.relu:1"], seen["layer1.0.relu:2"])
    with pytest.raises(KeyError, match=r"recorded 2 times; ask for one of layer1.0.relu:1, layer1.0.relu:2"):
        seen["layer1.0.relu"]
    with pytest.raises(KeyError, match=r"layer1.0.relu:3 was not recorded"):
        seen["layer1.0.relu:3"]


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


@dataclass
class Output:
    logits: Tensor
    note: str


class ManyOutputs(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.inner = nn.Identity()
        self.form = form

    def forward(self, batch: Tensor) -> Any:
        x = self.inner(batch)
        forms: dict[str, Any] = {
            "tuple": (x, [x + 1, "text"]),
            "dict": OrderedDict(out=x, aux={"deep": x + 1}),
            "named": Pair(x, x + 1),
            "dataclass": Output(x, "text"),
            "nothing": "text",
        }
        return forms[self.form]


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        ("tuple", [":1[0]", ":1[1][0]"]),
        ("dict", [":1[out]", ":1[aux][deep]"]),
        ("named", [":1[first]", ":1[second]"]),
        ("dataclass", [":1[logits]"]),
        ("nothing", []),
    ],
)
def test_tensors_inside_any_output_are_named_leaves(form: str, keys: list[str]) -> None:
    network = ManyOutputs(form)
    with capture(network, [""]) as seen:
        network(torch.zeros(1, 2))
    assert list(seen) == keys


def test_hooks_are_gone_after_the_block_and_after_an_exception(two_layers: nn.Module) -> None:
    with capture(two_layers, ["conv", "relu"], before=lambda: None) as seen:
        assert hooks_left(two_layers) == 5  # two that record, three that announce
        two_layers(torch.rand(1, 3, 8, 8))
    assert hooks_left(two_layers) == 0
    assert seen["conv"].shape == (1, 4, 8, 8)
    with pytest.raises(RuntimeError), capture(two_layers, ["conv", "relu"], before=lambda: None):
        two_layers(torch.rand(1, 5, 8, 8))  # five channels where three are needed
    assert hooks_left(two_layers) == 0
    with pytest.raises(InputError), capture(two_layers, ["conv", "no such layer"]):
        pytest.fail("the block must not begin")
    assert hooks_left(two_layers) == 0


@torch.no_grad()
def test_recording_changes_neither_the_output_nor_the_mode(two_layers: nn.Module) -> None:
    batch = torch.rand(1, 3, 8, 8)
    expected = two_layers(batch)
    with capture(two_layers, ["", "conv", "relu"], reduce=lambda tensor: tensor.clone().zero_()):
        assert torch.equal(two_layers(batch), expected)
    assert not two_layers.training


def test_an_unknown_layer_is_refused_with_the_nearest_names() -> None:
    network = build("resnet18")
    with (
        pytest.raises(InputError, match=r"no layer called 'layer1.0.bn9'; the nearest names are .*layer1.0.bn1"),
        capture(network, ["layer1.0.bn9"]),
    ):
        pytest.fail("the block must not begin")


def test_a_module_with_two_names_is_recorded_under_the_name_asked_for() -> None:
    shared = nn.Linear(2, 2)
    network = nn.Sequential(OrderedDict(one=shared, two=shared))
    with capture(network, ["two"]) as seen:
        network(torch.ones(1, 2))
    assert list(seen) == ["two:1", "two:2"]


def test_records_carry_no_gradient_history(two_layers: nn.Module) -> None:
    with capture(two_layers, ["conv"]) as seen:
        two_layers(torch.rand(1, 3, 8, 8))
    assert not seen["conv"].requires_grad


@torch.no_grad()
def test_a_second_pass_stops_right_after_the_layer_asked_for() -> None:
    network, batch = build("resnet18"), torch.rand(1, 3, 64, 64)
    with capture(network, ["layer2.0.relu"]) as whole:
        network(batch)
    ran: list[str] = []
    for name, module in network.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
    assert torch.equal(run_until(network, batch, "layer2.0.relu:2"), whole["layer2.0.relu:2"])
    assert ran[-1] == "layer2.0.relu"
    assert "layer3" not in ran


def test_a_call_that_never_comes_is_refused(two_layers: nn.Module) -> None:
    with pytest.raises(InputError, match=r"'conv:2' put out no tensor in this pass, which recorded conv:1"):
        run_until(two_layers, torch.rand(1, 3, 8, 8), "conv:2")
    assert hooks_left(two_layers) == 0


def test_trace_lists_calls_in_order_of_finishing_without_computing() -> None:
    with torch.device("meta"):
        network = models.resnet18(weights=None).eval()
        calls = trace(network, torch.empty(1, 3, 64, 64))
    assert calls[:2] == [("conv1:1", "Conv2d", (1, 64, 32, 32)), ("bn1:1", "BatchNorm2d", (1, 64, 32, 32))]
    assert ("layer1.0.relu:2", "ReLU", (1, 64, 16, 16)) in calls
    assert calls[-1] == ("fc:1", "Linear", (1, 1000))
