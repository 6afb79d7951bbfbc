"""The tab that looks inside: the segmentation, the network with every stage's map, the channels of one stage."""

from __future__ import annotations

from typing import Any

import gradio as gr

from segdemo.engine import Engine
from segdemo.questions import DEFAULT, Catalogue, Layers, Run, facts_of
from segdemo.results import LayerInfo, NetworkFacts, Result
from segdemo.ui import checks
from segdemo.ui.address import View
from segdemo.ui.page import AT_ONCE, Page
from segdemo.ui.panels.channels import ChannelGrid, ChannelsPanel
from segdemo.ui.panels.figure import Figure, FigurePanel
from segdemo.ui.panels.menu import Menu
from segdemo.ui.panels.segmentation import SegmentationPanel
from segdemo.ui.panels.truth import TruthPanel
from segdemo.ui.panels.weights import own_networks
from segdemo.ui.panels.workspace import Workspace

TITLE = "page.look"


def build(page: Page) -> None:
    """Lay out the tab, and listen to what the page and its panels tell."""
    i18n = page.i18n
    look = Look(page.engine)
    picked = gr.State("", time_to_live=3600)  # the layer picked last, maybe of a network whose run is to come
    page.former.render()  # type: ignore[no-untyped-call]
    with gr.Row(elem_id="views"):
        with gr.Column(elem_id="segmentation", min_width=0):
            segmentation = SegmentationPanel(page.engine)
            truth = TruthPanel(page.engine, elem_id="truth")
        with gr.Column(elem_id="figure", min_width=0):
            figure = FigurePanel(page.engine)
        with gr.Column(elem_id="channels", min_width=0):
            layer = Menu(
                label=i18n("page.layer"),
                info=i18n("page.layer_info"),
                choices=[],
                filterable=True,
                container=False,
                elem_id="layer",
            )
            channels = ChannelsPanel(page.engine)
    Workspace(elem_id="workspace")
    page.shows_progress.append(segmentation)
    page.on("network", look.draw_network, [figure, picked], [page.view])
    page.on("result", look.show, [segmentation, figure, layer, channels, picked, page.view], [picked, page.view])
    page.on("stage", look.remember, [picked, layer])
    page.on("layer", look.pick_layer, [channels, figure, picked], [layer, picked])
    page.on("result", lambda run: run, truth)
    page.picks("stage", figure.select)
    page.picks("pixel", segmentation.select)
    page.picks("channel", channels.select)
    page.picks("network", segmentation.suggested)
    page.picks("layer", layer.input)
    for asked in (segmentation.why, figure.why):
        asked(lambda: gr.Tabs(selected="why"), None, page.switch, **AT_ONCE)


class Look:
    """What the tab answers.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def draw_network(
        self, network: str, size: int | None, place: int, view: View | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """Draw a network before it runs, with the stage that the address named."""
        facts = facts_of(self.engine, network)
        stage = "" if view is None else view.stage
        drawn = Figure(network, facts.suitable_size(size), facts.step_at(place), None, stage or None)
        return drawn, stage

    def show(self, run: Run | None, picked: str, view: View | None, request: gr.Request) -> tuple[Any, ...]:
        """Show a run: in every panel, with the layer that was picked last if the network has it."""
        if run is None:
            return tuple(gr.skip() for _ in range(6))
        facts = facts_of(self.engine, run.network)
        layers = self._layers(run)
        if facts.label_and_layer(picked)[1] not in layers:
            picked = facts.stages[0].label
        sheet = ChannelGrid(run, picked)
        if view is not None and view.stage in ("", picked):
            page = view.page if view.channel is None else -1
            sheet = ChannelGrid(run, picked, view.ranking, view.scope, page, view.channel, restored=True)
        drawn = Figure(run.network, run.size or facts.size, run.step, run, picked)
        return run, drawn, gr.Dropdown(choices=_choices(facts, layers), value=picked), sheet, picked, None

    def remember(self, run: Run | None, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """Remember the stage picked in the figure, and name it in the search box; its channels the page asks for."""
        stage = checks.text("value", checks.field(event, "value"))
        drawn = checks.or_none(checks.text)("network", checks.field(event, "network"))  # another's run may be to come
        shown = None if run is None else run.network
        brought = [facts_of(self.engine, name) for name in own_networks(self.engine)]
        having = [facts.name for facts in (*self.engine.answer(Catalogue()), *brought) if facts.has_stage(stage)]
        for network in (drawn, shown):
            if network is not None and network not in having and self._runs(network, stage):
                having.append(network)  # it is what a box was opened into
        if not having:
            raise facts_of(self.engine, shown or DEFAULT).unknown_layer(stage)
        return stage, stage if shown in having else gr.skip()

    def _runs(self, network: str, layer: str) -> bool:
        """Say whether a network runs a module or an operation of that name."""
        return layer in {info.name for info in self.engine.answer(Layers(network))}

    def pick_layer(self, run: Run | None, layer: str | None, picked: str, request: gr.Request) -> tuple[Any, ...]:
        """Show the layer picked in the search box, and mark it in the figure if it is a stage."""
        if run is None or not layer or layer == picked:  # the box may be left as it was
            return tuple(gr.skip() for _ in range(3))
        facts = facts_of(self.engine, run.network)
        label, name = facts.label_and_layer(layer)
        if name not in self._layers(run):
            raise facts.unknown_layer(layer)
        return ChannelGrid(run, label), Figure(run.network, run.size or facts.size, run.step, run, label), label

    def _layers(self, run: Run) -> dict[str, LayerInfo]:
        """Return every module call of a run by its name, in order of finishing."""
        result: Result = self.engine.answer(run)
        return {info.name: info for info in self.engine.answer(Layers(run.network, run.size, result.size))}


def _choices(facts: NetworkFacts, layers: dict[str, LayerInfo]) -> list[tuple[str, str]]:
    """Return (what is read, label or dotted name) for the stages and then for every other module call.

    Operations that are no stage are left to the figure: there are many, and their place says what they are.
    """

    def words(name: str) -> str:
        return f"{layers[name].type} · {' × '.join(map(str, layers[name].shape))}"

    stages = {stage.layer: stage.label for stage in facts.every_stage()}
    labelled = [(f"{label} — {layer} · {words(layer)}", label) for layer, label in stages.items() if layer in layers]
    others = [name for name, info in layers.items() if name not in stages and info.kind == "module"]
    return labelled + [(f"{name} · {words(name)}", name) for name in others]
