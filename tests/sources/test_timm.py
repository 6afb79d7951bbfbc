"""Networks of timm: the configuration that each carries."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image

from segdemo import Segmenter
from segdemo.images import to_batch
from segdemo.sources import network_of
from tests.sources.conftest import made


def test_a_classifier_is_fed_as_its_configuration_says(noise: Image.Image) -> None:
    module = made(timm.create_model, "test_resnet", pretrained=False)
    segmenter = Segmenter(module)
    rule, told = segmenter.spec.preprocessing, import_module("timm.data").resolve_model_data_config(module)
    assert (rule.mean, rule.std, rule.size) == (told["mean"], told["std"], told["input_size"][-1])
    assert segmenter.spec.title == "test_resnet" and segmenter.spec.guesses == ()
    answer = segmenter.run(noise).answer
    with torch.no_grad():
        expected = module(to_batch(noise, rule)[0])[0].softmax(0).numpy()
    assert np.allclose(list(answer.values()), expected, atol=1e-6) and "goldfish" in list(answer)[1]


def test_a_transformer_is_given_its_one_size() -> None:
    assert network_of(made(timm.create_model, "test_vit", pretrained=False)).preprocessing.sizes == (160,)


def test_a_list_of_features_is_shown_by_its_largest_map() -> None:
    module: Any = made(timm.create_model, "test_resnet", pretrained=False, features_only=True)
    largest = module.feature_info.channels()[0]
    network = network_of(module)
    assert len(network.classes) == largest and "classes" in network.guesses
