"""The page as strangers reach it: whatever is asked of it, and in whatever way, is answered with a sentence."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.blocks import Block
from gradio.route_utils import FnIndexInferError
from gradio.state_holder import SessionState
from starlette.requests import Request
from starlette.responses import JSONResponse

from segdemo.engine import Cancelled, Engine
from segdemo.errors import InputError
from segdemo.ui.files import checked_files
from segdemo.ui.messages import error_of, failure, page_ended, text
from segdemo.ui.metrics import Metrics
from segdemo.ui.wanted import asked_by

LOG = logging.getLogger(__name__)


class GuardedBlocks(gr.Blocks):
    """``gr.Blocks`` through which no request reaches a component or handler unchecked, and no error leaves unsaid.

    Every way into the page, its own events, the public and private endpoints, with and without the queue, and MCP,
    leads through :meth:`process_api`.
    """

    engine: Engine  # what answers its questions
    metrics: Metrics  # what became of them

    async def process_api(
        self, block_fn: BlockFunction | int, inputs: list[Any], *arguments: Any, **settings: Any
    ) -> dict[str, Any]:
        """Answer one request; an error becomes a sentence, and one that nobody expected stands in the log as well."""
        request, event = settings.get("request"), settings.get("event_data")
        try:
            if event is not None:
                checked_files(event._data)
            with asked_by(getattr(request, "session_hash", None)):
                return await super().process_api(block_fn, inputs, *arguments, **settings)
        except InputError as error:
            raise error_of(error, request) from error
        except Cancelled as error:
            raise error_of(page_ended(), request) from error
        except Exception as error:
            if isinstance(error, gr.Error) and not error.print_exception:
                raise  # a handler's own sentence
            LOG.exception("A request failed.")
            raise failure(request) from error

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> list[Any]:
        """Check the inputs of a request, then let the components read them.

        Raises:
            InputError: they are not what the page's function takes.
        """
        if block_fn.fn is None:
            raise InputError(
                "no_function",
                "The page has no function of that name or number that the server runs. "
                "Call one of those in the API documentation at the foot of the page.",
            )
        if len(inputs) != len(block_fn.inputs):
            raise InputError(
                "wrong_count",
                "The function takes {needed} values, but {came} came. Send as many as it takes, in its order.",
                needed=len(block_fn.inputs),
                came=len(inputs),
            )
        checked = [
            checked_files(value, text_is_path=_takes_files(block))
            for value, block in zip(inputs, block_fn.inputs, strict=True)
        ]
        try:
            return await super().preprocess_data(block_fn, checked, state, explicit_call)
        except (MemoryError, OSError):
            raise
        except Exception as error:
            raise InputError(
                "unusable_value",
                "The request holds a value that the page cannot use: none of its inputs has such. "
                "Reload the page and try again.",
            ) from error


def _answer(status: int, sentence: str) -> JSONResponse:
    """Write a sentence where both Gradio's client and its page look for it."""
    return JSONResponse({"detail": sentence, "error": sentence}, status)


def _refuse(request: Request, error: Exception) -> JSONResponse:
    LOG.warning("A request was refused: %r", error)
    return _answer(400, text(request, "page.no_such_request"))


def _fail(request: Request, error: Exception) -> JSONResponse:
    return _answer(500, text(request, "page.failed"))  # the server writes the log


# What is answered where a request fails before it reaches the page: Gradio looks up functions, components and names of
# arguments without asking whether there are such. For FastAPI's ``exception_handlers``.
HANDLERS: dict[Any, Any] = {
    **dict.fromkeys((FnIndexInferError, LookupError, TypeError, ValueError), _refuse),
    Exception: _fail,
}


def _takes_files(block: Block) -> bool:
    """Say whether a component takes files and nothing else, so that text on its own can only be a path."""
    return getattr(block, "data_model", None) is not None
