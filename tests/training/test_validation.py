"""Scores while training are those of ``segdemo evaluate``, counted by another hand."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo.errors import InputError
from segdemo.evaluation import evaluate
from segdemo.training.validation import Learner, score
from tests.training.conftest import SPEC, Tiny, zipped


@pytest.mark.parametrize("limit", [None, 3])
def test_torchmetrics_and_evaluate_come_to_the_same(archive: Path, limit: int | None) -> None:
    torch.manual_seed(1)
    network = Tiny(2)
    counted = score(network, SPEC, archive, side=32, limit=limit, bfloat16=False)
    expected = evaluate(Learner(network.eval(), SPEC, 32, bfloat16=False), archive, limit=limit)
    assert counted == expected
    assert 0 < counted.miou < 1


def test_pixels_that_are_not_judged_do_not_count(tmp_path: Path) -> None:
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
    scores = score(Says(2), SPEC, archive, side=32)
    assert scores.iou == {"background": pytest.approx(1 / 2), "foreground": pytest.approx(1 / 2)}
    assert scores.pixel_accuracy == pytest.approx(2 / 3)


def test_missing_torchmetrics_is_said_with_what_to_do(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics.classification", None)
    with pytest.raises(InputError, match="pip install torchmetrics"):
        score(Tiny(2), SPEC, archive, side=32)
