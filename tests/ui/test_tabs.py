"""A tab that uses the run is one file and its name."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import pytest

from segdemo import ui
from segdemo.engine import LocalEngine
from segdemo.examples import example
from tests.ui.stranger import Stranger, number_of

SECOND = '''
"""The tab that names the most frequent class, and the stage that was picked."""

import gradio as gr

TITLE = "page.picture"


def build(page):
    most, stage = gr.Textbox(elem_id="most"), gr.Textbox(elem_id="stage")

    def most_frequent(run, request: gr.Request):
        result = page.engine.answer(run)
        return max(result.classes, key=lambda share: share.percent).name

    def name_stage(run, most, event: gr.EventData, request: gr.Request):
        return f"{event.value} of {run.network}, {most}"

    def name_network(network, size, place, request: gr.Request):
        return f"{page.facts(network).title} to come"

    page.on("network", name_network, most)
    page.on("result", most_frequent, most)
    page.on("stage", name_stage, stage, [most])
'''


@pytest.fixture
def second(tmp_path: Path) -> ModuleType:
    """A tab from a file of its own."""
    file = tmp_path / "second.py"
    file.write_text(SECOND)
    spec = importlib.util.spec_from_file_location("second", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def page(second: ModuleType, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[gr.Blocks]:
    """The running page with one more tab."""
    monkeypatch.setattr(ui, "TABS", (*ui.TABS, second))
    page = ui.build_app(engine)
    ui.launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield page
    page.close()


def given(answer: tuple[int, Any]) -> Any:
    """Return the values that a function gave."""
    status, message = answer
    assert status == 200 and message["success"], message
    return message["output"]["data"]


def test_a_second_tab_shows_the_run_and_what_is_picked_in_the_first(page: gr.Blocks) -> None:
    stranger = Stranger(str(page.local_url), "second tab")
    network = given(stranger.ask(number_of(page, "name_network"), ["unet", 128, 0]))
    assert network == ["U-Net to come"]
    file = {"path": stranger.upload(example("chelsea")), "meta": {"_type": "gradio.FileData"}}
    given(stranger.ask(number_of(page, "segment"), [file, "deeplabv3_mobilenet_v2", 257, 0, None]))
    assert given(stranger.ask(number_of(page, "most_frequent"), [None])) == ["cat"]
    picked = {"index": "Blocks 6-9", "value": "Blocks 6-9"}
    stage = given(stranger.ask(number_of(page, "name_stage"), [None, "cat"], picked))
    assert stage == ["Blocks 6-9 of deeplabv3_mobilenet_v2, cat"]


def test_its_handlers_are_called_whenever_those_of_the_first_tab_are(page: gr.Blocks) -> None:
    def triggers(name: str) -> list[Any]:
        return sorted(
            (str(fn.trigger_after), str(fn.targets))
            for fn in page.fns.values()
            if getattr(fn.fn, "__name__", "") == name
        )

    first, second = triggers("show"), triggers("most_frequent")
    assert len(first) == len(second) == 28
    assert [after for after, _ in first] == [after for after, _ in second]
    assert len(triggers("name_network")) == len(triggers("draw_network")) == 7
    assert triggers("name_stage") == triggers("remember")
