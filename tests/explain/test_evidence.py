"""Evidence for a class: numbers by hand, captum's answer, the control, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.evidence import ClassEvidence, Evidence, cells_of, connected, correlation, strip
from segdemo.images import to_batch
from segdemo.questions import Run
from segdemo.results import Result
from tests.explain.conftest import SIZE

NETWORK = "unet_mobilenet_v2"


@pytest.fixture(scope="module")
def red(engine: LocalEngine) -> str:
    """255 red and 51 green on the left, the other way round on the right: the mask has both classes."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[:, :8, 0], pixels[:, :8, 1] = 255, 51
    pixels[:, 8:, 0], pixels[:, 8:, 1] = 51, 255
    return engine.keep(Image.fromarray(pixels))


@pytest.fixture(scope="module")
def cat(engine: LocalEngine) -> str:
    return engine.keep(example("chelsea"))


def test_a_linear_network_gives_the_numbers_worked_out_by_hand(engine: LocalEngine, red: str) -> None:
    """Logit 0 is 3 red + 1 green, summed over the 128 pixels on the left."""
    found: Evidence = engine.answer(ClassEvidence("linear", red, "First", "one"))
    assert found.target.sum() == 128 and found.target[:, :8].all()
    # the mean gradient of channel 0 is 3 × 128 / 256, of channel 1 it is 1 × 128 / 256
    assert found.map[0, 0] == pytest.approx(1.5 * 1 + 0.5 * 0.2)
    assert found.map[0, 15] == pytest.approx(1.5 * 0.2 + 0.5 * 1)
    each: Evidence = engine.answer(ClassEvidence("linear", red, "First", "one", method="hirescam"))
    assert each.map[0, 0] == pytest.approx(3 * 1 + 0.2) and each.map[0, 15] == 0
    assert each.map.sum() == pytest.approx(128 * 3.2)  # nothing is lost: the network is linear without biases
    alone: Evidence = engine.answer(ClassEvidence("linear", red, "First", "one", "pixel", (2, 3), method="gradient"))
    assert alone.map[3, 2] == pytest.approx(4.0) and np.count_nonzero(alone.map) == 1


def test_the_map_is_signed_unless_it_is_to_be_cut(engine: LocalEngine, cat: str) -> None:
    signed: Evidence = engine.answer(ClassEvidence(NETWORK, cat, "Encoder 4", "cat"))
    cut: Evidence = engine.answer(ClassEvidence(NETWORK, cat, "Encoder 4", "cat", positive=True))
    assert signed.map.min() < 0 < signed.map.max()
    np.testing.assert_array_equal(cut.map, np.maximum(signed.map, 0))


@pytest.mark.parametrize(("method", "oracle"), [("gradcam", LayerGradCam), ("hirescam", LayerGradientXActivation)])
@pytest.mark.parametrize("layer", ["features.13", "up2"])
def test_captum_says_the_same(engine: LocalEngine, cat: str, method: Any, oracle: Any, layer: str) -> None:
    module, rule = engine.open(NETWORK).module, engine.networks[NETWORK].preprocessing
    batch, placement = to_batch(engine.picture(cat).picture, rule)
    result: Result = engine.answer(Run(NETWORK, cat))
    index = result.names.index("cat")
    width, height = placement.resized
    cells = torch.from_numpy(cells_of(result.mask == index, (width, height)))

    def score(batch: torch.Tensor) -> torch.Tensor:
        return (module(batch)[:, index, :height, :width] * cells).sum((1, 2))

    words = {"relu_attributions": False} if method == "gradcam" else {}
    expected = oracle(score, module.get_submodule(layer)).attribute(batch, **words)[0].sum(0).detach().numpy()
    found: Evidence = engine.answer(ClassEvidence(NETWORK, cat, layer, "cat", method=method))
    np.testing.assert_allclose(found.map, expected, rtol=1e-3, atol=1e-4 * float(np.abs(expected).max()))
    assert correlation(found.map, expected) > 0.99


def test_the_control_differs_and_its_correlation_is_told(engine: LocalEngine, cat: str) -> None:
    found: Evidence = engine.answer(ClassEvidence(NETWORK, cat, "Bottleneck", "cat"))
    assert found.control is not None and found.control.shape == found.map.shape
    by_numpy = np.corrcoef(found.map.ravel(), found.control.ravel())[0, 1]
    assert found.correlation == pytest.approx(by_numpy, abs=1e-6)
    again: Evidence = engine.answer(ClassEvidence(NETWORK, cat, "Bottleneck", "cat", seed=1))
    assert again.control is not None and not np.array_equal(again.control, found.control)
    assert np.array_equal(again.map, found.map)
    assert not engine.open(NETWORK).changed


def test_a_map_that_does_not_depend_on_what_was_learned_is_said_to_explain_nothing() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = Evidence("x", "cat", maps, 2 * maps, correlation(maps, 2 * maps), np.ones((3, 4), bool), (4, 3), True)
    assert found.correlation == pytest.approx(1.0) and found.explains_nothing
    assert np.isnan(correlation(maps, np.ones_like(maps)))


def test_behind_the_last_weights_there_is_no_control(engine: LocalEngine, cat: str) -> None:
    found: Evidence = engine.answer(ClassEvidence(NETWORK, cat, "Logits", "cat"))
    assert found.control is None and found.correlation is None and not found.explains_nothing


def test_an_object_is_what_hangs_together_with_the_point() -> None:
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 0], [1, 1, 1, 0]], bool)
    np.testing.assert_array_equal(
        connected(mask, (0, 0)), np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0] * 4, [0] * 4], bool)
    )
    np.testing.assert_array_equal(connected(mask, (0, 3)).sum(), 4)
    spiral = np.zeros((9, 9), bool)
    spiral[0], spiral[:, 8], spiral[8], spiral[2:, 0], spiral[2, :7], spiral[2:7, 6], spiral[6, 2:7] = (True,) * 7
    assert connected(spiral, (0, 0)).sum() == spiral.sum()


def test_a_border_lies_within_an_object_or_around_it() -> None:
    part = np.zeros((9, 9), bool)
    part[2:7, 2:7] = True
    inner, outer = strip(part, "inner", 1), strip(part, "outer", 1)
    assert inner.sum() == 16 and not inner[3:6, 3:6].any() and (inner & ~part).sum() == 0
    assert outer.sum() == 20 and not (outer & part).any()  # four sides of five, no corners


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"name": "unicorn"}, "unknown_class"),
        ({"name": "person"}, "class_nowhere"),
        ({"name": "cat", "where": "pixel"}, "evidence_needs_point"),
        ({"name": "cat", "where": "object", "point": (451, 0)}, "point_outside"),
        ({"name": "cat", "where": "object", "point": (440, 10)}, "no_object_here"),
        ({"name": "cat", "where": "region"}, "empty_region"),
        ({"name": "cat", "where": "region", "region": ((900, 900), (950, 950))}, "empty_region"),
        ({"layer": "nowhere"}, "unknown_stage"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(
    engine: LocalEngine, cat: str, settings: dict[str, Any], code: str
) -> None:
    with pytest.raises(InputError) as refused:
        engine.answer(ClassEvidence(NETWORK, cat, settings.pop("layer", "Decoder 3"), **settings))
    assert refused.value.code == code


def test_a_classifier_gives_evidence_for_its_one_answer(engine: LocalEngine) -> None:
    digit = engine.keep(example("digit"))
    found: Evidence = engine.answer(ClassEvidence("lenet", digit, "Conv 2"))
    assert found.name == "5" and found.map.shape == (13, 13) and found.control is not None
