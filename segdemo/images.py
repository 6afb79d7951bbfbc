"""Picture ⇄ batch: reading any picture safely, the working size, padding and its exact undoing, normalisation."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from segdemo.errors import InputError
from segdemo.networks.spec import InputRule

# What is opened, wherever a picture comes from: Pillow's other formats start programs or decode before they can be
# checked. Where Pillow or a plugin of it lacks AVIF or HEIF, which phones write, those are refused like any other.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF", "HEIF")
MAX_SIDE = 12_000  # pixels; a 10000 x 20 strip is fine
MAX_PIXELS = 40_000_000  # about 120 MB as RGB
MAX_WORKING_SIDE = 1024  # pixels; what two cores still do in seconds

PictureSource = str | Path | bytes | BinaryIO | Image.Image


def load_picture(source: PictureSource) -> Image.Image:
    """Read a picture of any mode into RGB, upright, its first frame if it has several.

    Transparent pixels are laid over white; 16-bit values are scaled to 8 bits. The size is checked before decoding.

    Args:
        source: path, encoded bytes, open binary file, or a PIL picture.

    Returns:
        A new PIL picture, RGB, 8 bits a channel, at most ``MAX_SIDE`` pixels a side and ``MAX_PIXELS`` in all.

    Raises:
        InputError: there is no such file, it is no picture, it is damaged, or it is too large.
    """
    name = Path(source).name if isinstance(source, str | Path) else "The picture"
    try:
        with _open(source) as opened:
            check_size(*opened.size)
            return _to_rgb(ImageOps.exif_transpose(opened))
    except FileNotFoundError:
        raise InputError("picture_missing", "There is no file {name}; give the path of a picture.", name=name) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            "picture_bomb",
            "{name} would decode to far more than {most} million pixels; save it smaller and try again.",
            name=name,
            most=MAX_PIXELS // 1_000_000,
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "picture_unreadable",
            "{name} cannot be read as a picture: it is empty, damaged or of another kind. "
            "Give a PNG, JPEG, WebP, GIF, BMP or TIFF file that opens in a picture viewer.",
            name=name,
        ) from error


def _open(source: PictureSource) -> AbstractContextManager[Image.Image]:
    if isinstance(source, Image.Image):
        return nullcontext(source)  # it is the caller's to close
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def check_size(width: int, height: int) -> None:
    """Refuse a picture whose sides or pixel count are beyond what is worked on.

    Args:
        width: pixels.
        height: pixels.

    Raises:
        InputError: longer than ``MAX_SIDE`` or more than ``MAX_PIXELS``.
    """
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InputError(
            "picture_too_large",
            "The picture has {width} × {height} pixels; at most {side} on a side and {most} million in all are "
            "worked on. Save it smaller and try again.",
            width=width,
            height=height,
            side=MAX_SIDE,
            most=MAX_PIXELS // 1_000_000,
        )


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_to_8_bits(picture)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB") if picture.mode != "RGB" else picture.copy()


def _to_8_bits(picture: Image.Image) -> np.ndarray:
    """Scale 16-bit integers, or floats in [0, 1] or [0, 255], to uint8 (H, W)."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    if picture.mode == "F":
        values = values * 255 if values.max(initial=0) <= 1 else values
    else:
        values = values / 257
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in its batch: at the top left, the rest is padding.

    Args:
        picture_size: (width, height) of the picture, pixels.
        resized: (width, height) it has inside the batch, pixels.
        padded: (width, height) of the batch, pixels.
    """

    picture_size: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]

    @property
    def valid(self) -> tuple[float, float]:
        """Shares (of the width, of the height) of the batch that the picture fills, in (0, 1]."""
        return self.resized[0] / self.padded[0], self.resized[1] / self.padded[1]


def check_side(rule: InputRule, side: int | None) -> int:
    """Return the working size to use, in pixels.

    Args:
        rule: the network's input rule.
        side: asked-for working size in pixels, or None for the network's own.

    Raises:
        InputError: not of the form stride * n + remainder, or outside the range worked on.
    """
    side = rule.side if side is None else side
    smallest = rule.stride + rule.remainder
    largest = (MAX_WORKING_SIDE - rule.remainder) // rule.stride * rule.stride + rule.remainder
    if len(rule.sides) == 1:  # the network fits no other
        smallest = largest = rule.side
    nearest = round((side - rule.remainder) / rule.stride) * rule.stride + rule.remainder
    if side != nearest or not smallest <= side <= largest:
        raise InputError(
            "working_size",
            "The working size {side} does not suit this network: it must be of the form {stride} × n + "
            "{remainder}, from {smallest} to {largest} pixels. Try {nearest}.",
            side=side,
            stride=rule.stride,
            remainder=rule.remainder,
            smallest=smallest,
            largest=largest,
            nearest=min(max(nearest, smallest), largest),
        )
    return side


def place(picture_size: tuple[int, int], rule: InputRule, side: int) -> Placement:
    """Work out the size of a picture inside its batch, and of the batch.

    Args:
        picture_size: (width, height) in pixels.
        rule: the network's input rule.
        side: working size in pixels, allowed by the rule.
    """
    if rule.shape == "stretch":
        return Placement(picture_size, (side, side), (side, side))
    scale = side / max(picture_size)
    width, height = (max(1, round(length * scale)) for length in picture_size)
    if rule.shape == "square":
        return Placement(picture_size, (width, height), (side, side))

    def allowed(length: int) -> int:
        return -(-(length - rule.remainder) // rule.stride) * rule.stride + rule.remainder

    return Placement(picture_size, (width, height), (allowed(width), allowed(height)))


def to_batch(picture: Image.Image, rule: InputRule, side: int | None = None) -> tuple[Tensor, Placement]:
    """Resize, normalise and pad a picture as a network's input rule says.

    Args:
        picture: PIL, RGB, 8 bits.
        rule: the network's input rule.
        side: working size in pixels; None takes the rule's own.

    Returns:
        The batch (1, 3, H, W) float32, (1, 1, H, W) where the rule asks for grey, and where the picture lies in it.
        Padding is 0.

    Raises:
        InputError: the working size does not suit the network.
    """
    placement = place(picture.size, rule, check_side(rule, side))
    resized = picture.resize(placement.resized, Image.Resampling.BILINEAR)
    array = np.atleast_3d(np.array(resized if rule.channels == 3 else resized.convert("L")))
    values = torch.from_numpy(array).permute(2, 0, 1).unsqueeze(0).float() / 255  # (1, C, h, w)
    mean, std = _normalisation(rule)
    right, bottom = (placement.padded[axis] - placement.resized[axis] for axis in (0, 1))
    return F.pad((values - mean) / std, (0, right, 0, bottom)), placement


def to_picture(batch: Tensor, rule: InputRule) -> Image.Image:
    """Turn a batch back into the picture a network really saw, padding included.

    Args:
        batch: (1, C, H, W) float32, normalised as the rule says.
        rule: the network's input rule.

    Returns:
        PIL, RGB, 8 bits, (W, H).
    """
    mean, std = _normalisation(rule)
    values = (batch * std + mean)[0].mul(255).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(values.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def _normalisation(rule: InputRule) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, (1, C, 1, 1) each."""
    mean, std = (torch.tensor(numbers[: rule.channels]).view(1, -1, 1, 1) for numbers in (rule.mean, rule.std))
    return mean, std
