"""What a run needs to go on after an interruption, written so that a file is always whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from segdemo.errors import InputError


class Average:
    """An exponential moving average of all that a network has learned: steadier than the weights of any one step.

    Args:
        network: whose weights and batch statistics are averaged.
        decay: weight of the past in each step; less at the beginning, when the past is not worth much.

    Source: Polyak and Juditsky 1992, https://doi.org/10.1137/0330046
    """

    def __init__(self, network: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.steps = 0
        self.tensors = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.steps += 1
        share = 1 - min(self.decay, self.steps / (self.steps + 10))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, share)
            else:
                self.tensors[name].copy_(tensor)


@contextmanager
def averaged(network: nn.Module, average: Average) -> Iterator[None]:
    """Lend a network the averaged weights, for evaluation."""
    own = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(average.tensors)
    network.eval()
    try:
        yield
    finally:
        network.load_state_dict(own)


def save_weights(tensors: dict[str, Tensor], path: Path, *, half: bool) -> None:
    """Write weights as safetensors, in float16 if asked."""
    stored = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in sorted(tensors.items())
    }
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    safetensors.torch.save_file(stored, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # safetensors lets nobody else read its files
    partial.replace(path)


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write what a run needs to go on; the file of before stays until the new one is whole."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    torch.save(state, partial)
    partial.replace(path)


def load_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote, without running any code in it.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the reader raise anything
        raise InputError(
            "state_unreadable",
            "{path} cannot be read: {reason}. To resume, a run needs the state that an interrupted run left there. "
            "Start anew without --resume, or name the folder of that run with --out.",
            path=path,
            reason=(str(error).splitlines() or [type(error).__name__])[0],
        ) from error
