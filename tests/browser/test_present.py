"""Present: large type, stage after stage by arrow keys, and the stages and the training played."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from segdemo.ui.texts import TEXTS
from tests.browser.visitor import Visitor

SIZE = "(node) => parseFloat(getComputedStyle(node).fontSize)"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_arrow_keys_step_through_the_stages_with_their_captions_in_large_type(visitor: Visitor, language: str) -> None:
    texts = TEXTS[language]
    visitor.open(network="lenet", example="digit", lang=language)
    page, caption = visitor.page, visitor.grid.locator(".explained")
    plain = caption.evaluate(SIZE)
    page.get_by_role("button", name=texts["present.start"], exact=True).click()
    assert caption.evaluate(SIZE) >= 1.3 * plain
    place = page.locator("#present .place")
    expect(place).to_have_text("1 / 7 · Conv 1")
    with visitor.until_grid_is_new():
        page.keyboard.press("ArrowRight")
    expect(place).to_have_text("2 / 7 · Pool 1")
    expect(caption).to_have_text(texts["words.stage.lenet.Pool 1"])
    visitor.expect_in_address("stage", "Pool 1")
    for _ in range(2):
        with visitor.until_grid_is_new():
            page.keyboard.press("ArrowLeft")
    expect(place).to_have_text(re.compile("^7 / 7"))
    page.keyboard.press("Escape")
    expect(page.locator("#present .steps")).to_be_hidden()
    assert caption.evaluate(SIZE) == plain
    expect(page.get_by_role("button", name=texts["present.start"], exact=True)).to_be_focused()


def test_the_stages_are_played_to_the_last_and_a_click_pauses(visitor: Visitor) -> None:
    visitor.page.clock.install()
    visitor.open(network="lenet", example="digit", stage="Conv 2")
    page = visitor.page
    place, play = page.locator("#present .place"), page.locator("#present .play")
    page.locator("#present .start").click()
    play.click()
    expect(play).to_have_attribute("aria-pressed", "true")
    for number in range(4, 8):
        expect(place).to_have_text(re.compile(f"^{number} / 7"))
        page.clock.run_for(100)
        expect(visitor.grid.locator(".grid")).to_have_attribute("aria-busy", "false")
        page.clock.run_for(4200)
    expect(play).to_have_attribute("aria-pressed", "false")
    play.click()  # from the first stage again
    expect(place).to_have_text(re.compile("^[12] / 7"))
    play.click()
    expect(play).to_have_attribute("aria-pressed", "false")


def test_the_training_is_played_from_its_start(visitor: Visitor) -> None:
    visitor.open(network="unet_narrow", side=96)
    page = visitor.page
    page.locator("#present .start").click()
    page.locator("#present .train").click()
    visitor.expect_in_address("step", "0")
    expect(visitor.segmentation.locator(".banner")).to_be_visible()
    visitor.expect_in_address("step", "29")
    expect(visitor.segmentation.locator(".banner")).to_be_hidden()
    page.locator("#present .train").click()
    expect(page.locator("#present .train")).to_have_attribute("aria-pressed", "false")


def test_a_network_without_training_steps_offers_none_to_play(visitor: Visitor) -> None:
    visitor.open(network="lenet", example="digit")
    visitor.page.locator("#present .start").click()
    expect(visitor.page.locator("#present .train")).to_be_hidden()
