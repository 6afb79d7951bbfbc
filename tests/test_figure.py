"""A figure draws itself: of networks of many libraries, as their authors would, and one level deeper where asked."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models
from torchvision.models import segmentation

from segdemo import Segmenter
from segdemo.activations import run_until
from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.figure import Figure, figure_of, links, opened, with_inside
from segdemo.networks import NETWORKS
from segdemo.networks.network import Stage
from segdemo.questions import Activation, Drawing, Summaries
from segdemo.sources import network_of
from segdemo.trace import Trace, trace_network

smp: Any = import_module("segmentation_models_pytorch")
timm: Any = import_module("timm")
monai: Any = import_module("monai.networks.nets")  # which says nothing of its types
SIZE = 64, 96
UNTRAINED: dict[str, Any] = {"encoder_weights": None}
STAGES: dict[str, Any] = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
TINY = transformers.ConvNextConfig(depths=[1, 1, 2, 1], hidden_sizes=[8, 16, 24, 32], **STAGES)
SEGFORMER = transformers.SegformerConfig(depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 32, 64], decoder_hidden_size=16)
FOREIGN: dict[str, Callable[[], nn.Module]] = {
    "torchvision resnet18": lambda: models.resnet18(weights=None),
    "torchvision resnet101": lambda: models.resnet101(weights=None),
    "torchvision alexnet": lambda: models.AlexNet(),
    "torchvision densenet": lambda: models.DenseNet(8, (2, 3, 8, 3), 16),
    "torchvision swin": lambda: models.SwinTransformer([4, 4], 24, [1, 1, 6, 1], [1, 2, 3, 4], [4, 4]),
    "torchvision mobilenet_v2": lambda: models.mobilenet_v2(weights=None),
    "torchvision lraspp": lambda: segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None),
    "torchvision deeplabv3": lambda: segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None),
    "timm vit": lambda: timm.create_model("vit_tiny_patch16_224", img_size=SIZE, depth=4),
    "timm convnext": lambda: timm.create_model("convnext_atto", depths=(1, 1, 3, 1)),
    "timm efficientnet": lambda: timm.create_model("efficientnet_lite0"),
    "timm regnet": lambda: timm.create_model("regnetx_002"),
    "timm mixer": lambda: timm.create_model("mixer_s32_224", img_size=SIZE),
    "timm hrnet": lambda: timm.create_model("hrnet_w18_small"),
    "smp fpn": lambda: smp.FPN("resnet18", **UNTRAINED),
    "smp unet++": lambda: smp.UnetPlusPlus("resnet18", **UNTRAINED),
    "smp deeplabv3+": lambda: smp.DeepLabV3Plus("resnet18", **UNTRAINED),
    "smp pspnet": lambda: smp.PSPNet("resnet18", **UNTRAINED),
    "transformers segformer": lambda: transformers.SegformerForSemanticSegmentation(SEGFORMER),
    "transformers upernet": lambda: transformers.UperNetForSemanticSegmentation(
        transformers.UperNetConfig(backbone_config=TINY, hidden_size=16, auxiliary_in_channels=24)
    ),
    "transformers mobilevit": lambda: transformers.MobileViTForSemanticSegmentation(transformers.MobileViTConfig()),
    "monai segresnet": lambda: monai.SegResNet(2, 8, 3, 2),
    "monai attention unet": lambda: monai.AttentionUnet(2, 3, 2, (8, 16, 32, 64), (2, 2, 2)),
}
# Network, and the layer that each one it lands on gets over a skip: as the libraries document their structure.
U_NETS: dict[str, tuple[Callable[[], nn.Module], dict[str, str]]] = {
    "smp resnet34": (
        lambda: smp.Unet("resnet34", **UNTRAINED),
        {
            "decoder.blocks.0": "encoder.layer3",
            "decoder.blocks.1": "encoder.layer2",
            "decoder.blocks.2": "encoder.layer1",
            "decoder.blocks.3": "encoder.relu",
        },
    ),
    "smp mobilenet_v2": (
        lambda: smp.Unet("mobilenet_v2", **UNTRAINED),
        {
            "decoder.blocks.0": "encoder.features.13",
            "decoder.blocks.1": "encoder.features.6",
            "decoder.blocks.2": "encoder.features.3",
            "decoder.blocks.3": "encoder.features.1",
        },
    ),
    "monai unet": (
        lambda: monai.UNet(2, 3, 2, (8, 16, 32, 64, 128), (2, 2, 2, 2)),
        {
            "model.1.cat": "model.0",
            "model.1.submodule.1.cat": "model.1.submodule.0",
            "model.1.submodule.1.submodule.1.cat": "model.1.submodule.1.submodule.0",
        },
    ),
    "monai basic unet": (
        lambda: monai.BasicUNet(2, 3, 2, features=(8, 8, 16, 32, 64, 8)),
        {"upcat_4": "down_3", "upcat_3": "down_2", "upcat_2": "down_1", "upcat_1": "conv_0"},
    ),
    "monai dynamic unet": (
        lambda: monai.DynUNet(2, 3, 2, [3] * 4, [1, 2, 2, 2], [2] * 3, filters=[8, 16, 32, 64]),
        {
            "skip_layers.upsample": "skip_layers.downsample",
            "skip_layers.next_layer.upsample": "skip_layers.next_layer.downsample",
            "skip_layers.next_layer.next_layer.upsample": "skip_layers.next_layer.next_layer.downsample",
        },
    ),
}


def drawn(network: nn.Module, size: tuple[int, int] = SIZE) -> tuple[Trace, Figure]:
    trace = trace_network(network, torch.rand(1, 3, *size))
    return trace, figure_of(trace)


def check(figure: Figure) -> None:
    """Whatever holds for every figure."""
    labels = [stage.label for stage in figure.stages]
    assert len(set(labels)) == len(labels)
    assert len({stage.layer for stage in figure.stages}) == len(labels)
    assert len({(stage.row, stage.column) for stage in figure.stages}) == len(labels)
    for place, stage in enumerate(figure.stages):
        assert set(stage.inputs + stage.skips) <= {"input", *labels[:place]}  # earlier ones alone: no circles
        assert stage.inputs and not set(stage.inputs) & set(stage.skips)
        assert stage.row >= 0 and stage.column >= 0


@pytest.mark.parametrize("name", FOREIGN)
def test_networks_of_many_libraries_become_figures_of_5_to_40_boxes(name: str) -> None:
    trace, figure = drawn(FOREIGN[name]())
    check(figure)
    assert 5 <= len(figure.stages) <= 40
    ends = {stage.label for stage in figure.stages} - {
        one for stage in figure.stages for one in stage.inputs + stage.skips
    }
    assert figure.stages[-1].label in ends
    assert len(ends) <= len(trace.outputs)


@pytest.mark.parametrize("name", U_NETS)
def test_u_nets_come_out_as_a_u_with_every_skip_right(name: str) -> None:
    build, skips = U_NETS[name]
    _, figure = drawn(build())
    check(figure)
    layers = {stage.label: stage.layer for stage in figure.stages}
    assert figure.kind == "U"
    assert {stage.layer: tuple(layers[one] for one in stage.skips) for stage in figure.stages if stage.skips} == {
        layer: (skip,) for layer, skip in skips.items()
    }
    columns = {stage.layer: stage.column for stage in figure.stages}
    rows = {stage.layer: stage.row for stage in figure.stages}
    assert all(columns[skip] < columns[layer] and rows[skip] == rows[layer] for layer, skip in skips.items())


@pytest.mark.parametrize("name", ["unet", "unet_bilinear", "unet_narrow", "unet_mobilenet_v2", "u2netp"])
def test_our_u_nets_come_out_as_a_u_with_the_labels_their_author_chose(name: str) -> None:
    figure = Segmenter(name).figure
    check(figure)
    assert figure.kind == "U"
    assert {stage.label: stage.layer for stage in figure.stages} == {
        stage.label: stage.layer for stage in NETWORKS[name].stages
    }
    assert [(stage.label, stage.skips) for stage in figure.stages if stage.skips] == [
        (label, (label.replace("Decoder", "Encoder").replace("De_", "En_"),))
        for label in [stage.label for stage in figure.stages if stage.label.startswith("De")]
    ]


def test_a_chain_is_a_chain_and_a_pyramid_of_sums_is_none() -> None:
    assert drawn(FOREIGN["torchvision alexnet"]())[1].kind == "chain"
    assert drawn(FOREIGN["torchvision lraspp"]())[1].kind == "ladder"
    assert drawn(FOREIGN["transformers segformer"]())[1].kind == "ladder"


def test_resnet18_is_drawn_as_its_author_wrote_it() -> None:
    _, figure = drawn(models.resnet18(weights=None))
    assert [(stage.label, stage.row, stage.shape) for stage in figure.stages] == [
        ("conv1–relu", 1, (64, 32, 48)),
        ("maxpool", 2, (64, 16, 24)),
        ("layer1", 2, (64, 16, 24)),
        ("layer2", 3, (128, 8, 12)),
        ("layer3", 4, (256, 4, 6)),
        ("layer4", 5, (512, 2, 3)),
        ("avgpool", 5, (512, 1, 1)),
        ("fc", 5, (1000,)),
    ]


def block(before: int, after: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1), nn.BatchNorm2d(after), nn.ReLU())


class Small(nn.Module):
    """A U of two levels, written with functions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = block(3, 4), block(4, 8, 2), block(8, 8, 2)
        self.four, self.five, self.last = block(16, 4), block(8, 4), nn.Conv2d(7, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor | None]:
        one = self.one(x)
        two = self.two(one)
        y = functional.interpolate(self.three(two), scale_factor=2)
        y = self.four(torch.cat([y, two], 1))
        y = self.five(torch.cat([functional.interpolate(y, scale_factor=2), one], 1))
        return {"out": self.last(torch.cat([y, x], 1)), "aux": None}


