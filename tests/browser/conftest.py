"""The running app, a real Chromium, and somebody who visits the one with the other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from segdemo import checkpoints, inference
from tests.browser.visitor import PATIENCE, Visitor

FLAGS = [
    "--no-sandbox",  # Chromium refuses to start as root with it
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCAL = {"127.0.0.1", "localhost"}

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """Address of the app, running in this process."""
    from segdemo.ui import build_app, launch

    demo = build_app()
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

    def open_one(**settings: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **settings})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on("console", lambda said: troubles.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("request", lambda request: troubles.extend(foreign(request.url)))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(troubles)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """An empty page, 1280 × 900, in English."""
    return new_page()


@pytest.fixture
def visitor(page: Page, app_url: str) -> Visitor:
    """Somebody in front of an empty page."""
    return Visitor(page, app_url)


@pytest.fixture
def held_back() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Let no network start while a block lasts, and forget earlier results, so that a run is surely under way in it."""

    @contextmanager
    def hold() -> Iterator[None]:
        inference.CACHE.clear()
        with inference._ONE_AT_A_TIME:
            yield

    yield hold


@pytest.fixture
def spoilable_checkpoints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of the checkpoints that the app uses for a while, as if it had loaded none yet."""
    copy = tmp_path / "checkpoints"
    shutil.copytree(checkpoints.folder(), copy)
    monkeypatch.setattr(inference, "_SHARED", {})
    monkeypatch.setenv("SEGDEMO_CHECKPOINTS", str(copy))
    return copy


def foreign(address: str) -> list[str]:
    """What is wrong with asking for the address: nothing, or that it lies on another host."""
    parts = urlsplit(address)
    if parts.scheme in {"data", "blob"} or parts.hostname in LOCAL:
        return []
    return [f"request to another host: {address}"]
