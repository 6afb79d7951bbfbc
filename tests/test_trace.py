"""One traced pass tells what feeds what, whatever a network does, and leaves nothing behind."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from segdemo.activations import capture, run_until
from segdemo.errors import InputError
from segdemo.figure import figure_of, links
from segdemo.levels import level_of
from segdemo.trace import Trace, trace_network

BATCH = (1, 4, 32, 40)


def scripted(what: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.script(what)


def conv(stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(4, 4, 3, stride, padding=1)


class Written(nn.Module):
    """A network of the given parts whose forward pass is a function of them and the batch."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)


@torch.no_grad()
def traced(forward: Callable[[Any, Tensor], Any], **parts: nn.Module) -> Trace:
    return trace_network(Written(forward, **parts), torch.rand(BATCH))


def edges(trace: Trace, *layers: str) -> dict[str, tuple[str, ...]]:
    return links(trace, layers)


def hooks_left(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


def test_calls_and_operations_are_listed_with_what_they_take_and_their_shapes() -> None:
    trace = traced(lambda me, x: me.b(me.a(x)) + x, a=conv(2), b=nn.Upsample(scale_factor=2))
    assert [(node.layer, node.inputs, node.shape) for node in trace.nodes] == [
        ("a.conv2d", (-1,), (1, 4, 16, 20)),
        ("b.interpolate", (0,), (1, 4, 32, 40)),
        ("add", (-1, 1), (1, 4, 32, 40)),
    ]
    assert [(call.layer, call.kind, call.shape) for call in trace.modules()] == [
        ("a", "Conv2d", (1, 4, 16, 20)),
        ("b", "Upsample", (1, 4, 32, 40)),
    ]
    assert trace.outputs == (2,)


def test_a_module_with_several_names_takes_the_one_below_its_caller() -> None:
    act = nn.SiLU()
    first, second = nn.Sequential(conv(), act), nn.Sequential(conv(), act)
    trace = traced(lambda me, x: me.second(me.first(x)), first=first, second=second)
    assert [node.layer for node in trace.nodes] == [
        "first.0.conv2d",
        "first.1.silu",
        "second.0.conv2d",
        "second.1.silu",
    ]
    assert edges(trace, "first.1", "second.1:2") == {"first.1": ("input",), "second.1:2": ("first.1",)}


def test_a_module_called_in_a_loop_is_one_box_a_call() -> None:
    def forward(me: Any, x: Tensor) -> Tensor:
        for _ in range(3):
            x = me.body(x) + x
        return x

    trace = traced(forward, body=conv())
    assert edges(trace, "body", "body:2", "body:3") == {
        "body": ("input",),
        "body:2": ("input", "body"),
        "body:3": ("input", "body", "body:2"),
    }
    assert edges(trace, "add", "add:2", "add:3", "body:2")["add:2"] == ("add", "body:2")


def test_a_data_dependent_branch_is_drawn_as_it_was_taken() -> None:
    def forward(me: Any, x: Tensor) -> Tensor:
        return me.yes(x) if x.mean() > 0.25 else me.no(x)

    trace = traced(forward, yes=conv(), no=conv())
    assert [call.layer for call in trace.modules()] == ["yes"]
    assert [stage.layer for stage in figure_of(trace).stages] == ["yes"]


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


def test_a_function_with_a_gradient_of_its_own_is_gone_through() -> None:
    trace = traced(lambda me, x: me.b(Double.apply(me.a(x))), a=conv(), b=conv())
    assert edges(trace, "a", "mul", "b") == {"a": ("input",), "mul": ("a",), "b": ("mul",)}


@pytest.mark.parametrize("write", ["slice", "view", "out", "copy"])
def test_what_is_written_into_a_part_of_a_tensor_is_found_in_the_whole(write: str) -> None:
    def forward(me: Any, x: Tensor) -> Tensor:
        whole = torch.zeros(1, 8, 32, 40)
        left, right = me.a(x), me.b(x)
        view = whole[:, :4]
        if write == "slice":
            whole[:, :4] = left
        elif write == "view":
            view += left
        elif write == "copy":
            view.copy_(left)
        else:
            torch.add(left, 1, out=view)
        whole[:, 4:] = right
        return me.c(whole)

    trace = traced(forward, a=conv(), b=conv(), c=nn.Conv2d(8, 2, 1))
    assert edges(trace, "a", "b", "c")["c"] == ("a", "b")


def test_writing_into_one_half_leaves_the_other_as_it_was() -> None:
    def forward(me: Any, x: Tensor) -> Tensor:
        one, other = me.a(x).chunk(2, dim=1)
        one.mul_(me.b(x))
        return me.c(other)

    trace = traced(forward, a=conv(), b=nn.Conv2d(4, 2, 1), c=nn.Conv2d(2, 2, 1))
    assert edges(trace, "a", "b", "c")["c"] == ("a",)


def test_changes_in_place_everywhere_are_followed() -> None:
    body = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(inplace=True), conv(), nn.BatchNorm2d(4))

    def forward(me: Any, x: Tensor) -> Tensor:
        x = me.stem(x)
        functional.relu_(x)
        y = me.body(x)
        y += x
        return functional.relu(y, inplace=True)

    trace = traced(forward, stem=conv(), body=body)
    assert edges(trace, "stem", "relu", "body", "add", "relu:2") == {
        "stem": ("input",),
        "relu": ("stem",),
        "body": ("relu",),
        "add": ("relu", "body"),
        "relu:2": ("add",),
    }


