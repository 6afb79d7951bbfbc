"""What the page says from the server's side: texts in the visitor's language, and InputError as a message."""

from __future__ import annotations

import functools
import html
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr
from starlette.requests import Request

from segdemo.errors import InputError
from segdemo.ui.checks import checked_inputs
from segdemo.ui.texts import TEXTS

Handler = TypeVar("Handler", bound=Callable[..., Any])


def language_of(request: gr.Request | Request | None) -> str:
    """Return the language of a visitor's page: the one it chose, else the browser's; ``"en"`` or ``"zh"``.

    Args:
        request: as Gradio hands it to a handler; None outside a page.
    """
    if request is None:
        return "en"
    chosen = request.cookies.get("segdemo_language")
    if chosen in TEXTS:
        return str(chosen)
    accepted = request.headers.get("accept-language") or ""
    return "zh" if accepted.lower().startswith("zh") else "en"


def text(request: gr.Request | Request | None, key: str, **values: object) -> str:
    """Return a text of the page in the visitor's language.

    Args:
        request: as Gradio hands it to a handler.
        key: in ``ui/texts/*.json``.
        values: for its placeholders.
    """
    return TEXTS[language_of(request)][key].format(**values)


def sentence_of(error: InputError, request: gr.Request | None) -> str:
    """Return the text of an error in the visitor's language."""
    table = TEXTS[language_of(request)]
    translated = table.get(f"error.{error.code}")
    return translated.format(**error.values) if translated else str(error)


def warn_of(request: gr.Request | None, check: Callable[[str], object], word: str) -> None:
    """Say on the page what is wrong with a word, if something is, and go on.

    Args:
        request: as Gradio hands it to a handler.
        check: raises an InputError if it cannot use the word.
        word: from outside.
    """
    try:
        check(word)
    except InputError as error:
        gr.Warning(_shown(sentence_of(error, request)).message)


def error_of(error: InputError, request: gr.Request | None) -> gr.Error:
    """Return an error as the message to show on the page, in the visitor's language."""
    return _shown(sentence_of(error, request))


def failure(request: gr.Request | None) -> gr.Error:
    """Return what is shown when something failed that the visitor cannot mend."""
    return _shown(text(request, "page.failed"))


def _shown(sentence: str) -> gr.Error:
    """Gradio renders the text as HTML, and it may quote what somebody typed, even what UTF-8 cannot write."""
    safe = html.escape(sentence).encode("utf-8", "replace").decode("utf-8")
    return gr.Error(safe, duration=None, print_exception=False)


def polite(handler: Handler) -> Handler:
    """Check what a handler is given, and show an InputError as a message on the page; what the page shows stays.

    The handler takes the request as the keyword ``request``.
    """
    names = list(inspect.signature(handler).parameters)

    @functools.wraps(handler)
    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        request = next((value for value in arguments if isinstance(value, gr.Request)), keywords.get("request"))
        try:
            return handler(*checked_inputs(names, arguments), **keywords)
        except InputError as error:
            raise error_of(error, request) from error

    return wrapped  # type: ignore[return-value]