def test_a_small_u_has_exactly_the_arrows_that_its_forward_pass_has() -> None:
    _, figure = drawn(Small())
    assert figure.kind == "U"
    assert {stage.label: (stage.inputs, stage.skips) for stage in figure.stages} == {
        "one": (("input",), ()),
        "two": (("one",), ()),
        "three": (("two",), ()),
        "interpolate": (("three",), ()),
        "cat": (("interpolate",), ("two",)),
        "four": (("cat",), ()),
        "interpolate:2": (("four",), ()),
        "cat:2": (("interpolate:2",), ("one",)),
        "five": (("cat:2",), ()),
        "cat:3": (("five",), ("input",)),
        "last": (("cat:3",), ()),
    }
    places = {stage.label: (stage.row, stage.column) for stage in figure.stages}
    assert (places["one"], places["two"], places["three"]) == ((0, 0), (1, 0), (2, 1))
    assert places["cat"][0] == 1 and places["cat:2"][0] == 0
    kinds = {stage.label: stage.kind for stage in figure.stages}
    assert kinds["cat"] == "operation" and kinds["four"] == "module"


def test_every_box_can_be_looked_at_and_puts_out_the_shape_it_says() -> None:
    network, batch = Small().eval(), torch.rand(1, 3, *SIZE)
    for stage in drawn(network)[1].stages:
        assert tuple(run_until(network, batch, stage.layer).shape[1:]) == stage.shape


