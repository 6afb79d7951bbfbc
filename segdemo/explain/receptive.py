"""What of a picture each value of a layer can see: exact arithmetic on every operation, nothing is computed.

A value of a map depends on a rectangle of the batch. Rows and columns are followed apart: for every row of a map the
first and the last row of the batch that reaches it, and the same for columns. Where paths join, the rectangle around
both counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from segdemo import ambient
from segdemo.activations import capture
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.images import place
from segdemo.networks import Network

NEVER = 1 << 40  # first row of what depends on nothing; its last is the negative
Taps = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Reach:
    """What of one side of the batch reaches each place along one side of a map.

    Args:
        first: (n,) int64, the first row, or column, of the batch; ``NEVER`` where nothing reaches the place.
        last: (n,) int64, the last one.
    """

    first: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        """Count the places."""
        return len(self.first)

    def all(self, places: int = 1) -> Reach:
        """Return what reaches any of the places, for so many places."""
        return Reach(np.full(places, self.first.min()), np.full(places, self.last.max()))

    def joined(self, other: Reach) -> Reach:
        """Return what reaches a place on either of two ways; a single place stands for all."""
        return Reach(np.minimum(self.first, other.first), np.maximum(self.last, other.last))

    def through(self, places: int, taps: Taps) -> Reach:
        """Return what reaches the places behind a window.

        Args:
            places: how many there are behind it.
            taps: for each tap of the window, which place before it each place behind it looks at, and whether it does.
        """
        found = Reach(np.full(places, NEVER), np.full(places, -NEVER))
        for index, there in taps:
            there = there & (index >= 0) & (index < len(self))
            safe = np.where(there, index, 0)
            tap = Reach(np.where(there, self.first[safe], NEVER), np.where(there, self.last[safe], -NEVER))
            found = found.joined(tap)
        return found


@dataclass(frozen=True)
class Field:
    """What of the batch reaches the values of a tensor.

    Args:
        rows: of the batch, along the tensor's dimension ``dims[0]``.
        columns: of the batch, along ``dims[1]``.
        dims: which dimensions of the tensor are its height and width, counted from the end; None where it has lost
            them, as a flattened one has: then rows and columns have one place, which stands for all of it.
        exact: False where an operation is not known, and everything is taken to depend on everything.
    """

    rows: Reach
    columns: Reach
    dims: tuple[int, int] | None = (-2, -1)
    exact: bool = True

    def blurred(self, *, exact: bool | None = None) -> Field:
        """Return the rectangle around all of it, for a tensor without height and width."""
        return Field(self.rows.all(), self.columns.all(), None, self.exact if exact is None else exact)

    def box(self, cell: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the rectangle that one value sees.

        Args:
            cell: (column, row) in the map.

        Returns:
            (left, top, right, bottom) in pixels of the batch, right and bottom behind it; all 0 where it sees nothing.
        """
        column, row = (0, 0) if self.dims is None else cell
        top, left = int(self.rows.first[row]), int(self.columns.first[column])
        bottom, right = int(self.rows.last[row]) + 1, int(self.columns.last[column]) + 1
        return (left, top, right, bottom) if left < right and top < bottom else (0, 0, 0, 0)


def whole_of(height: int, width: int) -> Field:
    """Return the field of a batch: each pixel sees itself.

    Args:
        height: of the batch, pixels.
        width: of the batch, pixels.
    """
    rows, columns = np.arange(height), np.arange(width)
    return Field(Reach(rows, rows), Reach(columns, columns))


# ---- windows: which places before an operation the places behind it look at


def _window(places: int, kernel: int, stride: int, padding: int, dilation: int) -> Taps:
    """Yield the taps of a convolution, or of pooling."""
    start = np.arange(places) * stride - padding
    for tap in range(kernel):
        yield start + tap * dilation, np.ones(places, bool)


