"""The ways compared of seeing what a network's layers put out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from segdemo.activations import capture
from segdemo.examples import example
from segdemo.images import to_batch
from segdemo.networks import NETWORKS, unet
from segdemo.segmenter import Segmenter
from segdemo.summaries import preview, summarise

# The U-Net as wide as in the paper, with random weights: what is measured does not depend on them.
NETWORKS["unet_64"] = replace(
    unet.NETWORK, name="unet_64", title="U-Net, 64 channels", build=lambda classes: unet.UNet(3, classes)
)
COMPARED = ("deeplabv3_mobilenet_v2", "u2netp", "unet_64")
SIDES = {"deeplabv3_mobilenet_v2": 513}  # its sides are 8k + 1
SIDE = 512
SMALL = {"deeplabv3_mobilenet_v2": 65}
SMALL_SIDE = 64


class Case:
    """One network with one picture to look at: a real photograph, cut square.

    Args:
        network: name in ``NETWORKS``.
        small: take a small working size, to warm up with little memory.
        plain: run in PyTorch's default memory format, as most people do, not with channels last as segdemo does.
        side: working size; None takes what all parts take.
        shape: width and height of the picture.
    """

    def __init__(
        self,
        network: str,
        *,
        small: bool = False,
        plain: bool = False,
        side: int | None = None,
        shape: tuple[int, int] = (512, 512),
    ) -> None:
        self.side = side or (SMALL.get(network, SMALL_SIDE) if small else SIDES.get(network, SIDE))
        self.picture = Image.open(example("astronaut")).convert("RGB").resize(shape)
        self.segmenter = Segmenter(network)
        self.network = self.segmenter.network
        if plain:
            self.network.to(memory_format=torch.contiguous_format)
        self.batch = to_batch(self.picture, self.segmenter.spec.preprocessing, self.side)[0]


def bare(case: Case) -> Callable[[], object]:
    """Run the network and look at nothing."""

    def call() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = case.network(case.batch)
        return logits

    return call


def watched(case: Case) -> Callable[[], object]:
    """Run the network and summarise every stage, as the Segmenter does; nothing before or after the pass."""
    spec = case.segmenter.spec
    outer = [stage.layer for stage in spec.stages]
    inner = [stage.layer for stage in spec.every_stage() if stage.layer not in outer]

    def call() -> object:
        with (
            torch.inference_mode(),
            capture(case.network, outer, reduce=summarise) as layers,
            capture(case.network, inner, reduce=preview) as previews,
        ):
            return case.network(case.batch), layers, previews

    return call


def run(case: Case) -> Callable[[], object]:
    """Run the Segmenter from picture to result with every stage summarised, nothing remembered."""

    def call() -> object:
        case.segmenter.forget()
        return case.segmenter.run(case.picture, case.side)

    return call


def run_and_mask(case: Case) -> Callable[[], object]:
    """Run the Segmenter, then ask for the mask in the picture's own size."""

    def call() -> object:
        case.segmenter.forget()
        result = case.segmenter.run(case.picture, case.side)
        return result, result.mask

    return call


def keep_copies(case: Case) -> Callable[[], object]:
    """Keep a copy of what every leaf module puts out, with plain hooks."""
    leaf_modules = {name: module for name, module in case.network.named_modules() if not list(module.children())}

    def call() -> dict[str, list[Tensor]]:
        kept: dict[str, list[Tensor]] = {name: [] for name in leaf_modules}

        def keeper(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
            def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
                kept[name].append(output.clone())

            return hook

        with ExitStack() as hooks, torch.inference_mode():
            for name, module in leaf_modules.items():
                hooks.enter_context(module.register_forward_hook(keeper(name)))
            case.network(case.batch)
        return kept

    return call


def feature_extractor(case: Case) -> Callable[[], object]:
    """Let torchvision's feature extractor return the stages; building it is not part of the call."""
    from torchvision.models.feature_extraction import create_feature_extractor

    stages = {stage.layer: stage.label for stage in case.segmenter.spec.every_stage()}
    extractor = create_feature_extractor(case.network, stages)

    def call() -> object:
        with torch.inference_mode():
            return extractor(case.batch)

    return call


def torchlens(case: Case) -> Callable[[], object]:
    """Let torchlens record every operation, as its ``trace`` does by default."""
    import torchlens

    def call() -> object:
        with torch.no_grad():
            return torchlens.trace(case.network, case.batch)

    return call


METHODS: Mapping[str, Callable[[Case], Callable[[], object]]] = {
    "bare forward": bare,
    "every stage summarised": watched,
    "Segmenter.run": run,
    "Segmenter.run and its mask": run_and_mask,
    "plain hooks, every leaf cloned": keep_copies,
    "torchvision create_feature_extractor, stages": feature_extractor,
    "torchlens trace": torchlens,
}
