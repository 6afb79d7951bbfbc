"""The lab of checkpoints: what of a state is loaded."""

from __future__ import annotations

import pytest
from PIL import Image

from segdemo.errors import InputError
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
