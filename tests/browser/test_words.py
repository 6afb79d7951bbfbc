"""Words with a dotted line: what they mean is reached without leaving the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from segdemo.ui.texts import TEXTS
from tests.browser.visitor import Visitor

PLACE = "#glossary"
WHERE = "() => [location.href, scrollX, scrollY, history.length]"


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> str:
    """A language of the page."""
    return str(request.param)


def term(part: Locator, name: str) -> Locator:
    """Find a word that opens its meaning."""
    return part.get_by_role("button", name=name, exact=True)


def tab_to(page: Page, wanted: Locator, most: int = 60) -> None:
    """Press Tab until something has the focus."""
    for _ in range(most):
        if wanted.evaluate("(node) => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached with {most} times Tab")


def is_inside(page: Page) -> bool:
    """Whether the meaning lies within the window."""
    box = page.locator(PLACE).bounding_box()
    size = page.viewport_size
    assert box is not None
    assert size is not None
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    return box["x"] >= 0 and box["y"] >= 0 and right <= size["width"] and bottom <= size["height"]


def test_the_meaning_of_a_word_is_reached_by_keyboard_alone(
    new_page: Callable[..., Page], app_url: str, language: str
) -> None:
    visitor = Visitor(new_page(), app_url)
    visitor.open(network="lenet", example="digit", view="picture", lang=language)
    page, texts = visitor.page, TEXTS[language]
    word = visitor.grid.locator("dl button.term").nth(1)
    visitor.unfold_numbers()
    visitor.grid.locator("h3").first.evaluate("(node) => { node.tabIndex = -1; node.focus(); }")
    tab_to(page, word)
    expect(word).to_have_attribute("aria-expanded", "false")
    before = page.evaluate(WHERE)
    page.keyboard.press("Enter")
    expect(page.locator(PLACE)).to_be_visible()
    expect(page.locator(PLACE)).to_contain_text(texts["glossary.sparsity.text"])
    expect(page.locator(PLACE)).to_contain_text(texts["glossary.sparsity.term"])
    expect(word).to_have_attribute("aria-expanded", "true")
    expect(word).to_have_accessible_description(f"{texts['glossary.sparsity.term']} {texts['glossary.sparsity.text']}")
    expect(word).to_be_focused()
    assert is_inside(page)
    page.keyboard.press("Escape")
    expect(page.locator(PLACE)).to_be_hidden()
    expect(word).to_be_focused()
    expect(word).to_have_attribute("aria-expanded", "false")
    assert page.evaluate(WHERE) == before


def test_one_meaning_is_open_at_a_time_and_tab_or_a_click_beside_it_closes_it(visitor: Visitor) -> None:
    visitor.open(network="lenet", example="digit")
    visitor.unfold_numbers()
    words = visitor.grid.locator("button.term")
    first, second, note = words.nth(0), words.nth(1), visitor.page.locator(PLACE)
    first.click()
    expect(note).to_be_visible()
    note.click()
    expect(note).to_be_visible()  # its text can be marked and copied
    second.click()
    expect(second).to_have_attribute("aria-expanded", "true")
    expect(first).to_have_attribute("aria-expanded", "false")
    expect(note).to_have_count(1)
    second.click()
    expect(note).to_be_hidden()
    second.press("Enter")
    expect(note).to_be_visible()
    visitor.page.keyboard.press("Tab")
    expect(note).to_be_hidden()
    first.click()
    visitor.page.locator("#header").click(position={"x": 2, "y": 2})
    expect(note).to_be_hidden()


def test_escape_closes_the_meaning_and_leaves_the_channel_open(visitor: Visitor) -> None:
    visitor.open(network="lenet", example="digit", stage="Conv 1", channel=2)
    large = visitor.grid.locator(".large")
    expect(large).to_be_visible()
    visitor.page.locator("#tabs button.term:visible").first.click()
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator(PLACE)).to_be_hidden()
    expect(large).to_be_visible()


def test_a_meaning_goes_with_the_word_it_explains(visitor: Visitor) -> None:
    visitor.open(network="lenet", example="digit", stage="Conv 1")
    visitor.unfold_numbers()
    visitor.grid.locator("dl button.term").first.click()
    expect(visitor.page.locator(PLACE)).to_be_visible()
    visitor.stage("Conv 2").evaluate("(node) => node.dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    expect(visitor.grid.locator(".name strong")).to_have_text("Conv 2")
    expect(visitor.page.locator(PLACE)).to_be_hidden()


@pytest.mark.parametrize("size", [(1280, 720), (800, 900), (390, 800)])
def test_every_meaning_lies_within_the_window_at_a_touch(
    new_page: Callable[..., Page], app_url: str, size: tuple[int, int]
) -> None:
    visitor = Visitor(new_page(viewport={"width": size[0], "height": size[1]}, has_touch=True), app_url)
    visitor.visit(network="unet_narrow", side=128)
    page = visitor.page
    for drawn in ("#channels .grid[aria-busy=false]", "#segmentation canvas.map", "#figure svg.picture"):
        expect(page.locator(drawn).first).to_be_attached()  # what is drawn anew meanwhile would close a meaning
    words = page.locator("#tabs button.term:visible")
    seen = set()
    for pane in ("segmentation", "figure", "channels"):
        if page.locator(f"#tab-{pane}").is_visible():
            page.locator(f"#tab-{pane}").click()
        if pane == "channels":
            visitor.unfold_numbers()
        for place in range(words.count()):
            words.nth(place).tap()
            expect(words.nth(place)).to_have_attribute("aria-expanded", "true")
            expect(page.locator(PLACE)).to_be_visible()
            assert is_inside(page), words.nth(place).inner_text()
            seen.add(words.nth(place).inner_text())
            page.keyboard.press("Escape")  # it may lie over the next word
            expect(page.locator(PLACE)).to_be_hidden()
    assert len(seen) >= 8


def test_a_stage_is_explained_in_the_language_of_the_page(
    new_page: Callable[..., Page], app_url: str, language: str
) -> None:
    visitor = Visitor(new_page(), app_url)
    visitor.open(network="lenet", example="digit", stage="Conv 1", lang=language)
    expect(visitor.grid.locator(".explained")).to_have_text(TEXTS[language]["words.stage.lenet.Conv 1"])
    with visitor.until_grid_is_new():
        visitor.pick("Pool 1")
    expect(visitor.grid.locator(".explained")).to_have_text(TEXTS[language]["words.stage.lenet.Pool 1"])
