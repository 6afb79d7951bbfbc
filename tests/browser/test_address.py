"""The address in the browser: a step of the history for each choice, what it names wrongly, links to it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor

DEEPLAB, U2NET = "DeepLabv3 · MobileNetV2", "U²-Net, small"


def load_count(page: Page) -> int:
    """Count how often the browser has loaded the page since it was opened."""
    return int(page.evaluate("() => performance.getEntriesByType('navigation').length + (window.stayed ? 0 : 1)"))


def test_back_and_forward_walk_through_the_choices_without_loading_the_page_anew(visitor: Visitor) -> None:
    visitor.open(side=257)
    page, large = visitor.page, visitor.grid.locator(".large:not(.loading)")
    page.evaluate("() => { window.stayed = true; }")
    with visitor.until_grid_is_new():
        visitor.pick("Blocks 3-5")
    visitor.tile(7).click()
    visitor.expect_in_address("channel", "7")
    visitor.show("entropy")
    with visitor.until_grid_is_new():
        visitor.choose_example(0)
    visitor.expect_in_address("example", "astronaut")
    visitor.choose_network(U2NET)
    visitor.expect_in_address("stage", "En_1")
    expect(visitor.segmentation.locator(".facts")).to_contain_text(U2NET)

    page.go_back()
    expect(visitor.segmentation.locator(".facts")).to_contain_text(DEEPLAB)
    expect(visitor.grid.locator(".head")).to_contain_text("Blocks 3-5")
    expect(large.locator("h4")).to_have_text("Channel 7")
    page.go_back()
    visitor.expect_in_address("example", None)
    expect(page.locator('#picture img[src*="chelsea"]')).to_have_count(1)
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", _containing("cat"))
    page.go_back()
    expect(visitor.segmentation.locator(".stage")).to_have_attribute("data-view", "mask")
    expect(large.locator("h4")).to_have_text("Channel 7")
    page.go_back()
    expect(visitor.grid.locator(".large")).to_be_hidden()
    expect(visitor.grid.locator(".head")).to_contain_text("Blocks 3-5")
    page.go_back()
    expect(visitor.grid.locator(".head")).to_contain_text("Stem")
    expect(visitor.stage("Stem")).to_have_attribute("aria-pressed", "true")
    for _ in range(5):
        page.go_forward()
    expect(visitor.segmentation.locator(".facts")).to_contain_text(U2NET)
    expect(visitor.grid.locator(".head")).to_contain_text("En_1")
    expect(visitor.segmentation.locator(".stage")).to_have_attribute("data-view", "entropy")
    assert page.evaluate("() => window.stayed") is True


def _containing(word: str) -> re.Pattern[str]:
    return re.compile(word)


def test_ranking_scale_and_page_are_part_of_the_address_and_come_back(visitor: Visitor) -> None:
    visitor.open(side=257, stage="blocks.12.expand", ranking="sparsity", scope="layer", sheet=2)
    expect(visitor.grid.locator(".ranking")).to_have_value("sparsity")
    expect(visitor.grid.locator(".scope input[value=layer]")).to_be_checked()
    expect(visitor.grid.locator(".place")).to_contain_text("65-128")
    with visitor.until_grid_is_new():
        visitor.grid.get_by_role("button", name="Previous channels").click()
    visitor.expect_in_address("sheet", None)
    with visitor.until_grid_is_new():
        visitor.grid.locator(".ranking").press("v")  # as a person at the keyboard chooses “variance”
    visitor.expect_in_address("ranking", None)
    with visitor.until_grid_is_new():
        visitor.page.go_back()
    expect(visitor.grid.locator(".ranking")).to_have_value("sparsity")
    with visitor.until_grid_is_new():
        visitor.page.go_back()
    expect(visitor.grid.locator(".place")).to_contain_text("65-128")


def test_a_step_of_the_training_says_its_number_and_back_returns_to_it(visitor: Visitor) -> None:
    visitor.open(network="unet_narrow", side=128, step=29)
    reached = visitor.page.locator("#step-reached")
    expect(reached).to_have_text("step 29")
    with visitor.until_grid_is_new(), visitor.inputs():
        visitor.page.locator("#step input[type=range]").press("ArrowRight")
    expect(reached).to_have_text("step 87")
    visitor.expect_in_address("step", "87")
    visitor.page.go_back()
    expect(visitor.status).to_contain_text("after 29 steps of training")
    expect(reached).to_have_text("step 29")
    with visitor.until_grid_is_new(), visitor.inputs():
        visitor.page.locator("#step input[type=range]").press("End")
    expect(reached).to_have_text("the end of the training")


# Names that an address can get wrong at once, and what the page says of each; one of a stage needs the right stage.
WRONG = [
    {
        "network": ("resnet", "There is no network called “resnet”", "没有名为“resnet”的网络"),
        "example": ("dog", "There is no example called 'dog'", "没有名为 'dog' 的示例"),
        "side": ("12", "The working size of DeepLabv3", "输入尺寸"),
        "step": ("28", "", ""),
        "stage": ("Encoder 9", "has no stage or layer called 'Encoder 9'", "没有名为 'Encoder 9' 的阶段或层"),
        "view": ("foo", "“view” has to be one of mask", "“view”必须是"),
        "lang": ("xx", "“lang” has to be one of en, zh", "“lang”必须是"),
        "point": ("eye", 'like 120,80, but "eye" came', "例如 120,80"),
        "ranking": ("best", "“ranking” has to be one of", "“ranking”必须是"),
        "scope": ("all", "“scope” has to be one of", "“scope”必须是"),
    },
    {
        "channel": ("9999", "Stem has no channel 9999; its channels are 0 to 31.", "Stem 没有通道 9999"),
        "sheet": ("3", "“sheet” has to be a whole number from 1 to 1", "“sheet”必须是"),
    },
]


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_wrong_words_are_each_said_in_a_sentence_leave_the_address_and_the_sheet_comes(
    new_page: Callable[..., Page], app_url: str, locale: str
) -> None:
    visitor = Visitor(new_page(locale=locale), app_url)
    for wrong in WRONG:
        visitor.open(**{"side": 257, "stage": "Stem", **{name: word for name, (word, _, _) in wrong.items()}})
        expect(visitor.toast).to_have_count(len(wrong))
        for name, (_, english, chinese) in wrong.items():
            visitor.expect_in_address(name, "Stem" if name == "stage" else None)
            said = english if locale == "en-GB" else chinese
            expect(visitor.toast.filter(has_text=said)).not_to_have_count(0)
        expect(visitor.status).to_contain_text("513" if "side" in wrong else "257")  # as on a first visit
        expect(visitor.status).to_contain_text(DEEPLAB)
        expect(visitor.grid.locator(".head")).to_contain_text("Stem")
        expect(visitor.grid.locator(".tile")).to_have_count(32)
        expect(visitor.grid.locator(".large")).to_be_hidden()


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_a_button_copies_the_link(new_page: Callable[..., Page], app_url: str, locale: str) -> None:
    visitor = Visitor(new_page(locale=locale, permissions=["clipboard-read", "clipboard-write"]), app_url)
    visitor.open(side=257, stage="Blocks 3-5")
    words = ("Copy link", "Copied.") if locale == "en-GB" else ("复制链接", "已复制。")
    visitor.page.get_by_role("button", name=words[0]).click()
    expect(visitor.page.locator("#header")).to_contain_text(words[1])
    assert visitor.page.evaluate("() => navigator.clipboard.readText()") == visitor.page.url


def test_without_a_clipboard_the_link_stands_in_a_field_ready_to_be_copied(visitor: Visitor) -> None:
    visitor.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    visitor.open(side=257)
    visitor.page.get_by_role("button", name="Copy link").click()
    field = visitor.page.get_by_label("Link to what is shown")
    expect(field).to_be_focused()
    expect(field).to_have_value(visitor.page.url)
    chosen = "(field) => field.value.slice(field.selectionStart, field.selectionEnd)"
    assert field.evaluate(chosen) == visitor.page.url


def test_the_page_says_that_the_first_picture_is_loading(
    new_page: Callable[..., Page], app_url: str, held_back: Callable[..., object]
) -> None:
    for locale, words in (("en-GB", "The first picture is being loaded"), ("zh-CN", "正在加载第一张图片")):
        visitor = Visitor(new_page(locale=locale), app_url)
        with held_back():  # type: ignore[attr-defined]
            visitor.visit(side=257)
            expect(visitor.segmentation.locator(".empty-title")).to_have_text(words)
            expect(visitor.status).to_contain_text(words)
        visitor.wait_until_drawn()
        expect(visitor.status).not_to_contain_text(words)
