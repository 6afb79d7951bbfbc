"""What each operation of PyTorch makes of the fields of what goes into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from segdemo.explain.fields import Field, Reach, Taps, adaptive, enlarged, transposed, window
from segdemo.explain.hollow import PLACEWISE


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
        return spread(field.blurred(), output)
    height, width = int(output.shape[-2]), int(output.shape[-1])
    return Field(
        field.rows.through(height, taps(0, height, len(field.rows))),
        field.columns.through(width, taps(1, width, len(field.columns))),
        exact=field.exact,
    )


def spread(field: Field, output: Tensor) -> Field:
    """Give maps made of what has no height and width the same rectangle at every place."""
    if output.dim() < 4:
        return field
    return Field(field.rows.all(output.shape[-2]), field.columns.all(output.shape[-1]), exact=field.exact)


def _convolution(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    weight, stride, padding, dilation, backwards = (*arguments[1:2], *arguments[3:7])
    if output.dim() != 4:
        return field.blurred(exact=False)
    sizes = [(_pair(weight.shape[2:], 1)[axis], *(_pair(one, 1)[axis] for one in (stride, padding, dilation)))
             for axis in (0, 1)]  # fmt: skip
    of_taps = transposed if backwards else window
    return _behind(field, output, lambda axis, places, before: of_taps(places, *sizes[axis]))


def _pooling(field: Field, output: Tensor, arguments: Sequence[Any], *, dilated: bool) -> Field:
    kernel = _pair(arguments[1], 1)
    given = [*arguments[2:], None, None, None]
    stride = _pair(given[0], 0) if given[0] else kernel
    padding, dilation = _pair(given[1], 0), _pair(given[2], 1) if dilated else (1, 1)
    return _behind(
        field,
        output,
        lambda axis, places, before: window(places, kernel[axis], stride[axis], padding[axis], dilation[axis]),
    )


def _resized(field: Field, output: Tensor, arguments: Sequence[Any], kind: str) -> Field:
    aligned = kind != "nearest" and bool(arguments[2])
    return _behind(field, output, lambda axis, places, before: enlarged(places, before, kind, align_corners=aligned))


def _reduced(field: Field, output: Tensor, arguments: Sequence[Any]) -> Field:
    """Mean, sum, maximum over dimensions."""
    source: Tensor = arguments[0]
    asked = arguments[1] if len(arguments) > 1 else None
    over = [asked] if isinstance(asked, int) else list(asked or range(source.dim()))
    dims = {(dim - source.dim()) if dim >= 0 else dim for dim in over}
    if field.dims is None or output.dim() != source.dim():
        return spread(field.blurred(), output)
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


def joined(fields: Sequence[Field | None], outputs: Tensor, arguments: Sequence[Any]) -> Field:
    """Concatenation."""
    tensors: Sequence[Tensor] = arguments[0]
    dim = arguments[1] if len(arguments) > 1 else 0
    dim = dim - outputs.dim() if dim >= 0 else dim
    known = [field for field in fields if field is not None]
    if any(field.dims is None or dim in field.dims for field in known) or any(
        t.dim() != outputs.dim() for t in tensors
    ):
        return spread(together(known).blurred(), outputs)
    return together(known)


def together(fields: Sequence[Field]) -> Field:
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
    return spread(field.blurred(), output)


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
    return spread(field.blurred(), output)


RULES: dict[str, Callable[[Field, Tensor, Sequence[Any]], Field]] = {
    "convolution": _convolution,
    "max_pool2d_with_indices": partial(_pooling, dilated=True),
    "avg_pool2d": partial(_pooling, dilated=False),
    **dict.fromkeys(
        ("_adaptive_avg_pool2d", "adaptive_max_pool2d"),
        lambda field, output, arguments: _behind(field, output, lambda _, places, before: adaptive(places, before)),
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
WITHIN = PLACEWISE | {  # operations that leave each value where it is
    "softplus",
    "prelu",
    "clamp_max",
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
