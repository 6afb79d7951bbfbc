"""The page inside another application, at the address it has there and behind a proxy that takes a part of it away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from segdemo.ui import mount
from tests.browser.visitor import Visitor


class Stripping:
    """A proxy that takes ``/tool`` off every address, and says so in a header if it is told to.

    Args:
        app: what it hands requests on to.
        header: name and value to add, or none.
    """

    def __init__(self, app: ASGIApp, header: tuple[bytes, bytes] | None) -> None:
        self.app = app
        self.added = [] if header is None else [header]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on one request."""
        if scope["type"] == "http":
            if not scope["path"].startswith("/tool/"):
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b"not behind the proxy's address"})
                return
            path = scope["path"].removeprefix("/tool")
            headers = [*scope["headers"], *self.added]
            scope = {**scope, "path": path, "raw_path": path.encode(), "headers": headers}
        await self.app(scope, receive, send)


def plain() -> tuple[ASGIApp, str]:
    """The page mounted in an application."""
    return mount(FastAPI(), "/seg"), "/seg/"


def stripped_and_said() -> tuple[ASGIApp, str]:
    """Behind a proxy that says what it took."""
    return Stripping(mount(FastAPI(), "/seg"), (b"x-forwarded-prefix", b"/tool")), "/tool/seg/"


def stripped_in_silence() -> tuple[ASGIApp, str]:
    """Behind a proxy that says nothing; the page is told where it is."""
    return Stripping(mount(FastAPI(), "/seg", root_path="/tool/seg"), None), "/tool/seg/"


@pytest.fixture(params=[plain, stripped_and_said, stripped_in_silence])
def mounted(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of the page, mounted and served in this process."""
    app, path = request.param()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{path}"
        server.should_exit = True
        thread.join()


def test_everything_works_where_the_page_is_mounted(
    mounted: str, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    """The panels ask, fetch their files and save one; `new_page` fails on any console error, the policy's included."""
    page = new_page()
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.on(
        "request",
        lambda asked: failed.append(asked.url) if not asked.url.startswith((mounted, "blob:", "data:")) else None,
    )
    visitor = Visitor(page, mounted)
    visitor.open(network="unet_narrow", side=96)
    visitor.show("probability")
    with visitor.until_grid_is_new():
        visitor.stage("Decoder 1").click()
    visitor.grid.locator(".tile").first.click()
    expect(visitor.grid.locator(".large h4")).to_be_visible()
    with page.expect_download() as saved:
        visitor.segmentation.locator(".downloads button").first.click()
    saved.value.save_as(tmp_path / "mask.png")
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")
    assert failed == []
