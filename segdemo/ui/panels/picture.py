"""A picture input that hands over the file itself, so that reading it safely is the package's own business."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gradio as gr
from gradio.data_classes import ImageData
from PIL import Image

from segdemo.cache import Cache
from segdemo.engine import Engine
from segdemo.rendering import encode_jpeg
from segdemo.ui import folder

MOST = 1024  # files whose fingerprints are remembered
SHOWN = {"PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "AVIF"}  # Pillow's names of what every browser draws
PREVIEW = "preview.segdemo.jpg"  # beside a file of another kind, stands for it on the page
PREVIEW_SIDE = 1280  # pixels
THUMBNAIL = 128  # shorter side of an example on its button, pixels: twice what it takes there


class Picture(gr.Image):
    """``gr.Image`` whose value reaches a handler as the path of the file, undecoded, whatever is in it."""

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Return the path of the file given, or None; of a preview, that of the file it stands for."""
        return None if payload is None or not payload.path else original_of(payload.path)

    def get_block_name(self) -> str:
        """Name the component whose front end is used."""
        return "image"


class Fingerprints:
    """Hands files over to the engine, each once as long as it is kept there.

    Args:
        engine: what keeps the pictures.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = Cache(MOST)

    def of(self, path: str) -> str:
        """Return the fingerprint of a picture; the file is read only if the engine does not keep it.

        Raises:
            InputError: it cannot be used as a picture.
        """
        status = Path(path).stat()
        key = (path, status.st_mtime_ns, status.st_size)
        fingerprint: str | None = self._known.get(key)
        if fingerprint is None or not self._engine.keeps(fingerprint):
            fingerprint = self._engine.keep(path)
            self._known.put(key, fingerprint, 1)
        return fingerprint


def shown_as(path: str, picture: Callable[[], Image.Image]) -> str:
    """Return the path of what a browser can draw of an upload: itself, or a preview beside it.

    Args:
        path: of the file.
        picture: gives it as it was read.

    Raises:
        InputError: the disk is full.
    """
    with suppress(OSError, ValueError), Image.open(path) as opened:
        if opened.format in SHOWN:
            return path
    preview = Path(path).with_name(PREVIEW)
    if not preview.exists():
        small = picture().copy()
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        content = encode_jpeg(small)
        folder.claim().reserve(len(content))
        preview.write_bytes(content)
    return str(preview)


def original_of(path: str) -> str:
    """Return the path of the upload that a preview stands for; of any other file, its own."""
    preview = Path(path)
    if preview.name != PREVIEW:
        return path
    # Each upload has a folder of its own, named after the content.
    return next((str(other) for other in sorted(preview.parent.iterdir()) if other.name != PREVIEW), path)


def thumbnail(path: Path) -> str:
    """Return the path of a small copy of a picture, sharp enough for its button."""
    with Image.open(path) as picture:
        scale = THUMBNAIL / min(picture.size)
        if scale >= 1:
            return str(path)
        small = picture.convert("RGB").resize([round(side * scale) for side in picture.size], Image.Resampling.LANCZOS)
    return folder.claim().keep(encode_jpeg(small), f"{path.stem}.jpg")
