"""Networks of torchvision: classes and colours without a download; what it offers untrained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.nn import functional as F

from segdemo import LocalEngine, Segmenter
from segdemo.images import to_batch
from segdemo.questions import Catalogue, Layers, Run
from segdemo.sources import OFFERED, network_of
from segdemo.sources.torchvision import MEAN, SEGMENTATION, STD
from tests.sources.conftest import made


def test_a_segmentation_network_answers_as_torchvision_reads_it(noise: Image.Image) -> None:
    module = made(torchvision.models.segmentation.lraspp_mobilenet_v3_large, weights=None, weights_backbone=None)
    segmenter = Segmenter(module)
    result = segmenter.run(noise, 256)
    batch, placement = to_batch(noise, segmenter.spec.preprocessing, 256)
    with torch.no_grad():
        out = module(batch)["out"][:, :, : placement.resized[1], : placement.resized[0]]
    expected = F.interpolate(out, (50, 70), mode="bilinear", align_corners=False)[0]
    assert segmenter.spec.guesses == () and result.names[:3] == ("background", "aeroplane", "bicycle")
    assert np.mean(result.mask == expected.argmax(0).numpy()) > 0.999  # rounding decides between equals


def test_a_classifier_knows_the_classes_of_imagenet(noise: Image.Image) -> None:
    module = made(torchvision.models.mobilenet_v3_small, weights=None)
    segmenter = Segmenter(module)
    answer = segmenter.run(noise, 128).answer
    with torch.no_grad():
        expected = module(to_batch(noise, segmenter.spec.preprocessing, 128)[0])[0].softmax(0)
    categories = torchvision.models.MobileNet_V3_Small_Weights.DEFAULT.meta["categories"]
    assert segmenter.spec.guesses == () and list(answer)[:2] == categories[:2] and len(answer) == 1000
    assert np.allclose(list(answer.values()), expected.numpy(), atol=1e-7)


def test_a_transformer_is_given_its_one_size(noise: Image.Image) -> None:
    module = made(
        torchvision.models.VisionTransformer,
        image_size=64,
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=16,
    )
    network = network_of(module)
    assert network.preprocessing.sizes == (64,) and network.task == "classification"


@pytest.mark.parametrize("name", SEGMENTATION)
def test_what_is_offered_untrained_is_what_torchvision_says(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    network = OFFERED[name]
    preset = weights.transforms()
    assert (tuple(preset.mean), tuple(preset.std)) == (MEAN, STD)
    assert list(network.names) == [category.strip("_") for category in weights.meta["categories"]]
    with torch.device("meta"):
        layers = dict(network.build(len(network.classes)).named_modules())
    assert {stage.layer for stage in network.stages} <= set(layers)
    told = {stage.label for stage in network.stages}
    assert all({*stage.inputs, *stage.skips} <= told for stage in network.stages)


def test_what_is_offered_untrained_is_built_only_when_asked_for(
    noise: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, **_: built.append(name))
    engine = LocalEngine(OFFERED)
    try:
        facts = {one.name: one for one in engine.answer(Catalogue())}
        assert not built and not any(facts[name].trained for name in SEGMENTATION)
        monkeypatch.undo()
        result = engine.answer(Run(SEGMENTATION[0], engine.keep(noise), 256))
        assert not result.trained and set(result.layers) == {stage.label for stage in OFFERED[SEGMENTATION[0]].stages}
        shapes = {info.name: info.shape for info in engine.answer(Layers(SEGMENTATION[0], 256))}
        assert [shapes[stage.layer][1] * 2**stage.row for stage in OFFERED[SEGMENTATION[0]].stages][:9] == [256] * 8 + [
            256
        ]
    finally:
        engine.close()
