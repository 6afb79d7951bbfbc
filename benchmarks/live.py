"""The tab Live, with the camera that Chromium pretends to have: frames a second, beside the rate of the bare pass."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from playwright.sync_api import Page

from benchmarks.browser import PATIENCE, SEGMENTED, app, chromium
from benchmarks.methods import Case, bare
from benchmarks.report import Table
from benchmarks.stopwatch import times, usual_seconds

NETWORKS = ("selfie", "unet_narrow", "unet_mobilenet_v2", "unet")
SECONDS = 5.0  # of each network, in each round
ROUNDS = 3
PASSES = 12  # bare ones, before each of these
CAMERA = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=fps=30"]
STARTED = "(frames) => Number(document.querySelector('.live-card').dataset.frames) >= frames"
FRAME = (320, 240)  # width and height of what is sent of the camera
COUNTS = "() => { const {frames, dropped} = document.querySelector('.live-card').dataset; return [+frames, +dropped]; }"


@dataclass
class Taken:
    """What was measured of one network.

    Args:
        side: its input size there, pixels.
        shown: frames a second that were segmented and drawn, in each round.
        dropped: frames a second that were not.
        shares: frames shown for each bare pass that the time would have been enough for.
    """

    side: int
    shown: list[float] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


def live() -> Table:
    """(k) Frames a second of the tab Live."""
    table = Table(
        "(k) Live: frames a second, against the bare forward pass",
        f"The page, a headless Chromium and its camera of 30 frames a second on the same machine, each network at its "
        f"input size there and with the tiles of its first stage; {ROUNDS} rounds of {SECONDS:.0f} seconds. A "
        "frame that comes while another is worked on is dropped. Against bare: frames shown a second times the seconds "
        "of a bare pass with all threads, measured just before; what is missing of 1 × is encoding, the way to the "
        "server and back, and drawing.",
        ("network", "input size", "shown a second", "dropped a second", "against bare"),
    )
    taken: dict[str, Taken] = {}
    cases: dict[str, Case] = {}
    with app() as (address, _), chromium(CAMERA) as browser:
        page = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB").new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{address}?network=unet_narrow")
        page.wait_for_function(SEGMENTED)
        page.get_by_role("tab", name="Live").click()
        for turn in range(-1, ROUNDS):  # the first opens networks and does not count
            for name in NETWORKS:
                side = choose(page, name)
                if name not in cases:
                    cases[name] = Case(name, side=side, shape=FRAME)
                base = usual_seconds(bare(cases[name]), PASSES)
                shown, dropped = watch(page, SECONDS if turn >= 0 else 0)
                if turn >= 0:
                    kept = taken.setdefault(name, Taken(side))
                    kept.shown.append(shown)
                    kept.dropped.append(dropped)
                    kept.shares.append(shown * base)
    for name, one in taken.items():
        rate = f"{statistics.median(one.shown):.1f} ({min(one.shown):.1f} to {max(one.shown):.1f})"
        share = times(statistics.median(one.shares))
        table.rows.append((name, f"{one.side} px", rate, f"{statistics.median(one.dropped):.1f}", share))
    return table


def choose(page: Page, network: str) -> int:
    """Choose a network; returns the input size that comes with it."""
    networks, sizes = page.locator(".live-card select").nth(0), page.locator(".live-card select").nth(1)
    networks.select_option(network)
    return int(sizes.input_value())


def watch(page: Page, seconds: float) -> tuple[float, float]:
    """Start the camera, watch it once frames are drawn, and stop it; returns frames a second: shown, and dropped."""
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function(STARTED, arg=3)
    before, started = page.evaluate(COUNTS), time.perf_counter()
    page.wait_for_timeout(1000 * seconds)
    after, elapsed = page.evaluate(COUNTS), time.perf_counter() - started
    page.get_by_role("button", name="Stop").nth(-1).click()
    return (after[0] - before[0]) / elapsed, (after[1] - before[1]) / elapsed
