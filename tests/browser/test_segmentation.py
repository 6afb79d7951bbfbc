"""The mask over its photograph: what the pointer reads, what the legend switches, the views and the files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from playwright.sync_api import expect

from segdemo import Result, Segmenter
from segdemo.examples import example
from segdemo.images import load_picture
from tests.browser.visitor import Visitor, painted
from tests.conftest import mixed_by_hand

VIEWS = ("mask", "compare", "probability", "confidence", "entropy", "seen")
CAT = 8


@pytest.fixture(scope="module")
def result() -> Result:
    """What the page shows under ``side=257``."""
    return Segmenter().run(load_picture(example("chelsea")), 257)


def percent(share: float) -> str:
    """Write a probability as the page does, which knows 256 levels of it."""
    value = round(255 * share) / 2.55
    return "> 99 %" if value >= 99.5 else "< 1 %" if value < 0.5 else f"{int(value + 0.5)} %"


def viridis(shares: np.ndarray) -> np.ndarray:
    """Colour shares in [0, 1] as the page's maps are, (H, W, 3) uint8."""
    table = (np.array(colormaps["viridis"].colors) * 255).round().astype(np.uint8)  # type: ignore[attr-defined]
    return table[np.rint(shares * 255).astype(int)]


def test_the_pointer_reads_class_probability_and_position_of_any_pixel(visitor: Visitor, result: Result) -> None:
    visitor.open(side=257)
    canvas, tip = visitor.segmentation.locator("canvas.map"), visitor.segmentation.locator(".tip")
    least = np.unravel_index(int(result.confidence.argmin()), result.mask.shape)
    for row, column in ((150, 200), (8, 440), (int(least[0]), int(least[1]))):
        visitor.point_at(canvas, row, column, result.mask.shape)
        expect(tip).to_be_visible()
        found = re.search(r"\((\d+), (\d+)\)", tip.inner_text())
        assert found is not None
        x, y = int(found[1]), int(found[2])
        assert abs(x - column) <= 1 and abs(y - row) <= 1
        expected = f"{result.names[result.mask[y, x]]} {percent(float(result.confidence[y, x]))}"
        expect(tip.locator("b")).to_have_text(expected)


def test_arrow_keys_read_pixels_aloud(visitor: Visitor, result: Result) -> None:
    visitor.open(side=257)
    visitor.segmentation.locator("canvas.map").focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        visitor.page.keyboard.press(key)
    x, y = result.mask.shape[1] // 2 + 5, result.mask.shape[0] // 2 + 1
    expect(visitor.segmentation.locator(".spoken")).to_contain_text(f"({x}, {y})")
    expect(visitor.segmentation.locator(".tip")).to_contain_text(result.names[result.mask[y, x]])


def test_a_legend_entry_switches_its_class_off_and_on_again(visitor: Visitor, result: Result) -> None:
    visitor.open(side=257)
    canvas = visitor.segmentation.locator("canvas.map")
    cat = visitor.segmentation.locator(f'.legend .entry[data-index="{CAT}"]')
    expect(cat).to_contain_text(f"{result.classes[CAT].percent:.1f} %")
    colour = [int(result.classes[CAT].colour[at : at + 2], 16) for at in (1, 3, 5)] + [255]
    shown = painted(canvas)
    assert np.array_equal((shown == colour).all(-1), result.mask == CAT)
    assert np.array_equal(shown[..., 3] > 0, result.mask != 0)
    cat.click()
    expect(cat).to_have_attribute("aria-pressed", "false")
    assert not painted(canvas)[result.mask == CAT].any()
    cat.click()
    expect(cat).to_have_attribute("aria-pressed", "true")
    assert np.array_equal(painted(canvas), shown)


def test_all_shows_every_class_and_none_shows_the_photograph_alone(visitor: Visitor) -> None:
    visitor.open(side=257)
    canvas = visitor.segmentation.locator("canvas.map")
    visitor.segmentation.locator(".all").click()
    assert painted(canvas)[..., 3].all()
    visitor.segmentation.locator(".none").click()
    assert not painted(canvas)[..., 3].any()


def test_confidence_and_entropy_are_drawn_with_their_true_values(visitor: Visitor, result: Result) -> None:
    visitor.open(side=257)
    canvas = visitor.segmentation.locator("canvas.map")
    most = np.log2(len(result.names))
    for view, shares in (("confidence", result.confidence), ("entropy", result.entropy / most)):
        visitor.show(view)
        visitor.expect_in_address("view", view)
        assert np.abs(painted(canvas)[..., :3].astype(int) - viridis(shares)).max() <= 2
    expect(visitor.segmentation.locator(".high")).to_have_text(f"{most:.2f} bits")


def test_the_probability_of_any_class_can_be_seen_also_of_one_that_is_not_in_the_picture(
    visitor: Visitor, result: Result
) -> None:
    visitor.open(side=257)
    visitor.show("probability")
    expect(visitor.segmentation.locator(".choice")).to_have_value("cat")
    for name in ("cat", "dog"):
        visitor.segmentation.locator(".choice").select_option(name)
        expect(visitor.segmentation.locator(".waiting")).to_be_hidden()
        expect(visitor.segmentation.locator(".caption")).to_contain_text(f"“{name}”")
        shown = painted(visitor.segmentation.locator("canvas.map"))[..., :3].astype(int)
        assert np.abs(shown - viridis(result.probability(name))).max() <= 2


