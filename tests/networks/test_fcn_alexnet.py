"""What is special to FCN on AlexNet."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models import alexnet

from segdemo.networks.fcn_alexnet import FCNAlexNet


def test_features_have_the_names_and_shapes_of_torchvision() -> None:
    theirs = {name: value.shape for name, value in alexnet().state_dict().items() if name.startswith("features")}
    ours = {name: value.shape for name, value in FCNAlexNet(7).state_dict().items() if name.startswith("features")}
    assert ours == theirs


def test_convolutions_answer_as_those_of_torchvision_up_to_the_first_padded_pooling() -> None:
    theirs, ours = alexnet().eval(), FCNAlexNet(7).eval()
    ours.features.load_state_dict(theirs.features.state_dict())
    batch = torch.rand(1, 3, 96, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours.features[:2](batch), theirs.features[:2](batch))


def test_skips_change_nothing_at_first_and_are_added_later() -> None:
    network = FCNAlexNet(3).eval()
    seen: dict[str, Tensor] = {}
    for name in ("score32", "up16", "score16", "fuse16", "up8", "score8", "fuse8"):
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.update({name: _[2].clone()}))
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 96))
        assert torch.equal(seen["fuse8"], seen["up8"]) and torch.equal(seen["fuse16"], seen["up16"])
        network.score16.weight.fill_(0.1)
        network(torch.rand(1, 3, 64, 96))
    assert seen["score16"].any()
    assert torch.equal(seen["fuse16"], seen["score16"] + seen["up16"])
    sizes = {name: tuple(seen[name].shape[2:]) for name in ("score32", "fuse16", "fuse8")}
    assert sizes == {"score32": (2, 3), "fuse16": (4, 6), "fuse8": (8, 12)}
