"""A picture through a network: batch → logits → the part of them that the picture takes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from segdemo import ambient
from segdemo.devices import check_precision, computing_in, precision_on
from segdemo.enlarged import Enlarged, last_enlargement
from segdemo.images import Placement, check_input_size, to_batch, to_picture
from segdemo.networks.network import Network, Preprocessing
from segdemo.notes import Note
from segdemo.outputs import ClassScores, Ending, Output, Reading, forwarding, read
from segdemo.results import Result
from segdemo.summaries import Preview, Summary, are_finite


@dataclass(frozen=True)
class Prediction:
    """What a network returned for a picture.

    Args:
        logits: (K, h, w) float32, the part of the network's output that the picture takes; (K, 1, 1) of a classifier.
        batch: (1, C, H, W) float32, the picture as the network took it, padding included.
        placement: where the picture lies in the batch.
        size: input size, pixels.
        seconds: duration of the forward pass.
        extent: (columns, rows) of the logits that the picture takes where these are no whole numbers; None is all.
        ending: ``"shares"`` where the values are in proportion to the probabilities, and no logits.
        enlarged: what the network enlarged to its output, where that was its last step.
        precision: in which the pass computed, wherever PyTorch thinks half of it safe.
    """

    logits: Tensor
    batch: Tensor
    placement: Placement
    size: int
    seconds: float
    extent: tuple[float, float] | None = None
    ending: Ending = "logits"
    enlarged: Enlarged | None = None
    precision: str = "float32"

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
            logits=scores.float().contiguous().cpu().numpy(),
            layers=layers or {},
            previews=previews or {},
            seconds=self.seconds,
            task=spec.task,
            extent=self.extent,
            ending=self.ending,
            notes=(*notes_on(self.logits), *_half(self.precision)),
            enlarged=self.enlarged,
        )

    @property
    def probabilities(self) -> Tensor:
        """The probability of each class, (K, h, w) float32 in [0, 1], at the size that the picture has in the batch."""
        values = self.logits
        if self.extent is not None:  # the whole map, enlarged to the batch, less the padding
            width, height = self.placement.resized
            values = sampled(values, self.extent, (width, height))
        return values.softmax(0) if self.ending == "logits" else values / values.sum(0).clamp_min(1e-12)


def predict(
    module: nn.Module,
    preprocessing: Preprocessing,
    picture: Image.Image,
    size: int | None = None,
    *,
    reading: Reading | None = None,
    placed: tuple[Tensor, Placement] | None = None,
) -> Prediction:
    """Run a network on a picture, in the modes and with the gradients that the caller has set.

    Args:
        module: the network, on whatever device.
        preprocessing: its preprocessing.
        picture: PIL, RGB, 8 bits.
        size: input size in pixels; None takes the preprocessing's own.
        reading: how its output is to be read.
        placed: what :func:`to_batch` made of the picture, where that was done before.

    Raises:
        InputError: the input size does not suit the network; it raises, or what it returns cannot be read.
    """
    reading = reading or Reading()
    batch, placement = placed or to_batch(picture, preprocessing, size)
    batch = batch.to(ambient.device_of(module))
    started = time.perf_counter()
    with forwarding(module, batch, reading.title), last_enlargement(module) as last:
        returned = module(batch)
    seconds = time.perf_counter() - started
    output = read(returned, (batch.shape[2], batch.shape[3]), reading)
    logits, extent = _on_picture(output, placement)
    size = check_input_size(preprocessing, size)
    precision = precision_on(batch.device)
    return Prediction(logits, batch, placement, size, seconds, extent, output.ending, last.of(returned), precision)


def maps_on_picture(
    returned: object, batch: Tensor, placement: Placement, spec: Network
) -> tuple[Tensor, tuple[float, float] | None]:
    """Read what a network returned, as :func:`predict` does, with the gradients that hang on it.

    Args:
        returned: by the network.
        batch: (1, C, H, W) that it was given.
        placement: of the picture in the batch.
        spec: of the network.

    Returns:
        The logits (K, h, w) on the picture, and how many (columns, rows) of them the picture takes, None for all.

    Raises:
        InputError: it cannot be read.
    """
    logits, extent = _on_picture(read(returned, (batch.shape[2], batch.shape[3]), reading_of(spec)), placement)
    return logits[-len(spec.classes) :] if spec.task == "detection grid" else logits, extent


def reading_of(spec: Network) -> Reading:
    """Return how the output of a network is to be read."""
    # A detection grid has more to each cell than its classes.
    return Reading(spec.title, None if spec.task == "detection grid" else len(spec.classes), spec.ending, spec.output)


def notes_on(logits: Tensor) -> tuple[Note, ...]:
    """Say what should be known of an output that can be shown, but not trusted."""
    if are_finite(logits):
        return ()
    share = 1 - float(logits.isfinite().float().mean())
    return (
        Note(
            "output_not_finite",
            "{percent} % of what the network returned is NaN or infinite: the answer means nothing there. The layer in "
            "which it begins is marked in the figure.",
            {"percent": f"{100 * share:.3g}"},
        ),
    )


def _half(precision: str) -> tuple[Note, ...]:
    """Say that a pass was computed in half precision, where it was."""
    if precision == "float32":
        return ()
    return (
        Note(
            "half_precision",
            "Computed in {precision}, as was asked for: half the bits of float32, so that values are rounded to about "
            "{digits} digits in many layers, and each is shown as the network put it out.",
            {"precision": precision, "digits": 2 if precision == "bfloat16" else 3},
        ),
    )


def _on_picture(output: Output, placement: Placement) -> tuple[Tensor, tuple[float, float] | None]:
    """Return the part of an output that the picture takes, and how much of that it takes where that is not all.

    A map in a resolution of its own is not resized here: results do so once, from its own values to the picture.
    """
    if isinstance(output, ClassScores):
        return output.values.reshape(-1, 1, 1), None
    values = output.values
    if (values.shape[2], values.shape[1]) == placement.padded:
        return values[:, : placement.resized[1], : placement.resized[0]], None
    if placement.padded == placement.resized:
        return values, None
    columns, rows = (
        cells * share for cells, share in zip((values.shape[2], values.shape[1]), placement.valid, strict=True)
    )
    return values[:, : math.ceil(rows) + 1, : math.ceil(columns) + 1], (columns, rows)


def sampled(values: Tensor, extent: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Interpolate the part of maps (K, h, w) that ``extent`` says, bilinear with half-pixel centres, to a size.

    Args:
        values: the maps.
        extent: (columns, rows) from the top left.
        size: (width, height) wanted.
    """
    for axis, cells, length in ((2, extent[0], size[0]), (1, extent[1], size[1])):
        last = values.shape[axis] - 1
        places = (torch.arange(length, device=values.device) + 0.5) * (cells / length) - 0.5
        places = places.clamp_(0, last)
        first = places.long()
        shape = [1, 1, 1]
        shape[axis] = length
        values = torch.lerp(
            values.index_select(axis, first),
            values.index_select(axis, (first + 1).clamp_(max=last)),
            (places - first).view(shape),
        )
    return values


