"""What the panel of channels sends to the page."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo.errors import InputError
from segdemo.questions import Activation, Catalogue, Layers, LayerSummary
from segdemo.rendering import Scale, colour_values
from segdemo.results import LayerInfo
from segdemo.summaries import summarise
from segdemo.ui.panels.channels import ChannelGrid, ChannelsPanel, asked_grid, coloured, ends, payload
from tests.ui.conftest import CALLS, FACTS, RUN, Kept, Table, activation, made_up

SHEET = ChannelGrid(RUN, "Encoder 1", ranking="index")


@pytest.fixture
def exact(table: Table) -> np.ndarray:
    """The values of channel 3, some of them not finite, which the engine has from now on."""
    values = activation()[0, 3].numpy()
    table.answers[Activation("made_up", RUN.picture, "inc", 3, 24, maps=True)] = values
    return values


def other_layer(table: Table, values: torch.Tensor) -> None:
    """Let the network have one more layer, "odd", that put this out, batch first."""
    shape = tuple(values.shape[1:])
    table.answers[Layers("made_up", 24, (48, 32))] = (*CALLS, LayerInfo("odd", "Odd", shape))
    table.answers[LayerSummary("made_up", RUN.picture, "odd", 24)] = summarise(values)


def pixels(kept: Kept, file: dict[str, str]) -> np.ndarray:
    with Image.open(io.BytesIO(kept.files[file["url"]])) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def test_nothing_is_sent_as_nothing(table: Table) -> None:
    panel: Any = ChannelsPanel(table)
    assert panel.postprocess(None) is None
    assert panel.preprocess({"run": "of somebody else"}) is None


def test_the_value_on_the_page_is_the_question_and_comes_back_as_it_went(table: Table) -> None:
    asked = ChannelGrid(RUN, "inc.0", "sparsity", "network", -1, 7)
    value = json.loads(json.dumps(ChannelsPanel(table).postprocess(asked)))
    assert asked_grid(value) == asked
    assert not table.asked  # the answer comes when the script asks for it


def test_sprite_holds_every_tile_bit_for_bit_eight_in_a_row(table: Table, kept: Kept) -> None:
    sent = payload(table, SHEET, kept)
    sprite = pixels(kept, sent["sprite"])
    assert (sent["columns"], sent["thumbnail"]) == (8, [8, 12])
    assert sprite.shape == (2 * 8, 8 * 12, 3)
    summary = table.answers[RUN].layers["Encoder 1"]
    scales = [Scale(0.0, float(channel), diverging=False) for channel in range(10)]
    scales[0] = Scale(0.0, 9.0, diverging=False)  # it is 0 everywhere: on the layer's scale
    tiles = coloured(summary, np.arange(10), [*scales])
    for index in (0, 1, 2, 4, 5, 6, 7, 8, 9):
        row, column = 8 * (index // 8), 12 * (index % 8)
        np.testing.assert_array_equal(sprite[row : row + 8, column : column + 12], tiles[index])
    steps = np.linspace(0, 1, 96).reshape(8, 12)
    expected = colour_values(np.rint(252 * steps) / 252, Scale(0.0, 1.0, diverging=False))
    assert np.abs(sprite[8:16, 12:24].astype(int) - expected).max() <= 8  # channel 9, to a level of 252


def test_facts_are_plain_and_complete(table: Table, kept: Kept) -> None:
    sent = payload(table, SHEET, kept)
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    assert (sent["label"], sent["layer"], sent["kind"]) == ("Encoder 1", "inc", "DoubleConv")
    assert (sent["network_title"], sent["untrained"]) == ("Made up", False)
    assert (sent["shape"], sent["map"], sent["step"]) == ([10, 8, 12], [8, 12], 1)
    assert (sent["page"], sent["pages"], sent["total"]) == (0, 1, 10)
    assert sent["valid"] == [1.0, pytest.approx(2 / 3)]
    assert [tile["channel"] for tile in sent["channels"]] == list(range(10))
    assert [tile["channel"] for tile in sent["channels"] if "dead" in tile["flags"]] == [0]
    assert [tile["channel"] for tile in sent["channels"] if "nan" in tile["flags"] and "inf" in tile["flags"]] == [3]
    tile = sent["channels"][8]
    assert (tile["low"], tile["high"], tile["mean"]) == (0, 8, pytest.approx(4))
    assert tile["zero_share"] == pytest.approx(1 / 96)
    stats = sent["stats"]
    assert (stats["minimum"], stats["maximum"], stats["dead"]) == (0, 9, 1)
    assert (stats["nans"], stats["infinities"]) == (1, 2)
    assert len(stats["edges"]) == 65 and sum(stats["counts"]) == 960 - 3
    assert sent["enlarged"] is False


def test_numbers_that_are_not_finite_are_sent_as_none(table: Table, kept: Kept) -> None:
    other_layer(table, torch.full((1, 1, 2, 2), float("nan")))
    sent = payload(table, ChannelGrid(RUN, "odd"), kept)
    assert sent["channels"][0]["low"] is None
    assert sent["channels"][0]["zero_share"] == 0
    json.dumps(sent, allow_nan=False)


def test_exact_values_arrive_bit_for_bit(table: Table, kept: Kept, exact: np.ndarray) -> None:
    sent = payload(table, replace(SHEET, channel=3), kept)["enlarged"]
    assert kept.files[sent["exact"]["url"]] == exact.astype("<f4").tobytes()
    assert (sent["channel"], sent["shape"]) == (3, [8, 12])
    assert sent["scale"] == [pytest.approx(float(exact[np.isfinite(exact)].min())), 3, False]


def test_values_that_are_a_view_arrive_row_by_row(table: Table, kept: Kept) -> None:
    values = np.arange(96, dtype=np.float32).reshape(12, 8).T
    table.answers[Activation("made_up", RUN.picture, "inc", 5, 24, maps=True)] = values
    sent = payload(table, replace(SHEET, channel=5), kept)["enlarged"]
    assert np.frombuffer(kept.files[sent["exact"]["url"]], "<f4")[:3].tolist() == [0, 8, 16]


@pytest.mark.usefixtures("exact")
def test_what_the_network_saw_comes_along_in_its_own_size(table: Table, kept: Kept) -> None:
    sent = payload(table, replace(SHEET, channel=3), kept)["enlarged"]
    with Image.open(io.BytesIO(kept.files[sent["picture"]["url"]])) as file:
        assert (file.format, file.size) == ("JPEG", (24, 24))


def test_no_file_is_sent_for_what_is_not_enlarged(table: Table, kept: Kept) -> None:
    payload(table, SHEET, kept)
    assert [url.rpartition("/")[2] for url in kept.files] == ["channels.png"]


@pytest.mark.parametrize(
    ("shape", "told", "drawn"),
    [
        ((10,), [10, 1, 1], [1, 1]),
        ((19, 7), [19, 7], [19, 7]),
        ((10, 2, 3), [10, 2, 3], [2, 3]),
        ((10, 4, 2, 3), [10, 4, 2, 3], [8, 3]),
    ],
)
def test_outputs_that_are_no_maps_are_drawn_as_maps(
    table: Table, kept: Kept, shape: tuple[int, ...], told: list[int], drawn: list[int]
) -> None:
    other_layer(table, torch.ones(1, *shape))
    sent = payload(table, ChannelGrid(RUN, "odd"), kept)
    assert (sent["shape"], sent["map"], sent["kind"]) == (told, drawn, "Odd")
    assert sent["total"] == (1 if len(shape) == 2 else shape[0])


def test_a_module_is_summarised_and_a_stage_needs_no_second_pass(table: Table, kept: Kept) -> None:
    payload(table, SHEET, kept)
    assert not [one for one in table.asked if isinstance(one, LayerSummary)]
    assert payload(table, replace(SHEET, layer="inc"), kept)["label"] == "Encoder 1"  # by either of its names
    assert not [one for one in table.asked if isinstance(one, LayerSummary)]


def test_pages_and_rankings_cover_every_channel_once(table: Table, kept: Kept) -> None:
    strengths = np.random.default_rng(0).permutation(160)
    other_layer(table, torch.from_numpy(strengths).float()[None, :, None, None].expand(1, 160, 2, 2) - 80)
    pages = [payload(table, ChannelGrid(RUN, "odd", "mean_abs", page=page), kept) for page in range(3)]
    assert [len(page["channels"]) for page in pages] == [64, 64, 32]
    assert {page["pages"] for page in pages} == {3}
    shown = [tile for page in pages for tile in page["channels"]]
    assert sorted(tile["channel"] for tile in shown) == list(range(160))
    found = [tile["mean_abs"] for tile in shown]
    assert found == sorted(abs(strengths - 80.0), reverse=True)
    assert payload(table, ChannelGrid(RUN, "odd", page=99), kept)["page"] == 2


def test_a_channel_from_the_address_opens_on_its_page(table: Table, kept: Kept) -> None:
    other_layer(table, torch.ones(1, 160, 2, 2))
    table.answers[Activation("made_up", RUN.picture, "odd", 130, 24, maps=True)] = np.ones((2, 2), np.float32)
    sent = payload(table, ChannelGrid(RUN, "odd", "index", page=-1, channel=130), kept)
    assert (sent["page"], sent["enlarged"]["channel"]) == (2, 130)
    assert 130 in [tile["channel"] for tile in sent["channels"]]


def test_one_scale_for_the_layer_or_the_network_spans_all_its_channels(table: Table, kept: Kept) -> None:
    # Encoder 1 runs from 0 to 9, Logits from -2 to 0: signed together, so symmetric about 0.
    scales = [payload(table, replace(SHEET, scope=scope), kept)["scale"] for scope in ("channel", "layer", "network")]
    assert scales == [None, [0, 9, False], [-9, 9, True]]


def test_an_untrained_network_is_told(table: Table, kept: Kept, picture: Image.Image) -> None:
    table.answers[RUN] = made_up(picture, trained=False)
    table.answers[Catalogue()] = (replace(FACTS, trained=False),)
    assert payload(table, SHEET, kept)["untrained"] is True


def test_a_scale_is_written_as_scripts_read_it() -> None:
    assert ends(Scale(-2.0, 2.0, diverging=True)) == (-2, 2, True)
    assert ends(None) is None


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"run": None}, "run_once_more"),
        ({"run": "of somebody"}, "run_once_more"),
        ({"run": {}}, "wrong_text"),
        ({"layer": None}, "wrong_text"),
        ({"layer": ["inc"]}, "wrong_text"),
        ({"ranking": "luck"}, "wrong_choice"),
        ({"scope": None}, "wrong_choice"),
        ({"page": -2}, "wrong_whole_number"),
        ({"page": "1"}, "wrong_whole_number"),
        ({"channel": -1}, "wrong_whole_number"),
        ({"channel": True}, "wrong_whole_number"),
    ],
)
def test_what_cannot_be_asked_is_refused(table: Table, wrong: dict[str, Any], code: str) -> None:
    right = ChannelsPanel(table).postprocess(SHEET)
    assert right is not None
    with pytest.raises(InputError) as error:
        asked_grid({**right, **wrong})
    assert error.value.code == code


def test_select_can_be_listened_to(table: Table) -> None:
    assert callable(ChannelsPanel(table).select)
