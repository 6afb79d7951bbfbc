"""What careless hooks record: held against a real careless hook, and counted on networks whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.explain.hooks import HONEST, NAIVE, HonestHook, HookFacts, NaiveHooks, count_of, facts_of_hook
from segdemo.images import place, to_batch
from segdemo.networks import NETWORKS
from tests.explain.conftest import SIZE, Linear, Skipping

NETWORK = "unet_mobilenet_v2"


def test_an_overwritten_layer_is_shown_beside_the_truth(engine: LocalEngine) -> None:
    red = engine.keep(Image.new("RGB", (SIZE, SIZE), (255, 51, 0)))
    found: HookFacts = engine.answer(HonestHook("skipping", red, "Double"))
    np.testing.assert_allclose(found.truth[:, 0, 0], [2.0, -0.4], rtol=1e-6)
    np.testing.assert_allclose(found.naive[:, 0, 0], [2.0, 0.0])
    assert found.wrong == 0.5 and found.by == "relu" and found.lies and found.kind == "Conv2d"
    honest: HookFacts = engine.answer(HonestHook("skipping", red, "Entrance"))
    assert honest.wrong == 0 and honest.by is None and not honest.lies


def test_layers_that_are_overwritten_are_counted() -> None:
    counted = count_of(Skipping().eval(), 8, 8)
    assert counted.layers == 4 and [one.layer for one in counted.overwritten] == ["doubled"]
    assert count_of(Linear().eval(), 8, 8).overwritten == ()


# Of each of our networks: how many layers a careless hook gets wrong, of how many.
COUNTS = {
    "deeplabv3_mobilenet_v2": (0, 153),
    "unet_mobilenet_v2": (50, 290),
    "fcn_alexnet": (0, 29),
    "u2netp": (0, 448),
    "unet": (0, 98),
    "unet_bilinear": (0, 98),
    "unet_narrow": (0, 98),
    "selfie": (0, 203),
    "lenet": (0, 13),
    "alexnet": (0, 24),
    "resnet18": (0, 76),
    "resnet34": (0, 132),
    "resnet50": (0, 167),
    "resnet101": (0, 320),
    "resnet152": (0, 473),
    "yolo_v1": (0, 90),
}


def recorded_carelessly(network: nn.Module, batch: Tensor) -> tuple[set[str], int]:
    """Hang a careless hook and a copying one on every layer; return those that they disagree on, and count all."""
    kept: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                kept.setdefault(name, (output.detach(), output.detach().clone()))

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in network.named_modules() if name]
    with torch.no_grad():
        network(batch)
    for handle in handles:
        handle.remove()
    return {name for name, (naive, truth) in kept.items() if not torch.equal(naive, truth)}, len(kept)


def randomised(name: str) -> nn.Module:
    """Build one of our networks with random weights, none of which makes a layer put out 0 alone."""
    spec = NETWORKS[name]
    with torch.device("meta"):
        network = spec.build(len(spec.classes))
    network = network.to_empty(device="cpu").eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for key, values in network.state_dict().items():
            if not values.is_floating_point():
                values.zero_()
            elif key.endswith("running_var"):
                values.fill_(1)
            else:
                values.normal_(0, 0.1 if values.dim() < 2 else (2 / values[0].numel()) ** 0.5)
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_the_count_of_each_of_our_networks_is_what_careless_hooks_really_get_wrong(name: str) -> None:
    rule, network = NETWORKS[name].preprocessing, randomised(name)
    size = rule.size if len(rule.sizes) == 1 else -(-64 // rule.stride) * rule.stride + rule.remainder
    width, height = place((size, size), rule, size).padded
    wrong, layers = recorded_carelessly(network, torch.randn(1, rule.channels, height, width))
    counted = count_of(network, height, width, rule.channels)
    assert {one.layer for one in counted.overwritten} == wrong and counted.layers == layers
    assert (len(wrong), layers) == COUNTS[name]


def test_a_layer_overwritten_by_an_addition_is_counted() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.resnet18(weights=None).eval()
        wrong, layers = recorded_carelessly(network, torch.randn(1, 3, 64, 64))
    counted = count_of(network, 64, 64)
    assert {one.layer for one in counted.overwritten} == wrong and counted.layers == layers
    assert "layer1.0.bn1" in wrong and "layer1.0.bn2" in wrong  # the second by the addition of the input


def test_the_question_counts_in_the_size_that_the_page_runs(engine: LocalEngine) -> None:
    for name in (NETWORK, "unet"):
        found = engine.answer(NaiveHooks(name))
        assert (len(found.overwritten), found.layers) == COUNTS[name]


def test_both_lines_do_what_is_said_of_them(engine: LocalEngine) -> None:
    module = engine.open(NETWORK).module
    batch, _ = to_batch(engine.picture(engine.keep(example("chelsea"))).picture, engine.networks[NETWORK].preprocessing)
    recorded = []
    for line in (NAIVE, HONEST):
        kept: list[Tensor] = []
        handle = eval(line, {"layer": module.get_submodule("features.0.1"), "kept": kept})
        with torch.no_grad():
            module(batch)
        handle.remove()
        recorded.append(kept[0][0].numpy())
    with torch.no_grad():
        found = facts_of_hook(module, batch, "features.0.1")
    np.testing.assert_array_equal(found.naive, recorded[0])
    np.testing.assert_array_equal(found.truth, recorded[1])
    assert found.by == "features.0.2" and found.naive.min() == 0 > found.truth.min()
