"""Inside the stage: the sheet of channels, its order and scales, and one channel large with its exact values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from segdemo import Segmenter
from segdemo.examples import example
from segdemo.images import load_picture
from segdemo.rendering import heat_map, scale_for
from segdemo.summaries import Summary
from tests.browser.visitor import Visitor, painted

STAGE = "Blocks 10-12"  # 96 channels of 33 × 33 at 257 pixels


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    """Compute what the page has to show of the stage's channels, (C, h, w) float32."""
    return Segmenter().activation(load_picture(example("chelsea")), STAGE, None, 257)


@pytest.fixture(scope="module")
def summary() -> Summary:
    """Summarise the stage that the tests look at."""
    return Segmenter().summary(load_picture(example("chelsea")), STAGE, 257)


@pytest.fixture
def at_stage(visitor: Visitor) -> Visitor:
    """Somebody who looks at the sheet of the stage."""
    visitor.open(side=257, stage=STAGE)
    return visitor


def test_a_click_enlarges_a_channel_and_the_pointer_reads_its_exact_values(
    at_stage: Visitor, exact: np.ndarray
) -> None:
    channel = at_stage.channels()[3]
    values = exact[channel]
    at_stage.tile(channel).click()
    large = at_stage.grid.locator(".large")
    expect(large.locator("h4")).to_have_text(f"Channel {channel}")
    expect(large).not_to_have_class(re.compile("loading"))
    for row, column in ((0, 0), (12, 20), (32, 32)):
        at_stage.point_at(large.locator("canvas.map"), row, column, (33, 33))
        readout = large.locator(".readout")
        expect(readout).to_contain_text(f"row {row}, column {column}:")
        expect(readout).to_contain_text(re.compile(rf": {re.escape(written(values[row, column]))}( \(padding\))?$"))
    scale = scale_for(float(values.min()), float(values.max()))
    assert np.array_equal(painted(large.locator("canvas.map"))[..., :3], np.array(heat_map(values, scale)))
    at_stage.expect_in_address("channel", str(channel))


def written(value: np.float32) -> str:
    """Write a value as the page does: six digits."""
    if value == 0:
        return "0"
    size = abs(float(value))
    digits = f"{float(value):#.6g}"
    assert 1e-4 < size < 1e5, "beyond that the page writes powers of ten in another way"
    return digits


def test_the_values_of_a_channel_are_downloaded_bit_for_bit(at_stage: Visitor, exact: np.ndarray) -> None:
    channel = at_stage.channels()[0]
    at_stage.tile(channel).click()
    with at_stage.page.expect_download() as download:
        at_stage.grid.locator(".large:not(.loading) .downloads button").first.click()
    assert np.array_equal(np.load(Path(download.value.path())), exact[channel])
    with at_stage.page.expect_download() as download:
        at_stage.grid.locator(".large .downloads button").last.click()
    assert download.value.suggested_filename.endswith(f"channel-{channel}.png")


def test_a_channel_is_opened_read_and_closed_by_keyboard_alone(at_stage: Visitor, exact: np.ndarray) -> None:
    first, second = at_stage.channels()[:2]
    at_stage.tile(first).focus()
    at_stage.page.keyboard.press("ArrowRight")
    expect(at_stage.tile(second)).to_be_focused()
    at_stage.page.keyboard.press("Enter")
    large = at_stage.grid.locator(".large")
    expect(large.locator("h4")).to_have_text(f"Channel {second}")
    expect(large).not_to_have_class(re.compile("loading"))
    large.locator(".frame").press("ArrowDown")
    expect(large.locator(".readout")).to_have_text(f"row 0, column 0: {written(exact[second][0, 0])}")
    at_stage.page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(at_stage.tile(second)).to_be_focused()
    expect(at_stage.grid.locator('.tile[aria-selected="true"]')).to_have_count(0)
    at_stage.expect_in_address("channel", None)


def test_next_steps_through_the_channels_also_past_the_end_of_a_page(at_stage: Visitor, summary: Summary) -> None:
    order = summary.channels.ranked("variance")
    large = at_stage.grid.locator(".large")
    at_stage.tile(int(order[62])).click()
    for channel in order[63:65]:
        large.locator(".buttons button").nth(1).click()
        expect(large.locator("h4")).to_have_text(f"Channel {channel}")
        expect(large).not_to_have_class(re.compile("loading"))
    expect(at_stage.grid.locator(".place")).to_have_text("65-96 of 96")
    large.locator(".buttons button").nth(0).click()
    expect(large.locator("h4")).to_have_text(f"Channel {order[63]}")
    expect(at_stage.grid.locator(".place")).to_have_text("1-64 of 96")


