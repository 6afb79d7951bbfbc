"""The tab that looks inside: the segmentation, the network with every stage's map, the channels of one stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from segdemo.examples import EXAMPLES
from segdemo.networks import NETWORKS
from segdemo.ui import answers
from segdemo.ui.components.channel_sheet import ChannelSheet
from segdemo.ui.components.menu import Menu
from segdemo.ui.components.network_diagram import NetworkDiagram
from segdemo.ui.components.segmentation_view import SegmentationView
from segdemo.ui.controls import Controls
from segdemo.ui.javascript import address as address_of
from segdemo.ui.values import Wish

TITLE = "page.look"
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
DRAWING: dict[str, Any] = {**AT_ONCE, "show_progress": "minimal"}
RESET = "{network: value, side: null, step: null, stage: null, channel: null}"
# Where the figure stays in sight, the page moves to the channels of the stage that was picked.
SHOW_SHEET = """() => {
  const sheet = document.getElementById('inside-column');
  const beside = matchMedia('(min-width: 1280px)').matches;
  if (beside && sheet.getBoundingClientRect().top > innerHeight / 2) sheet.scrollIntoView({block: 'start'});
}"""


def build(controls: Controls) -> None:
    """Lay out the tab and connect it to the shared inputs.

    A run goes in three steps, each an event of its own, so that the segmentation is on the page first: segment, draw
    the network, draw the sheet of the stage that was picked.
    """
    i18n, page = controls.i18n, controls.page
    view = gr.State(None, time_to_live=3600)
    shown = gr.State(None, time_to_live=3600)  # the SegmentationValue on show, whose files need no second encoding
    wish = gr.State(Wish(""), time_to_live=3600)
    with gr.Row(elem_id="views"):
        with gr.Column(elem_id="segmentation-column", min_width=320):
            segmentation = SegmentationView(elem_id="segmentation")
        with gr.Column(elem_id="diagram-column", min_width=320):
            diagram = NetworkDiagram(elem_id="diagram")
        with gr.Column(elem_id="inside-column", min_width=320):
            layer = Menu(
                label=i18n("page.layer"), info=i18n("page.layer_info"), choices=[], filterable=True, elem_id="layer"
            )
            sheet = ChannelSheet(elem_id="sheet")

    def run_after(start: Callable[..., Any], handler: Callable[..., Any] = answers.segment) -> None:
        segmented = start(
            handler,
            [controls.picture, controls.network, controls.side, controls.step],
            [segmentation, view, shown, controls.status],
            show_progress_on=[segmentation],
            trigger_mode="multiple",
            concurrency_limit=8,
            concurrency_id="segment",
            api_visibility="private",
        )
        drawn = segmented.success(answers.draw_network, [view, wish], [diagram, layer, wish], **QUIET)
        drawn.success(answers.draw_sheet, [view, wish], sheet, **QUIET)

    def redraw_after(event: Callable[..., Any], handler: Callable[..., Any]) -> None:
        event(handler, [view, wish], [sheet, wish, layer], show_progress_on=[sheet], **DRAWING)  # one trip: it is felt

    opened = page.load(
        answers.open_address,
        None,
        [controls.picture, controls.network, controls.side, controls.step, controls.about, wish, diagram],
        **QUIET,
    )
    chosen = controls.network.input(
        answers.choose_network, controls.network, [controls.side, controls.step, controls.about, diagram, wish], **QUIET
    )
    example = controls.examples.click(answers.pick_example, controls.examples, controls.picture, **QUIET)
    for event in (
        opened.success,
        chosen.success,
        example.success,
        controls.run.click,
        controls.side.input,
        controls.step.input,
    ):
        run_after(event)
    run_after(controls.picture.input, answers.segment_if_given)
    controls.stop.click(answers.stop, None, controls.status, **AT_ONCE)

    redraw_after(diagram.select, answers.pick_stage)
    diagram.select(None, None, None, js=SHOW_SHEET, api_visibility="private")
    redraw_after(sheet.view, answers.change_view)
    redraw_after(sheet.select, answers.pick_channel)
    searched = layer.input(answers.pick_layer, [layer, view, wish], [sheet, wish], show_progress_on=[sheet], **DRAWING)
    searched.success(answers.mark_stage, [view, wish], diagram, **QUIET)
    segmentation.probability(answers.show_probability, [view, shown], [segmentation, shown], **QUIET)
    segmentation.download(answers.hand_over, [view, shown], segmentation, **QUIET)
    page.unload(answers.forget)
    _write_address(controls)


def _write_address(controls: Controls) -> None:
    """Keep the inputs in the page's address, without asking the server."""
    names = list(EXAMPLES)
    address = f"import({address_of('static/address.js')})"
    steps = {name: [snapshot.step for snapshot in spec.snapshots] for name, spec in NETWORKS.items()}
    for event, inputs, change in (
        (controls.network.input, [controls.network], RESET),
        (controls.side.input, [controls.side], "{side: value}"),
        (controls.step.input, [controls.step, controls.network], f"{{step: {steps}[network][value] ?? null}}"),
        (controls.picture.input, [], "{example: null}"),
        (controls.examples.click, [controls.examples], f"{{example: {names}[value]}}"),
    ):
        script = f"(value, network) => {address}.then((address) => address.change({change}))"
        event(None, inputs, None, js=script, api_visibility="private")
