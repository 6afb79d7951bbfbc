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
from segdemo.figure import figure_of, links
from segdemo.networks import DEFAULT, NETWORKS, Network, Stage, find
from segdemo.networks.classes import COLOURS, VOC, declare
from segdemo.trace import trace_network

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


def stages_and_peers(spec: Network) -> Iterator[tuple[Stage, tuple[Stage, ...]]]:
    for stage in spec.stages:
        yield stage, spec.stages
        for inner in stage.inside:
            yield inner, stage.inside


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
def test_stages_of_the_figure_run_in_the_order_of_their_inputs(spec: Network) -> None:
    network = build_hollow(spec)
    order: list[str] = []
    for stage in spec.every_stage():
        network.get_submodule(stage.layer).register_forward_hook(lambda *_, label=stage.label: order.append(label))
    with torch.inference_mode():
        network(hollow_batch(spec))
    for stage in spec.every_stage():
        for earlier in stage.inputs + stage.skips:
            assert order.index(earlier) < order.index(stage.label), f"{earlier} runs after {stage.label}"


def untrue_edges(spec: Network) -> list[str]:
    """Say where the declared figure differs from what a traced pass of the network shows."""
    side = spec.preprocessing.sizes[0]
    trace = trace_network(build(spec), torch.zeros(1, spec.preprocessing.channels, side, side))
    outer = {stage.layer: stage.label for stage in spec.stages}
    drawn = {stage.label: stage for stage in figure_of(trace, outer).stages}
    wrong = [
        f"{stage.label}: {kind} {declared}, traced {traced}"
        for stage in spec.stages
        for kind, declared, traced in (
            ("inputs", stage.inputs, tuple(one for one in drawn[stage.label].inputs if one != "input")),
            ("skips", stage.skips, drawn[stage.label].skips),
        )
        if set(declared) != set(traced)
    ]
    for parent in spec.stages:
        inside = {stage.layer: stage.label for stage in parent.inside}
        traced_inside = links(trace, {**outer, **inside}.keys() - {parent.layer})
        for stage in parent.inside:
            fed_by = {inside.get(one) for one in traced_inside[stage.layer]}
            wrong += [f"{stage.label}: from {one}" for one in stage.inputs + stage.skips if one not in fed_by]
    return wrong


@every
def test_every_arrow_of_the_declared_figure_is_one_of_the_network(spec: Network) -> None:
    assert untrue_edges(spec) == []


def test_arrows_that_the_network_does_not_have_are_found() -> None:
    unet = find("unet")
    first = tuple(replace(stage, skips=("Encoder 1",) if stage.skips else ()) for stage in unet.stages)
    assert len(untrue_edges(replace(unet, stages=first))) == 3  # but for Decoder 1, whose skip it is
    swapped = tuple(replace(stage, inputs=stage.skips, skips=stage.inputs) for stage in unet.stages[5:9])
    assert len(untrue_edges(replace(unet, stages=unet.stages[:5] + swapped + unet.stages[9:]))) == 8
    astray = [
        replace(stage, inside=tuple(replace(one, inputs=(stage.inside[-1].label,)) for one in stage.inside[:1]))
        for stage in unet.stages
        if stage.inside
    ]
    for stage in astray[:4]:
        assert untrue_edges(
            replace(unet, stages=tuple(stage if one.label == stage.label else one for one in unet.stages))
        )


@every
def test_labels_and_layers_of_stages_are_unique(spec: Network) -> None:
    stages = list(spec.every_stage())
    assert len({stage.label for stage in stages}) == len(stages)
    assert len({stage.layer for stage in stages}) == len(stages)
    assert not any(inner.inside for stage in spec.stages for inner in stage.inside)


@every
def test_inputs_and_skips_name_stages_of_the_same_figure(spec: Network) -> None:
    for stage, peers in stages_and_peers(spec):
        labels = {peer.label for peer in peers} - {stage.label}
        assert set(stage.inputs + stage.skips) <= labels, stage.label
    assert [stage.label for stage in spec.stages if not stage.inputs] == [spec.stages[0].label]


@every
def test_no_two_stages_share_a_place_in_the_figure(spec: Network) -> None:
    for group in (spec.stages, *(stage.inside for stage in spec.stages)):
        assert len({(stage.row, stage.column) for stage in group}) == len(group)
        assert all(stage.row >= 0 and stage.column >= 0 for stage in group)


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
