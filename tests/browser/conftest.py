"""The running app, a real Chromium, and somebody who visits the one with the other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from segdemo import LocalEngine, checkpoints
from segdemo.engine import Bench, Question
from segdemo.questions import Catalogue, Layers
from tests.browser.visitor import PATIENCE, Visitor
from tests.conftest import checkpoints_without

# What Playwright switches off too, as a second such flag takes the place of its own; and the pages that Chromium draws
# below its address bar, in a process for each window, which nobody sees here.
UNUSED = (
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,"
    "LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,"
    "TcpPortRandomizationWin,OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch,"
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup"
)
FLAGS = [
    "--no-sandbox",  # Chromium refuses to start as root with it
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={UNUSED}",
    "--use-fake-device-for-media-stream",  # a camera that shows a moving circle, and no question whether it may be used
    "--use-fake-ui-for-media-stream",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCAL = {"127.0.0.1", "localhost"}

expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test of the page again where BROWSER_RERUNS says so: on a machine that others slow down, with a report."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=int(os.environ.get("BROWSER_RERUNS", "0"))))


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """What answers the app's questions."""
    engine = LocalEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def app_url(engine: LocalEngine) -> Iterator[str]:
    """Address of the app, running in this process."""
    from segdemo.ui import build_app, launch

    demo = build_app(engine)
    _, address, _ = launch(demo, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address
    demo.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests; each gets fresh contexts from `new_page`."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail("No Chromium found. Install one, or name it: CHROMIUM=/path/to/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open an empty page with settings of its own; a page error, a console error or a foreign request fails the test.

    Settings: as of Playwright's ``new_context``.
    """
    troubles: list[str] = []
    contexts = []
    loads: list[Page] = []
    last_words: list[tuple[Page, str]] = []

    def complain(page: Page, kind: str, text: str) -> None:
        if kind == "error" and text.startswith(LEFT):
            last_words.append((page, text))
        elif kind == "error":
            troubles.append(f"console: {text}")

    def open_one(**settings: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **settings})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("load", lambda _: loads.append(page))
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on("console", lambda said: complain(page, said.type, said.text))
        page.on("request", lambda request: troubles.extend(foreign(request.url)))
        return page

    yield open_one
    for context in contexts:
        context.close()
    troubles += [f"console: {text}" for page, text in last_words if loads.count(page) < 2]  # a page that stayed
    assert not troubles, "\n".join(troubles)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """An empty page, 1280 × 900, in English."""
    return new_page()


@pytest.fixture
def visitor(page: Page, app_url: str) -> Visitor:
    """Somebody in front of an empty page."""
    return Visitor(page, app_url)


@dataclass(frozen=True, eq=False)
class Held(Question):
    """A question whose answer takes as long as its asker wants.

    Args:
        begun: set when the engine works on it.
        over: ends the work.
    """

    begun: Event
    over: Event

    def answer(self, bench: Bench) -> bool:
        """Wait."""
        self.begun.set()
        return self.over.wait()


@pytest.fixture
def held_back(engine: LocalEngine) -> Callable[[], AbstractContextManager[None]]:
    """Keep the engine busy while a block lasts, and let it forget earlier runs, so that a run surely waits in it."""

    @contextmanager
    def hold() -> Iterator[None]:
        engine.forget()
        for facts in engine.answer(Catalogue()):
            engine.answer(Layers(facts.name, facts.size))  # what a figure shows before its run
        held = Held(Event(), Event())
        with ThreadPoolExecutor(1) as others:
            answer = others.submit(engine.answer, held)
            assert held.begun.wait(PATIENCE / 1000)
            try:
                yield
            finally:
                held.over.set()
                assert answer.result()

    return hold


@pytest.fixture
def spoilable_checkpoints(engine: LocalEngine, tmp_path: Path) -> Iterator[Path]:
    """A copy of the checkpoints that the app uses for a while, as if it had loaded none yet."""
    copy = tmp_path / "checkpoints"
    shutil.copytree(checkpoints.folder(), copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDEMO_CHECKPOINTS", str(copy))
        engine.forget()
        yield copy
    engine.forget()


@pytest.fixture
def untrained_unet(engine: LocalEngine, tmp_path: Path) -> Iterator[None]:
    """For a while, the U-Net has no checkpoint."""
    folder = checkpoints_without("unet", tmp_path / "untrained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDEMO_CHECKPOINTS", str(folder))
        engine.forget()
        yield
    engine.forget()


# What Gradio writes of requests under way when a page is left for another, or loaded anew.
LEFT = ("AbortError: signal is aborted without reason", "Unexpected error Connection errored out")


def foreign(address: str) -> list[str]:
    """What is wrong with asking for the address: nothing, or that it lies on another host."""
    parts = urlsplit(address)
    if parts.scheme in {"data", "blob"} or parts.hostname in LOCAL:
        return []
    return [f"request to another host: {address}"]
