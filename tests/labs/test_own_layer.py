"""The labs of one's own layer and of features: what is learned, what a hook sees, and which ways agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.feature_extraction import create_feature_extractor

from segdemo.labs import features
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
    return {row[0]: row[4] for row in table.rows if row[4] is not None}


def test_ways_disagree_where_a_later_layer_writes(picture: Image.Image) -> None:
    assert agreeing(picture, layer="bn") == {
        "returned": False,
        "hook": False,
        "copy": True,
        "graph": True,
        "graph_later": False,
        "children": True,
    }
    # Tracing makes of "out += x" an addition that writes elsewhere: the graph is another network than the module.
    assert agreeing(picture, layer="block.bn") == {
        "hook": False,
        "copy": True,
        "graph": True,
        "graph_later": True,
    }


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("layer", features.LAYERS)
def test_ways_of_the_lab_are_those_of_torchvision_bit_for_bit(layer: str, inplace: bool) -> None:
    torch.manual_seed(3)
    net, batch = features.Net(inplace), torch.rand(1, 3, 12, 16)
    with torch.no_grad():
        for later in (False, True):
            wanted = [layer, "pool_1"] if later else [layer]
            theirs = create_feature_extractor(net, wanted)(batch)[layer]
            assert torch.equal(features.by_graph(net, layer, batch, later=later), theirs)
        if "." not in layer:
            theirs = IntermediateLayerGetter(net, {layer: layer})(batch)[layer]
            ours = features.by_children(net, layer, batch)
            assert ours is not None and torch.equal(ours, theirs)


def test_levels_of_the_pyramid_are_what_its_layers_put_out(picture: Image.Image) -> None:
    for layer in features.PYRAMID:
        assert agreeing(picture, layer=layer) == dict.fromkeys(
            ("pyramid", "hook", "copy", "graph", "graph_later", "children"), True
        )


@pytest.mark.parametrize("layer", features.LAYERS)
def test_all_ways_agree_where_nobody_writes(layer: str, picture: Image.Image) -> None:
    assert False not in agreeing(picture, layer=layer, inplace=False).values()


def test_step_of_an_optimiser_moves_what_is_registered_alone(picture: Image.Image) -> None:
    assert run("own_layer", picture, {}).values["moved"] > 0
    assert run("own_layer", picture, {"written": "parameter"}).values["moved"] > 0
    assert run("own_layer", picture, {"written": "functional"}).values["moved"] == 0
