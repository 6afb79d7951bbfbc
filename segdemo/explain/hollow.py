"""What common operations put out on PyTorch's meta device: shapes alone, without its own rules for them.

Those are written in Python; the first of them that runs imports half a second of PyTorch's compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

PLACEWISE = {
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
    "clamp",
    "clamp_min",
    "add",
    "sub",
    "mul",
    "div",
}
NORMALISING = {"native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"}


def hollow_output(name: str, arguments: Sequence[Any]) -> Any:
    """Return what an operation puts out, None where only PyTorch knows.

    Args:
        name: as PyTorch dispatches it, with ``_`` at its end where it writes into its first argument.
        arguments: tensors on the meta device, and others.
    """
    if name == "cat":
        return _joined(*arguments[:2])
    tensors = [one for one in arguments if isinstance(one, Tensor)]
    if not tensors or any(one.dtype != torch.float32 for one in tensors):
        return None
    first = tensors[0]
    if name.removesuffix("_") in PLACEWISE and isinstance(arguments[0], Tensor):
        shape = np.broadcast_shapes(*(tuple(one.shape) for one in tensors))  # torch's own imports the compiler
        if name.endswith("_"):
            return first
        alike = next((one for one in tensors if one.shape == shape), None)
        return torch.empty(shape, device="meta") if alike is None else _alike(alike)
    if name in NORMALISING:
        return _alike(first), torch.empty(0, device="meta"), torch.empty(0, device="meta")
    if name == "mean" and len(arguments) > 1 and arguments[1]:
        return _averaged(first, *arguments[1:3])
    if name.startswith("upsample_") and name.endswith("2d") and arguments[1]:
        return torch.empty((*first.shape[:2], *arguments[1]), device="meta", memory_format=_format(first))
    if name == "constant_pad_nd" and first.dim() == 4 and len(arguments[1]) == 4:
        left, right, top, bottom = arguments[1]
        sides = first.shape[2] + top + bottom, first.shape[3] + left + right
        return torch.empty((*first.shape[:2], *sides), device="meta", memory_format=_format(first))
    if name == "convolution" and first.dim() == 4:
        return _convolved(arguments)
    return None


def _alike(source: Tensor) -> Tensor:
    return torch.empty_strided(source.shape, source.stride(), device="meta")


def _joined(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first, dims = tensors[0], {one.dim() for one in tensors}
    if dims != {4} or any(one.dtype != torch.float32 for one in tensors):
        return None
    sides = {tuple(side for axis, side in enumerate(one.shape) if axis != dim % 4) for one in tensors}
    if len(sides) > 1:
        return None  # PyTorch says what is wrong
    shape = list(first.shape)
    shape[dim] = sum(one.shape[dim] for one in tensors)
    return torch.empty(shape, device="meta", memory_format=_format(first))


def _format(source: Tensor) -> torch.memory_format:
    last = source.is_contiguous(memory_format=torch.channels_last) and not source.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def _averaged(source: Tensor, over: Sequence[int], keep: bool = False) -> Tensor:
    dims = {dim % source.dim() for dim in over}
    sides = [1 if dim in dims else side for dim, side in enumerate(source.shape) if keep or dim not in dims]
    return torch.empty(sides, device="meta")


def _convolved(arguments: Sequence[Any]) -> Tensor | None:
    source, weight, _, stride, padding, dilation, transposed, more, groups = arguments
    sizes = [
        [one[0], one[-1]] if isinstance(one, list | tuple) else [one, one] for one in (stride, padding, dilation, more)
    ]
    sides = []
    for axis in (0, 1):
        step, pad, apart, extra = (one[axis] for one in sizes)
        before, span = source.shape[2 + axis], apart * (weight.shape[2 + axis] - 1)
        if transposed:
            sides.append((before - 1) * step - 2 * pad + span + extra + 1)
        else:
            sides.append((before + 2 * pad - span - 1) // step + 1)
    taken = weight.shape[0] if transposed else weight.shape[1] * groups
    if source.shape[1] != taken or min(sides) < 1:
        return None  # PyTorch says what is wrong
    return torch.empty(
        (source.shape[0], weight.shape[1] * groups if transposed else weight.shape[0], *sides),
        device="meta",
        memory_format=_format(source),
    )