class Predictor:
    """A network with the weights it has now, seen as something that answers pictures, one at a time.

    Args:
        module: the network, on whatever device; its modes stay as they are.
        spec: its specification.
        size: input size in pixels; None takes the network's own.
        precision: of the passes: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` where PyTorch thinks it safe.
        trained: False when the weights are random.

    Raises:
        InputError: the input size does not suit the network.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: Network,
        size: int | None = None,
        *,
        precision: str = "float32",
        trained: bool = True,
    ) -> None:
        self.classes = spec.names
        check_precision(precision)
        self._module, self._spec, self._precision, self._trained = module, spec, precision, trained
        self._size = check_input_size(spec.preprocessing, size)

    def place(self, picture: Image.Image) -> tuple[Tensor, Placement]:
        """Return a picture as the network takes it, and where it lies in there; any thread may do this beforehand."""
        with ambient.plain():
            return to_batch(picture, self._spec.preprocessing, self._size)

    def run(self, picture: Image.Image, placed: tuple[Tensor, Placement] | None = None) -> Result:
        """Return the result for a picture, without summaries of layers; maps are in the picture's own size.

        Args:
            picture: PIL, RGB, 8 bits.
            placed: what :meth:`place` made of it.
        """
        device = ambient.device_of(self._module)
        with (
            ambient.passing(self._module),
            computing_in(self._precision, device),
        ):
            prediction = predict(
                self._module,
                self._spec.preprocessing,
                picture,
                self._size,
                reading=reading_of(self._spec),
                placed=placed,
            )
        return prediction.result(self._spec, trained=self._trained)
