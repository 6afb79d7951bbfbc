"""The endpoints as tools for language models, seen through the client of their protocol."""

from __future__ import annotations

import ast
import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.questions import Run
from segdemo.ui import build_app, launch
from tests.conftest import awaited

NETWORKS = (("unet_narrow", 64), ("unet", None))  # with their input sizes


async def visit(address: str) -> tuple[set[str], dict[str, dict[str, Any]]]:
    """List the tools, and ask each about the digit; returns their names, and what each that was called said."""
    calls: dict[str, dict[str, Any]] = {
        "segment": {"network": "lenet"},
        "autopsy": {"network": "lenet", "x": 20, "y": 12},
        "compare": {"network": "unet_narrow", "other": "unet", "side": 64},
    }
    picture = "data:image/png;base64," + base64.b64encode(example("digit").read_bytes()).decode()
    async with (
        streamable_http_client(f"{address}gradio_api/mcp/") as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        tools = {tool.name for tool in (await session.list_tools()).tools}
        answers = {}
        for name, values in calls.items():
            answer = await session.call_tool(name, {"picture": picture, "side": 0, **values})
            answers[name] = ast.literal_eval(answer.content[0].text)  # type: ignore[union-attr]
    return tools, answers


@pytest.fixture(scope="module")
def visited() -> Iterator[tuple[set[str], dict[str, dict[str, Any]]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDEMO_MCP", "1")
        page = build_app()
        _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        try:
            yield awaited(visit(address))
        finally:
            page.close()


def test_the_tools_are_listed_and_answer(visited: tuple[set[str], dict[str, dict[str, Any]]]) -> None:
    tools, answers = visited
    assert tools == {"segment", "layers", "autopsy", "compare"}
    probability = answers["segment"]["probability"]
    assert max(probability, key=probability.get) == "5"


def test_they_say_why_and_where_two_networks_disagree(visited: tuple[set[str], dict[str, dict[str, Any]]]) -> None:
    why, apart = visited[1]["autopsy"], visited[1]["compare"]
    first, second = why["classes"][:2]
    assert first["name"] == "5"
    assert why["margin"] == pytest.approx(first["logit"] - second["logit"], abs=1e-4)
    channels = [stage["channels_for_the_winner"] for stage in why["stages"]]
    assert any(push > 0 for pushes in channels for push in pushes.values())
    engine = LocalEngine()
    narrow, wide = (engine.answer(Run(name, engine.keep(example("digit")), size)) for name, size in NETWORKS)
    engine.close()
    named = [np.array(result.names)[result.mask] for result in (narrow, wide)]
    assert apart["disagreement_percent"] == pytest.approx(100 * (named[0] != named[1]).mean(), abs=1e-3)
    assert next(stage["stage"] for stage in apart["stages"]) == "Encoder 1"
