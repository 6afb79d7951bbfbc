"""A picture through a network: the part of the logits that it takes, and what is made of them, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.networks import Network, Preprocessing
from segdemo.predictions import Predictor, predict
from segdemo.questions import Run
from tests.training.conftest import NETWORK

WIDE = Image.new("RGB", (8, 4), (255, 0, 0))
SQUARE = Preprocessing(size=32, sizes=(16, 32), stride=16, shape="square")


class Places(nn.Module):
    """Returns the row of each place as the first class's logit, and the column as the second's."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        height, width = batch.shape[2:]
        rows = torch.arange(height, dtype=torch.float32)[:, None].expand(height, width)
        columns = torch.arange(width, dtype=torch.float32)[None].expand(height, width)
        return torch.stack([rows, columns])[None] + self.weight


class Whole(nn.Module):
    """A classifier that answers the same of all pictures."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.log(torch.tensor([[0.25, 0.75]]))


def test_logits_are_cropped_to_the_part_that_the_picture_takes() -> None:
    prediction = predict(Places().eval(), SQUARE, WIDE, 16)
    assert prediction.batch.shape == (1, 3, 16, 16)
    assert prediction.placement.resized == (16, 8)
    assert prediction.logits.shape == (2, 8, 16) and prediction.logits.dtype == torch.float32
    assert prediction.logits[0, :, 0].tolist() == list(range(8))
    assert prediction.logits[1, 0].tolist() == list(range(16))
    assert prediction.size == 16


def test_size_left_out_is_that_of_the_rule_and_one_that_does_not_suit_is_refused() -> None:
    assert predict(Places(), SQUARE, WIDE).batch.shape == (1, 3, 32, 32)
    with pytest.raises(InputError) as caught:
        predict(Places(), SQUARE, WIDE, 17)
    assert caught.value.code == "working_size"


def test_modes_and_gradients_are_those_of_the_caller() -> None:
    network = Places().train()
    assert predict(network, SQUARE, WIDE).logits.requires_grad and network.training
    with torch.no_grad():
        assert not predict(network, SQUARE, WIDE).logits.requires_grad


def test_predictor_answers_in_the_size_of_the_picture_and_in_evaluation_mode() -> None:
    network = nn.Sequential(Places(), nn.Dropout2d(1.0)).train()  # in training mode, nothing would be left
    result = Predictor(network, replace(NETWORK, preprocessing=SQUARE), 16).run(WIDE)
    assert result.mask.shape == (4, 8) and result.input_size == 16 and not result.layers
    # pixel (x, y) lies at place (2 x + 0.5, 2 y + 0.5) of the batch: the column is greater right of the diagonal
    assert result.mask.tolist() == [[int(x > y) for x in range(8)] for y in range(4)]
    assert result.seen.size == (16, 16)
    assert network.training and network[1].training


def test_classifier_answers_for_the_whole_picture() -> None:
    spec = replace(NETWORK, task="classification")
    prediction = predict(Whole(), NETWORK.preprocessing, WIDE)
    assert prediction.logits.shape == (2, 1, 1)
    answer = Predictor(Whole(), spec).run(WIDE).answer
    assert answer == {"background": pytest.approx(0.25), "foreground": pytest.approx(0.75)}


def test_bfloat16_is_used_where_asked_for_and_float32_comes_back() -> None:
    seen: list[torch.dtype] = []

    class Dense(nn.Conv2d):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            output = super().forward(batch)
            seen.append(output.dtype)
            return output

    for precision in ("float32", "bfloat16"):
        result = Predictor(Dense(3, 2, 1), NETWORK, precision=precision).run(WIDE)
        assert result.logits.dtype == np.float32
        assert [note.code for note in result.notes] == ["half_precision"] * (precision == "bfloat16")
    with torch.autocast("cpu", torch.bfloat16):
        Predictor(Dense(3, 2, 1), NETWORK).run(WIDE)
    assert seen == [torch.float32, torch.bfloat16, torch.float32]


def test_run_of_an_engine_finds_what_predict_does() -> None:
    torch.manual_seed(3)
    spec: Network = replace(NETWORK, preprocessing=SQUARE)
    generator = np.random.default_rng(0)
    picture = Image.fromarray(generator.integers(0, 256, (20, 31, 3), np.uint8))
    engine = LocalEngine({"tiny": spec})
    result = engine.answer(Run("tiny", engine.keep(picture), 16))
    module = engine.open("tiny").module
    plain = Predictor(module, spec, 16).run(picture)
    with torch.inference_mode():
        logits = predict(module, spec.preprocessing, picture, 16).logits
    assert np.array_equal(result.logits, logits.numpy()) and np.array_equal(result.logits, plain.logits)
    assert np.array_equal(result.mask, plain.mask)
    assert (result.size, result.input_size, result.placement) == (plain.size, plain.input_size, plain.placement)
    engine.close()
