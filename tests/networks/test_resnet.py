"""Our ResNets against torchvision's: names, shapes, and answers to the last bit."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from segdemo.networks import NETWORKS
from segdemo.networks.resnet18 import BasicBlock, Bottleneck, ResNet, make_layer

DEPTHS = (18, 34, 50, 101, 152)
# Counts in torchvision's documentation of its weights.
PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


def hollow(build: object, *arguments: int) -> nn.Module:
    with torch.device("meta"):
        return build(*arguments)  # type: ignore[operator]


def theirs_filled(depth: int) -> nn.Module:
    """torchvision's network, with statistics and scales such as training leaves."""
    with torch.random.fork_rng():
        torch.manual_seed(depth)
        network: nn.Module = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.2, 0.4)
                nn.init.normal_(module.bias, std=0.1)
                nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network.eval()


@pytest.mark.parametrize("depth", DEPTHS)
def test_names_shapes_and_counts_are_those_of_torchvision(depth: int) -> None:
    ours = hollow(NETWORKS[f"resnet{depth}"].build, 1000)
    theirs = hollow(getattr(torchvision.models, f"resnet{depth}"))
    shapes = [{name: tensor.shape for name, tensor in one.state_dict().items()} for one in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert sum(parameter.numel() for parameter in ours.parameters()) == PARAMETERS[depth]


@pytest.mark.parametrize("depth", [18, 50])
def test_a_state_dict_of_torchvision_loads_strictly_and_every_layer_then_answers_bit_for_bit(depth: int) -> None:
    theirs = theirs_filled(depth)
    ours = NETWORKS[f"resnet{depth}"].build(1000).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    batch = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    stages = ("maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc")
    seen: dict[str, list[Tensor]] = {stage: [] for stage in stages}
    for network in (ours, theirs):
        for stage in stages:
            network.get_submodule(stage).register_forward_hook(lambda *_, stage=stage: seen[stage].append(_[2].clone()))
        with torch.inference_mode():
            network(batch)
    for stage, (mine, other) in seen.items():
        assert torch.equal(mine, other), stage
    assert seen["fc"][0].std() > 0


def test_what_a_convolution_put_out_is_not_overwritten_by_its_relu() -> None:
    network = NETWORKS["resnet18"].build(10).eval()
    kept: list[Tensor] = []
    for name in ("bn1", "layer1.0.bn2"):
        network.get_submodule(name).register_forward_hook(lambda *_: kept.append(_[2]))
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 64))
    assert all(bool((one < 0).any()) for one in kept)


def test_a_layer_changes_size_and_channels_in_its_first_block_alone() -> None:
    layer = make_layer(Bottleneck, 64, 32, 3, stride=2)
    strides = [block.conv2.stride for block in layer]
    assert strides == [(2, 2), (1, 1), (1, 1)]
    assert [block.downsample is not None for block in layer] == [True, False, False]
    assert layer(torch.rand(1, 64, 8, 6)).shape == (1, 128, 4, 3)
    plain = make_layer(BasicBlock, 16, 16, 2, stride=1)
    assert all(block.downsample is None for block in plain)


def test_a_block_whose_convolutions_answer_nothing_passes_on_its_input() -> None:
    block = BasicBlock(4, 4).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 4, 5, 5)
    with torch.inference_mode():
        assert torch.equal(block(x), x)


def test_a_network_without_weights_says_that_it_is_untrained() -> None:
    from segdemo import Segmenter

    segmenter = Segmenter("resnet18")
    result = segmenter.run(torch.rand(3, 40, 60), 128)
    assert not segmenter.trained and not result.trained
    assert len(result.answer) == 1000
    assert sum(result.answer.values()) == pytest.approx(1, abs=1e-4)


def test_other_numbers_of_classes_and_blocks_can_be_built() -> None:
    with torch.inference_mode():
        assert ResNet(BasicBlock, (1, 1, 1, 1), 7).eval()(torch.rand(1, 3, 33, 47)).shape == (1, 7)
