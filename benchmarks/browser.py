"""The page as a visitor has it: `python app.py` in a process of its own, and a headless Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from segdemo.networks import NETWORKS

ROOT = Path(__file__).parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 180.0  # seconds; a busy machine takes a minute to import PyTorch
SEGMENTED = "() => { const body = document.querySelector('#segmentation .body'); return body && !body.hidden; }"
SHEET_DRAWN = "() => document.querySelector('#channels [data-ready]:not([data-ready^=empty])')"
# From the browser's own time of the click to the second frame after the grid says that it is drawn.
WATCH = """() => {
  const marked = document.querySelector('#channels [data-ready]');
  const before = marked.dataset.ready;
  window.painted = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no new grid within 30 s of the click')), 30000);
    document.addEventListener('click', (click) => {
      const observer = new MutationObserver(() => {
        if (marked.dataset.ready === before) return;
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame((now) => resolve(now - click.timeStamp)));
      });
      observer.observe(marked, { attributes: true, attributeFilter: ['data-ready'] });
    }, { capture: true, once: true });
  });
}"""

# From the handling of each move to the end of its frame: everything that the browser does for it, painting included.
WATCH_MOVES = """() => {
  window.moves = [];
  addEventListener('pointermove', () => {
    const start = performance.now();
    const before = document.querySelector('#channels .pointed > i').style.transform;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const moved = document.querySelector('#channels .pointed > i').style.transform !== before;
        if (moved) window.moves.push(performance.now() - start);
      };
      port2.postMessage(null);
    });
  }, { capture: true });
}"""


# From the input event of a slider to the frame after the pictures of its answer are there, and decoded.
WATCH_SLIDER = """(slider) => {
  const out = slider.closest('.why-card').querySelector('.why-body');
  window.painted = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no answer within 30 s of the move')), 30000);
    let start = 0;
    const observer = new MutationObserver(async () => {
      if (!out.querySelector('table')) return;
      observer.disconnect();
      await Promise.all([...out.querySelectorAll('img')].map((picture) => picture.decode()));
      requestAnimationFrame(() => requestAnimationFrame((now) => resolve([now - start, 1000 * out.dataset.seconds])));
    });
    slider.addEventListener('input', () => {
      start = performance.now();
      observer.observe(out, { childList: true, subtree: true });
    }, { capture: true, once: true });
  });
}"""


@contextmanager
def chromium(flags: Sequence[str] = ()) -> Iterator[Browser]:
    """Start a headless Chromium, with flags besides its usual ones, for as long as the block lasts."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", *flags])
        yield browser
        browser.close()


