"""What README.md shows of adding a network, a tab, a panel and a command is all that is needed.

Each is taken from there, written into a file far from the package, and named in its table.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import gradio as gr
import httpx
import numpy as np
import pytest
import torch
from gradio.state_holder import SessionState
from PIL import Image

from segdemo import NETWORKS, LocalEngine, Segmenter
from segdemo.__main__ import main
from segdemo.commands import COMMANDS
from segdemo.images import to_batch
from segdemo.questions import Catalogue, LayerSummary, Run
from segdemo.ui import TABS, build_app, launch
from segdemo.ui.guard import GuardedBlocks
from segdemo.ui.javascript import ELSEWHERE, loader, modules, version
from segdemo.ui.panels.figure import FigurePanel
from segdemo.ui.panels.segmentation import SegmentationPanel
from tests.conftest import awaited

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def shown(heading: str, language: str = "python") -> str:
    """Return the one code block of a language that README.md shows under a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def added(folder: Path, name: str, source: str) -> ModuleType:
    """Write a module into a folder, and import it from there."""
    path = folder / f"{name}.py"
    path.write_text(source, "utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test added is gone after it."""
    for name in ("two_layers", "shares", "bars", "classes", "tab_with_bars"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    yield
    ELSEWHERE.clear()
    modules.cache_clear()
    version.cache_clear()


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The network of README.md, in the table."""
    module = added(tmp_path, "two_layers", shown("Add a network"))
    monkeypatch.setitem(NETWORKS, module.NETWORK.name, module.NETWORK)
    return module


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    yield engine
    engine.close()


class Visit:
    """What a browser does with a page: it holds the values of the components, and calls what an event calls.

    Args:
        page: the page.
    """

    def __init__(self, page: GuardedBlocks) -> None:
        self.page, self.values = page, dict[int, Any]()
        self._state = SessionState(page)
        self._request = gr.Request(session_hash=uuid4().hex, headers={}, query_params={}, cookies={})
        for block in page.blocks.values():
            self.values[block._id] = getattr(block, "value", None)

    def component(self, name: str) -> Any:
        """Return the component that has an id of its own in the page."""
        (found,) = (block for block in self.page.blocks.values() if getattr(block, "elem_id", None) == name)
        return found

    def panel(self, kind: type) -> Any:
        """Return the one panel of a kind."""
        (found,) = (block for block in self.page.blocks.values() if type(block) is kind)
        return found

    def tell(self, source: Any, event: str, **data: Any) -> None:
        """Do what the page does at an event."""
        for number, function in self.page.fns.items():
            if (source._id, event) in function.targets:
                self._call(number, data)

    def _call(self, number: int, data: dict[str, Any]) -> None:
        function = self.page.fns[number]
        if function.fn:
            given = [None if isinstance(block, gr.State) else self.values[block._id] for block in function.inputs]
            event = gr.EventData(None, data) if data else None
            answered = awaited(
                self.page.process_api(function, given, state=self._state, request=self._request, event_data=event)
            )
            for block, value in zip(function.outputs, answered["data"], strict=True):
                if not isinstance(value, dict) or value.get("__type__") != "update":
                    self.values[block._id] = value
                elif "value" in value:
                    self.values[block._id] = value["value"]
        for after, follower in self.page.fns.items():
            if follower.trigger_after == number and not follower.trigger_only_on_failure:
                self._call(after, {})


def test_a_network_is_in_the_catalogue_and_in_the_table_that_is_printed(
    network: ModuleType, engine: LocalEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = engine.answer(Catalogue())[-1]
    assert (facts.name, facts.title, facts.trained) == ("two_layers", "Two layers", False)
    assert main(["networks"]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("two_layers") and "untrained" in row
    assert "1,250" in row  # 3·16·5·5 + 16 and 16·2 + 2


def test_a_network_answers_what_its_module_does(network: ModuleType, engine: LocalEngine, picture: Image.Image) -> None:
    result = engine.answer(Run("two_layers", engine.keep(picture), 64))
    module: Any = engine.open("two_layers").module
    batch, placement = to_batch(picture, network.NETWORK.preprocessing, 64)
    with torch.no_grad():
        around = module.around(batch)
        logits = module.decide(around)[0, :, : placement.resized[1], : placement.resized[0]]
    assert not result.trained and list(result.layers) == ["Around", "Logits"]
    assert result.logits == pytest.approx(logits.numpy(), abs=1e-5)
    assert result.layers["Around"].maximum == pytest.approx(around.max().item(), abs=1e-5)
    assert np.array_equal(Segmenter("two_layers").run(picture, 64).mask, result.mask)


def test_a_network_is_on_the_menu_and_runs_on_the_page(network: ModuleType, engine: LocalEngine) -> None:
    visit = Visit(build_app(engine))
    menu, sizes, status = (visit.component(name) for name in ("network", "side", "status"))
    assert ("Two layers", "two_layers") in menu.choices
    assert "about.two_layers" not in str(visit.page.get_config_file())  # no key without a text
    visit.tell(visit.page, "load")
    visit.values[menu._id] = "two_layers"
    visit.tell(menu, "input")
    assert visit.values[sizes._id] == 128
    assert "Two layers" in visit.values[status._id]
    assert visit.values[visit.panel(SegmentationPanel)._id]["network"] == "two_layers"
    figure = visit.panel(FigurePanel)
    drawn = figure.figure(visit.values[figure._id], gr.Request(headers={}, cookies={}))
    assert [box["label"] for box in drawn["boxes"]] == ["Around", "Logits"] and drawn["untrained"]


def test_a_tab_gets_the_result_and_the_stage_that_is_picked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: LocalEngine
) -> None:
    tab = added(tmp_path, "shares", shown("Add a tab"))
    monkeypatch.setattr("segdemo.ui.TABS", (*TABS, tab))
    visit = Visit(build_app(engine))
    (shares,) = (block for block in visit.page.blocks.values() if isinstance(block, gr.Label))
    (picked,) = (block for block in visit.component("shares").children if isinstance(block, gr.Markdown))
    visit.tell(visit.page, "load")
    first = visit.panel(FigurePanel)
    run = Run(**visit.values[first._id]["run"])
    result = engine.answer(run)
    told = {entry["label"]: entry["confidence"] for entry in visit.values[shares._id]["confidences"]}
    assert told == pytest.approx({share.name: share.percent / 100 for share in result.classes})
    visit.tell(first, "select", index="Blocks 3-5", value="Blocks 3-5")
    summary = engine.answer(LayerSummary(run.network, run.picture, "Blocks 3-5", run.size))
    assert visit.values[picked._id] == f"Blocks 3-5: {summary.minimum:.3g} to {summary.maximum:.3g}"
    assert summary.minimum == result.layers["Blocks 3-5"].minimum


TAB_WITH_BARS = """
from bars import BarsPanel

TITLE = "page.bars"

def build(page):
    page.on("result", lambda run: run, BarsPanel(page.engine, elem_id="the_bars"))
"""


@pytest.fixture
def bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel of README.md, in a tab of its own."""
    for language in ("js", "css"):
        (tmp_path / f"bars.{language}").write_text(shown("Add a panel", language), "utf-8")
    added(tmp_path, "bars", shown("Add a panel"))
    monkeypatch.setattr("segdemo.ui.TABS", (*TABS, added(tmp_path, "tab_with_bars", TAB_WITH_BARS)))


def test_a_panel_is_loaded_and_answers_through_its_server_function(
    bars: None, engine: LocalEngine, picture: Image.Image
) -> None:
    before, old = version(), modules()["static/dom.js"]
    page = build_app(engine)
    panel = Visit(page).component("the_bars")
    assert panel.css_template == shown("Add a panel", "css")
    asked = panel.postprocess(Run("unet_narrow", engine.keep(picture), 128))
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        with httpx.Client(base_url=address, timeout=60) as browser:
            assert "panels/bars.js" in browser.get("/").text
            assert version() != before
            assert browser.get(f"/scripts/{version()}/panels/bars.js").text == shown("Add a panel", "js")
            assert browser.get(f"/scripts/{before}/static/dom.js").content == old  # of a page that was built before
            words = {"session_hash": "visitor", "component_id": panel._id, "fn_name": "bars"}
            answered = browser.post("/gradio_api/component_server", json={**words, "data": asked}).json()
            refused = browser.post("/gradio_api/component_server", json={**words, "data": {}}).json()
    finally:
        page.close(verbose=False)
    classes = engine.answer(Run(**asked["run"])).classes
    assert answered == {"bars": [[share.name, share.colour, share.percent] for share in classes]}
    assert sum(percent for _, _, percent in answered["bars"]) == pytest.approx(100)
    assert refused == {"error": "There is no run of yours to look into. Press Run once more."}


def test_a_panel_follows_the_run_on_show(bars: None, engine: LocalEngine) -> None:
    visit = Visit(build_app(engine))
    visit.tell(visit.page, "load")
    asked = visit.values[visit.component("the_bars")._id]
    assert asked == {"run": visit.values[visit.panel(SegmentationPanel)._id]}


def test_two_panels_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "figure.js").write_text("export function mount() {}", "utf-8")
    with pytest.raises(ValueError, match=r"another script panels/figure\.js"):
        loader(tmp_path / "figure.js")


def test_a_command_is_listed_parsed_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "classes", added(tmp_path, "classes", shown("Add a command")))
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"^ +classes +list the classes of a network$", capsys.readouterr().out, re.MULTILINE)
    assert main(["classes", "u2netp"]) == 0
    assert capsys.readouterr().out == "background\nforeground\n"
    assert main(["classes", "u3"]) == 2
    assert capsys.readouterr().err.startswith("segdemo: There is no network called")
    with pytest.raises(SystemExit):
        main(["classes"])
    assert "usage: segdemo classes" in capsys.readouterr().err
