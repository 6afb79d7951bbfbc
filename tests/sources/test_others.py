"""MONAI's networks, which nothing is known of; ultralytics', recognised by the name of their class."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from segdemo import Segmenter
from segdemo.sources import network_of
from tests.sources.conftest import made


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_unet_of_monai_is_taken_for_any_module(noise: Image.Image) -> None:
    unet: Any = importlib.import_module("monai.networks.nets").BasicUNet
    segmenter = Segmenter(made(unet, spatial_dims=2, in_channels=1, out_channels=2, features=(4, 4, 8, 8, 16, 4)))
    assert segmenter.spec.preprocessing.channels == 1 and segmenter.run(noise, 64).mask.shape == (50, 70)


class Like(nn.Module):
    """Returns what a -seg network of ultralytics does: boxes with coefficients, then features and prototypes."""

    def __init__(self) -> None:
        super().__init__()
        self.names = {0: "person", 1: "bicycle"}
        self.body = nn.Conv2d(3, 8, 4, stride=4)
        self.proto = nn.Conv2d(8, 4, 1)
        self.detect = nn.Conv2d(8, 4 + 2 + 4, 1)

    def forward(self, batch: Tensor) -> Any:
        maps = self.body(batch)
        boxes = self.detect(maps).flatten(2)
        boxes[:, :4] = boxes[:, :4].abs() * 40
        boxes[:, 4:6] = boxes[:, 4:6].sigmoid() ** 3
        return boxes, ([maps], boxes[:, 6:], self.proto(maps))


def test_ultralytics_is_known_by_the_name_of_its_classes_and_never_imported(
    monkeypatch: pytest.MonkeyPatch, noise: Image.Image
) -> None:
    monkeypatch.setattr(Like, "__module__", "ultralytics.nn.tasks")
    before = set(sys.modules)
    segmenter = Segmenter(made(Like))
    assert segmenter.classes == ("background", "person", "bicycle")
    assert segmenter.spec.guesses == () and segmenter.spec.preprocessing.mean == (0, 0, 0)
    assert segmenter.run(noise, 320).mask.shape == (50, 70)
    assert not any(name.startswith("ultralytics") for name in set(sys.modules) - before)


def test_no_library_is_imported_before_one_of_its_networks_comes() -> None:
    """A child process imports all of segdemo, and describes a module."""
    import subprocess

    code = (
        "import sys, torch; from segdemo.sources import network_of, OFFERED, libraries;"
        "assert 'nix' not in OFFERED and len(list(OFFERED)) and libraries.installed() and libraries.search('');"
        "network_of(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1)));"
        "print([n for n in ('torchvision', 'timm', 'transformers', 'segmentation_models_pytorch') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="ultralytics is AGPL and in no requirements"
)
def test_a_real_network_of_ultralytics_runs(noise: Image.Image) -> None:
    ultralytics: ModuleType = importlib.import_module("ultralytics")
    with torch.no_grad():
        segmenter = Segmenter(ultralytics.YOLO("yolov8n-seg.yaml"))
    assert segmenter.run(noise, 320).mask.shape == (50, 70) and network_of(segmenter.network).names[0] == "background"
