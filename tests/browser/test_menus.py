"""Menus: left without a choice they change nothing, and what is typed takes the place of what is written."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

MENUS = ["#network", "#side", "#layer"]


@pytest.mark.parametrize("leave", ["Tab", "Escape", "click", "typed"])
@pytest.mark.parametrize("menu", MENUS)
def test_a_menu_left_without_a_choice_changes_nothing(visitor: Visitor, menu: str, leave: str) -> None:
    visitor.open(side=257, stage="Blocks 3-5", channel=7)
    page = visitor.page
    before = (page.url, page.evaluate("() => history.length"))
    ready = visitor.grid.locator("[data-ready]").get_attribute("data-ready")
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
        visitor.tile(3).click()
    expect(page.locator("#network input")).to_have_value("DeepLabv3 · MobileNetV2")
    expect(page.locator("#side input")).to_have_value("257 px")
    expect(page.locator("#layer input")).to_have_value(re.compile("^Blocks 3-5 — "))
    assert page.url == before[0].replace("channel=7", "channel=3")
    assert page.evaluate("() => history.length") == before[1] + 1
    assert int(visitor.grid.locator("[data-ready]").get_attribute("data-ready") or 0) == int(ready or 0) + 1
    expect(visitor.toast).to_have_count(0)


@pytest.mark.parametrize("way", ["click", "key"])
@pytest.mark.parametrize("menu", MENUS)
def test_what_is_typed_takes_the_place_of_what_is_written(visitor: Visitor, menu: str, way: str) -> None:
    visitor.open(side=257)
    if menu != "#layer":
        visitor.open_inputs()
    field = visitor.page.locator(f"{menu} input")
    if way == "click":
        field.click()
    else:
        field.focus()
    visitor.page.keyboard.type("bl")
    expect(field).to_have_value("bl")


def test_the_search_box_finds_by_what_is_typed_alone(visitor: Visitor) -> None:
    visitor.open(side=257)
    visitor.page.locator("#layer input").click()
    visitor.page.keyboard.type("blocks.12.expand")
    with visitor.until_grid_is_new():
        visitor.page.keyboard.press("Enter")
    expect(visitor.grid.locator(".head")).to_contain_text("blocks.12.expand")
