"""ZeroGPU on Hugging Face Spaces: a GPU that a process has only within a decorated call, which a forked process makes.

See https://huggingface.co/docs/hub/spaces-zerogpu. What goes in and comes out is pickled. The page's own process never
touches the GPU: the forked one opens networks of its own, there, and keeps them for the calls that follow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from segdemo.engine import LocalEngine, Question
from segdemo.errors import InputError
from segdemo.questions import OFFERED
from segdemo.service.ray_engine import pictures_of

Answered = tuple[str, Any]  # "answer" and it, or "refused" and the InputError
_engines: dict[str, LocalEngine] = {}  # of the forked process, by precision


def answer(question: Question, pictures: Mapping[str, Any], precision: str) -> Answered:
    """Answer a question on the GPU; :func:`engine` has ``spaces`` decorate this function.

    Args:
        question: about networks that go by their names alone.
        pictures: PIL, by fingerprint, those that it names.
        precision: as for :class:`LocalEngine`.
    """
    there = _engines.setdefault(precision, LocalEngine(OFFERED, device="auto", precision=precision))
    for picture in pictures.values():
        there.keep(picture)
    try:
        return "answer", there.answer(question)
    except InputError as error:  # any other exception reaches the page by its name alone
        return "refused", error


class ZeroEngine(LocalEngine):
    """Has what runs a network on a picture answered on the GPU, one question at a time, and all else here.

    Such a question reports no progress, and goes on when nobody waits for it any more: its process hears of nothing.

    Args:
        call: :func:`answer`, decorated.
        settings: as for :class:`LocalEngine`.
    """

    def __init__(self, call: Callable[[Question, Mapping[str, Any], str], Answered], **settings: Any) -> None:
        super().__init__(OFFERED, **settings)
        self._call = call

    def _worked_out(self, question: Question, job: Any) -> Any:
        named = pictures_of(question)
        if question.hollow or not named or not self.opened_networks.go_by_name(question):
            return super()._worked_out(question, job)
        kept = {fingerprint: self.picture(fingerprint).picture for fingerprint in named}
        kind, said = self._call(question, kept, self.precision)
        if kind == "refused":
            raise said
        return said


def engine(**settings: Any) -> ZeroEngine | None:
    """Return the engine for a Space with ZeroGPU; None anywhere else.

    Args:
        settings: as for :class:`LocalEngine`.
    """
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):  # as spaces reads it
        return None
    import spaces  # there, and only there, it is installed

    return ZeroEngine(spaces.GPU(answer), **settings)
