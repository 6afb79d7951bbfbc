"""What ChannelSheet sends to the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segdemo.ui.components.channel_sheet import (
    ChannelSheet,
    Enlarged,
    SheetData,
    SheetStatistics,
    SheetValue,
    TileFacts,
)

COMPONENTS = Path(__file__).parents[2] / "segdemo/ui/components"
STATISTICS = SheetStatistics(
    -1.0, 2.0, 0.5, 0.25, 0.125, 1, 2, 3, edges=np.linspace(-1, 2, 65), counts=np.arange(64, dtype=np.int64)
)


@pytest.fixture
def sheet() -> ChannelSheet:
    return ChannelSheet()


@pytest.fixture
def value() -> SheetValue:
    """Ten channels of 2 × 3, two of them in the second row of the sprite."""
    tiles = np.arange(10 * 2 * 3 * 3, dtype=np.uint8).reshape(10, 2, 3, 3)
    facts = tuple(TileFacts(10 - i, -1.0, 2.0, 0.5, 0.25, 0.75, 0.125, ("dead",) if i == 9 else ()) for i in range(10))
    return SheetValue(
        network_title="U-Net",
        untrained=True,
        label="Encoder 1",
        layer="inc",
        kind="DoubleConv",
        shape=(10, 2, 3),
        tiles=tiles,
        step=1,
        channels=facts,
        page=0,
        pages=1,
        total=10,
        ranking="mean_abs",
        scope="channel",
        scale=None,
        stats=STATISTICS,
        valid=(1.0, 0.75),
    )


def sent(sheet: ChannelSheet, value: SheetValue) -> SheetData:
    data = sheet.postprocess(value)
    assert data is not None
    return data


def test_nothing_is_sent_as_nothing(sheet: ChannelSheet) -> None:
    assert sheet.postprocess(None) is None


def test_sprite_holds_every_tile_bit_for_bit_eight_in_a_row(sheet: ChannelSheet, value: SheetValue) -> None:
    with Image.open(sent(sheet, value).sprite.path) as file:
        assert file.format == "PNG"
        pixels = np.asarray(file)
    assert pixels.shape == (2 * 2, 8 * 3, 3)
    for index, tile in enumerate(value.tiles):
        row, column = 2 * (index // 8), 3 * (index % 8)
        np.testing.assert_array_equal(pixels[row : row + 2, column : column + 3], tile)


def test_facts_are_plain_and_complete(sheet: ChannelSheet, value: SheetValue) -> None:
    facts = sent(sheet, value).facts
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert (facts["label"], facts["layer"], facts["kind"], facts["untrained"]) == (
        "Encoder 1",
        "inc",
        "DoubleConv",
        True,
    )
    assert (facts["shape"], facts["thumbnail"], facts["columns"]) == ([10, 2, 3], [2, 3], 8)
    assert facts["valid"] == [1.0, 0.75]
    assert [channel["channel"] for channel in facts["channels"]] == list(range(10, 0, -1))
    assert facts["channels"][9]["flags"] == ["dead"]
    assert (facts["stats"]["dead"], facts["stats"]["nans"], facts["stats"]["infinities"]) == (1, 2, 3)
    assert len(facts["stats"]["edges"]) == 65
    assert facts["stats"]["counts"] == list(range(64))


def test_numbers_that_are_not_finite_are_sent_as_none(sheet: ChannelSheet, value: SheetValue) -> None:
    empty = TileFacts(0, *(float("nan"),) * 5, zero_share=0.0, flags=("nan",))
    channel = sent(sheet, replace(value, channels=(empty,)))
    assert channel.facts["channels"][0]["low"] is None
    assert channel.facts["channels"][0]["zero_share"] == 0.0


def test_exact_values_arrive_bit_for_bit(sheet: ChannelSheet, value: SheetValue) -> None:
    values = np.array([[0.1, -2.5, np.nan], [np.inf, -np.inf, 1e-40]], np.float32)
    data = sent(sheet, replace(value, enlarged=Enlarged(7, values, (-2.5, 2.5, True))))
    assert data.exact is not None
    assert Path(data.exact.path).read_bytes() == values.astype("<f4").tobytes()
    assert data.facts["enlarged"] == {"channel": 7, "shape": [2, 3], "scale": [-2.5, 2.5, True]}
    assert data.picture is None


def test_values_that_are_a_view_arrive_row_by_row(sheet: ChannelSheet, value: SheetValue) -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2).T
    data = sent(sheet, replace(value, enlarged=Enlarged(0, values, (0.0, 5.0, False))))
    assert data.exact is not None
    assert np.fromfile(data.exact.path, "<f4").tolist() == [0, 2, 4, 1, 3, 5]


def test_picture_is_sent_in_its_own_size(sheet: ChannelSheet, value: SheetValue, picture: Image.Image) -> None:
    enlarged = Enlarged(0, np.zeros((2, 3), np.float32), (0.0, 0.0, False), picture)
    data = sent(sheet, replace(value, enlarged=enlarged))
    assert data.picture is not None
    with Image.open(data.picture.path) as file:
        assert (file.format, file.size) == ("JPEG", picture.size)


def test_no_file_is_sent_for_what_is_not_enlarged(sheet: ChannelSheet, value: SheetValue) -> None:
    data = sent(sheet, value)
    assert data.exact is None and data.picture is None and data.facts["enlarged"] is None


def test_two_equal_answers_can_be_told_apart(sheet: ChannelSheet, value: SheetValue) -> None:
    first, second = sent(sheet, value), sent(sheet, value)
    assert first.serial != second.serial
    assert (first.facts, first.sprite.path) == (second.facts, second.sprite.path)


@pytest.mark.parametrize(
    ("shape", "told", "drawn"),
    [
        ((10,), [10, 1, 1], [1, 1]),
        ((197, 768), [197, 768], [197, 768]),
        ((10, 2, 3), [10, 2, 3], [2, 3]),
        ((10, 4, 2, 3), [10, 4, 2, 3], [8, 3]),
    ],
)
def test_outputs_that_are_no_maps_are_drawn_as_maps(
    sheet: ChannelSheet, value: SheetValue, shape: tuple[int, ...], told: list[int], drawn: list[int]
) -> None:
    facts = sent(sheet, replace(value, shape=shape)).facts
    assert (facts["shape"], facts["map"]) == (told, drawn)


def test_events_exist(sheet: ChannelSheet) -> None:
    assert callable(sheet.select) and callable(sheet.view)
