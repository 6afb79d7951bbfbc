"""The page's JavaScript as the app sends it; what the modules do is tested in tests/javascript and tests/browser."""

from __future__ import annotations

import base64
import json
import posixpath
import re
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from segdemo import rendering
from segdemo.ui import javascript
from segdemo.ui.javascript import Modules, first_script, loader, modules, version
from segdemo.ui.texts import LANGUAGES, TEXTS

TOLD = {
    "static/layout.js": "figure",
    "static/scales.js": "channels",
    "static/workspace.js": "workspace",
}  # whose texts they are handed
FILES = sorted(name for name in modules() if "/generated/" not in name)


def app() -> Starlette:
    """An app that answers everything with "the app", behind the middleware."""
    everything = Route("/{path:path}", lambda _: PlainTextResponse("the app"), methods=["GET", "HEAD", "POST"])
    return Starlette(routes=[everything], middleware=[Middleware(Modules)])


@pytest.fixture
def client() -> TestClient:
    return TestClient(app())


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_comes_as_javascript_that_browsers_may_keep(client: TestClient, name: str) -> None:
    answer = client.get(f"/scripts/{version()}/{name}")
    assert (answer.status_code, answer.content) == (200, modules()[name])
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = client.head(f"/scripts/{version()}/{name}")
    assert (head.headers["content-length"], head.content) == (answer.headers["content-length"], b"")


@pytest.mark.parametrize("prefix", ["", "/demo", "/of a/proxy"])
@pytest.mark.parametrize("attempt", ["", "-1", "-12"])
def test_a_module_is_found_under_any_prefix_and_at_every_attempt(client: TestClient, prefix: str, attempt: str) -> None:
    answer = client.get(f"{prefix}/scripts/{version()}{attempt}/static/dom.js")
    assert answer.content == modules()["static/dom.js"]


def test_a_module_is_found_where_the_app_is_mounted_in_another() -> None:
    client = TestClient(Starlette(routes=[Mount("/demo", app())]))
    assert client.get(f"/demo/scripts/{version()}/static/dom.js").content == modules()["static/dom.js"]


@pytest.mark.parametrize(
    "path",
    [
        "/scripts/0123456789abcdef/static/dom.js",  # of another version: its content is not known
        f"/scripts/{version()}/static/nothing.js",
        f"/scripts/{version()}/first.js",
        f"/scripts/{version()}/static/../first.js",
        f"/scripts/{version()}/static/%2e%2e/javascript.py",
        f"/scripts/{version()}/panels/header.py",
        f"/scripts/{version()}//etc/passwd",
        f"/scripts/{version()}/",
        "/",
    ],
)
def test_everything_else_is_left_to_the_app(client: TestClient, path: str) -> None:
    assert client.get(path).text == "the app"


def test_only_reading_is_answered(client: TestClient) -> None:
    assert client.post(f"/scripts/{version()}/static/dom.js").text == "the app"


def test_other_content_has_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {javascript.version.__wrapped__()}
    for changed in ({"static/dom.js": b"other"}, {"static/new.js": b""}, {"static/generated/texts.js": b"other"}):
        everything = {**modules(), **changed}
        monkeypatch.setattr(javascript, "modules", lambda everything=everything: everything)
        found.add(javascript.version.__wrapped__())
        monkeypatch.undo()
    assert len(found) == 4
    assert version() in found


@pytest.mark.parametrize("name", FILES)
def test_modules_import_only_what_is_sent_too(name: str) -> None:
    imported = re.findall(r"""from\s+['"]([^'"]+)['"]""", modules()[name].decode())
    for path in imported:
        assert path.startswith("."), f"{name} imports {path}"
        assert posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) in modules(), f"{name} imports {path}"


