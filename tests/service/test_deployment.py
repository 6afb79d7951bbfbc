"""Which replicas an engine asks: those that are there, or coming up, for another page."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ray import serve

from segdemo.service import deployment
from segdemo.service.deployment import handle_of

CLUSTER: Any = SimpleNamespace(processors=4)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What Serve says of the application, one look after the other."""
    said: list[str] = []
    status = lambda: SimpleNamespace(applications={"a": SimpleNamespace(status=said.pop(0))} if said[0] else {})  # noqa: E731
    monkeypatch.setattr(deployment, "LOOK", 0)
    monkeypatch.setattr(serve, "start", lambda **_: None)
    monkeypatch.setattr(serve, "status", status)
    monkeypatch.setattr(serve, "get_app_handle", lambda name: f"found {name}")
    monkeypatch.setattr(serve, "run", lambda *_, **__: "deployed")
    yield said


@pytest.mark.parametrize(
    ("looks", "handle"),
    [
        (["RUNNING"], "found a"),
        (["DEPLOYING", "DEPLOYING", "RUNNING"], "found a"),
        (["UNHEALTHY"], "found a"),
        (["DEPLOYING", "DEPLOY_FAILED"], "deployed"),
        (["DELETING"], "deployed"),
        ([""], "deployed"),
    ],
)
def test_replicas_that_another_page_deploys_are_waited_for_and_not_deployed_anew(
    said: list[str], looks: list[str], handle: str
) -> None:
    said += looks
    assert handle_of(CLUSTER, "a", None, None, 1, 64) == handle
