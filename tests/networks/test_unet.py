"""What is special to U-Net."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from segdemo.networks.blocks import Concat
from segdemo.networks.unet import NETWORK, UNet
from segdemo.traced import drawn, trace_of


def names_by_hand(bilinear: bool = False) -> list[str]:
    """State dict of the widespread implementation, written out from its structure."""

    def double_conv(path: str) -> list[str]:
        norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return [
            f"{path}.double_conv.{name}"
            for at in (0, 3)
            for name in (f"{at}.weight", *(f"{at + 1}.{part}" for part in norm))
        ]

    names = double_conv("inc")
    for down in ("down1", "down2", "down3", "down4"):
        names += double_conv(f"{down}.maxpool_conv.1")
    for up in ("up1", "up2", "up3", "up4"):
        names += [] if bilinear else [f"{up}.up.weight", f"{up}.up.bias"]
        names += double_conv(f"{up}.conv")
    return [*names, "outc.conv.weight", "outc.conv.bias"]


def parameters_by_hand(classes: int, width: int = 64) -> int:
    def double_conv(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs  # two kernels, two pairs of scale and shift

    total = double_conv(3, width)
    for depth in range(4):
        total += double_conv(width << depth, width << depth + 1)  # on the way down
        deep, shallow = width << depth + 1, width << depth
        total += 4 * deep * shallow + shallow + double_conv(deep, shallow)  # transposed 2×2 convolution, and up
    return total + width * classes + classes


@pytest.mark.parametrize("bilinear", [False, True])
def test_state_dict_has_the_names_of_the_widespread_implementation(bilinear: bool) -> None:
    assert list(UNet(3, 2, bilinear=bilinear, width=4).state_dict()) == names_by_hand(bilinear)


@pytest.mark.parametrize(("classes", "published"), [(1, 31_037_633), (2, 31_037_698)])
def test_parameters_count_as_published(classes: int, published: int) -> None:
    with torch.device("meta"):
        network = UNet(3, classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == published
    assert parameters_by_hand(classes) == published


def test_bilinear_version_is_smaller() -> None:
    with torch.device("meta"):
        network = UNet(3, 1, bilinear=True)
    assert sum(parameter.numel() for parameter in network.parameters()) == 17_262_977


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 16), (33, 47), (31, 50)])
def test_odd_sizes_are_padded_at_the_joins(height: int, width: int, bilinear: bool) -> None:
    network = UNet(3, 2, bilinear=bilinear, width=2).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, height, width)).shape == (1, 2, height, width)


def test_join_puts_the_skip_before_the_upsampled_map() -> None:
    network = UNet(3, 2, width=2).eval()
    seen: dict[str, Tensor] = {}
    for name in ("down3", "up1.up", "up1.join"):
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.update({name: _[2].clone()}))
    with torch.inference_mode():
        network(torch.rand(1, 3, 32, 48))
    assert torch.equal(seen["up1.join"], torch.cat([seen["down3"], seen["up1.up"]], dim=1))
    assert not Concat().state_dict()


def test_convolutions_start_with_the_variance_that_keeps_relus_alive() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet(3, 2, width=32)
    kernel = network.get_submodule("down2.maxpool_conv.1.double_conv.0")
    assert isinstance(kernel, nn.Conv2d)
    fan_in = 64 * 9
    assert kernel.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
    assert network.outc.conv.bias is not None and not network.outc.conv.bias.any()


def test_figure_is_a_u() -> None:
    stages = drawn(NETWORK, trace_of(NETWORK)).stages
    places = {stage.label: (stage.row, stage.column) for stage in stages}
    for number in (1, 2, 3, 4):
        assert places[f"Encoder {number}"] == (number - 1, 0)
        assert places[f"Decoder {number}"] == (number - 1, 2)
    assert places["Bottleneck"] == (4, 1)
    skips = {stage.label: stage.skips for stage in stages if stage.skips}
    assert skips == {f"Decoder {number}": (f"Encoder {number}",) for number in (1, 2, 3, 4)}
