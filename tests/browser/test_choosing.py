"""Any network by its name, guesses said otherwise, official weights: chosen on the page, in a real browser."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision
from playwright.sync_api import Page, expect
from torch import nn

import segdemo
from segdemo import official
from tests.browser.visitor import PATIENCE, Visitor

NAME = "torchvision:squeezenet1_1"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Weights of a network on a host of their own, which waits before it sends the second half."""
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), tmp_path / "made.pth")
    content, hold = (tmp_path / "made.pth").read_bytes(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: 3 << 20])
            hold.wait(PATIENCE / 1000)
            self.wfile.write(content[3 << 20 :])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    faked = SimpleNamespace(DEFAULT=SimpleNamespace(url=f"https://host/{file}", meta={"_file_size": 4.7}))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: faked)
    monkeypatch.setenv("SEGDEMO_MIRROR", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(official, "_FETCHING", official._Fetching())
    yield hold
    hold.set()
    server.shutdown()
    server.server_close()


def test_a_network_is_found_fed_otherwise_and_given_its_official_weights(
    new_page: Callable[..., Page], weights: threading.Event
) -> None:
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    opened = segdemo.explore(mine, block=False)
    page = new_page()
    visitor = Visitor(page, str(opened.local_url).rstrip("/"))
    choosing = page.locator("#choosing")
    try:
        visitor.open()
        expect(page.locator('#choosing [data-ready="sequential"]')).to_be_attached()
        visitor.open_inputs()
        # what was guessed is marked, and can be said otherwise
        choosing.locator(".said summary").click()
        expect(choosing.locator(".guessed [data-key=mean]")).to_have_value("0.485, 0.456, 0.406")
        choosing.locator("[data-key=preset]").select_option("half")
        choosing.locator("[data-key=size]").fill("nine")
        choosing.locator(".apply").click()
        expect(choosing.locator("form .trouble")).to_contain_text("“nine” is no input size")
        choosing.locator("[data-key=size]").fill("90")
        choosing.locator("[data-key=classes]").fill("sea, land")
        choosing.locator(".apply").click()
        expect(visitor.status).to_contain_text("at 90 px")
        expect(visitor.segmentation.locator(".legend, .absent").first).to_contain_text("land")
        expect(page.locator("#about")).not_to_contain_text("⚠")
        said = visitor.in_address("network")
        assert said is not None and said.startswith("sequential?") and "size=90" in said
        page.reload()  # the link is enough
        visitor.wait_until_drawn()
        expect(visitor.status).to_contain_text("at 90 px")
        visitor.open_inputs()
        choosing.locator(".said summary").click()
        expect(choosing.locator("[data-key=mean]")).to_have_value("0.5, 0.5, 0.5")
        choosing.locator(".reset").click()
        expect(visitor.status).to_contain_text("at 320 px")
        # any network of a library, by its name
        choosing.locator(".search summary").click()
        choosing.locator(".search input").fill("squeezenet1_1")
        choosing.locator(f'.found [data-network="{NAME}"]').click()
        expect(visitor.status).to_contain_text("torchvision · squeezenet1_1 at 224 px")
        expect(visitor.segmentation.locator(".banner")).to_be_visible()  # untrained
        visitor.expect_in_address("network", NAME)
        # its official weights, when they are asked for
        fetch = choosing.locator(".official .fetch")
        expect(fetch).to_contain_text("(5 MB)")
        visitor.open_inputs()
        fetch.click()
        expect(choosing.locator(".official .state")).to_contain_text("3 of 5 MB")
        expect(choosing.locator("progress")).to_have_js_property("value", 3 << 20)
        weights.set()
        visitor.expect_in_address("network", f"{NAME}?weights=official")
        expect(choosing.locator(".official .state")).to_contain_text("official weights of torchvision")
        expect(visitor.segmentation.locator(".banner")).to_be_hidden()
        # the table counts what it has not measured
        visitor.tab("Networks")
        row = page.locator('#catalogue tr[data-network="resnet18"]')
        expect(row).to_contain_text("11,689,512")
    finally:
        page.goto("about:blank")
        opened.close()
        opened.engine.close()
