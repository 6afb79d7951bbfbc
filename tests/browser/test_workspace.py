"""Segmentation, figure and channels beside each other: what of them is in sight, and who gets how much room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from segdemo.networks import NETWORKS
from tests.browser.visitor import Visitor

PANES = ("segmentation", "figure", "channels")
# Among the places that a selector names, those that lie whole within the window and within all that cuts them off.
IN_SIGHT = """(selector) => [...document.querySelectorAll(selector)].filter((node) => {
  const own = node.getBoundingClientRect();
  if (own.width === 0 || own.height === 0) return false;
  const holds = ({left, top, right, bottom}) =>
    own.left >= left - 1 && own.top >= top - 1 && own.right <= right + 1 && own.bottom <= bottom + 1;
  for (let around = node.parentElement; around; around = around.parentElement) {
    const {overflowX, overflowY, display} = getComputedStyle(around);
    if (display !== 'contents' && (overflowX !== 'visible' || overflowY !== 'visible')
      && !holds(around.getBoundingClientRect())) return false;
  }
  return holds({left: 0, top: 0, right: innerWidth, bottom: innerHeight});
}).length"""
WIDTH = "document.querySelector('#figure svg.picture').getBoundingClientRect().width"
WIDER = f"(least) => {WIDTH} > least"
SHIFTED = """
window.shifted = 0;
window.moved = [];
const named = (node) => node?.id || node?.className?.baseVal || node?.className || node?.nodeName;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries().filter((one) => !one.hadRecentInput)) {
    window.shifted += entry.value;
    const box = (rect) => [rect.x, rect.y, rect.width, rect.height].map(Math.round);
    const places = entry.sources.map(({node, previousRect, currentRect}) =>
      `${named(node)}: ${box(previousRect)} → ${box(currentRect)}`);
    window.moved.push(`${entry.value.toFixed(3)} after ${Math.round(entry.startTime)} ms: ${places.join('; ')}`);
  }
}).observe({type: 'layout-shift', buffered: true});
"""
# Height of the smallest letters of the figure, in pixels of the screen.
SMALLEST = """(svg) => Math.min(...[...svg.querySelectorAll('text')].map((text) =>
  parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""


def overflow(page: Page) -> list[int]:
    """How far the page could be scrolled, pixels downwards and sideways."""
    reading = "(root => [root.scrollHeight - innerHeight, root.scrollWidth - innerWidth])(document.scrollingElement)"
    result: list[int] = page.evaluate(reading)
    return result


def width(pane: Locator) -> float:
    """How wide something is, pixels."""
    box = pane.bounding_box()
    assert box is not None
    return box["width"]


@pytest.fixture
def visit(new_page: Callable[..., Page], app_url: str) -> Callable[..., Visitor]:
    """Open a view in a window of a size."""

    def opened(size: tuple[int, int], **view: Any) -> Visitor:
        page = new_page(viewport={"width": size[0], "height": size[1]})
        page.add_init_script(SHIFTED)
        visitor = Visitor(page, app_url)
        visitor.open(**view)
        return visitor

    return opened


@pytest.mark.parametrize(
    ("size", "tiles", "language"),
    [((1280, 720), 8, "en"), ((1280, 720), 8, "zh"), ((1440, 900), 12, "zh"), ((1920, 1080), 12, "en")],
)
def test_the_mask_the_whole_network_and_many_channels_are_in_sight_together(
    visit: Callable[..., Visitor], size: tuple[int, int], tiles: int, language: str
) -> None:
    visitor = visit(size, side=257, lang=language)
    page = visitor.page
    assert overflow(page) == [0, 0]
    assert page.evaluate(IN_SIGHT, "#segmentation canvas.map") == 1
    boxes = page.locator("#figure .node .box, #figure .input .box").count()
    assert boxes == 14  # 13 stages and the input
    assert page.evaluate(IN_SIGHT, "#figure .box") == boxes
    assert page.evaluate(IN_SIGHT, "#channels .tile") >= tiles
    for place in ("#chosen .opener", "#run", "#stop", "#status", "#layer input", "#header .language"):
        assert page.evaluate(IN_SIGHT, place) == 1, place
    assert page.locator("#figure .drawing").evaluate(SMALLEST) >= 9
    assert page.evaluate("shifted") < 0.05, page.evaluate("moved")


@pytest.mark.parametrize(
    "network", ["unet_mobilenet_v2", "fcn_alexnet", "u2netp", "unet", "unet_bilinear", "unet_narrow", "lenet"]
)
def test_every_network_is_in_sight_as_a_whole_on_a_laptop(visit: Callable[..., Visitor], network: str) -> None:
    page = visit((1440, 900), network=network, example="digit" if network == "lenet" else "chelsea").page
    assert page.locator("#figure .drawing").evaluate(SMALLEST) >= 9
    assert overflow(page) == [0, 0]
    for stage in NETWORKS[network].stages:
        assert page.evaluate(IN_SIGHT, f'#figure .node[data-label="{stage.label}"] > .box') == 1, stage.label
    assert page.evaluate(IN_SIGHT, "#figure .input .box") == 1


def test_a_divider_follows_the_pointer_and_its_place_is_remembered(visit: Callable[..., Visitor]) -> None:
    visitor = visit((1280, 720), network="unet", side=128)
    page = visitor.page
    figure, channels = page.locator("#figure"), page.locator("#channels")
    before = [width(figure), width(channels)]
    divider = page.get_by_role("separator").last
    box = divider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 105, box["y"] + 200)
    page.mouse.up()
    assert width(figure) == pytest.approx(before[0] + 100, abs=3)
    assert width(channels) == pytest.approx(before[1] - 100, abs=3)
    visitor.open(network="unet", side=128)
    assert width(figure) == pytest.approx(before[0] + 100, abs=3)
    page.get_by_role("separator").last.dblclick()
    assert [width(figure), width(channels)] == pytest.approx(before, abs=3)
    visitor.open(network="unet", side=128)
    assert [width(figure), width(channels)] == pytest.approx(before, abs=3)


def test_a_divider_moves_by_arrow_keys_and_leaves_every_pane_some_room(visit: Callable[..., Visitor]) -> None:
    page = visit((1280, 720), network="unet", side=128).page
    divider = page.get_by_role("separator").first
    segmentation = page.locator("#segmentation")
    before = width(segmentation)
    value = int(divider.get_attribute("aria-valuenow") or 0)
    divider.press("ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", str(value + 2))
    assert width(segmentation) > before
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "14")
    assert width(segmentation) > 150
    divider.press("End")
    assert width(page.locator("#figure")) > 150
    assert overflow(page) == [0, 0]


