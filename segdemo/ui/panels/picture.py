"""A picture input that hands over the file itself, so that reading it safely is the package's own business."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.data_classes import ImageData
from PIL import Image

from segdemo.cache import Cache
from segdemo.engine import Engine
from segdemo.rendering import encode_jpeg
from segdemo.ui import folder

MOST = 1024  # files whose fingerprints are remembered
THUMBNAIL = 128  # shorter side of an example on its button, pixels: twice what it takes there


class Picture(gr.Image):
    """``gr.Image`` whose value reaches a handler as the path of the file, undecoded, whatever is in it."""

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Return the path of the file given, or None."""
        return None if payload is None else payload.path

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


def thumbnail(path: Path) -> str:
    """Return the path of a small copy of a picture, sharp enough for its button."""
    with Image.open(path) as picture:
        scale = THUMBNAIL / min(picture.size)
        if scale >= 1:
            return str(path)
        small = picture.convert("RGB").resize([round(side * scale) for side in picture.size], Image.Resampling.LANCZOS)
    return folder.claim().keep(encode_jpeg(small), f"{path.stem}.jpg")
