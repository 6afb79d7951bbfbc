"""Somebody who speaks to the running page without a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import httpx

HTTP = httpx.Client(verify=False, timeout=60)  # without it, each request reads the certificates anew


class Stranger(NamedTuple):
    """Somebody who speaks to the running page without a browser.

    Args:
        address: of the app.
        session: what Gradio tells visitors apart by.
    """

    address: str
    session: str

    def ask(self, number: int, data: list[Any], event: Any = None) -> tuple[int, Any]:
        """Call a function by its number, as the page's script does; gives the HTTP status and the last message."""
        body = {"data": data, "fn_index": number, "session_hash": self.session, "event_data": event}
        joined = HTTP.post(
            f"{self.address}gradio_api/queue/join",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
        if joined.status_code != 200:
            return joined.status_code, joined.json()
        data_stream = f"{self.address}gradio_api/queue/data?session_hash={self.session}"
        with HTTP.stream("GET", data_stream) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    return 200, message
        raise AssertionError("the stream ended without an answer")

    def panel(self, component: Any, name: Any, data: Any) -> tuple[int, Any]:
        """Call a function of a panel, as its script does; gives the HTTP status and what came."""
        body = {"session_hash": self.session, "component_id": component, "fn_name": name, "data": data}
        answer = HTTP.post(
            f"{self.address}gradio_api/component_server/",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
        return answer.status_code, answer.json()

    def upload(self, path: Path) -> str:
        """Upload a file; gives its place on the server."""
        with path.open("rb") as file:
            answer = HTTP.post(f"{self.address}gradio_api/upload", files={"files": (path.name, file)})
        return str(answer.json()[0])

    def call(self, name: str, data: list[Any]) -> tuple[str, Any]:
        """Call a function by its name, as a script does; gives the kind of event and what came with it."""
        url = f"{self.address}gradio_api/call/{name}"
        posted = HTTP.post(url, content=json.dumps({"data": data}), headers={"content-type": "application/json"})
        lines = HTTP.get(f"{url}/{posted.json()['event_id']}").text.splitlines()
        kind = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")][-1]
        return kind, json.loads([line.removeprefix("data: ") for line in lines if line.startswith("data: ")][-1])


def functions(page: gr.Blocks) -> dict[int, Any]:
    """Return the functions of a page that the server runs, by number."""
    return {number: fn for number, fn in page.fns.items() if fn.fn is not None}


def number_of(page: gr.Blocks, name: str) -> int:
    """Return the number of a function that the page itself calls."""
    return next(
        number
        for number, fn in functions(page).items()
        if fn.api_visibility == "private" and getattr(fn.fn, "__name__", "") == name
    )
