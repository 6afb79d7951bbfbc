"""The endpoints as tools for language models, seen through the client of their protocol."""

from __future__ import annotations

import ast
import base64
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from segdemo.examples import example
from segdemo.ui import build_app, launch
from tests.conftest import awaited


async def visit(address: str) -> tuple[set[str], dict[str, Any]]:
    """List the tools, and call one with a picture."""
    picture = "data:image/png;base64," + base64.b64encode(example("digit").read_bytes()).decode()
    async with (
        streamable_http_client(f"{address}gradio_api/mcp/") as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        tools = {tool.name for tool in (await session.list_tools()).tools}
        answer = await session.call_tool("segment", {"picture": picture, "network": "lenet", "side": 0})
    return tools, ast.literal_eval(answer.content[0].text)  # type: ignore[union-attr]


def test_the_tools_are_listed_and_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGDEMO_MCP", "1")
    page = build_app()
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    try:
        tools, answer = awaited(visit(address))
    finally:
        page.close()
    assert tools == {"segment", "layers"}
    assert max(answer["probability"], key=answer["probability"].get) == "5"
