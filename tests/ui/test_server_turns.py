"""Whose turn it is before anything is read, and what is asked for when nobody waits any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from gradio.blocks import Blocks, BlocksConfig
from starlette.types import Message, Receive, Scope, Send

from segdemo.engine import Progress, Question
from segdemo.ui import build_app, launch, turns
from segdemo.ui.gate import Gate
from segdemo.ui.sessions import MOST_OF_ADDRESS, Visitors
from segdemo.ui.wanted import WantedEngine, asked_while
from tests.conftest import awaited

API = "/gradio_api"


@pytest.mark.parametrize(
    ("path", "panel", "share"),
    [(f"{API}/upload", False, 4), (f"{API}/component_server", True, 8), ("/config", False, 32)],
)
def test_one_address_has_its_share_and_others_do_not_wait_for_it(path: str, panel: bool, share: int) -> None:
    async def visit() -> None:
        shares = turns.Turns()
        async with AsyncExitStack() as held:
            for _ in range(share):
                assert await held.enter_async_context(shares.of("a", path, panel=panel))
            late = asyncio.create_task(held.enter_async_context(shares.of("a", path, panel=panel)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not late.done()
            async with shares.of("b", path, panel=panel) as is_let_in:
                assert is_let_in
            async with shares.of("a", f"{API}/queue/data") as is_let_in:  # what only listens waits for nobody
                assert is_let_in
            late.cancel()
            await asyncio.wait([late])
        assert not shares._open
        assert not shares._turns

    awaited(visit())


def test_one_address_holds_a_number_of_requests_open_and_gets_a_sentence_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "MOST_OPEN", 2)
    go = asyncio.Event()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def get(gate: Gate, address: str) -> int:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(gate, client=(address, 1)), base_url="http://a")
        answer = await client.get(f"{API}/queue/data", headers={"accept-language": "zh"})
        assert answer.status_code == 200 or answer.json()["detail"].startswith("来自您地址的请求")
        return answer.status_code

    async def visit() -> None:
        gate = Gate(page)
        held = [asyncio.create_task(get(gate, "1.1.1.1")) for _ in range(2)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert await get(gate, "1.1.1.1") == 429
        other = asyncio.create_task(get(gate, "2.2.2.2"))
        await asyncio.sleep(0)
        go.set()
        assert await asyncio.gather(other, *held) == [200, 200, 200]

    awaited(visit())


class Asked:
    """An engine that notes whether its questions are wanted."""

    def __init__(self) -> None:
        self.wanted: Callable[[], bool] | None = None

    def ask(self, question: Question, should_continue: Callable[[], bool]) -> Iterator[Any]:
        self.wanted = should_continue
        yield Progress()


def test_a_panels_question_is_wanted_until_its_visitor_leaves_and_begins_no_session() -> None:
    asked, came = Asked(), []
    gone = asyncio.Event()
    body = json.dumps({"session_hash": "mine", "data": 1}).encode()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        came.append(json.loads((await receive())["body"]))
        next(WantedEngine(asked).ask(Question()))  # type: ignore[arg-type]
        assert asked.wanted
        came.append(asked.wanted())
        gone.set()
        assert await receive() == {"type": "http.disconnect"}
        came.append(asked.wanted())

    messages: list[Message] = [
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:]},
    ]

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError("nobody listens")

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "path": f"{API}/component_server", "method": "POST", "headers": headers}
    awaited(Gate(page)(scope, receive, send))
    assert came == [{"session_hash": "panels", "data": 1}, True, False]


def test_what_is_asked_outside_a_request_is_wanted_and_inside_both_sides_can_end_it() -> None:
    asked = Asked()
    engine = WantedEngine(asked)  # type: ignore[arg-type]
    next(engine.ask(Question()))
    assert asked.wanted
    assert asked.wanted()
    with asked_while(lambda: True):
        next(engine.ask(Question(), lambda: False))
    assert not asked.wanted()
    with asked_while(lambda: False):
        next(engine.ask(Question()))
    assert not asked.wanted()


def test_an_address_makes_the_page_forget_its_own_visitors_only() -> None:
    visitors = Visitors()
    assert visitors.came("b", "other") == []
    assert [visitors.came("a", str(number)) for number in range(MOST_OF_ADDRESS)] == [[]] * MOST_OF_ADDRESS
    assert visitors.came("a", "0") == []  # it is here again
    assert visitors.came("a", "new") == ["1"]


def test_schemas_are_built_once_and_no_request_describes_the_components_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    page = build_app()
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    described: list[str] = []
    try:
        with httpx.Client(base_url=address, timeout=120) as client:

            def visit() -> None:
                for path in ("", "config", "gradio_api/info", "gradio_api/info?all_endpoints=true"):
                    assert client.get(path).status_code == 200
                event = client.post("gradio_api/call/pick_example", json={"data": [None, 2]}).json()["event_id"]
                assert "event: complete" in client.get(f"gradio_api/call/pick_example/{event}").text

            visit()
            monkeypatch.setattr(Blocks, "get_api_info", lambda *_, **__: described.append("schemas"))
            monkeypatch.setattr(BlocksConfig, "config_for_block", lambda *_, **__: described.append("component"))
            for _ in range(3):
                visit()
    finally:
        page.close()
    assert described == []
