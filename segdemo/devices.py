"""Where networks compute, and how precisely: what a person may ask for, checked."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from segdemo.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
Precision = Literal["float32", "bfloat16", "float16"]


def device_called(word: str) -> torch.device:
    """Return a device by its name.

    Args:
        word: of ``DEVICES``, or with a number, as ``cuda:1``; ``"auto"`` is the fastest that this machine has.

    Raises:
        InputError: there is none of that name, or this machine has none.
    """
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if word == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    kind, colon, number = word.partition(":")
    if kind not in there or (colon and not (number.isascii() and number.isdecimal() and len(number) < 4)):
        raise InputError(
            "unknown_device",
            "{word!r} is no device. Choose one of {devices}.",
            word=word[:60],
            devices=", ".join(DEVICES),
        )
    if int(number or 0) >= there[kind]:
        raise InputError(
            "device_missing",
            "This machine, or the PyTorch installed here, has no device {word}. Take auto, which uses the fastest that "
            "there is, or cpu.",
            word=word,
        )
    return torch.device(word)


def check_precision(word: str) -> None:
    """Make sure that networks can be asked to compute like this.

    Raises:
        InputError: there is no such precision.
    """
    if word not in PRECISIONS:
        raise InputError(
            "unknown_precision",
            "{word!r} is no precision. Choose one of {precisions}.",
            word=word[:60],
            precisions=", ".join(PRECISIONS),
        )


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Compute in half precision, as long as the block lasts, wherever PyTorch thinks it safe; in float32 otherwise.

    Args:
        precision: of ``PRECISIONS``.
        device: on which.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, PRECISIONS[precision])


def precision_on(device: torch.device) -> str:
    """Return in which precision a pass on a device computes now: ``"float32"``, or the half that was asked for."""
    if not torch.is_autocast_enabled(device.type):
        return "float32"
    return str(torch.get_autocast_dtype(device.type)).removeprefix("torch.")