def test_a_scripted_part_is_one_opaque_box() -> None:
    part = scripted(nn.Sequential(conv(), nn.ReLU()))
    trace = traced(lambda me, x: me.c(me.part(me.a(x))), a=conv(), part=part, c=conv())
    assert edges(trace, "a", "part", "c") == {"a": ("input",), "part": ("a",), "c": ("part",)}
    assert [call.layer for call in trace.calls if call.opaque] == ["part"]
    assert not any(stage.opens for stage in figure_of(trace).stages if stage.layer == "part")


def test_a_wholly_scripted_network_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="Give the module that it was made from") as refusal:
        trace_network(scripted(nn.Sequential(conv())), torch.rand(BATCH))
    assert refusal.value.code == "network_scripted"


def double(x: Tensor) -> Tensor:
    return x * 2


def test_a_scripted_function_does_not_tear_the_network_apart() -> None:
    function = scripted(double)
    trace = traced(lambda me, x: me.b(function(me.a(x))), a=conv(), b=conv())
    assert edges(trace, "a", "b") == {"a": ("input",), "b": ("a",)}


class Outside(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy().copy() + 1)


def test_a_way_through_numpy_is_followed_inside_a_module_and_between_modules() -> None:
    inside = traced(lambda me, x: me.b(me.numpy(me.a(x))), a=conv(), numpy=Outside(), b=conv())
    between = traced(lambda me, x: me.b(torch.as_tensor(me.a(x).numpy() + 1)), a=conv(), b=conv())
    assert edges(inside, "a", "numpy", "b") == {"a": ("input",), "numpy": ("a",), "b": ("numpy",)}
    assert edges(between, "a", "b") == {"a": ("input",), "b": ("a",)}


def test_a_tensor_that_nobody_was_seen_making_makes_the_module_opaque() -> None:
    class Hidden(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch._C.DisableTorchFunction():
                return x + 1

    trace = traced(lambda me, x: me.b(me.hidden(me.a(x))), a=conv(), hidden=Hidden(), b=conv())
    assert edges(trace, "a", "hidden", "b") == {"a": ("input",), "hidden": ("a",), "b": ("hidden",)}


def test_parallel_copies_on_one_device_are_named_by_their_way() -> None:
    network = nn.DataParallel(nn.Sequential(conv(), nn.ReLU(), conv(2)))
    trace = trace_network(network, torch.rand(BATCH))
    assert edges(trace, "module.0", "module.2") == {"module.0": ("input",), "module.2": ("module.0",)}


def test_a_transformer_encoder_shows_its_layers() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    trace = traced(lambda me, x: me.encoder(x.flatten(2).transpose(1, 2)), encoder=encoder)
    assert edges(trace, "encoder.layers.0", "encoder.layers.1") == {
        "encoder.layers.0": ("input",),
        "encoder.layers.1": ("encoder.layers.0",),
    }


@dataclass
class Answer:
    logits: Tensor
    aux: Tensor | None = None


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x, y: {"out": x, "aux": y},
        lambda x, y: Answer(x, y),
        lambda x, y: Answer(y),
        lambda x, y: (None, [x, None, y]),
        lambda x, y: {"y": {"deep": (y,)}, "none": None},
    ],
)
def test_outputs_of_any_kind_are_found(wrap: Callable[[Tensor, Tensor], Any]) -> None:
    trace = traced(lambda me, x: wrap(me.a(x), me.b(me.a(x))), a=conv(), b=conv())
    assert trace.nodes[trace.outputs[-1]].layer == "b.conv2d"


