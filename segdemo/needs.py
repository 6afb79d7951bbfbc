"""How much memory a pass of a network would take, found out without taking it: a system that runs out of it kills."""

from __future__ import annotations

import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from segdemo import ambient
from segdemo.errors import InputError
from segdemo.opened import hollow_copy

SPARE = 256 << 20  # bytes left to everything else
NEAR = 1.5  # times the values of a batch that fitted: not looked at again
Shape = tuple[int, int, int, int]

_FITTING: weakref.WeakKeyDictionary[nn.Module, int] = weakref.WeakKeyDictionary()  # values of the largest batch


class _Live(TorchDispatchMode):
    """Adds up the bytes of all tensors that are there at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._now = 0
        self._tensors: Counter[int] = Counter()  # by storage

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        returned = function(*arguments, **(keywords or {}))
        for tensor in tree_leaves(returned):
            if isinstance(tensor, torch.Tensor):
                self._came(tensor)
        return returned

    def _came(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, nbytes = storage._cdata, storage.nbytes()
        if not self._tensors[key]:
            self._now += nbytes
            self.most = max(self.most, self._now)
        self._tensors[key] += 1
        weakref.finalize(tensor, self._went, key, nbytes).atexit = False

    def _went(self, key: int, nbytes: int) -> None:
        self._tensors[key] -= 1
        if not self._tensors[key]:
            del self._tensors[key]
            self._now -= nbytes


def needed(module: nn.Module, shape: Shape) -> int | None:
    """Return the bytes that a pass would take beside the weights, None where only a pass can tell.

    Args:
        module: the network.
        shape: of the batch, (B, C, H, W).
    """
    hollow = hollow_copy(module)
    if hollow is None:
        return None
    with ambient.passing_hollow(), torch.device("meta"):
        batch = torch.empty(shape)
        try:
            with _Live() as live:
                hollow(batch)
        except (Exception, SystemExit):  # code of a stranger, which may ask for values, or not take such a batch
            return None
    return live.most


def available() -> int | None:
    """Return the bytes of memory that this process may still take, None where the system does not say."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text("ascii").strip() for name in ("max", "current"))
        found += [int(limit) - int(used)] if limit.isdecimal() else []
    except (OSError, ValueError):
        pass
    return min(found, default=None)


def check(module: nn.Module, shape: Shape, title: str) -> None:
    """Refuse a pass that would take more memory than there is.

    Args:
        module: the network, on whatever device; only one on the CPU is looked at.
        shape: of the batch, (B, C, H, W).
        title: of the network, for the sentence.

    Raises:
        InputError: ``network_memory``.
    """
    values = shape[0] * shape[1] * shape[2] * shape[3]
    if values <= NEAR * _FITTING.get(module, 0) or ambient.device_of(module).type != "cpu":
        return
    there = available()
    wanted = None if there is None else needed(module, shape)
    if there is not None and wanted is not None and wanted + SPARE > there:
        raise InputError(
            "network_memory",
            "{network} needs more memory than there is for a batch of {shape}. Choose a smaller working size.",
            network=title,
            shape=" × ".join(map(str, shape)),
        )
    _FITTING[module] = max(values, _FITTING.get(module, 0))
