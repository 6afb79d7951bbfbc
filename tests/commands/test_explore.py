"""``segdemo explore``: a network that a person's own code makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from PIL import Image

from segdemo import exploring
from segdemo.__main__ import main

CODE = """
import torch
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))


def build():
    return Net()


def raises():
    raise OSError("no\\ndisk")


class nested:
    network = Net()


number = 3
"""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """What the page was opened with; the code is in the folder that is worked in."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(exploring, "explore", lambda *arguments, **settings: calls.append((arguments, settings)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "net.py").write_text(CODE, "utf-8")
    yield calls
    for name in ("mine", "mine.net", "net"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("words", ["mine.net:build", "mine/net.py:build", "mine.net:Net", "mine.net:nested.network"])
def test_the_network_is_what_the_words_name(given: list[Any], words: str) -> None:
    assert main(["explore", words]) == 0
    ((network, classes), settings) = given[0]
    assert type(network).__name__ == "Net" and classes is None and settings["block"] is True


def test_weights_classes_and_pictures_are_taken_from_files(
    given: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = {"0.weight": torch.full((4, 3, 3, 3), 2.0), "2.weight": torch.zeros(9), "head": torch.zeros(1)}
    safetensors.torch.save_file(tensors, tmp_path / "w.safetensors")
    (tmp_path / "names.txt").write_text("sky\n\nroad\n", "utf-8")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "a.png")
    words = "mine.net:build --weights w.safetensors --classes names.txt --pictures photos --masks masks"
    assert main(["explore", *words.split(), "--side", "64", "--port", "7999"]) == 0
    ((network, classes), settings) = given[0]
    assert (network[0].weight == 2).all() and classes == ["sky", "road"]
    assert settings.pop("masks") == Path("masks")
    assert settings == {"pictures": [Path("photos/a.png")], "size": 64, "port": 7999, "block": True}
    said = capsys.readouterr().err
    assert "1 tensors of w.safetensors are loaded" in said and "another shape" in said and "head" in said
    assert "0.bias, 2.bias" in said


def test_names_may_be_a_list_in_json(given: list[Any], tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('["sky", "road"]', "utf-8")
    assert main(["explore", "mine.net:build", "--classes", "names.json"]) == 0
    assert given[0][0][1] == ["sky", "road"]


def test_one_of_our_networks_opens_by_its_name(given: list[Any]) -> None:
    assert main(["explore", "unet"]) == 0
    assert given[0][0][0] == "unet"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nothing", "names no network"),
        ("mine.net", "names no network"),
        ("mine.net:", "names no network"),
        ("mine.net:nix", "AttributeError"),
        ("mine.nix:build", "ModuleNotFoundError"),
        ("nix.py:build", "there is no file nix.py"),
        ("mine.net:raises", "OSError: no disk"),
        ("mine.net:build --classes nix.txt", "nix.txt"),
        ("mine.net:build --weights nix.pth", "nix.pth"),
    ],
)
def test_what_cannot_be_used_gets_one_sentence(
    given: list[Any], words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", *words.split()]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not given


def test_a_value_that_is_no_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "odd.py").write_text("number = 3\n", "utf-8")
    assert main(["explore", f"{tmp_path / 'odd.py'}:number"]) == 2
    assert "an int came where a network is needed" in capsys.readouterr().err
    sys.modules.pop("odd", None)
