"""The page in Chinese: by the browser, by the address, by the link."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor


@pytest.mark.parametrize(
    ("locale", "view", "own"),
    [
        ("zh-CN", {}, "将图像文件拖放到此处以上传"),
        ("zh-TW", {}, "將圖像檔案拖放到這裡上傳"),
        ("en-GB", {"lang": "zh"}, "将图像文件拖放到此处以上传"),
    ],
)
def test_everything_is_chinese_by_the_browser_or_by_the_address(
    new_page: Callable[..., Page], app_url: str, locale: str, view: dict[str, str], own: str
) -> None:
    visitor = Visitor(new_page(locale=locale), app_url)
    visitor.open(side=257, **view)
    page = visitor.page
    expect(page.locator("html")).to_have_attribute("lang", re.compile("^zh"))
    expect(page.locator("#header")).to_contain_text("看进分割网络内部")
    for name in ("看内部", "网络一览"):
        expect(page.get_by_role("tab", name=name)).to_be_visible()
    for place, words in {
        "#picture": "图片",
        "#network": "网络",
        "#side": "输入尺寸",
        "#run": "运行",
        "#stop": "停止",
    }.items():
        expect(page.locator(place)).to_contain_text(words)
    expect(page.locator("#about")).to_contain_text("日常照片首选")
    expect(visitor.status).to_contain_text("257 像素")
    expect(visitor.segmentation.locator(".heading")).to_have_text("分割结果")
    expect(visitor.segmentation.locator(".legend .entry").first).to_contain_text("猫")
    expect(page.locator("#layer")).to_contain_text("阶段或层")
    expect(visitor.grid.locator(".head h3")).to_have_text("阶段内部")
    expect(visitor.diagram.locator(".legend")).to_contain_text("跳跃连接")
    with visitor.inputs():
        page.locator("#picture button").nth(1).click()
        expect(page.locator("#picture")).to_contain_text("把图片拖到这里")
        expect(page.get_by_role("button", name=own)).to_be_visible()  # the words of Gradio itself
    visitor.run()
    expect(visitor.toast).to_contain_text("还没有图片。请上传或粘贴一张")


def test_the_address_can_ask_for_english_in_a_chinese_browser(new_page: Callable[..., Page], app_url: str) -> None:
    visitor = Visitor(new_page(locale="zh-CN"), app_url)
    visitor.open(side=257, lang="en")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en")
    expect(visitor.page.locator("#run")).to_have_text("Run")
    expect(visitor.segmentation.locator(".heading")).to_have_text("Segmentation")
    expect(visitor.status).to_contain_text("at 257 px")


def test_the_link_to_the_other_language_keeps_the_view(visitor: Visitor) -> None:
    visitor.open(network="u2netp", example="coffee", side=192)
    with visitor.until_grid_is_new():
        visitor.pick("En_3")
    channel = visitor.channels()[0]
    visitor.tile(channel).click()
    visitor.expect_in_address("channel", str(channel))
    visitor.show("entropy")
    link = visitor.page.locator(".language")
    expect(link).to_have_text("中文")
    link.click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "zh-CN")
    visitor.wait_until_drawn()
    expect(visitor.status).to_contain_text("192 像素")
    expect(visitor.stage("En_3")).to_have_attribute("aria-pressed", "true")
    expect(visitor.tile(channel)).to_have_attribute("aria-selected", "true")
    expect(visitor.segmentation.locator(".stage")).to_have_attribute("data-view", "entropy")
    assert visitor.in_address("example") == "coffee"
    visitor.page.locator(".language").click()
    expect(visitor.page.locator("#run")).to_have_text("Run")
    visitor.wait_until_drawn()
