"""`make load`: many clients and pages at once, each answer compared with what a Segmenter alone says.

Ends with 1 if any answer was wrong or lost. A refusal is an answer, with its sentence; it is counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped, unused-ignore]
from PIL import Image

from benchmarks import report
from benchmarks.browser import app
from benchmarks.load_pages import View, visit
from benchmarks.load_questions import Alone, Question, answers_alone, pictures, questions
from segdemo.examples import PHOTOGRAPHS

API = "gradio_api"
OUTCOMES = ("right", "wrong", "lost", "refused")
TELL = 60  # seconds between two lines on how it goes
REST = 0.5  # seconds before a client that was refused asks the next question


class Book:
    """Takes down what became of every request, from any thread."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.said: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, kind: str, outcome: str, seconds: float, words: str = "") -> None:
        """Take down one request: its kind, what became of it, how long it took, and what came instead."""
        with self._lock:
            self.outcomes[kind][outcome] += 1
            if outcome == "right":
                self.seconds[kind].append(seconds)
            else:
                self.said[f"{outcome}: {words}"] += 1

    def failed(self) -> bool:
        """Say whether any answer was wrong or lost."""
        return any(counts["wrong"] or counts["lost"] for counts in self.outcomes.values())

    def counts(self) -> str:
        """Say how many requests came to which end."""
        with self._lock:
            total: Counter[str] = sum(self.outcomes.values(), Counter())
        return ", ".join(f"{total[outcome]} {outcome}" for outcome in OUTCOMES)

    def table(self) -> report.Table:
        """Count, and give the times of right answers in seconds."""
        rows = []
        for kind, counts in sorted(self.outcomes.items()):
            times = sorted(self.seconds[kind])
            cuts = statistics.quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
            middle, high = (f"{cuts[9]:.2f} s", f"{cuts[18]:.2f} s") if times else ("–", "–")
            rows.append((kind, *(str(counts[outcome]) for outcome in OUTCOMES), middle, high))
        note = "Seconds from the upload, or from opening the page, to the whole answer; right answers only."
        return report.Table("Answers under load", note, ("kind", *OUTCOMES, "p50", "p95"), rows)


def main(words: list[str] | None = None) -> int:
    """Start the app, load it, and print what became of the requests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="asked by all clients together (default: 300)")
    parser.add_argument("--clients", type=int, default=32, help="asking at once (default: 32)")
    parser.add_argument("--pages", type=int, default=8, help="open in Chromium at once (default: 8)")
    parser.add_argument("--minutes", type=float, default=20, help="ask nothing new after that long (default: 20)")
    parser.add_argument("--rest", type=float, default=0, help="seconds that a page stands between two visits")
    parser.add_argument("--patience", type=float, default=300, help="seconds after which an answer counts as lost")
    options = parser.parse_args(words)
    print(report.machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="segdemo-load-") as folder:
        possible, chance = questions(pictures(Path(folder))), random.Random(0)
        asked = [chance.choice(possible) for _ in range(options.requests)]
        views = [
            (name, network, side)
            for name in PHOTOGRAPHS
            for network, side in (("deeplabv3_mobilenet_v2", 257), ("u2netp", 192), ("unet_narrow", 96))
        ]
        views = chance.sample(views, min(options.pages, len(views)))
        whole = [(one.picture, one.network, one.side) for one in asked]
        whole += [(Path(folder) / f"{name}.png", network, side) for name, network, side in views]
        alone = answers_alone(list(dict.fromkeys(whole)))
        seen = {view: alone[Path(folder) / f"{view[0]}.png", view[1], view[2]] for view in views}
        book, memory = _load(options, asked, alone, seen)
    print(f"\n{book.table().markdown()}\n\n{_over_time(memory)}", flush=True)
    for sentence, count in book.said.most_common(20):
        print(f"{count} × {sentence}")
    return 1 if book.failed() else 0


def _load(
    options: argparse.Namespace,
    asked: list[Question],
    alone: dict[tuple[Path, str, int], Alone],
    views: dict[View, Alone],
) -> tuple[Book, list[tuple[float, float]]]:
    """Let clients and pages ask; returns what became of it, and (seconds, MB) of the server's memory."""
    book, over, todo = Book(), threading.Event(), list(asked)
    deadline = time.monotonic() + 60 * options.minutes
    lock = threading.Lock()

    def client(number: int) -> None:
        # An address of its own where the system has all of 127.0.0.0/8, so that each is a visitor of its own.
        own = f"127.0.0.{2 + number % 250}" if sys.platform == "linux" else None
        transport = httpx.HTTPTransport(local_address=own)
        with httpx.Client(transport=transport, base_url=address, timeout=options.patience) as server:
            while time.monotonic() < deadline:
                with lock:
                    question = todo.pop() if todo else None
                if question is None:
                    return
                right = alone[question.picture, question.network, question.side]
                if _ask(server, question, right, book) == "refused":
                    time.sleep(REST)

    with app() as (address, _), ThreadPoolExecutor(options.clients + 1) as threads:
        watching = threads.submit(_watch, over, book)
        clients = [threads.submit(client, number) for number in range(options.clients)]
        try:
            everyone = lambda: all(one.done() for one in clients)  # noqa: E731
            if options.pages:
                asyncio.run(visit(address, views, options.pages, book.add, everyone, options.patience, options.rest))
            for one in clients:
                one.result()
        finally:
            todo.clear()
            over.set()
    return book, watching.result()


