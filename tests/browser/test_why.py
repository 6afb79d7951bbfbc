"""The tab that asks why, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from segdemo.examples import example
from tests.browser.visitor import Visitor

PINNED = {"network": "unet_mobilenet_v2", "example": "chelsea", "point": "200,150"}


def test_the_pixel_of_the_address_is_taken_apart_and_another_is_when_it_is_clicked(visitor: Visitor) -> None:
    visitor.open(**PINNED)
    visitor.tab("Why")
    autopsy = visitor.page.locator(".why-card", has_text="Pixel autopsy")
    body = autopsy.locator(".why-body")
    expect(body).to_have_attribute("data-point", "200,150")
    expect(body.locator(".verdict")).to_contain_text("Pixel (200, 150): cat, by")
    expect(body.locator("tr[data-stage]")).to_have_count(10)
    expect(autopsy.locator("rect.field")).to_have_count(10)
    expect(body.locator("tr[data-stage='Encoder 1']")).to_contain_text("12 × 12")
    with visitor.page.expect_download() as download:
        body.get_by_role("button", name="Download a diagnosis card").click()
    assert "Pixel (200, 150): cat" in download.value.path().read_text("utf-8")
    body.locator("tr[data-stage='Encoder 3']").hover()
    expect(autopsy.locator("rect.marked")).to_have_count(1)
    autopsy.locator(".pinnable").click(position={"x": 30, "y": 20})
    expect(body).not_to_have_attribute("data-point", "200,150")
    point = body.get_attribute("data-point")
    assert point is not None and f"point={point.replace(',', '%2C')}" in visitor.page.url


def test_evidence_the_mixer_and_hooks_answer(visitor: Visitor) -> None:
    visitor.open(**PINNED)
    visitor.tab("Why")
    page = visitor.page
    evidence = page.locator(".why-card", has_text="Class evidence")
    evidence.get_by_role("button", name="Show evidence").click()
    expect(evidence.locator("figure")).to_have_count(3)
    expect(evidence.locator(".why-body")).to_contain_text("Correlation with the control")
    mixer = page.locator(".why-card", has_text="Mixer")
    mixer.scroll_into_view_if_needed()
    mixer.locator("input[data-layer='Encoder 4'][data-into='Decoder 4']").fill("0")
    expect(mixer.locator("figure")).to_have_count(3)
    expect(mixer.locator(".why-body").first).to_contain_text("% of the pixels changed their class")
    mixer.get_by_role("button", name="All back to 100 %").click()
    expect(mixer.locator("figure")).to_have_count(1)
    hooks = page.locator(".why-card", has_text="Honest hooks")
    hooks.scroll_into_view_if_needed()
    expect(hooks).to_contain_text("50 of the 290 layers")
    expect(hooks.locator(".banner")).to_contain_text("features.0.2 overwrote them")
    hooks.locator("select").select_option("resize")
    expect(hooks.locator(".verdict").last).to_contain_text("the careless hook shows the truth")


def tool(visitor: Visitor, title: str) -> Locator:
    """Find a tool of the tab by what stands above it."""
    return visitor.page.locator(f".why-card:has(h3:text-is('{title}'))")


def test_tools_open_where_their_questions_arise(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(**PINNED)
    page.get_by_role("button", name="Why this?").click()
    expect(tool(visitor, "Pixel autopsy").locator("h3")).to_be_focused()
    expect(tool(visitor, "Pixel autopsy").locator(".why-body")).to_have_attribute("data-point", "200,150")
    visitor.tab("Look inside")
    skips = visitor.diagram.locator(".skip-ask")
    expect(skips).to_have_count(4)
    visitor.diagram.get_by_role("button", name="skip connection Encoder 2 → Decoder 2").focus()
    page.keyboard.press("Enter")
    slider = page.locator("input[data-layer='Encoder 2'][data-into='Decoder 2']")
    expect(slider).to_be_focused()
    expect(slider).to_be_in_viewport()
    visitor.tab("Look inside")
    visitor.segmentation.get_by_role("button", name="Evidence for background").click()
    evidence = tool(visitor, "Class evidence")
    expect(evidence.locator("figcaption").nth(1)).to_contain_text("speaks for background")
    visitor.tab("Look inside")
    visitor.segmentation.get_by_role("button", name="Evidence for this object").click()
    expect(evidence.locator("[data-where=object]")).to_be_visible()
    expect(evidence.locator("figcaption").nth(1)).to_contain_text("speaks for cat")


def test_a_region_is_drawn_and_what_speaks_for_a_class_there_is_shown(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(**PINNED)
    visitor.tab("Why")
    evidence = tool(visitor, "Class evidence")
    stage, corners = evidence.locator(".region .layered"), evidence.locator("input[type=text]")
    expect(evidence.locator(".region circle.pin")).to_have_count(1)
    expect(tool(visitor, "Pixel autopsy").locator("tr[data-stage]")).to_have_count(10)  # nothing grows any more above

    def drag(*shares: tuple[float, float]) -> None:
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        assert box is not None
        for place, (x, y) in enumerate(shares):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)
            if not place:
                page.mouse.down()
        page.mouse.up()

    drag((0.25, 0.25), (0.75, 0.5))
    expect(evidence.locator("select").nth(1)).to_have_value("region")
    (left, top), (right, bottom) = ([int(part) for part in pair.split(",")] for pair in corners.input_value().split())
    width, height = 451, 300  # of the cat
    assert [left / width, top / height] == pytest.approx([0.25, 0.25], abs=0.01)
    assert [right / width, bottom / height] == pytest.approx([0.75, 0.5], abs=0.01)
    evidence.get_by_label("Free-hand").check()
    drag((0.3, 0.3), (0.6, 0.3), (0.6, 0.6), (0.3, 0.6))
    assert len(corners.input_value().split()) > 4
    evidence.get_by_role("button", name="Show evidence").click()
    expect(evidence.locator("[data-where=region]")).to_be_visible()
    expect(evidence.locator("pre")).to_contain_text("where='region', region=((")
    corners.fill("9000,9000 9001,9001")
    corners.press("Tab")
    evidence.get_by_role("button", name="Show evidence").click()
    expect(evidence.locator(".note")).to_contain_text("The region has no pixel of this picture")
    stage.click(position={"x": 20, "y": 20})  # a click pins
    expect(page).not_to_have_url(re.compile("point=200%2C150"))


def test_two_runs_are_compared_point_together_and_stand_in_the_address(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit(**PINNED, compare="blurred.30")
    compare = tool(visitor, "Compare")
    expect(compare.locator("[data-with='blurred.30']")).to_be_visible()
    expect(compare.locator(".here")).to_have_text("(200, 150): here cat, there cat")
    expect(compare.locator(".linked-pointed.pinned:not([hidden])")).to_have_count(3)
    first = compare.locator(".linked").first
    first.locator("canvas").focus()
    page.keyboard.press("+")
    assert compare.locator(".linked").evaluate_all("nodes => new Set(nodes.map((node) => node.dataset.zoom)).size") == 1
    page.keyboard.press("0")
    before = compare.locator(".why-body").first.get_attribute("data-percent")
    compare.get_by_label("Amount").fill("0")
    expect(compare.locator("[data-with='blurred.0']")).to_have_attribute("data-percent", "0.000")
    assert before != "0.000"
    compare.locator("select").first.select_option("network")
    compare.locator("select").nth(1).select_option("deeplabv3_mobilenet_v2")
    expect(compare.locator("[data-with='network.deeplabv3_mobilenet_v2']")).to_be_visible()
    expect(compare.locator("table.shares")).to_contain_text("cat")
    expect(compare.locator("table.matched tr")).to_have_count(10)
    visitor.expect_in_address("compare", "network.deeplabv3_mobilenet_v2")
    compare.locator("select").first.select_option("upload")
    visitor.expect_in_address("compare", None)
    compare.locator("input[type=file]").set_input_files(example("astronaut"))
    expect(compare.locator("[data-with=picture]")).to_be_visible()
    expect(compare.locator("pre")).to_contain_text("other = engine.keep('other.jpg')")
