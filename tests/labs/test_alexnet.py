"""The lab of AlexNet: its parameters and shapes, its tricks against their definitions, YOLO's grid, residual blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.labs.alexnet_blocks import AlexNet, stored, ten_crops
from segdemo.labs.lab import Table
from segdemo.labs.question import run
from segdemo.labs.residual_blocks import ResNet


def test_alexnet_has_its_61_million_parameters_nearly_all_in_linear_layers(picture: Image.Image) -> None:
    outcome = run("alexnet", picture, {})
    assert int(outcome.values["parameters"]) == 61_100_840
    assert int(outcome.values["linear"]) == 58_631_144
    table = next(block for block in outcome.blocks if isinstance(block, Table))
    assert sum(row[3] for row in table.rows) == 61_100_840


def test_shapes_and_names_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        ours, theirs = AlexNet(1000), torchvision.models.alexnet()
    assert {n: v.shape for n, v in ours.state_dict().items()} == {n: v.shape for n, v in theirs.state_dict().items()}


def test_shapes_through_the_network_are_those_of_the_formula(picture: Image.Image) -> None:
    shapes = run("alexnet", picture, {"side": 224}).facts["shapes"]
    assert [shapes[place] for place in (0, 2, 5, 12, 13, 14)] == [
        "(1, 64, 55, 55)",
        "(1, 64, 27, 27)",
        "(1, 192, 13, 13)",
        "(1, 256, 6, 6)",
        "(1, 256, 6, 6)",
        "(1, 9216)",
    ]


def test_trained_weights_read_by_hand_are_those_of_the_checkpoint(picture: Image.Image) -> None:
    from safetensors.torch import load_file

    path = checkpoints.folder() / "alexnet.safetensors"
    ours, theirs = stored(str(path)), load_file(path)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name].float()) for name in theirs)
    values = [run("alexnet", picture, {"part": "relu", "weights": w}).values["before"] for w in ("random", "trained")]
    assert not np.array_equal(values[0], values[1])


def test_normalisation_among_channels_is_the_sum_written_out(picture: Image.Image) -> None:
    outcome = run("alexnet", picture, {"part": "lrn", "neighbours": 4, "alpha": 0.5, "beta": 0.5, "k": 1.5})
    before, after = outcome.values["before"][0], outcome.values["after"][0]
    for channel in (0, 1, 30, 62, 63):  # of four channels, two lie before and one after
        near = before[max(channel - 2, 0) : channel + 2].astype(float)
        divisor = (1.5 + 0.5 / 4 * (near**2).sum(0)) ** 0.5
        np.testing.assert_allclose(after[channel], before[channel] / divisor, rtol=1e-5)
    assert outcome.facts["written"] == pytest.approx(after[outcome.facts["place"]], rel=1e-5)


def test_dropout_keeps_the_mean_in_training_and_everything_in_evaluation(picture: Image.Image) -> None:
    trained = run("alexnet", picture, {"part": "dropout", "p": 0.25}).values
    before, after = trained["before"], trained["after"]
    live = before > 0
    assert (after[live] == 0).mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(after[after > 0], before[after > 0] / 0.75, rtol=1e-6)
    values = run("alexnet", picture, {"part": "dropout", "p": 0.25, "training": False}).values
    np.testing.assert_array_equal(values["before"], values["after"])


def test_ten_crops_are_those_of_torchvision_in_an_order_of_their_own() -> None:
    values = torch.rand(1, 3, 20, 30)
    theirs = torchvision.transforms.functional.ten_crop(values[0], 8)
    ours = ten_crops(values, 8)
    assert len(ours) == 10
    assert all(any(torch.equal(one, other) for other in theirs) for one in ours)
    assert all(any(torch.equal(one, other) for one in ours) for other in theirs)


def test_crop_larger_than_the_picture_is_refused(picture: Image.Image) -> None:
    with pytest.raises(InputError, match="100 × 100 pixels is larger than the picture, 64 × 64"):
        run("alexnet", picture, {"part": "ten_crop", "crop": 100, "size": 64})


def test_numbers_of_a_cell_lie_side_by_side_in_the_row(picture: Image.Image) -> None:
    outcome = run("alexnet", picture, {"part": "yolo", "row": 2, "column": 5})
    flat, cell = outcome.values["flat"][0], outcome.values["cell"]
    assert flat.shape == (7 * 7 * 30,)
    np.testing.assert_array_equal(cell, flat[(2 * 7 + 5) * 30 : (2 * 7 + 6) * 30])
    assert outcome.blocks[0].lines[2].endswith("= 205,524,992")  # type: ignore[union-attr]


@pytest.mark.parametrize(("layers", "count"), [("18", 11_689_512), ("34", 21_797_672)])
def test_residual_networks_have_the_parameters_of_the_paper(layers: str, count: int, picture: Image.Image) -> None:
    assert run("alexnet", picture, {"part": "residual", "layers": layers}).facts["parameters"] == count


def test_residual_network_answers_as_torchvisions_with_the_same_weights() -> None:
    torch.manual_seed(0)
    ours, theirs = (
        ResNet([1, 1, 1, 1], 64, 7, True, True),
        torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=7),
    )
    theirs.load_state_dict(ours.state_dict())
    batch = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(batch)[-1], theirs.eval()(batch), rtol=0, atol=0)


def test_identity_carries_the_gradient_to_the_first_block(picture: Image.Image) -> None:
    def ratio(**given: Any) -> float:
        return float(
            run("alexnet", picture, {"part": "residual", "norm": False, "layers": "34", **given}).facts["ratio"]
        )

    assert ratio() > 1e-3
    assert ratio(identity=False) < 1e-9


def test_sigmoid_loses_the_gradient_that_relu_keeps(picture: Image.Image) -> None:
    slopes = {
        act: run("alexnet", picture, {"part": "relu", "act": act}).values["slopes"] for act in ("relu", "sigmoid")
    }
    assert slopes["sigmoid"][0] / slopes["sigmoid"][-1] < slopes["relu"][0] / slopes["relu"][-1] / 10


def test_tasks_are_done_by_what_their_hints_say(picture: Image.Image) -> None:
    from segdemo.labs import alexnet
    from segdemo.labs.question import checked

    for task, given in zip(
        alexnet.TASKS,
        (
            {"classes": 100},
            {"part": "dropout", "training": False},
            {"part": "residual", "layers": "34", "norm": False, "identity": False},
        ),
        strict=True,
    ):
        for other in alexnet.TASKS:
            is_done = other.is_done(checked("alexnet", given), run("alexnet", picture, given))  # type: ignore[arg-type]
            assert is_done is (other is task) or (other.name, task.name) == ("smaller", "evaluated")
