"""The tab that asks why, in a real browser."""

from __future__ import annotations

from playwright.sync_api import expect

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
