"""axe-core finds nothing to mend: names, headings, contrast; in both languages, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from segdemo.ui.texts import TEXTS
from tests.browser.visitor import Visitor

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
FOUND = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ['violations']});
  return violations.flatMap(({id, nodes}) =>
    nodes.map(({html, failureSummary}) => `${id}: ${html}\n${failureSummary}`));
}"""
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


def found(page: Page) -> str:
    """What axe-core has to say of the page as it stands."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    return "\n\n".join(page.evaluate(FOUND))


@pytest.fixture(params=["en light wide", "zh dark wide", "zh light narrow", "en dark narrow"])
def visitor(request: pytest.FixtureRequest, new_page: Callable[..., Page], app_url: str) -> Visitor:
    """Somebody who looks at an enlarged channel with a point pinned."""
    language, theme, size = request.param.split()
    width, height = SIZES[size]
    visitor = Visitor(new_page(viewport={"width": width, "height": height}), app_url)
    view = {"stage": "Blocks 3-5", "channel": 7, "point": "100,100", "lang": language, "__theme": theme}
    visitor.visit(side=257, **view)
    expect(visitor.segmentation.locator(".likeliest")).to_be_visible()
    expect(visitor.page.locator("#channels .large:not(.loading)")).to_be_attached()
    return visitor


def test_nothing_is_found_while_looking_inside_while_choosing_and_in_the_other_tabs(visitor: Visitor) -> None:
    page = visitor.page
    assert not found(page)
    tabs = page.locator(".panes [role=tab]")
    for place in range(tabs.count()):
        if tabs.nth(place).is_visible():
            tabs.nth(place).click()
            assert not found(page)
    visitor.open_inputs()
    expect(page.locator("#examples button").last).to_be_visible()
    assert not found(page)
    page.keyboard.press("Escape")
    expect(page.locator("#inputs")).to_be_hidden()
    for name, title, content in (
        ("why", "page.why", "table"),
        ("labs", "page.labs", "figure"),
        ("networks", "page.catalogue", "table"),
    ):
        button = page.locator(f"#{name}-button")
        if not button.is_visible():  # where there is no room, it is in a menu
            page.locator(".overflow-menu > button").click()
            words = TEXTS[visitor.in_address("lang") or "en"][title]
            button = page.locator(".overflow-dropdown button", has_text=words)
        button.click()
        expect(page.locator(f"#{name} {content}").first).to_be_visible()
        assert not found(page), name


def test_what_is_wrong_is_found(page: Page) -> None:
    page.set_content("<main><h1>A</h1><h3>B</h3><img src='data:,'><button></button></main>")
    said = found(page)
    assert "heading-order" in said and "image-alt" in said and "button-name" in said
