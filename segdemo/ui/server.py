"""How the page is served: alone, or inside another application; where it listens, and how it ends."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from gradio.themes.utils.fonts import LocalFont
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from segdemo.errors import InputError
from segdemo.examples import FIRST, example
from segdemo.ui import folder, limits, memory, metrics, sessions, visits
from segdemo.ui.first import FirstScript
from segdemo.ui.gate import Gate
from segdemo.ui.guard import HANDLERS, GuardedBlocks
from segdemo.ui.javascript import Modules, first_script
from segdemo.ui.texts import TEXTS

HERE = Path(__file__).parent
# Fonts that come with Gradio, from this host; their weight 600 is cut down to a few letters there.
THEME = gr.themes.Default(
    primary_hue="teal",
    neutral_hue="slate",
    font=[LocalFont("Source Sans Pro", weights=(400, 700)), "Noto Sans CJK SC", "PingFang SC", "sans-serif"],
    font_mono=[LocalFont("IBM Plex Mono", weights=(400, 700)), "monospace"],
).set(  # what Gradio's own shades miss of a contrast of 4.5 to 1
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
    body_text_color_subdued="*neutral_500",
    block_info_text_color="*neutral_500",
)


class GatedApp(App):
    """Gradio's application, with the gate around all of it, its answer to an error included."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put the gate outermost."""
        return Gate(super().build_middleware_stack(), root=self.root_path)


def _settings() -> dict[str, Any]:
    """Return what makes the page what it is, wherever it is served."""
    return {
        "theme": THEME,
        "css": (HERE / "style.css").read_text(encoding="utf-8"),
        "app_kwargs": {
            "middleware": [Middleware(FirstScript, script=first_script()), Middleware(Modules)],
            "exception_handlers": HANDLERS,
        },
        "i18n": gr.I18n(**TEXTS),
        "allowed_paths": [str(example(FIRST).parent)],  # wherever scikit-image is installed
        "max_file_size": "40mb",
        "show_error": False,
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": ["api", "settings"],
        "mcp_server": os.environ.get("SEGDEMO_MCP") == "1",
    }


def launch(page: GuardedBlocks, **settings: Any) -> Any:
    """Start the page; GRADIO_SERVER_NAME and GRADIO_SERVER_PORT (or PORT) say where unless the settings do.

    Unless ``prevent_thread_lock`` is set it returns when the page is stopped, by Ctrl-C or by SIGTERM.

    Args:
        page: as built by ``build_app``.
        settings: passed on to ``gr.Blocks.launch``.

    Raises:
        InputError: the page cannot listen there.
    """
    limits.check()
    if settings.get("server_port") is None:
        settings["server_port"] = asked_port()
    check_place(settings.get("server_name"), settings["server_port"])
    alone: dict[str, Any] = {
        "max_threads": page.max_threads,
        "state_session_capacity": sessions.MOST,
        "_app": GatedApp(**_settings()["app_kwargs"]),
        "_frontend": False,  # or Gradio asks for the page itself, and ends where it has to wait for 3 s
    }
    if metrics.are_served():
        page.metrics.route(alone["_app"])
    settings = {**_settings(), **alone, **settings}
    if settings.get("prevent_thread_lock") or threading.current_thread() is not threading.main_thread():
        return page.launch(**settings)
    memory.bound()
    metrics.log_runs()
    stopped = told_to_stop()
    started = page.launch(**{**settings, "prevent_thread_lock": True})
    wait_for(stopped)
    _end(page)
    return started


def told_to_stop() -> list[int]:
    """Take down from now on the signals that stop the page; returns the list in which they come to stand."""
    stopped: list[
        int
    ] = []  # no Event: the thread that a signal interrupts may hold its lock, and would wait for itself
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stopped.append(number))
    return stopped


def wait_for(stopped: list[int]) -> None:
    """Wait until there has been a signal."""
    while not stopped:
        time.sleep(0.2)  # in pieces, so that signals come through on every system