def test_convolution_norm_and_activation_are_one_box_unless_something_between_them_goes_elsewhere() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in "abcdef":
                self.add_module(name, nn.Conv2d(3, 3, 1))
            self.norm, self.act = nn.BatchNorm2d(3), nn.ReLU()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = functional.relu(self.norm(self.get_submodule("a")(x)))
            before = self.get_submodule("b")(x)
            x = functional.gelu(before)
            before = before + self.get_submodule("c")(x)  # of b, the activation is not all that is wanted
            out = self.get_submodule("d")(before)
            return out, functional.sigmoid(out)  # of d, the network returns both

    labels = [stage.label for stage in drawn(Net())[1].stages]
    assert labels == ["a–relu", "b", "gelu", "c", "add", "d", "sigmoid"]


def test_no_box_hides_most_of_the_network() -> None:
    class Wraps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.core = nn.Sequential(*(block(3, 3) for _ in range(12)))
            self.tail = nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.tail(self.core(x))

    labels = [stage.label for stage in drawn(nn.Sequential(Wraps()))[1].stages]
    assert labels == [*(f"0.core.{number}" for number in range(12)), "0.tail"]


def test_many_blocks_alike_are_grouped_and_open_into_single_ones() -> None:
    network = nn.Sequential(*(nn.Sequential(block(3, 3)) for _ in range(90)))
    trace, figure = drawn(network)
    assert [stage.label for stage in figure.stages][:2] == ["0–2", "3–5"]
    assert len(figure.stages) == 30
    deeper = opened(trace, figure, "3–5")
    assert [stage.label for stage in deeper.stages][:5] == ["0–2", "3", "4", "5", "6–8"]


