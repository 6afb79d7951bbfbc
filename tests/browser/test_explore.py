"""The page on a network that it has never seen, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from playwright.sync_api import Page, expect
from torch import Tensor, nn

import segdemo
from tests.browser.visitor import PATIENCE


class Ladder(nn.Module):
    """One way down, one way up, a skip; its maps have half the picture's size."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.far = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.head = nn.Conv2d(16, 3, 1)

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        near = self.near(batch)
        return {"out": self.head(torch.cat([near, self.up(self.far(near))], 1))}


def test_the_page_opens_on_a_module_and_shows_every_box_its_channels_and_its_guesses(
    new_page: Callable[..., Page],
) -> None:
    torch.manual_seed(0)
    page = new_page()
    opened = segdemo.explore(Ladder(), ["sea", "land", "sky"], block=False)
    try:
        page.goto(str(opened.local_url))
        expect(page.locator("#status")).to_contain_text("Ladder at 320 px", timeout=2 * PATIENCE)
        boxes = page.locator("#figure .node[data-label]")
        expect(boxes.first).to_be_visible()
        expect(page.locator("#about")).to_contain_text("⚠ Guessed")
        expect(page.locator("#segmentation")).to_contain_text("land")
        for label in boxes.evaluate_all("nodes => nodes.map((node) => node.dataset.label)"):
            page.locator(f'#figure .node[data-label="{label}"]').click()
            expect(page.locator("#channels .sheet-card")).to_contain_text(label)
        page.locator('#figure .handle[data-act="open"][data-of="near"]').click()
        inner = page.locator('#figure .node[data-label="near.0"]')
        expect(inner).to_be_visible()
        inner.click()
        expect(page.locator("#channels .head")).to_contain_text("near.0")
        expect(page.locator("#channels .head .size")).to_contain_text("8 ×")
        assert page.locator("#figure .node image").count() or page.locator("#figure image").count()
    finally:
        opened.close()
        opened.engine.close()