def test_hooks_that_were_there_are_called_once_and_count_as_a_part_of_their_module() -> None:
    network, told = nn.Sequential(conv(), nn.ReLU()), list[str]()

    def before(module: nn.Module, given: Any) -> Any:
        told.append("before")
        return (given[0] * 2,)

    def after(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        told.append("after")
        return output + 1

    network[0].register_forward_pre_hook(before)
    network[0].register_forward_hook(after)
    trace = trace_network(network, torch.rand(BATCH))
    assert told == ["before", "after"]
    assert [node.layer for node in trace.nodes] == ["0.mul", "0.conv2d", "0.add", "1.relu"]
    assert edges(trace, "0", "1") == {"0": ("input",), "1": ("0",)}
    assert hooks_left(network) == 2


def test_an_error_that_the_network_catches_does_not_confuse_what_follows() -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ArithmeticError

    def forward(me: Any, x: Tensor) -> Tensor:
        try:
            return me.fails(x)
        except ArithmeticError:
            return me.a(x) + x

    trace = traced(forward, fails=Fails(), a=conv())
    assert [node.layer for node in trace.nodes] == ["a.conv2d", "add"]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(fails: bool) -> None:
    network = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.Dropout()).train()
    network[1].eval()
    network.register_forward_hook(lambda *_: 1 / 0 if fails else None)
    before, state = {name: value.clone() for name, value in network.state_dict().items()}, torch.get_rng_state()
    batch = torch.rand(BATCH)
    kept, torch_state = batch.clone(), torch.get_rng_state()
    if fails:
        with pytest.raises(ZeroDivisionError):
            trace_network(network, batch)
    else:
        trace_network(network, batch)
    assert [module.training for module in network.modules()] == [True, True, False, True]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(batch, kept) and torch.equal(torch.get_rng_state(), torch_state)
    assert not torch.equal(state, torch_state)
    assert hooks_left(network) == 1
    assert torch.overrides._get_current_function_mode() is None


def test_no_tensor_outlives_its_use() -> None:
    alive: list[int] = []
    made: list[weakref.ref[Tensor]] = []

    class Watches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            made.append(weakref.ref(x))
            gc.collect()
            alive.append(sum(reference() is not None for reference in made))
            return x + 1

    trace_network(nn.Sequential(*(Watches() for _ in range(8))), torch.rand(BATCH))
    assert max(alive) <= 2


def test_compiled_networks_are_traced_as_they_were() -> None:
    network: Any = torch.compile(nn.Sequential(conv(), nn.ReLU()))
    assert [call.layer for call in trace_network(network, torch.rand(BATCH)).modules()] == ["0", "1"]


def test_on_the_meta_device_nothing_is_computed_and_the_same_is_found() -> None:
    def build() -> nn.Module:
        return Written(lambda me, x: torch.cat([me.a(x), functional.relu_(me.b(x))], 1), a=conv(), b=conv())

    with torch.device("meta"):
        hollow = trace_network(build(), torch.empty(BATCH))
    assert hollow.nodes == trace_network(build(), torch.rand(BATCH)).nodes


def test_constants_and_tables_of_a_network_are_no_boxes() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.rand(1, 4, 32, 40))
            self.plain = torch.rand(1, 4, 32, 40)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.position * 2 + self.plain + torch.arange(40)

    trace = trace_network(Table(), torch.rand(BATCH))
    assert [node.function for node in trace.nodes] == ["add", "add", "add"]


# ---- operations as viewing points ----


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.relu = conv(), conv(), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y += x
        y = self.relu(y)
        return torch.cat([self.b(y) + x, y], 1)


def by_hand(block: Residual, x: Tensor) -> dict[str, Tensor]:
    first = block.a(x) + x
    y = first.clamp(min=0)
    second = block.b(y) + x
    return {"m.add": first, "m.add:2": second, "m.cat": torch.cat([second, y], 1)}


@torch.no_grad()
@pytest.mark.parametrize("layer", ["m.add", "m.add:2", "m.cat"])
def test_operations_are_captured_bit_for_bit_by_name_and_call(layer: str) -> None:
    block, x = Residual().eval(), torch.rand(BATCH)
    network = nn.Sequential()
    network.add_module("m", block)
    assert torch.equal(run_until(network, x, layer), by_hand(block, x)[layer])
    with capture(network, ["m.add", "m.cat", "m.relu"]) as seen:
        network(x)
    assert list(seen) == ["m.add:1", "m.relu:1", "m.add:2", "m.cat:1"]
    assert torch.equal(seen[layer if ":" in layer or layer == "m.cat" else f"{layer}:1"], by_hand(block, x)[layer])
    assert hooks_left(network) == 0