@contextmanager
def app() -> Iterator[tuple[str, float]]:
    """Start `python app.py`; gives its address, and the seconds from the start to the first byte of the page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(address, process)
        yield address, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Ask for the page until its first byte comes."""
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience:
        if process.poll() is not None:
            raise RuntimeError(f"app.py ended with code {process.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
                answer.read(1)
                return
        except urllib.error.URLError:
            time.sleep(0.01)
    raise RuntimeError(f"app.py did not answer within {PATIENCE:.0f} s")


def starts(repeats: int) -> dict[str, list[float]]:
    """Time whole starts, each with a new process and an empty browser profile.

    Args:
        repeats: how many.

    Returns:
        Seconds from starting the process to: the first byte, the painted segmentation of the first example, the
        painted channel grid.
    """
    moments: dict[str, list[float]] = {"first byte": [], "painted segmentation": [], "painted channels": []}
    with chromium() as browser:
        for _ in range(repeats):
            with app() as (address, seconds):
                answered = time.perf_counter()
                page = open_page(browser, address)
                segmented = time.perf_counter()
                page.wait_for_function(SHEET_DRAWN)
                drawn = time.perf_counter()
                page.context.close()
            moments["first byte"].append(seconds)
            moments["painted segmentation"].append(seconds + segmented - answered)
            moments["painted channels"].append(seconds + drawn - answered)
    return moments


def open_page(browser: Browser, address: str) -> Page:
    """Visit the page and wait until the first example's segmentation is painted."""
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(address)
    page.wait_for_function(SEGMENTED)
    return page


def stage_changes(networks: list[str], rounds: int) -> dict[str, list[float]]:
    """Click every outer stage in the diagram, round after round.

    Args:
        networks: names in ``NETWORKS``.
        rounds: rounds that count; one before them does not.

    Returns:
        Seconds from click to painted channels, by network.
    """
    seconds: dict[str, list[float]] = {}
    with app() as (address, _), chromium() as browser:
        for network in networks:
            page = open_page(browser, f"{address}?network={network}")
            page.wait_for_function(SHEET_DRAWN)
            page.wait_for_timeout(1000)  # nothing else shall run
            labels = [stage.label for stage in NETWORKS[network].stages]
            labels = [*labels[1:], labels[0]]  # the first is shown already
            for label in labels:
                click(page, label)
            seconds[network] = [click(page, label) for _ in range(rounds) for label in labels]
            page.context.close()
    return seconds


def click(page: Page, label: str) -> float:
    """Click a stage; returns the seconds until its channel grid is painted."""
    page.evaluate(WATCH)
    page.locator(f'#figure .node[data-label="{label}"]').click(position={"x": 6, "y": 6})
    return float(page.evaluate("() => window.painted")) / 1000


def pointer_moves(networks: list[str], count: int) -> dict[str, list[float]]:
    """Move the pointer over the segmentation, which marks the place in every map.

    Args:
        networks: names in ``NETWORKS``.
        count: moves, a frame or more apart.

    Returns:
        Seconds from the handling of each move to the end of the frame in which all crosshairs were painted, by network.
    """
    seconds: dict[str, list[float]] = {}
    with app() as (address, _), chromium() as browser:
        for network in networks:
            page = open_page(browser, f"{address}?network={network}")
            page.wait_for_function(SHEET_DRAWN)
            page.wait_for_timeout(1000)  # nothing else shall run
            box = page.locator("#segmentation .stage").bounding_box()
            assert box is not None
            page.evaluate(WATCH_MOVES)
            for number in range(count):
                share = (number + 0.5) / count
                page.mouse.move(box["x"] + share * box["width"], box["y"] + (0.2 + 0.6 * share) * box["height"])
                page.wait_for_timeout(25)
            seconds[network] = [duration / 1000 for duration in page.evaluate("() => window.moves")]
            page.context.close()
    return seconds


def mixer_moves(network: str, places: Sequence[str], count: int) -> dict[str, list[tuple[float, float]]]:
    """Move sliders of stages in the tab Why; the first move of each, which keeps what comes before, does not count.

    Args:
        network: name in ``NETWORKS``.
        places: labels of stages.
        count: moves of each.

    Returns:
        Stage → for each move, the seconds from the slider's input event to its painted answer, and those of them that
        the partial pass took.
    """
    seconds: dict[str, list[tuple[float, float]]] = {}
    with app() as (address, _), chromium() as browser:
        page = open_page(browser, f"{address}?network={network}&example=astronaut")
        page.wait_for_function(SHEET_DRAWN)
        page.get_by_role("tab").nth(1).click()
        page.locator(".mix-row").first.wait_for(state="attached")
        page.locator("details:has(> .mix-row)").evaluate("details => { details.open = true; }")
        page.wait_for_timeout(3000)  # nothing else shall run
        for place in places:
            slider = page.locator(f".mix-row input[data-layer='{place}']").last
            slider.scroll_into_view_if_needed()
            moves = []
            for number in range(count + 1):
                slider.evaluate(WATCH_SLIDER)
                slider.fill(str(50 + 5 * number))
                moves.append([duration / 1000 for duration in page.evaluate("() => window.painted")])
            seconds[place] = [(painted, passed) for painted, passed in moves[1:]]
            slider.fill("100")
        page.context.close()
    return seconds
