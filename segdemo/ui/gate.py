"""What every request to the page passes first: where the page is, who may ask, which doors are shut."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segdemo.ui.messages import text

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
        elif is_foreign(headers) and ("cookie" in headers or "authorization" in headers):
            answer = PlainTextResponse(text(request, "page.foreign"), 403)  # type: ignore[arg-type]
        await answer(_placed(scope, headers, prefix, rest), receive, _protected(send))

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
