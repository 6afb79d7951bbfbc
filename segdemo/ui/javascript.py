"""The page's JavaScript: plain modules, sent by this app under an address that changes with their content.

The modules are the files of ``static/`` and of the components, and two that Python writes: the texts of the components
and the colour tables. Browsers may keep them for ever, as other content has another address.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from starlette.types import ASGIApp, Receive, Scope, Send

from segdemo.rendering import Scale as ColourScale
from segdemo.rendering import colour_values
from segdemo.ui.texts import TEXTS

HERE = Path(__file__).parent
FOLDERS = ("static", "panels")
ELSEWHERE: dict[str, bytes] = {}  # scripts of panels that live in other folders, as :func:`modules` has them
_EARLIER: set[str] = set()  # versions before one of those was added: pages that know them find all they know
# Wherever in the path: a proxy may leave its prefix in it. A page that asks again for a module that failed adds "-1".
_PATH = re.compile(r"/scripts/(?P<version>[0-9a-f]{16})(?:-\d+)?/(?P<name>[\w./-]+)$")


@cache
def modules() -> dict[str, bytes]:
    """Return the content of every module by its path, as the modules import each other."""
    found = {path.relative_to(HERE).as_posix(): path.read_bytes() for path in _files()}
    return (
        found
        | ELSEWHERE
        | {
            "static/generated/texts.js": _module(_texts()),
            "static/generated/colours.js": _module(_colour_tables()),
        }
    )


@cache
def version() -> str:
    """Return what the content of all modules comes down to, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, content in sorted(modules().items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def address(name: str, start: str = "document.baseURI") -> str:
    """Return a JavaScript expression for the address of a module, right under any prefix the page is served.

    Args:
        name: its path, as in ``modules``.
        start: expression for the address of the page.
    """
    return f"new URL(`scripts/{version()}/{name}`, {start}).href"


def calling(name: str, act: str) -> str:
    """Return the ``js`` of an event that hands a module, and the values of the event's inputs, to a function.

    Args:
        name: path of the module, as in ``modules``.
        act: JavaScript of the function.
    """
    return f"(...values) => import({address(name)}).then((module) => ({act})(module, ...values))"


def loader(script: str | Path, *events: str) -> str:
    """Return the ``js_on_load`` of a panel: its module is fetched, and mounted when it is there.

    Args:
        script: name of the panel, as its file; or the whole path of a script in another folder, which is then served
            as if it lay among the others.
        events: what the module triggers beyond Gradio's own events; Gradio reads their names here.

    Raises:
        ValueError: there is no such script, or there is one of the same name already.
    """
    name = f"panels/{Path(script).stem}.js"
    if isinstance(script, Path):
        _add(name, script)
    if name not in modules():
        raise ValueError(f"There is no script {name}.")
    told = "// It triggers " + ", ".join(f'"{event}"' for event in events) + ".\n" if events else ""
    return f"{told}window.segdemoMount(`{name}`, {{element, props, trigger, server, watch}});"


def _add(name: str, path: Path) -> None:
    """Serve a script of another folder among the modules."""
    content = path.read_bytes()
    if modules().get(name, content) != content:
        raise ValueError(f"There is another script {name}. Give {path} another name.")
    if name not in modules():
        _EARLIER.add(version())
        ELSEWHERE[name] = content
        modules.cache_clear()
        version.cache_clear()


def first_script() -> str:
    """Return the script that goes before everything else on the page: it knows where the modules are."""
    facts = {
        "version": version(),
        "modules": sorted(modules()),
        "texts": {language: _texts()[language]["files"] for language in TEXTS},
    }
    return f"const SEGDEMO = {_json(facts)};\n" + (HERE / "first.js").read_text(encoding="utf-8")


class Modules:
    """ASGI middleware that answers requests for the modules; everything else goes on to the app.

    Args:
        app: what answers all other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = _PATH.search(scope["path"]) if scope["type"] == "http" else None
        content = modules().get(asked["name"]) if asked and asked["version"] in {version(), *_EARLIER} else None
        if content is None or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        headers = [
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content if scope["method"] == "GET" else b""})


def _files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (HERE / folder).rglob("*.js"))


def _texts() -> dict[str, dict[str, dict[str, str]]]:
    """Sort the texts of the components by language, component and key."""
    components = {path.stem for path in (*_files(), *map(Path, ELSEWHERE))}
    sorted_: dict[str, dict[str, dict[str, str]]] = {language: {} for language in TEXTS}
    for language, table in TEXTS.items():
        for name, text in table.items():
            component, _, key = name.partition(".")
            if component in components:
                sorted_[language].setdefault(component, {})[key] = text
    return sorted_


def _colour_tables() -> dict[str, str]:
    """Write down the colours of 257 fractions from 0 to 1, then of -inf, +inf and NaN: RGB, in base 64."""
    values = np.concatenate([np.linspace(-1, 1, 257), [-math.inf, math.inf, math.nan]])
    return {
        name: base64.b64encode(colour_values(values, ColourScale(-1.0, 1.0, diverging)).tobytes()).decode()
        for name, diverging in (("sequential", False), ("diverging", True))
    }


def _module(value: Any) -> bytes:
    return f"export default {_json(value)};\n".encode()


def _json(value: Any) -> str:
    """Write what may also stand within a page's ``<script>``."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
