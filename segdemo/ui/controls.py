"""The inputs that all tabs share: picture, examples, network, working size, Run and Stop."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.i18n import I18nData
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from segdemo.examples import EXAMPLES, example
from segdemo.networks import DEFAULT, NETWORKS, find
from segdemo.ui.components.menu import Menu, PlainSlider
from segdemo.ui.components.picture import Picture
from segdemo.ui.messages import text

FIRST_EXAMPLE = "chelsea"
THUMBNAIL = 128  # shorter side of an example on its button, pixels: twice what it takes there


@dataclass(frozen=True)
class Controls:
    """The page they are on and the shared components, named for what they hold."""

    page: gr.Blocks
    i18n: gr.I18n
    picture: Picture
    examples: gr.Dataset
    network: Menu
    about: gr.Markdown
    side: Menu
    step: PlainSlider
    run: gr.Button
    stop: gr.Button
    status: gr.Markdown


def build(page: gr.Blocks, i18n: gr.I18n) -> Controls:
    """Lay out the shared inputs, top to bottom."""
    picture = Picture(
        label=i18n("page.picture"),
        sources=["upload", "clipboard", "webcam"],
        height=230,
        elem_id="picture",
        buttons=["fullscreen"],
    )
    examples = gr.Dataset(
        label=i18n("page.examples"),
        components=[gr.Image(visible=False, type="filepath")],
        samples=[[_thumbnail(name)] for name in EXAMPLES],
        type="index",
        samples_per_page=len(EXAMPLES),
        elem_id="examples",
    )
    network = Menu(
        label=i18n("page.network"),
        choices=[(spec.title, name) for name, spec in NETWORKS.items()],
        value=DEFAULT,
        elem_id="network",
    )
    about = gr.Markdown(elem_id="about")
    side = Menu(
        label=i18n("page.side"),
        info=i18n("page.side_info"),
        choices=size_choices(DEFAULT),
        value=suitable_side(DEFAULT),
        elem_id="side",
    )
    step = PlainSlider(label=i18n("page.step"), info=i18n("page.step_info"), elem_id="step", **step_range(DEFAULT))
    with gr.Row():
        run = gr.Button(i18n("page.run"), variant="primary", elem_id="run", min_width=80)
        stop = gr.Button(i18n("page.stop"), elem_id="stop", min_width=80)
    status = gr.Markdown(elem_id="status")
    return Controls(page, i18n, picture, examples, network, about, side, step, run, stop, status)


def _thumbnail(name: str) -> str:
    """Return the path of a small copy of an example, sharp enough for its button."""
    with Image.open(example(name)) as picture:
        scale = THUMBNAIL / min(picture.size)
        if scale >= 1:
            return str(example(name))
        small = picture.convert("RGB").resize([round(side * scale) for side in picture.size], Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=90)
    return save_bytes_to_cache(file.getvalue(), f"{name}.jpg", get_upload_folder())


def size_choices(network: str) -> list[tuple[str | I18nData, str | int | float]]:
    """Return the working sizes offered for a network, as (what is read, pixels)."""
    return [(f"{side} px", side) for side in find(network).rule.sides]


def suitable_side(network: str, side: int | None = None) -> int:
    """Return the working size wanted if a network offers it, else the network's own, pixels."""
    rule = find(network).rule
    return side if side in rule.sides else rule.side


def step_range(network: str, step: int | None = None) -> dict[str, Any]:
    """Return the settings of the slider over a network's training: hidden where there are no snapshots.

    Args:
        network: its name.
        step: the one to stand at; None is the end of the training.
    """
    steps = [snapshot.step for snapshot in find(network).snapshots]
    last = len(steps)
    value = steps.index(step) if step in steps else last
    return {"minimum": 0, "maximum": max(last, 1), "step": 1, "value": value, "visible": bool(steps)}


def step_at(network: str, place: int) -> int | None:
    """Return the training step at a place of the slider, None at its end, where the training is complete."""
    steps = [snapshot.step for snapshot in find(network).snapshots]
    return steps[place] if 0 <= place < len(steps) else None


def describe(network: str, request: gr.Request | None) -> str:
    """Say in a sentence or two what a network is good for."""
    return text(request, f"about.{network}")
