"""A flood from one address, and many who look at the same: everybody else is still answered, and rightly."""

from __future__ import annotations

import itertools
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from segdemo.examples import example
from segdemo.images import load_picture
from segdemo.segmenter import Segmenter
from segdemo.ui import build_app, launch

THREADS = 40
MOST = 12  # requests of each thread of a flood
PATIENCE = 240  # seconds; nothing here measures time
SIZES = (96, 128, 144, 160, 192, 256)  # of unet_narrow


class Visitor:
    """Somebody with an address of their own, where the system has all of 127.0.0.0/8."""

    def __init__(self, site: str, ids: dict[str, int], number: int = 1) -> None:
        own = f"127.0.0.{number}" if sys.platform == "linux" else None
        self.http = httpx.Client(base_url=site, timeout=PATIENCE, transport=httpx.HTTPTransport(local_address=own))
        self.ids = ids

    def upload(self, name: str = "digit") -> dict[str, Any]:
        with example(name).open("rb") as file:
            path = self.http.post("gradio_api/upload", files={"files": (f"{name}.png", file)}).json()[0]
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def segment(self, picture: dict[str, Any], network: str, size: int) -> httpx.Response:
        return self.http.post("gradio_api/call/segment", json={"data": [picture, network, size]})

    def answer(self, call: httpx.Response) -> Any:
        told = self.http.get(f"gradio_api/call/segment/{call.json()['event_id']}").text
        assert "event: complete" in told, told
        return json.loads(told.rpartition("data: ")[2])[0]

    def ask(self, panel: str, function: str, **asked: Any) -> httpx.Response:
        body = {"session_hash": "s", "component_id": self.ids[panel], "fn_name": function, "data": asked}
        return self.http.post("gradio_api/component_server", json=body)

    def file(self, file: dict[str, str]) -> bytes:
        answer = self.http.get(file["url"])
        assert answer.status_code == 200
        return answer.content


@pytest.fixture(scope="module")
def visitors() -> Iterator[Callable[[int], Visitor]]:
    """Visitors of a page in this process, by number."""
    page = build_app()
    _, site, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    ids = {type(block).__name__: number for number, block in page.blocks.items()}
    made: list[Visitor] = []

    def new(number: int) -> Visitor:
        made.append(Visitor(site, ids, number))
        return made[-1]

    new.engine = page.engine  # type: ignore[attr-defined]
    yield new
    for one in made:
        one.http.close()
    page.close()


def flood(kind: str, visitor: Visitor, picture: dict[str, Any], fingerprint: str, turn: int) -> None:
    """Ask once for something that costs."""
    size = SIZES[turn % len(SIZES)]
    if kind == "segment":
        visitor.segment(picture, "unet_narrow", size)
    elif kind == "panel":
        run = {"network": "unet_narrow", "picture": fingerprint, "size": size, "step": None}
        visitor.ask("ChannelsPanel", "channels", run=run, layer="Encoder 1", channel=turn % 4)
    elif kind == "config":
        visitor.http.get("config")
    else:
        visitor.http.post("gradio_api/upload", files={"files": ("a.png", bytes(8 << 20))})


@pytest.mark.parametrize("kind", ["segment", "panel", "config", "upload"])
def test_a_flood_from_one_address_shuts_nobody_else_out(visitors: Callable[[int], Visitor], kind: str) -> None:
    crowd, over, under_way = visitors(2), threading.Event(), threading.Semaphore(0)
    picture = crowd.upload("chelsea")
    fingerprint = visitors.engine.keep(example("chelsea"))  # type: ignore[attr-defined]

    def pour(number: int) -> None:
        one = visitors(2)
        for turn in range(MOST):
            if over.is_set():
                return
            under_way.release()
            flood(kind, one, picture, fingerprint, number + turn)

    with ThreadPoolExecutor(THREADS) as threads:
        poured = [threads.submit(pour, number) for number in range(THREADS)]
        try:
            for _ in range(THREADS):
                assert under_way.acquire(timeout=PATIENCE)
            other = visitors(3)
            assert "window.gradio_config" in other.http.get("").text
            assert other.http.get("config").status_code == 200
            answer = other.answer(other.segment(other.upload(), "lenet", 0))
            assert max(answer["probability"], key=answer["probability"].get) == "5"
            seen = visitors.engine.keep(example("digit"))  # type: ignore[attr-defined]
            run = {"network": "lenet", "picture": seen, "size": 32, "step": None}
            drawn = other.ask("ChannelsPanel", "channels", run=run, layer="Conv 1", channel=3)
            assert drawn.status_code == 200
            assert drawn.json()["enlarged"]["channel"] == 3
        finally:
            over.set()
        for one in poured:
            one.result(timeout=PATIENCE)


def test_four_visitors_who_load_the_same_view_forty_times_get_every_file_whole(
    visitors: Callable[[int], Visitor],
) -> None:
    fingerprint = visitors.engine.keep(example("chelsea"))  # type: ignore[attr-defined]
    run = {"network": "unet_narrow", "picture": fingerprint, "size": 128, "step": None}

    def load(number: int) -> list[tuple[bytes, ...]]:
        one = visitors(4 + number)
        found = []
        for _ in range(40):
            view = one.ask("SegmentationPanel", "segmentation", run=run).json()
            sheet = one.ask("ChannelsPanel", "channels", run=run, layer="Encoder 1", channel=0).json()
            figure = one.ask("FigurePanel", "figure", network="unet_narrow", size=128, run=run).json()
            files = (view["picture"], view["labels"], view["seen"], sheet["sprite"], sheet["enlarged"]["exact"])
            found.append(tuple(map(one.file, (*files, figure["sprite"]))))
        return found

    with ThreadPoolExecutor(4) as threads:
        loaded = list(itertools.chain.from_iterable(threads.map(load, range(4))))
    assert len(loaded) == 160
    assert set(loaded) == {loaded[0]}
    segmenter = Segmenter("unet_narrow")
    exact = segmenter.activation(load_picture(example("chelsea")), "Encoder 1", 0, 128)
    assert loaded[0][4] == exact.astype("<f4").tobytes()
    assert np.all([len(file) > 100 for file in loaded[0]])
