"""What a run needs to go on after an interruption, written so that a file is always whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.optim import Optimizer

from segdemo.errors import InputError

PARTS = {"network", "optimiser", "average", "average_steps", "elapsed", "step", "snapshots", "curves"}  # of a state


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
    """Write weights as safetensors, in float16 if asked.

    Raises:
        InputError: they cannot be written; the file of before is as it was.
    """
    stored = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in sorted(tensors.items())
    }
    with replacing(path) as partial:
        safetensors.torch.save_file(stored, partial, metadata={"format": "pt"})
        partial.chmod(0o644)  # safetensors lets nobody else read its files


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write what a run needs to go on.

    Raises:
        InputError: it cannot be written; the file of before is as it was.
    """
    with replacing(path) as partial:
        torch.save(state, partial)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a name beside a file for what is to take its place; the file of before stays until the new one is whole.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # it may have been removed meanwhile
        yield partial
        partial.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # PyTorch and safetensors have errors of their own
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            "train_unwritable",
            "{path} cannot be written: {reason}. A run needs a folder with room and permission to write; what it saved "
            "before is whole. Make room and go on with --resume, or name another folder with --out.",
            path=path,
            reason=reason.rstrip("."),
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make sure that files can be written into a folder, which need not be there yet; it is left as it was.

    Raises:
        InputError: they cannot.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"probe")
    except OSError as error:
        raise InputError(
            "out_unwritable",
            "Nothing can be written to {folder}: {reason}. A folder with room and permission to write is needed. "
            "Choose another with --out.",
            folder=folder,
            reason=error.strerror or str(error),
        ) from error
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()


def finite(*tensors: dict[str, Tensor]) -> bool:
    """Tell whether all numbers in weights are finite."""
    return all(bool(tensor.isfinite().all()) for group in tensors for tensor in group.values())


def load_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote, without running any code in it.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError("there is no such file")
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing = PARTS - set(state)
        if missing:
            raise KeyError(f"it lacks {', '.join(sorted(missing))}")
        if not finite(state["network"], state["average"]):
            raise ValueError("its weights are not finite numbers")
        return state
    except Exception as error:  # a damaged file can make the reader raise anything
        raise InputError(
            "state_unreadable",
            "{path} cannot be read: {reason}. To resume, a run needs the state that an interrupted run left there. "
            "Start anew without --resume, or name the folder of that run with --out.",
            path=path,
            reason=(str(error).splitlines() or [type(error).__name__])[0],
        ) from error


def restore_state(state: dict[str, Any], network: nn.Module, optimiser: Optimizer, path: Path) -> None:
    """Give a network and its optimiser the state they were saved with.

    Args:
        state: from :func:`load_state`.
        network: learns.
        optimiser: of its parameters.
        path: of the state, for messages.

    Raises:
        InputError: the state is from a run that learned something else.
    """
    try:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        different = state["average"].keys() != network.state_dict().keys()
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError):
        different = True
    if different:
        raise InputError(
            "state_of_another",
            "{path} is from a run with another network or other modules frozen. To resume, a run needs the "
            "--network, --init and --freeze it was started with; run.json beside it has its command.",
            path=path,
        )
