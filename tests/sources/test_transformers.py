"""Networks of transformers: labels, and the answer of the library's own post-processing, pixel by pixel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as T
from PIL import Image

from segdemo import Segmenter
from segdemo.images import to_batch
from segdemo.outputs import read
from segdemo.sources import network_of
from tests.sources.conftest import made

LABELS = {0: "wall", 1: "floor", 2: "tree", 3: "lake"}


def segformer(**settings: Any) -> torch.nn.Module:
    return made(
        T.SegformerForSemanticSegmentation,
        T.SegformerConfig(
            num_encoder_blocks=4,
            depths=[1] * 4,
            hidden_sizes=[8, 16, 16, 32],
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=16,
            **settings,
        ),
    )


def swin() -> Any:
    config: Any = T.SwinConfig
    return config(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def mask2former() -> torch.nn.Module:
    return made(
        T.Mask2FormerForUniversalSegmentation,
        T.Mask2FormerConfig(
            backbone_config=swin(),
            feature_size=32,
            mask_feature_size=32,
            hidden_dim=32,
            encoder_layers=1,
            decoder_layers=2,
            num_attention_heads=2,
            num_queries=7,
            dim_feedforward=32,
            encoder_feedforward_dim=32,
            id2label=LABELS,
        ),
    )


def maskformer() -> torch.nn.Module:
    return made(
        T.MaskFormerForInstanceSegmentation,
        T.MaskFormerConfig(
            backbone_config=swin(),
            fpn_feature_size=32,
            mask_feature_size=32,
            decoder_config=T.DetrConfig(
                d_model=32,
                encoder_layers=1,
                decoder_layers=1,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                num_queries=7,
            ),
            id2label=LABELS,
        ),
    )


def test_the_mask_is_that_of_the_librarys_own_post_processing(noise: Image.Image) -> None:
    module = segformer(id2label=LABELS)
    segmenter = Segmenter(module)
    assert segmenter.classes == tuple(LABELS.values()) and segmenter.spec.guesses == ("normalisation", "size")
    with torch.no_grad():
        output = module(to_batch(noise, segmenter.spec.preprocessing, 128)[0])
    (expected,) = T.SegformerImageProcessor().post_process_semantic_segmentation(output, target_sizes=[(50, 70)])
    mask = segmenter.run(noise, 128).mask
    assert np.mean(mask == expected.numpy()) > 0.999 and len(np.unique(mask)) > 1  # rounding decides between equals


@pytest.mark.parametrize(
    ("build", "processor"),
    [(mask2former, T.Mask2FormerImageProcessor), (maskformer, T.MaskFormerImageProcessor)],
    ids=["Mask2Former", "MaskFormer"],
)
def test_masks_with_class_queries_are_added_up_as_the_library_does(build: Any, processor: Any, noise: Any) -> None:
    module = build()
    segmenter = Segmenter(module)
    assert segmenter.classes == tuple(LABELS.values())
    with torch.no_grad():
        output = module(to_batch(noise, segmenter.spec.preprocessing, 128)[0])
    (expected,) = processor().post_process_semantic_segmentation(
        output, target_sizes=[(50, 70)], return_segmentation_scores=True
    )
    scores, result = expected["segmentation_scores"], segmenter.run(noise, 128)
    for index, name in LABELS.items():
        assert np.allclose(result.probability(name), (scores[index] / scores.sum(0)).numpy(), atol=1e-5)
    assert np.mean(result.mask == expected["segmentation"].numpy()) > 0.999


def test_masks_with_class_queries_of_the_original_repositories_are_read_alike() -> None:
    classes, masks = torch.randn(1, 7, 5), torch.randn(1, 7, 16, 24)
    ours = read({"pred_logits": classes, "pred_masks": masks, "aux_outputs": []}, (64, 96))
    detr = SimpleNamespace(logits=classes, pred_masks=masks, pred_boxes=torch.rand(1, 7, 4))
    shares = torch.zeros(4, 16, 24)
    for query in range(7):
        for index in range(4):
            shares[index] += classes[0, query].softmax(0)[index] * masks[0, query].sigmoid()
    for found in (ours, read(detr, (64, 96))):
        assert torch.allclose(found.values, shares, atol=1e-5) and found.ending == "shares"


def test_labels_that_only_count_are_guesses() -> None:
    network = network_of(segformer(num_labels=5))
    assert "classes" in network.guesses and network.names[0] == "class 0"


def test_the_numbers_of_an_image_processor_are_taken(noise: Image.Image) -> None:
    processor = T.SegformerImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7], size=96)
    rule = network_of(segformer(id2label=LABELS), preprocessing=processor).preprocessing
    assert (rule.mean, rule.std, rule.size, rule.shape) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), 96, "stretch")
    batch, _ = to_batch(noise, rule)
    theirs = processor(noise, return_tensors="pt")["pixel_values"]
    assert batch.shape == theirs.shape and float((batch - theirs).abs().mean()) < 0.05


def test_a_classifier_of_the_library_is_one(noise: Image.Image) -> None:
    config = T.ViTConfig(
        image_size=64, patch_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config.id2label = LABELS
    segmenter = Segmenter(made(T.ViTForImageClassification, config))
    assert segmenter.spec.task == "classification" and segmenter.spec.preprocessing.sizes == (64,)
    assert set(segmenter.run(noise).answer) == {"wall", "floor", "tree", "lake"}
