"""Puts a script at the very start of the page: Gradio's own ``head`` comes too late to choose its language.

What Gradio's page asks of the host's root, it is made to ask of the place where it lies.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class FirstScript:
    """ASGI middleware that writes a script right after ``<head>`` of every HTML page.

    Args:
        app: what answers the requests.
        script: JavaScript.
    """

    def __init__(self, app: ASGIApp, script: str) -> None:
        self.app = app
        self.insertion = b"<head><script>" + script.encode() + b'</script><link rel="icon" href="./favicon.ico">'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) != "/":
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":  # what a test client is told besides
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = body.replace(b"<head>", self.insertion, 1)
            body = body.replace(b'href="/manifest.json"', b'href="./manifest.json"')  # the page may lie deeper
            kept = [header for header in start["headers"] if header[0].lower() != b"content-length"]
            await send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, collect)
