"""A menu and a slider that hand over what they are given, because what is right depends on the network chosen.

Gradio holds a value against the choices it remembers for this visitor. It forgets a visitor after a while, and then
refuses what stands on the page; the handlers know what is right for the network that comes with the value.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


class Menu(gr.Dropdown):
    """``gr.Dropdown`` whose value reaches a handler, and the page, as it came."""

    def preprocess(self, payload: Any) -> Any:
        """Return the value given."""
        return payload

    def postprocess(self, value: Any) -> Any:
        """Return the value given: its choices may be still to come, with the run of another network."""
        return value

    def get_block_name(self) -> str:
        """Name the component whose front end is used."""
        return "dropdown"


class PlainSlider(gr.Slider):
    """``gr.Slider`` whose value reaches a handler as it came."""

    def preprocess(self, payload: Any) -> Any:
        """Return the value given."""
        return payload

    def get_block_name(self) -> str:
        """Name the component whose front end is used."""
        return "slider"
