"""What is special to the U-Net on MobileNetV2."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models import mobilenet_v2

from segdemo.networks.unet_mobilenet_v2 import TAPPED, TAPS, UNetMobileNetV2


def test_encoder_answers_as_that_of_torchvision() -> None:
    theirs, ours = mobilenet_v2(weights=None).eval(), UNetMobileNetV2(7).eval()
    named = {name: tensor for name, tensor in theirs.state_dict().items() if name in ours.state_dict()}
    missing = ours.load_state_dict(named, strict=False).missing_keys
    assert not [name for name in missing if name.startswith("features")]
    batch = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(ours.features(batch), theirs.features[:18](batch))


def test_taps_are_the_deepest_maps_of_their_size() -> None:
    network = UNetMobileNetV2(7).eval()
    shapes: dict[int, tuple[int, ...]] = {}
    for number, block in enumerate(network.features):
        block.register_forward_hook(lambda *_, number=number: shapes.update({number: tuple(_[2].shape[1:])}))
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 96))
    assert tuple(shapes[tap][0] for tap in TAPS) == TAPPED
    for depth, tap in enumerate(TAPS, 1):
        assert shapes[tap][1:] == (64 >> depth, 96 >> depth)
        assert tap + 1 not in shapes or shapes[tap + 1][1:] != shapes[tap][1:]


def test_decoder_joins_the_skip_before_the_enlarged_map() -> None:
    network = UNetMobileNetV2(7).eval()
    seen: dict[str, Tensor] = {}
    for name in ("features.13", "up1.up", "up1.join"):
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.update({name: _[2].clone()}))
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 64))
    assert torch.equal(seen["up1.join"], torch.cat([seen["features.13"], seen["up1.up"]], dim=1))
