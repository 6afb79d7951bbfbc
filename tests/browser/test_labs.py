"""The labs: a state is an address, every control rewrites the code, and what cannot be leaves the last good state."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from segdemo.labs import LABS
from segdemo.ui.texts import TEXTS
from tests.browser.visitor import Visitor

LAB = "#lab-panel .lab"


def open_lab(visitor: Visitor, **view: object) -> None:
    visitor.visit(**{"network": "lenet", "example": "digit", **view})
    expect(visitor.page.locator(f"{LAB}[data-ready]")).to_be_visible()


def control(page: Page, name: str) -> Page:
    return page.locator(f'{LAB} .control[data-name="{name}"]')  # type: ignore[return-value]


def test_a_setting_rewrites_the_code_and_the_address_and_a_link_brings_it_back(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="layers", **{"lab.padding": 0})
    code = page.locator(f"{LAB} pre")
    expect(code).to_contain_text("padding=0")
    stride = control(page, "stride").locator(".typed")
    stride.fill("2")
    stride.press("Enter")
    expect(code).to_contain_text("stride=2, padding=0")
    visitor.expect_in_address("lab.stride", "2")
    page.reload()
    expect(code).to_contain_text("stride=2, padding=0")
    expect(control(page, "stride").locator(".typed")).to_have_value("2")


def test_what_cannot_be_is_said_and_the_last_good_state_stays(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="layers")
    trouble, code = page.locator(f"{LAB} .trouble"), page.locator(f"{LAB} pre")
    cell = page.locator(f"{LAB} .cells input").first
    cell.fill("NaN")
    cell.press("Tab")
    expect(trouble).to_contain_text("has to be a finite number")
    expect(code).to_contain_text("[-1.0, 8.0, -1.0]")
    cell.fill("5")
    cell.press("Tab")
    expect(code).to_contain_text("[5.0, -1.0, -1.0]")
    expect(trouble).to_be_hidden()
    groups = control(page, "groups").locator(".typed")
    groups.fill("2")
    groups.press("Enter")
    expect(trouble).to_contain_text("1 would be left over")
    expect(code).to_contain_text("groups=1")


def test_keys_walk_over_the_output_and_the_sum_is_written_out(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="layers", **{"lab.size": 16, "lab.in_channels": 1})
    written = page.locator(f"{LAB} .written")
    expect(written).to_have_attribute("data-at", "0,0,0")
    output = page.locator(f"{LAB} [data-block=output] .map")
    output.focus()
    page.keyboard.press("ArrowDown")
    expect(written).to_have_attribute("data-at", "0,1,0")
    page.keyboard.press("ArrowRight")
    expect(written).to_have_attribute("data-at", "0,1,1")
    expect(written.locator("code")).to_contain_text("output[0, 0, 1, 1] = ")
    expect(page.locator(f"{LAB} .spot.in")).to_have_count(9)
    page.locator(f"{LAB} .patch button").nth(1).click()
    expect(written).to_have_attribute("data-at", "0,1,2")


def test_a_task_is_checked_off_and_its_reason_shown(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="containers")
    task = page.locator(f"{LAB} [data-task=lost]")
    expect(task.locator(".reason")).to_be_hidden()
    control(page, "container").locator("select").select_option("list")
    expect(task).to_have_attribute("data-done", "true")
    expect(task.locator(".reason")).to_be_visible()


@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("zh-CN", "zh")])
def test_every_lab_opens_from_its_card_in_both_languages(
    new_page: Callable[..., Page], app_url: str, locale: str, language: str
) -> None:
    visitor = Visitor(new_page(locale=locale), app_url)
    page = visitor.page
    open_lab(visitor, lab="layers")
    for name in LABS:
        page.locator(f'#lab-panel .card[data-lab="{name}"]').click()
        lab = page.locator(f"{LAB}[data-lab={name}]")
        expect(lab.locator("h3")).to_have_text(TEXTS[language][f"labs.{name}"])
        expect(lab.locator("pre")).to_contain_text("import torch")
        expect(lab.locator(".blocks > *").first).to_be_visible()
        expect(lab.locator(".trouble")).to_be_hidden()
        visitor.expect_in_address("lab", name)


def test_a_tutorial_is_read_along_by_keys_and_a_link_brings_a_section_back(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="layers")
    reading, paths = page.locator("#lab-panel .reading"), page.locator("#lab-panel .paths")
    expect(reading).to_be_hidden()
    paths.locator("summary").first.press("Enter")
    paths.locator("[data-tutorial=alexnet] > summary").press("Enter")
    paths.locator("a[data-read='alexnet.lrn']").press("Enter")
    expect(reading.locator("h3")).to_have_text(TEXTS["en"]["labs.read.alexnet.lrn"])
    expect(page.locator(f"{LAB}[data-lab=alexnet] pre")).to_contain_text("LocalResponseNorm")
    visitor.expect_in_address("read", "alexnet.lrn")
    following = reading.locator("[data-step='1']")
    following.press("Enter")
    expect(page.locator(f"{LAB} pre")).to_contain_text("nn.Dropout")
    visitor.expect_in_address("lab.part", "dropout")
    expect(following).to_be_focused()
    page.reload()
    expect(reading.locator("h3")).to_have_text(TEXTS["en"]["labs.read.alexnet.dropout"])
    page.locator('#lab-panel .card[data-lab="layers"]').click()
    expect(reading).to_be_hidden()


def test_dictionaries_of_the_network_in_the_page_are_looked_into(visitor: Visitor) -> None:
    open_lab(visitor, lab="containers", network="unet_narrow", side=256)
    registers = visitor.page.locator(f"{LAB} .registers")
    expect(registers.locator("tbody tr").first).to_be_visible()
    registers.locator("select").select_option("inc.double_conv.1")
    expect(registers.locator("tbody")).to_contain_text("running_mean, running_var, num_batches_tracked")


def test_a_wrong_address_is_said_and_the_lab_begins_as_at_first(visitor: Visitor) -> None:
    open_lab(visitor, lab="layers", **{"lab.stride": "many"})
    page = visitor.page
    expect(page.locator(f"{LAB} .trouble")).to_contain_text(re.compile("“stride” has to be a whole number"))
    expect(page.locator(f"{LAB} pre")).to_contain_text("stride=1")


def test_a_drawn_digit_is_read_and_the_examples_can_be_chosen_with_the_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="lenet")
    canvas = control(page, "drawing").locator("canvas")
    first = page.locator(f"{LAB} .bars dt").first
    page.locator(f"{LAB} .drawing").get_by_role("button", name="Clear").click()
    expect(page.locator(f"{LAB} [data-block=empty]")).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    corners = [(0.3, 0.25), (0.5, 0.15), (0.68, 0.3), (0.5, 0.5), (0.3, 0.8), (0.7, 0.8)]  # of a 2
    for index, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if index == 0:
            page.mouse.down()
    page.mouse.up()
    expect(first).to_have_text("2")
    expect(page.locator(f"{LAB} [data-task=read]")).to_have_attribute("data-done", "true")
    expect(page.locator(f"{LAB} [data-block=pool2] .map")).to_have_count(16)
    expect(page).to_have_url(re.compile(r"lab\.drawing=[0-9a-f]{256}"))
    page.locator(f"{LAB} .examples button").nth(4).press("Enter")
    expect(first).to_have_text("4")
    side = control(page, "side").locator(".typed")
    side.fill("28")
    side.press("Enter")
    trouble = page.locator(f"{LAB} .trouble")
    expect(trouble).to_contain_text("Input image size should be 32x32, and 28 × 28 came")
    trouble.get_by_role("button", name="Resize it to 32 × 32").click()
    expect(trouble).to_be_hidden()
    visitor.expect_in_address("lab.resize", "1")
    with page.expect_download() as download:
        page.locator(f"{LAB} .code").get_by_role("button", name="Save lenet.pt").click()
    assert download.value.suggested_filename == "lenet.pt"


def test_a_network_is_trained_until_it_is_stopped_and_what_it_learned_is_seen(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="unet", **{"lab.width": 2, "lab.depth": 1, "lab.size": 32})
    training = page.locator(f"{LAB} .training")
    training.locator(".start").click()
    expect(training).to_have_attribute("data-steps", re.compile("^[1-9]"))
    training.locator(".start").click()
    expect(training).to_have_attribute("data-state", "off")
    expect(training.locator("[data-block=losses] polyline")).to_have_count(2)
    expect(training.locator("[data-block=mask_with] img")).to_be_visible()
    expect(training.locator("[data-block=layers_with] .arrow.skip")).to_have_count(1)
    expect(training.locator("[data-block=layers_without] .arrow.skip")).to_have_count(0)
    expect(training.locator("pre")).to_contain_text("torch.optim.Adam")
    control(page, "depth").locator(".typed").fill("2")
    control(page, "depth").locator(".typed").press("Enter")
    expect(training.locator(".trained")).to_be_hidden()  # another network begins anew


def test_names_of_a_checkpoint_say_what_became_of_them(visitor: Visitor) -> None:
    page = visitor.page
    open_lab(visitor, lab="checkpoints", **{"lab.way": "filtered", "lab.classes": 3})
    leaf = page.locator(f'{LAB} [data-block=network] [data-key="fc.weight"]')
    expect(leaf).to_contain_text("refused: another shape")
    expect(page.locator(f"{LAB} [data-task=lets_pass]")).to_have_attribute("data-done", "true")
    expect(page.locator(f'{LAB} [data-block=figure] [data-label="fc"]')).to_contain_text("0/2")