def test_a_box_opens_down_to_single_modules_and_operations() -> None:
    trace, figure = drawn(models.resnet18(weights=None))
    figure = opened(trace, figure, "layer1")
    figure = opened(trace, figure, "layer1.0")
    check(figure)
    inside = {stage.label: (stage.inputs, stage.skips) for stage in figure.stages if stage.label.startswith("layer1.0")}
    assert inside == {
        "layer1.0.conv1–relu": (("maxpool",), ()),
        "layer1.0.conv2–bn2": (("layer1.0.conv1–relu",), ()),
        "layer1.0.add": (("layer1.0.conv2–bn2",), ("maxpool",)),
        "layer1.0.relu:2": (("layer1.0.add",), ()),
    }
    figure = opened(trace, figure, "layer1.0.conv1–relu")
    assert [stage.label for stage in figure.stages][2:5] == ["layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu"]
    assert figure.opened == ("layer1", "layer1.0", "layer1.0.conv1–relu")
    assert not figure.stage("layer1.0.conv1").opens
    assert pickle.loads(pickle.dumps(figure)) == figure


def test_what_is_in_a_box_can_be_drawn_within_it() -> None:
    figure = with_inside(*drawn(models.resnet18(weights=None)))
    inside = {stage.label: stage.inside for stage in figure.stages}
    assert inside["fc"] == () == inside["maxpool"]
    assert [(one.label, one.row, one.column, one.inputs) for one in inside["conv1–relu"]] == [
        ("conv1", 0, 0, ()),
        ("bn1", 0, 1, ("conv1",)),  # what comes after them is what the box itself shows
    ]
    network = Segmenter("unet")
    trace = trace_network(network.network, torch.rand(1, 3, *SIZE))
    (decoder,) = (stage for stage in with_inside(trace, network.figure).stages if stage.label == "Decoder 3")
    assert [(one.label, one.inputs, one.skips) for one in decoder.inside] == [
        ("up2.up", (), ()),
        ("up2.join", ("up2.up",), ()),
        ("up2.conv", ("up2.join",), ()),
    ]


@pytest.mark.parametrize("name", ["monai segresnet", "timm hrnet", "transformers segformer"])
def test_boxes_within_boxes_have_labels_and_layers_of_their_own(name: str) -> None:
    figure = with_inside(*drawn(FOREIGN[name]()))
    every = [one for stage in figure.stages for one in (stage, *stage.inside)]
    assert len({one.label for one in every}) == len({one.layer for one in every}) == len(every)
    for stage in figure.stages:
        labels = {one.label for one in stage.inside}
        assert all(set(one.inputs + one.skips) <= labels for one in stage.inside)
        assert len({(one.row, one.column) for one in stage.inside}) == len(stage.inside)


