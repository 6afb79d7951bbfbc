"""A picture input that hands over the file itself, so that reading it safely is the package's own business."""

from __future__ import annotations

import gradio as gr
from gradio.data_classes import ImageData


class Picture(gr.Image):
    """``gr.Image`` whose value reaches a handler as the path of the file, undecoded, whatever is in it."""

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Return the path of the file given, or None."""
        return None if payload is None else payload.path

    def get_block_name(self) -> str:
        """Name the component whose front end is used."""
        return "image"
