"""Whose turn it is on the page: runs wait in a bounded line, fairly; what a page does besides never waits for them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any, Literal

import fastapi
from gradio import route_utils
from gradio.block_function import BlockFunction
from gradio.blocks import Blocks
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.server_messages import ProcessCompletedMessage

from segdemo.errors import InputError
from segdemo.ui import memory
from segdemo.ui.limits import passes
from segdemo.ui.messages import sentence_of
from segdemo.ui.sessions import Visitors
from segdemo.ui.wanted import asked_while

MOST_WAITING = 64  # runs, of all visitors
MOST_OF_ADDRESS = 32  # of them, from one address: a class behind one router is one
MOST_OF_VISITOR = 8  # of them, from one page, or from one address through the API
MOST_QUICK = 64  # other events of one page
MOST_QUICK_OF_ADDRESS = 512
UNREAD_SECONDS = 600  # an answer that nobody fetches is kept no longer
MOST_UNREAD = 512  # answers of one address, fetched or not, after which the oldest is kept no longer
LATEST = 16  # runs by whose ends the time that others wait is reckoned
RUNS_AT_ONCE = 3 + passes()
THREADS = 60 + RUNS_AT_ONCE  # more than all runs take; not 40, which Gradio would share with the page and its files
AT_ONCE = 8  # events of one kind
# Of whatever starts a run. The engine works on one at a time, or several; others are read, and drawn, meanwhile.
RUNS: dict[str, Any] = {"concurrency_id": "segment", "concurrency_limit": RUNS_AT_ONCE}

Pushed = tuple[bool, Any, Literal["success", "error", "queue_full", "validator_error"]]


class RunQueue(Queue):
    """Gradio's queue, in which runs have a bounded place and every visitor a share of it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._visitors = Visitors()
        self._ends: deque[float] = deque(maxlen=LATEST)  # moments at which runs ended
        self._ended: dict[str, deque[tuple[str, str]]] = defaultdict(deque)  # by address

    async def push(self, body: PredictBodyInternal, request: fastapi.Request, username: str | None) -> Pushed:
        """Put an event in its line, or say how many wait already."""
        fn = route_utils.get_fn(self.blocks, None, body)
        refusal = self._refusal(fn, body.session_hash, request)
        if refusal is None:
            return await super().push(body=body, request=request, username=username)
        sentence = sentence_of(refusal, request)  # type: ignore[arg-type] # all it needs is headers and cookies
        if body.session_hash is None:
            return False, sentence, "queue_full"
        # The page shows a text of its own for any other answer than an event.
        return True, await self._refuse(Event(body.session_hash, fn, request, username), sentence), "success"

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """Choose what runs next: first those who have nothing running yet, then whose address has the least."""
        running = [event for job in self.active_jobs if job for event in job]
        visitors, addresses = Counter(map(_visitor, running)), Counter(_address(event.request) for event in running)
        for line in self.event_queue_per_concurrency_id.values():
            if line.queue:
                first = min(line.queue, key=lambda e: (visitors[_visitor(e)] > 0, addresses[_address(e.request)]))
                line.queue.remove(first)
                line.queue.insert(0, first)
        return super().get_events()

    async def process_events(self, events: list[Event], batch: bool, begin_time: float, fn: BlockFunction) -> None:
        """Answer events as long as somebody waits for them; what Gradio would remember for ever is forgotten."""
        try:
            with asked_while(lambda: any(event.alive for event in events)):
                await super().process_events(events, batch, begin_time, fn)
        finally:
            if _is_run(fn):
                self._ends.append(time.monotonic())
                await asyncio.to_thread(memory.give_back)
            for event in events:
                if event.session_hash == event._id:  # it came through the API, without a session
                    self._end_session(event._id)
                else:
                    for session in self._visitors.came(_address(event.request), event.session_hash):
                        self._end_session(session)
                asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._forget, event.session_hash, event._id)
                ended = self._ended[_address(event.request)]
                ended.append((event.session_hash, event._id))
                if len(ended) > MOST_UNREAD:
                    self._forget(*ended.popleft())

    def waiting(self) -> list[Event]:
        """Return the runs that wait for their turn; of a page its newest alone, for which the others end unseen."""
        runs = self._runs()
        newest = {event.session_hash: event for event in runs}
        return [event for event in runs if event is newest[event.session_hash] or not _gives_way(event)]

    def _runs(self) -> list[Event]:
        return [e for line in self.event_queue_per_concurrency_id.values() for e in line.queue if _is_run(e.fn)]

    def seconds(self, count: int) -> int:
        """Say how long so many waiting runs will about take: as the latest runs came to their ends, a second at least.

        Args:
            count: how many.
        """
        ends = self._ends
        each = (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else 1.0
        return max(1, round(count * each))

    def _refusal(self, fn: BlockFunction, session: str | None, request: fastapi.Request) -> InputError | None:
        if not _is_run(fn):
            lines = self.event_queue_per_concurrency_id.values()
            others = [event for line in lines for event in line.queue if not _is_run(event.fn)]
            own = sum(event.session_hash == session for event in others)
            near = sum(_address(event.request) == _address(request) for event in others)
            if own >= MOST_QUICK or near >= MOST_QUICK_OF_ADDRESS:
                return InputError(
                    "page_busy",
                    "{count} clicks of yours are waiting to be answered. Please wait until they are.",
                    count=max(own, near),
                )
            return None
        waiting = self.waiting()
        address = _address(request)
        visitor = session or address
        if len(waiting) >= MOST_WAITING or sum(_address(e.request) == address for e in waiting) >= MOST_OF_ADDRESS:
            return InputError(
                "queue_full",
                "Many visitors are here: {count} runs are waiting, for about {seconds} s. Please try again then.",
                count=len(waiting),
                seconds=self.seconds(len(waiting)),
            )
        own = sum(_visitor(event) == visitor for event in self._runs())
        if own >= MOST_OF_VISITOR:
            return InputError(
                "own_runs_waiting",
                "{count} of your runs are waiting already, and there is a limit for each visitor. "
                "Please wait until one of them is done.",
                count=own,
            )
        return None

    async def _refuse(self, event: Event, sentence: str) -> str:
        session = event.session_hash
        async with self.pending_message_lock:
            if session not in self.pending_messages_per_session:
                self.pending_messages_per_session[session] = asyncio.Queue()
            self.pending_event_ids_session.setdefault(session, set()).add(event._id)
        output = {"error": sentence, "visible": True, "duration": None, "title": "Error"}
        self.send_message(event, ProcessCompletedMessage(output=output, title="Error", success=False))
        return event._id

    def _forget(self, session: str, event: str) -> None:
        """Forget the answers to a visitor who has not fetched this one."""
        if event in self.pending_event_ids_session.get(session, ()):
            self.pending_messages_per_session.pop(session, None)
            self.pending_event_ids_session.pop(session, None)

    def _end_session(self, session: str) -> None:
        if self.server_app is not None:
            self.server_app.state_holder.session_data.pop(session, None)
            self.server_app.state_holder.time_last_used.pop(session, None)


def install(page: Blocks) -> Callable[[], list[Event]]:
    """Give a page its queue; nothing passes it by.

    Args:
        page: complete, but not yet started.

    Returns:
        What says which runs wait for their turn.
    """
    page.max_threads = THREADS
    page.queue(api_open=False, default_concurrency_limit=AT_ONCE)
    page._queue = queue = RunQueue(
        live_updates=True,
        concurrency_count=THREADS,
        update_intervals=1,
        max_size=None,
        blocks=page,
        default_concurrency_limit=AT_ONCE,
    )
    return queue.waiting


def _is_run(fn: BlockFunction) -> bool:
    """Say whether an event runs a network: Run and what acts like it, and the public endpoints."""
    return bool(fn.concurrency_id == RUNS["concurrency_id"])


def _gives_way(event: Event) -> bool:
    """Say whether a run ends as soon as its turn comes when a newer one of the same page waits; endpoints' do not."""
    return bool(event.fn.api_visibility == "private") and event.session_hash != event._id


def _visitor(event: Event) -> str:
    return _address(event.request) if event.session_hash == event._id else event.session_hash


def _address(request: fastapi.Request) -> str:
    return request.client.host if request.client else ""
