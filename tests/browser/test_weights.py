"""A checkpoint of the visitor's own: given in the page, opened, reported, painted on the figure; nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect

from segdemo.networks.unet import UNet
from segdemo.ui.texts import TEXTS
from tests.browser.test_axe import found
from tests.browser.visitor import Visitor

DROP = """(name) => {
  const data = new DataTransfer();
  data.items.add(new File(['no weights'], name));
  document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


@pytest.mark.parametrize(("language", "theme", "width"), [("en", "light", 1440), ("zh", "dark", 1280)])
def test_a_checkpoint_of_ones_own_is_opened_reported_and_nobody_elses(
    new_page: Callable[..., Page], app_url: str, tmp_path: Path, language: str, theme: str, width: int
) -> None:
    words = TEXTS[language]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = UNet(3, 4, bilinear=False, width=6).state_dict()
    del state["down2.maxpool_conv.1.double_conv.0.weight"]
    torch.save({"state_dict": {f"module.{name}": one for name, one in state.items()}}, tmp_path / "mine.pth")
    (tmp_path / "bad.pth").write_bytes(b"")
    page = new_page(viewport={"width": width, "height": 900})
    visitor = Visitor(page, app_url)
    visitor.open(lang=language, __theme=theme, network="lenet", example="digit")

    page.evaluate(DROP, "bad.pth")  # wherever it is dropped
    weights = page.locator("#weights")
    expect(weights.locator(".wrong")).to_contain_text("bad.pth")
    page.locator("#weights input[type=file]").set_input_files(tmp_path / "bad.pth")
    expect(weights.locator(".wrong")).to_contain_text("it is empty" if language == "en" else "bad.pth")

    with visitor.until_grid_is_new():
        page.locator("#weights input[type=file]").set_input_files(tmp_path / "mine.pth")
    expect(weights.locator("tr[data-fate=loaded] .number")).to_have_text("117")
    missing = weights.locator("tr[data-fate=missing]")
    missing.locator("summary").click()
    expect(missing.locator("code")).to_have_text("down2.maxpool_conv.1.double_conv.0.weight")
    expect(weights.locator(".verdict")).to_have_text(words["weights.incomplete"])
    expect(page.locator("#network input")).to_have_value("U-Net, 6 channels (mine.pth)")
    visitor.expect_in_address("network", "own")
    assert "mine" not in page.url and "own-" not in page.url

    with visitor.inputs():
        pass
    expect(page.locator("#chosen .title")).to_have_text("U-Net, 6 channels (mine.pth)")
    expect(visitor.stage("Encoder 2")).not_to_contain_text("▲")
    expect(visitor.stage("Encoder 3")).to_contain_text(words["figure.missing_short"])
    expect(visitor.stage("Encoder 4")).to_contain_text(words["figure.after_short"])
    expect(visitor.segmentation.locator(".banner")).to_have_text(words["segmentation.partly_banner"])
    expect(visitor.grid.locator(".head .badge.untrained")).to_have_count(0)
    with visitor.until_grid_is_new():
        visitor.pick("Encoder 4")
    expect(visitor.grid.locator(".head .badge.untrained")).to_be_visible()
    assert sorted(visitor.channels()) == [*range(48)]
    with page.expect_download() as download:
        visitor.segmentation.locator(".downloads button").first.click()
    assert download.value.suggested_filename == "untrained-own_unet-mask.png"
    page.go_back()  # one's own visit finds it again
    page.go_forward()
    visitor.expect_in_address("network", "own")
    expect(visitor.toast).to_have_count(0)
    visitor.open_inputs()
    assert not found(page)

    other = Visitor(new_page(), app_url)
    other.visit(**{"lang": language, "network": "own", "stage": "Encoder 4", "channel": 3})
    sentence = "a visitor for themselves alone" if language == "en" else "只为自己上传"
    expect(other.toast).to_contain_text(sentence)
    expect(other.toast).to_have_count(1)
    other.wait_until_drawn()
    other.expect_in_address("network", None)
