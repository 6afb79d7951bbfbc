"""The running app and a real Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

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
    """One browser for all tests; each gets a fresh context from `page`."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail("No Chromium found. Install one, or name it: CHROMIUM=/path/to/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page that fails its test on a page error, a console error or a request to another host."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
    page.on("console", lambda said: troubles.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("request", lambda request: troubles.extend(foreign(request.url)))
    yield page
    context.close()
    assert not troubles, "\n".join(troubles)


def foreign(address: str) -> list[str]:
    """What is wrong with asking for the address: nothing, or that it lies on another host."""
    parts = urlsplit(address)
    if parts.scheme in {"data", "blob"} or parts.hostname in LOCAL:
        return []
    return [f"request to another host: {address}"]
