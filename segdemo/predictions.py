"""A picture through a network: batch → logits → the part of them that the picture takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from segdemo import ambient
from segdemo.images import Placement, check_input_size, to_batch, to_picture
from segdemo.networks.network import Network, Preprocessing
from segdemo.results import Result
from segdemo.summaries import Preview, Summary, as_maps


@dataclass(frozen=True)
class Prediction:
    """What a network returned for a picture.

    Args:
        logits: (K, h, w) float32, the part of the network's output that the picture takes; (K, 1, 1) of a classifier.
        batch: (1, C, H, W) float32, the picture as the network took it, padding included.
        placement: where the picture lies in the batch.
        size: input size, pixels.
        seconds: duration of the forward pass.
    """

    logits: Tensor
    batch: Tensor
    placement: Placement
    size: int
    seconds: float

    def result(
        self,
        spec: Network,
        *,
        trained: bool = True,
        step: int | None = None,
        layers: Mapping[str, Summary] | None = None,
        previews: Mapping[str, Preview] | None = None,
    ) -> Result:
        """Return it as a result, with maps in the picture's own size.

        Args:
            spec: of the network.
            trained: False when the weights are random.
            step: of the training, when the weights are a snapshot from its course.
            layers: stage label → summary of what the stage put out.
            previews: label → one thinned-out channel.
        """
        scores = self.logits[-len(spec.classes) :] if spec.task == "detection grid" else self.logits
        return Result(
            network=spec.name,
            known=spec.classes,
            trained=trained,
            step=step,
            input_size=self.size,
            size=self.placement.picture_size,
            placement=self.placement,
            seen=to_picture(self.batch.cpu(), spec.preprocessing),
            logits=scores.contiguous().cpu().numpy(),
            layers=layers or {},
            previews=previews or {},
            seconds=self.seconds,
            task=spec.task,
        )


def predict(
    module: nn.Module, preprocessing: Preprocessing, picture: Image.Image, size: int | None = None
) -> Prediction:
    """Run a network on a picture, in the modes and with the gradients that the caller has set.

    Args:
        module: the network, on whatever device.
        preprocessing: its preprocessing.
        picture: PIL, RGB, 8 bits.
        size: input size in pixels; None takes the preprocessing's own.

    Raises:
        InputError: the input size does not suit the network.
    """
    batch, placement = to_batch(picture, preprocessing, size)
    batch = batch.to(ambient.device_of(module))
    started = time.perf_counter()
    logits: Tensor = module(batch)
    seconds = time.perf_counter() - started
    width, height = placement.resized
    return Prediction(
        as_maps(logits)[:, :height, :width].float(), batch, placement, check_input_size(preprocessing, size), seconds
    )


class Predictor:
    """A network with the weights it has now, seen as something that answers pictures, one at a time.

    Args:
        module: the network, on whatever device; its modes stay as they are.
        spec: its specification.
        size: input size in pixels; None takes the network's own.
        bfloat16: compute in bfloat16 where PyTorch thinks it safe.

    Raises:
        InputError: the input size does not suit the network.
    """

    def __init__(self, module: nn.Module, spec: Network, size: int | None = None, *, bfloat16: bool = False) -> None:
        self.classes = spec.names
        self._module, self._spec, self._bfloat16 = module, spec, bfloat16
        self._size = check_input_size(spec.preprocessing, size)

    def run(self, picture: Image.Image) -> Result:
        """Return the result for a picture, without summaries of layers; maps are in the picture's own size."""
        device = ambient.device_of(self._module)
        with (
            ambient.passing(self._module),
            torch.autocast(device.type, torch.bfloat16, enabled=self._bfloat16),
        ):
            prediction = predict(self._module, self._spec.preprocessing, picture, self._size)
        return prediction.result(self._spec)