def _transposed(places: int, kernel: int, stride: int, padding: int, dilation: int) -> Taps:
    """Yield the taps of a transposed convolution: place o gets tap k of place i where o = i stride + k dilation - p."""
    at = np.arange(places) + padding
    for tap in range(kernel):
        index, rest = np.divmod(at - tap * dilation, stride)
        yield index, rest == 0


def _adaptive(places: int, before: int) -> Taps:
    """Yield the taps of pooling to a fixed size: place i takes from floor(i n / m) to ceil((i + 1) n / m)."""
    at = np.arange(places)
    first, end = at * before // places, -(-(at + 1) * before // places)
    for tap in range(int((end - first).max())):
        yield first + tap, first + tap < end


def _enlarged(places: int, before: int, kind: str, *, align_corners: bool) -> Taps:
    """Yield the taps of interpolation; those of weight 0 do not count."""
    at = np.arange(places)
    if kind == "nearest":
        yield at * before // places, np.ones(places, bool)
        return
    # as a fraction, numerator over denominator, so that "exactly on a place" is exact
    top, bottom = (at * (before - 1), places - 1) if align_corners else ((2 * at + 1) * before - places, 2 * places)
    if bottom == 0:
        top, bottom = np.zeros_like(at), 1
    if kind == "bilinear":
        top = np.maximum(top, 0)
    base, rest = np.divmod(top, bottom)
    for tap in (0, 1) if kind == "bilinear" else (-1, 0, 1, 2):
        yield np.clip(base + tap, 0, before - 1), (rest != 0) | (tap == 0)


# ---- rules: what an operation makes of the fields of what goes in


def _pair(value: Any, otherwise: int) -> tuple[int, int]:
    """Read a size given for height and width, as one number, two, or none."""
    values = [value] if isinstance(value, int) else list(value or [otherwise])
    return int(values[0]), int(values[-1])


def _behind(field: Field, output: Tensor, taps: Callable[[int, int, int], Taps]) -> Field:
    """Send a field through a window.

    Args:
        field: before it.
        output: has the height and width behind it.
        taps: made from 0 for rows or 1 for columns, the places behind and the places before.
    """
    if field.dims != (-2, -1):
        return _spread(field.blurred(), output)
    height, width = int(output.shape[-2]), int(output.shape[-1])
    return Field(
        field.rows.through(height, taps(0, height, len(field.rows))),
        field.columns.through(width, taps(1, width, len(field.columns))),
        exact=field.exact,
    )


def _spread(field: Field, output: Tensor) -> Field:
    """Give maps made of what has no height and width the same rectangle at every place."""
    if output.dim() < 4:
        return field
    return Field(field.rows.all(output.shape[-2]), field.columns.all(output.shape[-1]), exact=field.exact)


