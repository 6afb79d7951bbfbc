"""Menus: left without a choice they change nothing, and what is typed takes the place of what is written."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

MENUS = ["#layer", "#network", "#side"]


@pytest.mark.parametrize("menu", MENUS)
def test_a_menu_left_without_a_choice_changes_nothing(visitor: Visitor, menu: str) -> None:
    visitor.open(side=257, stage="Blocks 3-5", channel=7)
    page, sheet = visitor.page, visitor.grid.locator("[data-ready]")
    for channel, leave in enumerate(("Tab", "Escape", "click", "typed")):
        before = (page.url, page.evaluate("() => history.length"))
        ready = int(sheet.get_attribute("data-ready") or 0)
        if menu != "#layer":
            visitor.open_inputs()
        page.locator(f"{menu} input").click()
        if leave == "typed":
            page.keyboard.type("zzz")
        if leave == "click":
            page.locator("h1").click()
        else:
            page.keyboard.press("Tab" if leave == "typed" else leave)
        page.locator("h1").click()
        with visitor.until_grid_is_new():  # an event later on, after which those of the menu are over
            visitor.tile(channel).click()
        expect(page.locator("#network input")).to_have_value("DeepLabv3 · MobileNetV2")
        expect(page.locator("#side input")).to_have_value("257 px")
        expect(page.locator("#layer input")).to_have_value(re.compile("^Blocks 3-5 — "))
        assert page.url == re.sub(r"channel=\d+", f"channel={channel}", before[0]), leave
        assert page.evaluate("() => history.length") == before[1] + 1, leave
        assert int(sheet.get_attribute("data-ready") or 0) == ready + 1, leave
    expect(visitor.toast).to_have_count(0)


@pytest.mark.parametrize("way", ["click", "key"])
def test_what_is_typed_takes_the_place_of_what_is_written(visitor: Visitor, way: str) -> None:
    visitor.open(side=257)
    for menu in MENUS:
        if menu != "#layer":
            visitor.open_inputs()
        field = visitor.page.locator(f"{menu} input")
        if way == "click":
            field.click()
        else:
            field.focus()
        visitor.page.keyboard.type("bl")
        expect(field).to_have_value("bl")
        visitor.page.locator("h1").click()
        expect(field).not_to_have_value("bl")


def test_the_search_box_finds_by_what_is_typed_alone(visitor: Visitor) -> None:
    visitor.open(side=257)
    visitor.page.locator("#layer input").click()
    visitor.page.keyboard.type("blocks.12.expand")
    with visitor.until_grid_is_new():
        visitor.page.keyboard.press("Enter")
    expect(visitor.grid.locator(".head")).to_contain_text("blocks.12.expand")
