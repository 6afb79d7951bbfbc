"""What the page says from the server's side: texts in the visitor's language, and InputError as a message."""

from __future__ import annotations

import functools
import html
import inspect
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr
from starlette.requests import Request

from segdemo.engine import Cancelled
from segdemo.errors import InputError, Phrase
from segdemo.notes import Note
from segdemo.ui.checks import checked_inputs
from segdemo.ui.texts import TEXTS

LOG = logging.getLogger(__name__)
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
    return translated.format(**_in_words_of(table, error.values)) if translated else str(error)


def _in_words_of(table: dict[str, str], values: dict[str, object]) -> dict[str, object]:
    """Return the values of a sentence; those that are words of ours, and no name or number, in a language."""
    return {name: _in_words(table, value) for name, value in values.items()}


def _in_words(table: dict[str, str], value: object) -> object:
    if isinstance(value, Phrase) and f"phrase.{value.code}" in table:
        return table[f"phrase.{value.code}"].format(**value.values)
    return table.get(f"value.{value}", value)


def note_text(note: Note, request: gr.Request | None) -> str:
    """Return a note on how a picture was read in the visitor's language, as Markdown that shows it as it is."""
    table = TEXTS[language_of(request)]
    translated = table.get(f"note.{note.code}")
    return html.escape(translated.format(**_in_words_of(table, note.values)) if translated else str(note))


def warn(error: InputError, request: gr.Request | None) -> None:
    """Say on the page what is wrong with something that it can do without, and go on.

    It stands there until it is closed: a page may take longer to come than a message that goes by itself lasts.
    """
    gr.Warning(_shown(sentence_of(error, request)).message, duration=None)


def error_of(error: InputError, request: gr.Request | None) -> gr.Error:
    """Return an error as the message to show on the page, in the visitor's language."""
    return _shown(sentence_of(error, request))


def page_ended() -> InputError:
    """Return what to say when the engine closes while something is asked of it."""
    return InputError("page_ended", "The page is being stopped and answers nothing more. Open it again in a while.")


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


def answering(function: Handler) -> Handler:
    """Let a panel's server function answer what went wrong as ``{"error": sentence}``, for its script to show.

    It takes what the script asks, a mapping, and the request; one that nobody expected stands in the log as well.
    """

    @functools.wraps(function)
    def wrapped(asked: Any, request: gr.Request) -> Any:
        try:
            return function(asked if isinstance(asked, dict) else {}, request)
        except InputError as error:
            return {"error": sentence_of(error, request)}
        except Cancelled:
            return {"error": sentence_of(page_ended(), request)}
        except Exception:
            LOG.exception("A panel's question failed.")
            return {"error": text(request, "page.failed")}

    return wrapped  # type: ignore[return-value]