@torch.no_grad()
def test_operations_of_the_network_itself_and_with_several_outputs_have_names() -> None:
    network = Written(lambda me, x: torch.cat(me.a(x).chunk(2, 1)[::-1], 1), a=conv()).eval()
    x = torch.rand(BATCH)
    with capture(network, ["chunk", "cat"]) as seen:
        network(x)
    assert torch.equal(seen["chunk[1]"], network.get_submodule("a")(x)[:, 2:])
    assert torch.equal(
        seen["cat"], torch.cat([network.get_submodule("a")(x)[:, 2:], network.get_submodule("a")(x)[:, :2]], 1)
    )


@torch.no_grad()
def test_a_write_into_a_slice_is_captured_as_the_whole_that_was_written_to() -> None:
    def forward(me: Any, x: Tensor) -> Tensor:
        whole = torch.zeros(1, 4, 32, 40)
        whole[:, :2] = me.a(x)[:, :2]
        return whole * 0

    network, x = Written(forward, a=conv()).eval(), torch.rand(BATCH)
    with torch.inference_mode():
        whole = run_until(network, x, "setitem")
    assert torch.equal(whole[:, :2], network.get_submodule("a")(x)[:, :2]) and not whole[:, 2:].any()


@torch.no_grad()
def test_what_recordings_compute_is_no_operation_of_the_network() -> None:
    block, x = Residual().eval(), torch.rand(BATCH)
    network = nn.Sequential()
    network.add_module("m", block)
    with (
        capture(network, ["m.a", "m.b", "m.cat"], reduce=lambda tensor: (tensor + 1).sum()),
        capture(network, ["m.add"], reduce=lambda tensor: torch.cat([tensor + 1]) - 1) as sums,
    ):
        network(x)
    assert list(sums) == ["m.add:1", "m.add:2"]


def test_names_of_no_operation_are_refused_as_unknown_layers() -> None:
    network = Residual()
    for layer in ("a.no_such_function", "nowhere.add", "cat()"):
        with pytest.raises(InputError, match="no layer called") as refusal, capture(network, layer):
            pytest.fail("the block must not begin")
        assert refusal.value.code == "unknown_layer"
    with pytest.raises(InputError, match=r"'mul' put out no tensor in this pass"):
        run_until(network, torch.rand(BATCH), "mul")


@torch.no_grad()
def test_where_a_module_has_the_name_of_an_operation_both_can_be_asked_for() -> None:
    network = Written(lambda me, x: me.add(x) + x, add=conv()).eval()
    x = torch.rand(BATCH)
    assert torch.equal(run_until(network, x, "add"), network.get_submodule("add")(x))
    assert torch.equal(run_until(network, x, "add()"), network.get_submodule("add")(x) + x)
    assert [node.layer for node in trace_network(network, x).nodes] == ["add.conv2d", "add()"]


@torch.no_grad()
def test_somebody_elses_mode_is_asked_as_well() -> None:
    class Counts(TorchFunctionMode):
        count = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            Counts.count += func is Tensor.add
            return func(*args, **(kwargs or {}))

    network, x = Residual().eval(), torch.rand(BATCH)
    with Counts(), capture(network, "cat") as seen:
        network(x)
    assert Counts.count == 1 and list(seen) == ["cat:1"]


@pytest.mark.parametrize(
    ("shape", "function", "level"),
    [
        ((1, 64, 256, 320), "", 0),
        ((1, 64, 128, 160), "", 1),
        ((1, 320, 8, 10), "", 5),
        ((1, 64, 80, 96), "", 2),  # channels last
        ((1, 320, 48), "", 4),  # tokens of 16 × 20 places
        ((1, 321, 48), "", 4),  # one of them for the class
        ((1, 48, 320), "", 4),  # channels before places
        ((80, 64, 96), "", 2),  # 80 windows of 64 places
        ((1, 1000), "", None),
        ((1, 64, 1, 1), "", None),
        ((1, 8, 320, 320), "softmax", None),
        ((1, 8, 77, 64), "einsum", None),
        ((), "", None),
    ],
)
def test_proportions_tell_how_often_a_map_was_halved(shape: tuple[int, ...], function: str, level: int | None) -> None:
    assert level_of(shape, (1, 3, 256, 320), function) == (level if level is None else pytest.approx(level))