def _ask(server: httpx.Client, question: Question, right: Alone, book: Book) -> str:
    """Ask one question and take down what became of it."""
    started = time.monotonic()
    outcome, words = "lost", ""
    try:
        with question.picture.open("rb") as file:
            uploaded = server.post(f"{API}/upload", files={"files": (question.picture.name, file)})
        if uploaded.is_success:
            picture = {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}
            call = f"{API}/call/{question.endpoint}"
            given = server.post(call, json={"data": [picture, question.network, question.side]})
            if given.is_success:
                event, data = _last_event(server.get(f"{call}/{given.json()['event_id']}").text)
                outcome, words = _judge(event, data, question, right)
            else:
                outcome, words = _turned_away(given)
        else:
            outcome, words = _turned_away(uploaded)
    except (httpx.HTTPError, ValueError, KeyError, OSError) as error:
        words = f"{type(error).__name__} {error}"
    book.add(question.endpoint, outcome, time.monotonic() - started, words)
    return outcome


def _turned_away(answer: httpx.Response) -> tuple[str, str]:
    """Tell a refusal, which says so with 429 or 503, from a failure."""
    return "refused" if answer.status_code in (429, 503) else "lost", f"{answer.status_code} {answer.text[:200]}"


def _last_event(stream: str) -> tuple[str, Any]:
    """Return name and data of the event that ends a stream of server-sent events."""
    event, data = "", None
    for line in stream.splitlines():
        name, _, value = line.partition(": ")
        event, data = (value, None) if name == "event" else (event, json.loads(value) if name == "data" else data)
    return event, data


def _judge(event: str, data: Any, question: Question, right: Alone) -> tuple[str, str]:
    """Compare an answer with the right one, exactly."""
    if event != "complete":
        sentence = data if isinstance(data, str) else (data or {}).get("error")
        return ("refused", str(sentence)) if sentence else ("lost", f"{event or 'no event'}: {data}")
    (answer,) = data
    if question.endpoint == "layers":
        return ("right", "") if answer == right.layers else ("wrong", f"layers of {question.network}")
    with Image.open(io.BytesIO(base64.b64decode(answer.pop("mask_png").partition(",")[2]))) as mask:
        same = np.array_equal(np.array(mask), right.mask)
    del answer["seconds"]
    same = same and answer == right.facts | {"percent": right.percent}
    return ("right", "") if same else ("wrong", f"segment by {question.network}, {question.picture.name}")


def _watch(over: threading.Event, book: Book) -> list[tuple[float, float]]:
    """Read the memory of the server, which this process started, every half second: (seconds, MB).

    Now and then it is printed, with what has become of the requests: of a run that is cut off, that much is known.
    """
    (server,) = [one for one in psutil.Process().children() if "app.py" in one.cmdline()]
    taken: list[tuple[float, float]] = []
    started = told = time.monotonic()
    while True:
        ended = over.wait(0.5)
        try:
            used = sum(one.memory_info().rss for one in (server, *server.children(recursive=True)))
        except psutil.Error:
            return taken
        taken.append((time.monotonic() - started, used / 1e6))
        if time.monotonic() - told >= TELL:
            told = time.monotonic()
            print(f"{told - started:.0f} s: {book.counts()}; {used / 1e6:.0f} MB", flush=True)
        if ended:
            return taken


def _over_time(memory: list[tuple[float, float]]) -> str:
    """Write the server's memory in a dozen moments, its peak, and what came to it once it was warm."""
    if not memory:
        return "Memory: not read"
    few = memory[:: max(1, len(memory) // 12)]
    course = ", ".join(f"{used:.0f} MB at {seconds:.0f} s" for seconds, used in few)
    used = [megabytes for _, megabytes in memory]
    quarter = len(used) // 4
    warm, late = (statistics.median(part or used) for part in (used[quarter : 2 * quarter], used[3 * quarter :]))
    return (
        f"Memory of the server: {course}; {used[-1]:.0f} MB at the end, {max(used):.0f} at most. Median of the second "
        f"quarter {warm:.0f} MB, of the last {late:.0f} MB: {100 * (late / warm - 1):+.1f} %."
    )


if __name__ == "__main__":
    sys.exit(main())
