"""``segdemo app``."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from segdemo.__main__ import main


def test_app_starts_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []
    monkeypatch.setitem(sys.modules, "segdemo.ui", SimpleNamespace(launch=lambda: started.append(True)))
    assert main(["app"]) == 0
    assert started == [True]
