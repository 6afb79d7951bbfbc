"""The lab of checkpoints: what of a state is loaded."""

from __future__ import annotations

import pytest
from PIL import Image

from segdemo.labs.question import run


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"way": "whole"}, 16),  # 2 × (weight, bias) and 2 × (weight, bias, mean, variance, batches), and 2 of the head
        ({"way": "dropped"}, 14),
        ({"way": "dropped", "classes": 3}, 14),
        ({"way": "filtered_by_shape", "classes": 3}, 14),
        ({"way": "prefix", "inside": True}, 16),
        ({"way": "filtered", "inside": True}, 0),
        ({"way": "not_strict", "inside": True}, 0),
    ],
)
def test_what_is_loaded_is_what_fits(given: dict[str, object], count: int, picture: Image.Image) -> None:
    assert run("checkpoints", picture, given).facts["count"] == count


@pytest.mark.parametrize(
    ("given", "why", "count"),
    [
        ({"way": "filtered", "classes": 3}, "shape", 14),  # all but both of the head
        ({"way": "not_strict", "classes": 3}, "shape", 14),
        ({"way": "whole", "inside": True}, "names", 0),
        ({"way": "prefix"}, "names", 0),
        ({"way": "whole", "saved": "parallel"}, "names", 0),
        ({"way": "stripped", "saved": "larger"}, "names", 16),  # its head is left over
    ],
)
def test_what_does_not_fit_is_refused_after_all_that_fits_was_copied(
    given: dict[str, object], why: str, count: int, picture: Image.Image
) -> None:
    outcome = run("checkpoints", picture, given)
    assert (outcome.facts["refused"], outcome.facts["count"]) == (why, count)
    assert outcome.blocks[0].name == f"refused_{why}"


def test_prefix_of_parallel_training_is_taken_off(picture: Image.Image) -> None:
    facts = run("checkpoints", picture, {"saved": "parallel", "way": "stripped"}).facts
    assert (facts["count"], facts["refused"]) == (16, "")


def fates(picture: Image.Image, name: str, **given: object) -> dict[str, str]:
    tree = next(block for block in run("checkpoints", picture, given).blocks if block.name == name)
    return {leaf.key: leaf.fate for leaf in tree.leaves}  # type: ignore[union-attr]


def test_tree_tells_what_became_of_every_name(picture: Image.Image) -> None:
    given = {"way": "filtered", "classes": 3}
    network, file = fates(picture, "network", **given), fates(picture, "file", **given)
    assert {key for key, fate in network.items() if fate == "other_shape"} == {"fc.weight", "fc.bias"}
    assert {key for key, fate in file.items() if fate == "other_shape"} == {"fc.weight", "fc.bias"}
    assert set(network.values()) == {"loaded", "other_shape"}
    assert set(fates(picture, "file", way="dropped").values()) == {"used", "unused"}
    inside = fates(picture, "network", way="not_strict", inside=True)
    assert set(inside.values()) == {"random"}
    assert set(fates(picture, "file", way="not_strict", inside=True).values()) == {"unused"}


def test_box_of_the_figure_says_what_its_tensors_say(picture: Image.Image) -> None:
    outcome = run("checkpoints", picture, {"way": "prefix", "inside": True, "classes": 3})
    figure = next(block for block in outcome.blocks if block.name == "figure")
    said = {box.label: (box.note, box.count) for box in figure.boxes}  # type: ignore[union-attr]
    assert said["backbone.conv1"] == ("loaded", "2/2")
    assert said["backbone.bn1"] == ("loaded", "5/5")  # weight, bias, mean, variance, batches
    assert said["backbone.fc"] == ("other_shape", "0/2")
    assert said["head"] == ("random", "0/2")


def test_freezing_leaves_the_gradients_of_what_is_new(picture: Image.Image) -> None:
    given = {"way": "dropped", "classes": 3, "freeze": True}
    assert run("checkpoints", picture, given).facts["gradients"] == 2
    assert run("checkpoints", picture, {"way": "whole", "freeze": True}).facts["gradients"] == 0
