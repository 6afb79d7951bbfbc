"""Logits before the last step of a network that only enlarges them: all there is to send, a sixtieth of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segdemo import ambient
from segdemo.cache import freeze
from segdemo.hooks import hooked
from segdemo.networks.blocks import Resize


@dataclass(frozen=True)
class Enlarged:
    """What a network enlarged at its end, and how.

    Args:
        values: (K, h, w) float32.
        size: (height, width) that they were enlarged to.
        align_corners: as for ``torch.nn.functional.interpolate``.
        channels_last: how they lay in memory, which decides the last bits.
    """

    values: np.ndarray
    size: tuple[int, int]
    align_corners: bool
    channels_last: bool

    def part(self, rows: int, columns: int) -> np.ndarray:
        """Enlarge them again, and return the part from the top left, (K, rows, columns) float32."""
        with ambient.plain(), ambient.alone_after_fork(), torch.inference_mode():
            form = torch.channels_last if self.channels_last else torch.contiguous_format
            batch = torch.from_numpy(self.values.copy())[None].contiguous(memory_format=form)
            whole = Resize(align_corners=self.align_corners)(batch, self.size)[0]
            return whole[:, :rows, :columns].contiguous().numpy()

    def gives(self, logits: np.ndarray) -> bool:
        """Say whether logits (K, rows, columns) are a part of them, bit for bit."""
        if logits.shape[0] != self.values.shape[0] or any(np.array(logits.shape[1:]) > self.size):
            return False
        return np.array_equal(self.part(*logits.shape[1:]).view(np.uint32), logits.view(np.uint32))


class Last:
    """The last enlargement of a pass."""

    def __init__(self) -> None:
        self._seen: tuple[Resize, Tensor, Tensor] | None = None

    def note(self, module: Resize, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Be the forward hook of a module that enlarges."""
        self._seen = (module, inputs[0], output)

    def of(self, returned: object) -> Enlarged | None:
        """Return what was enlarged to what the network returned, None where it ended otherwise."""
        if self._seen is None or self._seen[2] is not returned:
            return None
        module, values, output = self._seen
        if output.shape[0] != 1 or 2 * values.numel() > output.numel() or output.dtype != torch.float32:
            return None
        return Enlarged(
            freeze(values[0].float().contiguous().cpu().numpy()),
            (output.shape[2], output.shape[3]),
            module.align_corners,
            not values.is_contiguous(),
        )


@contextmanager
def last_enlargement(network: nn.Module) -> Iterator[Last]:
    """Look out for what a network enlarges, as long as the block lasts."""
    last = Last()
    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, Resize):
                stack.enter_context(hooked(module, module.register_forward_hook, last.note))
        yield last