def _convolution(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    weight, stride, padding, dilation, transposed = (*arguments[1:2], *arguments[3:7])
    if output.dim() != 4:
        return field.blurred(exact=False)
    sizes = [(_pair(weight.shape[2:], 1)[axis], *(_pair(one, 1)[axis] for one in (stride, padding, dilation)))
             for axis in (0, 1)]  # fmt: skip
    window = _transposed if transposed else _window
    return _behind(field, output, lambda axis, places, before: window(places, *sizes[axis]))


def _pooling(field: Field, output: Tensor, arguments: Sequence[Any], *, dilated: bool) -> Field:
    kernel = _pair(arguments[1], 1)
    given = [*arguments[2:], None, None, None]
    stride = _pair(given[0], 0) if given[0] else kernel
    padding, dilation = _pair(given[1], 0), _pair(given[2], 1) if dilated else (1, 1)
    return _behind(
        field,
        output,
        lambda axis, places, before: _window(places, kernel[axis], stride[axis], padding[axis], dilation[axis]),
    )


def _resized(field: Field, output: Tensor, arguments: Sequence[Any], kind: str) -> Field:
    aligned = kind != "nearest" and bool(arguments[2])
    return _behind(field, output, lambda axis, places, before: _enlarged(places, before, kind, align_corners=aligned))


def _reduced(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    """Mean, sum, maximum over dimensions."""
    source: Tensor = arguments[0]
    asked = arguments[1] if len(arguments) > 1 else None
    over = [asked] if isinstance(asked, int) else list(asked or range(source.dim()))
    dims = {(dim - source.dim()) if dim >= 0 else dim for dim in over}
    if field.dims is None or output.dim() != source.dim():
        return _spread(field.blurred(), output)
    rows = field.rows.all() if field.dims[0] in dims else field.rows
    columns = field.columns.all() if field.dims[1] in dims else field.columns
    return Field(rows, columns, field.dims, field.exact)


def _sliced(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    source: Tensor = arguments[0]
    given = dict(enumerate(arguments[1:]))  # dimension, start, end, step
    dim, start, step = given.get(0, 0), given.get(1), given.get(3, 1)
    dim = dim - source.dim() if dim >= 0 else dim
    if field.dims is None or dim not in field.dims:
        return field
    length = source.shape[dim]
    begin = min(max((start or 0) + (length if (start or 0) < 0 else 0), 0), length)
    at = begin + np.arange(output.shape[dim]) * step

    def cut(reach: Reach) -> Reach:
        return Reach(reach.first[at], reach.last[at])

    if dim == field.dims[0]:
        return Field(cut(field.rows), field.columns, field.dims, field.exact)
    return Field(field.rows, cut(field.columns), field.dims, field.exact)


def _padded(field: Field, output: Tensor, arguments: Sequence[Any], kind: str) -> Field:
    """Padding, negative where it cuts; also mirrored and repeated."""
    width = [*arguments[1], 0, 0, 0, 0]

    def taps(axis: int, places: int, before: int) -> Taps:
        at = np.arange(places) - width[2 if axis == 0 else 0]
        if kind == "reflection":
            at = np.abs(at)
            at = np.where(at >= before, 2 * (before - 1) - at, at)
        elif kind == "replication":
            at = np.clip(at, 0, before - 1)
        yield at, np.ones(places, bool)

    return _behind(field, output, taps)


def _turned(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    """Permutation of the dimensions."""
    if field.dims is None:
        return field
    order = [dim % output.dim() for dim in arguments[1]]
    rows, columns = (order.index(dim % output.dim()) - output.dim() for dim in field.dims)
    return Field(field.rows, field.columns, (rows, columns), field.exact)


def _swapped(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    """Two dimensions exchanged."""
    order = list(range(output.dim()))
    one, other = (dim % output.dim() for dim in arguments[1:3])
    order[one], order[other] = order[other], order[one]
    return _turned(field, output, (arguments[0], order))


def _joined(fields: Sequence[Field | None], outputs: Tensor, arguments: Sequence[Any]) -> Field:
    """Concatenation."""
    tensors: Sequence[Tensor] = arguments[0]
    dim = arguments[1] if len(arguments) > 1 else 0
    dim = dim - outputs.dim() if dim >= 0 else dim
    known = [field for field in fields if field is not None]
    if any(field.dims is None or dim in field.dims for field in known) or any(
        t.dim() != outputs.dim() for t in tensors
    ):
        return _spread(_together(known).blurred(), outputs)
    return _together(known)


def _together(fields: Sequence[Field]) -> Field:
    """Unite the fields of what an operation takes place by place."""
    shared = {field.dims for field in fields if field.dims is not None}
    if len(shared) > 1:
        fields = [field.blurred() for field in fields]
        shared = set()
    rows, columns = fields[0].rows, fields[0].columns
    for field in fields[1:]:
        rows, columns = rows.joined(field.rows), columns.joined(field.columns)
    return Field(rows, columns, next(iter(shared), None), all(field.exact for field in fields))


def _viewed(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    """Another shape: height and width stay where both are the last two dimensions as before."""
    source: Tensor = arguments[0]
    if field.dims == (-2, -1) and output.dim() >= 2 and source.shape[-2:] == output.shape[-2:]:
        return field
    if field.dims is not None and output.shape == source.shape:
        return field
    # what is put together again from single rows and columns has lost them
    return _spread(field.blurred(), output)


def _normalised(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    """Softmax and its like, along one dimension."""
    dim = arguments[1] - output.dim() if arguments[1] >= 0 else arguments[1]
    return Field(
        field.rows.all(len(field.rows)) if field.dims and dim == field.dims[0] else field.rows,
        field.columns.all(len(field.columns)) if field.dims and dim == field.dims[1] else field.columns,
        field.dims,
        field.exact,
    )


def _everything(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    """Normalisation over a whole map, or a product of matrices: each value depends on all."""
    return _spread(field.blurred(), output)


RULES: dict[str, Callable[[Field, Tensor, Sequence[Any]], Field]] = {
    "convolution": _convolution,
    "max_pool2d_with_indices": partial(_pooling, dilated=True),
    "avg_pool2d": partial(_pooling, dilated=False),
    **dict.fromkeys(
        ("_adaptive_avg_pool2d", "adaptive_max_pool2d"),
        lambda field, output, arguments: _behind(field, output, lambda _, places, before: _adaptive(places, before)),
    ),
    "upsample_bilinear2d": partial(_resized, kind="bilinear"),
    "upsample_bicubic2d": partial(_resized, kind="bicubic"),
    "upsample_nearest2d": partial(_resized, kind="nearest"),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduced),
    "slice": _sliced,
    "constant_pad_nd": partial(_padded, kind="constant"),
    "reflection_pad2d": partial(_padded, kind="reflection"),
    "replication_pad2d": partial(_padded, kind="replication"),
    "permute": _turned,
    "transpose": _swapped,
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "flatten"), _viewed),
    **dict.fromkeys(("_softmax", "_log_softmax"), _normalised),
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm", "native_group_norm", "t"), _everything),
}
WITHIN = {  # operations that leave each value where it is
    "relu",
    "relu6",
    "hardtanh",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "hardswish",
    "hardsigmoid",
    "sigmoid",
    "tanh",
    "mish",
    "softplus",
    "prelu",
    "clamp",
    "clamp_min",
    "clamp_max",
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "exp",
    "log",
    "sqrt",
    "rsqrt",
    "pow",
    "abs",
    "maximum",
    "minimum",
    "where",
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit",
    "cudnn_batch_norm",
    "_to_copy",
    "clone",
    "copy",
    "detach",
    "alias",
    "contiguous",
    "expand",
    "dropout",
    "native_dropout",
    "bernoulli",
    "bernoulli_",
    "zeros_like",
    "ones_like",
    "full_like",
    "fill",
    "zero",
    "lift_fresh",
    "split",
    "split_with_sizes",
    "chunk",
    "erf",
    "sign",
    "round",
    "floor",
    "lerp",
    "addcmul",
    "native_layer_norm",
}


class _Following(TorchDispatchMode):
    """Lets every operation run on PyTorch's meta device, which computes nothing, and follows the fields through it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields: dict[tuple[Any, ...], Field] = {}
        self._alive: list[Tensor] = []  # what a key is made of belongs to one tensor as long as it lives

    def know(self, tensor: Tensor, field: Field) -> None:
        """Remember the field of a tensor."""
        self._alive.append(tensor)
        self._fields[_key(tensor)] = field

    def field(self, tensor: Tensor) -> Field | None:
        """Return the field of a tensor, None where the batch has no part in it."""
        return self._fields.get(_key(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one operation."""
        keywords = dict(kwargs or {})
        if "device" in keywords:
            keywords["device"] = torch.device("meta")
        fields = [self.field(tensor) for tensor in _tensors([*args, *keywords.values()])]
        output = func(*(_hollow(one) for one in args), **{name: _hollow(one) for name, one in keywords.items()})
        known = [field for field in fields if field is not None]
        if known:
            for tensor in _tensors([output]):
                self.know(tensor, self._behind(func, fields, known, tensor, args))
        return output

    def _behind(
        self, func: Any, fields: Sequence[Field | None], known: Sequence[Field], output: Tensor, args: Sequence[Any]
    ) -> Field:
        name = func.overloadpacket.__name__
        plain = name.removesuffix("_") if name not in RULES and name not in WITHIN else name
        if plain == "cat":
            return _joined(fields, output, args)
        if plain in RULES:
            return RULES[plain](known[0] if len(known) == 1 else _together_any(known), output, args)
        if plain in WITHIN and not (plain.startswith("split") or plain == "chunk"):
            return self._within(known, output)
        if plain in WITHIN and known[0].dims is not None and self._fits(known[0], output):
            return known[0]
        return _spread(_together_any(known).blurred(exact=False), output)

    def _within(self, known: Sequence[Field], output: Tensor) -> Field:
        together = _together(known)
        if together.dims is not None and not self._fits(together, output):
            together = _stretched(together, output)
        return _spread(together, output) if together.dims is None else together

    @staticmethod
    def _fits(field: Field, output: Tensor) -> bool:
        assert field.dims is not None
        return (
            output.dim() >= max(-dim for dim in field.dims)
            and output.shape[field.dims[0]] == len(field.rows)
            and output.shape[field.dims[1]] == len(field.columns)
        )


def _key(tensor: Tensor) -> tuple[Any, ...]:
    """Tell a tensor from others: autograd may hand on a view as another object than the operation made."""
    if tensor.device.type != "meta":
        return (id(tensor),)
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def _stretched(field: Field, output: Tensor) -> Field:
    """Give what was one place, and was expanded, its places."""
    assert field.dims is not None
    if output.dim() < max(-dim for dim in field.dims):  # such as the means that batch normalisation puts out beside
        return field.blurred()
    sides = [int(output.shape[dim]) for dim in field.dims]
    if any(len(reach) not in (1, side) for reach, side in zip((field.rows, field.columns), sides, strict=True)):
        return _spread(field.blurred(exact=False), output)
    rows, columns = (
        reach if len(reach) == side else reach.all(side)
        for reach, side in zip((field.rows, field.columns), sides, strict=True)
    )
    return Field(rows, columns, field.dims, field.exact)


def _together_any(fields: Sequence[Field]) -> Field:
    """Unite fields also where their shapes do not agree."""
    sizes = {(field.dims, len(field.rows), len(field.columns)) for field in fields}
    return _together(fields if len(sizes) == 1 else [field.blurred() for field in fields])


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _hollow(value: Any) -> Any:
    """Return a tensor of the same shape that holds nothing."""
    if isinstance(value, list | tuple):
        return type(value)(_hollow(one) for one in value)
    if isinstance(value, Tensor) and value.device.type != "meta":
        return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
    return value


@contextmanager
def following(height: int, width: int, channels: int) -> Iterator[tuple[_Following, Tensor]]:
    """Follow the fields of a batch that holds nothing, as long as the block lasts."""
    with ambient.plain(), torch.inference_mode(False), torch.no_grad():
        batch = torch.empty(1, channels, height, width, device="meta")
        follower = _Following()
        follower.know(batch, whole_of(height, width))
        with follower:
            yield follower, batch


def fields_of(
    network: nn.Module, layers: Iterable[str], height: int, width: int, channels: int = 3
) -> dict[str, tuple[Field | None, tuple[int, ...]]]:
    """Work out what of a batch reaches the values that layers put out; no value is computed.

    Args:
        network: in evaluation mode, on whatever device; it is left as it is.
        layers: dotted names of modules; of one that is called several times, the first call counts.
        height: of the batch, pixels.
        width: of the batch, pixels.
        channels: of the batch.

    Returns:
        Layer → its field, None where the batch has no part in it, and the shape that it puts out.

    Raises:
        InputError: the network cannot be followed, as one that looks at values cannot.
    """
    with following(height, width, channels) as (follower, batch):

        def found(tensor: Tensor) -> tuple[Field | None, tuple[int, ...]]:
            return follower.field(tensor), tuple(tensor.shape)

        with capture(network, list(layers), reduce=found) as seen:
            try:
                network(batch)
            except InputError:
                raise
            except Exception as error:  # code of a stranger, run without values
                raise InputError(
                    "not_followed",
                    "The receptive fields of this network cannot be worked out: it does not run without values "
                    "({reason}). The other figures do not need them.",
                    reason=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200],
                ) from error
    first: dict[str, tuple[Field | None, tuple[int, ...]]] = {}
    for key, value in seen.items():
        first.setdefault(seen._spoken[key].name, value)
    return first


CANVAS = 2048  # pixels; what sees all of so large a batch is said to see all of any


@dataclass(frozen=True)
class StageReach:
    """What a stage can see.

    Args:
        label: of the stage.
        layer: its dotted name.
        shape: that it puts out, without the batch dimension.
        field: of the batch of this picture, cut at its borders; None where the picture has no part in it.
        largest: (width, height) of what one value sees where no border is near, pixels of the batch; a side is None
            where it sees all of a batch however large; None where the network takes no larger batch.
    """

    label: str
    layer: str
    shape: tuple[int, ...]
    field: Field | None
    largest: tuple[int | None, int | None] | None

    def box(self, cell: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return what one value sees, (left, top, right, bottom) in pixels of the batch; all 0 for nothing."""
        return (0, 0, 0, 0) if self.field is None else self.field.box(cell)


@dataclass(frozen=True)
class ReceptiveFields(Question):
    """Ask what of a picture each value of each stage can see; no value is computed for it.

    Args:
        network: its name.
        size: input size in pixels; None takes the network's own.
        picture_size: (width, height) in pixels of a picture, which decides the shapes; None stands for a square one.
        step: has no influence; every question about a network has one.
    """

    network: str
    size: int | None = None
    picture_size: tuple[int, int] | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> tuple[StageReach, ...]:
        """Follow the network for this picture, and for a large one."""
        spec = bench.spec
        width, height = place(self.picture_size or (bench.size, bench.size), spec.preprocessing, bench.size).padded
        layers = [stage.layer for stage in spec.stages]
        here = fields_of(bench.module, layers, height, width, spec.preprocessing.channels)
        large = largest_of(bench.module, spec, layers)
        return tuple(
            StageReach(stage.label, stage.layer, here[stage.layer][1][1:], here[stage.layer][0], large.get(stage.layer))
            for stage in spec.stages
        )


def largest_of(module: nn.Module, spec: Network, layers: list[str]) -> dict[str, tuple[int | None, int | None]]:
    """Work out how much one value of each layer sees where no border is near.

    Args:
        module: the network.
        spec: what is known of it.
        layers: dotted names.

    Returns:
        Layer → (width, height) as in :class:`StageReach`; empty where the network takes no large batch.
    """
    rule = spec.preprocessing
    if len(rule.sizes) == 1:
        return {}
    side = (CANVAS - rule.remainder) // rule.stride * rule.stride + rule.remainder
    try:
        found = fields_of(module, layers, side, side, rule.channels)
    except InputError:
        return {}

    def extent(reach: Reach) -> int | None:
        most = int((reach.last - reach.first).max()) + 1
        return None if most >= side else max(most, 0)

    return {
        layer: (extent(field.columns), extent(field.rows)) for layer, (field, _) in found.items() if field is not None
    }


__all__ = [
    "CANVAS",
    "Field",
    "Reach",
    "ReceptiveFields",
    "StageReach",
    "fields_of",
    "following",
    "largest_of",
    "whole_of",
]