def test_channels_are_ranked_as_asked_and_come_64_at_a_time(at_stage: Visitor, summary: Summary) -> None:
    expect(at_stage.grid.locator("select.ranking")).to_have_value("variance")
    assert at_stage.channels() == summary.channels.ranked("variance")[:64].tolist()
    for ranking in ("mean_abs", "sparsity", "index"):
        with at_stage.until_grid_is_new():
            at_stage.grid.locator("select.ranking").select_option(ranking)
        assert at_stage.channels() == summary.channels.ranked(ranking)[:64].tolist()
    with at_stage.until_grid_is_new():
        at_stage.grid.locator(".pager button").last.click()
    expect(at_stage.grid.locator(".place")).to_have_text("65-96 of 96")
    assert at_stage.channels() == list(range(64, 96))
    expect(at_stage.grid.locator(".pager button").last).to_have_attribute("aria-disabled", "true")
    with at_stage.until_grid_is_new():
        at_stage.grid.locator(".pager button").first.click()
    assert at_stage.channels() == list(range(64))


def test_the_scope_gives_all_tiles_one_scale(at_stage: Visitor, summary: Summary) -> None:
    bars = at_stage.grid.locator(".meaning .bar")
    expect(bars).to_have_count(0)  # each channel has a scale of its own
    tile = at_stage.tile(at_stage.channels()[40]).locator("canvas")
    pictures = [painted(tile)]
    for scope in ("layer", "network"):
        with at_stage.until_grid_is_new():
            at_stage.grid.locator(f".scope input[value={scope}]").check(force=True)
        expect(bars).to_have_count(1)
        pictures.append(painted(tile))
    assert not np.array_equal(pictures[0], pictures[1])
    with at_stage.until_grid_is_new():
        at_stage.grid.locator(".scope input[value=layer]").check(force=True)
    most = max(abs(summary.minimum), abs(summary.maximum))
    label = bars.get_attribute("aria-label") or ""
    ends = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", label)]
    assert ends == [pytest.approx(-most, rel=5e-3), pytest.approx(most, rel=5e-3)]  # symmetric about 0


def test_a_channel_can_be_laid_over_the_picture(at_stage: Visitor) -> None:
    at_stage.tile(at_stage.channels()[0]).click()
    large = at_stage.grid.locator(".large:not(.loading)")
    picture = large.locator(".frame img")
    expect(picture).to_be_hidden()
    large.locator(".over").check()
    expect(picture).to_be_visible()
    expect(large.locator("canvas.map")).to_have_css("opacity", "0.6")
    large.locator(".over").uncheck()
    expect(picture).to_be_hidden()


def test_dead_channels_are_marked_and_the_numbers_are_those_of_the_layer(visitor: Visitor) -> None:
    visitor.open(side=257)
    summary = Segmenter().summary(load_picture(example("chelsea")), "Stem", 257)
    assert summary.dead
    for channel in summary.dead:
        expect(visitor.tile(channel).locator(".badge.dead")).to_be_visible()
    expect(visitor.grid.locator(".badge.dead")).to_have_count(len(summary.dead))
    expect(visitor.grid.locator(".head")).to_contain_text(f"{len(summary.dead)} of 32")
    expect(visitor.grid.locator(".head")).to_contain_text(f"{summary.maximum:.4g}")


def test_a_channel_of_the_address_that_does_not_exist_is_said_and_the_sheet_can_still_be_used(
    visitor: Visitor,
) -> None:
    visitor.open(side=257, stage=STAGE, channel=96)
    expect(visitor.toast).to_contain_text("no channel 96; its channels are 0 to 95.")
    expect(visitor.grid.locator(".large")).to_be_hidden()
    expect(visitor.grid.locator(".tile")).to_have_count(64)
    visitor.expect_in_address("channel", None)
    with visitor.until_grid_is_new():
        visitor.pick("Stem")
    expect(visitor.grid.get_by_role("alert")).to_have_count(0)
