"""The labs of LeNet and of checkpoints: its rule and its parameters, and what of a state is loaded."""

from __future__ import annotations

import pytest
from PIL import Image

from segdemo.errors import InputError
from segdemo.labs.question import run


@pytest.mark.parametrize("written", ["attributes", "number", "name"])
def test_lenet_has_its_parameters_and_the_same_scores_however_it_is_written(written: str, picture: Image.Image) -> None:
    outcome = run("lenet", picture, {"written": written})
    assert outcome.facts["count"] == 81_194
    assert outcome.values["attributes"].tolist() == outcome.values["number"].tolist() == outcome.values["name"].tolist()


def test_lenet_takes_another_size_only_when_it_is_resized(picture: Image.Image) -> None:
    with pytest.raises(InputError, match=r"16 maps of 5 × 5 would be left of it, 400 values.* takes 576"):
        run("lenet", picture, {"side": 28})
    assert run("lenet", picture, {"side": 28, "resize": True}).values["name"].shape == (1, 10)


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
    ("given", "code"),
    [
        ({"way": "filtered", "classes": 3}, "state_shape"),
        ({"way": "not_strict", "classes": 3}, "state_shape"),
        ({"way": "whole", "inside": True}, "state_keys"),
        ({"way": "prefix"}, "state_keys"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_key(given: dict[str, object], code: str, picture: Image.Image) -> None:
    with pytest.raises(InputError) as caught:
        run("checkpoints", picture, given)
    assert caught.value.code == code


def test_freezing_leaves_the_gradients_of_what_is_new(picture: Image.Image) -> None:
    given = {"way": "dropped", "classes": 3, "freeze": True}
    assert run("checkpoints", picture, given).facts["gradients"] == 2
    assert run("checkpoints", picture, {"way": "whole", "freeze": True}).facts["gradients"] == 0
