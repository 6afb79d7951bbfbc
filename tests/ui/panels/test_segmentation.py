"""What the panel of the segmentation sends to the page, and the files it saves."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo.errors import InputError
from segdemo.networks.classes import declare
from segdemo.questions import Catalogue
from segdemo.results import NetworkFacts
from segdemo.ui.panels.segmentation import (
    File,
    SegmentationPanel,
    asked_file,
    display_size,
    file_to_save,
    nothing_found,
    payload,
    probability_payload,
    suggestion,
)
from tests.conftest import mixed_by_hand
from tests.ui.conftest import FACTS, RUN, Kept, Table, made_up

# exp(3) / (exp(3) + 2) and exp(5) / (exp(5) + 2): the softmax of the two halves.
BACKGROUND, CAT = 0.909443, 0.986703


def pixels(kept: Kept, file: dict[str, str]) -> np.ndarray:
    with Image.open(io.BytesIO(kept.files[file["url"]])) as opened:
        return np.array(opened)


def bits(first: float) -> float:
    """Return the entropy where one class has this probability and two share the rest."""
    other = (1 - first) / 2
    return -first * math.log2(first) - 2 * other * math.log2(other)


def test_nothing_stays_nothing(table: Table) -> None:
    panel: Any = SegmentationPanel(table)
    assert panel.postprocess(None) is None
    assert panel.preprocess(asdict(RUN)) is None


def test_the_value_on_the_page_is_the_run_alone(table: Table) -> None:
    assert SegmentationPanel(table).postprocess(RUN) == asdict(RUN)
    assert not table.asked


def test_labels_carry_class_confidence_and_entropy_without_loss(table: Table, kept: Kept) -> None:
    sent = payload(table, RUN, kept)
    labels = pixels(kept, sent["labels"])
    assert labels.shape == (32, 48, 3)
    assert labels[0, 0].tolist() == [0, round(255 * BACKGROUND), round(255 * bits(BACKGROUND) / math.log2(3))]
    assert labels[31, 47].tolist() == [1, round(255 * CAT), round(255 * bits(CAT) / math.log2(3))]
    assert (labels == labels[0, 0]).all(-1).sum() == (labels == labels[31, 47]).all(-1).sum() == 16 * 48
    assert sent["bits"] == pytest.approx(math.log2(3))


@pytest.mark.parametrize(("count", "most"), [(1, 1), (2, 1), (3, math.log2(3)), (21, math.log2(21))])
def test_the_scale_of_the_entropy_ends_where_all_classes_are_equally_probable(
    table: Table, kept: Kept, picture: Image.Image, count: int, most: float
) -> None:
    table.answers[RUN] = made_up(
        picture, known=declare(map(str, range(count))), logits=np.zeros((count, 32, 48), np.float32)
    )
    sent = payload(table, RUN, kept)
    assert sent["bits"] == pytest.approx(most)
    labels = pixels(kept, sent["labels"])
    assert labels[0, 0].tolist() == [0, round(255 / count), 0 if count == 1 else 255]


def test_of_more_than_256_classes_a_further_picture_tells_the_rest(
    table: Table, kept: Kept, picture: Image.Image
) -> None:
    logits = np.zeros((300, 32, 48), np.float32)
    logits[299, :16] = logits[44, 16:] = 9
    table.answers[RUN] = made_up(picture, known=declare(map(str, range(300))), logits=logits)
    sent = payload(table, RUN, kept)
    low, high = pixels(kept, sent["labels"])[..., 0].astype(int), pixels(kept, sent["high"]).astype(int)
    assert np.array_equal(low + 256 * high, [[299] * 48] * 16 + [[44] * 48] * 16)
    name, saved = file_to_save(table, File(RUN, "mask", 1.0, frozenset()))
    with Image.open(io.BytesIO(saved)) as mask:
        assert (name, mask.mode) == ("made_up-mask.png", "I;16")
        assert np.array_equal(np.array(mask), low + 256 * high)


def test_pictures_and_facts_arrive(table: Table, kept: Kept, picture: Image.Image) -> None:
    sent = payload(table, RUN, kept)
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    with Image.open(io.BytesIO(kept.files[sent["picture"]["url"]])) as photo:
        assert (photo.format, photo.size) == ("JPEG", picture.size)
        assert np.abs(np.array(photo.convert("RGB"), int) - np.array(picture, int)).mean() < 8
    assert np.array_equal(pixels(kept, sent["seen"]), np.array(picture.resize((24, 24))))
    assert [(one["index"], one["name"], one["percent"]) for one in sent["classes"]] == [
        (0, "background", 50),
        (1, "cat", 50),
        (2, "dog", 0),
    ]
    assert len({one["colour"] for one in sent["classes"]}) == 3
    assert (sent["picture_size"], sent["seen_size"], sent["resized"]) == ([48, 32], [24, 24], [24, 16])
    assert (sent["side"], sent["seconds"], sent["network"]) == (24, 0.125, "Made up")
    assert (sent["run"], sent["answer"], sent["untrained"]) == (asdict(RUN), [], False)


def test_a_large_picture_is_shown_reduced_and_its_own_size_is_told(table: Table, kept: Kept) -> None:
    large = Image.new("RGB", (2560, 1280), "teal")
    table.pictures[RUN.picture] = large
    table.answers[RUN] = made_up(large, seen=large.resize((24, 12)))
    sent = payload(table, RUN, kept)
    assert pixels(kept, sent["labels"]).shape == pixels(kept, sent["picture"]).shape == (640, 1280, 3)
    assert sent["picture_size"] == [2560, 1280]
    assert pixels(kept, probability_payload(table, RUN, 0, kept)["file"]).shape == (640, 1280)


def test_an_untrained_network_is_told(table: Table, kept: Kept, picture: Image.Image) -> None:
    table.answers[RUN] = made_up(picture, trained=False)
    assert payload(table, RUN, kept)["untrained"] is True


def test_a_classifier_is_shown_with_its_answer(table: Table, kept: Kept, picture: Image.Image) -> None:
    values = np.log(np.array([0.25, 0.5, 0.25], np.float32))[:, None, None]
    table.answers[RUN] = made_up(picture, logits=values, task="classification")
    assert payload(table, RUN, kept)["answer"] == [pytest.approx(one) for one in (0.25, 0.5, 0.25)]


def test_a_picture_that_is_kept_no_longer_is_said(table: Table, kept: Kept) -> None:
    table.pictures.clear()
    with pytest.raises(InputError) as error:
        payload(table, RUN, kept)
    assert error.value.code == "picture_forgotten"


@pytest.mark.parametrize(("index", "levels"), [(0, (232, 2)), (1, (12, 252)), (2, (12, 2))])
def test_probability_is_a_grey_map(table: Table, kept: Kept, index: int, levels: tuple[int, int]) -> None:
    sent = probability_payload(table, RUN, index, kept)
    grey = pixels(kept, sent["file"])
    assert (sent["index"], grey.shape) == (index, (32, 48))
    assert (set(grey[:16].flat), set(grey[16:].flat)) == ({levels[0]}, {levels[1]})


@pytest.mark.parametrize("index", [-1, 3])
def test_a_class_that_the_network_does_not_know_is_refused(table: Table, kept: Kept, index: int) -> None:
    with pytest.raises(InputError) as error:
        probability_payload(table, RUN, index, kept)
    assert error.value.code == "unknown_class_index"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1280, 20), (1280, 20)),
        ((20, 1280), (20, 1280)),
        ((1281, 1281), (1280, 1280)),
        ((2560, 1280), (1280, 640)),
        ((1000, 4000), (320, 1280)),
        ((10_000, 1), (1280, 1)),
        ((1, 10_000), (1, 1280)),
        ((3, 2), (3, 2)),
    ],
)
def test_a_picture_is_shown_in_its_own_size_or_with_its_longer_side_reduced_to_1280(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert display_size(size) == shown


def test_the_mask_to_save_is_in_the_pictures_own_size(table: Table) -> None:
    name, content = file_to_save(table, File(RUN, "mask", 1, frozenset()))
    assert name == "made_up-mask.png"
    with Image.open(io.BytesIO(content)) as saved:
        assert saved.mode == "P"
        assert np.array(saved).tolist() == [[0] * 48] * 16 + [[1] * 48] * 16


@pytest.mark.parametrize(("hidden", "opacity"), [([0], 0.5), ([1], 0.25), ([], 1)])
def test_the_overlay_to_save_is_the_picture_under_the_colours_that_are_switched_on(
    table: Table, picture: Image.Image, hidden: list[int], opacity: float
) -> None:
    result = table.answers[RUN]
    colours = [share.colour for share in result.classes]
    expected = mixed_by_hand(picture, result.mask, colours, opacity, set(hidden))
    name, content = file_to_save(table, File(RUN, "overlay", opacity, frozenset(hidden)))
    assert name == "made_up-overlay.png"
    with Image.open(io.BytesIO(content)) as saved:
        assert saved.mode == "RGB"
        assert np.abs(np.array(saved) - expected).max() <= 0.5  # nothing but rounded


def test_the_data_to_save_are_all_maps(table: Table) -> None:
    name, content = file_to_save(table, File(RUN, "data", 1, frozenset()))
    assert name == "made_up-data.npz"
    with np.load(io.BytesIO(content)) as saved:
        assert saved["mask"].shape == saved["confidence"].shape == saved["entropy"].shape == (32, 48)
        assert saved["classes"].tolist() == ["background", "cat", "dog"]
        assert np.array_equal(saved["logits"], table.answers[RUN].logits)
        assert bool(saved["trained"])
        assert saved["confidence"][0, 0] == pytest.approx(BACKGROUND, abs=1e-3)
        assert saved["entropy"][31, 47] == pytest.approx(bits(CAT), abs=1e-3)


def test_files_of_an_untrained_network_say_so(table: Table, picture: Image.Image) -> None:
    table.answers[RUN] = made_up(picture, trained=False)
    assert file_to_save(table, File(RUN, "mask", 1, frozenset()))[0] == "untrained-made_up-mask.png"


def test_a_classifier_saves_its_numbers_and_has_no_mask(table: Table, picture: Image.Image) -> None:
    table.answers[RUN] = made_up(picture, logits=np.zeros((3, 1, 1), np.float32), task="classification")
    table.answers[Catalogue()] = (replace(FACTS, task="classification"),)
    with np.load(io.BytesIO(file_to_save(table, File(RUN, "data", 1, frozenset()))[1])) as saved:
        assert "mask" not in saved and saved["logits"].shape == (3, 1, 1)
    for kind in ("mask", "overlay"):
        with pytest.raises(InputError) as error:
            file_to_save(table, File(RUN, kind, 1, frozenset()))
        assert error.value.code == "wrong_choice"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"run": None}, "run_once_more"),
        ({"kind": "weights"}, "wrong_choice"),
        ({"kind": None}, "wrong_choice"),
        ({"opacity": float("nan")}, "wrong_share"),
        ({"opacity": 1.5}, "wrong_share"),
        ({"hidden": None}, "wrong_list"),
        ({"hidden": [-1]}, "wrong_whole_number"),
        ({"hidden": ["cat"]}, "wrong_whole_number"),
        ({"hidden": [0] * 70_000}, "wrong_list"),
    ],
)
def test_a_file_that_cannot_be_asked_for_is_refused(wrong: dict[str, Any], code: str) -> None:
    right = {"run": asdict(RUN), "kind": "overlay", "opacity": 0.5, "hidden": [0]}
    assert asked_file(right) == File(RUN, "overlay", 0.5, frozenset({0}))
    with pytest.raises(InputError) as error:
        asked_file({**right, **wrong})
    assert error.value.code == code


def test_select_can_be_listened_to(table: Table) -> None:
    assert callable(SegmentationPanel(table).select)


def facts(name: str, *classes: str, **changes: Any) -> NetworkFacts:
    return replace(FACTS, name=name, title=name.title(), classes=declare(("background", *classes)), **changes)


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ((), None),
        ((facts("same", "cat"),), None),
        ((facts("one", "cat", "bird"),), ("one", 1)),
        ((facts("one", "bird"), facts("three", "bird", "car", "bus"), facts("two", "bird", "car")), ("three", 3)),
        ((facts("raw", "bird", "car", trained=False), facts("one", "bird")), ("one", 1)),
        ((facts("digits", "5", "6", task="classification"), facts("one", "bird")), ("one", 1)),
    ],
)
def test_the_trained_network_that_knows_most_classes_beyond_is_suggested(
    table: Table, others: tuple[NetworkFacts, ...], named: tuple[str, int] | None
) -> None:
    table.answers[Catalogue()] = (facts("made_up", "cat", "dog"), *others)
    suggested = suggestion(table, "made_up")
    expected = named and {"name": named[0], "title": named[0].title(), "more": named[1]}
    assert suggested == expected


def test_nothing_is_found_where_all_is_background_and_a_single_pixel_is_something(picture: Image.Image) -> None:
    background = np.zeros((3, 32, 48), np.float32)
    background[0] = 1
    assert nothing_found(made_up(picture, logits=background))
    background[2, 0, 0] = 2
    assert not nothing_found(made_up(picture, logits=background))
