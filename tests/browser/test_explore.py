"""The page on a network that it has never seen, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, expect
from torch import Tensor, nn

import segdemo
from segdemo.examples import example
from tests.browser.visitor import PAINT, PATIENCE


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


def test_the_worst_pictures_come_first_and_open_with_their_ground_truth(
    new_page: Callable[..., Page], tmp_path: Path
) -> None:
    pictures, masks = [], []
    for number, name in enumerate(("chelsea", "astronaut", "coffee")):
        with Image.open(example(name)) as opened:
            opened.convert("RGB").resize((96, 64)).save(tmp_path / f"{name}.png")
        pictures.append(tmp_path / f"{name}.png")
        mask = np.full((64, 96), number % 2, np.uint8)
        mask[:4] = 255
        masks.append(mask)
    page = new_page()
    app = segdemo.explore("unet_narrow", pictures=pictures, masks=masks, size=96, block=False)
    try:
        page.goto(str(app.local_url))
        expect(page.locator("#truth .mean")).to_contain_text("Mean IoU in this picture: 0.", timeout=2 * PATIENCE)
        page.get_by_role("tab", name="Why").click()
        worst = page.locator(".why-card:has(h3:text-is('Worst pictures first'))")
        worst.scroll_into_view_if_needed()
        worst.get_by_role("button", name="Go through 3 pictures").click()
        expect(worst.locator("[data-done='3']")).to_be_attached()
        scores = [float(words.removeprefix("IoU ")) for words in worst.locator(".judged b").all_inner_texts()]
        assert scores == sorted(scores) and len(scores) == 3
        expect(worst).to_contain_text("With fewer than six pictures no channels are named")
        first = worst.locator(".judged").first
        first.click()
        expect(page.locator("#truth .mean")).to_have_text(f"Mean IoU in this picture: {scores[0]:.3f}")
        expect(page.locator("#truth figure canvas")).to_have_count(2)
        drawn = page.locator("#truth canvas").nth(1)
        colours = drawn.evaluate(PAINT)[2]
        assert colours[0] == 0xFF808080 and {0xFF7828D6, 0xFF808080, 0} >= set(colours)  # as 0xAABBGGRR: grey, wrong
        page.locator("#truth select").select_option("foreground")
        expect(page.locator("#truth .key")).to_contain_text("foreground missed (false negative)")
        page.locator("#truth canvas").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(page.locator("#truth .linked-pointed.pinned:not([hidden])")).to_have_count(2)
    finally:
        page.close()  # what it still asks for would be refused
        app.close()
        app.engine.close()
