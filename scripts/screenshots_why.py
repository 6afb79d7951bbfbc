"""The pictures in docs/ of the tools that ask why, each as somebody left it who used it."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.explain.card import card
from segdemo.exploring import page_of
from segdemo.gallery import gallery_in
from segdemo.networks import NETWORKS
from segdemo.questions import Run
from segdemo.ui import launch

NETWORK = "unet_mobilenet_v2"
VIEW = f"?network={NETWORK}&example=astronaut&point=220,120"
SIZE = (1280, 900)  # of the window, pixels
QUALITY = 75  # of JPEG
PICTURES = {"astronaut": 15, "chelsea": 8}  # of the archive, and the class in Pascal VOC that most of each shows
TURNS = (0, 90, 180, 270)


def autopsy(tool: Locator) -> None:
    """Point at a stage, which marks what it sees."""
    expect(tool.locator("tr[data-stage]")).to_have_count(10)
    tool.locator("tr[data-stage='Encoder 3']").hover()


def evidence(tool: Locator) -> None:
    """Ask for what speaks for the class at the pinned pixel."""
    tool.locator("select").nth(1).select_option("object")
    tool.get_by_role("button", name="Show evidence").click()
    expect(tool.locator("figure")).to_have_count(3)


def mixer(tool: Locator) -> None:
    """Silence the deepest skip connection."""
    tool.locator("input[data-layer='Encoder 4'][data-into='Decoder 4']").fill("0")
    expect(tool.locator("table.shares")).to_be_visible()


def compare(tool: Locator) -> None:
    """Put the other network that knows the same classes beside."""
    tool.locator("select").first.select_option("network")
    tool.locator("select").nth(1).select_option("deeplabv3_mobilenet_v2")
    expect(tool.locator("[data-with='network.deeplabv3_mobilenet_v2']")).to_be_visible()


def hooks(tool: Locator) -> None:
    """Wait for the first layer that is overwritten."""
    expect(tool.locator(".banner")).to_be_visible()


def worst(tool: Locator) -> None:
    """Go through all pictures."""
    tool.get_by_role("button", name="Go through").click()
    expect(tool.locator("table.telling")).to_be_visible()


# file: what stands above the tool, and what is done with it
TOOLS: dict[str, tuple[str, Callable[[Locator], None]]] = {
    "why-autopsy.jpg": ("Pixel autopsy", autopsy),
    "why-evidence.jpg": ("Class evidence", evidence),
    "why-mixer.jpg": ("Mixer", mixer),
    "why-compare.jpg": ("Compare", compare),
    "why-hooks.jpg": ("Honest hooks", hooks),
}
WORST, CARD = "why-worst.jpg", "why-card.jpg"
NAMES = (*TOOLS, WORST, CARD)


def take(browser: Browser, address: str, folder: Path, wanted: list[str], patience: int) -> None:
    """Take those that are wanted.

    Args:
        browser: to take them with.
        address: of the running page.
        folder: where to.
        wanted: names of files, of ``NAMES``.
        patience: milliseconds.
    """
    expect.set_options(timeout=patience)
    width, height = SIZE
    page = browser.new_page(locale="en-GB", viewport={"width": width, "height": height})
    page.set_default_timeout(patience)
    for name, (title, act) in TOOLS.items():
        if name in wanted:
            _tool(page, address + VIEW, title, act, folder / name)
    if WORST in wanted:
        _worst(page, folder / WORST)
    if CARD in wanted:
        _card(page, folder / CARD)
    page.close()


def _tool(page: Page, address: str, title: str, act: Callable[[Locator], None], file: Path) -> None:
    """Open the tab on a fresh page, use one tool, and save a picture of as much of it as the window holds."""
    page.goto(address)
    expect(page.locator("#segmentation .body")).to_be_visible()
    page.get_by_role("tab", name="Why", exact=True).click()
    tool = page.locator(f".why-card:has(h3:text-is('{title}'))")
    tool.scroll_into_view_if_needed()
    page.add_style_tag(content="footer { display: none !important; }")
    act(tool)
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    tool.evaluate("node => node.scrollIntoView({block: 'start'})")
    box = tool.bounding_box()
    assert box is not None
    height = min(box["height"], SIZE[1] - box["y"])
    page.screenshot(
        path=file,
        type="jpeg",
        quality=QUALITY,
        clip={"x": box["x"], "y": box["y"], "width": box["width"], "height": height},
    )
    print(file)


def _worst(page: Page, file: Path) -> None:
    """Open the page on an archive of turned pictures."""
    with tempfile.TemporaryDirectory() as folder:
        data = _archive(Path(folder) / "set.zip")
        names = NETWORKS["deeplabv3_mobilenet_v2"].names
        demo = page_of("deeplabv3_mobilenet_v2", gallery=gallery_in(data, names))
        _, address, _ = launch(demo, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        _tool(page, f"{address}?example=chelsea", "Worst pictures first", worst, file)
        demo.close()


def _archive(path: Path) -> Path:
    """Write pictures, each four ways up, with what the network says of the upright one as their masks."""
    engine = LocalEngine()
    with zipfile.ZipFile(path, "w") as archive:
        for name in PICTURES:
            with Image.open(example(name)) as opened:
                picture = opened.convert("RGB")
            mask = engine.answer(Run("deeplabv3_mobilenet_v2", engine.keep(picture), 257)).mask
            for turn in TURNS:
                with archive.open(f"images/{name}-{turn}.png", "w") as image:
                    picture.rotate(turn, expand=True).save(image, "PNG")
                with archive.open(f"masks/{name}-{turn}.png", "w") as image:
                    Image.fromarray(np.rot90(mask, turn // 90)).save(image, "PNG")
    engine.close()
    return path


def _card(page: Page, file: Path) -> None:
    """Write a diagnosis card, and open it as whoever it is sent to."""
    engine = LocalEngine()
    content = card(engine, Run(NETWORK, engine.keep(example("astronaut"))), (220, 120), "astronaut.jpg")
    engine.close()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.html"
        path.write_text(content, "utf-8")
        page.goto(path.as_uri())
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.screenshot(path=file, type="jpeg", quality=QUALITY)
    print(file)
