"""Files and scripts that come late, broken or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.visitor import PATIENCE, Visitor

LOST = {"en": ("A file of this view did not arrive.", "Try again"), "zh": ("此视图的一个文件没有收到。", "重试")}
FILES = {
    "#segmentation": re.compile(r"/labels\.png$"),
    "#figure": re.compile(r"/figure\.png$"),
    "#channels": re.compile(r"/channels\.png$"),
}


@pytest.fixture
def troubled(chromium: Browser, app_url: str) -> Iterator[Visitor]:
    """Somebody whose connection fails: the browser's console says so, the page must still raise no error."""
    errors: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Visitor(page, app_url)
    context.close()
    assert not errors


class Failing:
    """Spoils the answers to some requests of a page.

    Args:
        page: of the browser.
        address: of what is spoilt.
        times: how many answers; None is all, until ``stop``.
        body: what comes instead; None is no answer at all.
    """

    def __init__(
        self, page: Page, address: re.Pattern[str], times: int | None = None, body: bytes | None = None
    ) -> None:
        self.left = times
        self.body = body
        self.asked = 0
        page.route(address, self.answer)

    def answer(self, route: Route) -> None:
        """Answer one request."""
        self.asked += 1
        if self.left == 0:
            route.continue_()
            return
        if self.left is not None:
            self.left -= 1
        if self.body is None:
            route.abort()
        else:
            route.fulfill(status=200, body=self.body)

    def stop(self) -> None:
        """Spoil no more."""
        self.left = 0


@pytest.mark.parametrize("body", [None, b"cut off"], ids=["no answer", "broken"])
def test_a_file_that_fails_is_asked_for_again(troubled: Visitor, body: bytes | None) -> None:
    failing = [Failing(troubled.page, file, times=2, body=body) for file in FILES.values()]
    troubled.open(side=257)
    assert all(one.asked >= 3 for one in failing)
    for part in FILES:
        expect(troubled.page.locator(f"{part} .lost:visible, {part} .again:visible")).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_says_what_does_not_come_and_a_button_asks_once_more(troubled: Visitor, language: str) -> None:
    failing = {part: Failing(troubled.page, file) for part, file in FILES.items()}
    troubled.visit(side=257, lang=language)
    said, button = LOST[language]
    notes = {part: troubled.page.locator(part).get_by_role("alert").filter(has_text=said) for part in FILES}
    for part, note in notes.items():
        expect(note).to_be_visible()
        # a bounded number of times, also where the figure shows the picture itself
        assert 4 <= failing[part].asked <= 12, part
    for part, note in notes.items():
        failing[part].stop()
        note.get_by_role("button", name=button).click()
        expect(note).to_be_hidden()
    troubled.wait_until_drawn()


def test_what_the_server_has_deleted_is_said_at_once(troubled: Visitor) -> None:
    asked = []

    def gone(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=404)

    troubled.page.route(FILES["#segmentation"], gone)
    troubled.visit(side=257)
    expect(troubled.segmentation.get_by_role("alert").filter(has_text="no longer has the pictures")).to_be_visible()
    assert len(asked) == 1


def test_a_script_that_fails_is_asked_for_again(troubled: Visitor) -> None:
    failing = Failing(troubled.page, re.compile(r"/static/dom\.js$"), times=3)
    troubled.open(side=257)
    assert failing.asked > 3


@pytest.mark.parametrize(
    ("language", "said", "button"),
    [
        ("en", "A part of the page did not arrive.", "Try again"),
        ("zh", "页面的一部分没有加载成功。", "重试"),
    ],
)
def test_a_script_that_does_not_come_is_said_in_its_place(
    troubled: Visitor, language: str, said: str, button: str
) -> None:
    failing = Failing(troubled.page, re.compile(r"/panels/channels\.js$"))
    troubled.visit(side=257, lang=language)
    note = troubled.grid.get_by_role("alert").filter(has_text=said)
    expect(note).to_be_visible()
    expect(troubled.segmentation.locator(".body")).to_be_visible()  # the other parts do not wait for it
    failing.stop()
    note.get_by_role("button", name=button).click()
    troubled.wait_until_drawn()
    expect(note).to_be_hidden()


def test_a_script_that_comes_after_its_value_shows_it(visitor: Visitor) -> None:
    held: list[Route] = []
    late = True
    scripts = re.compile(r"/panels/(channels|enlarged)\.js$")
    visitor.page.route(scripts, lambda route: held.append(route) if late else route.continue_())
    visitor.visit(side=257, stage="Blocks 10-12")
    expect(visitor.diagram.locator(".picture").first).to_be_visible()
    # The value is on the page once the search box, which comes with it, can be used.
    expect(visitor.page.locator("#layer input")).to_have_value(re.compile("^Blocks 10-12"))
    expect(visitor.grid.locator(".tile")).to_have_count(0)
    late = False
    for route in held:
        route.continue_()
    visitor.wait_until_drawn()
    expect(visitor.grid.locator(".name")).to_contain_text("Blocks 10-12")
