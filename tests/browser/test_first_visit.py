"""The first thing somebody sees, the tabs, and the way back to it by the address."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, expect

from segdemo.networks import DEFAULT, NETWORKS
from tests.browser.visitor import Visitor

DEEPLAB = "DeepLabv3 · MobileNetV2"


def test_the_first_visit_finds_the_cat_and_shows_what_every_stage_made_of_it(visitor: Visitor) -> None:
    visitor.open()
    expect(visitor.status).to_contain_text(f"{DEEPLAB} at 513 px")
    cat = visitor.segmentation.locator(".legend .entry").first
    expect(cat).to_contain_text("cat")
    assert float(cat.locator(".share").inner_text().removesuffix(" %")) > 70
    stages = [stage.label for stage in NETWORKS[DEFAULT].stages]
    boxes = visitor.diagram.locator(".node:not(.mini)")
    assert boxes.evaluate_all("(boxes) => boxes.map((box) => box.dataset.label)") == stages
    assert visitor.diagram.locator("svg.picture").count() >= len(stages) + 1  # with that of the input
    expect(visitor.stage(stages[0])).to_have_attribute("aria-pressed", "true")
    expect(visitor.grid.locator(".tile")).to_have_count(32)
    expect(visitor.grid.locator(".histogram rect")).to_have_count(64)
    expect(visitor.toast).to_have_count(0)


def test_an_example_runs_by_itself_when_it_is_picked(visitor: Visitor) -> None:
    visitor.open(side=257)
    with visitor.until_grid_is_new():
        visitor.choose_example(0)
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", re.compile("person"))
    visitor.expect_in_address("example", "astronaut")


def test_another_network_runs_by_itself_when_it_is_chosen(visitor: Visitor) -> None:
    visitor.open(side=257, stage="Blocks 3-5")
    with visitor.until_grid_is_new():
        visitor.choose_network("U²-Net, small")
    expect(visitor.status).to_contain_text("U²-Net, small at 320 px")
    expect(visitor.segmentation.locator(".facts")).to_contain_text("U²-Net, small")
    expect(visitor.grid.locator(".head")).to_contain_text("En_1")
    visitor.expect_in_address("network", "u2netp")
    visitor.expect_in_address("stage", "En_1")


def test_a_run_fills_the_tab_that_looks_inside_while_the_other_one_is_open(
    visitor: Visitor, held_back: Callable[[], AbstractContextManager[None]]
) -> None:
    with held_back():
        visitor.visit(side=257)
        visitor.tab("Networks")
        expect(visitor.page.locator("#catalogue tr[data-network=unet]")).to_be_visible()
        expect(visitor.segmentation).to_be_hidden()
    expect(visitor.status).to_contain_text(f"{DEEPLAB} at 257 px")
    expect(visitor.page.locator("#channels .tile")).to_have_count(32)
    visitor.tab("Look inside")
    visitor.wait_until_drawn()
    expect(visitor.diagram.locator(".node").first).to_be_visible()
    expect(visitor.grid.locator(".tile").first).to_be_visible()


@pytest.mark.parametrize(("locale", "tab", "words"), [("en-GB", "Networks", "Good for"), ("zh-CN", "网络一览", "擅长")])
def test_the_tab_of_networks_has_a_table_with_a_card_and_a_way_in_for_each(
    new_page: Callable[..., Page], app_url: str, locale: str, tab: str, words: str
) -> None:
    visitor = Visitor(new_page(locale=locale), app_url)
    visitor.open(side=257)
    visitor.tab(tab)
    table = visitor.page.locator("#catalogue")
    expect(table.locator("thead")).to_contain_text(words)
    for name, spec in NETWORKS.items():
        row = table.locator(f"tr[data-network={name}]")
        expect(row).to_contain_text(spec.title)
        expect(row.locator(".about")).not_to_be_empty()
        row.locator(".name").click()
        expect(visitor.page.locator("#card h2").first).to_have_text(spec.title)
        expect(visitor.page.locator("#card a").last).to_be_visible()
    expect(table.locator("tr[data-network=unet]")).to_contain_text("0.844")
    table.locator("tr[data-network=unet] .open").click()
    visitor.wait_until_drawn()
    expect(visitor.segmentation.locator(".facts")).to_contain_text("128")
    visitor.expect_in_address("network", "unet")


def test_the_address_brings_back_network_example_stage_channel_and_view(visitor: Visitor) -> None:
    asked = {"network": "u2netp", "example": "coffee", "side": 192, "stage": "En_2", "channel": 5, "view": "entropy"}
    visitor.open(**asked)
    expect(visitor.status).to_contain_text("U²-Net, small at 192 px")
    assert "coffee" in (visitor.page.locator("#picture img").get_attribute("src") or "")
    expect(visitor.stage("En_2")).to_have_attribute("aria-pressed", "true")
    expect(visitor.grid.locator(".large h4")).to_have_text("Channel 5")
    expect(visitor.tile(5)).to_have_attribute("aria-selected", "true")
    expect(visitor.segmentation.locator(".stage")).to_have_attribute("data-view", "entropy")
    for name, value in asked.items():
        visitor.expect_in_address(name, str(value))


def test_an_address_brings_back_a_module_that_is_no_stage_and_a_channel_on_a_later_page(visitor: Visitor) -> None:
    channel = 90
    visitor.open(side=257, stage="blocks.12.expand", channel=channel)
    expect(visitor.grid.locator(".head")).to_contain_text("blocks.12.expand")
    expect(visitor.tile(channel)).to_have_attribute("aria-selected", "true")