def test_a_pane_takes_the_whole_window_and_goes_back_by_escape(visit: Callable[..., Visitor]) -> None:
    page = visit((1280, 720), network="unet", side=128).page
    picture = page.locator("#figure svg.picture").first
    for pane in PANES:
        box, small = page.locator(f"#{pane}").bounding_box(), width(picture)
        button = page.locator(f"#{pane} .pane-full")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        assert page.locator(f"#{pane}").bounding_box() == {"x": 0, "y": 0, "width": 1280, "height": 720}
        if pane == "figure":  # larger pictures, not larger gaps
            page.wait_for_function(WIDER, arg=1.1 * small)
        page.keyboard.press("Escape")
        expect(button).to_be_focused()
        expect(button).to_have_attribute("aria-pressed", "false")
        assert page.locator(f"#{pane}").bounding_box() == box
        page.wait_for_function(f"(wide) => {WIDTH} === wide", arg=small)


def test_an_enlarged_channel_leaves_tiles_mask_and_figure_in_sight(visit: Callable[..., Visitor]) -> None:
    visitor = visit((1280, 720), side=257)
    visitor.grid.locator(".tile").nth(1).click()
    expect(visitor.grid.locator(".large:not(.loading)")).to_be_visible()
    page = visitor.page
    assert page.evaluate(IN_SIGHT, "#channels .large canvas.map") == 1
    assert page.evaluate(IN_SIGHT, "#channels .tile") >= 4
    assert page.evaluate(IN_SIGHT, '#channels .tile[aria-selected="true"]') == 1
    assert page.evaluate(IN_SIGHT, "#segmentation canvas.map") == 1
    assert page.evaluate(IN_SIGHT, "#figure .box") == 14
    page.locator("#channels .pane-full").click()
    page.locator("#channels .large .buttons button").last.press("Escape")
    expect(visitor.grid.locator(".large")).to_be_hidden()
    expect(page.locator("#channels .pane-full")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize(("size", "language"), [((390, 844), "en"), ((390, 844), "zh"), ((800, 900), "en")])
def test_in_a_narrow_window_the_panes_are_tabs_and_the_picture_stays(
    new_page: Callable[..., Page], app_url: str, size: tuple[int, int], language: str
) -> None:
    page = new_page(viewport={"width": size[0], "height": size[1]})
    page.add_init_script(SHIFTED)
    visitor = Visitor(page, app_url)
    visitor.visit(side=257, lang=language)
    expect(page.locator("#channels [data-ready]:not([data-ready^=empty])")).to_be_attached()
    expect(page.locator("#segmentation .body")).to_be_visible()
    assert page.evaluate("shifted") < 0.05, page.evaluate("moved")
    wanted = {"segmentation": "canvas.map", "figure": ".node", "channels": ".tile"}
    for pane, content in wanted.items():
        page.locator(f"#tab-{pane}").click()
        expect(page.locator(f"#tab-{pane}")).to_have_attribute("aria-selected", "true")
        expect(page.locator(f"#{pane} {content}").first).to_be_visible()
        assert page.evaluate(IN_SIGHT, f"#{pane} {content}") >= 1
        assert page.evaluate(IN_SIGHT, f"#{pane} .pane-full") == 1
        for place in ("#chosen .thumb img", "#run", "#stop", "#header .language", "#look-button"):
            assert page.evaluate(IN_SIGHT, place) == 1, place
        others = "#networks-button" if size[0] > 700 else ".overflow-menu > button"
        assert page.evaluate(IN_SIGHT, others) == 1
        assert overflow(page) == [0, 0]
    page.locator("#tab-channels").press("ArrowLeft")
    expect(page.locator("#tab-figure")).to_be_focused()
    visitor.pick("Block 16")
    expect(page.locator("#tab-channels")).to_have_attribute("aria-selected", "true")
    expect(visitor.grid.locator(".head .size")).to_have_text("320 × 33 × 33")


@pytest.mark.parametrize("size", [(390, 844), (1280, 720)])
def test_the_bar_opens_all_inputs_and_closes_by_escape(visit: Callable[..., Visitor], size: tuple[int, int]) -> None:
    visitor = visit((1280, 720), network="unet_narrow", side=128)
    page = visitor.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    opener = page.locator("#chosen .opener")
    expect(opener).to_contain_text("128 px")
    expect(page.locator("#inputs")).to_be_hidden()
    opener.press("Enter")
    for place in ("#picture", "#examples button >> nth=4", "#network input", "#side input", "#step input[type=range]"):
        page.locator(place).scroll_into_view_if_needed()
        box = page.locator(place).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        assert box["y"] >= 0 and box["y"] + min(box["height"], 20) <= size[1]
    page.locator("#network input").press("Escape")
    page.locator("#network input").press("Escape")  # the first closes the menu
    expect(page.locator("#inputs")).to_be_hidden()
    expect(opener).to_be_focused()


def test_without_a_picture_the_inputs_are_open(visit: Callable[..., Visitor]) -> None:
    visitor = visit((1280, 720), network="unet", side=128)
    page = visitor.page
    opener = page.locator("#chosen .opener")
    opener.click()
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#chosen .thumb img")).to_be_hidden()
    expect(opener).to_have_attribute("aria-expanded", "true")
    page.locator("#examples button").nth(0).click()
    expect(page.locator("#chosen .thumb img")).to_be_visible()
    page.locator("#channels .head").click()  # whoever goes on with the workspace is done with the inputs
    expect(page.locator("#inputs")).to_be_hidden()
