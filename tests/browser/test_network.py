"""The network as a figure: picking stages by mouse and keyboard, and what it tells about them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from segdemo.networks import NETWORKS
from tests.browser.visitor import Visitor


def test_a_click_on_a_stage_changes_the_sheet_the_mark_and_the_address(visitor: Visitor) -> None:
    visitor.open(side=257)
    with visitor.until_grid_is_new():
        visitor.pick("Blocks 6-9")
    expect(visitor.stage("Blocks 6-9")).to_have_attribute("aria-pressed", "true")
    expect(visitor.diagram.locator('.node[aria-pressed="true"]')).to_have_count(1)
    expect(visitor.grid.locator(".head")).to_contain_text("Blocks 6-9")
    expect(visitor.grid.locator(".head .size")).to_have_text("64 × 33 × 33")
    expect(visitor.page.locator("#layer input")).to_have_value(re.compile("^Blocks 6-9"))
    visitor.expect_in_address("stage", "Blocks 6-9")


def test_stages_are_reached_and_picked_by_keyboard_alone(visitor: Visitor) -> None:
    visitor.open(side=257)
    stop = visitor.diagram.locator('.node[tabindex="0"]')
    expect(stop).to_have_count(1)  # one tab stop for the figure
    expect(stop).to_have_attribute("data-label", "Stem")
    stop.focus()
    visitor.page.keyboard.press("ArrowDown")
    expect(stop).to_be_focused()
    expect(stop).not_to_have_attribute("data-label", "Stem")
    label = stop.get_attribute("data-label") or ""
    with visitor.until_grid_is_new():
        visitor.page.keyboard.press("Enter")
    expect(visitor.stage(label)).to_have_attribute("aria-pressed", "true")
    expect(visitor.grid.locator(".head")).to_contain_text(label)
    expect(visitor.stage(label)).to_be_focused()
    visitor.expect_in_address("stage", label)


def test_the_pointer_on_a_stage_tells_its_shape_and_where_its_input_comes_from(visitor: Visitor) -> None:
    visitor.open(side=257)
    visitor.stage("Projection").hover()
    tip = visitor.diagram.locator(".tip")
    expect(tip).to_contain_text("aspp.projection")
    expect(tip).to_contain_text("takes: Image pooling, ASPP 1×1")
    expect(tip).to_contain_text("256 channels, 33 high × 33 wide")


def test_the_u_net_has_its_four_skip_connections(visitor: Visitor) -> None:
    visitor.open(network="unet", side=128)
    assert visitor.diagram.locator(".drawing .arrow.skip").count() >= 4
    visitor.stage("Decoder 3").hover()
    expect(visitor.diagram.locator(".tip")).to_contain_text("over a skip connection: Encoder 3")


@pytest.mark.parametrize("width", [1280, 2560])
def test_a_stage_inside_another_is_picked_like_any_other(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.open(network="u2netp", side=192)
    inner = NETWORKS["u2netp"].stages[0].inside[1]
    with visitor.until_grid_is_new():
        visitor.pick(inner.label)
    expect(visitor.stage(inner.label)).to_have_attribute("aria-pressed", "true")
    expect(visitor.grid.locator(".head")).to_contain_text(inner.layer)
    visitor.expect_in_address("stage", inner.label)


def test_the_search_box_reaches_a_module_that_is_no_stage(visitor: Visitor) -> None:
    visitor.open(side=257)
    search = visitor.page.locator("#layer input")
    search.fill("blocks.3.expand.relu")
    with visitor.until_grid_is_new():
        visitor.page.get_by_role("option").filter(has_text="blocks.3.expand.relu · ReLU6").click()
    expect(visitor.grid.locator(".head")).to_contain_text("blocks.3.expand.relu")
    expect(visitor.grid.locator(".place")).to_have_text("1-64 of 144")
    expect(visitor.diagram.locator('.node[aria-pressed="true"]')).to_have_count(0)


def test_the_search_box_reaches_a_stage_and_marks_it_in_the_figure(visitor: Visitor) -> None:
    visitor.open(side=257)
    visitor.page.locator("#layer input").fill("Block 16")
    with visitor.until_grid_is_new():
        visitor.page.get_by_role("option").filter(has_text="Block 16 — ").click()
    expect(visitor.stage("Block 16")).to_have_attribute("aria-pressed", "true")
    visitor.expect_in_address("stage", "Block 16")


def test_a_box_opens_down_to_single_modules_and_a_link_or_a_step_back_shows_the_same(visitor: Visitor) -> None:
    visitor.open(network="unet", side=96)
    visitor.page.get_by_role("button", name="Open Decoder 3", exact=True).click()
    visitor.expect_in_address("open", "Decoder 3")
    joined = visitor.diagram.locator('.node:not(.mini)[data-label="Decoder 3 · joined"]')
    expect(joined).to_be_visible()
    expect(visitor.diagram.locator('.node:not(.mini)[data-label="Decoder 3"]')).to_have_count(0)
    with visitor.until_grid_is_new():  # what is in it is looked at like any stage
        joined.click(position={"x": 12, "y": 20})
    expect(visitor.grid.locator(".head .size")).to_have_text("128 × 24 × 24")
    visitor.expect_in_address("stage", "Decoder 3 · joined")

    visitor.stage("Decoder 3 · conv 1").focus()
    visitor.page.keyboard.press("o")
    norm = visitor.stage("up2.conv.double_conv.1")
    expect(norm).to_be_visible()
    expect(visitor.stage("up2.conv.double_conv.0")).to_be_focused()
    visitor.expect_in_address("open", "Decoder 3,Decoder 3 · conv 1")
    expect(joined).to_have_attribute("aria-pressed", "true")  # opening picks nothing
    with visitor.until_grid_is_new():
        visitor.pick("up2.conv.double_conv.1")
    expect(visitor.grid.locator(".head")).to_contain_text("up2.conv.double_conv.1")
    address = visitor.page.url

    visitor.page.go_back()
    expect(joined).to_have_attribute("aria-pressed", "true")
    visitor.page.go_back()
    expect(norm).to_have_count(0)
    visitor.expect_in_address("open", "Decoder 3")
    visitor.page.goto(address)  # as a link that was copied
    expect(norm).to_have_attribute("aria-pressed", "true")
    expect(visitor.grid.locator(".head")).to_contain_text("up2.conv.double_conv.1")

    visitor.stage("Decoder 3 · upsampled").focus()
    visitor.page.keyboard.press("c")  # closes what it came out of, and all that was opened in there
    expect(visitor.stage("Decoder 3")).to_be_focused()
    visitor.expect_in_address("open", None)
    expect(norm).to_have_count(0)
    visitor.choose_network("LeNet")
    visitor.page.get_by_role("button", name="Open Conv 1", exact=True).click()
    expect(visitor.stage("features.0")).to_be_visible()
    visitor.diagram.get_by_role("button", name="Close Conv 1", exact=True).first.click()
    expect(visitor.stage("features.0")).to_have_count(0)
