"""What every tab promises, and what its handlers answer when called as functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from segdemo.inference import get_segmenter
from segdemo.ui.session import View
from segdemo.ui.values import Wish, sheet_value

from segdemo.examples import EXAMPLES, example
from segdemo.images import load_picture
from segdemo.networks import DEFAULT, NETWORKS
from segdemo.ui import TABS, answers, build_app, session
from segdemo.ui.texts import TEXTS
from tests.conftest import mixed_by_hand


def visitor(name: str = "visitor", language: str = "en", **query: str) -> gr.Request:
    return Mock(
        spec=gr.Request, session_hash=name, query_params=query, cookies={"segdemo_language": language}, headers={}
    )


def picked(**data: Any) -> gr.EventData:
    return Mock(spec=gr.EventData, **data)


@pytest.fixture
def cat_view() -> View:
    return View(load_picture(example("chelsea")), DEFAULT, 257)


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__)
def test_a_tab_has_a_title_in_both_languages_and_a_builder(tab: Any) -> None:
    assert tab.TITLE in TEXTS["en"]
    assert tab.TITLE in TEXTS["zh"]
    assert callable(tab.build)


def test_the_files_of_the_tabs_are_in_the_table() -> None:
    folder = Path(str(build_app.__code__.co_filename)).parent
    with_title = {path.stem for path in folder.glob("*.py") if "\nTITLE = " in path.read_text("utf-8")}
    assert {tab.__name__.rpartition(".")[2] for tab in TABS} == with_title


def test_only_the_two_endpoints_are_public() -> None:
    page = build_app()
    public = {fn.api_name for fn in page.fns.values() if fn.api_visibility == "public"}
    assert public == {"segment", "layers"}


def test_every_network_is_described_in_both_languages() -> None:
    for name in NETWORKS:
        assert f"about.{name}" in TEXTS["en"]
        assert f"about.{name}" in TEXTS["zh"]


def test_the_address_brings_the_view_back() -> None:
    request = visitor(network="u2netp", example="coffee", side="192", stage="En_2", channel="5")
    picture, network, side, _, _, wish, diagram = answers.open_address(request=request)
    assert (Path(picture), network, side.value) == (example("coffee"), "u2netp", 192)
    assert (wish.layer, wish.channel) == ("En_2", 5)
    assert (diagram.network, diagram.selected) == ("u2netp", "En_2")


def test_an_address_that_names_nonsense_opens_the_first_visit() -> None:
    request = visitor(network="../etc", example="<b>", side="9e9", stage="Encoder 99", channel="-1")
    with pytest.warns(UserWarning) as warned:  # on a page, these are messages
        picture, network, side, _, _, wish, _ = answers.open_address(request=request)
    said = [str(warning.message) for warning in warned]
    assert [sentence.split()[0] for sentence in said] == ["There", "There", "The", "DeepLabv3"]
    assert "&lt;b&gt;" in said[1]
    assert (Path(picture), network, side.value) == (example("chelsea"), DEFAULT, NETWORKS[DEFAULT].rule.side)
    assert (wish.layer, wish.channel) == ("", None)


def test_a_run_gives_the_segmentation_and_what_is_needed_to_draw_the_rest() -> None:
    value, view, shown, status = answers.segment(str(example("chelsea")), DEFAULT, 257, 0, request=visitor())
    assert value is shown
    assert dict((name, percent) for _, name, _, percent in value.classes)["cat"] > 70
    assert (view.network, view.side) == (DEFAULT, 257)
    assert NETWORKS[DEFAULT].title in status
    diagram, menu, wish = answers.draw_network(view, Wish(""), request=visitor())
    assert [box.label for box in diagram.boxes] == [stage.label for stage in NETWORKS[DEFAULT].stages]
    assert all(box.thumbnail is not None for box in diagram.boxes)
    assert wish.layer == menu.value == NETWORKS[DEFAULT].stages[0].label
    labels = {stage.layer: stage.label for stage in NETWORKS[DEFAULT].every_stage()}
    modules = [name for name, _ in get_segmenter(DEFAULT).network.named_modules() if name]
    assert sorted(value for _, value in menu.choices) == sorted(labels.get(name, name) for name in modules)
    assert {"Stem", "stem.conv"} <= {value for _, value in menu.choices}
    sheet = answers.draw_sheet(view, wish, request=visitor())
    assert sheet is not None
    assert sheet.label == wish.layer


def test_a_working_size_of_another_network_is_replaced_by_the_networks_own() -> None:
    value, _, _, _ = answers.segment(str(example("coffee")), "u2netp", 513, 0, request=visitor())
    assert value.side == NETWORKS["u2netp"].rule.side


@pytest.mark.parametrize(
    ("language", "words"), [("en", "There is no picture yet"), ("zh", "还没有图片")], ids=["en", "zh"]
)
def test_no_picture_at_all_is_said_in_the_visitors_language(language: str, words: str) -> None:
    with pytest.raises(gr.Error, match=words):
        answers.segment(None, DEFAULT, 257, 0, request=visitor(language=language))


def test_an_error_quotes_what_somebody_typed_without_letting_it_act(tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>.png"
    path.write_text("no picture")
    with pytest.raises(gr.Error) as error:
        answers.segment(str(path), DEFAULT, 257, 0, request=visitor())
    assert "&lt;img" in error.value.message
    assert "<img" not in error.value.message
    assert answers.segment(str(example("coffee")), DEFAULT, 257, 0, request=visitor())[1].side == 257


def test_clearing_the_picture_is_no_mistake() -> None:
    assert answers.segment_if_given(None, DEFAULT, 257, 0, request=visitor()) == answers.SKIP


def test_a_newer_run_of_the_same_visitor_supersedes_and_another_visitors_does_not() -> None:
    mine, yours = session.begin("mine"), session.begin("yours")
    assert mine() and yours()
    again = session.begin("mine")
    assert (mine(), again(), yours()) == (False, True, True)
    answers.stop(visitor("yours"))
    assert (again(), yours()) == (True, False)
    answers.forget(visitor("mine"))
    assert not again()


def test_picking_leads_to_the_stage_channel_and_page(cat_view: View) -> None:
    stage = "Blocks 3-5"
    asked = picked(index=stage, value=stage)
    sheet, wish, label = answers.pick_stage(cat_view, Wish("Stem", page=3, channel=2), asked, request=visitor())
    assert (wish.layer, wish.page, wish.channel, label) == (stage, 0, None, stage)
    assert (sheet.label, sheet.enlarged) == (stage, None)
    sheet, wish, _ = answers.pick_channel(cat_view, wish, picked(index=7, value=7), request=visitor())
    exact = get_segmenter(DEFAULT).activation(cat_view.picture, stage, 7, 257)
    assert np.array_equal(sheet.enlarged.values, exact)
    asked = picked(ranking="index", scope="layer", page=0, channel=None)
    sheet, wish, _ = answers.change_view(cat_view, wish, asked, request=visitor())
    assert (sheet.ranking, sheet.scope, sheet.enlarged, wish.channel) == ("index", "layer", None, None)
    sheet, wish = answers.pick_layer("stem.conv", cat_view, wish, request=visitor())
    assert (sheet.label, wish.layer) == ("stem.conv", "stem.conv")


def test_a_layer_that_does_not_exist_is_refused_and_what_is_shown_stays(cat_view: View) -> None:
    with pytest.raises(gr.Error, match="no stage or layer called"):
        answers.pick_layer("Encoder 99", cat_view, Wish("Stem"), request=visitor())


def test_pages_and_rankings_cover_every_channel_once(cat_view: View) -> None:
    wish = Wish("Blocks 13-15", ranking="mean_abs")
    pages = [sheet_value(cat_view, Wish(wish.layer, wish.ranking, page=page)) for page in range(3)]
    assert [len(page.channels) for page in pages] == [64, 64, 32]
    shown = [facts for page in pages for facts in page.channels]
    assert sorted(facts.channel for facts in shown) == list(range(160))
    strengths = [facts.mean_abs for facts in shown]
    assert strengths == sorted(strengths, reverse=True)
    assert sheet_value(cat_view, Wish(wish.layer, page=99)).page == 2


def test_a_channel_from_the_address_opens_on_its_page(cat_view: View) -> None:
    sheet = sheet_value(cat_view, Wish("Blocks 13-15", "index", page=-1, channel=130))
    assert sheet.page == 2
    assert 130 in {facts.channel for facts in sheet.channels}


def test_one_scale_for_the_layer_or_the_network_spans_all_its_channels(cat_view: View) -> None:
    result = get_segmenter(DEFAULT).run(cat_view.picture, 257)
    layer = sheet_value(cat_view, Wish("Stem", scope="layer")).scale
    network = sheet_value(cat_view, Wish("Stem", scope="network")).scale
    assert layer == (result.layers["Stem"].minimum, result.layers["Stem"].maximum, False)
    reach = max(max(-one.minimum, one.maximum) for one in result.layers.values())
    assert network == pytest.approx((-reach, reach, True))
    assert sheet_value(cat_view, Wish("Stem", scope="channel")).scale is None


def test_every_module_can_be_shown_not_only_stages(cat_view: View) -> None:
    sheet = sheet_value(cat_view, Wish("blocks.3.depthwise"))
    assert sheet.total == sheet.shape[0] > 0
    assert sheet.stats.counts.sum() == -(-np.prod(sheet.shape) // sheet.stats.counted_step)


def test_files_to_save_hold_the_mask_in_the_pictures_own_size(cat_view: View) -> None:
    result = get_segmenter(DEFAULT).run(cat_view.picture, 257)
    _, view, shown, _ = answers.segment(str(example("chelsea")), DEFAULT, 257, 0, request=visitor())
    mask = answers.hand_over(view, shown, picked(kind="mask", hidden=[], opacity=1), request=visitor()).download
    with Image.open(mask[1]) as saved:
        assert np.array_equal(np.array(saved), result.mask)
    data = answers.hand_over(view, shown, picked(kind="data", hidden=[], opacity=1), request=visitor()).download
    with np.load(data[1]) as saved:
        assert np.array_equal(saved["mask"], result.mask)


@pytest.mark.parametrize(("hidden", "opacity"), [([0], 0.5), ([8], 0.25), ([], 1)])
def test_the_overlay_to_save_is_the_picture_under_the_colours_that_are_switched_on(
    cat_view: View, hidden: list[int], opacity: float
) -> None:
    result = get_segmenter(DEFAULT).run(cat_view.picture, 257)
    _, view, shown, _ = answers.segment(str(example("chelsea")), DEFAULT, 257, 0, request=visitor())
    asked = picked(kind="overlay", hidden=hidden, opacity=opacity)
    colours = [share.colour for share in result.classes]
    expected = mixed_by_hand(cat_view.picture, result.mask, colours, opacity, set(hidden))
    with Image.open(answers.hand_over(view, shown, asked, request=visitor()).download[1]) as saved:
        assert saved.mode == "RGB"
        assert np.abs(np.array(saved) - expected).max() <= 0.5  # nothing but rounded


def test_the_first_tabs_examples_exist() -> None:
    assert [answers.pick_example(index) for index in range(len(EXAMPLES))] == [str(example(name)) for name in EXAMPLES]


def test_a_classifier_is_shown_with_its_answer_and_its_vectors(tmp_path: Path) -> None:
    value, view, shown, status = answers.segment(str(example("digit")), "lenet", 32, 0, request=visitor())
    assert sum(value.answer) == pytest.approx(1) and np.argmax(value.answer) == 5
    assert "LeNet" in status
    diagram, _, wish = answers.draw_network(view, Wish(""), request=visitor())
    assert wish.layer == "Conv 1"
    full = next(box for box in diagram.boxes if box.label == "Full 1")
    assert (full.shape, full.channel, full.dead_count) == ((120,), None, 0)
    assert full.thumbnail is not None and full.thumbnail.shape == (10, 12, 3)
    assert not any("dead" in box.flags for box in diagram.boxes if len(box.shape or ()) == 1)
    data = answers.hand_over(view, shown, picked(kind="data", hidden=[], opacity=1), request=visitor()).download
    with np.load(data[1]) as saved:
        assert "mask" not in saved and saved["logits"].shape == (10, 1, 1)
