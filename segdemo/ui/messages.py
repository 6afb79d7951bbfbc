"""What the page says from the server's side: texts in the visitor's language, and InputError as a message."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from segdemo.errors import InputError
from segdemo.notes import Note
from segdemo.ui.texts import TEXTS

Handler = TypeVar("Handler", bound=Callable[..., Any])


def language_of(request: gr.Request | None) -> str:
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


def text(request: gr.Request | None, key: str, **values: object) -> str:
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


def remark_of(note: Note, request: gr.Request | None) -> str:
    """Return what a note on a picture says, in the visitor's language; it may quote the name of a file."""
    translated = TEXTS[language_of(request)].get(f"note.{note.code}")
    return translated.format(**note.values) if translated else str(note)


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
        gr.Warning(html.escape(sentence_of(error, request)))  # Gradio renders it as HTML


def polite(handler: Handler) -> Handler:
    """Show an InputError of a handler as a message on the page; what the page shows already stays.

    The handler takes the request as the keyword ``request``.
    """

    @functools.wraps(handler)
    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        request = next((value for value in arguments if isinstance(value, gr.Request)), keywords.get("request"))
        try:
            return handler(*arguments, **keywords)
        except InputError as error:
            # Gradio renders the text as HTML, and it may quote what somebody typed.
            raise gr.Error(
                html.escape(sentence_of(error, request)),
                duration=None,
                print_exception=False,
            ) from error

    return wrapped  # type: ignore[return-value]
