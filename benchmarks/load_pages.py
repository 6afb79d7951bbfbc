"""Pages in a real Chromium for the load test: each shows a view, and the pointer reads what it says about pixels."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import time
from collections.abc import Callable

from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as PlaywrightError

from benchmarks.browser import NAMES, SEGMENTED
from benchmarks.load_questions import Alone

View = tuple[str, str, int]  # example, network, side
Report = Callable[[str, str, float, str], None]  # kind, outcome, seconds, what came
POINTS = 6  # pixels read on each page


def percent(share: float) -> str:
    """Write a probability as the page does, which knows 256 levels of it."""
    value = round(255 * share) / 2.55
    return "> 99 %" if value >= 99.5 else "< 1 %" if value < 0.5 else f"{int(value + 0.5)} %"


async def visit(
    address: str,
    views: dict[View, Alone],
    count: int,
    report: Report,
    done: Callable[[], bool],
    patience: float,
    rest: float = 0,
) -> None:
    """Keep pages open, one view after the other in each, until the rest is done; each visits once at least.

    Args:
        address: of the app.
        views: what they look at, with what a Segmenter alone says about it.
        count: pages.
        report: told of every visit.
        done: says whether the clients have all their answers.
        patience: seconds to wait for a view.
        rest: seconds for which a page stands before it is visited again.
    """
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        await asyncio.gather(*(_one(browser, address, views, n, report, done, patience, rest) for n in range(count)))
        await browser.close()


async def _one(
    browser: Browser,
    address: str,
    views: dict[View, Alone],
    number: int,
    report: Report,
    done: Callable[[], bool],
    patience: float,
    rest: float,
) -> None:
    chance = random.Random(number)
    page: Page | None = None
    while True:
        (name, network, side), alone = chance.choice(list(views.items()))
        started = time.monotonic()
        try:
            if page is None:
                context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
                page = await context.new_page()
                page.set_default_timeout(1000 * patience)
            await page.goto(f"{address}?example={name}&network={network}&side={side}")
            await page.wait_for_function(SEGMENTED)
            seconds = time.monotonic() - started
            found = await _read(page, alone, chance)
            report("page", "wrong" if found else "right", seconds, found)
        except PlaywrightError as error:
            report("page", "lost", time.monotonic() - started, f"{name}, {network}: {str(error).splitlines()[0]}")
            page = None  # what has crashed shows nothing any more
        rested = time.monotonic() + rest
        while time.monotonic() < rested and not done():
            await asyncio.sleep(0.5)
        if done():
            return


async def _read(page: Page, alone: Alone, chance: random.Random) -> str:
    """Point at some pixels and compare class and probability; returns what differs, "" when nothing does."""
    canvas, tip = page.locator("#segmentation canvas.map"), page.locator("#segmentation .tip")
    await canvas.scroll_into_view_if_needed()
    box = await canvas.bounding_box()
    if box is None:
        return "there is no map"
    for _ in range(POINTS):
        across, down = chance.uniform(0.05, 0.95), chance.uniform(0.05, 0.95)
        await page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        await tip.wait_for(state="visible")
        said, best = await tip.evaluate("(tip) => [tip.innerText, tip.querySelector('b').textContent]")
        place = re.search(r"\((\d+), (\d+)\)", said)
        if place is None:
            return f"no position in {said!r}"
        x, y = int(place[1]), int(place[2])
        expected = f"{alone.names[alone.mask[y, x]]} {percent(float(alone.confidence[y, x]))}"
        if best != expected:
            return f"{alone.facts['network']} at ({x}, {y}): {best!r} instead of {expected!r}"
    index = int(alone.mask.max())
    share = page.locator(f'#segmentation .legend .entry[data-index="{index}"] .share')
    said = (await share.inner_text()).replace("\u00a0", " ")
    whole = 100 * float((alone.mask == index).mean())
    number = re.fullmatch(r"([\d.]+) %", said)
    if (whole < 0.05 and said == "< 0.1 %") or (number and abs(float(number[1]) - whole) < 0.05 + 1e-9):
        return ""
    return f"legend {said!r} instead of {whole:.2f} %"
