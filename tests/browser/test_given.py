"""Pictures of one's own: given in every way, kept over a reload, drawn by the server; results that are former ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from segdemo.engine import LocalEngine
from segdemo.examples import example
from tests.browser.visitor import Visitor

FORMER = {"en-GB": "does not belong to the picture", "zh-CN": "与页面现在的图片和设置不对应"}
GIVE = """async ([kind, files]) => {
  const data = new DataTransfer();
  for (const {name, type, text} of files) {
    data.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name, {type}));
  }
  const event = kind === 'paste' ? new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})
    : new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});
  document.querySelector('#channels').dispatchEvent(event);
}"""


@pytest.fixture
def me(tmp_path: Path) -> Path:
    """A photograph of a person, 320 × 300."""
    with Image.open(example("astronaut")) as picture:
        picture.convert("RGB").resize((320, 300)).save(tmp_path / "me.png")
    return tmp_path / "me.png"


def give(visitor: Visitor, kind: str, *files: Path, type_: str = "") -> None:
    """Drop or paste files on the sheet of channels."""
    import base64

    described = [
        {
            "name": file.name,
            "type": type_ or f"image/{file.suffix[1:]}",
            "text": base64.b64encode(file.read_bytes()).decode(),
        }
        for file in files
    ]
    visitor.page.evaluate(GIVE, [kind, described])


def expect_class(visitor: Visitor, word: str) -> None:
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", re.compile(word))


def test_the_language_switch_and_a_reload_keep_ones_own_picture_and_back_returns_to_the_example(
    visitor: Visitor, me: Path
) -> None:
    visitor.open(side=257)
    visitor.upload(me)
    expect_class(visitor, "person")
    visitor.page.locator(".language").click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "zh-CN")
    visitor.wait_until_drawn()
    expect_class(visitor, "人")
    expect(visitor.page.locator('#picture img[src*="me.png"]')).to_have_count(1)
    visitor.page.reload()
    visitor.wait_until_drawn()
    expect_class(visitor, "人")
    visitor.page.locator(".language").click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en")
    visitor.wait_until_drawn()
    expect_class(visitor, "person")
    visitor.page.go_back()
    expect_class(visitor, "cat")
    visitor.page.go_forward()
    expect_class(visitor, "person")
    expect(visitor.toast).to_have_count(0)


def test_a_picture_dropped_or_pasted_anywhere_is_run(visitor: Visitor, me: Path) -> None:
    visitor.open(side=257)
    shown = visitor.page.locator('#picture img[src*="me.png"]')
    give(visitor, "drop", me)
    expect_class(visitor, "person")
    expect(shown).to_have_count(1)
    with visitor.until_grid_is_new():
        visitor.choose_example(2)
    expect(shown).to_have_count(0)
    give(visitor, "paste", me)
    expect(shown).to_have_count(1)
    expect_class(visitor, "person")
    expect(visitor.toast).to_have_count(0)


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_of_several_files_the_first_picture_is_taken_and_what_is_none_is_said(
    new_page: Callable[..., Page], app_url: str, me: Path, tmp_path: Path, locale: str
) -> None:
    english = locale == "en-GB"
    visitor = Visitor(new_page(locale=locale), app_url)
    (tmp_path / "diary.txt").write_text("Dear diary")
    visitor.open(side=257)
    give(visitor, "drop", tmp_path / "diary.txt", type_="text/plain")
    expect(visitor.toast).to_contain_text("“diary.txt” is no picture" if english else "“diary.txt”不是图片")
    expect_class(visitor, "cat" if english else "猫")
    give(visitor, "paste", me, me)
    expect(visitor.toast.last).to_contain_text("“me.png” is taken" if english else "采用“me.png”")
    expect_class(visitor, "person" if english else "人")


@pytest.mark.parametrize(
    ("name", "way"), [("me.tif", "upload"), ("me.jp2", "upload"), ("me.ppm", "drop"), ("me.tga", "paste")]
)
def test_a_picture_that_no_browser_draws_is_seen_all_the_same(visitor: Visitor, me: Path, name: str, way: str) -> None:
    file = me.with_name(name)
    with Image.open(me) as picture:
        picture.save(file)
    visitor.open(side=257)
    if way == "upload":
        visitor.upload(file)
    else:
        give(visitor, way, file, type_="application/octet-stream")
    expect_class(visitor, "person")
    shown = visitor.page.locator('#picture img[src*="preview"]')
    expect(shown).to_have_js_property("naturalWidth", 320)
    visitor.page.reload()
    visitor.wait_until_drawn()
    expect_class(visitor, "person")
    expect(shown).to_have_js_property("naturalWidth", 320)


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_a_result_beside_another_picture_says_that_it_is_a_former_one(
    new_page: Callable[..., Page], app_url: str, tmp_path: Path, locale: str
) -> None:
    visitor = Visitor(new_page(locale=locale), app_url)
    (tmp_path / "diary.png").write_text("Dear diary")
    visitor.open(side=257)
    former = visitor.page.locator("#former")
    expect(former).to_be_hidden()
    visitor.upload(tmp_path / "diary.png")
    expect(former).to_contain_text(FORMER[locale])
    expect(former).to_contain_text("DeepLabv3")
    visitor.choose_example(0)
    expect_class(visitor, "person" if locale == "en-GB" else "人")
    expect(former).to_be_hidden()
    with visitor.inputs():
        visitor.page.locator("#picture .icon-button-wrapper button").last.click()
    expect(former).to_contain_text(FORMER[locale])
    visitor.choose_example(1)
    expect_class(visitor, "cat" if locale == "en-GB" else "猫")
    expect(former).to_be_hidden()


def test_a_result_is_marked_after_a_run_that_failed_or_was_stopped(
    visitor: Visitor, spoilable_checkpoints: Path, held_back: Callable[..., object], engine: LocalEngine
) -> None:
    former = visitor.page.locator("#former")
    missing = spoilable_checkpoints / "deeplabv3_mobilenet_v2.safetensors"
    kept = missing.read_bytes()
    missing.unlink()
    engine.forget()  # a page that has just been left may still have asked for it
    visitor.open(network="u2netp", side=192)
    visitor.choose_network("DeepLabv3 · MobileNetV2")
    expect(former).to_contain_text("U²-Net, small at 192 px")
    missing.write_bytes(kept)
    with visitor.until_grid_is_new():
        visitor.run()
    expect(former).to_be_hidden()
    with held_back():  # type: ignore[attr-defined]
        visitor.choose_example(0)
        expect(visitor.page.get_by_text("is running").first).to_be_visible()
        visitor.page.locator("#stop").click()
        expect(former).to_contain_text("DeepLabv3 · MobileNetV2 at 513 px")


def test_a_very_long_picture_keeps_the_page_short(visitor: Visitor, tmp_path: Path) -> None:
    Image.new("RGB", (4, 3000), "red").save(tmp_path / "thread.png")
    Image.new("RGB", (3000, 4), "red").save(tmp_path / "lying.png")
    visitor.open(side=257)
    for name, size in (("thread.png", "1280"), ("lying.png", "1280")):
        with visitor.until_grid_is_new():
            visitor.upload(tmp_path / name)
        assert size
        for view in ("mask", "compare", "seen", "entropy"):
            visitor.show(view)
            box = visitor.segmentation.locator(".stage").bounding_box()
            assert box is not None
            assert box["height"] <= 0.75 * 900
            assert box["width"] >= 20
        height = visitor.page.evaluate("() => document.documentElement.scrollHeight")
        assert height < 5 * 900