def test_what_the_network_saw_is_shown_with_its_padding(visitor: Visitor) -> None:
    visitor.open(side=257)
    visitor.show("seen")
    natural = "(photo) => photo.naturalWidth === 257 && photo.naturalHeight === 257"
    visitor.page.wait_for_function(f"() => ({natural})(document.querySelector('#segmentation .photo'))")
    expect(visitor.segmentation.locator(".padding")).to_be_visible()
    expect(visitor.segmentation.locator(".caption")).to_contain_text("resized to 257\u00a0×\u00a0171")


def test_the_divider_moves_by_keyboard_and_by_mouse(visitor: Visitor) -> None:
    visitor.open(side=257)
    visitor.show("compare")
    divider = visitor.segmentation.locator(".divider")
    expect(divider).to_have_attribute("aria-valuenow", "50")
    divider.press("Shift+ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "60")
    stage = visitor.segmentation.locator(".stage").bounding_box()
    assert stage is not None
    divider.hover()
    visitor.page.mouse.down()
    visitor.page.mouse.move(stage["x"] + stage["width"] / 4, stage["y"] + 20)
    visitor.page.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "25")


def test_the_view_outlives_a_run(visitor: Visitor) -> None:
    visitor.open(side=257, view="confidence")
    with visitor.until_grid_is_new():
        visitor.choose_example(3)
    expect(visitor.segmentation.locator(".stage")).to_have_attribute("data-view", "confidence")


def test_downloads_hold_what_the_package_computes(visitor: Visitor, result: Result) -> None:
    visitor.open(side=257)
    files = {}
    for kind in ("mask", "overlay", "data"):
        with visitor.page.expect_download() as download:
            visitor.segmentation.locator(f".download[data-kind={kind}]").click()
        files[download.value.suggested_filename] = Path(download.value.path())
    stem = "deeplabv3_mobilenet_v2"
    with Image.open(files[f"{stem}-mask.png"]) as mask:
        assert mask.mode == "P"
        assert np.array_equal(np.array(mask), result.mask)
    with Image.open(files[f"{stem}-overlay.png"]) as overlay:
        colours = [share.colour for share in result.classes]
        photo = load_picture(example("chelsea"))
        # 55 % is what the slider stands at, and the background is switched off, on a first visit.
        assert np.abs(np.array(overlay) - mixed_by_hand(photo, result.mask, colours, 0.55, {0})).max() <= 0.5 + 1e-4
    with np.load(files[f"{stem}-data.npz"]) as data:
        assert np.array_equal(data["mask"], result.mask)
        assert np.array_equal(data["logits"], result.logits)
        assert tuple(data["classes"]) == result.names


@pytest.mark.usefixtures("untrained_unet")
def test_an_untrained_network_says_so_in_every_view_and_in_its_files(visitor: Visitor) -> None:
    visitor.open(network="unet", side=128)
    for view in VIEWS:
        visitor.show(view)
        expect(visitor.segmentation.locator(".banner")).to_contain_text("untrained")
        expect(visitor.segmentation.locator(".untrained")).to_be_visible()
    expect(visitor.diagram.locator(".badge")).to_contain_text("untrained")
    expect(visitor.grid.locator(".head .badge.untrained")).to_be_visible()
    visitor.grid.locator(".tile").first.click()
    expect(visitor.grid.locator(".large .badge.untrained")).to_be_visible()
    with visitor.page.expect_download() as download:
        visitor.segmentation.locator(".download[data-kind=mask]").click()
    assert download.value.suggested_filename == "untrained-unet-mask.png"


def test_a_classifier_shows_its_answer_instead_of_masks_and_leaves_no_trace_of_it(visitor: Visitor) -> None:
    visitor.open(network="lenet", example="digit", stage="Full 1")
    view = visitor.segmentation
    expect(view.locator(".heading")).to_have_text("Answer")
    expect(view.locator(".best")).to_have_text("5, with a probability of 96.5 %")
    expect(view.locator(".odds li")).to_have_count(10)
    expect(view.locator(".views label:visible")).to_have_text(["What the network saw", "Picture"])
    expect(view.locator("canvas.map")).to_be_hidden()
    expect(view.locator(".legend")).to_be_hidden()
    expect(view.locator(".downloads button:visible")).to_have_text(["Data"])
    expect(visitor.stage("Full 1")).to_contain_text("120")
    expect(visitor.grid.locator(".tile .words")).to_have_count(64)
    visitor.choose_network("U-Net")
    expect(view.locator(".heading")).to_have_text("Segmentation")
    expect(view.locator(".views label:visible")).to_have_count(len(VIEWS))
    expect(view.locator("canvas.map")).to_be_visible()
    expect(view.locator(".legend")).to_be_visible()
    expect(view.locator(".answer")).to_be_hidden()
