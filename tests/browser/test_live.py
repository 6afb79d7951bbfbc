"""The tab of moving pictures, with the camera that Chromium pretends to have and a film that the test makes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from segdemo.examples import example
from tests.browser.visitor import Visitor

FRAMES = "(card) => Number(card.dataset.frames) >= 3"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds in which the cat's photograph goes from left to right, as WebM."""
    path = tmp_path / "cat.webm"
    photograph = Image.open(example("chelsea")).convert("RGB").resize((240, 160))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 240, 160, "yuv420p"
        for number in range(20):
            pixels = np.roll(np.array(photograph), 4 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return path


def wait_for_frames(card: Locator) -> None:
    """Wait until answers to a few frames have been drawn."""
    handle = card.element_handle()
    assert handle is not None
    card.page.wait_for_function(FRAMES, arg=handle)


# As a browser tells that a camera was unplugged; and that it may not, or cannot, be used.
UNPLUG = """() => {
  const [track] = document.querySelector('.live-card video').srcObject.getTracks();
  track.stop();
  track.dispatchEvent(new Event('ended'));
}"""
REFUSE = "(name) => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('No.', name)); }"


def test_a_camera_that_is_lost_or_refused_is_told_in_a_sentence(visitor: Visitor) -> None:
    visitor.open()
    visitor.tab("Live")
    page, card = visitor.page, visitor.page.locator(".live-card")
    start = card.get_by_role("button", name="Start the camera")
    start.click()
    wait_for_frames(card)
    page.evaluate(UNPLUG)
    expect(card).to_contain_text("The camera is gone")
    expect(card.get_by_role("button", name="Stop")).to_be_disabled()
    for name, sentence in (("NotAllowedError", "was refused"), ("NotFoundError", "There is no camera"), ("x", "No.")):
        page.evaluate(REFUSE, name)
        start.click()
        expect(card).to_contain_text(sentence)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_camera_and_a_film_are_segmented_frame_by_frame_until_they_are_stopped(
    visitor: Visitor, film: Path, language: str
) -> None:
    visitor.open(side=257, lang=language)
    visitor.tab({"en": "Live", "zh": "实时"}[language])
    page, card = visitor.page, visitor.page.locator(".live-card")
    expect(card.locator("option")).not_to_have_count(0)
    if language == "en":
        card.get_by_role("button", name="Start the camera").click()
        wait_for_frames(card)
        expect(card).to_contain_text("frames a second")
        expect(card).to_contain_text("of 16 of Encoder 1, 16 × 128 × 128")
        card.get_by_role("button", name="Stop").click()
        expect(card).to_contain_text("Stopped.")
        assert page.evaluate("document.querySelector('.live-card video').srcObject") is None
    card.locator("select").first.select_option("unet_mobilenet_v2")
    with page.expect_file_chooser() as chooser:
        card.get_by_role("button", name={"en": "Choose a film", "zh": "选择视频"}[language]).click()
    chooser.value.set_files(film)
    wait_for_frames(card)
    expect(card.locator(".shares")).to_contain_text({"en": "cat", "zh": "猫"}[language])
    expect(card.locator("img.mask")).to_be_visible()
    expect(card.locator("img.tiles")).to_be_visible()
    visitor.tab({"en": "Networks", "zh": "网络"}[language])  # nothing goes on where nobody looks
    page.wait_for_function("document.querySelector('.live-card video').paused")
