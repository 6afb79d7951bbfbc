"""capture(): exact, every call, any output, nothing left behind."""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from segdemo import InputError, capture, replace
from segdemo.activations import run_until

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


class Branches(nn.Module):
    def __init__(self, *names: str) -> None:
        super().__init__()
        self.b = nn.ModuleDict({name: nn.Linear(2, 2) for name in names})

    def forward(self, x: Tensor) -> list[Tensor]:
        return [module(x) for module in (*self.b.values(), *self.b.values())]


def test_names_with_colons_and_brackets_are_found_and_so_are_their_neighbours() -> None:
    names = ["a", "a:1", "a:2", "a[0]", "user:rates:item", "ok"]
    network, x = Branches(*names), torch.rand(1, 2)
    outputs = network(x)
    layers = [f"b.{name}" for name in names]
    with capture(network, layers) as seen:
        network(x)
    assert len(seen) == 2 * len(names)
    for key, value in seen.items():
        assert torch.equal(seen[key], value)
    for layer, output in zip(layers, outputs, strict=False):
        assert torch.equal(run_until(network, x, layer), output)
        with capture(network, layer) as one:
            network.b[layer[2:]](x)
        assert torch.equal(one[layer], output)
    assert [key for key in seen if key.startswith("b.a:0")] == ["b.a:01", "b.a:02"]
    assert torch.equal(run_until(network, x, "b.a:02"), outputs[0])


def test_layers_may_be_given_as_modules_one_string_or_a_generator(two_layers: Any) -> None:
    for layers in (two_layers.conv, [two_layers.conv], "conv", (name for name in ["conv"]), {"conv": 1}):
        with capture(two_layers, layers) as seen:
            two_layers(torch.rand(1, 3, 8, 8))
        assert list(seen) == ["conv:1"]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (None, "cannot be named by None"),
        ([3], "cannot be named by an int"),
        (b"conv", "cannot be named by a bytes"),
        (nn.ReLU(), "The ReLU given as a layer is no part of this network"),
        ("co", "no layer called 'co'"),
    ],
)
def test_what_names_no_layer_is_refused(two_layers: nn.Module, layers: Any, words: str) -> None:
    with pytest.raises(InputError, match=words), capture(two_layers, layers):
        pytest.fail("the block must not begin")


class Bag:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@dataclass(init=False)
class Unset:
    tensor: Tensor
    never: Tensor

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Angry(dict[str, Tensor]):
    def __getitem__(self, key: str) -> Tensor:
        if key == "bad":
            raise RuntimeError("no")
        return super().__getitem__(key)


def within_itself(tensor: Tensor) -> list[Any]:
    output: list[Any] = [tensor]
    output.append(output)
    return output


class Puts(nn.Module):
    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> Any:
        return self.make(x)


