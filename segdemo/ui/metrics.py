"""What the page tells those who run it: a line in the log for each run, counts for Prometheus, and that it is up."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator
from functools import cached_property
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from segdemo.engine import Cancelled, Engine, PictureSource, Progress, Question, Read, ShouldContinue, always
from segdemo.errors import InputError
from segdemo.questions import Catalogue, Run

LOG = logging.getLogger("segdemo.runs")
OTHERS = "other"  # networks that are no secret of a visitor's are named, all others are this one
BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # seconds


class Metrics:
    """Counts of one page, in a registry of their own.

    Args:
        waiting: says how many runs wait for their turn.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.waiting = waiting
        self.registry = CollectorRegistry()
        labels = ("question", "network")
        self._answers = Counter(
            "segdemo_questions", "Questions that were answered, or not.", (*labels, "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "segdemo_answer_seconds",
            "Seconds from a question to its answer, waiting included; what was remembered does not count.",
            labels,
            buckets=BUCKETS,
            registry=self.registry,
        )
        Gauge("segdemo_waiting_runs", "Runs that wait for their turn.", registry=self.registry).set_function(waiting)
        ProcessCollector(registry=self.registry)  # memory and processor time, where the system tells

    def observe(self, question: str, network: str, outcome: str, seconds: float) -> None:
        """Count one question.

        Args:
            question: its kind.
            network: a name of the catalogue, ``OTHERS``, or "" where it is about none.
            outcome: ``"answered"``, ``"remembered"``, ``"refused"`` with a sentence, ``"cancelled"`` or ``"failed"``.
            seconds: that it took.
        """
        self._answers.labels(question, network, outcome).inc()
        if outcome == "answered":
            self._seconds.labels(question, network).observe(seconds)

    def route(self, app: Starlette) -> None:
        """Serve ``/healthz`` and ``/metrics``, before whatever else the application serves."""

        def health(_: Request) -> JSONResponse:
            return JSONResponse({"status": "ok", "waiting": self.waiting()})

        def metrics(_: Request) -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        app.router.routes[:0] = [Route("/healthz", health), Route("/metrics", metrics)]


class MeasuredEngine:
    """An engine whose answers are counted, and whose runs leave a line in the log. See :class:`Engine`.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.metrics: Metrics | None = None  # whom to tell, once the page is there

    def __getattr__(self, name: str) -> Any:
        """What else the engine can do, it does as if it were asked itself."""
        return getattr(self._engine, name)

    def keep(self, picture: PictureSource) -> str:
        """Keep a picture."""
        return self._engine.keep(picture)

    def keeps(self, fingerprint: str) -> bool:
        """Say whether a picture is still kept."""
        return self._engine.keeps(fingerprint)

    def picture(self, fingerprint: str) -> Read:
        """Return a picture that is kept."""
        return self._engine.picture(fingerprint)

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """Yield ``Progress``, and then the answer."""
        started, outcome, worked = time.perf_counter(), "cancelled", False
        try:
            for event in self._engine.ask(question, should_continue):
                if isinstance(event, Progress):
                    worked = True
                else:
                    outcome = "answered" if worked else "remembered"
                yield event
        except InputError:
            outcome = "refused"
            raise
        except Cancelled:
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._tell(question, outcome, time.perf_counter() - started)

    def answer(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        """Return the answer."""
        *_, answer = self.ask(question, should_continue)
        return answer

    def close(self) -> None:
        """End all work."""
        self._engine.close()

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(facts.name for facts in self._engine.answer(Catalogue()))

    def _tell(self, question: Any, outcome: str, seconds: float) -> None:
        network = getattr(question, "network", "")
        if network:
            network = network if network in self._known else OTHERS
        if self.metrics is not None:
            self.metrics.observe(type(question).__name__, network, outcome, seconds)
        if isinstance(question, Run) and outcome != "remembered":
            LOG.info("run network=%s size=%s outcome=%s seconds=%.3f", network, question.size, outcome, seconds)


def are_served() -> bool:
    """Say whether ``/healthz`` and ``/metrics`` are served: unless SEGDEMO_METRICS is 0, but not on Hugging Face."""
    return os.environ.get("SEGDEMO_METRICS", "0" if "SPACE_ID" in os.environ else "1") == "1"


def log_runs() -> None:
    """Write the runs' lines to stderr, unless the program has made arrangements of its own."""
    if LOG.handlers or logging.getLogger().handlers or logging.getLogger("segdemo").handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
