"""Pictures from anywhere - files, bytes, other libraries' objects - read into RGB, safely and within bounds."""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segdemo import encoded
from segdemo.encoded import NAMELESS
from segdemo.errors import InputError
from segdemo.notes import Note
from segdemo.pixels import from_values, to_rgb, upright

PictureSource: TypeAlias = (
    "str | os.PathLike[str] | os.PathLike[bytes] | bytes | BinaryIO | Image.Image | NDArray[Any] | Tensor"
)

MAX_MISSING = 0.1  # share of a picture cut short that may be missing
_AT_A_TIME = 2  # pictures decoded, whoever asks


class _Turns:
    """Let a few threads in at a time, and keep Pillow from warning, or raising a warning, while any is inside."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._lock = threading.Lock()
        self._inside = 0
        self._quiet = warnings.catch_warnings()  # of the whole process: entered once, not by each thread

    def __enter__(self) -> None:
        self._free.acquire()
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._quiet = warnings.catch_warnings()
                self._quiet.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._quiet.__exit__(None, None, None)
        self._free.release()


_DECODING = _Turns(_AT_A_TIME)


@dataclass(frozen=True)
class Read:
    """A picture that was read, and what its reader should know.

    Args:
        picture: PIL, RGB, 8 bits.
        notes: how it was scaled, that it was cut short, and the like; mostly empty.
    """

    picture: Image.Image
    notes: tuple[Note, ...] = ()


def load_picture(source: PictureSource, *, name: str | None = None) -> Image.Image:
    """Read a picture of any mode into RGB, upright, its first frame if it has several.

    As :func:`read_picture`, without its notes.

    Args:
        source: as for :func:`read_picture`.
        name: as for :func:`read_picture`.

    Returns:
        A new PIL picture, RGB, 8 bits a channel.

    Raises:
        InputError: it cannot be used.
    """
    return read_picture(source, name=name).picture


def read_picture(source: PictureSource, *, name: str | None = None) -> Read:
    """Read a picture of any mode into RGB, upright, its first frame if it has several.

    Transparent pixels are laid over white, colour profiles converted to sRGB, numbers of more than 8 bits scaled. Size
    and the memory needed are checked before decoding. The source is not changed.

    Args:
        source: path; encoded bytes; open binary file; PIL picture; NumPy array (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4); tensor (C, H, W) or (1, C, H, W) with C 1, 3 or 4, or (H, W). Either layout is understood where
            only one fits. Values: uint8, bool, 16-bit integers, floats in [0, 1] or [0, 255]; others are scaled by
            their range, and a note says so.
        name: what messages call it; None takes the name of the file where there is one.

    Returns:
        A new PIL picture, RGB, 8 bits a channel, at most ``MAX_SIDE`` pixels a side and ``MAX_PIXELS`` in all; and
        notes on how it was read.

    Raises:
        InputError: there is no such file, it is no picture, it is damaged, or it is too large.
    """
    if callable(getattr(source, "read", None)) and not isinstance(source, Image.Image):
        source = _rewindable(source, name or NAMELESS)  # type: ignore[arg-type]
    with _DECODING:
        if isinstance(source, str | os.PathLike):
            return _read_path(source, name)
        if isinstance(source, bytes | bytearray | memoryview):
            encoded.check_bytes(len(source), name or NAMELESS)
            return _read_file(io.BytesIO(source), name or NAMELESS)
        if isinstance(source, Image.Image):
            return _read_pil(source, name or NAMELESS)
        if isinstance(source, Tensor):
            return _read_array(_of_tensor(source), name or NAMELESS, first=True)
        if isinstance(source, np.ndarray):
            return _read_array(source, name or NAMELESS, first=False)
        if callable(getattr(source, "read", None)):
            return _read_stream(source, name or NAMELESS)
    raise InputError(
        "picture_kind",
        "A {kind} is not a picture. Give a path, the bytes of a picture file, an open binary file, a PIL picture, a "
        "NumPy array or a tensor.",
        kind=type(source).__name__,
    )


def _read_path(source: str | os.PathLike[str] | os.PathLike[bytes], name: str | None) -> Read:
    path = os.fsdecode(source)
    name = name or encoded.shown(os.path.basename(os.path.normpath(path)))
    if re.match(r"(?i)[a-z][a-z0-9+.-]*://|data:", path) and not os.path.lexists(path.replace("\0", "")):
        raise InputError(
            "picture_address",
            "{name} is an address, and nothing is fetched from the network. Save the picture and give the path of its "
            "file.",
            name=encoded.shown(path[:100]),
        )
    if not path or "\0" in path:
        raise encoded.unreadable(name if path else NAMELESS)
    with encoded.open_file(path, name) as file:
        return _read_file(file, name)


def _rewindable(source: BinaryIO, name: str) -> BinaryIO:
    """Read a stream that cannot go back, up to the largest size and in nobody's way; other files stay as they are."""
    with _refusing(name):
        if source.seekable():
            return source
        content = source.read(encoded.MAX_BYTES + 1)
        encoded.check_bytes(len(content), name)
        return io.BytesIO(content)


