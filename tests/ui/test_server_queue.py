"""Whose turn it is: runs wait in a bounded line, everything else goes past them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

from segdemo.engine import Question
from segdemo.ui import queue
from segdemo.ui.guard import GuardedBlocks
from segdemo.ui.metrics import Metrics
from segdemo.ui.server import launch
from segdemo.ui.wanted import WantedEngine


class Site:
    """A page with a run that lasts until it is let go, and an event that is quick."""

    def __init__(self) -> None:
        self.go, self.left = threading.Event(), threading.Event()
        self.engine = WantedEngine(SimpleNamespace(answer=self.work))
        with GuardedBlocks(analytics_enabled=False) as self.page:
            box = gr.Number()
            settings: dict[str, Any] = {"inputs": box, "outputs": box, "api_visibility": "private"}
            run = {**settings, "concurrency_id": "segment", "concurrency_limit": 2}
            gr.Button().click(lambda _: self.go.wait(60), api_name="run", **run)
            gr.Button().click(lambda _: self.engine.answer(Question()), api_name="asks", **run)
            gr.Button().click(lambda number: number, api_name="quick", **settings)
        waiting = queue.install(self.page)
        self.page.metrics = Metrics(lambda: len(waiting()))
        _, self.address, _ = launch(self.page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        self.numbers = {fn.api_name: number for number, fn in self.page.fns.items()}

    def work(self, _: Question, should_continue: Callable[[], bool]) -> int:
        """Work, as an engine does, until nobody waits any more."""
        while should_continue():
            if self.go.wait(0.01):
                return 1
        self.left.set()
        return 0

    def join(self, name: str, session: str | None = None, language: str = "en") -> httpx.Response:
        """Ask as a page does, or, without a session, as a script does."""
        headers = {"accept-language": language}
        api = f"{self.address}gradio_api/"
        if session is None:
            return httpx.post(f"{api}call/{name}", json={"data": [1]}, headers=headers)
        body = {"data": [1], "fn_index": self.numbers[name], "session_hash": session}
        return httpx.post(f"{api}queue/join", json=body, headers=headers)

    def answer(self, session: str) -> dict[str, Any]:
        """Wait for what a page is told at the end of an event."""
        with httpx.stream("GET", f"{self.address}gradio_api/queue/data?session_hash={session}", timeout=60) as lines:
            for line in lines.iter_lines():
                if line.startswith("data:") and "process_completed" in line:
                    return dict(json.loads(line[5:]))
        raise AssertionError("no answer")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.go.set()
    site.page.close()


def test_one_visitors_runs_neither_shut_others_out_nor_hold_up_what_is_quick(site: Site) -> None:
    answers = [site.join("run") for _ in range(40)]  # two run, eight wait
    assert sum(answer.status_code == 200 for answer in answers) == 10
    assert "8 of your runs are waiting" in answers[-1].json()["detail"]
    assert site.join("quick", "visitor").status_code == 200
    assert site.answer("visitor")["output"]["data"] == [1]
    assert site.join("run", "visitor").status_code == 200
    site.go.set()
    assert site.answer("visitor")["success"] is True


@pytest.mark.parametrize(
    ("language", "words"), [("en", "3 runs are waiting, for about 3 s"), ("zh", "有 3 个运行正在等待，大约需要 3 秒")]
)
def test_a_full_queue_is_a_sentence_that_says_how_many_wait(
    site: Site, monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 3)
    for number in range(5):
        assert site.join("run", f"other{number}").status_code == 200
    assert site.join("run", "visitor", language).status_code == 200
    told = site.answer("visitor")
    assert told["success"] is False
    assert words in told["output"]["error"]
    assert site.join("quick", "visitor").status_code == 200


def test_a_run_for_which_a_newer_one_of_the_same_page_waits_is_not_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 2)
    line: Any = site.page._queue
    for number in range(2):
        site.join("run", f"busy{number}")
    while line.waiting():  # both are running
        pass
    for _ in range(5):
        site.join("run", "hurried")
    assert [event.session_hash for event in line.waiting()] == ["hurried"]
    assert site.join("run", "other").status_code == 200
    assert [event.session_hash for event in line.waiting()] == ["hurried", "other"]
    for _ in range(2):
        site.join("run")  # a script's are counted each, and here there is no room for them
    assert len(line.waiting()) == 2


def test_who_has_nothing_running_goes_before_who_has(site: Site) -> None:
    for _ in range(4):
        site.join("run", "first")
    site.join("run", "second")
    waiting = site.page._queue
    assert isinstance(waiting, queue.RunQueue)
    line = waiting.event_queue_per_concurrency_id["segment"]
    line.concurrency_limit = 0  # only look
    waiting.get_events()
    assert [event.session_hash for event in line.queue] == ["second", "first", "first"]


@pytest.mark.parametrize("name", ["run", "api"])
def test_nothing_passes_the_queue_by(site: Site, name: str) -> None:
    answer = httpx.post(f"{site.address}gradio_api/{name}/quick", json={"data": [1]})
    assert answer.status_code == 404


def test_a_run_whose_visitor_leaves_ends(site: Site) -> None:
    event = site.join("asks").json()["event_id"]
    with httpx.stream("GET", f"{site.address}gradio_api/call/asks/{event}", timeout=60) as answer:
        assert answer.status_code == 200
    assert site.left.wait(60)


def test_an_address_with_nothing_running_goes_before_one_with_many_visitors(site: Site) -> None:
    for number in range(4):
        site.join("run", f"of a crowd {number}")
    site.join("run", "alone")
    waiting = site.page._queue
    line = waiting.event_queue_per_concurrency_id["segment"]
    line.concurrency_limit = 0  # only look
    line.queue[-1].request.scope["client"] = ("127.0.0.9", 1)
    waiting.get_events()
    assert line.queue[0].session_hash == "alone"


def test_answers_that_nobody_fetches_are_forgotten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "UNREAD_SECONDS", 0)
    forget, done = queue.RunQueue._forget, threading.Event()

    def watched(*arguments: Any) -> None:
        forget(*arguments)
        done.set()

    monkeypatch.setattr(queue.RunQueue, "_forget", watched)
    site.join("quick", "visitor")
    assert done.wait(60)
    assert "visitor" not in site.page._queue.pending_messages_per_session
    assert "visitor" not in site.page._queue.pending_event_ids_session


def test_an_address_has_a_number_of_answers_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST_UNREAD", 1)
    old = site.join("quick").json()["event_id"]
    for _ in range(2):  # one of them ends after the old one, whatever their order
        event = site.join("quick").json()["event_id"]
        assert "complete" in httpx.get(f"{site.address}gradio_api/call/quick/{event}", timeout=60).text
    assert old not in site.page._queue.pending_messages_per_session


def test_a_script_leaves_no_session_behind(site: Site) -> None:
    site.go.set()
    for _ in range(5):
        event = site.join("quick").json()["event_id"]
        assert "complete" in httpx.get(f"{site.address}gradio_api/call/quick/{event}", timeout=60).text
    assert not site.page.server_app.state_holder.session_data
    assert site.page.server_app.state_holder.capacity == 300


def test_how_long_others_wait_is_reckoned_by_the_latest_runs(site: Site) -> None:
    line: Any = site.page._queue
    assert line.seconds(5) == 5  # as long as none has ended
    line._ends.extend([100.0, 102.0, 104.5, 106.0])  # three runs in six seconds
    assert (line.seconds(5), line.seconds(0)) == (10, 1)


def test_runs_that_wait_are_counted_for_those_who_run_the_page(site: Site) -> None:
    for number in range(3):
        site.join("run", f"visitor {number}")
    while httpx.get(f"{site.address}healthz").json()["waiting"] != 1:  # two are running
        pass
    assert "\nsegdemo_waiting_runs 1.0\n" in httpx.get(f"{site.address}metrics").text
