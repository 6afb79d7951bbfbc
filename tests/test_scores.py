"""Channels ranked at a point, and in a class against outside, on a network of two layers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo import InputError
from segdemo.engine import LocalEngine
from segdemo.networks import Network, Preprocessing, Stage
from segdemo.networks.classes import declare
from segdemo.questions import ChannelScores

RED = [255, 255, 0, 0]
GREEN = [0, 51, 102, 153]  # 0, 0.2, 0.4, 0.6


def build(classes: int) -> nn.Module:
    """Three channels: red, minus green, 0. Two classes: 0.5 everywhere against red."""
    first, last = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 2, 1)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, 0]])[..., None, None])
        last.weight.copy_(torch.tensor([[0.0, 0, 0], [1, 0, 0]])[..., None, None])
        assert last.bias is not None
        last.bias.copy_(torch.tensor([0.5, 0]))
    return nn.Sequential(first, last)


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    by_hand = Network(
        name="hand",
        title="By hand",
        task="segmentation",
        build=build,
        classes=declare(("background", "cat")),
        stages=(Stage("First", "0", 0, 0), Stage("Last", "1", 0, 1, inputs=("First",))),
        preprocessing=Preprocessing(size=4, sizes=(4,), stride=4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        source="",
    )
    engine = LocalEngine({"hand": by_hand})
    yield engine
    engine.close()


@pytest.fixture
def picture(engine: LocalEngine) -> str:
    """4 × 2 pixels, so half of the batch is padding; the left half is red, which is a cat."""
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = RED, GREEN
    return engine.keep(Image.fromarray(pixels))


def test_at_a_point_a_channel_counts_by_its_absolute_value_there(engine: LocalEngine, picture: str) -> None:
    assert engine.answer(ChannelScores("hand", picture, "First", "point", (3, 1))) == pytest.approx([0, 0.6, 0])
    assert engine.answer(ChannelScores("hand", picture, "0", "point", (0, 0))) == pytest.approx([1, 0, 0])


def test_a_class_is_compared_with_the_rest_of_the_picture_and_not_with_its_padding(
    engine: LocalEngine, picture: str
) -> None:
    spread = np.std([0, 0.2, 0.4, 0.6])
    scores = [1 / 0.5, float((0.5 - 0.1) / spread), 0.0]  # red: 1 inside, 0 outside; minus green: -0.1 and -0.5
    assert engine.answer(ChannelScores("hand", picture, "First", "class", (1, 1))) == pytest.approx(scores)
    opposite = engine.answer(ChannelScores("hand", picture, "First", "class", (2, 0)))  # of the background
    assert opposite == pytest.approx([-score for score in scores])


def test_a_class_that_takes_everything_is_compared_with_nothing(engine: LocalEngine) -> None:
    red = engine.keep(Image.new("RGB", (4, 2), (255, 0, 0)))
    with pytest.raises(InputError, match="cat") as refusal:
        engine.answer(ChannelScores("hand", red, "First", "class", (0, 0)))
    assert refusal.value.code == "class_everywhere"


@pytest.mark.parametrize("by", ["point", "class"])
def test_a_point_outside_the_picture_has_no_scores(engine: LocalEngine, picture: str, by: str) -> None:
    with pytest.raises(InputError, match="4 × 2"):
        engine.answer(ChannelScores("hand", picture, "First", by, (4, 0)))  # type: ignore[arg-type]
