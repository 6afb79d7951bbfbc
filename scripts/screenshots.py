"""Renew the pictures in docs/ from the real page: `make screenshots`, or `python -m scripts.screenshots page.png`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page, expect, sync_playwright
from torch import nn

from scripts import screenshots_why
from segdemo.exploring import page_of
from segdemo.ui import build_app, launch

DOCS = Path(__file__).parents[1] / "docs"
PATIENCE = 180_000  # milliseconds
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# file: address, width and height in pixels, what is shown of the page
SHOTS = {
    "page.png": ("?example=chelsea&stage=Blocks 6-9", 1440, 900, None),
    "classroom.png": ("?example=chelsea&stage=Blocks 6-9&point=180,120&view=mask&__theme=dark", 1280, 720, None),
    "network.png": ("?network=u2netp&example=astronaut&stage=En_2&__theme=dark", 1600, 1000, "#figure"),
    "channels.png": ("?example=motorcycle&stage=Blocks 1-2&channel=10", 1600, 1000, "#channels"),
    "labs.png": ("?lab=layers&example=chelsea", 1440, 1000, "#labs"),
    "chinese.png": ("?network=unet_narrow&example=coffee&step=152&stage=Encoder 2&lang=zh", 1440, 1000, None),
}


def take(page: Page, address: str, size: tuple[int, int], part: str | None, file: Path) -> None:
    """Open a view, wait until everything is drawn, and save a picture of it.

    Args:
        page: of the browser.
        address: of the view.
        size: (width, height) of the window, pixels.
        part: selector of what to save; None saves the window.
        file: where to.
    """
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(address)
    if part != "#labs":  # its address opens its tab
        expect(page.locator("#segmentation .body")).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#channels .tile").first).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#figure .node").first).to_be_visible(timeout=PATIENCE)
    if "channel=" in address:
        expect(page.locator("#channels .large:not(.loading)")).to_be_visible(timeout=PATIENCE)
    if "point=" in address:
        expect(page.locator("#segmentation .likeliest")).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#channels .there:visible").first).to_be_visible(timeout=PATIENCE)
    if part == "#labs":
        expect(page.locator(f"{part} .html-container:visible").first).to_be_visible(timeout=PATIENCE)
        page.wait_for_timeout(8000)  # what the tab asks for is drawn part by part
        part = None
    if part == "#figure":
        page.locator("#figure .pane-full").click()
    page.wait_for_function("document.fonts.status === 'loaded'")
    if part is None:
        page.screenshot(path=file)
    else:
        page.locator(part).screenshot(path=file)


def foreign() -> dict[str, tuple[nn.Module, list[str] | None]]:
    """Return the networks that README.md opens, with random weights, and their classes where it names them."""
    import segmentation_models_pytorch as smp
    import torchvision
    import transformers

    listing = re.search(
        r"`harbour\.py`:\n\n```python\n(.*?)```", (DOCS.parent / "README.md").read_text("utf-8"), re.DOTALL
    )
    assert listing is not None
    harbour: dict[str, Any] = {"__name__": "harbour"}
    exec(listing[1], harbour)
    torch.manual_seed(0)
    config = transformers.SegformerConfig(depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 64, 128], decoder_hidden_size=64)
    config.id2label = {0: "wall", 1: "floor", 2: "window"}
    lraspp = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    return {
        "smp": (smp.Unet("resnet34", encoder_weights=None, classes=3), ["road", "sky", "car"]),
        "transformers": (transformers.SegformerForSemanticSegmentation(config), None),
        "torchvision": (lraspp, None),
        "harbour": (harbour["build"](), ["water", "ship", "quay"]),
    }


def main(wanted: list[str]) -> None:
    """Start the page and take the shots named, or all of them when none is."""
    DOCS.mkdir(exist_ok=True)
    demo = build_app()
    _, address, _ = launch(demo, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(locale="en-GB")
        for name, (view, width, height, part) in SHOTS.items():
            if wanted and name not in wanted:
                continue
            take(page, address + view, (width, height), part, DOCS / name)
            print(DOCS / name)
        screenshots_why.take(browser, address, DOCS, wanted or list(screenshots_why.NAMES), PATIENCE)
        demo.close()
        for name, (network, classes) in foreign().items():
            if wanted and f"explore-{name}.png" not in wanted:
                continue
            demo = page_of(network, classes)
            _, address, _ = launch(demo, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
            file = DOCS / f"explore-{name}.png"
            take(page, f"{address}?example=chelsea", (1280, 720), None, file)
            print(file)
            demo.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
