"""Whatever a network returned, read as what it says: classes of each pixel, scores of the picture, or a grid.

Nothing is asked of a network but one forward pass. What it returned is recognised by names and shapes: a tensor, a
mapping or an object with ``out`` or ``logits``, one channel, masks with class queries, prototypes with coefficients,
scales. What cannot be read is refused with a sentence that says what came.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from segdemo.errors import Cancelled, InputError
from segdemo.leaves import described, leaves

Ending = Literal["logits", "shares"]

HEADS = ("out", "logits", "segmentation", "semantic_logits", "seg", "pred", "prediction", "predictions", "output")
QUERIES = (  # masks and the class of each: transformers, the original repositories, DETR
    ("class_queries_logits", "masks_queries_logits"),
    ("pred_logits", "pred_masks"),
    ("logits", "pred_masks"),
)
MASK2FORMER = (384, 384)  # height, width to which its own post-processing brings every mask
CONFIDENCE = 0.25  # of a box, below which ultralytics leaves it out
OVERLAP = 0.7  # of two boxes of one class, above which ultralytics leaves the less certain out
MOST_BOXES = 300
EXTRA = (0, 1, 2, 5)  # tokens beside those of places: of the class, of distillation, four registers
SAID = 240  # characters quoted of what a network raised


@dataclass(frozen=True)
class SegmentationMap:
    """What each pixel is.

    Args:
        values: (K, h, w) float32, over all of the batch, padding included, in whatever resolution.
        ending: ``"logits"``, or ``"shares"``: at least 0, and in proportion to the probabilities.
    """

    values: Tensor
    ending: Ending = "logits"


@dataclass(frozen=True)
class ClassScores:
    """What the whole picture shows.

    Args:
        values: (K,) float32.
        ending: as for :class:`SegmentationMap`.
    """

    values: Tensor
    ending: Ending = "logits"


@dataclass(frozen=True)
class Grid:
    """Maps that are no classes of pixels, or lie over the picture in a way that nothing tells: drawn as they are.

    Args:
        values: (C, h, w) float32.
    """

    values: Tensor
    ending: Ending = "logits"


Output = SegmentationMap | ClassScores | Grid


@dataclass(frozen=True)
class Reading:
    """How the output of one network is to be read.

    Args:
        title: of the network, for sentences.
        classes: K, where it is known.
        ending: ``"shares"`` where the network ends in a softmax or sigmoid of its own.
        leaf: name of the one tensor to read, of several; "" takes the likeliest.
    """

    title: str = "The network"
    classes: int | None = None
    ending: Ending = "logits"
    leaf: str = ""


def read(output: object, size: tuple[int, int], reading: Reading | None = None) -> Output:
    """Read what a network returned for a batch of one picture.

    Args:
        output: whatever it returned.
        size: (height, width) of the batch, pixels.
        reading: what is known of the network.

    Raises:
        InputError: ``output_unusable``, ``output_classes``; the text says what came.
    """
    reading = reading or Reading()
    found = _read(_chosen(output, reading), size, reading)
    if found is None:
        raise InputError(
            "output_unusable",
            "{network} returned {came}, which says nothing of a picture. A tensor (1, K, h, w) or (1, K) is needed, or "
            "a mapping with one as “out” or “logits”. Wrap the network in a module that returns such a one.",
            network=reading.title,
            came=_told(output),
        )
    count = len(found.values)
    if reading.classes is not None and reading.classes != count:
        raise InputError(
            "output_classes",
            "{network} tells {count} classes apart, and {given} were named. Name as many as it has, in its order.",
            network=reading.title,
            count=count,
            given=reading.classes,
        )
    return found


def choices(output: object, size: tuple[int, int], reading: Reading) -> list[tuple[str, Output]]:
    """Return the tensors of an output that can be read each by itself: its name, and what it says.

    Args:
        output: whatever a network returned.
        size: (height, width) of the batch, pixels.
        reading: what is known of the network.
    """
    found = ((leaf, _read(tensor, size, reading)) for leaf, tensor in leaves(output) if leaf)
    return [(leaf, said) for leaf, said in found if said is not None]


def _chosen(output: object, reading: Reading) -> object:
    """Return the tensor that is to be read, or everything where none is named."""
    if not reading.leaf:
        return output
    found = next((tensor for leaf, tensor in leaves(output) if leaf == reading.leaf), None)
    if found is None:
        raise InputError(
            "output_leaf",
            "{network} returned {came}, and no “{leaf}” among it this time. Choose another of its outputs.",
            network=reading.title,
            came=_told(output),
            leaf=reading.leaf,
        )
    return found


def _read(output: object, size: tuple[int, int], reading: Reading) -> Output | None:
    parts = _parts(output)
    for classes, masks in QUERIES:
        if _is(parts.get(classes), 3) and _is(parts.get(masks), 4):
            return _of_queries(parts[classes][0].float(), parts[masks][0].float(), size, type(output).__name__)
    boxes = _of_boxes(output, size)
    if boxes is not None:
        return boxes
    for name in HEADS:
        found = _read(parts[name], size, reading) if name in parts else None
        if found is not None:
            return found
    tensors = [_batched(tensor, size) for _, tensor in leaves(output) if tensor.dim() > 1 and tensor.numel()]
    tensors = [tensor for tensor in tensors if len(tensor) == 1]
    maps = [found for found in (_as_map(tensor, size, reading) for tensor in tensors) if found is not None]
    if maps:
        wanted = [one for one in maps if len(one.values) == reading.classes] or maps
        return max(wanted, key=lambda one: (not isinstance(one, Grid), one.values[0].numel(), len(one.values)))
    scores = [tensor[0].float() for tensor in tensors if tensor.dim() == 2 and tensor.is_floating_point()]
    return ClassScores(max(scores, key=len), reading.ending) if scores else None


def _parts(output: object) -> Mapping[str, Any]:
    """Return what an output holds by name: of a mapping, a dataclass, a named tuple or any other plain object."""
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    if is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name, None) for field in fields(output)}
    if isinstance(output, tuple) and hasattr(output, "_asdict"):
        return dict(output._asdict())
    return {} if isinstance(output, Tensor) else dict(getattr(output, "__dict__", {}))


def _batched(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a tensor with a batch dimension: a network may have taken off that of one picture."""
    lacks = tensor.dim() in (2, 3) and len(tensor) > 1 and _spans(tensor.shape[-2:], size)
    return tensor[None] if lacks else tensor


