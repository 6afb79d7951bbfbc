"""What an address names of a view, and what stands in it afterwards."""

from __future__ import annotations

import pytest

from segdemo import checkpoints
from segdemo.engine import LocalEngine
from segdemo.networks import DEFAULT, NETWORKS
from segdemo.ui import build_app
from segdemo.ui.address import read


def test_an_empty_address_is_a_first_visit(engine: LocalEngine) -> None:
    view = read(engine, {})
    assert (view.facts.name, view.example) == (DEFAULT, "chelsea")
    assert (view.size, view.step) == (NETWORKS[DEFAULT].preprocessing.size, None)
    assert (view.stage, view.channel, view.troubles) == ("", None, ())


def test_everything_that_an_address_names_is_taken(engine: LocalEngine) -> None:
    query = {"network": "u2netp", "example": "coffee", "side": "192", "stage": "En_2", "channel": "5"}
    view = read(engine, query | {"view": "entropy", "lang": "zh", "unknown": "word"})
    assert (view.facts.name, view.example, view.size) == ("u2netp", "coffee", 192)
    assert (view.stage, view.channel, view.troubles) == ("En_2", 5, ())


@pytest.mark.parametrize("step", list(checkpoints.shipped(NETWORKS["unet_narrow"]).snapshots))
def test_a_step_of_the_training_is_taken_where_there_are_weights(engine: LocalEngine, step: int) -> None:
    view = read(engine, {"network": "unet_narrow", "step": str(step)})
    assert (view.step, view.troubles) == (step, ())


@pytest.mark.parametrize(
    ("word", "stage"),
    [
        ("En_2", "En_2"),
        ("stage2", "En_2"),
        ("stage1.rebnconv1", None),
        ("stage1.rebnconv1.conv_s1", "stage1.rebnconv1.conv_s1"),
    ],
)
def test_a_stage_is_known_by_its_label_and_by_its_module(engine: LocalEngine, word: str, stage: str | None) -> None:
    facts = {one.layer: one.label for one in NETWORKS["u2netp"].every_stage()}
    view = read(engine, {"network": "u2netp", "stage": word})
    assert (view.stage, view.troubles) == (stage or facts[word], ())


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"network": "resnet"}, "unknown_network"),
        ({"network": "../etc"}, "unknown_network"),
        ({"network": ""}, "unknown_network"),
        ({"example": "<b>"}, "unknown_example"),
        ({"example": "\0"}, "unknown_example"),
        ({"side": "12"}, "size_not_offered"),
        ({"side": "9e9"}, "size_not_offered"),
        ({"side": "9" * 5000}, "size_not_offered"),
        ({"side": "-257"}, "size_not_offered"),
        ({"step": "7"}, "step_not_kept"),
        ({"step": "²"}, "step_not_kept"),
        ({"network": "unet_narrow", "step": "28"}, "step_not_kept"),
        ({"stage": "Encoder 99"}, "unknown_layer_here"),
        ({"stage": "Stem" * 9999}, "unknown_layer_here"),
        ({"network": "u2netp", "stage": "Stem"}, "unknown_layer_here"),
        ({"open": "Encoder 99"}, "unknown_box"),
        ({"open": "Block 0,Block 0 · depthwise,Logits"}, "box_closed"),
        ({"open": "blocks.3"}, "unknown_box"),  # it is in a box, but not yet on show
        ({"open": ",".join(["Block 0"] * 25)}, "wrong_texts"),
    ],
)
def test_what_is_named_wrongly_is_said_and_is_as_on_a_first_visit(
    engine: LocalEngine, wrong: dict[str, str], code: str
) -> None:
    view = read(engine, wrong)
    assert [trouble.code for trouble in view.troubles] == [code]
    network = wrong.get("network", DEFAULT) if code != "unknown_network" else DEFAULT
    assert (view.facts.name, view.example) == (network, "chelsea")
    assert (view.size, view.step, view.stage) == (view.facts.size, None, "")


def test_boxes_that_are_open_are_named_in_their_order_with_commas_in_between(engine: LocalEngine) -> None:
    view = read(engine, {"network": "unet", "open": "Decoder 3,Decoder 3 · conv 1", "stage": "up2.conv.double_conv.1"})
    assert (view.opened, view.troubles) == (("Decoder 3", "Decoder 3 · conv 1"), ())
    assert view.stage == "up2.conv.double_conv.1"
    (trouble,) = read(engine, {"open": r"a\,b\\"}).troubles
    assert trouble.values["label"] == "a,b\\"  # a backslash says that the next sign is one of the name
    assert read(engine, {"open": ""}).opened == ()


def test_each_wrong_word_is_said_once(engine: LocalEngine) -> None:
    view = read(engine, {"network": "../etc", "example": "<b>", "side": "9e9", "step": "x", "stage": "Encoder 99"})
    assert [trouble.code for trouble in view.troubles] == [
        "unknown_network",
        "unknown_example",
        "size_not_offered",
        "step_not_kept",
        "unknown_layer_here",
    ]


@pytest.mark.parametrize("word", ["-1", "", "x", "1.5", "²", "9" * 5000])
def test_a_channel_that_cannot_be_is_none_and_is_said(engine: LocalEngine, word: str) -> None:
    view = read(engine, {"stage": "Stem", "channel": word})
    assert (view.stage, view.channel, view.strays) == ("Stem", None, ("channel",))
    assert [trouble.code for trouble in view.troubles] == ["unknown_channel"]


@pytest.mark.parametrize(("channel", "troubles"), [("31", 0), ("32", 1)])
def test_the_last_channel_of_a_stage_is_one_and_the_next_is_none(
    engine: LocalEngine, channel: str, troubles: int
) -> None:
    assert len(read(engine, {"stage": "Stem", "channel": channel}).troubles) == troubles


@pytest.mark.parametrize(
    ("name", "word"),
    [("view", "foo"), ("lang", "xx"), ("point", "3"), ("point", "3,-4"), ("ranking", "best"), ("scope", "all"),
     ("sheet", "0"), ("sheet", "2"), ("sheet", "x")],
)  # fmt: skip
def test_every_other_wrong_word_is_a_stray_that_is_said(engine: LocalEngine, name: str, word: str) -> None:
    view = read(engine, {"stage": "Stem", name: word, "utm_source": "mail"})
    assert view.strays == (name,)
    assert len(view.troubles) == 1


def test_ranking_scale_and_sheet_are_read(engine: LocalEngine) -> None:
    query = {"stage": "Blocks 10-12", "ranking": "sparsity", "scope": "network", "view": "entropy", "point": "3,4"}
    view = read(engine, query)
    assert (view.ranking, view.scope, view.page, view.troubles) == ("sparsity", "network", 0, ())
    wide = read(engine, {"stage": "blocks.12.expand", "sheet": "2"})
    assert (wide.page, wide.troubles) == (1, ())


def test_a_channel_of_no_stage_is_none(engine: LocalEngine) -> None:
    assert read(engine, {"channel": "3"}).channel is None
    assert read(engine, {"stage": "Encoder 99", "channel": "3"}).channel is None


def test_inputs_write_their_part_through_the_one_script(engine: LocalEngine) -> None:
    page = build_app(engine)
    scripts = [fn.js for fn in page.fns.values() if isinstance(fn.js, str) and "address.change" in fn.js]
    assert len(scripts) == 6
    assert all("static/address.js" in script for script in scripts)
    written = " ".join(scripts)
    for part in (
        "network: value, side: null, step: null, stage: null, channel: null",
        "{side: value}",
        "example: null",
    ):
        assert part in written
