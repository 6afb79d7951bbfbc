"""A new run replaces the old one, Stop stops, and what was shown stays meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from playwright.sync_api import Page, expect

from segdemo import InputError, LocalEngine
from segdemo.pictures import Read
from tests.browser.visitor import Visitor

Hold = Callable[[], AbstractContextManager[None]]
# Collects every text that the line under the segmentation ever has.
REMEMBER = """() => {
  const line = document.querySelector('#segmentation .facts');
  window.everShown = [];
  new MutationObserver(() => window.everShown.push(line.textContent)).observe(line, {childList: true});
}"""


@contextmanager
def forgotten_pictures(engine: LocalEngine) -> Iterator[None]:
    """Let an engine keep no picture while a block lasts, as if many others had come."""
    with pytest.MonkeyPatch.context() as patch:

        def gone(fingerprint: str) -> Read:
            raise InputError("picture_forgotten", "The picture is no longer kept: others have come since.")

        patch.setattr(engine, "picture", gone)
        yield


def ever_shown(page: Page) -> str:
    return " / ".join(page.evaluate("() => window.everShown"))


def test_a_run_that_is_cancelled_by_another_network_is_never_shown(visitor: Visitor, held_back: Hold) -> None:
    visitor.open(network="unet", side=128)
    visitor.page.evaluate(REMEMBER)
    with held_back():
        visitor.choose_size(256)
        expect(visitor.page.get_by_text("U-Net is running").first).to_be_visible()
        visitor.choose_network("U²-Net, small")
        expect(visitor.page.get_by_text("U²-Net, small is running").first).to_be_visible()
    expect(visitor.segmentation.locator(".facts")).to_contain_text("U²-Net, small")
    expect(visitor.grid.locator(".head")).to_contain_text("En_1")
    expect(visitor.status).to_contain_text("U²-Net, small at 320 px")
    expect(visitor.page.get_by_text("is running")).to_have_count(0)
    assert "256 px" not in ever_shown(visitor.page)
    expect(visitor.toast).to_have_count(0)


def test_of_examples_picked_one_after_another_only_the_last_is_shown(visitor: Visitor, held_back: Hold) -> None:
    visitor.open(network="u2netp", side=192)
    visitor.page.evaluate(REMEMBER)
    with held_back():
        for place, name in ((0, "astronaut"), (3, "coffee"), (2, "motorcycle")):
            visitor.choose_example(place)
            expect(visitor.page.locator(f'#picture img[src*="{name}"]')).to_have_count(1)
    expect(visitor.page.locator("#segmentation .photo")).to_have_js_property("naturalWidth", 741)
    expect(visitor.page.get_by_text("is running")).to_have_count(0)
    expect(visitor.page.locator("#segmentation .photo")).to_have_js_property("naturalWidth", 741)
    assert len(ever_shown(visitor.page).split(" / ")) == 1
    expect(visitor.toast).to_have_count(0)


def test_a_stage_of_the_coming_network_can_be_picked_before_its_run_is_over(visitor: Visitor, held_back: Hold) -> None:
    visitor.open(side=257)
    with held_back():
        visitor.choose_network("U²-Net, small")
        expect(visitor.page.get_by_text("U²-Net, small is running").first).to_be_visible()
        visitor.pick("En_3")
        visitor.expect_in_address("stage", "En_3")
    expect(visitor.grid.locator(".head")).to_contain_text("En_3")
    expect(visitor.page.locator("#layer input")).to_have_value(re.compile("^En_3 — "))
    expect(visitor.stage("En_3")).to_have_attribute("aria-pressed", "true")
    expect(visitor.toast).to_have_count(0)


def test_stop_ends_the_run_what_was_shown_stays_and_the_next_run_works(visitor: Visitor, held_back: Hold) -> None:
    visitor.open(side=257)
    visitor.page.evaluate(REMEMBER)
    with held_back():
        visitor.choose_example(0)
        expect(visitor.page.get_by_text("is running").first).to_be_visible()
        visitor.page.locator("#stop").click()
        expect(visitor.status).to_contain_text("Stopped. What is shown is from the last complete run.")
        expect(visitor.page.get_by_text("is running")).to_have_count(0)
    assert ever_shown(visitor.page) == ""
    canvas = visitor.segmentation.locator("canvas.map")
    expect(canvas).to_have_attribute("aria-label", re.compile("cat"))
    with visitor.until_grid_is_new():
        visitor.run()
    expect(canvas).to_have_attribute("aria-label", re.compile("person"))
    expect(visitor.toast).to_have_count(0)


def test_stop_after_choosing_a_network_leaves_every_panel_with_the_last_complete_run(
    visitor: Visitor, held_back: Hold
) -> None:
    visitor.open(side=257, stage="Blocks 6-9")
    with held_back():
        visitor.choose_network("U²-Net, small")
        expect(visitor.diagram.locator(".network")).to_have_text("U²-Net, small")
        expect(visitor.page.get_by_text("U²-Net, small is running").first).to_be_visible()
        visitor.page.locator("#stop").click()
        expect(visitor.status).to_contain_text("Stopped.")
    expect(visitor.diagram.locator(".network")).to_have_text("DeepLabv3 · MobileNetV2")
    expect(visitor.segmentation.locator(".facts")).to_contain_text("DeepLabv3 · MobileNetV2")
    expect(visitor.grid.locator(".head")).to_contain_text("DeepLabv3 · MobileNetV2")
    with visitor.until_grid_is_new():
        visitor.pick("Block 16")
    expect(visitor.grid.locator(".head")).to_contain_text("Block 16")
    expect(visitor.toast).to_have_count(0)


def test_what_is_shown_can_be_explored_while_another_run_is_under_way(visitor: Visitor, held_back: Hold) -> None:
    visitor.open(side=257)
    with held_back():
        visitor.choose_example(0)
        expect(visitor.page.get_by_text("is running").first).to_be_visible()
        visitor.show("confidence")
        visitor.segmentation.locator("canvas.map").focus()
        visitor.page.keyboard.press("ArrowRight")
        expect(visitor.segmentation.locator(".tip")).to_contain_text("cat")
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", re.compile("person"))


def test_going_back_to_an_older_value_during_a_run_leaves_what_belongs_to_it(visitor: Visitor, held_back: Hold) -> None:
    visitor.open(side=257)
    visitor.page.evaluate(REMEMBER)
    with held_back():
        visitor.choose_size(513)
        expect(visitor.page.get_by_text("is running").first).to_be_visible()
        visitor.choose_size(257)
        visitor.expect_in_address("side", "257")
    expect(visitor.status).to_contain_text("at 257 px")
    expect(visitor.page.get_by_text("is running")).to_have_count(0)
    expect(visitor.segmentation.locator(".facts")).to_contain_text("257 px")
    assert "513 px" not in ever_shown(visitor.page)
    with visitor.until_grid_is_new():
        visitor.pick("Blocks 6-9")
    expect(visitor.grid.locator(".head .size")).to_have_text("64 × 33 × 33")


def test_the_channel_that_is_open_stays_open_in_the_next_run_and_closes_with_its_network(visitor: Visitor) -> None:
    visitor.open(side=257, stage="Blocks 3-5", channel=7)
    large = visitor.grid.locator(".large:not(.loading)")
    expect(large.locator("h4")).to_have_text("Channel 7")
    with visitor.until_grid_is_new():
        visitor.choose_example(0)
    expect(large.locator("h4")).to_have_text("Channel 7")
    visitor.expect_in_address("channel", "7")
    expect(visitor.grid.locator(".head")).to_contain_text("Blocks 3-5")
    with visitor.until_grid_is_new():
        visitor.choose_network("U²-Net, small")
    expect(visitor.grid.locator(".head")).to_contain_text("En_1")
    expect(visitor.grid.locator(".large")).to_be_hidden()
    visitor.expect_in_address("channel", None)


def test_a_picture_that_the_server_keeps_no_longer_is_said_in_the_panel_and_run_shows_everything_again(
    visitor: Visitor, engine: LocalEngine
) -> None:
    visitor.open(side=257)
    engine.forget()
    with forgotten_pictures(engine):
        visitor.pick("Blocks 6-9")
        expect(visitor.grid.get_by_role("alert")).to_contain_text("The picture is no longer kept")
    with visitor.until_grid_is_new():
        visitor.run()
    expect(visitor.grid.locator(".head")).to_contain_text("Blocks 6-9")
    expect(visitor.grid.get_by_role("alert")).to_have_count(0)
    expect(visitor.toast).to_have_count(0)


def test_the_training_is_shown_step_by_step_untrained_at_its_start(visitor: Visitor) -> None:
    visitor.open(network="unet_narrow", side=128, step=0)
    marks = [visitor.segmentation.locator(".banner"), visitor.diagram.locator(".badge")]
    marks.append(visitor.grid.locator(".head .badge.untrained"))
    for mark in marks:
        expect(mark).to_be_visible()
    expect(visitor.status).to_contain_text("after 0 steps of training")
    visitor.expect_in_address("step", "0")
    slider = visitor.page.locator("#step input[type=range]")
    with visitor.until_grid_is_new(), visitor.inputs():
        slider.press("ArrowRight")
    expect(visitor.status).to_contain_text("after 29 steps of training")
    for mark in marks:
        expect(mark).to_be_hidden()
    visitor.expect_in_address("step", "29")
    with visitor.until_grid_is_new(), visitor.inputs():
        slider.press("End")
    visitor.expect_in_address("step", None)
    expect(visitor.status).not_to_contain_text("steps of training")
