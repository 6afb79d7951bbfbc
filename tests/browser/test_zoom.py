"""Zooming and panning, outlines and names of regions, and what a network that finds nothing says, in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.questions import Run
from segdemo.results import Result
from tests.browser.visitor import Visitor, painted

STAGE = "Blocks 10-12"
CAT = 8


@pytest.fixture
def at_channel(visitor: Visitor) -> Visitor:
    """Somebody who looks at an enlarged channel of 33 × 33 values."""
    visitor.open(side=257, stage=STAGE, channel=5)
    expect(large(visitor).locator("canvas.map")).to_be_visible()
    return visitor


def large(visitor: Visitor) -> Locator:
    """Find the enlarged channel."""
    return visitor.grid.locator(".large:not(.loading)")


def zoom_of(stage: Locator) -> float:
    """Read how far a lens magnifies."""
    return float(stage.get_attribute("data-zoom") or "nan")


def test_the_wheel_zooms_segmentation_and_channel_together_and_the_place_under_it_stays(at_channel: Visitor) -> None:
    stage, frame = at_channel.segmentation.locator(".stage"), large(at_channel).locator(".frame")
    map_, tip = at_channel.segmentation.locator("canvas.map"), at_channel.segmentation.locator(".tip")
    at_channel.point_at(map_, 120, 300, (300, 451))
    expect(tip).to_contain_text("(300, 120)")
    for _ in range(4):
        at_channel.page.mouse.wheel(0, -200)
    expect(stage).not_to_have_attribute("data-zoom", "1.000")
    expect(frame).to_have_attribute("data-zoom", re.compile(r"^[2-9]"))
    assert zoom_of(stage) == zoom_of(frame) == pytest.approx(np.exp(1.6), abs=1e-3)
    box = map_.bounding_box()
    where = stage.bounding_box()
    assert box is not None and where is not None
    assert box["width"] == pytest.approx(where["width"] * zoom_of(stage), rel=1e-3)
    middle = box["x"] + 300.5 / 451 * box["width"] - where["x"], box["y"] + 120.5 / 300 * box["height"] - where["y"]
    unzoomed = 300.5 / 451 * where["width"], 120.5 / 300 * where["height"]
    assert middle == pytest.approx(unzoomed, abs=5)  # the wheel knows whole pixels, which are magnified
    for _ in range(6):
        at_channel.page.mouse.wheel(0, 200)
    expect(stage).to_have_attribute("data-zoom", "1.000")
    expect(frame).to_have_attribute("data-zoom", "1.000")


def test_keys_zoom_and_a_drag_moves_what_is_seen_without_pinning(at_channel: Visitor) -> None:
    stage, map_ = at_channel.segmentation.locator(".stage"), at_channel.segmentation.locator("canvas.map")
    map_.focus()
    for key in ("+", "+", "-", "+"):
        at_channel.page.keyboard.press(key)
    expect(stage).to_have_attribute("data-zoom", "2.250")
    before, where = map_.bounding_box(), stage.bounding_box()
    assert before is not None and where is not None
    x, y = where["x"] + where["width"] / 2, where["y"] + where["height"] / 2
    at_channel.page.mouse.move(x, y)
    at_channel.page.mouse.down()
    at_channel.page.mouse.move(x - 30, y - 20, steps=4)
    at_channel.page.mouse.up()
    at_channel.page.wait_for_function(
        "([map, left]) => Math.abs(map.getBoundingClientRect().left - left) < 1",
        arg=[map_.element_handle(), before["x"] - 30],
    )
    assert at_channel.in_address("point") is None
    at_channel.page.keyboard.press("0")
    expect(stage).to_have_attribute("data-zoom", "1.000")


def test_values_are_written_into_what_is_large_enough(at_channel: Visitor) -> None:
    cells, frame = large(at_channel).locator("canvas.values"), large(at_channel).locator(".frame")
    pixels = at_channel.segmentation.locator("canvas.values")
    expect(pixels).to_be_hidden()
    box = frame.bounding_box()
    assert box is not None
    frame.focus()
    while zoom_of(frame) * box["width"] / 33 < 28:
        before = frame.get_attribute("data-zoom") or ""
        expect(cells).to_be_hidden()
        at_channel.page.keyboard.press("+")
        expect(frame).not_to_have_attribute("data-zoom", before)
    expect(cells).to_be_visible()
    assert painted(cells)[..., 3].any()
    for _ in range(12):  # down to single pixels of the picture
        at_channel.page.keyboard.press("+")
    expect(pixels).to_be_visible()
    assert painted(pixels)[..., 3].any()
    at_channel.page.keyboard.press("0")
    expect(pixels).to_be_hidden()


def test_two_fingers_zoom(new_page: Callable[..., Page], app_url: str) -> None:
    visitor = Visitor(new_page(has_touch=True), app_url)
    visitor.open(side=257)
    stage = visitor.segmentation.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = visitor.page.context.new_cdp_session(visitor.page)

    def fingers(kind: str, apart: float) -> None:
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}] if apart else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 40)
    for apart in (50, 60, 70, 80):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    expect(stage).to_have_attribute("data-zoom", re.compile(r"^(1\.[89]|2\.[0-2])"))
    assert visitor.in_address("point") is None


@pytest.fixture
def result(engine: LocalEngine) -> Result:
    """What the page shows under ``side=257``."""
    found: Result = engine.answer(Run("deeplabv3_mobilenet_v2", engine.keep(str(example("chelsea"))), 257))
    return found


def test_regions_have_an_outline_of_two_tones_at_their_borders(visitor: Visitor, result: Result) -> None:
    visitor.open(side=257)
    canvas = visitor.segmentation.locator("canvas.outline")
    expect(canvas).to_be_visible()
    lines = painted(canvas)
    dark, light = ((lines == [tone] * 3 + [255]).all(-1) for tone in (0, 255))
    assert dark.any() and light.any()
    assert (lines[..., 3] == 0)[~(dark | light)].all()
    height, width = dark.shape
    rows = np.minimum(((np.arange(height) + 0.5) / height * 300).astype(int), 299)
    columns = np.minimum(((np.arange(width) + 0.5) / width * 451).astype(int), 450)
    shown = result.mask[np.ix_(rows, columns)]
    assert (shown[dark | light] == CAT).all()  # inside the region, not on the background, which is hidden
    padded = np.pad(shown, 1, mode="edge")
    border = sum(padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] != shown for y, x in STEPS) > 0
    assert np.array_equal(dark, border & (shown == CAT))
    around = np.pad(dark, 1)
    beside = sum(around[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in STEPS) > 0
    assert np.array_equal(light, beside & ~dark & (shown == CAT))
    visitor.segmentation.locator(f'.legend .entry[data-index="{CAT}"]').click()
    visitor.page.mouse.move(0, 0)
    assert not painted(canvas)[..., 3].any()


STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))


@pytest.mark.parametrize(("locale", "name"), [("en-GB", "cat"), ("zh-CN", "猫")])
def test_the_name_of_a_class_stands_on_its_region_unless_it_is_switched_off(
    new_page: Callable[..., Page], app_url: str, result: Result, locale: str, name: str
) -> None:
    visitor = Visitor(new_page(locale=locale), app_url)
    visitor.open(side=257)
    names = visitor.segmentation.locator(".region-names span")
    expect(names).to_have_count(1)
    expect(names).to_have_text(name)
    box, where = names.bounding_box(), visitor.segmentation.locator(".stage").bounding_box()
    assert box is not None and where is not None
    left, right = ((side - where["x"]) / where["width"] * 451 for side in (box["x"], box["x"] + box["width"]))
    top, bottom = ((side - where["y"]) / where["height"] * 300 for side in (box["y"], box["y"] + box["height"]))
    assert (result.mask[int(top) : int(bottom) + 1, int(left) : int(right) + 1] == CAT).all()
    visitor.segmentation.locator("input.names").uncheck()
    expect(names.first).to_be_hidden()


@pytest.mark.parametrize(
    ("locale", "sentence", "offer"),
    [
        ("en-GB", "This network knows only six things, and sees none of them here.", "Try DeepLabv3 · MobileNetV2"),
        ("zh-CN", "这个网络只认识 6 种事物，在这里一种也没有看到。", "试试 DeepLabv3 · MobileNetV2"),
    ],
)
def test_a_network_that_finds_nothing_says_so_and_hands_over_to_one_that_might(
    new_page: Callable[..., Page], app_url: str, locale: str, sentence: str, offer: str
) -> None:
    visitor = Visitor(new_page(locale=locale), app_url)
    visitor.open(network="fcn_alexnet", side=192, example="motorcycle")
    nothing = visitor.segmentation.locator(".nothing")
    expect(nothing).to_contain_text(sentence)
    with visitor.until_grid_is_new():
        nothing.get_by_role("button", name=offer).click()
    visitor.expect_in_address("network", "deeplabv3_mobilenet_v2")
    visitor.expect_in_address("example", "motorcycle")
    expect(nothing).to_be_hidden()
    expect(visitor.page.locator("#network input")).to_have_value("DeepLabv3 · MobileNetV2")
    expect(visitor.segmentation.locator(".facts")).to_contain_text("DeepLabv3 · MobileNetV2")
