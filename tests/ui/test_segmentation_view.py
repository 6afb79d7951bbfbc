"""What the segmentation view sends to the page."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from segdemo.ui.components.segmentation_view import SegmentationData, SegmentationValue, SegmentationView

CLASSES = [(0, "background", "#000000", 50.0), (1, "cat", "#e07b39", 50.0), (2, "dog", "#0072b2", 0.0)]


@pytest.fixture
def value(picture: Image.Image) -> SegmentationValue:
    """Three classes on the small picture; the upper half is background, the lower half cat."""
    width, height = picture.size
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2 :] = 1
    confidence = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)
    return SegmentationValue(
        picture=picture,
        mask=mask,
        confidence=confidence,
        entropy=(1 - confidence) * np.float32(np.log2(3)),
        classes=CLASSES,
        network_title="A network",
        untrained=False,
        picture_size=(96, 64),
        seen=picture.resize((24, 24)),
        seen_size=(24, 24),
        resized=(24, 16),
        side=24,
        seconds=0.125,
    )


@pytest.fixture
def view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SegmentationView:
    """A view that writes into a folder of its own."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    return SegmentationView()


def sent(view: SegmentationView, value: SegmentationValue) -> SegmentationData:
    data = view.postprocess(value)
    assert data is not None
    return data


def pixels(path: str) -> NDArray[np.uint8]:
    with Image.open(path) as opened:
        return np.array(opened)


def test_nothing_stays_nothing(view: SegmentationView) -> None:
    assert view.postprocess(None) is None


def test_labels_carry_class_confidence_and_entropy_without_loss(
    view: SegmentationView, value: SegmentationValue
) -> None:
    data = sent(view, value)
    labels = pixels(data.labels.path)
    assert labels.shape == (32, 48, 3)
    assert np.array_equal(labels[..., 0], value.mask)
    assert np.array_equal(labels[..., 1], np.rint(255 * value.confidence))
    assert labels[0, 0].tolist() == [0, 0, 255]  # the first pixel: confidence 0, entropy log2 3
    assert labels[-1, -1].tolist() == [1, 255, 0]
    assert data.bits == pytest.approx(np.log2(3))


def test_values_out_of_range_by_rounding_do_not_wrap_around(view: SegmentationView, value: SegmentationValue) -> None:
    value.confidence[0, 0], value.entropy[0, 0] = 1.003, -0.01  # would be levels 256 and -2
    assert pixels(sent(view, value).labels.path)[0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(("count", "bits"), [(1, 1), (2, 1), (3, np.log2(3)), (21, np.log2(21))])
def test_the_scale_of_the_entropy_ends_where_all_classes_are_equally_probable(
    value: SegmentationValue, count: int, bits: float
) -> None:
    classes = [(index, str(index), "#000000", 0.0) for index in range(count)]
    assert replace(value, classes=classes).most_bits == pytest.approx(bits)


def test_pictures_and_facts_arrive(view: SegmentationView, value: SegmentationValue) -> None:
    data = sent(view, value)
    with Image.open(data.picture.path) as photo:
        assert photo.format == "JPEG"
    with Image.open(data.seen.path) as seen:
        assert np.array_equal(np.array(seen), np.array(value.seen))
    assert data.classes[1] == {"index": 1, "name": "cat", "colour": "#e07b39", "percent": 50.0}
    assert (data.picture_size, data.seen_size, data.resized, data.side) == ((96, 64), (24, 24), (24, 16), 24)
    assert data.probability is None and data.download is None


def test_probability_is_a_grey_map(view: SegmentationView, value: SegmentationValue) -> None:
    values = np.array([[0, 0.5, 1]], np.float32)
    probability = sent(view, value.with_probability(2, values)).probability
    assert probability is not None and probability.index == 2
    with Image.open(probability.file.path) as grey:
        assert grey.mode == "L" and np.array(grey).tolist() == [[0, 128, 255]]


def test_one_run_is_encoded_once(view: SegmentationView, value: SegmentationValue) -> None:
    first = sent(view, value)
    other = value.with_probability(1, value.confidence)
    assert other.encoded is value.encoded
    assert sent(view, other).labels.path == first.labels.path


def test_download_keeps_its_name_and_differs_each_time(
    view: SegmentationView, value: SegmentationValue, tmp_path: Path
) -> None:
    path = tmp_path / "tmp123.png"
    path.write_bytes(b"bytes")
    asked = value.with_probability(1, value.confidence).with_download("mask", path, "cat-mask.png")
    one, two = (sent(view, asked).download for _ in range(2))
    assert one is not None and two is not None
    assert (one.kind, Path(one.file.path).name, one.file.orig_name) == ("mask", "cat-mask.png", "cat-mask.png")
    assert Path(one.file.path).read_bytes() == b"bytes"
    assert one.stamp != two.stamp
    assert asked.probability is not None
    assert asked.with_probability(2, value.confidence).download is None


def test_both_events_can_be_listened_to(view: SegmentationView) -> None:
    assert callable(view.probability) and callable(view.download)


def test_photograph_is_recognisably_the_picture(value: SegmentationValue) -> None:
    photo = np.array(Image.open(io.BytesIO(value.encoded.picture)).convert("RGB"), int)
    assert np.abs(photo - np.array(value.picture, int)).mean() < 8
