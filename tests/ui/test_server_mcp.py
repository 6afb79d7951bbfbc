"""The endpoints as tools for language models, seen through the client of their protocol."""

from __future__ import annotations

import ast
import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.questions import Run
from segdemo.ui import build_app, launch
from tests.conftest import awaited

Visited = tuple[set[str], dict[str, dict[str, Any]], dict[str, str]]


def written(picture: bytes) -> str:
    """Write a picture's file as assistants hand it over."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def blank(width: int, height: int) -> bytes:
    """A file of few bytes with many pixels."""
    encoded = io.BytesIO()
    Image.new("1", (width, height)).save(encoded, "PNG")
    return encoded.getvalue()


LARGE = written(blank(8000, 6000))
NETWORKS = (("unet_narrow", 64), ("unet", None))  # with their input sizes


# What an assistant may get wrong, by a word of the sentence that it is told.
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no network called": ("segment", {"network": "nosuch"}),
    "whole number": ("segment", {"side": -5}),
    "cannot be read as a picture": ("layers", {"picture": "data:image/png;base64,AAAA"}),
    "addresses are not fetched": ("segment", {"picture": "https://example.com/cat.png"}),
    "“x” has to be": ("autopsy", {}),
    "no pixel": ("autopsy", {"x": 5000, "y": 1}),
    "no class in common": ("compare", {"network": "lenet", "other": "unet"}),
    "40 million": ("segment", {"picture": LARGE}),
}


async def visit(address: str) -> Visited:
    """List the tools, ask each about the digit, and ask what is wrong.

    Returns:
        Their names; what each that was called said; and what was said to each that is wrong.
    """
    calls: dict[str, dict[str, Any]] = {
        "segment": {"network": "lenet"},
        "autopsy": {"network": "lenet", "x": 20, "y": 12},
        "compare": {"network": "unet_narrow", "other": "unet", "side": 64},
    }
    picture = written(example("digit").read_bytes())
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
        refusals = {}
        for word, (name, values) in WRONG.items():
            answer = await session.call_tool(name, {"picture": picture, "network": "lenet", "side": 0, **values})
            assert answer.isError
            refusals[word] = answer.content[0].text  # type: ignore[union-attr]
    return tools, answers, refusals


@pytest.fixture(scope="module")
def visited() -> Iterator[Visited]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDEMO_MCP", "1")
        page = build_app()
        _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        try:
            yield awaited(visit(address))
        finally:
            page.close()


def test_the_tools_are_listed_and_answer(visited: Visited) -> None:
    tools, answers, _ = visited
    assert tools == {"segment", "layers", "autopsy", "compare"}
    probability = answers["segment"]["probability"]
    assert max(probability, key=probability.get) == "5"


def test_they_say_why_and_where_two_networks_disagree(visited: Visited) -> None:
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


def test_what_is_asked_wrongly_is_refused_in_a_sentence(visited: Visited) -> None:
    for word, sentence in visited[2].items():
        assert word in sentence
        assert sentence.endswith(".")
