"""Scores while training are those of ``segdemo evaluate``, counted by another hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from segdemo.archives import Archive
from segdemo.evaluation import evaluate, survey
from segdemo.images import to_batch
from segdemo.predictions import Predictor
from segdemo.training.validation import score
from tests.training.conftest import NETWORK, SIZES, Tiny, pair, zipped


def test_score_agrees_with_torchmetrics_on_masks_worked_out_by_hand(archive: Path) -> None:
    from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

    torch.manual_seed(1)
    network = Tiny(2).eval()
    iou, accuracy = MulticlassJaccardIndex(2, average=None), MulticlassAccuracy(2, average="micro")
    for number in range(len(SIZES)):
        picture, truth = pair(number)
        batch, placement = to_batch(Image.fromarray(picture), NETWORK.preprocessing, 32)
        width, height = placement.resized
        with torch.inference_mode():
            logits = network(batch)[:, :, :height, :width]
        mask = functional.interpolate(logits, truth.shape, mode="bilinear", align_corners=False).argmax(1)
        for metric in (iou, accuracy):
            metric.update(mask, torch.from_numpy(truth)[None].long())
    scores = score(network, NETWORK, archive, side=32, bfloat16=False)
    assert list(scores.iou.values()) == pytest.approx(iou.compute().tolist())
    assert scores.accuracy == pytest.approx(float(accuracy.compute()))
    assert 0 < scores.miou < 1


@pytest.mark.parametrize("limit", [None, 3])
def test_score_is_that_of_evaluate_and_leaves_the_network_in_its_mode(archive: Path, limit: int | None) -> None:
    torch.manual_seed(1)
    network = Tiny(2).train()
    with Archive(archive) as file:
        reading = survey(file, file.some_pairs(limit), 2)
    counted = score(network, NETWORK, archive, side=32, limit=limit, bfloat16=False, reading=reading)
    assert counted == evaluate(Predictor(network, NETWORK, 32), archive, limit=limit)
    assert network.training and network.outc.training


def test_pixels_that_are_not_scored_do_not_count(tmp_path: Path) -> None:
    def png(values: list[list[int]]) -> bytes:
        file = io.BytesIO()
        Image.fromarray(np.array(values, np.uint8)).resize((32, 32), Image.Resampling.NEAREST).save(file, "PNG")
        return file.getvalue()

    class Says(Tiny):
        """Finds foreground in the left half of every picture."""

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(batch), 2, *batch.shape[2:])
            logits[:, 1, :, :16], logits[:, 0, :, 16:] = 1, 1
            return logits

    picture = png([[0, 0], [0, 0]])
    archive = zipped(tmp_path / "one.zip", {"images/a.png": picture, "masks/a.png": png([[1, 255], [0, 0]])})
    scores = score(Says(2), NETWORK, archive, side=32)
    assert scores.iou == {"background": pytest.approx(1 / 2), "foreground": pytest.approx(1 / 2)}
    assert scores.accuracy == pytest.approx(2 / 3)