def everything(trace: Trace, figure: Figure, most: int = 60) -> Figure:
    for _ in range(most):
        closed = next((stage.label for stage in figure.stages if stage.opens), None)
        if closed is None:
            break
        figure = opened(trace, figure, closed)
    return figure


@pytest.mark.parametrize("build", [Small, FOREIGN["timm vit"], U_NETS["monai unet"][0]])
def test_opening_everything_keeps_arrows_within_the_figure(build: Callable[[], nn.Module]) -> None:
    figure = everything(*drawn(build()))
    check(figure)
    assert not any(stage.opens for stage in figure.stages)


def test_what_cannot_be_opened_is_refused_with_the_reason() -> None:
    trace, figure = drawn(Small())
    for label, code, text in (("last", "box_closed", "single module"), ("nothing", "unknown_box", "It has one, two")):
        with pytest.raises(InputError, match=text) as refusal:
            opened(trace, figure, label)
        assert refusal.value.code == code


def test_labels_of_an_author_choose_the_boxes() -> None:
    trace, _ = drawn(Small())
    figure = figure_of(trace, {"one": "First", "two": "Second", "cat": "Joined", "last": "Logits"})
    assert [(stage.label, stage.layer, stage.inputs, stage.skips) for stage in figure.stages] == [
        ("First", "one", ("input",), ()),
        ("Second", "two", ("First",), ()),
        ("Joined", "cat", ("Second",), ()),
        ("Logits", "last", ("Joined",), ("input", "First")),
    ]


def test_a_layer_called_input_is_not_taken_for_the_input() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input, self.hidden = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.hidden(self.input(x)) + x

    stages = drawn(Net())[1].stages
    assert [(stage.layer, stage.inputs, stage.skips) for stage in stages] == [
        ("input", ("input",), ()),
        ("hidden", (stages[0].label,), ()),
        ("add", ("hidden",), ("input",)),
    ]
    assert stages[0].label != "input"


def test_boxes_that_were_opened_show_exactly_what_their_layers_put_out() -> None:
    spec = network_of(Small().eval(), ["near", "far"])
    engine = LocalEngine({spec.name: spec})
    picture = engine.keep(Image.effect_noise((96, 64), 80).convert("RGB"))
    figure = engine.answer(Drawing(spec.name, ("one", "four")))
    assert [stage.label for stage in engine.answer(Drawing(spec.name)).stages] == [one.label for one in spec.stages]
    layers = tuple(stage.layer for stage in figure.stages if stage.within or stage.kind == "operation")
    assert layers == ("one.0", "one.1", "one.2", "interpolate", "cat", "four.0", "four.1", "four.2", *layers[-3:])
    seen = engine.answer(Summaries(spec.name, picture, layers))
    assert tuple(sorted(seen)) == tuple(sorted(layers))
    for layer in layers:
        values = engine.answer(Activation(spec.name, picture, layer))
        assert (seen[layer].shape, seen[layer].minimum) == (values.shape, float(values.min()))
        assert seen[layer].channels.mean == pytest.approx(values.mean((1, 2)), rel=1e-4, abs=1e-6)
    engine.close()


def test_links_pass_through_what_has_no_name() -> None:
    trace, _ = drawn(Small())
    assert links(trace, ["one", "three", "last"]) == {
        "one": ("input",),
        "three": ("one",),
        "last": ("input", "one", "three"),
    }


def test_a_network_that_takes_squares_alone_is_drawn() -> None:
    figure = Segmenter("lenet").figure
    assert [stage.row for stage in figure.stages] == [0, 1, 1, 2, 2, 2, 2]
    assert [stage.inputs for stage in figure.stages][:2] == [("input",), ("Conv 1",)]
    assert isinstance(figure.stages[0], Stage)