def mount(app: FastAPI, path: str = "/segdemo", page: GuardedBlocks | None = None, **settings: Any) -> FastAPI:
    """Put the page into another application: the same styles, texts and limits as when it stands alone.

    The application's lifespan starts the page, so it has to be run by a server, or by a client that runs lifespans.

    Args:
        app: the application.
        path: where in it.
        page: as built by ``build_app``; built when None.
        settings: passed on to ``gr.mount_gradio_app``. ``root_path`` is the whole path, or address, at which visitors
            find the page, when a proxy takes a part of it away and says so neither in ``X-Forwarded-Prefix`` nor by the
            ``root_path`` of the application.

    Returns:
        The application given.
    """
    from segdemo.ui import build_app

    page = build_app() if page is None else page
    path = "/" + path.strip("/")
    page.state_session_capacity = sessions.MOST
    root = settings.pop("root_path", None) or page.root_path
    page.root_path = ""  # the gate says it, request by request
    gr.mount_gradio_app(app, page, path, **{**_settings(), **settings})
    mounted: Any = app.router.routes[-1]
    gate = mounted.app = Gate(mounted.app, mounted=path.rstrip("/"), root=root)

    def with_slash(request: Request) -> RedirectResponse:
        """Send on to the page proper: its addresses are relative."""
        inside = {**request.scope, "root_path": request.scope.get("root_path", "") + path}
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{gate.place(inside, request.headers)[0]}/{query}", 307)

    if path != "/":
        app.router.routes.insert(-1, Route(path, with_slash))
    return app


def serve(page: GuardedBlocks) -> int:
    """Start the page, and say on stderr why if it cannot be started.

    Args:
        page: as built by ``build_app``.

    Returns:
        Exit code: 0 after it was stopped, 2 when it cannot be started.
    """
    try:
        launch(page)
    except InputError as error:
        print(f"segdemo: {error}", file=sys.stderr)
        return 2
    return 0


def _end(page: GuardedBlocks) -> None:
    """Stop all runs and end the process; a thread that is still inside PyTorch would abort it at Python's own end."""
    print("Stopping the page.")
    visits.end_all()
    page.engine.close()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # that it did not wait is no error
    server: Any = page.server
    server.force_exit = True  # pages that stand open would be waited for
    page.close(verbose=False)
    folder.claim().remove()
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name.startswith("AnyIO worker") for thread in threading.enumerate()):
        os._exit(0)


def asked_port() -> int | None:
    """Return the port that GRADIO_SERVER_PORT, or else PORT, asks for; None where neither does.

    Raises:
        InputError: it is no port.
    """
    word = os.environ.get("GRADIO_SERVER_PORT") or os.environ.get("PORT")
    if not word:
        return None
    if not (word.isascii() and word.isdecimal() and 0 < int(word) < 65536):
        raise InputError(
            "port_unusable",
            "{port!r} is no port. A whole number from 1 to 65535 is needed. Set GRADIO_SERVER_PORT or PORT to one.",
            port=word,
        )
    return int(word)


def check_place(name: str | None, port: int | None) -> None:
    """Make sure that the page can listen where it is asked to.

    Args:
        name: host name or address of this machine; None takes GRADIO_SERVER_NAME, or 127.0.0.1.
        port: None looks for a free one later.

    Raises:
        InputError: it cannot.
    """
    name = (name or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1").strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(name, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                "port_taken",
                "Port {port} is taken by another program. Set GRADIO_SERVER_PORT or PORT to a free one, or stop that "
                "program.",
                port=port,
            ) from error
        raise InputError(
            "place_unusable",
            "The page cannot listen at {name}, port {port}: {reason}. An address of this machine and a port that this "
            "user may open are needed. Set GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.",
            name=name,
            port=port,
            reason=error.strerror or error,
        ) from error