def _is(value: object, dimensions: int) -> bool:
    return isinstance(value, Tensor) and value.dim() == dimensions and len(value) == 1 and value.numel() > 0


def _as_map(tensor: Tensor, size: tuple[int, int], reading: Reading) -> SegmentationMap | Grid | None:
    """Read a tensor as maps of the classes where its proportions are those of the batch."""
    if tensor.dim() == 3 and _spans(tensor.shape[1:], size):  # (B, h, w)
        return _as_map(tensor[:, None], size, reading)
    if tensor.dim() == 3 and tensor.is_floating_point():
        return _of_tokens(tensor[0].float(), size)
    if tensor.dim() != 4:
        return None
    values = tensor[0]
    if not _spans(values.shape[1:], size) and _spans(values.shape[:2], size):
        values = values.permute(2, 0, 1)  # (h, w, C)
    if not values.is_floating_point():
        return _of_indices(values, reading) if len(values) == 1 else None
    values = values.float()
    if not _spans(values.shape[1:], size):
        return Grid(values)
    if len(values) == 1 and reading.classes != 1:
        other = 1 - values if reading.ending == "shares" else torch.zeros_like(values)
        values = torch.cat([other, values])  # softmax of (0, x) is the sigmoid of x
    return SegmentationMap(values, reading.ending)


