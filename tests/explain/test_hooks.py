"""What careless hooks record: held against a real careless hook, and counted on networks whose answer is known."""

from __future__ import annotations

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.explain.hooks import HONEST, NAIVE, HonestHook, HookFacts, NaiveHooks, count_of, facts_of_hook
from segdemo.images import to_batch
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


def test_the_count_is_what_careless_hooks_really_get_wrong() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.resnet18(weights=None).eval()
        batch = torch.randn(1, 3, 64, 64)
    kept: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str) -> object:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            kept.setdefault(name, (output.detach(), output.detach().clone()))

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in network.named_modules() if name]
    with torch.no_grad():
        network(batch)
    for handle in handles:
        handle.remove()
    wrong = {name for name, (naive, truth) in kept.items() if not torch.equal(naive, truth)}
    counted = count_of(network, 64, 64)
    assert {one.layer for one in counted.overwritten} == wrong and counted.layers == len(kept)
    assert "layer1.0.bn1" in wrong and "layer1.0.bn2" in wrong  # the second by the addition of the input


def test_our_network_with_in_place_layers_is_counted_and_one_without_is_clean(engine: LocalEngine) -> None:
    assert len(engine.answer(NaiveHooks(NETWORK)).overwritten) == 50
    assert engine.answer(NaiveHooks("unet")).overwritten == ()


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
