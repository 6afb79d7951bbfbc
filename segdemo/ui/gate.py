"""What every request to the page passes first: where the page is, who may ask, which doors are shut."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segdemo.ui.messages import text
from segdemo.ui.turns import Turns
from segdemo.ui.wanted import asked_by, asked_while

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # Components are compiled in the browser, which needs unsafe-eval. Who may frame the page is left open: hosting
    # services do.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'"
    ),
}
# What Gradio offers besides and the page does not use: fetching other addresses, recording, writing links to disk.
SHUT = re.compile(
    r"/gradio_api/(file[=/].*://|file[=/]https?:|proxy=|process_recording|deep_link|stream/|vibe-)",
    re.IGNORECASE,
)
PANELS = "/gradio_api/component_server"  # Gradio would read a thousand files into memory there
MOST_ASKED = 65_536  # bytes of a question to a panel, one frame of a film included
PREFIX = re.compile(r"(/[\w.~-]+)+")


class Gate:
    """ASGI middleware around the whole page.

    Args:
        app: the page.
        mounted: path at which it is mounted in another application, "" when it stands alone.
        root: path, or full address, at which visitors find it behind a proxy; "" where it is where it seems to be, or
            the proxy says it in ``X-Forwarded-Prefix``.
    """

    def __init__(self, app: ASGIApp, mounted: str = "", root: str = "") -> None:
        self.app = app
        self.mounted = mounted
        self.root = urlsplit(root).path.rstrip("/")
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        prefix, rest = self.place(scope, headers)
        request = HTTPConnection(scope)
        answer: ASGIApp = self.app
        if not rest:
            query = scope.get("query_string", b"").decode("latin-1")
            answer = RedirectResponse(f"{prefix}/" + (f"?{query}" if query else ""), 307)
        elif SHUT.match(rest):
            answer = PlainTextResponse("Not found", 404)
        elif rest.startswith(PANELS) and not is_short_json(headers):
            sentence = text(request, "page.too_long")  # type: ignore[arg-type]
            answer = JSONResponse({"detail": sentence, "error": sentence}, 413)
        elif is_foreign(headers) and ("cookie" in headers or "authorization" in headers):
            answer = PlainTextResponse(text(request, "page.foreign"), 403)  # type: ignore[arg-type]
        await self._let_in(answer, request, rest, _placed(scope, headers, prefix, rest), receive, _protected(send))

    async def _let_in(
        self, answer: ASGIApp, request: HTTPConnection, rest: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request when it is its address's turn."""
        address = request.client.host if request.client else ""
        asked = Asked(receive) if answer is self.app and rest.startswith(PANELS) else None
        if asked is not None:
            receive = await asked.read()
        try:
            async with self._turns.of(address, rest, panel=asked is not None) as is_let_in:
                if not is_let_in:
                    sentence = text(request, "page.too_many")  # type: ignore[arg-type]
                    answer = JSONResponse({"detail": sentence, "error": sentence}, 429, {"Retry-After": "5"})
                if asked is None:
                    await answer(scope, receive, send)
                elif asked.is_there():
                    with asked_while(asked.is_there), asked_by(asked.session):
                        await answer(scope, receive, send)
        finally:
            if asked is not None:
                asked.close()

    def place(self, scope: Scope, headers: Headers) -> tuple[str, str]:
        """Return where visitors find the page, without a slash at the end, and what they ask for in it."""
        path = scope["path"]
        known = urlsplit(scope.get("root_path", "")).path.rstrip("/")
        forwarded = headers.get("x-forwarded-prefix", "").split(",")[0].strip().rstrip("/")
        prefix = self.root or known
        if not self.root and PREFIX.fullmatch(forwarded) and not _below(known, forwarded):
            prefix = forwarded + known
        for start in (prefix, known, self.mounted):
            if start and _below(path, start):
                return prefix, path[len(start) :]
        return prefix, path


class Asked:
    """A question to a panel, read before its turn comes, and whether its visitor still waits for the answer.

    Args:
        receive: gives the request.
    """

    def __init__(self, receive: Receive) -> None:
        self.session: object = None  # whose the page says to be
        self._receive = receive
        self._left = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def read(self) -> Receive:
        """Read the question, and watch from then on; returns what gives it to the page."""
        body, more = b"", True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._left.set()
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.session, body = _without_session(body)
        messages = iter([{"type": "http.request", "body": body}])
        self._watching = asyncio.create_task(self._watch())

        async def replay() -> Message:
            message = next(messages, None)
            if message is None:
                await self._left.wait()
            return message or {"type": "http.disconnect"}

        return replay

    def is_there(self) -> bool:
        """Say whether the visitor still waits."""
        return not self._left.is_set()

    def close(self) -> None:
        """Watch no longer."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while not self._left.is_set():
            if (await self._receive())["type"] == "http.disconnect":
                self._left.set()


def _without_session(body: bytes) -> tuple[object, bytes]:
    """Return whose question it is, and the question in the name of all visitors.

    Panels ask for nobody's states, and Gradio would begin some.
    """
    try:
        asked = json.loads(body)
    except ValueError:
        return None, body
    if not isinstance(asked, dict) or not isinstance(asked.get("session_hash"), str):
        return None, body
    return asked["session_hash"], json.dumps(asked | {"session_hash": "panels"}).encode()


def is_short_json(headers: Headers) -> bool:
    """Say whether a request brings JSON of a length that it states, and that a panel's question may have.

    Args:
        headers: of the request.
    """
    length = headers.get("content-length", "")
    is_json = headers.get("content-type", "").startswith("application/json")
    return is_json and length.isdecimal() and len(length) < 9 and int(length) <= MOST_ASKED


def is_foreign(headers: Headers) -> bool:
    """Say whether a browser asks for a page of another origin.

    Args:
        headers: of the request.
    """
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site")
    if origin is None or site == "same-origin":
        return False
    if site in ("cross-site", "same-site"):
        return True
    own = {headers.get("host", ""), headers.get("x-forwarded-host", "").split(",")[0].strip()}
    return _host(urlsplit(origin).netloc) not in {_host(name) for name in own if name}


def _host(name: str) -> str:
    return name.lower().removesuffix(":80").removesuffix(":443")


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _placed(scope: Scope, headers: Headers, prefix: str, rest: str) -> Scope:
    """Return the request as Gradio understands it, whether a proxy took the prefix off the path or left it."""
    kept = [(name, value) for name, value in headers.raw if name != b"x-gradio-server"]
    if prefix:
        host = headers.get("x-forwarded-host", headers.get("host", "")).split(",")[0].strip()
        own = f"{scope.get('scheme', 'http')}://{host}{prefix}{rest}"
        kept = [(name, value) for name, value in kept if name != b"x-forwarded-host"]
        kept.append((b"x-gradio-server", own.encode("latin-1", "ignore")))
    placed = {**scope, "path": prefix + rest, "root_path": prefix, "headers": kept}
    placed.pop("raw_path", None)
    placed.pop("app_root_path", None)
    return placed


def _protected(send: Send) -> Send:
    """Send what protects the page with every answer; nothing is allowed to other origins with a visitor's cookies."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            del headers["Access-Control-Allow-Credentials"]
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