def _spans(sides: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Say whether a map has the proportions of the batch, to within one row or column."""
    (height, width), (rows, columns) = sides, size
    return min(height, width) > 0 and abs(height * columns - width * rows) <= max(rows, columns)


def _of_indices(values: Tensor, reading: Reading) -> SegmentationMap:
    """Read a finished mask (1, h, w): each pixel is wholly of its class."""
    mask = values[0].long().clamp_(min=0)
    count = reading.classes or max(2, int(mask.max()) + 1)
    mask = mask.clamp_(max=count - 1)
    return SegmentationMap(functional.one_hot(mask, count).permute(2, 0, 1).float(), "shares")


def laid_out(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    """See what a layer put out as maps (1, C, h, w): a table of tokens (1, N, C), or maps (1, h, w, C), by proportions.

    Args:
        tensor: batch first.
        size: (height, width) of the batch, pixels.

    Returns:
        The maps, without tokens that have no place in the picture; the tensor itself where it is neither.
    """
    if tensor.dim() == 3 and len(tensor) == 1 and tensor.is_floating_point():
        grid = _of_tokens(tensor[0], size)
        return tensor if grid is None else grid.values[None]
    if tensor.dim() == 4 and len(tensor) == 1 and min(tensor.shape) > 0:
        _, first, middle, last = tensor.shape
        if not _spans((middle, last), size) and _spans((first, middle), size):
            return tensor.permute(0, 3, 1, 2)
    return tensor


def laid_out_shape(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape, without the batch dimension, in which :func:`laid_out` shows a tensor of a shape."""
    return tuple(laid_out(torch.empty(shape, device="meta"), size).shape[1:])


def _of_tokens(table: Tensor, size: tuple[int, int]) -> Grid | None:
    """Lay a table of tokens (N, C) out as maps where N, or N less some leading tokens, has the batch's proportions."""
    for extra in EXTRA:
        count = len(table) - extra
        height = round((count * size[0] / size[1]) ** 0.5) if count > 0 else 0
        if height > 1 and count % height == 0 and _spans((height, count // height), size):
            return Grid(table[extra:].T.reshape(-1, height, count // height))
    return None


def _of_queries(classes: Tensor, masks: Tensor, size: tuple[int, int], kind: str) -> SegmentationMap:
    """Add up masks, each as much of a class as its query says; the last class, which is none, is left out.

    Args:
        classes: (Q, K + 1) logits.
        masks: (Q, h, w) logits.
        size: (height, width) of the batch.
        kind: name of the output's type; some post-processing enlarges the masks first.

    Source: Cheng et al. 2021, "Per-Pixel Classification is Not All You Need", https://arxiv.org/abs/2107.06278
    """
    enlarged = MASK2FORMER if kind.startswith("Mask2Former") else size if kind.startswith("Eomt") else None
    if enlarged:
        masks = functional.interpolate(masks[None], enlarged, mode="bilinear", align_corners=False)[0]
    shares = torch.einsum("qc,qhw->chw", classes.softmax(-1)[:, :-1], masks.sigmoid())
    return SegmentationMap(shares, "shares")


def _of_boxes(output: object, size: tuple[int, int]) -> SegmentationMap | None:
    """Read boxes with mask coefficients, (1, 4 + K + M, A), and prototypes (1, M, h, w), as YOLO's -seg networks do.

    A pixel is as much of a class as the most certain mask of it there says, and background otherwise.
    """
    if isinstance(output, tuple | list) and output and isinstance(output[0], tuple | list):
        output = [*output[0], *output[1:]]  # what was worked out for an answer comes first, in a group of its own
    if not (isinstance(output, tuple | list) and output and _is(output[0], 3)):
        return None
    boxes = output[0][0].float()
    protos = [tensor[0].float() for _, tensor in leaves(list(output[1:])) if _is(tensor, 4)]
    heads = [tensor for _, tensor in leaves(list(output[1:])) if _is(tensor, 3) and tensor.shape[2] == boxes.shape[1]]
    proto = next((one for one in protos if any(tensor.shape[1] == len(one) for tensor in heads)), None)
    if proto is None or not _spans(proto.shape[1:], size) or len(boxes) <= 4 + len(proto):
        return None
    count = len(boxes) - 4 - len(proto)
    best, kind = boxes[4 : 4 + count].max(0)
    corners = torch.cat([boxes[:2] - boxes[2:4] / 2, boxes[:2] + boxes[2:4] / 2]).T  # (A, 4): left, top, right, bottom
    shares = proto.new_zeros(count + 1, *proto.shape[1:])
    for index in _kept(corners, best, kind):
        mask = (boxes[4 + count :, index] @ proto.flatten(1)).view(proto.shape[1:]).sigmoid() * best[index]
        left, top, right, bottom = _in_cells(corners[index], proto.shape[1:], size)
        part = shares[1 + int(kind[index]), top:bottom, left:right]
        torch.maximum(part, mask[top:bottom, left:right], out=part)
    shares[0] = 1 - shares[1:].amax(0)
    return SegmentationMap(shares, "shares")


def _kept(corners: Tensor, best: Tensor, kind: Tensor) -> list[int]:
    """Return which boxes are kept, the most certain first: certain enough, and not over a better one of their class."""
    kept: list[int] = []
    left = best.argsort(descending=True)
    left = left[best[left] > CONFIDENCE]
    while len(left) and len(kept) < MOST_BOXES:
        first, rest = left[0], left[1:]
        kept.append(int(first))
        left = rest[(kind[rest] != kind[first]) | (_overlap(corners[first], corners[rest]) <= OVERLAP)]
    return kept


def _overlap(box: Tensor, others: Tensor) -> Tensor:
    """Return the intersection of a box with each of others over their union, (N,)."""
    sides = torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])
    both = sides.clamp_(min=0).prod(1)
    return both / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - both + 1e-9)


def _in_cells(box: Tensor, cells: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a box in whole cells of the prototypes, as far as their middles lie in it."""
    scale = box.new_tensor([cells[1] / size[1], cells[0] / size[0]] * 2)
    left, top, right, bottom = (box * scale).ceil().clamp_(min=0).long().tolist()
    return left, top, right, bottom


def _told(output: object) -> str:
    """Say in a few words what came."""
    tensors = [f"{leaf or 'a tensor'} {tuple(tensor.shape)}".strip() for leaf, tensor in leaves(output)]
    if not tensors:
        return described(output) if not isinstance(output, tuple | list | Mapping) else f"{described(output)} of none"
    return ("" if isinstance(output, Tensor) else f"{described(output)} of ") + ", ".join(tensors[:4])


@contextmanager
def forwarding(network: nn.Module, batch: Tensor, title: str = "The network") -> Iterator[None]:
    """Turn whatever a network raises in its forward pass into one sentence.

    Args:
        network: the network.
        batch: what it is given.
        title: of the network.

    Raises:
        InputError: ``network_inputs``, ``network_channels``, ``network_memory``, ``network_failed``.
    """
    try:
        yield
    except (InputError, Cancelled):
        raise
    except (Exception, SystemExit) as error:  # code of a stranger
        raise _refusal(network, batch, title, error) from error


def _refusal(network: nn.Module, batch: Tensor, title: str, error: BaseException) -> InputError:
    text = " ".join(str(error).split())
    needed = inputs_of(network)
    channels = re.search(r"expected input\[.*\] to have (\d+) channels, but got (\d+) channels", text)
    if isinstance(error, TypeError) and len(needed) > 1:
        return InputError(
            "network_inputs",
            "{network} takes {count} inputs, {names}; a picture is one. Wrap it in a module whose forward() takes the "
            "batch alone and fills in the others.",
            network=title,
            count=len(needed),
            names=", ".join(needed),
        )
    if channels and batch.shape[1] == int(channels[2]):
        return InputError(
            "network_channels",
            "{network} takes pictures of {wanted} channels, and {given} came. 3 and 1 can be given. Set `channels` of "
            "its preprocessing, or wrap it in a module that makes {wanted} channels of 3.",
            network=title,
            wanted=int(channels[1]),
            given=int(channels[2]),
        )
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in text:
        return InputError(
            "network_memory",
            "{network} needs more memory than there is for a batch of {shape}. Choose a smaller working size.",
            network=title,
            shape=" × ".join(map(str, batch.shape)),
        )
    return InputError(
        "network_failed",
        "{network} could not be run on a batch of {shape}: it raised {kind}: {said}. Try another working size, or mend "
        "the network.",
        network=title,
        shape=" × ".join(map(str, batch.shape)),
        kind=type(error).__name__,
        said=text[:SAID].rstrip(".") or "nothing",
    )


def inputs_of(network: nn.Module) -> list[str]:
    """Return the names of what a network's ``forward`` cannot do without."""
    forward: Callable[..., Any] = network.forward
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [one.name for one in parameters if one.default is inspect.Parameter.empty and one.kind in kinds]