@pytest.mark.parametrize(
    ("make", "came"),
    [
        (Bag, "a Bag"),
        (lambda x: {x}, "a set"),
        (lambda x: (x for _ in range(2)), "a generator"),
        (lambda x: None, "None"),
        (lambda x: "text", "a str"),
        (lambda x: x.numpy(), "a ndarray"),
        (lambda x: Unset, "a type"),
    ],
)
def test_an_output_without_tensors_is_said_when_it_is_asked_for(make: Callable[[Tensor], Any], came: str) -> None:
    network = nn.ModuleDict({"pack": Puts(make)})
    with capture(network, "pack") as seen:
        network["pack"](torch.zeros(1, 2))
    with pytest.raises(KeyError, match=f"pack put out {came}, which holds no tensor"):
        seen["pack"]


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (lambda x: deque([x, x]), [":1[0]", ":1[1]"]),
        (lambda x: {1: x, "1": x}, [":1[1]", ":1['1']"]),
        (Unset, [":1[tensor]"]),
        (lambda x: Angry(good=x, bad=x), [":1[good]"]),
        (within_itself, [":1[0]"]),
        (lambda x: x.to_sparse(), [":1"]),
        (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), [":1"]),
        (lambda x: nn.Parameter(x), [":1"]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_odd_outputs_give_the_tensors_that_can_be_read(make: Callable[[Tensor], Any], keys: list[str]) -> None:
    with capture(Puts(make), "") as seen:
        pass
    network = Puts(make)
    with capture(network, "") as seen:
        network(torch.ones(1, 2))
    assert sorted(seen) == sorted(keys)


def test_a_reduction_that_fails_is_said_later_and_not_in_the_forward_pass(two_layers: nn.Module) -> None:
    with capture(two_layers, "conv", reduce=lambda tensor: 1 / 0) as seen:
        two_layers(torch.rand(1, 3, 8, 8))
    with pytest.raises(KeyError, match=r"could not be recorded .ZeroDivisionError") as refusal:
        seen["conv"]
    assert isinstance(refusal.value.__cause__, ZeroDivisionError)


def test_compiled_networks_are_recorded_and_stay_compiled() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    compiled: Any = torch.compile(network, backend="eager")
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        compiled(x)
        with capture(compiled, "_orig_mod.0") as seen:
            compiled(x)
        assert torch.equal(seen["_orig_mod.0"], network[0](x))
    assert hooks_left(compiled) == 0


@pytest.mark.filterwarnings("ignore")
def test_layers_that_run_without_hooks_are_refused_or_explained() -> None:
    x = torch.rand(1, 3, 8, 8)
    for scripted in (torch.jit.trace(nn.Sequential(nn.ReLU()), x), torch.jit.script(nn.Sequential(nn.ReLU()))):
        with pytest.raises(InputError, match="is TorchScript, which runs without hooks"), capture(scripted, "0"):
            pytest.fail("the block must not begin")
    attention, q = nn.MultiheadAttention(8, 2).eval(), torch.rand(1, 5, 8)
    with capture(attention, "out_proj") as seen:
        attention(q, q, q)
    with pytest.raises(KeyError, match="out_proj is never called: MultiheadAttention computes with its weights"):
        seen["out_proj"]
    network = nn.Sequential(nn.ReLU())
    with capture(network, "0") as seen:
        network[0].forward(x)
    with pytest.raises(KeyError, match=r"ran without its hooks.*through forward\(\)"):
        seen["0"]


@pytest.mark.parametrize("travel", ["deepcopy", "pickle", "save"])
def test_our_hooks_do_not_travel_with_a_copy_and_those_of_others_stay(two_layers: Any, travel: str) -> None:
    x = torch.rand(1, 3, 8, 8)
    two_layers.relu.register_forward_hook(print_nothing)
    with capture(two_layers, ["conv", "relu"], before=lambda: None) as seen:
        if travel == "deepcopy":
            other = deepcopy(two_layers)
        elif travel == "pickle":
            other = pickle.loads(pickle.dumps(two_layers))
        else:
            file = io.BytesIO()
            torch.save(two_layers, file)
            file.seek(0)
            other = torch.load(file, weights_only=False)
        assert hooks_left(other) == 1
        assert torch.equal(other(x), two_layers(x))
        assert list(seen) == ["conv:1", "relu:1"]
    assert hooks_left(two_layers) == 1
    assert "__reduce_ex__" not in two_layers.conv.__dict__ and "__reduce_ex__" not in other.conv.__dict__


def print_nothing(*_: Any) -> None:
    """Somebody's hook."""


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_activation_checkpointing_computes_again_is_no_further_call(two_layers: Any, reentrant: bool) -> None:
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    with capture(two_layers, "conv", reduce=lambda tensor: (tensor * tensor).mean()) as seen:
        checkpoint(two_layers, x, use_reentrant=reentrant).sum().backward()
    assert list(seen) == ["conv:1"]
    assert float(seen["conv"].detach()) == pytest.approx(float((two_layers.conv(x) ** 2).mean().detach()))


def test_replacements_by_hand(two_layers: Any) -> None:
    x, given = torch.rand(1, 3, 8, 8), torch.full((1, 4, 8, 8), -2.0)
    with replace(two_layers, {"conv": given}) as done, capture(two_layers, "conv") as seen:
        assert torch.equal(two_layers(x), torch.zeros(1, 4, 8, 8))  # ReLU of -2
    assert torch.equal(seen["conv"], given) and (given == -2).all()  # the in-place ReLU did not reach it
    assert done == {"conv": 1}
    with replace(two_layers, {two_layers.relu: lambda output: output * 0 + 3, "conv:2": lambda output: output * 0}):
        assert (two_layers(x) == 3).all()
    with replace(two_layers, {"conv:2": torch.ones_like(given)}) as done:
        first, second, third = two_layers(x), two_layers(x), two_layers(x)
    assert done == {"conv:2": 1}
    assert torch.equal(first, third) and torch.equal(first, two_layers(x)) and (second == 1).all()
    assert hooks_left(two_layers) == 0


def test_gradients_flow_through_a_replacement(two_layers: Any) -> None:
    x, given = torch.rand(1, 3, 8, 8, requires_grad=True), torch.ones(1, 4, 8, 8, requires_grad=True)
    with replace(two_layers, {"conv": given}):
        two_layers(x).sum().backward()
    assert torch.equal(given.grad, torch.ones_like(given)) and x.grad is None  # type: ignore[arg-type]
    with replace(two_layers, {"conv": lambda output: output * 0 + x.sum()}):
        two_layers(x).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 4 * 8 * 8))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"cnov": torch.zeros(1)}, "no layer called 'cnov'; the nearest names are conv"),
        ({"conv": torch.zeros(1)}, r"put out shape \(1, 4, 8, 8\), and the tensor given for it has shape \(1,\)"),
        ({"conv": lambda output: None}, "returned None"),
    ],
)
def test_replacements_that_cannot_be_are_refused(two_layers: nn.Module, layers: Any, words: str) -> None:
    with pytest.raises(InputError, match=words), replace(two_layers, layers):
        two_layers(torch.rand(1, 3, 8, 8))
    assert hooks_left(two_layers) == 0
