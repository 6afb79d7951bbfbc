"""The contract of every network in the table."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn

import segdemo.networks
from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.networks import DEFAULT, NETWORKS, Network, Stage, find
from segdemo.networks.classes import COLOURS, VOC, declare
from segdemo.traced import drawn, trace_of

# How people without red, green or blue cones see colours: matrices for linear RGB at severity 1.0.
# Source: Machado, Oliveira, Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# https://doi.org/10.1109/TVCG.2009.113
VISIONS = {
    "full colour vision": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}

segmentation = pytest.mark.parametrize(
    "spec", [spec for spec in NETWORKS.values() if spec.task == "segmentation"], ids=lambda spec: spec.name
)
every = pytest.mark.parametrize("spec", NETWORKS.values(), ids=lambda spec: spec.name)


def build(spec: Network) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return spec.build(len(spec.classes)).eval()


def build_hollow(spec: Network) -> nn.Module:
    """Build without weights, for what depends on names and shapes alone: the largest take seconds otherwise."""
    with torch.device("meta"):
        return spec.build(len(spec.classes)).eval()


def hollow_batch(spec: Network) -> Tensor:
    return torch.empty(1, spec.preprocessing.channels, *2 * (spec.preprocessing.sizes[0],), device="meta")


def allowed_sizes(spec: Network) -> Iterator[tuple[int, int]]:
    """(height, width) of the smallest batches that the preprocessing makes."""
    preprocessing = spec.preprocessing
    small = preprocessing.sizes[0]
    yield small, small
    if preprocessing.shape == "pad":
        yield small, preprocessing.stride + preprocessing.remainder
        yield preprocessing.stride + preprocessing.remainder, small


def test_table_names_every_file_of_the_folder() -> None:
    folder = Path(segdemo.networks.__file__).parent
    others = {"__init__", "network", "blocks", "classes"}
    assert {path.stem for path in folder.glob("*.py")} - others == set(NETWORKS)
    assert DEFAULT in NETWORKS
    assert all(name == spec.name for name, spec in NETWORKS.items())


def test_unknown_name_is_refused_with_the_nearest_ones() -> None:
    assert find("unet") is NETWORKS["unet"]
    with pytest.raises(InputError, match=r"no network called “u-net”.*Try unet") as refusal:
        find("u-net")
    assert refusal.value.code == "unknown_network"
    with pytest.raises(InputError, match=", ".join(NETWORKS)):
        find("")


def test_torchvision_is_imported_by_the_network_that_needs_it_and_not_before() -> None:
    program = "import sys, segdemo.ui; print('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"


@segmentation
def test_logits_have_the_size_of_the_batch(spec: Network) -> None:
    network = build(spec)
    for height, width in allowed_sizes(spec):
        with torch.inference_mode():
            logits = network(torch.rand(2, 3, height, width) * 2 - 1)
        assert logits.shape == (2, len(spec.classes), height, width)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@segmentation
def test_pictures_of_a_batch_do_not_influence_each_other(spec: Network) -> None:
    network = build(spec)
    side = spec.preprocessing.sizes[0]
    batch = torch.rand(2, 3, side, side)
    with torch.inference_mode():
        alone, together = network(batch[1:]), network(batch)[1:]
    torch.testing.assert_close(alone, together, rtol=1e-3, atol=1e-3)


@every
def test_sides_of_the_input_rule_fit_its_stride(spec: Network) -> None:
    preprocessing = spec.preprocessing
    assert preprocessing.size in preprocessing.sizes
    assert sorted(set(preprocessing.sizes)) == list(preprocessing.sizes)
    assert all(side % preprocessing.stride == preprocessing.remainder for side in preprocessing.sizes)
    assert all(deviation > 0 for deviation in preprocessing.std)


@every
def test_every_stage_is_a_module_that_runs_once(spec: Network) -> None:
    network = build_hollow(spec)
    runs: Counter[str] = Counter()
    for stage in spec.every_stage():

        def count(*_: Any, label: str = stage.label) -> None:
            assert isinstance(_[2], Tensor)
            assert _[2].ndim == 4 or spec.task != "segmentation"
            runs[label] += 1

        network.get_submodule(stage.layer).register_forward_hook(count)
    with torch.inference_mode():
        network(hollow_batch(spec))
    assert runs == {stage.label: 1 for stage in spec.every_stage()}


@every
def test_the_figure_is_the_networks_own_with_every_stage_that_its_author_named_in_it(spec: Network) -> None:
    figure = drawn(spec, trace_of(spec))
    assert {(stage.label, stage.layer) for stage in figure.stages} == {
        (stage.label, stage.layer) for stage in spec.stages
    }
    inside = {stage.label: {one.label for one in stage.inside} for stage in figure.stages}
    assert inside == {stage.label: {one.label for one in stage.inside} for stage in spec.stages}
    for group in (figure.stages, *(stage.inside for stage in figure.stages)):
        labels = [stage.label for stage in group]
        assert len({(stage.row, stage.column) for stage in group}) == len(group)
        for place, stage in enumerate(group):
            assert stage.row >= 0 and stage.column >= 0
            assert set(stage.inputs + stage.skips) <= {"input", *labels[:place]}, stage.label
    assert [stage.label for stage in figure.stages if "input" in stage.inputs] == [spec.stages[0].label]
    assert figure.stages[-1].label == spec.stages[-1].label


@every
def test_a_network_declares_labels_and_layers_and_leaves_the_rest_to_its_trace(spec: Network) -> None:
    for stage in spec.every_stage():
        assert stage == Stage(stage.label, stage.layer, inside=stage.inside)


@every
def test_stages_that_stand_elsewhere_in_the_papers_figure_are_put_there(spec: Network) -> None:
    drawn_at = {stage.label: (stage.row, stage.column) for stage in drawn(spec, trace_of(spec)).stages}
    assert {label: drawn_at[label] for label, _, _ in spec.places} == {
        label: (row, column) for label, row, column in spec.places
    }
    traced = drawn(replace(spec, places=()), trace_of(spec)).stages
    assert all(stage.label in drawn_at for stage in traced)
    moved = [stage.label for stage in traced if (stage.row, stage.column) != drawn_at[stage.label]]
    assert sorted(moved) == sorted(label for label, _, _ in spec.places)  # none is declared that the trace can tell


def arrows(name: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    spec = find(name)
    return {stage.label: (stage.inputs, stage.skips) for stage in drawn(spec, trace_of(spec)).stages}


def test_figures_have_the_arrows_of_the_papers() -> None:
    """Written down from the figures of U-Net, FCN-8s and U²-Net, and from the text of DeepLabv3."""
    down = {f"Encoder {number}": ((f"Encoder {number - 1}",), ()) for number in (2, 3, 4)}
    up = {f"Decoder {number}": ((f"Decoder {number + 1}",), (f"Encoder {number}",)) for number in (1, 2, 3)}
    u_net = {"Encoder 1": (("input",), ()), **down, "Bottleneck": (("Encoder 4",), ()), **up}
    u_net |= {"Decoder 4": (("Bottleneck",), ("Encoder 4",)), "Logits": (("Decoder 1",), ())}
    assert arrows("unet") == arrows("unet_mobilenet_v2") == arrows("unet_bilinear") == arrows("unet_narrow") == u_net
    fcn = arrows("fcn_alexnet")
    assert (fcn["Score 16"], fcn["Score 8"]) == ((("Conv 5",), ()), (("Conv 2",), ()))
    assert (fcn["Fused 16"], fcn["Fused 8"]) == ((("Score 32",), ("Score 16",)), (("Fused 16",), ("Score 8",)))
    nested = arrows("u2netp")
    assert [nested[f"De_{k}"] for k in (5, 4, 1)] == [
        (("En_6",), ("En_5",)),
        (("De_5",), ("En_4",)),
        (("De_2",), ("En_1",)),
    ]
    assert nested["Fused"] == (tuple(f"Side {k}" for k in range(1, 7)), ())
    assert [nested[f"Side {k}"][0] for k in (1, 5, 6)] == [("De_1",), ("De_5",), ("En_6",)]
    deeplab = arrows("deeplabv3_mobilenet_v2")
    assert deeplab["Image pooling"] == deeplab["ASPP 1×1"] == (("Block 16",), ())
    assert deeplab["Projection"] == (("Image pooling", "ASPP 1×1"), ())


def test_what_is_inside_a_stage_is_placed_as_in_the_papers_figure() -> None:
    """The small U of U²-Net goes down by its skips, where dilation keeps maps large; blocks of equal steps are rows."""
    stages = {
        stage.label: stage.inside for name in ("u2netp", "deeplabv3_mobilenet_v2") for stage in figure_stages(name)
    }
    small_u = {one.label.removeprefix("De_5 · "): (one.row, one.column) for one in stages["De_5"]}
    way_down = {"joined": (0, 0), "conv in": (0, 1), "conv 1": (0, 2), "conv 2": (1, 2), "conv 3": (2, 2)}
    assert small_u == way_down | {"conv 4": (3, 3), "conv 3d": (2, 4), "conv 2d": (1, 4), "conv 1d": (0, 4)}
    assert {one.label: one.skips for one in stages["De_5"] if one.skips} == {
        f"De_5 · conv {k}d": (f"De_5 · conv {k}",) for k in (1, 2, 3)
    }
    assert [(one.label, one.row, one.column) for one in stages["Blocks 1-2"]] == [
        (f"Block {block} · {step}", block - 1, column)
        for block in (1, 2)
        for column, step in enumerate(("expand", "depthwise", "project"))
    ]
    blocks = next(stage.inside for stage in figure_stages("resnet101") if stage.label == "Layer 3")
    assert [(one.row, one.column) for one in blocks] == [divmod(place, 6) for place in range(23)]


def figure_stages(name: str) -> tuple[Stage, ...]:
    return drawn(find(name), trace_of(find(name))).stages


@pytest.mark.parametrize("name", ["unet", "fcn_alexnet"])
def test_boxes_of_our_networks_open_under_their_authors_words_down_to_single_modules(name: str) -> None:
    spec = find(name)
    trace = trace_of(spec)
    opened: tuple[str, ...] = ()
    figure = drawn(spec, trace)
    while closed := [stage.label for stage in figure.stages if stage.opens]:
        opened = (*opened, closed[0])
        figure = drawn(spec, trace, opened)
        assert len(opened) < 60
    told = {stage.layer for stage in figure.stages}
    layers = {key: module for key, module in build_hollow(spec).named_modules() if not any(module.children())}
    silent = {key for key, module in layers.items() if isinstance(module, nn.Dropout2d)}  # hands on what comes
    assert len(told) == len(figure.stages)
    assert {key for key in layers if key not in told and key.rpartition(".")[0] not in told} <= silent
    assert all(stage.within in opened for stage in figure.stages if stage.within)


def test_a_stage_opens_into_what_its_author_named_in_it_and_these_open_further() -> None:
    spec = find("unet")
    trace = trace_of(spec)
    figure = drawn(spec, trace, ("Decoder 3",))
    inside = [(stage.label, stage.inputs, stage.skips) for stage in figure.stages if stage.within == "Decoder 3"]
    assert inside == [
        ("Decoder 3 · upsampled", ("Decoder 4",), ()),
        ("Decoder 3 · joined", ("Decoder 3 · upsampled",), ("Encoder 3",)),
        ("Decoder 3 · conv 1", ("Decoder 3 · joined",), ()),
        ("Decoder 3 · conv 2", ("Decoder 3 · conv 1",), ()),
    ]
    deeper = drawn(spec, trace, ("Decoder 3", "Decoder 3 · conv 1"))
    assert [stage.layer for stage in deeper.stages if stage.within == "Decoder 3 · conv 1"] == [
        f"up2.conv.double_conv.{place}" for place in (0, 1, 2)
    ]
    assert drawn(spec, trace, ("Decoder 3",)).kind == "U"


@every
def test_labels_and_layers_of_stages_are_unique(spec: Network) -> None:
    stages = list(spec.every_stage())
    assert len({stage.label for stage in stages}) == len(stages)
    assert len({stage.layer for stage in stages}) == len(stages)
    assert not any(inner.inside for stage in spec.stages for inner in stage.inside)


@every
def test_last_stage_puts_out_what_the_network_answers(spec: Network) -> None:
    network = build_hollow(spec)
    last: list[Tensor] = []
    network.get_submodule(spec.stages[-1].layer).register_forward_hook(lambda *_: last.append(_[2]))
    with torch.inference_mode():
        logits = network(hollow_batch(spec))
    assert last[0] is logits


@pytest.mark.parametrize(
    "spec", [spec for spec in NETWORKS.values() if spec.task == "classification"], ids=lambda spec: spec.name
)
def test_classifier_answers_once_for_a_picture_of_every_size_offered(spec: Network) -> None:
    network = build_hollow(spec)
    for size in spec.preprocessing.sizes:
        batch = torch.empty(2, spec.preprocessing.channels, size, size, device="meta")
        assert network(batch).shape == (2, len(spec.classes))


@segmentation
def test_every_class_has_a_colour_and_the_background_is_black(spec: Network) -> None:
    assert (spec.classes[0].name, spec.classes[0].hidden) == ("background", True)
    assert COLOURS["background"] == "#000000"
    assert set(spec.names) <= set(COLOURS)
    assert len(set(spec.names)) == len(spec.names)
    assert not any(one.hidden for one in spec.classes[1:])


def test_voc_has_21_classes_in_the_order_of_the_challenge() -> None:
    assert len(VOC) == 21
    assert [
        [one.name for one in VOC].index(name) for name in ("background", "cat", "motorbike", "person", "tvmonitor")
    ] == [0, 8, 14, 15, 20]


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_of_classes_are_told_apart(vision: str) -> None:
    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in COLOURS.values()])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    difference: Callable[..., npt.NDArray[np.float64]] = deltaE_ciede2000
    distance = difference(lab[:, None], lab[None]) + np.diag(np.full(len(lab), np.inf))
    # A difference of 1 is just visible side by side; 10 is seen at a glance.
    assert distance.min() > 13.8


@every
def test_embedded_weights_load_strictly_and_are_what_the_manifest_says(spec: Network) -> None:
    path = checkpoints.path_of(spec)
    checksum = checkpoints.shipped(spec).sha256
    if not checksum:
        assert not path.exists(), "a checkpoint without its checksum in the manifest would never be loaded"
        assert not checkpoints.load(build_hollow(spec), spec)
        return
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == checksum
    assert len(content) < 10_000_000
    network = build(spec)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert checkpoints.load(network, spec) == (not spec.untrained)
    after = network.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {name for name in after if not name.startswith(spec.untrained)}


@every
def test_every_checkpoint_has_a_card_that_names_its_checksum(spec: Network) -> None:
    checksum = checkpoints.shipped(spec).sha256
    if checksum:
        card = checkpoints.path_of(spec).with_suffix(".md").read_text("utf-8")
        assert checksum in card
        assert "licence" in card.lower()


def test_every_class_has_a_colour_of_its_own_and_backgrounds_alone_are_hidden() -> None:
    classes = declare(["background", "cat", *map(str, range(998))])
    assert len({one.colour for one in classes}) == 1000
    assert [(one.name, one.colour) for one in classes[:2]] == [("background", "#000000"), ("cat", COLOURS["cat"])]
    assert [one.name for one in classes if one.hidden] == ["background"]
    assert declare(["sky", "sea"], hidden=["sky"])[0].hidden
