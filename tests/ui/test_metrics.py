"""What those who run the page see of it: counts, health, one line a run; nothing of pictures and their names."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from segdemo.engine import ANSWERS, LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.networks import NETWORKS, Network
from segdemo.questions import Run
from segdemo.ui import limits, metrics
from segdemo.ui.metrics import MeasuredEngine, Metrics


@pytest.fixture
def measured() -> Iterator[MeasuredEngine]:
    """A page's engine with LeNet alone, three runs waiting."""
    networks: dict[str, Network] = {"lenet": NETWORKS["lenet"]}
    engine = LocalEngine(networks)
    measured = MeasuredEngine(engine)
    measured.metrics = Metrics(lambda: 3)
    yield measured
    engine.close()


def read(measured: MeasuredEngine, path: str) -> str:
    """Ask for one of the addresses, and return what it says."""
    app = Starlette()
    assert measured.metrics is not None
    measured.metrics.route(app)
    answer = TestClient(app).get(path)
    assert answer.status_code == 200
    return answer.text


def counts(measured: MeasuredEngine) -> dict[tuple[str, ...], float]:
    """Return (question, network, outcome) → how many, for the questions that were asked."""
    families: Any = text_string_to_metric_families(read(measured, "/metrics"))
    labels = ("question", "network", "outcome")
    return {
        tuple(sample.labels[name] for name in labels): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "segdemo_questions_total"
    }


def test_what_became_of_each_question_is_counted_by_network(measured: MeasuredEngine) -> None:
    picture = measured.keep(example("digit"))
    for _ in range(3):
        measured.answer(Run("lenet", picture))
    for unknown in ("secret-of-a-visitor", "another"):
        with pytest.raises(InputError):
            measured.answer(Run(unknown, picture))
    given_up = measured.ask(Run("lenet", measured.keep(example("chelsea"))))
    next(given_up)
    given_up.close()
    assert counts(measured) == {
        ("Run", "lenet", "answered"): 1,
        ("Run", "lenet", "remembered"): 2,
        ("Run", "lenet", "cancelled"): 1,
        ("Run", "other", "refused"): 2,
    }


def test_the_counts_are_what_prometheus_reads_with_memory_and_waiting_runs(measured: MeasuredEngine) -> None:
    measured.answer(Run("lenet", measured.keep(example("digit"))))
    families: Any = {family.name: family for family in text_string_to_metric_families(read(measured, "/metrics"))}
    assert families["segdemo_waiting_runs"].samples[0].value == 3
    assert families["process_resident_memory_bytes"].samples[0].value > 50 << 20
    seconds = {sample.name: sample.value for sample in families["segdemo_answer_seconds"].samples}
    assert seconds["segdemo_answer_seconds_count"] == 1
    assert 0 < seconds["segdemo_answer_seconds_sum"] < 600


def test_health_says_how_many_wait_and_counts_of_two_pages_do_not_mix(measured: MeasuredEngine) -> None:
    assert read(measured, "/healthz") == '{"status":"ok","waiting":3}'
    assert Metrics(lambda: 0).registry is not REGISTRY  # nor with those of whoever else is in the process
    Metrics(lambda: 0)


def test_each_run_leaves_one_line_without_its_picture(
    measured: MeasuredEngine, caplog: pytest.LogCaptureFixture
) -> None:
    picture = measured.keep(example("digit"))
    with caplog.at_level(logging.INFO, "segdemo.runs"):
        for _ in range(2):  # the second is remembered
            measured.answer(Run("lenet", picture, 32))
        with pytest.raises(InputError):
            measured.answer(Run("somebody's own", picture, 32))
    lines = [record.getMessage().rpartition(" ")[0] for record in caplog.records]
    assert lines == ["run network=lenet size=32 outcome=answered", "run network=other size=32 outcome=refused"]
    assert picture not in caplog.text


@pytest.mark.parametrize(
    ("environment", "served"),
    [
        ({}, True),
        ({"SPACE_ID": "a/b"}, False),
        ({"SPACE_ID": "a/b", "SEGDEMO_METRICS": "1"}, True),
        ({"SEGDEMO_METRICS": "0"}, False),
    ],
)
def test_they_are_served_except_on_a_space_or_when_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], served: bool
) -> None:
    for name in ("SPACE_ID", "SEGDEMO_METRICS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert metrics.are_served() is served


@pytest.mark.parametrize(
    ("word", "size"), [("", ANSWERS), ("64M", 64 << 20), ("1.5 GB", 3 << 29), ("2 gib", 2 << 30), ("4096", 4096)]
)
def test_the_memory_for_answers_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, word: str, size: int
) -> None:
    monkeypatch.setenv("SEGDEMO_MEMORY", word)
    limits.check()
    assert limits.answers() == size


@pytest.mark.parametrize("word", ["much", "-1", "1 TB", "12 MB please", "٣"])
def test_an_amount_of_memory_that_is_none_is_a_sentence(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("SEGDEMO_MEMORY", word)
    with pytest.raises(InputError, match="SEGDEMO_MEMORY"):
        limits.check()
