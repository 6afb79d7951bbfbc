"""The page from 390 to 2560 pixels wide, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

FITS = "() => document.scrollingElement.scrollWidth <= innerWidth"
# How clearly an element's text stands out from what is behind it: WCAG's contrast ratio, 1 to 21.
CONTRAST = """(element) => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const read = (...colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
    }
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const grounds = [];
  for (let node = element; node; node = node.parentElement) grounds.unshift(getComputedStyle(node).backgroundColor);
  const light = (colour) => colour.slice(0, 3).map((level) => level / 255)
    .map((level) => level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4)
    .reduce((sum, level, i) => sum + level * [0.2126, 0.7152, 0.0722][i], 0);
  const levels = [read(...grounds), read(...grounds, getComputedStyle(element).color)].map(light);
  const [low, high] = levels.sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""


@pytest.mark.parametrize(
    "view", [{"side": 257}, {"network": "u2netp", "side": 192, "lang": "zh"}, {"network": "unet", "side": 128}]
)
def test_nothing_sticks_out_sideways_from_390_to_2560_pixels(visitor: Visitor, view: dict[str, object]) -> None:
    visitor.open(**view)
    visitor.grid.locator(".tile").first.click()
    expect(visitor.grid.locator(".large:not(.loading)")).to_be_visible()
    for width in (390, 800, 1100, 1600, 2560):
        visitor.page.set_viewport_size({"width": width, "height": 1000})
        visitor.page.wait_for_function(FITS)
        for pane in ("segmentation", "figure", "channels"):
            if width < 1000:
                visitor.page.locator(f"#tab-{pane}").click()
            for place in (f"#{pane}", "#controls", "#header"):
                box = visitor.page.locator(place).bounding_box()
                assert box is not None
                assert box["x"] >= 0 and box["x"] + box["width"] <= width
            assert visitor.page.locator(f"#{pane} .block").last.evaluate(
                "(pane) => pane.scrollWidth <= pane.clientWidth"
            )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_in_both_themes(visitor: Visitor, theme: str) -> None:
    visitor.open(side=257, __theme=theme)
    dark = "() => document.body.classList.contains('dark')"
    assert visitor.page.evaluate(dark) is (theme == "dark")
    visitor.grid.locator(".tile").first.click()
    expect(visitor.grid.locator(".large:not(.loading)")).to_be_visible()
    contrasts = {}
    for place in (
        "#header h1",
        "#header .motto",
        "#segmentation .heading",
        "#segmentation .caption",
        "#segmentation .facts",
        "#segmentation .legend .entry .name",
        "#figure .heading",
        "#figure .legend span",
        "#channels .head h3",
        "#channels .how",
        "#channels .readout",
        "#status p",
        "#about p",
    ):
        contrasts[place] = round(visitor.page.locator(place).first.evaluate(CONTRAST), 1)
    assert {place: contrast for place, contrast in contrasts.items() if contrast < 4.5} == {}
