"""Pictures of one's own, good and bad; missing weights: one sentence, what was shown stays, the next run works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from segdemo.engine import LocalEngine
from segdemo.examples import example
from tests.browser.visitor import Visitor


def renamed_text(path: Path) -> None:
    path.write_text("Dear diary")


def truncated_jpeg(path: Path) -> None:
    with Image.open(example("chelsea")) as picture:
        picture.save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:9000])


def tiny_file_of_81_megapixels(path: Path) -> None:
    Image.new("1", (9000, 9000)).save(path, "PNG")
    assert path.stat().st_size < 20_000


def nothing(path: Path) -> None:
    path.touch()


UNREADABLE = " cannot be read as a picture: it is empty, damaged or of another kind."


@pytest.mark.parametrize(
    ("write", "name", "sentence"),
    [
        (renamed_text, "diary.png", "diary.png" + UNREADABLE),
        (truncated_jpeg, "half.jpg", "half.jpg cannot be read as a picture: the file is damaged or ends early"),
        (nothing, "empty.png", "empty.png" + UNREADABLE),
        (tiny_file_of_81_megapixels, "white.png", "white.png has 9000 × 9000 pixels; at most"),
    ],
)
def test_a_bad_file_is_answered_with_a_sentence_and_the_next_run_works(
    visitor: Visitor, tmp_path: Path, write: Callable[[Path], None], name: str, sentence: str
) -> None:
    write(tmp_path / name)
    visitor.open(side=257)
    visitor.upload(tmp_path / name)
    expect(visitor.toast).to_have_count(1)
    expect(visitor.toast).to_contain_text(sentence)
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", re.compile("cat"))
    expect(visitor.grid.locator(".tile").first).to_be_visible()
    with visitor.until_grid_is_new():
        visitor.choose_example(0)
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", re.compile("person"))
    expect(visitor.toast).to_have_count(1)


def test_a_picture_of_ones_own_runs_by_itself_and_leaves_the_example_out_of_the_address(
    visitor: Visitor, tmp_path: Path
) -> None:
    with Image.open(example("astronaut")) as picture:
        picture.convert("RGBA").resize((300, 280)).save(tmp_path / "me.png")
    visitor.open(side=257, example="coffee")
    with visitor.until_grid_is_new():
        visitor.upload(tmp_path / "me.png")
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", re.compile("person"))
    visitor.expect_in_address("example", None)


def test_run_without_a_picture_asks_for_one(visitor: Visitor) -> None:
    visitor.open(side=257)
    with visitor.inputs():
        visitor.page.locator("#picture").get_by_role("button", name="Remove Image").click()
        expect(visitor.page.locator("#picture img")).to_have_count(0)
    visitor.run()
    expect(visitor.toast).to_have_count(1)
    expect(visitor.toast).to_contain_text("There is no picture yet. Upload or paste one")
    with visitor.until_grid_is_new():
        visitor.choose_example(0)
    expect(visitor.segmentation.locator("canvas.map")).to_have_attribute("aria-label", re.compile("person"))


def test_a_missing_checkpoint_is_named_and_other_networks_still_run(
    visitor: Visitor, spoilable_checkpoints: Path, engine: LocalEngine
) -> None:
    missing = spoilable_checkpoints / "deeplabv3_mobilenet_v2.safetensors"
    missing.unlink()
    engine.forget()  # a page that has just been left may still have asked for it
    visitor.open(network="u2netp", side=192)
    visitor.choose_network("DeepLabv3 · MobileNetV2")
    expect(visitor.toast.first).to_contain_text(f"There is no file {missing}.")
    expect(visitor.segmentation.locator(".facts")).to_contain_text("U²-Net, small")
    with visitor.until_grid_is_new():
        visitor.choose_network("U²-Net, small")
    expect(visitor.status).to_contain_text("U²-Net, small at 320 px")


def test_an_altered_checkpoint_is_refused_until_the_file_is_the_right_one(
    visitor: Visitor, spoilable_checkpoints: Path, engine: LocalEngine
) -> None:
    path = spoilable_checkpoints / "u2netp.safetensors"
    right = path.read_bytes()
    path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    engine.forget()  # a page that has just been left may still have asked for it
    visitor.open(side=257)
    visitor.choose_network("U²-Net, small")
    expect(visitor.toast.first).to_contain_text("Get the file again from where this program came from.")
    path.write_bytes(right)
    with visitor.until_grid_is_new():
        visitor.run()
    expect(visitor.status).to_contain_text("U²-Net, small at")
