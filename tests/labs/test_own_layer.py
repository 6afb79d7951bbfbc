"""The labs of one's own layer and of features: what is learned, what a hook sees, and which ways agree."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from segdemo.labs.lab import Table
from segdemo.labs.question import run


@pytest.mark.parametrize(
    ("given", "learned"),
    [
        ({"bias": False}, 6 * 3 * 9 + 2 * 6),
        ({"bias": True}, 6 * 3 * 9 + 6 + 2 * 6),
        ({"norm": False}, 6 * 3 * 9),
        ({"groups": 3, "norm": False}, 6 * 9),
        ({"written": "parameter"}, 6 * 3 * 9),
        ({"written": "functional"}, 0),
    ],
)
def test_what_is_learned_is_what_is_registered(given: dict[str, object], learned: int, picture: Image.Image) -> None:
    assert run("own_layer", picture, given).facts["learned"] == learned


def test_bias_is_pointless_before_a_normalisation_and_not_without(picture: Image.Image) -> None:
    assert run("own_layer", picture, {"bias": True}).facts["difference"] < 1e-4
    assert run("own_layer", picture, {"bias": True, "norm": False, "relu": False}).facts["difference"] == pytest.approx(
        5
    )


def test_view_of_a_hook_is_what_the_relu_made_of_it(picture: Image.Image) -> None:
    values = run("own_layer", picture, {}).values
    assert values["exact"].min() < 0
    np.testing.assert_array_equal(values["naive"], np.maximum(values["exact"], 0))
    values = run("own_layer", picture, {"inplace": False}).values
    np.testing.assert_array_equal(values["naive"], values["exact"])


def agreeing(picture: Image.Image, **given: object) -> dict[str, bool | None]:
    table = run("features", picture, given).blocks[0]
    assert isinstance(table, Table)
    return {row[0]: row[3] for row in table.rows}


def test_ways_disagree_where_a_later_layer_writes(picture: Image.Image) -> None:
    assert agreeing(picture, layer="bn") == {
        "returned": False,
        "hook": False,
        "copy": True,
        "graph": False,
        "children": True,
    }
    # Tracing makes of "out += x" an addition that writes elsewhere: the graph is another network than the module.
    assert agreeing(picture, layer="block.bn") == {
        "returned": None,
        "hook": False,
        "copy": True,
        "graph": True,
        "children": None,
    }


@pytest.mark.parametrize("layer", ["conv", "bn", "relu", "block.conv", "block.bn", "block.relu"])
def test_all_ways_agree_where_nobody_writes(layer: str, picture: Image.Image) -> None:
    assert False not in agreeing(picture, layer=layer, inplace=False).values()
