"""The lab of the U-Net: the tutorial's numbers of parameters, odd sizes, and how far it sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from segdemo.errors import InputError
from segdemo.labs import unet
from segdemo.labs.question import checked, run
from segdemo.labs.unet_blocks import UNet


@pytest.mark.parametrize(("bilinear", "parameters"), [(False, 31_037_698), (True, 17_263_042)])
def test_network_of_the_tutorials_width_has_its_parameters(bilinear: bool, parameters: int) -> None:
    with torch.device("meta"):
        net = UNet(2, 64, 4, bilinear, True, True)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
@pytest.mark.parametrize("skips", [True, False])
def test_padding_gives_every_size_back(up: str, skips: bool) -> None:
    for size in ((37, 61), (33, 64), (16, 17)):
        outcome = run("unet", Image.new("RGB", size), {"width": 2, "up": up, "skips": skips, "size": max(size)})
        assert outcome.facts["same"], size


@pytest.mark.parametrize(
    ("size", "given", "code", "words"),
    [
        ((36, 36), {"size": 36, "pad": False}, "unet_odd_size", "36 pixels become 9, which is odd"),
        ((8, 8), {"size": 8, "depth": 4}, "unet_too_deep", "⌊8 / 16⌋"),
        ((96, 4), {"size": 96, "depth": 3}, "unet_too_deep", "⌊4 / 8⌋"),
    ],
)
def test_sizes_that_do_not_go_are_refused_with_the_rule(
    size: tuple[int, int], given: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        run("unet", Image.new("RGB", size), {"width": 1, **given})
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_field_is_where_a_gradient_reaches(up: str, depth: int) -> None:
    net = unet.build(checked("unet", {"width": 1, "depth": depth, "up": up, "classes": 1})).double()
    for name, _ in list(net.named_modules()):
        if name.endswith("pool"):
            net.get_submodule(name.rpartition(".")[0]).pool = nn.AvgPool2d(2)  # reads all that a maximum may take
    for parameter in net.parameters():
        parameter.data.fill_(1.0)  # so that no ReLU is off and nothing cancels out
    side = 128
    batch = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    extents = []
    output = net(batch)
    for place in range(side // 2 - 4, side // 2 + 4):
        (reached,) = torch.autograd.grad(output[0, 0, place, place], batch, retain_graph=True)
        extents.append(len(reached[0].abs().sum((0, 2)).nonzero()))
    sees = unet.receptive_fields(depth, side, bilinear=up == "bilinear")["outc"]
    assert max(extents) == sees


def test_multiply_adds_of_the_first_block_are_those_of_its_two_convolutions() -> None:
    outcome = run("unet", Image.new("RGB", (16, 16)), {"width": 4, "depth": 1, "size": 16})
    name, shape, parameters, cost, sees, values = outcome.facts["rows"][0]
    assert (name, shape, sees, values) == ("inc", "(1, 4, 16, 16)", 5, 4 * 16 * 16)
    assert parameters == 3 * 4 * 9 + 4 * 4 * 9 + 2 * (4 + 4)
    assert cost == (3 * 4 * 9 + 4 * 4 * 9) * 16 * 16
