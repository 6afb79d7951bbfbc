"""What the tab that looks inside answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.networks import DEFAULT, NETWORKS, find
from segdemo.opened import open_network
from segdemo.questions import Run
from segdemo.ui.address import View, read
from segdemo.ui.messages import polite
from segdemo.ui.panels.channels import ChannelGrid
from segdemo.ui.panels.figure import Figure
from segdemo.ui.tabs.look import Look
from tests.ui.conftest import picked, visitor


@pytest.fixture(scope="module")
def look(engine: LocalEngine) -> Look:
    return Look(engine)


def shown(look: Look, run: Run, layer: str = "", view: View | None = None) -> tuple[Figure, Any, ChannelGrid]:
    """Show a run; the segmentation shows the run itself, and what was picked is remembered as the sheet has it."""
    segmentation, figure, menu, sheet, remembered, later = look.show(run, layer, view, visitor())
    assert segmentation is run and later is None
    assert figure.run is run and sheet.run is run
    assert figure.selected == sheet.layer == menu.value == remembered
    assert (figure.network, figure.size, figure.step) == (run.network, run.size, run.step)
    return figure, menu, sheet


def test_a_network_is_drawn_before_its_run(look: Look) -> None:
    drawn, layer = look.draw_network("u2netp", 192, 0, None, visitor())
    assert (drawn, layer) == (Figure("u2netp", 192, None, None, None), "")


def test_a_network_is_drawn_with_a_size_and_a_step_of_its_own(look: Look) -> None:
    assert look.draw_network("u2netp", 513, 0, None, visitor())[0].size == find("u2netp").preprocessing.size
    assert look.draw_network("unet_narrow", 128, 0, None, visitor())[0].step == 0
    assert look.draw_network("unet_narrow", 128, 9, None, visitor())[0].step is None


def test_the_address_picks_a_stage_of_the_network_that_is_drawn(look: Look, engine: LocalEngine) -> None:
    view = read(engine, {"network": "u2netp", "stage": "En_2", "channel": "5"})
    drawn, layer = look.draw_network("u2netp", 192, 0, view, visitor())
    assert (drawn.selected, layer) == ("En_2", "En_2")


def test_a_run_is_shown_with_its_first_stage(look: Look, cat: Run) -> None:
    _, _, sheet = shown(look, cat)
    assert sheet == ChannelGrid(cat, NETWORKS[DEFAULT].stages[0].label)


def test_without_a_run_nothing_changes(look: Look) -> None:
    assert look.show(None, "Stem", None, visitor()) == (gr.skip(),) * 6
    assert look.pick_layer(None, "Stem", "", visitor()) == (gr.skip(),) * 3
    assert look.pick_layer(None, "Stem", "Stem", visitor()) == (gr.skip(),) * 3


def test_the_search_box_offers_every_module_and_names_stages_by_their_labels(look: Look, cat: Run) -> None:
    _, menu, _ = shown(look, cat)
    labels = {stage.layer: stage.label for stage in NETWORKS[DEFAULT].every_stage()}
    modules = [name for name, _ in open_network(find(DEFAULT)).module.named_modules() if name]
    assert sorted(value for _, value in menu.choices) == sorted(labels.get(name, name) for name in modules)
    assert {"Stem", "stem.conv"} <= {value for _, value in menu.choices}
    words = dict((value, words) for words, value in menu.choices)
    assert words["Blocks 6-9"] == "Blocks 6-9 — blocks.9 · InvertedResidual · 64 × 33 × 33"
    assert words["stem.conv"].startswith("stem.conv · Conv2d · 32 × 129 × 129")


def test_a_layer_that_was_picked_outlives_a_run_where_the_network_has_it(
    look: Look, cat: Run, engine: LocalEngine
) -> None:
    assert shown(look, cat, "Blocks 3-5")[2].layer == "Blocks 3-5"
    assert shown(look, cat, "stem.conv")[2].layer == "stem.conv"
    other = Run("u2netp", cat.picture, 192)
    assert shown(look, other, "Blocks 3-5")[2].layer == "En_1"
    assert shown(look, other, "En_3")[2].layer == "En_3"  # picked before its run was over


def test_the_channel_of_the_address_opens_with_the_first_run_and_on_its_page(
    look: Look, cat: Run, engine: LocalEngine
) -> None:
    view = read(engine, {"stage": "Blocks 13-15", "channel": "130"})
    assert shown(look, cat, "Blocks 13-15", view)[2] == ChannelGrid(
        cat, "Blocks 13-15", page=-1, channel=130, restored=True
    )
    assert shown(look, cat, "Stem", view)[2].channel is None  # another was picked meanwhile
    assert shown(look, cat, "Blocks 13-15", replace(view, channel=None))[2].page == 0


def test_a_pick_in_the_figure_is_remembered_and_named_in_the_search_box_once_that_offers_it(
    look: Look, cat: Run
) -> None:
    assert look.remember(cat, picked("Block 16"), visitor()) == ("Block 16", "Block 16")
    other = replace(cat, network="u2netp")
    inner = NETWORKS["u2netp"].stages[0].inside[1].label
    assert look.remember(other, picked(inner), visitor()) == (inner, inner)
    for run in (None, cat):  # of a network whose run is to come
        assert look.remember(run, picked("En_3"), visitor()) == ("En_3", gr.skip())


@pytest.mark.parametrize("wrong", [None, 3, ["Stem"], "x" * 1000])
def test_a_pick_that_cannot_be_is_refused(look: Look, wrong: Any) -> None:
    with pytest.raises(gr.Error, match="“value” has to be text"):
        polite(look.remember)(None, picked(wrong), visitor())


def test_a_pick_that_no_network_has_is_refused(look: Look, cat: Run) -> None:
    for run in (None, cat):
        with pytest.raises(gr.Error, match="DeepLabv3 · MobileNetV2 has no stage or layer called"):
            polite(look.remember)(run, picked("\ud800 stage"), visitor())


def test_a_layer_picked_in_the_search_box_is_shown_and_marked(look: Look, cat: Run) -> None:
    sheet, drawn, layer = look.pick_layer(cat, "Blocks 10-12", "", visitor())
    assert sheet == ChannelGrid(cat, "Blocks 10-12")
    assert (drawn.run, drawn.selected, layer) == (cat, "Blocks 10-12", "Blocks 10-12")
    sheet, _, layer = look.pick_layer(cat, "stem.conv", "", visitor())
    assert sheet.layer == layer == "stem.conv"


def test_a_stage_is_found_by_its_module_too(look: Look, cat: Run) -> None:
    assert look.pick_layer(cat, "blocks.9", "", visitor())[2] == "Blocks 6-9"


def test_a_layer_that_does_not_exist_is_refused_and_what_is_shown_stays(look: Look, cat: Run) -> None:
    with pytest.raises(gr.Error, match="no stage or layer called"):
        polite(look.pick_layer)(cat, "Encoder 99", "", visitor())


def test_a_classifier_is_shown_with_its_vectors(look: Look, engine: LocalEngine) -> None:
    run = Run("lenet", engine.keep(example("digit")), 32)
    figure, menu, sheet = shown(look, run)
    assert sheet.layer == "Conv 1"
    assert {"Full 1"} <= {value for _, value in menu.choices}
    assert shown(look, run, "Full 1")[2].layer == "Full 1"
    assert figure.selected == "Conv 1"
