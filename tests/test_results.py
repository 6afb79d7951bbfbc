"""Masks and probabilities in the picture's own size."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from segdemo import InputError, Result, results
from segdemo.images import Placement
from segdemo.networks.classes import declare
from segdemo.summaries import preview, summarise

NAMES = ("background", "cat", "dog")


def result(logits: np.ndarray, size: tuple[int, int]) -> Result:
    height, width = logits.shape[1:]
    placement = Placement(size, (width, height), (width, height))
    return Result(
        "net",
        declare(NAMES),
        True,
        None,
        8,
        size,
        placement,
        Image.new("RGB", (width, height)),
        logits.astype(np.float32),
        {},
        {},
        0.0,
    )


def random_logits(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 3, (3, height, width)).astype(np.float32)


def test_probabilities_confidence_and_entropy_by_hand() -> None:
    one = result(np.log([[[0.5]], [[0.25]], [[0.25]]]), (1, 1))
    assert one.mask.tolist() == [[0]]
    assert one.probability("cat") == pytest.approx(np.array([[0.25]]))
    assert one.confidence == pytest.approx(np.array([[0.5]]))
    assert one.entropy == pytest.approx(np.array([[1.5]]))  # bits: half * 1 + quarter * 2 + quarter * 2


def test_a_tie_of_all_classes_has_the_greatest_entropy_and_a_sure_pixel_has_none() -> None:
    assert result(np.zeros((3, 1, 1)), (1, 1)).entropy[0, 0] == pytest.approx(np.log2(3))
    assert result(np.array([[[1000.0]], [[0]], [[0]]]), (1, 1)).entropy[0, 0] == 0


@pytest.mark.parametrize("size", [(50, 33), (7, 9), (200, 3), (16, 12), (1, 1)])
@pytest.mark.parametrize("band", [1 << 22, 64])
def test_bands_agree_with_one_interpolation_of_the_whole(
    size: tuple[int, int], band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "BAND", band)
    logits = random_logits(12, 16)
    whole = F.interpolate(torch.from_numpy(logits)[None], size[::-1], mode="bilinear", align_corners=False)[0]
    expected = whole.softmax(0).numpy()
    shown = result(logits, size)
    assert shown.mask.shape == size[::-1]
    assert shown.mask.dtype == np.uint8
    for index, name in enumerate(NAMES):
        assert shown.probability(name) == pytest.approx(expected[index], abs=1e-5)
    assert shown.confidence == pytest.approx(expected.max(0), abs=1e-5)
    sure = np.sort(expected, 0)[-1] - np.sort(expected, 0)[-2] > 1e-4
    assert (shown.mask == expected.argmax(0))[sure].all()


def test_the_probabilities_of_a_pixel_sum_to_1() -> None:
    shown = result(random_logits(5, 6), (11, 8))
    assert sum(shown.probability(name) for name in NAMES) == pytest.approx(np.ones((8, 11)), abs=1e-5)


def test_shares_are_percentages_of_the_picture_in_index_order() -> None:
    logits = np.zeros((3, 2, 2))
    logits[1, 0] = 9  # the upper half is cat, the rest background
    shares = result(logits, (2, 2)).classes
    assert [(share.index, share.name, share.percent) for share in shares] == [
        (0, "background", 50),
        (1, "cat", 50),
        (2, "dog", 0),
    ]


def test_another_size_changes_the_maps_and_not_the_result() -> None:
    shown = result(random_logits(6, 8), (40, 30))
    small = shown.at((8, 6))
    assert small.mask.shape == (6, 8)
    assert shown.mask.shape == (30, 40)
    assert shown.at((40, 30)) is shown


def test_a_class_the_network_does_not_know_is_refused_with_those_it_knows() -> None:
    with pytest.raises(InputError, match=r"net knows no class called 'zebra'; it knows background, cat, dog\."):
        result(random_logits(2, 2), (2, 2)).probability("zebra")


def test_no_field_of_a_result_can_be_replaced_or_removed() -> None:
    shown = result(random_logits(2, 2), (2, 2))
    for field in dataclasses.fields(Result):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(shown, field.name, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(shown, field.name)


def test_the_mask_which_is_kept_is_read_only() -> None:
    shown = result(random_logits(4, 5), (9, 7))
    with pytest.raises(ValueError, match="read-only"):
        shown.mask[:] = 0


@pytest.mark.parametrize("name", ["probability", "confidence", "entropy"])
def test_a_map_that_is_spoilt_by_its_owner_is_right_for_the_next(name: str) -> None:
    shown = result(random_logits(4, 5), (9, 7))
    first, again = (shown.probability("cat") if name == "probability" else getattr(shown, name) for _ in range(2))
    if first.flags.writeable:
        first[:] = -1
    assert again.min() >= 0
    assert np.array_equal(shown.probability("cat") if name == "probability" else getattr(shown, name), again)


def test_only_a_classifier_answers_once_for_the_whole_picture() -> None:
    logits = np.log([[[0.5]], [[0.25]], [[0.25]]])
    assert result(logits, (4, 3)).answer == {}
    answer = dataclasses.replace(result(logits, (4, 3)), task="classification").answer
    assert answer == pytest.approx({"background": 0.5, "cat": 0.25, "dog": 0.25})


def test_the_memory_of_a_result_counts_all_that_it_holds() -> None:
    shown = result(random_logits(5, 6), (40, 30))
    assert shown.nbytes == 4 * 3 * 5 * 6 + 40 * 30 + 3 * 5 * 6  # logits, mask, picture
    summary, small = summarise(torch.ones(1, 2, 7, 9)), preview(torch.ones(1, 2, 7, 9))
    more = dataclasses.replace(shown, layers={"one": summary, "two": summary}, previews={"three": small})
    assert more.nbytes == shown.nbytes + 2 * summary.nbytes + 7 * 9
    assert summary.nbytes > 2 * 7 * 9 + 2 * 8 * 4


def test_more_classes_than_a_byte_counts_are_told_apart() -> None:
    logits = np.zeros((300, 1, 2), np.float32)
    logits[299, 0, 0] = logits[43, 0, 1] = 1
    many = replace(result(logits, (2, 1)), known=declare(map(str, range(300))))
    assert many.mask.dtype == np.uint16
    assert many.mask.tolist() == [[299, 43]]
    assert [share.index for share in many.classes if share.percent] == [43, 299]


@pytest.mark.parametrize("size", [(9, 7), (5, 4), (1, 1), (300, 2)])
def test_probabilities_at_a_pixel_are_those_of_the_maps(size: tuple[int, int]) -> None:
    shown = result(random_logits(4, 5), size)
    maps = np.stack([shown.probability(name) for name in NAMES])
    for x, y in {(0, 0), (size[0] - 1, size[1] - 1), (size[0] // 2, size[1] // 3)}:
        assert shown.probabilities_at((x, y)) == pytest.approx(maps[:, y, x], rel=1e-6)
        assert shown.class_at((x, y)) == shown.mask[y, x]


@pytest.mark.parametrize("point", [(9, 0), (0, 7), (-1, 0), (0, -1)])
def test_a_point_outside_the_picture_is_refused_with_its_size(point: tuple[int, int]) -> None:
    shown = result(random_logits(4, 5), (9, 7))
    for ask in (shown.probabilities_at, shown.class_at):
        with pytest.raises(InputError, match="9 × 7") as refusal:
            ask(point)
        assert refusal.value.code == "point_outside"


def every_class_compared(shown: Result) -> np.ndarray:
    """The mask by the plain rule: all classes interpolated everywhere, the first of the greatest."""
    mask = np.empty(shown.size[::-1], np.uint8)
    for rows, logits in shown._bands():
        mask[rows] = logits.argmax(0).numpy()
    return mask


@pytest.mark.parametrize("size", [(90, 201), (64, 64), (700, 5)])
def test_a_mask_is_that_of_all_classes_though_few_are_interpolated(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(3).normal(0, 1, (21, 9, 7)).astype(np.float32)
    values[:18] -= 9  # never the greatest,
    values[5, 4, 3] = 20  # but one of them in one place
    values[20] = values[19]  # a tie everywhere
    shown = dataclasses.replace(result(values, size), known=declare([f"class {number}" for number in range(21)]))
    asked, bands = set(), Result._bands
    expected = every_class_compared(shown)

    def noted(self: Result, first: int, end: int, kept: list[int]) -> object:
        asked.update(kept)
        return bands(self, first, end, kept)

    monkeypatch.setattr(Result, "_bands", noted)
    assert shown.mask.tolist() == expected.tolist()
    assert asked == {5, 18, 19, 20}
    assert 20 not in shown.mask
    assert [share.percent for share in shown.classes] == [
        100 * float((expected == number).mean()) for number in range(21)
    ]


def test_values_that_are_no_numbers_leave_no_class_out() -> None:
    values = random_logits(4, 4)
    values[1] -= 90
    values[0, 2, 2], values[2, 0, 0] = np.nan, -np.inf
    shown = result(values, (40, 40))
    assert shown._contests().__next__() == (0, 40, [0, 1, 2])
    assert shown.mask.shape == (40, 40)
