"""What somebody at the page does and waits for, so that the tests read like a visit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
from playwright.sync_api import Locator, Page, expect

PATIENCE = 60_000  # ms; the machine may be slow, and nothing here measures time
SHEET = "#channels [data-ready]:not([data-ready^=empty])"
PAINT = """(canvas) => {
  const {width, height} = canvas;
  const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
  return [height, width, Array.from(new Uint32Array(data.buffer))];
}"""


class Visitor:
    """Somebody at the page.

    Args:
        page: of the browser.
        address: of the app.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.segmentation = page.locator("#segmentation")
        self.diagram = page.locator("#figure")
        self.grid = page.locator("#channels")
        self.status = page.locator("#status")
        self.toast = page.get_by_test_id("toast-text")

    def visit(self, **view: object) -> None:
        """Go to the address of a view, without waiting for its run.

        Args:
            view: the address's parameters.
        """
        self.page.goto(f"{self.address}?{urlencode(view)}")

    def open(self, **view: object) -> None:
        """Go to the address of a view and wait until its run is drawn, which the sheet ends."""
        self.visit(**view)
        self.wait_until_drawn()

    def wait_until_drawn(self) -> None:
        """Wait until the segmentation, the diagram and the sheet show something."""
        expect(self.segmentation.locator(".body")).to_be_visible()
        expect(self.page.locator(SHEET)).to_be_visible()
        expect(self.diagram.locator(".picture").first).to_be_visible()

    @contextmanager
    def until_grid_is_new(self) -> Iterator[None]:
        """Do what is in the block, then wait until another answer stands in the sheet."""
        sheet = self.page.locator(SHEET)
        before = sheet.get_attribute("data-ready") or ""
        yield
        expect(sheet).not_to_have_attribute("data-ready", before)
        expect(sheet.locator(".grid")).to_have_attribute("aria-busy", "false")

    def run(self) -> None:
        """Press Run."""
        self.page.locator("#run").click()

    def open_inputs(self) -> Locator:
        """Open all inputs, if they are not open; gives the button that opens and closes them."""
        opener = self.page.locator("#chosen .opener")
        expect(self.page.locator("#chosen [data-ready]")).to_be_visible()
        if opener.get_attribute("aria-expanded") == "false":
            opener.click()
        return opener

    @contextmanager
    def inputs(self) -> Iterator[None]:
        """Open all inputs, do what is in the block, and close them again."""
        opener = self.open_inputs()
        yield
        if opener.get_attribute("aria-expanded") == "true":
            opener.click()

    def choose_network(self, title: str) -> None:
        """Choose a network by what people call it."""
        with self.inputs():
            self.page.locator("#network input").click()
            self.page.get_by_role("option", name=title, exact=True).click()

    def choose_size(self, pixels: int) -> None:
        """Choose a working size."""
        with self.inputs():
            self.page.locator("#side input").click()
            self.page.get_by_role("option", name=f"{pixels} px", exact=True).click()

    def choose_example(self, place: int) -> None:
        """Click an example by its place in the row."""
        with self.inputs():
            self.page.locator("#examples button").nth(place).click()

    def upload(self, file: Path) -> None:
        """Give a picture of one's own."""
        self.page.locator("#picture input[type=file]").set_input_files(file)

    def show(self, view: str) -> None:
        """Switch the segmentation to a view."""
        self.segmentation.locator(f".views input[value={view}]").check(force=True)
        expect(self.segmentation.locator(".stage")).to_have_attribute("data-view", view)

    def tab(self, name: str) -> None:
        """Go to a tab."""
        self.page.get_by_role("tab", name=name).click()

    def stage(self, label: str) -> Locator:
        """Find the box of a stage in the diagram."""
        return self.diagram.locator(f'.node[data-label="{label}"]')

    def pick(self, label: str) -> None:
        """Click a stage's box at its corner, as stages within it may lie on its middle."""
        self.stage(label).click(position={"x": 7, "y": 7})

    def tile(self, channel: int) -> Locator:
        """Find the tile of a channel in the sheet."""
        return self.grid.locator(f'.tile[data-channel="{channel}"]')

    def unfold_numbers(self) -> None:
        """Unfold all numbers of the stage over its channels."""
        self.grid.locator("details.more:not([open]) > summary").click()

    def channels(self) -> list[int]:
        """Read which channels the sheet shows, in its order."""
        tiles = self.grid.locator(".tile")
        return [int(channel) for channel in tiles.evaluate_all("(tiles) => tiles.map((tile) => tile.dataset.channel)")]

    def in_address(self, name: str) -> str | None:
        """Read a parameter of the page's address."""
        values = parse_qs(urlsplit(self.page.url).query).get(name)
        return values[0] if values else None

    def expect_in_address(self, name: str, value: str | None) -> None:
        """Wait until a parameter of the page's address has a value; None: until it is gone."""
        reading = "([name, value]) => new URL(location.href).searchParams.get(name) === value"
        self.page.wait_for_function(reading, arg=[name, value])

    def point_at(self, map_: Locator, row: int, column: int, shape: tuple[int, int]) -> None:
        """Move the pointer onto the middle of one value of a map of a shape (rows, columns)."""
        map_.scroll_into_view_if_needed()
        box = map_.bounding_box()
        assert box is not None
        across, down = (column + 0.5) / shape[1], (row + 0.5) / shape[0]
        self.page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def painted(canvas: Locator) -> np.ndarray:
    """Read a canvas's pixels, (H, W, 4) uint8: red, green, blue, opacity."""
    height, width, pixels = canvas.evaluate(PAINT)
    return np.array(pixels, np.uint32).view(np.uint8).reshape(height, width, 4)
