"""One point in every map: pointing, pinning, what stands there, and what is ranked by it, in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.images import Placement
from segdemo.networks import NETWORKS
from segdemo.questions import Activation, ChannelScores, Run
from segdemo.results import Result
from segdemo.ui.javascript import version
from tests.browser.visitor import Visitor

STAGE = "Blocks 10-12"  # 96 channels of 33 × 33 at 257 pixels
EYE = (305, 150)
LANGUAGES = pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
CAT = {"en-GB": "cat", "zh-CN": "猫"}
# Has the page point at pixels, one a frame, and reads where the crosshairs of all thumbnails are: shares of each.
POINT = """async ([scripts, points]) => {
  const pointer = await import(new URL(`${scripts}static/pointer.js`, document.baseURI).href);
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const {picture} = pointer.current();
  const numbers = (text) => text.match(/-?[\\d.]+(e-?\\d+)?/g).map(Number);
  const found = [];
  for (const point of points) {
    pointer.hover(picture, point, 'test');
    await frame();
    const tiles = [...document.querySelectorAll('#channels .tile .pointed > i')]
      .map((node) => numbers(node.style.transform).map((part) => part / 100));
    const boxes = [...document.querySelectorAll('#figure svg.pointed')].map((node) => {
      const [x, y] = numbers(node.firstElementChild.style.transform);
      return [x / node.width.baseVal.value, y / node.height.baseVal.value];
    });
    found.push({tiles, boxes});
  }
  return found;
}"""


def speaking(new_page: Callable[..., Page], app_url: str, locale: str, **settings: object) -> Visitor:
    """Have somebody come whose browser speaks a language."""
    return Visitor(new_page(locale=locale, **settings), app_url)


def run(engine: LocalEngine, network: str = "deeplabv3_mobilenet_v2", size: int = 257, name: str = "chelsea") -> Run:
    """Name a run of the page."""
    return Run(network, engine.keep(str(example(name))), size)


def activation(engine: LocalEngine, question: Run, layer: str = STAGE) -> np.ndarray:
    """Compute what a layer puts out, (C, h, w)."""
    values: np.ndarray = engine.answer(
        Activation(question.network, question.picture, layer, None, question.size, question.step)
    )
    return values


def point_in_picture(visitor: Visitor, point: tuple[int, int], size: tuple[int, int]) -> None:
    """Move the pointer onto a pixel of the picture in the segmentation."""
    visitor.point_at(visitor.segmentation.locator("canvas.map"), point[1], point[0], (size[1], size[0]))


def pin(visitor: Visitor, point: tuple[int, int], size: tuple[int, int] = (451, 300)) -> None:
    """Click a pixel of the picture, and wait until it is pinned."""
    point_in_picture(visitor, point, size)
    visitor.page.mouse.down()
    visitor.page.mouse.up()
    visitor.page.wait_for_function("() => new URL(location.href).searchParams.has('point')")


def pinned(visitor: Visitor) -> tuple[int, int]:
    """Read the pinned pixel from the address."""
    x, y = map(int, (visitor.in_address("point") or "").split(","))
    return x, y


def crosshair(tile: Locator) -> tuple[float, float]:
    """Read where the crosshair of a tile is, as shares of its map."""
    right, down = re.findall(r"-?[\d.]+", tile.locator(".pointed i").evaluate("(node) => node.style.transform"))
    return float(right) / 100, float(down) / 100


def lies_in(share: tuple[float, float], cell: tuple[int, int], size: tuple[int, int]) -> bool:
    """Say whether a share of a map lies in one of its values; what is written down is rounded."""
    return all(abs(part * n - place - 0.5) <= 0.5 + 1e-3 for part, place, n in zip(share, cell, size, strict=True))


# The first network of each way to place a picture in a batch.
PLACED = {
    (spec.preprocessing.shape, spec.preprocessing.stride, spec.preprocessing.channels): name
    for name, spec in reversed(NETWORKS.items())
}


@pytest.mark.parametrize("network", PLACED.values())
def test_a_point_is_the_same_point_in_every_thumbnail_however_a_network_is_fed(
    visitor: Visitor, engine: LocalEngine, network: str
) -> None:
    size = min(NETWORKS[network].preprocessing.sizes)
    visitor.open(network=network, side=size)
    result: Result = engine.answer(run(engine, network, size))
    placement = result.placement
    random = np.random.default_rng(0)
    points = [(int(random.integers(451)), int(random.integers(300))) for _ in range(60)]
    found = visitor.page.evaluate(POINT, [f"scripts/{version()}/", points])
    maps = [summary.shape for summary in result.layers.values() if len(summary.shape) == 3]
    first = next(iter(result.layers.values())).shape
    for point, here in zip(points, found, strict=True):
        assert len(here["tiles"]) == min(first[0], 64)
        assert len(here["boxes"]) > 0
        own = share_of(placement, point)
        for share in here["tiles"]:
            assert lies_in(share, placement.cell_at(point, (first[2], first[1])), (first[2], first[1]))
        for share in here["boxes"]:
            assert share == pytest.approx(own, abs=1e-3)
        for shape in maps:  # the share is that of the package's cells in maps of every size
            assert lies_in(own, placement.cell_at(point, (shape[2], shape[1])), (shape[2], shape[1]))


def share_of(placement: Placement, point: tuple[int, int]) -> tuple[float, float]:
    """Return where the middle of a pixel lies in the batch, as shares of its width and height."""
    right, down = (
        (place + 0.5) / whole * part / batch
        for place, whole, part, batch in zip(
            point, placement.picture_size, placement.resized, placement.padded, strict=True
        )
    )
    return right, down


@pytest.fixture
def at_stage(visitor: Visitor) -> Visitor:
    """Somebody who looks at a stage of 33 × 33."""
    visitor.open(side=257, stage=STAGE)
    return visitor


def test_pointing_anywhere_marks_the_place_everywhere(at_stage: Visitor, engine: LocalEngine) -> None:
    placement = engine.answer(run(engine)).placement
    channel = at_stage.channels()[5]
    at_stage.tile(channel).click()
    expect(at_stage.grid.locator(".large")).not_to_have_class(re.compile("loading"))
    tile, tip = at_stage.tile(at_stage.channels()[0]), at_stage.segmentation.locator(".tip")
    point_in_picture(at_stage, EYE, (451, 300))
    cell = placement.cell_at(EYE, (33, 33))
    expect(at_stage.grid.locator(".grid")).to_have_class(re.compile("pointing"))
    expect(at_stage.diagram.locator(".figure")).to_have_class(re.compile("pointing"))
    assert lies_in(crosshair(tile), cell, (33, 33))
    expect(at_stage.grid.locator(".readout")).to_contain_text(f"row {cell[1]}, column {cell[0]}:")
    # A tile, the enlarged channel and a thumbnail of the figure, each pointed at where the map has one value.
    for map_ in (tile.locator(".holder canvas"), at_stage.grid.locator(".large canvas.map")):
        at_stage.point_at(map_, 9, 14, (33, 33))
        expect(tip).to_be_visible()
        x, y = at_tip(tip)
        assert placement.cell_at((x, y), (33, 33)) == (14, 9)
        assert lies_in(crosshair(tile), (14, 9), (33, 33))
    thumbnail = at_stage.diagram.locator(".frame").nth(2)
    before = tip.inner_text()
    at_stage.point_at(thumbnail, 1, 2, (4, 4))
    at_stage.page.wait_for_function(
        "(words) => document.querySelector('#segmentation .tip').innerText !== words", arg=before
    )
    x, y = at_tip(tip)
    assert placement.cell_at((x, y), (4, 4)) == (2, 1)


def at_tip(tip: Locator) -> tuple[int, int]:
    """Read the pixel that the tip names."""
    place = re.search(r"\((\d+), (\d+)\)", tip.inner_text())
    assert place is not None
    return int(place[1]), int(place[2])


@LANGUAGES
def test_padding_is_marked_where_it_is_seen_and_named_where_it_is_not(
    new_page: Callable[..., Page], app_url: str, locale: str
) -> None:
    visitor = speaking(new_page, app_url, locale)
    visitor.open(side=257, stage=STAGE)
    tile = visitor.tile(visitor.channels()[0])
    visitor.point_at(tile.locator(".holder canvas"), 30, 5, (33, 33))  # below the picture, which takes 22 rows
    expect(visitor.segmentation.locator(".off")).to_have_text(
        {"en-GB": "In the padding, beside the picture", "zh-CN": "在图片之外的填充部分"}[locale]
    )
    expect(visitor.segmentation.locator(".pointed")).to_be_hidden()
    assert lies_in(crosshair(visitor.tile(visitor.channels()[3])), (5, 30), (33, 33))
    visitor.show("seen")
    visitor.point_at(tile.locator(".holder canvas"), 31, 5, (33, 33))
    expect(visitor.segmentation.locator(".pointed")).to_be_visible()
    expect(visitor.segmentation.locator(".tip b")).to_have_text({"en-GB": "Padding", "zh-CN": "填充"}[locale])


@LANGUAGES
def test_a_click_pins_a_point_and_says_exactly_what_stands_there(
    new_page: Callable[..., Page], app_url: str, engine: LocalEngine, locale: str
) -> None:
    visitor = speaking(new_page, app_url, locale)
    visitor.open(side=257, stage=STAGE)
    pin(visitor, EYE)
    point = pinned(visitor)
    assert np.abs(np.subtract(point, EYE)).max() <= 1
    question = run(engine)
    result: Result = engine.answer(question)
    probabilities = result.probabilities_at(point)
    best = np.argsort(-probabilities)[:5]
    entries = visitor.segmentation.locator(".likeliest li")
    expect(entries).to_have_count(5)
    assert entries.first.locator("span").first.inner_text() == CAT[locale]
    for entry, index in zip(entries.all(), best, strict=True):
        assert int(entry.get_attribute("data-index") or -1) == index
        assert float(entry.get_attribute("title") or "nan") == probabilities[index]
    column, row = result.placement.cell_at(point, (33, 33))
    values = activation(engine, question)[:, row, column]
    expect(visitor.grid.locator(".there:visible")).to_have_count(64)
    for channel in visitor.channels():
        there = visitor.tile(channel).locator(".there")
        assert np.float32(there.get_attribute("data-value")) == values[channel]
    before = crosshair(visitor.tile(visitor.channels()[0]))
    point_in_picture(visitor, (20, 20), (451, 300))  # a pin stays where the pointer goes
    visitor.page.wait_for_timeout(50)
    assert crosshair(visitor.tile(visitor.channels()[0])) == before


def test_a_pin_goes_with_a_click_on_it_or_with_escape_and_comes_back_with_the_address(at_stage: Visitor) -> None:
    pin(at_stage, EYE)
    point = at_stage.in_address("point")
    at_stage.page.mouse.down()
    at_stage.page.mouse.up()
    at_stage.expect_in_address("point", None)
    expect(at_stage.segmentation.locator(".likeliest")).to_be_hidden()
    expect(at_stage.grid.locator(".there:visible")).to_have_count(0)
    at_stage.open(side=257, stage=STAGE, point=point)
    expect(at_stage.segmentation.locator(".likeliest li")).to_have_count(5)
    assert at_stage.in_address("point") == point
    at_stage.page.keyboard.press("Escape")
    at_stage.expect_in_address("point", None)
    expect(at_stage.segmentation.locator(".likeliest")).to_be_hidden()


@pytest.mark.parametrize("word", ["451,0", "0,300"])  # what is no point at all, tests of the address know
def test_a_point_that_is_none_leaves_the_address(visitor: Visitor, word: str) -> None:
    visitor.open(side=257, point=word)
    visitor.expect_in_address("point", None)
    expect(visitor.segmentation.locator(".likeliest")).to_be_hidden()


def test_a_pin_stays_with_its_picture_and_not_with_another(at_stage: Visitor, engine: LocalEngine) -> None:
    pin(at_stage, EYE)
    point = pinned(at_stage)
    with at_stage.until_grid_is_new():
        at_stage.choose_network("U²-Net, small")
    likeliest = at_stage.segmentation.locator(".likeliest li")
    expect(likeliest).to_have_count(2)
    result: Result = engine.answer(run(engine, "u2netp", NETWORKS["u2netp"].preprocessing.size))
    assert float(likeliest.first.get_attribute("title") or "nan") == result.probabilities_at(point).max()
    with at_stage.until_grid_is_new():
        at_stage.choose_example(0)
    at_stage.expect_in_address("point", None)
    expect(at_stage.segmentation.locator(".likeliest")).to_be_hidden()
    expect(at_stage.grid.locator(".there:visible")).to_have_count(0)


@LANGUAGES
def test_channels_are_ranked_at_the_pinned_point_and_in_its_class(
    new_page: Callable[..., Page], app_url: str, engine: LocalEngine, locale: str
) -> None:
    visitor = speaking(new_page, app_url, locale)
    visitor.open(side=257, stage=STAGE)
    ranking = visitor.grid.locator("select.ranking")
    for by in ("point", "class"):
        expect(ranking.locator(f"option[value={by}]")).to_be_disabled()
    pin(visitor, EYE)
    point, question = pinned(visitor), run(engine)
    layer = engine_layer(engine, question)
    for by in ("point", "class"):
        with visitor.until_grid_is_new():
            ranking.select_option(by)
        scores = engine.answer(
            ChannelScores(question.network, question.picture, layer, cast(Any, by), point, question.size, question.step)
        )
        assert visitor.channels() == np.argsort(-scores, kind="stable")[:64].tolist()
        caption = f"({point[0]}, {point[1]})" if by == "point" else f"“{CAT[locale]}”"
        expect(visitor.grid.locator(".ranked")).to_contain_text(caption)
    with visitor.until_grid_is_new():
        visitor.page.keyboard.press("Escape")
    expect(ranking).to_have_value("variance")


def engine_layer(engine: LocalEngine, question: Run) -> str:
    """Return the dotted name of the stage."""
    return next(stage.layer for stage in NETWORKS[question.network].stages if stage.label == STAGE)


def test_a_tap_shows_the_values(new_page: Callable[..., Page], app_url: str) -> None:
    visitor = Visitor(new_page(has_touch=True), app_url)
    visitor.open(side=257, stage=STAGE)
    canvas = visitor.segmentation.locator("canvas.map")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    visitor.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(visitor.segmentation.locator(".tip")).to_contain_text("cat")
    expect(visitor.segmentation.locator(".likeliest li")).to_have_count(5)
    expect(visitor.grid.locator(".there:visible")).to_have_count(64)


def test_a_pin_moves_by_arrow_keys_and_is_read_aloud(at_stage: Visitor) -> None:
    canvas = at_stage.segmentation.locator("canvas.map")
    canvas.focus()
    for key in ("ArrowRight", "Enter", "Shift+ArrowRight", "Shift+ArrowDown"):
        at_stage.page.keyboard.press(key)
    at_stage.expect_in_address("point", "226,151")  # from the middle
    expect(at_stage.segmentation.locator(".spoken")).to_contain_text("(226, 151)")
    at_stage.page.keyboard.press("Escape")
    at_stage.expect_in_address("point", None)


@pytest.fixture
def never_late(at_stage: Visitor) -> Iterator[list[str]]:
    """Note what the page asks of the panels."""
    asked: list[str] = []
    at_stage.page.on(
        "request", lambda request: asked.append(request.url) if "component_server" in request.url else None
    )
    yield asked


def test_moving_the_pointer_asks_the_server_nothing(at_stage: Visitor, never_late: list[str]) -> None:
    for x in range(20, 440, 40):
        point_in_picture(at_stage, (x, 100), (451, 300))
    expect(at_stage.segmentation.locator(".tip")).to_contain_text("100)")
    assert never_late == []
    pin(at_stage, EYE)
    expect(at_stage.segmentation.locator(".likeliest li")).to_have_count(5)
    expect(at_stage.grid.locator(".there:visible")).to_have_count(64)
    assert len(never_late) == 2