def _read_stream(source: BinaryIO, name: str) -> Read:
    """Read an open binary file, which stays open."""
    with _refusing(name):
        encoded.check_bytes(source.seek(0, io.SEEK_END), name)
        source.seek(0)
        return _read_file(source, name)


def _read_file(file: BinaryIO, name: str) -> Read:
    """Read an encoded picture."""
    with _refusing(name):
        opened = encoded.open_picture(file, name)
        notes: list[Note] = []
        if encoded.decode(opened):
            if encoded.missing_share(opened) > MAX_MISSING:
                raise InputError(
                    "picture_cut",
                    "{name} cannot be read as a picture: the file is damaged or ends early, and more than a tenth of "
                    "the picture seems to be missing. Give the whole file.",
                    name=name,
                )
            notes.append(
                Note(
                    "cut",
                    "The file of {name} is damaged or ends early: the picture is shown as far as it goes.",
                    {"name": name},
                )
            )
        orientation = encoded.orientation_of(opened)
        picture, more = to_rgb(opened, name)
        del opened  # its pixels take as much memory as the copy that is turned next
        return Read(upright(picture, orientation), (*notes, *more))


def _read_pil(source: Image.Image, name: str) -> Read:
    """Read a picture that Pillow holds, or has opened and not decoded yet."""
    encoded.check_size(*source.size, name)
    try:
        source.load()
        orientation = encoded.orientation_of(source)
        picture, notes = to_rgb(source, name)
    except Exception as error:  # decoders raise anything
        raise InputError(
            "picture_closed",
            "The PIL picture holds no pixels that can be read: it was closed, or its file is damaged or gone. Give one "
            "that is open, or the path of its file.",
        ) from error
    return Read(upright(picture, orientation), tuple(notes))


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into the sentence that the picture cannot be read."""
    try:
        yield
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            "picture_bomb",
            "{name} would decode to far more than {most} million pixels; save it smaller and try again.",
            name=name,
            most=encoded.MAX_PIXELS // 1_000_000,
        ) from None
    except Exception as error:  # decoders raise anything: struct.error, KeyError, ZeroDivisionError, MemoryError …
        raise encoded.unreadable(name) from error


def _of_tensor(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor as an array."""
    try:
        tensor = tensor.detach()
        if tensor.dtype in (torch.bfloat16, torch.float16):
            tensor = tensor.float()
        return tensor.cpu().numpy()
    except Exception as error:  # on the meta device, sparse, quantised …
        raise InputError(
            "picture_tensor",
            "The values of this tensor cannot be read: {reason}. Give a dense tensor (3, H, W) of uint8, or of floats "
            "in [0, 1].",
            reason=str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__,
        ) from error


def _read_array(array: NDArray[Any], name: str, *, first: bool) -> Read:
    """Read an array; where both layouts fit, ``first`` says whether channels come before rows."""
    values = _channels_last(array, first=first)
    encoded.check_size(values.shape[1], values.shape[0], name)
    if values.dtype == bool:
        values = values.view(np.uint8) * np.uint8(255)
    with _refusing(name):
        notes: list[Note] = []
        if values.dtype == np.uint8:
            picture = Image.fromarray(np.ascontiguousarray(values[..., 0] if values.shape[2:] == (1,) else values))
        else:
            picture, notes = from_values(
                lambda top, bottom: values[top:bottom],
                (values.shape[1], values.shape[0]),
                name,
                deep=values.dtype == np.uint16,
            )
        picture, more = to_rgb(picture, name)
        return Read(picture, (*notes, *more))


def _channels_last(array: NDArray[Any], *, first: bool) -> NDArray[Any]:
    """See an array as (H, W) or (H, W, C), or say what is needed instead."""
    values = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
    shape = values.shape
    if values.ndim == 3:
        layouts = {"first": shape[0] in (1, 3, 4), "last": shape[2] in (1, 3, 4)}
        if layouts["first"] and (first or not layouts["last"]):
            values = np.moveaxis(values, 0, 2)
        elif not layouts["last"]:
            shape = ()
    if values.dtype.kind not in "buif" or len(shape) not in (2, 3):
        raise InputError(
            "picture_array",
            "Values of shape {shape} and type {dtype} are not one picture. Give (H, W), (H, W, 3) or (H, W, 4), or "
            "(3, H, W), of uint8, or of floats in [0, 1].",
            shape=array.shape,
            dtype=array.dtype,
        )
    return values
