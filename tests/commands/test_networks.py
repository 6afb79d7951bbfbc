"""``segdemo networks``: the table."""

from __future__ import annotations

import pytest

from segdemo import NETWORKS, checkpoints
from segdemo.__main__ import main


def test_networks_lists_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "title", "trained", "classes", "parameters", "checkpoint", "side", "paper"]
    assert [line.split()[0] for line in lines[1:]] == list(NETWORKS)
    for line, spec in zip(lines[1:], NETWORKS.values(), strict=True):
        assert spec.title in line and spec.source in line and f"{spec.preprocessing.size} px" in line
        assert ("untrained" in line) == (not checkpoints.shipped(spec).sha256)
    assert "2,097,013" in lines[1]  # of DeepLabv3, batch norm folded