@pytest.mark.parametrize("name", FILES)
def test_every_text_of_a_module_is_in_every_language(name: str) -> None:
    script = "\n".join(line for line in modules()[name].decode().splitlines() if not line.startswith("//"))
    own = re.search(r"textsOf\('(\w+)'\)", script)
    component = own[1] if own else TOLD.get(name)
    if component is None:
        assert not re.search(r"\bt(?:\.parts)?\('", script)
        return
    keys = set(re.findall(r"\bt(?:\.parts)?\('([\w.]+)'[,)]", script))
    keys |= {key for pair in re.findall(r"\bt(?:\.parts)?\([^']*\? '([\w.]+)' : '([\w.]+)'", script) for key in pair}
    if name == "static/layout.js":
        keys |= {f"{flag}_{form}" for flag in ("dead", "nan", "inf", "flat") for form in ("short", "long")}
    if name == "panels/channels.js":
        keys |= {f"ranking_{key}" for key in ("mean_abs", "variance", "sparsity", "index", "point", "class")}
        keys |= {f"ranked_{key}" for key in ("inside", "variance", "index", "point", "class")}
        keys |= {f"{part}_{key}" for part in ("scope", "means") for key in ("channel", "layer", "network")}
        keys |= {f"flag_{key}" for key in ("dead", "flat", "nan", "inf")}
    if name == "static/classes.js":
        keys.add("class.cat")
    if name.endswith("/workspace.js"):
        keys |= {"segmentation", "figure", "channels", "divider_0", "divider_1"}
    assert keys
    for language in LANGUAGES:
        assert {f"{component}.{key}" for key in keys} <= TEXTS[language].keys()


def generated(name: str) -> dict[str, str]:
    """Read what a module written by Python holds."""
    value = re.fullmatch(r"export default (.*);\n", modules()[f"static/generated/{name}.js"].decode(), re.DOTALL)
    assert value is not None
    found: dict[str, str] = json.loads(value[1])
    return found


def test_page_and_server_colour_alike() -> None:
    fractions = np.linspace(0, 1, 257)
    for name, coded in generated("colours").items():
        table = np.frombuffer(base64.b64decode(coded), np.uint8).reshape(260, 3)
        scale = rendering.Scale(-1.0, 1.0, diverging=name == "diverging")
        np.testing.assert_array_equal(table[:257], rendering.colour_values(2 * fractions - 1, scale))
        not_finite = np.array([-np.inf, np.inf, np.nan])
        np.testing.assert_array_equal(table[257:], rendering.colour_values(not_finite, scale))
    assert tuple(table[259]) == rendering.NAN_COLOUR
    assert tuple(table[258]) == rendering.INF_COLOUR


def test_no_script_has_a_table_of_colours_of_its_own() -> None:
    for name in FILES:
        assert len(re.findall(r"\b[0-9a-fA-F]{6}\b", modules()[name].decode())) < 3, name


def test_first_script_can_stand_within_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {language: {**TEXTS[language], "files.script": "</script><!--"} for language in TEXTS}
    monkeypatch.setattr(javascript, "TEXTS", texts)
    assert "</script" not in first_script()
    assert "<!--" not in first_script()


def test_first_script_asks_for_every_module_at_once() -> None:
    facts = re.match(r"const SEGDEMO = (.*);\n", first_script())
    assert facts is not None
    assert json.loads(facts[1])["modules"] == sorted(modules())


def test_loader_names_its_events_and_nothing_else_that_gradio_could_take_for_one() -> None:
    assert re.findall(r"""['"`](\w+)['"`]""", loader("channels", "view", "select")) == ["view", "select"]
    assert re.findall(r"""['"`](\w+)['"`]""", loader("header")) == []


def test_loader_of_a_script_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"panels/nothing\.js"):
        loader("nothing")


def test_every_panel_with_a_script_is_loaded() -> None:
    panels = Path(javascript.__file__).parent / "panels"
    loaded = {name for file in panels.glob("*.py") if "loader(" in file.read_text("utf-8") for name in [file.stem]}
    mounted = {
        Path(name).stem for name in FILES if re.search(r"export (?:async )?function mount\(", modules()[name].decode())
    }
    assert loaded == mounted
